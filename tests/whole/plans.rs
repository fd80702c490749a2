//! `run --plan`: several devices at once, each with its own end.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use snow_rehearsal::{
    ClientOptions, Command, Device, DeviceOptions, Job, Mode, Operation, Rehearsal, State, Unlocking,
};

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
        self.command(&[&["run", "--plan", plan.to_str().unwrap()], args].concat())
    }

    fn command(&self, args: &[&str]) -> Agent {
        let agent = Agent::new(&self.rehearsal, args).arg("--client").arg(self.rehearsal.client_path());
        on_the_bus(agent, &self.bus)
    }

    /// How often each device's client was started since `before`, by its command.
    fn starts(&self, before: usize, command: &str) -> usize {
        let calls = self.rehearsal.client_invocations().unwrap();
        calls.iter().skip(before).filter(|call| call.argv.iter().any(|word| word == command)).count()
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
    for line in again.stderr.lines().filter(|line| !line.starts_with("Client ")) {
        assert!(line.contains("dock "), "each line names its device: {line}");
    }
    assert_eq!(again.stderr.lines().filter(|line| line.starts_with("Stored ")).count(), 5, "{}", again.stderr);
    assert_eq!(pallet.devices[3].state(), State::Unlocked);
    assert_eq!(pallet.rehearsal.requests().len(), asked, "AWS is not asked for what is kept");
    assert_eq!(again.stdout.matches("UNLOCKED already").count(), 4, "{}", again.stdout);
    let requests: Vec<_> = pallet.devices.iter().map(Device::unlock_requests).collect();
    assert_eq!(requests, [1, 1, 1, 2, 1]);
}

#[test]
fn devices_whose_addresses_are_swapped_are_told_by_what_they_say_of_themselves() {
    let pallet = Pallet::of(3, &DeviceOptions::default());
    let id = |at: usize| pallet.devices[at].job_id().to_owned();
    let address = |at: usize| pallet.devices[at].endpoint().replace("https://", "");
    let stranger = "JID00000000-0000-4000-8000-000000000000";
    for (at, says) in [(0, id(1)), (1, id(0)), (2, stranger.to_owned())] {
        pallet.devices[at].set_mode(Mode::OtherDevice(says));
    }
    pallet.plan(&pallet.rows());
    let begun = std::time::Instant::now();
    let ended = pallet.agent(&["--json"]).end();
    assert!(begun.elapsed() < Duration::from_secs(60), "at once");
    assert_eq!(events::flaw_of_all(&ended.stdout), None);
    let result = ended.json("result");
    for (at, other) in [(0, 1), (1, 0)] {
        let error = &result["jobs"][at]["error"];
        assert_eq!(error["code"], "device_is_another", "{result}");
        let hint = error["hint"].as_str().unwrap();
        for part in
            [format!("Give {} the address {}", id(other), address(at)), format!("its device at {}", address(other))]
        {
            assert!(hint.contains(&part), "{part}: {hint}");
        }
    }
    let hint = result["jobs"][2]["error"]["hint"].as_str().unwrap();
    assert!(hint.contains(&format!("snow-onboard run {stranger}")), "of no job of the plan: {hint}");
    assert!(pallet.devices.iter().all(|device| device.unlock_requests() == 0));
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
        told.stdout.contains("UNLOCKED already             dock 2")
            && told.stdout.contains("not unlocked: job_not_ready  dock 0")
            && told.stdout.contains("UNLOCKING at the time limit  dock 1")
            && told.stdout.contains("\n\n1 of 3 devices is UNLOCKED.\n"),
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
        (format!("{},{}\n", pallet.rows().trim_end(), code.replace('-', " - ")), "shape of an unlock code"),
        (format!("{}rack{}\n", pallet.rows().trim_end(), code.replace('-', "")), "shape of an unlock code"),
        (format!("\r\n{}", pallet.rows().replacen("dock 0", "\"dock 0", 1)), "line 2: a quote is not closed"),
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
    let agent = Agent::new(&pallet.rehearsal, ["run", "--plan", "/dev/stdin"])
        .arg("--client")
        .arg(pallet.rehearsal.client_path());
    on_the_bus(agent, &pallet.bus).reading(&plan).end().failed(2, "--plan -");
}

#[test]
fn a_node_of_a_cluster_is_told_with_the_command_for_its_cluster() {
    let rehearsal = Rehearsal::builder().cluster(Job::new(), 3).start().unwrap();
    let cluster = rehearsal.clusters()[0].clone();
    let pallet = Pallet { bus: KeyringBus::start(Keyring::Unlocked), devices: Vec::new(), rehearsal };
    let job = pallet.rehearsal.jobs()[0].id().to_owned();
    pallet.plan(&format!("{job},127.0.0.1:9\n"));
    let ended = pallet.agent(&["--json"]).end();
    assert_eq!((ended.status.code(), events::flaw_of_all(&ended.stdout)), (Some(6), None), "{}", ended.stdout);
    let error = &ended.json("result")["jobs"][0]["error"];
    assert_eq!(error["code"], "job_in_cluster");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("into line 1 of the plan") && hint.contains(&cluster) && !hint.contains("--"), "{error}");
}

#[test]
fn lines_that_may_be_swapped_are_told_before_anything_is_done() {
    let pallet = Pallet::of(2, &DeviceOptions::default());
    pallet.plan(&pallet.rows());
    let first = pallet.agent(&[]).end().done();
    assert!(!first.stderr.contains("opened last"), "{}", first.stderr);
    let again = pallet.agent(&[]).end().done();
    assert!(!again.stderr.contains("opened last"), "{}", again.stderr);
    let [one, other] = &pallet.devices[..] else { panic!("two devices") };
    let swapped =
        format!("job,address\n\n{},{}\n{},{}\n", one.job_id(), other.address(), other.job_id(), one.address());
    pallet.plan(&swapped);
    let warning = format!(
        "{} was the device of {} (line 3) when it was opened last; line 4 gives it to {}. Are two lines swapped?",
        one.address(),
        one.job_id(),
        other.job_id()
    );
    let ended = pallet.agent(&["--unlock-timeout", "3s"]).end();
    assert!(!ended.status.success() && ended.stderr.contains(&warning), "{}", ended.stderr);
    let address = one.address().to_string();
    let alone = pallet.command(&["run", other.job_id(), "--endpoint", &address, "--unlock-timeout", "3s"]).end();
    let warning = format!(
        "{address} was the device of {} when it was opened last; now it is given for {}. Is it the right address?",
        one.job_id(),
        other.job_id()
    );
    assert!(!alone.status.success() && alone.stderr.contains(&warning), "{}", alone.stderr);
}

#[test]
fn a_run_that_is_killed_in_the_middle_is_finished_by_the_next() {
    let slow = DeviceOptions { unlocking: Unlocking::For(Duration::from_secs(1)), ..DeviceOptions::default() };
    let pallet = Pallet::of(10, &slow);
    pallet.plan(&pallet.rows());
    let mut killed = pallet.agent(&["--parallel", "4"]).spawn();
    let open = || pallet.devices.iter().filter(|device| device.state() == State::Unlocked).count();
    wait_until("some devices are open", || open() >= 3);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(open() < 10, "the control: it was in the middle");
    let asked = pallet.rehearsal.requests().len();
    pallet.agent(&[]).end().done();
    assert_eq!(open(), 10);
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

#[test]
fn for_ten_devices_the_keychain_is_opened_as_often_as_for_one_and_each_client_started_once() {
    let mut pallet = Pallet::of(10, &DeviceOptions::default());
    pallet.bus.watch_sessions();
    pallet.plan(&pallet.rows());
    pallet.agent(&[]).end().done();
    let of_plan = pallet.bus.sessions();
    let id = pallet.rehearsal.job().id().to_owned();
    let counted = |args: &[&str]| {
        let (sessions, before) = (pallet.bus.sessions(), pallet.rehearsal.client_invocations().unwrap().len());
        pallet.command(args).end().done();
        let starts = ["version", "help", "describe-device", "unlock-device"].map(|it| pallet.starts(before, it));
        (pallet.bus.sessions() - sessions, starts)
    };
    let (of_one, _) = counted(&["status", &id, "--offline"]);
    assert!(of_one > 0, "the control");
    assert_eq!(of_plan, of_one);
    assert_eq!(["version", "help"].map(|it| pallet.starts(0, it)), [1, 1], "an unknown client is asked for all");
    assert_eq!(counted(&["status"]), (of_one, [0, 0, 10, 0]));
    fs::remove_file(state(&pallet.rehearsal).join("clients.json")).unwrap();
    assert_eq!(counted(&["status"]), (of_one, [1, 1, 10, 0]));
    pallet.devices.iter().for_each(Device::power_loss);
    let (of_all, [version, help, describe, unlock]) = counted(&["unlock", "--all"]);
    assert_eq!((of_all, version, help, unlock), (of_one, 0, 0, 10));
    assert!(describe >= 10, "the control: {describe}");
    assert!(pallet.devices.iter().all(|device| device.state() == State::Unlocked));
}

#[test]
fn a_client_that_is_not_to_be_used_is_asked_for_one_device_and_told_for_each() {
    let pallet = Pallet::of(4, &DeviceOptions::default());
    pallet.plan(&pallet.rows());
    let options = ClientOptions { lacks: vec![Command::UnlockDevice], ..ClientOptions::default() };
    let old = pallet.rehearsal.install_client("old", &options).unwrap();
    let plan = pallet.rehearsal.root().join("plan.csv");
    let agent =
        Agent::new(&pallet.rehearsal, ["run", "--json", "--plan", plan.to_str().unwrap()]).arg("--client").arg(&old);
    let ended = on_the_bus(agent, &pallet.bus).end();
    assert_eq!((ended.status.code(), events::flaw_of_all(&ended.stdout)), (Some(11), None), "{}", ended.stdout);
    let result = ended.json("result");
    for row in result["jobs"].as_array().unwrap() {
        assert_eq!(row["error"]["code"], "client_too_old", "{result}");
    }
    let starts = fs::read_to_string(old.ancestors().nth(3).unwrap().join("snowballEdge-invocations.jsonl")).unwrap();
    assert_eq!(["\"version\"", "\"help\""].map(|it| starts.matches(it).count()), [1, 1], "{starts}");
    assert!(pallet.devices.iter().all(|device| device.state() == State::Locked));
}

#[test]
#[cfg(unix)]
fn a_client_that_was_stopped_for_one_device_is_asked_again_for_the_next() {
    let pallet = Pallet::of(4, &DeviceOptions::default());
    pallet.plan(&pallet.rows());
    let launcher = pallet.rehearsal.client_path();
    let vendors = fs::read_to_string(launcher).unwrap();
    // Asked once more without the options for its JVM, it is stopped the same way.
    let counted = format!(
        "#!/bin/sh\nif [ \"$1\" = version ]; then\n  for n in 1 2; do mkdir '{}'/$n 2>&- && kill -KILL $$; done\nfi\n",
        pallet.rehearsal.root().display()
    );
    fs::write(launcher, vendors.replacen("#!/bin/sh\n", &counted, 1)).unwrap();
    let ended = pallet.agent(&["--json"]).end();
    let result = ended.json("result");
    let jobs = result["jobs"].as_array().unwrap();
    let failed: Vec<_> = jobs.iter().filter_map(|job| job["error"]["code"].as_str()).collect();
    assert_eq!(failed, ["client_unusable"], "{result}");
    assert_eq!(pallet.devices.iter().filter(|device| device.state() == State::Unlocked).count(), 3, "{result}");
    assert_eq!(pallet.starts(0, "version"), 1, "the next asks for all others");
}

/// It was looked at and asked for all of them, but it is hashed for each.
#[test]
fn a_client_that_changes_after_the_first_device_is_not_given_the_code_of_the_second() {
    let pallet = Pallet::of(2, &DeviceOptions::default());
    let (first, second) = (&pallet.devices[0], &pallet.devices[1]);
    // A port that does not answer yet.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    pallet.plan(&format!("{},{}\n{},{address}\n", first.job_id(), first.endpoint(), second.job_id()));
    let agent = pallet.agent(&["--json"]).spawn();
    wait_until("the first device is open", || first.state() == State::Unlocked);
    let tree = pallet.rehearsal.client_path().parent().unwrap().parent().unwrap();
    fs::write(tree.join("lib/another.jar"), "").unwrap();
    let _port = TcpListener::bind(address).unwrap();
    let output = String::from_utf8(agent.wait_with_output().unwrap().stdout).unwrap();
    assert!(output.contains("client_changed"), "{output}");
    assert_eq!(pallet.devices[1].state(), State::Locked);
}

#[test]
fn a_keychain_that_nobody_unlocks_is_asked_for_once() {
    let mut pallet = Pallet::of(3, &DeviceOptions::default());
    pallet.plan(&pallet.rows());
    pallet.agent(&[]).end().done();
    pallet.bus.lock();
    pallet.bus.watch_prompts();
    let mut before = 0;
    for (args, exit) in [(&["unlock", "--all"][..], 8), (&["status"], 0)] {
        let ended = pallet.command(args).end();
        assert_eq!(ended.status.code(), Some(exit), "{}", ended.stderr);
        assert_eq!(pallet.bus.prompts() - before, 1, "{args:?}: {}{}", ended.stdout, ended.stderr);
        before += 1;
    }
    pallet.agent(&[]).end().failed(8, "is locked");
    assert_eq!(pallet.bus.prompts() - before, 1);
}

#[test]
fn without_a_terminal_all_jobs_are_a_plan_to_be_filled_in() {
    let jobs = [Job::new().description(Some("Ship log")), Job::new(), Job::new().state("PreparingShipment")];
    let builder = jobs.into_iter().fold(Rehearsal::builder(), |builder, job| builder.job(job));
    let rehearsal = builder.cluster(Job::new(), 5).start().unwrap();
    let ids: Vec<String> = rehearsal.jobs().iter().map(|job| job.id().to_owned()).collect();
    let ended = Agent::new(&rehearsal, ["run", "--all", "--region", rehearsal.region()]).end();
    let ended = ended.failed(2, "run --all needs the address of each device");
    assert!(
        ended.stderr.contains(&format!("job,address,label\n  {},,Ship log\n  {},,", ids[0], ids[1])),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains(&ids[2]), "{}", ended.stderr);
    let cluster = format!("\n  {},", rehearsal.clusters()[0]);
    assert_eq!(ended.stderr.matches(&cluster).count(), 1, "{}", ended.stderr);
    let command = ended.stderr.lines().find(|line| line.contains("snow-onboard run --plan pallet.csv")).unwrap();
    assert!(command.contains(&format!("--region {}", rehearsal.region())), "{command}");
    let json = Agent::new(&rehearsal, ["run", "--all", "--json"]).end();
    assert_eq!(events::flaw_of_all(&json.stdout), None);
    assert_eq!(json.json("error")["code"], "addresses_missing");
    for args in [&["run", "--all", "--plan", "x"][..], &["run", "--all", "--wait"], &["run", &ids[0], "--all"]] {
        Agent::new(&rehearsal, args).end().failed(2, "cannot be used with");
    }
    Agent::new(&rehearsal, ["run", "--all", "--keychain", "none"]).end().failed(2, "keychain is none");
}

fn refused() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
#[cfg(unix)]
fn a_device_that_is_off_keeps_no_place_from_others_and_an_interruption_tells_the_state_of_each() {
    use rustix::process::{Pid, Signal, kill_process};
    let pallet = Pallet::of(4, &DeviceOptions::default());
    let ids: Vec<_> = pallet.devices.iter().map(Device::job_id).collect();
    let off = [refused(), refused()];
    let (third, fourth) = (pallet.devices[2].endpoint(), pallet.devices[3].endpoint());
    pallet
        .plan(&format!("{},{},far\n{},{}\n{},{third}\n{},{fourth}\n", ids[0], off[0], ids[1], off[1], ids[2], ids[3]));
    let agent = pallet.agent(&["--json", "--parallel", "1", "--unlock-timeout", "10m"]).spawn();
    let is_open = |at: usize| pallet.devices[at].state() == State::Unlocked;
    wait_until("those that answer are open", || is_open(2) && is_open(3));
    // Its job is locked while it is waited for.
    on_the_bus(Agent::new(&pallet.rehearsal, ["forget", ids[0], "--yes"]), &pallet.bus)
        .end()
        .failed(15, "is working on");
    kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
    let ended = crate::agent::Ended::from(agent.wait_with_output().unwrap());
    assert_eq!(events::flaw_of_all(&ended.stdout), None);
    let jobs = ended.json("result")["jobs"].clone();
    assert_eq!(
        (&jobs[0]["label"], &jobs[0]["state"]),
        (&"far".into(), &"waiting for the device to start".into()),
        "{jobs}"
    );
    assert!(jobs.as_array().unwrap().iter().all(|row| row["error"].is_null()), "none has failed: {jobs}");
    assert!(jobs[2]["was_open_already"] == false || jobs[3]["was_open_already"] == false, "{jobs}");
    let error = ended.json("error");
    assert_eq!((&error["code"], &error["job"]), (&"interrupted".into(), &serde_json::Value::Null));
    assert!(!error["text"].as_str().unwrap().contains("JID"), "{error}");
    assert_eq!(error["hint"], "Repeat the same command. It does only what is missing.");
}

#[test]
fn the_closing_error_is_that_of_the_first_line_that_failed_and_not_of_the_first_failure() {
    let pallet = Pallet::of(2, &DeviceOptions::default());
    let (first, second) = (&pallet.devices[0], &pallet.devices[1]);
    // That the second has no such name is found out at once.
    let off = refused();
    pallet.plan(&format!("{},{off}\n{},snow.invalid\n", first.job_id(), second.job_id()));
    let ended = pallet.agent(&["--json", "--unlock-timeout", "12s"]).end();
    let codes: Vec<_> = (0..2).map(|at| ended.json("result")["jobs"][at]["error"]["code"].clone()).collect();
    assert_eq!(codes, ["device_unreachable", "device_name_unknown"], "{}", ended.stdout);
    assert_eq!((ended.status.code(), &ended.json("error")["job"]), (Some(13), &first.job_id().into()));
}

#[test]
fn the_same_failure_of_several_devices_is_told_once_with_their_number() {
    let pallet = Pallet::of(1, &DeviceOptions::default());
    let row = |at: usize| format!("JID0000000{at}-0000-4000-8000-000000000000,127.0.0.1:{at},dock {at}\n");
    pallet.plan(&(1..6).map(row).collect::<String>());
    let ended = pallet.agent(&[]).end().failed(6, "Error: 4 more devices failed as dock 1 did (job_unknown): dock ");
    assert_eq!(ended.stderr.matches("Error:").count(), 2, "{}", ended.stderr);
    assert_eq!(ended.stdout.matches("not unlocked: job_unknown").count(), 5, "{}", ended.stdout);
}

#[test]
fn that_the_pairs_are_removed_is_told_once_for_all() {
    let pallet = Pallet::of(2, &DeviceOptions::default());
    pallet.plan(&pallet.rows());
    let ended = pallet.agent(&["--keep", "until-unlocked"]).end().done();
    assert_eq!(ended.stderr.matches("Warning").count(), 1, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("The code and manifest of JID").count(), 2, "{}", ended.stderr);
    // What is open is looked at with a pair that was fetched anew.
    let again = pallet.agent(&["--keep", "until-unlocked"]).end().done();
    assert_eq!(again.stdout.matches("UNLOCKED already").count(), 2, "{}", again.stdout);
    assert!(pallet.devices.iter().all(|device| device.unlock_requests() == 1));
}
