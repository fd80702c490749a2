//! What a run is for.

use serde::Serialize;

/// The command for which a job's pair is fetched or used. It stands in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Purpose {
    /// Fetches the pair and keeps it.
    Fetch,
    /// Opens the device, with a pair that is fetched if none is kept.
    Run,
    /// Opens the device with the pair that is kept.
    Unlock,
    /// Asks the open device for its access key.
    Credentials,
    /// Looks at the device.
    Status,
    /// Runs a command of the vendor's client.
    Client,
    /// Asks the open device for what a profile for it says.
    SetupProfile,
}
