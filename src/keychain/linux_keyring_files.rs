//! Whether a GNOME keyring keeps in clear. The bus does not tell; only its file does: GNOME Keyring writes one without a
//! password as a text that begins `[keyring]`, and any other as `GnomeKeyring` and bytes.
//!
//! Where the file lies depends on the environment of the *daemon*, not on ours: in a snap's terminal XDG_DATA_HOME is
//! another one. So every place is looked at that is known to be possible. A plain file in any of them counts. That it is
//! encrypted is believed only of a file that changes when something is stored: an environment, the daemon's too, may lead
//! elsewhere than the daemon stores (another mount namespace, a folder that was moved), and to a file of the same name. And only of
//! one that nobody else can change: else another user's word, and their touch, would pass a keyring in clear off as encrypted.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use zbus::blocking::Connection;
use zbus::zvariant::OwnedValue;

use super::PlainKeyring;
use super::linux_session_bus::{Owner, owner_of};
use crate::safety::path_trust::{self, Refused, Whose};

/// How a keyring without a password begins.
const PLAIN: &[u8] = b"[keyring]";
/// How any other begins.
const ENCRYPTED: &[u8] = b"GnomeKeyring\n\r\0\n";

/// An environment is a few kilobytes.
const ENVIRONMENT_LIMIT: u64 = 4 * 1024 * 1024;
/// How long a file is given to change after something was stored. GNOME Keyring writes before it answers.
const TO_CHANGE: Duration = Duration::from_secs(1);

type Environment = HashMap<OsString, OsString>;

/// Where a keyring's file may lie, by who says so.
#[derive(Debug, Default)]
pub(super) struct KeyringFiles {
    /// Where the daemon's own environment leads, if that could be read: then it is one of these.
    daemon: Option<Vec<PathBuf>>,
    /// Where the user manager's environment and the password database lead.
    system: Vec<PathBuf>,
    /// Where our own environment leads.
    ours: Vec<PathBuf>,
}

/// What the files say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyringStorage {
    Plain(PathBuf),
    Encrypted,
    /// There is no file that says so. If there may be one that is not believed, why not.
    Unseen(Option<String>),
}

/// A file as it was at one time: which one, and when it was written.
type Stamp = (u64, i64, i64);

/// The files that may be believed, as they were at one time.
pub(super) type Stamps = Vec<(PathBuf, Stamp)>;

impl KeyringFiles {
    pub(super) fn of(bus: &Connection, owner: &Owner) -> Self {
        let own: Environment = std::env::vars_os().collect();
        let home = passwd_home();
        let folders = |environment: &Environment| folders_of(environment, home.as_deref());
        let manager = environment_of_user_manager(bus).map(|environment| folders(&environment));
        let mut system = manager.unwrap_or_default();
        system.extend(folders(&Environment::new()));
        Self {
            daemon: owner.pid.and_then(environment_of).map(|environment| folders(&environment)),
            system,
            ours: folders(&own),
        }
    }

    pub(super) fn storage_of(&self, keyring: &str) -> KeyringStorage {
        for folder in self.all() {
            if let Some(plain) = files_in(folder, keyring).find(|path| is_plain(path)) {
                return KeyringStorage::Plain(plain);
            }
        }
        match self.encrypted(keyring) {
            (stamps, refused) if stamps.is_empty() => KeyringStorage::Unseen(refused.map(|it| it.to_string())),
            _ => KeyringStorage::Encrypted,
        }
    }

    /// The encrypted files that may be believed, as they are now.
    pub(super) fn stamps(&self, keyring: &str) -> Stamps {
        self.encrypted(keyring).0
    }

    /// All places, for a sentence.
    pub(super) fn in_words(&self) -> String {
        let places: Vec<_> = self.all().map(|folder| folder.display().to_string()).collect();
        crate::safety::sanitize::phrase(&places.join(", "))
    }

    /// And the first one that somebody else can change.
    fn encrypted(&self, keyring: &str) -> (Stamps, Option<Refused>) {
        let folders: Vec<&PathBuf> = match &self.daemon {
            Some(daemon) => daemon.iter().collect(),
            // Nobody can tell where it stores, so what changes with it tells; one of these may be it.
            None => self.all().collect(),
        };
        let (mut stamps, mut first) = (Vec::new(), None);
        for path in folders.into_iter().flat_map(|folder| files_in(folder, keyring)) {
            match encrypted_stamp(&path) {
                Ok(stamp) => stamps.extend(stamp.map(|stamp| (path, stamp))),
                Err(refused) => first = first.or(Some(refused)),
            }
        }
        (stamps, first)
    }

    /// Each place once.
    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        let mut seen: Vec<&PathBuf> = Vec::new();
        for folder in self.daemon.iter().flatten().chain(&self.system).chain(&self.ours) {
            if !seen.contains(&folder) {
                seen.push(folder);
            }
        }
        seen.into_iter()
    }
}

/// What is said of a keyring that keeps in clear in `place`; `None` where it is refused for that.
pub(super) fn in_clear_in_words(rule: PlainKeyring, place: &str) -> Option<String> {
    match rule {
        PlainKeyring::Refused => None,
        PlainKeyring::Allowed => Some(format!(
            "The keyring has no password, so it stores the unlock code unencrypted in {place}. You allowed this."
        )),
        PlainKeyring::AsItIs => {
            Some(format!("The keyring has no password, so what is stored in it is unencrypted, in {place}."))
        }
    }
}

/// Whether one of the files has changed since `before`: only then is it certain that what was stored went there.
pub(super) fn has_changed(before: &Stamps) -> bool {
    let start = Instant::now();
    loop {
        let is_another = |(path, before): &(PathBuf, Stamp)| {
            // One that is gone, or that others can change by now, has not been stored to.
            encrypted_stamp(path).ok().flatten().is_some_and(|now| now != *before)
        };
        match before.iter().any(is_another) {
            true => break true,
            false if start.elapsed() > TO_CHANGE => break false,
            false => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The names that a keyring's file goes by: GNOME Keyring's, and that of its successor oo7.
fn files_in(folder: &Path, keyring: &str) -> impl Iterator<Item = PathBuf> + use<> {
    let safe = !keyring.is_empty() && !keyring.contains('/');
    let names = safe.then(|| [format!("{keyring}.keyring"), format!("v1/{keyring}.keyring")]);
    let folder = folder.to_owned();
    names.into_iter().flatten().map(move |name| folder.join(name))
}

/// Whosever it is: what it says leads to a refusal, or to what the person allowed.
fn is_plain(path: &Path) -> bool {
    path_trust::open_untrusted(path).ok().flatten().is_some_and(|mut file| begins_with(&mut file, PLAIN))
}

/// An encrypted keyring's file as it is now; `None` if there is none.
fn encrypted_stamp(path: &Path) -> Result<Option<Stamp>, Refused> {
    let mut file = match path_trust::open_file(path, Whose::Own) {
        Ok(Some(file)) => file,
        // Nothing is known of one that can't be looked at, and what is no file says nothing.
        Err(refused) if !refused.is_io() => return Err(refused),
        Ok(None) | Err(_) => return Ok(None),
    };
    let about = file.metadata().ok().filter(|_| begins_with(&mut file, ENCRYPTED));
    Ok(about.map(|about| (about.ino(), about.mtime(), about.mtime_nsec())))
}

fn begins_with(file: &mut File, mark: &[u8]) -> bool {
    let mut start = vec![0; mark.len()];
    file.read_exact(&mut start).is_ok() && start == mark
}

/// Where a daemon with that environment keeps keyrings: in the XDG data folder, before that in ~/.gnome2.
fn folders_of(environment: &Environment, passwd_home: Option<&Path>) -> Vec<PathBuf> {
    let of = |name: &str| environment.get(OsStr::new(name)).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = of("HOME").or_else(|| passwd_home.map(Path::to_owned));
    // A relative one leads somewhere, by the daemon's working directory, and not to the place that is meant where none is set.
    let is_set = environment.get(OsStr::new("XDG_DATA_HOME")).is_some_and(|value| !value.is_empty());
    let usual = || home.as_ref().filter(|_| !is_set).map(|home| home.join(".local/share"));
    let data = of("XDG_DATA_HOME").or_else(usual);
    [data, home.map(|home| home.join(".gnome2"))].into_iter().flatten().map(|base| base.join("keyrings")).collect()
}

fn passwd_home() -> Option<PathBuf> {
    Some(nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()??.dir)
}

/// What a process was started with, if this user may read it: not of one with file capabilities, as Ubuntu ships the daemon.
fn environment_of(pid: u32) -> Option<Environment> {
    let mut bytes = Vec::new();
    File::open(format!("/proc/{pid}/environ")).ok()?.take(ENVIRONMENT_LIMIT).read_to_end(&mut bytes).ok()?;
    Some(parsed(bytes.split(|byte| *byte == 0)))
}

/// What systemd's manager of this user starts services with, if there is one on the bus.
fn environment_of_user_manager(bus: &Connection) -> Option<Environment> {
    const MANAGER: &str = "org.freedesktop.systemd1";
    owner_of(bus, MANAGER)?;
    let asked = ("org.freedesktop.systemd1.Manager", "Environment");
    let properties = Some("org.freedesktop.DBus.Properties");
    let answer = bus.call_method(Some(MANAGER), "/org/freedesktop/systemd1", properties, "Get", &asked).ok()?;
    let value: OwnedValue = answer.body().deserialize().ok()?;
    let lines: Vec<String> = value.try_into().ok()?;
    Some(parsed(lines.iter().map(String::as_bytes)))
}

fn parsed<'l>(lines: impl Iterator<Item = &'l [u8]>) -> Environment {
    let pair = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b'=')?;
        Some((OsString::from_vec(line[..at].to_vec()), OsString::from_vec(line[at + 1..].to_vec())))
    };
    lines.filter_map(pair).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PLAIN_FILE: &str = "[keyring]\ndisplay-name=Login\n";
    const ENCRYPTED_FILE: &str = "GnomeKeyring\n\r\0\n\0\0\0\0";

    fn folder(base: &Path, name: &str, content: Option<&str>) -> PathBuf {
        let folder = base.join(name);
        std::fs::create_dir_all(folder.join("v1")).unwrap();
        if let Some(content) = content {
            std::fs::write(folder.join("login.keyring"), content).unwrap();
        }
        folder
    }

    #[test]
    fn a_plain_file_anywhere_counts_and_an_encrypted_one_only_where_it_may_be_believed() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, content| folder(dir.path(), name, content);
        let (nowhere, plain, sealed) =
            (make("nowhere", None), make("plain", Some(PLAIN_FILE)), make("sealed", Some(ENCRYPTED_FILE)));
        let storage_of = |daemon: Option<&PathBuf>, system: &PathBuf, ours: &PathBuf| {
            let files = KeyringFiles {
                daemon: daemon.map(|it| vec![it.clone()]),
                system: vec![system.clone()],
                ours: vec![ours.clone()],
            };
            files.storage_of("login")
        };
        let is_plain = KeyringStorage::Plain(plain.join("login.keyring"));
        assert_eq!(storage_of(Some(&plain), &sealed, &sealed), is_plain);
        assert_eq!(storage_of(Some(&sealed), &plain, &sealed), is_plain);
        assert_eq!(storage_of(None, &sealed, &plain), is_plain);
        assert_eq!(storage_of(Some(&sealed), &nowhere, &nowhere), KeyringStorage::Encrypted);
        assert_eq!(storage_of(None, &sealed, &nowhere), KeyringStorage::Encrypted);
        assert_eq!(storage_of(None, &nowhere, &sealed), KeyringStorage::Encrypted, "ours alone, if it changes");
        let others = KeyringStorage::Unseen(None);
        assert_eq!(storage_of(Some(&nowhere), &sealed, &sealed), others, "the daemon's is known, and there is no file");
    }

    #[test]
    fn only_files_that_begin_with_the_mark_are_taken_for_anything() {
        let dir = tempfile::tempdir().unwrap();
        let system = vec![dir.path().join("none"), dir.path().to_owned()];
        let files = KeyringFiles { system, ..KeyringFiles::default() };
        for content in ["[key", "\n[keyring]\n", "GnomeKeyring\n", ""] {
            std::fs::write(dir.path().join("odd.keyring"), content).unwrap();
            assert_eq!(files.storage_of("odd"), KeyringStorage::Unseen(None), "{content}");
        }
        std::fs::create_dir(dir.path().join("v1")).unwrap();
        std::fs::write(dir.path().join("v1/new.keyring"), ENCRYPTED_FILE).unwrap();
        assert_eq!(files.storage_of("new"), KeyringStorage::Encrypted);
        assert_eq!(files.storage_of("../../new"), KeyringStorage::Unseen(None));
    }

    #[test]
    fn a_file_that_does_not_change_with_what_is_stored_is_not_the_daemon_s() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = folder(dir.path(), "sealed", Some(ENCRYPTED_FILE));
        for daemon in [None, Some(vec![sealed.clone()])] {
            let files = KeyringFiles { daemon, system: vec![sealed.clone()], ..KeyringFiles::default() };
            let before = files.stamps("login");
            assert!(!has_changed(&before), "also where the daemon's environment leads");
            std::fs::write(sealed.join("new"), ENCRYPTED_FILE).unwrap();
            std::fs::rename(sealed.join("new"), sealed.join("login.keyring")).unwrap();
            assert!(has_changed(&before));
        }
    }

    /// A folder or a file that everyone can write to stands for what is another user's: for that, one has to be root.
    #[test]
    fn a_file_that_others_can_change_vouches_for_nothing_and_is_told() {
        let everyone = |path: &Path, mode| {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        let dir = tempfile::tempdir().unwrap();
        let sealed = folder(dir.path(), "sealed", Some(ENCRYPTED_FILE));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&sealed, &link).unwrap();
        let file = sealed.join("login.keyring");
        for daemon in [None, Some(vec![sealed.clone()]), Some(vec![link])] {
            let files = KeyringFiles { daemon, ours: vec![sealed.clone()], ..KeyringFiles::default() };
            assert_eq!(files.storage_of("login"), KeyringStorage::Encrypted);
            let before = files.stamps("login");
            for (path, mode, own) in [(&file, 0o666, 0o600), (&sealed, 0o777, 0o755)] {
                everyone(path, mode);
                let KeyringStorage::Unseen(Some(why)) = files.storage_of("login") else {
                    panic!("{} is believed", path.display());
                };
                assert!(why.contains("can be written by everyone"), "{why}");
                assert!(files.stamps("login").is_empty());
                std::fs::write(&file, ENCRYPTED_FILE).unwrap();
                assert_eq!(encrypted_stamp(&file).ok().flatten(), None, "nor does a change of it");
                everyone(path, own);
            }
            assert!(has_changed(&before));
            std::fs::write(&file, PLAIN_FILE).unwrap();
            everyone(&file, 0o666);
            assert_eq!(encrypted_stamp(&file).ok().flatten(), None, "nor does one in clear");
            assert_eq!(
                files.storage_of("login"),
                KeyringStorage::Plain(files.all().next().unwrap().join("login.keyring"))
            );
            everyone(&file, 0o600);
            std::fs::write(&file, ENCRYPTED_FILE).unwrap();
        }
    }

    #[test]
    fn places_follow_from_an_environment() {
        let of = |pairs: &[(&str, &str)], home: Option<&str>| {
            let environment = pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
            folders_of(&environment, home.map(Path::new))
        };
        let paths = |paths: [&str; 2]| paths.map(PathBuf::from).to_vec();
        assert_eq!(of(&[("HOME", "/h")], Some("/p")), paths(["/h/.local/share/keyrings", "/h/.gnome2/keyrings"]));
        assert_eq!(of(&[], Some("/p")), paths(["/p/.local/share/keyrings", "/p/.gnome2/keyrings"]));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")], None), paths(["/d/keyrings", "/h/.gnome2/keyrings"]));
        assert_eq!(of(&[("XDG_DATA_HOME", "data")], None), Vec::<PathBuf>::new(), "relative to nobody knows what");
        let with_home = of(&[("HOME", "/h"), ("XDG_DATA_HOME", "data")], None);
        assert_eq!(with_home, [PathBuf::from("/h/.gnome2/keyrings")], "not the usual place either");
        let parsed = parsed([&b"A=b=c"[..], b"none", b"HOME=/h"].into_iter());
        assert_eq!(parsed[OsStr::new("A")], OsString::from("b=c"));
        assert_eq!(parsed.len(), 2);
    }

    #[test]
    fn the_environment_of_a_process_of_this_user_is_read() {
        let own = environment_of(std::process::id()).unwrap();
        assert_eq!(own.get(OsStr::new("PATH")).cloned(), std::env::var_os("PATH"));
    }
}
