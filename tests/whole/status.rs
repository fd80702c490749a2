//! `status`: what is stored, and the state of each device.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use snow_rehearsal::{ClientOptions, Command, Device, DeviceOptions, Job, Rehearsal, State, Trick};

use crate::agent::{Agent, Ended, files_with, state};
use crate::events;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

/// Jobs whose pairs are stored and whose devices were unlocked, but for the last.
struct Scene {
    rehearsal: Rehearsal,
    devices: Vec<Device>,
    bus: KeyringBus,
}

impl Scene {
    fn with(jobs: usize, client: ClientOptions) -> Self {
        let builder = (0..jobs).fold(Rehearsal::builder().client(client), |builder, _| builder.job(Job::new()));
        let rehearsal = builder.start().unwrap();
        let more = rehearsal.jobs().into_iter().skip(1);
        let more = more.map(|job| rehearsal.add_device(&job, DeviceOptions::default()).unwrap());
        let devices = std::iter::once(rehearsal.device().clone()).chain(more).collect();
        let scene = Self { rehearsal, devices, bus: KeyringBus::start(Keyring::Unlocked) };
        for number in 0..jobs {
            let (id, endpoint) = (scene.id(number), scene.endpoint(number));
            let run = ["run", &id, "--endpoint", &endpoint];
            let last = jobs > 1 && number + 1 == jobs;
            let args = if last { &["fetch", &id][..] } else { &run[..] };
            let mut agent = Agent::new(&scene.rehearsal, args);
            if !last {
                agent = agent.arg("--client").arg(scene.rehearsal.client_path());
            }
            on_the_bus(agent, &scene.bus).end().done();
        }
        scene
    }

    fn id(&self, number: usize) -> String {
        self.rehearsal.jobs()[number].id().to_owned()
    }

    fn endpoint(&self, number: usize) -> String {
        self.devices[number].endpoint()
    }

    /// `status …` without AWS.
    fn status(&self, args: &[&str]) -> Agent {
        let client = self.rehearsal.client_path().to_str().unwrap();
        let line: Vec<&str> =
            std::iter::once("status").chain(args.iter().copied()).chain(["--client", client]).collect();
        let agent = Agent::bare(line).envs(self.rehearsal.env());
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"]
            .iter()
            .fold(on_the_bus(agent, &self.bus), |agent, name| agent.without_env(name))
            .env("AWS_ENDPOINT_URL_SNOWBALL", "https://127.0.0.1:9")
    }

    /// The rows by job.
    fn rows(&self, ended: &Ended) -> Vec<serde_json::Value> {
        assert_eq!(events::flaw_of_all(&ended.stdout), None, "{}", ended.stdout);
        ended.json("result")["jobs"].as_array().unwrap().clone()
    }

    fn row(&self, ended: &Ended, number: usize) -> serde_json::Value {
        let id = self.id(number);
        self.rows(ended).into_iter().find(|row| row["job"] == id.as_str()).unwrap()
    }

    fn calls(&self) -> usize {
        self.rehearsal.client_invocations().unwrap().len()
    }
}

#[test]
fn each_job_is_told_with_its_device_and_one_that_is_not_there_keeps_no_other() {
    let scene = Scene::with(3, ClientOptions::default());
    scene.devices[1].power_loss();
    let asked = scene.rehearsal.requests().len();
    let ended = scene.status(&["--json"]).end().done();
    assert_eq!(ended.stderr, "");
    let row = scene.row(&ended, 0);
    assert_eq!(
        (&row["device"], &row["paired"], &row["error"]),
        (&"UNLOCKED".into(), &true.into(), &serde_json::Value::Null)
    );
    assert_eq!((&row["code_stored"], &row["manifest_stored"]), (&true.into(), &true.into()));
    assert_eq!(row["last_hand_over"]["method"], "profile");
    assert_eq!((&row["keychain"], &row["expiry_is_near"]), (&"system".into(), &false.into()));
    assert!(row["fetched_at"].is_string() && row["estimated_expiry"].is_string(), "{row}");
    assert_eq!(scene.row(&ended, 1)["device"], "LOCKED");
    let never = scene.row(&ended, 2);
    assert_eq!((&never["error"]["code"], &never["paired"]), (&"endpoint_unknown".into(), &true.into()), "{never}");
    assert_eq!(never["last_hand_over"], serde_json::Value::Null);

    let text = scene.status(&[]).end().done();
    for words in [
        "UNLOCKED at",
        "LOCKED at",
        "state not known, address not known",
        "code and manifest match",
        "AWS gives code and manifest probably until",
        "last hand-over",
    ] {
        assert!(text.stdout.contains(words), "“{words}” is not in {}", text.stdout);
    }
    assert_eq!(text.stderr, "");
    let (one, endpoint) = (scene.id(2), scene.endpoint(2));
    let ended = scene.status(&[&one, "--endpoint", &endpoint, "--json"]).end().done();
    assert_eq!((scene.rows(&ended).len(), &scene.row(&ended, 2)["device"]), (1, &"LOCKED".into()));
    assert!(ended.stdout.lines().all(|line| line.contains(&format!("\"job\":\"{one}\""))), "{}", ended.stdout);

    assert_eq!(scene.rehearsal.requests().len(), asked, "AWS was not asked");
    let audit = std::fs::read_to_string(state(&scene.rehearsal).join("audit.jsonl")).unwrap();
    assert_eq!(audit.matches("\"purpose\":\"status\"").count(), 2 * 5, "begun and ended for each look: {audit}");
    for number in 0..3 {
        let code = scene.rehearsal.jobs()[number].unlock_code();
        assert!(files_with(&state(&scene.rehearsal), &code).is_empty());
        for call in scene.rehearsal.client_invocations().unwrap() {
            assert!(!call.argv.iter().any(|word| word.contains(&code)), "{:?}", call.argv);
            assert!(!call.user_home.exists());
        }
    }
}

#[test]
fn what_is_stored_is_told_without_a_client_or_a_device() {
    let scene = Scene::with(2, ClientOptions::default());
    let calls = scene.calls();
    let ended = scene.status(&["--offline", "--json"]).end().done();
    assert_eq!(
        (&scene.row(&ended, 0)["paired"], &scene.row(&ended, 0)["device"]),
        (&true.into(), &serde_json::Value::Null)
    );
    assert_eq!(scene.row(&ended, 1)["error"], serde_json::Value::Null, "an address is not needed for that");
    let text = scene.status(&["--offline"]).end().done();
    assert!(text.stdout.contains("code and manifest match") && !text.stdout.contains("state"), "{}", text.stdout);

    // Each half alone, and two that do not belong together.
    let manifest = state(&scene.rehearsal).join(format!("jobs/{0}/{0}_manifest.bin", scene.id(0)));
    let whole = std::fs::read(&manifest).unwrap();
    let changed = [&whole[..], b"x"].concat();
    std::fs::write(&manifest, changed).unwrap();
    let row = scene.row(&scene.status(&["--json"]).end().done(), 0);
    assert_eq!((&row["paired"], &row["error"]["code"]), (&false.into(), &"pair_mismatch".into()), "{row}");
    std::fs::remove_file(&manifest).unwrap();
    let row = scene.row(&scene.status(&["--json"]).end().done(), 0);
    assert_eq!(
        (&row["code_stored"], &row["manifest_stored"], &row["paired"]),
        (&true.into(), &false.into(), &false.into())
    );
    assert_eq!(row["error"]["code"], "pair_not_kept");
    std::fs::write(&manifest, whole).unwrap();
    scene.bus.clear(&scene.id(0));
    let text = scene.status(&[]).end().done();
    assert!(text.stdout.contains("the code is not in the keychain"), "{}", text.stdout);
    assert_eq!(scene.calls(), calls, "no client was started for what is no pair, nor for what has no address");
}

#[test]
fn a_keychain_that_stays_locked_is_asked_for_once_and_is_each_job_s_reason() {
    let scene = Scene { bus: KeyringBus::start(Keyring::Locked), ..Scene::with(3, ClientOptions::default()) };
    let ended = scene.status(&["--json", "--keychain-timeout", "2s"]).end().done();
    for row in scene.rows(&ended) {
        let code = row["error"]["code"].as_str().unwrap();
        assert!(code.starts_with("keychain_"), "{row}");
        assert_eq!((&row["paired"], &row["code_stored"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    }
}

#[test]
fn a_device_that_is_off_costs_no_client_and_a_client_that_fails_is_told() {
    let scene = Scene::with(1, ClientOptions::default());
    let (id, calls) = (scene.id(0), scene.calls());
    let ended = scene.status(&[&id, "--endpoint", "127.0.0.1:9", "--json"]).end().done();
    assert_eq!(scene.row(&ended, 0)["error"]["code"], "device_unreachable");
    assert_eq!(scene.calls(), calls);
    let broken = scene
        .rehearsal
        .install_client("broken", &ClientOptions::default().trick(Command::Version, Trick::Fail))
        .unwrap();
    let ended = Agent::bare(["status", "--json", "--client", broken.to_str().unwrap()]).envs(scene.rehearsal.env());
    let ended = on_the_bus(ended, &scene.bus).end().done();
    let row = scene.row(&ended, 0);
    assert_eq!((&row["error"]["code"], &row["paired"]), (&"client_unusable".into(), &true.into()), "{row}");
}

#[test]
fn the_command_line_is_never_used_for_a_look() {
    let rehearsal = Rehearsal::builder()
        .client(ClientOptions { ignores_our_home: true, ..ClientOptions::default() })
        .start()
        .unwrap();
    let scene = Scene { rehearsal, devices: Vec::new(), bus: KeyringBus::start(Keyring::Unlocked) };
    on_the_bus(Agent::run(&scene.rehearsal, &["--allow-argv"]), &scene.bus).end().done();
    let code = scene.rehearsal.job().unlock_code();
    let shown = || {
        let calls = scene.rehearsal.client_invocations().unwrap();
        calls.iter().filter(|call| call.argv.iter().any(|word| word.contains(&code))).count()
    };
    let before = shown();
    assert!(before > 0, "the control");
    let ended = scene.status(&["--json"]).env("SNOW_ONBOARD_HANDOFF", "argv").end().done();
    let row = scene.row(&ended, 0);
    assert_eq!(
        (&row["error"]["code"], &row["last_hand_over"]["method"]),
        (&"only_private".into(), &"argv".into()),
        "{row}"
    );
    assert_eq!(shown(), before);
}

#[test]
fn a_watch_ends_when_every_device_is_open_and_tells_each_change() {
    let scene = Scene::with(1, ClientOptions::default());
    scene.rehearsal.device().power_loss();
    let watch = |args: &[&str]| {
        let mut agent = scene.status(args).spawn();
        let mut lines = BufReader::new(agent.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        (agent, lines, first)
    };
    let (agent, lines, first) = watch(&["--watch"]);
    assert!(first.ends_with("  LOCKED"), "{first}");
    // No home lies between two looks.
    let homes =
        || scene.rehearsal.client_invocations().unwrap().into_iter().filter(|call| call.user_home.exists()).count();
    let start = Instant::now();
    while homes() > 0 {
        assert!(start.elapsed() < Duration::from_secs(4));
        std::thread::sleep(Duration::from_millis(20));
    }
    on_the_bus(Agent::run(&scene.rehearsal, &[]), &scene.bus).end().done();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let ended = Ended::from(agent.wait_with_output().unwrap()).done();
    assert!(rest.last().unwrap().ends_with("  UNLOCKED"), "{rest:?}");
    assert!(ended.stderr.contains("waiting for the device to be UNLOCKED"), "{}", ended.stderr);

    scene.rehearsal.device().power_loss();
    let (agent, lines, first) = watch(&["--watch", "--json"]);
    let change: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&change["event"], &change["device"]), (&"status".into(), &"LOCKED".into()), "{first}");
    on_the_bus(Agent::run(&scene.rehearsal, &[]), &scene.bus).end().done();
    let all: Vec<String> = std::iter::once(first).chain(lines.map(Result::unwrap)).collect();
    assert_eq!(events::flaw_of_all(&(all.join("\n") + "\n")), None, "{all:?}");
    let last: serde_json::Value = serde_json::from_str(all.last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["jobs"][0]["device"]), (&"result".into(), &"UNLOCKED".into()));
    assert!(agent.wait_with_output().unwrap().status.success());
}

#[test]
fn a_watch_waits_for_nothing_that_does_not_come_and_not_for_ever() {
    let scene = Scene::with(2, ClientOptions::default());
    // The other job has no address: waiting does not help it.
    let ended = scene.status(&["--watch"]).end();
    assert_eq!(ended.status.code(), Some(2), "{}{}", ended.stdout, ended.stderr);
    assert!(
        ended.stdout.contains("UNLOCKED") && ended.stdout.contains("not known: This machine does not know the address"),
        "{}",
        ended.stdout
    );
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("endpoint_unknown"), "a name for programs");
    ended.failed(2, &format!("snow-onboard unlock {} --endpoint", scene.id(1)));
    let ended = scene.status(&["--watch", "--json"]).end();
    assert_eq!(events::flaw_of_all(&ended.stdout), None);
    assert_eq!(ended.json("error")["code"], "endpoint_unknown", "{}", ended.stdout);
    scene.rehearsal.device().power_loss();
    scene
        .status(&[&scene.id(0), "--watch", "--wait-timeout", "1s"])
        .end()
        .failed(14, "The device did not report UNLOCKED");
    assert_eq!(scene.rehearsal.device().state(), State::Locked);
    // Several at once are unlocked by one command.
    let (id, endpoint) = (scene.id(1), scene.endpoint(1));
    let client = scene.rehearsal.client_path().to_str().unwrap();
    on_the_bus(Agent::new(&scene.rehearsal, ["run", &id, "--endpoint", &endpoint, "--client", client]), &scene.bus)
        .end()
        .done();
    scene.devices[1].power_loss();
    let both = scene.status(&["--watch", "--wait-timeout", "1s"]).end().failed(14, "2 of 2 devices did not report");
    assert!(both.stderr.contains("\n  snow-onboard unlock --all"), "{}", both.stderr);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let scene = Scene::with(1, ClientOptions::default());
    let id = scene.id(0);
    scene.status(&["--endpoint", "192.0.2.10"]).end().failed(2, "needs its JOB");
    scene.status(&[&id, "--offline", "--watch"]).end().failed(2, "cannot be used with");
    scene.status(&["--keychain", "none"]).end().failed(2, "keychain is none");
    scene.status(&["JID"]).end().failed(2, "“JID” (argument JOB)");
    scene.status(&["JID00000000-0000-4000-8000-000000000000"]).end().failed(6, "stores no code and no manifest");
    on_the_bus(Agent::new(&scene.rehearsal, ["forget", "--all"]), &scene.bus).end().done();
    assert!(scene.status(&[]).end().done().stdout.contains("No job is stored"));
    scene.status(&["--watch"]).end().failed(6, "no device to watch");
}
