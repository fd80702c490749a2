//! The way to a file, and whether the administrator alone can have put it there.

use std::io;
use std::path::{Path, PathBuf};

/// The way from the root of the file system to a thing, as the system goes it.
#[derive(Debug)]
pub struct Way {
    /// Each folder in which a name was looked up.
    pub folders: Vec<PathBuf>,
    /// Each link that was followed.
    pub links: Vec<PathBuf>,
    /// What it leads to, without links; `None` where there is nothing, in the last of the folders.
    pub target: Option<PathBuf>,
}

/// Why somebody who is no administrator may have made the file `path` what it is, or may exchange it, as a clause ("/etc/x
/// can be written by everyone"); `None` if nobody can. The user of this process counts as somebody, unless that is root.
///
/// # Errors
/// What the system says when it is asked about the file, a folder above it, or a link on the way.
pub fn not_the_administrators(path: &Path) -> io::Result<Option<String>> {
    let way = super::way_to(path)?;
    let Some(target) = way.target else {
        return Ok(Some(format!("{} is a link that leads nowhere", path.display())));
    };
    let named = |path: &Path, flaw: Option<String>| flaw.map(|flaw| format!("{} {flaw}", path.display()));
    for link in &way.links {
        if let Some(flaw) = named(link, super::administered_link_flaw(link)?) {
            return Ok(Some(flaw));
        }
    }
    for folder in &way.folders {
        if let Some(flaw) = named(folder, super::administered_folder_flaw(folder)?) {
            return Ok(Some(flaw));
        }
    }
    Ok(named(&target, super::administered_file_flaw(&target)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let flaw = not_the_administrators(&folder.path().join("absent")).unwrap().unwrap();
        assert!(flaw.ends_with("leads nowhere"), "{flaw}");
    }

    #[cfg(unix)]
    #[test]
    fn the_system_s_own_files_are_the_administrator_s_and_what_others_can_reach_is_not() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        assert_eq!(not_the_administrators(Path::new("/etc/passwd")).unwrap(), None);
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let file = folder.join("config.toml");
        std::fs::write(&file, "").unwrap();
        let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        set(&file, 0o644);
        let flaw = || not_the_administrators(&file).unwrap();
        if !rustix::process::geteuid().is_root() {
            assert!(flaw().unwrap().contains("is not root's"), "the user's own is not the administrator's");
            return;
        }
        assert_eq!(flaw(), None);
        set(&file, 0o646);
        assert_eq!(flaw().unwrap(), format!("{} can be written by everyone (mode 0646)", file.display()));
        set(&file, 0o644);
        set(&folder, 0o777);
        assert_eq!(flaw().unwrap(), format!("{} can be written by everyone (mode 0777)", folder.display()));
        set(&folder, 0o755);
        std::os::unix::fs::chown(&file, Some(54_321), None).unwrap();
        assert_eq!(flaw().unwrap(), format!("{} is not root's (it belongs to uid 54321)", file.display()));
        std::os::unix::fs::chown(&file, Some(0), Some(54_321)).unwrap();
        set(&file, 0o664);
        assert!(flaw().unwrap().contains("can be written by the group 54321"));
        std::os::unix::fs::chown(&file, Some(0), Some(0)).unwrap();
        let link = folder.join("link");
        symlink(&file, &link).unwrap();
        assert_eq!(not_the_administrators(&link).unwrap(), None);
        std::os::unix::fs::lchown(&link, Some(54_321), None).unwrap();
        assert!(not_the_administrators(&link).unwrap().unwrap().contains("is a link that is not root's"));
    }
}
