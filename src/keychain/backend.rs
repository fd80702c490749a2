//! What the keychains have in common: a few operations, and their failures in words.
#![cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "only Linux has keychains that do each of these things")
)]

use std::sync::{Arc, Mutex, PoisonError};

use keyring_core::Error as KeyringError;
#[cfg(not(target_os = "linux"))]
use keyring_core::{CredentialPersistence, CredentialStore};
use zeroize::{Zeroize, Zeroizing};

use super::{SERVICE, system};
use crate::error::Error;

/// Which of the items that are stored under one user name: its D-Bus path, where a keychain admits several; else empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ItemId(pub(super) String);

impl ItemId {
    /// Of a keychain that holds one item a user name.
    pub(super) fn only() -> Self {
        Self(String::new())
    }
}

/// An item, and what it holds.
pub(super) struct Stored {
    pub(super) id: ItemId,
    pub(super) value: Zeroizing<Vec<u8>>,
}

/// Whether a removal may open a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    Allowed,
    /// What can't be removed without one stays.
    Never,
}

/// What became of an item that was to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Removal {
    Gone,
    /// It is gone from where programs look, and the keychain may still have old versions of it. Says where, as a sentence.
    Archived(String),
    /// It is still there, under this name. If it held a code, it holds it no more.
    Left(String),
}

/// A keychain, open. Called on the keychain thread alone.
pub(super) trait Backend {
    /// The items that are stored under `user`.
    fn find(&mut self, user: &str) -> Result<Vec<ItemId>, KeychainFailure>;

    /// The user names under which this program has stored something, in whichever collection, as far as the keychain lists them.
    fn users(&mut self) -> Result<Vec<String>, KeychainFailure>;

    /// Other collections in which something is stored under `user`, by what a person calls them. Unlocks none.
    fn elsewhere(&mut self, _user: &str) -> Result<Vec<String>, KeychainFailure> {
        Ok(Vec::new())
    }

    /// What an item holds; `None` if it is gone.
    fn read(&mut self, user: &str, id: &ItemId) -> Result<Option<Stored>, KeychainFailure>;

    /// Stores `value` under `user`: in place of what the item `over` holds, or in a new item. `label` is for people, where
    /// the keychain has room for one; an item that is there already keeps its old label.
    fn write(
        &mut self,
        user: &str,
        label: &str,
        value: &[u8],
        over: Option<&ItemId>,
    ) -> Result<ItemId, KeychainFailure>;

    /// Removes an item. [`KeychainFailure`] if it could not be tried.
    fn remove(&mut self, user: &str, id: &ItemId, asking: Asking) -> Result<Removal, KeychainFailure>;

    /// Whether an item is kept the way this keychain promises: until it is removed, not in clear, on this machine only.
    fn check(&mut self, user: &str, id: &ItemId) -> Result<(), KeychainFailure>;

    /// The same of an item that is there, before a code is put in it, by a write that changes nothing, where only a write tells.
    fn prove(&mut self, _user: &str, _there: &Stored) -> Result<(), KeychainFailure> {
        Ok(())
    }

    /// Whether an item that is stored for a moment, to try the keychain out, can be removed again without asking anybody.
    fn removes_without_asking(&self) -> bool;

    /// Whether a person is asked before this connection, and so every new one, may read what is stored under `user`. Asks nobody.
    fn asks_before_reading(&mut self, _user: &str) -> Result<bool, KeychainFailure> {
        Ok(false)
    }

    /// Whether there may be several items under one user name. Else a [`write`](Self::write) always replaces.
    fn holds_several(&self) -> bool {
        false
    }

    /// Has what was written reach the disk now, where the keychain would write it later and can be asked.
    fn sync(&mut self) {}
}

/// Of a [`Backend`] that holds one item a user name.
pub(super) fn only(value: Option<Vec<u8>>) -> Option<Stored> {
    value.map(|value| Stored { id: ItemId::only(), value: Zeroizing::new(value) })
}

/// A keychain that was opened.
pub(super) struct Opened {
    pub(super) backend: Box<dyn Backend>,
    /// What a person calls it.
    pub(super) name: String,
}

/// What a call waits for, in the words that the thread tells while it waits. A backend says so before it waits for a person.
#[derive(Clone)]
pub(super) struct CurrentPrompt(Arc<Mutex<PendingPrompt>>);

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PendingPrompt {
    /// Ends the sentence "waiting for …".
    pub(super) waiting: String,
    /// What did not happen, if it did not: begins the sentence "… within 120 seconds".
    pub(super) what_failed: String,
}

impl CurrentPrompt {
    /// The keychain itself, to answer. `name` is what a person calls it.
    pub(super) fn an_answer_of(name: &str) -> Self {
        Self(Arc::new(Mutex::new(PendingPrompt::answer(name))))
    }

    pub(super) fn set(&self, awaited: PendingPrompt) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = awaited;
    }

    pub(super) fn get(&self) -> PendingPrompt {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PendingPrompt {
    pub(super) fn answer(name: &str) -> Self {
        Self { waiting: format!("{name} to answer"), what_failed: format!("{} did not answer", at_the_start(name)) }
    }
}

/// For [`system_store`]: the store holds no connection, so that it may stay in its process-wide place.
#[cfg(not(target_os = "linux"))]
fn shared() -> Result<Arc<CredentialStore>, KeychainFailure> {
    keyring_core::get_default_store().ok_or(KeyringError::NoDefaultStore).map_err(KeychainFailure::from)
}

/// The store that the keyring crate brings up for this system, if it keeps items until they are removed. `store_status`
/// is asked first because the rest would hide why there is none.
#[cfg(not(target_os = "linux"))]
pub(super) fn system_store() -> Result<Arc<CredentialStore>, KeychainFailure> {
    keyring::Entry::store_status().as_ref()?;
    let store = shared()?;
    match store.persistence() {
        CredentialPersistence::UntilDelete => Ok(store),
        _ => Err(KeychainFailure::NotStored("it says that it keeps items for a while only".to_owned())),
    }
}

/// The user names of the entries that a search of the store found, of this program's service.
#[cfg(not(target_os = "linux"))]
pub(super) fn users_of(entries: &[keyring_core::Entry]) -> Vec<String> {
    let specifiers = entries.iter().filter_map(keyring_core::Entry::get_specifiers);
    specifiers.filter(|(service, _)| service == super::SERVICE).map(|(_, user)| user).collect()
}

/// What a foreign item is not.
const NO_CODE: &str = "does not hold an unlock code";

/// Why a keychain did not do as asked. Becomes an [`Error`] where the step and the job are known.
#[derive(Debug)]
pub(super) enum KeychainFailure {
    /// It is locked, or does not let this program at the item, and the person was asked already or can't be asked.
    Locked {
        /// The item, if it is one that the keychain reports as locked, and not the keychain.
        item: Option<String>,
        /// What to do, without a full stop.
        hint: String,
    },
    /// The item holds no code.
    Foreign {
        /// Whether there is room for another item beside it.
        holds_several: bool,
    },
    /// Another user put an item there under this program's name.
    OfAnotherUser {
        uid: u32,
        /// Its number, by which it can be taken out.
        key: i32,
    },
    /// It took an item and did not keep it as promised; says why.
    NotStored(String),
    /// It keeps in clear.
    InClear {
        /// The file.
        place: String,
        hint: String,
    },
    /// Whether it keeps in clear could not be seen.
    Unseen {
        /// With all that was looked at.
        why: String,
    },
    /// The kernel's keyring can't be used.
    KernelClosed {
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// The keys of this user have reached the kernel's limit.
    KernelFull,
    /// A policy of the bus or a sandbox keeps this program away; says which.
    Blocked(String),
    /// Anything else, in words.
    Failed(String),
}

impl KeychainFailure {
    /// It is locked as a whole.
    pub(super) fn locked(hint: &str) -> Self {
        Self::Locked { item: None, hint: hint.to_owned() }
    }

    /// The error to show, given the keychain's name, what was being done and for whom.
    pub(super) fn into_error(self, name: &str, what: &str, user: &str) -> Error {
        let (what, job, which) = (what.to_owned(), user.to_owned(), at_the_start(name));
        match self {
            Self::Locked { item: None, hint } => Error::KeychainLocked { which, hint },
            Self::Locked { item: Some(item), hint } => {
                Error::KeychainLocked { which: format!("The item {item} in {name}"), hint }
            }
            Self::Foreign { holds_several: true } => Error::KeychainForeignItem {
                job,
                what: NO_CODE.to_owned(),
                hint: "F".to_owned(),
                beside: ", which is stored beside it",
            },
            Self::Foreign { holds_several: false } => {
                let hint = format!(
                    "Keep a copy of what it holds, if that may be a code that this version does not know. Then move it out of the way: it is service “{SERVICE}”, user {job}, in the keychain's own app, or with keyctl in the kernel keyring. Then f"
                );
                Error::KeychainForeignItem { job, what: NO_CODE.to_owned(), hint, beside: "" }
            }
            Self::OfAnotherUser { uid, key } => {
                let hint = format!(
                    "Take it out of your keyrings, then repeat the same command (keyctl comes with the package keyutils):\n  keyctl unlink {key}\nIf there is no code of yours behind it, f"
                );
                let what =
                    format!("belongs to another user (uid {uid}), who may have put it there to be used as yours");
                Error::KeychainForeignItem { job, what, hint, beside: "" }
            }
            Self::NotStored(why) => Error::KeychainNotStored { which, why },
            Self::InClear { place, hint } => Error::KeychainInClear { which, place, hint },
            Self::Unseen { why } => Error::KeychainUnseen { which, why },
            Self::KernelClosed { why, hint } => Error::KernelKeyringClosed { why, remains: String::new(), hint },
            Self::KernelFull => Error::KernelKeyringFull,
            Self::Blocked(why) => Error::KeychainBlocked { why },
            Self::Failed(why) => Error::KeychainFailed { which, what, why },
        }
    }
}

impl From<KeyringError> for KeychainFailure {
    fn from(mut error: KeyringError) -> Self {
        let failure = Self::from(&error);
        // These two carry the item's bytes.
        if let KeyringError::BadEncoding(bytes) | KeyringError::BadDataFormat(bytes, _) = &mut error {
            bytes.zeroize();
        }
        failure
    }
}

impl From<&KeyringError> for KeychainFailure {
    fn from(error: &KeyringError) -> Self {
        // Not by their own Display: for some variants it quotes what was stored, or Debug forms.
        match error {
            KeyringError::PlatformFailure(cause) | KeyringError::NoStorageAccess(cause) => system::explain(&**cause)
                .unwrap_or_else(|| Self::Failed(crate::safety::sanitize::phrase(&cause.to_string()))),
            KeyringError::Ambiguous(_) => Self::Failed("more than one of its items fits".to_owned()),
            KeyringError::BadEncoding(_) | KeyringError::BadDataFormat(..) => Self::Foreign { holds_several: false },
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
#[cfg(not(target_os = "linux"))]
pub(super) fn if_there<R>(answer: Result<R, KeyringError>) -> Result<Option<R>, KeychainFailure> {
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
