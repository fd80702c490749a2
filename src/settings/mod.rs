//! The settings and their layers: flags, `SNOW_ONBOARD_*`, the user's file, the system's file, `config/default.toml`. What
//! the system's file has below `[locked]` goes before all of them.
//!
//! Every setting stands once in [`table`]; the help of the flags, the defaults and the sample come from there. Every layer
//! gives text; a value is parsed once, after the layers have decided whose it is, so that a complaint can name where it
//! came from.

mod layers;
mod places;
mod sample;
pub mod table;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::cloud::CloudSettings;
use crate::device::{ClientSettings, Handoff};
use crate::error::{Error, Result};
use crate::job::{Endpoint, Malformed};
use crate::model::Region;
use crate::text::clean;
use crate::vault::{KeychainKind, VaultSettings};
use layers::Layers;
pub use layers::{Flags, Origin};
pub use places::Surroundings;
pub use sample::{defaults, sample};
use table::{SETTINGS, bytes, duration, sha256, yes_or_no};

/// The settings of this run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The device's address, if given.
    pub endpoint: Option<Endpoint>,
    /// AWS profile, if one was named to us. `AWS_PROFILE` is the SDK's to read.
    pub profile: Option<String>,
    /// AWS region, if one was named to us. `AWS_REGION` is the SDK's to read.
    pub region: Option<Region>,
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
    /// The settings that the system's file locks.
    locked: Vec<&'static str>,
}

impl Settings {
    /// Resolves the layers and parses what they decided.
    ///
    /// # Errors
    /// [`Error::SettingUnknown`], [`Error::SettingInvalid`], [`Error::SettingLocked`], [`Error::SettingsFileUnreadable`],
    /// [`Error::EndpointInvalid`]: each names the origin of the value.
    pub fn resolve(flags: &Flags, around: &Surroundings) -> Result<Self> {
        Self::parse(&Layers::read(flags, around)?)
    }

    fn parse(layers: &Layers) -> Result<Self> {
        let state_dir = match layers.path("state_dir")? {
            Some((path, _)) => path,
            None => crate::store::default_state_folder().ok_or_else(|| Error::StateFolderBad {
                path: "snow-onboard".to_owned(),
                why: "this user has no home folder, so there is no place for it".to_owned(),
            })?,
        };
        Ok(Self {
            endpoint: endpoint(layers)?,
            profile: layers.text("profile"),
            region: layers.optional("region", |text| text.parse().map_err(|malformed: Malformed| malformed.why))?,
            ca_bundle: layers.path("ca_bundle")?,
            keychain: layers.parsed("keychain", |text| {
                text.parse::<KeychainKind>().map_err(|_| "is not one of system, kernel, none")
            })?,
            keychain_was_chosen: layers.of("keychain").is_some_and(|given| given.origin != Origin::Default),
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
            manifest_limit: layers.parsed("manifest_limit", bytes)?,
            state_dir,
            log_file: layers.path("log_file")?,
            locked: layers.locked(),
        })
    }
}

impl Settings {
    /// Whether the system's file locks the setting of this key: then nobody may be asked for another value either.
    #[must_use]
    pub fn is_locked(&self, key: &str) -> bool {
        self.locked.contains(&key)
    }

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

fn endpoint(layers: &Layers) -> Result<Option<Endpoint>> {
    let Some(given) = layers.of("endpoint") else { return Ok(None) };
    given.value.parse().map(Some).map_err(|malformed: Malformed| Error::EndpointInvalid {
        given: given.shown(),
        origin: given.origin.to_string(),
        why: malformed.why,
    })
}

/// One line of what `settings` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The setting.
    pub key: &'static str,
    /// Its value, as it was written; `None` if it is not set.
    pub value: Option<String>,
    /// Where that was said; `None` if nowhere.
    pub origin: Option<String>,
    /// Whether the system's file locks it.
    pub locked: bool,
}

/// Every setting with its origin, in the order of the table.
///
/// # Errors
/// Those of [`Settings::resolve`]: what can't be used is not shown as if it could.
pub fn show(flags: &Flags, around: &Surroundings) -> Result<Vec<Shown>> {
    let layers = Layers::read(flags, around)?;
    let settings = Settings::parse(&layers)?;
    let shown = |key| match layers.of(key) {
        Some(given) => Shown {
            key,
            value: Some(clean(&given.value)),
            origin: Some(given.origin.to_string()),
            locked: settings.is_locked(key),
        },
        // Each system has a folder for this; no file could name it.
        None if key == "state_dir" => Shown {
            key,
            value: Some(settings.state_dir.display().to_string()),
            origin: Some(Origin::Default.to_string()),
            locked: false,
        },
        None => Shown { key, value: None, origin: None, locked: false },
    };
    Ok(SETTINGS.iter().map(|setting| shown(setting.key)).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::places::AWS_CA_BUNDLE;
    use super::*;
    use std::fs;

    fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> Option<PathBuf> {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        Some(path)
    }

    #[test]
    fn the_defaults_are_whole() {
        let settings = Settings::resolve(&Flags::new(), &Surroundings::default()).unwrap();
        assert_eq!(settings.keychain_timeout, Duration::from_secs(120));
        assert_eq!(settings.unlock_timeout, Duration::from_secs(900));
        assert_eq!(settings.manifest_limit, 64 * 1024 * 1024);
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
    fn what_is_no_file_or_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let why = |path: Option<PathBuf>| {
            let around = Surroundings { user_file: path, ..Surroundings::default() };
            let Err(Error::SettingsFileUnreadable { why, .. }) = Settings::resolve(&Flags::new(), &around) else {
                panic!("it was read");
            };
            why
        };
        assert_eq!(why(Some(dir.path().to_owned())), "it is not a file");
        let comments = |bytes: usize| "#".repeat(bytes - 1) + "\n";
        assert_eq!(why(file(&dir, "large", &comments((1 << 20) + 1))), "it is larger than 1024 KiB");
        let largest = Surroundings { user_file: file(&dir, "just", &comments(1 << 20)), ..Surroundings::default() };
        Settings::resolve(&Flags::new(), &largest).unwrap();
        let latin = dir.path().join("latin");
        fs::write(&latin, b"# gr\xfc\xdfe\n").unwrap();
        assert_eq!(why(Some(latin)), "it is not UTF-8");
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
    fn an_unknown_key_is_told_with_the_one_that_was_meant() {
        let dir = tempfile::tempdir().unwrap();
        let hint = |around: &Surroundings| Settings::resolve(&Flags::new(), around).unwrap_err().report().hint;
        for (text, meant) in [("keychian = 1", "keychain"), ("client-sha256 = 1", "client_sha256")] {
            let around = Surroundings { user_file: file(&dir, "config.toml", text), ..Surroundings::default() };
            assert!(hint(&around).starts_with(&format!("Did you mean “{meant}”?")), "{}", hint(&around));
        }
        let system_file = file(&dir, "system", "[locked]\nhand_off = \"private\"");
        let around = Surroundings { system_file, ..Surroundings::default() };
        assert!(hint(&around).starts_with("Did you mean “handoff”?"), "{}", hint(&around));
        let mut around = Surroundings::default();
        around.variables.insert("SNOW_ONBOARD_STATEDIR".to_owned(), "/x".into());
        assert!(hint(&around).starts_with("Did you mean “SNOW_ONBOARD_STATE_DIR”?"), "{}", hint(&around));
        let around = Surroundings { user_file: file(&dir, "config.toml", "zzzzz = 1"), ..Surroundings::default() };
        assert!(hint(&around).starts_with("See all"), "nothing is like it: {}", hint(&around));
    }

    fn locked(dir: &tempfile::TempDir, text: &str) -> Surroundings {
        Surroundings { system_file: file(dir, "system.toml", text), ..Surroundings::default() }
    }

    #[track_caller]
    fn locked_out(flags: &Flags, around: &Surroundings, expected: &str) {
        let refusal = Settings::resolve(flags, around).unwrap_err();
        assert!(matches!(refusal, Error::SettingLocked { .. }), "{refusal}");
        assert!(refusal.to_string().contains(expected), "{expected}: {refusal}");
    }

    #[test]
    fn a_lock_holds_against_every_layer_and_the_same_value_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        let text = "unlock_timeout = \"9m\"\n[locked]\nhandoff = \"private\"\nwait_timeout = \"2m\"\n";
        let mut around = locked(&dir, text);
        let mut flags = Flags::new();
        let settings = Settings::resolve(&flags, &around).unwrap();
        assert_eq!((settings.handoff, settings.unlock_timeout.as_secs()), (Handoff::Private, 540));

        flags.insert_as("--allow-argv", "handoff", "argv".to_owned());
        locked_out(&flags, &around, "system.toml:3), and --allow-argv says “argv”");
        flags.insert("handoff", "auto".to_owned());
        locked_out(&flags, &around, "--handoff says “auto”");
        flags.insert("handoff", "private".to_owned());
        flags.insert("wait_timeout", "120s".to_owned());
        Settings::resolve(&flags, &around).unwrap();

        around.variables.insert("SNOW_ONBOARD_HANDOFF".to_owned(), "argv".into());
        locked_out(&flags, &around, "SNOW_ONBOARD_HANDOFF says “argv”");
        around.variables.clear();
        around.user_file = file(&dir, "user.toml", "\nhandoff = \"argv\"");
        locked_out(&flags, &around, "user.toml:2 says “argv”");
        around.user_file = None;
        around.system_file = file(&dir, "system.toml", &format!("handoff = \"argv\"\n{text}"));
        locked_out(&Flags::new(), &around, "system.toml:1 says “argv”");
    }

    #[test]
    fn a_locked_bundle_goes_before_the_cli_s_variable() {
        let dir = tempfile::tempdir().unwrap();
        let bundle = std::path::absolute("/company.pem").unwrap();
        let mut around = locked(&dir, &format!("[locked]\nca_bundle = '{}'", bundle.display()));
        around.variables.insert(AWS_CA_BUNDLE.to_owned(), "/b.pem".into());
        assert_eq!(Settings::resolve(&Flags::new(), &around).unwrap().ca_bundle.unwrap().0, bundle);
        around.variables.insert("SNOW_ONBOARD_CA_BUNDLE".to_owned(), "/b.pem".into());
        locked_out(&Flags::new(), &around, "SNOW_ONBOARD_CA_BUNDLE");
    }

    #[test]
    fn a_locked_keychain_gives_way_only_to_a_command_that_takes_codes_out() {
        let dir = tempfile::tempdir().unwrap();
        let around = locked(&dir, "[locked]\nkeychain = \"system\"");
        let mut flags = Flags::new();
        assert!(Settings::resolve(&flags, &around).unwrap().is_locked("keychain"));
        flags.insert("keychain", "kernel".to_owned());
        locked_out(&flags, &around, "--keychain says “kernel”");
        flags.only_removes();
        let settings = Settings::resolve(&flags, &around).unwrap();
        assert_eq!((settings.keychain, settings.is_locked("keychain")), (KeychainKind::Kernel, false));
    }

    #[test]
    fn locks_that_bind_nobody_or_mean_nothing_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let user_file = file(&dir, "user.toml", "wait = true\n[locked]\n");
        let around = Surroundings { user_file, ..Surroundings::default() };
        let refusal = Settings::resolve(&Flags::new(), &around).unwrap_err().to_string();
        assert!(refusal.contains("user.toml:2") && refusal.contains("would bind nobody"), "{refusal}");
        for (text, expected) in [
            ("[locked]\nkeychain = \"cloud\"", "system.toml:2"),
            ("locked = true", "is not a table of settings"),
            ("[locked]\nclient = \"bin/snowballEdge\"", "is not an absolute path"),
            ("[other]\nkeychain = \"none\"", "“other”"),
            ("[locked.more]\nkeychain = \"none\"", "“more”"),
        ] {
            let refusal = Settings::resolve(&Flags::new(), &locked(&dir, text)).unwrap_err();
            assert_eq!(refusal.report().exit as u8, 3, "{text}");
            assert!(refusal.to_string().contains(expected), "{text}: {refusal}");
        }
    }

    #[test]
    fn a_system_file_that_others_may_have_written_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut around = locked(&dir, "wait = true");
        around.system_file_is_checked = true;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = around.system_file.as_ref().unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
        }
        let refusal = Settings::resolve(&Flags::new(), &around).unwrap_err();
        assert!(matches!(refusal, Error::SettingsFileUnreadable { .. }), "{refusal}");
        assert!(refusal.to_string().contains("not only an administrator may have written it"), "{refusal}");
        around.system_file = Some(dir.path().join("absent"));
        Settings::resolve(&Flags::new(), &around).unwrap();
    }

    #[test]
    fn what_is_shown_names_where_it_was_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut around = locked(&dir, "[locked]\nhandoff = \"private\"");
        around.user_file = file(&dir, "user.toml", "\nwait = true");
        around.variables.insert("SNOW_ONBOARD_REGION".to_owned(), "eu-west-1".into());
        let mut flags = Flags::new();
        flags.insert("profile", "field".to_owned());
        let rows = show(&flags, &around).unwrap();
        assert_eq!(rows.len(), SETTINGS.len());
        let row = |key| {
            let row: &Shown = rows.iter().find(|row| row.key == key).unwrap();
            let origin = row.origin.as_deref().unwrap_or("-").rsplit(['/', '\\']).next().unwrap().to_owned();
            (row.value.clone().unwrap_or_else(|| "-".to_owned()), origin, row.locked)
        };
        let expected = |value: &str, origin: &str, locked| (value.to_owned(), origin.to_owned(), locked);
        assert_eq!(row("profile"), expected("field", "--profile", false));
        assert_eq!(row("region"), expected("eu-west-1", "SNOW_ONBOARD_REGION", false));
        assert_eq!(row("wait"), expected("true", "user.toml:2", false));
        assert_eq!(row("handoff"), expected("private", "system.toml:2", true));
        assert_eq!(row("keychain"), expected("system", "built in", false));
        assert_eq!(row("client"), expected("-", "-", false));
        assert_eq!(row("state_dir").1, "built in");
    }
}
