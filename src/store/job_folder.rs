//! One job's folder: its manifest and its record, and the way into it.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::error::Category;
use sha2::{Digest as _, Sha256};

use super::files::{TEMPORARY, check_private, make_or_check_private, open_ours, remove_if_there, replace};
use super::lock::JobLock;
use crate::error::{Error, Result, Why};
use crate::model::{AuditHead, ManifestDigest, Record, TargetId};
use crate::os;
use crate::safety::path_trust::{self, OpenMode};
use crate::safety::sanitize::sanitize;

const RECORD: &str = "record.json";
/// What the client logged when a hand-over failed.
const CLIENT_LOG: &str = "client.log";
/// A record is a few hundred bytes; more than this is not one of ours.
const RECORD_LIMIT: u64 = 64 * 1024;

/// A job's folder, locked for this process.
#[derive(Debug)]
pub struct JobFolder {
    job: TargetId,
    folder: PathBuf,
    incoming: PathBuf,
    draft: PathBuf,
    once: bool,
    noted: Mutex<NotedHead>,
    _lock: JobLock,
}

/// The audit log's last line about the job that this process wrote.
#[derive(Debug, Default)]
struct NotedHead {
    head: Option<AuditHead>,
    /// Whether the record on disk may not have it.
    is_new: bool,
}

/// A manifest on disk, whole and synced, with what its bytes amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Where it lies.
    pub path: PathBuf,
    /// SHA-256 of its bytes.
    pub digest: ManifestDigest,
    /// Its length.
    pub bytes: u64,
}

/// A manifest that is being written. Dropped unfinished, it is removed.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    becomes: PathBuf,
    file: File,
    hasher: Sha256,
    bytes: u64,
    finished: bool,
}

impl JobFolder {
    pub(super) fn open(
        job: TargetId,
        folder: PathBuf,
        incoming_folder: PathBuf,
        lock: JobLock,
        once: bool,
    ) -> Result<Self> {
        // A single run has a name of its own, so that it can't damage an interrupted change of the kept pair.
        let suffix = if once { "once" } else { "manifest" };
        let incoming = incoming_folder.join(format!("{job}_{suffix}.bin"));
        let draft = incoming_folder.join(format!("{job}_{suffix}.draft"));
        check_private(&folder)?;
        Ok(Self { job, folder, incoming, draft, once, noted: Mutex::default(), _lock: lock })
    }

    /// The job.
    #[must_use]
    pub fn job(&self) -> &TargetId {
        &self.job
    }

    /// The folder. It exists once something has been put into it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Where the manifest lies when there is one: `<id>_manifest.bin`, the name it has at AWS.
    #[must_use]
    pub(crate) fn manifest_path(&self) -> PathBuf {
        self.folder.join(self.manifest_name())
    }

    /// Name of the manifest's file.
    #[must_use]
    pub(crate) fn manifest_name(&self) -> String {
        format!("{}_manifest.bin", self.job)
    }

    /// Names of all files that the folder may hold.
    #[must_use]
    pub fn names(&self) -> [String; 3] {
        names_for(&self.job)
    }

    /// The record, if there is one.
    ///
    /// # Errors
    /// [`Error::RecordUnreadable`] if it is damaged or of another job, [`Error::RecordNewer`] if a newer version
    /// wrote it, [`Error::FileAliased`] if it has a second name.
    pub fn record(&self) -> Result<Option<Record>> {
        read_record(&self.job, &self.folder)
    }

    /// Puts the record in place of the old one: whole and synced, or not at all.
    ///
    /// # Errors
    /// [`Error::Disk`]; the old record is then untouched.
    pub fn write_record(&self, record: &Record) -> Result<()> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        // The caller's was read before the line was written.
        let audit_head = noted.head.or(record.audit_head);
        let record = Record { version: Record::VERSION, audit_head, ..record.clone() };
        let mut text = serde_json::to_vec_pretty(&record)
            .map_err(|error| Error::Internal { what: format!("the record can't be written as JSON: {error}") })?;
        text.push(b'\n');
        self.put(RECORD, "record", &text)?;
        noted.is_new = false;
        Ok(())
    }

    /// Has the record name this line of the audit log as the last about the job: with the next that is written, else when this is
    /// dropped. So a command costs at most one write of the record for all its lines.
    pub(super) fn note_audit_head(&self, head: AuditHead) {
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner) = NotedHead { head: Some(head), is_new: true };
    }

    /// Keeps what the client logged, in place of an earlier log. Gives where it lies.
    ///
    /// # Errors
    /// [`Error::Disk`]; an earlier log is then untouched.
    pub(crate) fn write_client_log(&self, log: &str) -> Result<PathBuf> {
        self.put(CLIENT_LOG, "log", log.as_bytes())?;
        Ok(self.folder.join(CLIENT_LOG))
    }

    /// Removes the client's log, if there is one.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(crate) fn discard_client_log(&self) -> Result<()> {
        remove_if_there(&self.folder.join(CLIENT_LOG))
    }

    /// Puts a file into the folder, in place of an old one: whole and synced, or not at all.
    fn put(&self, name: &str, temporary: &str, text: &[u8]) -> Result<()> {
        self.ensure_folder()?;
        let beside = self.incoming.parent().expect("the incoming file lies in a folder");
        replace(&self.folder.join(name), beside, &format!("{}_{temporary}.", self.job), text)
    }

    /// A new manifest to write. It becomes the incoming one, in place of an earlier, when it is finished.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn draft(&self) -> Result<Draft> {
        remove_if_there(&self.draft)?;
        let file =
            path_trust::create_private_file(&self.draft).map_err(|error| Error::disk("Writing", &self.draft, error))?;
        let (path, becomes) = (self.draft.clone(), self.incoming.clone());
        Ok(Draft { path, becomes, file, hasher: Sha256::new(), bytes: 0, finished: false })
    }

    /// The manifest that is about to be kept, if one lies there, hashed anew.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn incoming(&self) -> Result<Option<Manifest>> {
        manifest_at(&self.incoming)
    }

    /// The manifest that is kept, if one lies there, hashed anew.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn manifest(&self) -> Result<Option<Manifest>> {
        manifest_at(&self.manifest_path())
    }

    /// Puts the incoming manifest in place of the old one, synced.
    ///
    /// # Errors
    /// [`Error::Disk`]; the old one is then untouched.
    pub(crate) fn promote_incoming(&self) -> Result<()> {
        self.ensure_folder()?;
        let path = self.manifest_path();
        let writing = |error: io::Error| Error::disk("Writing", &path, error);
        fs::rename(&self.incoming, &path).map_err(writing)?;
        tracing::debug!(file = %path.display(), "the manifest is in its place");
        os::sync_dir(&self.folder).map_err(writing)
    }

    /// Removes the incoming manifest, if there is one.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(crate) fn discard_incoming(&self) -> Result<()> {
        remove_if_there(&self.incoming)
    }

    /// Checks that the folder holds nothing but what this program put there.
    ///
    /// # Errors
    /// [`Error::ForeignFile`] for the first other thing; [`Error::Disk`].
    pub(crate) fn check_all_is_ours(&self) -> Result<()> {
        let reading = |error: io::Error| Error::disk("Reading", &self.folder, error);
        let entries = match self.folder.read_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.map_err(reading)?,
        };
        for entry in entries {
            let entry = entry.map_err(reading)?;
            if !self.names().iter().any(|name| entry.file_name() == **name) {
                return Err(Error::ForeignFile { path: entry.path().display().to_string() });
            }
        }
        Ok(())
    }

    /// Removes the manifest, and what `record` says of a pair. The record stays.
    ///
    /// # Errors
    /// [`Error::ForeignFile`] before anything is removed; [`Error::Disk`].
    pub(crate) fn remove_pair(&self, record: &Record) -> Result<()> {
        self.check_all_is_ours()?;
        self.discard_incoming()?;
        remove_if_there(&self.manifest_path())?;
        // Last: while it says that there is a pair, the next command tries again.
        self.write_record(&Record { pair: None, incoming: None, earlier_keychains: Vec::new(), ..record.clone() })
    }

    /// Removes the manifest, the record, and the folder. `true` if there was anything.
    ///
    /// # Errors
    /// [`Error::ForeignFile`] before anything is removed; [`Error::Disk`].
    pub fn remove(&self) -> Result<bool> {
        self.check_all_is_ours()?;
        self.discard_incoming()?;
        if !self.folder.exists() {
            return Ok(false);
        }
        self.discard_client_log()?;
        // The record last: while it is there, a second `forget` knows which keychain to look in.
        remove_if_there(&self.manifest_path())?;
        remove_if_there(&self.folder.join(RECORD))?;
        let removing = |error: io::Error| Error::disk("Removing", &self.folder, error);
        fs::remove_dir(&self.folder).map_err(removing)?;
        tracing::debug!(folder = %self.folder.display(), "the job's folder is removed");
        self.folder.parent().map_or(Ok(()), os::sync_dir).map_err(removing)?;
        Ok(true)
    }

    fn ensure_folder(&self) -> Result<()> {
        make_or_check_private(&self.folder).map(drop)
    }
}

/// The files that a job's folder may hold.
fn names_for(job: &TargetId) -> [String; 3] {
    [format!("{job}_manifest.bin"), RECORD.to_owned(), CLIENT_LOG.to_owned()]
}

/// Removes the folder of a single run with the files that are its own. What is not stays, and the folder with it.
pub(super) fn remove_single_run(job: &TargetId, folder: &Path) -> Result<()> {
    for name in names_for(job) {
        match fs::remove_file(folder.join(&name)) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(Error::disk("Removing", &folder.join(name), error));
            }
            _ => {}
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            Err(Error::ForeignFile { path: folder.display().to_string() })
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::disk("Removing", folder, error)),
        _ => Ok(()),
    }
}

/// Whether a file of a job's in the folder of what is not whole yet, named by what follows the job's id, is of no use once
/// its run is over. An incoming manifest is part of a change that can still be finished.
pub(super) fn is_unfinished(rest: &str) -> bool {
    let is_temporary = |kind: &str| {
        let random = rest.strip_prefix(kind).unwrap_or_default();
        random.len() == TEMPORARY && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    ["_once.bin", "_once.draft", "_manifest.draft"].contains(&rest)
        || ["_record.", "_log.", "_clients.", "_certificates."].into_iter().any(is_temporary)
}

impl Drop for JobFolder {
    fn drop(&mut self) {
        let is_new = self.noted.get_mut().unwrap_or_else(PoisonError::into_inner).is_new;
        if is_new && let Ok(Some(record)) = self.record() {
            // What was done is done, and in the log; the record then knows an earlier line of it.
            if let Err(error) = self.write_record(&record) {
                tracing::debug!(why = %error, "the record does not get the audit log's head");
            }
        }
        if self.once {
            // What can't be removed now is removed by the next command (`StateFolder::sweep`).
            let _ = fs::remove_file(&self.incoming);
            let _ = remove_single_run(&self.job, &self.folder);
        }
    }
}

pub(super) fn read_record(job: &TargetId, folder: &Path) -> Result<Option<Record>> {
    let path = folder.join(RECORD);
    let unreadable = |why: Why| Error::RecordUnreadable { job: job.to_string(), path: path.display().to_string(), why };
    let failed = |error: io::Error| unreadable(error.into());
    let Some(file) = open_ours(&path, OpenMode::Read, failed)? else { return Ok(None) };
    let text = path_trust::read_bounded(file, RECORD_LIMIT).map_err(failed)?;
    // It names what it did not expect in the file's own words.
    let malformed = |error: &serde_json::Error| match error.classify() {
        Category::Data => unreadable(sanitize(&error.to_string()).into()),
        _ => unreadable(format!("it is not valid JSON (line {})", error.line()).into()),
    };
    // The version is looked at before the rest, which a newer format may have changed.
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } = serde_json::from_slice(&text).map_err(|error| malformed(&error))?;
    if version > Record::VERSION {
        return Err(Error::RecordNewer { path: path.display().to_string(), version });
    }
    let record: Record = serde_json::from_slice(&text).map_err(|error| malformed(&error))?;
    if record.job != *job {
        return Err(unreadable(format!("it is the record of {}", record.job).into()));
    }
    Ok(Some(record))
}

fn manifest_at(path: &Path) -> Result<Option<Manifest>> {
    let reading = |error: io::Error| Error::disk("Reading", path, error);
    let Some(file) = open_ours(path, OpenMode::Read, reading)? else { return Ok(None) };
    let bytes = file.metadata().map_err(reading)?.len();
    let digest = ManifestDigest::of(file).map_err(reading)?;
    Ok(Some(Manifest { path: path.to_path_buf(), digest, bytes }))
}

impl Draft {
    /// Where it is being written.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Forgets what was written.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        (self.hasher, self.bytes) = (Sha256::new(), 0);
        Ok(())
    }

    /// Makes what was written durable, as the job's incoming manifest.
    ///
    /// # Errors
    /// [`Error::Disk`]; the draft is then removed, and an earlier incoming manifest untouched.
    pub(crate) fn finish(mut self) -> Result<Manifest> {
        let folder = self.path.parent().expect("a draft lies in a folder");
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.path, &self.becomes))
            .and_then(|()| os::sync_dir(folder))
            .map_err(|error| Error::disk("Writing", &self.path, error))?;
        self.finished = true;
        let hasher = std::mem::take(&mut self.hasher);
        Ok(Manifest { path: self.becomes.clone(), digest: ManifestDigest::from_hasher(hasher), bytes: self.bytes })
    }
}

impl Write for Draft {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished {
            // A leftover does no harm: the next draft of the job removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{KeychainKind, PairRecord};
    use crate::store::StateFolder;

    fn open() -> (tempfile::TempDir, JobFolder) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("snow-onboard")).unwrap();
        let folder = state.job(&"JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap()).unwrap();
        (dir, folder)
    }

    #[test]
    fn a_manifest_appears_whole_or_not_at_all() {
        let (_dir, folder) = open();
        let mut draft = folder.draft().unwrap();
        draft.write_all(b"half").unwrap();
        assert!(folder.manifest().unwrap().is_none(), "not under its name yet");
        drop(draft);
        assert!(folder.incoming().unwrap().is_none() && !folder.draft.exists(), "an unfinished draft is removed");

        let mut draft = folder.draft().unwrap();
        draft.write_all(b"something else").unwrap();
        draft.restart().unwrap();
        draft.write_all(b"who").unwrap();
        draft.write_all(b"le").unwrap();
        let finished = draft.finish().unwrap();
        assert_eq!(finished, folder.incoming().unwrap().unwrap(), "hashed while writing as when read");
        folder.promote_incoming().unwrap();
        let kept = folder.manifest().unwrap().unwrap();
        assert_eq!((kept.digest, kept.bytes), (finished.digest, 5));
        assert!(folder.incoming().unwrap().is_none());
        assert_eq!(path_trust::privacy_flaw(&kept.path).unwrap(), None);
        assert_eq!(path_trust::privacy_flaw(folder.path()).unwrap(), None);
    }

    #[test]
    fn nothing_is_made_before_there_is_something_to_keep() {
        let (_dir, folder) = open();
        assert!(folder.record().unwrap().is_none());
        assert!(!folder.path().exists());
        assert!(!folder.remove().unwrap());
    }

    #[test]
    fn a_record_comes_back_and_a_bad_one_says_why() {
        let (_dir, folder) = open();
        let record = Record::new(folder.job().clone());
        folder.write_record(&record).unwrap();
        let path = folder.path().join(RECORD);
        assert_eq!(path_trust::privacy_flaw(&path).unwrap(), None);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(folder.record().unwrap().unwrap().job, *folder.job());
        // Of a device that has been unlocked often.
        let long = format!("{text}{}", " ".repeat(40_000));
        fs::write(&path, long).unwrap();
        assert!(folder.record().unwrap().is_some());

        for (damage, why) in [
            (text.replace("\"version\": 4", "\"version\": 5"), "format 5"),
            (text.replace("456-426655440000", "456-426655440001"), "it is the record of"),
            (text[..text.len() / 2].to_owned(), "can't be read"),
            (text.replace("\"summary\"", "\"sumary\""), "can't be read"),
            (text.replace("\"summary\"", "\"\\u001b[2J\""), "can't be read"),
            (" ".repeat(70_000), "larger than"),
        ] {
            fs::write(&path, damage).unwrap();
            let refusal = folder.record().unwrap_err().to_string();
            assert!(refusal.contains(why) && !refusal.contains(char::is_control), "{}", refusal.escape_debug());
        }
    }

    #[test]
    fn without_its_pair_a_job_keeps_its_record() {
        let (_dir, folder) = open();
        let manifest = folder.draft().unwrap().finish().unwrap();
        folder.promote_incoming().unwrap();
        folder.draft().unwrap().finish().unwrap();
        let pair = PairRecord {
            fetched_at: time::OffsetDateTime::now_utc(),
            keychain: KeychainKind::System,
            manifest_sha256: manifest.digest,
            manifest_bytes: manifest.bytes,
            tag: None,
            audit_head: None,
            keep: None,
        };
        let mut record = Record::new(folder.job().clone());
        (record.pair, record.incoming) = (Some(pair.clone()), Some(pair));
        record.earlier_keychains = vec![KeychainKind::System];
        record.summary.state = "InTransitToCustomer".to_owned();
        folder.write_record(&record).unwrap();
        folder.remove_pair(&record).unwrap();
        assert!(folder.manifest().unwrap().is_none() && folder.incoming().unwrap().is_none());
        let left = folder.record().unwrap().unwrap();
        assert!(left.pair.is_none() && left.incoming.is_none() && left.earlier_keychains.is_empty());
        assert_eq!(left.summary.state, "InTransitToCustomer");
    }

    #[test]
    fn removing_takes_both_files_but_nothing_foreign() {
        let (_dir, folder) = open();
        folder.write_record(&Record::new(folder.job().clone())).unwrap();
        folder.draft().unwrap().finish().unwrap();
        folder.promote_incoming().unwrap();
        assert_eq!(path_trust::privacy_flaw(&folder.write_client_log("one\n").unwrap()).unwrap(), None);
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        assert!(matches!(folder.remove(), Err(Error::ForeignFile { path }) if path.ends_with("notes.txt")));
        assert!(folder.path().join("notes.txt").exists() && folder.manifest_path().exists(), "nothing was removed");
        fs::remove_file(folder.path().join("notes.txt")).unwrap();
        assert!(folder.remove().unwrap());
        assert!(!folder.path().exists());
    }
}
