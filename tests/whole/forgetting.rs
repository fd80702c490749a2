//! `forget --all`: what a laptop is left with.

use std::fs;
use std::path::Path;

use snow_rehearsal::{Job, Rehearsal};

use crate::agent::{Agent, files, state};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn of_all_jobs_only_the_audit_log_is_left_and_one_that_is_busy_keeps_no_other() {
    let rehearsal = Rehearsal::builder().job(Job::new()).job(Job::new()).start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let ids: Vec<String> = rehearsal.jobs().iter().map(|job| job.id().to_owned()).collect();
    let agent = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).end();
    on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().done();
    agent(&["fetch", &ids[1]]).done();
    let state = state(&rehearsal);
    assert_eq!(names_in(&state), ["audit.jsonl", "clients.json", "homes", "incoming", "jobs", "locks"], "the control");

    // As if another process were at work on it.
    let lock = fs::OpenOptions::new().write(true).open(state.join("locks").join(&ids[1])).unwrap();
    lock.lock().unwrap();
    let ended = agent(&["forget", "--all"]).failed(15, "is working on");
    assert!(ended.stdout.contains("Not all stored data was removed"), "{}", ended.stdout);
    assert_eq!((bus.lookup(&ids[0]), bus.lookup(&ids[1]).is_some()), (None, true));
    assert_eq!(names_in(&state.join("jobs")), [ids[1].as_str()]);
    drop(lock);

    let ended = agent(&["forget", "--all", "--json"]).done();
    assert_eq!(crate::events::flaw_of_all(&ended.stdout), None);
    let result = ended.json("result");
    assert_eq!(result["jobs"][0]["job"], ids[1].as_str(), "{result}");
    assert_eq!(bus.lookup(&ids[1]), None);
    assert_eq!(names_in(&state), ["audit.jsonl"]);
    assert_eq!(result["left"].as_array().unwrap().len(), 1, "{result}");
    assert!(files(&state).iter().all(|(path, _)| path.ends_with("audit.jsonl")));

    assert!(agent(&["forget", "--all"]).done().stdout.contains("No job is stored"));
    // And all begins anew.
    agent(&["fetch", &ids[0]]).done();
    agent(&["forget", &ids[0]]).done();
}

#[test]
fn where_nothing_was_ever_stored_nothing_is_made() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let ended = Agent::new(&rehearsal, ["forget", "--all"]).end().done();
    assert!(ended.stdout.contains("No job is stored"), "{}", ended.stdout);
    assert!(!state(&rehearsal).exists());
    Agent::new(&rehearsal, ["forget"]).end().failed(2, "required");
    Agent::new(&rehearsal, ["forget", rehearsal.job().id(), "--all"]).end().failed(2, "cannot be used with");
}

/// What is on the disk is the only note of a code, so it does not go before a keychain was searched.
#[test]
fn a_record_that_can_t_be_read_and_no_keychain_leave_no_code_behind() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    let record = state(&rehearsal).join("jobs").join(&id).join("record.json");
    for forget in [&["forget", "--all"][..], &["forget", &id]] {
        on_the_bus(Agent::new(&rehearsal, ["fetch", &id]), &bus).end().done();
        assert!(bus.lookup(&id).is_some(), "the control");
        fs::write(&record, "{").unwrap();
        let args = [forget, &["--keychain", "none"]].concat();
        // Where there is no keychain that could be searched, nothing goes.
        let ended = Agent::new(&rehearsal, &args).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent").end();
        assert_eq!((ended.status.code(), record.exists()), (Some(8), true), "{}", ended.stderr);
        on_the_bus(Agent::new(&rehearsal, &args), &bus).end().done();
        assert_eq!((bus.lookup(&id), record.exists()), (None, false));
    }
}
