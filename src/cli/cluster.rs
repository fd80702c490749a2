//! What `run` and `unlock` take for a cluster.

use clap::Args;

/// The nodes of a cluster.
#[derive(Debug, Default, Args)]
pub(crate) struct NodeFlags {
    /// The address of another node of a cluster; --endpoint is the first node's. Once for each node
    #[arg(long = "node", value_name = "ADDRESS", value_hint = clap::ValueHint::Unknown)]
    pub(crate) nodes: Vec<String>,
    /// Unlock the nodes of a cluster that answer now; do not wait for the others
    #[arg(long)]
    pub(crate) without_missing: bool,
}
