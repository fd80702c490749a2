//! The JSON lines of `--json`. Their schema is `config/events.schema.json`; every line carries the schema's version.

use serde::Serialize;

use crate::model::TargetId;
use crate::report::{Check, Step, Subject, Verdict};

/// Version of the lines. Grows when a field changes its meaning or goes; fields may be added within a version.
const VERSION: u32 = 2;

#[derive(Serialize)]
struct Line<'a, T> {
    v: u32,
    event: &'a str,
    /// The one that the line is about, where that is known.
    job: Option<&'a TargetId>,
    #[serde(flatten)]
    content: T,
}

/// A step begins, or ends with the failure of the command.
#[derive(Serialize)]
pub(super) struct Started {
    pub(super) step: Step,
    pub(super) status: &'static str,
}

/// A step is done.
#[derive(Serialize)]
pub(super) struct Finished<'a> {
    pub(super) step: Step,
    pub(super) status: &'static str,
    pub(super) text: &'a str,
    /// Whole seconds since it was said to begin, or nothing if it took no time to speak of.
    pub(super) seconds: u64,
}

/// A check of `doctor`.
#[derive(Serialize)]
pub(super) struct CheckLine<'a> {
    check: Subject,
    verdict: Verdict,
    text: &'a str,
    /// What to do, if there is something.
    hint: Option<&'a str>,
    /// The error that a run would end with.
    code: Option<&'static str>,
}

impl<'a> From<&'a Check> for CheckLine<'a> {
    fn from(check: &'a Check) -> Self {
        let Check { subject, verdict, text, hint, error } = check;
        let code = error.map(|(code, _)| code);
        Self { check: *subject, verdict: *verdict, text, hint: hint.as_deref(), code }
    }
}

/// A warning, or something found out on the way.
#[derive(Serialize)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
}

/// Something outside is waited for.
#[derive(Serialize)]
pub(super) struct Waiting<'a> {
    pub(super) what: &'a str,
    pub(super) seconds: u64,
}

/// A download goes on.
#[derive(Serialize)]
pub(super) struct Received {
    pub(super) bytes: u64,
    pub(super) of: Option<u64>,
}

/// The end of a command that did what it says.
#[derive(Serialize)]
pub(super) struct ResultLine<'a, T> {
    pub(super) command: &'a str,
    #[serde(flatten)]
    pub(super) content: T,
}

/// The end of one that failed, or what a result says of a job that did.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(super) exit: u8,
    pub(crate) text: String,
    pub(crate) hint: String,
}

/// One line, with its end. `None` if it can't be made: every content here is plain data, and a line too few does not end
/// the run.
pub(super) fn line(event: &str, job: Option<&TargetId>, content: impl Serialize) -> Option<String> {
    serde_json::to_string(&Line { v: VERSION, event, job, content }).ok().map(|line| line + "\n")
}
