use serde::{Deserialize, Serialize};

use super::ClientDigest;

/// What a client answered in an earlier run. Kept to save the time of asking it again, and for nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownClient {
    /// SHA-256 of its tree, with the JVM in it.
    pub client_sha256: ClientDigest,
    /// How it was asked: the command, and the options that its JVM was given first.
    pub asked: String,
    /// What it said its version is.
    pub version: String,
    /// Its JVM started with no option of ours but its home.
    pub jvm_is_bare: bool,
}
