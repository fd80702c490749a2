//! What the operating systems do differently: private folders, durable renames, who may write where, and keeping
//! a process's memory to itself.
//!
//! One interface, one file an OS. The files named for an OS are the only places that may allow `unsafe`.

mod way;
pub use way::{Way, not_the_administrators};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::on_interrupt;
#[cfg(unix)]
use unix::{administered_file_flaw, administered_folder_flaw, administered_link_flaw};
#[cfg(unix)]
pub use unix::{
    alias_flaw, create_private_dir, create_private_file, exchangeable_by_others, free_space, link_flaw, lock_folder,
    open_file, privacy_flaw, real, sync_dir, way_to, writable_by_others,
};
#[cfg(unix)]
pub(crate) use unix::{core_limit, forget_typed_ahead};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod linux_storage;
#[cfg(target_os = "linux")]
pub use linux::{exclude_from_backups, network_drive, settings_for_all};
#[cfg(target_os = "linux")]
pub(crate) use linux::{harden_process, is_closed};
#[cfg(target_os = "linux")]
pub use linux_storage::{disk_protection, swap_protection};

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub use macos::{disk_protection, exclude_from_backups, network_drive, settings_for_all, swap_protection};
#[cfg(target_os = "macos")]
pub(crate) use macos::{harden_process, is_closed};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
mod windows_console;
#[cfg(windows)]
mod windows_lock;
#[cfg(windows)]
use windows::{administered_file_flaw, administered_folder_flaw, administered_link_flaw};
#[cfg(windows)]
pub use windows::{
    alias_flaw, create_private_dir, create_private_file, disk_protection, exchangeable_by_others, exclude_from_backups,
    free_space, link_flaw, network_drive, open_file, privacy_flaw, real, settings_for_all, swap_protection, sync_dir,
    way_to, writable_by_others,
};
#[cfg(windows)]
pub(crate) use windows::{core_limit, harden_process, is_closed};
#[cfg(windows)]
pub(crate) use windows_console::{forget_typed_ahead, on_interrupt};
#[cfg(windows)]
pub use windows_lock::lock_folder;

/// Whether what is written somewhere can be read by whoever takes the disk out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// It is encrypted on the disk.
    Encrypted,
    /// It is not, as far as the system tells.
    Open,
    /// It is on no disk.
    InMemory,
    /// That could not be found out; says why, as a clause.
    Unknown(String),
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn private_things_are_made_once_and_are_private() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("Jürgen Müller");
        create_private_dir(&folder).unwrap();
        assert_eq!(privacy_flaw(&folder).unwrap(), None);
        assert!(create_private_dir(&folder).is_err(), "made exclusively");
        let file = folder.join("manifest.bin");
        create_private_file(&file).unwrap();
        assert_eq!(privacy_flaw(&file).unwrap(), None);
        assert!(create_private_file(&file).is_err(), "made exclusively");
        sync_dir(&folder).unwrap();
        assert_eq!(writable_by_others(&folder).unwrap(), None);
        assert_eq!(exchangeable_by_others(&folder).unwrap(), None);
        assert_eq!(link_flaw(&folder).unwrap(), None);
    }

    #[test]
    fn a_folder_s_lock_is_held_by_one_at_a_time_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock_folder(dir.path()).unwrap();
        assert!(first.is_some() && lock_folder(dir.path()).unwrap().is_none());
        drop(first);
        assert!(lock_folder(dir.path()).unwrap().is_some());
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
        assert!(lock_folder(&dir.path().join("nowhere")).is_err());
    }
}
