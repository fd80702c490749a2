//! The agent is killed: the client and the private home go with it.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use snow_rehearsal::{ClientOptions, Invocation, Rehearsal, State, Trick};

use crate::agent::{Agent, Ended, files_with, wait_until};

/// How often what is promised within a second is tried. A machine that runs many tests on two cores may need longer for
/// reasons of its own; what does not happen by itself does not do so the fifth time either.
const TRIES: usize = 5;

/// Whether it runs; one that has ended and that nobody has collected yet does not.
fn is_alive(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])),
        // Without a /proc, as on macOS.
        Err(_) if !std::path::Path::new("/proc/self").exists() => {
            rustix::process::test_kill_process(Pid::from_raw(pid.cast_signed()).unwrap()).is_ok()
        }
        Err(_) => false,
    }
}

/// Starts the agent with a client that hangs in `command`, and so is sure to be alive at the moment of death; calls `end`
/// with both. Gives how long it took from then until client and home were gone.
fn end_while(command: snow_rehearsal::Command, end: impl FnOnce(&Rehearsal, Child, &Invocation)) -> Duration {
    let hangs = ClientOptions::default().trick(command, Trick::Hang);
    let rehearsal = Rehearsal::builder().client(hangs).start().unwrap();
    let agent = Agent::run(&rehearsal, &["--keychain", "none"]).spawn();
    let at_work = || {
        let calls = rehearsal.client_invocations().unwrap();
        calls.into_iter().find(|call| call.argv.iter().any(|arg| arg == command.name()))
    };
    wait_until("the client to be at work", || at_work().is_some());
    let client = at_work().unwrap();
    assert!(is_alive(client.pid), "a control");
    let with_code = files_with(&client.user_home, &rehearsal.job().unlock_code());
    assert!(!with_code.is_empty(), "the control: the home is there, with the code");
    let start = Instant::now();
    end(&rehearsal, agent, &client);
    wait_until("the private home to go", || !client.user_home.exists());
    wait_until("the client to go", || !is_alive(client.pid));
    start.elapsed()
}

#[track_caller]
fn within_a_second(attempt: impl Fn() -> Duration) {
    let took: Vec<Duration> = std::iter::repeat_with(attempt).take(TRIES).collect();
    assert!(took.iter().min().unwrap() < &Duration::from_secs(1), "{took:?}");
    assert!(took.iter().max().unwrap() < &Duration::from_secs(10), "{took:?}");
}

#[test]
fn sigkill_while_the_device_unlocks_takes_client_and_home_along_within_a_second() {
    within_a_second(|| {
        end_while(snow_rehearsal::Command::UnlockDevice, |_, mut agent, _| {
            agent.kill().unwrap();
            agent.wait().unwrap();
        })
    });
}

#[test]
fn after_a_sigkill_the_same_command_opens_the_device() {
    end_while(snow_rehearsal::Command::UnlockDevice, |rehearsal, mut agent, client| {
        agent.kill().unwrap();
        agent.wait().unwrap();
        wait_until("the private home to go", || !client.user_home.exists());
        let well = rehearsal.install_client("well", &ClientOptions::default()).unwrap();
        Agent::run_with(rehearsal, &well, &["--keychain", "none"]).end().done();
        assert_eq!(rehearsal.device().state(), State::Unlocked);
    });
}

#[test]
fn an_interrupt_says_so_and_ends_by_the_signal() {
    use std::os::unix::process::ExitStatusExt;
    within_a_second(|| {
        end_while(snow_rehearsal::Command::DescribeDevice, |_, agent, _| {
            kill_process(Pid::from_child(&agent), Signal::INT).unwrap();
            let ended = Ended::from(agent.wait_with_output().unwrap());
            assert_eq!(ended.status.signal(), Some(2));
            assert!(ended.stderr.contains("Interrupted"), "it says so: {}", ended.stderr);
        })
    });
}
