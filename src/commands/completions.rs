//! `completions`: the script with which a shell completes command lines of this program, and the answers that it asks for.
//!
//! A script starts this program with [`VARIABLE`], `--` and the words up to the cursor, and shows what it says. Nothing is
//! asked of the keychain or of AWS, nothing is made or removed, and whatever goes wrong is silence: somebody is typing.
//!
//! An answer is put into the command line as it is, so only words without a meaning to any shell are given: commands,
//! flags, values, job ids. File names can have any meaning, and each shell completes and quotes them itself where there is
//! no answer. `clap_complete` has scripts of its own, which are not used: they leave names unquoted, and the one for
//! PowerShell evaluates what was typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::CommandFactory as _;
use clap_complete::ArgValueCandidates;
use clap_complete::engine::{CompletionCandidate, complete};
use serde::Serialize;

use crate::cli::{Cli, Completions};
use crate::model::Origin;
use crate::os;
use crate::safety::sanitize::sanitize;
use crate::settings::{Flags, Given, ProcessEnvironment, Settings, setting};
use crate::store::StateFolder;
use crate::ui::Ui;

/// Names the shell that asks. Unlike a setting's variable it does not begin with `SNOW_ONBOARD_`.
pub const VARIABLE: &str = "_SNOW_ONBOARD_COMPLETE";

/// How long an answer may take: a home on a network drive that is away must not stop whoever types.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct CompletionsResult<'a> {
    shell: &'a str,
    script: &'a str,
}

pub(super) fn completions(args: &Completions, ui: &Ui) {
    // The parser lets no other shell through.
    let text = script(&args.shell).unwrap_or_default();
    ui.verbatim(&text, CompletionsResult { shell: &args.shell, script: &text });
}

/// The script for a shell of [`SHELLS`](crate::cli::SHELLS), which asks the `snow-onboard` in PATH. `None` for another.
#[must_use]
pub fn script(shell: &str) -> Option<String> {
    let script = match shell {
        "bash" => include_str!("../../packaging/completions/snow-onboard.bash"),
        "zsh" => include_str!("../../packaging/completions/_snow-onboard"),
        "fish" => include_str!("../../packaging/completions/snow-onboard.fish"),
        "powershell" => include_str!("../../packaging/completions/snow-onboard.ps1"),
        _ => return None,
    };
    // A checkout on Windows may have turned the line ends.
    Some(script.replace("\r\n", "\n"))
}

/// The answer, if a script has started this process. Empty where there is none, whatever the reason.
#[must_use]
pub fn answer() -> Option<String> {
    let (shell, words) = question()?;
    let answer = move || shell.to_str().map(|shell| lines(shell, words)).unwrap_or_default();
    Some(os::within(ANSWER_TIMEOUT, answer).unwrap_or_default())
}

/// Whether a script has started this process.
pub(super) fn is_asked() -> bool {
    question().is_some()
}

/// The shell, and the words up to the cursor.
fn question() -> Option<(OsString, Vec<OsString>)> {
    let shell = std::env::var_os(VARIABLE)?;
    let mut words = std::env::args_os().skip(1);
    // Someone may have exported the variable: what does not look like a script's question is a command like any other.
    let words: Vec<OsString> = words.next().filter(|first| first == "--").map(|_| words.collect())?;
    (!words.is_empty()).then_some((shell, words))
}

/// What is offered for the last of the words, a line each, with a description where the shell shows one.
fn lines(shell: &str, words: Vec<OsString>) -> String {
    let before_description = match shell {
        "bash" => None,
        "zsh" => Some(':'),
        "fish" | "powershell" => Some('\t'),
        _ => return String::new(),
    };
    let candidates = candidates(words).into_iter().filter_map(|candidate| {
        let value = candidate.get_value().to_str().filter(|value| has_no_meaning(value))?.to_owned();
        let help = candidate.get_help().map(|help| sanitize(help.to_string().lines().next().unwrap_or_default()));
        let description = before_description.zip(help).map(|(before, help)| match shell {
            "zsh" => format!("{before}{}", help.replace('\\', r"\\")),
            _ => format!("{before}{help}"),
        });
        Some(value + &description.unwrap_or_default() + "\n")
    });
    candidates.collect()
}

/// Whether a word means itself to every shell, wherever it stands.
fn has_no_meaning(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_alphanumeric() || "-._=".contains(c))
}

fn candidates(words: Vec<OsString>) -> Vec<CompletionCandidate> {
    let state_dir = state_dir(&words);
    let of_job = |command: clap::Command| {
        command.mut_arg("job", |job| {
            job.add(ArgValueCandidates::new({
                let state_dir = state_dir.clone();
                move || kept_jobs(state_dir.as_ref())
            }))
        })
    };
    let mut command = Cli::command();
    for verb in ["run", "fetch", "unlock", "credentials", "status", "client", "setup-profile", "forget"] {
        command = command.mut_subcommand(verb, of_job);
    }
    let last = words.len() - 1;
    // No folder: it would be to look for files.
    complete(&mut command, words, last, None).unwrap_or_default()
}

/// The state folder of the command that is being typed.
fn state_dir(words: &[OsString]) -> Option<PathBuf> {
    let flag = setting::state_dir.flag();
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let mut values = words.iter().enumerate().filter_map(|(at, word)| match word.strip_prefix(&flag)? {
        "" => words.get(at + 1).copied(),
        rest => rest.strip_prefix('='),
    });
    let mut flags = Flags::new();
    if let Some(value) = values.next_back() {
        flags.insert(Given::read(&setting::state_dir, value.to_owned(), Origin::Flag(flag)));
    }
    Settings::resolve(&flags, &ProcessEnvironment::of_this_process()).ok().map(|settings| settings.state_dir)
}

fn kept_jobs(state_dir: Option<&PathBuf>) -> Vec<CompletionCandidate> {
    let kept = state_dir.and_then(|folder| StateFolder::kept_below(folder).ok()).unwrap_or_default();
    let candidates = kept.into_iter().map(|(job, record)| {
        let description = record.and_then(|record| record.summary.description).map(|text| sanitize(&text));
        let kept = match description.filter(|text| !text.is_empty()) {
            Some(description) => format!("kept here: {description}"),
            None => "kept here".to_owned(),
        };
        CompletionCandidate::new(job.as_str()).help(Some(kept.into()))
    });
    candidates.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cli::SHELLS;

    #[test]
    fn each_shell_has_a_script_that_names_the_variable_and_no_path() {
        for shell in SHELLS {
            let script = script(shell).unwrap();
            assert!(script.contains(VARIABLE) && script.contains("snow-onboard"), "{script}");
            assert!(!script.contains("/snow-onboard"), "{script}");
        }
        assert_eq!(script("cmd"), None);
    }

    #[test]
    fn nothing_with_a_meaning_to_a_shell_is_offered() {
        assert!(has_no_meaning("--keychain=system") && has_no_meaning("JID123e4567-e89b-12d3-a456-426655440000"));
        for meant in "$`\\\"'(){}[]<>|&;*?!#~^%@:,/ \t\n\u{b}\u{1b}\u{7f}\u{85}ä\u{202e}".chars() {
            assert!(!has_no_meaning(&format!("x{meant}")), "{meant:?}");
        }
        // What was typed is part of what is offered: -q and any character, and flags after it.
        let typed = ["snow-onboard", "-q$(x)"].map(OsString::from).to_vec();
        assert!(!candidates(typed.clone()).is_empty());
        assert_eq!(lines("bash", typed), "");
    }

    #[test]
    fn no_argument_has_its_files_looked_for() {
        fn hints(command: &clap::Command) -> Vec<clap::ValueHint> {
            let of_verbs = command.get_subcommands().flat_map(hints);
            command.get_arguments().map(clap::Arg::get_value_hint).chain(of_verbs).collect()
        }
        let mut command = Cli::command();
        command.build();
        assert!(hints(&command).iter().all(|hint| *hint == clap::ValueHint::Unknown));
    }

    #[test]
    fn no_shell_evaluates_what_was_typed_and_each_completes_files_itself() {
        let has = |shell: &str, text: &str| script(shell).unwrap().contains(text);
        assert!(SHELLS.iter().all(|shell| !has(shell, "Invoke-Expression") && !has(shell, "eval ")));
        assert!(has("bash", "-o default") && has("zsh", "_files") && has("fish", "__fish_complete_path"));
    }

    #[test]
    fn the_state_folder_may_have_been_typed() {
        let absolute = std::path::absolute("x").unwrap();
        for words in [vec!["snow-onboard", "run", "--state-dir", "x", ""], vec!["snow-onboard", "--state-dir=x", "run"]]
        {
            let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
            assert_eq!(state_dir(&words), Some(absolute.clone()));
        }
    }
}
