//! macOS and other Unix systems: no way to find what left its process group.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

/// By its name: there is no way to run what an open file holds. A program of another version that lies under it by then is
/// found out when it is asked to begin.
pub(super) fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// There is no such thing as a subreaper.
pub(super) fn adopt_orphans() {}

/// The process group is all that can be ended.
pub(super) fn end_orphans(_: Pid) {}

/// The process group is all that can be ended.
pub(super) fn end_session(_: Pid) {}

/// Nothing: which variables another process was started with, and whose a number is when it is signalled, can't be told
/// without `unsafe`. A client that ignores the hang-up is not ended.
pub(super) fn end_those_at_home_in(_: &Path) {}

/// Whether `process` is in the session that `leader` made; `None` if there is no such process.
pub(super) fn is_of_session(process: Pid, leader: Pid) -> Option<bool> {
    rustix::process::getsid(Some(process)).ok().map(|session| session == leader)
}
