//! The settings and their layers: flags, `SNOW_ONBOARD_*`, the user's file, the system's file, `config/default.toml`.
//!
//! Every layer gives text; a value is parsed once, after the layers have decided whose it is, so that a complaint can
//! name where it came from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::cloud::CloudSettings;
use crate::device::{ClientSettings, Handoff};
use crate::error::{Error, Result, io_in_words};
use crate::job::Endpoint;
use crate::vault::{KeychainKind, VaultSettings};

const DEFAULTS: &str = include_str!("../config/default.toml");

/// Every setting, in the order in which it is listed.
pub const KEYS: &[&str] = &[
    "endpoint",
    "profile",
    "region",
    "ca_bundle",
    "keychain",
    "allow_plain_keyring",
    "keychain_timeout",
    "client",
    "client_sha256",
    "allow_unknown_client",
    "handoff",
    "unlock_timeout",
    "wait",
    "wait_device",
    "wait_timeout",
    "network_timeout",
    "manifest_limit",
    "state_dir",
    "log_file",
];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag, by its key.
    Flag(&'static str),
    /// An environment variable.
    Variable(String),
    /// A line of a settings file.
    File {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// `config/default.toml`, compiled in.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(key) => write!(f, "--{}", key.replace('_', "-")),
            Self::Variable(name) => f.write_str(name),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("built in"),
        }
    }
}

/// What was typed: the flags that were given, by key.
pub type Flags = BTreeMap<&'static str, String>;

/// The settings of this run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The device's address, if given.
    pub endpoint: Option<Endpoint>,
    /// AWS profile, if one was named to us. `AWS_PROFILE` is the SDK's to read.
    pub profile: Option<String>,
    /// AWS region, if one was named to us. `AWS_REGION` is the SDK's to read.
    pub region: Option<String>,
    /// CA bundle for every connection to AWS, with its origin.
    pub ca_bundle: Option<(PathBuf, String)>,
    /// Where the code is kept.
    pub keychain: KeychainKind,
    /// Whether somebody chose it, rather than nobody saying anything.
    pub keychain_was_chosen: bool,
    /// Whether a keyring that keeps in clear is accepted.
    pub allow_plain_keyring: bool,
    /// Deadline of a keychain call.
    pub keychain_timeout: Duration,
    /// The vendor's client, with its origin; searched in PATH if not given.
    pub client: Option<(PathBuf, String)>,
    /// Pinned SHA-256 of the client's tree, lower case.
    pub client_sha256: Option<String>,
    /// Whether a client of an unknown version is used.
    pub allow_unknown_client: bool,
    /// How the client may get the code.
    pub handoff: Handoff,
    /// Deadline from the hand-over to UNLOCKED.
    pub unlock_timeout: Duration,
    /// Whether a job that is still on its way is waited for.
    pub wait: bool,
    /// Whether a device that does not answer yet is waited for as long as a job would be.
    pub wait_device: bool,
    /// Deadline of either wait.
    pub wait_timeout: Duration,
    /// Deadline of all that is asked of AWS.
    pub network_timeout: Duration,
    /// Largest manifest accepted, bytes.
    pub manifest_limit: u64,
    /// The state folder of this program.
    pub state_dir: PathBuf,
    /// File that the log is appended to, with its origin.
    pub log_file: Option<(PathBuf, String)>,
}

/// Files and variables around the flags. A parameter, so that tests bring their own.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Environment variables of interest, by name.
    pub variables: BTreeMap<String, OsString>,
    /// The user's file, if it has a place.
    pub user_file: Option<PathBuf>,
    /// The system's file.
    pub system_file: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(PREFIX) || name == AWS_CA_BUNDLE)
            .collect();
        Self { variables, user_file: user_file(), system_file: system_file() }
    }
}

const PREFIX: &str = "SNOW_ONBOARD_";
const AWS_CA_BUNDLE: &str = "AWS_CA_BUNDLE";

fn user_file() -> Option<PathBuf> {
    let absolute = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let parent = if cfg!(windows) {
        absolute("APPDATA")
    } else {
        // On macOS too: beside the state it would lie in a folder that has to be private.
        absolute("XDG_CONFIG_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".config")))
    };
    parent.map(|parent| parent.join("snow-onboard").join("config.toml"))
}

fn system_file() -> Option<PathBuf> {
    if cfg!(windows) {
        let data = std::env::var_os("ProgramData").map(PathBuf::from).filter(|path| path.is_absolute())?;
        Some(data.join("snow-onboard").join("config.toml"))
    } else if cfg!(target_os = "macos") {
        Some(PathBuf::from("/Library/Application Support/snow-onboard/config.toml"))
    } else {
        Some(PathBuf::from("/etc/snow-onboard/config.toml"))
    }
}

impl Settings {
    /// Resolves the layers and parses what they decided.
    ///
    /// # Errors
    /// [`Error::SettingUnknown`], [`Error::SettingInvalid`], [`Error::SettingsFileUnreadable`],
    /// [`Error::EndpointInvalid`]: each names the origin of the value.
    pub fn resolve(flags: &Flags, around: &Surroundings) -> Result<Self> {
        let layers = Layers::read(flags, around)?;
        let state_dir = match layers.path("state_dir")? {
            Some((path, _)) => path,
            None => crate::store::default_state_folder().ok_or_else(|| Error::StateFolderBad {
                path: "snow-onboard".to_owned(),
                why: "this user has no home folder, so there is no place for it".to_owned(),
            })?,
        };
        Ok(Self {
            endpoint: layers.endpoint()?,
            profile: layers.text("profile"),
            region: layers.text("region"),
            ca_bundle: layers.path("ca_bundle")?,
            keychain: layers.parsed("keychain", |text| {
                text.parse::<KeychainKind>().map_err(|_| "is not one of system, kernel, none")
            })?,
            keychain_was_chosen: layers.decided.get("keychain").is_some_and(|(_, origin)| *origin != Origin::Default),
            allow_plain_keyring: layers.parsed("allow_plain_keyring", yes_or_no)?,
            keychain_timeout: layers.parsed("keychain_timeout", duration)?,
            client: layers.path("client")?,
            client_sha256: layers.optional("client_sha256", sha256)?,
            allow_unknown_client: layers.parsed("allow_unknown_client", yes_or_no)?,
            handoff: layers.parsed("handoff", |text| match text {
                "private" => Ok(Handoff::Private),
                "argv" => Ok(Handoff::Argv),
                "auto" => Ok(Handoff::Auto),
                _ => Err("is not one of private, argv, auto"),
            })?,
            unlock_timeout: layers.parsed("unlock_timeout", duration)?,
            wait: layers.parsed("wait", yes_or_no)?,
            wait_device: layers.parsed("wait_device", yes_or_no)?,
            wait_timeout: layers.parsed("wait_timeout", duration)?,
            network_timeout: layers.parsed("network_timeout", duration)?,
            manifest_limit: layers.parsed("manifest_limit", |text| {
                text.parse().ok().filter(|limit| *limit > 0).ok_or("is not a number of bytes")
            })?,
            state_dir,
            log_file: layers.path("log_file")?,
        })
    }
}

impl Settings {
    /// The part that is about AWS.
    #[must_use]
    pub fn cloud(&self) -> CloudSettings {
        CloudSettings {
            profile: self.profile.clone(),
            region: self.region.clone(),
            ca_bundle: self.ca_bundle.clone(),
            network_timeout: self.network_timeout,
            manifest_limit: self.manifest_limit,
        }
    }

    /// How long a job that is not ready may be waited for, if at all.
    #[must_use]
    pub fn patience_for_delivery(&self) -> Option<Duration> {
        self.wait.then_some(self.wait_timeout)
    }

    /// How long a device may take to give its first answer.
    #[must_use]
    pub fn patience_for_start(&self) -> Duration {
        if self.wait_device { self.wait_timeout.max(self.unlock_timeout) } else { self.unlock_timeout }
    }

    /// The part that is about the vendor's client.
    #[must_use]
    pub fn client(&self) -> ClientSettings {
        ClientSettings {
            client: self.client.clone(),
            client_sha256: self.client_sha256.clone(),
            allow_unknown: self.allow_unknown_client,
        }
    }

    /// The part that is about the keychain, for the keychain `kind`.
    #[must_use]
    pub fn vault(&self, kind: KeychainKind) -> VaultSettings {
        VaultSettings { kind, deadline: self.keychain_timeout, allow_plain: self.allow_plain_keyring }
    }
}

struct Layers {
    decided: BTreeMap<&'static str, (String, Origin)>,
}

impl Layers {
    fn read(flags: &Flags, around: &Surroundings) -> Result<Self> {
        let mut layers = Self { decided: BTreeMap::new() };
        // Lowest first: a later layer replaces.
        layers.add_toml(DEFAULTS, |_| Origin::Default)?;
        for file in [&around.system_file, &around.user_file].into_iter().flatten() {
            layers.add_file(file)?;
        }
        layers.add_variables(around)?;
        for (key, value) in flags {
            layers.decided.insert(key, (value.clone(), Origin::Flag(key)));
        }
        Ok(layers)
    }

    fn add_variables(&mut self, around: &Surroundings) -> Result<()> {
        // AWS_CA_BUNDLE is what the AWS CLI reads; our own variable is the more particular one.
        let ours = around.variables.iter().filter_map(|(name, value)| Some((name, name.strip_prefix(PREFIX)?, value)));
        let aws = around.variables.get_key_value(AWS_CA_BUNDLE).map(|(name, value)| (name, "CA_BUNDLE", value));
        for (name, key, value) in aws.into_iter().chain(ours) {
            let origin = Origin::Variable(name.clone());
            let key = known(&key.to_ascii_lowercase(), &origin)?;
            let Some(value) = value.to_str() else {
                return Err(invalid(key, &value.display().to_string(), &origin, "is not UTF-8"));
            };
            // An empty variable is how a shell script unsets one for a single command.
            if !value.is_empty() {
                self.decided.insert(key, (value.to_owned(), origin));
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path) -> Result<()> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(path, io_in_words(&error))),
            Ok(text) => text,
        };
        self.add_toml(&text, |line| Origin::File { path: path.to_path_buf(), line })
    }

    fn add_toml(&mut self, text: &str, origin: impl Fn(usize) -> Origin) -> Result<()> {
        let line_at = |offset: usize| text[..offset].matches('\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(span.start));
            unreadable(Path::new(&origin(line).to_string()), error.message().to_owned())
        })?;
        for (key, value) in table.get_ref() {
            let origin = origin(line_at(key.span().start));
            let key = known(key.get_ref(), &origin)?;
            let value = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Boolean(flag) => flag.to_string(),
                DeValue::Integer(number) => number.to_string(),
                _ => return Err(invalid(key, "…", &origin, "is not a text, a number, true or false")),
            };
            self.decided.insert(key, (value, origin));
        }
        Ok(())
    }

    fn text(&self, key: &str) -> Option<String> {
        self.decided.get(key).map(|(value, _)| value.clone())
    }

    fn path(&self, key: &'static str) -> Result<Option<(PathBuf, String)>> {
        let Some((value, origin)) = self.decided.get(key) else { return Ok(None) };
        let path = PathBuf::from(value);
        // A relative path in a file would depend on where the command was typed.
        if path.is_relative() && matches!(origin, Origin::File { .. }) {
            return Err(invalid(key, value, origin, "is not an absolute path"));
        }
        let path = std::path::absolute(&path).map_err(|error| invalid(key, value, origin, &io_in_words(&error)))?;
        Ok(Some((path, origin.to_string())))
    }

    fn endpoint(&self) -> Result<Option<Endpoint>> {
        let Some((given, origin)) = self.decided.get("endpoint") else { return Ok(None) };
        given.parse().map(Some).map_err(|malformed: crate::job::Malformed| Error::EndpointInvalid {
            given: crate::text::clean(given),
            origin: origin.to_string(),
            why: malformed.why,
        })
    }

    fn optional<T>(&self, key: &'static str, parse: impl Fn(&str) -> Result<T, &'static str>) -> Result<Option<T>> {
        let Some((value, origin)) = self.decided.get(key) else { return Ok(None) };
        parse(value).map(Some).map_err(|why| invalid(key, value, origin, why))
    }

    fn parsed<T>(&self, key: &'static str, parse: impl Fn(&str) -> Result<T, &'static str>) -> Result<T> {
        self.optional(key, parse)?.ok_or_else(|| Error::Internal { what: format!("config/default.toml has no {key}") })
    }
}

fn known(key: &str, origin: &Origin) -> Result<&'static str> {
    KEYS.iter().find(|known| **known == key).copied().ok_or_else(|| Error::SettingUnknown {
        key: crate::text::clean(key),
        origin: origin.to_string(),
        known: KEYS.join(", "),
    })
}

fn invalid(key: &str, given: &str, origin: &Origin, why: &str) -> Error {
    Error::SettingInvalid {
        name: key.to_owned(),
        given: crate::text::clean(given),
        origin: origin.to_string(),
        why: why.to_owned(),
    }
}

fn unreadable(path: &Path, why: String) -> Error {
    Error::SettingsFileUnreadable { path: path.display().to_string(), why }
}

fn yes_or_no(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err("is neither true nor false"),
    }
}

fn sha256(text: &str) -> Result<String, &'static str> {
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| text.to_ascii_lowercase()).ok_or("is not a SHA-256: 64 hexadecimal digits")
}

/// `90`, `90s`, `15m`, `8h`: at least a second, at most a week.
fn duration(text: &str) -> Result<Duration, &'static str> {
    const WHY: &str = "is not a time from one second to a week, such as 90, 90s, 15m or 8h";
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        _ => (text, 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or(WHY)?;
    if (1..=7 * 24 * 3600).contains(&seconds) { Ok(Duration::from_secs(seconds)) } else { Err(WHY) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> Option<PathBuf> {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        Some(path)
    }

    #[test]
    fn the_defaults_are_whole_and_documented_once() {
        let settings = Settings::resolve(&Flags::new(), &Surroundings::default()).unwrap();
        assert_eq!(settings.keychain_timeout, Duration::from_secs(120));
        assert_eq!(settings.unlock_timeout, Duration::from_secs(900));
        assert_eq!(settings.manifest_limit, 64 * 1024 * 1024);
        for key in KEYS {
            assert!(DEFAULTS.contains(key), "{key} is not in config/default.toml");
        }
    }

    #[test]
    fn each_layer_goes_before_the_one_below() {
        let dir = tempfile::tempdir().unwrap();
        let mut around = Surroundings {
            system_file: file(&dir, "system", "unlock_timeout = \"1m\"\nnetwork_timeout = 7"),
            ..Surroundings::default()
        };
        let unlock =
            |flags: &Flags, around: &Surroundings| Settings::resolve(flags, around).unwrap().unlock_timeout.as_secs();
        let mut flags = Flags::new();
        assert_eq!(unlock(&flags, &around), 60);
        around.user_file = file(&dir, "user", "unlock_timeout = \"2m\"");
        assert_eq!(unlock(&flags, &around), 120);
        around.variables.insert("SNOW_ONBOARD_UNLOCK_TIMEOUT".to_owned(), "3m".into());
        assert_eq!(unlock(&flags, &around), 180);
        flags.insert("unlock_timeout", "4m".to_owned());
        assert_eq!(unlock(&flags, &around), 240);
        assert_eq!(Settings::resolve(&flags, &around).unwrap().network_timeout, Duration::from_secs(7));
    }

    #[test]
    fn a_bad_value_is_named_with_its_origin() {
        let dir = tempfile::tempdir().unwrap();
        let user_file = file(&dir, "config.toml", "# comment\n\nkeychain = \"cloud\"\n");
        let around = Surroundings { user_file, ..Surroundings::default() };
        let refusal = Settings::resolve(&Flags::new(), &around).unwrap_err();
        assert!(
            matches!(&refusal, Error::SettingInvalid { origin, given, .. }
            if origin.ends_with("config.toml:3") && given == "cloud"),
            "{refusal}"
        );

        let mut flags = Flags::new();
        flags.insert("keychain", "system".to_owned());
        assert!(Settings::resolve(&flags, &around).is_ok(), "what a higher layer replaces is not complained about");

        flags.insert("endpoint", "192.0.2.300".to_owned());
        let refusal = Settings::resolve(&flags, &around).unwrap_err();
        assert!(matches!(&refusal, Error::EndpointInvalid { origin, .. } if origin == "--endpoint"), "{refusal}");
    }

    #[test]
    fn unknown_keys_and_broken_files_are_errors_with_their_line() {
        let dir = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("\nkeychian = \"none\"", "config.toml:2"),
            ("keychain = ", "config.toml:1"),
            ("keychain = []", "config.toml:1"),
            ("client = \"bin/snowballEdge\"", "absolute"),
        ] {
            let around = Surroundings { user_file: file(&dir, "config.toml", text), ..Surroundings::default() };
            let refusal = Settings::resolve(&Flags::new(), &around).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{text}: {refusal}");
        }
        let mut around = Surroundings::default();
        around.variables.insert("SNOW_ONBOARD_KEYCHIAN".to_owned(), "none".into());
        let refusal = Settings::resolve(&Flags::new(), &around).unwrap_err();
        assert!(
            matches!(&refusal, Error::SettingUnknown { origin, .. } if origin == "SNOW_ONBOARD_KEYCHIAN"),
            "{refusal}"
        );
    }

    #[test]
    fn the_cli_s_ca_variable_counts_below_ours() {
        let mut around = Surroundings::default();
        around.variables.insert(AWS_CA_BUNDLE.to_owned(), "/a.pem".into());
        let (path, origin) = Settings::resolve(&Flags::new(), &around).unwrap().ca_bundle.unwrap();
        assert!(path.ends_with("a.pem"));
        assert_eq!(origin, "AWS_CA_BUNDLE");
        around.variables.insert("SNOW_ONBOARD_CA_BUNDLE".to_owned(), "/b.pem".into());
        assert!(Settings::resolve(&Flags::new(), &around).unwrap().ca_bundle.unwrap().0.ends_with("b.pem"));
    }

    #[test]
    fn times_have_units_and_bounds() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("8h", 28_800)] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds);
        }
        for text in ["", "0", "s", "-1", "1d", "1.5h", "99999999999999999999h", "200h", "5ß"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
