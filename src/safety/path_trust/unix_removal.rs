//! Linux and macOS: emptying a folder by descriptor, without following links. What this user may not enter, read or write, but
//! owns, is opened up first.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fchmod, fstat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::accounts::is_this_user;
use super::removal::{MAX_OVERWRITTEN, length_to_overwrite};
use crate::error::io_in_words;

/// Folders held open one in the other; deeper ones are moved up first.
const MAX_OPEN: usize = 64;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens the folder `path` of this very user's, with all rights for its owner.
pub(super) fn open_folder_to_clear(path: &Path) -> io::Result<File> {
    let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
    if !is_this_user(stat.st_uid) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let above = || statat(CWD, path.parent().unwrap_or(path), AtFlags::empty());
    if is_mounted(CWD, path, &stat, above)? {
        return Err(Errno::BUSY.into());
    }
    Ok(open_up(CWD, path, &stat)?.into())
}

/// Whether an open folder was removed. To be asked where it lies in memory: other file systems count the names of folders in
/// ways of their own, and macOS does not say.
pub(super) fn has_no_name(folder: &File) -> bool {
    cfg!(not(target_os = "linux")) || fstat(folder).is_ok_and(|stat| stat.st_nlink == 0)
}

/// Removes all that is in `folder` but `spared`.
pub(super) fn clear(folder: &File, spared: Option<&OsStr>, overwrite: bool) -> io::Result<()> {
    // A client may have taken the rights to its home away.
    let _ = fchmod(folder, Mode::RWXU);
    let mut clearing =
        Clearing { top: folder.as_fd(), left: MAX_OVERWRITTEN, overwrite, moved: 0, stuck: None, count: 0 };
    loop {
        let moved = clearing.moved;
        (clearing.stuck, clearing.count) = (None, 0);
        clearing.below(folder.as_fd(), 0, spared);
        if clearing.moved == moved {
            break;
        }
    }
    match (clearing.stuck, clearing.count) {
        (None, _) => Ok(()),
        (Some(error), 1) => Err(error.into()),
        (Some(error), count) => {
            let why = io_in_words(&error.into());
            Err(io::Error::other(format!("{count} files and folders in it would not go, the first because: {why}")))
        }
    }
}

struct Clearing<'a> {
    top: BorrowedFd<'a>,
    /// Bytes that may still be overwritten.
    left: u64,
    overwrite: bool,
    /// Folders that were moved up.
    moved: u32,
    /// What the first one that would not go said, and how many they are.
    stuck: Option<Errno>,
    count: usize,
}

impl Clearing<'_> {
    fn below(&mut self, folder: BorrowedFd<'_>, depth: usize, spared: Option<&OsStr>) {
        // All names first: some systems pass names over while others go.
        let names: rustix::io::Result<Vec<_>> =
            Dir::read_from(folder).and_then(|dir| dir.map(|entry| Ok(entry?.file_name().to_owned())).collect());
        let names = match names {
            Ok(names) => names,
            Err(error) => return self.is_stuck(error),
        };
        for name in names {
            let bytes = name.to_bytes();
            if bytes == b"." || bytes == b".." || spared.is_some_and(|spared| spared.as_bytes() == bytes) {
                continue;
            }
            match self.remove(folder, &name, depth) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => self.is_stuck(error),
            }
        }
    }

    fn is_stuck(&mut self, error: Errno) {
        self.stuck.get_or_insert(error);
        self.count += 1;
    }

    fn remove(&mut self, folder: BorrowedFd<'_>, name: &CStr, depth: usize) -> rustix::io::Result<()> {
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if is_mounted(folder, name, &stat, || fstat(folder))? {
            return Err(Errno::BUSY);
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let opened = open_up(folder, name, &stat)?;
                if depth >= MAX_OPEN {
                    return self.move_up(folder, name);
                }
                let (count, moved) = (self.count, self.moved);
                self.below(opened.as_fd(), depth + 1, None);
                match unlinkat(folder, name, AtFlags::REMOVEDIR) {
                    // What is in it has been told.
                    Err(Errno::NOTEMPTY | Errno::EXIST) if (self.count, self.moved) != (count, moved) => Ok(()),
                    result => result,
                }
            }
            kind => {
                if kind == FileType::RegularFile && self.overwrite {
                    // Best effort: the removal is what counts.
                    let _ = self.overwrite(folder, name, &stat);
                }
                unlinkat(folder, name, AtFlags::empty())
            }
        }
    }

    fn move_up(&mut self, folder: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
        loop {
            self.moved += 1;
            match renameat(folder, name, self.top, format!("deep-{}", self.moved)) {
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) if self.moved < u32::MAX => {}
                result => return result,
            }
        }
    }

    fn overwrite(&mut self, folder: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<()> {
        let open = || {
            openat(folder, name, OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
        };
        let opened = match open() {
            Err(Errno::ACCESS) => {
                give_owner(folder, name, stat, Mode::RUSR | Mode::WUSR)?;
                open()?
            }
            opened => opened?,
        };
        let mut file = File::from(opened);
        // A hard link may be a name of somebody else's file.
        let stat = fstat(&file)?;
        if !is_this_user(stat.st_uid) || FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut length = length_to_overwrite(file.metadata()?.len(), &mut self.left);
        let zeros = [0_u8; 4096];
        while length > 0 {
            let part = length.min(zeros.len() as u64);
            file.write_all(&zeros[..usize::try_from(part).unwrap_or(zeros.len())])?;
            length -= part;
        }
        Ok(())
    }
}

/// Whether another file system, or another part of this one, is mounted there: what is in it was not made here.
fn is_mounted<Fd: AsFd, Name: rustix::path::Arg>(
    at: Fd,
    name: Name,
    stat: &Stat,
    above: impl FnOnce() -> rustix::io::Result<Stat>,
) -> rustix::io::Result<bool> {
    if let Some(told) = is_told_mounted(at, name) {
        return Ok(told);
    }
    // Of a file it says nothing: some file systems give files other numbers than their folders.
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory && above()?.st_dev != stat.st_dev)
}

/// What the system says (Linux since 5.8), by which a part of the same file system is told too.
#[cfg(target_os = "linux")]
fn is_told_mounted<Fd: AsFd, Name: rustix::path::Arg>(at: Fd, name: Name) -> Option<bool> {
    use rustix::fs::{StatxAttributes, StatxFlags, statx};
    let seen = statx(at, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()).ok()?;
    let is_known = seen.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
    is_known.then(|| seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
fn is_told_mounted<Fd: AsFd, Name: rustix::path::Arg>(_at: Fd, _name: Name) -> Option<bool> {
    None
}

/// Opens a folder, and takes the rights to enter, read and change it first where its owner has not got them.
fn open_up<Fd: AsFd, Name: rustix::path::Arg + Copy>(at: Fd, name: Name, stat: &Stat) -> rustix::io::Result<OwnedFd> {
    if !Mode::from_raw_mode(stat.st_mode).contains(Mode::RWXU) {
        give_owner(&at, name, stat, Mode::RWXU)?;
    }
    openat(&at, name, FOLDER | OFlags::RDONLY, Mode::empty())
}

/// Gives what this user owns the mode `mode`, and nothing to others; never what a link leads to.
fn give_owner<Fd: AsFd, Name: rustix::path::Arg + Copy>(
    at: Fd,
    name: Name,
    stat: &Stat,
    mode: Mode,
) -> rustix::io::Result<()> {
    if !is_this_user(stat.st_uid) {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        // Linux changes no mode without following links but by way of what is open already.
        let held = openat(at, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let now = fstat(&held)?;
        if (now.st_dev, now.st_ino) != (stat.st_dev, stat.st_ino) {
            return Err(Errno::NOENT);
        }
        rustix::fs::chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), mode).map_err(|error| match error {
            // It is held, so it is there, and /proc is not.
            Errno::NOENT => Errno::ACCESS,
            error => error,
        })
    }
    #[cfg(not(target_os = "linux"))]
    rustix::fs::chmodat(at, name, mode, AtFlags::SYMLINK_NOFOLLOW)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::safety::path_trust::FolderToRemove;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_lies_deeper_than_files_can_be_opened_goes_too() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("folder");
        fs::create_dir(&folder).unwrap();
        // Too deep for one path.
        let mut at: OwnedFd = fs::File::open(&folder).unwrap().into();
        for _ in 0..1500 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = openat(&at, "d", FOLDER | OFlags::RDONLY, Mode::empty()).unwrap();
        }
        fs::write(folder.join("deep-1"), "in the way").unwrap();
        FolderToRemove::open(&folder).unwrap().remove(OsStr::new("last")).unwrap();
        assert!(!folder.exists());
    }

    #[test]
    fn what_links_lead_to_keeps_its_mode() {
        let base = tempfile::tempdir().unwrap();
        let (folder, theirs) = (base.path().join("folder"), base.path().join("theirs"));
        fs::create_dir(&folder).unwrap();
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("kept"), "").unwrap();
        chmod(&theirs, 0o500);
        symlink(&theirs, folder.join("link")).unwrap();
        FolderToRemove::open(&folder).unwrap().remove(OsStr::new("last")).unwrap();
        assert!(theirs.join("kept").exists());
        assert_eq!(fs::metadata(&theirs).unwrap().permissions().mode() & 0o777, 0o500);
        chmod(&theirs, 0o700);
        symlink(&theirs, &folder).unwrap();
        assert!(FolderToRemove::open(&folder).is_err(), "nor is a link opened for the folder");
        assert!(theirs.join("kept").exists());
    }

    /// Root may enter everything, so this is done as somebody else where root runs it: the modes are what is seen.
    #[test]
    fn closed_folders_are_opened_up() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("folder");
        fs::create_dir_all(folder.join("d/e")).unwrap();
        fs::write(folder.join("d/e/file"), "").unwrap();
        chmod(&folder.join("d/e"), 0o500);
        chmod(&folder.join("d"), 0o100);
        chmod(&folder, 0o000);
        let opened = FolderToRemove::open(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        opened.clear(Some(OsStr::new("d"))).unwrap();
        assert!(folder.join("d").exists());
        let stat = statat(CWD, folder.join("d"), AtFlags::SYMLINK_NOFOLLOW).unwrap();
        drop(open_up(CWD, &folder.join("d"), &stat).unwrap());
        assert_eq!(fs::metadata(folder.join("d")).unwrap().permissions().mode() & 0o777, 0o700);
        opened.remove(OsStr::new("last")).unwrap();
        assert!(!folder.exists());
    }

    /// Names the folder for a test in mounts of its own; absent in a test run that is nobody's child.
    #[cfg(target_os = "linux")]
    const NAMED: &str = "REMOVAL_TEST_FOLDER";

    /// Runs the test `name` in mounts that `script` makes, with the folder as `$0`. `false` where that can't be.
    #[cfg(target_os = "linux")]
    fn is_run_in_mounts(folder: &Path, script: &str, name: &str) -> bool {
        let run = |script: &str| {
            let mut command = std::process::Command::new("unshare");
            command.args(["--map-root-user", "--mount", "sh", "-c", script]).arg(folder);
            command.arg(std::env::current_exe().unwrap()).args(["--exact", "--ignored", "--nocapture"]);
            command.arg(format!("safety::path_trust::unix_removal::tests::{name}")).env(NAMED, folder);
            command.output().ok()
        };
        if !run(script).is_some_and(|output| output.status.success()) {
            snow_rehearsal::skipped("no mounts can be made here");
            return false;
        }
        let output = run(&format!("{script} && exec \"$@\"")).unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        true
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[ignore = "run by another test, in mounts of its own"]
    fn a_folder_with_mounts_in_it() {
        let Some(folder) = std::env::var_os(NAMED).map(std::path::PathBuf::from) else { return };
        let (home, theirs) = (folder.join("home"), folder.join("theirs"));
        let error = FolderToRemove::open(&home).unwrap().remove(OsStr::new("last")).unwrap_err();
        assert!(error.to_string().contains("2 files and folders"), "{error}");
        assert_eq!(fs::read(theirs.join("kept")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(&home).unwrap().count(), 2, "what is mounted alone");
        assert!(FolderToRemove::open(&home.join("mounted")).is_err(), "nor is it opened for a folder of ours");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_mounted_in_a_folder_is_left_and_told() {
        // Where files are overwritten, if it can be had.
        let base = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        for folder in ["home/mounted", "home/d", "theirs"] {
            fs::create_dir_all(base.path().join(folder)).unwrap();
        }
        for file in ["home/file", "home/d/gone"] {
            fs::write(base.path().join(file), "").unwrap();
        }
        fs::write(base.path().join("theirs/kept"), "kept").unwrap();
        let script =
            "mount --bind \"$0/theirs\" \"$0/home/mounted\" && mount --bind \"$0/theirs/kept\" \"$0/home/file\"";
        if is_run_in_mounts(base.path(), script, "a_folder_with_mounts_in_it") {
            assert!(!base.path().join("home/d").exists());
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[ignore = "run by another test, in mounts of its own"]
    fn a_closed_folder_without_proc() {
        let Some(folder) = std::env::var_os(NAMED).map(std::path::PathBuf::from) else { return };
        let error = FolderToRemove::open(&folder.join("closed")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_cannot_be_opened_up_without_proc_is_not_taken_to_be_gone() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("closed")).unwrap();
        chmod(&base.path().join("closed"), 0o000);
        is_run_in_mounts(base.path(), "mount -t tmpfs none /proc", "a_closed_folder_without_proc");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_small_file_is_wiped_whatever_is_beside_it() {
        use std::io::{Read as _, Seek as _};
        let Ok(base) = tempfile::tempdir_in("/dev/shm") else {
            snow_rehearsal::skipped("no /dev/shm to write to, where a folder could be wiped");
            return;
        };
        let folder = base.path().join("folder");
        fs::create_dir_all(folder.join("logs")).unwrap();
        let mut witnesses = Vec::new();
        // Listed in either order, one of the small ones comes after the large one.
        for name in ["a", "z", "logs/a", "logs/z"] {
            fs::write(folder.join(name), "secret").unwrap();
            witnesses.push(fs::File::open(folder.join(name)).unwrap());
        }
        for name in ["m", "logs/m"] {
            // Without holes it would take the memory of the machine that tests this.
            fs::File::create(folder.join(name)).unwrap().set_len(super::super::removal::MAX_OVERWRITTEN + 1).unwrap();
        }
        FolderToRemove::open(&folder).unwrap().remove(OsStr::new("last")).unwrap();
        for mut witness in witnesses {
            let mut text = Vec::new();
            witness.rewind().and_then(|()| witness.read_to_end(&mut text)).unwrap();
            assert_eq!(text, [0; 6]);
        }
    }
}
