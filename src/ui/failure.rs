//! What failed: as an end of the command, beside a result, or as a part of one.

use super::{OutputMode, Ui, json, style};
use crate::error::{Error, ErrorReport, ExitCode};
use crate::model::TargetId;
use crate::report::OPERATOR;
use crate::safety::sanitize::sanitize_lines;
use crate::ui::json::Failure;
use crate::ui::out::to_stderr;

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
        self.status.clear();
        let failure = self.log_failure(error);
        if self.mode != OutputMode::Json {
            show_failure(&failure.text, &failure.hint);
        }
        self.reported().failures.push((None, failure));
        error.exit()
    }

    /// The same for one of several jobs: the command goes on, and its result says it to programs.
    pub(crate) fn failure_of_one(&self, job: &TargetId, report: &ErrorReport) -> Failure {
        let failure = self.failure_of_row(report);
        tracing::error!(target: OPERATOR, %job, code = failure.code, exit = failure.exit, "{}", failure.text);
        if self.mode == OutputMode::Json {
            self.close_steps(Some(job));
        } else {
            let name = self.reported().names.get(job).cloned().unwrap_or_else(|| job.to_string());
            self.status.above(&failure_in_words(&format!("{name}: {}", failure.text), &failure.hint));
        }
        self.reported().failures.push((Some(job.clone()), failure.clone()));
        failure
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
