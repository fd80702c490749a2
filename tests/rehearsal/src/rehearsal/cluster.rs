//! A handle on one cluster whose devices were started.

use std::sync::Arc;

use super::JobHandle;
use crate::{
    device::{ClusterRequests, Device, State},
    world::World,
};

/// A cluster: its jobs, and its devices beside each other on one network.
#[derive(Clone)]
pub struct ClusterHandle {
    pub(super) id: String,
    pub(super) nodes: Vec<Device>,
    pub(super) world: Arc<World>,
}

impl ClusterHandle {
    /// `CID…`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The devices, in the order of the jobs.
    #[must_use]
    pub fn nodes(&self) -> &[Device] {
        &self.nodes
    }

    /// The job of each device. One that is not released yet, or has another code, is made so by its handle.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobHandle> {
        let job = |node: &Device| JobHandle { id: node.job_id().to_owned(), world: self.world.clone() };
        self.nodes.iter().map(job).collect()
    }

    /// `IP:PORT` of each device, as `--device-ip-addresses` takes them.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.address().to_string()).collect()
    }

    /// What was asked of all nodes together: each command of the client counts once.
    #[must_use]
    pub fn requests(&self) -> ClusterRequests {
        self.nodes.iter().map(Device::cluster_requests).fold(ClusterRequests::default(), std::ops::Add::add)
    }

    /// Whether every node is open and of the cluster.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.nodes.iter().all(|node| node.state() == State::Unlocked && node.is_associated())
    }

    /// Another manifest under the same code for all nodes, as after an update of their software; the old one no longer works.
    pub fn renew_manifest(&self) {
        self.world.renew_cluster(&self.id);
    }
}
