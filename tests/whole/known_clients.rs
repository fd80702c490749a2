//! What a client answered for one job is known for the next, and saves nothing but time.

use std::path::Path;

use snow_rehearsal::{ClientOptions, Device, DeviceOptions, Job, Rehearsal, Unlocking, VersionText};

use crate::agent::{Agent, Ended, state};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

const GOOD_PATH: [&str; 3] = ["describe-device", "unlock-device", "describe-device"];

/// Jobs of one account, each with its device, and a keyring for their codes.
struct Site {
    rehearsal: Rehearsal,
    bus: KeyringBus,
    devices: Vec<Device>,
}

impl Site {
    fn new(client: ClientOptions) -> Self {
        let builder = (0..6).fold(Rehearsal::builder(), |builder, _| builder.job(Job::new()));
        let rehearsal = builder.client(client).start().unwrap();
        let add = |job| {
            let device = rehearsal.add_device(job, DeviceOptions::default()).unwrap();
            device.set_unlocking(Unlocking::Polls(0));
            device
        };
        let devices = rehearsal.jobs()[1..].iter().map(add).collect();
        rehearsal.device().set_unlocking(Unlocking::Polls(0));
        Self { rehearsal, bus: KeyringBus::start(Keyring::Unlocked), devices }
    }

    fn run(&self, job: usize, client: &Path, more: &[&str]) -> Ended {
        let device = job.checked_sub(1).map_or(self.rehearsal.device(), |at| &self.devices[at]);
        let (id, endpoint) = (self.rehearsal.jobs()[job].id().to_owned(), device.endpoint());
        let args = [&["run", &id, "--endpoint", &endpoint], more].concat();
        on_the_bus(Agent::new(&self.rehearsal, args).arg("--client").arg(client), &self.bus).end()
    }

    /// The commands that `job`'s run gives to the client.
    fn commands(&self, job: usize, more: &[&str]) -> Vec<String> {
        let before = self.rehearsal.client_invocations().unwrap().len();
        self.run(job, self.rehearsal.client_path(), more).done();
        let calls = self.rehearsal.client_invocations().unwrap();
        let mut commands: Vec<_> = calls[before..].iter().map(|call| call.argv[1].clone()).collect();
        // Asked at the same time.
        if commands[0] == "help" {
            commands.swap(0, 1);
        }
        commands
    }

    fn known(&self) -> String {
        std::fs::read_to_string(state(&self.rehearsal).join("clients.json")).unwrap_or_default()
    }
}

#[test]
fn a_client_is_asked_its_version_once_for_all_jobs_until_it_changes() {
    let site = Site::new(ClientOptions::default());
    let anew = [&["version", "help"], &GOOD_PATH[..]].concat();
    assert_eq!(site.commands(5, &["--keychain", "none"]), anew);
    assert_eq!(site.known(), "", "a run that keeps nothing keeps nothing of this either");
    assert_eq!(site.commands(0, &[]), anew);
    assert_eq!(site.commands(1, &[]), GOOD_PATH, "the first run of a second job");
    let known = site.known();
    assert!(known.contains("\"1.2.0\"") && !known.contains(site.rehearsal.jobs()[0].id()), "{known}");

    std::fs::write(state(&site.rehearsal).join("clients.json"), "{").unwrap();
    assert_eq!(site.commands(2, &[]), anew, "what is damaged is not used");
    assert_eq!(site.known(), known, "and is replaced");

    let tree = site.rehearsal.client_path().parent().unwrap().parent().unwrap();
    std::fs::write(tree.join("lib/another.jar"), "").unwrap();
    assert_eq!(site.commands(3, &[]), anew, "another client by its files");
    assert_eq!(site.commands(4, &[]), GOOD_PATH);
}

#[test]
fn a_client_that_did_not_take_the_code_is_asked_anew() {
    let site = Site::new(ClientOptions::default());
    let options = vec![format!("-Duser.home={}", site.rehearsal.root().join("elsewhere").display())];
    let odd = ClientOptions { launcher_options: options, ..ClientOptions::default() };
    let odd = site.rehearsal.install_client("odd", &odd).unwrap();
    let folder = odd.ancestors().nth(3).unwrap().to_owned();
    // What it was started with, a line a start.
    let starts = || std::fs::read_to_string(folder.join("snowballEdge-invocations.jsonl")).unwrap_or_default();
    for job in [0, 1] {
        site.run(job, &odd, &["--handoff", "private"]).failed(12, "can't be given the code privately");
        let asked = starts().lines().filter(|start| start.contains("\"version\"")).count();
        assert_eq!(asked, job + 1, "{}", starts());
        assert!(!site.known().contains("\"1.2.0\""), "{}", site.known());
    }
}

#[test]
fn what_a_jvm_does_not_start_with_is_known_as_well() {
    let site = Site::new(ClientOptions { other_jvm: true, ..ClientOptions::default() });
    let asked = site.commands(0, &[]);
    let of = |command: &str| asked.iter().filter(|asked| *asked == command).count();
    // The first `help` may be ended, by the `version` beside it, before it notes that it was started.
    assert!(of("version") == 2 && (1..=2).contains(&of("help")), "{asked:?}");
    assert_eq!(site.commands(1, &[]), GOOD_PATH);
    let calls = site.rehearsal.client_invocations().unwrap();
    let last = &calls.last().unwrap().jvm_options;
    assert!(!last.is_empty() && !last.iter().any(|option| option.starts_with("-X")), "{last:?}");
}

#[test]
fn a_version_that_was_refused_is_not_known() {
    let site = Site::new(ClientOptions::default());
    let unknown = ClientOptions { version: VersionText::Other("Frostball 7".to_owned()), ..ClientOptions::default() };
    let unknown = site.rehearsal.install_client("unknown", &unknown).unwrap();
    site.run(0, &unknown, &[]).failed(11, "version");
    assert_eq!(site.known(), "");
    site.run(0, &unknown, &["--allow-unknown-client"]).done();
    assert_eq!(site.known(), "", "nor one that was allowed");
}

#[test]
fn before_the_command_line_a_known_client_is_asked_anew() {
    let site = Site::new(ClientOptions { ignores_our_home: true, ..ClientOptions::default() });
    assert!(site.commands(0, &["--allow-argv"]).contains(&"version".to_owned()));
    let before = site.rehearsal.client_invocations().unwrap().len();
    let commands = site.commands(1, &["--allow-argv"]);
    assert!(!commands.contains(&"version".to_owned()), "{commands:?}");
    let code = site.rehearsal.jobs()[1].unlock_code();
    let calls = site.rehearsal.client_invocations().unwrap();
    let shown = calls[before..].iter().position(|call| call.argv.contains(&code)).unwrap();
    let asked = commands.iter().position(|command| command == "help").unwrap();
    assert!(asked < shown, "{commands:?}");
}
