//! Whether the code can be kept, by storing something of no value where that asks nobody.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::{Check, Subject, WarningCollector};
use crate::error::{Error, Result};
use crate::keychain::Keychain;
use crate::model::KeychainKind;
use crate::model::TargetId;
use crate::os;
use crate::report::Notify;
use crate::settings::Settings;

/// How long another one of these is waited for. It holds the lock for the few calls of its probe.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the probe goes by: a job that does not exist, so that it is in no run's way.
///
/// Two of these at the same time would each find the other's probe, or none, and take a good keychain for one that keeps
/// nothing. So one at a time uses the name, guarded by a lock; then the next one takes over, and removes, what a killed one
/// left. Where there is no lock to be had, the name is one of this process.
struct Probe {
    job: TargetId,
    _lock: Option<File>,
}

impl Probe {
    /// The lock goes by `place`, a folder that is this user's and always there; so does the name, lest a process that goes by
    /// another folder use the same one.
    fn by(place: Option<&Path>, patience: Duration) -> Result<Self> {
        let lock = place.and_then(|place| Some((lock_of(place, patience)?, place)));
        let (kind, number) = match &lock {
            Some((_, place)) => {
                let digest = Sha256::digest(place.as_os_str().as_encoded_bytes());
                (0, digest.iter().take(6).fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
            None => (1, u64::from(std::process::id())),
        };
        let job = format!("JID00000000-0000-0000-{kind:04x}-{number:012x}").parse();
        let job = job.map_err(|_| Error::Internal { what: "the probe's job id has another shape".to_owned() })?;
        Ok(Self { job, _lock: lock.map(|(lock, _)| lock) })
    }
}

fn lock_of(place: &Path, patience: Duration) -> Option<File> {
    let until = Instant::now() + patience;
    loop {
        match os::lock_folder(place) {
            Ok(Some(lock)) => return Some(lock),
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) | Err(_) => return None,
        }
    }
}

/// A folder of this user that is there before the state folder is.
fn place() -> Option<PathBuf> {
    // On Windows the lock is a file for a moment, which has no business in a profile that may roam.
    let place = if cfg!(windows) { Some(std::env::temp_dir()) } else { std::env::home_dir() };
    place.filter(|place| place.is_absolute())
}

/// Opens the keychain as a run would, which may ask somebody to unlock it, and stores a test item in it for a moment.
pub(super) fn keeps(settings: &Settings, heard: &Arc<WarningCollector>) -> Check {
    const SUBJECT: Subject = Subject::Keychain;
    if settings.keychain == KeychainKind::None {
        return Check::skipped(SUBJECT, "not used: keychain = none, so each run fetches the code and manifest again");
    }
    match try_out(settings, heard) {
        Err(error) => Check::failed(SUBJECT, &error),
        Ok((name, was_tried)) => {
            let text = match was_tried {
                true => format!("{name}: ready (test item stored and read back)"),
                false => format!("{name}: open (no test item stored, since it may ask before it removes one)"),
            };
            match &heard.warnings()[..] {
                [] => Check::ok(SUBJECT, text),
                warnings => Check::warning(
                    SUBJECT,
                    format!("{text}. {}", warnings.join(" ")),
                    "Set a password for it in the keychain's own app (GNOME's is “Passwords and Keys”: right click, Change Password).",
                ),
            }
        }
    }
}

fn try_out(settings: &Settings, heard: &Arc<WarningCollector>) -> Result<(String, bool)> {
    let keychain = Keychain::open(settings.keychain_settings(settings.keychain), Arc::clone(heard) as Arc<dyn Notify>)?;
    let probe = Probe::by(place().as_deref(), PATIENCE)?;
    let was_tried = keychain.try_out(&probe.job)?;
    Ok((keychain.name().to_owned(), was_tried))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_has_one_name_by_its_lock_and_another_without() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let by = |place: &Path| Probe::by(Some(place), Duration::ZERO).unwrap();
        let first = by(here.path());
        assert_ne!(first.job, by(there.path()).job);
        let second = by(here.path());
        assert_ne!(first.job, second.job, "the first one may be using it");
        assert_eq!(second.job, by(&here.path().join("nowhere")).job);
        assert_eq!(second.job, Probe::by(None, Duration::ZERO).unwrap().job);
        let name = first.job.clone();
        drop(first);
        assert_eq!(by(here.path()).job, name, "what a killed one left goes by it");
    }
}
