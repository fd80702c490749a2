//! The audit log: one JSON object a line, appended, never rewritten. Who did which step to which job, when, and with
//! which manifest; never a secret.
//!
//! | file | what |
//! | --- | --- |
//! | `actor` | who acts, as the system knows it |
//! | `chain` | each line carries the hash of the one before |
//! | `verify` | a log read and looked at |
//! | `system_log` | the copy of each line that goes to the system's log |

mod actor;
mod chain;
#[cfg(target_os = "linux")]
#[path = "linux_system_log.rs"]
mod system_log;
#[cfg(not(target_os = "linux"))]
#[path = "no_system_log.rs"]
mod system_log;
mod verify;

use std::fs::{File, TryLockError};
use std::io::{self, BufReader, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use self::actor::Actor;
pub(crate) use self::actor::this_account_in_words;
pub(crate) use self::chain::AuditFlaw;
use self::chain::{AuditChain, Link};
pub(crate) use self::verify::{AuditEntry, AuditReport, KnownHead, verify_audit};
use crate::error::{Error, Result};
use crate::model::{
    AuditCopy, AuditDigest, AuditHead, ClientDigest, Endpoint, HandOverMethod, ManifestDigest, Purpose, TargetId,
};
use crate::os;
use crate::safety::path_trust::{self, OpenMode};
use crate::store::{JobFolder, StateFolder};

/// How long another process may hold the log: it writes one line.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// So much of the log's end is read for its last line.
const TAIL: u64 = 64 * 1024;

/// The audit log of a state folder.
#[derive(Debug)]
pub(crate) struct Audit {
    path: PathBuf,
    copy: AuditCopy,
    purpose: Option<Purpose>,
    command: Option<String>,
    session: Option<AuditSession>,
}

/// What the lines about a session with the client name of it: a record says the same, and goes with the job.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AuditSession {
    /// The device's address; of a cluster, those of its nodes.
    pub(crate) addresses: Vec<Endpoint>,
    /// The hand-over method; none until one has worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<HandOverMethod>,
    /// What the client says its version is.
    pub(crate) client_version: String,
    /// SHA-256 over the client's whole tree.
    pub(crate) client_sha256: ClientDigest,
}

/// A step worth a line.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuditStep {
    /// Code and manifest were fetched and kept.
    Kept,
    /// They were fetched for one run, which keeps the code in memory alone.
    Fetched,
    /// The device answers, code and manifest are what was fetched, and the client is about to be given both.
    HandOverBegun,
    /// It was not given them, or made nothing of them.
    HandOverFailed,
    /// Code and manifest were handed to the vendor's client.
    HandedOver,
    /// The code is about to be put on the client's command line.
    HandedOverOnCommandLine,
    /// The device said UNLOCKED.
    Unlocked,
    /// It did not, in the time it had.
    NotUnlocked,
    /// The device's secret key was read from it and put into the keychain.
    DeviceKeyStored,
    /// A profile for the device was written into the AWS CLI's settings file.
    ProfileWritten,
    /// Such profiles were taken out again.
    ProfileRemoved,
    /// The device's secret key was written into a file, in clear, that was asked for.
    DeviceKeyWrittenToFile,
    /// Both halves and the record were removed.
    Forgotten,
    /// Code and manifest were removed, because the setting `keep` says so.
    RemovedByPolicy,
    /// A profile was taken out of the client's own settings.
    ClientProfileRemoved,
}

#[derive(Serialize)]
struct AuditLine<'a> {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    #[serde(flatten)]
    actor: &'a Actor,
    pid: u32,
    job: &'a TargetId,
    step: AuditStep,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<Purpose>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_sha256: Option<&'a ManifestDigest>,
    #[serde(flatten)]
    session: Option<&'a AuditSession>,
    #[serde(flatten)]
    link: Link,
}

impl Audit {
    /// The log of this state folder, of which each line goes to `copy` as well.
    #[must_use]
    pub(crate) fn of(state: &StateFolder, copy: AuditCopy) -> Self {
        Self::below(state.path(), copy)
    }

    /// The same of the state folder `root`, which need not be there: for [`Audit::check`] and [`Audit::verify`].
    #[must_use]
    pub(crate) fn below(root: &Path, copy: AuditCopy) -> Self {
        Self { path: root.join("audit.jsonl"), copy, purpose: None, command: None, session: None }
    }

    /// The same, for a run whose lines say what it is for.
    #[must_use]
    pub(crate) fn with_purpose(self, purpose: Purpose) -> Self {
        Self { purpose: Some(purpose), ..self }
    }

    /// From here on its lines name the client's command that the run is for.
    pub(crate) fn name_command(&mut self, command: String) {
        self.command = Some(command);
    }

    /// From here on its lines name the session with the client that they are about.
    pub(crate) fn name_session(&mut self, session: AuditSession) {
        self.session = Some(session);
    }

    /// Whether a line could be appended and copied, as far as that can be told without making anything: a device is not to be
    /// opened before it turns out that nobody can say so.
    ///
    /// # Errors
    /// [`Error::Disk`]; [`Error::AuditNotCopied`]; [`Error::AuditCopyUnsupported`].
    pub(crate) fn check(&self) -> Result<()> {
        self.check_copy()?;
        self.open_existing(OpenMode::Append).map(drop)
    }

    /// Appends a line about the folder's job, syncs it, and copies it. The job's record, if there is one, gets the head of the chain,
    /// which the line is: it tells of a log that was shortened.
    ///
    /// # Errors
    /// [`Error::Disk`]; [`Error::AuditBusy`]; [`Error::AuditNotCopied`], when the line is in the file.
    pub(crate) fn note(
        &self,
        folder: &JobFolder,
        step: AuditStep,
        manifest: Option<&ManifestDigest>,
    ) -> Result<AuditHead> {
        let head = self.append(folder.job(), step, manifest)?;
        folder.note_audit_head(head);
        Ok(head)
    }

    fn append(&self, job: &TargetId, step: AuditStep, manifest: Option<&ManifestDigest>) -> Result<AuditHead> {
        self.check_copy()?;
        let actor = Actor::of_this_process();
        let writing = |error: io::Error| Error::disk("Writing", &self.path, error);
        let mut file = self.open_locked()?;
        let chain = read_end(&mut file).map_err(writing)?;
        let (is_cut, link) = (chain.is_cut, chain.next());
        let line = AuditLine {
            at: OffsetDateTime::now_utc(),
            actor,
            pid: std::process::id(),
            job,
            step,
            purpose: self.purpose,
            command: self.command.as_deref(),
            manifest_sha256: manifest,
            session: self.session.as_ref(),
            link,
        };
        let mut text = serde_json::to_vec(&line)
            .map_err(|error| Error::Internal { what: format!("an audit line can't be written as JSON: {error}") })?;
        text.push(b'\n');
        let head = AuditHead { seq: link.seq, sha256: AuditDigest::from_hasher(Sha256::new_with_prefix(&text)) };
        append_line(&mut file, is_cut, &text).map_err(writing)?;
        // Whoever waits for it need not wait for the copy.
        drop(file);
        if self.copy == AuditCopy::System {
            system_log::send(String::from_utf8_lossy(&text).trim_end()).map_err(not_copied)?;
        }
        Ok(head)
    }

    fn check_copy(&self) -> Result<()> {
        match self.copy {
            AuditCopy::None => Ok(()),
            AuditCopy::System if !system_log::IS_KNOWN => Err(Error::AuditCopyUnsupported),
            AuditCopy::System => system_log::check().map_err(not_copied),
        }
    }

    /// Opens the log, which is made if it is not there, and locks it for this process alone.
    fn open_locked(&self) -> Result<File> {
        let writing = |error: io::Error| Error::disk("Writing", &self.path, error);
        let until = Instant::now() + MAX_WAIT;
        loop {
            let file = self.open()?;
            self.lock(until, || file.try_lock())?;
            // It may have been removed, or put elsewhere, while this process waited for it.
            if path_trust::is_still_at(&file, &self.path).map_err(writing)? {
                return Ok(file);
            }
            if Instant::now() >= until {
                // A file system whose files never compare equal would be asked for ever.
                return Err(self.busy());
            }
        }
    }

    fn busy(&self) -> Error {
        Error::AuditBusy { path: self.path.display().to_string(), seconds: MAX_WAIT.as_secs() }
    }

    /// Waits for a lock, until `until` at the latest.
    fn lock(&self, until: Instant, mut take: impl FnMut() -> std::result::Result<(), TryLockError>) -> Result<()> {
        loop {
            match take() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => return Err(self.busy()),
                Err(TryLockError::Error(error)) => {
                    let folder = self.path.parent().unwrap_or(&self.path).display().to_string();
                    return Err(Error::StateFolderNoLocks { path: folder, why: error.into() });
                }
            }
        }
    }

    fn open(&self) -> Result<File> {
        let writing = |error: io::Error| Error::disk("Writing", &self.path, error);
        let file = match self.open_existing(OpenMode::Append)? {
            Some(file) => file,
            None => {
                match path_trust::create_private_file(&self.path) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(writing(error)),
                    _ => {}
                }
                self.open_existing(OpenMode::Append)?.ok_or_else(|| writing(io::ErrorKind::NotFound.into()))?
            }
        };
        if let Some(folder) = self.path.parent()
            && file.metadata().map_err(writing)?.len() == 0
        {
            // A synced line is of no use in a file whose name is lost.
            os::sync_dir(folder).map_err(writing)?;
        }
        Ok(file)
    }

    fn open_existing(&self, mode: OpenMode) -> Result<Option<File>> {
        let what = if mode == OpenMode::Read { "Reading" } else { "Writing" };
        path_trust::open_own(&self.path, mode).map_err(|refused| Error::refused(what, &self.path, refused))
    }
}

fn not_copied(why: String) -> Error {
    Error::AuditNotCopied { why }
}

/// The chain as the log's end has it: of the last link and what follows it nothing else is needed.
fn read_end(file: &mut File) -> io::Result<AuditChain> {
    let length = file.seek(SeekFrom::End(0))?;
    if length > TAIL {
        file.seek(SeekFrom::Start(length - TAIL))?;
        let mut tail = BufReader::new((&*file).take(TAIL));
        let mut chain = AuditChain::new();
        // It begins somewhere within a line, which is no link then.
        chain.read(&mut tail, |_, _, _| {})?;
        if chain.has_link() {
            return Ok(chain);
        }
    }
    file.seek(SeekFrom::Start(0))?;
    let mut chain = AuditChain::new();
    chain.read(BufReader::new(file), |_, _, _| {})?;
    Ok(chain)
}

/// Appends a line, whole and synced, or not at all where that can be had. One that was cut before it ends first.
fn append_line(file: &mut File, is_cut: bool, line: &[u8]) -> io::Result<()> {
    let text = if is_cut { [b"\n", line].concat() } else { line.to_vec() };
    let length = file.seek(SeekFrom::End(0))?;
    file.write_all(&text).and_then(|()| file.sync_data()).inspect_err(|_| {
        // What a full disk has taken of it would be a cut line.
        let _ = file.set_len(length);
    })
}

#[cfg(test)]
mod tests;
