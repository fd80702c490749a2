//! Linux: a client that outlived the session that it belonged to.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::os::processes;
use crate::safety::path_trust;

/// Ends the processes of this very user whose home is `home`: a client that ignored the hang-up, and its descendants, which
/// have the same one. They are looked for until there are none, for half a second.
///
/// A process is held by a descriptor before its environment is looked at, so that a signal can't reach whoever has its number
/// by then. Where the kernel has no such descriptors (before 5.3) nothing is ended.
pub(super) fn end_those_at_home_in(home: &Path) {
    let until = Instant::now() + Duration::from_millis(500);
    loop {
        let found: Vec<OwnedFd> = processes().filter_map(|(process, ..)| held_if_at_home_in(process, home)).collect();
        if found.is_empty() || Instant::now() > until {
            return;
        }
        for process in found {
            // One that has ended by itself is no longer there to be.
            let _ = rustix::process::pidfd_send_signal(process, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn held_if_at_home_in(process: Pid, home: &Path) -> Option<OwnedFd> {
    let folder = PathBuf::from(format!("/proc/{process}"));
    let is_at_home = || {
        // The folder belongs to root when the process keeps its memory to itself, as we do and a client does not.
        let is_own = path_trust::is_own(&folder).unwrap_or(false);
        is_own && fs::read(folder.join("environ")).is_ok_and(|variables| is_home_in(&variables, home))
    };
    // Hundreds of others need no descriptor.
    if process == rustix::process::getpid() || !is_at_home() {
        return None;
    }
    let held = rustix::process::pidfd_open(process, PidfdFlags::empty()).ok()?;
    is_at_home().then_some(held)
}

/// Whether an environment as the kernel shows it has one HOME, which is this.
fn is_home_in(variables: &[u8], home: &Path) -> bool {
    let mut homes = variables.split(|byte| *byte == 0).filter_map(|variable| variable.strip_prefix(b"HOME="));
    homes.next() == Some(home.as_os_str().as_bytes()) && homes.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_the_one_that_an_environment_names_and_no_other() {
        let home = Path::new("/dev/shm/snow-onboard-0123456789ab");
        assert!(is_home_in(b"PATH=/bin\0HOME=/dev/shm/snow-onboard-0123456789ab\0", home));
        for other in [
            &b""[..],
            b"PATH=/bin\0",
            b"HOME=/dev/shm/snow-onboard-0123456789abc\0",
            b"HOME=/dev/shm/snow-onboard-0123456789a\0",
            b"HOME=/dev/shm/snow-onboard-0123456789ab/x\0",
            b"OLD_HOME=/dev/shm/snow-onboard-0123456789ab\0",
            b"HOME=/home/x\0HOME=/dev/shm/snow-onboard-0123456789ab\0",
            b"HOME=/dev/shm/snow-onboard-0123456789ab\0HOME=/home/x\0",
        ] {
            assert!(!is_home_in(other, home), "{}", String::from_utf8_lossy(other));
        }
    }
}
