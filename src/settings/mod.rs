//! The settings and their layers: flags, `SNOW_ONBOARD_*`, the user's file, the system's file, what is built in. What the
//! system's file has below `[locked]` overrides all of them.
//!
//! Every setting is declared once, in [`table`]; all else about it comes from there. A value is parsed where it is read, and
//! is of its type from then on; one that is none is complained of, with its origin, only if no other layer overrides it.

mod layers;
mod places;
mod sample;
pub mod table;
mod value;

use std::time::Duration;

use serde::Serialize;

use crate::error::{GivenFlag, HintRules, LockedSetting, Result};
use crate::model::{KeychainKind, Origin};
use crate::safety::sanitize::sanitize;
pub use layers::Flags;
pub(crate) use layers::Given;
use layers::Layers;
pub use places::ProcessEnvironment;
pub use sample::defaults;
pub(crate) use sample::sample;
pub use table::Settings;
pub(crate) use table::setting;
use table::{SETTINGS, Setting};
pub(crate) use value::Value;

impl Settings {
    /// Resolves the layers.
    ///
    /// # Errors
    /// [`Error::SettingUnknown`], [`Error::SettingInvalid`], [`Error::SettingLocked`], [`Error::SettingsFileUnreadable`],
    /// [`Error::EndpointInvalid`]: each names the origin of the value.
    ///
    /// [`Error::SettingUnknown`]: crate::error::Error::SettingUnknown
    /// [`Error::SettingInvalid`]: crate::error::Error::SettingInvalid
    /// [`Error::SettingLocked`]: crate::error::Error::SettingLocked
    /// [`Error::SettingsFileUnreadable`]: crate::error::Error::SettingsFileUnreadable
    /// [`Error::EndpointInvalid`]: crate::error::Error::EndpointInvalid
    pub fn resolve(flags: &Flags, around: &ProcessEnvironment) -> Result<Self> {
        Self::of(Layers::read(flags, around)?)
    }

    /// The same settings, and this value as if its flag had been typed: an answer to a question. A lock overrides it.
    ///
    /// # Errors
    /// [`Error::SettingLocked`](crate::error::Error::SettingLocked).
    pub(crate) fn with(&self, setting: &'static Setting, value: impl Into<Value>) -> Result<Self> {
        let mut layers = self.layers.clone();
        layers.put(Given::of(setting, value.into()))?;
        Self::of(layers)
    }

    /// What a command has to say to mean the same in any shell, by key: what flags said, and variables of ours, which may
    /// not be there next time.
    pub(crate) fn said(&self) -> impl Iterator<Item = (&'static Setting, &Value)> {
        self.layers.of_this_run()
    }

    /// Whether the system's file locks the setting: then nobody may be asked for another value either.
    pub(crate) fn is_locked(&self, setting: &Setting) -> bool {
        self.layers.is_locked(setting)
    }

    /// What they make of a hint; `run` is what a command of this run begins with, and what follows the job in it; `given` is what
    /// a command says again.
    pub(crate) fn hint_rules(&self, run: (String, String), given: Vec<GivenFlag>) -> HintRules {
        let locked = SETTINGS.iter().filter(|setting| self.is_locked(setting)).map(|setting| LockedSetting {
            key: setting.key,
            flags: std::iter::once(setting.flag())
                .chain(setting.shorthand.as_ref().map(|short| format!("--{}", short.flag)))
                .collect(),
            value: self.layers.of(setting).map(|given| given.written.clone()).unwrap_or_default(),
        });
        HintRules {
            locked: locked.collect(),
            run_without_storing: (self.keychain == KeychainKind::None).then_some(run),
            given,
            ..HintRules::default()
        }
    }

    /// Whether somebody chose the keychain, rather than nobody saying anything.
    pub(crate) fn keychain_was_chosen(&self) -> bool {
        self.layers.of(&setting::keychain).is_some_and(|given| given.origin != Origin::Default)
    }

    /// Whether another state folder than the user's own was named for this command.
    pub(crate) fn state_dir_was_typed(&self) -> bool {
        let of_command = |given: &Given| matches!(given.origin, Origin::Flag(_) | Origin::Variable(_));
        self.layers.of(&setting::state_dir).is_some_and(of_command)
    }

    /// Whether it was named on the command line, and that counts.
    pub(crate) fn keychain_was_typed(&self) -> bool {
        let is_flag = |given: &Given| matches!(given.origin, Origin::Flag(_));
        self.layers.of(&setting::keychain).is_some_and(is_flag) && !self.is_locked(&setting::keychain)
    }

    /// How long a job that is not ready may be waited for, if at all.
    pub(crate) fn patience_for_delivery(&self) -> Option<Duration> {
        self.wait.then_some(self.wait_timeout)
    }

    /// How long a device may take to give its first answer.
    pub(crate) fn start_timeout(&self) -> Duration {
        if self.wait_device { self.wait_timeout } else { self.unlock_timeout }
    }

    /// Every setting with its origin, in the order of the table.
    pub(crate) fn listed(&self) -> Vec<Listed> {
        let listed = |setting: &&Setting| {
            let given = self.layers.of(setting);
            Listed {
                key: setting.key,
                value: given.map(|given| sanitize(&given.written)),
                typed: given.and_then(Given::typed),
                origin: given.map(|given| given.origin.to_string()),
                locked: self.is_locked(setting),
            }
        };
        SETTINGS.iter().map(listed).collect()
    }
}

/// One line of what `settings` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Listed {
    /// The setting.
    pub(crate) key: &'static str,
    /// Its value, as it was written; `None` if it is not set.
    #[serde(skip)]
    pub(crate) value: Option<String>,
    /// The same for programs, of its type.
    #[serde(rename = "value")]
    pub(crate) typed: Option<serde_json::Value>,
    /// Where that was said; `None` if nowhere.
    pub(crate) origin: Option<String>,
    /// Whether the system's file locks it.
    pub(crate) locked: bool,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::places::AWS_CA_BUNDLE;
    use super::*;
    use crate::error::Error;
    use crate::model::HandOverPolicy;
    use std::fs;
    use std::path::PathBuf;

    fn say(flags: &mut Flags, key: &str, text: &str) {
        let setting = SETTINGS.iter().find(|setting| setting.key == key).unwrap();
        flags.insert(Given::read(setting, text.to_owned(), Origin::Flag(setting.flag())));
    }

    fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> Option<PathBuf> {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        Some(path)
    }

    #[test]
    fn the_defaults_are_whole() {
        let settings = Settings::resolve(&Flags::new(), &ProcessEnvironment::default()).unwrap();
        assert_eq!(settings.keychain_timeout, Duration::from_secs(120));
        // A device takes 10 to 20 minutes to start.
        assert!(settings.start_timeout() > Duration::from_secs(20 * 60));
        assert_eq!(settings.manifest_limit, 64 * 1024 * 1024);
    }

    #[test]
    fn a_wait_for_the_device_is_as_long_as_was_said() {
        let mut flags = Flags::new();
        say(&mut flags, "wait_timeout", "2m");
        let patience =
            |flags: &Flags| Settings::resolve(flags, &ProcessEnvironment::default()).unwrap().start_timeout();
        assert_eq!(patience(&flags), patience(&Flags::new()), "without the wait it is not meant");
        say(&mut flags, "wait_device", "true");
        assert_eq!(patience(&flags), Duration::from_secs(120));
    }

    #[test]
    fn a_path_and_an_address_are_taken_as_they_were_typed() {
        let dir = tempfile::tempdir().unwrap();
        let user_file =
            file(&dir, "config.toml", "client = \" ~/snow/bin/snowballEdge \"\nendpoint = \"192.0.2.10\u{a0}\"");
        let around = ProcessEnvironment { user_file, ..ProcessEnvironment::default() };
        let settings = Settings::resolve(&Flags::new(), &around).unwrap();
        let client = settings.client.unwrap().value;
        assert!(client.is_absolute() && client.ends_with("snow/bin/snowballEdge"), "{}", client.display());
        assert_eq!(settings.endpoint.unwrap().to_string(), "192.0.2.10");
    }

    #[test]
    fn each_layer_goes_before_the_one_below() {
        let dir = tempfile::tempdir().unwrap();
        let mut around = ProcessEnvironment {
            system_file: file(&dir, "system", "unlock_timeout = \"1m\"\nnetwork_timeout = 7"),
            ..ProcessEnvironment::default()
        };
        let unlock = |flags: &Flags, around: &ProcessEnvironment| {
            Settings::resolve(flags, around).unwrap().unlock_timeout.as_secs()
        };
        let mut flags = Flags::new();
        assert_eq!(unlock(&flags, &around), 60);
        around.user_file = file(&dir, "user", "unlock_timeout = \"2m\"");
        assert_eq!(unlock(&flags, &around), 120);
        around.variables.insert("SNOW_ONBOARD_UNLOCK_TIMEOUT".to_owned(), "3m".into());
        assert_eq!(unlock(&flags, &around), 180);
        say(&mut flags, "unlock_timeout", "4m");
        assert_eq!(unlock(&flags, &around), 240);
        assert_eq!(Settings::resolve(&flags, &around).unwrap().network_timeout, Duration::from_secs(7));
    }

    #[test]
    fn what_is_no_file_or_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let why = |path: Option<PathBuf>| {
            let around = ProcessEnvironment { user_file: path, ..ProcessEnvironment::default() };
            let Err(Error::SettingsFileUnreadable { why, .. }) = Settings::resolve(&Flags::new(), &around) else {
                panic!("it was read");
            };
            why.to_string()
        };
        assert_eq!(why(Some(dir.path().to_owned())), "it is not a file");
        let comments = |bytes: usize| "#".repeat(bytes - 1) + "\n";
        assert_eq!(why(file(&dir, "large", &comments((1 << 20) + 1))), "it is larger than 1024 KiB");
        let largest =
            ProcessEnvironment { user_file: file(&dir, "just", &comments(1 << 20)), ..ProcessEnvironment::default() };
        Settings::resolve(&Flags::new(), &largest).unwrap();
        let latin = dir.path().join("latin");
        fs::write(&latin, b"# gr\xfc\xdfe\n").unwrap();
        assert_eq!(why(Some(latin)), "it is not UTF-8");
    }

    #[test]
    fn a_bad_value_is_named_with_its_origin() {
        let dir = tempfile::tempdir().unwrap();
        let user_file = file(&dir, "config.toml", "# comment\n\nkeychain = \"cloud\"\n");
        let around = ProcessEnvironment { user_file, ..ProcessEnvironment::default() };
        let refusal = Settings::resolve(&Flags::new(), &around).unwrap_err();
        assert!(
            matches!(&refusal, Error::SettingInvalid { origin, given, .. }
            if origin.ends_with("config.toml:3") && given == "cloud"),
            "{refusal}"
        );

        let mut flags = Flags::new();
        say(&mut flags, "keychain", "system");
        assert!(Settings::resolve(&flags, &around).is_ok(), "what a higher layer replaces is not complained about");

        say(&mut flags, "endpoint", "192.0.2.300");
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
            ("keychain = none", "in quotes. Write: keychain = \"none\""),
            (
                "[locked]\nunlock_timeout = 25m # long",
                "config.toml:2 can't be used: a text must be in quotes. Write: unlock_timeout = \"25m\"",
            ),
            ("endpoint = “192.0.2.10”", "Write: endpoint = \"192.0.2.10\""),
            ("client = C:\\x\\y.bat", "in quotes. Write: client = 'C:\\x\\y.bat'"),
            ("client = \"C:\\x\\y.bat\"", "double quotes. Write: client = 'C:\\x\\y.bat'"),
        ] {
            let around =
                ProcessEnvironment { user_file: file(&dir, "config.toml", text), ..ProcessEnvironment::default() };
            let refusal = Settings::resolve(&Flags::new(), &around).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{text}: {refusal}");
        }
        let mut around = ProcessEnvironment::default();
        around.variables.insert("SNOW_ONBOARD_KEYCHIAN".to_owned(), "none".into());
        let refusal = Settings::resolve(&Flags::new(), &around).unwrap_err();
        assert!(
            matches!(&refusal, Error::SettingUnknown { origin, .. } if origin == "SNOW_ONBOARD_KEYCHIAN"),
            "{refusal}"
        );
    }

    #[test]
    fn the_cli_s_ca_variable_counts_below_ours() {
        let mut around = ProcessEnvironment::default();
        around.variables.insert(AWS_CA_BUNDLE.to_owned(), "/a.pem".into());
        let bundle = Settings::resolve(&Flags::new(), &around).unwrap().ca_bundle.unwrap();
        assert!(bundle.value.ends_with("a.pem"));
        assert_eq!(bundle.origin.to_string(), "AWS_CA_BUNDLE");
        around.variables.insert("SNOW_ONBOARD_CA_BUNDLE".to_owned(), "/b.pem".into());
        assert!(Settings::resolve(&Flags::new(), &around).unwrap().ca_bundle.unwrap().value.ends_with("b.pem"));
    }

    #[test]
    fn an_unknown_key_is_told_with_the_one_that_was_meant() {
        let dir = tempfile::tempdir().unwrap();
        let hint = |around: &ProcessEnvironment| Settings::resolve(&Flags::new(), around).unwrap_err().report().hint;
        for (text, meant) in [("keychian = 1", "keychain"), ("client-sha256 = 1", "client_sha256")] {
            let around =
                ProcessEnvironment { user_file: file(&dir, "config.toml", text), ..ProcessEnvironment::default() };
            assert!(hint(&around).starts_with(&format!("Did you mean “{meant}”?")), "{}", hint(&around));
        }
        let system_file = file(&dir, "system", "[locked]\nhand_off = \"private\"");
        let around = ProcessEnvironment { system_file, ..ProcessEnvironment::default() };
        assert!(hint(&around).starts_with("Did you mean “handoff”?"), "{}", hint(&around));
        let mut around = ProcessEnvironment::default();
        around.variables.insert("SNOW_ONBOARD_STATEDIR".to_owned(), "/x".into());
        assert!(hint(&around).starts_with("Did you mean “SNOW_ONBOARD_STATE_DIR”?"), "{}", hint(&around));
        let around =
            ProcessEnvironment { user_file: file(&dir, "config.toml", "zzzzz = 1"), ..ProcessEnvironment::default() };
        assert!(hint(&around).starts_with("See all"), "nothing is like it: {}", hint(&around));
    }

    fn locked(dir: &tempfile::TempDir, text: &str) -> ProcessEnvironment {
        ProcessEnvironment { system_file: file(dir, "system.toml", text), ..ProcessEnvironment::default() }
    }

    #[track_caller]
    fn locked_out(flags: &Flags, around: &ProcessEnvironment, expected: &str) {
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
        assert_eq!((settings.handoff, settings.unlock_timeout.as_secs()), (HandOverPolicy::Private, 540));

        flags.insert(Given::read(&setting::handoff, "argv".to_owned(), Origin::Flag("--allow-argv".to_owned())));
        locked_out(&flags, &around, "system.toml:3), so --allow-argv can't be used");
        say(&mut flags, "handoff", "auto");
        locked_out(&flags, &around, "--handoff auto can't");
        say(&mut flags, "handoff", "private");
        say(&mut flags, "wait_timeout", "120s");
        Settings::resolve(&flags, &around).unwrap();

        around.variables.insert("SNOW_ONBOARD_HANDOFF".to_owned(), "argv".into());
        locked_out(&flags, &around, "SNOW_ONBOARD_HANDOFF=argv can't");
        around.variables.clear();
        around.user_file = file(&dir, "user.toml", "\nhandoff = \"argv\"");
        locked_out(&flags, &around, "user.toml:2 can't");
        around.user_file = None;
        around.system_file = file(&dir, "system.toml", &format!("handoff = \"argv\"\n{text}"));
        locked_out(&Flags::new(), &around, "system.toml:1 can't");
    }

    #[test]
    fn a_locked_bundle_goes_before_the_cli_s_variable() {
        let dir = tempfile::tempdir().unwrap();
        let bundle = std::path::absolute("/company.pem").unwrap();
        let mut around = locked(&dir, &format!("[locked]\nca_bundle = '{}'", bundle.display()));
        around.variables.insert(AWS_CA_BUNDLE.to_owned(), "/b.pem".into());
        assert_eq!(Settings::resolve(&Flags::new(), &around).unwrap().ca_bundle.unwrap().value, bundle);
        around.variables.insert("SNOW_ONBOARD_CA_BUNDLE".to_owned(), "/b.pem".into());
        locked_out(&Flags::new(), &around, "SNOW_ONBOARD_CA_BUNDLE");
    }

    #[test]
    fn a_locked_keychain_gives_way_only_to_a_command_that_takes_codes_out() {
        let dir = tempfile::tempdir().unwrap();
        let around = locked(&dir, "[locked]\nkeychain = \"system\"");
        let mut flags = Flags::new();
        assert!(Settings::resolve(&flags, &around).unwrap().is_locked(&setting::keychain));
        say(&mut flags, "keychain", "kernel");
        locked_out(&flags, &around, "--keychain kernel can't");
        flags.only_removes();
        let settings = Settings::resolve(&flags, &around).unwrap();
        assert_eq!((settings.keychain, settings.is_locked(&setting::keychain)), (KeychainKind::Kernel, false));
    }

    #[test]
    fn locks_that_bind_nobody_or_mean_nothing_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let user_file = file(&dir, "user.toml", "wait = true\n[locked]\n");
        let around = ProcessEnvironment { user_file, ..ProcessEnvironment::default() };
        let refusal = Settings::resolve(&Flags::new(), &around).unwrap_err().to_string();
        assert!(refusal.contains("user.toml:2") && refusal.contains("has no effect"), "{refusal}");
        for (text, expected) in [
            ("[locked]\nkeychain = \"cloud\"", "system.toml:2"),
            ("locked = true", "is not a table of settings"),
            ("[locked]\nclient = \"bin/snowballEdge\"", "is not an absolute path"),
            ("[other]\nkeychain = \"none\"", "“other”"),
            ("[locked.more]\nkeychain = \"none\"", "“more”"),
        ] {
            let refusal = Settings::resolve(&Flags::new(), &locked(&dir, text)).unwrap_err();
            assert_eq!(refusal.exit() as u8, 3, "{text}");
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
        let settings = Settings::resolve(&Flags::new(), &around);
        // On Windows this file is an administrator's where this test runs as one; path_trust's own tests have what others may have
        // written.
        #[cfg(windows)]
        let is_administrators = crate::os::is_elevated().unwrap();
        #[cfg(unix)]
        let is_administrators = false;
        assert_eq!(settings.is_ok(), is_administrators);
        if let Err(refusal) = settings {
            assert!(matches!(refusal, Error::SettingsFileUnreadable { .. }), "{refusal}");
            assert!(refusal.to_string().contains("not only an administrator may have written it"), "{refusal}");
        }
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
        say(&mut flags, "profile", "field");
        let rows = Settings::resolve(&flags, &around).unwrap().listed();
        assert_eq!(rows.len(), SETTINGS.len());
        let row = |key| {
            let row: &Listed = rows.iter().find(|row| row.key == key).unwrap();
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
