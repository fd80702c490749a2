//! `--wait` and `--wait-device`: what has not arrived yet is waited for, and not for ever.

use std::thread;
use std::time::{Duration, Instant};

use snow_rehearsal::{DeviceOptions, Fault, Job, Operation, Rehearsal, State, Times};

use crate::agent::{Agent, files, state, wait_until};

fn on_its_way() -> Rehearsal {
    let job = Job::new().state("PreparingShipment").tracking(Some("1Z999AA10123456784"));
    Rehearsal::builder().job(job).start().unwrap()
}

#[test]
fn a_job_on_its_way_is_waited_for_and_its_device_opened() {
    let rehearsal = on_its_way();
    let agent =
        Agent::run(&rehearsal, &["--keychain", "none", "--wait", "--wait-timeout", "30s", "--network-timeout", "2s"])
            .spawn();
    wait_until("the first look", || rehearsal.count(Operation::GetJobUnlockCode) == 1);
    // A look that fails is no reason to give up a wait of hours.
    let looks = rehearsal.count(Operation::DescribeJob);
    rehearsal.plant(Operation::DescribeJob, Fault::Unavailable, Times::Always);
    wait_until("a look that fails", || rehearsal.count(Operation::DescribeJob) > looks + 2);
    thread::sleep(Duration::from_secs(2));
    rehearsal.heal();
    rehearsal.job().set_state("InTransitToCustomer");
    wait_until("the second look", || rehearsal.count(Operation::GetJobUnlockCode) == 2);
    rehearsal.job().set_state("WithCustomer");
    let output = agent.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("to be delivered (it is being prepared for shipment (tracking number 1Z999"), "{stderr}");
    assert!(stderr.contains("tries again at the next check"), "{stderr}");
    assert_eq!(rehearsal.device().state(), State::Unlocked);
    // The code is asked for when the state has changed, and not at each look: each time leaves a line in CloudTrail.
    assert!(rehearsal.count(Operation::GetJobUnlockCode) <= 3);
}

/// Whether the client was only asked what it is and what it can do.
fn tells_of_itself(argv: &[String]) -> bool {
    ["version", "help"].contains(&argv[1].as_str())
}

#[test]
fn a_job_that_does_not_come_in_time_or_can_t_come_any_more_ends_the_wait() {
    let rehearsal = on_its_way();
    let start = Instant::now();
    // The hint does not name what was given already.
    let args = ["--keychain", "none", "--wait", "--wait-timeout", "3s"];
    let ended = Agent::run(&rehearsal, &args).end().failed(6, "has not released the code and manifest");
    assert!(ended.stderr.contains("\n  --wait-timeout 48h\n"), "{}", ended.stderr);
    assert!(start.elapsed() >= Duration::from_secs(3));

    let agent = Agent::run(&rehearsal, &["--keychain", "none", "--wait", "--wait-timeout", "20s"]).spawn();
    let before = rehearsal.count(Operation::GetJobUnlockCode);
    wait_until("the first look", || rehearsal.count(Operation::GetJobUnlockCode) > before);
    rehearsal.job().set_state("Cancelled");
    let output = agent.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no longer releases"));
    assert!(rehearsal.client_invocations().unwrap().iter().all(|call| tells_of_itself(&call.argv)));
}

#[test]
fn a_device_that_is_not_plugged_in_yet_is_waited_for_on_request() {
    let options = DeviceOptions { boot: Duration::from_secs(4), ..DeviceOptions::default() };
    let rehearsal = Rehearsal::builder().device(options).start().unwrap();
    let run = |more: &[&str]| {
        Agent::run(&rehearsal, &[&["--keychain", "none", "--unlock-timeout", "1s"], more].concat()).end()
    };
    run(&[]).failed(13, "can't be reached");
    rehearsal.device().power_loss_for(Duration::from_secs(4));
    thread::sleep(Duration::from_millis(100));
    // Opening takes longer than a second as well, but it is not what was to be waited for: the rehearsal's opens at once.
    rehearsal.device().set_unlocking(snow_rehearsal::Unlocking::Polls(0));
    run(&["--wait-device", "--wait-timeout", "1m"]).done();
    assert_eq!(rehearsal.device().state(), State::Unlocked);
}

#[test]
fn a_manifest_that_changes_while_the_device_is_waited_for_is_not_handed_over() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    rehearsal.device().power_loss_for(Duration::from_secs(8));
    let agent = Agent::run(&rehearsal, &["--keychain", "none", "--wait-device", "--wait-timeout", "1m"]).spawn();
    let manifest = || {
        files(&state(&rehearsal))
            .into_iter()
            .find(|(path, _)| path.ends_with(rehearsal.job().id().to_owned() + "_manifest.bin"))
    };
    wait_until("the manifest", || manifest().is_some());
    let (path, content) = manifest().unwrap();
    std::fs::write(path, [&content[..], b"!"].concat()).unwrap();
    let output = agent.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(10), "{stderr}");
    assert!(stderr.contains("has changed since it was fetched"), "{stderr}");
    assert_eq!(rehearsal.device().state(), State::Locked);
    let calls = rehearsal.client_invocations().unwrap();
    assert!(calls.iter().all(|call| tells_of_itself(&call.argv)), "it was told nothing");
    let audit = std::fs::read_to_string(state(&rehearsal).join("audit.jsonl")).unwrap();
    assert!(!audit.contains("hand_over"), "no code was tried: {audit}");
}
