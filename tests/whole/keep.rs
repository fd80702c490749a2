//! The setting `keep`: what goes by itself, when, and with which words.

use std::fs;
use std::path::PathBuf;

use snow_rehearsal::{Job, Rehearsal, State};

use crate::agent::{Agent, Ended, state};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

struct Scene {
    rehearsal: Rehearsal,
    bus: KeyringBus,
    id: String,
}

impl Scene {
    fn new() -> Self {
        let rehearsal = Rehearsal::builder().job(Job::new()).job(Job::new()).start().unwrap();
        let id = rehearsal.job().id().to_owned();
        Self { rehearsal, bus: KeyringBus::start(Keyring::Unlocked), id }
    }

    fn agent(&self, args: &[&str]) -> Ended {
        on_the_bus(Agent::new(&self.rehearsal, args), &self.bus).end()
    }

    /// The same with a settings file that says so: for all jobs, not for one.
    fn agent_with_file(&self, keep: &str, args: &[&str]) -> Ended {
        on_the_bus(self.with_file(keep, Agent::new(&self.rehearsal, args)), &self.bus).end()
    }

    fn with_file(&self, keep: &str, agent: Agent) -> Agent {
        let config = self.rehearsal.home().join("settings");
        fs::create_dir_all(config.join("snow-onboard")).unwrap();
        fs::write(config.join("snow-onboard/config.toml"), format!("keep = \"{keep}\"\n")).unwrap();
        agent.env("XDG_CONFIG_HOME", config)
    }

    fn run(&self, more: &[&str]) -> Ended {
        on_the_bus(Agent::run(&self.rehearsal, more), &self.bus).end()
    }

    fn folder(&self) -> PathBuf {
        state(&self.rehearsal).join("jobs").join(&self.id)
    }

    /// Whether both halves are here; that they are not both or neither is a failure.
    fn is_kept(&self) -> bool {
        let (code, files) = (self.bus.lookup(&self.id).is_some(), self.folder().exists());
        assert_eq!(code, files, "one half without the other");
        code
    }

    /// As if the pair had been fetched so long ago.
    fn fetched_days_ago(&self, days: i64) {
        let path = self.folder().join("record.json");
        let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let then = time::OffsetDateTime::now_utc() - time::Duration::days(days);
        let then = then.format(&time::format_description::well_known::Rfc3339).unwrap();
        record["pair"]["fetched_at"] = then.into();
        fs::write(&path, record.to_string()).unwrap();
    }

    fn last_step(&self) -> String {
        let log = fs::read_to_string(state(&self.rehearsal).join("audit.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        line["step"].as_str().unwrap().to_owned()
    }
}

#[test]
fn until_unlocked_removes_both_halves_after_the_device_is_open_and_says_so_before() {
    let scene = Scene::new();
    scene.agent(&["fetch", &scene.id, "--keep", "until-unlocked"]).done();
    assert!(scene.is_kept(), "not before the device is unlocked");
    let ended = scene.run(&["--keep", "until-unlocked"]).done();
    assert!(!scene.is_kept());
    assert_eq!(
        (scene.rehearsal.device().state(), scene.last_step()),
        (State::Unlocked, "removed_by_policy".to_owned())
    );
    let (set, before) =
        ("The setting keep is until-unlocked.", "The device is UNLOCKED, and the setting keep is until-unlocked.");
    let (set, before) = (ended.stderr.find(set).unwrap(), ended.stderr.find(before).unwrap());
    assert!(set < before && ended.stderr.matches("After a power cut AWS is needed").count() == 2, "{}", ended.stderr);
    assert!(ended.stdout.contains("were removed from this machine"), "{}", ended.stdout);
    assert!(ended.stdout.contains("  snow-onboard run "), "{}", ended.stdout);

    // And AWS has it again.
    scene.rehearsal.device().power_loss();
    let ended = scene.run(&["--keep", "until-unlocked", "--json"]).done();
    assert_eq!(crate::events::flaw_of_all(&ended.stdout), None);
    let result = ended.json("result");
    assert_eq!((&result["keychain"], &result["manifest"]), (&"none".into(), &serde_json::Value::Null), "{result}");
    assert!(!scene.is_kept());
}

#[test]
fn a_pair_that_could_not_be_removed_is_named_and_removed_by_the_next_command_that_opens_no_device() {
    let scene = Scene::new();
    scene.run(&[]).done();
    let foreign = scene.folder().join("notes.txt");
    fs::write(&foreign, "").unwrap();
    let ended = scene.agent_with_file("until-unlocked", &["jobs"]).done();
    assert!(ended.stderr.contains("could not be removed") && ended.stderr.contains("notes.txt"), "{}", ended.stderr);
    assert!(scene.is_kept());
    fs::remove_file(foreign).unwrap();
    // It may be needed right now.
    scene.rehearsal.device().power_loss();
    let unlock = Agent::new(&scene.rehearsal, ["unlock", &scene.id, "--keep", "until-unlocked"]);
    let client = scene.rehearsal.client_path();
    on_the_bus(unlock.arg("--client").arg(client), &scene.bus).end().done();
    assert!(!scene.is_kept());

    scene.run(&[]).done();
    let ended = scene.agent_with_file("until-unlocked", &["jobs"]).done();
    assert!(ended.stderr.contains("were removed") && !scene.is_kept(), "{}", ended.stderr);
}

#[test]
fn days_are_counted_from_the_fetch_and_a_run_at_work_is_left_alone() {
    let scene = Scene::new();
    let other = scene.rehearsal.jobs()[1].id().to_owned();
    scene.agent(&["fetch", &scene.id]).done();
    scene.fetched_days_ago(8);
    scene.agent_with_file("days:9", &["jobs"]).done();
    scene.agent(&["jobs"]).done();
    assert!(scene.is_kept());

    let lock = fs::OpenOptions::new().write(true).open(state(&scene.rehearsal).join("locks").join(&scene.id)).unwrap();
    lock.lock().unwrap();
    scene.agent_with_file("days:8", &["jobs"]).done();
    assert!(scene.is_kept(), "another run is at work on it");
    drop(lock);

    // What is said for one command concerns no other job, nor the one that it may need in a moment.
    scene.agent(&["jobs", "--keep", "days:8"]).done();
    scene.agent(&["fetch", &other, "--keep", "days:8"]).done();
    assert!(scene.is_kept());
    let ended = on_the_bus(scene.with_file("days:8", Agent::run(&scene.rehearsal, &[])), &scene.bus).end().done();
    assert!(ended.stderr.contains("so they are not removed now") && scene.is_kept(), "{}", ended.stderr);

    // Nor does a settings file, in a command that opens devices: the next one may be this job's, and AWS out of reach.
    scene.agent(&["fetch", &other]).done();
    let client = scene.rehearsal.client_path().display().to_string();
    let unlock = ["unlock", &other, "--endpoint", "127.0.0.1:9", "--client", &client, "--unlock-timeout", "1s"];
    scene.agent_with_file("days:8", &unlock).failed(13, "127.0.0.1:9");
    assert!(scene.is_kept());

    // A settings file: by any command that opens the state folder and no device, also for another job and with another keychain.
    let ended = scene.agent_with_file("days:8", &["fetch", &other, "--keychain", "system"]).done();
    assert!(ended.stderr.contains("The setting keep is days:8, and they were fetched 8 days ago"), "{}", ended.stderr);
    assert!(!scene.is_kept());
    assert!(scene.bus.lookup(&other).is_some(), "that one was fetched just now");
    scene.agent(&["jobs", "--keep", "days:0"]).failed(3, "from 1 to 3650");
}

/// A flag or a variable says it for the pair that the command fetches or uses, and it counts from then on.
#[test]
fn what_was_said_for_one_pair_counts_until_it_is_said_anew() {
    let scene = Scene::new();
    let other = scene.rehearsal.jobs()[1].id().to_owned();
    scene.agent(&["fetch", &other]).done();
    scene.agent(&["fetch", &scene.id, "--keep", "days:3"]).done();
    scene.fetched_days_ago(2);
    scene.agent(&["jobs"]).done();
    assert!(scene.is_kept(), "not before the time");
    // It goes before the file of all jobs, until it is said otherwise.
    scene.agent_with_file("days:1", &["jobs"]).done();
    assert!(scene.is_kept());
    on_the_bus(Agent::new(&scene.rehearsal, ["fetch", &scene.id]).env("SNOW_ONBOARD_KEEP", "days:2"), &scene.bus)
        .end()
        .done();
    assert!(scene.is_kept(), "the command that needs it does not remove it");
    let ended = scene.agent(&["jobs"]).done();
    assert!(ended.stderr.contains("The setting keep is days:2, and they were fetched 2 days ago"), "{}", ended.stderr);
    assert!(!scene.is_kept());
    assert!(scene.bus.lookup(&other).is_some(), "nothing was said of that one");

    // Until-unlocked as well, by a run that says nothing of it.
    scene.agent(&["fetch", &scene.id, "--keep", "until-unlocked"]).done();
    scene.run(&[]).done();
    assert!(!scene.is_kept());
}

#[test]
fn the_estimate_of_360_days_is_told_and_removes_nothing() {
    let created = time::OffsetDateTime::now_utc() - time::Duration::days(400);
    let rehearsal = Rehearsal::builder().job(Job::new().created(created)).start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    on_the_bus(Agent::new(&rehearsal, ["fetch", &id]), &bus).end().done();
    let ended = on_the_bus(Agent::new(&rehearsal, ["jobs"]), &bus).end().done();
    assert!(ended.stderr.contains("360 days after the job was created"), "{}", ended.stderr);
    assert!(bus.lookup(&id).is_some());
}

/// `run` removes the pair again, so it is no help to a command that needs what is stored.
#[test]
fn the_hint_for_a_pair_that_is_not_kept_ends_well_when_it_is_followed() {
    let scene = Scene::new();
    let (client, endpoint) = (scene.rehearsal.client_path().display().to_string(), scene.rehearsal.device().endpoint());
    let at = ["--client", &client, "--endpoint", &endpoint];
    let agent = |args: &[&str]| match args.contains(&"--") || args.contains(&"--ca-bundle") {
        // Which has nothing added behind the client's own words, nor what a hint says again.
        true => {
            let bare = Agent::bare(args).envs(scene.rehearsal.env());
            on_the_bus(bare.env("XDG_CONFIG_HOME", scene.rehearsal.home().join("settings")), &scene.bus).end()
        }
        false => scene.agent_with_file("until-unlocked", args),
    };
    for (args, of_client) in [
        (&["client", &scene.id][..], &["--", "describe-device"][..]),
        (&["setup-profile", &scene.id, "--dry-run"], &[]),
        (&["unlock", &scene.id], &[]),
        (&["credentials", &scene.id], &[]),
    ] {
        agent(&[&["run", &scene.id][..], &at].concat()).done();
        assert!(!scene.is_kept(), "the control");
        let command = [args, &at, of_client].concat();
        let mut ended = agent(&command);
        assert!(ended.stderr.contains("are not both stored"), "{args:?}: {}", ended.stderr);
        let hint: Vec<&str> =
            ended.stderr.lines().filter_map(|line| line.trim().strip_prefix("snow-onboard ")).collect();
        assert_eq!(hint.len(), 1, "{args:?}: {}", ended.stderr);
        agent(&hint[0].split(' ').collect::<Vec<_>>()).done();
        if args[0] == "unlock" {
            // A run, which has unlocked it.
            assert!(hint[0].starts_with("run "), "{hint:?}");
            continue;
        }
        ended = agent(&command);
        assert!(ended.status.success(), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn status_says_on_which_day_the_pair_goes() {
    let scene = Scene::new();
    scene.agent(&["fetch", &scene.id]).done();
    scene.fetched_days_ago(3);
    let until = (time::OffsetDateTime::now_utc() + time::Duration::days(4)).date().to_string();
    let status = scene.agent_with_file("days:7", &["status", "--offline"]).done();
    assert!(status.stdout.contains(&format!("removed after {until}, as the setting keep says")), "{}", status.stdout);
    let json = scene.agent_with_file("days:7", &["status", "--offline", "--json"]).done();
    assert_eq!(crate::events::flaw_of_all(&json.stdout), None);
    assert!(json.json("result")["jobs"][0]["kept_until"].as_str().unwrap().starts_with(&until), "{}", json.stdout);
    assert!(!scene.agent(&["status", "--offline"]).done().stdout.contains("removed after"));
}
