//! `client`: any command of the vendor's client, with streams, folder, signals and exit code as if it had been started alone.

use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::sync::{Mutex, PoisonError};

use super::{needs_stored_code, parse_target_and_node};
use crate::cli::RunClient;
use crate::device::{ClientExit, ClientStreams, SignalSender, State};
use crate::error::{Error, Result};
use crate::flow::{AskedAt, ClientCommand, ClientEnd, Requested};
use crate::model::{Purpose, TargetId};
use crate::os;
use crate::report::{Event, Notify, Reporter};
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::{self, Ui};

/// Where a signal goes while the client runs.
static RUNNING: Mutex<Option<SignalSender>> = Mutex::new(None);

/// Passes the first signal on to the client that runs, which ends as it would alone, or goes on. `false` if nobody takes it, so
/// that it ends this program, and with it the client.
pub(super) fn pass_on(signal: i32) -> bool {
    let sender = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).take();
    sender.is_some_and(|sender| sender.send(signal))
}

pub(super) fn client(args: &RunClient, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ClientExit> {
    let (job, node) = parse_target_and_node(&args.job, settings, reporter)?;
    reporter.is_about(&job);
    if args.args.is_empty() {
        return Err(Error::ClientCommandMissing { job: job.to_string() });
    }
    let words = args.args.iter().map(unicode).collect::<Result<Vec<String>>>()?;
    let command = ClientCommand::of(&words, &job)?;
    needs_stored_code("client", settings)?;
    let folder = std::env::current_dir().map_err(|error| Error::disk("Finding", ".".as_ref(), error))?;
    let record = StateFolder::record_below(&settings.state_dir, &job)?;
    let record = record.ok_or_else(|| Error::nothing_kept(&job))?;
    // Any node may be asked what is about the cluster.
    let node = node.filter(|_| !command.is_for_cluster());
    if job.job().is_none() && node.is_none() && settings.endpoint.is_none() && !command.is_for_cluster() {
        return Err(command.needs_node(&job, Some(&record)));
    }
    let asked_at = AskedAt::find((&job, node.as_ref()), Some(&record), settings).map_err(|error| match error {
        Error::EndpointUnknown { .. } => Error::endpoint_missing(None),
        error => error,
    })?;

    let (mut output, mut errors) = ui.of_client();
    // Where the system can hand its own on, the client has that.
    let input = cfg!(windows).then(|| Box::new(std::io::stdin()) as Box<dyn Read + Send>);
    let streams =
        ClientStreams { input, output: &mut output, is_shown: std::io::stdout().is_terminal(), errors: &mut errors };
    let signals = |sender| {
        // From here on the terminal is the client's.
        ui.of_client();
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = sender;
    };
    let requested =
        Requested { job: job.clone(), purpose: Purpose::Client, settings, reporter: reporter.clone(), ask: ui };
    let ClientEnd { exit, state } = command.run(requested, &asked_at, &folder, streams, &signals)?;
    if exit.code.is_some_and(|code| code != 0) && state != State::Unlocked {
        reporter.notify(Event::Warning(hint(&job, &state)));
    }
    Ok(exit)
}

fn unicode(word: &OsString) -> Result<String> {
    word.to_str().map(str::to_owned).ok_or_else(|| Error::Usage {
        why: "A word of the command for the client is not valid Unicode, so it can't be passed on unchanged."
            .to_owned(),
    })
}

/// For a command that failed on a device that is not open.
fn hint(job: &TargetId, state: &State) -> String {
    format!(
        "The device reports {}. Many of the client's commands need a device that is UNLOCKED. To unlock it: snow-onboard unlock {job}",
        state.as_str()
    )
}

/// Ends as the client did: by its signal, or with its exit code.
pub(super) fn end_as(exit: ClientExit) -> u8 {
    if let Some(signal) = exit.signal {
        ui::finish();
        os::end_by_signal(signal);
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    // What no exit status is on this system is still no success.
    exit.code.map_or(u8::MAX, |code| u8::try_from(code).unwrap_or(u8::MAX))
}
