//! Threads. A system may grant none, by a limit of processes or for want of memory, and the usual ways to start one panic then, which
//! would end all of this program. So each thread of it is started by what is here.

use std::io;
use std::panic::resume_unwind;
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

/// Does `work` on a thread of its own.
///
/// # Errors
/// That none is to be had. Nothing was done then.
pub(crate) fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    #[cfg(test)]
    tests::refused()?;
    Builder::new().spawn(work)
}

/// The same within `scope`. `None` if no thread is to be had, for work that may be left out.
pub(crate) fn begin_in<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, T>> {
    #[cfg(test)]
    tests::refused().ok()?;
    Builder::new().spawn_scoped(scope, work).ok()
}

/// Work that is done beside that of who began it, or, where no thread is to be had, by who waits for it.
pub(crate) struct Beside<'scope, T, W> {
    thread: Option<ScopedJoinHandle<'scope, T>>,
    work: W,
}

impl<'scope, T: Send + 'scope, W: Fn() -> T + Copy + Send + 'scope> Beside<'scope, T, W> {
    pub(crate) fn begin(scope: &'scope Scope<'scope, '_>, work: W) -> Self {
        Self { thread: begin_in(scope, work), work }
    }

    /// What came of it.
    pub(crate) fn join(self) -> T {
        match self.thread {
            Some(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => (self.work)(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! { static IS_REFUSED: Cell<bool> = const { Cell::new(false) } }

    /// What a thread of this program is told by a system that grants no more.
    pub(super) fn refused() -> io::Result<()> {
        if IS_REFUSED.get() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }

    /// What `work` gives if its thread is granted no other.
    pub(crate) fn without_threads<T>(work: impl FnOnce() -> T) -> T {
        IS_REFUSED.set(true);
        let result = work();
        IS_REFUSED.set(false);
        result
    }

    #[test]
    fn no_thread_is_started_by_what_panics_where_there_is_none() {
        let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut looked_at = 0;
        while let Some(folder) = folders.pop() {
            for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let code = text.split("#[cfg(test)]\n#[allow(clippy::unwrap_used)]\nmod tests").next().unwrap();
                    // Those of this file stand in its tests.
                    let code = if path.ends_with("os/threads.rs") { "" } else { code };
                    for way in ["thread::spawn(", "scope.spawn("] {
                        assert!(!code.contains(way), "{}: {way}", path.display());
                    }
                    looked_at += 1;
                }
            }
        }
        assert!(looked_at > 100, "{looked_at}");
    }

    #[test]
    fn what_gets_no_thread_is_done_by_who_waits_for_it() {
        let here = std::thread::current().id();
        let done_by = || std::thread::scope(|scope| Beside::begin(scope, || std::thread::current().id()).join());
        assert_ne!(done_by(), here);
        assert_eq!(without_threads(done_by), here);
        assert!(without_threads(|| begin(|| ())).is_err());
    }
}
