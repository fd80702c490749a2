//! What a run needs before it has a pair: a client and a keychain, which several jobs of one command may share.

use std::sync::{Arc, Mutex, PoisonError};

use crate::device::{Client, Device, Places, Preparation, Preparing};
use crate::error::{Error, ErrorReport, Result};
use crate::keychain::{Keychain, KeychainSettings};
use crate::model::{KeychainKind, KnownClient, PrivateHome};
use crate::report::{Ask, Notify, Reporter, while_waiting};
use crate::settings::Settings;
use crate::store::StateFolder;

/// Finds the client and begins to ask it for its version, in a private home that a guard makes.
pub(super) fn prepare_client(
    settings: &Settings,
    reporter: &Reporter,
    ask: &dyn Ask,
    state: &StateFolder,
) -> Result<Preparing> {
    let client = Client::find(&settings.client(), reporter)?;
    begin(client, state.known_clients(), settings, reporter, ask, state)
}

fn begin(
    client: Client,
    known: Vec<KnownClient>,
    settings: &Settings,
    reporter: &Reporter,
    ask: &dyn Ask,
    state: &StateFolder,
) -> Result<Preparing> {
    Device::begin(Preparation {
        client,
        known,
        keep_away: &[state.path()],
        places: Places::of_system(),
        on_disk: &|error| match settings.private_home {
            PrivateHome::Memory => false,
            PrivateHome::Ask => ask.ask(&format!("{error}\nCreate the private folder on that disk anyway?")),
            PrivateHome::Disk => true,
        },
        guard: None,
        notify: reporter.shared(),
    })
}

/// The client of several jobs of one command, found and asked once for all of them. It is hashed once to know it, and by each job
/// anew right before the code is given to it.
#[derive(Default)]
pub(crate) struct SharedClient(Mutex<Option<Asked>>);

/// What came of asking the client for the first job.
enum Asked {
    /// It is this one, which said this.
    Knows(Box<Client>, KnownClient),
    /// It said what is not to be kept, so each job asks it.
    Once,
    /// It is not to be used, for any job.
    Failed(Error),
}

impl SharedClient {
    /// What [`prepare_client`] does. The first job asks the client, and the others wait for the answer.
    pub(super) fn prepare(
        &self,
        settings: &Settings,
        reporter: &Reporter,
        ask: &dyn Ask,
        state: &StateFolder,
    ) -> Result<Preparing> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut asked = while_waiting(reporter, "the client to answer another job of this command", lock);
        let (client, known) = match &*asked {
            Some(Asked::Knows(client, known)) => (Client::clone(client), vec![known.clone()]),
            Some(Asked::Once) => {
                drop(asked);
                return prepare_client(settings, reporter, ask, state);
            }
            Some(Asked::Failed(error)) => return Err(error.clone()),
            None => {
                let first = prepare_client(settings, reporter, ask, state).and_then(Preparing::finish);
                *asked = match &first {
                    Ok(device) => Some(match device.known() {
                        Ok(Some(known)) => Asked::Knows(Box::new(device.client().clone()), known),
                        _ => Asked::Once,
                    }),
                    Err(error) => is_of_the_client(error).then(|| Asked::Failed(error.clone())),
                };
                return first.map(Preparing::of);
            }
        };
        drop(asked);
        begin(client, known, settings, reporter, ask, state)
    }
}

/// Whether it says what the client is, or would cost the next job the same half minute. Any other failure may pass, or be of one job
/// alone: a client that was stopped by a signal or could not be started is asked again by the next job.
fn is_of_the_client(error: &Error) -> bool {
    matches!(
        error,
        Error::ClientMissing { .. }
            | Error::ClientUnsafe { .. }
            | Error::ClientNotPinned { .. }
            | Error::ClientNotWhole { .. }
            | Error::ClientUnknown { .. }
            | Error::ClientTooOld { .. }
            | Error::ClientHung { .. }
    )
}

/// The keychains that were opened so far, so that a person who is asked for one is asked once and not for each job.
///
/// Not to be kept for long: their connections' buffers have held codes.
#[derive(Default)]
pub(crate) struct SharedKeychains {
    opened: Mutex<Vec<Arc<Keychain>>>,
    failed: Mutex<Vec<(KeychainKind, ErrorReport)>>,
    /// How many jobs have yet to take their code out of one.
    waiting: Mutex<usize>,
}

/// A job that has yet to take its code out of a shared keychain. When the last is dropped, the keychains are closed: what comes then,
/// a session with a device, may take minutes.
pub(super) struct KeychainTurn<'a>(&'a SharedKeychains);

impl Drop for KeychainTurn<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = waiting.saturating_sub(1);
        if *waiting == 0 {
            self.0.opened.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

impl SharedKeychains {
    /// Those of so many jobs, each of which takes its turn.
    pub(crate) fn of(jobs: usize) -> Self {
        Self { waiting: Mutex::new(jobs), ..Self::default() }
    }

    /// The turn of one job.
    pub(super) fn turn(&self) -> KeychainTurn<'_> {
        KeychainTurn(self)
    }

    /// The keychain of this kind, opened now or before.
    ///
    /// # Errors
    /// Those of [`Keychain::open`].
    pub(crate) fn open(&self, settings: KeychainSettings, notify: Arc<dyn Notify>) -> Result<Arc<Keychain>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keychain) = opened.iter().find(|keychain| keychain.kind() == settings.kind) {
            return Ok(Arc::clone(keychain));
        }
        let keychain = Arc::new(Keychain::open(settings, notify)?);
        opened.push(Arc::clone(&keychain));
        Ok(keychain)
    }

    /// Opens it for whoever comes after. One that failed before is not tried again, and nobody is asked again.
    ///
    /// # Errors
    /// Those of [`Keychain::open`].
    pub(crate) fn open_once(&self, settings: KeychainSettings, notify: Arc<dyn Notify>) -> Result<(), ErrorReport> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, report)) = failed.iter().find(|(kind, _)| *kind == settings.kind) {
            return Err(report.clone());
        }
        self.open(settings, notify).map(drop).map_err(|error| {
            failed.push((settings.kind, error.report()));
            error.report()
        })
    }
}
