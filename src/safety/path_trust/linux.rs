//! Linux: access lists (acl(5)), which are an attribute of the file.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, XattrFlags, fgetxattr, fsetxattr, getxattr, openat, statat};
use rustix::io::Errno;

use super::accounts::name_of;
use super::unix::{AccessList, Grant, Grantee};
use super::{Fault, Flaw, Refused};

const NAME: &std::ffi::CStr = c"system.posix_acl_access";
/// Longer ones are not read: each entry takes 8 bytes.
const MAX_LIST: usize = 64 * 1024;

/// Checks that `path`, the way to which was walked, is a socket of the administrator's: who binds one is who answers at it.
pub(crate) fn administrators_socket(path: &Path) -> Result<(), Refused> {
    let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| Refused::io(path, error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(Refused::flaw(path, Flaw::new(Fault::Kind, "is not a socket")));
    }
    if stat.st_uid != 0 {
        return Err(Refused::flaw(path, Flaw::owned_by(name_of(stat.st_uid))));
    }
    Ok(())
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
