//! `config/default.toml` and the sample of a settings file, written from the table.

use super::table::{Kind, SETTINGS, Setting};

const DEFAULTS_HEAD: &str = "\
# What every setting is when nobody says otherwise. Compiled in, and written from src/settings/table.rs by
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
# Command line before environment before user's file before system's file before what is built in.
# “snow-onboard settings” shows what counts, and where it was said.
";

const LOCKS: &str = "
# In the system's file alone: what stands below [locked] can't be said otherwise anywhere else. A user's file, a variable
# or a flag with another value is an error. The file must be the administrator's, and nobody else's to write.
#[locked]
#handoff = \"private\"
#keychain = \"system\"
";

/// What `config/default.toml` has to be.
#[must_use]
pub fn defaults() -> String {
    let mut text = format!("{DEFAULTS_HEAD}{HEAD}");
    for setting in SETTINGS {
        let set = setting.default.is_some();
        text.push_str(&entry(setting, &value(setting, false), if set { "" } else { "# Not set. For example: " }));
    }
    text
}

/// A settings file that says nothing yet: every line is a comment.
#[must_use]
pub fn sample() -> String {
    let mut text = format!("{SAMPLE_HEAD}{HEAD}");
    for setting in SETTINGS {
        text.push_str(&entry(setting, &value(setting, cfg!(windows)), "#"));
    }
    text + LOCKS
}

fn entry(setting: &Setting, value: &str, before: &str) -> String {
    let mut text = String::from("\n");
    for line in textwrap::wrap(setting.help, 100) {
        text.push_str(&format!("# {line}\n"));
    }
    if let Kind::OneOf(words) = setting.kind {
        text.push_str(&format!("# One of: {}\n", words.join(", ")));
    }
    text + &format!("{before}{} = {value}\n", setting.key)
}

/// A value as TOML writes it: the default, else an example.
fn value(setting: &Setting, on_windows: bool) -> String {
    let text = setting.default.unwrap_or_else(|| setting.kind.example(setting.key, on_windows));
    match setting.kind {
        Kind::YesNo | Kind::Bytes => text.to_owned(),
        _ => format!("\"{}\"", text.replace('\\', "\\\\")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Flags, Settings, Surroundings};
    use super::*;
    use crate::error::Result;

    fn resolved(sample: &str) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, sample).unwrap();
        Settings::resolve(&Flags::new(), &Surroundings { system_file: Some(file), ..Surroundings::default() })
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
        let settings = resolved(&taken_in).unwrap();
        assert!(settings.endpoint.is_some() && settings.client_sha256.is_some());
        assert_eq!(settings.handoff, crate::device::Handoff::Private);
    }
}
