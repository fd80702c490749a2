//! A test is run again where GNOME's keyring daemon crashed in it, and in no other case.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// What a failing test leaves for `tests/keyring_bus/again`, after `before` it failed.
fn crash_log(before: impl FnOnce(&mut KeyringBus) + Send + 'static) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("crashed");
    let mut bus = KeyringBus::start(Keyring::Unlocked);
    bus.crash_log = Some(log.clone());
    let test = std::thread::Builder::new().name("the test".to_owned()).spawn(move || {
        before(&mut bus);
        panic!("it fails");
    });
    test.unwrap().join().unwrap_err();
    fs::read_to_string(log).unwrap_or_default()
}

fn send(bus: &KeyringBus, signal: Signal) {
    kill_process(Pid::from_raw(bus.keyring_pid().try_into().unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn a_crash_of_the_daemon_is_told_from_a_failure_with_the_daemon_alive_or_ended_by_the_test() {
    let crashed = crash_log(|bus| send(bus, Signal::ABORT));
    assert!(crashed.starts_with("the test: gnome-keyring-daemon crashed, signal: 6"), "{crashed}");
    assert_eq!(crash_log(|_| ()), "");
    assert_eq!(crash_log(KeyringBus::end_keyring), "");
    assert_eq!(crash_log(|bus| send(bus, Signal::TERM)), "");
}

/// How often the script runs a test, what it ends with, and how many crashes it has counted.
fn run_again(test: &str) -> (usize, Option<i32>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let (tries, counted) = (folder.path().join("tries"), folder.path().join("repeated"));
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keyring_bus/again"));
    command.args(["sh", "-c", &format!("echo x >> \"$TRIES\"; {test}")]).env("TRIES", &tries);
    let status = command.env("SNOW_TESTS_REPEATED", &counted).stdout(Stdio::null()).status().unwrap();
    let lines = |path| fs::read_to_string(path).unwrap_or_default().lines().count();
    (lines(tries), status.code(), lines(counted))
}

#[test]
fn only_a_test_that_fails_with_a_crash_is_run_again() {
    const CRASH: &str = "echo crashed >> \"$SNOW_TESTS_KEYRING_CRASHED\";";
    assert_eq!(run_again("exit 0"), (1, Some(0), 0));
    assert_eq!(run_again("exit 101"), (1, Some(101), 0));
    assert_eq!(run_again(&format!("{CRASH} exit 101")), (3, Some(101), 3));
    assert_eq!(run_again(&format!("[ $(wc -l < \"$TRIES\") = 2 ] || {{ {CRASH} exit 101; }}")), (2, Some(0), 1));
    // The second failure is another one.
    assert_eq!(run_again(&format!("[ $(wc -l < \"$TRIES\") = 2 ] || {CRASH} exit 101")), (2, Some(101), 1));
}
