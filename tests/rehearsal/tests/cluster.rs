//! A cluster: its nodes beside each other, and the client's commands for them.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use snow_rehearsal::{
    ClientOptions, ClusterHandle, ClusterRequests, Command as Verb, DeviceOptions, Job, Mode, Rehearsal, State, Trick,
    Unlocking,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster of three beside a job of its own, with a profile `p` for it as the vendor's file has one.
struct Set {
    rehearsal: Rehearsal,
    cluster: ClusterHandle,
}

impl Set {
    fn new(client: ClientOptions, options: impl Fn(usize) -> DeviceOptions) -> Self {
        let builder = Rehearsal::builder().job(Job::new()).cluster(Job::new().job_type("LOCAL_USE"), 3);
        let rehearsal = builder.client(client).start().unwrap();
        let cluster = rehearsal.start_cluster(&rehearsal.clusters()[0], options).unwrap();
        let set = Self { rehearsal, cluster };
        set.profile(&set.cluster.addresses());
        set
    }

    fn plain() -> Self {
        Self::new(ClientOptions::default(), |_| at_once())
    }

    /// Writes the profile, and the manifest that it names.
    fn profile(&self, addresses: &[String]) {
        let home = self.rehearsal.home();
        let job = &self.cluster.jobs()[0];
        fs::write(home.join("m.bin"), job.manifest()).unwrap();
        let profile = json!({
            "name": "p", "jobId": job.id(), "unlockCode": job.unlock_code(), "manifestPath": home.join("m.bin"),
            "defaultEndpoint": self.cluster.nodes()[0].endpoint(), "isCluster": true, "deviceIps": addresses,
        });
        let folder = home.join(".aws").join("snowball").join("config");
        fs::create_dir_all(&folder).unwrap();
        let config = json!({ "version": 1, "profiles": { "p": profile } });
        fs::write(folder.join("snowball-edge.config"), config.to_string()).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(self.rehearsal.client_path())
            .args(args)
            .env("JAVA_TOOL_OPTIONS", format!("\"-Duser.home={}\"", self.rehearsal.home().display()))
            .output()
            .unwrap()
    }

    fn says(&self, args: &[&str]) -> String {
        let output = self.run(&[args, &["--profile", "p"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What an unsuccessful command says, which is invented.
    fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains("[invented]"), "{args:?}: {text}");
        text
    }

    /// Each node's lock, association and reachability, by the endpoint at this node.
    fn seen_from(&self, node: usize) -> Vec<[String; 3]> {
        let endpoint = self.cluster.nodes()[node].endpoint();
        let value: Value = serde_json::from_str(&self.says(&["describe-cluster", "--endpoint", &endpoint])).unwrap();
        assert_eq!(value["ClusterId"], self.cluster.id());
        let word = |device: &Value, member: &str| device[member]["State"].as_str().unwrap_or("-").to_owned();
        let devices = value["Devices"].as_array().unwrap();
        devices
            .iter()
            .map(|device| {
                ["UnlockStatus", "ClusterAssociation", "NetworkReachability"].map(|member| word(device, member))
            })
            .collect()
    }
}

fn at_once() -> DeviceOptions {
    DeviceOptions { unlocking: Unlocking::For(Duration::ZERO), ..DeviceOptions::default() }
}

const LOCKED: [&str; 3] = ["LOCKED", "DISASSOCIATED", "REACHABLE"];
const OPEN: [&str; 3] = ["UNLOCKED", "ASSOCIATED", "REACHABLE"];

#[test]
fn a_cluster_is_described_unlocked_and_described_again() {
    let set = Set::new(ClientOptions::default(), |node| match node {
        2 => DeviceOptions { unlocking: Unlocking::Polls(1), ..DeviceOptions::default() },
        _ => at_once(),
    });
    assert_eq!(set.seen_from(0), [LOCKED; 3]);
    let said = set.says(&["unlock-cluster"]);
    assert!(said.starts_with("Your Snowball Edge Cluster is unlocking. You may determine the unlock state"), "{said}");
    assert!(said.ends_with("when your Snowball Edge devices are in the UNLOCKED state.\n"), "{said}");
    assert_eq!(set.seen_from(1), [OPEN, OPEN, ["UNLOCKING", "DISASSOCIATED", "REACHABLE"]]);
    assert_eq!(set.seen_from(0), [OPEN; 3]);
    assert!(set.cluster.is_open());

    let text = set.says(&["describe-cluster"]);
    let value: Value = serde_json::from_str(&text).unwrap();
    let node = &set.cluster.jobs()[1];
    assert_eq!(
        value["Devices"][1],
        json!({
            "DeviceId": node.id(),
            "UnlockStatus": { "State": "UNLOCKED" },
            "ActiveNetworkInterface": { "IpAddress": "127.0.0.1" },
            "ClusterAssociation": { "State": "ASSOCIATED", "ClusterId": set.cluster.id() },
            "NetworkReachability": { "State": "REACHABLE" },
        })
    );
    assert!(text.contains("\"State\" : \"REACHABLE\""), "{text}");
    // A node describes itself too.
    assert!(set.says(&["describe-device"]).contains(set.cluster.jobs()[0].id()));

    let counted = ClusterRequests { unlock_cluster: 1, describe_cluster: 4, ..ClusterRequests::default() };
    assert_eq!(set.cluster.requests(), counted);
    assert_eq!(set.cluster.nodes().iter().map(snow_rehearsal::Device::unlock_requests).sum::<u32>(), 3);
    let code = node.unlock_code();
    assert!(set.rehearsal.client_invocations().unwrap().iter().all(|one| !one.argv.contains(&code)));
}

#[test]
fn addresses_on_the_command_line_go_before_the_profiles() {
    let set = Set::plain();
    let addresses = set.cluster.addresses();
    let job = &set.cluster.jobs()[0];
    let manifest = set.rehearsal.home().join("m.bin").to_string_lossy().into_owned();
    let (endpoint, code) = (set.cluster.nodes()[0].endpoint(), job.unlock_code());
    let given = ["unlock-cluster", "--endpoint", &endpoint, "--manifest-file", &manifest, "--unlock-code", &code];
    let two = ["--device-ip-addresses", &addresses[0], &addresses[1]];
    assert!(set.refused(&given).contains("--device-ip-addresses"));
    assert!(set.run(&[&given[..], &two].concat()).status.success());
    // The third is not among them.
    assert_eq!(set.seen_from(0), [OPEN, OPEN, LOCKED]);
    assert_eq!(set.cluster.nodes()[2].unlock_requests(), 0);
    assert!(set.rehearsal.client_invocations().unwrap().iter().any(|one| one.argv.contains(&addresses[1])));

    let without_endpoint = ["unlock-cluster", "--profile", "p", "--device-ip-addresses", &addresses[2]];
    set.refused(&without_endpoint);
    set.profile(&[]);
    set.refused(&["unlock-cluster", "--profile", "p"]);
    set.says(&[&["unlock-cluster"][..], &["--device-ip-addresses", &addresses[0], &addresses[2]]].concat());
    assert!(set.cluster.is_open());
}

#[test]
fn a_node_that_boots_is_unreachable_and_asked_for_later() {
    let set = Set::new(ClientOptions::default(), |node| match node {
        1 => DeviceOptions { boot: Duration::from_secs(600), ..at_once() },
        _ => at_once(),
    });
    let missing = ["-", "DISASSOCIATED", "UNREACHABLE"];
    assert_eq!(set.seen_from(0), [LOCKED, missing, LOCKED]);
    set.says(&["unlock-cluster"]);
    assert_eq!(set.seen_from(0), [OPEN, missing, OPEN]);
    assert!(!set.cluster.is_open());
    // As the endpoint it does not answer.
    let endpoint = set.cluster.nodes()[1].endpoint();
    let said = set.refused(&["describe-cluster", "--profile", "p", "--endpoint", &endpoint]);
    assert!(said.contains("connection refused"), "{said}");
    set.refused(&["associate-device", "--profile", "p", "--device-ip-address", &set.cluster.addresses()[1]]);
}

#[test]
fn a_node_that_lost_power_is_associated_again() {
    let set = Set::new(ClientOptions::default(), |_| DeviceOptions { unlocked: true, ..at_once() });
    assert_eq!(set.seen_from(0), [OPEN; 3]);
    let node = &set.cluster.nodes()[2];
    node.power_loss_for(Duration::from_millis(300));
    assert_eq!(set.seen_from(0)[2], ["-", "ASSOCIATED", "UNREACHABLE"]);
    let until = Instant::now() + PATIENCE;
    while node.state() == State::Booting {
        assert!(Instant::now() < until, "the node did not come back");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(set.seen_from(0), [OPEN, OPEN, LOCKED]);
    let address = set.cluster.addresses()[2].clone();
    let mut said = set.run(&["associate-device", "--profile", "p", "--device-ip-address", &address]);
    // The port opens a moment after the boot is over.
    while !said.status.success() && Instant::now() < until {
        said = set.run(&["associate-device", "--profile", "p", "--device-ip-address", &address]);
    }
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.starts_with("Associating your Snowball Edge device with the cluster. "), "{said}");
    assert_eq!(set.seen_from(0), [OPEN; 3]);
    assert_eq!((set.cluster.requests().associate_device, node.unlock_requests()), (1, 1));

    node.power_loss();
    set.says(&["unlock-cluster"]);
    assert!(set.cluster.is_open());
}

#[test]
fn what_is_not_for_a_node_is_refused_and_counted() {
    let set = Set::plain();
    assert!(set.refused(&["unlock-device", "--profile", "p"]).contains("unlock-cluster"));
    let node = set.cluster.jobs()[1].id().to_owned();
    set.refused(&["disassociate-device", "--profile", "p", "--device-id", &node]);
    let counted = ClusterRequests { disassociate_device: 1, ..ClusterRequests::default() };
    assert_eq!(set.cluster.requests(), counted);
    assert_eq!(set.seen_from(0), [LOCKED; 3]);

    // A device of its own is no node, and does not know the cluster's manifest.
    let lone = set.rehearsal.device().address().to_string();
    let own = set.cluster.addresses()[0].clone();
    let said = set.refused(&["unlock-cluster", "--profile", "p", "--device-ip-addresses", &own, &lone]);
    assert!(said.contains("does not accept"), "{said}");
    assert_eq!(set.rehearsal.device().strangers(), 1);
    assert!(set.rehearsal.start_cluster("CID0", |_| at_once()).is_err());
}

#[test]
fn nodes_misbehave_each_in_its_own_way() {
    let set = Set::new(ClientOptions::default(), |node| match node {
        0 => DeviceOptions { mode: Mode::StuckUnlocking, ..at_once() },
        1 => DeviceOptions { mode: Mode::Says("DEGRADED".to_owned()), ..at_once() },
        _ => DeviceOptions { mode: Mode::StaysDisassociated, ..at_once() },
    });
    set.says(&["unlock-cluster"]);
    assert_eq!(
        set.seen_from(0),
        [
            ["UNLOCKING", "DISASSOCIATED", "REACHABLE"],
            ["DEGRADED", "DISASSOCIATED", "REACHABLE"],
            ["UNLOCKED", "DISASSOCIATED", "REACHABLE"],
        ]
    );
    assert!(!set.cluster.is_open());
    let stranger = set.rehearsal.job().id().to_owned();
    set.cluster.nodes()[2].set_mode(Mode::OtherDevice(stranger.clone()));
    assert!(set.says(&["describe-cluster"]).contains(&format!("\"DeviceId\" : \"{stranger}\"")));
}

#[test]
fn jobs_of_a_cluster_differ_where_a_test_says_so() {
    let set = Set::plain();
    let jobs = set.cluster.jobs();
    assert_eq!(jobs[0].unlock_code(), jobs[1].unlock_code());
    jobs[1].renew_code();
    assert_ne!(jobs[0].unlock_code(), jobs[1].unlock_code());
    jobs[2].set_state("PreparingAppliance");
    assert_eq!((jobs[0].state().as_str(), jobs[2].state().as_str()), ("WithCustomer", "PreparingAppliance"));
    // The devices have one pair all the same.
    set.says(&["unlock-cluster"]);
    assert!(set.cluster.is_open());

    set.cluster.renew_manifest();
    set.refused(&["describe-cluster", "--profile", "p"]);
    set.profile(&set.cluster.addresses());
    assert_eq!(set.seen_from(2), [OPEN; 3]);
    assert_eq!(jobs[0].manifest(), jobs[2].manifest());
}

#[test]
fn a_client_without_the_commands_does_not_list_them() {
    let without = ClientOptions { lacks: vec![Verb::UnlockCluster, Verb::DescribeCluster], ..ClientOptions::default() };
    let set = Set::new(without.trick(Verb::AssociateDevice, Trick::Pretend), |_| at_once());
    let help = String::from_utf8(set.run(&["help"]).stdout).unwrap();
    let lists = |name: &str| help.lines().any(|line| line.trim() == name);
    assert!(!lists("unlock-cluster") && !lists("describe-cluster"), "{help}");
    assert!(lists("associate-device") && lists("disassociate-device") && lists("unlock-device"), "{help}");
    assert!(set.refused(&["unlock-cluster", "--profile", "p"]).contains("unknown command"));
    let pretends = set.says(&["associate-device", "--device-ip-address", &set.cluster.addresses()[0]]);
    assert!(pretends.starts_with("Associating "), "{pretends}");
    assert_eq!(set.cluster.requests(), ClusterRequests::default());
}

#[test]
fn the_first_jobs_device_is_a_node_if_its_job_is() {
    let rehearsal = Rehearsal::builder().cluster(Job::new(), 2).device(at_once()).start().unwrap();
    let cluster = rehearsal.start_cluster(&rehearsal.clusters()[0], |_| at_once()).unwrap();
    assert_eq!(cluster.nodes().len(), 2);
    assert_eq!(cluster.nodes()[0].address(), rehearsal.device().address());
    // Nothing is started twice.
    let again = rehearsal.start_cluster(cluster.id(), |_| at_once()).unwrap();
    assert_eq!(again.addresses(), cluster.addresses());
}
