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
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if !path.is_dir() {
                return Err(bad("is not a folder".to_owned()));
            }
            match os::privacy_flaw(path) {
                Ok(None) => Ok(()),
                Ok(Some(flaw)) => Err(bad(format!("it {flaw}"))),
                Err(error) => Err(bad(io_in_words(&error))),
            }
        }
        Err(error) => Err(bad(io_in_words(&error))),
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
