//! The picture of a run in README: a run is recorded, what differs from run to run is replaced, and the rest drawn.

use std::path::Path;
use std::process::Command;

use anstyle_svg::Term;
use regex::Regex;
use snow_rehearsal::{Job, Rehearsal};
use textwrap::core::Word;
use textwrap::{Options, WordSeparator};

use crate::fresh;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::pty::Terminal;

/// The columns of the picture. It is recorded in a wider window, since the folders of the recording have long names.
const COLUMNS: usize = 110;

#[test]
fn the_picture_shows_a_run_as_it_is_today() {
    // The same ids, digests and codes every time.
    let job = Job::new().job_type("LOCAL_USE").snowball_type("EDGE_S").description(Some("Survey 4"));
    let rehearsal = Rehearsal::builder().seed(12).job(job).start().unwrap();
    let picture = steady(&recorded(&rehearsal), &rehearsal);

    let text = console::strip_ansi_codes(&picture);
    let root = rehearsal.root().to_string_lossy().into_owned();
    for volatile in [root.as_str(), "127.0.0.1", &rehearsal.job().unlock_code()] {
        assert!(!text.contains(volatile), "“{volatile}” is in the picture:\n{text}");
    }
    assert!(text.contains("is UNLOCKED."), "{text}");
    // It has a ground of its own, so it reads the same on a light and on a dark page.
    let picture = Term::new().render_svg(&broken(&picture));
    assert!(picture.len() < 30_000, "{} bytes", picture.len());
    assert!(picture.contains("class=\"bold\">Keychain"), "{picture}");
    fresh::check("packaging/run.svg", &picture);
}

/// A person's shell in a terminal, the command typed into it, and what came of it: text and colours.
fn recorded(rehearsal: &Rehearsal) -> String {
    let bus = KeyringBus::start(Keyring::Unlocked);
    let mut shell = Command::new("sh");
    shell.env_clear().envs(rehearsal.env()).env("AWS_CA_BUNDLE", rehearsal.ca_bundle()).env("LC_ALL", "C.UTF-8");
    let of_the_keyring = |name: &str| matches!(name, "DBUS_SESSION_BUS_ADDRESS" | "XDG_DATA_HOME");
    shell.envs(bus.environment().into_iter().filter(|(name, _)| of_the_keyring(name)));
    let folder = |program: &Path| program.parent().unwrap().display().to_string();
    let program = folder(Path::new(env!("CARGO_BIN_EXE_snow-onboard")));
    let path = [program, folder(rehearsal.client_path()), std::env::var("PATH").unwrap()].join(":");
    shell.env("PATH", path).env("PS1", "$ ");

    let mut terminal = Terminal::start(shell, 250, 50);
    let address = rehearsal.device().endpoint();
    let command = format!("snow-onboard run {} --endpoint {}", rehearsal.job().id(), bare(&address));
    terminal.wait_for("$ ").type_line(&command);
    terminal.wait_until("the prompt after the run", |screen| screen.contents().trim_end().ends_with("\n$"));
    let shown = terminal.cells().contents_formatted_basic();
    terminal.type_line("exit");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    // Without the prompt that waits for what is typed next.
    shown.trim_end().rsplit_once('\n').unwrap().0.to_owned()
}

fn bare(address: &str) -> &str {
    address.trim_start_matches("https://")
}

/// Puts what a reader may have at home in the place of what this recording had.
fn steady(recorded: &str, rehearsal: &Rehearsal) -> String {
    let recorded = recorded
        .replace(bare(&rehearsal.device().endpoint()), "192.0.2.10")
        .replace(&rehearsal.client_path().display().to_string(), "/opt/snowball-client-linux/bin/snowballEdge")
        .replace(&rehearsal.state_home().display().to_string(), "/home/anna/.local/state");
    // A busy machine may take a second longer.
    let seconds = Regex::new("UNLOCKED after [0-9]+ s").unwrap();
    seconds.replace(&recorded, "UNLOCKED after 1 s").into_owned()
}

/// A line that is too long goes on below: from a hyphen on, or wherever the edge is.
fn broken(text: &str) -> String {
    let whole = WordSeparator::Custom(|line| Box::new(std::iter::once(Word::from(line))));
    textwrap::fill(text, Options::new(COLUMNS).word_separator(whole))
}
