//! THE TABLE: every setting, declared once. From an entry come the field of [`Settings`], the flag with its help, the
//! variable, the line in a file, its lock, `config/default.toml`, the sample, the row of `snow-onboard settings`, the
//! completions and the manual page. A type that no setting has had yet is added to `value`.

use std::path::PathBuf;
use std::time::Duration;

use super::layers::{Field, Layers};
use super::value::{Kind, Value};
use crate::error::Result;
use crate::model::{
    AuditCopy, ClientDigest, Endpoint, HandOverPolicy, Keep, KeychainKind, PrivateHome, Region, Sourced,
};

macro_rules! settings {
    ($( $(#[$doc:meta])* $key:ident: $type:ty = $help:literal => $($what:ident: $said:expr),+; )+) => {
        /// The settings of this run.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $( $(#[$doc])* pub $key: $type, )+
            /// Where each was said.
            pub(super) layers: Layers,
        }

        impl Settings {
            /// What the layers decided, or a complaint of the first value that is none.
            pub(super) fn of(layers: Layers) -> Result<Self> {
                Ok(Self { $( $key: layers.field(&setting::$key)?, )+ layers })
            }
        }

        /// Every setting, in the order in which it is listed.
        pub static SETTINGS: &[&Setting] = &[$( &setting::$key ),+];

        /// Each setting, for what asks for it by name.
        #[allow(non_upper_case_globals, reason = "a setting is called as its key is written")]
        pub(crate) mod setting {
            use super::*;

            $( pub(crate) static $key: Setting = Setting {
                key: stringify!($key), help: $help, $($what: $said,)+ ..Setting::of_type::<$type>()
            }; )+
        }
    };
}

settings! {
    /// The device's address, if given.
    endpoint: Option<Endpoint> = "The device's address, as its display shows it"
        => verbs: RUN | UNLOCK | SESSION | LOOK | DOCTOR, value_name: "ADDRESS", short: Some('e'), example: "192.0.2.10";

    /// Whether an address outside the local network is taken for a device's.
    allow_public_endpoint: bool
        = "Accept a device address that is not a private one, for networks that use such addresses inside"
        => verbs: RUN | UNLOCK | SESSION | LOOK | DOCTOR, default: Some("false"), lock: Some("false");

    /// AWS profile, if one was named to us. `AWS_PROFILE` is the SDK's to read.
    profile: Option<String> = "AWS profile (else AWS_PROFILE, else the default one)"
        => value_name: "NAME", example: "field", reopens: false;

    /// AWS region, if one was named to us. `AWS_REGION` is read where the profile is.
    region: Option<Sourced<Region>> = "AWS region in which the job was ordered (else AWS_REGION, else the profile's)"
        => value_name: "REGION", example: "eu-central-1", reopens: false;

    /// CA bundle for every connection to AWS.
    ca_bundle: Option<Sourced<PathBuf>>
        = "PEM file of the CAs to trust instead of the system's, for a proxy that inspects traffic (else AWS_CA_BUNDLE, the profile's, REQUESTS_CA_BUNDLE)"
        => value_name: "FILE", example: "/etc/ssl/certs/company.pem",
           example_on_windows: Some(r"C:\certificates\company.pem"), reopens: false;

    /// Where the code is kept.
    keychain: KeychainKind
        = "Where to store the code: system (OS keychain), kernel (kernel memory; lost at reboot at the latest, often at logout), none (not stored)"
        => value_name: "WHERE", default: Some("system"), lock: Some("system");

    /// Whether a keyring that keeps in clear is accepted.
    allow_plain_keyring: bool = "Accept a keyring without a password; it stores the code unencrypted"
        => default: Some("false");

    /// Deadline of a keychain call.
    keychain_timeout: Duration = "How long a keychain prompt may wait for you"
        => value_name: "TIME", default: Some("2m");

    /// The vendor's client, with its origin; searched in PATH if not given.
    client: Option<Sourced<PathBuf>> = "The Snowball Edge client [if not set: snowballEdge in PATH]"
        => verbs: RUN | UNLOCK | SESSION | LOOK | DOCTOR, value_name: "FILE", example: "/opt/snowball-client-linux/bin/snowballEdge",
           example_on_windows: Some(r"C:\snowball-client\bin\snowballEdge.bat");

    /// Pinned SHA-256 of the client's tree.
    client_sha256: Option<ClientDigest> = "Use the client only if the SHA-256 of its folder is this value"
        => verbs: RUN | UNLOCK | SESSION | LOOK | DOCTOR, value_name: "HEX",
           example: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    /// Whether a client of an unknown version is used.
    allow_unknown_client: bool = "Use a client whose version is not known"
        => verbs: RUN | UNLOCK | SESSION | LOOK | DOCTOR, default: Some("false");

    /// How the client may get the code.
    handoff: HandOverPolicy = "How the client gets the code: private (never on its command line), argv (also on its command line), auto (asks you first)"
        => verbs: RUN | UNLOCK, value_name: "HOW", default: Some("auto"), lock: Some("private"), shorthand: Some(Shorthand {
            flag: "allow-argv",
            value: "argv",
            help: "Allow the code on the client's command line if private methods fail; other programs can read it there",
        });

    /// Where the private folder for the client may lie.
    private_home: PrivateHome
        = "If memory has no room for the client's private folder: memory (stop), ask (ask before using a disk), disk (use a disk)"
        => verbs: RUN | UNLOCK | SESSION | LOOK | DOCTOR, value_name: "WHERE", default: Some("ask"), lock: Some("memory");

    /// Deadline from the hand-over to UNLOCKED.
    unlock_timeout: Duration = "Time limit for the device to start, and the same limit again for it to unlock"
        => verbs: RUN | UNLOCK, value_name: "TIME", default: Some("25m");

    /// How many devices are worked on at once.
    parallel: usize = "How many devices to work on at the same time, where there are several"
        => verbs: RUN | UNLOCK | LOOK, value_name: "COUNT", default: Some("4"), reopens: false;

    /// Whether a job that is still on its way is waited for.
    wait: bool = "Wait until AWS reports the job as delivered, then continue"
        => verbs: RUN | FETCH, default: Some("false"), reopens: false;

    /// Whether a device that does not answer yet is waited for as long as a job would be.
    wait_device: bool = "Wait until the device answers, for --wait-timeout at most"
        => verbs: RUN | UNLOCK, default: Some("false");

    /// Deadline of either wait.
    wait_timeout: Duration = "How long to wait with --wait, --wait-device or --watch"
        => verbs: RUN | UNLOCK | FETCH | LOOK, value_name: "TIME", default: Some("8h"), reopens: false;

    /// Deadline of all that is asked of AWS.
    network_timeout: Duration = "Time limit for all requests to AWS together"
        => value_name: "TIME", default: Some("2m"), reopens: false;

    /// Largest manifest accepted, bytes.
    manifest_limit: u64 = "Largest manifest accepted, in bytes"
        => verbs: RUN | FETCH, value_name: "BYTES", default: Some("67108864"), reopens: false;

    /// The state folder of this program. Each system has a place for it, which is no default that a file could name.
    state_dir: PathBuf = "Folder for manifests and records"
        => value_name: "FOLDER", example: "/srv/snow-onboard", example_on_windows: Some(r"D:\snow-onboard");

    /// How long code and manifest are kept.
    keep: Keep
        = "How long to store code and manifest: until-forgotten, until-unlocked (removed once the device is unlocked; after a power cut AWS is needed), days:N (removed N days after they were fetched)"
        => value_name: "HOW-LONG", default: Some("until-forgotten");

    /// Where the lines of the audit log go besides the file.
    audit_copy: AuditCopy
        = "Copy each line of the audit log: none, system (to syslog or the journal; Linux only; if that fails, the step is not begun)"
        => value_name: "WHERE", default: Some("none");

    /// File that the log is appended to.
    log_file: Option<Sourced<PathBuf>>
        = "Append a detailed log to this file, which only you can read. The log contains no secrets"
        => value_name: "FILE", example: "/var/log/snow-onboard.log",
           example_on_windows: Some(r"D:\snow-onboard.log"), reopens: false;
}

/// `run` takes the flag.
pub(crate) const RUN: u8 = 1;
/// `fetch` takes it.
pub(crate) const FETCH: u8 = 1 << 1;
/// `doctor` takes it.
pub(crate) const DOCTOR: u8 = 1 << 2;
/// Every command takes it.
pub(crate) const EVERY: u8 = 1 << 3;
/// `unlock` takes it.
pub(crate) const UNLOCK: u8 = 1 << 4;

/// The commands that ask a device for something take it.
pub(crate) const SESSION: u8 = 1 << 5;
/// `status` takes it.
pub(crate) const LOOK: u8 = 1 << 6;

/// One setting. Its flag is its key with hyphens, its variable `SNOW_ONBOARD_` and its key in capitals.
#[derive(Debug)]
pub struct Setting {
    /// Its name in files.
    pub key: &'static str,
    /// What it decides, in one line without a full stop.
    pub(crate) help: &'static str,
    /// The commands that take its flag: every one, if no other is named.
    pub(crate) verbs: u8,
    /// What the value of its flag is called; empty where it takes none, and to give it says yes.
    pub(crate) value_name: &'static str,
    /// The letter of its flag, if it has one.
    pub(crate) short: Option<char>,
    /// Another flag, which stands for one value.
    pub(crate) shorthand: Option<Shorthand>,
    /// What it is when nobody says otherwise; `None`: not set.
    pub(crate) default: Option<&'static str>,
    /// A value for the sample, where there is no default.
    pub(super) example: &'static str,
    /// The same on Windows, where it is another.
    pub(super) example_on_windows: Option<&'static str>,
    /// A value that the sample shows as locked. Every setting can be.
    pub(super) lock: Option<&'static str>,
    /// Whether it matters to a run that opens a device with what is kept, without AWS.
    pub(crate) reopens: bool,
    /// The words that it may be; none if it may be anything else.
    pub(crate) words: &'static [&'static str],
    /// Parses what was written, or says why it is no value.
    pub(super) parse: fn(&str) -> Result<Value, String>,
}

/// A flag that stands for one value of a setting.
#[derive(Debug)]
pub(crate) struct Shorthand {
    /// Without its hyphens.
    pub(crate) flag: &'static str,
    /// The value, as it is written.
    pub(crate) value: &'static str,
    pub(crate) help: &'static str,
}

impl Setting {
    /// What its type says of it, and nothing else.
    const fn of_type<F: Field>() -> Self {
        Self {
            key: "",
            help: "",
            verbs: EVERY,
            value_name: "",
            short: None,
            shorthand: None,
            default: None,
            example: "",
            example_on_windows: None,
            lock: None,
            reopens: true,
            words: <F::Kind as Kind>::WORDS,
            parse: |text| <F::Kind as Kind>::parse(text).map(Into::into),
        }
    }

    /// Whether its flag takes no value: to give it says yes.
    pub(crate) fn is_switch(&self) -> bool {
        self.value_name.is_empty()
    }

    /// Its flag: `--ca-bundle`.
    #[must_use]
    pub fn flag(&self) -> String {
        format!("--{}", self.key.replace('_', "-"))
    }

    /// Its variable: `SNOW_ONBOARD_CA_BUNDLE`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}", super::places::PREFIX, self.key.to_ascii_uppercase())
    }

    /// What the help says of its flag: with the default, where the flag takes a value.
    pub(crate) fn help_of_flag(&self) -> String {
        match self.default {
            Some(default) if !self.is_switch() => format!("{} [default: {default}]", self.help),
            _ => self.help.to_owned(),
        }
    }

    /// Its default, else an example.
    pub(super) fn sample(&self, on_windows: bool) -> &'static str {
        let example = self.example_on_windows.filter(|_| on_windows).unwrap_or(self.example);
        self.default.unwrap_or(example)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_told_in_a_line_and_has_values_of_its_kind() {
        for setting in SETTINGS {
            assert!(!setting.help.contains('\n') && !setting.help.ends_with('.'), "{}", setting.key);
            let shorthand = setting.shorthand.as_ref().map(|shorthand| shorthand.value);
            for value in [Some(setting.sample(cfg!(windows))), setting.lock, shorthand].into_iter().flatten() {
                assert!(!value.is_empty() && (setting.parse)(value).is_ok(), "“{value}” of {}", setting.key);
            }
            assert_eq!(setting.is_switch(), (setting.parse)("true") == Ok(Value::YesNo(true)), "{}", setting.key);
            assert!(SETTINGS.iter().filter(|other| other.key == setting.key).count() == 1, "{}", setting.key);
        }
    }
}
