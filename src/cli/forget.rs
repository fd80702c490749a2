//! The command line of `forget`.

use clap::Args;

pub(super) const EXAMPLES: &str = "\
Examples:
  When the device goes back:
    snow-onboard forget JID123e4567-e89b-12d3-a456-426655440000
  Those whose device has gone back, as AWS says:
    snow-onboard forget --returned
  Before this program is removed, or the laptop goes to somebody else:
    snow-onboard forget --all
  Only take a profile with the code in clear out of the client's own settings:
    snow-onboard forget JID123e4567-e89b-12d3-a456-426655440000 \\
      --client-profile NAME";

pub(super) const USAGE: &str = "\
snow-onboard forget [OPTIONS] <JOB>
       snow-onboard forget [OPTIONS] --all
       snow-onboard forget [OPTIONS] --returned
       snow-onboard forget [OPTIONS] --expired";

/// `forget`
#[derive(Debug, Args)]
pub struct Forget {
    /// The job's id, or the cluster's (CID…)
    #[arg(value_name = "JOB", required_unless_present_any = ["all", "returned", "expired"])]
    pub job: Option<String>,
    /// Forget every job that is stored on this machine, and remove all files of this program but the audit log
    #[arg(long, conflicts_with_all = ["job", "client_profile", "returned", "expired"])]
    pub all: bool,
    /// Forget the stored jobs whose device has left, as AWS says: on its way back, returned, completed or cancelled
    #[arg(long, conflicts_with_all = ["job", "client_profile", "expired"])]
    pub returned: bool,
    /// Forget the stored jobs that were created 360 days ago or earlier: AWS no longer releases their code and manifest
    #[arg(long, conflicts_with_all = ["job", "client_profile"])]
    pub expired: bool,
    /// Do not ask at a terminal; a script is not asked. With --all, codes go too whose files are not here
    #[arg(short, long, conflicts_with = "client_profile")]
    pub yes: bool,
    /// Take just this profile out of the client's own settings, and forget nothing else
    #[arg(long, value_name = "NAME")]
    pub client_profile: Option<String>,
}
