//! The only writers of stdout and stderr.
//!
//! stdout carries what a script may want: the result for people, or one JSON object a line with `--json`. Everything
//! on the way goes to stderr. Writing can fail (a closed pipe, a full disk); the run goes on, since a device that is
//! being opened matters more than a line about it. A command that does nothing but tell fails then, at its end. Both
//! streams go through [`Redacting`](crate::safety::redact::Redacting).
//!
//! | file | what |
//! | --- | --- |
//! | `failure` | what failed, for people and for programs |
//! | `json` | the lines of `--json` |
//! | `look` | width, colours, lines broken to fit a terminal |
//! | `status` | the line, or the table of devices, that is drawn over again while something is under way |
//! | `devices` | several devices at once: their names, and a line each in that table |
//! | `prompt` | questions |
//! | `out` | the two streams |

mod devices;
mod failure;
mod json;
mod out;
mod prompt;
mod status;
mod style;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::DecimalBytes;
use serde::Serialize;

use crate::error::{Error, ExitCode, HintRules, io_in_words};
use crate::model::TargetId;
use crate::os;
use crate::report::{Ask, Check, Event, OPERATOR, Observer, Step, Verdict, duration_in_words};
use crate::safety::sanitize::sanitize_lines;
pub(crate) use devices::{NamedDevice, Stage};
pub(crate) use json::Failure;
pub use out::finish;
pub(crate) use out::{Stderr, start_exit_timer};
use out::{to_stderr, to_stdout};
pub use prompt::Answer;
use status::Status;

/// How to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMode {
    /// Lines for people.
    Plain,
    /// Lines for people, but only errors and results.
    Quiet,
    /// One JSON object a line on stdout, and nothing else there.
    Json,
}

/// The voice of the program.
#[derive(Debug)]
pub struct Ui {
    mode: OutputMode,
    command: &'static str,
    may_ask: bool,
    /// Only what needs doing is told in lines.
    is_brief: bool,
    /// stdout and the exit code are the vendor's client's.
    passes_through: bool,
    status: Status,
    reported: Mutex<Reported>,
    /// What the settings make of hints, once they are known.
    hints: OnceLock<HintRules>,
    last_word: Mutex<Option<failure::LastWord>>,
}

/// What has been reported by now.
#[derive(Debug, Default)]
struct Reported {
    /// What to call the devices of a command that works on several.
    names: BTreeMap<TargetId, String>,
    jobs: BTreeSet<TargetId>,
    /// Those of which the pair is kept, for whoever is interrupted.
    kept: BTreeSet<TargetId>,
    /// The steps that are not done, the last that began at the end.
    open: Vec<(Option<TargetId>, Step)>,
    /// What was done last for each of them.
    doing: BTreeMap<TargetId, String>,
    /// How often a failure of one of them was that of another before.
    repeated: Vec<failure::Repeated>,
    /// What failed beside a result, with the job that it is about.
    failures: Vec<(Option<TargetId>, Failure)>,
    /// When a download was last told of in a line of its own.
    received: BTreeMap<Option<TargetId>, Instant>,
    /// The questions that were answered with yes, for as long as the command runs.
    agreed: BTreeSet<String>,
}

impl Ui {
    /// A voice that asks nothing and draws nothing: for what goes wrong before a command begins.
    #[must_use]
    pub fn new(mode: OutputMode) -> Self {
        Self {
            mode,
            command: "",
            may_ask: false,
            is_brief: false,
            passes_through: false,
            status: Status::default(),
            reported: Mutex::default(),
            hints: OnceLock::new(),
            last_word: Mutex::default(),
        }
    }

    /// A voice for this command: results carry its name.
    #[must_use]
    pub fn of(mode: OutputMode, command: &'static str) -> Self {
        Self { command, ..Self::new(mode) }
    }

    /// The same, which draws a line over again while something is under way, where the terminal can and people are
    /// spoken to. Nothing else may write to stderr then, as a log does.
    #[must_use]
    pub(crate) fn with_status(self) -> Self {
        let status = if self.mode == OutputMode::Plain { Status::where_possible() } else { Status::default() };
        Self { status, ..self }
    }

    /// The same, which asks questions where somebody is there to answer.
    #[must_use]
    pub(crate) fn with_questions(self) -> Self {
        Self { may_ask: self.mode != OutputMode::Json && style::terminals_are_there(), ..self }
    }

    /// The same, for a command of which the result, or what the client says, is all there is to read: of what goes on nothing is
    /// told but what needs doing, and what is drawn over again.
    #[must_use]
    pub(crate) fn brief(self) -> Self {
        Self { is_brief: true, ..self }
    }

    /// The same, where stdout and the exit code are the vendor's client's: what there is to say goes to stderr, also in JSON.
    #[must_use]
    pub(crate) fn passing_through(self) -> Self {
        Self { passes_through: true, ..self.brief() }
    }

    /// Where what the client says goes, byte for byte: stdout and stderr.
    pub(crate) fn of_client(&self) -> (out::Passed, out::Passed) {
        self.status.clear();
        out::flush_stderr();
        (out::Passed::Stdout, out::Passed::Stderr)
    }

    /// From now on hints are as these have them.
    pub(crate) fn hints_follow(&self, rules: HintRules) {
        let _ = self.hints.set(rules);
    }

    /// A hint, or what a result tells to paste, as it is true on this machine and says again what was given.
    pub(crate) fn hint(&self, text: &str) -> String {
        let Some(rules) = self.hints.get() else { return text.to_owned() };
        // A command that says again what was given has paths in it that nobody has looked at yet.
        sanitize_lines(&rules.apply(text)).trim_end_matches('\n').to_owned()
    }

    /// The result, for people: `text` may have several lines. With `--json`, `machine` instead, and the job that it is about.
    pub fn result(&self, job: Option<&TargetId>, text: &str, machine: impl Serialize) {
        self.status.end_table();
        match self.mode {
            OutputMode::Plain | OutputMode::Quiet => {
                out::flush_stderr();
                // Paths and what AWS says may hold what no terminal should be sent.
                let text = sanitize_lines(text.trim_end());
                to_stdout(&style::sentences(&text, style::Stream::Stdout));
            }
            OutputMode::Json => self.line("result", job, json::ResultLine { command: self.command, content: machine }),
        }
    }

    /// Something that a command is there to tell while it goes on: for people a line, for programs an event of this name.
    pub(crate) fn told(&self, event: &str, job: &TargetId, text: &str, machine: impl Serialize) {
        self.status.clear();
        match self.mode {
            OutputMode::Json => self.line(event, Some(job), machine),
            OutputMode::Plain | OutputMode::Quiet => to_stdout(&format!("{}\n", sanitize_lines(text).trim_end())),
        }
    }

    /// A result that is for another program or a file: `text` goes out as it is.
    pub(crate) fn verbatim(&self, text: &str, machine: impl Serialize) {
        self.status.clear();
        match self.mode {
            OutputMode::Plain | OutputMode::Quiet => to_stdout(text),
            OutputMode::Json => self.line("result", None, json::ResultLine { command: self.command, content: machine }),
        }
    }

    /// A secret for the program that reads stdout: as it is, and past the redaction, which takes it out of all else that is said.
    ///
    /// # Errors
    /// [`Error::OutputLost`].
    pub(crate) fn hand_out(&self, document: &[u8]) -> crate::error::Result<()> {
        self.status.clear();
        out::unredacted_to_stdout(document).map_err(|error| Error::OutputLost { why: io_in_words(&error) })
    }

    /// Whether somebody sees what goes to stdout.
    #[must_use]
    pub(crate) fn is_seen(&self) -> bool {
        style::is_seen()
    }

    /// The answer to a shell that completes a command line. Its separators are control characters.
    pub fn shell_reads(answer: &str) {
        to_stdout(answer);
    }

    /// The end of a command of which the output is all there is to it: a failure if some of that could not be written, of
    /// which stderr is told in words, since nothing more can be said on stdout.
    #[must_use]
    pub(crate) fn unless_lost(exit: ExitCode) -> ExitCode {
        let Some(why) = out::lost_of_stdout() else { return exit };
        let failed = Self::new(OutputMode::Plain).failure(None, &Error::OutputLost { why });
        if exit == ExitCode::Done { failed } else { exit }
    }

    /// Whether somebody is there who can be asked for what is missing, and may be. Where the result goes to a program nobody
    /// expects questions.
    #[must_use]
    pub(crate) fn can_prompt(&self) -> bool {
        self.may_ask && style::is_seen()
    }

    /// Why it can't be asked for what is missing; begins a sentence.
    pub(crate) fn why_nobody_is_asked(&self, no_input: bool) -> &'static str {
        match (no_input, self.is_for_programs()) {
            (true, _) => "With --no-input nothing is asked",
            (_, true) => "With --json nothing is asked",
            _ if self.is_seen() && style::terminals_are_there() => "With --no-input nothing is asked",
            _ => "This program cannot ask, because it has no terminal",
        }
    }

    /// Whether programs are spoken to.
    #[must_use]
    pub(crate) fn is_for_programs(&self) -> bool {
        self.mode == OutputMode::Json
    }

    /// Asks for a line of text. To be called only where [`Ui::can_prompt`].
    pub(crate) fn ask_for_line(&self, question: &str) -> Answer {
        self.put(question, prompt::PATIENCE)
    }

    /// Something said before a question: whole lines, as they are to stand, but for what no terminal should be sent.
    pub fn tell(&self, text: &str) {
        let text = sanitize_lines(text);
        let text = text.trim_end_matches('\n');
        tracing::info!(target: OPERATOR, "{text}");
        self.status.clear();
        to_stderr(&format!("{}\n", style::sentences(text, style::Stream::Stderr)));
    }

    fn put(&self, question: &str, patience: Duration) -> Answer {
        self.status.clear();
        tracing::info!(target: OPERATOR, "asked: {question}");
        prompt::forget_typed_ahead();
        let draw = || to_stderr(&format!("\n{} ", style::sentences(question, style::Stream::Stderr)));
        draw();
        prompt::answer(patience, draw)
    }

    /// Help, a version, or a complaint about the command line, as the command-line parser wrote it.
    pub(crate) fn parser_says(text: &str, is_an_error: bool) {
        // It quotes what was typed, which may be a code that was pasted in the wrong place.
        let text = sanitize_lines(text);
        if is_an_error { to_stderr(&text) } else { to_stdout(&text) }
    }

    fn line(&self, event: &str, job: Option<&TargetId>, content: impl Serialize) {
        if let Some(line) = json::line(event, job, content) {
            if self.passes_through { to_stderr(&line) } else { to_stdout(&line) }
        }
    }

    fn reported(&self) -> MutexGuard<'_, Reported> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show_to_people(&self, job: Option<&TargetId>, event: &Event) {
        if job.is_some_and(|job| self.show_in_table(job, event)) {
            return;
        }
        let whose = |text| self.attributed(job, text);
        match event {
            Event::Started(step) => self.status.begin(&step.to_string()),
            Event::Finished { step, text, .. } => {
                self.status.above(&style::named(&step.to_string(), &whose(text), &style::of_names()));
                let still = self.reported().open.last().map(|(_, step)| *step);
                match still {
                    Some(_) if self.status.has_table() => {}
                    Some(step) => self.status.begin(&step.to_string()),
                    None => self.status.rest(),
                }
            }
            Event::Checked(check) => {
                self.status.clear();
                to_stdout(&style::checked(check));
            }
            Event::Node(node) => {
                self.status.above(&style::named("", &whose(&node.in_words()), &style::of_names()));
            }
            Event::PairKept => {}
            Event::Waiting { what, so_far } => {
                let text = format!("waiting for {what}");
                if self.status.is_drawn() {
                    self.status.show(&whose(&text));
                    return;
                }
                let so_far =
                    if so_far.as_secs() == 0 { String::new() } else { format!(", {}", duration_in_words(*so_far)) };
                to_stderr(&style::named("…", &whose(&format!("{text}{so_far}")), &style::of_waits()));
            }
            Event::Received { bytes, of } => {
                let text = received_in_words(*bytes, *of);
                if self.status.is_drawn() {
                    self.status.show(&whose(&text));
                } else if self.is_time_for_a_line(job) {
                    to_stderr(&style::named("…", &whose(&text), &style::of_waits()));
                }
            }
            Event::Warning(text) => self.status.above(&style::named("Warning", &whose(text), &style::of_warnings())),
            Event::Fact(text) => self.status.above(&style::named("", &whose(text), &style::of_names())),
        }
    }

    /// The line that is drawn over again, and nothing that stays.
    fn show_in_brief(&self, event: &Event) {
        match event {
            Event::Started(step) => self.status.begin(&step.to_string()),
            Event::Finished { .. } if self.reported().open.is_empty() => self.status.rest(),
            _ => {}
        }
    }

    fn show_to_programs(&self, job: Option<&TargetId>, event: &Event) {
        match event {
            Event::Started(step) => self.line("step", job, json::Started { step: *step, status: "started" }),
            Event::Finished { step, text, took } => {
                let content = json::Finished { step: *step, status: "finished", text, seconds: took.as_secs() };
                self.line("step", job, content);
            }
            Event::Checked(check) => self.line("check", job, json::CheckLine::from(check)),
            Event::Node(node) => self.line("node", job, node),
            Event::PairKept => {}
            Event::Waiting { what, so_far } => {
                self.line("waiting", job, json::Waiting { what, seconds: so_far.as_secs() });
            }
            Event::Received { bytes, of } => self.line("received", job, json::Received { bytes: *bytes, of: *of }),
            Event::Warning(text) => self.line("warning", job, json::Text { text }),
            Event::Fact(text) => self.line("fact", job, json::Text { text }),
        }
    }

    /// `text` as it is; where several jobs report, with the one that it is about.
    fn attributed<'a>(&self, job: Option<&TargetId>, text: &'a str) -> Cow<'a, str> {
        let Some(job) = job else { return text.into() };
        let reported = self.reported();
        match reported.names.get(job) {
            // It begins with the id already.
            Some(name) if name == job.as_str() && text.starts_with(name) => text.into(),
            Some(name) => format!("{name}: {text}").into(),
            None if reported.jobs.len() > 1 => format!("{job}: {text}").into(),
            None => text.into(),
        }
    }

    /// Whether the last line about this download is some time ago: who reads a log does not want one twice a second.
    fn is_time_for_a_line(&self, job: Option<&TargetId>) -> bool {
        const BETWEEN: Duration = Duration::from_secs(5);
        let mut reported = self.reported();
        let is_time = reported.received.get(&job.cloned()).is_none_or(|last| last.elapsed() >= BETWEEN);
        if is_time {
            reported.received.insert(job.cloned(), Instant::now());
        }
        is_time
    }
}

impl Reported {
    fn note(&mut self, job: Option<&TargetId>, event: &Event) {
        self.jobs.extend(job.cloned());
        if let (Some(job), Some(doing)) = (job, devices::doing(event)) {
            self.doing.insert(job.clone(), doing);
        }
        match event {
            Event::Started(step) => {
                self.close(job, *step);
                self.open.push((job.cloned(), *step));
            }
            Event::Finished { step, .. } => self.close(job, *step),
            Event::PairKept => self.kept.extend(job.cloned()),
            _ => {}
        }
    }

    /// Also what began before the job was known.
    fn close(&mut self, job: Option<&TargetId>, step: Step) {
        self.open.retain(|(of, open)| *open != step || of.as_ref().is_some_and(|of| Some(of) != job));
    }
}

impl Observer for Ui {
    fn event(&self, job: Option<&TargetId>, event: &Event) {
        self.reported().note(job, event);
        if let Event::Checked(Check {
            verdict: Verdict::Fails,
            text,
            hint: Some(hint),
            error: Some((code, exit)),
            ..
        }) = event
        {
            let failure = Failure { code, exit: *exit as u8, text: text.clone(), hint: self.hint(hint) };
            self.reported().failures.push((None, failure));
        }
        let event = &match event {
            Event::Warning(text) => Event::Warning(self.hint(text)),
            Event::Checked(check) => {
                let mut check = check.clone();
                check.hint = check.hint.map(|hint| self.hint(&hint));
                Event::Checked(check)
            }
            event => event.clone(),
        };
        // Whoever asks for quiet is told of what needs doing.
        let needs_doing = match event {
            Event::Warning(_) => true,
            Event::Checked(check) => !matches!(check.verdict, Verdict::Ok | Verdict::Skipped),
            _ => false,
        };
        let is_wait = matches!(event, Event::Waiting { .. });
        match self.mode {
            OutputMode::Json if self.is_brief && !needs_doing && (self.passes_through || !is_wait) => {}
            OutputMode::Json => self.show_to_programs(job, event),
            OutputMode::Quiet if !needs_doing => {}
            OutputMode::Plain if self.is_brief && !needs_doing && !is_wait => self.show_in_brief(event),
            OutputMode::Plain if self.passes_through && !needs_doing && !self.status.is_drawn() => {}
            OutputMode::Plain | OutputMode::Quiet => self.show_to_people(job, event),
        }
    }

    fn ask_for_unseen_line(&self, question: &str, patience: Duration) -> Option<String> {
        if !self.may_ask {
            return None;
        }
        os::stop_echo();
        let answer = self.put(question, patience);
        os::restore_echo();
        // The Enter was not shown either.
        to_stderr("\n");
        match answer {
            Answer::Line(line) => Some(line),
            Answer::End | Answer::Silence => Some(String::new()),
        }
    }
}

impl Ui {
    /// Asks what can be undone: “y” is enough for that, as for other programs. Else as [`Ask::ask`].
    pub(crate) fn ask_lightly(&self, question: &str) -> bool {
        self.agrees(question, |line| line.eq_ignore_ascii_case("yes") || line.eq_ignore_ascii_case("y"))
    }

    fn agrees(&self, question: &str, is_yes: impl FnOnce(&str) -> bool) -> bool {
        if !self.may_ask {
            return false;
        }
        match self.put(&format!("{question} [yes/N]"), prompt::SHORT_PATIENCE) {
            Answer::Line(line) => is_yes(&line),
            Answer::End => false,
            Answer::Silence => {
                to_stderr("\nNo answer was given, so the answer is no.\n");
                false
            }
        }
    }
}

impl Ask for Ui {
    /// Anything but “yes” is no, and so is silence for longer than two minutes.
    fn ask(&self, question: &str) -> bool {
        // The whole word: an Enter or a y too many is no consent.
        self.agrees(question, |line| line.eq_ignore_ascii_case("yes"))
    }

    fn ask_once(&self, question: &str) -> bool {
        let is_agreed = self.reported().agreed.contains(question) || self.ask(question);
        if is_agreed {
            self.reported().agreed.insert(question.to_owned());
        }
        is_agreed
    }
}

fn received_in_words(bytes: u64, of: Option<u64>) -> String {
    let of = of.map_or_else(String::new, |of| format!(" of {}", DecimalBytes(of)));
    format!("received {}{of}", DecimalBytes(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_that_holds_for_the_whole_command_is_remembered_with_its_question() {
        let ui = Ui::new(OutputMode::Quiet);
        assert!(!ui.ask_once("Use it?") && ui.reported().agreed.is_empty(), "nobody can be asked");
        ui.reported().agreed.insert("Use it?".to_owned());
        assert!(ui.ask_once("Use it?") && !ui.ask_once("Use that?") && !ui.ask("Use it?"));
    }

    #[test]
    fn lines_name_their_job_once_a_second_one_reports() {
        let ui = Ui::new(OutputMode::Quiet);
        let job =
            |digit: &str| format!("JID{}-0000-4000-8000-000000000000", digit.repeat(8)).parse::<TargetId>().unwrap();
        let (one, other) = (job("1"), job("2"));
        let report = |job: &TargetId| ui.event(Some(job), &Event::Started(Step::Device));
        report(&one);
        report(&one);
        assert_eq!(ui.attributed(Some(&one), "text"), "text");
        report(&other);
        assert_eq!(ui.attributed(Some(&one), "text"), format!("{one}: text"));
        assert_eq!(ui.attributed(None, "text"), "text");
        // Each job's step is its own: that of one is open when the other's is done.
        ui.event(Some(&other), &Event::Finished { step: Step::Device, text: String::new(), took: Duration::ZERO });
        assert_eq!(ui.reported().open, [(Some(one), Step::Device)]);
    }
}
