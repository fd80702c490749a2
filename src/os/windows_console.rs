//! Windows: the console, its Ctrl-C and what is typed into it.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::windows::{console_input_echoes, flush_console_input, set_console_handler};

/// What Ctrl-C and its like are told by, once it is set.
static TELL: OnceLock<Box<dyn Fn(i32) -> bool + Send + Sync>> = OnceLock::new();

/// A console has no stopping.
pub(crate) fn was_resumed() -> bool {
    false
}

/// Calls `tell` with 2 (the number of SIGINT elsewhere) at the first Ctrl-C, Ctrl-Break or closing of the console, and then
/// ends the process with 130. What must not outlive it is ended by its guard, which sees the pipe close.
///
/// # Errors
/// If the handler can't be set, or is set already.
pub(crate) fn on_interrupt(tell: impl Fn(i32) -> bool + Send + Sync + 'static) -> io::Result<()> {
    TELL.set(Box::new(tell)).map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))?;
    set_console_handler(interrupted)
}

/// There are no signals to end by.
pub(crate) fn end_by_signal(_: i32) {}

/// Forgets what was typed into the console and not read.
pub(crate) fn forget_typed_ahead() {
    flush_console_input();
}

/// Reads a line from standard input, with what ends it.
///
/// # Errors
/// What the system says.
pub(crate) fn read_line(line: &mut Vec<u8>) -> std::io::Result<usize> {
    use std::io::BufRead as _;
    std::io::stdin().lock().read_until(b'\n', line)
}

/// Whether the console is to show again what is typed.
static HIDES: Mutex<bool> = Mutex::new(false);

/// The console shows no longer what is typed, until [`restore_echo`].
pub(crate) fn stop_echo() {
    let mut hides = HIDES.lock().unwrap_or_else(PoisonError::into_inner);
    *hides |= console_input_echoes(false);
}

/// Undoes [`stop_echo`], if that was called.
pub(crate) fn restore_echo() {
    if std::mem::take(&mut *HIDES.lock().unwrap_or_else(PoisonError::into_inner)) {
        console_input_echoes(true);
    }
}

extern "system" fn interrupted(_event: u32) -> i32 {
    let tell = || {
        if let Some(tell) = TELL.get() {
            tell(2);
        }
        false
    };
    super::tell_of_end(super::TELLING, tell);
    std::process::exit(130)
}
