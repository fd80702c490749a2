//! No file holds the code: after success, failure at every step, signals, and a power cut with the next command.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use snow_rehearsal::{
    BucketFault, Builder, ClientOptions, Command, DeviceOptions, Fault, Mode, Operation, Rehearsal, Times, Trick,
};

use crate::process::{self, guard_of, is_alive, wait_until};
use crate::scan;
use crate::stage::{FullPipe, Running, Stage};
use crate::table;

/// A run that is held with the client at work, so that the private home must hold the code: that it is found there is
/// the control. Gives the agent, how many files hold the code, and the home.
fn held(stage: &Stage, mut run: std::process::Command) -> (Running, usize, std::path::PathBuf) {
    let agent = Running::start(run.stdout(Stdio::null()).stderr(Stdio::null()));
    let home = stage.wait_for_client("describe-device").user_home;
    let found = stage.files_with_code();
    assert!(!found.is_empty() && found.iter().all(|path| path.starts_with(&home)), "in the private home alone");
    (agent, found.len(), home)
}

fn hanging() -> Stage {
    let hangs = ClientOptions::default().trick(Command::DescribeDevice, Trick::Hang);
    Stage::without_keychain(Rehearsal::builder().client(hangs))
}

#[track_caller]
fn no_file(stage: &Stage, when: &str, control: usize) {
    let found = stage.files_with_code();
    found.iter().for_each(|path| println!("  {}", path.display()));
    table::none("code", &format!("all folders and /dev/shm, {when}"), found.len(), control);
}

/// The control of the tests that hold nothing: a file of the kind looked for, put where it is looked for.
fn planted(stage: &Stage) -> usize {
    let places = [stage.rehearsal.home(), stage.rehearsal.state_home(), stage.rehearsal.runtime_dir()];
    let plant = |folder: &Path| {
        let path = folder.join("planted");
        std::fs::write(&path, stage.rehearsal.job().unlock_code()).unwrap();
        path
    };
    let paths = places.map(plant);
    let found = stage.files_with_code();
    paths.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    assert!(paths.iter().all(|path| found.contains(path)), "a file in each folder is seen");
    found.len()
}

#[test]
fn no_file_after_success() {
    let stage = Stage::without_keychain(Rehearsal::builder());
    let control = planted(&stage);
    assert!(stage.run().status().unwrap().success());
    no_file(&stage, "after a run that keeps nothing", control);

    let stage = Stage::with_keyring(Rehearsal::builder());
    let control = planted(&stage);
    assert!(stage.fetch().status().unwrap().success());
    assert!(stage.bus.as_ref().unwrap().lookup(&stage.id()).is_some(), "it is kept all the same");
    no_file(&stage, "after a fetch into a keyring", control);
    assert!(stage.run().status().unwrap().success());
    no_file(&stage, "after a run with a keyring", control);
    assert!(stage.with_client(&["status"], &[]).status().unwrap().success());
    no_file(&stage, "after a look at the device", control);
    assert!(stage.with_client(&["client", &stage.id()], &["describe-device"]).status().unwrap().success());
    no_file(&stage, "after a command of the client", control);
}

#[test]
fn no_file_after_a_kill_during_a_command_of_the_client() {
    let client = ClientOptions::default().trick(Command::ListServices, Trick::Hang);
    let stage = Stage::with_keyring(Rehearsal::builder().client(client));
    assert!(stage.run().status().unwrap().success());
    let mut agent = stage.with_client(&["client", &stage.id()], &["list-services"]);
    let mut agent = Running::start(agent.stdout(Stdio::null()).stderr(Stdio::null()));
    let client = stage.wait_for_client("list-services");
    let found = stage.files_with_code();
    assert!(
        !found.is_empty() && found.iter().all(|path| path.starts_with(&client.user_home)),
        "in the private home alone"
    );
    agent.child().kill().unwrap();
    wait_until("the client to go", || !is_alive(client.pid));
    wait_until("the private home to go", || !client.user_home.exists());
    no_file(&stage, "after a kill during a command of the client", found.len());
}

#[test]
fn no_file_after_failure_at_any_step() {
    let client = |of: Command, trick| Rehearsal::builder().client(ClientOptions::default().trick(of, trick));
    let well = Rehearsal::builder;
    type Breaking<'a> = (&'a str, Builder, &'a dyn Fn(&Rehearsal));
    let broken: [Breaking<'_>; 7] = [
        ("an undecodable answer", well(), &|stage| {
            stage.plant(Operation::GetJobUnlockCode, Fault::MalformedBody, Times::Always);
        }),
        ("a refused manifest", well(), &|stage| {
            stage.plant(Operation::GetJobManifest, Fault::AccessDenied, Times::Always);
        }),
        ("a damaged manifest", well(), &|stage| stage.plant_in_bucket(BucketFault::Damaged, Times::Always)),
        ("a client that fails at once", client(Command::DescribeDevice, Trick::Fail), &|_| {}),
        ("another device", well(), &|stage| {
            stage.device().set_mode(Mode::OtherDevice("JID00000000-0000-4000-8000-000000000000".to_owned()));
        }),
        ("a client that can't unlock", client(Command::UnlockDevice, Trick::Fail), &|_| {}),
        ("a device that stays as it is", well(), &|stage| stage.device().set_mode(Mode::StuckUnlocking)),
    ];
    for (what, builder, make_so) in broken {
        let stage = Stage::without_keychain(builder);
        let control = planted(&stage);
        make_so(&stage.rehearsal);
        let output = stage.run().args(["--unlock-timeout", "1s"]).output().unwrap();
        assert!(!output.status.success(), "{what} is a failure");
        no_file(&stage, &format!("after {what}"), control);
    }
}

#[test]
fn no_file_after_a_failure_whose_log_is_kept() {
    // The manifest is gone when it is to unlock: it says so, with the code, on stderr and in its log.
    let client = ClientOptions { tells_code: true, ..ClientOptions::default() };
    let client = client.trick(Command::DescribeDevice, Trick::DeleteManifest);
    let stage = Stage::with_keyring(Rehearsal::builder().client(client));
    let control = planted(&stage);
    let output = stage.run().output().unwrap();
    assert_eq!(output.status.code(), Some(13));
    let jobs = stage.rehearsal.state_home().join("snow-onboard/jobs");
    let log = jobs.join(stage.id()).join("client.log");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&log.display().to_string()));
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.contains("[invented] unlock-device") && text.contains("(os error 2) [unlock code]"), "{text}");
    no_file(&stage, "after a failure whose log is kept", control);
}

/// As when a terminal was stopped with Ctrl-S, or a log collector has stopped to read.
#[test]
fn a_reader_that_does_not_read_keeps_no_file_lying() {
    let device = DeviceOptions { mode: Mode::StuckUnlocking, ..DeviceOptions::default() };
    let stage = Stage::without_keychain(Rehearsal::builder().device(device));
    let (pipe, end) = FullPipe::new();
    let run = || stage.run();
    let mut agent =
        Running::start(run().args(["--unlock-timeout", "3s"]).stdout(Stdio::null()).stderr(end.try_clone().unwrap()));
    let home = stage.wait_for_client("unlock-device").user_home;
    let control = stage.files_with_code().len();
    wait_until("the private home to go at the deadline", || !home.exists());
    no_file(&stage, "after a run whose words nobody reads", control);
    assert!(is_alive(agent.id()), "it still has something to say");
    process::signal(agent.id(), Signal::TERM);
    agent.child().wait().unwrap();

    // And while it is at work.
    let mut agent = Running::start(run().stdout(Stdio::null()).stderr(end));
    wait_until("the device to be asked", || stage.rehearsal.device().descriptions() > 3);
    process::signal(agent.id(), Signal::INT);
    agent.child().wait().unwrap();
    drop(pipe);
    wait_until("the private home to go", || stage.files_with_code().is_empty());
}

#[test]
fn no_file_after_a_signal() {
    for signal in [Signal::TERM, Signal::HUP, Signal::KILL] {
        // More than once: a busy machine may hold one of them up, for reasons of its own.
        let took = [(); 3].map(|()| {
            let stage = hanging();
            let (mut agent, control, home) = held(&stage, stage.run());
            process::signal(agent.id(), signal);
            let start = Instant::now();
            agent.child().wait().unwrap();
            wait_until("the private home to go", || !home.exists());
            let took = start.elapsed();
            no_file(&stage, &format!("within a second of signal {}", signal.as_raw()), control);
            took
        });
        assert!(took.iter().min().unwrap() < &Duration::from_secs(1), "within a second: {took:?}");
        assert!(took.iter().max().unwrap() < &Duration::from_secs(10), "each time by itself: {took:?}");
    }
}

/// Ends agent, guard and client so that none of them sees to the home, as a power cut does.
fn cut_power(stage: &Stage, agent: &mut Running) {
    let client = stage.client_at("describe-device").unwrap().pid;
    let guard = guard_of(agent.id());
    // Stopped first: neither is to see the other go.
    process::signal(guard, Signal::STOP);
    process::signal(agent.id(), Signal::STOP);
    process::signal(guard, Signal::KILL);
    process::signal(agent.id(), Signal::KILL);
    agent.child().wait().unwrap();
    wait_until("the guard to be gone", || !is_alive(guard));
    process::signal(client, Signal::KILL);
}

#[test]
fn the_next_command_takes_what_a_power_cut_left() {
    let stage = hanging();
    let (mut agent, control, home) = held(&stage, stage.run());
    cut_power(&stage, &mut agent);
    assert!(!scan::files_with(&home, &stage.code()).is_empty(), "left behind, as by a power cut");
    assert!(stage.agent(["jobs"]).status().unwrap().success());
    assert!(!home.exists());
    no_file(&stage, "after a power cut and the next command", control);
}

/// As when the run was in a desktop's session and the next command comes over SSH: the one's places are not the other's.
#[test]
fn the_next_command_takes_it_from_a_place_that_its_own_environment_does_not_name() {
    let stage = hanging();
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut run = stage.run();
    run.env("XDG_RUNTIME_DIR", place.path());
    let (mut agent, control, home) = held(&stage, run);
    assert!(home.starts_with(place.path()), "{}", home.display());
    cut_power(&stage, &mut agent);
    assert!(!scan::files_with(&home, &stage.code()).is_empty(), "left behind, as by a power cut");
    assert!(stage.agent(["jobs"]).status().unwrap().success());
    assert!(!home.exists());
    no_file(&stage, "after a power cut and a command in other surroundings", control);
    let notes = stage.rehearsal.state_home().join("snow-onboard/homes");
    assert_eq!(std::fs::read_dir(notes).unwrap().count(), 0, "nor is the note");
}

#[test]
fn what_lay_in_memory_is_overwritten_before_it_is_removed() {
    let stage = hanging();
    let (mut agent, _, home) = held(&stage, stage.run());
    assert!(home.starts_with("/dev/shm"), "the runtime folder of a rehearsal is no memory: {}", home.display());
    // A second name keeps the bytes in sight after the first is gone.
    let witnesses = tempfile::tempdir_in("/dev/shm").unwrap();
    let snapshot = witnesses.path().join("profile");
    std::fs::hard_link(home.join(".aws/snowball/config/snowball-edge.config"), &snapshot).unwrap();
    let control = scan::files_with(witnesses.path(), &stage.code()).len();
    process::signal(agent.id(), Signal::KILL);
    agent.child().wait().unwrap();
    wait_until("the private home to go", || !home.exists());
    let left = scan::files_with(witnesses.path(), &stage.code()).len();
    table::none("code", "the memory in which the private home lay", left, control);
    assert!(std::fs::read(&snapshot).unwrap().iter().all(|byte| *byte == 0));
}
