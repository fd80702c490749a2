//! Private homes that a power cut or a kill left: which folders are such, and their end.

use std::ffi::OsStr;
use std::fs;
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
/// those that should have gone and would not, with the reason.
pub fn remove_stale_homes(places: &Places) -> Vec<(PathBuf, io::Error)> {
    let mut stuck = Vec::new();
    for place in places.all() {
        let Ok(entries) = trusted(&place).map_err(drop).and_then(|folder| fs::read_dir(folder).map_err(drop)) else {
            continue;
        };
        // Of most things in a folder for all, such as /tmp, it takes no more to see that they are no home.
        let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        for path in folders.map(|entry| entry.path()) {
            if is_leftover(&path)
                && let Err(error) = remove_leftover(&path)
            {
                stuck.push((path, error));
            }
        }
    }
    stuck
}

/// As [`remove_stale_homes`], for one home wherever it is. `false` if it is in use, or no home.
///
/// # Errors
/// Why it would not go.
pub(crate) fn remove_stale_home(path: &Path) -> io::Result<bool> {
    if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(true);
    }
    if !is_leftover(path) {
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

/// Whether `path` is a home, by all the signs of one, and nobody is in it.
fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    // Whose it is first: others may put thousands of such names into a folder for all.
    let is_own = || path_trust::is_own(path).unwrap_or(false) && path_trust::is_own_private_folder(path);
    if !is_home_name(name) {
        let has_lock = path.join(LOCK).symlink_metadata().is_ok_and(|lock| lock.is_file());
        return has_lock && is_own() && is_renamed_home(path);
    }
    // A client may have taken the rights to it away, and with them those to see its lock.
    if !is_own() || FolderToRemove::open(path).is_err() {
        return false;
    }
    let is_making = name.to_str().is_some_and(|name| name.starts_with(MAKING));
    let Ok(meta) = path.symlink_metadata() else { return false };
    let is_old = meta.modified().is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age > GRACE));
    // Age first: to try the lock is to hold it for a moment, and its maker may want it in that very moment.
    if (is_making || cfg!(windows)) && !is_old {
        return false;
    }
    let lock = path.join(LOCK);
    match path_trust::open_to_overwrite(&lock) {
        Ok(file) => file.metadata().is_ok_and(|meta| meta.is_file()) && file.try_lock().is_ok(),
        // One whose guard was killed at its very beginning or end: there was nothing in it yet, or is nothing any more.
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_old => {
            fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
        }
        Err(_) => false,
    }
}

/// Whether a folder of this very user's, of whatever name, holds the lock file of a home, which nobody holds.
fn is_renamed_home(path: &Path) -> bool {
    let Ok(Some(mut lock)) = path_trust::open_own(&path.join(LOCK), OpenMode::Read) else { return false };
    let mut text = Vec::new();
    let is_ours = (&mut lock).take(LOCK_TEXT.len() as u64 + 1).read_to_end(&mut text).is_ok() && text == LOCK_TEXT;
    is_ours && lock.try_lock().is_ok()
}
