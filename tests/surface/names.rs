//! What differs from run to run, and the names in brackets that stand for it.

use std::path::Path;

use regex::Regex;
use snapbox::Redactions;

use crate::scene::Scene;

/// What is told only of what takes long, so that a fast machine does not tell it: left out.
fn is_of_the_moment(line: &str) -> bool {
    let line = line.trim_start_matches(['…', ' ']);
    let is_event = |name: &str| line.starts_with('{') && line.contains(&format!("\"event\":\"{name}\""));
    line.starts_with("waiting for ") || line.starts_with("received ") || is_event("waiting") || is_event("received")
}

/// What `doctor` says of the machine itself, which is another one for each reader: left out, with what it advises.
fn without_the_machine(text: &str) -> String {
    const CHECKS: [&str; 1] = ["Memory"];
    const EVENTS: [&str; 1] = ["memory"];
    const VERDICTS: [&str; 4] = ["ok ", "warning ", "fails ", "skipped "];
    let mut is_left_out = false;
    let lines = text.split_inclusive('\n').filter(|line| {
        let of = VERDICTS.iter().find_map(|verdict| line.strip_prefix(verdict)).map(str::trim_start);
        match of {
            Some(check) => is_left_out = CHECKS.iter().any(|subject| check.starts_with(&format!("{subject}  "))),
            None => is_left_out &= line.starts_with("  "),
        }
        !is_left_out
            && !EVENTS
                .iter()
                .any(|check| line.contains(&format!("\"event\":\"check\",\"job\":null,\"check\":\"{check}\"")))
    });
    lines.collect()
}

/// What has a value in this scene.
fn values(scene: &Scene<'_>) -> Vec<(&'static str, String)> {
    let rehearsal = &scene.rehearsal;
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let without_scheme = |url: String| url.trim_start_matches("https://").trim_start_matches("http://").to_owned();
    let mut values = vec![
        ("[DEVICE]", without_scheme(scene.endpoint())),
        ("[CLIENT]", text(&scene.client())),
        ("[API]", without_scheme(rehearsal.endpoint_url())),
        ("[BUCKET]", without_scheme(rehearsal.bucket_url())),
        ("[KEY]", rehearsal.access_key().to_owned()),
        ("[CA]", text(rehearsal.ca_bundle())),
        ("[STATE]", text(&rehearsal.state_home().join("snow-onboard"))),
        ("[HOME]", text(rehearsal.home())),
        ("[CLIENTS]", text(&rehearsal.root().join("client"))),
        ("[TMP]", text(&rehearsal.root().join("tmp"))),
        ("[ROOT]", text(rehearsal.root())),
        ("[RUNTIME]", text(scene.runtime.path())),
    ];
    for (key, names) in
        rehearsal.device().access_keys().into_iter().zip([["[KEY_ONE]", "[SECRET_ONE]"], ["[KEY_TWO]", "[SECRET_TWO]"]])
    {
        values.extend(names.into_iter().zip([key.id, key.secret]));
    }
    let jobs = rehearsal.jobs();
    values
        .extend(jobs.iter().zip(["[JOB]", "[JOB_TWO]", "[JOB_THREE]"]).map(|(job, name)| (name, job.id().to_owned())));
    let state = scene.state.lock().unwrap();
    values.push(("[KEYRINGS]", text(&state.around.other_keychain.as_ref().unwrap_or(scene.bus).keyrings())));
    let proxy = state.env.get("HTTPS_PROXY").and_then(|value| value.as_ref()?.to_str());
    values.extend(proxy.map(|url| ("[PROXY]", without_scheme(url.to_owned()))));
    values
}

/// What is known by its look. The group `redacted`, where there is one, is the part that differs.
const LOOKS: &[(&str, &str)] = &[
    ("[DIGEST]", r"\b[0-9a-f]{64}\b"),
    ("[DIGEST]", r"SHA-256 (?<redacted>[0-9a-f]{8,63})…"),
    ("[TIME]", r"(UNLOCKED after|command line for) (?<redacted>(\d+ min )?\d+ (s|min))\b"),
    ("[TIME]", r"(locked again|reports LOCKED) after (?<redacted>\d+) seconds"),
    // What is left of the time that was given.
    ("[TIME]", r"(did not answer within|almost none in the last) (?<redacted>\d+) seconds"),
    ("[TIME]", r#""(argv_)?seconds":(?<redacted>[\d.]+)"#),
    ("[TIME]", r"\bmillis=(?<redacted>\d+)\b"),
    ("[VERSION]", r#"\bversion="(?<redacted>\d+\.\d+\.\d+)""#),
    ("[ARCHITECTURE]", r#"\barchitecture="(?<redacted>[^"]+)""#),
    ("[DATE]", r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?UTC|Z)"),
    ("[DATE]", r"(probably until|removed after) (?<redacted>\d{4}-\d\d-\d\d)"),
    ("[PLACES]", r"its file is in none of (?<redacted>[^\n]+)\.\n"),
    ("[PID]", r"process \((?<redacted>\d+)\)"),
    ("[VERSION]", r"snow-onboard (?<redacted>\d+\.\d+\.\d+)"),
    ("[GOT]", r"after (?<redacted>\d+) of \d+ bytes"),
    ("[GOT]", r"too slow: (?<redacted>\d+) of \d+ bytes"),
    ("[DIGEST]", r"begins with (?<redacted>[0-9a-f]{12}),"),
    ("[DIGEST]", r"not with (?<redacted>[0-9a-f]{12})\)"),
    ("[CLUSTER]", r"\bCID[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
    ("[PORT]", r"answers on port (?<redacted>\d+)"),
    ("[FREE]", r"; (?<redacted>\d+) MB free"),
    ("[NUMBERS]", r"(?<redacted>(\d+ warnings?, )?(\d+ skipped, )?\d+ ok)\. (No check failed|Exit code)"),
    ("[NUMBER]", r#""(ok|warnings|skipped)":(?<redacted>\d+)"#),
    ("[RANDOM]", r"\bsnow-onboard-(?<redacted>[0-9A-Za-z]{12}|[0-9a-f]{8})\b"),
];

/// What was said, with names for what differs.
pub(crate) fn named(text: &str, scene: &Scene<'_>) -> String {
    let mut names = Redactions::new();
    for (name, value) in values(scene) {
        names.insert(name, value).unwrap();
    }
    for (name, look) in LOOKS {
        names.insert(name, Regex::new(look).unwrap()).unwrap();
    }
    if let Some(home) = home_of_the_user() {
        names.insert("[LOGIN_HOME]", home).unwrap();
    }
    let lasting: String = text.split_inclusive('\n').filter(|line| !is_of_the_moment(line)).collect();
    names.redact(&without_the_machine(&lasting))
}

/// The home by the user database, where the client's own settings are looked for as well.
fn home_of_the_user() -> Option<Regex> {
    let home = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()??.dir;
    let home = home.to_str().filter(|home| home.len() > 1)?;
    Regex::new(&format!(r"(?<redacted>{})/\.aws", regex::escape(home))).ok()
}

/// A text of a file, with the scene's values for its names.
pub(crate) fn resolved(text: &str, scene: &Scene<'_>) -> String {
    values(scene).iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[test]
fn looks_are_sound_and_leave_the_rest_alone() {
    let mut names = Redactions::new();
    for (name, look) in LOOKS {
        names.insert(name, Regex::new(look).unwrap()).unwrap();
    }
    for (said, named) in [
        ("UNLOCKED after 3 min 5 s", "UNLOCKED after [TIME]"),
        ("102400 bytes, SHA-256 0123456789abcdef…", "102400 bytes, SHA-256 [DIGEST]…"),
        (r#"{"argv_seconds":12,"exit":7}"#, r#"{"argv_seconds":[TIME],"exit":7}"#),
        ("2026-01-02T03:04:05.123Z and 2026-01-02 03:04 UTC", "[DATE] and [DATE]"),
        ("did not finish within 30 seconds", "did not finish within 30 seconds"),
    ] {
        assert_eq!(names.redact(said), named);
    }
}

#[test]
fn what_is_of_the_moment_is_told_from_what_lasts() {
    for line in ["…          waiting for the device, 3 s", r#"{"v":2,"event":"received","bytes":7}"#] {
        assert!(is_of_the_moment(line), "{line}");
    }
    for line in ["Keychain   keeps", r#"{"v":2,"event":"error","text":"waiting for it"}"#, "Warning  waiting for"] {
        assert!(!is_of_the_moment(line), "{line}");
    }
}

#[test]
fn what_is_said_of_the_machine_is_left_out_with_what_it_advises() {
    let said = "ok       Region  x\nwarning  Memory  it is\n         Turn it\n           off\nfails    Device  no\n         Look\n\nAll.\n";
    assert_eq!(without_the_machine(said), "ok       Region  x\nfails    Device  no\n         Look\n\nAll.\n");
}
