//! The only writers of stdout and stderr.
//!
//! stdout carries what a script may want: the result for people, or one JSON object a line with `--json`. Everything
//! on the way goes to stderr. Writing can fail (a closed pipe, a full disk); the run goes on, since a device that is
//! being opened matters more than a line about it. Both streams go through [`Redacting`](crate::redact::Redacting).

mod out;

use std::io::{self, BufRead, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, ExitCode};
use crate::log;
use crate::notice::{Notice, Notify};
use crate::text::clean;
pub use out::finish;
pub(crate) use out::{Stderr, finish_soon};
use out::{to_stderr, to_stdout};

/// How to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Lines for people.
    Plain,
    /// Lines for people, but only errors and results.
    Quiet,
    /// One JSON object a line on stdout, and nothing else there.
    Json,
}

/// How long a question waits for its answer.
const ANSWER: Duration = Duration::from_secs(120);

/// Version of the JSON lines.
const JSON_VERSION: u32 = 1;

/// The voice of the program.
#[derive(Debug)]
pub struct Ui {
    voice: Voice,
    // Notices come from several threads; a line must stay one line.
    last_notice: Mutex<Option<Notice>>,
    /// What is kept by now, for whoever is interrupted.
    kept: Mutex<Option<String>>,
}

#[derive(Serialize)]
struct Event<'a, T> {
    v: u32,
    event: &'a str,
    #[serde(flatten)]
    content: T,
}

#[derive(Serialize)]
struct Step<'a> {
    step: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct Waiting<'a> {
    what: &'a str,
    seconds: u64,
}

#[derive(Serialize)]
struct Received {
    bytes: u64,
    of: Option<u64>,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: &'a str,
    exit: u8,
    text: &'a str,
    hint: &'a str,
}

impl Ui {
    /// A voice for this run.
    #[must_use]
    pub fn new(voice: Voice) -> Self {
        Self { voice, last_notice: Mutex::new(None), kept: Mutex::new(None) }
    }

    /// From here on an interruption says this: a whole sentence on what is kept.
    pub fn is_kept(&self, sentence: String) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(sentence);
    }

    /// What is kept, for the sentence about an interruption.
    #[must_use]
    pub fn kept(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        kept.unwrap_or_else(|| "What was kept before is still kept.".to_owned())
    }

    /// A step of the flow is done. `name` is one word; `text` is one line, with anything foreign in it cleaned before.
    pub fn step(&self, name: &str, text: &str) {
        tracing::info!(target: log::SAID, "{name}: {text}");
        match self.voice {
            Voice::Plain => to_stderr(&format!("{name:<11}{text}\n")),
            Voice::Quiet => {}
            Voice::Json => self.event("step", Step { step: name, text }),
        }
    }

    /// The result, for people: `text` may have several lines. With `--json`, `machine` instead.
    pub fn result(&self, text: &str, machine: impl Serialize) {
        match self.voice {
            Voice::Plain | Voice::Quiet => to_stdout(&format!("{}\n", text.trim_end())),
            Voice::Json => self.event("result", machine),
        }
    }

    /// A failure, with its hint. Returns the exit code of the process.
    pub fn failure(&self, error: &Error) -> ExitCode {
        let report = error.report();
        tracing::error!(target: log::SAID, code = report.code, exit = report.exit as u8, "{}", report.sentence);
        match self.voice {
            Voice::Json => self.event(
                "error",
                Failure { code: report.code, exit: report.exit as u8, text: &report.sentence, hint: &report.hint },
            ),
            Voice::Plain | Voice::Quiet => {
                to_stderr(&format!("\nError: {}\n\n{}\n", report.sentence, report.hint));
            }
        }
        report.exit
    }

    /// Asks a question that is answered by yes or no; anything but yes is no, and so is silence for longer than
    /// two minutes. Without a terminal nothing is asked and the answer is no.
    pub fn ask(&self, question: &str) -> bool {
        if self.voice == Voice::Json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return false;
        }
        to_stderr(&format!("\n{question} [y/N] "));
        let (said, answer) = std::sync::mpsc::channel();
        // A read from a terminal can't be given a deadline. This thread ends with the process if nobody answers.
        std::thread::spawn(move || {
            let mut answer = String::new();
            let read = io::stdin().lock().read_line(&mut answer);
            let _ = said.send(read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"));
        });
        answer.recv_timeout(ANSWER).unwrap_or_else(|_| {
            to_stderr("\nNo answer; taken as no.\n");
            false
        })
    }

    /// Help, a version, or a complaint about the command line, as the command-line parser wrote it.
    pub fn parser_says(text: &str, is_an_error: bool) {
        // It quotes what was typed, which may be a code that was pasted in the wrong place.
        let text = crate::text::clean_lines(text);
        if is_an_error { to_stderr(&text) } else { to_stdout(&text) }
    }

    fn event(&self, event: &str, content: impl Serialize) {
        // Every content here is plain data; a line that can't be made is left out rather than ending the run.
        if let Ok(line) = serde_json::to_string(&Event { v: JSON_VERSION, event, content }) {
            to_stdout(&format!("{line}\n"));
        }
    }
}

impl Notify for Ui {
    fn notify(&self, notice: Notice) {
        // The same words twice in a row tell nobody anything; a wait differs by its seconds.
        let mut last = self.last_notice.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() == Some(&notice) {
            return;
        }
        match &notice {
            Notice::Waiting { what, so_far } => {
                tracing::info!(target: log::SAID, seconds = so_far.as_secs(), "waiting for {}", clean(what));
            }
            Notice::Received { bytes, of } => tracing::info!(target: log::SAID, bytes, of, "received"),
            Notice::Warning(text) => tracing::warn!(target: log::SAID, "{}", clean(text)),
            Notice::Fact(text) => tracing::info!(target: log::SAID, "{}", clean(text)),
        }
        match (self.voice, &notice) {
            (Voice::Plain, Notice::Waiting { what, so_far }) => {
                let so_far = if so_far.as_secs() == 0 { String::new() } else { format!(", {}", in_words(*so_far)) };
                to_stderr(&format!("{:<11}waiting for {}{so_far}\n", "…", clean(what)));
            }
            (Voice::Plain, Notice::Received { bytes, of }) => {
                let of = of.map_or_else(String::new, |of| format!(" of {of}"));
                to_stderr(&format!("{:<11}received {bytes}{of} bytes\n", "…"));
            }
            (Voice::Plain | Voice::Quiet, Notice::Warning(text)) => {
                to_stderr(&format!("{:<11}{}\n", "Warning", clean(text)))
            }
            (Voice::Plain, Notice::Fact(text)) => to_stderr(&format!("{:<11}{}\n", "", clean(text))),
            (Voice::Quiet, _) => {}
            (Voice::Json, Notice::Waiting { what, so_far }) => {
                self.event("waiting", Waiting { what: &clean(what), seconds: so_far.as_secs() });
            }
            (Voice::Json, Notice::Received { bytes, of }) => {
                self.event("received", Received { bytes: *bytes, of: *of })
            }
            (Voice::Json, Notice::Warning(text)) => self.event("warning", Text { text: &clean(text) }),
            (Voice::Json, Notice::Fact(text)) => self.event("fact", Text { text: &clean(text) }),
        }
        *last = Some(notice);
    }
}

/// A duration as a person says it: "12 s", "3 min 5 s".
#[must_use]
pub fn in_words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        for (seconds, words) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (185, "3 min 5 s")] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
