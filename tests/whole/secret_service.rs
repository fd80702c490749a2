//! With a real Secret Service: what is kept, what a second run costs, and what happens without one. What the agent
//! stored is read back with `secret-tool`, not with its own code.

use rustix::process::{Pid, Signal, kill_process};
use snow_rehearsal::{Fault, Mode, Operation, Rehearsal, State, Times};

use crate::agent::{Agent, files_with, state, wait_until};
use crate::keyring_bus::{Keyring, KeyringBus};

/// The agent with the bus's keyring, and the rehearsal's folders for the rest.
pub(crate) fn on_the_bus(agent: Agent, bus: &KeyringBus) -> Agent {
    let of_the_keyring = |name: &&str| matches!(*name, "DBUS_SESSION_BUS_ADDRESS" | "XDG_DATA_HOME");
    bus.environment()
        .into_iter()
        .filter(|(name, _)| of_the_keyring(name))
        .fold(agent, |agent, (name, value)| agent.env(name, value))
}

#[test]
fn a_second_run_asks_aws_nothing() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let code = rehearsal.job().unlock_code();
    on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().done();
    assert_eq!(bus.lookup(rehearsal.job().id()).as_deref(), Some(code.as_str()), "secret-tool sees the code");
    assert!(files_with(&state(&rehearsal), &code).is_empty());
    let manifest = state(&rehearsal).join("jobs").join(rehearsal.job().id());
    let manifest = manifest.join(format!("{}_manifest.bin", rehearsal.job().id()));
    assert_eq!(std::fs::read(&manifest).unwrap(), rehearsal.job().manifest());
    assert_eq!(rehearsal.requests().len(), 4, "three calls and a download");

    rehearsal.device().power_loss();
    assert_eq!(rehearsal.device().state(), State::Locked);
    let ended = on_the_bus(Agent::run(&rehearsal, &[]), &bus)
        .without_env("AWS_ACCESS_KEY_ID")
        .without_env("AWS_SECRET_ACCESS_KEY")
        .without_env("AWS_REGION")
        .end()
        .done();
    assert!(ended.stderr.contains("no request to AWS"), "{}", ended.stderr);
    assert_eq!(rehearsal.device().state(), State::Unlocked);
    assert_eq!(rehearsal.requests().len(), 4, "no call and no download");
}

#[test]
fn fetch_keeps_refresh_replaces_and_forget_removes() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    let agent = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).end();
    agent(&["fetch", &id]).done();
    let again = agent(&["fetch", &id, "--json"]).done();
    assert_eq!(again.json("result")["was_kept_already"], true);
    assert_eq!(rehearsal.downloads(), 1);

    rehearsal.job().renew_pair();
    agent(&["fetch", &id, "--refresh"]).done();
    assert_eq!(bus.lookup(&id), Some(rehearsal.job().unlock_code()));
    let manifest = state(&rehearsal).join("jobs").join(&id).join(format!("{id}_manifest.bin"));
    assert_eq!(std::fs::read(&manifest).unwrap(), rehearsal.job().manifest());

    // A refresh that fails leaves the old pair whole.
    rehearsal.plant(Operation::GetJobUnlockCode, Fault::MissingMember, Times::Always);
    agent(&["fetch", &id, "--refresh"]).failed(7, "answered without");
    rehearsal.heal();
    assert_eq!(agent(&["fetch", &id, "--json"]).done().json("result")["was_kept_already"], true);

    let listed = agent(&["jobs"]).done();
    assert!(listed.stdout.contains("ready, kept here"), "{}", listed.stdout);
    agent(&["forget", &id]).done();
    assert_eq!(bus.lookup(&id), None);
    assert!(!manifest.exists() && !manifest.parent().unwrap().exists());
    agent(&["forget", &id]).failed(6, "stores no code and no manifest");
}

#[test]
fn halves_that_don_t_belong_together_never_reach_a_device() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    on_the_bus(Agent::new(&rehearsal, ["fetch", &id]), &bus).end().done();
    let manifest = state(&rehearsal).join("jobs").join(&id).join(format!("{id}_manifest.bin"));
    let whole = std::fs::read(&manifest).unwrap();
    let mut damaged = whole.clone();
    damaged[1000] ^= 1;
    std::fs::write(&manifest, damaged).unwrap();
    on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().failed(10, "has changed since it was fetched");

    std::fs::write(&manifest, whole).unwrap();
    let of_another = format!("00000-11111-22222-33333-44444\n{}", "0".repeat(64));
    for (item, said) in
        [(of_another, "not the one that was fetched"), ("00000-11111-22222-33333-44444".to_owned(), "no second line")]
    {
        bus.store(&["--label", "of another job"], &id, &[], &item);
        let ended = on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().failed(10, said);
        assert!(!ended.stderr.contains("00000-11111"));
    }
    assert_eq!(rehearsal.device().unlock_requests(), 0);
    let unlocking = rehearsal.client_invocations().unwrap();
    assert!(!unlocking.iter().any(|call| call.argv.iter().any(|arg| arg == "describe-device")), "no device touched");
}

#[test]
fn the_client_s_log_of_a_failure_is_kept_until_the_device_is_open() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let log = state(&rehearsal).join("jobs").join(rehearsal.job().id()).join("client.log");
    rehearsal.device().set_mode(Mode::StuckUnlocking);
    let ended = on_the_bus(Agent::run(&rehearsal, &["--unlock-timeout", "1s"]), &bus).end();
    ended.failed(14, "client.log. The unlock code was removed from it.");
    assert!(std::fs::read_to_string(&log).unwrap().contains("[invented] unlock-device"));

    rehearsal.device().set_mode(Mode::Normal);
    on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().done();
    assert!(!log.exists());
}

#[test]
fn an_interrupt_says_what_is_kept() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    rehearsal.device().set_mode(Mode::StuckUnlocking);
    let agent = on_the_bus(Agent::run(&rehearsal, &[]), &bus).spawn();
    wait_until("the device to be asked", || rehearsal.device().unlock_requests() == 1);
    kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
    let output = agent.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(&format!("The code and manifest of {} are stored.", rehearsal.job().id())), "{stderr}");
}

#[test]
fn forgetting_takes_nothing_before_it_can_take_all() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    let agent = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).end();
    agent(&["fetch", &id]).done();
    let folder = state(&rehearsal).join("jobs").join(&id);
    std::fs::write(folder.join("notes.txt"), "mine").unwrap();
    agent(&["forget", &id]).failed(9, "notes.txt");
    assert_eq!(bus.lookup(&id), Some(rehearsal.job().unlock_code()), "nothing is removed");
    std::fs::remove_file(folder.join("notes.txt")).unwrap();
    // The record says where the code is.
    let ended = agent(&["forget", &id, "--keychain", "none"]).done();
    assert!(ended.stdout.contains("removed from GNOME Keyring"), "{}", ended.stdout);
    assert_eq!(bus.lookup(&id), None);
}

/// What a run leaves that is killed between two steps of keeping a new pair, put together by hand: the record with its
/// journal, the incoming manifest, and the keychain as it was or as it became.
#[test]
fn a_refresh_that_was_killed_is_finished_by_the_same_command_offline() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    let agent = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).end();
    let folder = state(&rehearsal).join("jobs").join(&id);
    let (manifest, record) = (folder.join(format!("{id}_manifest.bin")), folder.join("record.json"));
    agent(&["fetch", &id]).done();
    let old: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    let old_manifest = std::fs::read(&manifest).unwrap();
    rehearsal.job().renew_pair();
    agent(&["fetch", &id, "--refresh"]).done();
    let new: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();

    let mut killed = old.clone();
    killed["incoming"] = new["pair"].clone();
    let incoming = state(&rehearsal).join("incoming").join(format!("{id}_manifest.bin"));
    std::fs::rename(&manifest, &incoming).unwrap();
    std::fs::write(&manifest, &old_manifest).unwrap();
    std::fs::write(&record, serde_json::to_vec(&killed).unwrap()).unwrap();

    rehearsal.plant_everywhere(Fault::CutOff, Times::Always);
    agent(&["fetch", &id, "--refresh", "--network-timeout", "5s"]).failed(5, "gave no answer");
    let ended = agent(&["fetch", &id, "--json"]).done();
    assert_eq!(ended.json("result")["manifest_sha256"], new["pair"]["manifest_sha256"], "finished, not lost");
    assert_eq!(std::fs::read(&manifest).unwrap(), rehearsal.job().manifest());
    assert!(!incoming.exists());
}

#[test]
fn half_a_pair_is_completed() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    let fetch = || on_the_bus(Agent::new(&rehearsal, ["fetch", &id]), &bus).end().done();
    fetch();
    let manifest = state(&rehearsal).join("jobs").join(&id).join(format!("{id}_manifest.bin"));
    std::fs::remove_file(&manifest).unwrap();
    fetch();
    assert_eq!(std::fs::read(&manifest).unwrap(), rehearsal.job().manifest());
    bus.clear(&id);
    fetch();
    assert_eq!(bus.lookup(&id), Some(rehearsal.job().unlock_code()));
}

#[test]
fn without_a_session_bus_nothing_is_asked_of_aws() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    Agent::run(&rehearsal, &[]).end().failed(8, "there is no D-Bus session bus");
    assert!(rehearsal.requests().is_empty());
    assert_eq!(rehearsal.device().unlock_requests(), 0);
}

#[test]
fn a_keyring_that_keeps_in_clear_is_refused_unless_allowed() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Plain);
    let run = |more: &[&str]| on_the_bus(Agent::run(&rehearsal, more), &bus).end();
    run(&[]).failed(8, "unencrypted");
    assert!(rehearsal.requests().is_empty());
    run(&["--allow-plain-keyring"]).done();
    let id = rehearsal.job().id().to_owned();
    for is_stored in [true, false] {
        let ended = on_the_bus(Agent::new(&rehearsal, ["forget", &id]), &bus).end();
        assert_eq!(ended.status.success(), is_stored, "{}", ended.stderr);
        assert!(ended.stderr.contains("has no password, so what is stored in it is unencrypted"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("You allowed this"), "nobody did: {}", ended.stderr);
    }
}

/// The signal that ends a process for it would end this one without a word.
#[test]
fn a_limit_of_file_sizes_is_a_failure_with_words() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    for limit in [0, 1] {
        let fetch = on_the_bus(Agent::new(&rehearsal, ["fetch", &id]), &bus).with_files_of(limit);
        let ended = fetch.end();
        assert!(ended.status.code().is_some_and(|code| (1..100).contains(&code)), "{limit}: {}", ended.stderr);
        assert!(ended.stderr.contains("no file may be that large here"), "{limit}: {}", ended.stderr);
    }
    on_the_bus(Agent::new(&rehearsal, ["fetch", &id]), &bus).end().done();
    let ended = on_the_bus(Agent::new(&rehearsal, ["unlock", &id]), &bus).with_files_of(0).end();
    assert!(ended.status.code().is_some_and(|code| (1..100).contains(&code)), "{}", ended.stderr);
}

/// What the client said of itself is known by its digest, so a second start of the device costs three starts of a JVM. One that
/// has changed is asked again.
#[test]
fn a_known_client_is_started_for_the_device_alone() {
    for other_jvm in [false, true] {
        let options = snow_rehearsal::ClientOptions { other_jvm, ..Default::default() };
        let rehearsal = Rehearsal::builder().client(options).start().unwrap();
        rehearsal.device().set_unlocking(snow_rehearsal::Unlocking::Polls(0));
        let bus = KeyringBus::start(Keyring::Unlocked);
        let mut seen = 0;
        let mut run = || {
            on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().done();
            rehearsal.device().power_loss();
            let calls = rehearsal.client_invocations().unwrap().split_off(seen);
            seen += calls.len();
            calls.into_iter().map(|mut call| call.argv.remove(1)).collect::<Vec<_>>()
        };
        let device = ["describe-device", "unlock-device", "describe-device"];
        let version: &[&str] = if other_jvm { &["version", "version"] } else { &["version"] };
        // What a JVM refuses to start with, it says before it reads its command line; the stand-in has put that down.
        let starts = |commands: Vec<String>| {
            commands.into_iter().filter(|command| command != "version" && command != "help").collect::<Vec<_>>()
        };
        let first = run();
        assert_eq!(first.iter().filter(|command| *command == "version").count(), version.len());
        assert_eq!(starts(first), device);
        assert_eq!(run(), device, "a JVM of another maker: {other_jvm}");
        let package = rehearsal.client_path().parent().unwrap().parent().unwrap();
        std::fs::write(package.join("other.jar"), "[invented]").unwrap();
        assert!(run().contains(&"version".to_owned()), "another client");
    }
}
