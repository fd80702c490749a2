//! `credentials`: the device's access key for the AWS CLI, which starts it at every call.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use snow_rehearsal::{ClientOptions, Command as Verb, DeviceOptions, Rehearsal, Trick};

use crate::agent::{Agent, Ended, files_with, state};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

/// A device that was opened from here, and a keychain.
struct Site {
    rehearsal: Rehearsal,
    bus: KeyringBus,
    id: String,
}

impl Site {
    fn with(device: DeviceOptions, client: ClientOptions) -> Self {
        let rehearsal = Rehearsal::builder().device(device).client(client).start().unwrap();
        let bus = KeyringBus::start(Keyring::Unlocked);
        on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().done();
        let id = rehearsal.job().id().to_owned();
        Self { rehearsal, bus, id }
    }

    fn new() -> Self {
        Self::with(DeviceOptions::default(), ClientOptions::default())
    }

    /// As the AWS CLI starts it: with the settings of an account that is none, and nothing of AWS to reach.
    fn agent(&self, args: &[&str]) -> Agent {
        let client = self.rehearsal.client_path().to_owned();
        let args = [&["credentials", &self.id], args].concat();
        let agent = Agent::new(&self.rehearsal, args).arg("--client").arg(client);
        on_the_bus(agent, &self.bus)
            .env("AWS_PROFILE", "of-nobody")
            .env("AWS_ENDPOINT_URL_SNOWBALL", "https://127.0.0.1:9")
            .without_env("AWS_ACCESS_KEY_ID")
            .without_env("AWS_SECRET_ACCESS_KEY")
    }

    fn credentials(&self, args: &[&str]) -> Ended {
        self.agent(args).end()
    }

    /// How often a client was started so far.
    fn clients(&self) -> usize {
        self.rehearsal.client_invocations().unwrap().len()
    }

    fn audit(&self, step: &str) -> usize {
        let log = fs::read_to_string(state(&self.rehearsal).join("audit.jsonl")).unwrap();
        log.lines().filter(|line| line.contains(&format!("\"step\":\"{step}\""))).count()
    }

    fn item(&self, number: usize) -> Option<String> {
        self.bus.lookup(&format!("{} {}", self.id, self.rehearsal.device().access_keys()[number].id))
    }
}

/// The document for this key, and nothing else.
#[track_caller]
fn assert_key(ended: &Ended, key: &snow_rehearsal::AccessKey) {
    let (id, secret) = (&key.id, &key.secret);
    let document = format!("{{\"Version\":1,\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"{secret}\"}}\n");
    assert_eq!(ended.stdout, document, "{}", ended.stderr);
    assert!(!ended.stderr.contains(secret.as_str()), "{}", ended.stderr);
}

/// The policy is about code and manifest; what the AWS CLI asks for at every call stays until somebody removes it.
#[test]
fn keep_removes_the_pair_and_not_the_stored_key_and_forget_still_finds_that() {
    let site = Site::new();
    let key = site.rehearsal.device().access_keys().remove(0);
    site.credentials(&[]).done();
    let record = state(&site.rehearsal).join("jobs").join(&site.id).join("record.json");
    let mut aged: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    aged["pair"]["fetched_at"] = "2024-01-01T00:00:00Z".into();
    fs::write(&record, aged.to_string()).unwrap();
    let clients = site.clients();

    let ended = site.credentials(&["--keep", "days:8"]).done();
    assert_key(&ended, &key);
    assert!(ended.stderr.contains("but not the record"), "{}", ended.stderr);
    assert!(site.bus.lookup(&site.id).is_none() && site.item(0).is_some());
    let left: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    assert!(left.get("pair").is_none() && left["access_keys"][0]["ids"][0] == key.id.as_str(), "{left}");
    assert_eq!(fs::read_dir(record.parent().unwrap()).unwrap().count(), 1, "the manifest is gone");
    let ended = site.credentials(&["--keep", "days:8"]).done();
    assert_key(&ended, &key);
    assert_eq!((site.clients(), site.audit("removed_by_policy"), ended.stderr.as_str()), (clients, 1, ""));

    on_the_bus(Agent::new(&site.rehearsal, ["forget", &site.id]), &site.bus).end().done();
    assert!(site.item(0).is_none() && !record.exists());
}

#[test]
fn the_device_is_asked_once_and_the_keychain_from_then_on() {
    let site = Site::new();
    let key = site.rehearsal.device().access_keys().remove(0);
    fs::create_dir(site.rehearsal.home().join(".aws")).unwrap();
    fs::write(site.rehearsal.home().join(".aws/config"), "[profile of-nobody\nregion = \0\n").unwrap();
    assert_key(&site.credentials(&[]).done(), &key);
    assert_eq!(site.item(0), Some(key.secret.clone()), "secret-tool sees the key");
    assert!(files_with(&state(&site.rehearsal), &key.secret).is_empty());
    assert_eq!((site.audit("device_key_stored"), site.rehearsal.device().unlock_requests()), (1, 1));

    let (asked, clients) = (site.rehearsal.requests().len(), site.clients());
    // Neither the device nor its client, nor a folder for its home.
    site.rehearsal.device().power_loss_for(std::time::Duration::from_secs(600));
    let again = site.agent(&["--json", "--access-key-id", &key.id]).env("XDG_RUNTIME_DIR", "/nonexistent");
    assert_key(&again.arg("--client-sha256").arg("0".repeat(64)).end().done(), &key);
    assert_key(&site.credentials(&[]).done(), &key);
    assert_eq!((site.rehearsal.requests().len(), site.clients()), (asked, clients));
    assert_eq!(site.audit("device_key_stored"), 1, "a line for what was stored, none for what was read");
}

#[test]
fn of_several_keys_none_is_chosen() {
    let site = Site::with(DeviceOptions { access_keys: 2, ..DeviceOptions::default() }, ClientOptions::default());
    let keys = site.rehearsal.device().access_keys();
    let id = &site.id;
    for from in ["the device", "the record"] {
        let clients = site.clients();
        let refused = site.credentials(&[]).failed(2, "more than one access key");
        for key in &keys {
            let line = format!("\n  snow-onboard credentials {id} --access-key-id {} ", key.id);
            assert!(refused.stderr.contains(&line), "{}", refused.stderr);
        }
        assert_eq!((refused.stdout.as_str(), site.clients() > clients), ("", from == "the device"), "{from}");
    }
    for (number, key) in keys.iter().enumerate() {
        for _ in 0..2 {
            assert_key(&site.credentials(&["--access-key-id", &key.id]).done(), key);
        }
        assert_eq!(site.item(number), Some(key.secret.clone()));
    }
    assert_eq!(site.audit("device_key_stored"), 2);
    let other = site.credentials(&["--access-key-id", "AKIAIOSFODNN7EXAMPLE"]).failed(2, "no access key with the id");
    assert!(other.stdout.is_empty() && other.stderr.contains(&keys[0].id), "{}", other.stderr);
    let secret = site.credentials(&["--access-key-id", &format!("/{}", keys[0].secret)]).failed(2, "--access-key-id");
    assert!(!secret.stderr.contains(&keys[0].secret), "{}", secret.stderr);

    let forgotten = on_the_bus(Agent::new(&site.rehearsal, ["forget", id]), &site.bus).end().done();
    assert!(forgotten.stdout.contains("(3 items)"), "{}", forgotten.stdout);
    assert_eq!((site.item(0), site.item(1), site.bus.lookup(id)), (None, None, None));
}

#[test]
fn a_device_that_was_wiped_is_asked_anew() {
    let site = Site::new();
    let old = site.rehearsal.device().access_keys().remove(0);
    assert_key(&site.credentials(&[]).done(), &old);
    site.rehearsal.device().renew_access_keys();
    let new = site.rehearsal.device().access_keys().remove(0);
    assert_key(&site.credentials(&[]).done(), &old);
    assert_key(&site.credentials(&["--refresh"]).done(), &new);
    assert_key(&site.credentials(&[]).done(), &new);
    assert_eq!(site.bus.lookup(&format!("{} {}", site.id, old.id)), None, "what no device has any more is removed");

    // Only the keys are left, as after an item was removed in the keychain's own app.
    site.bus.clear(&site.id);
    on_the_bus(Agent::new(&site.rehearsal, ["forget", "--all"]), &site.bus).end().done();
    assert_eq!(site.item(0), None);
}

#[test]
fn the_setting_keep_removes_the_pair_and_leaves_the_device_s_key_to_forget() {
    let site = Site::new();
    let key = site.rehearsal.device().access_keys().remove(0);
    assert_key(&site.credentials(&["--keep", "days:8"]).done(), &key);
    let path = state(&site.rehearsal).join("jobs").join(&site.id).join("record.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["pair"]["fetched_at"] = "2026-01-02T03:04:05Z".into();
    fs::write(&path, record.to_string()).unwrap();
    let ended = site.credentials(&["--keep", "days:8"]).done();
    assert!(ended.stderr.contains("The setting keep is days:8"), "{}", ended.stderr);
    assert_key(&ended, &key);
    assert!(site.item(0).is_some() && site.bus.lookup(&site.id).is_none());
    assert_key(&site.credentials(&[]).done(), &key);
    on_the_bus(Agent::new(&site.rehearsal, ["forget", &site.id]), &site.bus).end().done();
    assert_eq!(site.item(0), None, "the record that names it was kept for that");
}

#[test]
fn twenty_at_once_all_get_the_key_and_the_device_is_asked_by_one() {
    let site = Site::with(DeviceOptions::default(), ClientOptions { start_delay_ms: 300, ..ClientOptions::default() });
    let key = site.rehearsal.device().access_keys().remove(0);
    for round in ["from the device", "from the keychain"] {
        let running: Vec<_> = (0..20).map(|_| site.agent(&[]).spawn()).collect();
        for process in running {
            assert_key(&Ended::from(process.wait_with_output().unwrap()).done(), &key);
        }
        let asked = site.rehearsal.device().questions();
        assert!(asked.len() <= 6, "{round}: {asked:?}");
    }
    // A run that is at work on the job is nobody's concern whose key is stored.
    let lock = fs::OpenOptions::new().write(true).open(state(&site.rehearsal).join("locks").join(&site.id)).unwrap();
    lock.lock().unwrap();
    assert_key(&site.credentials(&[]).done(), &key);
}

#[test]
fn what_hinders_it_is_told_on_stderr_and_nothing_else() {
    let site = Site::new();
    let nothing = |ended: Ended| assert_eq!(ended.stdout, "");
    nothing(site.credentials(&["--keychain", "none"]).failed(2, "keychain is none"));
    nothing(site.agent(&[]).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent").end().failed(8, "can't be used"));
    let other = site.id.replace(&site.id[3..11], "00000000");
    let unknown = Agent::new(&site.rehearsal, ["credentials", &other, "--json"]).end();
    nothing(unknown.failed(6, "are not both stored"));
    site.rehearsal.device().power_loss();
    let locked = site.credentials(&[]).failed(13, "the device is LOCKED");
    assert!(locked.stderr.contains(&format!("\n  snow-onboard unlock {} ", site.id)), "{}", locked.stderr);
    assert_eq!((locked.stdout.as_str(), site.rehearsal.device().unlock_requests()), ("", 1), "it unlocks nothing");
    assert_eq!((site.audit("hand_over_begun"), site.audit("handed_over")), (2, 2), "both ends of each are told");
}

#[test]
fn a_client_that_fails_after_it_said_the_secret_makes_it_known_to_nobody() {
    let site = Site::new();
    let secret = site.rehearsal.device().access_keys().remove(0).secret;
    let all = [&[Trick::SayAnswer, Trick::FailAfter][..], &[Trick::FailAfter], &[Trick::Noise]];
    for (name, tricks) in ["both", "fails", "noisy"].into_iter().zip(all) {
        let options = tricks
            .iter()
            .fold(ClientOptions::default(), |options, trick| options.trick(Verb::GetSecretAccessKey, *trick));
        let client = site.rehearsal.install_client(name, &options).unwrap();
        let args = ["credentials", &site.id, "--refresh", "-vv"];
        let agent = Agent::new(&site.rehearsal, args).arg("--client").arg(&client);
        let log = site.rehearsal.home().join("log");
        let ended = on_the_bus(agent, &site.bus).arg("--log-file").arg(&log).end();
        assert_eq!(ended.status.success(), tricks == [Trick::Noise], "{}", ended.stderr);
        assert_eq!(ended.stdout.contains(&secret), tricks == [Trick::Noise]);
        let logged = fs::read_to_string(&log).unwrap();
        assert!(logged.contains("get-secret-access-key"), "a control: {logged}");
        for text in [&ended.stderr, &logged] {
            assert!(!text.contains(&secret), "{text}");
        }
        fs::remove_file(log).unwrap();
    }
    assert!(files_with(&state(&site.rehearsal), &secret).is_empty());
}

/// With the AWS CLI itself.
#[test]
fn the_aws_cli_takes_it() {
    let folder_of_cli = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/boto3/bin");
    if !folder_of_cli.join("aws").exists() {
        return snow_rehearsal::skipped("the AWS CLI is not in target/boto3, where tests/run puts it");
    }
    let site = Site::new();
    let key = site.rehearsal.device().access_keys().remove(0);
    let folder = site.rehearsal.home().join(".aws");
    fs::create_dir(&folder).unwrap();
    let profile = |name: &str, more: &str| {
        let (agent, client) = (env!("CARGO_BIN_EXE_snow-onboard"), site.rehearsal.client_path().display());
        format!(
            "[profile {name}]\nregion = snow\ncredential_process = \"{agent}\" credentials {} --client \"{client}\"{more}\n",
            site.id
        )
    };
    let config = [profile("device", ""), profile("wrong", " --access-key-id AKIAIOSFODNN7EXAMPLE")].concat();
    fs::write(folder.join("config"), config).unwrap();
    let start = |program: &str, args: &[&str]| {
        let mut command = Command::new(folder_of_cli.join(program));
        command.args(args).env_clear().env("PATH", "/usr/bin:/bin").envs(site.rehearsal.env());
        let of_the_keyring = |name: &&str| matches!(*name, "DBUS_SESSION_BUS_ADDRESS" | "XDG_DATA_HOME");
        command.envs(site.bus.environment().into_iter().filter(|(name, _)| of_the_keyring(name)));
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            command.env_remove(name);
        }
        Ended::from(command.stdin(Stdio::null()).output().unwrap())
    };
    const READ: &str = "import sys, botocore.session as s; c = s.Session(profile=sys.argv[1]).get_credentials()\n\
                        print(c.access_key, c.secret_key, c.token)";
    for _ in 0..2 {
        let read = start("python", &["-c", READ, "device"]).done().stdout;
        assert_eq!(read, format!("{} {} None\n", key.id, key.secret));
    }
    let listed = start("aws", &["configure", "list", "--profile", "device"]).done().stdout;
    assert!(listed.contains("custom-process") && listed.contains(&key.id[16..]), "{listed}");
    let refused = start("aws", &["s3", "ls", "--profile", "wrong"]);
    assert!(!refused.status.success() && refused.stderr.contains("no access key with the id"), "{}", refused.stderr);
}
