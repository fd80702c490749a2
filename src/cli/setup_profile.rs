//! The command line of `setup-profile`.

use std::path::PathBuf;

use clap::Args;

use super::FlagsOf;
use crate::settings::table::SESSION;

pub(super) const EXAMPLES: &str = "\
Examples:
  Write a profile into ~/.aws/config, after showing it, and use it:
    snow-onboard setup-profile JID123e4567-e89b-12d3-a456-426655440000
    aws s3 ls --profile snow-123e4567
  See what would be written:
    snow-onboard setup-profile JID123e4567-e89b-12d3-a456-426655440000 --dry-run
  Take it out again:
    snow-onboard setup-profile JID123e4567-e89b-12d3-a456-426655440000 \\
      --remove --yes";

/// `setup-profile`
#[derive(Debug, Args)]
pub struct SetupProfile {
    /// The job's id, or the cluster's (CID…); the job of a node for that node's addresses
    #[arg(value_name = "JOB")]
    pub job: String,
    /// What to call the profile [default: snow- and the first eight digits of the job's id]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Which storage the profile's S3 commands use: adapter (S3 adapter) or s3-snow (S3 compatible storage) [default: the one that is
    /// active; of both, the adapter]
    #[arg(long, value_name = "WHICH", value_parser = ["adapter", "s3-snow"])]
    pub s3: Option<String>,
    /// Which of the device's access keys to use, if it has several
    #[arg(long, value_name = "ID")]
    pub access_key_id: Option<String>,
    /// Also write what EKS Anywhere needs: FILE holds the device's secret key unencrypted, FILE.pem its certificates
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::Unknown)]
    pub eksa: Option<PathBuf>,
    /// Remove the profile; without --name, all profiles of the job
    #[arg(long, conflicts_with_all = ["s3", "access_key_id", "eksa"])]
    pub remove: bool,
    /// Show the change without making it
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Make the change without asking
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub(super) flags: FlagsOf<SESSION>,
}
