//! `unlock`: after a power cut, from what is stored, without AWS.

use snow_rehearsal::{Job, Rehearsal, State};

use crate::agent::{Agent, files_with, state};
use crate::events;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

/// An agent for which AWS is not there, and which is told neither address nor account.
fn offline(rehearsal: &Rehearsal, bus: &KeyringBus, args: &[&str]) -> Agent {
    let agent = Agent::new(rehearsal, args).arg("--client").arg(rehearsal.client_path());
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"]
        .iter()
        .fold(on_the_bus(agent, bus), |agent, name| agent.without_env(name))
        .env("AWS_ENDPOINT_URL_SNOWBALL", "https://127.0.0.1:9")
}

#[test]
fn a_power_cut_is_over_without_aws_at_the_address_of_the_last_time() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let (id, code) = (rehearsal.job().id().to_owned(), rehearsal.job().unlock_code());
    on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().done();
    rehearsal.device().power_loss();
    assert_eq!(rehearsal.device().state(), State::Locked);
    let asked = rehearsal.requests().len();

    let ended = offline(&rehearsal, &bus, &["unlock", &id]).end().done();
    assert_eq!(rehearsal.device().state(), State::Unlocked);
    assert!(ended.stderr.contains("is that of the last time"), "{}", ended.stderr);
    let again = offline(&rehearsal, &bus, &["unlock", &id, "--json"]).end().done();
    assert_eq!(events::flaw_of_all(&again.stdout), None);
    let result = again.json("result");
    assert_eq!((&result["command"], &result["was_open_already"]), (&"unlock".into(), &true.into()), "{result}");
    assert_eq!(rehearsal.requests().len(), asked, "AWS was not asked");

    // What is to be pasted is where the device was.
    let flag = format!("--endpoint {}", rehearsal.device().address());
    let missing = on_the_bus(Agent::new(&rehearsal, ["run", &id]), &bus).end().failed(2, "No device address");
    assert!(missing.stderr.contains(&format!("The last time it was:\n  {flag}")), "{}", missing.stderr);
    let fetched = on_the_bus(Agent::new(&rehearsal, ["fetch", "--refresh", &id]), &bus).end().done();
    assert!(fetched.stdout.contains(&format!("snow-onboard run {id} {flag}")), "{}", fetched.stdout);
    assert!(fetched.stdout.contains("with the address of the last time"), "{}", fetched.stdout);

    assert_eq!(bus.lookup(&id), Some(code.clone()), "the control");
    assert!(files_with(&state(&rehearsal), &code).is_empty());
    for call in rehearsal.client_invocations().unwrap() {
        assert!(!call.argv.iter().any(|argument| argument.contains(&code)), "{:?}", call.argv);
    }
}

#[test]
fn of_all_jobs_one_without_an_address_keeps_no_other() {
    let rehearsal = Rehearsal::builder().job(Job::new()).job(Job::new()).start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().done();
    let other = rehearsal.jobs()[1].id().to_owned();
    on_the_bus(Agent::new(&rehearsal, ["fetch", &other]), &bus).end().done();
    rehearsal.device().power_loss();

    let ended = offline(&rehearsal, &bus, &["unlock", "--all", "--json"]).end();
    assert_eq!(rehearsal.device().state(), State::Unlocked);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stdout);
    assert_eq!(events::flaw_of_all(&ended.stdout), None);
    let rows = ended.json("result")["jobs"].as_array().unwrap().clone();
    let row = |id: &str| rows.iter().find(|row| row["job"] == id).unwrap().clone();
    assert_eq!(row(rehearsal.job().id())["was_open_already"], false);
    assert_eq!(row(&other)["error"]["code"], "endpoint_unknown");
    let last = ended.json("error");
    assert_eq!((&last["code"], &last["job"]), (&"endpoint_unknown".into(), &other.clone().into()), "{last}");
    let text = offline(&rehearsal, &bus, &["unlock", "--all"]).end();
    assert!(text.stdout.contains("UNLOCKED already") && text.stdout.contains("not unlocked"), "{}", text.stdout);
}

#[test]
fn without_the_keychain_that_has_the_code_the_hint_leads_to_it_or_to_a_new_pair() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    on_the_bus(Agent::new(&rehearsal, ["fetch", &id]), &bus).end().done();
    let without = |args: &[&str]| {
        let ended =
            Agent::new(&rehearsal, args).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent").arg("--json").end();
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let error = said.lines().find(|line| line.contains("keychain_unavailable")).unwrap_or_else(|| panic!("{said}"));
        assert!(!error.contains("--keychain none"), "{error}");
        error.to_owned()
    };
    let endpoint = rehearsal.device().endpoint();
    let fetch = format!("\\n  snow-onboard fetch {id} --keychain kernel");
    let client = rehearsal.client_path().to_str().unwrap();
    for args in [&["unlock", &id, "-e", &endpoint, "--client", client][..], &["status", &id, "--client", client]] {
        assert!(without(args).contains(&fetch), "{args:?}");
    }
    let needs_it = without(&["forget", &id]);
    assert!(!needs_it.contains("--keychain") && needs_it.contains("is in that keychain"), "{needs_it}");
}

#[test]
fn what_is_not_stored_is_not_unlocked_and_aws_is_not_asked_for_it() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    offline(&rehearsal, &bus, &["unlock", &id]).end().failed(6, "are not both stored");
    offline(&rehearsal, &bus, &["unlock", &id, "--keychain", "none"]).end().failed(2, "keychain is none");
    offline(&rehearsal, &bus, &["unlock"]).end().failed(2, "required");
    // As a watch of nothing ends: what calls this is not to take it for devices that are open.
    offline(&rehearsal, &bus, &["unlock", "--all"]).end().failed(6, "No job is stored on this machine");
    on_the_bus(Agent::new(&rehearsal, ["fetch", &id]), &bus).end().done();
    let asked = rehearsal.requests().len();
    offline(&rehearsal, &bus, &["unlock", &id]).end().failed(2, "does not know the address");
    let endpoint = rehearsal.device().endpoint();
    offline(&rehearsal, &bus, &["unlock", "--all", "--endpoint", &endpoint]).end().failed(2, "cannot be used with");
    offline(&rehearsal, &bus, &["unlock", &id, "--endpoint", &endpoint]).end().done();
    assert_eq!((rehearsal.device().state(), rehearsal.requests().len()), (State::Unlocked, asked));
}

/// What a record does not tell is not told as unknown: the address stands in it, and to give it another time leads nowhere.
#[test]
fn a_record_that_can_not_be_used_is_told_as_that_by_each_command() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().done();
    let path = state(&rehearsal).join("jobs").join(&id).join("record.json");
    let good = std::fs::read_to_string(&path).unwrap();
    let mut newer = serde_json::from_str::<serde_json::Value>(&good).unwrap();
    newer["version"] = 1000.into();
    for (text, code) in [("{", "record_unreadable"), (&newer.to_string(), "record_newer")] {
        std::fs::write(&path, text).unwrap();
        // Those that don't use the client know no flag of it.
        let without_client = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus);
        // Its output is for a program that knows no JSON of ours.
        let told = if code == "record_newer" { "by a newer snow-onboard" } else { "record.json can't be read" };
        offline(&rehearsal, &bus, &["credentials", &id]).end().failed(9, told);
        for args in [&["unlock", &id][..], &["unlock", "--all"], &["receipt", &id]] {
            let agent = if args[0] == "receipt" { without_client(args) } else { offline(&rehearsal, &bus, args) };
            let ended = agent.arg("--json").end();
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert_eq!(ended.status.code(), Some(9), "{args:?} {said}");
            assert!(said.contains(&format!("\"code\":\"{code}\"")), "{args:?} {said}");
        }
        let client = Agent::bare(["client", &id, "--json", "--", "describe-device"]).envs(rehearsal.env());
        let ended = on_the_bus(client.env("SNOW_ONBOARD_CLIENT", rehearsal.client_path()), &bus).end();
        assert!(ended.stderr.contains(&format!("\"code\":\"{code}\"")), "{}", ended.stderr);
        let looked = offline(&rehearsal, &bus, &["status", &id, "--json"]).end().done().json("result");
        assert!(looked.to_string().contains(&format!("\"code\":\"{code}\"")), "{looked}");
        let kept = without_client(&["forget", "--expired", "--yes", "--json"]).end().done().json("result");
        let why = kept["stays"][0]["why"].as_str().unwrap();
        assert!(why.contains("has no time of creation that is known here. The record ") && path.exists(), "{why}");
    }
    std::fs::write(&path, good).unwrap();
    offline(&rehearsal, &bus, &["unlock", &id]).end().done();
}
