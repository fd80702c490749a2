//! The end of a process of ours by a bug, in this program or in a library: whatever thread panics, all of it ends at once.
//!
//! Nothing is unwound and nothing caught. Without the tables for that the program is a fifth smaller, and a thread that is gone
//! while the others go on is a state that nobody has thought of. So what a `Drop` would put in order is put in order here, as
//! where a process is ended by a signal: what a helper runs and where it lies (`process::end_programs`,
//! `device::remove_homes`), the terminal (`os::tell_of_end`). All else survives a kill, and so it does this.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{completions, exit_of, typed_mode, typed_ui};
use crate::cloud::CREDENTIALS_ARGUMENT;
use crate::device::{self, GUARD_ARGUMENT};
use crate::error::{Error, ExitCode};
use crate::os::{self, process};
use crate::report::Reporter;
use crate::ui::{self, Ui};

/// How long it may take to end what a helper runs and to remove its home: as long as a guard may take whose agent is gone.
const CLEANING: Duration = Duration::from_secs(1);
/// How long it may take to tell of a bug.
const TELLING: Duration = Duration::from_secs(1);
/// What a helper ends with, for the agent to tell: as any program of Rust that panicked.
const PANICKED: i32 = 101;

/// Which of the processes of this program one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The one that somebody started.
    Agent,
    /// One that a shell started, of which somebody is typing a command line.
    Completion,
    /// The agent's, with home and client.
    Guard,
    /// The agent's, with a `credential_process`.
    CredentialsHelper,
}

/// Who speaks for the command that runs.
static VOICE: OnceLock<(Arc<Ui>, Reporter)> = OnceLock::new();

/// Has a bug told by the voice of the command: below what that has drawn, and with the job that it is about.
pub(super) fn tell_with(ui: &Arc<Ui>, reporter: &Reporter) {
    let _ = VOICE.set((Arc::clone(ui), reporter.clone()));
}

impl Part {
    /// That which this process is.
    #[must_use]
    pub fn of_this_process() -> Self {
        match std::env::args_os().nth(1) {
            Some(first) if first == GUARD_ARGUMENT => Self::Guard,
            Some(first) if first == CREDENTIALS_ARGUMENT => Self::CredentialsHelper,
            _ if completions::is_asked() => Self::Completion,
            _ => Self::Agent,
        }
    }

    /// Ends this process, of which a thread has panicked at `place`, within two seconds, whatever the thread holds. For the panic
    /// hook. The panic's message is not shown: that of a library may quote what it was given.
    pub fn end_by_bug(self, place: Option<&Location<'_>>) -> ! {
        static IS_ENDING: AtomicBool = AtomicBool::new(false);
        if IS_ENDING.swap(true, Ordering::SeqCst) {
            // One that comes second, perhaps out of what the first one has done here, which waits for no more than a moment.
            loop {
                std::thread::park();
            }
        }
        let place = place.map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let exit = match self {
            Self::Agent => {
                let exit = exit_of(ExitCode::Internal, crate::cli::is_client_typed());
                tell(&place);
                i32::from(exit)
            }
            // Whoever types goes on typing.
            Self::Completion => 0,
            // Nothing is told: stdout is for reports, and stderr somebody's input. The agent tells that it was lost, and if time runs
            // out here, does the same in its stead.
            Self::Guard | Self::CredentialsHelper => {
                os::within(CLEANING, || {
                    process::end_programs();
                    device::remove_homes();
                });
                PANICKED
            }
        };
        std::process::exit(exit)
    }
}

fn tell(place: &str) {
    let error = || Error::Internal { what: format!("a panic at {place}") };
    if let Some((ui, reporter)) = VOICE.get() {
        let (error, (sender, is_told)) = (error(), std::sync::mpsc::channel());
        os::tell_of_end(TELLING, move || {
            ui.last_failure(reporter.job(), &error);
            ui::start_exit_timer();
            let _ = sender.send(());
            false
        });
        if is_told.try_recv().is_ok() {
            return;
        }
    }
    // Without a voice yet, or with one that waits for what the panicking thread holds.
    let error = error();
    os::tell_of_end(TELLING, move || {
        typed_ui(typed_mode()).failure_at_once(&error);
        ui::start_exit_timer();
        false
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
