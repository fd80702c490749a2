//! How an error is made of what failed, and what is made of it for a person or a script.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Error, ExitCode, Why, io_in_words};
use crate::model::{Endpoint, TargetId};
use crate::safety::path_trust::{Cause, Fault, Flaw, Refused};

/// One error, ready for a person or a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReport {
    /// Stable code, such as `keychain_locked`.
    pub code: &'static str,
    /// Exit code of the process.
    pub exit: ExitCode,
    /// What happened: one sentence or two, without a trailing full stop only if it ends in a path or command.
    pub sentence: String,
    /// What to do. May be several lines; a line to paste stands alone, indented by two.
    pub hint: String,
}

/// Says where the private folder for the client may be made.
pub(super) const PRIVATE_FOLDER_VARIABLE: &str = if cfg!(windows) {
    "TEMP"
} else if cfg!(target_os = "macos") {
    "TMPDIR"
} else {
    "XDG_RUNTIME_DIR (or TMPDIR)"
};

impl Error {
    /// What happened, what to do, and the two codes.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let mut report = self.tabled();
        let mend = match self {
            Self::CredentialsFailed { why } => why.mend(""),
            Self::Disk { path, why, .. }
            | Self::StateFolderBad { path, why }
            | Self::SettingsFileUnreadable { path, why, .. }
            | Self::RecordUnreadable { path, why, .. }
            | Self::OwnProfilesUnreadable { path, why }
            | Self::ProfileFileRefused { path, why, .. }
            | Self::CaFileBad { path, why, .. } => why.mend(path),
            _ => None,
        };
        if let Some(mend) = mend {
            report.hint = match self {
                // What mends it is the cause that is to be corrected.
                Self::Disk { .. } => format!("{mend}\nThen repeat the same command."),
                Self::StateFolderBad { .. } => format!("{mend}\nOr {}", report.hint.replacen("Use", "use", 1)),
                _ => format!("{}\n{mend}", report.hint),
            };
        }
        report
    }

    /// An operation on a file that path trust refused: `what` begins the sentence ("Writing"), the path follows it.
    #[must_use]
    pub(crate) fn refused(what: &str, path: &Path, refused: Refused) -> Self {
        if let Some(full) = refused.too_many_files() {
            return full;
        }
        let is_odd = matches!(refused.cause, Cause::Flaw(Flaw { fault: Fault::Link | Fault::Names | Fault::Kind, .. }));
        let why = match refused.into_why(path) {
            Why::Refused(clause, mend) if is_odd && mend.is_empty() => {
                Why::Refused(clause, "Find out who made it, and move it to another folder.".to_owned())
            }
            why => why,
        };
        Self::Disk { what: what.to_owned(), path: path.display().to_string(), why }
    }

    /// Something that the system did not let this program do at all. `what` begins the clause ("a thread for the network").
    #[must_use]
    pub(crate) fn of_system(what: &str, why: &io::Error) -> Self {
        Self::if_too_many_files(why)
            .unwrap_or_else(|| Self::SystemRefused { what: format!("{what} ({})", io_in_words(why)) })
    }

    /// That too many files are open, if that is what the system said: it is no fault of the file or address that was wanted, nor
    /// mended there.
    #[must_use]
    pub(crate) fn if_too_many_files(why: &io::Error) -> Option<Self> {
        // EMFILE and ENFILE, alike on all of them.
        let is_full = cfg!(unix) && matches!(why.raw_os_error(), Some(23 | 24));
        is_full.then(|| Self::TooManyFiles { what: io_in_words(why) })
    }

    /// This process was told to end by this signal, or what stands for it on Windows.
    #[must_use]
    pub(crate) fn interrupted(signal: i32, kept: String, hint: String) -> Self {
        let by = match signal {
            1 => "the terminal was closed",
            2 => "Ctrl-C",
            3 => "Ctrl-\\",
            15 => "another process or the system ended it",
            _ => "by a signal",
        };
        Self::Interrupted { signal, by, kept, hint }
    }

    /// Nobody said where the device is. The last time it was there, if that is known.
    #[must_use]
    pub(crate) fn endpoint_missing(last: Option<&Endpoint>) -> Self {
        let hint = match last {
            Some(last) => format!(
                "Add the IP address that the device's display shows. The last time it was:\n  --endpoint {last}"
            ),
            None => "Add the IP address that the device's display shows:\n  --endpoint 192.0.2.10".to_owned(),
        };
        Self::EndpointMissing { hint }
    }

    /// Not both halves are stored, and it is known where the device is.
    #[must_use]
    pub(crate) fn pair_not_kept(job: &TargetId) -> Self {
        let hint = format!("Fetch both from AWS, then repeat the same command:\n  snow-onboard fetch {job}");
        Self::PairNotKept { job: job.to_string(), hint }
    }

    /// Nothing is stored of the job, so that it is not known either where its device is, which `fetch` does not mend.
    #[must_use]
    pub(crate) fn nothing_kept(job: &TargetId) -> Self {
        // A run would remove it again where `keep` says so.
        let hint = format!(
            "Fetch both from AWS, then repeat the same command with --endpoint and the IP address that the device's display shows:\n  snow-onboard fetch {job}"
        );
        if job.job().is_none() { Self::pair_not_kept(job) } else { Self::PairNotKept { job: job.to_string(), hint } }
    }

    /// The same for `unlock`, of which nothing is left to do then.
    #[must_use]
    pub(crate) fn nothing_to_unlock_with(job: &TargetId) -> Self {
        // The addresses of a cluster's nodes are asked for when it is known how many there are.
        if job.job().is_none() {
            return Self::pair_not_kept(job);
        }
        let hint = format!(
            "Fetch both from AWS and unlock the device, with the IP address that its display shows:\n  snow-onboard run {job} --endpoint 192.0.2.10"
        );
        Self::PairNotKept { job: job.to_string(), hint }
    }

    /// An operation on a file that failed: `what` begins the sentence ("Writing"), the path follows it.
    #[must_use]
    pub fn disk(what: &str, path: &Path, why: io::Error) -> Self {
        Self::if_too_many_files(&why).unwrap_or_else(|| Self::Disk {
            what: what.to_owned(),
            path: path.display().to_string(),
            why: why.into(),
        })
    }
}

/// A week in minutes, the longest that any limit can be set to.
const LONGEST: u64 = 7 * 24 * 60;

/// A time limit above the one in effect, as a flag takes it ("10m", "12h"): so many minutes, or twice what they are not above.
pub(crate) fn longer_than(in_effect: Duration, minutes: u64) -> String {
    let seconds = in_effect.as_secs();
    let minutes = if seconds < minutes * 60 { minutes } else { seconds.saturating_mul(2).div_ceil(60).min(LONGEST) };
    if minutes.is_multiple_of(60) { format!("{}h", minutes / 60) } else { format!("{minutes}m") }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report().sentence)
    }
}
