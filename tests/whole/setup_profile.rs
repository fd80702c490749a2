//! `setup-profile`: the change is shown, made, and undone to the last byte.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use snow_rehearsal::{DeviceOptions, Interface, Purpose, Rehearsal};

use crate::agent::{Agent, Ended, files_with, state};
use crate::events;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

/// What an operator may have there: a comment, two ways to end a line, and a last line without an end.
const BEFORE: &[u8] = b"# mine\r\n[default]\r\nregion = eu-west-1\n\n[profile b\xc3\xbcro]\nregion : x\n  ; no end";

/// A device that was opened from here, a keychain, and the AWS CLI's settings.
struct Site {
    rehearsal: Rehearsal,
    bus: KeyringBus,
    id: String,
}

impl Site {
    fn with(device: DeviceOptions) -> Self {
        let rehearsal = Rehearsal::builder().device(device).start().unwrap();
        let bus = KeyringBus::start(Keyring::Unlocked);
        on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().done();
        let id = rehearsal.job().id().to_owned();
        let site = Self { rehearsal, bus, id };
        fs::create_dir(site.config().parent().unwrap()).unwrap();
        fs::write(site.config(), BEFORE).unwrap();
        site
    }

    fn new() -> Self {
        Self::with(DeviceOptions::default())
    }

    fn config(&self) -> PathBuf {
        self.rehearsal.home().join(".aws/config")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.config()).unwrap()
    }

    fn certificates(&self) -> PathBuf {
        state(&self.rehearsal).join("certificates").join(format!("{}.pem", self.id))
    }

    fn agent(&self, args: &[&str]) -> Agent {
        let client = self.rehearsal.client_path().to_owned();
        let agent = Agent::new(&self.rehearsal, [&["setup-profile", &self.id], args].concat());
        on_the_bus(agent.arg("--client").arg(client), &self.bus)
    }

    fn setup(&self, args: &[&str]) -> Ended {
        self.agent(args).end()
    }

    fn name(&self) -> String {
        format!("snow-{}", &self.id[3..11])
    }
}

#[test]
fn a_profile_is_shown_written_and_taken_out_to_the_last_byte() {
    let site = Site::new();
    let (name, key) = (site.name(), site.rehearsal.device().access_keys().remove(0));
    let shown = site.setup(&["--dry-run"]).done().stdout;
    for line in [
        format!("+ [profile {name}]"),
        "+ region = snow".to_owned(),
        "+ request_checksum_calculation = when_required".to_owned(),
        "+   addressing_style = path".to_owned(),
        "+   endpoint_url = https://127.0.0.1:8443".to_owned(),
        "+   endpoint_url = https://127.0.0.1:6089".to_owned(),
    ] {
        assert!(shown.contains(&line), "{line}: {shown}");
    }
    site.setup(&[]).failed(2, "This program cannot ask");
    assert_eq!((fs::read(site.config()).unwrap(), site.certificates().exists()), (BEFORE.to_vec(), false));
    assert_eq!(site.bus.lookup(&format!("{} {}", site.id, key.id)), None, "nor was the key stored");

    let written = site.setup(&["--yes"]).done().stdout;
    for line in [
        format!("aws s3 ls --profile {name}"),
        "export NO_PROXY=127.0.0.1".to_owned(),
        "--endpoint https://127.0.0.1:8443".to_owned(),
    ] {
        assert!(written.contains(&line), "{line}: {written}");
    }
    let config = fs::read(site.config()).unwrap();
    assert!(config.starts_with(BEFORE) && config.len() > BEFORE.len());
    let text = site.text();
    let command =
        format!("credential_process = {} credentials {} --client ", env!("CARGO_BIN_EXE_snow-onboard"), site.id);
    assert!(
        text.contains(&command) && text.contains(&format!("ca_bundle = {}\r\n", site.certificates().display())),
        "{text}"
    );
    let pem = fs::read_to_string(site.certificates()).unwrap();
    let device = site.rehearsal.device();
    for certificate in [device.certificate(), device.storage_certificate().unwrap()] {
        assert!(pem.contains(&certificate.pem), "{}", certificate.arn);
    }
    assert_eq!(site.bus.lookup(&format!("{} {}", site.id, key.id)), Some(key.secret.clone()));
    for secret in [key.secret.as_str(), site.rehearsal.job().unlock_code().as_str()] {
        assert!(
            files_with(site.rehearsal.home(), secret).is_empty()
                && files_with(&state(&site.rehearsal), secret).is_empty()
        );
    }

    let lines = || {
        let log = fs::read_to_string(state(&site.rehearsal).join("audit.jsonl")).unwrap();
        log.matches("\"step\":\"profile_written\"").count()
    };
    assert!(site.setup(&["--yes"]).done().stdout.contains("as it should be"));
    assert_eq!(site.setup(&["--yes", "--json"]).done().json("result")["written"], false);
    assert_eq!((fs::read(site.config()).unwrap(), lines()), (config, 1));
    let refused = site.setup(&["--remove", "--name", &name]).failed(2, "This program cannot ask");
    let line = format!("setup-profile {} --name {name} --remove --yes", site.id);
    assert!(refused.stderr.contains(&line), "{}", refused.stderr);
    let shown = site.setup(&["--remove", "--dry-run"]).done().stdout;
    assert!(shown.contains(&format!("- [profile {name}]")), "{shown}");
    let removed = site.setup(&["--remove", "--yes", "--json"]).done();
    assert_eq!(events::flaw_of_all(&removed.stdout), None);
    assert_eq!(removed.json("result")["profiles"][0]["profile"], name.as_str());
    assert_eq!((fs::read(site.config()).unwrap(), site.certificates().exists()), (BEFORE.to_vec(), false));
    assert!(site.setup(&["--remove", "--yes"]).done().stdout.contains("There is no profile"));
    let log = fs::read_to_string(state(&site.rehearsal).join("audit.jsonl")).unwrap();
    for step in ["profile_written", "profile_removed"] {
        assert!(log.contains(&format!("\"step\":\"{step}\",\"purpose\":\"setup-profile\"")), "{log}");
    }
}

#[test]
fn where_there_is_no_file_one_is_made_and_goes_again() {
    let site = Site::new();
    fs::remove_dir_all(site.config().parent().unwrap()).unwrap();
    let json = site.setup(&["--yes", "--json", "--name", "device"]).done();
    assert_eq!(events::flaw_of_all(&json.stdout), None);
    let result = json.json("result");
    assert_eq!(
        (&result["profile"], &result["s3"], &result["written"]),
        (&"device".into(), &"adapter".into(), &true.into())
    );
    assert_eq!(result["no_proxy"], serde_json::json!(["127.0.0.1"]));
    let second = site.setup(&["--yes", "--name", "second"]).done();
    assert!(second.stdout.contains("“second”"), "{}", second.stdout);
    site.setup(&["--remove", "--yes", "--name", "device"]).done();
    assert!(site.text().contains("[profile second]") && !site.text().contains("[profile device]"));
    assert!(site.certificates().exists(), "the other one needs them");
    site.setup(&["--remove", "--yes"]).done();
    assert!(!site.config().exists() && !site.config().parent().unwrap().exists());
}

#[test]
fn after_a_change_of_address_the_block_is_replaced_and_nothing_else() {
    let site = Site::new();
    site.setup(&["--yes"]).done();
    let mut config = fs::read(site.config()).unwrap();
    config.extend_from_slice(b"\n[profile later]\nregion = y\n");
    fs::write(site.config(), &config).unwrap();
    let before = fs::read_to_string(site.certificates()).unwrap();

    site.rehearsal.device().move_to(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9))).unwrap();
    let endpoint = site.rehearsal.device().endpoint();
    let client = site.rehearsal.client_path();
    let unlock = Agent::new(&site.rehearsal, ["unlock", &site.id, "--endpoint", &endpoint]).arg("--client").arg(client);
    on_the_bus(unlock, &site.bus).end().done();
    let shown = site.setup(&["--dry-run", "--endpoint", &endpoint]).done().stdout;
    assert!(
        shown.contains("- endpoint_url = https://127.0.0.1:8443\n+ endpoint_url = https://127.0.0.9:8443"),
        "{shown}"
    );
    let shown = site.setup(&["--yes", "--endpoint", &endpoint]).done().stdout;
    assert!(shown.contains("was written into"), "{shown}");
    let after = fs::read_to_string(site.certificates()).unwrap();
    assert!(after.contains(&site.rehearsal.device().certificate().pem) && before != after);
    assert_eq!(site.text(), String::from_utf8(config).unwrap().replace("127.0.0.1", "127.0.0.9"));

    // forget takes it out, and says so.
    let forgotten = on_the_bus(Agent::new(&site.rehearsal, ["forget", &site.id, "--json"]), &site.bus).end().done();
    assert_eq!(events::flaw_of_all(&forgotten.stdout), None);
    let config = site.config().display().to_string();
    assert_eq!(forgotten.json("result")["profiles_removed_from"], serde_json::json!([config]));
    let expected = [BEFORE, b"\n[profile later]\nregion = y\n"].concat();
    assert_eq!((fs::read(site.config()).unwrap(), site.certificates().exists()), (expected, false));
}

#[test]
fn the_storage_is_the_one_that_was_asked_for_and_only_if_it_is_active() {
    let site = Site::new();
    let interface = |last, purpose, state: &str| Interface {
        host: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)),
        port: 443,
        purpose,
        state: state.to_owned(),
    };
    let set = |objects: &str| {
        let interfaces = vec![interface(21, Purpose::Buckets, "ACTIVE"), interface(22, Purpose::Objects, objects)];
        site.rehearsal.device().set_services(|services| services.interfaces = interfaces);
    };
    set("ACTIVATING");
    let refused = site.setup(&["--dry-run", "--s3", "s3-snow"]).failed(13, "says ACTIVATING of s3-snow");
    assert!(refused.stderr.contains("--s3 adapter"), "{}", refused.stderr);
    set("ACTIVE");
    let both = site.setup(&["--dry-run"]).done().stdout;
    assert!(both.contains("(S3 adapter)") && both.contains("--s3 s3-snow"), "{both}");
    let snow = site.setup(&["--yes", "--s3", "s3-snow"]).done().stdout;
    assert!(
        snow.contains("https://192.0.2.22:443") && snow.contains("export NO_PROXY=192.0.2.22,192.0.2.21,127.0.0.1"),
        "{snow}"
    );
    assert!(site.text().contains("s3control =\r\n  endpoint_url = https://192.0.2.21:443\r\n"), "{}", site.text());
    site.rehearsal.device().set_services(|services| services.ids.retain(|id| id != "s3"));
    let only = site.setup(&["--dry-run"]).done().stdout;
    assert!(only.contains("Nothing would change"), "{only}");
}

#[test]
fn a_name_that_is_taken_and_a_file_that_others_can_change_stay_as_they_are() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new();
    let asked = || site.rehearsal.client_invocations().unwrap().len();
    let clients = asked();
    let taken = [BEFORE, b"\n[profile 'snow1']\n"].concat();
    fs::write(site.config(), &taken).unwrap();
    let refused = site.setup(&["--yes", "--name", "snow1"]).failed(2, "There is already a profile “snow1”");
    assert!(refused.stderr.contains(&format!("setup-profile {} --name NAME", site.id)), "{}", refused.stderr);
    site.setup(&["--yes", "--name", "a b"]).failed(2, "The profile name “a b”");
    fs::write(site.config().with_file_name("credentials"), "[device]\naws_access_key_id = AKIA\n").unwrap();
    site.setup(&["--yes", "--name", "device"]).failed(2, "There is already a profile “device”");
    assert_eq!((fs::read(site.config()).unwrap(), asked()), (taken, clients), "known before a client is started");

    fs::set_permissions(site.config(), fs::Permissions::from_mode(0o666)).unwrap();
    let before = fs::read(site.config()).unwrap();
    let refused = site.setup(&["--yes"]).failed(9, "can be written by everyone");
    for line in
        [format!("\n  [profile {}]", site.name()), "\n    addressing_style = path".to_owned(), "chmod go-w".to_owned()]
    {
        assert!(refused.stderr.contains(&line), "{line}: {}", refused.stderr);
    }
    assert_eq!(fs::read(site.config()).unwrap(), before);
    assert!(site.certificates().exists(), "the lines to add by hand lead to them");
}

#[test]
fn a_program_that_others_can_exchange_gets_into_no_profile() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new();
    let folder = site.rehearsal.root().join("open to all");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let program = folder.join("snow-onboard");
    let copied =
        std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_snow-onboard")).arg(&program).status().unwrap();
    assert!(copied.success());
    let refused = site.agent(&["--yes"]).by(&program).end().failed(9, "somebody else can exchange");
    assert!(refused.stderr.contains("open to all"), "{}", refused.stderr);
    assert_eq!(fs::read(site.config()).unwrap(), BEFORE);
}

#[test]
fn of_several_keys_one_has_to_be_named() {
    let site = Site::with(DeviceOptions { access_keys: 2, ..DeviceOptions::default() });
    let key = site.rehearsal.device().access_keys().remove(1);
    let refused = site.setup(&["--dry-run"]).failed(2, "more than one access key");
    let line = format!("\n  snow-onboard setup-profile {} --access-key-id {}", site.id, key.id);
    assert!(refused.stderr.contains(&line), "{}", refused.stderr);
    site.setup(&["--yes", "--access-key-id", &key.id]).done();
    assert!(site.text().contains(&format!("credentials {} --access-key-id {}", site.id, key.id)), "{}", site.text());
}

#[test]
fn eks_anywhere_gets_its_two_files_and_loses_them_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new();
    let key = site.rehearsal.device().access_keys().remove(0);
    let file = site.rehearsal.home().join("eksa");
    let eksa = file.to_str().unwrap();
    let refused = site.setup(&["--eksa", eksa]).failed(2, "This program cannot ask");
    assert!(refused.stderr.contains(&format!("--eksa {eksa} --yes")), "{}", refused.stderr);
    let shown = site.setup(&["--dry-run", "--eksa", eksa]).done().stdout;
    assert!(shown.contains(&format!("{eksa}.pem")) && shown.contains("unencrypted"), "{shown}");
    assert!(!file.exists());
    let (config, credentials) = (site.config(), site.config().with_file_name("credentials"));
    for (own, link) in [(&config, None), (&credentials, None), (&config, Some(eksa.to_owned() + ".pem"))] {
        let given = if let Some(link) = &link {
            std::os::unix::fs::symlink(own, link).unwrap();
            eksa
        } else {
            own.to_str().unwrap()
        };
        site.setup(&["--yes", "--eksa", given]).failed(2, "one of the AWS CLI's own files");
        link.map_or(Ok(()), fs::remove_file).unwrap();
        assert_eq!((fs::read(&config).unwrap(), credentials.exists(), file.exists()), (BEFORE.to_vec(), false, false));
    }
    let other = "[192.0.2.99]\naws_access_key_id = AKIA\n";
    fs::write(&file, other).unwrap();
    site.setup(&["--yes", "--eksa", eksa]).failed(9, "a file that only you can open");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let written = site.setup(&["--yes", "--eksa", eksa]).done();
    assert!(written.stdout.contains(&format!("export EKSA_AWS_CREDENTIALS_FILE={eksa}\n")), "{}", written.stdout);
    assert!(written.stdout.contains("unencrypted"), "{}", written.stdout);
    let text = fs::read_to_string(&file).unwrap();
    let section =
        format!("[127.0.0.1]\naws_access_key_id = {}\naws_secret_access_key = {}\nregion = snow\n", key.id, key.secret);
    assert!(text.starts_with(other) && text.contains(&section), "{text}");
    let pem = fs::read_to_string(format!("{eksa}.pem")).unwrap();
    assert!(pem.contains(&site.rehearsal.device().certificate().pem), "{pem}");
    for path in [eksa.to_owned(), format!("{eksa}.pem")] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let shown = site.setup(&["--remove", "--dry-run"]).done().stdout;
    assert!(!shown.contains(&key.secret) && shown.contains("(not shown)"), "{shown}");
    let forgotten = on_the_bus(Agent::new(&site.rehearsal, ["forget", &site.id]), &site.bus).end().done();
    assert!(forgotten.stdout.contains(eksa), "{}", forgotten.stdout);
    assert_eq!(fs::read_to_string(&file).unwrap(), other);
    assert!(!file.with_extension("pem").exists() && files_with(site.rehearsal.home(), &key.secret).is_empty());
}

#[test]
fn a_name_that_is_not_there_is_no_success_and_lines_of_others_are_named_before_they_go() {
    let site = Site::new();
    let refused = site.setup(&["--remove", "--yes", "--name", "other"]).failed(2, "No profile “other”");
    assert!(refused.stderr.contains("wrote no other one"), "{}", refused.stderr);
    site.setup(&["--yes"]).done();
    let line = format!("setup-profile {} --remove --name {}", site.id, site.name());
    for more in [&["--yes"][..], &["--dry-run"]] {
        let refused =
            site.setup(&[&["--remove", "--name", "other"][..], more].concat()).failed(2, "No profile “other”");
        assert!(refused.stderr.contains(&line), "{}", refused.stderr);
    }
    let written = site.text();
    let edited = written.replace("region = snow\r\n", "region = snow\r\noutput = json\r\nx_token = abc\r\n");
    assert_ne!(edited, written);
    let warns = |ended: &Ended| {
        assert!(
            ended.stderr.contains("was edited by hand") && ended.stderr.contains("output = json"),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("abc"), "{}", ended.stderr);
    };
    fs::write(site.config(), &edited).unwrap();
    warns(&site.setup(&["--remove", "--dry-run"]).done());
    warns(&site.setup(&["--yes"]).done());
    assert_eq!(site.text(), written, "the control: they are replaced");
    fs::write(site.config(), &edited).unwrap();
    warns(&site.setup(&["--remove", "--yes"]).done());
    site.setup(&["--yes"]).done();
    fs::write(site.config(), &edited).unwrap();
    let json = on_the_bus(Agent::new(&site.rehearsal, ["forget", &site.id, "--json"]), &site.bus).end().done();
    assert!(json.stdout.contains("was edited by hand"), "{}", json.stdout);
    assert!(json.stdout.lines().last().unwrap().contains("\"event\":\"result\""), "{}", json.stdout);
}
