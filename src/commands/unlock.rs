//! `unlock`: what is stored here is enough; AWS is not asked.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::run::tell;
use crate::cli::Unlock;
use crate::error::{Error, ExitCode, Result};
use crate::flow::{Requested, Unlocked};
use crate::model::{Endpoint, JobId, KeychainKind, Purpose, Record};
use crate::report::{Ask, Event, Notify, Reporter};
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
            why: "“unlock” uses the stored code, and keychain is none (“snow-onboard settings” shows where that was said). \
                  Name the keychain that the code is in, for example --keychain system."
                .to_owned(),
        });
    }
    let stored = StateFolder::kept_below(&settings.state_dir)?;
    match named {
        Some(job) => {
            reporter.is_about(&job);
            let Some((_, record)) = stored.into_iter().find(|(stored, _)| *stored == job) else {
                return Err(Error::PairNotKept { job: job.to_string() });
            };
            let endpoint = match (&settings.endpoint, last_endpoint(record.as_ref())) {
                (Some(given), _) => given.clone(),
                (None, Some(last)) => {
                    reporter.notify(Event::Fact(format!("The address {last} is that of the last time.")));
                    last
                }
                (None, None) => return Err(Error::EndpointUnknown { job: job.to_string() }),
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

fn open(job: &JobId, endpoint: &Endpoint, settings: &Settings, ask: &dyn Ask, reporter: &Reporter) -> Result<Unlocked> {
    Requested { job: job.clone(), purpose: Purpose::Unlock, settings, reporter: reporter.clone(), ask }
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

/// With several devices nobody is asked: two questions at once are answered by nobody who knows which is which.
struct Nobody;

impl Ask for Nobody {
    fn ask(&self, _question: &str) -> bool {
        false
    }
}

/// Each device at its last address. One that fails, or that is waited for, does not keep the others; the exit code is that of the
/// first that failed.
fn unlock_all(stored: Vec<(JobId, Option<Record>)>, settings: &Settings, ui: &Ui, reporter: &Reporter) -> ExitCode {
    let (queue, rows) = (Mutex::new(stored.into_iter()), Mutex::new(Vec::new()));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let exit = Mutex::new(ExitCode::Done);
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some((job, record)) = next() {
                    let endpoint = last_endpoint(record.as_ref());
                    let opened = match &endpoint {
                        Some(at) => open(&job, at, settings, &Nobody, &reporter.for_job(&job)),
                        None => Err(Error::EndpointUnknown { job: job.to_string() }),
                    };
                    let (was_open_already, error) = match opened {
                        Ok(unlocked) => (Some(unlocked.was_open_already), None),
                        Err(error) => {
                            let mut exit = exit.lock().unwrap_or_else(PoisonError::into_inner);
                            *exit = if *exit == ExitCode::Done { error.exit() } else { *exit };
                            (None, Some(ui.failure_of_one(&job, &error)))
                        }
                    };
                    let row = UnlockRow { job, endpoint, was_open_already, error };
                    rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by(|one, other| one.job.as_str().cmp(other.job.as_str()));
    let lines: Vec<String> = rows.iter().map(UnlockRow::in_words).collect();
    let text = if lines.is_empty() {
        "No job is stored on this machine.".to_owned()
    } else {
        format!("\n{}", lines.join("\n"))
    };
    ui.result(None, &text, UnlockAllResult { jobs: rows });
    exit.into_inner().unwrap_or_else(PoisonError::into_inner)
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
