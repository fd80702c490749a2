//! Private folders, and removing what may not be there.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Error, Result, io_in_words};
use crate::os;

/// Makes a private folder, or checks that the one that is there is private.
pub(super) fn make_or_check_private(path: &Path) -> Result<()> {
    let bad = |why: String| Error::StateFolderBad { path: path.display().to_string(), why };
    match os::create_private_dir(path) {
        Ok(()) => {
            if let Some(parent) = path.parent() {
                os::sync_dir(parent).map_err(|error| bad(io_in_words(&error)))?;
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_private(path),
        Err(error) => Err(bad(io_in_words(&error))),
    }
}

/// Checks that what is there is a folder, and private. That nothing is there is fine.
pub(super) fn check_private(path: &Path) -> Result<()> {
    let bad = |why: String| Error::StateFolderBad { path: path.display().to_string(), why };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(bad(io_in_words(&error))),
        Ok(_) if !path.is_dir() => return Err(bad("it is not a folder".to_owned())),
        Ok(_) => {}
    }
    match os::privacy_flaw(path) {
        Ok(None) => Ok(()),
        Ok(Some(flaw)) => Err(bad(format!("it {flaw}"))),
        Err(error) => Err(bad(io_in_words(&error))),
    }
}

/// Makes a folder and those above it where they are missing, for good: what is synced in a folder is of no use when the
/// folder's own name is lost.
pub(super) fn make_all(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = path.parent();
    parent.map_or(Ok(()), make_all)?;
    match fs::create_dir(path) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        result => result?,
    }
    match parent.map_or(Ok(()), os::sync_dir) {
        // Whoever may make folders in a folder may not be allowed to open it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result,
    }
}

/// Removes a file or a folder with all it holds; nothing there is fine.
pub(super) fn remove_if_there(path: &Path) -> Result<()> {
    let result = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::disk("Removing", path, &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn missing_folders_are_made_and_a_file_in_the_way_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a").join("Jürgen Müller").join("c");
        make_all(&deep).unwrap();
        assert!(deep.is_dir());
        make_all(&deep).unwrap();
        make_all(Path::new("")).unwrap();
        fs::write(deep.join("file"), "").unwrap();
        assert!(make_all(&deep.join("file").join("d")).is_err());
        assert!(make_all(&deep.join("file")).is_err());
    }
}
