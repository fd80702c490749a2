//! Where programs are looked for: never in whatever folder one stands in.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::path_trust::{self, Position, Whose};

/// A search path for a caller who has none.
pub(crate) const SYSTEM_PATH: &str = "/usr/bin:/bin";

/// The caller's search path without what is not absolute.
#[must_use]
pub(crate) fn of_caller() -> OsString {
    let path = absolute_entries(&std::env::var_os("PATH").unwrap_or_default());
    // To a shell one without any entry means the folder that it stands in.
    if path.is_empty() && cfg!(unix) { SYSTEM_PATH.into() } else { path }
}

/// A search path without its relative and empty entries, which would mean whatever folder one stands in.
#[must_use]
pub(crate) fn absolute_entries(path: &OsStr) -> OsString {
    let entries = std::env::split_paths(path).filter(|entry| entry.is_absolute());
    // Joining fails only on an entry with a separator in it, which splitting can't have produced, save on Windows
    // for a quoted entry with a semicolon; that one is dropped with the rest.
    std::env::join_paths(entries).unwrap_or_default()
}

/// The caller's search path without the folders that others can change, and which those are, if any.
#[must_use]
pub(crate) fn trusted() -> (OsString, Option<String>) {
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for folder in std::env::split_paths(&of_caller()) {
        match path_trust::folder(&folder, Whose::Own, Position::Whole) {
            Ok(_) => kept.push(folder),
            // A folder that is not there has nothing to give, and is no matter for a note.
            Err(refused) if refused.is_missing() => {}
            Err(refused) => left_out.push(refused.to_string()),
        }
    }
    let path = std::env::join_paths(kept).unwrap_or_default();
    let path = if path.is_empty() && cfg!(unix) { SYSTEM_PATH.into() } else { path };
    (path, (!left_out.is_empty()).then(|| left_out.join("; ")))
}

/// Where the program of this name or path is, as an absolute path to start it by. `None` if it is in no folder of the search path.
#[must_use]
pub(crate) fn program(name: &str, path: &OsStr) -> Option<PathBuf> {
    if Path::new(name).components().count() > 1 || name.contains(std::path::is_separator) {
        return std::path::absolute(name).ok();
    }
    which::which_in_all(name, Some(absolute_entries(path)), "/").ok()?.next()
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_relative_entry_finds_nothing() {
        let folder = tempfile::tempdir_in(".").unwrap();
        let file = folder.path().join("a-program");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let relative = Path::new(folder.path().file_name().unwrap());
        assert!(relative.join("a-program").exists(), "a control");
        assert_eq!(program("a-program", relative.as_os_str()), None);
        let absolute = std::path::absolute(relative).unwrap();
        let both = std::env::join_paths([Path::new(""), relative, &absolute]).unwrap();
        assert_eq!(program("a-program", &both), Some(absolute.join("a-program")));
        assert_eq!(program("./a-program", &both), std::path::absolute("./a-program").ok());
    }
}
