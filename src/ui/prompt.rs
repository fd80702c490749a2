//! Questions. Asked line by line, which works on every terminal, over ssh, at 40 columns and with a screen reader.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::os;

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

/// Who reads what is typed. A read from a terminal can't be given a deadline, so it is done on a thread, which ends with the
/// process. It reads one line for each question: what is typed at other times is for whoever reads next, as a shell.
struct Reader {
    questions: Sender<()>,
    lines: Receiver<Option<String>>,
    /// The last question had no answer in time, and is still being read for.
    is_reading: bool,
}

static READER: LazyLock<Mutex<Reader>> = LazyLock::new(|| {
    let (questions, asked) = channel();
    let (sender, lines) = channel();
    // Without a thread every question finds the input ended.
    let _ = std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        for () in asked {
            let mut line = Vec::new();
            let has_read = os::read_line(&mut line).is_ok_and(|length| length > 0);
            // An old terminal's ä is no reason to end.
            if sender.send(has_read.then(|| String::from_utf8_lossy(&line).trim().to_owned())).is_err() {
                break;
            }
        }
    });
    Mutex::new(Reader { questions, lines, is_reading: false })
});

/// Forgets what was typed before the question is shown: whoever typed it can't have meant this one.
pub(super) fn forget_typed_ahead() {
    os::forget_typed_ahead();
    let mut reader = READER.lock().unwrap_or_else(PoisonError::into_inner);
    if reader.lines.try_recv().is_ok() {
        reader.is_reading = false;
    }
}

/// How often it is looked whether the shell had the terminal meanwhile.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Waits for a line. Draws the question again where the shell has written below it (Ctrl-Z, then `fg`).
pub(super) fn answer(patience: Duration, draw: impl Fn()) -> Answer {
    let mut reader = READER.lock().unwrap_or_else(PoisonError::into_inner);
    if !reader.is_reading && reader.questions.send(()).is_err() {
        return Answer::End;
    }
    reader.is_reading = false;
    let until = Instant::now() + patience;
    // What came before this question is nothing to it.
    os::was_resumed();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match reader.lines.recv_timeout(left.min(BETWEEN_LOOKS)) {
            Ok(Some(line)) => return Answer::Line(line),
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return Answer::End,
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                reader.is_reading = true;
                return Answer::Silence;
            }
            Err(RecvTimeoutError::Timeout) if os::was_resumed() => draw(),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
