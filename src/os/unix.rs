//! Linux and macOS: modes and owners. No `unsafe` is needed.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use super::Way;

/// Makes a folder, 0700, that did not exist before (`AlreadyExists` if it did). Parents must exist.
///
/// # Errors
/// What mkdir(2) says.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Makes a file, 0600, that did not exist before, not even as a link, open for reading and writing.
///
/// # Errors
/// What open(2) says; `AlreadyExists` if something has the name.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    // O_EXCL refuses a symbolic link planted under the name, so O_NOFOLLOW would add nothing.
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Opens a file to read, if it is one after all links are followed. `None` for a folder, a named pipe, a device, which are
/// not waited for.
///
/// # Errors
/// What stat(2) and open(2) say.
pub fn open_file(path: &Path) -> io::Result<Option<File>> {
    // Asked first: opening is something that a device may act upon.
    if !path.metadata()?.is_file() {
        return Ok(None);
    }
    // A pipe may have taken the name since; without the flag, opening it would wait for a writer.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Why `path` is not private to this user, as the end of the sentence "`path` …", or `None` if it is.
///
/// Private means: not a symbolic link, owned by this user (or root), no permission for group and others.
///
/// # Errors
/// What lstat(2) says.
pub fn privacy_flaw(path: &Path) -> io::Result<Option<String>> {
    let meta = path.symlink_metadata()?;
    let me = rustix::process::geteuid().as_raw();
    Ok(if meta.file_type().is_symlink() {
        Some("is a symbolic link".to_owned())
    } else if meta.uid() != me && meta.uid() != 0 {
        Some(format!("belongs to another user (uid {})", meta.uid()))
    } else if meta.mode() & 0o077 != 0 {
        Some(format!("can be opened by others (mode {:04o})", meta.mode() & 0o7777))
    } else {
        None
    })
}

/// Why the file `path` may be reached under another name as well, as the end of the sentence "`path` …", or `None`: a
/// symbolic link, or one of several hard links. What is written to or removed under one name would stay, or change, under
/// the other.
///
/// # Errors
/// What lstat(2) says.
pub fn alias_flaw(path: &Path) -> io::Result<Option<String>> {
    let meta = path.symlink_metadata()?;
    Ok(if meta.is_symlink() {
        Some("is a symbolic link".to_owned())
    } else if !meta.is_file() {
        Some("is not a file".to_owned())
    } else if meta.nlink() > 1 {
        Some(format!("has {} names (hard links)", meta.nlink()))
    } else {
        None
    })
}

/// Takes a lock that goes by `folder`, which is there; `None` while another process holds it. It ends with the file that is
/// given, and so with the process at the latest. The folder itself is locked: nothing is made.
///
/// # Errors
/// What open(2) and flock(2) say.
pub fn lock_folder(folder: &Path) -> io::Result<Option<File>> {
    let file = File::open(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// `path` without links.
///
/// # Errors
/// What realpath(3) says.
pub fn real(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// The way that the system goes to `path`, link by link (path_resolution(7)).
///
/// # Errors
/// What lstat(2) and readlink(2) say; that there is nothing is no failure.
pub fn way_to(path: &Path) -> io::Result<Way> {
    let mut way = Way { folders: Vec::new(), links: Vec::new(), target: None };
    let mut here = PathBuf::from("/");
    let mut ahead: Vec<PathBuf> = vec![std::path::absolute(path)?];
    while let Some(path) = ahead.pop() {
        let mut parts = path.components();
        let Some(part) = parts.next() else { continue };
        ahead.push(parts.as_path().to_owned());
        match part {
            Component::RootDir => here = PathBuf::from("/"),
            Component::ParentDir => _ = here.pop(),
            Component::Normal(name) => {
                way.folders.push(here.clone());
                let next = here.join(name);
                match next.symlink_metadata() {
                    Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                        return Ok(way);
                    }
                    Err(error) => return Err(error),
                    Ok(meta) if meta.is_symlink() => {
                        way.links.push(next.clone());
                        // As many as Linux follows. A ring leads nowhere.
                        if way.links.len() > 40 {
                            return Ok(way);
                        }
                        ahead.push(std::fs::read_link(&next)?);
                    }
                    Ok(_) => here = next,
                }
            }
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    way.target = Some(here);
    Ok(way)
}

/// Makes a rename or removal in `folder` durable: fsync of the folder.
///
/// # Errors
/// What fsync(2) says. Some network file systems don't support it (`InvalidInput`); that is no failure here.
pub fn sync_dir(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

/// Who besides this user and root may write to `path`, as the end of the sentence "`path` …", or `None`.
///
/// What this user's private group may write does not count, a group of the user's own number without another member:
/// distributions that make such groups unpack with umask 002. Links are followed: it is the target that is run.
///
/// # Errors
/// What stat(2) says.
pub fn writable_by_others(path: &Path) -> io::Result<Option<String>> {
    write_flaw(path, false)
}

/// Who besides this user and root may exchange what lies in the folder `path`, as the end of the sentence "`path` …",
/// or `None`.
///
/// As [`writable_by_others`], save that a folder with the sticky bit (such as /tmp) will do: others may add to it, but
/// can't replace what is not theirs. So it is a question for the folders above a thing, never for one whose whole
/// content counts.
///
/// # Errors
/// What stat(2) says.
pub fn exchangeable_by_others(path: &Path) -> io::Result<Option<String>> {
    write_flaw(path, true)
}

/// Why others may turn the link `path` to another target, as the end of the sentence "`path` …", or `None` if they
/// can't or it is no link. In a sticky folder its owner can; the folder itself is not looked at.
///
/// # Errors
/// What lstat(2) says.
pub fn link_flaw(path: &Path) -> io::Result<Option<String>> {
    let meta = path.symlink_metadata()?;
    let is_foreign = meta.uid() != rustix::process::geteuid().as_raw() && meta.uid() != 0;
    Ok((meta.is_symlink() && is_foreign)
        .then(|| format!("is a link that belongs to another user (uid {})", meta.uid())))
}

/// Why the folder `path`, on the way to a file of the administrator's, lets others exchange that, as the end of the sentence
/// "`path` …", or `None`.
pub(super) fn administered_folder_flaw(path: &Path) -> io::Result<Option<String>> {
    Ok(owned_and_written(&path.metadata()?, path, true, None))
}

/// Why the file `path` may be another's word than the administrator's, as the end of the sentence "`path` …", or `None`.
pub(super) fn administered_file_flaw(path: &Path) -> io::Result<Option<String>> {
    Ok(owned_and_written(&path.metadata()?, path, false, None))
}

/// Why others than the administrator may turn the link `path`, as the end of the sentence "`path` …", or `None`.
pub(super) fn administered_link_flaw(path: &Path) -> io::Result<Option<String>> {
    let owner = path.symlink_metadata()?.uid();
    Ok((owner != 0).then(|| format!("is a link that is not root's (it belongs to uid {owner})")))
}

fn write_flaw(path: &Path, sticky_will_do: bool) -> io::Result<Option<String>> {
    Ok(owned_and_written(&path.metadata()?, path, sticky_will_do, Some(rustix::process::geteuid().as_raw())))
}

/// Who besides root, and besides `user` if one is trusted, may write.
fn owned_and_written(meta: &Metadata, path: &Path, sticky_will_do: bool, user: Option<u32>) -> Option<String> {
    let sticky = sticky_will_do && meta.is_dir() && meta.mode() & 0o1000 != 0;
    let by_its_group = || match user {
        Some(_) => meta.gid() != 0 && (has_access_list(path) || !is_private_group(meta.gid())),
        // The group's bits may stand for a list that lets others in than root's group.
        None => meta.gid() != 0 || has_access_list(path),
    };
    if meta.uid() != 0 && Some(meta.uid()) != user {
        Some(match user {
            Some(_) => format!("belongs to another user (uid {})", meta.uid()),
            None => format!("is not root's (it belongs to uid {})", meta.uid()),
        })
    } else if meta.mode() & 0o002 != 0 && !sticky {
        Some(format!("can be written by everyone (mode {:04o})", meta.mode() & 0o7777))
    } else if meta.mode() & 0o020 != 0 && !sticky && by_its_group() {
        Some(format!("can be written by the group {} (mode {:04o})", meta.gid(), meta.mode() & 0o7777))
    } else {
        None
    }
}

/// Limits core files to `bytes`, for this process and its children for good, and takes every permission for others
/// from files made from now on.
pub(super) fn limit_core_and_umask(bytes: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
    // A hard limit can't be raised again, so one that is lower already stays.
    let limit = getrlimit(Resource::Core).maximum.map_or(bytes, |hard| hard.min(bytes));
    setrlimit(Resource::Core, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    Ok(())
}

/// Keeps every descriptor but the first three from programs that are started from here: a shell or a service manager may
/// have left some open, and what the caller holds is none of the client's business.
#[allow(unsafe_code)]
pub(super) fn close_others_on_exec() -> io::Result<()> {
    use std::os::fd::BorrowedFd;
    // Collected first: the folder itself is read by one of them, which is gone afterwards.
    let listed = std::fs::read_dir("/dev/fd").map(|entries| {
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect::<Vec<i32>>()
    });
    // Without a list, those that there may be as a rule.
    let numbers = listed.unwrap_or_else(|_| (0..1024).collect());
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: borrowed for one call that changes a flag of it and reads nothing. Nothing else runs yet that could close
        // it; one that is closed all the same is refused by the kernel (EBADF).
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        match rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC) {
            Err(rustix::io::Errno::BADF) => {}
            result => result?,
        }
    }
    Ok(())
}

/// How long an interrupted process may take to say so.
const TELLING: std::time::Duration = std::time::Duration::from_millis(500);

/// The limit of core files in bytes that is in effect; `None` if there is none.
pub(crate) fn core_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Core).current
}

/// Bytes free for this user on the file system of `folder`.
///
/// # Errors
/// What statvfs(3) says.
pub fn free_space(folder: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Forgets what was typed into the terminal and not read.
pub(crate) fn forget_typed_ahead() {
    // Where it is no terminal there is nothing typed ahead.
    let _ = rustix::termios::tcflush(rustix::stdio::stdin(), rustix::termios::QueueSelector::IFlush);
}

/// Calls `tell` with the number of the first SIGINT, SIGTERM or SIGHUP, and then ends the process by that signal, so that
/// a shell sees what ended it. What must not outlive the process is ended by its guard, which sees the pipe close.
///
/// # Errors
/// If the handlers can't be set.
pub(crate) fn on_interrupt(tell: impl Fn(i32) + Send + Sync + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        let mut signals = signals.forever();
        let Some(signal) = signals.next() else { return };
        let (told, is_told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            tell(signal);
            let _ = told.send(());
        });
        // Whatever holds up the telling does not hold up the end.
        let _ = is_told.recv_timeout(TELLING);
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    });
    Ok(())
}

/// Whether `gid` is the group that was made for this user alone.
fn is_private_group(gid: u32) -> bool {
    // Read once: a client's tree has hundreds of files of the same group.
    static ANSWER: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    let me = rustix::process::geteuid().as_raw();
    // A user named by a directory service stands in neither file, and then nobody can tell who else is in the group.
    gid == me
        && gid == rustix::process::getegid().as_raw()
        && *ANSWER.get_or_init(|| {
            match (std::fs::read_to_string("/etc/passwd"), std::fs::read_to_string("/etc/group")) {
                (Ok(users), Ok(groups)) => is_private_in(me, &users, &groups),
                _ => false,
            }
        })
}

/// Whether the group with the number of user `id` has no one else in it, going by passwd(5) and group(5).
fn is_private_in(id: u32, users: &str, groups: &str) -> bool {
    let number = |field: Option<&&str>| field.and_then(|text| text.parse::<u32>().ok());
    let mut name = None;
    for fields in users.lines().map(|line| line.split(':').collect::<Vec<_>>()) {
        let (uid, gid) = (number(fields.get(2)), number(fields.get(3)));
        if uid == Some(id) {
            name = name.or(fields.first().copied());
        } else if gid == Some(id) {
            return false;
        }
    }
    let Some(name) = name else { return false };
    let mut found = false;
    for fields in groups.lines().map(|line| line.split(':').collect::<Vec<_>>()) {
        if number(fields.get(2)) == Some(id) {
            found = true;
            let members = fields.get(3).copied().unwrap_or_default();
            if members.split(',').map(str::trim).any(|member| !member.is_empty() && member != name) {
                return false;
            }
        }
    }
    found
}

/// Whether the group bits stand for an access list that may name other users (acl(5)), or it can't be told.
#[cfg(target_os = "linux")]
fn has_access_list(path: &Path) -> bool {
    use rustix::io::Errno;
    let answer = rustix::fs::getxattr(path, c"system.posix_acl_access", &mut [0_u8; 0][..]);
    !matches!(answer, Err(Errno::NODATA | Errno::OPNOTSUPP))
}

/// On macOS the mode's group bits stand for the group alone.
#[cfg(not(target_os = "linux"))]
fn has_access_list(_: &Path) -> bool {
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stderr)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_a_file_is_opened_and_a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let [file, pipe, link, to_pipe] = ["file", "pipe", "link", "to pipe"].map(|name| folder.path().join(name));
        std::fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::os::unix::fs::symlink(&pipe, &to_pipe).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [file, link] {
            assert!(open_file(&path).unwrap().is_some(), "{}", path.display());
        }
        for path in [pipe, to_pipe, folder.path().to_owned(), "/dev/null".into()] {
            assert!(open_file(&path).unwrap().is_none(), "{}", path.display());
        }
        assert_eq!(open_file(&folder.path().join("missing")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_second_name_of_a_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(alias_flaw(&file).unwrap(), None);
        std::os::unix::fs::symlink(&file, folder.path().join("link")).unwrap();
        assert!(alias_flaw(&folder.path().join("link")).unwrap().unwrap().contains("symbolic"));
        std::fs::hard_link(&file, folder.path().join("other")).unwrap();
        assert!(alias_flaw(&file).unwrap().unwrap().contains("2 names"));
        assert!(alias_flaw(folder.path()).unwrap().unwrap().contains("not a file"));
    }

    #[test]
    fn a_private_group_is_one_without_anyone_else() {
        let users =
            "root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\nbert:x:1001:1001::/home/bert:/bin/sh\n";
        let groups = "root:x:0:\nanna:x:1000:\nbert:x:1001:bert\n";
        assert!(is_private_in(1000, users, groups));
        assert!(is_private_in(1001, users, groups), "naming the user himself changes nothing");
        assert!(!is_private_in(1002, users, groups), "an unknown user");
        assert!(!is_private_in(1000, users, "anna:x:1000:bert\n"), "another member");
        assert!(!is_private_in(1000, users, "anna:x:1000:\nalias:x:1000:bert\n"), "another name of the group");
        assert!(!is_private_in(1000, users, "root:x:0:\n"), "a group that is not listed");
        let shared = format!("{users}carl:x:1002:1000::/home/carl:/bin/sh\n");
        assert!(!is_private_in(1000, &shared, groups), "somebody else's main group");
    }

    #[test]
    fn what_others_may_write_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let set = |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o757);
        assert!(writable_by_others(folder.path()).unwrap().unwrap().contains("everyone"));
        set(0o1777);
        assert!(writable_by_others(folder.path()).unwrap().unwrap().contains("everyone"), "others may add to it");
        assert_eq!(exchangeable_by_others(folder.path()).unwrap(), None, "sticky");
        set(0o777);
        assert!(exchangeable_by_others(folder.path()).unwrap().unwrap().contains("everyone"));
        set(0o755);
        assert_eq!(writable_by_others(folder.path()).unwrap(), None);
        assert_eq!(writable_by_others(Path::new("/")).unwrap(), None);
    }

    #[test]
    fn what_was_unpacked_with_umask_002_passes_for_a_user_with_a_private_group() {
        let me = rustix::process::geteuid().as_raw();
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o775)).unwrap();
        let gid = folder.path().metadata().unwrap().gid();
        if me != 0 && !is_private_group(gid) {
            eprintln!("this user (uid {me}) has no private group: it was not tried");
            return;
        }
        assert_eq!(writable_by_others(folder.path()).unwrap(), None);
    }

    #[test]
    fn a_link_of_another_user_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("anywhere", &link).unwrap();
        assert_eq!(link_flaw(&link).unwrap(), None);
        if std::os::unix::fs::lchown(&link, Some(54_321), None).is_err() {
            eprintln!("only root can give a link away: the foreign link was not tried");
            return;
        }
        assert!(link_flaw(&link).unwrap().unwrap().contains("uid 54321"));
    }

    #[test]
    fn a_group_that_is_not_ones_own_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o775)).unwrap();
        if std::os::unix::fs::chown(folder.path(), None, Some(54_321)).is_err() {
            eprintln!("only root can give a folder to a group it is not in: the foreign group was not tried");
            return;
        }
        assert!(writable_by_others(folder.path()).unwrap().unwrap().contains("group 54321"));
    }
}
