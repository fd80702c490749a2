//! Linux: the Secret Service (GNOME Keyring, KWallet, KeePassXC), in its default collection and nowhere else.
//!
//! One connection does all. KeePassXC gives access to an item to one connection at a time and asks a person for each, except
//! for the item that the connection itself made. Codes travel encrypted. Items are addressed by their path.

use std::collections::HashMap;
use std::sync::Arc;

use secret_service::blocking::{Collection, Item, SecretService};
use secret_service::{EncryptionType, Error as ServiceError};
use zbus::blocking::fdo::DBusProxy;
use zbus::blocking::{Connection, MessageIterator};
use zbus::message::Type as MessageType;
use zbus::names::InterfaceName;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue};
use zbus::{MatchRule, Message};
use zeroize::Zeroizing;

use super::backend::{Asking, Backend, CurrentPrompt, ItemId, KeychainFailure, Opened, PendingPrompt, Removal, Stored};
use super::item::PLACEHOLDER;
use super::linux_keyring_files::{KeyringFiles, KeyringStorage, Stamps, has_changed, in_clear_in_words};
use super::linux_provider::Provider;
use super::linux_session_bus::{
    Owner, SECRETS, blocked, blocked_service, connect, fdo_in_words, in_words, name_of, owner_of, owner_of_secrets,
    service_in_words,
};
use super::{Opening, PlainKeyring, SERVICE, linux_kwallet};
use crate::error::{Error, Result};
use crate::report::{Event, Notify};
use crate::safety::sanitize::phrase;

/// Gone at log-out (Secret Service specification, "session" collection), so nothing is kept there.
const SESSION: &str = "session";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
const SERVICE_INTERFACE: &str = "org.freedesktop.Secret.Service";
const ITEM_INTERFACE: &str = "org.freedesktop.Secret.Item";
const PROMPT_INTERFACE: &str = "org.freedesktop.Secret.Prompt";
/// The path that stands for none.
const NO_OBJECT: &str = "/";
/// How often an item is overwritten before KeePassXC is asked to remove it. It keeps ten old versions of an entry unless it is
/// told otherwise, and the code may be the newest of them or one of a refresh before.
const OVERWRITES: usize = 12;
/// How many keys a session is tried with: three that are too short in a row are one in sixteen million.
const KEYS: usize = 3;
const WRONG_KEY: ServiceError = ServiceError::Crypto("the two sides have different keys");

/// Opens the default collection, asking the person to unlock it where it is locked.
pub(super) fn open(how: &Opening) -> Result<Opened> {
    let bus = connect()?;
    let owner = owner_of_secrets(&bus)?;
    let provider = Provider::of(&bus, &owner);
    how.current_prompt.set(PendingPrompt::answer(provider.name()));
    let unusable = |error: ServiceError| match blocked_service(&error) {
        Some(why) => Error::KeychainBlocked { why },
        None => Error::KeychainUnavailable {
            which: super::backend::at_the_start(provider.name()),
            why: service_in_words(&error),
        },
    };
    let service = open_session(&bus).map_err(unusable)?;
    let none = |why: &str| Error::KeychainNoCollection {
        which: super::backend::at_the_start(provider.name()),
        why: why.to_owned(),
        hint: provider.make_a_default(),
    };
    let collection = match service.get_default_collection() {
        Ok(collection) => collection,
        Err(ServiceError::NoResult) => return Err(none("none is set as default")),
        Err(error) => return Err(unusable(error)),
    };
    let path = collection.collection_path.clone();
    if name_of(&path) == SESSION {
        return Err(none("its default is the “session” keyring, which is gone at log-out"));
    }
    let label = match collection.get_label() {
        Ok(label) if !label.trim().is_empty() => phrase(&label),
        _ => name_of(&path),
    };
    drop(collection);
    let name = provider.name_with(&label);
    let files = KeyringFiles::of(&bus, &owner);
    let stamps = files.stamps(&name_of(&path));
    let mut this = DefaultCollection {
        bus,
        service,
        collection: path,
        plain: Plain { rule: how.plain, notify: Arc::clone(&how.notify), files, stamps, told: false, noted: false },
        owner,
        provider,
        current_prompt: how.current_prompt.clone(),
        asked_to_unlock: false,
        asked_for: Vec::new(),
    };
    let opened = this.check_encryption().and_then(|()| this.unlock_collection());
    opened.map_err(|failure| failure.into_error(&name, "opening it", SERVICE))?;
    Ok(Opened { backend: Box::new(this), name })
}

/// Opens an encrypted session. One key in 256 begins with a zero byte, which `secret-service` leaves out, and KWallet takes no
/// key that is shorter. So a refusal is answered with another key.
fn open_session(bus: &Connection) -> std::result::Result<SecretService<'static>, ServiceError> {
    let mut keys = KEYS;
    loop {
        keys -= 1;
        match SecretService::connect_with_existing(EncryptionType::Dh, bus.clone()) {
            Err(ServiceError::Zbus(zbus::Error::MethodError(..))) if keys > 0 => {}
            other => return other,
        }
    }
}

/// What a library error of this system means.
pub(super) fn explain(_: &(dyn std::error::Error + Send + Sync + 'static)) -> Option<KeychainFailure> {
    // On this system no keychain is reached through the keyring crates.
    None
}

struct DefaultCollection {
    bus: Connection,
    service: SecretService<'static>,
    collection: OwnedObjectPath,
    plain: Plain,
    owner: Owner,
    provider: Provider,
    current_prompt: CurrentPrompt,
    asked_to_unlock: bool,
    /// The items that a person was asked for already.
    asked_for: Vec<String>,
}

/// What to do about keyrings that keep in clear.
struct Plain {
    rule: PlainKeyring,
    notify: Arc<dyn Notify>,
    files: KeyringFiles,
    /// The keyring's file before anything was stored.
    stamps: Stamps,
    told: bool,
    noted: bool,
}

impl Backend for DefaultCollection {
    fn find(&mut self, user: &str) -> Result<Vec<ItemId>, KeychainFailure> {
        self.same_owner()?;
        self.unlock_collection()?;
        let attributes = HashMap::from([("service", SERVICE), ("username", user)]);
        let collection = self.collection().map_err(failed)?;
        let found = collection.search_items(attributes).map_err(failed)?;
        Ok(found.into_iter().map(|item| ItemId(item.item_path.to_string())).collect())
    }

    fn users(&mut self) -> Result<Vec<String>, KeychainFailure> {
        self.unlock_collection()?;
        let items = self.in_all_collections(&HashMap::from([("service", SERVICE)]))?;
        // An item of a keyring that has not been open since the login may not tell its attributes.
        let attributes =
            items.iter().filter_map(|path| self.item(&ItemId(path.to_string())).ok()?.get_attributes().ok());
        Ok(attributes.filter_map(|mut attributes| attributes.remove("username")).collect())
    }

    fn elsewhere(&mut self, user: &str) -> Result<Vec<String>, KeychainFailure> {
        let mut found = Vec::new();
        for item in self.in_all_collections(&HashMap::from([("service", SERVICE), ("username", user)]))? {
            let collection = item.rsplit_once('/').map_or("", |(collection, _)| collection);
            let name = self.provider.name_with(&self.label_of_collection(collection));
            if collection != self.collection.as_str() && !found.contains(&name) {
                found.push(name);
            }
        }
        Ok(found)
    }

    fn read(&mut self, user: &str, id: &ItemId) -> Result<Option<Stored>, KeychainFailure> {
        self.same_owner()?;
        if !self.is_there(user, id)? {
            return Ok(None);
        }
        self.unlock_item(user, id)?;
        let value = self.in_session(|this| this.item(id)?.get_secret())?;
        Ok(Some(Stored { id: id.clone(), value: Zeroizing::new(value) }))
    }

    fn write(
        &mut self,
        user: &str,
        label: &str,
        value: &[u8],
        over: Option<&ItemId>,
    ) -> Result<ItemId, KeychainFailure> {
        self.same_owner()?;
        self.unlock_collection()?;
        self.check_encryption()?;
        if let Some(id) = over {
            self.unlock_item(user, id)?;
            self.set(id, value)?;
            return Ok(id.clone());
        }
        // Made empty and then filled: what goes wrong in between leaves an item without a code.
        let made = self.in_session(|this| {
            let attributes = HashMap::from([("service", SERVICE), ("username", user)]);
            let collection = this.collection()?;
            let made = collection.create_item(label, attributes.clone(), b"", false, "text/plain");
            let made = made.map(|item| item.item_path);
            if made.is_err() && this.provider == Provider::KWallet {
                // It says that it made none where it could not read what was to be in it, and made one all the same.
                if let Some(item) = collection.search_items(attributes)?.first() {
                    return Ok(ItemId(item.item_path.to_string()));
                }
            }
            made.map(|path| ItemId(path.to_string()))
        })?;
        self.set(&made, value)?;
        Ok(made)
    }

    fn remove(&mut self, user: &str, id: &ItemId, asking: Asking) -> Result<Removal, KeychainFailure> {
        self.same_owner()?;
        if asking == Asking::Never && self.item(id).and_then(|it| it.is_locked()).map_err(failed)? {
            return Ok(Removal::Left(self.label_of(id, user)));
        }
        self.unlock_item(user, id)?;
        let label = self.label_of(id, user);
        if self.provider.keeps_old_versions() && asking == Asking::Allowed {
            // Before, since it may delete without asking, and then the item can't be reached any more.
            let name = self.provider.name();
            self.plain
                .notify
                .notify(Event::Fact(format!("{label} is overwritten before {name} is asked to delete it.")));
            self.overwrite(id, OVERWRITES)?;
        }
        let path = object(&id.0)?;
        let answer = self.call(&path, ITEM_INTERFACE, "Delete", &())?;
        let prompt: OwnedObjectPath = answer.body().deserialize().map_err(|_| not_understood())?;
        let is_done = match (prompt.as_str(), asking) {
            (NO_OBJECT, _) => true,
            (_, Asking::Never) => false,
            (_, Asking::Allowed) => self.prompt(&prompt, self.provider.removing())?,
        };
        if !is_done || self.is_there(user, id)? {
            // It stays, but not with a code in it.
            self.overwrite(id, 1)?;
            return Ok(Removal::Left(label));
        }
        Ok(if self.provider.keeps_old_versions() { Removal::Archived(self.archive()) } else { Removal::Gone })
    }

    fn check(&mut self, _: &str, id: &ItemId) -> Result<(), KeychainFailure> {
        let collection = id.0.rsplit_once('/').map_or("", |(collection, _)| collection);
        if name_of(collection) == SESSION {
            return Err(KeychainFailure::NotStored(
                "the item lies in the “session” keyring, gone at log-out".to_owned(),
            ));
        }
        self.check_encryption()?;
        self.certain()
    }

    fn prove(&mut self, user: &str, there: &Stored) -> Result<(), KeychainFailure> {
        if self.provider.known_encrypted().is_some() {
            return Ok(());
        }
        // Its own value: only a file that changes with a write is certain to be the keyring's.
        self.write(user, "", &there.value, Some(&there.id))?;
        self.check(user, &there.id)
    }

    fn removes_without_asking(&self) -> bool {
        // Only GNOME Keyring is known to. Another one may ask, and an item that is left behind is worse than one not tried.
        self.provider == Provider::Gnome
    }

    fn asks_before_reading(&mut self, user: &str) -> Result<bool, KeychainFailure> {
        self.unlock_collection()?;
        for id in self.find(user)? {
            if self.item(&id).and_then(|it| it.is_locked()).map_err(failed)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn holds_several(&self) -> bool {
        true
    }

    fn sync(&mut self) {
        if self.provider == Provider::KWallet {
            linux_kwallet::sync(&self.bus, &name_of(&self.collection));
        }
    }
}

impl DefaultCollection {
    fn collection(&self) -> Result<Collection<'_>, ServiceError> {
        self.service.get_collection_by_path(self.collection.clone())
    }

    /// Does what needs the session's key. In one session of 256 KWallet comes to another key than this side (it leaves out a
    /// zero byte that the secret begins with), and what one of them encrypts the other can't read: then once more, in another.
    fn in_session<T>(&mut self, act: impl Fn(&Self) -> Result<T, ServiceError>) -> Result<T, KeychainFailure> {
        match act(self) {
            Err(ServiceError::Crypto(_) | ServiceError::Zbus(zbus::Error::MethodError(..)))
                if self.provider == Provider::KWallet =>
            {
                self.service = open_session(&self.bus).map_err(failed)?;
                act(self).map_err(failed)
            }
            other => other.map_err(failed),
        }
    }

    /// The items with these attributes, of open collections and of locked ones.
    fn in_all_collections(&self, attributes: &HashMap<&str, &str>) -> Result<Vec<OwnedObjectPath>, KeychainFailure> {
        self.same_owner()?;
        let answer = self.call(&object(SERVICE_PATH)?, SERVICE_INTERFACE, "SearchItems", &(attributes,))?;
        let (mut open, locked): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
            answer.body().deserialize().map_err(|_| not_understood())?;
        open.extend(locked);
        Ok(open)
    }

    fn set(&mut self, id: &ItemId, value: &[u8]) -> Result<(), KeychainFailure> {
        self.in_session(|this| {
            let item = this.item(id)?;
            item.set_secret(value, "text/plain")?;
            // It does not say that it could not read what it was given.
            match this.provider {
                Provider::KWallet if *Zeroizing::new(item.get_secret()?) != value => Err(WRONG_KEY),
                _ => Ok(()),
            }
        })
    }

    fn label_of_collection(&self, path: &str) -> String {
        let collection = OwnedObjectPath::try_from(path).ok().map(|path| self.service.get_collection_by_path(path));
        let label = collection.and_then(|collection| collection.ok()?.get_label().ok());
        label.filter(|label| !label.trim().is_empty()).map_or_else(|| name_of(path), |label| phrase(&label))
    }

    fn item(&self, id: &ItemId) -> Result<Item<'_>, ServiceError> {
        let path = OwnedObjectPath::try_from(id.0.as_str())?;
        self.service.get_item_by_path(path)
    }

    /// What a person finds the item by in the keychain's own app.
    fn label_of(&self, id: &ItemId, user: &str) -> String {
        let label = self.item(id).ok().and_then(|item| item.get_label().ok());
        format!("The item “{}”", phrase(&label.unwrap_or_else(|| user.to_owned())))
    }

    fn is_there(&mut self, user: &str, id: &ItemId) -> Result<bool, KeychainFailure> {
        Ok(self.find(user)?.contains(id))
    }

    /// The service that was looked at is the one that is still there.
    fn same_owner(&self) -> Result<(), KeychainFailure> {
        match owner_of(&self.bus, SECRETS) {
            Some(owner) if owner == self.owner.unique => Ok(()),
            Some(_) => Err(KeychainFailure::Failed(
                "it was started anew meanwhile, or another program took its place".to_owned(),
            )),
            None => Err(KeychainFailure::Failed(format!("{} ended meanwhile", self.provider.name()))),
        }
    }

    /// Makes sure that the collection is open. Asks at most once in the life of this value, whether or not that helped.
    fn unlock_collection(&mut self) -> Result<(), KeychainFailure> {
        if !self.collection().and_then(|it| it.is_locked()).map_err(failed)? {
            return Ok(());
        }
        if std::mem::replace(&mut self.asked_to_unlock, true) {
            return Err(self.provider.locked());
        }
        let path = self.collection.clone();
        self.unlock(&path, self.provider.unlocking())?;
        // A prompt that could not be shown may count as done.
        if self.collection().and_then(|it| it.is_locked()).map_err(failed)? {
            Err(self.provider.locked())
        } else {
            Ok(())
        }
    }

    /// Makes sure that this connection may read the item. Asks at most once for each.
    fn unlock_item(&mut self, user: &str, id: &ItemId) -> Result<(), KeychainFailure> {
        self.unlock_collection()?;
        if !self.item(id).and_then(|it| it.is_locked()).map_err(failed)? {
            return Ok(());
        }
        if self.asked_for.contains(&id.0) {
            return Err(self.provider.denied(user));
        }
        self.asked_for.push(id.0.clone());
        self.unlock(&object(&id.0)?, self.provider.allowing())?;
        if self.item(id).and_then(|it| it.is_locked()).map_err(failed)? {
            Err(self.provider.denied(user))
        } else {
            Ok(())
        }
    }

    fn unlock(&mut self, path: &ObjectPath<'_>, awaited: PendingPrompt) -> Result<(), KeychainFailure> {
        let service = object(SERVICE_PATH)?;
        let answer = self.call(&service, SERVICE_INTERFACE, "Unlock", &(vec![path],))?;
        let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) =
            answer.body().deserialize().map_err(|_| not_understood())?;
        if prompt.as_str() != NO_OBJECT {
            self.prompt(&prompt, awaited)?;
        }
        Ok(())
    }

    /// Has a prompt shown, and waits for what the person does. Says whether it was agreed to. That the service ends meanwhile is
    /// seen: no answer would come any more.
    fn prompt(&self, path: &ObjectPath<'_>, awaited: PendingPrompt) -> Result<bool, KeychainFailure> {
        let dbus = DBusProxy::new(&self.bus).map_err(|error| KeychainFailure::Failed(in_words(&error)))?;
        let (completed, ends) = rules(path)?;
        let messages = MessageIterator::from(&self.bus);
        for rule in [&completed, &ends] {
            dbus.add_match_rule(rule.clone()).map_err(|error| KeychainFailure::Failed(fdo_in_words(&error)))?;
        }
        self.current_prompt.set(awaited);
        let agreed = self.prompted(path, messages);
        self.current_prompt.set(PendingPrompt::answer(self.provider.name()));
        for rule in [completed, ends] {
            // They end with the connection at the latest.
            let _ = dbus.remove_match_rule(rule);
        }
        agreed
    }

    fn prompted(&self, path: &ObjectPath<'_>, messages: MessageIterator) -> Result<bool, KeychainFailure> {
        self.call(path, PROMPT_INTERFACE, "Prompt", &"")?;
        for message in messages {
            let message = message.map_err(|error| KeychainFailure::Failed(in_words(&error)))?;
            let header = message.header();
            let member = header.member().map(|member| member.as_str().to_owned());
            if message.message_type() != MessageType::Signal {
                continue;
            }
            match member.as_deref() {
                Some("Completed") if header.path().is_some_and(|it| it == path) => {
                    let (dismissed, _): (bool, OwnedValue) =
                        message.body().deserialize().map_err(|_| not_understood())?;
                    return Ok(!dismissed);
                }
                Some("NameOwnerChanged") => {
                    let changed: Option<(String, String, String)> = message.body().deserialize().ok();
                    if changed.is_some_and(|(name, ..)| name == SECRETS) {
                        return Err(KeychainFailure::Failed(format!(
                            "{} ended while it waited for you",
                            self.provider.name()
                        )));
                    }
                }
                _ => {}
            }
        }
        Err(KeychainFailure::Failed("the D-Bus session bus ended while it waited for you".to_owned()))
    }

    /// Makes the code unreadable in the item, and in old versions that the service may keep of it.
    fn overwrite(&mut self, id: &ItemId, times: usize) -> Result<(), KeychainFailure> {
        for blanks in (0..times).rev() {
            // Another one each time: the same again is no new version.
            let value = [PLACEHOLDER, &vec![b' '; blanks]].concat();
            self.set(id, &value)?;
        }
        Ok(())
    }

    fn archive(&self) -> String {
        let name = self.provider.name();
        format!(
            "{name} may still have the item in its recycle bin. The code in it was overwritten {OVERWRITES} times, past the ten \
             old versions that {name} keeps by default. If it is set to keep more, empty the recycle bin."
        )
    }

    fn call<B: serde::Serialize + zbus::zvariant::DynamicType>(
        &self,
        path: &ObjectPath<'_>,
        interface: &'static str,
        method: &'static str,
        body: &B,
    ) -> Result<Message, KeychainFailure> {
        let interface = InterfaceName::from_static_str_unchecked(interface);
        let to = self.owner.unique.as_str();
        let answer = self.bus.call_method(Some(to), path, Some(interface), method, body);
        answer.map_err(|error| zbus_failure(&error))
    }

    fn check_encryption(&mut self) -> Result<(), KeychainFailure> {
        if let Some(known) = self.provider.known_encrypted() {
            self.plain.note(known);
            return Ok(());
        }
        match self.plain.files.storage_of(&name_of(&self.collection)) {
            KeyringStorage::Encrypted => {
                if let Some(unknown) = self.provider.may_encrypt_with_nothing() {
                    self.plain.note(&unknown);
                }
                Ok(())
            }
            KeyringStorage::Plain(file) => {
                let place = phrase(&file.display().to_string());
                match in_clear_in_words(self.plain.rule, &place) {
                    Some(warning) => self.plain.tell(warning),
                    None => return Err(KeychainFailure::InClear { place, hint: self.provider.set_a_password() }),
                }
                Ok(())
            }
            KeyringStorage::Unseen(refused) => {
                let why = match refused {
                    Some(refused) => format!("what its file says is not believed, because {}", phrase(&refused)),
                    None => format!("its file is in none of {}", self.plain.files.in_words()),
                };
                self.unseen(why)
            }
        }
    }

    /// After something was stored: whether it went to the file that was looked at.
    fn certain(&mut self) -> Result<(), KeychainFailure> {
        // What was told already is that it is plain or unseen, and was allowed.
        let is_known = self.provider.known_encrypted().is_some() || self.plain.told;
        if is_known || has_changed(&self.plain.stamps) {
            return Ok(());
        }
        let places = self.plain.files.in_words();
        self.unseen(format!("it stores in another file than the one that was found (looked for in {places})"))
    }

    fn unseen(&mut self, why: String) -> Result<(), KeychainFailure> {
        if self.plain.rule == PlainKeyring::Refused {
            return Err(KeychainFailure::Unseen { why });
        }
        self.plain.tell(format!("This program could not determine whether the keyring is encrypted: {why}."));
        Ok(())
    }
}

impl Plain {
    /// What can't be seen of one that is encrypted.
    fn note(&mut self, fact: &str) {
        if !std::mem::replace(&mut self.noted, true) {
            self.notify.notify(Event::Fact(fact.to_owned()));
        }
    }

    fn tell(&mut self, warning: String) {
        if !std::mem::replace(&mut self.told, true) {
            self.notify.notify(Event::Warning(warning));
        }
    }
}

/// What to listen to while a prompt is shown: that it is completed, and that the service ends.
fn rules(prompt: &ObjectPath<'_>) -> Result<(MatchRule<'static>, MatchRule<'static>), KeychainFailure> {
    let not_a_rule = |_| not_understood();
    let signal = || MatchRule::builder().msg_type(MessageType::Signal);
    let completed = signal().interface(PROMPT_INTERFACE).and_then(|rule| rule.member("Completed"));
    let completed = completed.and_then(|rule| rule.path(prompt.to_owned())).map_err(not_a_rule)?;
    let ends = signal().sender("org.freedesktop.DBus").and_then(|rule| rule.member("NameOwnerChanged"));
    let ends = ends.and_then(|rule| rule.add_arg(SECRETS)).map_err(not_a_rule)?;
    Ok((completed.build().into_owned(), ends.build().into_owned()))
}

fn object(path: &str) -> Result<ObjectPath<'static>, KeychainFailure> {
    ObjectPath::try_from(path).map(|path| path.into_owned()).map_err(|_| not_understood())
}

fn not_understood() -> KeychainFailure {
    KeychainFailure::Failed("it answered with something that can't be read".to_owned())
}

fn failed(error: ServiceError) -> KeychainFailure {
    match &error {
        ServiceError::Locked | ServiceError::Prompt => was_locked(),
        ServiceError::Zbus(error) => zbus_failure(error),
        _ => KeychainFailure::Failed(service_in_words(&error)),
    }
}

fn zbus_failure(error: &zbus::Error) -> KeychainFailure {
    match error {
        zbus::Error::MethodError(name, _, _) if name.ends_with(".IsLocked") => was_locked(),
        _ => match blocked(error) {
            Some(why) => KeychainFailure::Blocked(why),
            None => KeychainFailure::Failed(in_words(error)),
        },
    }
}

/// It was open when it was looked at, just before.
fn was_locked() -> KeychainFailure {
    KeychainFailure::locked("Unlock it")
}
