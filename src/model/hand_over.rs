//! How the vendor's client may get the code, and where the home for it may lie.

use serde::{Deserialize, Serialize};

/// Which hand-over methods a run may use: setting `handoff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOverPolicy {
    /// Private methods only.
    Private,
    /// Private methods first; the command line without asking.
    Argv,
    /// Private methods first; the command line if the person at the terminal agrees.
    Auto,
}

/// Where the client's private home may lie that can't lie in memory, though the system has memory for it: setting `private_home`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateHome {
    /// Nowhere.
    Memory,
    /// On a disk if the person at the terminal agrees.
    Ask,
    /// On a disk.
    Disk,
}

/// A method of handing over the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HandOverMethod {
    /// We wrote the client's documented profile file into a private home.
    Profile,
    /// The client wrote it there itself, its prompts answered by us.
    Configure,
    /// On the client's command line, where other programs can read it while the client runs.
    Argv,
}

impl HandOverMethod {
    /// As it stands in the record and in the client's data file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Configure => "configure",
            Self::Argv => "argv",
        }
    }

    /// For people: what was done, in a few words.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Profile => "private profile; code not on any command line",
            Self::Configure => "client prompts, private folder; code not on any command line",
            Self::Argv => "command line (you allowed it); other programs could read the code",
        }
    }
}
