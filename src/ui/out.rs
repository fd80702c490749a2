//! The process's two streams. Each has one redacting writer for the whole run, so that nothing gets past it, not even a
//! secret of which the halves are written by different callers.

use std::io::{self, Write};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::redact::Redacting;

static STDOUT: LazyLock<Mutex<Redacting<io::Stdout>>> = LazyLock::new(|| Mutex::new(Redacting::new(io::stdout())));
static STDERR: LazyLock<Mutex<Redacting<io::Stderr>>> = LazyLock::new(|| Mutex::new(Redacting::new(io::stderr())));

/// A handle to the redacted stderr, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        lock(&STDERR).write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        lock(&STDERR).flush()
    }
}

pub(super) fn to_stdout(text: &str) {
    let mut out = lock(&STDOUT);
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

pub(super) fn to_stderr(text: &str) {
    let _ = lock(&STDERR).write_all(text.as_bytes());
}

/// Writes what the streams hold back: a last word without a line's end. To be called when nothing more is to be said.
pub fn finish() {
    let _ = lock(&STDOUT).finish();
    let _ = lock(&STDERR).finish();
}

fn lock<T>(stream: &Mutex<T>) -> MutexGuard<'_, T> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}
