//! What a run needs before it has a pair: the client, and a keychain that several jobs of one command may share.

use std::sync::{Arc, Mutex, PoisonError};

use crate::device::{Client, Device, Places, Preparation, Preparing};
use crate::error::{ErrorReport, Result};
use crate::keychain::{Keychain, KeychainSettings};
use crate::model::{KeychainKind, PrivateHome};
use crate::report::{Ask, Notify, Reporter};
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
    Device::begin(Preparation {
        client,
        known: state.known_clients(),
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

/// The keychains that were opened so far, so that a person who is asked for one is asked once and not for each job.
///
/// Not to be kept for long: their connections' buffers have held codes.
#[derive(Default)]
pub(crate) struct SharedKeychains {
    opened: Mutex<Vec<Arc<Keychain>>>,
    failed: Mutex<Vec<(KeychainKind, ErrorReport)>>,
}

impl SharedKeychains {
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
