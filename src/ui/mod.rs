//! The only writers of stdout and stderr.
//!
//! stdout carries what a script may want: the result for people, or one JSON object a line with `--json`. Everything
//! on the way goes to stderr. Writing can fail (a closed pipe, a full disk); the run goes on, since a device that is
//! being opened matters more than a line about it. A command that does nothing but tell fails then, at its end. Both
//! streams go through [`Redacting`](crate::safety::redact::Redacting).
//!
//! | file | what |
//! | --- | --- |
//! | `json` | the lines of `--json` |
//! | `look` | width, colours, lines broken to fit a terminal |
//! | `status` | the line that is drawn over again while something is under way |
//! | `prompt` | questions |
//! | `out` | the two streams |

mod json;
mod look;
mod out;
mod prompt;
mod status;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::DecimalBytes;
use serde::Serialize;

use crate::doctor::{Check, Verdict};
use crate::error::{Error, ExitCode};
use crate::report::{Notice, Notify, duration_in_words};
use crate::safety::log;
use crate::safety::sanitize::{sanitize, sanitize_lines};
pub use out::finish;
pub(crate) use out::{Stderr, finish_soon};
use out::{to_stderr, to_stdout};
pub use prompt::Answer;
use status::Status;

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

/// The steps that are told, in JSON by these names in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The vendor's client is found and looked at.
    Client,
    /// What is kept is used; AWS is not asked.
    Kept,
    /// The keychain proves that it keeps.
    Keychain,
    /// AWS is asked for the job.
    Job,
    /// The code goes into the keychain.
    Code,
    /// The manifest is downloaded and put in its place.
    Manifest,
    /// Both halves are compared and looked at.
    Pair,
    /// The client is given both.
    HandOver,
    /// The device opens.
    Device,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "Client",
            Self::Kept => "Kept",
            Self::Keychain => "Keychain",
            Self::Job => "Job",
            Self::Code => "Code",
            Self::Manifest => "Manifest",
            Self::Pair => "Pair",
            Self::HandOver => "Hand-over",
            Self::Device => "Device",
        })
    }
}

/// The voice of the program.
#[derive(Debug)]
pub struct Ui {
    voice: Voice,
    command: &'static str,
    may_ask: bool,
    status: Status,
    /// When the steps began that are not done.
    begun: Mutex<BTreeMap<Step, Instant>>,
    // Notices come from several threads; a line must stay one line.
    last_notice: Mutex<Option<Notice>>,
    /// When a download was last told of in a line of its own.
    last_received: Mutex<Option<Instant>>,
    /// What is kept by now, for whoever is interrupted.
    kept: Mutex<Option<String>>,
}

impl Ui {
    /// A voice that asks nothing and draws nothing: for what goes wrong before a command begins.
    #[must_use]
    pub fn new(voice: Voice) -> Self {
        Self {
            voice,
            command: "",
            may_ask: false,
            status: Status::default(),
            begun: Mutex::default(),
            last_notice: Mutex::default(),
            last_received: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// A voice for this command: results carry its name.
    #[must_use]
    pub fn of(voice: Voice, command: &'static str) -> Self {
        Self { command, ..Self::new(voice) }
    }

    /// The same, which draws a line over again while something is under way, where the terminal can and people are
    /// spoken to. Nothing else may write to stderr then, as a log does.
    #[must_use]
    pub fn with_status(self) -> Self {
        let status = if self.voice == Voice::Plain { Status::where_possible() } else { Status::default() };
        Self { status, ..self }
    }

    /// The same, which asks questions where somebody is there to answer.
    #[must_use]
    pub fn with_questions(self) -> Self {
        Self { may_ask: self.voice != Voice::Json && look::somebody_is_there(), ..self }
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

    /// A step of the flow begins.
    pub fn begin(&self, step: Step) {
        tracing::debug!(target: log::SAID, "{step} begins");
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(step, Instant::now());
        match self.voice {
            Voice::Plain => self.status.begin(&step.to_string()),
            Voice::Quiet => {}
            Voice::Json => self.event("step", json::Started { step, status: "started" }),
        }
    }

    /// A step of the flow is done. `text` is one line.
    pub fn step(&self, step: Step, text: &str) {
        let text = sanitize_lines(text);
        let text = text.trim_end_matches('\n');
        tracing::info!(target: log::SAID, "{step}: {text}");
        let (begun, still) = {
            let mut steps = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            (steps.remove(&step), steps.iter().max_by_key(|(_, since)| **since).map(|(step, _)| *step))
        };
        match self.voice {
            Voice::Plain => {
                self.status.above(&look::named(&step.to_string(), text, &look::of_names()));
                match still {
                    Some(step) => self.status.begin(&step.to_string()),
                    None => self.status.clear(),
                }
            }
            Voice::Quiet => {}
            Voice::Json => {
                let seconds = begun.map_or(0, |begun| begun.elapsed().as_secs());
                self.event("step", json::Finished { step, status: "finished", text, seconds });
            }
        }
    }

    /// What a check found: a line, and beneath it what to do, unless it is as it should be.
    pub fn check(&self, check: &Check) {
        let Check { subject, verdict, text, hint, error } = check;
        tracing::info!(target: log::SAID, "{subject}: {verdict}: {text}");
        self.status.clear();
        match self.voice {
            // Whoever asks for quiet is told of what needs doing.
            Voice::Quiet if matches!(verdict, Verdict::Ok | Verdict::Skipped) => {}
            Voice::Plain | Voice::Quiet => to_stdout(&look::checked(check)),
            Voice::Json => self.event(
                "check",
                json::Checked {
                    check: *subject,
                    verdict: *verdict,
                    text,
                    hint: hint.as_deref(),
                    code: error.map(|(code, _)| code),
                },
            ),
        }
    }

    /// The result, for people: `text` may have several lines. With `--json`, `machine` instead.
    pub fn result(&self, text: &str, machine: impl Serialize) {
        self.status.clear();
        match self.voice {
            Voice::Plain | Voice::Quiet => {
                out::let_stderr_catch_up();
                // Paths and what AWS says may hold what no terminal should be sent.
                let text = sanitize_lines(text.trim_end());
                to_stdout(&look::sentences(&text, look::Stream::Stdout));
            }
            Voice::Json => self.event("result", json::Outcome { command: self.command, content: machine }),
        }
    }

    /// A result that is for another program or a file: `text` goes out as it is.
    pub fn verbatim(&self, text: &str, machine: impl Serialize) {
        self.status.clear();
        match self.voice {
            Voice::Plain | Voice::Quiet => to_stdout(text),
            Voice::Json => self.event("result", json::Outcome { command: self.command, content: machine }),
        }
    }

    /// The answer to a shell that completes a command line. Its separators are control characters.
    pub fn shell_reads(answer: &str) {
        to_stdout(answer);
    }

    /// A failure, with its hint. Returns the exit code of the process.
    pub fn failure(&self, error: &Error) -> ExitCode {
        self.status.clear();
        let report = error.report();
        // Paths in it may hold what no terminal should be sent, and no log.
        let sentence = sanitize_lines(&report.sentence);
        let (sentence, hint) = (sentence.trim_end_matches('\n'), sanitize_lines(&report.hint));
        tracing::error!(target: log::SAID, code = report.code, exit = report.exit as u8, "{sentence}");
        match self.voice {
            Voice::Json => self.event(
                "error",
                json::Failure {
                    code: report.code,
                    exit: exit_of(error),
                    text: sentence,
                    hint: hint.trim_end_matches('\n'),
                },
            ),
            Voice::Plain | Voice::Quiet => {
                let text = format!("{} {sentence}\n\n{hint}", look::of_errors().apply_to("Error:"));
                to_stderr(&format!("\n{}", look::sentences(&text, look::Stream::Stderr)));
            }
        }
        report.exit
    }

    /// The end of a command of which the output is all there is to it: a failure if some of that could not be written, of
    /// which stderr is told in words, since nothing more can be said on stdout.
    #[must_use]
    pub fn unless_lost(exit: ExitCode) -> ExitCode {
        let Some(why) = out::lost_of_stdout() else { return exit };
        let failed = Self::new(Voice::Plain).failure(&Error::OutputLost { why });
        if exit == ExitCode::Done { failed } else { exit }
    }

    /// Whether somebody is there who can be asked for what is missing, and may be. Where the result goes to a program nobody
    /// expects questions.
    #[must_use]
    pub fn may_guide(&self) -> bool {
        self.may_ask && look::is_seen()
    }

    /// Whether programs are spoken to.
    #[must_use]
    pub fn is_for_programs(&self) -> bool {
        self.voice == Voice::Json
    }

    /// Asks a question that is answered by yes or no; anything but “yes” is no, and so is silence for longer than
    /// two minutes. Where nobody can be asked the answer is no.
    pub fn ask(&self, question: &str) -> bool {
        if !self.may_ask {
            return false;
        }
        // The whole word: an Enter or a y too many is no consent.
        match self.put(&format!("{question} [yes/N]"), prompt::SHORT_PATIENCE) {
            Answer::Line(line) => line.eq_ignore_ascii_case("yes"),
            Answer::End => false,
            Answer::Silence => {
                to_stderr("\nNo answer; taken as no.\n");
                false
            }
        }
    }

    /// Asks for a line of text. To be called only where [`Ui::may_guide`].
    pub fn ask_for_line(&self, question: &str) -> Answer {
        self.put(question, prompt::PATIENCE)
    }

    /// Something said before a question: whole lines, as they are to stand, but for what no terminal should be sent.
    pub fn tell(&self, text: &str) {
        let text = sanitize_lines(text);
        let text = text.trim_end_matches('\n');
        tracing::info!(target: log::SAID, "{text}");
        self.status.clear();
        to_stderr(&format!("{}\n", look::sentences(text, look::Stream::Stderr)));
    }

    fn put(&self, question: &str, patience: Duration) -> Answer {
        self.status.clear();
        tracing::info!(target: log::SAID, "asked: {question}");
        prompt::forget_typed_ahead();
        to_stderr(&format!("\n{} ", look::sentences(question, look::Stream::Stderr)));
        prompt::answer(patience)
    }

    /// Help, a version, or a complaint about the command line, as the command-line parser wrote it.
    pub fn parser_says(text: &str, is_an_error: bool) {
        // It quotes what was typed, which may be a code that was pasted in the wrong place.
        let text = sanitize_lines(text);
        if is_an_error { to_stderr(&text) } else { to_stdout(&text) }
    }

    fn event(&self, event: &str, content: impl Serialize) {
        if let Some(line) = json::line(event, content) {
            to_stdout(&line);
        }
    }

    fn notify_people(&self, notice: &Notice) {
        match notice {
            Notice::Waiting { what, so_far } => {
                let what = sanitize(what);
                if self.status.is_drawn() {
                    self.status.show(&format!("waiting for {what}"));
                    return;
                }
                let so_far =
                    if so_far.as_secs() == 0 { String::new() } else { format!(", {}", duration_in_words(*so_far)) };
                to_stderr(&look::named("…", &format!("waiting for {what}{so_far}"), &look::of_waits()));
            }
            Notice::Received { bytes, of } => {
                let of = of.map_or_else(String::new, |of| format!(" of {}", DecimalBytes(of)));
                let text = format!("received {}{of}", DecimalBytes(*bytes));
                if self.status.is_drawn() {
                    self.status.show(&text);
                } else if self.is_time_for_a_line() {
                    to_stderr(&look::named("…", &text, &look::of_waits()));
                }
            }
            Notice::Warning(text) => self.status.above(&look::named("Warning", &sanitize(text), &look::of_warnings())),
            Notice::Fact(text) => self.status.above(&look::named("", &sanitize(text), &look::of_names())),
        }
    }

    /// Whether the last line about a download is some time ago: who reads a log does not want one twice a second.
    fn is_time_for_a_line(&self) -> bool {
        const BETWEEN: Duration = Duration::from_secs(5);
        let mut last = self.last_received.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = last.is_none_or(|last| last.elapsed() >= BETWEEN);
        if is_time {
            *last = Some(Instant::now());
        }
        is_time
    }
}

/// What the process ends with: that of an interruption follows the signal, as a shell says it.
fn exit_of(error: &Error) -> u8 {
    match error {
        Error::Interrupted { signal, .. } => u8::try_from(128 + signal).unwrap_or(ExitCode::Interrupted as u8),
        error => error.exit() as u8,
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
                tracing::info!(target: log::SAID, seconds = so_far.as_secs(), "waiting for {}", sanitize(what));
            }
            Notice::Received { bytes, of } => tracing::info!(target: log::SAID, bytes, of, "received"),
            Notice::Warning(text) => tracing::warn!(target: log::SAID, "{}", sanitize(text)),
            Notice::Fact(text) => tracing::info!(target: log::SAID, "{}", sanitize(text)),
        }
        match (self.voice, &notice) {
            (Voice::Plain, notice) | (Voice::Quiet, notice @ Notice::Warning(_)) => self.notify_people(notice),
            (Voice::Quiet, _) => {}
            (Voice::Json, Notice::Waiting { what, so_far }) => {
                self.event("waiting", json::Waiting { what: &sanitize(what), seconds: so_far.as_secs() });
            }
            (Voice::Json, Notice::Received { bytes, of }) => {
                self.event("received", json::Received { bytes: *bytes, of: *of });
            }
            (Voice::Json, Notice::Warning(text)) => self.event("warning", json::Text { text: &sanitize(text) }),
            (Voice::Json, Notice::Fact(text)) => self.event("fact", json::Text { text: &sanitize(text) }),
        }
        *last = Some(notice);
    }
}
