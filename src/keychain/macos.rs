//! macOS: the user's login keychain.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;

use keyring_core::{CredentialStore, Entry};

use super::backend::{
    Asking, Backend, ItemId, KeychainFailure, Opened, Removal, Stored, if_there, only, system_store, users_of,
};
use super::{Opening, SERVICE};
use crate::error::Result;

const NAME: &str = "macOS Keychain";
/// What to do about a locked one.
const HINT: &str = "Unlock the login keychain (in a session over SSH: security unlock-keychain)";

/// Opens the login keychain. macOS itself asks for its password when an item is touched while it is locked, so there
/// is nothing to unlock here; it is sealed with that password and never in clear.
pub(super) fn open(_how: &Opening) -> Result<Opened> {
    let store = system_store().map_err(|failure| failure.into_error(NAME, "opening it", SERVICE))?;
    Ok(Opened { backend: Box::new(LoginKeychain { store }), name: NAME.to_owned() })
}

/// What a library error of this system means. The numbers are Apple's (Security framework, SecBase.h).
pub(super) fn explain(error: &(dyn StdError + Send + Sync + 'static)) -> Option<KeychainFailure> {
    const USER_CANCELED: i32 = -128;
    const AUTH_FAILED: i32 = -25293;
    const NO_SUCH_KEYCHAIN: i32 = -25294;
    const NO_DEFAULT_KEYCHAIN: i32 = -25307;
    const INTERACTION_NOT_ALLOWED: i32 = -25308;
    match error.downcast_ref::<security_framework::base::Error>()?.code() {
        USER_CANCELED | AUTH_FAILED | INTERACTION_NOT_ALLOWED => Some(KeychainFailure::locked(HINT)),
        NO_SUCH_KEYCHAIN | NO_DEFAULT_KEYCHAIN => {
            Some(KeychainFailure::Failed("this user has no login keychain".to_owned()))
        }
        _ => None,
    }
}

struct LoginKeychain {
    store: Arc<CredentialStore>,
}

impl LoginKeychain {
    /// Every call opens the keychain anew, so each entry is a connection of its own. The store takes no label:
    /// Keychain Access shows the service as the item's name and the job id as its account.
    fn entry(&self, user: &str) -> Result<Entry, KeychainFailure> {
        Ok(self.store.build(SERVICE, user, None)?)
    }
}

impl Backend for LoginKeychain {
    fn find(&mut self, user: &str) -> Result<Vec<ItemId>, KeychainFailure> {
        Ok(self.read(user, &ItemId::only())?.map(|it| it.id).into_iter().collect())
    }

    fn users(&mut self) -> Result<Vec<String>, KeychainFailure> {
        Ok(users_of(&self.store.search(&HashMap::from([("service", SERVICE)]))?))
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

    fn check(&mut self, _: &str, _: &ItemId) -> Result<(), KeychainFailure> {
        // The login keychain is a file on this machine; only the data protection keychain can sync, and that is
        // another store.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apple_says_of_locks_is_a_lock() {
        for code in [-128, -25293, -25308] {
            let error = security_framework::base::Error::from_code(code);
            assert!(matches!(explain(&error), Some(KeychainFailure::Locked { .. })), "{code}");
        }
        assert!(explain(&security_framework::base::Error::from_code(-50)).is_none());
    }
}
