//! What failed: as an end of the command, beside a result, or as a part of one.

use std::fmt;
use std::sync::PoisonError;

use super::{NamedDevice, OutputMode, Reported, Ui, json, style};
use crate::error::{Error, ErrorReport, ExitCode};
use crate::model::{Endpoint, TargetId};
use crate::report::OPERATOR;
use crate::safety::sanitize::sanitize_lines;
use crate::ui::json::Failure;
use crate::ui::out::{flush_stdout, to_stderr};

/// What is told before an interruption.
pub(super) struct LastWord(Box<Words>);

type Words = dyn Fn(&Ui) -> (String, String) + Send;

impl fmt::Debug for LastWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastWord")
    }
}

/// A failure that more than one of several devices may have.
#[derive(Debug)]
pub(super) struct Repeated {
    /// Its code, and its texts without what names the device.
    like: (&'static str, String, String),
    /// Of which it was told.
    first: String,
    /// The others, with what to do about each.
    others: Vec<(String, String)>,
}

/// So many of the devices that failed as another did are named.
const MOST_NAMED: usize = 5;

impl Repeated {
    /// Which devices failed as the first did, with what to paste for each, where that names it.
    fn in_words(&self) -> String {
        let (code, count) = (self.like.0, self.others.len());
        let mut names: Vec<&str> = self.others.iter().take(MOST_NAMED).map(|(name, _)| name.as_str()).collect();
        let more = format!("{} more", count - names.len());
        if count > names.len() {
            names.push(&more);
        }
        let devices = if count == 1 { "1 more device".to_owned() } else { format!("{count} more devices") };
        let mut text = format!("{devices} failed as {} did ({code}): {}", self.first, names.join(", "));
        // A hint without a name in it is the first one's.
        if self.like.2.contains(NAME) {
            let lines = self.others.iter().take(MOST_NAMED).flat_map(|(_, hint)| hint.lines());
            let pasted: String = lines.filter(|line| line.starts_with("  ")).map(|line| format!("\n{line}")).collect();
            text.push_str(&if pasted.is_empty() { pasted } else { format!("\n{pasted}") });
        }
        text
    }
}

/// Stands for what names a device, where what is said of two is compared.
const NAME: &str = "\u{1}";

impl Reported {
    /// Whether it is none that was told of another device.
    fn note_failure(&mut self, device: &NamedDevice, failure: &Failure) -> bool {
        let endpoint = device.endpoint.as_ref();
        let names =
            [Some(device.job.to_string()), endpoint.map(Endpoint::with_port), endpoint.map(Endpoint::to_string)];
        let bare = |text: &str| names.iter().flatten().fold(text.to_owned(), |text, name| text.replace(name, NAME));
        let like = (failure.code, bare(&failure.text), bare(&failure.hint));
        let name = self.names.get(&device.job).cloned().unwrap_or_else(|| device.job.to_string());
        if let Some(known) = self.repeated.iter_mut().find(|known| known.like == like) {
            known.others.push((name, failure.hint.clone()));
            return false;
        }
        self.repeated.push(Repeated { like, first: name, others: Vec::new() });
        true
    }
}

impl Ui {
    /// A failure, with its hint; `job` is the one that it is about. Returns the exit code of the process.
    pub fn failure(&self, job: Option<&TargetId>, error: &Error) -> ExitCode {
        self.status.clear();
        let failure = self.log_failure(error);
        self.show(job, failure);
        error.exit()
    }

    /// The same with nothing logged and nothing drawn: waits for no other thread, whatever that holds.
    pub(crate) fn failure_at_once(&self, error: &Error) {
        self.show(None, self.as_failure(error));
    }

    fn show(&self, job: Option<&TargetId>, failure: Failure) {
        match self.mode {
            OutputMode::Json => {
                // Also those of another job: a node's run goes on as its cluster's.
                self.close_steps(None);
                self.line("error", job, failure);
            }
            OutputMode::Plain | OutputMode::Quiet => show_failure(&failure.text, &failure.hint),
        }
    }

    /// What is told before an interruption from here on: it gives the sentence about it, and the hint.
    pub(crate) fn on_interruption(&self, tell: impl Fn(&Self) -> (String, String) + Send + 'static) {
        *self.last_word.lock().unwrap_or_else(PoisonError::into_inner) = Some(LastWord(Box::new(tell)));
    }

    /// Nothing is, from here on.
    pub(crate) fn no_interruption(&self) {
        *self.last_word.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Tells what there is to tell before an interruption. Gives what is kept, and the hint.
    pub(crate) fn before_interruption(&self) -> (String, String) {
        let last_word = self.last_word.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(LastWord(tell)) = last_word {
            let told = tell(self);
            // The error comes after it, on the other stream.
            flush_stdout();
            return told;
        }
        let kept: Vec<String> = self.reported().kept.iter().map(TargetId::to_string).collect();
        let kept = match &kept[..] {
            [job] => format!("The code and manifest of {job} are stored."),
            _ => "What was kept before is still kept.".to_owned(),
        };
        (kept, "Repeat the same command to continue.".to_owned())
    }

    /// An interruption. What passes the client through says nothing of its own then, as the client alone would not.
    pub(crate) fn interrupted(&self, job: Option<&TargetId>, error: &Error) {
        if self.passes_through {
            self.status.clear();
            return;
        }
        self.last_failure(job, error);
    }

    /// A failure that came in the midst of something, and ends the process.
    pub(crate) fn last_failure(&self, job: Option<&TargetId>, error: &Error) {
        self.status.leave();
        self.failure(job, error);
    }

    /// A failure after which a result is still told; programs read it after that. Returns the exit code of the process.
    pub(crate) fn failure_of_several(&self, error: &Error) -> ExitCode {
        self.failure_beside_result(None, error)
    }

    /// The same, about one job.
    pub(crate) fn failure_beside_result(&self, job: Option<&TargetId>, error: &Error) -> ExitCode {
        self.status.clear();
        let failure = self.log_failure(error);
        if self.mode != OutputMode::Json {
            show_failure(&failure.text, &failure.hint);
        }
        self.reported().failures.push((job.cloned(), failure));
        error.exit()
    }

    /// The same for one of several jobs: the command goes on, and its result says it to programs.
    pub(crate) fn failure_of_one(&self, job: &TargetId, report: &ErrorReport) -> Failure {
        let failure = self.failure_of_row(report);
        self.tell_failure_of_one(job, &failure, true);
        failure
    }

    /// The same for one of several devices. What was told of another already, but for its name, is told again by its name alone, by
    /// [`Ui::tell_repeated`].
    pub(crate) fn failure_of_device(&self, device: &NamedDevice, report: &ErrorReport) -> Failure {
        let failure = self.failure_of_row(report);
        let is_new = self.reported().note_failure(device, &failure);
        self.tell_failure_of_one(&device.job, &failure, is_new);
        failure
    }

    fn tell_failure_of_one(&self, job: &TargetId, failure: &Failure, is_new: bool) {
        tracing::error!(target: OPERATOR, %job, code = failure.code, exit = failure.exit, "{}", failure.text);
        if self.mode == OutputMode::Json {
            self.close_steps(Some(job));
        } else if is_new {
            let name = self.reported().names.get(job).cloned().unwrap_or_else(|| job.to_string());
            self.status.above(&failure_in_words(&format!("{name}: {}", failure.text), &failure.hint));
        }
        self.reported().failures.push((Some(job.clone()), failure.clone()));
    }

    /// How many devices failed as another did of which that was told.
    pub(crate) fn tell_repeated(&self) {
        let repeated = std::mem::take(&mut self.reported().repeated);
        if self.mode == OutputMode::Json {
            return;
        }
        for it in repeated.iter().filter(|it| !it.others.is_empty()) {
            let text = format!("{} {}\n", style::of_errors().apply_to("Error:"), it.in_words());
            self.status.above(&format!("\n{}", style::sentences(&text, style::Stream::Stderr)));
        }
    }

    /// The error that programs are told after the result.
    pub(crate) fn ends_by(&self, job: TargetId, failure: Failure) {
        self.reported().failures = vec![(Some(job), failure)];
    }

    /// The end of a command that told a result and failed all the same: programs get the first failure of those with its exit code.
    pub(crate) fn ends_with(&self, exit: ExitCode) {
        let failures = std::mem::take(&mut self.reported().failures);
        let first = failures.into_iter().find(|(_, failure)| failure.exit == exit as u8);
        if let (OutputMode::Json, Some((job, failure))) = (self.mode, first) {
            self.line("error", job.as_ref(), failure);
        }
    }

    /// The steps of a job that fails are over, those included that began before it was known.
    fn close_steps(&self, job: Option<&TargetId>) {
        let is_meant = |of: &Option<TargetId>| job.is_none() || of.is_none() || of.as_ref() == job;
        let open = std::mem::take(&mut self.reported().open);
        let (failed, still): (Vec<_>, Vec<_>) = open.into_iter().partition(|(of, _)| is_meant(of));
        self.reported().open = still;
        if !self.is_brief {
            for (of, step) in failed {
                self.line("step", of.as_ref(), json::Started { step, status: "failed" });
            }
        }
    }

    /// What a result says of a failure, which is told nowhere else.
    pub(crate) fn failure_of_row(&self, report: &ErrorReport) -> Failure {
        // Paths in it may hold what no terminal should be sent, and no log.
        let tidy = |text: &str| sanitize_lines(text).trim_end_matches('\n').to_owned();
        let (text, hint) = (tidy(&report.sentence), tidy(&self.hint(&report.hint)));
        Failure { code: report.code, exit: report.exit as u8, text, hint }
    }

    fn log_failure(&self, error: &Error) -> Failure {
        let failure = self.as_failure(error);
        tracing::error!(target: OPERATOR, code = failure.code, exit = failure.exit, "{}", failure.text);
        failure
    }

    fn as_failure(&self, error: &Error) -> Failure {
        let exit = if self.passes_through { ExitCode::NotTheClients as u8 } else { exit_of(error) };
        Failure { exit, ..self.failure_of_row(&error.report()) }
    }
}

fn show_failure(text: &str, hint: &str) {
    to_stderr(&failure_in_words(text, hint));
}

fn failure_in_words(text: &str, hint: &str) -> String {
    let text = format!("{} {text}\n\n{hint}\n", style::of_errors().apply_to("Error:"));
    format!("\n{}", style::sentences(&text, style::Stream::Stderr))
}

/// What the process ends with: that of an interruption follows the signal, as a shell says it.
fn exit_of(error: &Error) -> u8 {
    match error {
        Error::Interrupted { signal, .. } => u8::try_from(128 + signal).unwrap_or(ExitCode::Interrupted as u8),
        error => error.exit() as u8,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn devices_that_fail_as_another_did_are_named_with_what_to_do() {
        let id = |n: usize| format!("JID0000000{n}-0000-4000-8000-000000000000");
        let told = |count: usize, hint: &dyn Fn(&str) -> String| {
            let mut reported = Reported::default();
            let is_new: Vec<bool> = (0..count)
                .map(|n| {
                    let device = NamedDevice { job: id(n).parse().unwrap(), label: None, endpoint: None };
                    let failure =
                        Failure { code: "busy", exit: 15, text: format!("{} is busy.", id(n)), hint: hint(&id(n)) };
                    reported.note_failure(&device, &failure)
                })
                .collect();
            assert!(is_new[0] && is_new[1..].iter().all(|it| !it), "{is_new:?}");
            reported.repeated[0].in_words()
        };
        let bare = told(2, &|_| "Wait:\n  snow-onboard status".to_owned());
        assert_eq!(bare, format!("1 more device failed as {} did (busy): {}", id(0), id(1)));
        let named = told(3, &|job| format!("Say where:\n  snow-onboard unlock {job}"));
        let lines = format!("\n\n  snow-onboard unlock {}\n  snow-onboard unlock {}", id(1), id(2));
        assert!(named.ends_with(&format!(": {}, {}{lines}", id(1), id(2))), "{named}");
        let many = told(9, &|_| String::new());
        assert!(many.starts_with("8 more devices") && many.ends_with(&format!("{}, 3 more", id(5))), "{many}");
    }
}
