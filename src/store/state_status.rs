//! A look at the state folder that changes nothing.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::files::{self, check_private};
use super::state_folder::{MADE_AT_ONCE, MADE_WHEN_NEEDED, check_unicode, remoteness_of};
use crate::error::{Error, Result, io_in_words};
use crate::os;
use crate::safety::path_trust;

/// What a state folder is like, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateFolderStatus {
    /// Where it is, or will be.
    pub path: PathBuf,
    /// Whether it is there.
    pub exists: bool,
    /// What of it, or above it, is there: what to look at for the disk.
    pub ground: PathBuf,
    /// Why it is not as good a place as a folder of this machine's disk, as the end of a sentence.
    pub network_location: Option<String>,
    /// Whether it lies in memory, where nothing outlives a reboot.
    pub is_in_memory: bool,
    /// Bytes free, where the system says.
    pub free: Option<u64>,
}

impl StateFolderStatus {
    /// Looks whether a run could use the folder: private if it is there, and writable, or else one that can be made. What is
    /// written to find that out is gone again.
    ///
    /// # Errors
    /// [`Error::StateFolderBad`], as opening it would give; [`Error::Disk`] where nothing can be written.
    pub(crate) fn at(root: &Path) -> Result<Self> {
        let bad = |why: String| Error::StateFolderBad { path: root.display().to_string(), why: why.into() };
        check_unicode(root)?;
        let place = path_trust::look_at_private_folder(root).map_err(|refused| files::bad(root, refused))?;
        let (exists, ground) = (place.exists, place.ground);
        check_unicode(&place.real)?;
        let parts = || MADE_AT_ONCE.into_iter().chain(MADE_WHEN_NEEDED).map(|part| root.join(part));
        parts().try_for_each(|folder| check_private(&folder))?;
        try_writing(&ground).map_err(|error| match exists {
            true => Error::disk("Writing", root, error),
            false => Error::if_too_many_files(&error)
                .unwrap_or_else(|| bad(format!("{} can't be written to: {}", ground.display(), io_in_words(&error)))),
        })?;
        try_making(&ground)?;
        for part in parts().filter(|part| part.is_dir()) {
            try_writing(&part).map_err(|error| Error::disk("Writing", &part, error))?;
        }
        Ok(Self {
            path: root.to_owned(),
            exists,
            network_location: remoteness_of(&ground),
            is_in_memory: crate::os::lies_in_memory(&ground).unwrap_or(false),
            free: os::free_space(&ground).ok(),
            ground,
        })
    }
}

/// Begins the name of the folder that a look makes.
const LOOK: &str = ".snow-onboard-look-";

/// Makes a private folder, as a run does, locks it and removes it: a file system that keeps no owners, or has no locks, shows
/// itself then alone.
fn try_making(folder: &Path) -> Result<()> {
    let path = || folder.display().to_string();
    let bad = |error: io::Error| {
        Error::if_too_many_files(&error).unwrap_or_else(|| Error::StateFolderBad { path: path(), why: error.into() })
    };
    // Of a look that was killed: empty, and by their name and owner ours.
    for path in folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()) {
        let is_of_a_look = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(LOOK));
        if is_of_a_look && path_trust::is_own_private_folder(&path) {
            let _ = std::fs::remove_dir(&path);
        }
    }
    let made = tempfile::Builder::new()
        .prefix(LOOK)
        .make_in(folder, path_trust::create_private_dir)
        .map_err(bad)?
        .into_temp_path();
    let locked =
        os::lock_folder(&made).map(drop).map_err(|error| Error::StateFolderNoLocks { path: path(), why: error.into() });
    match std::fs::remove_dir(&made) {
        // Another look has just tidied up.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(bad(error)),
        _ => locked,
    }
}

/// Writes a file without a name, which is gone however this process ends. A disk that is full takes a name and no bytes.
fn try_writing(folder: &Path) -> io::Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&[0; 4096]).and_then(|()| file.sync_all())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::StateFolder;

    fn names(folder: &Path) -> Vec<std::ffi::OsString> {
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_folder_that_is_not_there_stays_so_and_is_looked_for_above() {
        let dir = tempfile::tempdir().unwrap();
        let look = StateFolderStatus::at(&dir.path().join("a").join("snow-onboard")).unwrap();
        assert!(!look.exists && look.ground == dir.path() && look.network_location.is_none() && look.free.unwrap() > 0);
        assert!(names(dir.path()).is_empty());
        std::fs::write(dir.path().join("file"), "").unwrap();
        let refusal = StateFolderStatus::at(&dir.path().join("file").join("snow-onboard")).unwrap_err();
        assert_eq!(refusal.code(), "state_folder_bad");
    }

    /// In a file system of the kernel's nobody makes a file, not even root.
    #[cfg(target_os = "linux")]
    #[test]
    fn where_nothing_can_be_written_that_is_told() {
        assert!(try_writing(Path::new("/proc")).is_err());
    }

    #[test]
    fn a_folder_that_is_there_is_as_opening_it_would_find_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("OneDrive").join("snow-onboard");
        StateFolder::open(&root).unwrap();
        let before = names(&root);
        let look = StateFolderStatus::at(&root).unwrap();
        assert!(look.exists && look.network_location.unwrap().contains("OneDrive"));
        assert_eq!(names(&root), before);
    }

    /// Opening it and looking at it refuse the same with the same words, and looking changes nothing.
    #[test]
    fn each_part_that_is_not_as_it_should_be_is_refused_by_both() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("snow-onboard");
        StateFolder::open(&root).unwrap();
        let refused = |part: &Path, word: &str| {
            let before = names(&root);
            let looked = StateFolderStatus::at(&root).unwrap_err().report();
            assert_eq!(names(&root), before);
            let opened = StateFolder::open(&root).unwrap_err().report();
            assert_eq!(looked, opened);
            assert!(looked.sentence.contains(&part.display().to_string()), "{}", looked.sentence);
            assert!(looked.sentence.contains(word), "{}", looked.sentence);
        };
        for part in MADE_AT_ONCE.into_iter().chain(MADE_WHEN_NEEDED).map(|part| root.join(part)) {
            if part.exists() {
                std::fs::remove_dir(&part).unwrap();
            }
            std::fs::write(&part, "").unwrap();
            refused(&part, "is not a folder");
            std::fs::remove_file(&part).unwrap();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                std::fs::create_dir(&part).unwrap();
                std::fs::set_permissions(&part, std::fs::Permissions::from_mode(0o777)).unwrap();
                refused(&part, "0777");
                std::fs::remove_dir(&part).unwrap();
                std::os::unix::fs::symlink(dir.path().join("nowhere"), &part).unwrap();
                refused(&part, "symbolic link");
                std::fs::remove_file(&part).unwrap();
            }
        }
        StateFolderStatus::at(&root).unwrap();
    }
}
