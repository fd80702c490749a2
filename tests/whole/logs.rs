//! What is logged, and that no secret is: neither of ours nor of what libraries would say, nor of what the client says.

use std::path::{Path, PathBuf};

use aws_smithy_types::base64;
use snow_rehearsal::{Rehearsal, State};

use crate::agent::{Agent, Ended};

/// Everything that must not be found, with what it is called.
fn secrets(rehearsal: &Rehearsal) -> Vec<(&'static str, String)> {
    let code = rehearsal.job().unlock_code();
    let mut secrets = vec![
        ("the end of the code", code[12..].to_owned()),
        ("the code, percent-encoded", code.replace('-', "%2D")),
        ("the code in base64", base64::encode(&code)),
        ("the secret key", rehearsal.secret_key().to_owned()),
        ("the session token", rehearsal.session_token().unwrap().to_owned()),
        ("the code", code),
    ];
    for address in rehearsal.issued_addresses() {
        let signature = address.split("X-Amz-Signature=").nth(1).unwrap().split('&').next().unwrap();
        secrets.push(("the signature", signature.to_owned()));
    }
    secrets
}

#[track_caller]
fn holds_none(text: &str, rehearsal: &Rehearsal) {
    for (what, secret) in secrets(rehearsal) {
        assert!(!text.contains(&secret), "{what} is in:\n{text}");
    }
}

fn log_of(rehearsal: &Rehearsal) -> PathBuf {
    rehearsal.home().join("onboard.log")
}

/// `run -vv --log-file …` with everything set that makes others talk.
fn talkative(rehearsal: &Rehearsal, client: &Path) -> Ended {
    Agent::run_with(rehearsal, client, &["--keychain", "none", "-vv"])
        .arg("--log-file")
        .arg(log_of(rehearsal))
        .env("RUST_LOG", "trace")
        .env("LOG_SENSITIVE_BODIES", "true")
        .end()
}

#[test]
fn the_most_talkative_run_tells_what_was_done_and_no_secret() {
    let rehearsal = Rehearsal::builder().temporary_credentials().start().unwrap();
    let ended = talkative(&rehearsal, rehearsal.client_path()).done();
    assert_eq!(rehearsal.device().state(), State::Unlocked);
    let log = std::fs::read_to_string(log_of(&rehearsal)).unwrap();
    for text in [&log, &ended.stderr] {
        for useful in [
            "operation=\"GetJobUnlockCode\" status=200 request=",
            "the manifest has arrived",
            "the client has ended command=\"unlock-device\" exit=0",
            "state=\"UNLOCKED\"",
        ] {
            assert!(text.contains(useful), "“{useful}” is not in:\n{text}");
        }
        // Ours may go into details; nobody else may.
        for line in text.lines().filter(|line| line.contains(" DEBUG ") || line.contains(" TRACE ")) {
            assert!(line.contains(" DEBUG snow_onboard"), "{line}");
        }
        holds_none(text, &rehearsal);
    }
    assert!(log.contains("Pair: code and manifest match"), "the file tells what was said as well:\n{log}");
    assert!(!ended.stderr.contains("Pair: code and manifest match"), "stderr does not say it twice");
    holds_none(&ended.stdout, &rehearsal);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(log_of(&rehearsal).metadata().unwrap().mode() & 0o777, 0o600);
    }
}

/// A client that says the code on its stderr, cut in two by a pause, and in base64 and percent-encoded, and
/// the AWS secrets. It lies in a folder that is called by the code, which nothing sanitizes: only the writer on the way out can
/// take it away.
#[cfg(unix)]
fn indiscreet_client(rehearsal: &Rehearsal, then: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let code = rehearsal.job().unlock_code();
    let (first, second) = code.split_at(13);
    let base64 = base64::encode(format!("{{\"UnlockCode\":\"{code}\"}}"));
    let percent = code.replace('-', "%2D");
    let (key, token) = (rehearsal.secret_key(), rehearsal.session_token().unwrap());
    let script = format!(
        "#!/bin/sh\nprintf %s 'base64 {base64} key {key} token {token} percent {percent} plain {first}' >&2\n\
         sleep 0.1\nprintf '%s\\n' '{second} end-of-it' >&2\n{then}\n"
    );
    let folder = rehearsal.root().join(format!("{code}.d"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let client = folder.join("snowballEdge");
    std::fs::write(&client, script).unwrap();
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o700)).unwrap();
    client
}

#[cfg(unix)]
#[test]
fn a_client_that_says_the_code_is_quoted_without_it() {
    let rehearsal = Rehearsal::builder().temporary_credentials().start().unwrap();
    let real = rehearsal.client_path().display();
    let then = format!("case \"$1\" in unlock-device) exit 3;; esac\nexec '{real}' \"$@\"");
    let client = indiscreet_client(&rehearsal, &then);
    let ended = talkative(&rehearsal, &client).failed(13, "end-of-it");
    let log = std::fs::read_to_string(log_of(&rehearsal)).unwrap();
    for text in [&log, &ended.stderr, &ended.stdout] {
        holds_none(text, &rehearsal);
    }
    for text in [&log, &ended.stderr] {
        assert!(text.contains("[unlock code].d/snowballEdge"), "{text}");
    }
    // A control: what it said is there, but for the code.
    for text in [&log, &ended.stderr] {
        assert!(
            text.contains("key [AWS secret] token [AWS secret] percent [unlock code] plain [unlock code] end-of-it"),
            "{text}"
        );
    }
}

#[test]
fn without_v_nothing_is_logged_and_the_file_is_appended_to() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let log = log_of(&rehearsal);
    let jobs = |more: &[&str]| {
        let agent = more.iter().fold(Agent::new(&rehearsal, ["jobs"]), |agent, arg| agent.arg(arg));
        agent.env("RUST_LOG", "trace").env("SNOW_ONBOARD_LOG_FILE", &log).end().done()
    };
    assert_eq!(jobs(&[]).stderr, "");
    let first = std::fs::read_to_string(&log).unwrap();
    assert!(first.contains("operation=\"ListJobs\" status=200"), "{first}");
    let told = jobs(&["-v"]).stderr;
    assert!(told.contains("operation=\"ListJobs\"") && !told.contains("DEBUG"), "{told}");
    let both = std::fs::read_to_string(&log).unwrap();
    assert!(both.starts_with(&first) && both.len() > first.len());
}

#[cfg(unix)]
#[test]
fn a_log_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let rehearsal = Rehearsal::builder().start().unwrap();
    let log = log_of(&rehearsal);
    std::fs::write(&log, "").unwrap();
    std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = Agent::new(&rehearsal, ["jobs"]).arg("--log-file").arg(&log).end();
    ended.failed(3, "(--log-file) can be opened by others");
    assert!(rehearsal.requests().is_empty());
}
