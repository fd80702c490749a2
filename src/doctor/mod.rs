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

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::cloud::Way;
use crate::error::ExitCode;
use crate::model::KeychainKind;
use crate::os::threads::Beside;
use crate::report::{Check, Event, Notify, Reporter, Subject, Verdict};
use crate::settings::Settings;
use crate::store::StateFolder;

/// How many checks ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
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
pub(crate) fn examine(settings: &Settings, reporter: &Reporter) -> Tally {
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
            reporter.check(check);
        }
    };
    let way = Way::of(&settings.cloud());
    std::thread::scope(|scope| {
        let at_aws = Beside::begin(scope, || aws::answers(settings, &way, &WarningCollector::by(reporter)));
        let keychain = Beside::begin(scope, || vec![keychain::keeps(settings, &WarningCollector::by(reporter))]);
        let client = Beside::begin(scope, || client::client_and_folder(settings, &WarningCollector::by(reporter)));
        let device = Beside::begin(scope, || vec![device::answers(settings, reporter)]);
        tell(aws::way(&way));
        tell(at_aws.join());
        tell(keychain.join());
        tell(client.join());
        tell(machine::machine(settings));
        tell(device.join());
    });
    tally
}

/// Passes on what is waited for, and keeps the warnings for the check that they belong to.
struct WarningCollector {
    reporter: Reporter,
    warnings: Mutex<Vec<String>>,
}

impl WarningCollector {
    fn by(reporter: &Reporter) -> Arc<Self> {
        Arc::new(Self { reporter: reporter.clone(), warnings: Mutex::default() })
    }

    fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Notify for WarningCollector {
    fn notify(&self, event: Event) {
        match event {
            Event::Warning(text) => self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(text),
            other => self.reporter.notify(other),
        }
    }

    fn ask_unseen(&self, question: &str, patience: Duration) -> Option<String> {
        self.reporter.ask_unseen(question, patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn the_first_failure_gives_the_exit_code_and_warnings_give_none() {
        let mut tally = Tally::default();
        tally.count(&Check::warning(Subject::Memory, "text", "hint"));
        assert_eq!((tally.warnings, tally.exit), (1, ExitCode::Done));
        tally.count(&Check::failed(Subject::Region, &Error::RegionMissing));
        tally.count(&Check::failed(Subject::Device, &Error::endpoint_missing(None)));
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
}
