//! What the keychains have in common: four operations, and their failures in words.

use std::sync::Arc;

use keyring_core::{CredentialPersistence, CredentialStore, Error as KeyringError};
use zeroize::Zeroize;

use super::system;
use crate::error::Error;

/// A place that keeps items, each under a user name. Called on the keychain thread alone.
pub(super) trait Backend {
    /// Stores `value` under `user`, in place of what is there. `label` is for people, where the place has room for
    /// one; an item that is there already keeps its old label.
    fn put(&mut self, user: &str, label: &str, value: &[u8]) -> Result<(), Failure>;

    /// What is stored under `user`; after a [`put`](Self::put), seen through another connection than the put's.
    /// The bytes are the caller's to wipe.
    fn get(&mut self, user: &str) -> Result<Option<Vec<u8>>, Failure>;

    /// Removes what is stored under `user`, and says whether there was something.
    fn remove(&mut self, user: &str) -> Result<bool, Failure>;

    /// Whether what is stored under `user` is kept the way this place promises: until it is removed, not in clear,
    /// on this machine only.
    fn check(&mut self, user: &str) -> Result<(), Failure>;
}

/// A place that was opened.
pub(super) struct Opened {
    pub(super) store: Box<dyn Backend>,
    /// What a person calls it.
    pub(super) name: String,
}

/// The store that the keyring crate brings up for this system, if it keeps items until they are removed. `store_status`
/// is asked first because the rest would hide why there is none. `take` gets the store out of keyring-core.
pub(super) fn system_store(
    take: impl FnOnce() -> Result<Arc<CredentialStore>, Failure>,
) -> Result<Arc<CredentialStore>, Failure> {
    keyring::Entry::store_status().as_ref()?;
    let store = take()?;
    match store.persistence() {
        CredentialPersistence::UntilDelete => Ok(store),
        _ => Err(Failure::KeepsNothing("it says that it keeps items for a while only".to_owned())),
    }
}

/// For [`system_store`] where the store holds no connection, so that it may stay in its process-wide place.
#[cfg(not(target_os = "linux"))]
pub(super) fn shared() -> Result<Arc<CredentialStore>, Failure> {
    keyring_core::get_default_store().ok_or(KeyringError::NoDefaultStore).map_err(Failure::from)
}

/// Why a keychain did not do as asked. Becomes an [`Error`] where the step and the job are known.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "not every system can fail in each of these ways"))]
pub(super) enum Failure {
    /// It is locked, and the person was asked already or can't be asked.
    Locked,
    /// Two items fit.
    Ambiguous,
    /// The item holds no code.
    Foreign,
    /// It took an item and did not keep it as promised; says why.
    KeepsNothing(String),
    /// It keeps in clear, in the file named.
    InClear(String),
    /// The kernel's keyring can't be used; says why.
    KernelClosed(String),
    /// Anything else, in words.
    Failed(String),
}

impl Failure {
    /// The error to show, given the place's name, what was being done and for whom.
    pub(super) fn into_error(self, name: &str, what: &str, user: &str) -> Error {
        let (what, job, which) = (what.to_owned(), user.to_owned(), at_the_start(name));
        match self {
            Self::Locked => Error::KeychainLocked { which },
            Self::Ambiguous => Error::KeychainAmbiguous { job },
            Self::Foreign => Error::KeychainForeignItem { job },
            Self::KeepsNothing(why) => Error::KeychainKeepsNothing { which, why },
            Self::InClear(place) => Error::KeychainInClear { place },
            Self::KernelClosed(why) => Error::KernelKeyringClosed { why },
            Self::Failed(why) => Error::KeychainFailed { what, why },
        }
    }
}

impl From<KeyringError> for Failure {
    fn from(mut error: KeyringError) -> Self {
        let failure = Self::from(&error);
        // These two carry the item's bytes.
        if let KeyringError::BadEncoding(bytes) | KeyringError::BadDataFormat(bytes, _) = &mut error {
            bytes.zeroize();
        }
        failure
    }
}

impl From<&KeyringError> for Failure {
    fn from(error: &KeyringError) -> Self {
        // Not by their own Display: for some variants it quotes what was stored, or Debug forms.
        match error {
            KeyringError::PlatformFailure(cause) | KeyringError::NoStorageAccess(cause) => {
                system::explain(&**cause).unwrap_or_else(|| Self::Failed(cleaned(&cause.to_string())))
            }
            KeyringError::Ambiguous(_) => Self::Ambiguous,
            KeyringError::BadEncoding(_) | KeyringError::BadDataFormat(..) => Self::Foreign,
            KeyringError::NoEntry => Self::Failed("the item is not there".to_owned()),
            KeyringError::TooLong(what, limit) => Self::Failed(format!("the {what} is longer than {limit} characters")),
            KeyringError::Invalid(what, _) => Self::Failed(format!("it does not take the {what}")),
            KeyringError::NoDefaultStore => Self::Failed("the system offers none".to_owned()),
            KeyringError::BadStoreFormat(_) => Self::Failed("its data is damaged".to_owned()),
            _ => Self::Failed("it does not support that".to_owned()),
        }
    }
}

/// An answer that "no such item" is part of.
pub(super) fn if_there<R>(answer: Result<R, KeyringError>) -> Result<Option<R>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(KeyringError::NoEntry) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A name as a sentence begins.
pub(super) fn at_the_start(name: &str) -> String {
    match name.strip_prefix("the ") {
        Some(rest) => format!("The {rest}"),
        None => name.to_owned(),
    }
}

/// A text from outside, fit for the middle of a sentence.
pub(super) fn cleaned(text: &str) -> String {
    crate::text::clean(text).trim_end_matches('.').to_owned()
}
