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
    end_client_while(ClientOptions::default(), &[], command, end)
}

fn end_client_while(
    options: ClientOptions,
    variables: &[(&'static str, String)],
    command: snow_rehearsal::Command,
    end: impl FnOnce(&Rehearsal, Child, &Invocation),
) -> Duration {
    let hangs = options.trick(command, Trick::Hang);
    let rehearsal = Rehearsal::builder().client(hangs).start().unwrap();
    let agent = Agent::run(&rehearsal, &["--keychain", "none"]).envs(variables.to_vec()).spawn();
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

/// Promise 3: the client that the system's hang-up does not end goes with the next command, and nobody else does.
#[test]
#[cfg(target_os = "linux")]
fn what_ignored_the_hang_up_goes_with_the_next_command() {
    use std::process::{Command, Stdio};

    let unlock = snow_rehearsal::Command::UnlockDevice;
    let stubborn = ClientOptions { ignores_hang_up: true, ..ClientOptions::default() }.trick(unlock, Trick::Grandchild);
    // Where the agents of other tests, each of which is a next command, don't look.
    let Ok(runtime) = tempfile::tempdir_in("/dev/shm") else {
        snow_rehearsal::skipped("no /dev/shm to write to, for a home that no other test's agent finds");
        return;
    };
    let surroundings = [("XDG_RUNTIME_DIR", runtime.path().to_str().unwrap().to_owned())];
    end_client_while(stubborn, &surroundings, unlock, |rehearsal, mut agent, client| {
        let its_own = || {
            let calls = rehearsal.client_invocations().unwrap();
            calls.into_iter().filter(|call| call.env["HOME"] == client.env["HOME"] && is_alive(call.pid))
        };
        wait_until("what the client left behind", || its_own().count() == 2);
        let alive: Vec<u32> = its_own().map(|call| call.pid).collect();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", client.pid)).unwrap();
        let guard: i32 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
        let guard = Pid::from_raw(guard).unwrap();
        let home = client.env["HOME"].clone();
        let stranger = |name: &str, value: &str| {
            let mut sleep = Command::new("sleep");
            sleep.arg("600").env_remove("HOME").env(name, value).stdout(Stdio::null()).spawn().unwrap()
        };
        let others = [
            ("HOME", format!("{home}x")),
            ("HOME", home[..home.len() - 1].to_owned()),
            ("HOME", format!("{home}/below")),
            ("OLDHOME", home.clone()),
        ];
        let mut others = others.map(|(name, value)| stranger(name, &value));
        // Stopped, so that neither sees the other's end.
        kill_process(guard, Signal::STOP).unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
        kill_process(guard, Signal::KILL).unwrap();
        wait_until("the guard to go", || !is_alive(guard.as_raw_nonzero().get().cast_unsigned()));
        std::thread::sleep(Duration::from_millis(300));
        assert!(alive.iter().all(|pid| is_alive(*pid)), "a control: the hang-up ends none of them");
        assert!(client.user_home.starts_with(runtime.path()) && client.user_home.exists(), "a control");
        Agent::new(rehearsal, ["jobs"]).envs(surroundings.to_vec()).end().done();
        assert!(!alive.iter().any(|pid| is_alive(*pid)), "the client and what it started");
        assert!(!client.user_home.exists());
        for other in &mut others {
            assert!(other.try_wait().unwrap().is_none(), "another's home is another's process");
            other.kill().unwrap();
            other.wait().unwrap();
        }
    });
}
