//! Completion of a command line that is being typed: the script for each shell, and the answers that it asks for.
//!
//! A script starts this program with [`VARIABLE`] and the words typed so far, and shows what it says. Nothing is asked of
//! the keychain or of AWS, nothing is made or removed, and whatever goes wrong is silence: somebody is typing.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::ArgValueCandidates;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{Bash, EnvCompleter, Fish, Powershell, Zsh};

use crate::cli::Cli;
use crate::settings::{Flags, Settings, Surroundings};
use crate::store::StateFolder;
use crate::text::clean;

/// Names the shell that asks. Unlike a setting's variable it does not begin with `SNOW_ONBOARD_`.
pub const VARIABLE: &str = "_SNOW_ONBOARD_COMPLETE";

/// The shells that can ask, as they are named on the command line.
pub const SHELLS: [&str; 4] = ["bash", "zsh", "fish", "powershell"];

fn completer(shell: &str) -> Option<&'static dyn EnvCompleter> {
    const COMPLETERS: [&dyn EnvCompleter; 4] = [&Bash, &Zsh, &Fish, &Powershell];
    COMPLETERS.into_iter().find(|completer| completer.is(shell))
}

/// The script for a shell of [`SHELLS`], which asks the `snow-onboard` in PATH. `None` for another.
#[must_use]
pub fn script(shell: &str) -> Option<String> {
    const NAME: &str = "snow-onboard";
    let mut script = Vec::new();
    completer(shell)?.write_registration(VARIABLE, NAME, NAME, NAME, &mut script).ok()?;
    let script = String::from_utf8(script).ok()?;
    let lines: Vec<&str> = script.trim().lines().map(str::trim_end).collect();
    let mut script = lines.join("\n") + "\n";
    if shell == "zsh" {
        // From a folder of $fpath it is loaded as a function at the first Tab, which is to be answered already.
        script.push_str(
            "if [[ ${funcstack[1]} == _snow-onboard ]]; then _clap_dynamic_completer_snow_onboard \"$@\"; fi\n",
        );
    }
    Some(script)
}

/// The answer, if a script has started this process.
#[must_use]
pub fn answer() -> Option<String> {
    let shell = std::env::var(VARIABLE).ok()?;
    let words: Vec<OsString> = std::env::args_os().collect();
    let (_, words) = words.split_first()?;
    // Someone may have exported the variable: what does not look like a script's question is a command like any other.
    let (_, words) = words.split_first().filter(|(first, words)| *first == "--" && !words.is_empty())?;
    let completer = completer(&shell)?;
    let state_dir = state_dir(words);
    let of_job = |command: clap::Command| {
        command.mut_arg("job", |job| {
            job.add(ArgValueCandidates::new({
                let state_dir = state_dir.clone();
                move || kept_jobs(state_dir.as_ref())
            }))
        })
    };
    let mut command = Cli::command();
    for verb in ["run", "fetch", "forget"] {
        command = command.mut_subcommand(verb, of_job);
    }
    command.build();
    let here = std::env::current_dir().ok();
    let mut answer = Vec::new();
    completer.write_complete(&mut command, words.to_vec(), here.as_deref(), &mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// The state folder of the command that is being typed.
fn state_dir(words: &[OsString]) -> Option<PathBuf> {
    const FLAG: &str = "--state-dir";
    let mut words = words.iter().filter_map(|word| word.to_str()).peekable();
    let mut flags = Flags::new();
    while let Some(word) = words.next() {
        let value = match word.strip_prefix(FLAG) {
            Some("") => words.peek().copied(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        if let Some(value) = value {
            flags.insert("state_dir", value.to_owned());
        }
    }
    Settings::resolve(&flags, &Surroundings::of_this_process()).ok().map(|settings| settings.state_dir)
}

fn kept_jobs(state_dir: Option<&PathBuf>) -> Vec<CompletionCandidate> {
    let kept = state_dir.map(|folder| StateFolder::kept_below(folder)).unwrap_or_default();
    let candidates = kept.into_iter().map(|(job, record)| {
        let description = record.and_then(|record| record.summary.description).map(|text| clean(&text));
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
    fn the_state_folder_may_have_been_typed() {
        let absolute = std::path::absolute("x").unwrap();
        for words in [vec!["snow-onboard", "run", "--state-dir", "x", ""], vec!["snow-onboard", "--state-dir=x", "run"]]
        {
            let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
            assert_eq!(state_dir(&words), Some(absolute.clone()));
        }
    }
}
