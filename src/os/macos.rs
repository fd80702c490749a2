//! macOS alone: process hardening, Time Machine.
#![allow(unsafe_code)]

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, setxattr};

use super::Protection;

/// See [`crate::harden::harden`].
pub(crate) fn harden_process() -> io::Result<()> {
    // SAFETY: PT_DENY_ATTACH takes no process, no address and no data (ptrace(2)), so nothing is read or written.
    let answer = unsafe { libc::ptrace(libc::PT_DENY_ATTACH, 0, std::ptr::null_mut(), 0) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    super::unix::close_others_on_exec()?;
    super::unix::limit_core_and_umask(0)
}

/// Whether other processes of this user are kept from this one's memory: there is no call that tells.
pub(crate) fn is_closed() -> Option<bool> {
    None
}

/// Whether what lies at `path` is encrypted on its disk: told by `fdesetup` alone, which is not started for it.
#[must_use]
pub fn disk_protection(_path: &Path) -> Protection {
    Protection::Unknown("only FileVault's own command tells it".to_owned())
}

/// Where memory is swapped out to. macOS has encrypted it always since 10.7 (Apple, "Volume encryption with FileVault").
#[must_use]
pub fn swap_protection() -> Vec<(PathBuf, Protection)> {
    vec![("/private/var/vm".into(), Protection::Encrypted)]
}

/// Asks Time Machine to leave out a folder with all it holds: the attribute that `tmutil addexclusion` sets, the word
/// `com.apple.backupd` as a binary property list.
///
/// # Errors
/// What the file system says.
pub fn exclude_from_backups(folder: &Path) -> io::Result<()> {
    const NAME: &str = "com.apple.metadata:com_apple_backup_excludeItem";
    // Header, one string of 17 characters, its offset, and the trailer: one object, which is the top one, offsets of one
    // byte, the table of them at 28.
    const VALUE: &[u8] = b"bplist00\x5f\x10\x11com.apple.backupd\x08\
        \0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x1c";
    Ok(setxattr(folder, NAME, VALUE, XattrFlags::empty())?)
}

/// Where settings for all users lie: a place that no variable moves.
#[must_use]
pub fn settings_for_all() -> Option<PathBuf> {
    Some(PathBuf::from("/Library/Application Support"))
}

/// What kind of network file system `path` lies on, or `None` if on none that is known (statfs(2), `f_fstypename`).
///
/// # Errors
/// What the system says.
pub fn network_drive(path: &Path) -> io::Result<Option<&'static str>> {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    #[test]
    fn hardening_is_allowed_and_sets_the_core_limit() {
        super::harden_process().unwrap();
        assert_eq!(rustix::process::getrlimit(rustix::process::Resource::Core).maximum, Some(0));
    }
}
