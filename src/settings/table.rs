//! THE TABLE: every setting once. Flags take their help from it, `config/default.toml` and the sample are written from it,
//! and what a value may be is said here alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use crate::error::io_in_words;
use crate::job::{Endpoint, Malformed};

/// One setting. Its flag is its key with hyphens, its variable `SNOW_ONBOARD_` and its key in capitals.
#[derive(Debug)]
pub struct Setting {
    /// Its name in files.
    pub key: &'static str,
    /// What it decides, in one line without a full stop.
    pub help: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// What it is when nobody says otherwise; `None`: not set.
    pub default: Option<&'static str>,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name. What it may be is for somebody else to say.
    Name,
    /// The address of a device.
    Address,
    /// A file or folder; in a settings file an absolute path.
    Path,
    /// `true` or `false`.
    YesNo,
    /// `90`, `90s`, `15m`, `8h`.
    Time,
    /// A number of bytes.
    Bytes,
    /// 64 hexadecimal digits.
    Sha256,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

const fn setting(key: &'static str, kind: Kind, default: Option<&'static str>, help: &'static str) -> Setting {
    Setting { key, help, kind, default }
}

/// Every setting, in the order in which it is listed.
pub const SETTINGS: &[Setting] = &[
    setting("endpoint", Kind::Address, None, "The device's address, as its display shows it"),
    setting("profile", Kind::Name, None, "AWS profile (else AWS_PROFILE, else the default one)"),
    setting(
        "region",
        Kind::Name,
        None,
        "AWS region in which the job was ordered (else AWS_REGION, else the profile's)",
    ),
    setting(
        "ca_bundle",
        Kind::Path,
        None,
        "PEM file of the CAs to trust instead of the system's, for a proxy that inspects traffic (else AWS_CA_BUNDLE)",
    ),
    setting(
        "keychain",
        Kind::OneOf(&["system", "kernel", "none"]),
        Some("system"),
        "Where to keep the code: the OS keychain, the kernel's memory (gone at the next reboot, or after some days unused), or nowhere",
    ),
    setting(
        "allow_plain_keyring",
        Kind::YesNo,
        Some("false"),
        "Accept a keyring without a password, which keeps the code in clear",
    ),
    setting("keychain_timeout", Kind::Time, Some("2m"), "How long a keychain prompt may wait for you"),
    setting("client", Kind::Path, None, "The vendor's client; without it, snowballEdge in PATH"),
    setting("client_sha256", Kind::Sha256, None, "Use only a client with this SHA-256 over its tree"),
    setting("allow_unknown_client", Kind::YesNo, Some("false"), "Use a client whose version is not known"),
    setting(
        "handoff",
        Kind::OneOf(&["private", "argv", "auto"]),
        Some("auto"),
        "How the client may get the code: never on a command line, there too, or there if you agree",
    ),
    setting("unlock_timeout", Kind::Time, Some("15m"), "How long the device may take to start, and again to open"),
    setting(
        "wait",
        Kind::YesNo,
        Some("false"),
        "Wait for a job that is still on its way, and go on when it is delivered",
    ),
    setting(
        "wait_device",
        Kind::YesNo,
        Some("false"),
        "Wait for the device to answer as long as --wait-timeout says: not plugged in yet, or starting",
    ),
    setting("wait_timeout", Kind::Time, Some("8h"), "How long to wait with --wait or --wait-device"),
    setting("network_timeout", Kind::Time, Some("2m"), "How long AWS may take for everything together"),
    setting("manifest_limit", Kind::Bytes, Some("67108864"), "Largest manifest accepted, in bytes"),
    setting("state_dir", Kind::Path, None, "Folder for manifests and records"),
    setting(
        "log_file",
        Kind::Path,
        None,
        "Append a log with all details to this file, made for you alone. Never a secret, and RUST_LOG is not read",
    ),
];

impl Setting {
    /// The one of this key.
    #[must_use]
    pub fn of(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
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
}

/// The help of a flag: that of the setting, with its default where the flag takes a value.
///
/// # Panics
/// If no setting has the key, which is a mistake in `cli` that its tests find.
#[must_use]
pub fn help(key: &str) -> &'static str {
    static HELP: LazyLock<BTreeMap<&str, String>> = LazyLock::new(|| {
        let text = |setting: &Setting| match setting.default {
            Some(default) if setting.kind != Kind::YesNo => format!("{} [default: {default}]", setting.help),
            _ => setting.help.to_owned(),
        };
        SETTINGS.iter().map(|setting| (setting.key, text(setting))).collect()
    });
    HELP.get(key).expect("a flag of a setting")
}

/// The words that a setting may be, for its flag; none if it may be anything else.
#[must_use]
pub fn words(key: &str) -> &'static [&'static str] {
    match Setting::of(key).map(|setting| setting.kind) {
        Some(Kind::OneOf(words)) => words,
        _ => &[],
    }
}

impl Kind {
    /// The value in the one form that all ways to write it have in common: `2m` and `120s` are the same.
    ///
    /// # Errors
    /// Why it is no such value, as the end of the sentence "the value “…” of … …".
    pub fn in_one_form(self, text: &str) -> Result<String, String> {
        match self {
            Self::Name => Ok(text.to_owned()),
            Self::Address => {
                text.parse().map(|endpoint: Endpoint| endpoint.to_string()).map_err(|error: Malformed| error.why)
            }
            Self::Path => std::path::absolute(Path::new(text))
                .map(|path| path.display().to_string())
                .map_err(|error| format!("is not a path: {}", io_in_words(&error))),
            Self::YesNo => Ok(yes_or_no(text)?.to_string()),
            Self::Time => Ok(duration(text)?.as_secs().to_string()),
            Self::Bytes => Ok(bytes(text)?.to_string()),
            Self::Sha256 => Ok(sha256(text)?),
            Self::OneOf(words) if words.contains(&text) => Ok(text.to_owned()),
            Self::OneOf(words) => Err(format!("is not one of {}", words.join(", "))),
        }
    }

    /// A value as it may stand in a sample, for a setting without a default.
    pub(super) fn example(self, key: &str, on_windows: bool) -> &'static str {
        match (self, key) {
            (Self::Path, "client") if on_windows => r"C:\snowball-client\bin\snowballEdge.bat",
            (Self::Path, "ca_bundle") if on_windows => r"C:\certificates\company.pem",
            (Self::Path, _) if on_windows => r"D:\snow-onboard",
            (Self::Address, _) => "192.0.2.10",
            (Self::Name, "region") => "eu-central-1",
            (Self::Path, "ca_bundle") => "/etc/ssl/certs/company.pem",
            (Self::Path, "client") => "/opt/snowball-client-linux/bin/snowballEdge",
            (Self::Path, "log_file") => "/var/log/snow-onboard.log",
            (Self::Path, _) => "/srv/snow-onboard",
            (Self::Sha256, _) => "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            _ => "field",
        }
    }
}

pub(super) fn yes_or_no(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err("is neither true nor false"),
    }
}

pub(super) fn sha256(text: &str) -> Result<String, &'static str> {
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| text.to_ascii_lowercase()).ok_or("is not a SHA-256: 64 hexadecimal digits")
}

pub(super) fn bytes(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|limit| *limit > 0).ok_or("is not a number of bytes")
}

/// `90`, `90s`, `15m`, `8h`: at least a second, at most a week.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
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

    #[test]
    fn times_have_units_and_bounds() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("8h", 28_800)] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds);
        }
        for text in ["", "0", "s", "-1", "1d", "1.5h", "99999999999999999999h", "200h", "5ß"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_setting_is_told_in_a_line_and_has_a_value_of_its_kind() {
        for setting in SETTINGS {
            assert!(!setting.help.contains('\n') && !setting.help.ends_with('.'), "{}", setting.key);
            let value = setting.default.unwrap_or_else(|| setting.kind.example(setting.key, cfg!(windows)));
            assert!(setting.kind.in_one_form(value).is_ok(), "{}", setting.key);
            assert!(SETTINGS.iter().filter(|other| other.key == setting.key).count() == 1, "{}", setting.key);
        }
    }

    #[test]
    fn two_ways_to_write_a_value_are_one_value() {
        let one = |kind: Kind, a: &str, b: &str| kind.in_one_form(a).unwrap() == kind.in_one_form(b).unwrap();
        assert!(one(Kind::Time, "2m", "120") && !one(Kind::Time, "2m", "2h"));
        assert!(one(Kind::YesNo, "yes", "true") && !one(Kind::YesNo, "1", "0"));
        assert!(one(Kind::Sha256, &"AB".repeat(32), &"ab".repeat(32)));
        assert!(one(Kind::Bytes, "007", "7"));
        assert!(!one(Kind::Path, "/a", "/b"));
    }
}
