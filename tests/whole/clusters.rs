//! Clusters: several nodes, one pair; opened together, reported one by one.

use std::fs;
use std::time::Duration;

use snow_rehearsal::{
    ClientOptions, ClusterHandle, ClusterRequests, Command as Verb, DeviceOptions, Job, Mode, Operation, Rehearsal,
    State, Trick, Unlocking,
};

use crate::agent::{Agent, Ended, files_with, state, wait_until};
use crate::events;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

/// Racked, cabled and switched on, beside a keychain.
pub(crate) struct Rack {
    pub(crate) rehearsal: Rehearsal,
    pub(crate) cluster: ClusterHandle,
    pub(crate) bus: KeyringBus,
    pub(crate) id: String,
    pub(crate) code: String,
}

/// For what boots longer than any test takes.
const FOR_EVER: Duration = Duration::from_secs(600);

impl Rack {
    pub(crate) fn with(nodes: usize, client: ClientOptions, options: impl Fn(usize) -> DeviceOptions) -> Self {
        let builder = Rehearsal::builder().cluster(Job::new(), nodes).device(options(0)).client(client);
        let rehearsal = builder.start().unwrap();
        let id = rehearsal.clusters()[0].clone();
        let cluster = rehearsal.start_cluster(&id, options).unwrap();
        let code = rehearsal.job().unlock_code();
        Self { rehearsal, cluster, bus: KeyringBus::start(Keyring::Unlocked), id, code }
    }

    pub(crate) fn of(nodes: usize, options: impl Fn(usize) -> DeviceOptions) -> Self {
        Self::with(nodes, ClientOptions::default(), options)
    }

    /// `--endpoint A --node B …`
    pub(crate) fn addresses(&self) -> Vec<String> {
        let flag = |at: usize| if at == 0 { "--endpoint" } else { "--node" };
        let addresses = self.cluster.addresses();
        addresses.iter().enumerate().flat_map(|(at, address)| [flag(at).to_owned(), address.clone()]).collect()
    }

    /// What stands after `--` is the client's, so nothing is added to it.
    pub(crate) fn agent(&self, args: &[&str]) -> Agent {
        let agent = Agent::bare(args).envs(self.rehearsal.env()).env("AWS_CA_BUNDLE", self.rehearsal.ca_bundle());
        on_the_bus(agent.env("SNOW_ONBOARD_CLIENT", self.rehearsal.client_path()), &self.bus)
    }

    /// `run CID` with the address of every node.
    pub(crate) fn run(&self, more: &[&str]) -> Agent {
        let addresses = self.addresses();
        let given = addresses.iter().map(String::as_str);
        let args: Vec<&str> = ["run", self.id.as_str()].into_iter().chain(given).chain(more.iter().copied()).collect();
        self.agent(&args)
    }

    /// Where there is no internet and nobody is anybody to AWS.
    pub(crate) fn offline(&self, args: &[&str]) -> Ended {
        let agent = self.agent(args);
        let agent = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"]
            .iter()
            .fold(agent, |agent, name| agent.without_env(name));
        agent.env("AWS_ENDPOINT_URL_SNOWBALL", "https://127.0.0.1:9").end()
    }

    pub(crate) fn node(&self, at: usize) -> String {
        self.cluster.nodes()[at].job_id().to_owned()
    }

    /// The code is in the keychain, under the cluster's name, and nowhere else.
    #[track_caller]
    pub(crate) fn code_is_apart(&self, ended: &[&Ended]) {
        assert_eq!(self.bus.lookup(&self.id), Some(self.code.clone()), "the control");
        assert!(files_with(self.rehearsal.state_home(), &self.code).is_empty());
        let calls = self.rehearsal.client_invocations().unwrap();
        assert!(calls.iter().any(|call| call.argv.iter().any(|word| word == "unlock-cluster")), "the control");
        assert!(!calls.iter().any(|call| call.argv.iter().any(|word| word.contains(&self.code))));
        assert!(!calls.iter().any(|call| call.argv.iter().any(|word| word == "disassociate-device")));
        for ended in ended {
            assert!(!ended.stdout.contains(&self.code) && !ended.stderr.contains(&self.code));
        }
    }
}

pub(crate) fn at_once() -> DeviceOptions {
    DeviceOptions { unlocking: Unlocking::For(Duration::ZERO), ..DeviceOptions::default() }
}

pub(crate) fn booting() -> DeviceOptions {
    DeviceOptions { boot: FOR_EVER, ..at_once() }
}

/// The state that was told last of each node.
fn told(ended: &Ended) -> Vec<(u64, String)> {
    let lines = ended.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines
        .filter(|line| line["event"] == "node")
        .map(|line| (line["number"].as_u64().unwrap(), line["state"].as_str().unwrap().to_owned()))
        .collect()
}

pub(crate) const READY: &str = "UNLOCKED, ASSOCIATED, REACHABLE";

#[test]
fn five_nodes_are_opened_by_the_job_of_any_and_again_without_aws() {
    let rack = Rack::of(5, |_| at_once());
    let node = rack.node(3);
    let addresses = rack.addresses();
    let args: Vec<&str> = ["run", &node, "--json"].into_iter().chain(addresses.iter().map(String::as_str)).collect();
    let first = rack.agent(&args).end().done();
    assert!(rack.cluster.is_open());
    assert_eq!(events::flaw_of_all(&first.stdout), None);
    let result = first.json("result");
    assert_eq!((&result["job"], result["nodes"].as_array().unwrap().len()), (&rack.id.as_str().into(), 5), "{result}");
    assert!(result["nodes"].as_array().unwrap().iter().all(|node| node["state"] == READY), "{result}");
    assert_eq!(told(&first).iter().filter(|(_, state)| state == READY).count(), 5, "a line a node: {}", first.stdout);
    assert_eq!((rack.cluster.requests().unlock_cluster, rack.rehearsal.downloads()), (1, 1));
    assert_eq!(rack.rehearsal.count(Operation::GetJobUnlockCode), 5, "compared with each of the others");
    let record = state(&rack.rehearsal).join("jobs").join(&rack.id).join("record.json");
    assert!(record.exists() && !state(&rack.rehearsal).join("jobs").join(&node).exists(), "kept once");

    rack.cluster.nodes().iter().for_each(snow_rehearsal::Device::power_loss);
    let asked = rack.rehearsal.requests().len();
    let again = rack.offline(&["unlock", &rack.node(1)]).done();
    assert!(rack.cluster.is_open(), "{}", again.stderr);
    assert!(again.stdout.contains("5 of 5 nodes"), "{}", again.stdout);
    let open = rack.offline(&["run", &rack.id, "--json"]).done();
    assert_eq!(open.json("result")["was_open_already"], true);
    assert_eq!(rack.rehearsal.requests().len(), asked, "AWS was not asked");
    let counted = rack.cluster.requests();
    assert_eq!((counted.unlock_cluster, counted.associate_device), (2, 0), "what is open is not asked to open");
    rack.code_is_apart(&[&first, &again, &open]);
}

#[test]
fn what_is_kept_of_a_cluster_serves_the_other_commands() {
    let rack = Rack::of(3, |_| at_once());
    rack.run(&[]).end().done();
    let node = rack.node(2);
    let status = rack.offline(&["status", &rack.id, "--json"]).done();
    assert_eq!(events::flaw_of_all(&status.stdout), None);
    let row = status.json("result")["jobs"][0].clone();
    assert_eq!((&row["device"], row["nodes"].as_array().unwrap().len()), (&"UNLOCKED".into(), 3), "{row}");
    assert!(row.get("nodes_seen_at").is_none(), "they are so now: {row}");
    let record = fs::read(state(&rack.rehearsal).join("jobs").join(&rack.id).join("record.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let before = rack.offline(&["status", &rack.id, "--offline", "--json"]).done();
    assert_eq!(events::flaw_of_all(&before.stdout), None);
    let row = &before.json("result")["jobs"][0];
    assert_eq!(row["nodes_seen_at"], record["hand_overs"][0]["unlocked_at"], "{row}");
    let words = rack.offline(&["status", &rack.id, "--offline"]).done();
    let nodes: Vec<&str> = words.stdout.lines().filter(|line| line.contains(READY)).collect();
    assert!(nodes.len() == 3 && nodes.iter().all(|line| line.contains(": last seen 20")), "{}", words.stdout);
    let client = rack.offline(&["client", &node, "--", "describe-cluster"]).done();
    assert!(client.stdout.contains(&rack.id) && client.stdout.contains(&node), "{}", client.stdout);
    let key = rack.offline(&["credentials", &rack.id]).done();
    assert!(key.stdout.contains("SecretAccessKey"), "{}", key.stderr);
    let receipt = rack.agent(&["receipt", &node, "--json"]).end().done();
    assert_eq!(events::flaw_of_all(&receipt.stdout), None);
    assert_eq!(receipt.json("result")["nodes"].as_array().unwrap().len(), 3);
    let text = rack.agent(&["receipt", &rack.id]).end().done();
    assert_eq!(text.stdout.matches(READY).count(), 3, "{}", text.stdout);
    let nodes: Vec<String> = (0..3).map(|at| rack.node(at)).collect();
    assert!(text.stdout.contains(&nodes.join(", ")), "{}", text.stdout);
    let addresses = rack.cluster.addresses().join(", ");
    assert!(text.stdout.contains(&addresses) && !text.stdout.contains("not recorded"), "{}", text.stdout);
    let jobs = rack.agent(&["jobs"]).end().done();
    assert!(jobs.stdout.contains(&format!("snow-onboard run {}", rack.id)), "{}", jobs.stdout);
    assert!(rack.agent(&["fetch", &node]).end().done().stderr.contains("no request to AWS"));

    rack.cluster.nodes()[1].power_loss_for(FOR_EVER);
    let status = rack.offline(&["status", &rack.id]).done();
    assert!(status.stdout.contains("2 of 3 nodes") && status.stdout.contains("UNREACHABLE"), "{}", status.stdout);
    let refused = rack.agent(&["forget", &node]).end().failed(2, &format!("snow-onboard forget {}", rack.id));
    assert!(refused.stderr.contains("Nothing was removed.") && rack.bus.lookup(&rack.id).is_some());
    // But a profile of the client's own settings names the node.
    let own = rack.rehearsal.home().join(".aws/snowball/config/snowball-edge.config");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::write(&own, format!("{{\"version\":1,\"profiles\":{{\"x\":{{\"jobId\":\"{node}\"}}}}}}")).unwrap();
    rack.agent(&["forget", &node, "--client-profile", "x"]).end().done();
    assert!(!std::fs::read_to_string(&own).unwrap().contains(&node) && rack.bus.lookup(&rack.id).is_some());
    rack.agent(&["forget", &rack.id]).end().done();
    assert!(rack.bus.lookup(&rack.id).is_none());
    rack.offline(&["unlock", &node]).failed(6, "are not both stored");
}

#[test]
fn a_slow_node_is_waited_for_and_told_of_in_its_own_line() {
    let rack = Rack::of(5, |node| match node {
        2 => DeviceOptions { unlocking: Unlocking::For(Duration::from_millis(1500)), ..at_once() },
        4 => DeviceOptions { boot: Duration::from_secs(1), ..at_once() },
        _ => at_once(),
    });
    let ended = rack.run(&[]).end().done();
    assert!(rack.cluster.is_open());
    let line = |state: &str| format!("Node 3 of 5 ({})  {state}", rack.node(2));
    assert!(ended.stderr.contains(&line("UNLOCKING")) && ended.stderr.contains(&line(READY)), "{}", ended.stderr);
    rack.code_is_apart(&[&ended]);
}

#[test]
fn a_node_that_loses_power_in_between_is_associated_again_when_it_is_back() {
    let rack = Rack::of(5, |node| match node {
        4 => DeviceOptions { unlocking: Unlocking::For(Duration::from_secs(4)), ..at_once() },
        _ => at_once(),
    });
    let agent = rack.run(&["--json"]).spawn();
    let lost = &rack.cluster.nodes()[1];
    wait_until("the node to open", || lost.state() == State::Unlocked);
    std::thread::sleep(Duration::from_millis(400));
    lost.power_loss_for(Duration::from_millis(1500));
    let ended = Ended::from(agent.wait_with_output().unwrap()).done();
    assert!(rack.cluster.is_open(), "{}", ended.stdout);
    let counted = rack.cluster.requests();
    assert_eq!((counted.unlock_cluster, counted.associate_device), (1, 1), "{}", ended.stdout);
    assert!(told(&ended).iter().any(|(node, state)| *node == 2 && state.contains("UNREACHABLE")), "{}", ended.stdout);
    rack.code_is_apart(&[&ended]);
}

#[test]
fn a_client_that_is_replaced_while_a_node_is_away_does_not_associate_it() {
    let rack = Rack::of(5, |node| match node {
        4 => DeviceOptions { unlocking: Unlocking::For(Duration::from_secs(4)), ..at_once() },
        _ => at_once(),
    });
    let agent = rack.run(&["--json"]).spawn();
    let lost = &rack.cluster.nodes()[1];
    wait_until("the node to open", || lost.state() == State::Unlocked);
    std::thread::sleep(Duration::from_millis(400));
    // Longer than the look before the hand-over counts.
    lost.power_loss_for(Duration::from_secs(32));
    fs::write(rack.rehearsal.client_path().with_file_name("another"), "file").unwrap();
    let ended = Ended::from(agent.wait_with_output().unwrap());
    assert!(ended.stdout.contains("\"client_changed\""), "{}{}", ended.stdout, ended.stderr);
    let counted = rack.cluster.requests();
    assert_eq!((counted.unlock_cluster, counted.associate_device), (1, 0), "{}", ended.stdout);
    rack.code_is_apart(&[&ended]);
}

#[test]
fn a_missing_node_is_named_with_what_to_do_and_may_be_left_out() {
    let rack = Rack::of(5, |node| if node == 3 { booting() } else { at_once() });
    let ended = rack.run(&["--unlock-timeout", "2s"]).end().failed(14, "4 of the 5 nodes");
    assert!(ended.stderr.contains(&rack.node(3)), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("snow-onboard unlock {}", rack.id)), "{}", ended.stderr);
    let open = |node: &snow_rehearsal::Device| node.state() == State::Unlocked;
    assert_eq!(rack.cluster.nodes().iter().filter(|node| open(node)).count(), 4);

    let without = rack.offline(&["unlock", &rack.id, "--without-missing", "--json"]).done();
    assert_eq!(events::flaw_of_all(&without.stdout), None);
    assert_eq!(without.json("result")["missing"][0], rack.node(3).as_str());
    rack.code_is_apart(&[&ended, &without]);
}

#[test]
fn a_node_that_was_missing_is_unlocked_later_at_its_right_address() {
    let rack = Rack::of(3, |_| at_once());
    let addresses = rack.cluster.addresses();
    let (first, second, third) = (&addresses[0], &addresses[1], &addresses[2]);
    let given = ["--endpoint", first, "--node", second, "--node", "127.0.0.1:1", "--unlock-timeout", "2s"];
    let ended = rack.agent(&[&["run", rack.id.as_str()], &given[..]].concat()).end().failed(14, "2 of the 3 nodes");
    assert!(ended.stderr.contains(&rack.node(2)), "{}", ended.stderr);
    assert_eq!(rack.cluster.nodes()[2].state(), State::Locked);
    assert!(ended.stderr.contains("No node answers at 127.0.0.1:1"), "{}", ended.stderr);
    assert!(ended.stderr.contains("not among the addresses that answered"), "{}", ended.stderr);
    let line = format!("snow-onboard unlock {} --endpoint {first} --node {second} --node 192.0.2.12", rack.id);
    assert!(ended.stderr.contains(&line), "{}", ended.stderr);
    // The two that answered are remembered, and the wrong one is not.
    let lacks = rack.offline(&["unlock", &rack.id]).failed(2, "The addresses of 2 of the 3 nodes");
    assert!(!lacks.stderr.contains("127.0.0.1:1\n") && lacks.stderr.contains(&line), "{}", lacks.stderr);
    let right = rack.offline(&["unlock", &rack.id, "--endpoint", third]).done();
    assert!(rack.cluster.is_open(), "{}", right.stderr);
    assert!(right.stdout.trim_end().lines().last().unwrap().starts_with(&format!("  snow-onboard unlock {}", rack.id)));
    assert!(!right.stdout.contains("--endpoint"), "one address would be one node: {}", right.stdout);

    // Neither a part of the addresses nor a wrong one takes the place of those that are remembered.
    rack.cluster.nodes().iter().for_each(snow_rehearsal::Device::power_loss);
    rack.offline(&["unlock", &rack.id, "--endpoint", second, "--without-missing"]).done();
    let wrong =
        ["unlock", &rack.id, "--endpoint", first, "--node", second, "--node", "127.0.0.1:1", "--unlock-timeout", "2s"];
    rack.offline(&wrong).done();
    rack.cluster.nodes().iter().for_each(snow_rehearsal::Device::power_loss);
    rack.offline(&["unlock", &rack.id]).done();
    assert!(rack.cluster.is_open());
    rack.code_is_apart(&[&ended, &right]);
}

#[test]
fn a_node_that_is_named_is_the_one_that_is_asked() {
    let rack = Rack::of(3, |_| at_once());
    for (at, node) in rack.cluster.nodes().iter().enumerate() {
        node.move_to(format!("127.0.0.{}", at + 1).parse().unwrap()).unwrap();
    }
    rack.run(&[]).end().done();
    let asked = |at: usize| rack.cluster.nodes()[at].descriptions();
    let (first, third) = (asked(0), asked(2));
    rack.offline(&["client", &rack.node(2), "--", "describe-device"]).done();
    assert!(asked(2) > third, "the node's own address is remembered");
    assert_eq!(asked(0), first);
    let other = rack.cluster.addresses()[1].clone();
    let told = rack.offline(&["client", &rack.id, "--endpoint", &other, "--", "describe-device"]).done();
    assert!(told.stdout.contains(&rack.node(1)), "--endpoint is obeyed: {}", told.stdout);
    let another = rack.offline(&["client", &rack.node(2), "--endpoint", &other, "--", "describe-device"]);
    assert!(another.failed(125, "is not the device of").stderr.contains(&rack.node(1)));
}

#[test]
fn half_of_the_nodes_are_too_few_and_the_client_is_given_nothing() {
    let rack = Rack::of(4, |node| if node > 1 { booting() } else { at_once() });
    let ended = rack.run(&["--unlock-timeout", "1s"]).end().failed(13, "2 of the 4 nodes");
    assert!(ended.stderr.contains(&rack.cluster.addresses()[2]), "{}", ended.stderr);
    let asks = |call: &snow_rehearsal::Invocation| call.argv.iter().any(|word| word.ends_with("-cluster"));
    assert!(!rack.rehearsal.client_invocations().unwrap().iter().any(asks));
    let log = fs::read_to_string(state(&rack.rehearsal).join("audit.jsonl")).unwrap();
    assert!(!log.contains("hand_over_begun"), "{log}");
}

#[test]
fn a_device_of_nobody_s_cluster_is_not_unlocked() {
    let stranger = "JID00000000-e89b-12d3-a456-426655440000";
    let rack = Rack::of(3, |node| match node {
        2 => DeviceOptions { mode: Mode::OtherDevice(stranger.to_owned()), ..at_once() },
        _ => at_once(),
    });
    let ended = rack.run(&["--json"]).end();
    let error = ended.json("error");
    assert_eq!((&error["code"], ended.status.code()), (&"cluster_node_unknown".into(), Some(13)), "{}", ended.stdout);
    assert!(error["text"].as_str().unwrap().contains(stranger), "{error}");
    assert_eq!(rack.cluster.requests(), ClusterRequests { describe_cluster: 1, ..ClusterRequests::default() });
}

#[test]
fn codes_that_differ_are_an_error_and_one_node_s_may_be_taken_on_its_word() {
    let rack = Rack::of(3, |_| at_once());
    let jobs = rack.cluster.jobs();
    jobs[2].renew_code();
    let ended = rack.run(&[]).end().failed(7, "different unlock codes");
    assert!(ended.stderr.contains(jobs[0].id()) && ended.stderr.contains(jobs[2].id()), "{}", ended.stderr);
    assert!(rack.bus.lookup(&rack.id).is_none());
    let other = jobs[2].unlock_code();
    for code in [&rack.code, &other] {
        assert!(files_with(rack.rehearsal.state_home(), code).is_empty());
        assert!(!ended.stderr.contains(code.as_str()) && !ended.stdout.contains(code.as_str()));
    }
    assert!(
        !rack
            .rehearsal
            .client_invocations()
            .unwrap()
            .iter()
            .any(|call| call.argv.iter().any(|word| word == "unlock-cluster"))
    );

    let named = rack.run(&["--pair-of", jobs[0].id()]).end().done();
    assert!(rack.cluster.is_open());
    assert!(named.stderr.contains("were left out"), "{}", named.stderr);
    rack.code_is_apart(&[&named]);
    let stranger = "JID00000000-e89b-12d3-a456-426655440000";
    rack.agent(&["fetch", &rack.id, "--refresh", "--pair-of", stranger]).end().failed(2, "--pair-of");
}

#[test]
fn a_node_that_is_not_released_is_left_out_of_the_comparison_and_named() {
    let rack = Rack::of(3, |_| at_once());
    let jobs = rack.cluster.jobs();
    jobs[0].set_state("PreparingAppliance");
    jobs[2].set_state("Cancelled");
    let ended = rack.agent(&["fetch", jobs[1].id()]).end().done();
    assert!(ended.stderr.contains(&format!("{}.", jobs[0].id())), "{}", ended.stderr);
    let record = state(&rack.rehearsal).join("jobs").join(&rack.id).join("record.json");
    let record: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    let nodes: Vec<_> = record["nodes"].as_array().unwrap().iter().map(|node| node["job"].as_str().unwrap()).collect();
    assert_eq!(nodes, [jobs[0].id(), jobs[1].id()], "the cancelled one has no device");
}

#[test]
fn addresses_that_cannot_be_right_are_refused() {
    let rack = Rack::of(3, |_| at_once());
    let addresses = rack.cluster.addresses();
    let ended = rack.agent(&["run", &rack.id]).end().failed(2, "3 nodes");
    assert!(ended.stderr.contains(&format!("snow-onboard run {} --endpoint", rack.id)), "{}", ended.stderr);
    let node = rack.node(0);
    for named in [&node, &rack.id] {
        let alone = rack
            .agent(&["run", named, "--endpoint", &addresses[0]])
            .end()
            .failed(2, "The addresses of 1 of the 3 nodes");
        let line =
            format!("  snow-onboard run {} --endpoint {} --node 192.0.2.11 --node 192.0.2.12", rack.id, addresses[0]);
        assert!(alone.stderr.contains(&line), "{}", alone.stderr);
    }
    assert_eq!(rack.rehearsal.count(Operation::GetJobUnlockCode), 0, "before anything is fetched");
    rack.run(&["--node", &addresses[1]]).end().failed(2, "twice");
    rack.run(&["--node", "127.0.0.1:1"]).end().failed(2, "has 3 nodes");
    // The way out stands where what was given is said again.
    let network = &["--node", "127.0.0.1:1", "--network-timeout", "77s"];
    let hint = format!("\n  snow-onboard fetch --refresh {} --network-timeout 77s", rack.id);
    assert!(rack.run(network).end().failed(2, "4 addresses were given").stderr.contains(&hint));
    rack.run(&["--node", "127.0.0.300"]).end().failed(2, "--node");
    assert!(!rack.cluster.nodes().iter().any(|node| node.state() == State::Unlocked));
    let single = Rehearsal::builder().start().unwrap();
    let ended = Agent::run(&single, &["--keychain", "none", "--node", "127.0.0.1:1"]).end();
    ended.failed(2, "not a node of a cluster");
}

#[test]
fn a_run_that_was_killed_is_repeated_and_ends_in_the_same() {
    let rack = Rack::with(3, ClientOptions::default().trick(Verb::UnlockCluster, Trick::Hang), |_| at_once());
    let mut agent = rack.run(&[]).spawn();
    let hangs = || {
        let calls = rack.rehearsal.client_invocations().unwrap();
        calls.into_iter().find(|call| call.argv.iter().any(|word| word == "unlock-cluster"))
    };
    wait_until("the client to be at work", || hangs().is_some());
    let home = hangs().unwrap().user_home;
    assert!(!files_with(&home, &rack.code).is_empty(), "the control: the home is there, with the code");
    agent.kill().unwrap();
    agent.wait().unwrap();
    wait_until("the private home to go", || !home.exists());
    let client = rack.rehearsal.install_client("sound", &ClientOptions::default()).unwrap();
    let asked = rack.rehearsal.requests().len();
    let ended = rack.run(&[]).env("SNOW_ONBOARD_CLIENT", client).end().done();
    assert!(rack.cluster.is_open());
    assert_eq!(rack.rehearsal.requests().len(), asked, "what was kept is kept");
    rack.code_is_apart(&[&ended]);
}
