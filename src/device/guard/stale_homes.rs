//! Private homes that a power cut or a kill left: which folders are such, and their end.

use std::ffi::OsStr;
use std::fs::{self, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::device::end_those_at_home_in;
use crate::device::guard::home::{GRACE, LOCK, LOCK_TEXT, MAKING, PREFIX, Places, RANDOM, remove, trusted};
use crate::safety::path_trust::{self, FolderToRemove, OpenMode};

/// Removes the homes that a power cut or a kill of all our processes left behind, and on Linux ends the clients in them that
/// ignored the system's hang-up.
///
/// Homes in use, homes of other users, what only has a similar name, and all that lies where others can exchange it stay. Gives
/// those that should have gone and would not, with the reason, and those that may be homes and have no proof of it.
pub fn remove_stale_homes(places: &Places) -> Vec<(PathBuf, io::Error)> {
    let mut stuck = Vec::new();
    for place in places.all() {
        let Ok(entries) = trusted(&place).map_err(drop).and_then(|folder| fs::read_dir(folder).map_err(drop)) else {
            continue;
        };
        // Of most things in a folder for all, such as /tmp, it takes no more to see that they are no home.
        let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        for path in folders.map(|entry| entry.path()) {
            let swept = is_leftover(&path, false).and_then(|is_leftover| match is_leftover {
                true => remove_leftover(&path),
                false => Ok(()),
            });
            if let Err(error) = swept {
                stuck.push((path, error));
            }
        }
    }
    stuck
}

/// As [`remove_stale_homes`], for one home wherever it is, which this program has noted that it made. `false` if it is in use, or no
/// home.
///
/// # Errors
/// Why it would not go.
pub(crate) fn remove_stale_home(path: &Path) -> io::Result<bool> {
    if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(true);
    }
    if !is_leftover(path, true)? {
        return Ok(false);
    }
    remove_leftover(path).map(|()| true)
}

/// A home whose guard is gone has nobody to end a client that ignored the hang-up: it goes first, as it may be writing there.
fn remove_leftover(home: &Path) -> io::Result<()> {
    end_those_at_home_in(home);
    remove(home)
}

/// Whether a home has, or had, this name.
#[must_use]
pub(crate) fn is_home_name(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(MAKING).or_else(|| name.strip_prefix(PREFIX)));
    random.is_some_and(|random| random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Whether `path` is a home, by all the signs of one, and nobody is in it. That it `is_noted` is proof enough that it was made here,
/// whatever its client did to the lock file.
///
/// # Errors
/// Why that can't be told of what has a home's name, owner and rights.
fn is_leftover(path: &Path, is_noted: bool) -> io::Result<bool> {
    let name = path.file_name().unwrap_or_default();
    // Whose it is first: others may put thousands of such names into a folder for all.
    let is_own = || path_trust::is_own(path).unwrap_or(false) && path_trust::is_own_private_folder(path);
    if !is_home_name(name) {
        let has_lock = path.join(LOCK).symlink_metadata().is_ok_and(|lock| lock.is_file());
        return Ok(has_lock && is_own() && is_renamed_home(path));
    }
    if !is_own() {
        return Ok(false);
    }
    // A client may have taken the rights to it away, and with them those to see its lock.
    let folder = match FolderToRemove::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    let is_making = name.to_str().is_some_and(|name| name.starts_with(MAKING));
    let Ok(meta) = path.symlink_metadata() else { return Ok(false) };
    let is_old = meta.modified().is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age > GRACE));
    // Age first: to try the lock is to hold it for a moment, and its maker may want it in that very moment.
    if (is_making || cfg!(windows)) && !is_old {
        return Ok(false);
    }
    let is_free = match folder.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(_)) => false,
    };
    match path_trust::open_to_overwrite(&path.join(LOCK)) {
        Ok(file) if file.metadata().is_ok_and(|meta| meta.is_file()) => return Ok(file.try_lock().is_ok()),
        // One whose guard was killed at its very beginning or end: there was nothing in it yet, or is nothing any more.
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_old && is_empty(path) => return Ok(true),
        _ => {}
    }
    if is_free && is_old && !is_noted {
        return Err(io::Error::other(
            "its lock file is missing or was changed, so it can't be told whether this program made it; look at what is in it, and remove it if you did not make it",
        ));
    }
    Ok(is_free && is_noted)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Whether a folder of this very user's, of whatever name, holds the lock file of a home, and nobody holds that or the folder.
fn is_renamed_home(path: &Path) -> bool {
    let Ok(Some(mut lock)) = path_trust::open_own(&path.join(LOCK), OpenMode::Read) else { return false };
    let mut text = Vec::new();
    let is_ours = (&mut lock).take(LOCK_TEXT.len() as u64 + 1).read_to_end(&mut text).is_ok() && text == LOCK_TEXT;
    let is_held = || match FolderToRemove::open(path) {
        Ok(folder) => matches!(folder.try_lock(), Err(TryLockError::WouldBlock)),
        Err(_) => true,
    };
    is_ours && lock.try_lock().is_ok() && !is_held()
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::guard::home::Home;
    use crate::device::guard::protocol::Place;
    use std::time::Duration;

    /// A home in a folder, whose client did something to it.
    fn home_in(base: &Path, client: &str) -> Home {
        let folder = base.to_str().unwrap().to_owned();
        let home = Home::make(&[Place { folder, memory_only: false, own_only: false }], false).unwrap();
        fs::write(home.path().join("profile"), "secret").unwrap();
        let script = format!("cd \"$0\" && {client}");
        let ran = std::process::Command::new("sh").args(["-c", &script]).arg(home.path()).status().unwrap();
        assert!(ran.success());
        home
    }

    fn sweep(base: &Path) -> Vec<(PathBuf, io::Error)> {
        remove_stale_homes(&Places { runtime: None, shared_memory: None, temporary: vec![base.to_owned()] })
    }

    const CLIENTS: [&str; 5] = [
        "rm .lock; : >.lock",
        "rm .lock",
        "rm .lock; mkfifo .lock",
        "rm .lock; ln -s profile .lock",
        "cp .lock copy; mv copy .lock",
    ];

    fn grow_old(home: &Path) {
        fs::File::open(home).unwrap().set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }

    #[test]
    fn a_home_in_use_stays_whatever_its_client_did_to_its_lock_file() {
        let base = tempfile::tempdir().unwrap();
        let homes = CLIENTS.map(|client| home_in(base.path(), client));
        let renamed = home_in(base.path(), "cp .lock copy; mv copy .lock; mv \"$0\" ../another");
        for home in &homes {
            grow_old(home.path());
            assert!(sweep(base.path()).is_empty());
            assert!(!remove_stale_home(home.path()).unwrap());
            assert!(home.path().join("profile").exists());
        }
        assert!(base.path().join("another/profile").exists());
        drop((homes, renamed));
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_leftover_without_its_lock_file_goes_if_it_was_noted_and_is_told_else() {
        for (client, goes) in CLIENTS.into_iter().zip([true, false, false, false, true]) {
            let base = tempfile::tempdir().unwrap();
            let home = home_in(base.path(), client).abandon();
            assert!(sweep(base.path()).is_empty(), "{client}");
            assert_eq!(home.exists(), !goes, "{client}");
            if !goes {
                grow_old(&home);
                let told = sweep(base.path());
                assert!(
                    matches!(&told[..], [(path, why)] if *path == home && why.to_string().contains("its lock file is missing"))
                );
                assert!(home.join("profile").exists(), "{client}");
            }
            assert!(remove_stale_home(&home).unwrap());
            assert!(!home.exists(), "{client}");
        }
    }

    #[test]
    fn a_leftover_of_a_version_that_locked_the_file_alone_goes() {
        let base = tempfile::tempdir().unwrap();
        let home = base.path().join("snow-onboard-0123456789ab");
        path_trust::create_private_dir(&home).unwrap();
        let lock = path_trust::create_private_file(&home.join(LOCK)).unwrap();
        fs::write(home.join(LOCK), LOCK_TEXT).unwrap();
        lock.try_lock().unwrap();
        assert!(sweep(base.path()).is_empty() && home.exists(), "and one in use stays");
        drop(lock);
        assert!(sweep(base.path()).is_empty() && !home.exists());
    }
}
