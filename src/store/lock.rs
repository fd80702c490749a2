//! The lock on a job: one process at a time works on it.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::files::open_ours;
use crate::error::{Error, Result};
use crate::model::TargetId;
use crate::safety::path_trust::{self, OpenMode};

/// How long a lock file that is removed again and again is tried.
const MAX_RETRY: Duration = Duration::from_secs(2);

/// The lock on a job. The operating system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct JobLock {
    file: File,
}

impl JobLock {
    /// Takes the lock of `job`, which is on the file `path`.
    ///
    /// # Errors
    /// [`Error::Busy`] with the number of the process that holds it; [`Error::FileAliased`];
    /// [`Error::StateFolderNoLocks`]; [`Error::Disk`].
    pub(super) fn take(job: &TargetId, path: &Path) -> Result<Self> {
        let until = Instant::now() + MAX_RETRY;
        while Instant::now() < until {
            let Some(lock) = Self::take_once(job, path)? else { continue };
            // `forget --all` removes lock files, each under its own lock. Who had it open by then holds the lock of a file that
            // nobody else will open.
            if path_trust::is_still_at(&lock.file, path).map_err(|error| Error::disk("Opening", path, error))? {
                return Ok(lock);
            }
        }
        Err(Error::Busy { job: job.to_string(), pid: "unknown".to_owned() })
    }

    /// `None` if the file went between two steps.
    fn take_once(job: &TargetId, path: &Path) -> Result<Option<Self>> {
        let opening = |error: io::Error| Error::disk("Opening", path, error);
        let mut file = match path_trust::create_private_file(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let Some(file) = open_ours(path, OpenMode::Write, opening)? else { return Ok(None) };
                file
            }
            result => result.map_err(opening)?,
        };
        // Another command that is just sweeping holds the lock for a moment.
        let until = Instant::now() + Duration::from_millis(200);
        let mut locked = file.try_lock();
        while matches!(locked, Err(TryLockError::WouldBlock)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Who has just taken it may not have written the number yet. Windows lets no one read a locked file; the
                // message then goes without.
                for _ in 0..10 {
                    let _ = file.seek(SeekFrom::Start(0)).and_then(|_| (&file).take(20).read_to_string(&mut pid));
                    if !pid.trim().is_empty() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
                return Err(Error::Busy { job: job.to_string(), pid });
            }
            Err(TryLockError::Error(error)) => {
                let folder = path.parent().unwrap_or(path).display().to_string();
                return Err(Error::StateFolderNoLocks { path: folder, why: error.into() });
            }
        }
        // The number is a courtesy for the message above; the lock holds without it.
        let _ = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0)));
        let _ = write!(file, "{}", std::process::id());
        Ok(Some(Self { file }))
    }
}
