//! The arguments of `credentials`.

use clap::Args;

use super::FlagsOf;
use crate::settings::table::SESSION;

pub(super) const EXAMPLES: &str = "\
Examples:
  In the profile of the AWS CLI for the device, in ~/.aws/config:
    credential_process = snow-onboard credentials JID…
  If the device has several access keys:
    credential_process = snow-onboard credentials JID… --access-key-id AKIA…
  After the device was wiped or its key changed:
    snow-onboard credentials JID123e4567-e89b-12d3-a456-426655440000 --refresh \\
      > /dev/null";

/// `credentials`
#[derive(Debug, Args)]
pub struct Credentials {
    /// The job's id, or the cluster's (CID…)
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Which access key of the device; not needed if it has one
    #[arg(long, value_name = "ID")]
    pub access_key_id: Option<String>,
    /// Read the key from the device again, even if one is stored
    #[arg(long)]
    pub refresh: bool,
    #[command(flatten)]
    pub(super) flags: FlagsOf<SESSION>,
}
