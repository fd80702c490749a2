//! The agent is killed: the client and the private home go with it.

use std::process::Command;
use std::time::{Duration, Instant};

use snow_rehearsal::{ClientOptions, Rehearsal, State, Trick};

use crate::agent::{Agent, files_with, wait_until};

fn is_alive(pid: u32) -> bool {
    Command::new("kill").args(["-0", &pid.to_string()]).stderr(std::process::Stdio::null()).status().unwrap().success()
}

#[test]
fn sigkill_while_the_device_unlocks_takes_client_and_home_along_within_a_second() {
    // Hung, the client is sure to be alive at the moment of death.
    let hangs = ClientOptions::default().trick(snow_rehearsal::Command::UnlockDevice, Trick::Hang);
    let rehearsal = Rehearsal::builder().client(hangs).start().unwrap();
    let code = rehearsal.job().unlock_code();
    let mut agent = Agent::run(&rehearsal, &["--keychain", "none"]).spawn();
    let unlocking = || {
        rehearsal.client_invocations().unwrap().into_iter().find(|call| call.argv.contains(&"unlock-device".to_owned()))
    };
    wait_until("the client to be unlocking", || unlocking().is_some());
    let client = unlocking().unwrap();
    let home = client.user_home.clone();
    assert!(is_alive(client.pid), "a control");
    assert!(home.is_dir() && !files_with(&home, &code).is_empty(), "the control: it is there, with the code");

    agent.kill().unwrap();
    let start = Instant::now();
    wait_until("the private home to go", || !home.exists());
    wait_until("the client to go", || !is_alive(client.pid));
    assert!(start.elapsed() < Duration::from_secs(1), "took {} ms", start.elapsed().as_millis());
    agent.wait().unwrap();

    let well = rehearsal.install_client("well", &ClientOptions::default()).unwrap();
    Agent::run_with(&rehearsal, &well, &["--keychain", "none"]).end().done();
    assert_eq!(rehearsal.device().state(), State::Unlocked);
}

#[test]
fn an_interrupt_says_so_and_ends_by_the_signal() {
    use std::os::unix::process::ExitStatusExt;
    let hangs = ClientOptions::default().trick(snow_rehearsal::Command::DescribeDevice, Trick::Hang);
    let rehearsal = Rehearsal::builder().client(hangs).start().unwrap();
    let agent = Agent::run(&rehearsal, &["--keychain", "none"]).spawn();
    let describing = || {
        let calls = rehearsal.client_invocations().unwrap();
        calls.into_iter().find(|call| call.argv.contains(&"describe-device".to_owned()))
    };
    wait_until("the client to be at work", || describing().is_some());
    let client = describing().unwrap();
    assert!(client.user_home.is_dir() && is_alive(client.pid), "a control");
    let interrupt = Command::new("kill").args(["-INT", &agent.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let start = Instant::now();
    let output = agent.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Interrupted"), "it says so");
    wait_until("client and home to go", || !client.user_home.exists() && !is_alive(client.pid));
    assert!(start.elapsed() < Duration::from_secs(1), "took {} ms", start.elapsed().as_millis());
}
