//! `status`

use clap::Args;

use super::FlagsOf;
use crate::settings::setting;
use crate::settings::table::LOOK;

pub(super) const ABOUT: &str = "\
Show each stored job: whether its code and manifest are whole, and the state of its device\n\n\
For each job it tells whether the code is in the keychain and the manifest on the disk and both belong together, how old they are, \
until when AWS probably gives them again (an estimate: 360 days after the job was created), the last hand-over, and what the device \
says now. For the last it starts the client once per device, which takes some seconds, at most four side by side; the code goes to \
it privately and never on a command line. A device that can't be looked at is shown with the reason, and the others are looked at \
all the same. The device is left as it is.\n\n\
The exit code is 0 when this was told, whatever the state is: the state is in the output. With --watch it is 0 when every device is \
UNLOCKED, 14 when --wait-timeout is over before, 6 when nothing is stored, else that of the first job for which waiting does not help.";

pub(super) const EXAMPLES: &str = "\
Examples:
  Every stored job:
    snow-onboard status
  What is stored, without contacting a device:
    snow-onboard status --offline
  One job, at another address than that of the last time:
    snow-onboard status JID123e4567-e89b-12d3-a456-426655440000 \\
      --endpoint 192.0.2.11
  For a script:
    snow-onboard status --json
  Wait until somebody has unlocked every device:
    snow-onboard status --watch";

/// `status`
#[derive(Debug, Args)]
pub struct ShowStatus {
    /// The job's id, or the cluster's (CID…); without it, every job that is stored here
    #[arg(value_name = "JOB")]
    pub job: Option<String>,
    /// Show what is stored; start no client and contact no device
    #[arg(long, conflicts_with_all = ["watch", "endpoint"])]
    pub offline: bool,
    /// Look again until every device is UNLOCKED, for --wait-timeout at most
    #[arg(long)]
    pub watch: bool,
    #[command(flatten)]
    pub(super) flags: FlagsOf<LOOK>,
}

impl ShowStatus {
    /// Whether an address was typed, and no job whose device it would be.
    #[must_use]
    pub(crate) fn has_address_alone(&self) -> bool {
        self.job.is_none() && self.flags.0.contains(&setting::endpoint)
    }
}
