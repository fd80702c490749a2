//! What the operating systems do differently: durable renames, locks, signals, helper processes with
//! all that they start, and keeping a process's memory to itself.
//!
//! One interface, one file an OS. The files named for an OS are the only places that may allow `unsafe`.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub(crate) mod threads;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::real;
#[cfg(unix)]
pub(crate) use unix::{core_limit, forget_variable, raise_file_limit};
#[cfg(unix)]
pub(crate) use unix::{end_by_signal, on_interrupt};
#[cfg(unix)]
pub(crate) use unix::{free_space, host_name, lock_folder, sync_dir};

#[cfg(unix)]
mod unix_terminal;
#[cfg(unix)]
pub(crate) use unix_terminal::{forget_typed_ahead, read_line, restore_echo, stop_echo, was_resumed};

#[cfg(unix)]
pub(crate) mod process_unix;
#[cfg(unix)]
pub(crate) use process_unix as process;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod process_linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{describe_key, harden_process, is_closed};
#[cfg(target_os = "linux")]
pub(crate) use linux::{exclude_from_backups, lies_in_memory, network_drive, settings_for_all};
#[cfg(target_os = "linux")]
pub(crate) use process_linux::processes;

#[cfg(all(unix, not(target_os = "linux")))]
mod process_macos;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub(crate) use macos::{AccessEntry, access_entries, harden_process, is_closed};
#[cfg(target_os = "macos")]
pub(crate) use macos::{exclude_from_backups, lies_in_memory, network_drive, settings_for_all};

#[cfg(windows)]
pub(crate) mod process_windows;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use process_windows as process;
#[cfg(windows)]
mod windows_console;
#[cfg(windows)]
mod windows_lock;
#[cfg(windows)]
pub use windows::real;
#[cfg(windows)]
pub(crate) use windows::{
    Access, Ace, core_limit, create_dir, create_file, current_user, forget_variable, harden_process, host_name,
    is_closed, is_elevated, is_on_disk, names_of, raise_file_limit, this_account,
};
#[cfg(windows)]
pub(crate) use windows::{exclude_from_backups, free_space, lies_in_memory, network_drive, settings_for_all, sync_dir};
#[cfg(windows)]
pub(crate) use windows_console::{
    end_by_signal, forget_typed_ahead, on_interrupt, read_line, restore_echo, stop_echo, was_resumed,
};
#[cfg(windows)]
pub(crate) use windows_lock::lock_folder;

/// What `work` gives, unless that takes longer than `limit`: it is left to itself then, until the process ends.
pub(crate) fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, answer) = channel();
    let job: Job = Box::new(move || _ = sender.send(work()));
    let (begin, begun) = channel::<Job>();
    let begin = match threads::begin(move || begun.recv().map(|job| job())) {
        Ok(_) => begin,
        // Where there is none at all nothing is done, and nothing waited for.
        Err(_) => SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop()?,
    };
    begin.send(job).ok()?;
    answer.recv_timeout(limit).ok()
}

type Job = Box<dyn FnOnce() + Send>;

/// Ways to threads that are there already, each for one job of [`within`] where no other thread is to be had.
static SPARE: Mutex<Vec<Sender<Job>>> = Mutex::new(Vec::new());

/// Has threads stand by: a process that can have no more must be able to say why it ends, and to say it in another way where the
/// first one is held up.
///
/// # Errors
/// That there is none by now.
pub(crate) fn have_threads_stand_by() -> io::Result<()> {
    for _ in 0..2 {
        let (begin, begun) = channel::<Job>();
        threads::begin(move || begun.recv().map(|job| job()))?;
        SPARE.lock().unwrap_or_else(PoisonError::into_inner).push(begin);
    }
    Ok(())
}

/// How long an interrupted process may take to say so.
const TELLING: Duration = Duration::from_millis(500);

/// Has a process that is to end say so, and the terminal show again what is typed. What holds up the one does not hold up the other,
/// nor the end. `false` if the process goes on, as `tell` may say by `true`.
pub(crate) fn tell_of_end(limit: Duration, tell: impl FnOnce() -> bool + Send + 'static) -> bool {
    let goes_on = within(limit, tell) == Some(true);
    if !goes_on {
        restore_echo();
    }
    !goes_on
}

/// How a process ended.
pub(crate) struct ProcessExit {
    pub(crate) code: Option<i32>,
    /// The signal that ended it, where the system has them.
    pub(crate) signal: Option<i32>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_in_time_is_not_waited_for() {
        let an_hour = Duration::from_secs(3600);
        assert_eq!(within(an_hour, || "done"), Some("done"));
        let (_never, wait) = channel::<()>();
        assert_eq!(within(Duration::from_millis(1), move || wait.recv()), None);
        assert_eq!(within::<()>(an_hour, || panic!("what never comes")), None);
    }

    #[test]
    fn the_end_is_told_where_no_thread_is_to_be_had() {
        have_threads_stand_by().unwrap();
        let an_hour = Duration::from_secs(3600);
        assert_eq!(threads::tests::without_threads(|| within(an_hour, || "done")), Some("done"));
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
