//! The command to paste again: what does the same in any shell, with nothing left to ask.

use std::path::Path;

use clap::CommandFactory;

use super::Cli;
use crate::error::GivenFlag;
use crate::model::{Endpoint, TargetId};
use crate::safety::quote::{address_flags, quoted};
use crate::settings::table::{EVERY, SESSION, Setting};
use crate::settings::{Settings, Value, setting};

/// `snow-onboard forget --all` for this state folder, and for the keychain if one was typed. `forget` searches a keychain that is
/// typed and no other: one of a variable is none that it is told to keep to.
pub(crate) fn forget_all_again(settings: &Settings) -> String {
    let is_typed = |said: &Setting| said.key != setting::keychain.key || settings.keychain_was_typed();
    let matter = |said: &Setting| said.reopens && said.verbs & EVERY != 0 && is_typed(said);
    again("forget --all", None, None, settings, matter)
}

/// `snow-onboard forget` for a job of which no record says in which keychain its code is: this one.
pub(crate) fn forget_in_keychain_again(job: &TargetId, settings: &Settings) -> String {
    again("forget", Some(job), None, settings, |said| said.reopens && said.verbs & EVERY != 0)
}

/// `snow-onboard run --all`, as [`run_again`].
pub(crate) fn run_all_again(settings: &Settings) -> String {
    again("run --all", None, None, settings, |_| true)
}

/// `snow-onboard run --plan` for this file, as [`run_again`].
pub(crate) fn run_plan_again(file: &str, settings: &Settings) -> String {
    again(&format!("run --plan {}", quoted(file)), None, None, settings, |_| true)
}

/// `snow-onboard unlock` for this job and device, as [`run_again`].
pub(crate) fn unlock_again(
    job: &TargetId,
    endpoint: &Endpoint,
    settings: &Settings,
    matter: impl Fn(&Setting) -> bool,
) -> String {
    again("unlock", Some(job), Some(endpoint), settings, matter)
}

/// `snow-onboard run` for this job and device, with flags for what flags and variables of ours said of the settings that
/// `matter`. What is not settled yet is left out: an example in its place would be pasted with the rest.
pub(crate) fn run_again(
    job: Option<&TargetId>,
    endpoint: Option<&Endpoint>,
    settings: &Settings,
    matter: impl Fn(&Setting) -> bool,
) -> String {
    again("run", job, endpoint, settings, matter)
}

/// The same for a cluster, at the addresses of all its nodes.
pub(crate) fn run_cluster_again(
    cluster: &TargetId,
    addresses: &[Endpoint],
    settings: &Settings,
    matter: impl Fn(&Setting) -> bool,
) -> String {
    again_at("run", Some(cluster), addresses, settings, matter)
}

fn again(
    verb: &str,
    job: Option<&TargetId>,
    endpoint: Option<&Endpoint>,
    settings: &Settings,
    matter: impl Fn(&Setting) -> bool,
) -> String {
    // One address of a cluster would be one node; those of all are remembered.
    let endpoint = endpoint.filter(|_| job.is_none_or(|job| job.job().is_some()));
    again_at(verb, job, endpoint.map(std::slice::from_ref).unwrap_or_default(), settings, matter)
}

fn again_at(
    verb: &str,
    job: Option<&TargetId>,
    addresses: &[Endpoint],
    settings: &Settings,
    matter: impl Fn(&Setting) -> bool,
) -> String {
    let job = job.map(|job| format!(" {job}")).unwrap_or_default();
    let mut command = format!("snow-onboard {verb}{job}{}", address_flags(addresses));
    for (said, value) in settings.said() {
        if said.key != setting::endpoint.key && matter(said) {
            command.push_str(&flag(said, value));
        }
    }
    command
}

/// What a command to paste is to say again, each with the commands that take it.
pub(crate) fn given_flags(settings: &Settings) -> Vec<GivenFlag> {
    if settings.said().next().is_none() {
        return Vec::new();
    }
    let commands = Cli::command();
    let given = |(said, value): (&'static Setting, &Value)| {
        let takes = |command: &&clap::Command| {
            // Where a record names the keychains, `forget` without a flag searches those; with it, that one alone.
            let narrows = said.key == setting::keychain.key && command.get_name() == "forget";
            !narrows
                && (said.verbs & EVERY != 0 || command.get_arguments().any(|argument| argument.get_id() == said.key))
        };
        let shorthand = said.shorthand.iter().map(|short| format!("--{}", short.flag));
        GivenFlag {
            flags: std::iter::once(said.flag()).chain(shorthand).collect(),
            text: flag(said, value),
            verbs: commands.get_subcommands().filter(takes).map(|command| command.get_name().to_owned()).collect(),
        }
    };
    settings.said().map(given).collect()
}

/// The words that `credentials` has to be told, when another program calls it, to find what this command was told of: what flags
/// and variables of ours said. Folders are absolute, since it is called from anywhere.
pub(crate) fn flags_for_credentials(settings: &Settings) -> Vec<String> {
    let mut words = Vec::new();
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    // Where the device is, the record says, and follows it.
    // What was said of keep once, concerns that command alone; a program that calls for a key is not to remove a pair by it.
    let left_out = [setting::endpoint.key, setting::keep.key];
    let matters = |said: &Setting| said.reopens && said.verbs & (EVERY | SESSION) != 0 && !left_out.contains(&said.key);
    for (said, value) in settings.said().filter(|(said, _)| matters(said)) {
        let text = match (&settings.client, said.key) {
            (_, key) if key == setting::state_dir.key => absolute(&settings.state_dir),
            (Some(client), key) if key == setting::client.key => absolute(&client.value),
            _ => value.written(),
        };
        match value {
            Value::YesNo(true) => words.push(said.flag()),
            Value::YesNo(false) => {}
            // Else it would be taken for a flag, or for nothing.
            _ if text.is_empty() || text.starts_with('-') => words.push(format!("{}={text}", said.flag())),
            _ => words.extend([said.flag(), text]),
        }
    }
    words
}

/// The flag that says this of a setting, with a space before it.
fn flag(setting: &Setting, value: &Value) -> String {
    let (flag, text) = (setting.flag(), value.written());
    match value {
        Value::YesNo(true) => format!(" {flag}"),
        // There is no flag that takes back.
        Value::YesNo(false) => String::new(),
        // Else it would be taken for a flag, or for nothing.
        _ if text.is_empty() || text.starts_with('-') => format!(" {flag}={}", quoted(&text)),
        _ => format!(" {flag} {}", quoted(&text)),
    }
}

// Paths and words as the shells of Unix have them.
#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Origin;
    use crate::settings::{Flags, Given, ProcessEnvironment};

    fn said(setting: &'static Setting, text: &str) -> Given {
        Given::read(setting, text.to_owned(), Origin::Flag(setting.flag()))
    }

    #[test]
    fn the_command_says_the_same_to_any_shell() {
        let job: TargetId = "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap();
        let endpoint: Endpoint = "[2001:db8::1]:9091".parse().unwrap();
        for (profile, words_of_it) in [
            ("a$(touch x)`id`", &["--profile", "a$(touch x)`id`"][..]),
            ("", &["--profile="]),
            ("-x", &["--profile=-x"]),
        ] {
            let mut flags = Flags::new();
            let mut say = |setting, text| flags.insert(said(setting, text));
            say(&setting::state_dir, "/srv/it's here");
            say(&setting::profile, profile);
            say(&setting::region, "eu-west-1");
            say(&setting::wait_timeout, "120");
            say(&setting::wait_device, "true");
            say(&setting::wait, "false");
            let settings = Settings::resolve(&flags, &ProcessEnvironment::default()).unwrap();
            let command = run_again(Some(&job), Some(&endpoint), &settings, |_| true);
            // A shell's own word on it.
            let script = format!("set -- {command}; for word; do printf '%s\\n' \"$word\"; done");
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            let words = String::from_utf8(output.stdout).unwrap();
            let begin = ["snow-onboard", "run", job.as_str(), "--endpoint", "[2001:db8::1]:9091"];
            let end =
                ["--region", "eu-west-1", "--state-dir", "/srv/it's here", "--wait-device", "--wait-timeout", "2m"];
            assert_eq!(words.lines().collect::<Vec<_>>(), [&begin, words_of_it, &end].concat(), "{command}");
        }
    }

    #[test]
    fn a_program_that_calls_for_a_key_removes_nothing_by_what_was_said_once() {
        let mut flags = Flags::new();
        flags.insert(said(&setting::keep, "days:1"));
        flags.insert(said(&setting::keychain, "kernel"));
        let settings = Settings::resolve(&flags, &ProcessEnvironment::default()).unwrap();
        assert_eq!(flags_for_credentials(&settings), ["--keychain", "kernel"]);
    }

    /// With a keychain typed, `forget` searches that one alone: a command that is to remove the rest names none.
    #[test]
    fn forget_is_told_a_keychain_only_where_it_was_typed_and_is_to_be_kept_to() {
        let job: TargetId = "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap();
        let of = |origin: Origin| {
            let mut flags = Flags::new();
            flags.insert(said(&setting::state_dir, "/srv/x"));
            flags.insert(Given::read(&setting::keychain, "kernel".to_owned(), origin));
            Settings::resolve(&flags, &ProcessEnvironment::default()).unwrap()
        };
        let typed = of(Origin::Flag(setting::keychain.flag()));
        let of_variable = of(Origin::Variable("SNOW_ONBOARD_KEYCHAIN".to_owned()));
        assert_eq!(forget_all_again(&typed), "snow-onboard forget --all --keychain kernel --state-dir /srv/x");
        assert_eq!(forget_all_again(&of_variable), "snow-onboard forget --all --state-dir /srv/x");
        for settings in [&typed, &of_variable] {
            let command = forget_in_keychain_again(&job, settings);
            assert_eq!(command, format!("snow-onboard forget {job} --keychain kernel --state-dir /srv/x"));
            let given = given_flags(settings);
            let takes = |flag: &str, verb: &str| {
                given.iter().any(|given| given.flags[0] == flag && given.verbs.iter().any(|takes| takes == verb))
            };
            let both = ["--keychain", "--state-dir"];
            assert_eq!(both.map(|flag| takes(flag, "forget")), [false, true]);
            assert_eq!(both.map(|flag| takes(flag, "unlock")), [true, true]);
        }
    }

    #[test]
    fn what_is_not_settled_and_what_does_not_matter_is_left_out() {
        let mut flags = Flags::new();
        flags.insert(said(&setting::region, "eu-west-1"));
        let settings = Settings::resolve(&flags, &ProcessEnvironment::default()).unwrap();
        let command = run_again(None, None, &settings, |setting| setting.reopens);
        assert_eq!(command, "snow-onboard run");
    }
}
