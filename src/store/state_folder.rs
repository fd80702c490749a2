//! The state folder of this program.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use super::files::{bad, check_private, make_or_check_private, remove_if_there, replace};
use super::job_folder::{JobFolder, is_unfinished, read_record, remove_single_run};
use super::lock::JobLock;
use crate::error::{Error, Result, io_in_words};
use crate::model::Record;
use crate::model::TargetId;
use crate::os;
use crate::safety::path_trust::{self, OpenMode};

/// The folder `snow-onboard` in the user's local state folder, private and ours.
#[derive(Debug, Clone)]
pub struct StateFolder {
    root: PathBuf,
}

const JOBS: &str = "jobs";
pub(super) const INCOMING: &str = "incoming";
const LOCKS: &str = "locks";
/// Where a run lies that keeps nothing.
const ONCE: &str = "once";
/// Where the private homes of runs are noted.
const HOMES: &str = "homes";
/// Certificates of devices, for programs that use them.
const CERTIFICATES: &str = "certificates";

/// A note is a path; what is longer is not one of ours.
const MAX_NOTE: u64 = 4096;

/// The folders in it. Each is private, or the state folder is not used.
pub(super) const MADE_AT_ONCE: [&str; 3] = [JOBS, INCOMING, LOCKS];
/// Those that are there only after a run that needed them.
pub(super) const MADE_WHEN_NEEDED: [&str; 3] = [ONCE, HOMES, CERTIFICATES];

impl StateFolder {
    /// Opens the state folder, making it when it is not there.
    ///
    /// # Errors
    /// [`Error::StateFolderBad`] if it can't be made, is a link, or is not private to this user.
    pub fn open(root: &Path) -> Result<Self> {
        check_unicode(root)?;
        // Absolute and without links from here on: a change of the working directory can't move it, and comparing it
        // with the private home's path means something.
        let folder = Self { root: make_or_check_private(root)? };
        check_unicode(&folder.root)?;
        for part in MADE_AT_ONCE {
            make_or_check_private(&folder.root.join(part))?;
        }
        // Not only when it is first written to: by then a device may have been waited for.
        for part in MADE_WHEN_NEEDED {
            check_private(&folder.root.join(part))?;
        }
        // What is in them can be had again from AWS, and a manifest in a backup outlives `forget`. The audit log stays in.
        for part in [JOBS, INCOMING].map(|part| folder.root.join(part)) {
            if let Err(error) = os::exclude_from_backups(&part) {
                tracing::debug!(folder = %part.display(), why = io_in_words(&error), "backups are not told to leave it out");
            }
        }
        folder.remove_stale_homes();
        Ok(folder)
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Why it is not as good a place as a folder of this machine's disk, as the end of a sentence, or `None`.
    ///
    /// On a network drive a rename is not as whole and a lock not as sure; a synchronised folder takes the manifest to other
    /// machines.
    #[must_use]
    pub(crate) fn network_location(&self) -> Option<String> {
        remoteness_of(&self.root)
    }

    /// Writes down where this run's private home is, for a later run whose environment names other places. The note goes when
    /// it is dropped.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(crate) fn note_home(&self, home: &Path) -> Result<HomeNote> {
        let folder = make_or_check_private(&self.root.join(HOMES))?;
        let note = folder.join(home.file_name().unwrap_or_default());
        let writing = |error: io::Error| Error::disk("Writing", &note, error);
        let mut file = path_trust::create_private_file(&note).map_err(writing)?;
        file.write_all(home.to_string_lossy().as_bytes()).and_then(|()| file.sync_all()).map_err(writing)?;
        os::sync_dir(&folder).map_err(writing)?;
        Ok(HomeNote { path: note })
    }

    /// Locks a job and opens its folder.
    ///
    /// # Errors
    /// [`Error::Busy`] while another process is at work on the job; [`Error::Disk`].
    pub fn job(&self, job: &TargetId) -> Result<JobFolder> {
        let lock = self.lock(job)?;
        let folder = self.root.join(JOBS).join(job.as_str());
        JobFolder::open(job.clone(), folder, self.root.join(INCOMING), lock, false)
    }

    /// Locks a job and makes a folder for one run of it, removed when it is dropped. What is kept is not looked at.
    ///
    /// # Errors
    /// As [`StateFolder::job`].
    pub(crate) fn job_for_once(&self, job: &TargetId) -> Result<JobFolder> {
        let lock = self.lock(job)?;
        let folder = make_or_check_private(&self.root.join(ONCE))?.join(job.as_str());
        remove_single_run(job, &folder)?;
        JobFolder::open(job.clone(), folder, self.root.join(INCOMING), lock, true)
    }

    /// The jobs that have a folder here, with their records where those can be read.
    ///
    /// # Errors
    /// [`Error::Disk`] if the folder can't be listed. An unreadable record is no error: the job is still named.
    pub fn kept(&self) -> Result<Vec<(TargetId, Option<Record>)>> {
        self.kept_or_why().map(without_why)
    }

    /// The same, with the error of each record that can't be used.
    ///
    /// # Errors
    /// [`Error::Disk`] if the folder can't be listed.
    pub(crate) fn kept_or_why(&self) -> Result<Vec<(TargetId, Result<Option<Record>>)>> {
        let jobs = self.root.join(JOBS);
        jobs_in(&jobs).map_err(|error| Error::disk("Listing", &jobs, error))
    }

    /// The same of the state folder `root`, which is not made and not changed. None if it is not there.
    ///
    /// # Errors
    /// Those of [`StateFolder::open`] and of [`StateFolder::kept`].
    pub(crate) fn kept_below(root: &Path) -> Result<Vec<(TargetId, Option<Record>)>> {
        Self::kept_or_why_below(root).map(without_why)
    }

    /// The same, with the error of each record that can't be used.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn kept_or_why_below(root: &Path) -> Result<Vec<(TargetId, Result<Option<Record>>)>> {
        let place = path_trust::look_at_private_folder(root).map_err(|refused| bad(root, refused))?;
        let jobs = place.real.join(JOBS);
        check_private(&jobs)?;
        if !place.exists {
            return Ok(Vec::new());
        }
        match jobs_in(&jobs) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(|error| Error::disk("Listing", &jobs, error)),
        }
    }

    /// The record of `job` in the state folder `root`, which is not made and not changed.
    ///
    /// # Errors
    /// Those of [`StateFolder::open`] and of [`JobFolder::record`].
    pub(crate) fn record_below(root: &Path, job: &TargetId) -> Result<Option<Record>> {
        Ok(folder_below(root, job)?.map(|folder| read_record(job, &folder)).transpose()?.flatten())
    }

    /// `job` as [`StateFolder::kept_below`] names it, if it has a folder in the state folder `root`. No other job is read.
    ///
    /// # Errors
    /// Those of [`StateFolder::open`].
    pub(crate) fn one_below(root: &Path, job: &TargetId) -> Result<Option<(TargetId, Option<Record>)>> {
        Ok(folder_below(root, job)?.map(|folder| (job.clone(), read_record(job, &folder).ok().flatten())))
    }

    /// Whether the state folder `root` is there.
    ///
    /// # Errors
    /// [`Error::StateFolderBad`] and its like, as opening it would give.
    pub fn is_there(root: &Path) -> Result<bool> {
        path_trust::look_at_private_folder(root).map(|place| place.exists).map_err(|refused| bad(root, refused))
    }

    /// The ids of the jobs whose code and manifest are here.
    ///
    /// # Errors
    /// Those of [`StateFolder::kept_below`].
    pub(crate) fn pairs_below(root: &Path) -> Result<BTreeSet<String>> {
        Self::kept_below(root).map(with_pair)
    }

    /// Removes what killed runs left behind and no later run would: single runs' folders, drafts, temporary records.
    /// Jobs that are being worked on are left alone.
    fn remove_stale_homes(&self) {
        for part in [ONCE, INCOMING] {
            let entries = self.root.join(part).read_dir().into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                let name = path.file_name().and_then(|name| name.to_str());
                let Some((job, rest)) = name.and_then(|name| name.split_at_checked(TargetId::LENGTH)) else { continue };
                let Ok(job) = job.parse::<TargetId>() else { continue };
                let is_ours = if part == ONCE { rest.is_empty() } else { is_unfinished(rest) };
                if !is_ours {
                    continue;
                }
                if let Ok(_lock) = self.lock(&job) {
                    // Nothing depends on it being gone: what would be in a later run's way, that run removes.
                    let _ = if part == ONCE { remove_single_run(&job, &path) } else { remove_if_there(&path) };
                }
            }
        }
    }

    /// The notes of private homes that earlier runs left, with the homes they name, where `is_home` knows the name as one of a
    /// home. They are not removed when dropped. One that a power cut tore is removed at once.
    #[must_use]
    pub(crate) fn noted_homes(&self, is_home: impl Fn(&OsStr) -> bool) -> Vec<(ManuallyDrop<HomeNote>, PathBuf)> {
        let entries = self.root.join(HOMES).read_dir().into_iter().flatten().flatten();
        let notes = entries.filter(|entry| is_home(&entry.file_name())).filter_map(|entry| {
            let path = entry.path();
            let file = path_trust::open_own(&path, OpenMode::Read).ok().flatten()?;
            let home = path_trust::read_bounded(file, MAX_NOTE).ok()?;
            let home = PathBuf::from(String::from_utf8(home).ok()?);
            if home.file_name() != path.file_name() {
                // It was to be whole on the disk before anything was put into that home.
                let _ = fs::remove_file(&path);
                return None;
            }
            Some((ManuallyDrop::new(HomeNote { path }), home))
        });
        notes.collect()
    }

    /// Where the certificates of a job's device are once they are kept.
    #[must_use]
    pub(crate) fn certificates_path(&self, job: &TargetId) -> PathBuf {
        self.root.join(CERTIFICATES).join(format!("{job}.pem"))
    }

    /// Keeps the certificates of a job's device, in place of those there are: whole and synced, or not at all.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(crate) fn keep_certificates(&self, job: &TargetId, pem: &str) -> Result<()> {
        make_or_check_private(&self.root.join(CERTIFICATES))?;
        replace(
            &self.certificates_path(job),
            &self.root.join(INCOMING),
            &format!("{job}_certificates."),
            pem.as_bytes(),
        )
    }

    /// Removes the certificates of a job's device. `true` if there were any.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(crate) fn remove_certificates(&self, job: &TargetId) -> Result<bool> {
        let path = self.certificates_path(job);
        let was_there = path.symlink_metadata().is_ok();
        remove_if_there(&path)?;
        let _ = fs::remove_dir(self.root.join(CERTIFICATES));
        Ok(was_there)
    }

    /// Removes all that this program made here but the audit log, once no job is stored any more: what is known of clients, the
    /// jobs' locks, empty folders. Gives what is left, which is the audit log and what this program did not make.
    ///
    /// # Errors
    /// [`Error::Busy`] while another process is at work on a job; [`Error::Disk`].
    pub(crate) fn remove_all_but_audit(self) -> Result<Vec<PathBuf>> {
        self.remove_known_clients()?;
        // Of a first fetch that was killed: nobody will finish it.
        for entry in self.root.join(INCOMING).read_dir().into_iter().flatten().flatten() {
            let name = entry.file_name();
            let job =
                name.to_str().and_then(|name| name.get(..TargetId::LENGTH)).and_then(|id| id.parse::<TargetId>().ok());
            if let Some(job) = job {
                self.job(&job)?.discard_incoming()?;
            }
        }
        let locks = self.root.join(LOCKS);
        for entry in locks.read_dir().into_iter().flatten().flatten() {
            let job = entry.file_name().to_str().and_then(|name| name.parse::<TargetId>().ok());
            if let Some(job) = job {
                // Removed while it is held; whoever waits for it sees that its name is gone.
                let _lock = self.lock(&job)?;
                remove_if_there(&entry.path())?;
            }
        }
        for part in MADE_AT_ONCE.iter().chain(&MADE_WHEN_NEEDED) {
            // What is not empty is not ours alone, and stays.
            let _ = fs::remove_dir(self.root.join(part));
        }
        let listed = self.root.read_dir().map_err(|error| Error::disk("Listing", &self.root, error))?;
        let mut left: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
        left.sort();
        if left.is_empty() {
            let _ = fs::remove_dir(&self.root);
        }
        Ok(left)
    }

    fn lock(&self, job: &TargetId) -> Result<JobLock> {
        JobLock::take(job, &self.root.join(LOCKS).join(job.as_str()))
    }
}

/// The client is told where the manifest lies, in JSON, which is Unicode.
pub(super) fn check_unicode(root: &Path) -> Result<()> {
    match std::path::absolute(root).unwrap_or_else(|_| root.to_owned()).to_str() {
        Some(_) => Ok(()),
        None => Err(Error::StateFolderBad {
            path: root.display().to_string(),
            why: "its path is not valid Unicode, so the client can't be told where the manifest is".to_owned().into(),
        }),
    }
}

/// The folder of `job`, if it is there.
fn folder_below(root: &Path, job: &TargetId) -> Result<Option<PathBuf>> {
    let place = path_trust::look_at_private_folder(root).map_err(|refused| bad(root, refused))?;
    let jobs = place.real.join(JOBS);
    check_private(&jobs)?;
    let folder = jobs.join(job.as_str());
    check_private(&folder)?;
    Ok(folder.exists().then_some(folder))
}

fn with_pair(kept: Vec<(TargetId, Option<Record>)>) -> BTreeSet<String> {
    let has_pair = |record: &Option<Record>| record.as_ref().is_some_and(|record| record.pair.is_some());
    kept.into_iter().filter(|(_, record)| has_pair(record)).map(|(job, _)| job.to_string()).collect()
}

/// Of a record that can't be used, whatever needs it tells why.
fn without_why(kept: Vec<(TargetId, Result<Option<Record>>)>) -> Vec<(TargetId, Option<Record>)> {
    kept.into_iter().map(|(job, record)| (job, record.ok().flatten())).collect()
}

fn jobs_in(folder: &Path) -> io::Result<Vec<(TargetId, Result<Option<Record>>)>> {
    let mut kept = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        let Some(job) = entry.file_name().to_str().and_then(|name| name.parse::<TargetId>().ok()) else { continue };
        let record = read_record(&job, &entry.path());
        kept.push((job, record));
    }
    kept.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(kept)
}

/// A note of where a private home is.
#[derive(Debug)]
pub(crate) struct HomeNote {
    path: PathBuf,
}

impl HomeNote {
    /// Removes the note.
    pub(crate) fn remove(note: ManuallyDrop<Self>) {
        drop(ManuallyDrop::into_inner(note));
    }
}

impl Drop for HomeNote {
    fn drop(&mut self) {
        // One that stays names a home that is gone, which does no harm.
        let _ = fs::remove_file(&self.path);
    }
}

/// See [`StateFolder::remoteness`].
pub(super) fn remoteness_of(path: &Path) -> Option<String> {
    if let Ok(Some(kind)) = os::network_drive(path) {
        return Some(match kind {
            "FUSE" => "lies on a FUSE file system, which may be a network drive".to_owned(),
            kind => format!("lies on a network drive ({kind})"),
        });
    }
    synchronised(path).map(|by| format!("lies in a folder that {by} may be synchronising to other machines"))
}

/// The program that synchronises a folder on this path, by the names that such programs give theirs.
fn synchronised(path: &Path) -> Option<&'static str> {
    let known = [
        ("onedrive", "OneDrive"),
        ("dropbox", "Dropbox"),
        ("google drive", "Google Drive"),
        ("googledrive", "Google Drive"),
        ("nextcloud", "Nextcloud"),
        ("owncloud", "ownCloud"),
        ("mobile documents", "iCloud"),
        ("cloudstorage", "a cloud service"),
    ];
    path.components().find_map(|part| {
        let name = part.as_os_str().to_str()?.to_lowercase();
        // "OneDrive - Example Ltd" and "GoogleDrive-anna@example.com" are such names as well.
        known.iter().find(|(begins, _)| name.starts_with(begins)).map(|(_, by)| *by)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn job() -> TargetId {
        "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap()
    }

    #[test]
    fn a_job_is_worked_on_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("Jürgen Müller").join("snow-onboard")).unwrap();
        let first = state.job(&job()).unwrap();
        // A second handle in the same process stands for a second process: the lock belongs to the open file.
        let refusal = state.job(&job()).unwrap_err();
        assert!(matches!(refusal, Error::Busy { .. }), "{refusal}");
        #[cfg(unix)]
        assert!(matches!(&refusal, Error::Busy { pid, .. } if *pid == std::process::id().to_string()), "{refusal}");
        drop(first);
        assert!(state.job(&job()).is_ok());
    }

    #[test]
    fn a_lock_that_is_held_for_a_moment_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("snow-onboard")).unwrap();
        let held = state.lock(&job()).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| state.lock(&job()).map(drop));
            std::thread::sleep(std::time::Duration::from_millis(50));
            drop(held);
            waiting.join().unwrap().unwrap();
        });
    }

    #[test]
    fn what_is_kept_is_told_without_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("snow-onboard");
        assert!(!StateFolder::is_there(&root).unwrap() && StateFolder::kept_below(&root).unwrap().is_empty());
        let state = StateFolder::open(&root).unwrap();
        assert!(StateFolder::is_there(&root).unwrap() && state.kept().unwrap().is_empty());
        assert!(StateFolder::one_below(&root, &job()).unwrap().is_none());
        assert!(StateFolder::record_below(&root, &job()).unwrap().is_none());
        let folder = state.job(&job()).unwrap();
        folder.write_record(&Record::new(job())).unwrap();
        let is_it = |(id, record): &(TargetId, Option<Record>)| *id == job() && record.is_some();
        for kept in [state.kept().unwrap(), StateFolder::kept_below(&root).unwrap()] {
            assert!(kept.len() == 1 && is_it(&kept[0]), "{kept:?}");
        }
        assert!(is_it(&StateFolder::one_below(&root, &job()).unwrap().unwrap()));
        assert_eq!(StateFolder::record_below(&root, &job()).unwrap().unwrap().job, job());
        assert!(StateFolder::pairs_below(&root).unwrap().is_empty(), "a record without a pair");
        fs::write(folder.path().join("record.json"), "{").unwrap();
        assert!(matches!(&state.kept().unwrap()[..], [(_, None)]), "still named");
        drop(folder);
        fs::remove_dir_all(root.join(JOBS)).unwrap();
        assert!(StateFolder::kept_below(&root).unwrap().is_empty(), "without the folder of the jobs");
    }

    #[test]
    fn certificates_are_kept_and_go_with_their_folder() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("snow-onboard")).unwrap();
        assert!(!state.remove_certificates(&job()).unwrap());
        state.keep_certificates(&job(), "one").unwrap();
        state.keep_certificates(&job(), "two").unwrap();
        assert_eq!(fs::read_to_string(state.certificates_path(&job())).unwrap(), "two");
        assert!(state.remove_certificates(&job()).unwrap());
        assert!(!state.path().join(CERTIFICATES).exists() && !state.remove_certificates(&job()).unwrap());
    }

    #[test]
    fn a_home_is_noted_until_its_run_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("snow-onboard");
        let state = StateFolder::open(&root).unwrap();
        let home = dir.path().join("snow-onboard-0123456789ab");
        let noted = || state.noted_homes(|name| name == "snow-onboard-0123456789ab");
        assert!(noted().is_empty());
        let note = state.note_home(&home).unwrap();
        assert!(matches!(&noted()[..], [(_, noted)] if *noted == home));
        assert_eq!(noted().len(), 1, "reading takes nothing away");
        drop(note);
        assert!(noted().is_empty());
        let _killed = ManuallyDrop::new(state.note_home(&home).unwrap());
        noted().into_iter().for_each(|(note, _)| HomeNote::remove(note));
        assert!(noted().is_empty());

        let path = root.join(HOMES).join(home.file_name().unwrap());
        for torn in ["", dir.path().to_str().unwrap()] {
            fs::write(&path, torn).unwrap();
            assert!(noted().is_empty() && !path.exists(), "of a power cut: {torn:?}");
        }
    }

    /// What is not a note of ours by its name, or could lead elsewhere, is neither read nor removed.
    #[test]
    fn what_is_no_note_stays() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("snow-onboard")).unwrap();
        let homes = state.path().join(HOMES);
        drop(state.note_home(&dir.path().join("made")).unwrap());
        let theirs = dir.path().join("theirs");
        fs::write(&theirs, "x").unwrap();
        fs::write(homes.join("n.txt"), "x").unwrap();
        fs::write(homes.join("long"), vec![b'x'; 100_000]).unwrap();
        fs::create_dir(homes.join("folder")).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&theirs, homes.join("link")).unwrap();
            fs::hard_link(&theirs, homes.join("hard")).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(homes.join("pipe")).status().unwrap().success());
        }
        let names = || homes.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>();
        let before = names();
        assert!(state.noted_homes(|name| name != "n.txt").is_empty());
        assert_eq!((names(), fs::read(&theirs).unwrap()), (before, b"x".to_vec()));
    }

    #[test]
    fn a_synchronised_folder_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(StateFolder::open(&dir.path().join("snow-onboard")).unwrap().network_location(), None);
        let state = StateFolder::open(&dir.path().join("OneDrive - Example Ltd").join("snow-onboard")).unwrap();
        assert!(state.network_location().unwrap().contains("OneDrive"));
        assert_eq!(synchronised(Path::new("/home/anna/not-dropbox")), None);
    }

    #[test]
    #[cfg(unix)]
    fn a_state_folder_that_others_can_open_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("snow-onboard");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(
            matches!(StateFolder::open(&root), Err(Error::StateFolderBad { why, .. }) if why.to_string().contains("0755"))
        );
        fs::remove_dir(&root).unwrap();
        std::os::unix::fs::symlink(dir.path(), &root).unwrap();
        assert!(
            matches!(StateFolder::open(&root), Err(Error::StateFolderBad { why, .. }) if why.to_string().contains("link"))
        );
    }

    #[test]
    fn what_killed_runs_leave_is_swept_but_not_under_a_run_s_feet() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("snow-onboard");
        let open = || StateFolder::open(&root).unwrap();
        let state = open();
        let once = state.path().join("once").join(job().as_str());
        let running = state.job_for_once(&job()).unwrap();
        running.write_record(&Record::new(job())).unwrap();
        assert!(once.is_dir());
        open();
        assert!(once.is_dir(), "its run holds the lock");
        drop(running);
        assert!(!once.exists(), "removed at the end of the run");

        fs::create_dir(&once).unwrap();
        let incoming = state.path().join("incoming");
        let left = ["_once.bin", "_manifest.draft", "_record.Xy12Zw34", "_clients.Xy12Zw34", "_certificates.Xy12Zw34"]
            .map(|rest| incoming.join(format!("{}{rest}", job())));
        for path in &left {
            fs::write(path, "").unwrap();
        }
        let unfinished = incoming.join(format!("{}_manifest.bin", job()));
        // Not by our names, so not made by us.
        let theirs = ["_notes.txt", "_record.bak", ".txt"].map(|rest| incoming.join(format!("{}{rest}", job())));
        for path in theirs.iter().chain([&unfinished]) {
            fs::write(path, "").unwrap();
        }
        open();
        assert!(theirs.iter().all(|path| path.exists()));
        assert!(!once.exists() && !left.iter().any(|path| path.exists()));
        assert!(unfinished.exists(), "a change that can still be finished");

        fs::create_dir(&once).unwrap();
        fs::write(once.join("notes.txt"), "").unwrap();
        fs::write(once.join("record.json"), "").unwrap();
        open();
        assert!(once.join("notes.txt").exists() && !once.join("record.json").exists());
        assert!(matches!(open().job_for_once(&job()), Err(Error::ForeignFile { .. })));
        // What can't be removed under a name of ours is told as that.
        fs::remove_file(once.join("notes.txt")).unwrap();
        fs::create_dir(once.join("record.json")).unwrap();
        assert!(open().job_for_once(&job()).unwrap_err().to_string().contains("record.json"));
    }
}
