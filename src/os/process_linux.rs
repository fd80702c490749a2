//! Linux: processes that left their group.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};

/// The file that this process runs, which the system holds open for it: exchanged or removed, it is still the same one.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    let handle = Path::new("/proc/self/exe");
    // Where /proc is not mounted there is only the name.
    if handle.exists() { Ok(handle.to_owned()) } else { std::env::current_exe() }
}

/// Makes this process the parent of what its children leave behind, daemons included.
pub(crate) fn adopt_orphans() {
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Ends every child of this process but `leader`, which was ended, and theirs as they come to us, within a third of a second.
/// What `leader` leaves comes to us only when it has gone.
pub(crate) fn end_orphans(leader: Pid) {
    let until = Instant::now() + Duration::from_millis(300);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    loop {
        let has_gone = !matches!(rustix::process::waitid(WaitId::Pid(leader), options), Ok(None));
        let orphans: Vec<Pid> = children().into_iter().filter(|child| *child != leader).collect();
        if (has_gone && orphans.is_empty()) || Instant::now() > until {
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
pub(crate) fn end_session(leader: Pid) {
    for (process, _, session) in processes() {
        if session == Some(leader) && process != leader {
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
    }
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
pub(crate) fn processes() -> impl Iterator<Item = (Pid, Option<Pid>, Option<Pid>)> {
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
pub(crate) fn is_of_session(process: Pid, leader: Pid) -> Option<bool> {
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
    fn what_is_no_number_of_a_process_is_none() {
        assert_eq!(number("1").unwrap().as_raw_nonzero().get(), 1);
        for text in ["-1", "0", "", "self", "99999999999"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
