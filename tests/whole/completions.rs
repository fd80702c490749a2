//! Completing a command line: asked as the shells' scripts ask, and by a real bash.

use std::path::Path;

use snow_rehearsal::Rehearsal;

use crate::agent::{Agent, files, state};

const VARIABLE: &str = "_SNOW_ONBOARD_COMPLETE";
const ANOTHER: &str = "JID123e4567-e89b-12d3-a456-426655440000";

/// What is offered for the last of the words, a line each, as this shell is told it.
fn offered(rehearsal: &Rehearsal, shell: &str, words: &[&str]) -> Vec<String> {
    let ended = question(shell, words).envs(rehearsal.env()).end().done();
    assert_eq!(ended.stderr, "");
    ended.stdout.lines().map(str::to_owned).collect()
}

fn question(shell: &str, words: &[&str]) -> Agent {
    let agent = Agent::bare(["--", "snow-onboard"].iter().chain(words));
    agent.env(VARIABLE, shell)
}

/// A folder and those above it, as the agent makes them: for nobody else.
fn make_private(path: &Path) {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).unwrap();
}

/// A job's folder without a record, as a fetch that was cut short leaves it.
fn keep(rehearsal: &Rehearsal, job: &str) {
    make_private(&state(rehearsal).join("jobs").join(job));
}

#[test]
fn every_shell_is_offered_the_jobs_that_are_kept() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    keep(&rehearsal, ANOTHER);
    for (shell, line) in [
        ("bash", ANOTHER.to_owned()),
        ("zsh", format!("{ANOTHER}:kept here")),
        ("fish", format!("{ANOTHER}\tkept here")),
        ("powershell", format!("{ANOTHER}\tkept here")),
    ] {
        for verb in ["run", "fetch", "unlock", "forget"] {
            assert_eq!(offered(&rehearsal, shell, &[verb, "JID"]), [line.as_str()], "{shell} {verb}");
        }
        assert!(offered(&rehearsal, shell, &["run", "JIDf"]).is_empty(), "{shell}");
    }
    assert!(rehearsal.requests().is_empty() && rehearsal.client_invocations().unwrap().is_empty());
}

#[test]
fn verbs_flags_and_values_are_offered() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let offered = |words: &[&str]| offered(&rehearsal, "bash", words);
    assert_eq!(offered(&["exi"]), ["exit-codes"]);
    assert_eq!(offered(&["run", "--wait-d"]), ["--wait-device"]);
    assert_eq!(offered(&["run", "--keychain", ""]), ["system", "kernel", "none"]);
    assert_eq!(offered(&["run", "--handoff", "a"]), ["argv", "auto"]);
    assert_eq!(offered(&["completions", "z"]), ["zsh"]);
}

/// A name may mean anything to a shell, so the shell is left to complete it.
#[test]
fn no_file_is_offered_whatever_its_name() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let folder = rehearsal.root().join("names");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("plain.pem"), "").unwrap();
    if cfg!(unix) {
        for name in ["x$(touch PWNED).pem", "my ca.pem", "x\ny", "x\u{b}y", "x\u{1b}[31m"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
    }
    let folder = format!("{}/", folder.display());
    for shell in ["bash", "zsh", "fish", "powershell"] {
        for words in [
            ["doctor", "--ca-bundle", &folder],
            ["doctor", "--client", &folder],
            ["doctor", "--log-file", &folder],
            ["doctor", "--state-dir", &folder],
            ["doctor", "--json", &format!("--ca-bundle={folder}")],
            ["doctor", "--json", &format!("-q{folder}$(x)")],
        ] {
            assert_eq!(offered(&rehearsal, shell, &words), [""; 0], "{shell} {words:?}");
        }
    }
}

#[test]
fn whatever_goes_wrong_is_silence_and_nothing_is_made() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    assert!(offered(&rehearsal, "fish", &["run", "JID"]).is_empty());
    assert!(files(rehearsal.root()).iter().all(|(path, _)| !path.starts_with(state(&rehearsal))));
    assert!(!state(&rehearsal).exists());

    keep(&rehearsal, ANOTHER);
    let broken = question("fish", &["run", "JID"]).envs(rehearsal.env()).env("SNOW_ONBOARD_KEYCHIAN", "none");
    let ended = broken.end().done();
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    // What scripts of other versions and hands may ask.
    for shell in ["bash", "zsh", "fish", "powershell", "tcsh", "", "BASH"] {
        for index in ["99", "x", "-1", "0"] {
            let asked = question(shell, &["ru"]).envs(rehearsal.env()).env("_CLAP_COMPLETE_INDEX", index).end().done();
            let is_known = matches!(shell, "bash" | "zsh" | "fish" | "powershell");
            assert_eq!(asked.stdout.starts_with("run"), is_known, "{shell} {index}: {}", asked.stdout);
            assert!(is_known || asked.stdout.is_empty(), "{shell} {index}: {}", asked.stdout);
            assert_eq!(asked.stderr, "", "{shell} {index}");
        }
    }
    // In somebody's environment the variable alone changes nothing.
    let ended = Agent::bare(["--version"]).env(VARIABLE, "bash").end().done();
    assert!(ended.stdout.starts_with("snow-onboard "), "{}", ended.stdout);
    Agent::bare(["no-such-verb"]).env(VARIABLE, "bash").end().failed(2, "no-such-verb");
}

/// A named pipe that nobody writes to.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_settings_file_holds_nothing_up() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    keep(&rehearsal, ANOTHER);
    let config = rehearsal.root().join("config of its own");
    std::fs::create_dir_all(config.join("snow-onboard")).unwrap();
    let pipe = config.join("snow-onboard/config.toml");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let config = config.to_str().unwrap();
    let asked = question("fish", &["run", "JID"]).envs(rehearsal.env()).env("XDG_CONFIG_HOME", config).end().done();
    assert_eq!((asked.stdout.as_str(), asked.stderr.as_str()), ("", ""));
    let asked = question("bash", &["exi"]).envs(rehearsal.env()).env("XDG_CONFIG_HOME", config).end().done();
    assert_eq!(asked.stdout, "exit-codes\n");
    let said = Agent::bare(["settings"]).envs(rehearsal.env()).env("XDG_CONFIG_HOME", config).end();
    said.failed(3, "it is not a file");
}

#[test]
fn a_folder_that_was_typed_is_the_one_that_is_looked_into() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let elsewhere = rehearsal.root().join("elsewhere");
    make_private(&elsewhere.join("jobs").join(ANOTHER));
    let elsewhere = elsewhere.to_string_lossy();
    assert_eq!(offered(&rehearsal, "bash", &["run", "--state-dir", &elsewhere, "JID"]), [ANOTHER]);
}

/// The script is sourced, and its function called as Tab does.
#[cfg(unix)]
#[test]
fn a_real_bash_completes_a_kept_job() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    keep(&rehearsal, ANOTHER);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_snow-onboard")).parent().unwrap();
    let tab = r#"
        set -eu
        eval "$(snow-onboard completions bash)"
        function=$(complete -p snow-onboard | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=(snow-onboard run JID12) COMP_CWORD=2 COMP_TYPE=9
        COMP_LINE="${COMP_WORDS[*]}" COMP_POINT=${#COMP_LINE}
        "$function" snow-onboard JID12 run
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = std::process::Command::new("bash");
    bash.args(["--norc", "-c", tab]).env_clear().envs(rehearsal.env());
    bash.env("PATH", format!("{}:{}", program.display(), std::env::var("PATH").unwrap()));
    let output = bash.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{ANOTHER}\n"), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_job_that_was_fetched_is_offered_with_its_description() {
    use crate::keyring_bus::{Keyring, KeyringBus};
    use crate::secret_service::on_the_bus;

    let rehearsal =
        Rehearsal::builder().job(snow_rehearsal::Job::new().description(Some("Ship's log"))).start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let job = rehearsal.job().id().to_owned();
    on_the_bus(Agent::new(&rehearsal, ["fetch", &job]), &bus).end().done();
    assert_eq!(offered(&rehearsal, "fish", &["forget", "JID"]), [format!("{job}\tkept here: Ship's log")]);
}
