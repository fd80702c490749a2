//! Linux: the Secret Service (GNOME Keyring, KWallet, KeePassXC), in its default collection and nowhere else.
//!
//! Codes travel on the two connections of the keyring store, encrypted. A third connection carries no secret: it asks
//! for the collection, its lock and its items beforehand, because the store would create a collection it misses,
//! unlock anything that its search meets, and hide why it can't be had.

use std::collections::HashMap;
use std::env;
use std::error::Error as StdError;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use keyring_core::CredentialStore;
use secret_service::blocking::{Collection, SecretService};
use secret_service::{EncryptionType, Error as ServiceError};

use super::SERVICE;
use super::backend::{Backend, Failure, Opened, cleaned, if_there, system_store};
use crate::error::{Error, Result, io_in_words};
use crate::notice::{Notice, Notify};

/// How a sentence begins before the collection's name is known.
const THE_SERVICE: &str = "The Secret Service keyring";

/// Gone at log-out (Secret Service specification, "session" collection), so nothing is kept there.
const SESSION: &str = "session";

/// Opens the default collection, asking the person to unlock it where it is locked.
pub(super) fn open(allow_plain: bool, notify: Arc<dyn Notify>) -> Result<Opened> {
    let bus = SecretService::connect(EncryptionType::Plain).map_err(|error| unavailable(why_no_service(error)))?;
    let (collection, label) = default_collection(&bus)?;
    let name = format!("the Secret Service keyring “{label}”");
    let in_words = |failure: Failure| failure.into_error(&name, "opening it", SERVICE);

    let mut plain = PlainKeyrings { allowed: allow_plain, notify, told: false };
    plain.refuse(&collection).map_err(in_words)?;
    let mut lock = Lock { asked: false };
    lock.open(&bus.get_collection_by_path(collection.clone()).map_err(failed).map_err(in_words)?).map_err(in_words)?;

    let writer = system_store(own_store).map_err(in_words)?;
    let store = DefaultCollection { bus, collection, plain, lock, writer, reader: None, written: false };
    Ok(Opened { store: Box::new(store), name })
}

/// What a library error of this system means.
pub(super) fn explain(error: &(dyn StdError + Send + Sync + 'static)) -> Option<Failure> {
    error.downcast_ref::<ServiceError>().map(failure_of)
}

/// The path type of the D-Bus library, which is not ours to name a version of.
type ObjectPath = zbus::zvariant::OwnedObjectPath;

struct DefaultCollection {
    bus: SecretService<'static>,
    collection: ObjectPath,
    plain: PlainKeyrings,
    lock: Lock,
    writer: Arc<CredentialStore>,
    /// A connection of its own that has not seen what was written; made when it is first needed.
    reader: Option<Arc<CredentialStore>>,
    written: bool,
}

impl Backend for DefaultCollection {
    fn put(&mut self, user: &str, label: &str, value: &[u8]) -> Result<(), Failure> {
        // An item that is there already is updated where it lies.
        if let Some(item) = self.item(user)? {
            self.refuse_place_of(&item)?;
        }
        self.written = true;
        let entry = self.writer.build(SERVICE, user, Some(&HashMap::from([("label", label)])))?;
        Ok(entry.set_secret(value)?)
    }

    fn get(&mut self, user: &str) -> Result<Option<Vec<u8>>, Failure> {
        if self.item(user)?.is_none() {
            return Ok(None);
        }
        if_there(self.reader()?.build(SERVICE, user, None)?.get_secret())
    }

    fn remove(&mut self, user: &str) -> Result<bool, Failure> {
        if self.item(user)?.is_none() {
            return Ok(false);
        }
        Ok(if_there(self.writer.build(SERVICE, user, None)?.delete_credential())?.is_some())
    }

    fn check(&mut self, user: &str) -> Result<(), Failure> {
        match self.item(user)? {
            Some(item) => self.refuse_place_of(&item),
            None => Err(Failure::KeepsNothing("it was gone when looked for".to_owned())),
        }
    }
}

impl DefaultCollection {
    /// The item of `user`, if there is one. Whatever comes after this call meets no lock, so it can't prompt.
    fn item(&mut self, user: &str) -> Result<Option<ObjectPath>, Failure> {
        let collection = self.bus.get_collection_by_path(self.collection.clone()).map_err(failed)?;
        self.lock.open(&collection)?;
        let attributes = HashMap::from([("service", SERVICE), ("username", user)]);
        let found = self.bus.search_items(attributes).map_err(failed)?;
        // The search covers all collections, and the store would have each locked one unlocked: another prompt.
        if !found.locked.is_empty() {
            return Err(Failure::Failed("another keyring, which is locked, holds an item of the same name".to_owned()));
        }
        match &found.unlocked[..] {
            [] => Ok(None),
            [item] => Ok(Some(item.item_path.clone())),
            _ => Err(Failure::Ambiguous),
        }
    }

    fn refuse_place_of(&mut self, item: &ObjectPath) -> Result<(), Failure> {
        let collection = item.as_str().rsplit_once('/').map_or("", |(collection, _)| collection);
        if name_of(collection) == SESSION {
            return Err(Failure::KeepsNothing("the item lies in the “session” keyring, gone at log-out".to_owned()));
        }
        self.plain.refuse(collection)
    }

    fn reader(&mut self) -> Result<&Arc<CredentialStore>, Failure> {
        if !self.written {
            return Ok(&self.writer);
        }
        Ok(match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(zbus_secret_service_keyring_store::Store::new()?),
        })
    }
}

/// For [`system_store`]: taken out of its process-wide place, so that its connection ends with the keychain; who opens a
/// second keychain in the same process gets a new store.
fn own_store() -> Result<Arc<CredentialStore>, Failure> {
    Ok(match keyring_core::unset_default_store() {
        Some(store) => store,
        None => zbus_secret_service_keyring_store::Store::new()?,
    })
}

/// The path and the label of the default collection.
fn default_collection(bus: &SecretService<'_>) -> Result<(ObjectPath, String)> {
    let none = |why: &str| {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let wsl = if release.to_lowercase().contains("microsoft") { " (WSL makes none by itself)" } else { "" };
        Error::KeychainNoCollection { why: format!("{why}{wsl}") }
    };
    let collection = match bus.get_default_collection() {
        Ok(collection) => collection,
        Err(ServiceError::NoResult) => return Err(none("none is set as default")),
        Err(error) => return Err(unavailable(why_no_service(error))),
    };
    let path = collection.collection_path.clone();
    if name_of(&path) == SESSION {
        return Err(none("its default is the “session” keyring, which is gone at log-out"));
    }
    let label = match collection.get_label() {
        Ok(label) if !label.trim().is_empty() => cleaned(&label),
        _ => name_of(&path),
    };
    Ok((path, label))
}

/// The lock of the default collection, and whether the person has been asked to open it.
struct Lock {
    asked: bool,
}

impl Lock {
    /// Makes sure that `collection` is open. Asks at most once in its life, whether or not that helped.
    fn open(&mut self, collection: &Collection<'_>) -> Result<(), Failure> {
        if !collection.is_locked().map_err(failed)? {
            return Ok(());
        }
        if std::mem::replace(&mut self.asked, true) {
            return Err(Failure::Locked);
        }
        collection.unlock().map_err(failed)?;
        // A prompt that could not be shown may count as done.
        if collection.is_locked().map_err(failed)? { Err(Failure::Locked) } else { Ok(()) }
    }
}

/// What to do about keyrings that keep in clear. GNOME Keyring writes one without a password as a text file that
/// begins `[keyring]`, and any other as `GnomeKeyring` and bytes. The bus does not tell; only the file does.
struct PlainKeyrings {
    allowed: bool,
    notify: Arc<dyn Notify>,
    told: bool,
}

impl PlainKeyrings {
    fn refuse(&mut self, collection: &str) -> Result<(), Failure> {
        let Some(file) = plain_file(&name_of(collection), &keyring_folders()) else { return Ok(()) };
        let place = file.display().to_string();
        if !self.allowed {
            return Err(Failure::InClear(place));
        }
        if !std::mem::replace(&mut self.told, true) {
            self.notify.notify(Notice::Warning(format!(
                "The keyring has no password: it keeps the unlock code in clear in {place}, which you allowed."
            )));
        }
        Ok(())
    }
}

fn plain_file(keyring: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    const MARK: &[u8] = b"[keyring]";
    if keyring.contains('/') {
        return None;
    }
    folders.iter().map(|folder| folder.join(format!("{keyring}.keyring"))).find(|path| {
        let mut start = [0_u8; MARK.len()];
        File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok()) && start == MARK
    })
}

/// Where GNOME Keyring keeps its files: the XDG data folder, before that ~/.gnome2.
fn keyring_folders() -> Vec<PathBuf> {
    let home = env::home_dir();
    let data = env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home.as_ref().map(|home| home.join(".local/share")));
    [data, home.map(|home| home.join(".gnome2"))].into_iter().flatten().map(|base| base.join("keyrings")).collect()
}

/// The name of a collection, from its bus path. A path element admits only letters, digits and `_`, so GNOME Keyring
/// writes every other byte, `_` included, as `_` and two hexadecimal digits: `Default_5fkeyring`.
fn name_of(collection: &str) -> String {
    let element = collection.rsplit('/').next().unwrap_or_default();
    let mut name = Vec::new();
    let mut rest = element.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| first == b'_').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u8::from_str_radix(digits, 16).ok()
        });
        match escaped {
            Some(byte) => (name.push(byte), rest = &after[2..]),
            None => (name.push(first), rest = after),
        };
    }
    String::from_utf8_lossy(&name).into_owned()
}

fn unavailable(why: String) -> Error {
    Error::KeychainUnavailable { which: THE_SERVICE.to_owned(), why }
}

fn why_no_service(error: ServiceError) -> String {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    let (is_no_bus, detail) = match &error {
        ServiceError::Unavailable => (true, String::new()),
        ServiceError::Zbus(zbus::Error::Connection(error, _) | zbus::Error::InputOutput(error)) => {
            (matches!(error.kind(), NotFound | ConnectionRefused), io_in_words(error))
        }
        _ => {
            return match failed(error) {
                Failure::Failed(why) => why,
                _ => "it is locked".to_owned(),
            };
        }
    };
    let set = env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some();
    match (is_no_bus, set) {
        (true, false) => "there is no D-Bus session bus (DBUS_SESSION_BUS_ADDRESS is not set)".to_owned(),
        (true, true) => "there is no D-Bus session bus at the address that DBUS_SESSION_BUS_ADDRESS gives".to_owned(),
        (false, _) => format!("the D-Bus session bus can't be reached ({detail})"),
    }
}

fn failed(error: ServiceError) -> Failure {
    failure_of(&error)
}

fn failure_of(error: &ServiceError) -> Failure {
    Failure::Failed(match error {
        ServiceError::Locked | ServiceError::Prompt => return Failure::Locked,
        ServiceError::Zbus(zbus::Error::MethodError(name, _, _)) if name.ends_with(".IsLocked") => {
            return Failure::Locked;
        }
        ServiceError::Zbus(zbus::Error::MethodError(name, text, _)) => {
            bus_error(name.as_str().rsplit('.').next().unwrap_or_default(), text.as_deref().unwrap_or(name))
        }
        ServiceError::Zbus(zbus::Error::FDO(error)) => fdo_error(error),
        ServiceError::ZbusFdo(error) => fdo_error(error),
        ServiceError::Zbus(zbus::Error::InputOutput(error)) => io_in_words(error),
        ServiceError::NoResult => "it has no default keyring any more".to_owned(),
        ServiceError::PromptDisconnected => "the connection ended while it waited for you".to_owned(),
        ServiceError::Unavailable => "there is no D-Bus session bus".to_owned(),
        // Says what could not be decrypted, not the bytes.
        other => cleaned(&other.to_string()),
    })
}

fn fdo_error(error: &zbus::fdo::Error) -> String {
    match error {
        zbus::fdo::Error::ServiceUnknown(text) => bus_error("ServiceUnknown", text),
        zbus::fdo::Error::NameHasNoOwner(text) => bus_error("NameHasNoOwner", text),
        zbus::fdo::Error::NoReply(text) => bus_error("NoReply", text),
        other => cleaned(&other.to_string()),
    }
}

/// A standard D-Bus error (the last part of its name) in words.
fn bus_error(name: &str, text: &str) -> String {
    match name {
        "ServiceUnknown" | "NameHasNoOwner" => {
            "no Secret Service runs on the D-Bus session bus (such as GNOME Keyring, KWallet or KeePassXC)".to_owned()
        }
        "NoReply" | "Disconnected" => "the Secret Service ended instead of answering".to_owned(),
        _ => cleaned(text),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_come_out_of_bus_paths_as_they_were() {
        for (path, name) in [
            ("/org/freedesktop/secrets/collection/login", "login"),
            ("/org/freedesktop/secrets/collection/Default_5fkeyring", "Default_keyring"),
            ("/org/freedesktop/secrets/collection/J_c3_bcrgen_20M", "Jürgen M"),
            ("/org/freedesktop/secrets/collection/odd_zz_", "odd_zz_"),
            ("/org/freedesktop/secrets/collection/_2b_+1", "+_+1"),
            ("", ""),
        ] {
            assert_eq!(name_of(path), name, "{path}");
        }
    }

    #[test]
    fn only_a_file_that_begins_with_the_mark_is_plain() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().join("nothing here"), folder.path().to_owned()];
        for (name, content) in [
            ("plain", "[keyring]\ndisplay-name=Login\n"),
            ("sealed", "GnomeKeyring\n\r\0\n"),
            ("short", "[key"),
            ("later", "\n[keyring]\n"),
        ] {
            std::fs::write(folder.path().join(format!("{name}.keyring")), content).unwrap();
            assert_eq!(plain_file(name, &folders).is_some(), name == "plain", "{name}");
        }
        assert_eq!(plain_file("absent", &folders), None);
    }
}
