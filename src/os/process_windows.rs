//! Windows: job objects that end their members when their last handle closes, however that comes about.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use win32job::{ExtendedLimitInfo, Job};
use windows_sys::Win32::System::Threading::{CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW};

use super::ProcessExit;

/// A console of its own that nobody sees, so that the operator's Ctrl-C does not reach a helper or what it runs.
pub(crate) fn prepare_helper(command: &mut Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
}

/// What a helper does first: puts itself into a job that ends with it. The only handle is the helper's own, so
/// the system ends what it runs with all descendants even when the helper is ended from outside.
pub(crate) fn settle_in(_: impl Fn() -> bool + Send + 'static) -> io::Result<SessionTerminal> {
    let job = ending_job()?;
    job.assign_current_process().map_err(io::Error::other)?;
    // Never closed by us: closing it would end us.
    std::mem::forget(job);
    Ok(SessionTerminal)
}

/// There is none.
pub(crate) type Umask = u32;

pub(crate) fn umask_of_caller() -> Option<Umask> {
    None
}

pub(crate) fn set_umask(_: Umask) {}

pub(crate) fn with_umask<T>(_: Option<Umask>, start: impl FnOnce() -> T) -> T {
    start()
}

/// A console can't be handed on to a process that has another one, so the agent reads the input and passes it on.
pub(crate) fn input_to_hand_on() -> Stdio {
    Stdio::null()
}

pub(crate) fn input_of_caller() -> Stdio {
    Stdio::null()
}

/// Nothing: the job ends the program.
pub(crate) struct SessionTerminal;

impl SessionTerminal {
    pub(crate) fn put_in_front(&self, _: u32) {}
}

/// By its name: the file of a running program can be moved and not exchanged, and one of another version under its name is
/// found out when it is asked to begin.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

fn ending_job() -> io::Result<Job> {
    let mut limits = ExtendedLimitInfo::new();
    limits.limit_kill_on_job_close();
    Job::create_with_limit_info(&limits).map_err(io::Error::other)
}

/// There are no signals.
pub(crate) fn signal_group(_: u32, _: i32) {}

/// Whether a child still runs.
pub(crate) fn is_running(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}

/// Nothing to do: an ended process goes when its last handle is closed.
pub(crate) fn collect_children(_: Duration) {}

/// The jobs of all [`Proc`]s, by the numbers of their programs. Held while one is started.
static RUNNING: Mutex<BTreeMap<u32, Job>> = Mutex::new(BTreeMap::new());

fn running() -> MutexGuard<'static, BTreeMap<u32, Job>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends every program that this process runs, for one that is to end at once, whatever its other threads are at. None can be
/// started after.
pub(crate) fn end_programs() {
    // One that is being started just now ends with this process.
    let Ok(mut running) = RUNNING.try_lock() else { return };
    running.clear();
    std::mem::forget(running);
}

/// A program in a job of its own, inside the helper's.
pub(crate) struct Proc {
    child: Child,
}

impl Proc {
    /// How often to look whether the process has ended.
    pub(crate) const POLL: Option<Duration> = Some(Duration::from_millis(20));

    pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
        command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
        let job = ending_job()?;
        let mut running = running();
        let mut child = command.spawn()?;
        // What the process starts before this line stays in the helper's job and ends with the helper at the latest.
        if let Err(error) = job.assign_process(child.as_raw_handle() as isize) {
            // One that is through already can't be assigned, and need not be.
            if child.try_wait()?.is_none() {
                let _ = child.kill();
                let _ = child.wait();
                return Err(io::Error::other(error));
            }
        }
        running.insert(child.id(), job);
        Ok(Self { child })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn group(&self) -> u32 {
        self.child.id()
    }

    #[allow(clippy::unnecessary_wraps, reason = "as on the other systems")]
    pub(crate) fn watch(&self, _: impl FnOnce() + Send + 'static) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Ends the process and its descendants: closing the job does.
    pub(crate) fn end(&mut self) {
        running().remove(&self.child.id());
        let _ = self.child.kill();
    }

    /// Leaves the ended process to the system, which collects it by itself.
    pub(crate) fn leave(&mut self) {}

    /// Collects the ended process.
    pub(crate) fn reap(&mut self) -> io::Result<ProcessExit> {
        let status = self.child.wait()?;
        Ok(ProcessExit { code: status.code(), signal: None })
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        running().remove(&self.child.id());
    }
}

/// The helper's job has ended them already.
pub(crate) fn end_without_helper(_: u32, _: Option<u32>) {}

/// Windows has pseudo-consoles, but no safe wrapper for them; `configure` is tried on a pipe alone.
pub(crate) fn open_terminal() -> io::Result<Option<(File, OwnedHandle)>> {
    Ok(None)
}
