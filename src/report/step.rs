//! The steps of a run.

use std::fmt;

use serde::Serialize;

/// The steps that are told, in JSON by these names in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The vendor's client is found and looked at.
    Client,
    /// What is kept is used; AWS is not asked.
    Kept,
    /// The keychain proves that it keeps.
    Keychain,
    /// AWS is asked for the job.
    Job,
    /// The code goes into the keychain.
    Code,
    /// The manifest is downloaded and put in its place.
    Manifest,
    /// Both halves are compared and looked at.
    Pair,
    /// The client is given both.
    HandOver,
    /// The device opens.
    Device,
}

impl Step {
    /// What is being done meanwhile.
    #[must_use]
    pub(crate) fn in_progress(self) -> &'static str {
        match self {
            Self::Client => "checking the client",
            Self::Kept => "using the stored code and manifest",
            Self::Keychain => "checking the keychain",
            Self::Job => "asking AWS for the job",
            Self::Code => "storing the code",
            Self::Manifest => "fetching code and manifest",
            Self::Pair => "comparing code and manifest",
            Self::HandOver => "handing over to the client",
            Self::Device => "unlocking",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "Client",
            Self::Kept => "Stored",
            Self::Keychain => "Keychain",
            Self::Job => "Job",
            Self::Code => "Code",
            Self::Manifest => "Manifest",
            Self::Pair => "Pair",
            Self::HandOver => "Hand-over",
            Self::Device => "Device",
        })
    }
}
