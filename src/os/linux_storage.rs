//! Linux: whether what is written to a disk, or swapped out to one, is encrypted there.
//!
//! Seen is what the kernel says of its own encryption beneath a file system (dm-crypt, whose devices have a UUID that
//! begins `CRYPT-`: cryptsetup, lib/libdevmapper.c). Drives that encrypt by themselves, file-based encryption and what a
//! hypervisor does are not seen.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

use super::Protection;

/// Where the kernel describes its devices.
const SYS: &str = "/sys";

/// More layers than anybody stacks.
const DEEPEST: usize = 16;

/// Whether what lies at `path`, which exists, is encrypted on its disk.
#[must_use]
pub fn disk_protection(path: &Path) -> Protection {
    let Ok(meta) = path.metadata() else { return Protection::Unknown("its folder can't be looked at".to_owned()) };
    match device_of(path, meta.dev()) {
        Some(device) => Devices::of_system().protection(device),
        None => match file_system_of(path).as_deref() {
            Some("tmpfs" | "ramfs") => Protection::InMemory,
            Some(kind) => Protection::Unknown(format!("it lies on {kind}, which does not say what is beneath")),
            None => Protection::Unknown("its file system is not listed".to_owned()),
        },
    }
}

/// Where memory is swapped out to, and whether that is encrypted; nothing if nowhere.
#[must_use]
pub fn swap_protection() -> Vec<(PathBuf, Protection)> {
    fs::read_to_string("/proc/swaps").map(|table| swaps(&table, &Devices::of_system())).unwrap_or_default()
}

/// `Filename Type Size Used Priority`, a line each after the first (proc(5)).
fn swaps(table: &str, devices: &Devices) -> Vec<(PathBuf, Protection)> {
    let areas = table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((PathBuf::from(unescape(words.next()?)), words.next()?))
    });
    let protection = |path: &Path, kind: &str| {
        let meta = path.metadata().ok();
        let device = match kind {
            "file" => meta.and_then(|meta| device_of(path, meta.dev())),
            _ => meta.map(|meta| (major(meta.rdev()), minor(meta.rdev()))),
        };
        device.map_or_else(
            || Protection::Unknown("it can't be looked at".to_owned()),
            |device| devices.protection(device),
        )
    };
    areas.map(|(path, kind)| (path.clone(), protection(&path, kind))).collect()
}

/// The block device that a file system lies on. One of btrfs and its like has a number that is no device's; then the table
/// of mounts names it.
fn device_of(path: &Path, dev: u64) -> Option<(u32, u32)> {
    if major(dev) != 0 {
        return Some((major(dev), minor(dev)));
    }
    let (_, source) = mount_of(path)?;
    let meta = Path::new(&source).metadata().ok().filter(|_| source.starts_with("/dev/"))?;
    Some((major(meta.rdev()), minor(meta.rdev())))
}

fn file_system_of(path: &Path) -> Option<String> {
    mount_of(path).map(|(kind, _)| kind)
}

/// Kind and source of the mount that `path` lies on.
fn mount_of(path: &Path) -> Option<(String, String)> {
    let path = path.canonicalize().ok()?;
    mount_in(&fs::read_to_string("/proc/self/mountinfo").ok()?, &path)
}

/// `36 35 98:0 /root /mount/point rw,noatime master:1 - ext4 /dev/sda1 rw` (proc_pid_mountinfo(5)).
fn mount_in(table: &str, path: &Path) -> Option<(String, String)> {
    let mounts = table.lines().filter_map(|line| {
        let (place, what) = line.split_once(" - ")?;
        let point = unescape(place.split(' ').nth(4)?);
        let mut what = what.split(' ');
        let (kind, source) = (what.next()?, what.next()?);
        path.starts_with(&point).then(|| (point.len(), kind.to_owned(), unescape(source)))
    });
    // Of two at the same place the later one covers the other.
    mounts.max_by_key(|(length, ..)| *length).map(|(_, kind, source)| (kind, source))
}

/// A blank is written `\040`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

/// The kernel's description of block devices.
struct Devices {
    sys: PathBuf,
}

impl Devices {
    fn of_system() -> Self {
        Self { sys: SYS.into() }
    }

    fn protection(&self, (major, minor): (u32, u32)) -> Protection {
        let folder = self.sys.join(format!("dev/block/{major}:{minor}"));
        if !folder.exists() {
            return Protection::Unknown("this system does not describe the device".to_owned());
        }
        self.beneath(&folder, DEEPEST)
    }

    /// Encrypted if this device is, or all those that it is made of.
    fn beneath(&self, folder: &Path, deeper: usize) -> Protection {
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default().trim().to_owned();
        if read("dm/uuid").starts_with("CRYPT-") {
            return Protection::Encrypted;
        }
        let name = folder.canonicalize().ok();
        let name = name.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if name.starts_with("zram") {
            // What it does not keep in memory it writes to a device, if it was given one.
            return match read("backing_dev").as_str() {
                "" | "none" => Protection::InMemory,
                device => Protection::Unknown(format!("{name} may write to {device}")),
            };
        }
        let parts: Vec<PathBuf> =
            fs::read_dir(folder.join("slaves")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        if parts.is_empty() || deeper == 0 {
            return Protection::Open;
        }
        let all: Vec<Protection> = parts.iter().map(|part| self.beneath(part, deeper - 1)).collect();
        let worst = all.into_iter().max_by_key(|protection| match protection {
            Protection::Encrypted | Protection::InMemory => 0,
            Protection::Unknown(_) => 1,
            Protection::Open => 2,
        });
        worst.unwrap_or(Protection::Open)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Devices as the kernel describes them: a disk 8:0 with a partition 8:2; LUKS 253:0 on it; LVM 253:1 on that; LVM 253:2
    /// on LUKS and on a bare partition; zram 252:0 and one with a backing device 252:1.
    fn devices() -> (tempfile::TempDir, Devices) {
        let base = tempfile::tempdir().unwrap();
        let sys = base.path().join("sys");
        let all = sys.join("devices");
        fs::create_dir_all(sys.join("dev/block")).unwrap();
        for (number, name, files, slaves) in [
            ("8:2", "sda2", vec![], vec![]),
            ("253:0", "dm-0", vec![("dm/uuid", "CRYPT-LUKS2-0123-luks\n")], vec!["sda2"]),
            ("253:1", "dm-1", vec![("dm/uuid", "LVM-abc\n")], vec!["dm-0"]),
            ("253:2", "dm-2", vec![("dm/uuid", "LVM-def\n")], vec!["dm-0", "sda2"]),
            ("252:0", "zram0", vec![("backing_dev", "none\n")], vec![]),
            ("252:1", "zram1", vec![("backing_dev", "/dev/sda3\n")], vec![]),
        ] {
            let folder = all.join(name);
            fs::create_dir_all(folder.join("slaves")).unwrap();
            for (file, text) in files {
                let file = folder.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            for slave in slaves {
                symlink(all.join(slave), folder.join("slaves").join(slave)).unwrap();
            }
            symlink(&folder, sys.join("dev/block").join(number)).unwrap();
        }
        (base, Devices { sys })
    }

    #[test]
    fn encryption_is_seen_through_layers_and_only_if_all_parts_have_it() {
        let (_base, devices) = devices();
        assert_eq!(devices.protection((8, 2)), Protection::Open);
        assert_eq!(devices.protection((253, 0)), Protection::Encrypted);
        assert_eq!(devices.protection((253, 1)), Protection::Encrypted);
        assert_eq!(devices.protection((253, 2)), Protection::Open);
        assert_eq!(devices.protection((252, 0)), Protection::InMemory);
        assert!(matches!(devices.protection((252, 1)), Protection::Unknown(why) if why.contains("/dev/sda3")));
        assert!(matches!(devices.protection((9, 9)), Protection::Unknown(_)));
    }

    #[test]
    fn the_mount_of_a_path_is_the_nearest_above_it() {
        let table = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                     30 22 0:30 / /home rw shared:1 - btrfs /dev/mapper/luks-1 rw\n\
                     31 22 0:31 / /home/a\\040b rw - tmpfs tmpfs rw\n";
        let mount = |path: &str| mount_in(table, Path::new(path)).unwrap();
        assert_eq!(mount("/etc").1, "/dev/sda1");
        assert_eq!(mount("/home/anna"), ("btrfs".to_owned(), "/dev/mapper/luks-1".to_owned()));
        assert_eq!(mount("/home/a b/c").0, "tmpfs");
        assert_eq!(mount("/homestead").1, "/dev/sda1");
    }

    #[test]
    fn the_table_of_swaps_is_read() {
        let (_base, devices) = devices();
        assert!(swaps("Filename Type Size Used Priority\n", &devices).is_empty());
        let table = "Filename Type Size Used Priority\n/nonexistent/swap\\040file file 1 0 -2\n";
        let found = swaps(table, &devices);
        assert_eq!(found[0].0, Path::new("/nonexistent/swap file"));
        assert!(matches!(found[0].1, Protection::Unknown(_)));
    }

    #[test]
    fn a_folder_in_memory_is_on_no_disk() {
        if Path::new("/dev/shm").exists() {
            assert_eq!(disk_protection(Path::new("/dev/shm")), Protection::InMemory);
        }
    }
}
