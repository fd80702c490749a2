//! What `describe-cluster` tells of each node of a cluster.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::device::client::data::ClientData;
use crate::device::client::output::{Described, State, UnlockStatus};
use crate::safety::sanitize::sanitize;

/// What `describe-cluster` told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::device) struct DescribedCluster {
    /// Not cleaned.
    pub(in crate::device) cluster_id: Option<String>,
    pub(in crate::device) nodes: Vec<DescribedNode>,
}

/// What it told of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::device) struct DescribedNode {
    /// Its id, which is its job's (guide, "Cluster overview"), and its lock state. One that can't be reached has none.
    pub(in crate::device) device: Described,
    /// `ASSOCIATED` or `DISASSOCIATED`; empty if it was not told. Cleaned.
    pub(in crate::device) association: String,
    /// `REACHABLE` or `UNREACHABLE`; empty if it was not told. Cleaned.
    pub(in crate::device) reachability: String,
    pub(in crate::device) address: Option<IpAddr>,
    pub(in crate::device) is_associated: bool,
    pub(in crate::device) is_reachable: bool,
}

impl DescribedNode {
    /// It is unlocked and does its part in the cluster.
    pub(in crate::device) fn is_ready(&self) -> bool {
        self.device.state == State::Unlocked && self.is_associated && self.is_reachable
    }

    /// It is open, or on its way there.
    pub(in crate::device) fn is_opening(&self) -> bool {
        matches!(self.device.state, State::Unlocked | State::Unlocking)
    }

    /// The client's words for it: `UNLOCKED, ASSOCIATED, REACHABLE`.
    pub(in crate::device) fn in_words(&self) -> String {
        let state = match &self.device.state {
            // Of a node that can't be reached, none is told.
            State::Other(text) if text == State::NOT_TOLD => "",
            state => state.as_str(),
        };
        let said: Vec<&str> =
            [state, &self.association, &self.reachability].into_iter().filter(|said| !said.is_empty()).collect();
        if said.is_empty() { State::NOT_TOLD.to_owned() } else { said.join(", ") }
    }
}

impl DescribedCluster {
    /// The texts in it that are the client's own.
    pub(in crate::device) fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let of_nodes = self.nodes.iter_mut().flat_map(|node| {
            let (id, state) = node.device.texts();
            id.into_iter().chain(state).chain([&mut node.association, &mut node.reachability])
        });
        self.cluster_id.iter_mut().chain(of_nodes)
    }
}

impl ClientData {
    /// Finds the description in the stdout of `describe-cluster`, which other lines may precede or follow. A node of which
    /// something has another form than the documented one is a node of which that is not known.
    pub(in crate::device) fn described_cluster(&self, stdout: &str) -> Option<DescribedCluster> {
        super::output::first_document(stdout, |answer: ClusterAnswer| {
            let nodes = answer.devices?.into_iter().take(MAX_NODES).map(|node| self.described_node(node)).collect();
            Some(DescribedCluster { cluster_id: answer.cluster_id.filter(|id| !id.is_empty()), nodes })
        })
    }

    fn described_node(&self, node: serde_json::Value) -> DescribedNode {
        let node: NodeAnswer = serde_json::from_value(node).unwrap_or_default();
        let device = self.described_as(node.device_id, node.unlock_status);
        let word = |status: Option<NodeWord>| status.and_then(|status| status.state).unwrap_or_default();
        let (association, reachability) = (word(node.cluster_association), word(node.network_reachability));
        let is = |known: &[String], said: &str| known.iter().any(|known| known == said);
        DescribedNode {
            device,
            is_associated: is(&self.states.associated, &association),
            is_reachable: is(&self.states.reachable, &reachability),
            association: sanitize(&association),
            reachability: sanitize(&reachability),
            address: node.active_network_interface.and_then(|active| active.ip_address?.parse().ok()),
        }
    }
}

/// A cluster has 16 nodes at most (guide, "Snowball Edge clustering overview"). The bound keeps a flood of them cheap.
const MAX_NODES: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ClusterAnswer {
    cluster_id: Option<String>,
    devices: Option<Vec<serde_json::Value>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeAnswer {
    device_id: Option<String>,
    unlock_status: Option<UnlockStatus>,
    active_network_interface: Option<NodeInterface>,
    cluster_association: Option<NodeWord>,
    network_reachability: Option<NodeWord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeInterface {
    ip_address: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeWord {
    state: Option<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the guide shows it, with a node that has lost its network.
    const SAMPLE: &str = r#"{
  "ClusterId" : "CID1",
  "Devices" : [ {
    "DeviceId" : "JID-1",
    "UnlockStatus" : { "State" : "UNLOCKED" },
    "ActiveNetworkInterface" : { "IpAddress" : "192.0.2.10" },
    "ClusterAssociation" : { "State" : "ASSOCIATED", "ClusterId" : "CID1" },
    "NetworkReachability" : { "State" : "REACHABLE" }
  }, {
    "DeviceId" : "JID-2",
    "ActiveNetworkInterface" : { "IpAddress" : "192.0.2.11" },
    "ClusterAssociation" : { "State" : "DISASSOCIATED", "ClusterId" : "CID1" },
    "NetworkReachability" : { "State" : "UNREACHABLE" }
  } ]
}"#;

    #[test]
    fn each_node_is_read_among_noise_and_one_that_is_not_reachable_has_no_state() {
        let client = ClientData::built_in();
        for text in [SAMPLE.to_owned(), format!("Picked up x\n{{\"level\":\"warn\"}}\n{SAMPLE}bye")] {
            let cluster = client.described_cluster(&text).unwrap();
            assert_eq!(cluster.cluster_id.as_deref(), Some("CID1"));
            let words: Vec<_> = cluster.nodes.iter().map(|node| (node.is_ready(), node.in_words())).collect();
            assert_eq!(
                words,
                [
                    (true, "UNLOCKED, ASSOCIATED, REACHABLE".to_owned()),
                    (false, "DISASSOCIATED, UNREACHABLE".to_owned())
                ]
            );
            assert_eq!(cluster.nodes[1].address, Some("192.0.2.11".parse().unwrap()));
        }
    }

    #[test]
    fn an_unknown_state_is_not_yet_and_another_form_is_a_node_of_which_nothing_is_known() {
        let client = ClientData::built_in();
        let text = SAMPLE.replace("UNLOCKED\"", "DEGRADED\"").replace("{ \"State\" : \"UNREACHABLE\" }", "\"no\"");
        let cluster = client.described_cluster(&text).unwrap();
        assert_eq!(cluster.nodes[0].in_words(), "DEGRADED, ASSOCIATED, REACHABLE");
        assert!(!cluster.nodes[0].is_ready());
        assert_eq!((cluster.nodes[1].in_words().as_str(), &cluster.nodes[1].device.device_id), ("not told", &None));
        assert_eq!(client.described_cluster("{\"ClusterId\":\"CID1\"}"), None);
        assert_eq!(client.described_cluster("no JSON"), None);
    }

    proptest! {
        #[test]
        fn no_output_makes_the_reader_panic(text in "[{}\\[\\]\":,A-Za-z \\n\\\\]{0,200}") {
            let _ = ClientData::built_in().described_cluster(&text);
        }
    }
}
