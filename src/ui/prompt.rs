//! Questions. Asked line by line, which works on every terminal, over ssh, at 40 columns and with a screen reader.

use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// How long a question waits for its answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// How long one waits that has a safe answer of its own.
pub(super) const SHORT_PATIENCE: Duration = Duration::from_secs(120);

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A line, without spaces around it. May be empty.
    Line(String),
    /// The input ended.
    End,
    /// Nobody said anything.
    Silence,
}

/// The lines that are typed. A read from a terminal can't be given a deadline, so it is done on a thread, which ends with
/// the process; one for all questions, or the one before would take the next one's answer.
static LINES: LazyLock<Mutex<Receiver<String>>> = LazyLock::new(|| {
    let (sender, lines) = channel();
    // Without a thread every question finds the input ended.
    let _ = std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    Mutex::new(lines)
});

/// Waits for a line.
pub(super) fn answer(patience: Duration) -> Answer {
    match LINES.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(patience) {
        Ok(line) => Answer::Line(line.trim().to_owned()),
        Err(RecvTimeoutError::Disconnected) => Answer::End,
        Err(RecvTimeoutError::Timeout) => Answer::Silence,
    }
}
