//! Linux and macOS: locks, descriptors, limits, signals.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Takes a lock that goes by `folder`, which is there; `None` while another process holds it. It ends with the file that is
/// given, and so with the process at the latest. The folder itself is locked: nothing is made.
///
/// # Errors
/// What open(2) and flock(2) say.
pub(crate) fn lock_folder(folder: &Path) -> io::Result<Option<File>> {
    let file = File::open(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// `path` without links.
///
/// # Errors
/// What realpath(3) says.
pub fn real(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// Makes a rename or removal in `folder` durable: fsync of the folder.
///
/// # Errors
/// What fsync(2) says. Some network file systems don't support it (`InvalidInput`); that is no failure here.
pub(crate) fn sync_dir(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

/// Limits core files to `bytes`, for this process and its children for good, and takes every permission for others
/// from files made from now on.
pub(super) fn limit_core_and_umask(bytes: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
    // A hard limit can't be raised again, so one that is lower already stays.
    let limit = getrlimit(Resource::Core).maximum.map_or(bytes, |hard| hard.min(bytes));
    setrlimit(Resource::Core, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    let before = umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let _ = UMASK_BEFORE.set(before);
    Ok(())
}

/// What [`limit_core_and_umask`] found.
pub(super) static UMASK_BEFORE: std::sync::OnceLock<rustix::fs::Mode> = std::sync::OnceLock::new();

/// Keeps every descriptor but the first three from programs that are started from here: a shell or a service manager may
/// have left some open, and what the caller holds is none of the client's business.
#[allow(unsafe_code)]
pub(super) fn close_others_on_exec() -> io::Result<()> {
    use std::os::fd::BorrowedFd;
    // Collected first: the folder itself is read by one of them, which is gone afterwards.
    let listed = std::fs::read_dir("/dev/fd").map(|entries| {
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect::<Vec<i32>>()
    });
    // Without a list, those that there may be as a rule.
    let numbers = listed.unwrap_or_else(|_| (0..1024).collect());
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: borrowed for one call that changes a flag of it and reads nothing. Nothing else runs yet that could close
        // it; one that is closed all the same is refused by the kernel (EBADF).
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        match rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC) {
            Err(rustix::io::Errno::BADF) => {}
            result => result?,
        }
    }
    Ok(())
}

/// Takes a variable out of this process's environment, before there is another thread: at the start of the program.
#[allow(unsafe_code)]
pub(crate) fn forget_variable(name: &str) {
    // SAFETY: no other thread runs yet that could read the environment meanwhile.
    unsafe { std::env::remove_var(name) }
}

/// Has a write past the limit of a file's size (`ulimit -f`) fail as any other does, which is told: else the signal ends the process
/// without a word. A handler and not SIG_IGN, which programs that are started from here would inherit.
///
/// # Errors
/// If the handler can't be set.
pub(super) fn outlive_file_size_limit() -> io::Result<()> {
    let nothing = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, nothing).map(drop)
}

/// The limit of core files in bytes that is in effect; `None` if there is none.
pub(crate) fn core_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Core).current
}

/// How many files this process may have open at once, once that limit has been raised as far as the administrator allows, and as
/// this program may ever need; `None` if there is no limit.
///
/// It goes no further than to what macOS grants at most. So what the children inherit harms none: one that closes all that it may
/// have inherited is through with that at once. A JVM raises its own limit.
pub(crate) fn raise_file_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const MOST: u64 = 10_240;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(MOST, |hard| hard.min(MOST));
    let is_raised = current.is_some_and(|soft| soft < wanted)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
    if is_raised { Some(wanted) } else { current }
}

/// What this machine is called, as the kernel has it.
pub(crate) fn host_name() -> Option<String> {
    Some(rustix::system::uname().nodename().to_string_lossy().into_owned()).filter(|name| !name.is_empty())
}

/// Bytes free for this user on the file system of `folder`.
///
/// # Errors
/// What statvfs(3) says.
pub(crate) fn free_space(folder: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Calls `tell` with the number of each SIGINT, SIGTERM, SIGHUP or SIGQUIT, and, unless that says that somebody else has the signal now,
/// ends the process by it, so that a shell sees what ended it. What must not outlive the process is ended by its guard, which sees
/// the pipe close.
///
/// # Errors
/// If the handlers can't be set.
pub(crate) fn on_interrupt(tell: impl Fn(i32) -> bool + Send + Sync + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
    let tell = std::sync::Arc::new(tell);
    super::threads::begin(move || {
        for signal in signals.forever() {
            let tell = std::sync::Arc::clone(&tell);
            if super::tell_of_end(super::TELLING, move || tell(signal)) {
                end_by_signal(signal);
            }
        }
    })?;
    Ok(())
}

/// Ends the process as this signal would have, if it is one that is sent to have a program end.
pub(crate) fn end_by_signal(signal: i32) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM};
    if [SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM].contains(&signal) {
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
}
