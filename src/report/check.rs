//! What `doctor` found out about one thing.

use std::fmt;

use serde::Serialize;

use crate::error::{Error, ExitCode};
use crate::safety::sanitize::sanitize_sentences;

/// What is looked at, in the order in which it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is called what it is about")]
pub enum Subject {
    Region,
    Proxy,
    CaCertificates,
    Aws,
    Credentials,
    Clock,
    ListJobs,
    DescribeJob,
    GetJobManifest,
    GetJobUnlockCode,
    Keychain,
    Client,
    PrivateFolder,
    StateFolder,
    AuditLog,
    DiskEncryption,
    Memory,
    Device,
}

impl Subject {
    /// What a run with a pair that is kept needs nothing of.
    pub(crate) fn is_of_aws(self) -> bool {
        match self {
            Self::Region | Self::Proxy | Self::CaCertificates | Self::Aws | Self::Credentials | Self::Clock => true,
            Self::ListJobs | Self::DescribeJob | Self::GetJobManifest | Self::GetJobUnlockCode => true,
            Self::Keychain | Self::Client | Self::PrivateFolder | Self::StateFolder | Self::Device => false,
            Self::AuditLog | Self::DiskEncryption | Self::Memory => false,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Region => "Region",
            Self::Proxy => "Proxy",
            Self::CaCertificates => "CA certificates",
            Self::Aws => "AWS",
            Self::Credentials => "Credentials",
            Self::Clock => "Clock",
            Self::ListJobs => "ListJobs",
            Self::DescribeJob => "DescribeJob",
            Self::GetJobManifest => "GetJobManifest",
            Self::GetJobUnlockCode => "GetJobUnlockCode",
            Self::Keychain => "Keychain",
            Self::Client => "Client",
            Self::PrivateFolder => "Private folder",
            Self::StateFolder => "State folder",
            Self::AuditLog => "Audit log",
            Self::DiskEncryption => "Disk encryption",
            Self::Memory => "Memory",
            Self::Device => "Device",
        })
    }
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// A run would go on, but somebody should know.
    Warning,
    /// A run would fail.
    Fails,
    /// It was not looked at, or could not be.
    Skipped,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fails => "fails",
            Self::Skipped => "skipped",
        })
    }
}

/// What was found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub subject: Subject,
    /// How it is.
    pub verdict: Verdict,
    /// What there is to say, on one line. Cleaned.
    pub text: String,
    /// What to do; a line to paste stands alone, indented by two. Cleaned.
    pub hint: Option<String>,
    /// The error that a run would end with.
    pub error: Option<(&'static str, ExitCode)>,
}

impl Check {
    fn new(subject: Subject, verdict: Verdict, text: &str) -> Self {
        // Paths and the like, of whatever length; each of one line, whatever is in their names.
        let text = sanitize_sentences(text).replace('\n', " ");
        Self { subject, verdict, text, hint: None, error: None }
    }

    pub(crate) fn ok(subject: Subject, text: impl AsRef<str>) -> Self {
        Self::new(subject, Verdict::Ok, text.as_ref())
    }

    pub(crate) fn warning(subject: Subject, text: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        Self::new(subject, Verdict::Warning, text.as_ref()).hint(hint)
    }

    pub(crate) fn skipped(subject: Subject, text: impl AsRef<str>) -> Self {
        Self::new(subject, Verdict::Skipped, text.as_ref())
    }

    pub(crate) fn failed(subject: Subject, error: &Error) -> Self {
        let report = error.report();
        Self {
            error: Some((report.code, report.exit)),
            ..Self::new(subject, Verdict::Fails, &report.sentence).hint(report.hint)
        }
    }

    /// The same with this hint, or another one.
    pub(crate) fn hint(self, hint: impl AsRef<str>) -> Self {
        Self { hint: Some(sanitize_sentences(hint.as_ref())), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_is_called_does_nothing_to_a_terminal() {
        let path = "/a\u{1b}]0;x\u{7}/b\u{1b}[2J\nc\u{202e}";
        let check = Check::warning(Subject::Client, path, format!("See {path}:\n  ls {path}"));
        assert_eq!(check.text, "/a/b c");
        assert_eq!(check.hint.as_deref(), Some("See /a/b\nc:\n  ls /a/b\nc"));
        let error = Error::StateFolderBad { path: path.to_owned(), why: "it is not a folder".to_owned().into() };
        assert_eq!(
            Check::failed(Subject::StateFolder, &error).text,
            r"The folder /a/b\nc can't be used: it is not a folder."
        );
        let long = "x".repeat(4000);
        assert_eq!(Check::ok(Subject::Client, &long).text, long, "what is to be compared stays whole");
    }
}
