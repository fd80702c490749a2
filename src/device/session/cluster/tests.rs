use super::*;
use crate::report::HeardEvents;

const CLUSTER: &str = "CID123e4567-e89b-12d3-a456-426655440000";

/// The number of a node that was sent back.
const FORMER: usize = 9;

fn job(node: usize) -> String {
    format!("JID123e4567-e89b-12d3-a456-42665544000{node}")
}

fn cluster(nodes: usize, silent: &[usize]) -> Cluster {
    let address = |node: usize| format!("192.0.2.1{node}").parse::<Endpoint>().unwrap();
    Cluster {
        id: CLUSTER.parse().unwrap(),
        jobs: (0..nodes).map(|node| job(node).parse().unwrap()).collect(),
        former: vec![job(FORMER).parse().unwrap()],
        addresses: (0..nodes).filter(|node| !silent.contains(node)).map(address).collect(),
        silent: silent.iter().map(|node| address(*node)).collect(),
        back: Vec::new(),
        down: Vec::new(),
        waits_until: None,
        named: None,
        nodes: Vec::new(),
        listed_still: Vec::new(),
        past: BTreeMap::new(),
    }
}

/// A node by its state, association and reachability, each by its first letter; `-` for a state that is not told.
fn node(at: usize, words: &str) -> DescribedNode {
    let words: Vec<char> = words.chars().collect();
    let state = match words[0] {
        'U' => State::Unlocked,
        'O' => State::Unlocking,
        'L' => State::Locked,
        _ => State::Other(State::NOT_TOLD.to_owned()),
    };
    let (is_associated, is_reachable) = (words[1] == 'A', words[2] == 'R');
    DescribedNode {
        device: Described { device_id: Some(job(at)), state },
        association: if is_associated { "ASSOCIATED" } else { "DISASSOCIATED" }.to_owned(),
        reachability: if is_reachable { "REACHABLE" } else { "UNREACHABLE" }.to_owned(),
        address: format!("192.0.2.1{at}").parse().ok(),
        is_associated,
        is_reachable,
    }
}

fn see(cluster: &mut Cluster, nodes: &[&str]) -> Described {
    let nodes = nodes.iter().enumerate().map(|(at, words)| node(at, words)).collect();
    cluster.see(DescribedCluster { cluster_id: Some(CLUSTER.to_owned()), nodes })
}

#[test]
fn a_cluster_is_open_when_each_node_that_answered_is_ready() {
    let mut three = cluster(3, &[]);
    for (nodes, state) in [
        (["LDR", "LDR", "LDR"], State::Locked),
        (["ODR", "LDR", "LDR"], State::Unlocking),
        (["UAR", "UAR", "UDR"], State::Unlocking),
        (["UAR", "UAR", "-AU"], State::Unlocking),
        (["UAR", "UAR", "UAR"], State::Unlocked),
    ] {
        assert_eq!(see(&mut three, &nodes).state, state, "{nodes:?}");
    }
    assert!(!three.is_locked());
    let mut without_one = cluster(3, &[2]);
    assert_eq!(see(&mut without_one, &["UAR", "UAR", "-DU"]).state, State::Unlocked);
    assert_eq!(without_one.for_client(), ["192.0.2.10", "192.0.2.11"]);
    let states: Vec<_> = without_one.nodes().into_iter().map(|node| node.state.unwrap()).collect();
    assert_eq!(states[2], "DISASSOCIATED, UNREACHABLE");
}

#[test]
fn a_node_that_comes_back_is_asked_once_and_one_that_never_went_is_not() {
    let mut three = cluster(3, &[]);
    let mut back = |nodes: &[&str]| {
        see(&mut three, nodes);
        three.come_back().into_iter().map(|(_, address)| address).collect::<Vec<_>>()
    };
    for nodes in [["LDR", "LDR", "LDR"], ["ODR", "UDR", "LDR"], ["UAR", "UAR", "ODR"], ["UAR", "-AU", "UAR"]] {
        assert_eq!(back(&nodes), Vec::<String>::new(), "{nodes:?}");
    }
    assert_eq!(back(&["UAR", "LDR", "UAR"]), ["192.0.2.11"]);
    assert_eq!(back(&["UAR", "LDR", "UAR"]), Vec::<String>::new(), "once");
    let mut late = cluster(3, &[2]);
    see(&mut late, &["UAR", "UAR", "LDR"]);
    assert_eq!(late.come_back().len(), 1, "it did not answer when the others were unlocked");
}

#[test]
fn a_node_that_is_not_expected_any_more_is_told_once_and_counts_for_nothing() {
    let heard = HeardEvents::default();
    let mut two = cluster(2, &[]);
    for last in ["LDR", "-AU"] {
        let mut nodes: Vec<DescribedNode> = ["UAR", "LDR"].iter().enumerate().map(|(at, it)| node(at, it)).collect();
        nodes.push(DescribedNode {
            device: Described { device_id: Some(job(FORMER)), ..node(2, last).device },
            ..node(2, last)
        });
        let described = two.see(DescribedCluster { cluster_id: Some(CLUSTER.to_owned()), nodes });
        assert_eq!((two.stranger(), described.device_id.as_deref()), (None, Some(CLUSTER)));
        assert_ne!(described.state, State::Unlocked, "the second is locked");
        two.tell_changes(&heard);
    }
    let heard = heard.0.lock().unwrap();
    let told = heard.iter().filter(|event| matches!(event, Event::Fact(text) if text.contains(&job(FORMER))));
    assert_eq!(told.count(), 1, "{heard:?}");
    assert_eq!(two.nodes().len(), 2);
}

#[test]
fn while_others_are_waited_for_a_cluster_is_open_only_when_all_of_it_is() {
    let mut three = cluster(3, &[2]);
    three.waits_until = Some(Instant::now());
    assert_ne!(see(&mut three, &["UAR", "UAR", "-AU"]).state, State::Unlocked);
    assert!(three.is_locked());
    assert_eq!(see(&mut three, &["UAR", "UAR", "UAR"]).state, State::Unlocked);
    three.waits_until = None;
    assert_eq!(see(&mut three, &["UAR", "UAR", "-AU"]).state, State::Unlocked, "as far as they answer");
}

/// Where three nodes are told to be, that are reached at `given` and say that they are at `own`.
fn places(given: [&str; 3], own: [&str; 3]) -> Vec<Option<String>> {
    let mut three = cluster(3, &[]);
    three.addresses = given.iter().filter(|given| !given.is_empty()).map(|given| given.parse().unwrap()).collect();
    let nodes = own.iter().enumerate().map(|(at, own)| DescribedNode { address: own.parse().ok(), ..node(at, "UAR") });
    three.see(DescribedCluster { cluster_id: Some(CLUSTER.to_owned()), nodes: nodes.collect() });
    assert_eq!(three.looked_for().answered.len(), three.addresses.len(), "{given:?}");
    three.nodes().into_iter().map(|node| node.address.map(|address| address.to_string())).collect()
}

#[test]
fn a_node_s_address_is_told_only_where_it_is_certain() {
    let direct = ["192.0.2.10", "192.0.2.11", "192.0.2.12"];
    let all = direct.map(|at| Some(at.to_owned()));
    assert_eq!(places(direct, direct), all);
    assert_eq!(places(["192.0.2.10", "", ""], direct), all, "the others' are on the same network");
    let reached = ["192.0.2.10:9091", "192.0.2.10:9092", "192.0.2.10:9093"];
    assert_eq!(places(reached, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]), [None, None, None], "behind a translation");
    assert_eq!(places(reached, ["192.0.2.10"; 3]), [None, None, None], "at one host");
    let ports = ["192.0.2.10:9092", "192.0.2.11:9092", ""];
    let told = [Some(ports[0].to_owned()), Some(ports[1].to_owned()), None];
    assert_eq!(places(ports, direct), told, "of the third the port is not known");
}

#[test]
fn behind_a_translation_the_one_node_that_came_back_is_at_the_one_port_that_did() {
    let mut two = cluster(2, &[]);
    two.addresses = ["198.51.100.1:9091", "198.51.100.1:9092"].map(|at| at.parse().unwrap()).to_vec();
    see(&mut two, &["UAR", "UAR"]);
    see(&mut two, &["UAR", "-AU"]);
    see(&mut two, &["UAR", "LDR"]);
    assert_eq!(two.come_back(), []);
    two.back.push(two.addresses[1].clone());
    assert_eq!(two.come_back(), [(job(1), "198.51.100.1:9092".to_owned())]);
}

#[test]
fn a_device_of_another_cluster_is_seen() {
    let mut two = cluster(2, &[]);
    see(&mut two, &["LDR", "LDR"]);
    assert_eq!(two.stranger(), None);
    see(&mut two, &["LDR", "LDR", "LDR"]);
    assert_eq!(two.stranger(), Some(&*job(2)));
}

/// What is said of the identity of two nodes' cluster, as it answers at the first one's address.
fn identity(cluster_id: Option<&str>, nodes: Vec<DescribedNode>) -> &'static str {
    let mut two = cluster(2, &[]);
    two.see(DescribedCluster { cluster_id: cluster_id.map(str::to_owned), nodes });
    let endpoint = two.endpoint().cloned().unwrap();
    two.check_identity(&endpoint).map_or_else(|error| error.code(), |()| "no error")
}

#[test]
fn another_cluster_or_none_but_nodes_that_left_is_another_device() {
    let at = |address: &str, node: DescribedNode| DescribedNode { address: address.parse().ok(), ..node };
    let both = || vec![node(0, "LDR"), node(1, "LDR")];
    let (other, another) = ("CID00000000-e89b-12d3-a456-426655440000", "device_is_another");
    assert_eq!([Some(CLUSTER), None].map(|id| identity(id, both())), ["no error"; 2]);
    for nodes in [both(), Vec::new()] {
        assert_eq!(identity(Some(other), nodes), another, "also while it is locked");
    }
    let former = |address| at(address, node(FORMER, "LDR"));
    assert_eq!(identity(Some(CLUSTER), vec![former("192.0.2.19")]), another);
    let idless = || {
        let mut idless = node(0, "LDR");
        idless.device.device_id = None;
        idless
    };
    assert_eq!(identity(Some(CLUSTER), vec![former(""), idless()]), another);
    assert_eq!(identity(Some(CLUSTER), vec![idless()]), "no error", "what is not told is no contradiction");
    let beside = |current, former| identity(Some(CLUSTER), vec![at(current, node(0, "LDR")), former]);
    assert_eq!(beside("192.0.2.11", former("192.0.2.10")), another, "where the client asks");
    assert_eq!(beside("192.0.2.10", former("192.0.2.11")), another, "where it is to unlock");
    assert_eq!(beside("192.0.2.10", former("192.0.2.19")), "no error");
    assert_eq!(beside("192.0.2.10", at("192.0.2.11", node(FORMER, "-AU"))), "no error", "it is there no more");
    assert_eq!(beside("192.0.2.10", former("192.0.2.10")), "no error", "behind one address they are not told apart");
    assert_eq!(beside("10.0.0.1", former("192.0.2.11")), "no error", "nor behind a translation");
}

#[test]
fn a_line_is_told_for_each_node_and_each_change() {
    let heard = HeardEvents::default();
    let mut two = cluster(2, &[]);
    for nodes in [["LDR", "LDR"], ["LDR", "LDR"], ["LDR", "UAR"]] {
        see(&mut two, &nodes);
        two.tell_changes(&heard);
    }
    let told: Vec<String> = heard
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|event| match event {
            Event::Node(node) => node.in_words(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told.len(), 3);
    assert_eq!(told[2], format!("Node 2 of 2 ({} at 192.0.2.11)  UNLOCKED, ASSOCIATED, REACHABLE", job(1)));
}
