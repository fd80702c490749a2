//! Private folders, and removing what may not be there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::os;
use crate::safety::path_trust::{self, Cause, Fault, Flaw, OpenMode, Refused};
use crate::safety::quote::quoted;

/// Makes a private folder, or checks that the one that is there is private. Gives its path without links.
pub(super) fn make_or_check_private(path: &Path) -> Result<PathBuf> {
    path_trust::private_folder(path).map_err(|refused| bad(path, refused))
}

/// Checks that what is there is a folder, and private. That nothing is there is fine.
pub(super) fn check_private(path: &Path) -> Result<()> {
    path_trust::look_at_private_folder(path).map(drop).map_err(|refused| bad(path, refused))
}

/// Why the folder `path` is not used.
pub(super) fn bad(path: &Path, refused: Refused) -> Error {
    bad_for(path_trust::runs_as_administrator(), path, refused)
}

fn bad_for(is_administrator: bool, path: &Path, refused: Refused) -> Error {
    if let Some(full) = refused.too_many_files() {
        return full;
    }
    let at_fault = refused.path.display().to_string();
    match refused.owner() {
        Some(owner) if is_administrator => Error::RunAsAnother { path: at_fault, owner: owner.to_owned() },
        // Given back is only what this program can have made: anything may be named as the state folder, /tmp too.
        Some(owner) if refused.path == path && path.file_name().is_some_and(|name| name == "snow-onboard") => {
            let hint = if cfg!(windows) {
                String::new()
            } else {
                format!(
                    "If this program was once run with sudo, give the folder back to yourself:\n  sudo chown -R \"$(id -un)\" {}\nElse: ",
                    quoted(&at_fault)
                )
            };
            Error::StateFolderOfAnother { path: at_fault, owner: owner.to_owned(), hint }
        }
        _ => Error::StateFolderBad { path: path.display().to_string(), why: refused.into_why(path) },
    }
}

/// Opens a file of this program's in a folder that is private. `None` if there is nothing under its name; `in_words` makes an
/// error of what the system says.
///
/// # Errors
/// [`Error::FileAliased`] for one that this program did not make so.
pub(super) fn open_ours(
    path: &Path,
    access: OpenMode,
    in_words: impl FnOnce(io::Error) -> Error,
) -> Result<Option<File>> {
    path_trust::open_own(path, access).map_err(|refused| match refused.cause {
        Cause::Io(error) => in_words(error),
        Cause::Flaw(Flaw { fault: Fault::Link | Fault::Names | Fault::Kind, text, .. }) => {
            Error::FileAliased { path: path.display().to_string(), flaw: text }
        }
        cause => Error::refused("Opening", path, Refused { path: refused.path, cause }),
    })
}

/// Random letters and digits at the end of a temporary file's name.
pub(super) const TEMPORARY: usize = 8;

/// Puts a file in place of an old one: whole and synced, or not at all. It is written in the folder `beside`, under a name that
/// begins with `prefix`.
pub(super) fn replace(path: &Path, beside: &Path, prefix: &str, text: &[u8]) -> Result<()> {
    let writing = |error: io::Error| Error::disk("Writing", path, error);
    let mut file =
        tempfile::Builder::new().prefix(prefix).rand_bytes(TEMPORARY).tempfile_in(beside).map_err(writing)?;
    file.write_all(text).and_then(|()| file.as_file().sync_all()).map_err(writing)?;
    file.persist(path).map_err(|refused| writing(refused.error))?;
    tracing::debug!(file = %path.display(), "written");
    path.parent().map_or(Ok(()), os::sync_dir).map_err(writing)
}

/// Removes a file; nothing there is fine.
pub(super) fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::disk("Removing", path, error)),
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
        make_or_check_private(&deep).unwrap();
        assert!(deep.is_dir());
        make_or_check_private(&deep).unwrap();
        for part in [dir.path().join("a"), deep.clone()] {
            assert_eq!(path_trust::privacy_flaw(&part).unwrap(), None);
        }
        fs::write(deep.join("file"), "").unwrap();
        assert!(make_or_check_private(&deep.join("file").join("d")).is_err());
        assert!(make_or_check_private(&deep.join("file")).is_err());
        remove_if_there(&deep.join("none")).unwrap();
        assert!(remove_if_there(&deep).is_err() && deep.exists(), "no file");
    }

    /// Only a folder that bears this program's name, and is the one that was asked for, can have been made by it under sudo.
    #[test]
    fn a_folder_is_given_back_only_if_this_program_can_have_made_it() {
        let code = |is_administrator, asked: &str, at_fault: &str, owner: Option<&str>| {
            let flaw = Flaw { fault: Fault::Owner, text: "is not ours".to_owned(), owner: owner.map(str::to_owned) };
            let refused = Refused { path: at_fault.into(), cause: Cause::Flaw(flaw) };
            bad_for(is_administrator, Path::new(asked), refused).code()
        };
        let (ours, bert) = ("/a/snow-onboard", Some("bert"));
        assert_eq!(code(false, ours, ours, bert), "state_folder_of_another");
        assert_eq!(code(false, ours, "/a", bert), "state_folder_bad", "a folder above it");
        assert_eq!(code(false, "/a/b", "/a/b", bert), "state_folder_bad", "another name");
        assert_eq!(code(false, "/a/b", ours, bert), "state_folder_bad");
        assert_eq!(code(true, ours, ours, bert), "run_as_another");
        assert_eq!(code(true, "/a/b", "/a", bert), "run_as_another");
        assert_eq!(code(true, ours, ours, None), "state_folder_bad");
    }
}
