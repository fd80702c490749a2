//! `unlock`: what is stored here is enough; AWS is not asked.

use serde::Serialize;

use super::run::tell;
use crate::cli::Unlock;
use crate::error::{Error, ExitCode, Result};
use crate::flow::{Requested, Unlocked};
use crate::model::{Endpoint, JobId, KeychainKind, Record};
use crate::report::{Event, Notify, Reporter};
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::{Failure, Ui};

/// So many clients are started side by side: each is a JVM.
const SIDE_BY_SIDE: usize = 4;

pub(super) fn unlock(args: &Unlock, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    // Everything that can be mistyped is looked at first.
    let named = args.job.as_deref().map(super::parse_job).transpose()?;
    if settings.keychain == KeychainKind::None {
        return Err(Error::Usage {
            why: "“unlock” uses the stored code, and with --keychain none no code is stored. “run” fetches a new one."
                .to_owned(),
        });
    }
    let stored = StateFolder::kept_below(&settings.state_dir)?;
    match named {
        Some(job) => {
            reporter.is_about(&job);
            let Some((_, record)) = stored.into_iter().find(|(stored, _)| *stored == job) else {
                return Err(Error::not_kept_for_unlock(&job));
            };
            let endpoint = match (&settings.endpoint, last_endpoint(record.as_ref())) {
                (Some(given), _) => given.clone(),
                (None, Some(last)) => {
                    reporter.notify(Event::Fact(format!("The address {last} is that of the last time.")));
                    last
                }
                (None, None) => return Err(Error::EndpointMissing),
            };
            let unlocked = open(&job, &endpoint, settings, ui, reporter)?;
            tell(&unlocked, &endpoint, settings, ui);
            Ok(ExitCode::Done)
        }
        None => Ok(unlock_all(stored, settings, ui, reporter)),
    }
}

fn last_endpoint(record: Option<&Record>) -> Option<Endpoint> {
    record?.hand_overs.last().map(|hand_over| hand_over.endpoint.clone())
}

fn open(job: &JobId, endpoint: &Endpoint, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<Unlocked> {
    Requested { job: job.clone(), settings, reporter: reporter.clone(), ask: ui }
        .check_with_device(endpoint)?
        .take_kept()?
        .hand_over(endpoint)?
        .wait()
}

#[derive(Serialize)]
struct UnlockAllResult {
    jobs: Vec<UnlockRow>,
}

#[derive(Serialize)]
struct UnlockRow {
    job: JobId,
    endpoint: Option<Endpoint>,
    /// `null` if the device was not unlocked.
    was_open_already: Option<bool>,
    /// Why not.
    error: Option<Failure>,
}

/// Each device at its last address. One that fails does not keep the others; the exit code is that of the first that did.
fn unlock_all(stored: Vec<(JobId, Option<Record>)>, settings: &Settings, ui: &Ui, reporter: &Reporter) -> ExitCode {
    let (mut rows, mut exit) = (Vec::new(), ExitCode::Done);
    for some in stored.chunks(SIDE_BY_SIDE) {
        let opened = std::thread::scope(|scope| {
            let opening: Vec<_> = some
                .iter()
                .map(|(job, record)| {
                    let (endpoint, reporter) = (last_endpoint(record.as_ref()), reporter.for_job(job));
                    let at = endpoint.clone();
                    let opened = scope.spawn(move || match at {
                        Some(at) => open(job, &at, settings, ui, &reporter),
                        None => Err(Error::EndpointMissing),
                    });
                    (job, endpoint, opened)
                })
                .collect();
            let join = |(job, endpoint, opened): (_, _, std::thread::ScopedJoinHandle<'_, Result<Unlocked>>)| {
                let died = || Error::Internal { what: "unlocking a device ended in a panic".to_owned() };
                (job, endpoint, opened.join().unwrap_or_else(|_| Err(died())))
            };
            opening.into_iter().map(join).collect::<Vec<_>>()
        });
        for (job, endpoint, opened) in opened {
            let row = UnlockRow { job: job.clone(), endpoint, was_open_already: None, error: None };
            rows.push(match opened {
                Ok(unlocked) => UnlockRow { was_open_already: Some(unlocked.was_open_already), ..row },
                Err(error) => {
                    exit = if exit == ExitCode::Done { error.exit() } else { exit };
                    UnlockRow { error: Some(ui.failure_of_one(job, &error)), ..row }
                }
            });
        }
    }
    let lines: Vec<String> = rows.iter().map(UnlockRow::in_words).collect();
    let text = if lines.is_empty() {
        "No job is stored on this machine.".to_owned()
    } else {
        format!("\n{}", lines.join("\n"))
    };
    ui.result(None, &text, UnlockAllResult { jobs: rows });
    exit
}

impl UnlockRow {
    fn in_words(&self) -> String {
        let endpoint = self.endpoint.as_ref().map_or("address not known".to_owned(), ToString::to_string);
        let state = match self.was_open_already {
            Some(true) => "UNLOCKED already",
            Some(false) => "UNLOCKED",
            None => "not unlocked",
        };
        format!("  {}  {endpoint}  {state}", self.job)
    }
}
