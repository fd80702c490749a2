//! Linux and macOS: the terminal that a person types at, which the shell gives to one process group at a time.
//!
//! In the background, where a process is after Ctrl-Z and `bg`, or `kill` of a stopped job, a read or a change of the terminal stops
//! the whole process, before it hears a signal to end. And what is set there is set for the shell.

use std::io::{self, BufRead as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetpgrp, tcsetattr};
use signal_hook::consts::{SIGCONT, SIGTSTP};

/// How often it is looked whether the shell has given the terminal back.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Whether the shell, or another job of it, has the terminal.
fn is_in_background() -> bool {
    // What is no terminal, or none that has jobs, stops nobody.
    tcgetpgrp(rustix::stdio::stdin()).is_ok_and(|front| front != rustix::process::getpgrp())
}

/// Does what would stop a process in the background.
pub(super) fn unstopped<T>(act: impl FnOnce() -> T) -> T {
    let mut stops = SigSet::empty();
    stops.add(Signal::SIGTTOU);
    let is_blocked = stops.thread_block().is_ok();
    let done = act();
    if is_blocked {
        let _ = stops.thread_unblock();
    }
    done
}

/// Changes the terminal, if it is this process's now.
fn set(modes: &Termios) {
    if !is_in_background() {
        let _ = unstopped(|| tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, modes));
    }
}

/// Forgets what was typed into the terminal and not read.
pub(crate) fn forget_typed_ahead() {
    // Where it is no terminal there is nothing typed ahead, and what is typed while the shell has it is the shell's.
    if !is_in_background() {
        let _ = unstopped(|| tcflush(rustix::stdio::stdin(), QueueSelector::IFlush));
    }
}

/// Reads a line from standard input, with what ends it. In the background it waits until the terminal is this process's again.
///
/// # Errors
/// What read(2) says.
pub(crate) fn read_line(line: &mut Vec<u8>) -> io::Result<usize> {
    let mut stops = SigSet::empty();
    stops.add(Signal::SIGTTIN);
    // On this thread alone, which reads and nothing else. A read fails then where it would have stopped the process.
    let _ = stops.thread_block();
    loop {
        while is_in_background() {
            std::thread::sleep(BETWEEN_LOOKS);
        }
        hide();
        match io::stdin().lock().read_until(b'\n', line) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) && is_in_background() => {}
            result => return result,
        }
    }
}

/// How the terminal was before [`stop_echo`], as long as it is to show nothing.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

fn before() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terminal shows no longer what is typed, until [`restore_echo`]; but whoever has it while this process is stopped has it as it
/// was.
pub(crate) fn stop_echo() {
    static FOLLOWS: LazyLock<()> = LazyLock::new(follow_stops);
    LazyLock::force(&FOLLOWS);
    // Where it is no terminal it shows nothing.
    let Ok(modes) = tcgetattr(rustix::stdio::stdin()) else { return };
    before().get_or_insert(modes);
    hide();
}

/// Undoes [`stop_echo`], if that was called.
pub(crate) fn restore_echo() {
    if let Some(modes) = before().take() {
        set(&modes);
    }
}

/// Shows nothing that is typed, if it is to be so.
fn hide() {
    if let Some(modes) = &*before() {
        let mut modes = modes.clone();
        modes.local_modes.remove(LocalModes::ECHO);
        set(&modes);
    }
}

/// Lets the terminal be as it was while this process is stopped, and hides again what is typed when it goes on.
fn follow_stops() {
    // Without the handlers the question is asked all the same.
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGTSTP, SIGCONT]) else { return };
    let follow = move || {
        for signal in signals.forever() {
            if signal == SIGTSTP {
                if let Some(modes) = &*before() {
                    set(modes);
                }
                // Nobody could continue a session's first process, which the system does not stop by this signal either.
                if rustix::process::getsid(None).is_ok_and(|session| session != rustix::process::getpgrp()) {
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
            }
            hide();
        }
    };
    let _ = std::thread::Builder::new().name("stops".to_owned()).spawn(follow);
}

/// Whether this process was stopped (Ctrl-Z), or was in the background, and goes on again (`fg`) since this was asked before.
pub(crate) fn was_resumed() -> bool {
    static RESUMED: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| {
        let flag = Arc::new(AtomicBool::new(false));
        // Without the handler a question is not drawn again, which is no reason not to ask it.
        let _ = signal_hook::flag::register(SIGCONT, Arc::clone(&flag));
        flag
    });
    static WAS_BEHIND: AtomicBool = AtomicBool::new(false);
    let is_behind = is_in_background();
    let is_back = WAS_BEHIND.swap(is_behind, Ordering::Relaxed) && !is_behind;
    let is_resumed = RESUMED.swap(false, Ordering::Relaxed) || is_back;
    if is_resumed {
        hide();
    }
    is_resumed
}
