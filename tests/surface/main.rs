//! All that a user sees: command lines, what is said on stdout and stderr, exit codes; one file a story, below `cases/`.
//!
//! A file is read top-down: what is done stands at the margin, what the program said to it is indented. What differs
//! from run to run stands in brackets, such as `[JOB]`, in the answers as in the command lines. See [`case`] for how to
//! write one, [`names`] for the brackets.
//!
//! After a change of what is said, this writes all files anew, and the difference is there to be read:
//!
//! ```text
//! SNAPSHOTS=overwrite cargo test --test surface
//! ```
//!
//! The same after a merge in which two changes met in a file: either side will do, for what is at the margin is the same.
//!
//! The faults are those of the matrix (`tests/matrix`), which says of each what it leaves on disk and device, and of the
//! few that only the surface shows ([`scenes`]).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "../events/mod.rs"]
mod events;
#[path = "../matrix/groups/mod.rs"]
mod groups;
#[path = "../matrix/host_linux.rs"]
mod host;
#[path = "../keyring_bus/mod.rs"]
mod keyring_bus;
#[allow(dead_code, reason = "looks at more processes than are looked at here")]
#[path = "../leak/process.rs"]
mod process;
#[path = "../terminal/pty.rs"]
mod pty;
#[allow(dead_code, reason = "what becomes of a row is for the matrix to say")]
#[path = "../matrix/row.rs"]
mod row;
#[allow(dead_code, reason = "has more to be looked at than is looked at here")]
#[path = "../matrix/scene.rs"]
mod scene;

mod case;
mod chains;
mod codes;
mod names;
mod play;
mod scenes;

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory as _;
use snapbox::Assert;
use snapbox::assert::Action;

use case::Case;
use play::Stage;

/// Where the files are.
fn cases() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "surface", "cases"].iter().collect()
}

macro_rules! tests {
    ($($folder:ident),+ $(,)?) => {
        $(
            #[test]
            fn $folder() {
                play::all(&cases().join(stringify!($folder)));
            }
        )+

        /// The folders of which the files are played.
        const FOLDERS: &[&str] = &[$(stringify!($folder)),+, AS_ROOT];
    };
}

tests! {
    answers,
    audit,
    bucket,
    clients,
    command_line,
    credentials,
    devices,
    disk,
    doctor,
    good_runs,
    guided,
    job_states,
    keychains,
    network,
    pairs,
    settings,
    typed,
}

const AS_ROOT: &str = "as_root";

#[test]
fn as_root() {
    if process::may_mount_or_rerun("as_root") {
        play::all(&cases().join(AS_ROOT));
    }
}

#[test]
fn every_file_is_played() {
    let folders = fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut folders: Vec<String> = folders.collect();
    folders.sort();
    let mut played = FOLDERS.to_vec();
    played.sort_unstable();
    assert_eq!(folders, played);
}

#[test]
fn every_verb_shows_its_help() {
    let command = snow_onboard::cli::Cli::command();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let file = cases().join("command_line").join(format!("help-{}.txt", verb.get_name()));
        assert!(file.is_file(), "there is no {}", file.display());
    }
}

#[test]
fn every_error_is_shown_by_at_least_one_file() {
    let mut shown = Vec::new();
    for folder in FOLDERS {
        for case in Case::all_in(&cases().join(folder)) {
            shown.extend(codes::shown_in(&case.text));
        }
    }
    codes::assert_complete(&shown);
}

/// The files prove something only if a wrong one is found.
#[test]
fn a_wrong_expectation_is_found() {
    let case = Case::read(&cases().join("command_line/an-address-that-is-none.txt"));
    let stage = Stage::new();
    let said = stage.play(&case);
    let differs = |expected: &str| {
        let expected = snapbox::Data::text(expected.to_owned()).raw();
        Assert::new().action(Action::Verify).try_eq(None, snapbox::Data::text(said.clone()), expected).is_err()
    };
    assert!(!differs(&case.text), "what is right is not complained of");
    for (from, to) in [
        ("exit 2, endpoint_invalid", "exit 3, endpoint_invalid"),
        ("exit 2, endpoint_invalid", "exit 2, endpoint_missing"),
        ("stderr", "stdout"),
        ("address", "adress"),
        ("\n  ", "\n   "),
        ("\n\n", "\n"),
    ] {
        assert!(case.text.contains(from), "{from}");
        assert!(differs(&case.text.replacen(from, to, 1)), "{from} for {to}");
    }
    assert!(differs(&format!("{}  And more.\n", case.text)));
}
