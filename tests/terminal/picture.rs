//! The picture of a run in README: a run is recorded, what differs from run to run is replaced, and the rest drawn.

use std::path::Path;
use std::process::Command;

use snow_rehearsal::{Job, Rehearsal};

use crate::fresh;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::pty::Terminal;
use crate::svg::{self, Line};

/// The columns of the picture. It is recorded in a wider window, since the folders of the recording have long names.
const COLUMNS: usize = 110;

#[test]
fn the_picture_shows_a_run_as_it_is_today() {
    // The same ids, digests and codes every time.
    let job = Job::new().job_type("LOCAL_USE").snowball_type("EDGE_S").description(Some("Survey 4"));
    let rehearsal = Rehearsal::builder().seed(12).job(job).start().unwrap();
    let mut lines = recorded(&rehearsal);
    lines.iter_mut().for_each(|line| make_steady(line, &rehearsal));

    let texts: Vec<String> = lines.iter().map(svg::text).collect();
    let text = texts.join("\n");
    let root = rehearsal.root().to_string_lossy().into_owned();
    for volatile in [root.as_str(), "127.0.0.1", &rehearsal.job().unlock_code()] {
        assert!(!text.contains(volatile), "“{volatile}” is in the picture:\n{text}");
    }
    assert!(text.contains("is UNLOCKED."), "{text}");
    let picture = svg::draw(&lines, COLUMNS, "A run of snow-onboard, from the job's id to the open device");
    assert!(picture.len() < 30_000, "{} bytes", picture.len());
    fresh::check("packaging/run.svg", &picture);
}

/// A person's shell in a terminal, and the command typed into it.
fn recorded(rehearsal: &Rehearsal) -> Vec<Line> {
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
    let lines = svg::lines(&terminal.cells());
    terminal.type_line("exit");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    // Without the prompt that waits for what is typed next.
    lines[..lines.len() - 1].to_vec()
}

fn bare(address: &str) -> &str {
    address.trim_start_matches("https://")
}

/// Puts what a reader may have at home in the place of what this recording had.
fn make_steady(line: &mut Line, rehearsal: &Rehearsal) {
    let client = rehearsal.client_path().display().to_string();
    let state = rehearsal.state_home().display().to_string();
    svg::replace(line, bare(&rehearsal.device().endpoint()), "192.0.2.10");
    svg::replace(line, &client, "/opt/snowball-client-linux/bin/snowballEdge");
    svg::replace(line, &state, "/home/anna/.local/state");
    // A busy machine may take a second longer.
    let text = svg::text(line);
    if let Some((_, seconds)) = text.split_once("UNLOCKED after ") {
        svg::replace(line, &format!("after {seconds}"), "after 1 s");
    }
}
