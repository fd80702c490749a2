//! Linux: access lists (acl(5)), which are an attribute of the file.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, XattrFlags, fgetxattr, fsetxattr, getxattr, openat, statat};
use rustix::io::Errno;

use super::accounts::name_of;
use super::unix::{AccessList, Grant, Grantee, is_trusted};
use super::{Fault, Flaw, Refused, Whose};

const NAME: &std::ffi::CStr = c"system.posix_acl_access";
/// Longer ones are not read: each entry takes 8 bytes.
const MAX_LIST: usize = 64 * 1024;

/// Walks to the socket at `path`, and gives its own name, without links. Who binds a socket is who answers at it, so it has to be of
/// `whose` too. `None` if there is nothing.
///
/// # Errors
/// Those of [`resolve`](super::resolve); another owner; what is no socket.
pub(crate) fn socket(path: &Path, whose: Whose) -> Result<Option<PathBuf>, Refused> {
    let Some(path) = super::resolve(path, whose)?.target else { return Ok(None) };
    let stat = statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| Refused::io(&path, error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(Refused::flaw(&path, Flaw::new(Fault::Kind, "is not a socket")));
    }
    if !is_trusted(stat.st_uid, whose) {
        return Err(Refused::flaw(&path, Flaw::owned_by(name_of(stat.st_uid))));
    }
    Ok(Some(path))
}

/// The list of what `file` is open at. On Linux the mode's group bits are the most that it grants anyone, so it matters only
/// where those let the group in, which is for the caller to know.
pub(super) fn access_list(file: BorrowedFd<'_>) -> io::Result<AccessList> {
    let mut bytes = vec![0_u8; MAX_LIST];
    let answer = match fgetxattr(file, NAME, &mut bytes[..]) {
        // Opened to look at alone (O_PATH), which gives no attributes.
        Err(Errno::BADF) => {
            match openat(file, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
                Ok(again) => fgetxattr(again.as_fd(), NAME, &mut bytes[..]),
                Err(_) => getxattr(format!("/proc/self/fd/{}", file.as_raw_fd()), NAME, &mut bytes[..]),
            }
        }
        answer => answer,
    };
    match answer {
        Ok(length) => parse(&bytes[..length]).ok_or_else(|| io::Error::other("its access list can't be read")),
        // None set, or a file system without such lists.
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(AccessList::default()),
        Err(error) => Err(error.into()),
    }
}

/// Gives `to` the list of `from`, if that has one.
pub(super) fn copy_access_list(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let mut bytes = vec![0_u8; MAX_LIST];
    match fgetxattr(from, NAME, &mut bytes[..]) {
        Ok(length) => Ok(fsetxattr(to, NAME, &bytes[..length], XattrFlags::empty())?),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The attribute: a version, then tag, rights and number of each entry (linux/posix_acl_xattr.h), little-endian.
fn parse(bytes: &[u8]) -> Option<AccessList> {
    const VERSION: u32 = 2;
    const USER: u16 = 0x02;
    const GROUP_OF_FILE: u16 = 0x04;
    const GROUP: u16 = 0x08;
    const MASK: u16 = 0x10;
    const WRITE: u16 = 2;
    let (version, entries) = bytes.split_at_checked(4)?;
    let entries = (u32::from_le_bytes(version.try_into().ok()?) == VERSION && entries.len().is_multiple_of(8))
        .then(|| entries.chunks_exact(8))?;
    let entries: Vec<(u16, u16, u32)> = entries
        .map(|entry| {
            let two = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
            (two(0), two(2), u32::from(two(4)) | u32::from(two(6)) << 16)
        })
        .collect();
    let mask = entries.iter().find(|(tag, ..)| *tag == MASK).map_or(0o7, |(_, rights, _)| *rights);
    let writes = |rights: u16| rights & mask & WRITE != 0;
    let mut list = AccessList::default();
    for (tag, rights, number) in entries {
        match tag {
            GROUP_OF_FILE => list.group_writes = Some(writes(rights)),
            USER if writes(rights) => list.writers.push(Grant { to: Grantee::User(number) }),
            GROUP if writes(rights) => list.writers.push(Grant { to: Grantee::Group(number) }),
            _ => {}
        }
    }
    Some(list)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Position, Whose, beside_program, folder_at, open_file};
    use super::*;
    use std::fs::{self, File};

    /// A list as the kernel has it.
    fn bytes(version: u32, entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut bytes = version.to_le_bytes().to_vec();
        for (tag, rights, number) in entries {
            bytes.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }

    const NOBODY: u32 = u32::MAX;
    /// Owner, a user, the file's group, the mask, everyone else.
    const LIST: [(u16, u16, u32); 5] =
        [(0x01, 6, NOBODY), (0x02, 6, 54_321), (0x04, 4, NOBODY), (0x10, 6, NOBODY), (0x20, 0, NOBODY)];

    fn writers(list: &AccessList) -> Vec<Grantee> {
        list.writers.iter().map(|grant| grant.to).collect()
    }

    #[test]
    fn a_list_grants_what_its_mask_lets_through() {
        let list = parse(&bytes(2, &LIST)).unwrap();
        assert_eq!((list.group_writes, writers(&list)), (Some(false), vec![Grantee::User(54_321)]));
        assert!(list.openers.is_empty());
        // Numbers have four bytes; reading alone is no writing.
        let entries = [(0x02, 2, 0x0102_0304), (0x02, 5, 7), (0x04, 7, NOBODY), (0x08, 7, 0xf0e0_d0c0), (0x08, 4, 9)];
        let list = parse(&bytes(2, &entries)).unwrap();
        assert_eq!(list.group_writes, Some(true));
        assert_eq!(writers(&list), [Grantee::User(0x0102_0304), Grantee::Group(0xf0e0_d0c0)]);
        for mask in [0, 1, 4, 5] {
            let list = parse(&bytes(2, &[&entries[..], &[(0x10, mask, NOBODY)]].concat())).unwrap();
            assert_eq!((list.group_writes, writers(&list)), (Some(false), vec![]), "{mask}");
        }
        assert_eq!(parse(&bytes(2, &[])).unwrap(), AccessList::default());
        let whole = bytes(2, &LIST);
        for (damaged, what) in
            [(&bytes(3, &LIST)[..], "another version"), (&whole[..whole.len() - 1], "half an entry"), (&whole[..3], "")]
        {
            assert_eq!(parse(damaged), None, "{what}");
        }
    }

    #[test]
    fn the_list_of_a_file_and_of_a_folder_is_read_and_copied() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let [file, folder, other] = ["file", "folder", "other"].map(|name| base.join(name));
        fs::write(&file, "").unwrap();
        fs::write(&other, "").unwrap();
        fs::create_dir(&folder).unwrap();
        let [open, to] = [&file, &other].map(|path| File::options().read(true).write(true).open(path).unwrap());
        assert_eq!(access_list(open.as_fd()).unwrap(), AccessList::default());
        copy_access_list(open.as_fd(), to.as_fd()).unwrap();
        for path in [&file, &folder] {
            match rustix::fs::setxattr(path, NAME, &bytes(2, &LIST), XattrFlags::empty()) {
                // The file system of temporary files has no such lists.
                Err(Errno::OPNOTSUPP) => return,
                result => result.unwrap(),
            }
        }
        let said = "can be written by uid 54321, by its access list";
        assert_eq!(writers(&access_list(open.as_fd()).unwrap()), [Grantee::User(54_321)]);
        assert_eq!(open_file(&file, Whose::Own).unwrap_err().why(), said);
        assert_eq!(folder_at(&folder, Whose::Own, Position::OnTheWay).unwrap_err().why(), said);
        assert_eq!(beside_program(&file).unwrap_err().why(), said);
        copy_access_list(open.as_fd(), to.as_fd()).unwrap();
        assert_eq!(access_list(to.as_fd()).unwrap(), access_list(open.as_fd()).unwrap());
    }

    #[test]
    fn only_a_socket_of_the_administrator_s_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let [file, socket] = ["file", "socket"].map(|name| dir.path().join(name));
        fs::write(&file, "").unwrap();
        let _bound = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
        assert!(super::socket(&file, Whose::Own).unwrap_err().is_of(Fault::Kind));
        if rustix::process::geteuid().is_root() {
            super::socket(&socket, Whose::Administrator).unwrap();
            std::os::unix::fs::chown(&socket, Some(54_321), None).unwrap();
        }
        assert!(super::socket(&socket, Whose::Administrator).unwrap_err().is_of(Fault::Owner));
    }
}
