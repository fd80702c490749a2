//! A file that the operator named, for reading outside of this program.

use std::io::{self, Write as _};
use std::path::Path;

use super::files::TEMPORARY;
use crate::error::{Error, Result};
use crate::os;
use crate::safety::path_trust::{self, OpenMode, Position, Whose};

/// Writes a file for this user alone: whole and synced, or not at all. One that is there is replaced only if `replaces`, and
/// only if it is this user's.
///
/// # Errors
/// [`Error::FileExists`]; [`Error::Disk`], also where somebody else can change the folder.
pub(crate) fn write_private_file(path: &Path, text: &str, replaces: bool) -> Result<()> {
    let writing = |error: io::Error| Error::disk("Writing", path, error);
    let refused = |refused| Error::refused("Writing", path, refused);
    let absolute = std::path::absolute(path).map_err(writing)?;
    let Some((folder, name)) = absolute.parent().zip(absolute.file_name()) else {
        return Err(writing(io::ErrorKind::IsADirectory.into()));
    };
    let folder = path_trust::folder(folder, Whose::Own, Position::OnTheWay).map_err(refused)?;
    let real = folder.join(name);
    let exists = path_trust::open_own(&real, OpenMode::Read).map_err(refused)?.is_some();
    if exists && !replaces {
        return Err(Error::FileExists { path: path.display().to_string() });
    }
    let mut file = tempfile::Builder::new()
        .prefix(".snow-onboard-")
        .rand_bytes(TEMPORARY)
        .tempfile_in(&folder)
        .map_err(writing)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(writing)?;
    let persisted = if replaces { file.persist(&real) } else { file.persist_noclobber(&real) };
    match persisted {
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::FileExists { path: path.display().to_string() });
        }
        persisted => persisted.map_err(|failed| writing(failed.error))?,
    };
    os::sync_dir(&folder).map_err(writing)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_made_for_this_user_and_replaced_only_when_that_was_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("receipt.html");
        write_private_file(&path, "one", false).unwrap();
        assert_eq!(path_trust::privacy_flaw(&path).unwrap(), None);
        assert_eq!(write_private_file(&path, "two", false).unwrap_err().code(), "file_exists");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        write_private_file(&path, "three", true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "nothing else is left");
        assert!(write_private_file(&dir.path().join("nowhere").join("a"), "", false).is_err());
        fs::create_dir(dir.path().join("folder")).unwrap();
        assert!(write_private_file(&dir.path().join("folder"), "", true).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn neither_a_link_nor_a_folder_of_others_is_written_to() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        fs::write(&target, "theirs").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(write_private_file(&link, "ours", true).is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "theirs");
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let refusal = write_private_file(&open.join("a"), "ours", false).unwrap_err();
        assert!(refusal.to_string().contains("0777"), "{refusal}");
        assert_eq!(open.read_dir().unwrap().count(), 0);
    }
}
