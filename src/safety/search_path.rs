//! Where programs are looked for: never in whatever folder one stands in, nor where others decide what is found.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::path_trust::{self, Position, Refused, Whose};

/// A search path for a caller who has none.
pub(crate) const SYSTEM_PATH: &str = "/usr/bin:/bin";

/// Variables that name one folder, for temporary files.
const TEMPORARY: &[&str] = &["TMPDIR", "TEMP", "TMP"];

/// What the start scripts of JVM programs look for. In the system's folders only these are looked at: some distributions give
/// other programs there to accounts of their own.
const LOOKED_FOR: &[&str] = if cfg!(windows) {
    &["java.exe", "java.com", "java.bat", "java.cmd"]
} else {
    &[
        "java", "sh", "bash", "dash", "ksh", "zsh", "env", "awk", "basename", "cat", "cut", "dirname", "echo", "expr",
        "find", "getconf", "grep", "head", "id", "ls", "mkdir", "mktemp", "perl", "ps", "pwd", "python", "python3",
        "readlink", "realpath", "rm", "sed", "sort", "tail", "test", "tr", "tty", "uname", "which", "xargs",
    ]
};

/// Below these are the folders of the system, where they are the administrator's. In any other folder of PATH all is looked at.
const OF_SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/opt", "/snap", "/nix", "/Library", "/System"];

/// Most files that are looked at in one folder.
const MAX_FILES: usize = 20_000;

/// A search path without its relative and empty entries, which would mean whatever folder one stands in.
#[must_use]
pub(crate) fn absolute_entries(path: &OsStr) -> OsString {
    let entries = std::env::split_paths(path).filter(|entry| entry.is_absolute());
    // Joining fails only on an entry with a separator in it, which splitting can't have produced, save on Windows
    // for a quoted entry with a semicolon; that one is dropped with the rest.
    std::env::join_paths(entries).unwrap_or_default()
}

/// The caller's variables that name folders, without what others can change.
#[derive(Debug, Default)]
pub(crate) struct TrustedFolders {
    /// The search path.
    pub(crate) path: OsString,
    /// Variables that do not pass.
    pub(crate) dropped: Vec<&'static str>,
    /// What was left out, and why: parts of a sentence.
    pub(crate) left_out: Vec<String>,
}

impl TrustedFolders {
    /// Those of this process.
    pub(crate) fn of_caller() -> Self {
        let mut found = Self::default();
        let path = std::env::var_os("PATH").unwrap_or_default();
        found.path = trusted_value("PATH", &path, &mut found.left_out).unwrap_or_default();
        for name in TEMPORARY {
            if let Some(value) = std::env::var_os(name)
                && trusted_value(name, &value, &mut found.left_out).is_none()
            {
                found.dropped.push(name);
            }
        }
        found
    }
}

/// What passes of the variable `name` to a program that is started for us: of PATH the folders that nobody else can change, with
/// programs that nobody else can change; a folder for temporary files if others can exchange nothing in it. `None` if it does not
/// pass at all. What was left out is added to `left_out`.
pub(crate) fn trusted_value(name: &str, value: &OsStr, left_out: &mut Vec<String>) -> Option<OsString> {
    if name == "PATH" {
        let entries = std::env::split_paths(&absolute_entries(value)).collect::<Vec<_>>();
        let kept = entries.into_iter().filter(|entry| {
            is_trusted(entry, name, left_out, &|folder| {
                path_trust::folder(folder, Whose::Own, Position::Whole)
                    .map_err(|refused| refused.to_string())
                    .and_then(|real| check_programs(&real))
            })
        });
        let path = std::env::join_paths(kept.collect::<Vec<_>>()).unwrap_or_default();
        // To a shell one without any entry means the folder that it stands in.
        return Some(if path.is_empty() && cfg!(unix) { SYSTEM_PATH.into() } else { path });
    }
    if !TEMPORARY.contains(&name) {
        return Some(value.to_owned());
    }
    let check = |folder: &Path| {
        path_trust::folder(folder, Whose::Own, Position::OnTheWay).map(drop).map_err(|refused| refused.to_string())
    };
    is_trusted(Path::new(value), name, left_out, &check).then(|| value.to_owned())
}

fn is_trusted(
    folder: &Path,
    name: &str,
    left_out: &mut Vec<String>,
    check: &dyn Fn(&Path) -> Result<(), String>,
) -> bool {
    match check(folder) {
        Ok(()) => true,
        Err(why) => {
            // A folder that is not there has nothing to give, and is no matter for a note.
            if folder.symlink_metadata().is_ok() {
                left_out.push(format!("{} ({name}): {why}", folder.display()));
            }
            false
        }
    }
}

/// Whether others can change what would be run out of this folder, which is trusted and has no links in its path: a link in it may
/// lead anywhere.
fn check_programs(folder: &Path) -> Result<(), String> {
    let is_of_system = cfg!(windows)
        || OF_SYSTEM.iter().any(|system| folder.starts_with(system))
            && path_trust::folder_at(folder, Whose::Administrator, Position::Whole).is_ok();
    let known = || LOOKED_FOR.iter().map(|name| folder.join(name)).collect();
    let programs: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) if !is_of_system => entries.flatten().map(|entry| entry.path()).take(MAX_FILES + 1).collect(),
        // One that may be entered and not listed has what is known by its name.
        _ => known(),
    };
    if programs.len() > MAX_FILES {
        return Err(format!("it holds more than {MAX_FILES} files, which can't all be looked at"));
    }
    for program in programs {
        // A folder in it is no program.
        if !program.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
            continue;
        }
        match path_trust::beside_program(&program) {
            Ok(_) => {}
            // What we can't get at, those that we start can't run.
            Err(refused) if refused.is_out_of_reach() => {}
            Err(refused) => return Err(leads_to(&program, &refused)),
        }
    }
    Ok(())
}

/// What is wrong with a program, or with what it is a link to.
fn leads_to(program: &Path, refused: &Refused) -> String {
    if refused.path == program {
        refused.to_string()
    } else {
        format!("{} leads to {}, which {}", program.display(), refused.path.display(), refused.why())
    }
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
    use std::os::unix::fs::{PermissionsExt, symlink};

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

    #[test]
    fn a_folder_with_a_program_that_others_can_exchange_is_left_out() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let (bin, open) = (base.join("bin"), base.join("open"));
        for folder in [&bin, &open] {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::write(open.join("java"), "").unwrap();
        let passed = |left_out: &mut Vec<String>| trusted_value("PATH", bin.as_os_str(), left_out).unwrap();
        symlink(open.join("java"), bin.join("java")).unwrap();
        std::fs::create_dir(bin.join("folder")).unwrap();
        std::fs::set_permissions(bin.join("folder"), std::fs::Permissions::from_mode(0o777)).unwrap();
        let mut left_out = Vec::new();
        assert_eq!(passed(&mut left_out), bin.as_os_str(), "a control: {left_out:?}");

        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        for name in ["java", "anything", "absent"] {
            std::fs::remove_file(bin.join("java")).ok();
            symlink(open.join(name), bin.join(name)).unwrap();
            let mut left_out = Vec::new();
            assert_eq!(passed(&mut left_out), SYSTEM_PATH, "{name}");
            let says = format!("{} (PATH): {} leads to", bin.display(), bin.join(name).display());
            assert!(left_out[0].starts_with(&says) && left_out[0].contains("written by everyone"), "{left_out:?}");
            std::fs::remove_file(bin.join(name)).unwrap();
        }
    }

    #[test]
    fn a_temporary_folder_in_which_others_can_exchange_things_does_not_pass() {
        let base = tempfile::tempdir().unwrap();
        let value = base.path().as_os_str();
        for (mode, passes) in [(0o700, true), (0o1777, true), (0o777, false)] {
            std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let mut left_out = Vec::new();
            assert_eq!(trusted_value("TMPDIR", value, &mut left_out).is_some(), passes, "{mode:o}");
            assert_eq!(left_out.iter().any(|why| why.contains("(TMPDIR)")), !passes, "{left_out:?}");
        }
    }

    #[test]
    fn the_system_s_own_search_path_passes() {
        let mut left_out = Vec::new();
        assert_eq!(trusted_value("PATH", OsStr::new(SYSTEM_PATH), &mut left_out).unwrap(), SYSTEM_PATH);
        assert!(left_out.is_empty(), "{left_out:?}");
    }
}
