//! Keeps the memory of this process to itself: no core files, no crash dumps, no debugger of the same user.
//!
//! It makes reading our memory harder, not impossible: an administrator still can, and so can whoever was attached
//! before. Deny-write-execute is left out on purpose: the vendor's client would inherit it, and its JVM can't live so.

use crate::error::{Error, Result, io_in_words};

/// Hardens the process. To be called first thing in `main`, before any secret and any other thread exists.
///
/// - Linux: not dumpable (also refuses ptrace and `/proc/PID/mem` to the same user; ends at exec), core limit 1, which
///   children inherit, umask 077.
/// - macOS: no debugger may attach, core limit 0, umask 077.
/// - Both: descriptors of the caller's are closed in programs that are started from here; a limit of a file's size is an error and
///   no end.
/// - Windows: left out of crash reports and their dumps.
///
/// # Errors
/// [`Error::SystemRefused`] if the system refuses one of them: then no secret should be fetched.
pub fn harden() -> Result<()> {
    crate::os::harden_process().map_err(|error| Error::SystemRefused {
        what: format!("to keep its memory to itself ({})", io_in_words(&error)),
    })
}

/// How well this process keeps its memory to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hardened {
    /// Whether other programs of this user are kept out; `None` where the system does not tell.
    pub closed: Option<bool>,
    /// Whether no core file is written.
    pub no_core: bool,
    /// Whether a page can be kept from being swapped out, as the code's is.
    pub locks: bool,
}

impl Hardened {
    /// Looks at this process.
    #[must_use]
    pub(crate) fn of_this_process() -> Self {
        let page = vec![0_u8; region::page::size()];
        Self {
            closed: crate::os::is_closed(),
            no_core: crate::os::core_limit().is_some_and(|limit| limit <= 1),
            locks: region::lock(page.as_ptr(), page.len()).is_ok(),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Command, Stdio};

    use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

    const STEP: &str = "SNOW_ONBOARD_TEST_HARDEN";

    /// This test binary again, doing `step` in a folder of its own where a core file would fall.
    fn child(step: &str) -> (std::process::Output, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "safety::harden::tests::in_a_child", "--ignored", "--nocapture"]);
        command.env(STEP, step).current_dir(folder.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let left = std::fs::read_dir(folder.path()).unwrap();
        (output, left.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect())
    }

    #[test]
    #[ignore = "run by the other tests, in a process of its own"]
    fn in_a_child() {
        let Ok(step) = std::env::var(STEP) else { return };
        // So that a core would be written, were it not for what is tested.
        let hard = rustix::process::getrlimit(Resource::Core).maximum;
        rustix::process::setrlimit(Resource::Core, Rlimit { current: hard, maximum: hard }).unwrap();
        if step != "crash unhardened" {
            harden().unwrap();
        }
        match step.as_str() {
            "tell" => {
                assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
                std::fs::write("made", "").unwrap();
                use std::os::unix::fs::MetadataExt;
                assert_eq!(std::fs::metadata("made").unwrap().mode() & 0o777, 0o600);
                let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
                // exec replaces this process, which is the child's view of what it inherits.
                assert!(limits.contains("Max core file size"));
                panic!("{}", Command::new("cat").arg("/proc/self/limits").exec());
            }
            "abort" => std::process::abort(),
            // The first one only makes Rust's stack overflow handler step aside, which expects the fault to recur.
            _ => loop {
                rustix::process::kill_process(rustix::process::getpid(), Signal::SEGV).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(10));
            },
        }
    }

    #[test]
    fn the_process_is_closed_and_its_children_inherit_the_limit() {
        let (output, _) = child("tell");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let limit = text.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let hard = rustix::process::getrlimit(Resource::Core).maximum.map_or(1, |hard| hard.min(1)).to_string();
        assert_eq!(limit.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), [&hard, &hard], "{limit}");
    }

    #[test]
    fn a_crash_leaves_no_core() {
        for step in ["abort", "crash"] {
            let (output, left) = child(step);
            let signal = if step == "abort" { Signal::ABORT } else { Signal::SEGV };
            assert_eq!(output.status.signal(), Some(signal.as_raw()), "{step}");
            assert!(!output.status.core_dumped(), "{step}");
            assert!(left.is_empty(), "{step}: {left:?}");
        }
    }

    /// Shows that the test above could fail: where the system writes cores at all, this one is written.
    #[test]
    fn a_crash_before_hardening_may_leave_one() {
        let (output, left) = child("crash unhardened");
        assert_eq!(output.status.signal(), Some(Signal::SEGV.as_raw()));
        let cores_allowed = rustix::process::getrlimit(Resource::Core).maximum != Some(0);
        let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
        if cores_allowed && !pattern.starts_with(['|', '/', '\n']) {
            assert!(output.status.core_dumped() && !left.is_empty(), "limit or pattern differ: {left:?}");
        }
    }
}
