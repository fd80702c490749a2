//! macOS alone: process hardening, Time Machine, access lists.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

use rustix::fs::{XattrFlags, setxattr};

/// For `safety::harden`, which says why.
pub(crate) fn harden_process() -> io::Result<()> {
    // SAFETY: PT_DENY_ATTACH takes no process, no address and no data (ptrace(2)), so nothing is read or written.
    let answer = unsafe { libc::ptrace(libc::PT_DENY_ATTACH, 0, std::ptr::null_mut(), 0) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    super::unix::close_others_on_exec()?;
    super::unix::outlive_file_size_limit()?;
    super::unix::limit_core_and_umask(0)
}

/// Whether other processes of this user are kept from this one's memory: there is no call that tells.
pub(crate) fn is_closed() -> Option<bool> {
    None
}

/// Whether what lies at `path` is in memory alone: no file system of this system is.
///
/// # Errors
/// None.
pub(crate) fn lies_in_memory(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Asks Time Machine to leave out a folder with all it holds: the attribute that `tmutil addexclusion` sets, the word
/// `com.apple.backupd` as a binary property list.
///
/// # Errors
/// What the file system says.
pub(crate) fn exclude_from_backups(folder: &Path) -> io::Result<()> {
    const NAME: &str = "com.apple.metadata:com_apple_backup_excludeItem";
    // Header, one string of 17 characters, its offset, and the trailer: one object, which is the top one, offsets of one
    // byte, the table of them at 28.
    const VALUE: &[u8] = b"bplist00\x5f\x10\x11com.apple.backupd\x08\
        \0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x1c";
    Ok(setxattr(folder, NAME, VALUE, XattrFlags::empty())?)
}

/// Where settings for all users lie: a place that no variable moves.
#[must_use]
pub(crate) fn settings_for_all() -> Option<PathBuf> {
    Some(PathBuf::from("/Library/Application Support"))
}

/// What kind of network file system `path` lies on, or `None` if on none that is known (statfs(2), `f_fstypename`).
///
/// # Errors
/// What the system says.
pub(crate) fn network_drive(path: &Path) -> io::Result<Option<&'static str>> {
    let name = rustix::fs::statfs(path)?.f_fstypename;
    let name: Vec<u8> = name.iter().take_while(|byte| **byte != 0).map(|byte| byte.cast_unsigned()).collect();
    Ok(match &name[..] {
        b"nfs" => Some("NFS"),
        b"smbfs" => Some("SMB"),
        b"afpfs" => Some("AFP"),
        b"webdav" => Some("WebDAV"),
        b"macfuse" | b"osxfuse" => Some("FUSE"),
        _ => None,
    })
}

/// An entry of an access list that grants something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessEntry {
    /// Whose it is: whether it is a group, and its number; `None` if there is no such account.
    pub(crate) holder: Option<(bool, u32)>,
    /// What is granted, as bits of `acl_perm_t` (sys/acl.h).
    pub(crate) rights: u32,
}

// libSystem, declared in sys/acl.h and membership.h; no crate of ours has them.
unsafe extern "C" {
    fn acl_get_fd_np(file: c_int, kind: c_int) -> *mut c_void;
    fn acl_get_entry(list: *mut c_void, which: c_int, entry: *mut *mut c_void) -> c_int;
    fn acl_get_tag_type(entry: *mut c_void, tag: *mut c_int) -> c_int;
    fn acl_get_permset(entry: *mut c_void, rights: *mut *mut c_void) -> c_int;
    fn acl_get_perm_np(rights: *mut c_void, right: c_uint) -> c_int;
    fn acl_get_flagset_np(entry: *mut c_void, flags: *mut *mut c_void) -> c_int;
    fn acl_get_flag_np(flags: *mut c_void, flag: c_uint) -> c_int;
    fn acl_get_qualifier(entry: *mut c_void) -> *mut c_void;
    fn acl_free(what: *mut c_void) -> c_int;
    fn mbr_uuid_to_id(uuid: *const u8, id: *mut c_uint, kind: *mut c_int) -> c_int;
}

/// The entries that grant something for `file` itself, in the access list that lies beside its mode. Not tried: nobody has
/// run this on a Mac.
pub(crate) fn access_entries(file: BorrowedFd<'_>) -> io::Result<Vec<AccessEntry>> {
    const EXTENDED: c_int = 0x100;
    const FIRST: c_int = 0;
    const NEXT: c_int = -1;
    // SAFETY: a descriptor that is open; the answer is a list that is ours to free, or null.
    let list = unsafe { acl_get_fd_np(file.as_raw_fd(), EXTENDED) };
    if list.is_null() {
        let error = io::Error::last_os_error();
        // None set, or a file system without such lists.
        let is_none = [libc::ENOENT, libc::ENOTSUP, libc::EINVAL].map(Some).contains(&error.raw_os_error());
        return if is_none { Ok(Vec::new()) } else { Err(error) };
    }
    let mut entries = Vec::new();
    let mut which = FIRST;
    let mut entry = null_mut();
    // SAFETY: the list is valid until it is freed below; an entry is valid as long as its list, and is asked for until there
    // is none, which is any answer but 0.
    while unsafe { acl_get_entry(list, which, &mut entry) } == 0 {
        which = NEXT;
        // SAFETY: as above.
        entries.extend(unsafe { granted(entry) });
    }
    // SAFETY: the list is ours, and is freed once.
    unsafe { acl_free(list) };
    Ok(entries)
}

/// What an entry grants for the thing itself; `None` if it denies, or is for what will be made in a folder.
///
/// # Safety
/// `entry` is an entry of a list that is not yet freed.
unsafe fn granted(entry: *mut c_void) -> Option<AccessEntry> {
    const ALLOW: c_int = 1;
    const ONLY_INHERIT: c_uint = 1 << 8;
    let (mut tag, mut set) = (0, null_mut());
    // SAFETY: the entry is valid; answers are written to places of their types, and sets point into the entry.
    unsafe {
        if acl_get_tag_type(entry, &mut tag) != 0 || tag != ALLOW {
            return None;
        }
        if acl_get_flagset_np(entry, &mut set) == 0 && acl_get_flag_np(set, ONLY_INHERIT) == 1 {
            return None;
        }
        let mut rights = u32::MAX;
        if acl_get_permset(entry, &mut set) == 0 {
            rights = (1..=13).map(|bit| 1 << bit).filter(|right| acl_get_perm_np(set, *right) == 1).sum();
        }
        let uuid = acl_get_qualifier(entry);
        let mut holder = None;
        if !uuid.is_null() {
            let (mut id, mut kind) = (0, -1);
            // A guid_t has 16 bytes.
            if mbr_uuid_to_id(uuid.cast(), &mut id, &mut kind) == 0 && (kind == 0 || kind == 1) {
                holder = Some((kind == 1, id));
            }
            acl_free(uuid);
        }
        Some(AccessEntry { holder, rights })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    #[test]
    fn hardening_is_allowed_and_sets_the_core_limit() {
        super::harden_process().unwrap();
        assert_eq!(rustix::process::getrlimit(rustix::process::Resource::Core).maximum, Some(0));
    }
}
