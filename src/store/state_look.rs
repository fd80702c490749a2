//! A look at the state folder that changes nothing.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::state_folder::remoteness_of;
use crate::error::{Error, Result, io_in_words};
use crate::os;

/// What a state folder is like, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateLook {
    /// Where it is, or will be.
    pub path: PathBuf,
    /// Whether it is there.
    pub exists: bool,
    /// What of it, or above it, is there: what to look at for the disk.
    pub ground: PathBuf,
    /// Why it is not as good a place as a folder of this machine's disk, as the end of a sentence.
    pub remoteness: Option<String>,
    /// Bytes free, where the system says.
    pub free: Option<u64>,
}

impl StateLook {
    /// Looks whether a run could use the folder: private if it is there, and writable, or else one that can be made. What is
    /// written to find that out is gone again.
    ///
    /// # Errors
    /// [`Error::StateFolderBad`], as opening it would give; [`Error::Disk`] where nothing can be written.
    pub fn at(root: &Path) -> Result<Self> {
        let bad = |why: String| Error::StateFolderBad { path: root.display().to_string(), why };
        let exists = root.symlink_metadata().is_ok();
        if exists {
            for folder in std::iter::once(root.to_owned()).chain(PARTS.map(|part| root.join(part))) {
                if folder.symlink_metadata().is_ok() {
                    private(&folder)?;
                }
            }
        }
        let ground = root.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/")).to_owned();
        if !ground.is_dir() {
            return Err(bad(format!("{} is not a folder", ground.display())));
        }
        // A disk that is full takes a name and no bytes.
        let written = tempfile::Builder::new()
            .prefix(".snow-onboard-probe-")
            .tempfile_in(&ground)
            .and_then(|mut file| file.write_all(&[0; 4096]).and_then(|()| file.as_file().sync_all()));
        written.map_err(|error| match exists {
            true => Error::disk("Writing", root, &error),
            false => bad(format!("{} can't be written to: {}", ground.display(), io_in_words(&error))),
        })?;
        Ok(Self {
            path: root.to_owned(),
            exists,
            remoteness: remoteness_of(&ground),
            free: os::free_space(&ground).ok(),
            ground,
        })
    }
}

/// Folders in it that a run makes or checks.
const PARTS: [&str; 3] = ["jobs", "incoming", "locks"];

fn private(folder: &Path) -> Result<()> {
    let bad = |why: String| Error::StateFolderBad { path: folder.display().to_string(), why };
    if !folder.is_dir() {
        return Err(bad("is not a folder".to_owned()));
    }
    match os::privacy_flaw(folder) {
        Ok(None) => Ok(()),
        Ok(Some(flaw)) => Err(bad(format!("it {flaw}"))),
        Err(error) => Err(bad(io_in_words(&error))),
    }
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
        let look = StateLook::at(&dir.path().join("a").join("snow-onboard")).unwrap();
        assert!(!look.exists && look.ground == dir.path() && look.remoteness.is_none() && look.free.unwrap() > 0);
        assert!(names(dir.path()).is_empty());
        std::fs::write(dir.path().join("file"), "").unwrap();
        let refusal = StateLook::at(&dir.path().join("file").join("snow-onboard")).unwrap_err();
        assert_eq!(refusal.report().code, "state_folder_bad");
    }

    #[test]
    fn a_folder_that_is_there_is_as_opening_it_would_find_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("OneDrive").join("snow-onboard");
        StateFolder::open(&root).unwrap();
        let before = names(&root);
        let look = StateLook::at(&root).unwrap();
        assert!(look.exists && look.remoteness.unwrap().contains("OneDrive"));
        assert_eq!(names(&root), before);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let jobs = root.join("jobs");
            std::fs::set_permissions(&jobs, std::fs::Permissions::from_mode(0o755)).unwrap();
            let refusal = StateLook::at(&root).unwrap_err().report();
            assert!(refusal.code == "state_folder_bad" && refusal.sentence.contains("0755"), "{}", refusal.sentence);
        }
    }
}
