//! The private client home: a fresh folder that only this user can enter, in memory where the system has it, and gone
//! when the guard is.
//!
//! A home holds a lock file that its guard keeps locked, as it does the folder itself where the system has it, so that a later
//! command can tell a home in use from what a power cut left ([`remove_stale_homes`](super::stale_homes::remove_stale_homes)).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::device::guard::environment;
use crate::device::guard::protocol::{HomeFault, Place};
use crate::os;
use crate::safety::path_trust::{self, FolderToRemove, Position, Whose};

/// Begins the name of every home.
pub(super) const PREFIX: &str = "snow-onboard-";
/// Begins the name of a home that is not locked yet: the sweep must not take it for a leftover.
pub(super) const MAKING: &str = ".snow-onboard-making-";
pub(super) const LOCK: &str = ".lock";
/// What stands in the lock file: by it a home is known that a client gave another name.
pub(super) const LOCK_TEXT: &[u8] = b"The private home of a client, made by snow-onboard.\n";
/// Random letters and digits at the end of the name.
pub(super) const RANDOM: usize = 12;
/// Least free space: the client's profile and logs, and the JVM's error file.
const MIN_SPACE: u64 = 8 << 20;
/// Most bytes that are overwritten of one file.
const MAX_OVERWRITTEN: u64 = 64 << 20;
/// A home that may be in the making is a leftover only when it is older.
pub(super) const GRACE: Duration = Duration::from_secs(60);

/// Where homes may be made, best first.
#[derive(Debug, Clone)]
pub struct Places {
    /// `$XDG_RUNTIME_DIR`: the user's own, taken if it lies in memory.
    pub runtime: Option<PathBuf>,
    /// `/dev/shm`, taken if it lies in memory.
    pub shared_memory: Option<PathBuf>,
    /// The user's own folders on a disk: the temporary one, and those to take where that will not do.
    pub temporary: Vec<PathBuf>,
}

impl Places {
    /// The system's.
    #[must_use]
    pub fn of_system() -> Self {
        let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        // What the system says: on Windows GetTempPath2, which follows a TEMP that was moved; on macOS $TMPDIR, else what
        // confstr says, the user's own folder below /var/folders and not /tmp.
        let mut temporary = vec![std::env::temp_dir()];
        if let Some(local) = folder("LOCALAPPDATA").filter(|_| cfg!(windows)) {
            // First the one that is on this machine for sure; a TEMP that was moved may lie on a share, or where others write. Where
            // Temp was never made, no other user writes in the folder around it.
            temporary.insert(0, local.join("Temp"));
            temporary.push(local);
            temporary.dedup();
        }
        let has_memory_folders = !cfg!(any(windows, target_os = "macos"));
        Self {
            runtime: folder("XDG_RUNTIME_DIR").filter(|_| has_memory_folders),
            shared_memory: has_memory_folders.then(|| PathBuf::from("/dev/shm")),
            temporary,
        }
    }

    /// For the guard: those that lie outside every folder of `keep_away`. Links are resolved first on both sides.
    pub(in crate::device) fn outside(&self, keep_away: &[&Path]) -> Vec<Place> {
        let real = |path: &Path| os::real(path).unwrap_or_else(|_| path.to_owned());
        let keep_away: Vec<PathBuf> = keep_away.iter().map(|path| real(path)).collect();
        self.all()
            .into_iter()
            .filter(|place| !keep_away.iter().any(|away| real(Path::new(&place.folder)).starts_with(away)))
            .collect()
    }

    pub(super) fn all(&self) -> Vec<Place> {
        let place = |folder: &Path, memory_only, own_only| {
            // A home in a folder that is not Unicode could not be named to the client anyway.
            Some(Place { folder: folder.to_str()?.to_owned(), memory_only, own_only })
        };
        let runtime = self.runtime.as_deref().and_then(|folder| place(folder, true, true));
        let shared = self.shared_memory.as_deref().and_then(|folder| place(folder, true, false));
        let temporary = self.temporary.iter().filter_map(|folder| place(folder, false, false));
        runtime.into_iter().chain(shared).chain(temporary).collect()
    }
}

/// The paths of all [`Home`]s, each as long as it is there.
static HOMES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn homes() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    HOMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the homes of this process, which is to end at once, whatever its other threads are at.
pub(crate) fn remove_homes() {
    // Held for a moment only, by a thread that does nothing else then.
    let paths = HOMES.try_lock().map(|homes| homes.clone()).unwrap_or_default();
    paths.iter().for_each(|home| _ = remove(home));
}

/// A home, removed when dropped.
pub(in crate::device) struct Home {
    path: PathBuf,
    in_memory: bool,
    /// Why the places before would not do.
    rejected: Vec<String>,
    /// Locked for the life of the home.
    lock: Option<File>,
    /// The folder itself, whatever its name is by now.
    folder: FolderToRemove,
}

impl Home {
    /// Makes one in the first of `places` that will do: on a disk only where the system has no memory for it, or
    /// `on_disk` is agreed to.
    pub(in crate::device) fn make(places: &[Place], on_disk: bool) -> Result<Self, HomeFault> {
        let mut unusable = None;
        let mut reasons = Vec::new();
        let has_memory =
            |place: &Place| place.memory_only && os::lies_in_memory(Path::new(&place.folder)).unwrap_or(false);
        let must_ask = !on_disk && places.iter().any(has_memory);
        for place in places {
            let folder = match check(place) {
                Ok(folder) => folder,
                Err(why) => {
                    reasons.push(format!("{} {why}", place.folder));
                    continue;
                }
            };
            if let Some(why) = environment::path_flaw(&folder) {
                reasons.push(format!("{}: {why}", place.folder));
                unusable = Some(HomeFault::Unusable { path: place.folder.clone(), why: why.to_owned() });
                continue;
            }
            if must_ask && !os::lies_in_memory(&folder).unwrap_or(false) {
                return Err(HomeFault::OnDisk { folder: place.folder.clone(), why: reasons.join("; ") });
            }
            match Self::make_in(&folder) {
                Ok(mut home) => {
                    home.rejected = reasons;
                    return Ok(home);
                }
                Err(error) => reasons.push(format!(
                    "no folder could be made in {}: {}",
                    place.folder,
                    crate::error::io_in_words(&error)
                )),
            }
        }
        Err(unusable.unwrap_or_else(|| HomeFault::Impossible {
            why: if reasons.is_empty() { "there is no place for one".to_owned() } else { reasons.join("; ") },
        }))
    }

    fn make_in(folder: &Path) -> io::Result<Self> {
        let in_memory = os::lies_in_memory(folder)?;
        // Windows does not rename a folder with an open file in it; there the grace of the sweep covers the moment
        // between making and locking.
        let prefix = if cfg!(windows) { PREFIX } else { MAKING };
        let made = tempfile::Builder::new()
            .prefix(prefix)
            .rand_bytes(RANDOM)
            .make_in(folder, path_trust::create_private_dir)?;
        // The temporary name's own clean-up removes files only; from here on the folder is ours to remove.
        let (_, made) = made.keep().map_err(|error| error.error)?;
        Self::settle(&made, folder, in_memory).inspect_err(|_| {
            let _ = remove(&made);
        })
    }

    /// Locks the new folder, then gives it the name that the sweep looks for.
    fn settle(made: &Path, folder: &Path, in_memory: bool) -> io::Result<Self> {
        let mut lock = path_trust::create_private_file(&made.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::Error::other("its lock is taken"),
        })?;
        lock.write_all(LOCK_TEXT)?;
        let name = made.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let path = folder.join(name.replacen(MAKING, PREFIX, 1));
        let mut folder = FolderToRemove::open(made)?;
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("it is locked")),
            // Where the system locks no folders, there is the file.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        if path != made {
            // Nothing of ours has that name, and in a sticky folder nothing of others gives way to it.
            folder.rename(&path)?;
        }
        homes().insert(path.clone());
        Ok(Self { path, in_memory, rejected: Vec::new(), lock: Some(lock), folder })
    }

    pub(in crate::device) fn rejected(&self) -> &[String] {
        &self.rejected
    }

    pub(in crate::device) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::device) fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// As after a power cut: the folder is there, and nobody holds its locks.
    #[cfg(test)]
    pub(super) fn abandon(mut self) -> PathBuf {
        self.lock = None;
        self.path.clone()
    }

    /// Removes it now; what is left undone is told.
    pub(in crate::device) fn remove(mut self) -> io::Result<()> {
        self.take_away()
    }

    fn take_away(&mut self) -> io::Result<()> {
        if cfg!(windows) {
            self.lock = None;
        }
        let result = remove_opened(&self.folder);
        homes().remove(&self.path);
        self.lock = None;
        result
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.lock.is_some() {
            let _ = self.take_away();
        }
    }
}

/// Removes a home with all it holds; one that is gone already is fine. Overwrites first where that means something.
///
/// # Errors
/// Why it, or something in it, would not go.
pub(in crate::device) fn remove(home: &Path) -> io::Result<()> {
    match FolderToRemove::open(home) {
        Ok(folder) => remove_tree(&folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The same for one that was opened before a client ran in it, which may have given it another name, and put something else in
/// its place.
pub(in crate::device) fn remove_opened(home: &FolderToRemove) -> io::Result<()> {
    let removed = remove_tree(home);
    if home.place().is_none_or(|place| place != home.path()) {
        remove(home.path())?;
    }
    removed
}

/// Tries again for a moment: a client that has just been ended may have left a file in the folder meanwhile.
///
/// The lock file goes last: as long as there is anything else, a later command knows by it whose folder this is.
fn remove_tree(home: &FolderToRemove) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match home.remove(OsStr::new(LOCK)) {
            Ok(()) => return Ok(()),
            Err(_) if home.is_gone() => return Ok(()),
            Err(error) if tries == 20 => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
        tries += 1;
    }
}

fn overwrite_file(path: &Path) -> io::Result<()> {
    let mut file = path_trust::open_to_overwrite(path)?;
    let length = file.metadata()?.len().min(MAX_OVERWRITTEN);
    io::copy(&mut io::repeat(0).take(length), &mut file).map(drop)
}

/// Overwrites and removes one file in a home.
pub(in crate::device) fn remove_file(path: &Path) -> io::Result<()> {
    if os::lies_in_memory(path).unwrap_or(false) {
        // Best effort: the removal is what counts.
        let _ = overwrite_file(path);
    }
    fs::remove_file(path)
}

/// Overwrites and removes all that is in a home but its lock.
pub(in crate::device) fn empty(home: &Path) -> io::Result<()> {
    FolderToRemove::open(home)?.clear(Some(OsStr::new(LOCK)))
}

/// The folder of a place without links, if nobody else can exchange what is in it; else why not, as the end of
/// "`folder` …".
pub(super) fn trusted(place: &Place) -> Result<PathBuf, String> {
    let named = Path::new(&place.folder);
    let folder = path_trust::folder(named, Whose::Own, Position::OnTheWay).map_err(|refused| {
        if named.starts_with(&refused.path) && refused.path != named {
            format!("lies in {}, which {}", refused.path.display(), refused.why())
        } else if refused.path == named {
            refused.why()
        } else {
            format!("leads to {}, which {}", refused.path.display(), refused.why())
        }
    })?;
    // sudo -E keeps another user's XDG_RUNTIME_DIR.
    match place.own_only.then(|| path_trust::is_own(&folder)) {
        None | Some(Ok(true)) => Ok(folder),
        Some(Ok(false)) => Err("belongs to another user".to_owned()),
        Some(Err(error)) => Err(format!("can't be looked at: {}", crate::error::io_in_words(&error))),
    }
}

/// Whether a folder is fit to hold a home: the resolved folder, or why not, as the end of "`folder` …".
fn check(place: &Place) -> Result<PathBuf, String> {
    let words = |error: io::Error| format!("can't be looked at: {}", crate::error::io_in_words(&error));
    let folder = trusted(place)?;
    if place.memory_only && !os::lies_in_memory(&folder).map_err(words)? {
        return Err("does not lie in memory".to_owned());
    }
    if os::free_space(&folder).map_err(words)? < MIN_SPACE {
        return Err("has less than 8 MB of free space".to_owned());
    }
    Ok(folder)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::guard::stale_homes::remove_stale_homes;
    use std::time::SystemTime;

    fn place(folder: &Path) -> Place {
        Place { folder: folder.to_str().unwrap().to_owned(), memory_only: false, own_only: false }
    }

    fn places(folder: &Path) -> Places {
        Places { runtime: None, shared_memory: None, temporary: vec![folder.to_owned()] }
    }

    #[test]
    fn a_home_is_private_and_goes_when_dropped() {
        let base = tempfile::tempdir().unwrap();
        let home = Home::make(&[place(base.path())], false).unwrap();
        let path = home.path().to_owned();
        assert!(path.file_name().unwrap().to_str().unwrap().starts_with(PREFIX));
        assert_eq!(path_trust::privacy_flaw(&path).unwrap(), None);
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/c"), "secret").unwrap();
        drop(home);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0, "nothing beside it either");
    }

    #[test]
    fn the_sweep_takes_what_nobody_holds_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let living = Home::make(&[place(base.path())], false).unwrap();
        let left = Home::make(&[place(base.path())], false).unwrap();
        fs::write(left.path().join("profile"), "secret").unwrap();
        let path = left.abandon();
        let in_the_making = base.path().join(format!("{MAKING}0123456789ab"));
        path_trust::create_private_dir(&in_the_making).unwrap();
        let foreign = ["snow-onboard-0.1.0", "snow-onboard-source123", "snow-onboard-0123456789ab"].map(|name| {
            let folder = base.path().join(name);
            path_trust::create_private_dir(&folder).unwrap();
            fs::write(folder.join("main.rs"), "not ours").unwrap();
            let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
            if cfg!(unix) {
                File::open(&folder).unwrap().set_modified(an_hour_ago).unwrap();
            }
            folder
        });
        let other = base.path().join("something-else");
        fs::create_dir(&other).unwrap();
        let file = base.path().join(format!("{PREFIX}file"));
        fs::write(&file, "not a folder").unwrap();

        if cfg!(windows) {
            assert!(remove_stale_homes(&places(base.path())).is_empty());
            return assert!(path.exists(), "too young to tell from one in the making");
        }
        let told = remove_stale_homes(&places(base.path()));
        assert!(
            matches!(&told[..], [(path, _)] if *path == foreign[2]),
            "one that can't be told from a home: {told:?}"
        );
        assert!(!path.exists(), "the leftover is gone");
        assert!(living.path().exists(), "the one in use stays");
        assert!(in_the_making.exists(), "the one in the making stays");
        assert!(other.exists() && file.exists());
        assert!(foreign.iter().all(|folder| folder.join("main.rs").exists()), "what only has a similar name stays");
    }

    #[test]
    fn a_sweep_does_not_disturb_a_home_in_the_making() {
        let base = tempfile::tempdir().unwrap();
        let is_done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                        let _ = remove_stale_homes(&places(base.path()));
                    }
                });
            }
            let failed = (0..3000).filter(|_| Home::make(&[place(base.path())], false).is_err()).count();
            is_done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(failed, 0);
        });
    }

    #[test]
    fn an_emptied_home_is_still_a_home_in_use() {
        let base = tempfile::tempdir().unwrap();
        let home = Home::make(&[place(base.path())], false).unwrap();
        fs::create_dir_all(home.path().join("a/b")).unwrap();
        fs::write(home.path().join("a/b/c"), "secret").unwrap();
        fs::write(home.path().join("code"), "secret").unwrap();
        empty(home.path()).unwrap();
        let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [LOCK]);
        assert!(remove_stale_homes(&places(base.path())).is_empty() && home.path().exists());
    }

    #[test]
    fn places_inside_a_folder_to_keep_away_from_are_not_offered() {
        let base = tempfile::tempdir().unwrap();
        let inside = base.path().join("state/tmp");
        fs::create_dir_all(&inside).unwrap();
        assert!(places(&inside).outside(&[&base.path().join("state")]).is_empty());
        assert_eq!(places(&inside).outside(&[&base.path().join("sta")]).len(), 1, "a name that merely begins alike");
        assert_eq!(places(base.path()).outside(&[&base.path().join("state")]).len(), 1, "a sibling of the state");
    }

    #[cfg(unix)]
    mod unix {
        use super::*;
        use std::os::unix::fs::{PermissionsExt, symlink};

        #[test]
        fn folders_that_will_not_do_are_refused_with_the_reason() {
            let base = tempfile::tempdir().unwrap();
            let open = base.path().join("open");
            fs::create_dir(&open).unwrap();
            fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
            let below = open.join("below");
            fs::create_dir(&below).unwrap();
            let why = |place: Place| match Home::make(&[place], false).err().unwrap() {
                HomeFault::Impossible { why } => why,
                HomeFault::Unusable { why, .. } => format!("unusable: {why}"),
                HomeFault::OnDisk { folder, why } => format!("{folder} is a disk: {why}"),
            };
            assert!(why(place(&open)).contains("can be written by everyone"));
            assert!(why(place(&below)).contains("lies in"));
            assert!(why(place(&base.path().join("absent"))).contains("is not there"));
            let quoted = base.path().join("a\"b");
            fs::create_dir(&quoted).unwrap();
            assert!(why(place(&quoted)).contains("unusable: it contains a quote"));
            if rustix::process::geteuid().is_root() {
                let foreign = base.path().join("foreign");
                fs::create_dir(&foreign).unwrap();
                std::os::unix::fs::chown(&foreign, Some(54_321), None).unwrap();
                assert!(why(Place { own_only: true, ..place(&foreign) }).contains("belongs to uid 54321"));
            }
        }

        #[test]
        fn a_home_that_its_client_renamed_goes_with_what_was_put_in_its_place() {
            let base = tempfile::tempdir().unwrap();
            let home = Home::make(&[place(base.path())], false).unwrap();
            let path = home.path().to_owned();
            fs::write(path.join("profile"), "secret").unwrap();
            fs::rename(&path, base.path().join("anything")).unwrap();
            fs::create_dir(&path).unwrap();
            fs::write(path.join("copy"), "secret").unwrap();
            home.remove().unwrap();
            assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
        }

        #[test]
        fn a_home_that_was_moved_elsewhere_is_emptied_and_told() {
            let Ok(base) = tempfile::tempdir_in("/dev/shm") else {
                snow_rehearsal::skipped("no /dev/shm to write to, where it shows that a folder still has a name");
                return;
            };
            let elsewhere = base.path().join("elsewhere");
            let places = base.path().join("places");
            fs::create_dir(&elsewhere).unwrap();
            fs::create_dir(&places).unwrap();
            let home = Home::make(&[place(&places)], false).unwrap();
            fs::write(home.path().join("profile"), "secret").unwrap();
            fs::rename(home.path(), elsewhere.join("x")).unwrap();
            let error = home.remove().unwrap_err().to_string();
            assert!(error.contains("moved to another folder"), "{error}");
            assert_eq!(fs::read_dir(elsewhere.join("x")).unwrap().count(), 0);
        }

        #[test]
        fn a_renamed_home_that_nobody_holds_is_found_by_its_lock() {
            let base = tempfile::tempdir().unwrap();
            let renamed = |left: &str, is_held: bool| {
                let home = Home::make(&[place(base.path())], false).unwrap();
                fs::write(home.path().join("profile"), "secret").unwrap();
                fs::rename(home.path(), base.path().join(left)).unwrap();
                if is_held {
                    let _ = std::mem::ManuallyDrop::new(home);
                } else {
                    home.abandon();
                }
                base.path().join(left)
            };
            let (left, held) = (renamed("snow-onboard-x", false), renamed("another", true));
            let foreign = base.path().join("foreign");
            path_trust::create_private_dir(&foreign).unwrap();
            fs::write(foreign.join(LOCK), "").unwrap();
            assert!(remove_stale_homes(&places(base.path())).is_empty());
            assert!(!left.exists() && held.exists() && foreign.exists());
        }

        #[test]
        fn a_leftover_that_its_client_closed_goes() {
            let base = tempfile::tempdir().unwrap();
            let home = Home::make(&[place(base.path())], false).unwrap();
            let path = home.path().to_owned();
            fs::create_dir_all(path.join("d/e")).unwrap();
            fs::write(path.join("d/e/f"), "secret").unwrap();
            for (name, mode) in [("d/e", 0o500), ("d", 0o100), ("", 0o000)] {
                fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
            }
            home.abandon();
            assert!(remove_stale_homes(&places(base.path())).is_empty());
            assert!(!path.exists());
        }

        #[test]
        fn a_link_in_a_home_is_removed_and_its_target_left() {
            let base = tempfile::tempdir().unwrap();
            let target = base.path().join("target");
            fs::write(&target, "keep me").unwrap();
            let home = Home::make(&[place(base.path())], false).unwrap();
            symlink(&target, home.path().join("link")).unwrap();
            home.remove().unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), "keep me");
        }

        #[test]
        #[cfg(target_os = "linux")]
        fn memory_is_told_from_disk_and_wiped_before_removal() {
            let Ok(base) = tempfile::tempdir_in("/dev/shm") else {
                snow_rehearsal::skipped("no /dev/shm to write to, where a home could be wiped");
                return;
            };
            assert!(os::lies_in_memory(base.path()).unwrap());
            assert!(!os::lies_in_memory(Path::new("/proc")).unwrap());
            let file = base.path().join("profile");
            fs::write(&file, "secret").unwrap();
            let mut witness = File::open(&file).unwrap();
            remove_file(&file).unwrap();
            let mut text = Vec::new();
            witness.read_to_end(&mut text).unwrap();
            assert_eq!((text, file.exists()), (vec![0; 6], false));
            let other = base.path().join("other");
            fs::write(&other, "another file of the user's").unwrap();
            fs::hard_link(&other, &file).unwrap();
            remove_file(&file).unwrap();
            assert_eq!(fs::read(&other).unwrap(), b"another file of the user's");
            if !rustix::process::geteuid().is_root() {
                return snow_rehearsal::skipped("only root can give away a file that a home holds a name of");
            }
            let (file, theirs) = (base.path().join("linked"), base.path().join("theirs"));
            fs::write(&theirs, "theirs").unwrap();
            std::os::unix::fs::chown(&theirs, Some(54_321), None).unwrap();
            fs::hard_link(&theirs, &file).unwrap();
            remove_file(&file).unwrap();
            assert_eq!(fs::read(&theirs).unwrap(), b"theirs", "somebody else's file has a name in the home");
        }
    }
}
