//! The keychain's item has two lines, the code and the manifest's SHA-256: what follows from that.

use std::path::PathBuf;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use snow_rehearsal::{Fault, Rehearsal, State, Times};

use crate::agent::{Agent, Ended, files_with, state};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

struct Scene {
    rehearsal: Rehearsal,
    bus: KeyringBus,
    id: String,
}

impl Scene {
    /// A pair that is kept, and a network that is cut from then on.
    fn kept_and_offline() -> Self {
        let rehearsal = Rehearsal::builder().start().unwrap();
        let id = rehearsal.job().id().to_owned();
        let scene = Self { rehearsal, bus: KeyringBus::start(Keyring::Unlocked), id };
        scene.agent(&["fetch", &scene.id]).done();
        scene.rehearsal.plant_everywhere(Fault::CutOff, Times::Always);
        scene
    }

    fn agent(&self, args: &[&str]) -> Ended {
        on_the_bus(Agent::new(&self.rehearsal, args), &self.bus).end()
    }

    fn run(&self) -> Ended {
        on_the_bus(Agent::run(&self.rehearsal, &[]), &self.bus).end()
    }

    fn record(&self) -> PathBuf {
        state(&self.rehearsal).join("jobs").join(&self.id).join("record.json")
    }

    fn read_record(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.record()).unwrap()).unwrap()
    }

    /// Makes the kept pair one of record format 1: the code alone in the keychain, a tag in the record.
    fn turn_into_format_1(&self, tag: Option<String>) {
        let code = self.rehearsal.job().unlock_code();
        self.bus.store(&["--label=as it was"], &self.id, &[], &code);
        let manifest = Sha256::digest(self.rehearsal.job().manifest());
        let mut mac = Hmac::<Sha256>::new_from_slice(code.as_bytes()).unwrap();
        for part in [&b"snow-onboard/pair/1\0"[..], self.id.as_bytes(), &manifest] {
            mac.update(part);
        }
        let computed: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut record = self.read_record();
        record["version"] = 1.into();
        record["pair"]["tag"] = tag.unwrap_or(computed).into();
        std::fs::write(self.record(), serde_json::to_vec(&record).unwrap()).unwrap();
    }
}

#[test]
fn a_pair_of_format_1_is_converted_offline_and_opens_the_device() {
    let scene = Scene::kept_and_offline();
    scene.turn_into_format_1(None);
    scene.run().done();
    assert_eq!(scene.rehearsal.device().state(), State::Unlocked);
    let record = scene.read_record();
    assert_eq!(record["version"], 4);
    assert!(record["pair"].get("tag").is_none(), "{record}");
    let item = scene.bus.item(&scene.id).unwrap();
    let lines: Vec<_> = item.lines().collect();
    assert_eq!(lines, [&*scene.rehearsal.job().unlock_code(), record["pair"]["manifest_sha256"].as_str().unwrap()]);
    scene.rehearsal.device().power_loss();
    scene.run().done();
}

#[test]
fn a_pair_of_format_1_whose_tag_does_not_fit_is_left_as_it_is() {
    let scene = Scene::kept_and_offline();
    scene.turn_into_format_1(Some("0".repeat(64)));
    let before = (scene.read_record(), scene.bus.item(&scene.id));
    scene.run().failed(10, "not the one that was fetched");
    assert_eq!((scene.read_record(), scene.bus.item(&scene.id)), before);
    assert_eq!(scene.rehearsal.device().unlock_requests(), 0);
}

/// Killed after the item had its second line and before the record was written.
#[test]
fn a_conversion_that_was_killed_is_finished() {
    let scene = Scene::kept_and_offline();
    let item = scene.bus.item(&scene.id).unwrap();
    scene.turn_into_format_1(None);
    scene.bus.store(&["--label=as it was"], &scene.id, &[], &item);
    scene.run().done();
    assert_eq!(scene.read_record()["version"], 4);
    assert_eq!(scene.bus.item(&scene.id), Some(item));
}

#[test]
fn how_to_remove_an_earlier_code_elsewhere_is_said_when_there_is_a_new_one() {
    let scene = Scene::kept_and_offline();
    let mut record = scene.read_record();
    record["pair"]["keychain"] = "kernel".into();
    std::fs::write(scene.record(), serde_json::to_vec(&record).unwrap()).unwrap();
    let fetch = || scene.agent(&["fetch", &scene.id, "--keychain", "system", "--network-timeout", "2s"]);
    let ended = fetch().failed(5, "gave no answer");
    assert!(
        ended.stderr.contains("The keychain “kernel” also contains an earlier code of this job"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("forget"), "it is the last copy: {}", ended.stderr);
    scene.rehearsal.heal();
    let ended = fetch().done();
    let removal = format!("snow-onboard forget {} --keychain kernel", scene.id);
    assert!(ended.stderr.contains(&removal), "{}", ended.stderr);
    // Whether or not there is a kernel keyring here, the new pair stays.
    scene.agent(&["forget", &scene.id, "--keychain", "kernel"]);
    scene.rehearsal.plant_everywhere(Fault::CutOff, Times::Always);
    assert_eq!(scene.agent(&["fetch", &scene.id, "--json"]).done().json("result")["was_kept_already"], true);
}

#[test]
fn of_a_right_and_a_wrong_item_the_right_one_opens_the_device_and_forget_leaves_none() {
    for wrong in [
        "00000-11111-22222-33333-44444".to_owned(),
        format!("00000-11111-22222-33333-44444\n{}", "0".repeat(64)),
        "a shopping list".to_owned(),
    ] {
        let scene = Scene::kept_and_offline();
        scene.bus.store(&["--label=wrong"], &scene.id, &["copy", "2"], &wrong);
        let ended = scene.run().done();
        let is_code = wrong.starts_with('0');
        assert_eq!(ended.stderr.contains("2 codes"), is_code, "which is used is said: {}", ended.stderr);
        assert_eq!(scene.rehearsal.device().state(), State::Unlocked);
        assert_eq!(scene.bus.search(Some(&scene.id)).matches("label =").count(), 2, "none was removed");
        let ended = scene.agent(&["forget", &scene.id]).done();
        assert!(ended.stdout.contains("2 items"), "{}", ended.stdout);
        assert_eq!(scene.bus.search(None), "");
    }
}

#[test]
fn of_two_wrong_items_none_is_used_and_the_hint_loses_nothing() {
    let scene = Scene::kept_and_offline();
    let wrong = |last: char| format!("00000-11111-22222-33333-4444{last}\n{}", "0".repeat(64));
    scene.bus.clear(&scene.id);
    for (copy, last) in [("1", 'a'), ("2", 'b')] {
        scene.bus.store(&["--label=wrong"], &scene.id, &["copy", copy], &wrong(last));
    }
    let ended = scene.run().failed(8, "cannot tell which of them, if any, belongs to the stored manifest");
    assert!(ended.stderr.contains("fetch --refresh") && !ended.stderr.contains("forget"), "{}", ended.stderr);
    scene.agent(&["fetch", &scene.id, "--refresh", "--network-timeout", "2s"]).failed(5, "gave no answer");
    assert_eq!(scene.bus.search(Some(&scene.id)).matches("label =").count(), 2, "nothing of the attempt is left");
    scene.rehearsal.heal();
    scene.agent(&["fetch", &scene.id, "--refresh"]).done();
    let found = scene.bus.search(Some(&scene.id));
    assert!(['a', 'b'].iter().all(|last| found.contains(&wrong(*last))), "both are still there: {found}");
    scene.rehearsal.plant_everywhere(Fault::CutOff, Times::Always);
    scene.run().done();
}

#[test]
fn of_two_codes_that_both_fit_none_is_used_until_a_refresh_leaves_one() {
    let scene = Scene::kept_and_offline();
    let sha = scene.read_record()["pair"]["manifest_sha256"].as_str().unwrap().to_owned();
    scene.bus.store(&["--label=another"], &scene.id, &["copy", "2"], &format!("00000-11111-22222-33333-44444\n{sha}"));
    scene.run().failed(8, "cannot tell which of them, if any, belongs to the stored manifest");
    scene.rehearsal.heal();
    scene.agent(&["fetch", &scene.id, "--refresh"]).done();
    assert_eq!(scene.bus.search(Some(&scene.id)).matches("label =").count(), 1);
    assert!(scene.bus.item(&scene.id).unwrap().starts_with(&scene.rehearsal.job().unlock_code()));
    scene.rehearsal.plant_everywhere(Fault::CutOff, Times::Always);
    scene.run().done();
}

#[test]
fn nothing_that_is_kept_on_disk_changes_with_the_code() {
    let scene = Scene::kept_and_offline();
    scene.rehearsal.heal();
    let snapshot = || {
        let mut files = Vec::new();
        let mut folders = vec![state(&scene.rehearsal)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if folder.ends_with("locks") {
                    // Which process it was.
                    files.push((entry.path(), String::new()));
                } else {
                    files.push((entry.path(), without_times(&std::fs::read(entry.path()).unwrap())));
                }
            }
        }
        files.sort();
        files
    };
    let first = scene.rehearsal.job().unlock_code();
    let manifest = scene.rehearsal.job().manifest();
    scene.agent(&["forget", &scene.id]).done();
    std::fs::remove_file(state(&scene.rehearsal).join("audit.jsonl")).unwrap();
    scene.agent(&["fetch", &scene.id]).done();
    let with_first = snapshot();
    scene.agent(&["forget", &scene.id]).done();
    std::fs::remove_file(state(&scene.rehearsal).join("audit.jsonl")).unwrap();
    scene.rehearsal.job().renew_code();
    assert_ne!(scene.rehearsal.job().unlock_code(), first);
    assert_eq!(scene.rehearsal.job().manifest(), manifest, "a control: only the code is another one");
    scene.agent(&["fetch", &scene.id]).done();
    assert_eq!(snapshot(), with_first);
    assert!(with_first.len() >= 3, "a control: record, manifest and audit log were compared");
    assert!(files_with(&state(&scene.rehearsal), &scene.rehearsal.job().unlock_code()).is_empty());
}

#[test]
fn a_record_that_can_t_be_read_costs_no_manifest() {
    let scene = Scene::kept_and_offline();
    // As if a refresh had been killed between the keychain and the manifest, and the record damaged since.
    let incoming = state(&scene.rehearsal).join("incoming").join(format!("{}_manifest.bin", scene.id));
    let kept = scene.record().with_file_name(format!("{}_manifest.bin", scene.id));
    std::fs::copy(&kept, &incoming).unwrap();
    std::fs::write(scene.record(), "{").unwrap();
    scene.run().failed(9, "can't be read");
    assert!(incoming.exists() && kept.exists());
}

#[test]
fn a_code_in_another_collection_keeps_the_record_until_it_is_gone() {
    let scene = Scene::kept_and_offline();
    let item = scene.bus.item(&scene.id).unwrap();
    scene.bus.clear(&scene.id);
    scene.bus.store(&["--label=moved", "--collection=session"], &scene.id, &[], &item);
    let ended = scene.agent(&["forget", &scene.id]).failed(8, "is not in GNOME Keyring “Login”");
    assert!(!ended.stdout.contains("was removed"), "{}", ended.stdout);
    assert!(scene.record().exists());
    assert!(scene.bus.item(&scene.id).is_some(), "nothing was removed there");
    scene.bus.clear(&scene.id);
    let ended = scene.agent(&["forget", &scene.id]).done();
    assert!(ended.stdout.contains("was not found in GNOME Keyring “Login”"), "{}", ended.stdout);
    assert!(!scene.record().exists());
}

/// With every time of day, and what comes of those in the audit log, replaced: the process's number, the chain's hashes.
fn without_times(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    };
    let head = r#""audit_head": \{\s*"seq": \d+,\s*"sha256": "[0-9a-f]{64}""#;
    let times = format!(r#"\d{{4}}-\d\d-\d\dT[0-9:.]+Z|"pid":\d+|"previous":"[0-9a-f]{{64}}"|{head}"#);
    let times = regex::Regex::new(&times).unwrap();
    times.replace_all(text, "TIME").into_owned()
}
