//! `forget` at a terminal, where a question may stand for as long as it likes.

use std::ffi::OsStr;
use std::process::Command;

use snow_rehearsal::{Job, Rehearsal};

use crate::keyring_bus::{Keyring, KeyringBus};
use crate::pty::Terminal;
use crate::stage::agent;

fn with_keychain<const N: usize>(rehearsal: &Rehearsal, bus: &KeyringBus, args: [&str; N]) -> Command {
    let of_the_keyring = |name: &str| matches!(name, "DBUS_SESSION_BUS_ADDRESS" | "XDG_DATA_HOME");
    let mut command = agent(rehearsal, args.map(OsStr::new));
    command.envs(bus.environment().into_iter().filter(|(name, _)| of_the_keyring(name)));
    command
}

#[test]
fn what_another_process_fetched_before_the_answer_is_named_and_stays() {
    let rehearsal = Rehearsal::builder().job(Job::new()).job(Job::new()).start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let [asked, later] = [0, 1].map(|at: usize| rehearsal.jobs()[at].id().to_owned());
    let state = rehearsal.state_home().join("snow-onboard");
    let fetch = |id: &str| {
        assert!(with_keychain(&rehearsal, &bus, ["fetch", id]).output().unwrap().status.success());
    };
    fetch(&asked);
    let mut terminal = Terminal::start(with_keychain(&rehearsal, &bus, ["forget", "--all"]), 100, 40);
    terminal.wait_for("of these jobs from this machine?");
    fetch(&later);
    terminal.answer("of these jobs from this machine?", "yes");
    assert_eq!(terminal.end(), 15, "{}", terminal.screen());
    let screen = terminal.screen();
    assert!(screen.contains(&format!("Another process stored {later}")), "{screen}");
    assert!(screen.contains("Not all stored data was removed.") && !screen.contains("Left:"), "{screen}");
    assert_eq!((bus.lookup(&asked), bus.lookup(&later).is_some()), (None, true));
    let left = [state.join("jobs").join(&asked), state.join("jobs").join(&later), state.join("locks").join(&later)];
    assert_eq!(left.map(|path| path.exists()), [false, true, true]);
    // The same command again, as it says.
    let mut terminal = Terminal::start(with_keychain(&rehearsal, &bus, ["forget", "--all"]), 100, 40);
    terminal.answer("of these jobs from this machine?", "yes");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    assert_eq!(bus.lookup(&later), None);
}
