//! `run --plan`: several devices at once, each with its own end.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use snow_rehearsal::{Device, DeviceOptions, Operation, Rehearsal, State, Unlocking};

use crate::agent::{Agent, files_with, state, wait_until};
use crate::events;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

/// A pallet: its jobs, their devices, and the plan that names them.
struct Pallet {
    rehearsal: Rehearsal,
    bus: KeyringBus,
    devices: Vec<Device>,
}

impl Pallet {
    fn of(count: usize, options: &DeviceOptions) -> Self {
        let rehearsal = Rehearsal::builder().pallet(count, options.clone()).start().unwrap();
        let devices = rehearsal.devices().to_vec();
        Self { bus: KeyringBus::start(Keyring::Unlocked), rehearsal, devices }
    }

    fn rows(&self) -> String {
        let row = |(at, device): (usize, &Device)| format!("{},{},dock {at}\n", device.job_id(), device.endpoint());
        self.devices.iter().enumerate().map(row).collect()
    }

    fn plan(&self, text: &str) -> PathBuf {
        let path = self.rehearsal.root().join("plan.csv");
        fs::write(&path, text).unwrap();
        path
    }

    fn agent(&self, args: &[&str]) -> Agent {
        let plan = self.rehearsal.root().join("plan.csv");
        let agent = Agent::new(&self.rehearsal, ["run", "--plan", plan.to_str().unwrap()]);
        let agent = agent.arg("--client").arg(self.rehearsal.client_path());
        on_the_bus(args.iter().fold(agent, |agent, arg| agent.arg(arg)), &self.bus)
    }

    fn codes_are_apart(&self) {
        for job in self.rehearsal.jobs() {
            let code = job.unlock_code();
            assert_eq!(self.bus.lookup(job.id()), Some(code.clone()), "the control");
            assert!(files_with(&state(&self.rehearsal), &code).is_empty());
            for call in self.rehearsal.client_invocations().unwrap() {
                assert!(!call.argv.iter().any(|argument| argument.contains(&code)), "{:?}", call.argv);
            }
        }
    }
}

#[test]
fn a_pallet_is_opened_and_a_second_run_does_only_what_is_missing() {
    let pallet = Pallet::of(5, &DeviceOptions::default());
    pallet.plan(&format!("job,address,label\n{}", pallet.rows()));
    let ended = pallet.agent(&["--json"]).end().done();
    assert_eq!(events::flaw_of_all(&ended.stdout), None);
    assert!(pallet.devices.iter().all(|device| device.state() == State::Unlocked));
    let result = ended.json("result");
    let rows = result["jobs"].as_array().unwrap();
    let labels: Vec<_> = rows.iter().map(|row| row["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["dock 0", "dock 1", "dock 2", "dock 3", "dock 4"], "in the plan's order");
    assert!(rows.iter().all(|row| row["was_open_already"] == false && row["error"].is_null()), "{result}");
    pallet.codes_are_apart();

    pallet.devices[3].power_loss();
    let asked = pallet.rehearsal.requests().len();
    let again = pallet.agent(&[]).end().done();
    assert_eq!(pallet.devices[3].state(), State::Unlocked);
    assert_eq!(pallet.rehearsal.requests().len(), asked, "AWS is not asked for what is kept");
    assert_eq!(again.stdout.matches("UNLOCKED already").count(), 4, "{}", again.stdout);
    let requests: Vec<_> = pallet.devices.iter().map(Device::unlock_requests).collect();
    assert_eq!(requests, [1, 1, 1, 2, 1]);
}

#[test]
fn one_device_s_failure_is_its_own() {
    let pallet = Pallet::of(3, &DeviceOptions::default());
    let jobs = pallet.rehearsal.jobs();
    jobs[0].set_state("PreparingShipment");
    pallet.devices[1].set_unlocking(Unlocking::Polls(u32::MAX));
    pallet.plan(&pallet.rows());
    let ended = pallet.agent(&["--json", "--unlock-timeout", "6s"]).end();
    assert_eq!(events::flaw_of_all(&ended.stdout), None);
    let result = ended.json("result");
    let codes: Vec<_> = (0..3).map(|at| result["jobs"][at]["error"]["code"].clone()).collect();
    assert_eq!(codes[0], "job_not_ready", "{result}");
    assert_eq!(codes[1], "device_timeout", "{result}");
    assert!(codes[2].is_null() && pallet.devices[2].state() == State::Unlocked, "{result}");
    assert_eq!(ended.status.code(), Some(6), "that of the first row that failed");
    let told = pallet.agent(&["--unlock-timeout", "6s"]).end();
    assert!(
        told.stdout.contains("UNLOCKED already  dock 2") && told.stdout.contains("not unlocked  dock 0"),
        "{}",
        told.stdout
    );
}

#[test]
fn nothing_is_fetched_for_an_address_outside_the_local_network() {
    let pallet = Pallet::of(2, &DeviceOptions::default());
    let ids: Vec<_> = pallet.devices.iter().map(Device::job_id).collect();
    pallet.plan(&format!("{},8.8.8.8\n{},192.0.2.10\n", ids[0], ids[1]));
    let ended = pallet.agent(&["--json"]).end();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stdout);
    let result = ended.json("result");
    let codes = [&result["jobs"][0]["error"]["code"], &result["jobs"][1]["error"]["code"]];
    assert_eq!(codes, ["endpoint_public", "endpoint_example"], "{result}");
    assert!(pallet.rehearsal.requests().is_empty(), "AWS is not asked");
}

#[test]
fn nobody_signs_in_for_each_device() {
    let pallet = Pallet::of(3, &DeviceOptions::default());
    pallet.plan(&pallet.rows());
    let denied = |agent: Agent| agent.env("AWS_ACCESS_KEY_ID", "AKIAWRONGWRONGWRONGX");
    let ended = denied(pallet.agent(&["--json"])).end();
    assert_eq!(ended.status.code(), Some(4), "{}", ended.stdout);
    let result = ended.json("result");
    assert_eq!(result["jobs"][1]["error"]["code"], "fetch_skipped", "{result}");
    let asked = [Operation::DescribeJob, Operation::GetJobManifest, Operation::GetJobUnlockCode]
        .map(|it| pallet.rehearsal.count(it));
    assert!(asked.iter().all(|count| *count <= 1), "{asked:?}");
    assert!(pallet.devices.iter().all(|device| device.state() == State::Locked));
}

#[test]
fn a_plan_with_a_flaw_is_refused_whole_before_anything_is_asked() {
    let pallet = Pallet::of(2, &DeviceOptions::default());
    let code = pallet.rehearsal.job().unlock_code();
    for (text, why) in [
        (format!("{0}{0}", pallet.rows()), "stands in it twice, first in line 1"),
        (format!("{}x,y\n", pallet.rows()), "line 3"),
        (format!("{},{code}\n", pallet.rows().trim_end()), "shape of an unlock code"),
        (String::new(), "names no device"),
    ] {
        pallet.plan(&text);
        let ended = pallet.agent(&[]).end().failed(2, why);
        assert!(!ended.stderr.contains(&code) && !ended.stdout.contains(&code));
    }
    pallet.agent(&["--keychain", "none"]).end().failed(2, "keychain is none");
    pallet.agent(&["--endpoint", "192.0.2.10"]).end().failed(2, "cannot be used with");
    assert!(pallet.rehearsal.requests().is_empty());
    assert!(!state(&pallet.rehearsal).join("jobs").exists());
}

#[test]
fn a_plan_that_others_can_change_is_not_obeyed_and_one_on_stdin_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let pallet = Pallet::of(1, &DeviceOptions::default());
    let plan = pallet.plan(&pallet.rows());
    fs::set_permissions(&plan, fs::Permissions::from_mode(0o666)).unwrap();
    pallet.agent(&[]).end().failed(2, "written by everyone");
    assert!(pallet.rehearsal.requests().is_empty());
    let agent =
        Agent::new(&pallet.rehearsal, ["run", "--plan", "-"]).arg("--client").arg(pallet.rehearsal.client_path());
    on_the_bus(agent, &pallet.bus).reading(&plan).end().done();
    assert_eq!(pallet.devices[0].state(), State::Unlocked);
}

#[test]
fn a_run_that_is_killed_in_the_middle_is_finished_by_the_next() {
    let slow = DeviceOptions { unlocking: Unlocking::For(Duration::from_secs(1)), ..DeviceOptions::default() };
    let pallet = Pallet::of(4, &slow);
    pallet.plan(&pallet.rows());
    let mut killed = pallet.agent(&["--parallel", "1"]).spawn();
    wait_until("the second device is open", || pallet.devices[1].state() == State::Unlocked);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let asked = pallet.rehearsal.requests().len();
    pallet.agent(&[]).end().done();
    assert!(pallet.devices.iter().all(|device| device.state() == State::Unlocked));
    assert!(pallet.devices.iter().all(|device| device.unlock_requests() == 1), "none is asked a second time");
    assert_eq!(pallet.rehearsal.requests().len(), asked, "all pairs were fetched first");
    pallet.codes_are_apart();
}

#[test]
fn ten_devices_take_little_longer_than_one() {
    // Not a time: each is waited for while the others are.
    let slow = DeviceOptions { unlocking: Unlocking::For(Duration::from_secs(5)), ..DeviceOptions::default() };
    let pallet = Pallet::of(10, &slow);
    pallet.plan(&pallet.rows());
    pallet.agent(&["--parallel", "10"]).end().done();
    assert!(pallet.devices.iter().all(|device| device.state() == State::Unlocked));
}
