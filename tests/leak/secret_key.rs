//! The device's secret key gets the same treatment as the code: nowhere but in the keychain and in the one document that
//! `credentials` is for.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use snow_rehearsal::{ClientOptions, Rehearsal};

use crate::command_lines::{self, Sampler};
use crate::cores;
use crate::needles::Needles;
use crate::process::{may_trace_or_rerun, wait_until};
use crate::scan::{self, Memory};
use crate::stage::{FullPipe, Running, Stage};
use crate::table;

/// The device is open, and its key was asked for by nobody yet.
fn opened(client: ClientOptions) -> (Stage, String) {
    let stage = Stage::with_keyring(Rehearsal::builder().client(client));
    assert!(stage.run().status().unwrap().success());
    let secret = stage.rehearsal.device().access_keys().remove(0).secret;
    (stage, secret)
}

fn credentials(stage: &Stage, more: &[&str]) -> Command {
    let mut agent =
        stage.agent(["credentials", &stage.id(), "--client", stage.rehearsal.client_path().to_str().unwrap()]);
    agent.args(more);
    agent
}

#[test]
fn it_is_said_once_and_on_stdout_alone() {
    let (stage, secret) = opened(ClientOptions::default());
    let needles = Needles::of(&secret);
    let talkative = [("RUST_LOG", "trace"), ("LOG_SENSITIVE_BODIES", "true"), ("RUST_BACKTRACE", "full")];
    let log = stage.rehearsal.home().join("log");
    let (mut said, mut documents) = (Vec::new(), 0);
    for voice in [&[][..], &["--quiet"], &["--json"], &["-v"], &["-vv"]] {
        // Out of the device, and out of the keychain.
        for more in [&["--refresh"][..], &[]] {
            let log = ["--log-file", log.to_str().unwrap()];
            let output = credentials(&stage, &[voice, more, &log].concat()).envs(talkative).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            documents += needles.count(&output.stdout);
            said.extend(output.stderr);
        }
    }
    said.extend(fs::read(log).unwrap());
    let planted = needles.count(&[&said, secret.as_bytes()].concat());
    table::none("secret key", "stderr and log of credentials, in every voice", needles.count(&said), planted);
    assert_eq!(documents, 10, "one document each time");
}

#[test]
fn it_is_in_no_file() {
    let (stage, secret) = opened(ClientOptions::default());
    let needles = Needles::of(&secret);
    for more in [&["--refresh"][..], &[]] {
        assert!(credentials(&stage, more).stdout(Stdio::null()).status().unwrap().success());
    }
    let look = || {
        let bus = stage.bus.as_ref().unwrap().home().parent().unwrap().to_owned();
        let places = [stage.rehearsal.root(), Path::new("/dev/shm"), &bus];
        places.iter().flat_map(|place| scan::files_with(place, &needles)).collect::<Vec<_>>()
    };
    let found = look();
    fs::write(stage.rehearsal.state_home().join("planted"), &secret).unwrap();
    table::none("secret key", "all folders and /dev/shm, after credentials", found.len(), look().len());
}

#[test]
fn no_process_of_the_machine_shows_it() {
    if !may_trace_or_rerun("secret_key::no_process_of_the_machine_shows_it") {
        return;
    }
    let control = command_lines::control();
    let (stage, secret) = opened(command_lines::slow());
    let sampler = Sampler::start(&[&secret]);
    for more in [&["--refresh"][..], &[]] {
        assert!(credentials(&stage, more).stdout(Stdio::null()).status().unwrap().success());
    }
    let seen = sampler.finish();
    let place = format!("all argument lists and environments, credentials ({})", seen.pace());
    table::none("secret key", &place, seen.of(0), control);
}

/// While its document can't be written, `credentials` holds the key, the document and what the redaction looks for: one copy
/// each. What libraries and pipes had of it is wiped, and its client and its guard are gone.
#[test]
fn what_is_held_of_it_is_counted_and_a_crash_leaves_no_core() {
    if !may_trace_or_rerun("secret_key::what_is_held_of_it_is_counted_and_a_crash_leaves_no_core") {
        return;
    }
    cores::allow_cores();
    let control = cores::control();
    let (stage, secret) = opened(ClientOptions::default());
    let needles = Needles::of(&secret);
    for (from, more) in [("the device", &["--refresh"][..]), ("the keychain", &[])] {
        let (pipe, end) = FullPipe::new();
        let mut agent = Running::start(credentials(&stage, more).stdout(end).stderr(Stdio::null()));
        pipe.hold(&mut agent);
        let found = Memory::of(agent.id()).find(&needles);
        found.iter().for_each(|place| println!("  {place}"));
        table::row("secret key", &format!("memory of credentials that has it from {from}"), found.len(), 3);
        assert!((1..=3).contains(&found.len()), "{}", found.len());
        let homes = scan::files_with(Path::new("/dev/shm"), &stage.code());
        assert!(homes.is_empty(), "the session is over: {homes:?}");
        cores::is_limited(agent.id());
        cores::crash(agent.id(), Signal::SEGV);
        let status = agent.child().wait().unwrap();
        assert!(status.signal() == Some(Signal::SEGV.as_raw()) && !status.core_dumped());
        table::none("secret key", "cores of credentials", cores::cores_in(&stage.cwd()), control);
    }
    wait_until("all that was started to go", || scan::files_with(stage.rehearsal.root(), &needles).is_empty());
}
