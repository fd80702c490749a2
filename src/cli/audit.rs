//! `audit`: its arguments.

use clap::Args;

pub(super) const AUDIT_EXAMPLES: &str = "\
Examples:
  Check that the audit log is as it was written:
    snow-onboard audit verify
  See who did what with a job, and when:
    snow-onboard audit show JID123e4567-e89b-12d3-a456-426655440000
  For a script: exit code 9 and one object with each line that is wrong:
    snow-onboard audit verify --json";

/// Checks the whole log.
pub(crate) const VERIFY: &str = "verify";
/// Shows its lines.
pub(crate) const SHOW: &str = "show";

/// `audit`
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// verify: check that no line was removed, changed, inserted, moved or cut; show: print the lines
    #[arg(value_name = "ACTION", value_parser = [VERIFY, SHOW])]
    pub action: String,
    /// With show: only the lines about this job
    #[arg(value_name = "JOB")]
    pub job: Option<String>,
    /// With verify: the head that a filed receipt names; the log must still contain that line
    #[arg(long, value_name = "NUMBER:SHA256")]
    pub head: Option<String>,
}
