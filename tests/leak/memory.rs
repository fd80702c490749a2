//! No copy in any writable page of the agent at the points where the code is to be gone, and one in the guard, in a page of
//! its own, as long as the home lives.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Mode as FileMode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use snow_rehearsal::{
    BucketFault, ClientOptions, Command, DeviceOptions, Job, Mode, Operation, Rehearsal, Times, Trick,
};

use crate::needles::Needles;
use crate::process::{guard_of, may_trace_or_rerun, wait_until};
use crate::scan::Memory;
use crate::stage::{FullPipe, Running, Stage};
use crate::table;

/// The agent in the middle of a fetch, when it must hold both secrets: that the scanner finds them there is the control.
/// Gives the numbers of copies of the code and of the address's signature.
fn control() -> [usize; 2] {
    let stage = Stage::without_keychain(Rehearsal::builder());
    stage.rehearsal.plant_in_bucket(BucketFault::Hang, Times::Always);
    let agent = Running::start(stage.run().stderr(Stdio::null()));
    let asked = || stage.rehearsal.count(Operation::GetJobUnlockCode) == 1 && stage.rehearsal.downloads() == 1;
    wait_until("both halves to be asked for", asked);
    let secrets = [stage.code(), Needles::of(&stage.signature())];
    let look = || {
        let memory = Memory::of(agent.id());
        secrets.each_ref().map(|needles| memory.count(needles))
    };
    wait_until("both to come", || look().iter().all(|copies| *copies > 0));
    look()
}

/// Asserts that there is one copy, and that it lies where [`snow_onboard::model::UnlockCode`] puts it.
#[track_caller]
fn one_in_a_page_of_its_own(found: &[String]) {
    assert_eq!(found.len(), 1);
    let address = found[0].split(' ').next().unwrap().trim_start_matches("0x");
    // Found a run's length before its start at most.
    assert!(usize::from_str_radix(address, 16).unwrap() % 16384 < 29, "in a page of its own: {address}");
}

/// Asserts that none of the processes holds the code or the presigned URL, save the guard the code: once.
#[track_caller]
fn nothing_in(processes: &[(&str, u32)], stage: &Stage, signature: Option<&str>, when: &str, control: [usize; 2]) {
    for (name, pid) in processes {
        let memory = Memory::of(*pid);
        let secrets = [("code", Some(stage.code())), ("signature", signature.map(Needles::of))];
        for ((secret, needles), control) in secrets.into_iter().zip(control) {
            let Some(needles) = needles else { continue };
            let mut found = memory.find(&needles);
            if (*name, secret) == ("guard", "code") {
                // What a client says passes through it at each look; what stays is looked for.
                for _ in 0..50 {
                    if found.len() == 1 {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(100));
                    found = Memory::of(*pid).find(&needles);
                }
            }
            let place = format!("memory of the {name} ({} KiB), {when}", memory.bytes() / 1024);
            found.iter().for_each(|place| println!("  {place}"));
            if (*name, secret) == ("guard", "code") {
                // It takes the code out of what the client says.
                table::row(secret, &place, found.len(), 1);
                one_in_a_page_of_its_own(&found);
            } else {
                table::none(secret, &place, found.len(), control);
            }
        }
    }
}

fn hangs_at_first_start() -> ClientOptions {
    ClientOptions::default().trick(Command::DescribeDevice, Trick::Hang)
}

/// One `run`, held where the client starts for the first time with the profile.
fn at_first_start(stage: &Stage, when: &str, fetches: bool, control: [usize; 2]) {
    let agent = Running::start(stage.run().stderr(Stdio::null()));
    stage.wait_for_client("describe-device");
    let processes = [("agent", agent.id()), ("guard", guard_of(agent.id()))];
    let signature = fetches.then(|| stage.signature());
    nothing_in(&processes, stage, signature.as_deref(), when, control);
}

#[test]
fn nothing_is_left_when_the_client_starts_without_a_keychain() {
    if !may_trace_or_rerun("memory::nothing_is_left_when_the_client_starts_without_a_keychain") {
        return;
    }
    let stage = Stage::without_keychain(Rehearsal::builder().client(hangs_at_first_start()));
    at_first_start(&stage, "client starting, no keychain", true, control());
}

#[test]
fn nothing_is_left_of_any_code_while_the_next_device_of_a_plan_still_needs_the_keyring() {
    if !may_trace_or_rerun(
        "memory::nothing_is_left_of_any_code_while_the_next_device_of_a_plan_still_needs_the_keyring",
    ) {
        return;
    }
    let control = control();
    let stage =
        Stage::with_keyring(Rehearsal::builder().job(Job::new()).job(Job::new()).client(hangs_at_first_start()));
    let jobs = stage.rehearsal.jobs();
    let other = stage.rehearsal.add_device(&jobs[1], DeviceOptions::default()).unwrap();
    let plan = stage.rehearsal.root().join("plan.csv");
    let endpoints = [stage.rehearsal.device().endpoint(), other.endpoint()];
    let rows: String = jobs.iter().zip(endpoints).map(|(job, at)| format!("{},{at}\n", job.id())).collect();
    std::fs::write(&plan, rows).unwrap();
    let mut command = stage.with_client(&["run", "--plan", plan.to_str().unwrap(), "--parallel", "1"], &[]);
    let agent = Running::start(command.stderr(Stdio::null()));
    stage.wait_for_client("describe-device");
    let memory = Memory::of(agent.id());
    for (at, job) in jobs.iter().enumerate() {
        let found = memory.find(&Needles::of(&job.unlock_code()));
        found.iter().for_each(|place| println!("  {place}"));
        table::none("code", &format!("memory of the agent, device {at} of a plan"), found.len(), control[0]);
    }
}

#[test]
fn nothing_is_left_when_the_client_starts_with_a_keyring() {
    if !may_trace_or_rerun("memory::nothing_is_left_when_the_client_starts_with_a_keyring") {
        return;
    }
    let control = control();
    let stage = Stage::with_keyring(Rehearsal::builder().client(hangs_at_first_start()));
    at_first_start(&stage, "client starting, keyring", true, control);
    // The same again, with what is kept.
    let stage = Stage::with_keyring(Rehearsal::builder().client(hangs_at_first_start()));
    assert!(stage.fetch().status().unwrap().success());
    at_first_start(&stage, "client starting, keyring, kept before", false, control);
}

/// A terminal: our end, and the one for the agent.
fn terminal() -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, FileMode::empty());
    (File::from(ours), theirs.unwrap())
}

/// The agent asks whether the command line may be used, and the guard alone holds the code meanwhile.
#[test]
fn there_is_one_copy_while_a_question_stands() {
    if !may_trace_or_rerun("memory::there_is_one_copy_while_a_question_stands") {
        return;
    }
    let ignores = ClientOptions { ignores_our_home: true, ..ClientOptions::default() };
    let stage = Stage::without_keychain(Rehearsal::builder().client(ignores));
    let (mut ours, theirs) = terminal();
    let mut agent = Running::start(stage.run().stdin(theirs.try_clone().unwrap()).stderr(theirs).stdout(Stdio::null()));
    let mut said = String::new();
    while !said.contains("[yes/N]") {
        let mut piece = [0; 4096];
        let length = ours.read(&mut piece).unwrap();
        said.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    let processes = [("agent", agent.id()), ("guard", guard_of(agent.id()))];
    nothing_in(&processes, &stage, None, "while the agent asks", control());
    assert!(stage.files_with_code().is_empty(), "and in no file");
    ours.write_all(b"n\n").unwrap();
    assert_eq!(agent.child().wait().unwrap().code(), Some(12));
}

#[test]
fn nothing_is_left_while_the_device_is_polled() {
    if !may_trace_or_rerun("memory::nothing_is_left_while_the_device_is_polled") {
        return;
    }
    let control = control();
    let device = || DeviceOptions { mode: Mode::StuckUnlocking, ..DeviceOptions::default() };
    let says_it = ClientOptions::default().trick(Command::DescribeDevice, Trick::SayCode);
    let indiscreet = Rehearsal::builder().device(device()).client(says_it);
    for (when, stage) in [
        ("polling, a client that says the code", Stage::without_keychain(indiscreet)),
        ("polling, no keychain", Stage::without_keychain(Rehearsal::builder().device(device()))),
        ("polling, keyring", Stage::with_keyring(Rehearsal::builder().device(device()))),
    ] {
        let agent = Running::start(stage.run().stderr(Stdio::null()));
        wait_until("two polls", || stage.rehearsal.device().descriptions() >= 3);
        let processes = [("agent", agent.id()), ("guard", guard_of(agent.id()))];
        nothing_in(&processes, &stage, Some(&stage.signature()), when, control);
    }
}

#[test]
fn nothing_is_left_at_the_end_of_fetch() {
    if !may_trace_or_rerun("memory::nothing_is_left_at_the_end_of_fetch") {
        return;
    }
    let control = control();
    let stage = Stage::with_keyring(Rehearsal::builder());
    for when in ["end of fetch, keyring", "end of fetch, keyring, kept before"] {
        let (pipe, end) = FullPipe::new();
        let mut agent = Running::start(stage.fetch().stdout(end).stderr(Stdio::null()));
        pipe.hold(&mut agent);
        nothing_in(&[("agent", agent.id())], &stage, Some(&stage.signature()), when, control);
        assert!(pipe.drain().contains("are stored"));
        assert!(agent.child().wait().unwrap().success());
    }
}

#[test]
fn nothing_is_left_at_the_end_of_a_run() {
    if !may_trace_or_rerun("memory::nothing_is_left_at_the_end_of_a_run") {
        return;
    }
    let stage = Stage::without_keychain(Rehearsal::builder().latency(Duration::from_millis(20)));
    let (pipe, end) = FullPipe::new();
    let mut agent = Running::start(stage.run().stdout(end).stderr(Stdio::null()));
    pipe.hold(&mut agent);
    nothing_in(&[("agent", agent.id())], &stage, Some(&stage.signature()), "end of run, no keychain", control());
    assert!(pipe.drain().contains("is UNLOCKED"));
    assert!(agent.child().wait().unwrap().success());
}
