//! Windows: the Credential Manager, with `Local` persistence, so that a code does not roam with the profile.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;

use keyring_core::{CredentialStore, Entry};

use super::backend::{
    Asking, Backend, ItemId, KeychainFailure, Opened, Removal, Stored, if_there, only, system_store, users_of,
};
use super::{Opening, SERVICE};
use crate::error::Result;

const NAME: &str = "Windows Credential Manager";

/// Opens the Credential Manager. It has no lock of its own and never keeps in clear: Windows seals it with the logon.
pub(super) fn open(_how: &Opening) -> Result<Opened> {
    let store = system_store().map_err(|failure| failure.into_error(NAME, "opening it", SERVICE))?;
    Ok(Opened { backend: Box::new(CredentialManager { store }), name: NAME.to_owned() })
}

/// What a library error of this system means.
pub(super) fn explain(error: &(dyn StdError + Send + Sync + 'static)) -> Option<KeychainFailure> {
    // Its type is private to the store; its text is the constant's name (windows-native-keyring-store, utils.rs).
    error.to_string().contains("ERROR_NO_SUCH_LOGON_SESSION").then(|| {
        KeychainFailure::Failed(
            "this logon has no credential store (a network logon, such as ssh with a key, has none)".into(),
        )
    })
}

struct CredentialManager {
    store: Arc<CredentialStore>,
}

impl CredentialManager {
    /// Every call opens the credential anew, so each entry is a connection of its own.
    fn entry(&self, user: &str) -> Result<Entry, KeychainFailure> {
        Ok(self.store.build(SERVICE, user, Some(&HashMap::from([("persistence", "Local")])))?)
    }
}

impl Backend for CredentialManager {
    fn find(&mut self, user: &str) -> Result<Vec<ItemId>, KeychainFailure> {
        Ok(self.read(user, &ItemId::only())?.map(|it| it.id).into_iter().collect())
    }

    fn users(&mut self) -> Result<Vec<String>, KeychainFailure> {
        // The store's pattern is a regular expression on "<user>.<service>".
        let pattern = format!("\\.{SERVICE}$");
        Ok(users_of(&self.store.search(&HashMap::from([("pattern", &*pattern)]))?))
    }

    fn read(&mut self, user: &str, _: &ItemId) -> Result<Option<Stored>, KeychainFailure> {
        Ok(only(if_there(self.entry(user)?.get_secret())?))
    }

    fn write(&mut self, user: &str, _label: &str, value: &[u8], _: Option<&ItemId>) -> Result<ItemId, KeychainFailure> {
        self.entry(user)?.set_secret(value)?;
        Ok(ItemId::only())
    }

    fn remove(&mut self, user: &str, _: &ItemId, _: Asking) -> Result<Removal, KeychainFailure> {
        if_there(self.entry(user)?.delete_credential())?;
        Ok(Removal::Gone)
    }

    fn removes_without_asking(&self) -> bool {
        true
    }

    fn check(&mut self, user: &str, _: &ItemId) -> Result<(), KeychainFailure> {
        let attributes = self.entry(user)?.get_attributes()?;
        match attributes.get("persistence").map(String::as_str) {
            Some("Local") => Ok(()),
            _ => Err(KeychainFailure::NotStored("it would let the item roam to other machines".to_owned())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::keychain::tests::{code, codes, job, manifest, settings, text};
    use crate::keychain::{Forgotten, Keychain, Prepared};
    use crate::model::KeychainKind;
    use crate::report::HeardEvents;

    fn keychain() -> Keychain {
        Keychain::open(settings(KeychainKind::System), Arc::new(HeardEvents::default())).unwrap()
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
        assert_eq!(keychain.prepare(&job).unwrap(), Prepared::Made);
        assert!(codes(&keychain, &job).is_empty());
        for digit in ['1', '2'] {
            keychain.keep(&job, &code(digit), &manifest(1), None).unwrap();
            assert_eq!(codes(&keychain, &job), [(text(digit), Some(manifest(1)))]);
            assert_eq!(foreign_entry(job.as_str()).get_attributes().unwrap()["persistence"], "Local");
        }
        assert!(keychain.jobs().unwrap().contains(&job));
        assert_eq!(keychain.forget(&job).unwrap().removed, 1);
        assert!(!keychain.jobs().unwrap().contains(&job));
        assert_eq!(keychain.forget(&job).unwrap(), Forgotten::default(), "it is gone");
        assert!(matches!(foreign_entry(job.as_str()).get_secret(), Err(keyring_core::Error::NoEntry)));
    }

    #[test]
    fn an_item_that_roamed_stays_here_once_the_code_is_kept() {
        let (keychain, job) = (keychain(), job(2));
        let entry = foreign_entry(job.as_str());
        code('3').expose(|text| entry.set_secret(text.as_bytes())).unwrap();
        assert_eq!(entry.get_attributes().unwrap()["persistence"], "Enterprise", "the store's default");
        keychain.keep(&job, &code('4'), &manifest(1), None).unwrap();
        assert_eq!(entry.get_attributes().unwrap()["persistence"], "Local");
        assert_eq!(keychain.forget(&job).unwrap().removed, 1);
    }

    #[test]
    fn an_item_that_is_no_code_is_left_as_it_is() {
        let (keychain, job) = (keychain(), job(3));
        let entry = foreign_entry(job.as_str());
        entry.set_secret(b"a shopping list").unwrap();
        assert!(matches!(keychain.recall(&job), Err(Error::KeychainForeignItem { .. })));
        let kept = keychain.keep(&job, &code('5'), &manifest(1), None);
        assert!(matches!(kept, Err(Error::KeychainForeignItem { .. })));
        assert_eq!(entry.get_secret().unwrap(), b"a shopping list");
        assert_eq!(keychain.forget(&job).unwrap().removed, 1);
    }

    #[test]
    fn a_test_item_leaves_nothing_behind() {
        let keychain = keychain();
        assert!(keychain.try_out(&job(9)).unwrap());
        assert_eq!(keychain.forget(&job(9)).unwrap(), Forgotten::default());
    }
}
