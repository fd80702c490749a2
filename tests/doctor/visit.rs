//! A visit of the doctor: the scene, the command, and what is expected of its lines.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::groups::groups;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::row::Verb::Run;
use crate::row::{Fault, Row};
use crate::scene::{Ended, Scene};
use crate::scenes;

/// Every check, in the order in which it is told.
const CHECKS: [&str; 18] = [
    "region",
    "proxy",
    "ca_certificates",
    "aws",
    "credentials",
    "clock",
    "list_jobs",
    "describe_job",
    "get_job_manifest",
    "get_job_unlock_code",
    "keychain",
    "client",
    "private_folder",
    "state_folder",
    "audit_log",
    "disk_encryption",
    "memory",
    "device",
];

/// What hangs on the machine that the test runs on: looked at for being there, and never a failure.
const OF_THE_MACHINE: [&str; 1] = ["memory"];

/// Longer than any deadline of a visit.
const LIMIT: Duration = Duration::from_secs(170);

/// A line that is not `ok`: which, its verdict, words of its text and of its hint, and its code.
pub(crate) struct Line(
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static [&'static str],
    pub(crate) &'static [&'static str],
    pub(crate) Option<&'static str>,
);

/// What came of a visit.
pub(crate) struct Report {
    pub(crate) ended: Ended,
    pub(crate) events: Vec<Value>,
}

/// The row of that name, of the matrix or of the surface.
pub(crate) fn known(group: &str, name: &str) -> Row {
    let all = groups().into_iter().chain(scenes::groups());
    let rows = all.filter(|(known, _)| *known == group).flat_map(|(_, rows)| rows);
    rows.into_iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no row “{name}” in {group}"))
}

/// A fault that only changes variables.
pub(crate) fn env(variables: &[(&'static str, Option<&str>)]) -> Row {
    let variables = variables.iter().map(|(name, value)| (*name, value.map(str::to_owned))).collect();
    Row::new(Run, "variables", Fault::Env(variables))
}

/// A fault that is done.
pub(crate) fn done(what: fn(&Scene<'_>)) -> Row {
    Row::new(Run, "done", Fault::Do(what, |_| ()))
}

pub(crate) fn nothing() -> Row {
    Row::new(Run, "nothing", Fault::None)
}

/// Lets the fault strike, visits, and holds the lines against what is expected: these, and all others `ok`.
#[track_caller]
pub(crate) fn visit(row: &Row, args: &[&str], exit: i32, lines: &[Line]) -> Report {
    let bus = KeyringBus::start(Keyring::Unlocked);
    let scene = Scene::set(row, &bus);
    scene.strike(row);
    let report = see(&scene, args);
    report.holds(exit, lines);
    nothing_is_fetched_or_left(&scene);
    report
}

/// `doctor --json`, with all that a run would be given.
#[track_caller]
pub(crate) fn see(scene: &Scene<'_>, args: &[&str]) -> Report {
    let mut command = scene.bare_agent();
    command.args(["doctor", "--json", "--endpoint"]).arg(scene.endpoint()).arg("--client").arg(scene.client());
    command.arg("--ca-bundle").arg(scene.rehearsal.ca_bundle()).args(args);
    let ended = Scene::run_to_its_end(command, LIMIT);
    let events = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Report { ended, events }
}

impl Report {
    pub(crate) fn line(&self, check: &str) -> &Value {
        self.events.iter().find(|event| event["check"] == check).unwrap_or_else(|| panic!("no {check}: {}", self.all()))
    }

    pub(crate) fn result(&self) -> &Value {
        self.events.iter().find(|event| event["event"] == "result").unwrap_or_else(|| panic!("{}", self.all()))
    }

    pub(crate) fn text(&self, check: &str) -> &str {
        self.line(check)["text"].as_str().unwrap()
    }

    fn all(&self) -> String {
        format!("{}\n{}", self.ended.stdout, self.ended.stderr)
    }

    #[track_caller]
    pub(crate) fn holds(&self, exit: i32, expected: &[Line]) {
        let all = self.all();
        let told: Vec<&str> = self.events.iter().filter_map(|event| event["check"].as_str()).collect();
        assert_eq!(told, CHECKS, "every line, once, in its order: {all}");
        let result = self.result();
        assert_eq!(result["command"], "doctor", "{all}");
        assert_eq!((self.ended.exit, result["exit"].as_i64()), (Some(exit), Some(i64::from(exit))), "{all}");
        let last = self.events.last().unwrap();
        let end = if exit == 0 { "result" } else { "error" };
        assert_eq!(last["event"], end, "{all}");
        assert!(exit == 0 || last["exit"] == exit, "{all}");
        let first = self.events.iter().find(|event| event["verdict"] == "fails");
        assert_eq!(first.is_some(), exit != 0, "{all}");
        for check in CHECKS {
            let line = self.line(check);
            let verdict = line["verdict"].as_str().unwrap();
            if check == "disk_encryption" {
                assert_eq!(verdict, "skipped", "said and not looked for: {all}");
                continue;
            }
            if check == "audit_log" && self.line("state_folder")["verdict"] == "fails" {
                assert_eq!(verdict, "skipped", "it lies in there: {all}");
                continue;
            }
            let Some(Line(_, expected, words, hints, code)) = expected.iter().find(|line| line.0 == check) else {
                assert!(verdict == "ok" || (OF_THE_MACHINE.contains(&check) && verdict != "fails"), "{check}: {all}");
                continue;
            };
            assert_eq!((verdict, line["code"].as_str()), (*expected, *code), "{check}: {all}");
            let (text, hint) = (line["text"].as_str().unwrap(), line["hint"].as_str().unwrap_or_default());
            words.iter().for_each(|words| assert!(text.contains(words), "{check} does not say “{words}”: {all}"));
            hints.iter().for_each(|words| assert!(hint.contains(words), "{check} does not hint “{words}”: {all}"));
            assert!(matches!(verdict, "ok" | "skipped") || !hint.is_empty(), "{check} has no hint: {all}");
        }
    }
}

/// No half of a pair was obtained, the device was not spoken to, and nothing lies where there was nothing before.
#[track_caller]
pub(crate) fn nothing_is_fetched_or_left(scene: &Scene<'_>) {
    let rehearsal = &scene.rehearsal;
    assert!(rehearsal.issued_addresses().is_empty() && rehearsal.downloads() == 0);
    for request in rehearsal.requests() {
        let asked = request.job_id.as_deref().unwrap_or_default();
        assert!(asked.is_empty() || asked == "JID00000000-0000-0000-0000-000000000000", "{asked} was asked for");
    }
    for start in scene.invocations() {
        assert!(
            !start.argv.iter().any(|word| word == "unlock-device" || word == "describe-device"),
            "{:?}",
            start.argv
        );
    }
    assert_eq!(scene.bus.search(None), "", "a probe is in the keychain");
    assert!(!scene.folder().join("jobs").exists() && !scene.folder().join("audit.jsonl").exists());
    for place in [scene.runtime.path(), &rehearsal.root().join("tmp"), rehearsal.state_home(), Path::new("/dev/shm")] {
        let left = place.read_dir().into_iter().flatten().flatten().map(|entry| entry.file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("snow-onboard-probe")).collect();
        assert!(left.is_empty(), "{left:?} in {}", place.display());
    }
    // A fault may have taken it out of sight.
    let homes = scene.runtime.path().read_dir().into_iter().flatten().count();
    assert_eq!(homes, 0, "a private folder was left");
}
