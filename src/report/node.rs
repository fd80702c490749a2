//! What is told of a node of a cluster.

use serde::Serialize;

use crate::model::JobId;

/// A node, and what state it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeState {
    /// Which, counted from 1.
    pub number: usize,
    /// How many the cluster has.
    pub of: usize,
    /// Its job.
    #[serde(rename = "node")]
    pub job: JobId,
    /// Where it is, where that is known.
    #[serde(rename = "endpoint")]
    pub at: Option<String>,
    /// The client's words for it. Cleaned.
    pub state: String,
}

impl NodeState {
    /// On one line.
    #[must_use]
    pub(crate) fn in_words(&self) -> String {
        let Self { number, of, job, at, state } = self;
        let at = at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
        format!("Node {number} of {of} ({job}{at})  {state}")
    }
}
