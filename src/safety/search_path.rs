//! Where programs are looked for: never in whatever folder one stands in.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

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

/// Where the program of this name or path is, as an absolute path to start it by. `None` if it is not there.
#[must_use]
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    program_in(name, &of_caller())
}

fn program_in(name: &str, path: &OsStr) -> Option<PathBuf> {
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
        assert_eq!(program_in("a-program", relative.as_os_str()), None);
        let absolute = std::path::absolute(relative).unwrap();
        let both = std::env::join_paths([Path::new(""), relative, &absolute]).unwrap();
        assert_eq!(program_in("a-program", &both), Some(absolute.join("a-program")));
        assert_eq!(program_in("./a-program", &both), std::path::absolute("./a-program").ok());
    }
}
