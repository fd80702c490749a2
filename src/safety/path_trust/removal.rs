//! Removing a folder of ours with all that a program left in it, whatever modes and whatever name that gave them.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::sys_removal as sys;
use crate::os;

/// Most bytes that are overwritten in one folder, beside the first of each file. A home of a client holds a few kilobytes.
pub(super) const MAX_OVERWRITTEN: u64 = 64 << 20;
/// What is overwritten of each file, whatever else there is: one that holds a code is far smaller, and a log that is larger than all
/// that may be overwritten must not keep it from that.
const OF_EACH: u64 = 1 << 20;

/// How many of a file's `length` bytes are overwritten, where `left` may still be.
pub(super) fn length_to_overwrite(length: u64, left: &mut u64) -> u64 {
    let part = length.min(OF_EACH.max(*left));
    if length > OF_EACH {
        *left = left.saturating_sub(part);
    }
    part
}

/// A folder of this very user's that is to be removed. Open from the beginning, where the system lets an open folder be removed: it
/// stays the same whatever it is renamed to.
#[derive(Debug)]
pub(crate) struct FolderToRemove {
    path: PathBuf,
    in_memory: bool,
    #[cfg(unix)]
    opened: fs::File,
}

impl FolderToRemove {
    /// Opens it, and takes all rights to it where its owner has not got them. A link is not followed.
    ///
    /// # Errors
    /// What the system says; that it belongs to somebody else.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        #[cfg(unix)]
        let opened = sys::open_folder_to_clear(path)?;
        // Overwriting means something there, and nowhere else.
        let in_memory = os::lies_in_memory(path).unwrap_or(false);
        Ok(Self {
            path: path.to_owned(),
            in_memory,
            #[cfg(unix)]
            opened,
        })
    }

    /// Locks the folder itself, for as long as it is open here. A client can take a lock file in it away, and not this.
    ///
    /// # Errors
    /// Somebody else has it; the system locks no folders.
    pub(crate) fn try_lock(&self) -> Result<(), fs::TryLockError> {
        #[cfg(unix)]
        return self.opened.try_lock();
        #[cfg(windows)]
        Err(fs::TryLockError::Error(io::ErrorKind::Unsupported.into()))
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn rename(&mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.path = to.to_owned();
        Ok(())
    }

    /// The name that it had at first.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes all that is in it but `spared`, and overwrites the files first where it lies in memory. What will not go does not
    /// keep the rest.
    ///
    /// # Errors
    /// Why something is left, without its name, which is not ours to say.
    pub(crate) fn clear(&self, spared: Option<&OsStr>) -> io::Result<()> {
        #[cfg(unix)]
        return sys::clear(&self.opened, spared, self.in_memory);
        #[cfg(windows)]
        sys::clear(&self.path, spared, self.in_memory)
    }

    /// Removes it with all that is in it; `last` stays as long as there is anything else.
    ///
    /// # Errors
    /// Those of [`FolderToRemove::clear`]; that it was moved to where it is not found.
    pub(crate) fn remove(&self, last: &OsStr) -> io::Result<()> {
        self.clear(Some(last))?;
        self.clear(None)?;
        match self.place() {
            Some(place) => fs::remove_dir(place),
            None if self.is_gone() => Ok(()),
            None => Err(io::Error::other(
                "it was moved to another folder while the client ran, and is not found; what was in it has been overwritten and removed",
            )),
        }
    }

    /// Where it is now: under its name, or another one beside it.
    pub(crate) fn place(&self) -> Option<PathBuf> {
        #[cfg(unix)]
        {
            let is_it = |path: &Path| super::is_still_at(&self.opened, path).unwrap_or(false);
            if is_it(&self.path) {
                return Some(self.path.clone());
            }
            let beside = fs::read_dir(self.path.parent()?).ok()?;
            beside.flatten().map(|entry| entry.path()).find(|path| is_it(path))
        }
        #[cfg(windows)]
        self.path.symlink_metadata().is_ok().then(|| self.path.clone())
    }

    /// Whether no folder has it any more, as far as can be told.
    pub(crate) fn is_gone(&self) -> bool {
        #[cfg(unix)]
        return self.place().is_none() && (!self.in_memory || sys::has_no_name(&self.opened));
        #[cfg(windows)]
        self.place().is_none()
    }
}
