//! A crash while the code is held leaves no core file and says nothing of the code.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use snow_rehearsal::{BucketFault, ClientOptions, Operation, Rehearsal, Times, Trick};

use crate::process::{self, core_limits, is_alive, may_trace_or_rerun, wait_until};
use crate::scan::{self, Memory};
use crate::stage::{Running, Stage};
use crate::table;

/// Lets processes started from now on write cores as large as this user may.
pub(crate) fn allow_cores() {
    let maximum = getrlimit(Resource::Core).maximum;
    setrlimit(Resource::Core, Rlimit { current: maximum, maximum }).unwrap();
}

pub(crate) fn cores_in(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("core")).count()
}

/// Sends it until the process is gone: Rust's handler of stack overflows takes the first SIGSEGV for its own.
pub(crate) fn crash(pid: u32, signal: Signal) {
    wait_until("the crash", || {
        process::signal(pid, signal);
        thread::sleep(Duration::from_millis(5));
        !is_alive(pid)
    });
}

/// Whether a crash here leaves a core where the test looks for it. Where cores go to a program or another folder, or
/// none may be written, the limits are what is left to look at, and they are always looked at.
pub(crate) fn control() -> usize {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut planted = Command::new("sleep").arg("60").current_dir(folder.path()).spawn().unwrap();
    let limits = core_limits(planted.id());
    crash(planted.id(), Signal::SEGV);
    planted.wait().unwrap();
    let written = cores_in(folder.path());
    let can_be = getrlimit(Resource::Core).maximum != Some(0);
    if can_be && pattern.starts_with("core") {
        assert_eq!(written, 1, "a core is written where none is forbidden");
    }
    assert!(!can_be || limits[1] != "1", "a limit of 1 is not what everybody has: {}", limits.join(" "));
    written + limits.len()
}

/// Core limit of one byte, soft and hard: the one that piped core handlers heed. Zero where zero was the most before.
#[track_caller]
pub(crate) fn is_limited(pid: u32) {
    let limit = if getrlimit(Resource::Core).maximum == Some(0) { "0" } else { "1" };
    assert_eq!(core_limits(pid), [limit, limit]);
}

#[test]
fn an_agent_that_crashes_with_the_code_in_its_hands_leaves_no_core() {
    if !may_trace_or_rerun("cores::an_agent_that_crashes_with_the_code_in_its_hands_leaves_no_core") {
        return;
    }
    allow_cores();
    let control = control();
    for signal in [Signal::SEGV, Signal::ABORT] {
        let stage = Stage::without_keychain(Rehearsal::builder());
        // The code has come, the manifest has not.
        stage.rehearsal.plant_in_bucket(BucketFault::Hang, Times::Always);
        let agent = stage.run().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("the code to be asked for", || stage.rehearsal.count(Operation::GetJobUnlockCode) == 1);
        wait_until("the code to be in its memory", || Memory::of(agent.id()).count(&stage.code()) > 0);
        is_limited(agent.id());
        // Its own child: until it is collected here, its number is nobody else's.
        crash(agent.id(), signal);
        let output = agent.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(signal.as_raw()));
        assert!(!output.status.core_dumped());
        let said = stage.code().count(&[output.stdout, output.stderr].concat());
        let place = format!("output of the agent after signal {}, and cores", signal.as_raw());
        table::none("code", &place, said + cores_in(&stage.cwd()), control);
        wait_until("the private home to go", || stage.files_with_code().is_empty());
    }
}

#[test]
fn a_crash_while_the_client_has_the_code_leaves_no_core() {
    allow_cores();
    let control = control();
    for of_client in [false, true] {
        let hangs = ClientOptions::default().trick(snow_rehearsal::Command::DescribeDevice, Trick::Hang);
        let stage = Stage::without_keychain(Rehearsal::builder().client(hangs));
        let mut agent = Running::start(stage.run().args(["--unlock-timeout", "1s"]).stdout(Stdio::null()));
        let client = stage.wait_for_client("describe-device");
        is_limited(agent.id());
        is_limited(client.pid);
        let before = cores_in(&client.cwd);
        crash(if of_client { client.pid } else { agent.id() }, Signal::SEGV);
        if of_client {
            // It hangs in the next client, too.
            drop(agent);
        } else {
            assert!(!agent.child().wait().unwrap().core_dumped());
        }
        wait_until("the private home to go", || !client.user_home.exists());
        let cores = cores_in(&client.cwd).saturating_sub(before) + cores_in(&stage.cwd());
        let found = scan::files_with(stage.rehearsal.root(), &stage.code()).len();
        let place = format!("files after a crash of the {}, and cores", if of_client { "client" } else { "agent" });
        table::none("code", &place, found + cores, control);
    }
}
