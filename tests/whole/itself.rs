//! What the program tells of itself, whatever its settings and folders are like.

use crate::agent::Agent;

/// With a variable that names no setting, which any other verb refuses.
fn with_broken_settings(args: &[&str]) -> Agent {
    Agent::bare(args).env("SNOW_ONBOARD_KEYCHIAN", "none")
}

#[test]
fn exit_codes_are_listed_although_the_settings_are_broken() {
    with_broken_settings(&["jobs"]).end().failed(3, "keychian");
    let ended = with_broken_settings(&["exit-codes", "--json"]).end().done();
    let result = ended.json("result");
    assert_eq!(ended.stdout.lines().count(), 1);
    let rows = result["exit_codes"].as_array().unwrap();
    let settings = rows.iter().find(|row| row["exit"] == 3).unwrap();
    assert!(settings["codes"].as_array().unwrap().contains(&"setting_unknown".into()), "{settings}");
    assert!(with_broken_settings(&["exit-codes"]).end().done().stdout.contains("setting_unknown"));
}

#[test]
fn help_and_version_are_verbs_too() {
    let told = |args: &[&str]| with_broken_settings(args).end().done().stdout;
    for (verbs, flags) in [
        (&["help"][..], &["--help"][..]),
        (&["help", "run"], &["run", "--help"]),
        (&["version"], &["--version"]),
        (&["version", "--json"], &["--version", "--json"]),
    ] {
        assert_eq!(told(verbs), told(flags), "{verbs:?}");
    }
    with_broken_settings(&["help", "runn"]).end().failed(2, "'run'");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_a_failure_and_a_reader_that_has_gone_is_none() {
    use std::process::Command;

    let ended = |verb: &str, script: &str| {
        let mut shell = Command::new("bash");
        shell.args(["-c", script, env!("CARGO_BIN_EXE_snow-onboard"), verb]);
        let output = shell.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for verb in ["exit-codes", "--help"] {
        let (exit, stderr) = ended(verb, "exec \"$0\" \"$1\" >/dev/full");
        assert_eq!(exit, Some(9), "{verb}: {stderr}");
        assert!(
            stderr.contains("Writing to the standard output failed: no space is left on the disk."),
            "{verb}: {stderr}"
        );
        for elsewhere in [">/dev/null", "<&- >/dev/null", "1<>/dev/null", "| true; exit ${PIPESTATUS[0]}"] {
            let (exit, stderr) = ended(verb, &format!("\"$0\" \"$1\" {elsewhere}"));
            assert_eq!((exit, stderr.as_str()), (Some(0), ""), "{verb} {elsewhere}");
        }
    }
}

/// Whichever file, connection or pipe it is that can't be had: the libraries panic over some.
#[cfg(target_os = "linux")]
#[test]
fn a_session_that_may_open_hardly_any_file_is_told_so_whatever_the_limit() {
    let rehearsal = snow_rehearsal::Rehearsal::builder().start().unwrap();
    let mut told = 0;
    for limit in 4..20 {
        let ended = Agent::new(&rehearsal, ["jobs"]).with_open_files(limit).end();
        let exit = ended.status.code();
        assert!(exit.is_some_and(|exit| exit != 1), "{limit}: {}\n{}", ended.status, ended.stderr);
        assert!(!ended.stderr.contains("internal error"), "{limit}: {}", ended.stderr);
        told += u32::from(exit == Some(9) && ended.stderr.contains("may not open as many files"));
    }
    assert!(told > 1, "a control: it came to that");
    Agent::new(&rehearsal, ["jobs"]).with_open_files(64).end().done();
}

#[test]
fn a_version_tells_the_system_and_the_commit_when_asked_for_more() {
    let asked = |args: &[&str]| with_broken_settings(args).end().done().stdout;
    let short = asked(&["--version"]);
    assert_eq!(short, format!("snow-onboard {}\n", env!("CARGO_PKG_VERSION")));
    for more in [&["--version", "-v"][..], &["-v", "--version"], &["-Vv"]] {
        let long = asked(more);
        assert!(long.starts_with(&short), "{long}");
        assert!(long.contains(std::env::consts::OS) && long.contains("\ncommit  "), "{long}");
    }
}

#[test]
fn a_version_for_programs_is_one_line_of_json() {
    for args in [&["--version", "--json"][..], &["--json", "-V", "-v"]] {
        let ended = with_broken_settings(args).end().done();
        assert_eq!(crate::events::flaw_of_all(&ended.stdout), None);
        let result = ended.json("result");
        assert_eq!((&result["command"], &result["version"]), (&"version".into(), &env!("CARGO_PKG_VERSION").into()));
        assert_eq!(result["system"], std::env::consts::OS, "{result}");
        assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
    }
}

#[cfg(unix)]
#[test]
fn a_version_beside_a_word_that_is_no_text_is_a_version() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let words = [OsStr::new("--version"), OsStr::from_bytes(b"\xff-v")];
    assert!(Agent::bare(words).end().done().stdout.starts_with("snow-onboard "));
}
