//! Whose pair it is: a job's, or a cluster's, whose nodes share one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::job::{CLUSTERS, ClusterId, IdKind, JobId, Malformed, check_id, typed_id};

/// The id under which a pair is kept: the job's, or the cluster's. The job folder, the keychain's item and the lines of the
/// audit log are named by it. What the Snowball API is asked for a pair by is a [`JobId`] always.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TargetId {
    /// A job with a device of its own.
    Job(JobId),
    /// A cluster, each of whose nodes has a job.
    Cluster(ClusterId),
}

impl TargetId {
    /// Characters of every such id.
    pub const LENGTH: usize = JobId::LENGTH;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Job(job) => job.as_str(),
            Self::Cluster(cluster) => cluster.as_str(),
        }
    }

    /// As people type it: with what they copied around it, and in capital letters as well.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn typed(text: &str) -> Result<Self, Malformed> {
        typed_id(text).parse()
    }

    /// The job, if it is one.
    #[must_use]
    pub(crate) fn job(&self) -> Option<&JobId> {
        match self {
            Self::Job(job) => Some(job),
            Self::Cluster(_) => None,
        }
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TargetId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if CLUSTERS.iter().any(|prefix| text.starts_with(prefix)) {
            return text.parse().map(Self::Cluster);
        }
        check_id(text, &IdKind::TARGET)?;
        text.parse().map(Self::Job)
    }
}

impl TryFrom<String> for TargetId {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<TargetId> for String {
    fn from(id: TargetId) -> Self {
        match id {
            TargetId::Job(job) => job.into(),
            TargetId::Cluster(cluster) => cluster.into(),
        }
    }
}

impl From<JobId> for TargetId {
    fn from(job: JobId) -> Self {
        Self::Job(job)
    }
}

impl From<ClusterId> for TargetId {
    fn from(cluster: ClusterId) -> Self {
        Self::Cluster(cluster)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_either_kind_is_taken_as_what_it_is_and_comes_back() {
        let uuid = "123e4567-e89b-12d3-a456-426655440000";
        for (prefix, is_job) in [("JID", true), ("MID", true), ("CID", false)] {
            let text = format!("{prefix}{uuid}");
            let id: TargetId = text.parse().unwrap();
            assert_eq!((id.job().is_some(), id.as_str(), id.to_string()), (is_job, &*text, text.clone()));
            let written = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<TargetId>(&written).unwrap(), id);
        }
        let cluster = "CID123e4567-e89b-12d3-a456-42665544000a";
        assert_eq!(TargetId::typed("CID123E4567-E89B-12D3-A456-42665544000A").unwrap().as_str(), cluster);
        for (text, why) in [("CID123", "a cluster id has 39"), ("XID", "with JID (a job) or CID (a cluster)")] {
            let refusal = text.parse::<TargetId>().unwrap_err();
            assert!(refusal.why.contains(why), "{refusal}");
        }
    }
}
