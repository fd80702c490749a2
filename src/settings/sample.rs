//! `config/default.toml` and the sample of a settings file, written from the table.

use super::table::{SETTINGS, Setting};
use super::value::Value;

const DEFAULTS_HEAD: &str = "\
# What is built in: every setting as it is when nobody says otherwise. Written from src/settings/table.rs by
#   UPDATE=1 cargo test --test generated
#
";

const SAMPLE_HEAD: &str = "\
# Settings of snow-onboard. Take the # from the front of a line to set it.
#
";

const HEAD: &str = "\
# The same keys can stand in
#   the user's file    Linux and macOS ~/.config/snow-onboard/config.toml
#                      Windows %APPDATA%\\snow-onboard\\config.toml
#   the system's file  Linux /etc/snow-onboard/config.toml
#                      macOS /Library/Application Support/snow-onboard/config.toml
#                      Windows C:\\ProgramData\\snow-onboard\\config.toml
# in the environment as SNOW_ONBOARD_<KEY> in capitals, and on the command line as --<key> with hyphens.
# Earlier entries override later ones: command line, environment, user's file, system's file, what is built in.
# “snow-onboard settings” shows every value with its origin.
";

const LOCKS: &str = "
# Only in the system's file: values below [locked] can't be overridden. Another value in a user's file, a variable or a
# flag is an error. The file must belong to an administrator, and nobody else may be able to write to it.
#[locked]
";

/// What `config/default.toml` has to be.
#[must_use]
pub fn defaults() -> String {
    let before = |setting: &Setting| if setting.default.is_some() { "" } else { "# Not set. For example: " };
    DEFAULTS_HEAD.to_owned() + &all(before, false)
}

/// A settings file that says nothing yet: every line is a comment.
pub(crate) fn sample() -> String {
    let locks = SETTINGS.iter().filter_map(|setting| Some(format!("#{}", line(setting, setting.lock?))));
    SAMPLE_HEAD.to_owned() + &all(|_| "#", cfg!(windows)) + LOCKS + &locks.collect::<String>()
}

/// Every setting with a value, and `before` that what makes it a comment.
fn all(before: impl Fn(&Setting) -> &'static str, on_windows: bool) -> String {
    let entry = |setting: &&Setting| about(setting) + before(setting) + &line(setting, setting.sample(on_windows));
    HEAD.to_owned() + &SETTINGS.iter().map(entry).collect::<String>()
}

/// The comment above a setting.
fn about(setting: &Setting) -> String {
    let mut text = String::from("\n");
    for line in textwrap::wrap(setting.help, 100) {
        text.push_str(&format!("# {line}\n"));
    }
    if !setting.words.is_empty() {
        text.push_str(&format!("# One of: {}\n", setting.words.join(", ")));
    }
    text
}

/// The line that sets it, as TOML has it.
fn line(setting: &Setting, text: &str) -> String {
    match (setting.parse)(text) {
        Ok(Value::YesNo(_) | Value::Bytes(_) | Value::Count(_)) => format!("{} = {text}\n", setting.key),
        _ => format!("{} = \"{}\"\n", setting.key, text.replace('\\', "\\\\")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Flags, ProcessEnvironment, Settings};
    use super::*;
    use crate::error::Result;

    fn resolved(sample: &str) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, sample).unwrap();
        Settings::resolve(
            &Flags::new(),
            &ProcessEnvironment { system_file: Some(file), ..ProcessEnvironment::default() },
        )
    }

    #[test]
    fn the_sample_says_nothing_until_a_line_is_taken_in() {
        let text = sample();
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')));
        resolved(&text).unwrap();
        // Prose has a space after its mark.
        let taken_in: Vec<&str> = text.lines().map(|line| line.strip_prefix('#').unwrap_or(line)).collect();
        let taken_in: Vec<&str> = taken_in.into_iter().filter(|line| !line.starts_with(' ')).collect();
        for setting in SETTINGS {
            assert!(taken_in.iter().any(|line| line.starts_with(&format!("{} = ", setting.key))), "{}", setting.key);
        }
        // The locks' values are not the defaults, which the lines above them say.
        let taken_in = taken_in.join("\n").replacen("handoff = \"auto\"", "handoff = \"private\"", 1);
        let taken_in = taken_in.replacen("private_home = \"ask\"", "private_home = \"memory\"", 1);
        for number in ["parallel = 4", "manifest_limit = 67108864"] {
            assert!(taken_in.lines().any(|line| line == number), "{number}");
        }
        let settings = resolved(&taken_in).unwrap();
        assert!(settings.endpoint.is_some() && settings.client_sha256.is_some());
        assert_eq!(settings.handoff, crate::model::HandOverPolicy::Private);
    }
}
