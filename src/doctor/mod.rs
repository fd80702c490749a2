//! `doctor`: whether everything that a first start needs is as it should be, before the device arrives.
//!
//! A check looks at one thing, by the same code that a run would use, and changes nothing. One that fails stops no other.
//! The slow ones run beside each other, and what they find is told in one order, always the same.
//!
//! | file | what |
//! | --- | --- |
//! | `aws` | region, proxy, CA certificates, credentials, clock, permissions |
//! | `keychain` | whether the code can be kept |
//! | `client` | the vendor's client, and the private folder that it is given |
//! | `machine` | state folder, memory |
//! | `device` | whether anything answers at the device's address |

mod aws;
mod client;
mod device;
mod keychain;
mod machine;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ScopedJoinHandle;

use serde::Serialize;

use crate::cloud::Way;
use crate::error::{Error, ExitCode};
use crate::model::KeychainKind;
use crate::report::{Notice, Notify};
use crate::safety::sanitize::sanitize_sentences;
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::Ui;

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
    DiskEncryption,
    Memory,
    Device,
}

impl Subject {
    /// What a run with a pair that is kept needs nothing of.
    fn is_of_aws(self) -> bool {
        match self {
            Self::Region | Self::Proxy | Self::CaCertificates | Self::Aws | Self::Credentials | Self::Clock => true,
            Self::ListJobs | Self::DescribeJob | Self::GetJobManifest | Self::GetJobUnlockCode => true,
            Self::Keychain | Self::Client | Self::PrivateFolder | Self::StateFolder | Self::Device => false,
            Self::DiskEncryption | Self::Memory => false,
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

    fn ok(subject: Subject, text: impl AsRef<str>) -> Self {
        Self::new(subject, Verdict::Ok, text.as_ref())
    }

    fn warning(subject: Subject, text: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        Self::new(subject, Verdict::Warning, text.as_ref()).hint(hint)
    }

    fn skipped(subject: Subject, text: impl AsRef<str>) -> Self {
        Self::new(subject, Verdict::Skipped, text.as_ref())
    }

    fn failed(subject: Subject, error: &Error) -> Self {
        let report = error.report();
        Self {
            error: Some((report.code, report.exit)),
            ..Self::new(subject, Verdict::Fails, &report.sentence).hint(report.hint)
        }
    }

    /// The same with this hint, or another one.
    fn hint(self, hint: impl AsRef<str>) -> Self {
        Self { hint: Some(sanitize_sentences(hint.as_ref())), ..self }
    }
}

/// How many checks ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// As they should be.
    pub ok: usize,
    /// Warnings.
    pub warnings: usize,
    /// Failures.
    pub failed: usize,
    /// Not looked at.
    pub skipped: usize,
    /// Jobs whose code and manifest are kept here: their devices are opened without AWS.
    pub kept: usize,
    /// Whether something fails, and AWS alone is what does.
    #[serde(skip)]
    pub is_aws_alone: bool,
    /// Exit code of the first failure; 0 without one.
    #[serde(serialize_with = "as_number")]
    pub exit: ExitCode,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn as_number<S: serde::Serializer>(exit: &ExitCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(*exit as u8)
}

impl Tally {
    fn count(&mut self, check: &Check) {
        match check.verdict {
            Verdict::Ok => self.ok += 1,
            Verdict::Warning => self.warnings += 1,
            Verdict::Fails => {
                self.is_aws_alone = check.subject.is_of_aws() && (self.failed == 0 || self.is_aws_alone);
                self.failed += 1;
            }
            Verdict::Skipped => self.skipped += 1,
        }
        if let (ExitCode::Done, Some((_, exit))) = (self.exit, check.error) {
            self.exit = exit;
        }
    }
}

/// Looks at everything, tells it as it comes, and counts.
#[must_use]
pub fn examine(settings: &Settings, ui: &Arc<Ui>) -> Tally {
    let kept = match settings.keychain {
        // A run that keeps nothing looks at nothing that is kept.
        KeychainKind::None => 0,
        KeychainKind::System | KeychainKind::Kernel => {
            StateFolder::pairs_below(&settings.state_dir).unwrap_or_default().len()
        }
    };
    let mut tally = Tally { kept, ..Tally::default() };
    let mut tell = |checks: Vec<Check>| {
        for check in checks {
            tally.count(&check);
            ui.check(&check);
        }
    };
    let way = Way::of(&settings.cloud());
    std::thread::scope(|scope| {
        let at_aws = scope.spawn(|| aws::answers(settings, &way, &Heard::by(ui)));
        let keychain = scope.spawn(|| vec![keychain::keeps(settings, &Heard::by(ui))]);
        let client = scope.spawn(|| client::client_and_folder(settings, &Heard::by(ui)));
        let device = scope.spawn(|| vec![device::answers(settings, &**ui)]);
        tell(aws::way(&way));
        tell(joined(at_aws, Subject::Aws));
        tell(joined(keychain, Subject::Keychain));
        tell(joined(client, Subject::Client));
        tell(machine::machine(settings));
        tell(joined(device, Subject::Device));
    });
    tally
}

/// What a thread found. One that panicked is told as a mistake of this program.
fn joined(thread: ScopedJoinHandle<'_, Vec<Check>>, subject: Subject) -> Vec<Check> {
    thread.join().unwrap_or_else(|_| {
        let what = format!("the check of “{subject}” ended in a panic");
        vec![Check::failed(subject, &Error::Internal { what })]
    })
}

/// Passes on what is waited for, and keeps the warnings for the check that they belong to.
struct Heard {
    ui: Arc<Ui>,
    warnings: Mutex<Vec<String>>,
}

impl Heard {
    fn by(ui: &Arc<Ui>) -> Arc<Self> {
        Arc::new(Self { ui: Arc::clone(ui), warnings: Mutex::default() })
    }

    fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Notify for Heard {
    fn notify(&self, notice: Notice) {
        match notice {
            Notice::Warning(text) => self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(text),
            other => self.ui.notify(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_gives_the_exit_code_and_warnings_give_none() {
        let mut tally = Tally::default();
        tally.count(&Check::warning(Subject::Memory, "text", "hint"));
        assert_eq!((tally.warnings, tally.exit), (1, ExitCode::Done));
        tally.count(&Check::failed(Subject::Region, &Error::RegionMissing));
        tally.count(&Check::failed(Subject::Device, &Error::EndpointMissing));
        assert_eq!((tally.failed, tally.exit), (2, ExitCode::Credentials));
        let json = serde_json::to_value(tally).unwrap_or_default();
        assert_eq!(json["exit"], 4);
    }

    #[test]
    fn aws_alone_fails_or_something_else_as_well() {
        let fails = |subject| Check::failed(subject, &Error::RegionMissing);
        let is_alone = |checks: &[Check]| {
            let mut tally = Tally::default();
            checks.iter().for_each(|check| tally.count(check));
            tally.is_aws_alone
        };
        let fine = || Check::ok(Subject::Keychain, "");
        assert!(!is_alone(&[fine()]));
        assert!(is_alone(&[fails(Subject::Region), fails(Subject::Clock), fine()]));
        assert!(!is_alone(&[fails(Subject::Region), fails(Subject::Client), fine()]));
        assert!(!is_alone(&[fails(Subject::Client), fails(Subject::Aws)]));
    }

    #[test]
    fn what_a_path_is_called_does_nothing_to_a_terminal() {
        let path = "/a\u{1b}]0;x\u{7}/b\u{1b}[2J\nc\u{202e}";
        let check = Check::warning(Subject::Client, path, format!("See {path}:\n  ls {path}"));
        assert_eq!(check.text, "/a/b c");
        assert_eq!(check.hint.as_deref(), Some("See /a/b\nc:\n  ls /a/b\nc"));
        let error = Error::StateFolderBad { path: path.to_owned(), why: "it is not a folder".to_owned().into() };
        assert_eq!(
            Check::failed(Subject::StateFolder, &error).text,
            "The folder /a/b c can't be used: it is not a folder."
        );
        let long = "x".repeat(4000);
        assert_eq!(Check::ok(Subject::Client, &long).text, long, "what is to be compared stays whole");
    }
}
