//! macOS and other Unix systems: no way to find what left its process group.

use std::io;
use std::path::PathBuf;

use rustix::process::Pid;

/// By its name: there is no way to run what an open file holds. A program of another version that lies under it by then is
/// found out when it is asked to begin.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// There is no such thing as a subreaper.
pub(crate) fn adopt_orphans() {}

/// The process group is all that can be ended.
pub(crate) fn end_orphans(_: Pid) {}

/// The process group is all that can be ended.
pub(crate) fn end_session(_: Pid) {}

/// Whether `process` is in the session that `leader` made; `None` if there is no such process.
pub(crate) fn is_of_session(process: Pid, leader: Pid) -> Option<bool> {
    rustix::process::getsid(Some(process)).ok().map(|session| session == leader)
}
