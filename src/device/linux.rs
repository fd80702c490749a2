//! Linux: processes that left their group, or outlived the session that they belonged to.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};

use crate::safety::path_trust;

/// The file that this process runs, which the system holds open for it: exchanged or removed, it is still the same one.
pub(super) fn own_program() -> io::Result<PathBuf> {
    let handle = Path::new("/proc/self/exe");
    // Where /proc is not mounted there is only the name.
    if handle.exists() { Ok(handle.to_owned()) } else { std::env::current_exe() }
}

/// Makes this process the parent of what its children leave behind, daemons included.
pub(super) fn adopt_orphans() {
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Ends every child of this process but `leader`, and theirs as they come to us, within a third of a second.
pub(super) fn end_orphans(leader: Pid) {
    let until = Instant::now() + Duration::from_millis(300);
    loop {
        let orphans: Vec<Pid> = children().into_iter().filter(|child| *child != leader).collect();
        if orphans.is_empty() || Instant::now() > until {
            return;
        }
        for orphan in orphans {
            let _ = rustix::process::kill_process(orphan, Signal::KILL);
            // Only our own children are collected here, and nothing else waits for them.
            let _ = rustix::process::waitpid(Some(orphan), WaitOptions::NOHANG);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Ends everything in the session that `leader` made.
pub(super) fn end_session(leader: Pid) {
    for (process, _, session) in processes() {
        if session == Some(leader) && process != leader {
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
    }
}

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

fn children() -> Vec<Pid> {
    let me = rustix::process::getpid();
    // An orphan may become the child of any of our threads.
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let lists: io::Result<Vec<String>> =
        threads.flatten().map(|thread| fs::read_to_string(thread.path().join("children"))).collect();
    match lists {
        Ok(lists) => lists.iter().flat_map(|list| list.split_whitespace()).filter_map(number).collect(),
        // A kernel without CONFIG_PROC_CHILDREN, or a thread that ended while we looked.
        Err(_) => processes().filter(|(_, parent, _)| *parent == Some(me)).map(|(process, ..)| process).collect(),
    }
}

/// Every process that can be seen: itself, its parent, its session; where these are in sight.
fn processes() -> impl Iterator<Item = (Pid, Option<Pid>, Option<Pid>)> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let process = number(entry.file_name().to_str()?)?;
        let (parent, session) = parent_and_session(process)?;
        Some((process, parent, session))
    })
}

/// Whether `process` is in the session that `leader` made; `None` if there is no such process.
///
/// Not by getsid(2): seen from a container, a session that was begun outside has the number 0, which the safe wrapper
/// takes for impossible.
pub(super) fn is_of_session(process: Pid, leader: Pid) -> Option<bool> {
    parent_and_session(process).map(|(_, session)| session == Some(leader))
}

fn parent_and_session(process: Pid) -> Option<(Option<Pid>, Option<Pid>)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // proc_pid_stat(5): the name in parentheses may contain anything, so count from the last one:
    // state, parent, group, session.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
    Some((fields.next().and_then(number), fields.nth(1).and_then(number)))
}

/// The number of a process. Of one that is just being collected, the kernel says that its session is -1, which the safe
/// wrapper takes for impossible.
fn number(text: &str) -> Option<Pid> {
    text.parse().ok().filter(|number| *number > 0).and_then(Pid::from_raw)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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

    #[test]
    fn what_is_no_number_of_a_process_is_none() {
        assert_eq!(number("1").unwrap().as_raw_nonzero().get(), 1);
        for text in ["-1", "0", "", "self", "99999999999"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
