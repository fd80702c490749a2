//! `client`

use std::ffi::OsString;

use clap::Args;

use super::FlagsOf;
use crate::settings::table::SESSION;

pub(super) const ABOUT: &str = "\
Run any command of the vendor's client, which gets code and manifest privately\n\n\
What stands after -- goes to the client as it is. The stored code and manifest are given to it in a private folder that is removed \
when the command ends: as the client's default profile, so that a command that names no profile finds them, and as the profile \
snow-onboard, for --profile snow-onboard. Never type an unlock code or --unlock-code; such a command is refused, and so are the client's configure, which asks for the code, and a client \
that takes the code only on its command line.\n\n\
Input, output and errors of the client are this program's. They pass as they come and byte for byte, with two exceptions: where \
eight or more characters of the unlock code stand in a row, [unlock code] stands instead; and the line that its Java prints about \
JAVA_TOOL_OPTIONS, which this program sets, is left out. Binary data to a file or a pipe is not looked at. Files that the client writes are made by it alone, in \
the current folder, and are not looked at. Ctrl-C goes to the client; a second one ends both.\n\n\
The exit code is the client's (128 and the number of the signal, if one ended it). If this program fails, before the client ran or \
while it did, the exit code is 125 and the reason is on stderr, with --json as a JSON object. A LOCKED device is no failure: some commands \
work while it is locked.";

pub(super) const EXAMPLES: &str = "\
Examples:
  What the device says of itself:
    snow-onboard client JID123e4567-e89b-12d3-a456-426655440000 \\
      -- describe-device
  The client's own help, with all its commands:
    snow-onboard client JID123e4567-e89b-12d3-a456-426655440000 -- help
  The device has another address now:
    snow-onboard client JID123e4567-e89b-12d3-a456-426655440000 \\
      --endpoint 192.0.2.11 -- describe-device
  All nodes of a cluster; a command for one device takes the node's job:
    snow-onboard client CID123e4567-e89b-12d3-a456-426655440000 \\
      -- describe-cluster";

/// `client`
#[derive(Debug, Args)]
pub struct RunClient {
    /// The job's id; of a cluster the job of the node, or the cluster's id (CID…) for a command about all of it
    // Numbered, since what is changed of an argument, as completions do, puts it behind the others.
    #[arg(value_name = "JOB", index = 1)]
    pub job: String,
    /// The client's command and its options, after --
    #[arg(last = true, index = 2, value_name = "ARGS")]
    pub args: Vec<OsString>,
    #[command(flatten)]
    pub(super) flags: FlagsOf<SESSION>,
}
