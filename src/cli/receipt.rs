//! `receipt`: its arguments.

use std::path::PathBuf;

use clap::{Args, ValueHint};

pub(super) const RECEIPT_EXAMPLES: &str = "\
Examples:
  What was done with a job's code and manifest:
    snow-onboard receipt JID123e4567-e89b-12d3-a456-426655440000
  A page to print and to file:
    snow-onboard receipt JID123e4567-e89b-12d3-a456-426655440000 \\
      --html receipt.html";

/// `receipt`
#[derive(Debug, Args)]
pub struct ReceiptArgs {
    /// The job's id, or the cluster's (CID…)
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Write it as an HTML page to this file, which only you can read
    // A shell completes files itself.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::Unknown)]
    pub html: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "html")]
    pub force: bool,
}
