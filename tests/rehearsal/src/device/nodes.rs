//! The nodes of the clusters: which devices there are beside one that is asked, and what it says of them.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Instant,
};

use serde_json::{Value, json};

use super::{Inner, State};
use crate::world::lock;

/// The devices that are nodes, each with its cluster's id, in the order in which they were started.
#[derive(Default)]
pub(crate) struct Nodes {
    started: Mutex<Vec<(String, Weak<Inner>)>>,
}

/// What was asked of a node as one of a cluster, by somebody with the right manifest and code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterRequests {
    /// `unlock-cluster` with this node as its endpoint.
    pub unlock_cluster: u32,
    /// `associate-device` for this node.
    pub associate_device: u32,
    /// `describe-cluster` with this node as its endpoint.
    pub describe_cluster: u32,
    /// `disassociate-device` with this node as its endpoint: always refused.
    pub disassociate_device: u32,
}

impl std::ops::Add for ClusterRequests {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            unlock_cluster: self.unlock_cluster + other.unlock_cluster,
            associate_device: self.associate_device + other.associate_device,
            describe_cluster: self.describe_cluster + other.describe_cluster,
            disassociate_device: self.disassociate_device + other.disassociate_device,
        }
    }
}

impl Nodes {
    pub(super) fn add(&self, cluster: &str, node: &Arc<Inner>) {
        lock(&self.started).push((cluster.to_owned(), Arc::downgrade(node)));
    }

    pub(super) fn find(&self, job_id: &str) -> Option<Arc<Inner>> {
        lock(&self.started).iter().filter_map(|(_, node)| node.upgrade()).find(|node| node.job_id == job_id)
    }

    /// The answer to `describe-cluster`. A device that was never started is none that the others know.
    pub(super) fn describe(&self, cluster: &str, now: Instant) -> Value {
        let of_cluster: Vec<Arc<Inner>> =
            lock(&self.started).iter().filter(|(of, _)| of == cluster).filter_map(|(_, node)| node.upgrade()).collect();
        let devices: Vec<Value> = of_cluster.iter().map(|node| node.describe_as_node(cluster, now)).collect();
        json!({ "ClusterId": cluster, "Devices": devices })
    }
}

impl Inner {
    /// Its entry among the devices of its cluster. One that nobody reaches has no `UnlockStatus`, as the guide says.
    fn describe_as_node(&self, cluster: &str, now: Instant) -> Value {
        let mut machine = lock(&self.machine);
        let reachable = machine.state(now) != State::Booting;
        let association = if machine.is_associated(now) { "ASSOCIATED" } else { "DISASSOCIATED" };
        let own = lock(&self.own_address).unwrap_or_else(|| lock(&self.address).ip());
        let mut entry = json!({
            "ActiveNetworkInterface": { "IpAddress": own.to_string() },
            "ClusterAssociation": { "State": association, "ClusterId": cluster },
            "NetworkReachability": { "State": if reachable { "REACHABLE" } else { "UNREACHABLE" } },
        });
        if let Some(id) = self.device_id(&machine) {
            entry["DeviceId"] = id.into();
        }
        if reachable {
            entry["UnlockStatus"] = json!({ "State": machine.describe(now) });
        }
        entry
    }
}
