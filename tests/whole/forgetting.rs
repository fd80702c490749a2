//! `forget` of several jobs: what a laptop is left with.

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
    let bus = KeyringBus::start(Keyring::Unlocked);
    let ended = on_the_bus(Agent::new(&rehearsal, ["forget", "--all"]), &bus).end().done();
    assert!(ended.stdout.contains("No job is stored"), "{}", ended.stdout);
    let ended = Agent::new(&rehearsal, ["forget", "--all", "--keychain", "none"]).end().done();
    assert!(ended.stdout.contains("No keychain was searched"), "{}", ended.stdout);
    // What can't be searched is not said to be empty.
    Agent::new(&rehearsal, ["forget", "--all"])
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
        .end()
        .failed(8, "");
    assert!(!state(&rehearsal).exists());
    Agent::new(&rehearsal, ["forget"])
        .end()
        .failed(2, "Error: A job is required; type JOB, or --all, --returned or --expired");
    Agent::new(&rehearsal, ["forget", rehearsal.job().id(), "--all"]).end().failed(2, "cannot be used with");
}

/// What is removed and what is kept is told, and no line to paste would end in the same failure.
#[test]
fn the_code_of_another_state_folder_is_left_with_one_line_to_paste() {
    let rehearsal = Rehearsal::builder().job(Job::new()).job(Job::new()).start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let agent = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).end();
    let ids: Vec<String> = rehearsal.jobs().iter().map(|job| job.id().to_owned()).collect();
    let elsewhere = rehearsal.root().join("another").display().to_string();
    agent(&["fetch", &ids[0]]).done();
    agent(&["fetch", &ids[1], "--state-dir", &elsewhere]).done();
    let ended = agent(&["forget", "--all"]).failed(2, "");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let pasted: Vec<&str> =
        said.lines().map(str::trim).filter(|line| line.starts_with("snow-onboard forget")).collect();
    assert!(pasted.iter().all(|line| line.contains("--yes") || line.contains("JID")), "{said}");
    assert!(!pasted.is_empty() && bus.lookup(&ids[1]).is_some(), "{said}");
}

/// The state folder was removed by hand, or is another one than it was: the keychain alone still knows the jobs.
#[test]
fn a_code_and_a_device_key_without_files_are_found_named_and_removed() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let agent = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).end();
    let job = rehearsal.job();
    let id = job.id();
    let strange = "JID00000000-e89b-12d3-a456-426655440000";
    let key = format!("{strange} AKIAIOSFODNN7EXAMPLE");
    for has_state in [true, false] {
        agent(&["fetch", id]).done();
        bus.store(&["--label=x"], &key, &[], "a key");
        bus.store(&["--label=x"], "the neighbour's", &[], "something");
        match has_state {
            true => fs::remove_dir_all(state(&rehearsal).join("jobs").join(id)).unwrap(),
            false => fs::remove_dir_all(state(&rehearsal)).unwrap(),
        }
        // They may be another state folder's, and nobody can be asked.
        let ended = agent(&["forget", "--all"]).failed(2, "name each job");
        for job in [id, strange] {
            assert!(ended.stderr.contains(&format!("snow-onboard forget {job}")), "{}", ended.stderr);
        }
        assert!(bus.lookup(id).is_some() && bus.lookup(&key).is_some());
        let elsewhere = rehearsal.root().join("another").display().to_string();
        assert!(
            agent(&["forget", "--all", "--yes", "--state-dir", &elsewhere])
                .done()
                .stdout
                .contains("No job is stored in this state folder")
        );
        assert!(bus.lookup(id).is_some(), "the codes of a folder that was named, and no others");
        let ended = agent(&["forget", "--all", "--yes"]).done();
        let before = "codes of jobs whose files are not in this state folder. They are removed as well: ";
        let named = ended.stderr.split(before).nth(1).and_then(|after| after.lines().next()).unwrap_or_default();
        for job in [id, strange] {
            assert!(named.contains(job), "{}", ended.stderr);
            assert!(ended.stdout.contains(&format!("{job}  code removed from")), "{}", ended.stdout);
        }
        assert_eq!((bus.lookup(id), bus.lookup(&key)), (None, None));
        assert!(bus.lookup("the neighbour's").is_some(), "what names no job is not touched");
        let log = fs::read_to_string(state(&rehearsal).join("audit.jsonl")).unwrap();
        assert!(log.lines().last().unwrap().contains("forgotten"), "{log}");
    }
    // `forget JOB` finds the keys as well.
    bus.store(&["--label=x"], &key, &[], "a key");
    agent(&["forget", strange]).done();
    assert_eq!(bus.lookup(&key), None);
}

/// A run that was interrupted while it waited for its code leaves an item that holds none, and no files.
#[test]
fn an_item_without_a_code_that_an_interrupted_run_left_is_used_or_removed_by_the_next_command() {
    const EMPTY: &str = "no unlock code";
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let agent = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).end();
    let leave = |user: &str| {
        bus.store(&["--label=x"], user, &[], EMPTY);
        assert_eq!(bus.lookup(user).as_deref(), Some(EMPTY), "the control");
    };
    let (job, strange) = (rehearsal.job(), "JID00000000-e89b-12d3-a456-426655440000");
    let id = job.id();
    for user in [id.to_owned(), format!("probe for {id}")] {
        leave(&user);
        let ended = agent(&["forget", id]).done();
        assert!(ended.stdout.contains("removed from"), "{}", ended.stdout);
        assert_eq!(bus.lookup(&user), None);
    }
    // One that ends before it comes to the keychain.
    leave(strange);
    assert!(!agent(&["fetch", strange]).status.success());
    assert_eq!(bus.lookup(strange), None);
    leave(id);
    agent(&["fetch", id]).done();
    assert_eq!(bus.lookup(id), Some(rehearsal.job().unlock_code()));
    agent(&["forget", id]).done();
    assert_eq!(bus.lookup(id), None, "there was one item");
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

/// A pair that was fetched anew into another keychain leaves its first code where it was, and the record knows of it.
#[test]
fn a_code_in_an_earlier_keychain_goes_too_and_one_that_stays_is_named() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    let agent = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).end();
    let path = state(&rehearsal).join("jobs").join(&id).join("record.json");
    let record = || serde_json::from_slice::<serde_json::Value>(&fs::read(&path).unwrap()).unwrap();
    let change = |how: &dyn Fn(&mut serde_json::Value)| {
        let mut record = record();
        how(&mut record);
        fs::write(&path, record.to_string()).unwrap();
    };
    agent(&["fetch", &id]).done();
    // As if it had been in the kernel's.
    change(&|record| record["pair"]["keychain"] = "kernel".into());
    agent(&["fetch", &id, "--keychain", "system"]).done();
    assert_eq!(record()["earlier_keychains"], serde_json::json!(["kernel"]));
    let ended = agent(&["forget", &id, "--keychain", "system", "--json"]).failed(8, "");
    assert_eq!(crate::events::flaw_of_all(&ended.stdout), None);
    assert_eq!(ended.json("result")["code_stays_in"], serde_json::json!(["kernel"]));
    assert_eq!((bus.lookup(&id), path.exists()), (None, true), "the record is the only note of the other code");

    // The other way round: the code of before is in the system's, and no pair is kept any more.
    fs::remove_file(&path).unwrap();
    agent(&["fetch", &id]).done();
    change(&|record| {
        record["pair"] = serde_json::Value::Null;
        record["earlier_keychains"] = serde_json::json!(["system"]);
    });
    assert!(bus.lookup(&id).is_some(), "the control");
    // Where codes are kept from now on is no choice of where to look.
    on_the_bus(Agent::new(&rehearsal, ["forget", &id]).env("SNOW_ONBOARD_KEYCHAIN", "kernel"), &bus).end().done();
    assert_eq!((bus.lookup(&id), path.exists()), (None, false));
}

/// A session keyring that has ended, for this thread and what it starts; there is no safe wrapper.
#[allow(unsafe_code)]
fn end_session_keyring() {
    const JOIN: libc::c_int = 1;
    const REVOKE: libc::c_int = 3;
    const SESSION: libc::c_int = -3;
    // SAFETY: the one takes a name, of which there is none, and the other a number.
    unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN, std::ptr::null::<libc::c_char>());
        libc::syscall(libc::SYS_keyctl, REVOKE, SESSION);
    }
}

/// One keychain has removed its code when the other fails: what is kept on disk stays, and the log has what is gone.
#[test]
fn a_code_that_is_gone_is_in_the_log_whatever_fails_after() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    let agent = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).end();
    agent(&["fetch", &id]).done();
    let path = state(&rehearsal).join("jobs").join(&id).join("record.json");
    let mut record = serde_json::from_slice::<serde_json::Value>(&fs::read(&path).unwrap()).unwrap();
    record["earlier_keychains"] = serde_json::json!(["kernel"]);
    fs::write(&path, record.to_string()).unwrap();
    end_session_keyring();
    agent(&["forget", &id]).failed(8, "kernel");
    assert_eq!((bus.lookup(&id), path.exists()), (None, true), "the control");
    let audit = fs::read_to_string(state(&rehearsal).join("audit.jsonl")).unwrap();
    assert_eq!(audit.matches("\"forgotten\"").count(), 1, "{audit}");
}

/// A keychain that is typed is the only one that is searched. What stays elsewhere is told each time, with a command that removes it.
#[test]
fn a_typed_keychain_that_is_not_the_pair_s_removes_nothing_else_and_goes_in_no_circle() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    let elsewhere = rehearsal.root().join("another").display().to_string();
    let agent = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).arg("--state-dir").arg(&elsewhere).end();
    let created = time::OffsetDateTime::now_utc() - time::Duration::days(400);
    let record = Path::new(&elsewhere).join("jobs").join(&id).join("record.json");
    let change = |keychain: &str, earlier: &[&str]| {
        let mut changed = serde_json::from_slice::<serde_json::Value>(&fs::read(&record).unwrap()).unwrap();
        changed["pair"]["keychain"] = keychain.into();
        changed["earlier_keychains"] = serde_json::json!(earlier);
        changed["summary"]["created"] =
            created.format(&time::format_description::well_known::Rfc3339).unwrap().as_str().into();
        fs::write(&record, changed.to_string()).unwrap();
    };
    agent(&["fetch", &id]).done();
    // As if the pair had been fetched into the kernel's after that.
    change("kernel", &["system"]);
    // Without the keychain, which would lead here again, and in the same folder.
    let leads_on = |hint: &str| {
        let command = hint.lines().find(|line| line.trim_start().starts_with(&format!("snow-onboard forget {id} ")));
        command.is_some_and(|it| it.contains(&format!(" --state-dir {elsewhere}")) && !it.contains("--keychain"))
    };
    for (which, removed) in
        [(&["--all"][..], true), (&["--all"], false), (&["--expired"], false), (&[&*id], false), (&[&*id], false)]
    {
        let args = [&["forget"], which, &["--keychain", "system", "--yes"]].concat();
        let ended = agent(&[&args[..], &["--json"]].concat()).failed(8, "");
        assert_eq!(crate::events::flaw_of_all(&ended.stdout), None);
        let (result, error) = (ended.json("result"), ended.json("error"));
        let row = if which == [&*id] { &result } else { &result["jobs"][0] };
        assert_eq!(row["code_stays_in"], serde_json::json!(["kernel"]), "{result}");
        assert_eq!((row["code_removed_from"] == serde_json::json!([]), bus.lookup(&id)), (!removed, None), "{result}");
        assert_eq!((&error["code"], &error["job"]), (&"code_stays".into(), &(*id).into()), "{error}");
        assert!(leads_on(error["hint"].as_str().unwrap()), "{error}");
        assert!(record.exists(), "the record is the only note of the other code");
        let ended = agent(&args).failed(8, "which was not searched");
        assert!(leads_on(&ended.stderr), "{}", ended.stderr);
        assert!(ended.stdout.contains("Not all") && !ended.stdout.contains("repeat"), "{}", ended.stdout);
    }
    // What a session's keyring of the kernel holds is not here.
    change("system", &[]);
    agent(&["forget", &id]).done();
    assert!(!record.exists());
}

/// Two jobs that are stored, the second created on the day `age` days ago.
fn two_stored(age: i64) -> (Rehearsal, KeyringBus, [String; 2]) {
    let created = time::OffsetDateTime::now_utc() - time::Duration::days(age);
    let rehearsal = Rehearsal::builder().job(Job::new()).job(Job::new().created(created)).start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let ids = [0, 1].map(|at: usize| rehearsal.jobs()[at].id().to_owned());
    for id in &ids {
        on_the_bus(Agent::new(&rehearsal, ["fetch", id]), &bus).end().done();
    }
    (rehearsal, bus, ids)
}

#[test]
fn returned_ones_go_by_what_aws_says_and_none_when_it_can_t_be_asked() {
    let (rehearsal, bus, ids) = two_stored(20);
    let agent = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus);
    let ended = agent(&["forget", "--returned"]).end().done();
    assert!(ended.stdout.contains("No stored job is to be removed"), "{}", ended.stdout);

    let offline = agent(&["forget", "--returned"]).env("AWS_ENDPOINT_URL_SNOWBALL", "https://127.0.0.1:9");
    rehearsal.jobs()[1].set_state("InTransitToAWS");
    offline.end().failed(5, "gave no answer");
    assert!(ids.iter().all(|id| bus.lookup(id).is_some()), "nothing was removed");

    // A job of another account: named, and left.
    let strange = "JID00000000-e89b-12d3-a456-426655440000";
    let jobs = state(&rehearsal).join("jobs");
    fs::create_dir(jobs.join(strange)).unwrap();
    fs::set_permissions(jobs.join(strange), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let ended = agent(&["forget", "--returned", "--json"]).end().done();
    assert_eq!(crate::events::flaw_of_all(&ended.stdout), None);
    let result = ended.json("result");
    assert_eq!(
        (&result["jobs"][0]["job"], result["jobs"].as_array().unwrap().len()),
        (&ids[1].as_str().into(), 1),
        "{result}"
    );
    let stays: Vec<&str> = result["stays"].as_array().unwrap().iter().map(|row| row["job"].as_str().unwrap()).collect();
    assert_eq!(stays.len(), 2, "{result}");
    assert!(stays.contains(&strange) && stays.contains(&ids[0].as_str()), "{result}");
    assert_eq!((bus.lookup(&ids[0]).is_some(), bus.lookup(&ids[1])), (true, None));
    assert_eq!(names_in(&jobs).len(), 2);
    let log = fs::read_to_string(state(&rehearsal).join("audit.jsonl")).unwrap();
    assert!(log.lines().last().unwrap().contains("forgotten"), "{log}");
    // Of those states that may mean either, none is a reason.
    rehearsal.jobs()[0].set_state("InProgress");
    agent(&["forget", "--returned"]).end().done();
    assert!(bus.lookup(&ids[0]).is_some());
    for state in ["Complete", "Cancelled", "WithAWS", "WithAWSSortingFacility"] {
        agent(&["fetch", &ids[0]]).end().done();
        rehearsal.jobs()[0].set_state(state);
        let ended = agent(&["forget", "--returned"]).end().done();
        assert!(ended.stdout.contains("was removed") && bus.lookup(&ids[0]).is_none(), "{state}: {}", ended.stdout);
        rehearsal.jobs()[0].set_state("WithCustomer");
    }
}

#[test]
fn expired_ones_go_by_the_record_without_aws_and_one_that_is_busy_is_named_and_tried_again() {
    let (rehearsal, bus, ids) = two_stored(361);
    let agent = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).end();
    let asked = rehearsal.requests().len();
    let lock = fs::OpenOptions::new().write(true).open(state(&rehearsal).join("locks").join(&ids[1])).unwrap();
    lock.lock().unwrap();
    let ended = agent(&["forget", "--expired"]).failed(15, "is working on");
    assert!(ended.stdout.contains("Not all of it was removed"), "{}", ended.stdout);
    assert!(bus.lookup(&ids[1]).is_some());
    drop(lock);
    let ended = agent(&["forget", "--expired"]).done();
    assert!(ended.stdout.contains(&format!("{}  expired on", ids[1])), "{}", ended.stdout);
    assert!(ended.stdout.contains("Not removed:") && ended.stdout.contains(&ids[0]), "{}", ended.stdout);
    assert_eq!((bus.lookup(&ids[0]).is_some(), bus.lookup(&ids[1])), (true, None));
    assert_eq!(rehearsal.requests().len(), asked, "AWS was not asked");
}

#[test]
fn one_way_to_say_which_jobs_at_a_time() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let id = rehearsal.job().id().to_owned();
    for args in [
        &["forget", "--returned", "--expired"][..],
        &["forget", "--all", "--returned"],
        &["forget", &id, "--expired"],
        &["forget", "--expired", "--client-profile", "x"],
    ] {
        Agent::new(&rehearsal, args).end().failed(2, "cannot be used with");
    }
    for which in ["--returned", "--expired"] {
        let ended = Agent::new(&rehearsal, ["forget", which]).end().done();
        assert!(ended.stdout.contains("No job is stored"), "{}", ended.stdout);
    }
    assert!(!state(&rehearsal).exists() && rehearsal.requests().is_empty());
}
