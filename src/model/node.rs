//! A node of a cluster.

use serde::{Deserialize, Serialize};

use super::{Endpoint, JobId};

/// A node of a cluster, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterNode {
    /// Its job, whose id is its `DeviceId` (guide, "Cluster overview").
    pub job: JobId,
    /// Where it was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Endpoint>,
    /// What was said of it last, such as "UNLOCKED, ASSOCIATED, REACHABLE". Cleaned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// The addresses at which the nodes of a cluster were looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodeAddresses {
    /// Those at which a node of the cluster answers.
    pub answered: Vec<Endpoint>,
    /// Those at which nobody does.
    pub silent: Vec<Endpoint>,
    /// Those at which something else does: each node is known to have another address.
    pub foreign: Vec<Endpoint>,
}

impl ClusterNode {
    /// A node of which nothing is known but its job.
    #[must_use]
    pub(crate) fn of(job: JobId) -> Self {
        Self { job, address: None, state: None }
    }

    /// Whether it is known to be at this address.
    #[must_use]
    pub(crate) fn is_at(&self, address: &Endpoint) -> bool {
        self.address.as_ref().is_some_and(|known| known.is_same(address))
    }

    /// Its name: the job, and the address where that is known.
    #[must_use]
    pub(crate) fn name(&self) -> String {
        match &self.address {
            Some(address) => format!("{} at {address}", self.job),
            None => self.job.to_string(),
        }
    }

    /// What was said of it last, in words.
    #[must_use]
    pub(crate) fn state_in_words(&self) -> &str {
        self.state.as_deref().unwrap_or("state not known")
    }
}
