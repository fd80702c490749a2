//! Linux: the kernel's keyring. Keys live in the session keyring and, where the kernel has it, in the user's
//! persistent one, both in memory only.
//!
//! It needs a session keyring of its own. A process without one (cron, su, many containers) is given the user's
//! default one on first use; there a key can be added but not linked or searched, so the store's `set` fails with
//! "access denied" *after* it has put the code where it stays readable. Hence: looked at first, swept afterwards.

use std::collections::HashMap;
use std::sync::Arc;

use keyring_core::{CredentialStore, Entry};
use linux_keyutils::{Key, KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, LinkNode, Permission};
use zeroize::Zeroizing;

use super::SERVICE;
use super::backend::{Asking, Backend, ItemId, KeychainFailure, Opened, Removal, Stored, if_there, only};
use crate::error::Result;
use crate::safety::path_trust;

/// Links read of a keyring when sweeping it; more than the kernel's quota of keys a user (200) lets there be.
const MAX_LINKS: usize = 1024;

/// What to do where the session has no keyring of its own, or that has ended.
const OWN_KEYRING: &str = "Log in again so that the session gets a keyring of its own (su, cron and containers often have none). Or open a shell that has one, and repeat the same command in it (keyctl comes with the package keyutils):\n  keyctl session";
/// What to do where no session would have one.
const ELSEWHERE: &str = "Run the same command outside the container, or leave --keychain kernel out.";

/// Opens the session's keyring, if it is one that can keep a code to itself. Nothing is written.
pub(super) fn open() -> Result<Opened> {
    let session =
        own_session_keyring().map_err(|failure| failure.into_error("kernel keyring", "opening it", SERVICE))?;
    let persistent = KeyRing::get_persistent(KeyRingIdentifier::Session).ok();
    let end = if persistent.is_some() { "until log-out or the next reboot" } else { "until you log out" };
    Ok(Opened { backend: Box::new(SessionKeyring { session, persistent }), name: format!("kernel keyring ({end})") })
}

fn own_session_keyring() -> Result<KeyRing, KeychainFailure> {
    let session = KeyRing::from_special_id(KeyRingIdentifier::Session, false).map_err(|error| match error {
        KeyError::KeyDoesNotExist => not_own("this login session has no keyring".to_owned()),
        other => closed(other),
    })?;
    if KeyRing::from_special_id(KeyRingIdentifier::UserSession, false) == Ok(session) {
        return Err(not_own(
            "this session has no keyring of its own, only the user's default one, which does not keep a code to the session"
                .to_owned(),
        ));
    }
    let about = session.metadata().map_err(closed)?;
    if !path_trust::is_this_user(about.get_uid()) {
        return Err(not_own(format!("the session's keyring belongs to another user (uid {})", about.get_uid())));
    }
    let needed = Permission::VIEW | Permission::READ | Permission::WRITE | Permission::SEARCH | Permission::LINK;
    let of_possessor = about.get_perms().bits() >> 24;
    if of_possessor & u32::from(needed.bits()) != u32::from(needed.bits()) {
        return Err(not_own("the session's keyring does not let its own session search and write it".to_owned()));
    }
    Ok(session)
}

struct SessionKeyring {
    session: KeyRing,
    persistent: Option<KeyRing>,
}

impl Backend for SessionKeyring {
    fn find(&mut self, user: &str) -> Result<Vec<ItemId>, KeychainFailure> {
        Ok(self.read(user, &ItemId::only())?.map(|it| it.id).into_iter().collect())
    }

    fn users(&mut self) -> Result<Vec<String>, KeychainFailure> {
        let mut users = Vec::new();
        for ring in [Some(self.session), self.persistent].into_iter().flatten() {
            let links = ring.get_links(MAX_LINKS).map_err(closed)?;
            // One that can't be looked at is not this program's, whose keys its session may view.
            let about = links.iter().filter_map(LinkNode::as_key).filter_map(|key| key.metadata().ok());
            users
                .extend(about.filter_map(|key| Some(key.get_description().strip_prefix(&description(""))?.to_owned())));
        }
        Ok(users)
    }

    fn read(&mut self, user: &str, _: &ItemId) -> Result<Option<Stored>, KeychainFailure> {
        match entry(user)?.get_secret() {
            Err(keyring_core::Error::NoEntry) => Ok(None),
            answer => Ok(only(Some(explained(answer)?))),
        }
    }

    fn write(&mut self, user: &str, _label: &str, value: &[u8], _: Option<&ItemId>) -> Result<ItemId, KeychainFailure> {
        // In place, where there is one: what fails then has made no key, so nothing of that name may be swept.
        if let Ok(key) = self.session.search(&description(user)) {
            return Self::update(key, value).map(|()| ItemId::only());
        }
        let kept = explained(entry(user)?.set_secret(value)).and_then(|()| self.keep_to_the_session(user));
        kept.map(|()| ItemId::only()).map_err(|failure| self.swept(user, failure))
    }

    fn remove(&mut self, user: &str, _: &ItemId, _: Asking) -> Result<Removal, KeychainFailure> {
        if_there(entry(user)?.delete_credential())?;
        Ok(Removal::Gone)
    }

    fn removes_without_asking(&self) -> bool {
        true
    }

    fn check(&mut self, user: &str, _: &ItemId) -> Result<(), KeychainFailure> {
        let perms = self.key(user)?.metadata().map_err(closed)?.get_perms();
        if perms.bits() & 0x00ff_ffff == 0 {
            Ok(())
        } else {
            Err(KeychainFailure::NotStored("the key can be seen from outside this session".to_owned()))
        }
    }
}

impl SessionKeyring {
    /// Replaces what a key holds. If that fails, it holds what it held: the kernel refuses an update (a full quota, say) as a whole.
    fn update(key: Key, value: &[u8]) -> Result<(), KeychainFailure> {
        let before = Zeroizing::new(key.read_to_vec().map_err(closed)?);
        key.update(&value).map_err(closed)?;
        Self::limit_to_the_session(key).inspect_err(|_| {
            // The first failure is the one to tell of.
            let _ = key.update(&*before);
        })
    }

    /// A new key can be viewed by all of the user's processes. Ours is for who has it in a keyring, and nobody else.
    fn keep_to_the_session(&self, user: &str) -> Result<(), KeychainFailure> {
        Self::limit_to_the_session(self.key(user)?)
    }

    fn limit_to_the_session(key: Key) -> Result<(), KeychainFailure> {
        let possessor_only = KeyPermissionsBuilder::builder().posessor(Permission::ALL).build();
        key.set_perms(possessor_only).map_err(closed)
    }

    fn key(&self, user: &str) -> Result<Key, KeychainFailure> {
        self.session.search(&description(user)).map_err(closed)
    }

    /// Removes what a failed put may have left, and says so if it can't.
    fn swept(&self, user: &str, failure: KeychainFailure) -> KeychainFailure {
        let rings = [Some(self.session), self.persistent];
        if rings.into_iter().flatten().all(|ring| remove_stale_homes(ring, &description(user))) {
            return failure;
        }
        not_own("it took the code only in part, and does not let it be removed: log out".to_owned())
    }
}

/// Takes every key of that description out of `ring` and ends it. By its link, not by a search: the keyring that
/// makes a put fail is one that can't be searched. Says whether none is left.
fn remove_stale_homes(ring: KeyRing, description: &str) -> bool {
    let ours = || {
        let links = ring.get_links(MAX_LINKS).ok()?;
        let keys = links.iter().filter_map(LinkNode::as_key);
        Some(keys.filter(|key| key.metadata().is_ok_and(|it| it.get_description() == description)).collect::<Vec<_>>())
    };
    for key in ours().unwrap_or_default() {
        // Whichever of the two is allowed will do.
        let _ = key.invalidate();
        let _ = ring.unlink_key(key);
    }
    ours().is_some_and(|left| left.is_empty())
}

/// An entry of a store of its own, so that nothing but the kernel connects two calls.
fn entry(user: &str) -> Result<Entry, KeychainFailure> {
    let store: Arc<CredentialStore> = linux_keyutils_keyring_store::Store::new()?;
    explained(store.build(SERVICE, user, Some(&HashMap::from([("description", &*description(user))]))))
}

/// What `keyctl show` calls the key.
fn description(user: &str) -> String {
    format!("{SERVICE}:{user}")
}

fn explained<R>(answer: keyring_core::Result<R>) -> Result<R, KeychainFailure> {
    use keyring_core::Error::{NoStorageAccess, PlatformFailure};
    answer.map_err(|error| match &error {
        NoStorageAccess(cause) | PlatformFailure(cause) => match cause.downcast_ref::<KeyError>() {
            Some(cause) => closed(*cause),
            None => error.into(),
        },
        _ => error.into(),
    })
}

fn not_own(why: String) -> KeychainFailure {
    KeychainFailure::KernelClosed { why, hint: OWN_KEYRING }
}

fn closed(error: KeyError) -> KeychainFailure {
    let hint = match error {
        KeyError::PermissionDenied | KeyError::OperationNotSupported | KeyError::Unknown(_) => ELSEWHERE,
        _ => OWN_KEYRING,
    };
    KeychainFailure::KernelClosed { why: in_words(error).to_owned(), hint }
}

fn in_words(error: KeyError) -> &'static str {
    match error {
        KeyError::AccessDenied => "access to it is denied",
        // A seccomp filter answers EPERM, a kernel without keyrings ENOSYS.
        KeyError::PermissionDenied | KeyError::OperationNotSupported | KeyError::Unknown(_) => {
            "this system does not let programs use it (containers often don't)"
        }
        KeyError::QuotaExceeded => "this user's keyrings are full",
        KeyError::KeyExpired | KeyError::KeyRevoked | KeyError::KeyRejected => "the session's keyring has ended",
        KeyError::KeyDoesNotExist | KeyError::KeyringDoesNotExist => "the key or its keyring is not there",
        KeyError::OutOfMemory => "the kernel has no memory for it",
        _ => "the kernel refused",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn what_a_failed_put_leaves_is_swept_and_nothing_else() {
        let ring = match KeyRing::from_special_id(KeyRingIdentifier::Process, true) {
            Ok(ring) => ring,
            // No keyrings at all here, so there is nothing to sweep, but that must be said.
            Err(error) => return assert!(matches!(open(), Err(Error::KernelKeyringClosed { .. })), "{error}"),
        };
        let leftover = ring.add_key("snow-onboard:leftover", b"a code").unwrap();
        let other = ring.add_key("snow-onboard:other", b"another's").unwrap();
        assert!(remove_stale_homes(ring, "snow-onboard:leftover"));
        assert!(leftover.read_to_vec().is_err(), "it can't be read by its number either");
        assert_eq!(other.read_to_vec().unwrap(), b"another's");
        assert!(remove_stale_homes(ring, "snow-onboard:leftover"), "nothing left is no failure");
    }
    /// Larger than the kernel takes (32,767 bytes) stands for every update that it refuses, such as one past a quota.
    #[test]
    fn an_update_that_fails_leaves_the_key_that_was_there() {
        let Ok(session) = KeyRing::from_special_id(KeyRingIdentifier::Process, true) else {
            return assert!(matches!(open(), Err(Error::KernelKeyringClosed { .. })), "there are no keyrings here");
        };
        let user = "JID123e4567-e89b-12d3-a456-426655440000";
        let key = session.add_key(&description(user), b"the only code").unwrap();
        let mut keyring = SessionKeyring { session, persistent: None };
        assert!(keyring.write(user, "", &[b'x'; 40_000], Some(&ItemId::only())).is_err());
        assert_eq!(key.read_to_vec().unwrap(), b"the only code");
        keyring.write(user, "", b"another code, and longer", Some(&ItemId::only())).unwrap();
        assert_eq!(key.read_to_vec().unwrap(), b"another code, and longer");
        remove_stale_homes(session, &description(user));
    }
}
