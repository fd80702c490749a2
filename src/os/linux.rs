//! Linux alone: process hardening.

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// See [`crate::harden::harden`].
pub(crate) fn harden_process() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Not 0: a core pattern that pipes into a program (systemd-coredump, apport) ignores 0 and heeds 1
    // (Linux, fs/coredump.c). This is for the client: exec makes a process dumpable again, but keeps its limits.
    super::unix::limit_core_and_umask(1)
}
