//! `receipt`: what a security officer files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use snow_rehearsal::{Job, Rehearsal};

use crate::agent::{Agent, Ended, state};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

struct Scene {
    rehearsal: Rehearsal,
    bus: KeyringBus,
    id: String,
}

impl Scene {
    fn unlocked(description: &str) -> Self {
        let rehearsal = Rehearsal::builder().job(Job::new().description(Some(description))).start().unwrap();
        let bus = KeyringBus::start(Keyring::Unlocked);
        on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().done();
        let id = rehearsal.job().id().to_owned();
        Self { rehearsal, bus, id }
    }

    fn agent(&self, args: &[&str]) -> Ended {
        on_the_bus(Agent::new(&self.rehearsal, args), &self.bus).end()
    }
}

#[test]
fn it_says_what_was_done_when_by_whom_and_with_what_and_no_secret() {
    let scene = Scene::unlocked("Ship log");
    let text = scene.agent(&["receipt", &scene.id]).done().stdout;
    let json = scene.agent(&["receipt", &scene.id, "--json"]).done();
    assert_eq!(crate::events::flaw_of_all(&json.stdout), None);
    let page = scene.rehearsal.root().join("receipt.html");
    scene.agent(&["receipt", &scene.id, "--html", page.to_str().unwrap()]).done();
    let html = fs::read_to_string(&page).unwrap();
    assert_eq!(fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o600);

    let record = fs::read(state(&scene.rehearsal).join("jobs").join(&scene.id).join("record.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let (hand_over, pair) = (&record["hand_overs"][0], &record["pair"]);
    let head = &hand_over["audit_head"];
    let head = format!("{}:{}", head["seq"], head["sha256"].as_str().unwrap());
    let user = std::process::Command::new("id").arg("-un").output().unwrap();
    let user = String::from_utf8(user.stdout).unwrap();
    let needed = [
        scene.id.as_str(),
        "Ship log",
        "device UNLOCKED (run)",
        user.trim(),
        pair["manifest_sha256"].as_str().unwrap(),
        hand_over["client_sha256"].as_str().unwrap(),
        hand_over["client_version"].as_str().unwrap(),
        hand_over["endpoint"].as_str().unwrap(),
        "private profile",
        "no flaw in its",
        head.as_str(),
    ];
    // A terminal breaks lines; words are the same.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for needed in needed {
        assert!(words(&text).contains(needed), "“{needed}” in {text}");
        assert!(html.contains(needed), "“{needed}” in {html}");
    }
    let result = json.json("result");
    assert_eq!(&result["hand_overs"][0], hand_over, "{result}");
    let proves = result["audit"]["proves"].as_str().unwrap();
    assert!(proves.starts_with("This proves that nobody edited a part"), "{proves}");
    let verified = scene.agent(&["audit", "verify", "--json"]).done();
    assert_eq!(verified.json("result")["proves"], proves, "one wording");
    assert!(text.contains(proves) && html.contains(&proves.replace('\'', "&#39;")), "{text}");
    assert_eq!((&result["audit"]["is_whole"], &result["html"]), (&true.into(), &serde_json::Value::Null));
    let code = scene.rehearsal.job().unlock_code();
    for said in [&text, &json.stdout, &html] {
        assert!(!said.contains(&code) && !said.contains(scene.rehearsal.secret_key()));
    }
    // The printed command works.
    scene.agent(&["audit", "verify", "--head", &head]).done();
}

#[test]
fn after_forget_it_still_says_at_which_device_with_which_client_and_how() {
    let scene = Scene::unlocked("Ship log");
    let record = fs::read(state(&scene.rehearsal).join("jobs").join(&scene.id).join("record.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let hand_over = &record["hand_overs"][0];
    scene.agent(&["forget", &scene.id]).done();
    let ended = scene.agent(&["receipt", &scene.id, "--json"]).done();
    assert_eq!(crate::events::flaw_of_all(&ended.stdout), None);
    assert_eq!(ended.json("result")["hand_overs"], serde_json::json!([]), "the control");
    for command in ["receipt", "audit show"] {
        let args: Vec<&str> = command.split(' ').chain([scene.id.as_str()]).collect();
        let said = scene.agent(&args).done().stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        let [address, version, digest] =
            ["endpoint", "client_version", "client_sha256"].map(|field| hand_over[field].as_str().unwrap());
        let needed = format!("device at {address}, method profile, client version {version}, client SHA-256 {digest}");
        assert!(said.contains(&needed), "{command}: “{needed}” in {said}");
    }
}

#[test]
fn the_page_needs_nothing_and_runs_nothing_whatever_the_texts_hold() {
    let scene =
        Scene::unlocked("<script src=https://example.com/x.js>alert('a')</script><img src=x onerror=\"b\">&amp;");
    let log = state(&scene.rehearsal).join("audit.jsonl");
    let line = format!(
        "{{\"at\":\"2026-01-02T03:04:05Z\",\"user\":\"<b>\\u001b[2J\",\"job\":\"{}\",\"step\":\"<i>kept</i>\"}}\n",
        scene.id
    );
    fs::write(&log, fs::read_to_string(&log).unwrap() + &line).unwrap();
    let page = scene.rehearsal.root().join("receipt.html");
    scene.agent(&["receipt", &scene.id, "--html", page.to_str().unwrap()]).done();
    let html = fs::read_to_string(&page).unwrap();
    for tag in ["<script", "<img", "<b>", "<i>", "<link", "href=", "url(", "@import"] {
        assert!(!html.contains(tag), "{tag} in {html}");
    }
    assert!(html.contains("&lt;script src=https://example.com/x.js&gt;"), "{html}");
    assert!(html.contains("Content-Security-Policy") && !html.contains('\u{1b}'));
    assert!(html.contains("NOT WHOLE: ") && html.contains("is in no chain"), "{html}");
    // Well-formed enough that each element that begins ends.
    for element in ["html", "head", "body", "style", "title", "h1", "h2", "table", "tr", "th", "td"] {
        let begins = html.matches(&format!("<{element}>")).count() + html.matches(&format!("<{element} ")).count();
        assert_eq!(begins, html.matches(&format!("</{element}>")).count(), "{element}");
    }
}

#[test]
fn a_file_that_is_there_and_a_folder_of_others_are_left_alone() {
    let scene = Scene::unlocked("x");
    let page = scene.rehearsal.root().join("receipt.html");
    fs::write(&page, "mine").unwrap();
    let path = page.to_str().unwrap();
    scene.agent(&["receipt", &scene.id, "--html", path]).failed(2, "exists. It was not changed.");
    assert_eq!(fs::read_to_string(&page).unwrap(), "mine");
    scene.agent(&["receipt", &scene.id, "--html", path, "--force"]).done();
    assert!(fs::read_to_string(&page).unwrap().starts_with("<!DOCTYPE html>"));
    scene.agent(&["receipt", &scene.id, "--force"]).failed(2, "--html");

    let shared = scene.rehearsal.root().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let there = shared.join("receipt.html");
    scene.agent(&["receipt", &scene.id, "--html", there.to_str().unwrap()]).failed(9, "0777");
    assert_eq!(shared.read_dir().unwrap().count(), 0);
}

#[test]
fn after_forget_it_is_from_the_audit_log_alone_and_of_an_unknown_job_there_is_none() {
    let scene = Scene::unlocked("x");
    scene.agent(&["forget", &scene.id]).done();
    let text = scene.agent(&["receipt", &scene.id]).done().stdout;
    assert!(text.contains("from the audit log alone") && text.contains("stored data removed"), "{text}");
    assert!(text.contains("device UNLOCKED"), "{text}");
    let json = scene.agent(&["receipt", &scene.id, "--json"]).done();
    assert_eq!(crate::events::flaw_of_all(&json.stdout), None);
    assert!(json.json("result")["summary"].is_null());
    scene.agent(&["receipt", "JID00000000-e89b-12d3-a456-426655440000"]).failed(6, "knows nothing of");
}
