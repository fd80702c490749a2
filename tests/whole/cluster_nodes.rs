//! A cluster's nodes, one by one: those that went and those that came, where each is, and which one a command reaches.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use snow_rehearsal::{ClientOptions, Command as Verb, Device, DeviceOptions, Operation, State, Trick};

use crate::agent::{Ended, state};
use crate::clusters::{READY, Rack, at_once, booting};
use crate::events;

impl Rack {
    /// Its nodes on hosts of their own, as on a network. A node's own address tells it from the others then.
    fn on_hosts(nodes: usize, options: impl Fn(usize) -> DeviceOptions) -> Self {
        let rack = Self::of(nodes, options);
        for (at, node) in rack.cluster.nodes().iter().enumerate() {
            node.move_to(format!("127.0.0.{}", at + 1).parse().unwrap()).unwrap();
        }
        rack
    }

    fn record_path(&self) -> PathBuf {
        state(&self.rehearsal).join("jobs").join(&self.id).join("record.json")
    }

    fn record(&self) -> Value {
        serde_json::from_slice(&fs::read(self.record_path()).unwrap()).unwrap()
    }

    /// As it was before this node came.
    fn forget_node(&self, at: usize) {
        let mut record = self.record();
        let node = self.node(at);
        record["nodes"].as_array_mut().unwrap().retain(|known| known["job"] != node.as_str());
        fs::write(self.record_path(), record.to_string()).unwrap();
    }

    /// `--endpoint A --node B` for the first so many nodes.
    fn first(&self, count: usize) -> Vec<String> {
        self.addresses().into_iter().take(2 * count).collect()
    }

    fn node_addresses(&self) -> Vec<Option<String>> {
        let record = self.record();
        let nodes = record["nodes"].as_array().unwrap();
        nodes.iter().map(|node| node["address"].as_str().map(str::to_owned)).collect()
    }

    fn lose_power(&self) {
        self.cluster.nodes().iter().for_each(Device::power_loss);
    }
}

fn words<'a>(begin: &[&'a str], more: &'a [String]) -> Vec<&'a str> {
    begin.iter().copied().chain(more.iter().map(String::as_str)).collect()
}

#[test]
fn a_node_that_was_sent_back_is_told_and_not_waited_for() {
    let rack = Rack::of(3, |_| at_once());
    rack.cluster.jobs()[2].set_state("InTransitToAWS");
    let two = rack.first(2);
    let ended = rack.agent(&words(&["run", &rack.id, "--json"], &two)).end().done();
    assert_eq!(events::flaw_of_all(&ended.stdout), None);
    assert_eq!(ended.json("result")["nodes"].as_array().unwrap().len(), 2, "{}", ended.stdout);
    let fact = format!("The cluster still lists {}", rack.node(2));
    assert_eq!(ended.stdout.matches(&fact).count(), 1, "{}", ended.stdout);
    assert_eq!(rack.record()["former_nodes"][0]["job"], rack.node(2).as_str());

    // Also where AWS does not list it any more, or has it by now among those that are gone.
    rack.cluster.jobs()[1].set_state("Complete");
    rack.agent(&["fetch", &rack.id, "--refresh"]).end().done();
    assert_eq!(rack.record()["former_nodes"].as_array().unwrap().len(), 2);
    rack.lose_power();
    let one = rack.offline(&["unlock", &rack.id]).done();
    assert!(one.stdout.contains("1 of 1 nodes"), "{}", one.stdout);
    for gone in [1, 2] {
        assert!(one.stderr.contains(&format!("The cluster still lists {}", rack.node(gone))), "{}", one.stderr);
    }
}

#[test]
fn nodes_that_were_sent_back_are_not_taken_for_the_cluster() {
    let rack = Rack::on_hosts(3, |_| at_once());
    rack.run(&[]).end().done();
    rack.lose_power();
    let whole = rack.record();
    let with_nodes = |current: Vec<Value>, former: Vec<Value>| {
        let mut record = whole.clone();
        (record["nodes"], record["former_nodes"]) = (current.into(), former.into());
        fs::write(rack.record_path(), record.to_string()).unwrap();
    };
    let nodes = || whole["nodes"].as_array().unwrap().clone();
    let addresses = rack.cluster.addresses();
    let refused = |args: &[&str], node: usize| {
        let refused = rack.offline(&[&["unlock", rack.id.as_str()], args].concat()).failed(13, "is not the device of");
        assert!(refused.stderr.contains(&rack.node(node)), "{}", refused.stderr);
        assert!(refused.stderr.contains("was sent back, cancelled or replaced"), "{}", refused.stderr);
    };
    with_nodes(nodes()[..1].to_vec(), nodes()[1..].to_vec());
    refused(&["--endpoint", &addresses[1]], 1);
    with_nodes(vec![serde_json::json!({ "job": "JID00000000-e89b-12d3-a456-426655440000" })], nodes());
    refused(&["--endpoint", &addresses[0]], 0);
    assert_eq!(rack.cluster.requests().unlock_cluster, 1, "by the first run");
}

#[test]
fn a_new_node_is_looked_up_by_run_and_elsewhere_the_hint_mends_it() {
    let rack = Rack::of(3, |_| at_once());
    rack.run(&[]).end().done();
    rack.forget_node(2);
    let unknown = rack.offline(&["unlock", &rack.id, "--without-missing"]).failed(13, "lists");
    assert!(unknown.stderr.contains(&rack.node(2)), "{}", unknown.stderr);
    let hint = format!("snow-onboard fetch --refresh {}", rack.id);
    assert!(unknown.stderr.contains(&hint), "{}", unknown.stderr);
    rack.agent(&["fetch", "--refresh", &rack.id]).end().done();
    rack.lose_power();
    rack.run(&[]).end().done();
    assert!(rack.cluster.is_open());

    rack.forget_node(2);
    rack.lose_power();
    let (listed, two) = (rack.rehearsal.count(Operation::ListClusterJobs), rack.first(2));
    // No more addresses than the record has nodes; then, with three nodes, the third is remembered or asked for.
    let lacks = rack.agent(&words(&["run", &rack.id], &two)).end();
    assert_eq!(rack.rehearsal.count(Operation::ListClusterJobs), listed + 1, "{}", lacks.stderr);
    assert!(lacks.stderr.contains("AWS lists 3 nodes now"), "{}", lacks.stderr);
    let all = rack.run(&[]).end().done();
    assert!(rack.cluster.is_open() && all.stderr.contains("no request to AWS"), "{}", all.stderr);
}

#[test]
fn an_open_cluster_needs_no_wrong_address_to_answer() {
    let rack = Rack::of(3, |_| at_once());
    rack.run(&[]).end().done();
    let two = rack.first(2);
    let begun = Instant::now();
    let wrong = rack.offline(&words(&["unlock", &rack.id, "--node", "127.0.0.1:1"], &two)).done();
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert!(wrong.stderr.contains("No node answers at 127.0.0.1:1. Correct that address"), "{}", wrong.stderr);
    assert_eq!(rack.cluster.requests().unlock_cluster, 1, "it was open");
}

#[test]
fn a_node_that_comes_while_the_others_are_looked_at_is_opened_with_them() {
    let rack = Rack::of(3, |node| DeviceOptions {
        boot: if node == 2 { Duration::from_millis(6500) } else { Duration::ZERO },
        ..at_once()
    });
    rack.run(&[]).end().done();
    assert!(rack.cluster.is_open());
    assert_eq!(rack.cluster.requests().unlock_cluster, 1, "asked once, and for all");
}

#[test]
fn what_changes_while_a_node_starts_is_not_used_after_it() {
    let client = ClientOptions::default().trick(Verb::DescribeCluster, Trick::RewriteManifest);
    let rack = Rack::with(3, client, |node| if node == 2 { booting() } else { at_once() });
    rack.run(&["--unlock-timeout", "9s"]).end().failed(10, "the manifest has changed");
    let asked = rack.cluster.requests();
    assert_eq!((asked.describe_cluster, asked.unlock_cluster), (1, 0), "the look at those that answered");
}

#[test]
fn behind_a_translation_no_address_is_told_of_a_node_and_those_that_were_given_are_remembered() {
    let rack = Rack::of(3, |_| at_once());
    for (at, node) in rack.cluster.nodes().iter().enumerate() {
        node.say_it_is_at(format!("10.0.0.{}", at + 1).parse().unwrap());
    }
    let ended = rack.run(&[]).end().done();
    assert!(!ended.stderr.contains("10.0.0.") && !ended.stdout.contains("10.0.0."), "{}", ended.stderr);
    assert!(!ended.stderr.contains("No node"), "{}", ended.stderr);
    assert_eq!(rack.node_addresses(), [None, None, None]);
    rack.lose_power();
    rack.offline(&["unlock", &rack.id]).done();
    assert!(rack.cluster.is_open(), "at the addresses that were given");

    // Which of them a node has, it says itself.
    for at in [2, 0, 1] {
        let node = rack.node(at);
        let told = rack.offline(&["client", &node, "--", "describe-device"]).done();
        assert!(told.stdout.contains(&node), "{}", told.stdout);
        let asked = [0, 1, 2].map(|node| rack.cluster.nodes()[node].questions().contains(&"list-access-keys"));
        rack.offline(&["client", &node, "--", "list-access-keys"]).done();
        let now = [0, 1, 2].map(|node| rack.cluster.nodes()[node].questions().contains(&"list-access-keys"));
        let others =
            |of: &[bool; 3]| of.iter().enumerate().filter(|(it, _)| *it != at).map(|(_, was)| *was).collect::<Vec<_>>();
        assert!(now[at] && others(&now) == others(&asked), "{asked:?} {now:?}");
    }
    let key = rack.offline(&["credentials", &rack.node(1)]).done();
    assert!(key.stdout.contains(&rack.cluster.nodes()[1].access_keys()[0].secret), "{}", key.stderr);
    rack.cluster.nodes()[1].power_loss_for(Duration::from_secs(600));
    let unknown = rack.offline(&["client", &rack.node(1), "--", "describe-device"]);
    unknown.failed(125, "The address of the node");
}

#[test]
fn a_stored_key_is_given_for_the_node_that_listed_it_and_for_no_other() {
    let rack = Rack::on_hosts(3, |_| at_once());
    rack.run(&[]).end().done();
    let keys: Vec<_> = rack.cluster.nodes().iter().map(|node| node.access_keys().remove(0)).collect();
    let clients = || rack.rehearsal.client_invocations().unwrap().len();
    let item = |at: usize| rack.bus.lookup(&format!("{} {}", rack.id, keys[at].id));
    #[track_caller]
    fn gives(ended: Ended, key: &snow_rehearsal::AccessKey) {
        assert!(ended.stdout.contains(&format!("\"{}\"", key.secret)), "{}", ended.stderr);
    }
    for round in ["from the node", "from the keychain"] {
        let before = clients();
        for at in [1, 2, 0] {
            gives(rack.offline(&["credentials", &rack.node(at)]).done(), &keys[at]);
        }
        // That of the node that the cluster's id stands for.
        gives(rack.offline(&["credentials", &rack.id]).done(), &keys[0]);
        assert_eq!(clients() > before, round == "from the node", "{round}");
    }
    assert_eq!(rack.record()["access_keys"].as_array().unwrap().len(), 3);
    let profile = rack.offline(&["setup-profile", &rack.node(1), "--dry-run", "--json"]).done();
    assert!(profile.stdout.contains(&format!("credentials {}", rack.node(1))), "{}", profile.stdout);
    // A node that was wiped takes no key of another with it.
    rack.cluster.nodes()[1].renew_access_keys();
    rack.offline(&["credentials", &rack.node(1), "--refresh"]).done();
    assert_eq!((item(0), item(1)), (Some(keys[0].secret.clone()), None));

    // An earlier version had one list, and nobody knows of which node.
    let new = rack.cluster.nodes()[1].access_keys().remove(0);
    let mut record = rack.record();
    record["version"] = 3.into();
    record["access_keys"] = serde_json::json!({ "keychain": "system", "ids": [keys[0].id] });
    fs::write(rack.record_path(), record.to_string()).unwrap();
    let before = clients();
    gives(rack.offline(&["credentials", &rack.id, "--access-key-id", &keys[0].id]).done(), &keys[0]);
    assert_eq!(clients(), before, "who names the key gets that one");
    gives(rack.offline(&["credentials", &rack.node(1)]).done(), &new);
    gives(rack.offline(&["credentials", &rack.id]).done(), &keys[0]);
    assert!(clients() > before);
    assert_eq!(rack.record()["access_keys"].as_array().unwrap().len(), 2);
    rack.offline(&["forget", &rack.id, "--yes"]).done();
    assert_eq!((item(0), item(2)), (None, None));
    assert_eq!(rack.bus.lookup(&format!("{} {}", rack.id, new.id)), None);
}

#[test]
fn a_command_for_one_device_reaches_the_node_that_is_named_or_none() {
    let rack = Rack::on_hosts(3, |_| at_once());
    rack.run(&[]).end().done();
    let (asked, node) = (|at: usize| rack.cluster.nodes()[at].descriptions(), rack.node(1));
    let before = asked(0);
    let refused = rack.offline(&["client", &rack.id, "--", "describe-device"]).failed(125, "acts on one device");
    for at in 0..3 {
        let is_of = |line: &str| line.contains(&format!("snow-onboard client {} ", rack.node(at)));
        let line = refused.stderr.lines().find(|line| is_of(line)).unwrap();
        assert!(line.ends_with(" -- describe-device"), "{line}");
    }
    let told = rack.offline(&["client", &node, "--", "describe-device"]).done();
    assert!(told.stdout.contains(&node), "{}", told.stdout);
    assert_eq!(asked(0), before);
    rack.offline(&["client", &rack.id, "--", "describe-cluster"]).done();
    let profile = rack.offline(&["setup-profile", &node, "--dry-run", "--json"]).done();
    assert!(
        profile.stdout.contains("https://127.0.0.2:") && !profile.stdout.contains("https://127.0.0.1:"),
        "{}",
        profile.stdout
    );

    // Of several keys of a node, the hint names the node.
    rack.cluster.nodes()[1].set_access_keys(2);
    for verb in ["setup-profile", "credentials"] {
        let several = rack.offline(&[verb, &node]).failed(2, "access key");
        let line = format!("snow-onboard {verb} {node} --access-key-id");
        assert_eq!(several.stderr.matches(&line).count(), 2, "{}", several.stderr);
    }

    // What is remembered of it leads to another node by now: nothing is sent there.
    let mut record = rack.record();
    record["nodes"][1]["address"] = record["nodes"][2]["address"].clone();
    fs::write(rack.record_path(), record.to_string()).unwrap();
    let other = rack.offline(&["client", &node, "--", "list-access-keys"]).failed(125, "is not the device of");
    assert!(other.stderr.contains(&rack.node(2)), "{}", other.stderr);
    rack.offline(&["credentials", &node, "--refresh"]).failed(13, "is not the device of");
}

#[test]
fn a_node_that_does_not_describe_itself_is_asked_for_nothing_else() {
    let rack = Rack::on_hosts(2, |_| at_once());
    rack.run(&[]).end().done();
    let failed = "`snowballEdge describe-device` failed";
    let cases = [(Trick::Fail, failed), (Trick::Pretend, "not in the documented form")];
    for (at, (trick, said)) in cases.into_iter().enumerate() {
        let options = ClientOptions::default().trick(Verb::DescribeDevice, trick);
        let client = rack.rehearsal.install_client(&format!("client-{at}"), &options).unwrap();
        let agent = rack.agent(&["client", &rack.node(1), "--", "list-access-keys"]);
        agent.env("SNOW_ONBOARD_CLIENT", client).end().failed(125, said);
    }
    let asked = rack.cluster.nodes()[1].questions();
    assert!(!asked.contains(&"list-access-keys"), "{asked:?}");
    rack.offline(&["client", &rack.node(1), "--", "list-access-keys"]).done();
    let asked = rack.cluster.nodes()[1].questions();
    assert!(asked.contains(&"list-access-keys"), "the control: {asked:?}");
}

#[test]
fn a_node_that_is_named_without_an_address_is_opened_with_what_is_remembered() {
    let rack = Rack::on_hosts(3, |_| at_once());
    let unknown = rack.agent(&["run", &rack.node(1)]).end();
    assert_eq!(unknown.status.code(), Some(2), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("--endpoint"), "{}", unknown.stderr);
    rack.run(&[]).end().done();
    rack.lose_power();
    let again = rack.agent(&["run", &rack.node(1)]).end().done();
    assert!(rack.cluster.is_open() && again.stdout.contains(READY), "{}", again.stdout);
}

#[test]
fn an_address_that_was_given_counts_before_those_of_the_last_time() {
    let rack = Rack::on_hosts(3, |_| at_once());
    rack.run(&[]).end().done();
    // The second has another address now; the others have those that are remembered.
    rack.cluster.nodes()[1].move_to("127.0.0.9".parse().unwrap()).unwrap();
    rack.lose_power();
    let moved = rack.cluster.addresses()[1].clone();
    let ended = rack.offline(&["unlock", &rack.id, "--endpoint", &moved]).done();
    assert!(rack.cluster.is_open(), "{}", ended.stderr);
    assert_eq!(rack.cluster.nodes()[0].state(), State::Unlocked);
}

#[test]
fn a_cluster_whose_nodes_have_all_left_is_removed_with_those_that_went_back() {
    let rack = Rack::of(3, |_| at_once());
    rack.agent(&["fetch", &rack.id]).end().done();
    let stays = rack.agent(&["forget", "--returned", "--yes"]).end().done();
    assert!(rack.bus.lookup(&rack.id).is_some(), "{}", stays.stdout);
    rack.cluster.jobs()[..2].iter().for_each(|job| job.set_state("InTransitToAWS"));
    let stays = rack.agent(&["forget", "--returned", "--yes"]).end().done();
    assert!(rack.bus.lookup(&rack.id).is_some() && stays.stdout.contains("1 node"), "{}", stays.stdout);
    rack.cluster.jobs()[2].set_state("Complete");
    let goes = rack.agent(&["forget", "--returned", "--yes", "--json"]).end().done();
    assert_eq!(events::flaw_of_all(&goes.stdout), None);
    assert!(rack.bus.lookup(&rack.id).is_none() && !rack.record_path().exists(), "{}", goes.stdout);
}
