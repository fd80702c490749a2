//! The record of a job: what was fetched, where the code is, and how the device was opened.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::model::{JobFacts, JobId, ManifestDigest, PairTag};

/// The record of a job, as it stands in `record.json`.
///
/// `incoming` is the journal of a change: it is written before the keychain and the manifest are, and cleared after,
/// so that a run that was killed in between is completed by the next one instead of begun again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Format of the record: [`Record::VERSION`].
    pub version: u32,
    /// The job it is about.
    pub job: JobId,
    /// What the service said of the job when the pair was fetched.
    pub summary: JobSummary,
    /// The pair that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair: Option<PairRecord>,
    /// The pair that is about to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<PairRecord>,
    /// The latest hand-over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hand_over: Option<HandOverRecord>,
}

/// One pair. That the halves belong together, the keychain's item says: its second line is the manifest's SHA-256. Nothing here
/// comes of the code.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairRecord {
    /// When it was fetched.
    #[serde(with = "time::serde::rfc3339")]
    pub fetched_at: OffsetDateTime,
    /// Which keychain has the code: `system` or `kernel` (or `none`).
    pub keychain: String,
    /// SHA-256 of the manifest.
    pub manifest_sha256: ManifestDigest,
    /// Length of the manifest in bytes.
    pub manifest_bytes: u64,
    /// Of format 1, until it is converted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<PairTag>,
}

/// What the service said of the job, in its own words.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSummary {
    /// Snowball API, JobState.
    pub state: String,
    /// Snowball API, JobType.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Snowball API, SnowballType.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// The customer's description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When the job was created; the pair can be had for 360 days from then (Snowball API, GetJobManifest).
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub created: Option<OffsetDateTime>,
    /// The cluster it is a node of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// How a device was given its pair, and the receipt for its opening.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandOverRecord {
    /// When the client was started with the pair.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The device's address.
    pub endpoint: String,
    /// The hand-over method: `profile`, `configure`, `argv`; `none` if the device was open already.
    #[serde(alias = "rung")]
    pub method: String,
    /// For how many seconds the code stood on a command line, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv_seconds: Option<u64>,
    /// The client that was used.
    pub client: String,
    /// What it says its version is.
    pub client_version: String,
    /// SHA-256 over the client's whole tree.
    pub client_sha256: String,
    /// Its JVM started with no option of ours but its home.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub client_jvm_is_bare: bool,
    /// What the device said it is; equal to the job id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// The receipt: when the device said UNLOCKED.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub unlocked_at: Option<OffsetDateTime>,
}

impl Record {
    /// Format written by this version.
    pub const VERSION: u32 = 2;

    /// The format that it is written in: the one that it was read in as long as all pairs in it are of format 1, so that nothing
    /// is lost before they are converted.
    #[must_use]
    pub fn format(&self) -> u32 {
        let mut pairs = self.pair.iter().chain(&self.incoming).peekable();
        if pairs.peek().is_some() && pairs.all(|pair| pair.tag.is_some()) { 1 } else { Self::VERSION }
    }

    /// A record of nothing yet.
    #[must_use]
    pub fn new(job: JobId) -> Self {
        Self {
            version: Self::VERSION,
            job,
            summary: JobSummary::default(),
            pair: None,
            incoming: None,
            hand_over: None,
        }
    }
}

impl From<&JobFacts> for JobSummary {
    fn from(facts: &JobFacts) -> Self {
        Self {
            state: facts.state.as_api().to_owned(),
            kind: facts.kind.clone(),
            device_type: facts.device_type.clone(),
            description: facts.description.clone(),
            created: facts.created,
            cluster: facts.cluster.clone(),
        }
    }
}
