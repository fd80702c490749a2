//! What the audit log says of itself: the head of its chain, and where else its lines go.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Malformed;
use super::digest::hex_text;

/// SHA-256 of a line of the audit log, with the line's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AuditDigest([u8; 32]);

impl AuditDigest {
    /// From a finished hasher.
    #[must_use]
    pub(crate) fn from_hasher(hasher: sha2::Sha256) -> Self {
        Self(sha2::Digest::finalize(hasher).into())
    }
}

hex_text!(AuditDigest);

/// The last line of the audit log, as it was when somebody wrote down which one that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditHead {
    /// The line's number in the chain, from 1.
    pub seq: u64,
    /// The line's hash.
    pub sha256: AuditDigest,
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.sha256)
    }
}

impl FromStr for AuditHead {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let parsed = text.split_once(':').and_then(|(seq, sha256)| {
            let seq = seq.parse().ok().filter(|seq| *seq > 0)?;
            Some(Self { seq, sha256: sha256.parse().ok()? })
        });
        parsed.ok_or_else(|| Malformed { why: "is not a number, a colon and a SHA-256".to_owned() })
    }
}

/// Where the lines of the audit log go besides the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditCopy {
    /// Nowhere.
    None,
    /// To the system's log.
    System,
}
