//! Promise 2 of a cluster: the devices that answer are its nodes.

use super::Cluster;
use crate::device::client::cluster::DescribedNode;
use crate::error::{Error, Result};
use crate::model::{Endpoint, EndpointHost};
use crate::safety::sanitize::sanitize;

impl Cluster {
    /// Checks what was described last: it names this cluster or none, lists none but its nodes and at least one that is still
    /// expected, and no address that is used is of one that is not. What is not told is no contradiction.
    pub(in crate::device::session) fn check_identity(&self, endpoint: &Endpoint) -> Result<()> {
        if let Some(found) = self.named.as_deref().filter(|named| *named != self.id.as_str()) {
            let hint = "Check that each address is on the display of a node of this cluster, and the cluster's id.";
            return Err(self.is_another(endpoint, found, hint.to_owned()));
        }
        if let Some(found) = self.stranger() {
            return Err(self.unknown_node(endpoint, found));
        }
        let Some((former, at)) = self.former_in_place(endpoint) else { return Ok(()) };
        let hint = format!(
            "By what AWS said last, this node was sent back, cancelled or replaced. Read the address of each other node off its display, and give it with --endpoint and --node. Then repeat the same command. If this node was not sent back, fetch code and manifest anew, which lists the nodes anew:\n  snow-onboard fetch --refresh {}",
            self.id
        );
        Err(self.is_another(at, former, hint))
    }

    /// The first id among the described ones that is none of this cluster's jobs.
    pub(super) fn stranger(&self) -> Option<&str> {
        let ids = self.nodes.iter().filter_map(|node| node.device.device_id.as_deref());
        ids.into_iter().find(|id| !self.jobs.iter().any(|job| job.as_str() == *id))
    }

    /// A node that is not expected any more, and is asked in the place of one that is: it is at an address that is used, or no
    /// other one is listed.
    fn former_in_place<'a>(&'a self, endpoint: &'a Endpoint) -> Option<(&'a str, &'a Endpoint)> {
        let is_alone = !self.nodes.iter().any(|node| node.device.device_id.is_some());
        self.listed_still.iter().find_map(|node| {
            let at = if is_alone { Some(endpoint) } else { self.used_address_of(node) };
            node.device.device_id.as_deref().zip(at)
        })
    }

    /// The address that is used and leads to this node, which is not expected any more, where that can be told.
    fn used_address_of(&self, node: &DescribedNode) -> Option<&Endpoint> {
        let own = node.address.filter(|_| node.is_reachable)?;
        if self.is_translated() || self.nodes.iter().any(|other| other.address == Some(own)) {
            return None;
        }
        let mut at = self.addresses.iter().filter(|address| *address.host() == EndpointHost::Address(own));
        at.next().filter(|_| at.next().is_none())
    }

    fn is_another(&self, endpoint: &Endpoint, found: &str, hint: String) -> Error {
        let (expected, found) = (self.id.to_string(), sanitize(found));
        Error::DeviceIsAnother { expected, found, endpoint: endpoint.to_string(), hint }
    }

    /// The failure of a cluster that lists a device of which nothing is known.
    fn unknown_node(&self, endpoint: &Endpoint, found: &str) -> Error {
        let (cluster, endpoint) = (self.id.to_string(), endpoint.to_string());
        // Nothing that a device says gets into a line to paste.
        let hint = format!(
            "If the cluster has a new node, fetch code and manifest anew, which lists the nodes anew. Then repeat the same command:\n  snow-onboard fetch --refresh {cluster}\nElse check that each address is on the display of a node of this cluster."
        );
        Error::ClusterNodeUnknown { cluster, found: sanitize(found), endpoint, hint }
    }
}
