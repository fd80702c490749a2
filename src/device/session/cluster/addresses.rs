//! Which node is where: what the nodes say of their addresses, beside those that were given.

use std::net::IpAddr;

use super::Cluster;
use crate::device::client::cluster::DescribedNode;
use crate::device::client::output::State;
use crate::model::{Endpoint, EndpointHost, JobId, NodeAddresses};

impl Cluster {
    /// Whether the nodes have other addresses on their own network than from here: none says that of the one that describes them.
    /// Then nothing tells which node is behind which address.
    pub(super) fn is_translated(&self) -> bool {
        let is_told = |host: &EndpointHost| {
            let mut all = self.nodes.iter().chain(&self.listed_still);
            all.any(|node| node.address.is_some_and(|told| EndpointHost::Address(told) == *host))
        };
        self.addresses.first().is_some_and(|first| !is_told(first.host()))
    }

    /// The address of this node alone, as it says itself, if that leads to it from here.
    fn own_address(&self, node: &DescribedNode) -> Option<IpAddr> {
        let address = node.address?;
        let same = self.nodes.iter().filter(|other| other.address == Some(address)).count();
        (same == 1 && !self.is_translated()).then_some(address)
    }

    /// The address that was given for this node. What it says of itself has no port, so nodes behind one address are not told apart
    /// by it.
    fn address_of(&self, node: &DescribedNode) -> Option<&Endpoint> {
        let address = EndpointHost::Address(self.own_address(node)?);
        let mut known = self.known().filter(|known| *known.host() == address);
        known.next().filter(|_| known.next().is_none())
    }

    /// Where this node is, as far as it can be told: at an address that was given, or at its own, where none was given on that host
    /// and those that were have no port of their own.
    pub(super) fn place_of(&self, node: &DescribedNode) -> Option<Endpoint> {
        let given = self.address_of(node).cloned();
        given.or_else(|| {
            let own = Endpoint::of(self.own_address(node).filter(|_| node.is_reachable)?);
            let is_other = |known: &Endpoint| known.host() != own.host() && known.port() == own.port();
            self.known().all(is_other).then_some(own)
        })
    }

    /// The address of a node that came back: of several that may be its, it is the one whose port went and came.
    pub(super) fn address_back(&self, node: &DescribedNode) -> Option<&Endpoint> {
        let address = EndpointHost::Address(node.address?);
        let is_translated = self.is_translated();
        self.address_of(node).or_else(|| {
            let mut back = self.back.iter().filter(|back| is_translated || *back.host() == address);
            back.next().filter(|_| back.next().is_none())
        })
    }

    /// What came of each address. One that is written as a name is not told from a node's.
    pub(super) fn looked_for(&self) -> NodeAddresses {
        let hosts: Vec<EndpointHost> =
            self.nodes.iter().filter_map(|node| node.address).map(EndpointHost::Address).collect();
        let is_translated = self.is_translated();
        let all_are_told = !hosts.is_empty() && hosts.len() == self.jobs.len();
        let mut found = NodeAddresses::default();
        for address in self.known() {
            let is_listed = is_translated || matches!(address.host(), EndpointHost::Name(_));
            if self.down.contains(address) {
                found.silent.push(address.clone());
            } else if is_listed || hosts.contains(address.host()) {
                found.answered.push(address.clone());
            } else if all_are_told {
                found.foreign.push(address.clone());
            }
        }
        found
    }

    /// The nodes that answer the others and are not opened, because their own addresses were not among those that answered.
    pub(super) fn not_asked(&self) -> Vec<JobId> {
        let is_asked = |node: &DescribedNode| match self.address_of(node) {
            Some(address) => self.addresses.contains(address),
            // Those behind one address are not told apart by it.
            None => self.addresses.len() >= self.jobs.len(),
        };
        let left = self.nodes.iter().filter(|node| node.is_reachable && node.device.state == State::Locked);
        let ids = left.filter(|node| !is_asked(node)).filter_map(|node| node.device.device_id.as_deref());
        ids.filter_map(|id| id.parse().ok()).collect()
    }
}
