//! The audit log: who did what, whether it is as it was written, and its copy in the system's log.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use snow_rehearsal::{ClientOptions, Command, Job, Rehearsal, Trick};

use crate::agent::{Agent, Ended, state};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

/// A device that was opened from here, and how to run more commands.
struct Scene {
    rehearsal: Rehearsal,
    bus: KeyringBus,
}

impl Scene {
    fn unlocked() -> Self {
        let scene = Self {
            rehearsal: Rehearsal::builder().job(Job::new()).job(Job::new()).start().unwrap(),
            bus: KeyringBus::start(Keyring::Unlocked),
        };
        on_the_bus(Agent::run(&scene.rehearsal, &[]), &scene.bus).end().done();
        scene
    }

    fn agent(&self, args: &[&str]) -> Ended {
        on_the_bus(Agent::new(&self.rehearsal, args), &self.bus).end()
    }

    fn log(&self) -> PathBuf {
        state(&self.rehearsal).join("audit.jsonl")
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.log()).unwrap().lines().map(str::to_owned).collect()
    }

    fn put(&self, lines: &[String]) {
        fs::write(self.log(), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }

    fn record(&self) -> Value {
        let path = state(&self.rehearsal).join("jobs").join(self.rehearsal.job().id()).join("record.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    fn verified(&self) -> Value {
        let ended = self.agent(&["audit", "verify", "--json"]);
        assert_eq!(crate::events::flaw_of_all(&ended.stdout), None);
        let result = ended.json("result");
        assert_eq!(ended.status.code(), Some(if result["is_whole"] == true { 0 } else { 9 }), "{result}");
        result
    }
}

#[test]
fn a_run_is_in_the_log_with_who_and_where_and_the_record_knows_the_log_s_head() {
    let scene = Scene::unlocked();
    let lines: Vec<Value> = scene.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |program: &str, args: &[&str]| {
        let output = std::process::Command::new(program).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    for line in &lines {
        assert_eq!(line["uid"].to_string(), said("id", &["-u"]), "{line}");
        assert_eq!(line["user"], said("id", &["-un"]), "{line}");
        assert_eq!(line["host"], said("uname", &["-n"]), "{line}");
        assert_eq!(line["purpose"], "run", "{line}");
    }
    let result = scene.verified();
    assert_eq!((&result["is_whole"], &result["lines"]), (&true.into(), &lines.len().into()), "{result}");
    let record = scene.record();
    assert_eq!(record["hand_overs"][0]["audit_head"], result["head"], "{record}");
    assert_eq!(record["pair"]["audit_head"]["seq"], 1, "{record}");
    let shown = scene.agent(&["audit", "verify"]).done();
    assert!(shown.stdout.contains("is as it was written"), "{}", shown.stdout);
    // At which device and with which client stands in the log too, which alone stays after forget.
    let hand_over = &record["hand_overs"][0];
    let of_session: Vec<&Value> = lines.iter().filter(|line| line["step"] != "kept").collect();
    assert!(of_session.len() >= 3, "{lines:?}");
    for line in of_session {
        assert_eq!(line["addresses"], serde_json::json!([hand_over["endpoint"]]), "{line}");
        assert_eq!(line["client_sha256"], hand_over["client_sha256"], "{line}");
        assert_eq!(line["client_version"], hand_over["client_version"], "{line}");
        let method = if line["step"] == "hand_over_begun" { &Value::Null } else { &hand_over["method"] };
        assert_eq!(&line["method"], method, "{line}");
    }

    let id = &scene.rehearsal.job().id().to_owned();
    let shown = scene.agent(&["audit", "show", id, "--json"]).done();
    assert_eq!(crate::events::flaw_of_all(&shown.stdout), None);
    assert_eq!(shown.json("result")["lines"].as_array().unwrap().len(), lines.len());
    let shown = scene.agent(&["audit", "show"]).done();
    assert!(shown.stdout.contains("device UNLOCKED (run)"), "{}", shown.stdout);
    let other = scene.rehearsal.jobs()[1].id().to_owned();
    let none = scene.agent(&["audit", "show", &other]).failed(6, "has no line about");
    assert!(none.stderr.contains(&other), "{}", none.stderr);
    // As the others end for a job of which nothing is known here.
    for command in ["receipt", "status"] {
        assert_eq!(scene.agent(&[command, &other]).status.code(), Some(6), "{command}");
    }
}

/// With the record goes the note by which a loss at the log's end shows.
#[test]
fn forget_tells_that_the_log_is_not_whole_and_removes_all_the_same() {
    const TOLD: &str = "The audit log is not as it was written.";
    let scene = Scene::unlocked();
    let id = scene.rehearsal.job().id().to_owned();
    for forget in [&["forget", id.as_str()][..], &["forget", "--all"], &["forget", "--expired"]] {
        scene.agent(&["fetch", &id]).done();
        let lines = scene.lines();
        scene.put(&lines[..lines.len() - 1]);
        let ended = scene.agent(forget).done();
        assert_eq!(ended.stderr.matches(TOLD).count(), 1, "{forget:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("snow-onboard audit verify"), "{}", ended.stderr);
        scene.put(&lines);
        scene.agent(&["forget", &id]);
        assert_eq!(scene.bus.lookup(&id), None);
    }
    scene.agent(&["fetch", &id]).done();
    let ended = scene.agent(&["forget", &id]).done();
    assert!(!ended.stderr.contains(TOLD), "of a whole one nothing: {}", ended.stderr);
}

/// Whoever sets the variables of a shell does not become somebody else by it.
#[test]
fn user_is_not_who_the_environment_says() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let fetch =
        Agent::new(&rehearsal, ["fetch", rehearsal.job().id()]).env("USER", "mallory").env("LOGNAME", "mallory");
    on_the_bus(fetch.env("HOSTNAME", "elsewhere"), &bus).end().done();
    let log = fs::read_to_string(state(&rehearsal).join("audit.jsonl")).unwrap();
    assert!(!log.contains("mallory") && !log.contains("elsewhere"), "{log}");
}

#[test]
fn what_was_done_to_the_log_is_told_by_its_line_also_by_doctor() {
    let scene = Scene::unlocked();
    let lines = scene.lines();
    assert!(lines.len() >= 4, "{lines:?}");
    let doctor = || {
        let ended = scene.agent(&["doctor", "--json"]);
        let checks = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let check = checks.into_iter().find(|line| line["check"] == "audit_log").unwrap();
        (check["verdict"].as_str().unwrap().to_owned(), check["text"].as_str().unwrap().to_owned())
    };
    assert_eq!(doctor().0, "ok");

    let mut changed = lines.clone();
    changed[1] = changed[1].replace("hand_over_begun", "forgotten");
    scene.put(&changed);
    let result = scene.verified();
    assert_eq!((&result["code"], &result["flaws"][0]["text"]), (&"audit_altered".into(), &"line 2 was changed".into()));
    let (verdict, text) = doctor();
    assert!(verdict == "warning" && text.contains("line 2 was changed"), "{text}");
    let ended = scene.agent(&["audit", "verify"]).failed(9, "1 flaw, listed in the report");
    assert!(ended.stdout.contains("line 2 was changed") && !ended.stderr.contains("line 2"), "{}", ended.stderr);
    assert!(ended.stdout.contains("Compare the lines there with the system's log"), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("security officer") && !ended.stderr.contains("snow-onboard audit"),
        "{}",
        ended.stderr
    );
    let shown = scene.agent(&["audit", "show"]).done();
    assert!(shown.stderr.contains("line 2 was changed"), "{}", shown.stderr);

    let removed = [&lines[..1], &lines[2..]].concat();
    scene.put(&removed);
    assert_eq!(scene.verified()["flaws"][0]["text"], "1 line is missing before line 2");

    // At the end nothing follows that would tell; the record does.
    scene.put(&lines[..lines.len() - 2]);
    let text = scene.verified()["flaws"][0]["text"].as_str().unwrap().to_owned();
    let id = &scene.rehearsal.job().id().to_owned();
    assert!(
        text.starts_with("2 lines are missing at the end") && text.contains(&format!("the record of {id}")),
        "{text}"
    );
    fs::remove_file(scene.log()).unwrap();
    assert!(scene.verified()["flaws"][0]["text"].as_str().unwrap().contains("the log has none of it"));

    scene.put(&lines);
    let result = scene.verified();
    assert_eq!(result["is_whole"], true, "{result}");
    // A receipt that was filed knows it too, when the record is gone.
    let head = format!("{}:{}", result["head"]["seq"], result["head"]["sha256"].as_str().unwrap());
    scene.agent(&["forget", id]).done();
    scene.agent(&["audit", "verify", "--head", &head]).done();
    scene.put(&lines[..lines.len() - 1]);
    let ended = scene.agent(&["audit", "verify"]).done();
    assert!(ended.stdout.contains("If lines at its end were removed, nothing shows it"), "{}", ended.stdout);
    let ended = scene.agent(&["audit", "verify", "--head", &head]).failed(9, "1 flaw");
    assert!(ended.stdout.contains("the receipt knows line"), "{}", ended.stdout);
    scene.agent(&["audit", "verify", "--head", "7"]).failed(2, "is not a number, a colon and a SHA-256");
}

#[test]
fn every_command_leaves_the_log_s_head_in_the_record() {
    let scene = Scene::unlocked();
    let id = scene.rehearsal.job().id().to_owned();
    let client = scene.rehearsal.client_path().to_str().unwrap().to_owned();
    let broken = ClientOptions::default().trick(Command::DescribeDevice, Trick::Fail);
    let broken = scene.rehearsal.install_client("broken", &broken).unwrap().display().to_string();
    for (args, ends_well) in [
        (vec!["client", &id, "--client", &client, "--", "list-services"], true),
        (vec!["client", &id, "--client", &client, "--", "no-command"], false),
        (vec!["status", &id, "--client", &client], true),
        (vec!["credentials", &id, "--client", &client], true),
        (vec!["unlock", &id, "--client", &broken, "--unlock-timeout", "1s"], false),
    ] {
        let before = scene.lines().len();
        let ended = on_the_bus(Agent::bare(&args).envs(scene.rehearsal.env()), &scene.bus).end();
        assert_eq!(ended.status.success(), ends_well, "{args:?}: {}", ended.stderr);
        let result = scene.verified();
        assert!(scene.lines().len() > before, "{args:?}");
        assert_eq!(result["known_to"], result["lines"], "{args:?}");
    }
    let lines = scene.lines();
    scene.put(&lines[..lines.len() - 1]);
    let text = scene.verified()["flaws"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("1 line is missing at the end"), "{text}");
}

#[test]
fn a_cut_line_and_lines_of_an_older_version_are_told_and_the_next_run_goes_on() {
    let scene = Scene::unlocked();
    let log = fs::read_to_string(scene.log()).unwrap();
    let old = "{\"at\":\"2026-01-02T03:04:05Z\",\"user\":\"anna\",\"pid\":7,\"job\":\"JID123e4567-e89b-12d3-a456-426655440000\",\"step\":\"kept\"}\n";
    fs::write(scene.log(), format!("{log}{}", &log[..100])).unwrap();
    let last = scene.lines().len();
    assert_eq!(
        scene.verified()["flaws"][0]["text"],
        format!(
            "line {last}, the last one, is incomplete: a power cut interrupted its writing, or it was added or cut by hand"
        )
    );
    let advice = scene.verified()["flaws"][0]["advice"].as_str().unwrap().to_owned();
    assert!(advice.contains("there is nothing to do: the next line covers it"), "{advice}");
    let id = scene.rehearsal.job().id().to_owned();
    scene.agent(&["fetch", "--refresh", &id]).done();
    let result = scene.verified();
    assert_eq!((&result["is_whole"], &result["unchained"]), (&true.into(), &serde_json::json!([last])), "{result}");

    // Written by hand after the chain has begun: whatever covers it, it is told and marked.
    fs::write(
        scene.log(),
        fs::read_to_string(scene.log()).unwrap() + &old.replace("JID123e4567-e89b-12d3-a456-426655440000", &id),
    )
    .unwrap();
    let forged = scene.lines().len();
    scene.agent(&["fetch", "--refresh", &id]).done();
    let result = scene.verified();
    let text = format!("line {forged} is in no chain: added by hand, or by an older version");
    assert_eq!((&result["is_whole"], &result["flaws"][0]["text"]), (&false.into(), &text.as_str().into()), "{result}");
    for command in [["audit", "show"], ["receipt", &id]] {
        let shown = scene.agent(&command).done().stdout;
        assert_eq!(shown.matches("IN NO CHAIN").count(), 1, "{shown}");
    }

    // A log of an older version: nothing to check yet, and covered from the next line on.
    scene.agent(&["forget", &id]).done();
    fs::write(scene.log(), old.repeat(2)).unwrap();
    assert!(scene.agent(&["audit", "verify"]).done().stdout.contains("none is in a chain"));
    scene.agent(&["fetch", &id]).done();
    let result = scene.verified();
    assert_eq!((&result["chain_begins"], &result["unchained"]), (&3.into(), &serde_json::json!([1, 2])), "{result}");
    fs::write(scene.log(), fs::read_to_string(scene.log()).unwrap().replacen("anna", "bert", 1)).unwrap();
    assert_eq!(scene.verified()["flaws"][0]["text"], "lines 1 to 2 were changed");
}

#[test]
fn runs_at_once_lose_no_line() {
    let scene = Scene::unlocked();
    let before = scene.lines().len();
    let ids: Vec<String> = scene.rehearsal.jobs().iter().map(|job| job.id().to_owned()).collect();
    std::thread::scope(|scope| {
        for id in &ids {
            scope.spawn(|| {
                for _ in 0..3 {
                    scene.agent(&["fetch", "--refresh", id]).done();
                }
            });
        }
    });
    let result = scene.verified();
    assert_eq!((&result["is_whole"], &result["lines"]), (&true.into(), &(before + 3 * ids.len()).into()), "{result}");
}

#[test]
fn a_log_that_another_process_holds_is_not_waited_for_for_ever() {
    let scene = Scene::unlocked();
    let log = fs::OpenOptions::new().read(true).open(scene.log()).unwrap();
    log.lock().unwrap();
    scene.agent(&["audit", "verify"]).failed(15, "has locked the audit log");
}

#[test]
fn where_nothing_was_done_nothing_is_made() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let ended = Agent::new(&rehearsal, ["audit", "verify"]).end().done();
    assert!(ended.stdout.contains("There is no audit log yet"), "{}", ended.stdout);
    assert!(!state(&rehearsal).exists());
    Agent::new(&rehearsal, ["audit", "verify", rehearsal.job().id()]).end().failed(2, "takes no job");
}

/// The agent in mounts of its own, where `socket` is what lies at /dev/log, if it is one.
fn with_system_log(scene: &Scene, args: &[&str], folder: &Path, socket: Option<&Path>) -> Ended {
    const SCRIPT: &str = r#"
        dev=$0; log=$1; shift
        mount -t tmpfs tmpfs "$dev" &&
        for name in null zero random urandom tty; do touch "$dev/$name" && mount --bind "/dev/$name" "$dev/$name" || exit 99; done
        mkdir "$dev/shm" && mount --rbind /dev/shm "$dev/shm" &&
        ln -s /proc/self/fd "$dev/fd" &&
        { [ -z "$log" ] || ln -s "$log" "$dev/log"; } &&
        mount --rbind "$dev" /dev && exec "$@" || exit 99"#;
    let socket = socket.map(|path| path.display().to_string()).unwrap_or_default();
    on_the_bus(Agent::new(&scene.rehearsal, args), &scene.bus).in_mounts(SCRIPT, folder, &socket).end()
}

#[test]
fn each_line_is_copied_to_the_system_s_log_and_one_that_can_t_be_ends_the_run_before_the_code_is_fetched() {
    if !is_root() {
        snow_rehearsal::skipped("mounts of one's own need root");
        return;
    }
    let scene = Scene { rehearsal: Rehearsal::builder().start().unwrap(), bus: KeyringBus::start(Keyring::Unlocked) };
    let dir = tempfile::tempdir().unwrap();
    let dev = dir.path().join("dev");
    fs::create_dir(&dev).unwrap();
    let path = dir.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let id = scene.rehearsal.job().id().to_owned();
    let fetch = ["fetch", &id, "--audit-copy", "system"];

    with_system_log(&scene, &fetch, &dev, None).failed(9, "can't be copied to the system's log");
    assert!(scene.rehearsal.requests().is_empty(), "nothing was asked of AWS");
    assert_eq!(scene.bus.lookup(&id), None);
    let theirs = dir.path().join("file");
    fs::write(&theirs, "").unwrap();
    with_system_log(&scene, &fetch, &dev, Some(&theirs)).failed(9, "is not a socket");
    std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
    with_system_log(&scene, &fetch, &dev, Some(&path)).failed(9, "belongs to uid 12345");
    assert!(scene.rehearsal.requests().is_empty());
    std::os::unix::fs::chown(&path, Some(0), None).unwrap();

    with_system_log(&scene, &fetch, &dev, Some(&path)).done();
    let mut message = vec![0; 4096];
    let length = socket.recv(&mut message).unwrap();
    let message = std::str::from_utf8(&message[..length]).unwrap();
    let line = &scene.lines()[0];
    assert!(message.starts_with("<85>snow-onboard[") && message.ends_with(&format!("]: {line}")), "{message}");
    assert!(!message.contains(&scene.rehearsal.job().unlock_code()));
}

fn is_root() -> bool {
    std::process::Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}
