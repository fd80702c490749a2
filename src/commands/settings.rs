//! `settings`: every value with its origin; where the files are; how one begins.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::ShowSettings;
use crate::cloud::Way;
use crate::error::Result;
use crate::safety::sanitize::sanitize;
use crate::settings::{Listed, ProcessEnvironment, Settings, sample};
use crate::ui::Ui;

#[derive(Serialize)]
struct SettingsResult {
    settings: Vec<Listed>,
    aws: Vec<AwsInUse>,
}

/// What is in use on the way to AWS, whoever said it: we, AWS's own variables, or the profile. Never a secret.
#[derive(Debug, Serialize)]
struct AwsInUse {
    key: &'static str,
    /// `None` if nothing is set.
    value: Option<String>,
    /// Where that was said; `None` if nowhere.
    origin: Option<String>,
    /// Why it can't be used; then neither of the others is told.
    problem: Option<String>,
}

#[derive(Serialize)]
struct SettingsFilesResult {
    files: Vec<SettingsFilePlace>,
}

#[derive(Serialize)]
struct SettingsFilePlace {
    /// `user` or `system`.
    whose: &'static str,
    path: PathBuf,
    exists: bool,
}

#[derive(Serialize)]
struct SampleResult<'a> {
    sample: &'a str,
}

/// Whether what is asked for is the same whatever the settings are.
pub(super) fn needs_no_values(args: &ShowSettings) -> bool {
    args.path || args.sample
}

pub(super) fn places_or_sample(args: &ShowSettings, around: &ProcessEnvironment, ui: &Ui) {
    if args.sample {
        let sample = sample();
        ui.result(None, &sample, SampleResult { sample: &sample });
        return;
    }
    let place = |whose, path: &Option<PathBuf>| {
        let path = path.clone()?;
        Some(SettingsFilePlace { whose, exists: path.symlink_metadata().is_ok(), path })
    };
    let files: Vec<SettingsFilePlace> =
        [place("user", &around.user_file), place("system", &around.system_file)].into_iter().flatten().collect();
    // The path comes first and ends at a tab, so that a script can cut it off.
    let lines: Vec<String> = files
        .iter()
        .map(|place| {
            let exists = if place.exists { "exists" } else { "does not exist" };
            format!("{}\t{}, {exists}", sanitize(&place.path.display().to_string()), place.whose)
        })
        .collect();
    // Its lines are cleaned, and a tab is to stay one.
    ui.verbatim(&(lines.join("\n") + "\n"), SettingsFilesResult { files });
}

pub(super) fn show_all(settings: &Settings, ui: &Ui) {
    let aws = in_use(settings);
    let settings = settings.listed();
    let text = format!("{}\nIn use for AWS:\n{}", table(&settings), table_of_aws(&aws));
    ui.result(None, &text, SettingsResult { settings, aws });
}

fn in_use(settings: &Settings) -> Vec<AwsInUse> {
    fn row<T>(key: &'static str, found: Result<Option<T>>, shown: impl Fn(T) -> (String, Option<String>)) -> AwsInUse {
        let (found, problem) = match found {
            Ok(found) => (found.map(shown), None),
            Err(error) => (None, Some(sanitize(&error.report().sentence))),
        };
        let (value, origin) = found.map_or((None, None), |(value, origin)| (Some(sanitize(&value)), origin));
        AwsInUse { key, value, origin, problem }
    }
    let way = Way::of(&settings.cloud());
    let named = settings.listed().into_iter().find(|listed| listed.key == "profile" && listed.value.is_some());
    let profile = match named {
        Some(listed) => (listed.value.unwrap_or_default(), listed.origin),
        None => (way.profile.value, Some(way.profile.origin.to_string())),
    };
    let (proxy, except) = match way.proxy {
        Ok(Some(proxy)) => {
            let except = proxy.except.map(|except| (except, Some("NO_PROXY".to_owned())));
            (Ok(Some((proxy.address, Some(proxy.variable.to_owned())))), except)
        }
        Ok(None) => (Ok(None), None),
        Err(error) => (Err(error), None),
    };
    vec![
        row("profile", Ok(Some(profile)), |found| found),
        row("region", way.region.map(Some), |region| (region.value.to_string(), Some(region.origin.to_string()))),
        row("endpoint_url", way.endpoint, |url| (url.value, Some(url.origin.to_string()))),
        row("ca_certificates", way.trust.map(Some), |trust| match trust.file {
            Some(file) => (file.value.display().to_string(), Some(file.origin.to_string())),
            None => ("of this system".to_owned(), None),
        }),
        row("proxy", proxy, |found| found),
        row("no_proxy", Ok(except), |found| found),
    ]
}

fn table_of_aws(aws: &[AwsInUse]) -> String {
    let line = |row: &AwsInUse| match &row.problem {
        Some(problem) => format!("{}\n    {problem}\n", row.key),
        None => table(&[Listed {
            key: row.key,
            value: row.value.clone(),
            typed: None,
            origin: row.origin.clone(),
            locked: false,
        }]),
    };
    aws.iter().map(line).collect()
}

/// A line a setting: its key, its value from column 23 on, its origin from column 40 on. What is too long for that stands
/// below, in lines of its own.
fn table(settings: &[Listed]) -> String {
    const WIDTH: usize = 80;
    const KEY: usize = 22;
    const VALUE: usize = 17;
    let mut text = String::new();
    for setting in settings {
        let value = setting.value.as_deref().unwrap_or("not set");
        let origin = match (&setting.origin, setting.locked) {
            (Some(origin), true) => format!("{}, locked", sanitize(origin)),
            (Some(origin), false) => sanitize(origin),
            (None, _) => String::new(),
        };
        let fits = value.chars().count() < VALUE && KEY + VALUE + origin.chars().count() <= WIDTH;
        let line = if fits {
            format!("{:<KEY$}{value:<VALUE$}{origin}", setting.key)
        } else {
            format!("{}\n    {value}\n    {origin}", setting.key)
        };
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: &'static str, value: Option<&str>, origin: Option<&str>, locked: bool) -> Listed {
        Listed { key, value: value.map(str::to_owned), typed: None, origin: origin.map(str::to_owned), locked }
    }

    #[test]
    fn columns_stay_where_they_are_and_what_is_long_gets_lines_of_its_own() {
        let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let text = table(&[
            shown("keychain", Some("system"), Some("built in"), false),
            shown("handoff", Some("private"), Some("/etc/snow-onboard/config.toml:3"), true),
            shown("client_sha256", Some(digest), Some("/etc/snow-onboard/config.toml:4"), true),
            shown("endpoint", None, None, false),
        ]);
        assert_eq!(
            text,
            format!(
                "keychain              system           built in\n\
                 handoff               private          /etc/snow-onboard/config.toml:3, locked\n\
                 client_sha256\n    {digest}\n    /etc/snow-onboard/config.toml:4, locked\n\
                 endpoint              not set\n"
            )
        );
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
