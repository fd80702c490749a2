//! The string codes: which of them a text shows, and that the files show all.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;
use snow_onboard::error::Error;

/// Errors that nothing done on Linux from outside leads to, with the reason. One that a file shows all the same fails.
const OUT_OF_REACH: &[(&str, &str)] = &[
    ("keychain_unsupported", "told of --keychain kernel where the system is not Linux; these tests run on Linux"),
    (
        "state_folder_of_another",
        "it takes an agent that is not root, and a second user: tests/paths has it, on the binary",
    ),
    ("state_folder_no_locks", "it takes a file system without locks: tests/paths has it, on the binary"),
    ("keychain_keeps_nothing", "no keychain at hand forgets what it was given; one of src/keychain/tests.rs does"),
    (
        "keychain_failed",
        "it takes a service that fails in a way of its own; src/keychain/tests.rs has backends that do",
    ),
    ("audit_busy", "it takes a process that holds the log for ten seconds: tests/whole/audit.rs has one"),
    ("audit_not_copied", "it takes a system without a log: tests/whole/audit.rs has it, in mounts of its own"),
    ("audit_copy_unsupported", "told where the system is not Linux; these tests run on Linux"),
    ("key_not_for_terminal", "it takes a terminal at which nothing is asked: tests/terminal has it"),
    ("fetch_skipped", "it stands beside another failure and ends no command: tests/whole/plans.rs has it"),
    ("device_gives_no_answer", "told by `client` where another device answers: tests/device_behaviour has it"),
    ("profile_file_raced", "it takes another program at the right moment: src/store/shared_file has one"),
    ("profile_file_refused", "it takes a file that others can change: tests/whole/setup_profile.rs has one"),
    (
        "profile_not_as_meant",
        "it takes files that say of our profile what we don't: src/cloud/config_change.rs has some",
    ),
    ("program_changeable", "it takes an agent that others can change: tests/whole/setup_profile.rs has one"),
    ("storage_not_active", "it takes a device whose storage is off: tests/whole/setup_profile.rs has one"),
    ("job_in_cluster", "a row of a plan tells it, beside others: tests/whole/plans.rs has it"),
    ("cluster_codes_differ", "it takes a cluster: tests/whole/clusters.rs has one"),
    ("cluster_node_unknown", "it takes a cluster: tests/whole/cluster_nodes.rs has one"),
    ("node_address_unknown", "it takes a cluster: tests/whole/cluster_nodes.rs has one"),
    ("forgets_one_node", "it takes a cluster: tests/whole/clusters.rs has one"),
    ("node_missing", "it takes a cluster: tests/whole/cluster_nodes.rs has one"),
    ("cluster_incomplete", "it takes a cluster: tests/whole/clusters.rs has one"),
    ("cluster_too_few", "it takes a cluster: tests/whole/clusters.rs has one"),
    ("kernel_keyring_full", "it takes a user whose keys are at the limit: tests/keychain/keyrings.rs has one"),
    ("cluster_addresses_too_many", "it takes a cluster: tests/whole/clusters.rs has one"),
    ("code_stays", "it takes a pair in two keychains: tests/whole/forgetting.rs has one"),
    ("stored_meanwhile", "it takes another process while a question stands: tests/terminal/forget.rs has one"),
    ("internal", "told of a bug, of which none is known"),
    (
        "sts_not_https",
        "doctor tells its sentence in a warning, which has no code; what a run asks STS for is told as credentials_failed",
    ),
    ("guard_not_started", "it takes a program that can't start itself: src/device has one"),
    ("system_refused", "it takes a system that refuses a thread or a signal handler"),
];

/// The code of the error that a command told by these texts, if it told one that ends with this exit code.
pub(crate) fn told(texts: &[(&str, String)], exit: i32) -> Option<String> {
    let whole: Vec<&str> = texts.iter().map(|(_, text)| &text[..]).collect();
    let of_events = || whole.iter().find_map(|text| of_events(text));
    let of_check = || whole.iter().find_map(|text| of_check(text, exit));
    of_events().or_else(|| of_sentence(&whole.join("\n"), exit)).or_else(of_check)
}

/// Of the last line with `--json`, or of the first check that failed.
fn of_events(text: &str) -> Option<String> {
    let events: Vec<Value> = text.lines().map_while(|line| serde_json::from_str(line).ok()).collect();
    let is_error = |event: &&Value| event["event"] == "error" || event["verdict"] == "fails";
    events.iter().find(is_error).map(|event| event["code"].as_str().unwrap_or_default().to_owned())
}

/// Of a sentence with the hint that goes with it, however the lines are broken.
fn of_sentence(said: &str, exit: i32) -> Option<String> {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    // The help that a hint names is that of the command.
    let said = Regex::new("snow-onboard [a-z-]+ --help").unwrap().replace_all(&said, "snow-onboard --help");
    let ends = |with_hint: bool| -> Vec<(usize, &str)> {
        let end_of = |(code, sentence, hint): (_, &str, _)| {
            // Any words after it.
            let hint = if with_hint { hint } else { "{hint} {hint}" };
            if !with_hint && sentence.starts_with('{') && sentence.len() < 20 {
                // It has no words of its own.
                return None;
            }
            Some((pattern(&format!("{sentence} {hint}")).find_iter(&said).last()?.end(), code))
        };
        table(exit).filter_map(end_of).collect()
    };
    // At a terminal others may have been told on the way. The hint is another one where a flag in it is locked, or for a command
    // that can't be followed by it.
    let ends = Some(ends(true)).filter(|ends| !ends.is_empty()).unwrap_or_else(|| ends(false));
    let last = ends.iter().map(|(end, _)| end).max()?;
    let fit: Vec<&str> = ends.iter().filter(|(end, _)| end == last).map(|(_, code)| *code).collect();
    assert!(fit.len() == 1, "there is no telling {fit:?} apart: {said}");
    Some(fit[0].to_owned())
}

/// Of the first check that failed, which may have a hint of its own.
fn of_check(said: &str, exit: i32) -> Option<String> {
    let (_, check) = said.lines().find_map(|line| line.strip_prefix("fails ")?.trim_start().split_once("  "))?;
    let is_it = |sentence: &str| Regex::new(&format!("^{}$", pattern(sentence))).unwrap().is_match(check.trim_start());
    table(exit).find(|(_, sentence, _)| is_it(sentence)).map(|(code, ..)| code.to_owned())
}

/// Code, sentence and hint of the errors that end with this exit code.
fn table(exit: i32) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let rows = Error::CODES.iter().zip(Error::TEXTS);
    // Any error of `client` ends with 125.
    let ends = move |of: u8| i32::from(of) == exit || (of == 130 && exit > 128) || exit == 125;
    rows.filter(move |((_, of), _)| ends(*of as u8)).map(|((code, _), (sentence, hint))| (*code, *sentence, *hint))
}

/// What a text of the table looks like with anything for its fields.
fn pattern(text: &str) -> Regex {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut pattern = String::new();
    let mut rest = &words[..];
    while let Some((before, after)) = rest.split_once('{') {
        pattern.push_str(&regex::escape(before));
        pattern.push_str(".*?");
        rest = after.split_once('}').expect("a field has an end").1;
    }
    pattern.push_str(&regex::escape(rest));
    Regex::new(&pattern).unwrap()
}

/// The codes that stand in a file.
pub(crate) fn shown_in(text: &str) -> Vec<String> {
    let ends = text.lines().filter_map(|line| line.strip_prefix("exit ")?.split_once(", "));
    ends.map(|(_, code)| code.to_owned()).collect()
}

/// Fails with the codes that no file shows.
#[track_caller]
pub(crate) fn assert_complete(shown: &[String]) {
    let shown: BTreeSet<&str> = shown.iter().map(String::as_str).collect();
    let all: BTreeSet<&str> = Error::CODES.iter().map(|(code, _)| *code).collect();
    let out_of_reach: BTreeSet<&str> = OUT_OF_REACH.iter().map(|(code, _)| *code).collect();
    let missing: Vec<_> = all.difference(&shown).filter(|code| !out_of_reach.contains(**code)).collect();
    assert!(missing.is_empty(), "no file shows {missing:?}");
    let within_reach: Vec<_> = out_of_reach.intersection(&shown).collect();
    assert!(within_reach.is_empty(), "said to be out of reach, and shown: {within_reach:?}");
    let unknown: Vec<_> = shown.union(&out_of_reach).filter(|code| !all.contains(**code)).collect();
    assert!(unknown.is_empty(), "there is no such error: {unknown:?}");
}

#[test]
fn an_error_is_told_by_sentence_and_hint_together() {
    let sentence = "Error: This machine does not know the address of the device of\nJID1.";
    let hint = "Add the IP address that its display\nshows:\n  snow-onboard unlock JID1 --endpoint 192.0.2.10";
    let told =
        |stdout: &str, stderr: &str, exit| told(&[("stdout", stdout.to_owned()), ("stderr", stderr.to_owned())], exit);
    assert_eq!(told("", &format!("{sentence}\n\n{hint}\n"), 2).as_deref(), Some("endpoint_unknown"));
    assert_eq!(told("", &format!("{sentence}\n\n{hint}\n"), 3), None, "it ends with another exit code");
    assert_eq!(told("", sentence, 2), None, "a hint is missing");
    assert_eq!(told("", hint, 2), None);
    let event = r#"{"v":2,"event":"error","job":null,"code":"busy","exit":15,"text":"…","hint":"…"}"#;
    assert_eq!(told(&format!("{{}}\n{event}\n"), "", 15).as_deref(), Some("busy"));
    let check = "ok       Proxy     none\nfails    Region    No AWS region is set.\n         Another hint.\n";
    assert_eq!(told(check, "", 4).as_deref(), Some("region_missing"));
}

#[test]
fn a_code_that_is_not_shown_is_missed() {
    let all = || Error::CODES.iter().map(|(code, _)| (*code).to_owned());
    let is_complete = |shown: Vec<String>| std::panic::catch_unwind(|| assert_complete(&shown)).is_ok();
    let reachable = |code: &String| !OUT_OF_REACH.iter().any(|(name, _)| name == code);
    assert!(is_complete(all().filter(reachable).collect()));
    assert!(!is_complete(all().filter(reachable).filter(|code| code != "busy").collect()));
    assert!(!is_complete(all().collect()), "one that is out of reach");
    assert!(!is_complete(all().filter(reachable).chain(["of_yesterday".to_owned()]).collect()));
}
