//! Linux alone: process hardening, file systems.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// For `safety::harden`, which says why.
pub(crate) fn harden_process() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    super::unix::close_others_on_exec()?;
    super::unix::outlive_file_size_limit()?;
    // Not 0: a core pattern that pipes into a program (systemd-coredump, apport) ignores 0 and heeds 1
    // (Linux, fs/coredump.c). This is for the client: exec makes a process dumpable again, but keeps its limits.
    super::unix::limit_core_and_umask(1)
}

/// Whether other processes of this user are kept from this one's memory; `None` if that can't be told.
pub(crate) fn is_closed() -> Option<bool> {
    rustix::process::dumpable_behavior().ok().map(|behavior| behavior == DumpableBehavior::NotDumpable)
}

/// Asks backups to leave out a folder and what will be made in it: the attribute "no dump" (chattr(1)), which dump, borg
/// and bsdtar heed when told to.
///
/// # Errors
/// What the file system says; many have no such attribute.
pub(crate) fn exclude_from_backups(folder: &Path) -> io::Result<()> {
    let folder = File::open(folder)?;
    let flags = ioctl_getflags(&folder)?;
    if !flags.contains(IFlags::NODUMP) {
        ioctl_setflags(&folder, flags | IFlags::NODUMP)?;
    }
    Ok(())
}

/// What the kernel says of a key or a keyring, by its number or a special one: type, uid, gid, permissions and name, between
/// semicolons (keyctl_describe(3)). Not by the safe wrapper there is, which panics where that is longer than 512 bytes: whoever made
/// the key chose its name.
///
/// # Errors
/// What keyctl(2) says.
#[allow(unsafe_code)]
pub(crate) fn describe_key(key: i32) -> io::Result<Vec<u8>> {
    const DESCRIBE: libc::c_long = 6;
    // A name is a page at most, where a page is 4 KiB.
    let mut text = vec![0_u8; 8192];
    let (key, room) = (libc::c_long::from(key), text.len());
    // SAFETY: the kernel writes into the buffer as much as it is told that there is room for, and nothing else.
    let length = unsafe { libc::syscall(libc::SYS_keyctl, DESCRIBE, key, text.as_mut_ptr(), room) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    // It gives the whole length, with the NUL at the end, also where it wrote nothing for want of room.
    let length = length.checked_sub(1).filter(|_| length <= room).ok_or(io::ErrorKind::InvalidData)?;
    text.truncate(length);
    Ok(text)
}

/// Where settings for all users lie: a place that no variable moves.
#[must_use]
pub(crate) fn settings_for_all() -> Option<PathBuf> {
    Some(PathBuf::from("/etc"))
}

/// Whether `path` lies on tmpfs or ramfs (statfs(2)). tmpfs may be swapped out; ramfs never is.
///
/// # Errors
/// What the system says.
pub(crate) fn lies_in_memory(path: &Path) -> io::Result<bool> {
    // The field's type differs between architectures; the numbers fit 32 bits.
    Ok(matches!(rustix::fs::statfs(path)?.f_type as u64 & 0xffff_ffff, 0x0102_1994 | 0x8584_58f6))
}

/// What kind of network file system `path` lies on, or `None` if on none that is known (statfs(2), linux/magic.h).
///
/// # Errors
/// What the system says.
pub(crate) fn network_drive(path: &Path) -> io::Result<Option<&'static str>> {
    // The field's type differs between architectures; the numbers fit 32 bits.
    Ok(match rustix::fs::statfs(path)?.f_type as u64 & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => Some("SMB"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x00c3_6400 => Some("Ceph"),
        0x0102_1997 => Some("9P"),
        // sshfs, rclone and their like; some of them are local, but none syncs as a disk does.
        0x6573_5546 => Some("FUSE"),
        _ => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_this_machine_is_no_network_drive() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(network_drive(folder.path()).unwrap(), None);
        assert!(network_drive(&folder.path().join("absent")).is_err());
    }

    #[test]
    fn what_is_made_in_an_excluded_folder_is_excluded() {
        let base = tempfile::tempdir().unwrap();
        if ioctl_getflags(File::open(base.path()).unwrap()).is_err() {
            snow_rehearsal::skipped("the file system of temporary files has no attributes");
            return;
        }
        let flags = |path: &Path| ioctl_getflags(File::open(path).unwrap()).unwrap();
        assert!(!flags(base.path()).contains(IFlags::NODUMP), "a control");
        exclude_from_backups(base.path()).unwrap();
        exclude_from_backups(base.path()).unwrap();
        let made = base.path().join("made");
        std::fs::create_dir(&made).unwrap();
        assert!(flags(base.path()).contains(IFlags::NODUMP) && flags(&made).contains(IFlags::NODUMP));
    }
}
