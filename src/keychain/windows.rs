//! Windows: the Credential Manager, with `Local` persistence, so that a code does not roam with the profile.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;

use keyring_core::{CredentialStore, Entry};

use super::SERVICE;
use super::backend::{Backend, Failure, Opened, if_there, shared, system_store};
use crate::error::Result;
use crate::notice::Notify;

const NAME: &str = "Windows Credential Manager";

/// Opens the Credential Manager. It has no lock of its own and never keeps in clear: Windows seals it with the logon.
pub(super) fn open(_allow_plain: bool, _notify: Arc<dyn Notify>) -> Result<Opened> {
    let store = system_store(shared).map_err(|failure| failure.into_error(NAME, "opening it", SERVICE))?;
    Ok(Opened { store: Box::new(CredentialManager { store }), name: NAME.to_owned() })
}

/// What a library error of this system means.
pub(super) fn explain(error: &(dyn StdError + Send + Sync + 'static)) -> Option<Failure> {
    // Its type is private to the store; its text is the constant's name (windows-native-keyring-store, utils.rs).
    error.to_string().contains("ERROR_NO_SUCH_LOGON_SESSION").then(|| {
        Failure::Failed("this logon has no credential store (a network logon, such as ssh with a key, has none)".into())
    })
}

struct CredentialManager {
    store: Arc<CredentialStore>,
}

impl CredentialManager {
    /// Every call opens the credential anew, so each entry is a connection of its own.
    fn entry(&self, user: &str) -> Result<Entry, Failure> {
        Ok(self.store.build(SERVICE, user, Some(&HashMap::from([("persistence", "Local")])))?)
    }
}

impl Backend for CredentialManager {
    fn put(&mut self, user: &str, _label: &str, value: &[u8]) -> Result<(), Failure> {
        Ok(self.entry(user)?.set_secret(value)?)
    }

    fn get(&mut self, user: &str) -> Result<Option<Vec<u8>>, Failure> {
        if_there(self.entry(user)?.get_secret())
    }

    fn remove(&mut self, user: &str) -> Result<bool, Failure> {
        Ok(if_there(self.entry(user)?.delete_credential())?.is_some())
    }

    fn check(&mut self, user: &str) -> Result<(), Failure> {
        let attributes = self.entry(user)?.get_attributes()?;
        match attributes.get("persistence").map(String::as_str) {
            Some("Local") => Ok(()),
            _ => Err(Failure::KeepsNothing("it would let the item roam to other machines".to_owned())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::keychain::tests::{code, job, settings};
    use crate::keychain::{Keychain, KeychainKind};
    use crate::notice::Kept;

    fn keychain() -> Keychain {
        Keychain::open(settings(KeychainKind::System), Arc::new(Kept::default())).unwrap()
    }

    /// An entry as any other program would make it: roaming, unless it asks for something else.
    fn foreign_entry(user: &str) -> Entry {
        keyring_core::Entry::new(SERVICE, user).unwrap()
    }

    #[test]
    fn a_code_is_kept_replaced_and_forgotten_and_stays_on_this_machine() {
        let (keychain, job) = (keychain(), job(1));
        assert_eq!(keychain.name(), NAME);
        keychain.forget(&job).unwrap();
        assert!(keychain.recall(&job).unwrap().is_none());
        for digit in ['1', '2'] {
            keychain.keep(&job, &code(digit)).unwrap();
            assert!(keychain.recall(&job).unwrap().unwrap().is_same_as(&code(digit)));
            assert_eq!(foreign_entry(job.as_str()).get_attributes().unwrap()["persistence"], "Local");
        }
        assert!(keychain.forget(&job).unwrap());
        assert!(!keychain.forget(&job).unwrap(), "it is gone");
        assert!(matches!(foreign_entry(job.as_str()).get_secret(), Err(keyring_core::Error::NoEntry)));
    }

    #[test]
    fn an_item_that_roamed_stays_here_once_the_code_is_kept() {
        let (keychain, job) = (keychain(), job(2));
        let entry = foreign_entry(job.as_str());
        code('3').expose(|text| entry.set_secret(text.as_bytes())).unwrap();
        assert_eq!(entry.get_attributes().unwrap()["persistence"], "Enterprise", "the store's default");
        keychain.keep(&job, &code('4')).unwrap();
        assert_eq!(entry.get_attributes().unwrap()["persistence"], "Local");
        assert!(keychain.forget(&job).unwrap());
    }

    #[test]
    fn an_item_that_is_no_code_is_left_as_it_is() {
        let (keychain, job) = (keychain(), job(3));
        let entry = foreign_entry(job.as_str());
        entry.set_secret(b"a shopping list").unwrap();
        assert!(matches!(keychain.recall(&job), Err(Error::KeychainForeignItem { .. })));
        assert!(matches!(keychain.keep(&job, &code('5')), Err(Error::KeychainForeignItem { .. })));
        assert_eq!(entry.get_secret().unwrap(), b"a shopping list");
        assert!(keychain.forget(&job).unwrap());
    }

    #[test]
    fn proving_leaves_nothing_behind() {
        keychain().prove(&job(9)).unwrap();
    }
}
