//! What there is to see after a command: what is kept, what has leaked, what was left behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use memchr::memmem;
use serde_json::Value;
use snow_rehearsal::State as DeviceState;

#[cfg(windows)]
use crate::host::is_alive;
#[cfg(target_os = "linux")]
use crate::process::is_alive;
use crate::row::{Kept, Row, Touch};
use crate::scene::{Ended, Scene};

/// How long something that goes by itself may take here.
const A_MOMENT: Duration = Duration::from_secs(10);

/// What a job has here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    /// By name; folders are empty, links are what they point to.
    files: BTreeMap<String, Vec<u8>>,
    code: Option<String>,
}

impl Sight {
    pub(crate) fn of(scene: &Scene<'_>) -> Self {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(scene.job_folder()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.insert(name, fs::read(entry.path()).unwrap_or_default());
        }
        Self { files, code: scene.bus.lookup(&scene.id()) }
    }

    fn manifest(&self) -> Option<&[u8]> {
        self.files.iter().find(|(name, _)| name.ends_with("_manifest.bin")).map(|(_, content)| &content[..])
    }

    fn record(&self) -> Value {
        self.files.get("record.json").and_then(|text| serde_json::from_slice(text).ok()).unwrap_or_default()
    }

    fn has_pair(&self) -> bool {
        let record = self.record();
        record["pair"].is_object() && record["incoming"].is_null()
    }
}

/// In what this differs from what is to be kept, if it does.
pub(crate) fn differs(kept: Kept, scene: &Scene<'_>, before: &Sight) -> Option<String> {
    let now = Sight::of(scene);
    let job = scene.rehearsal.job();
    // Another keychain than the one looked into here; there only the record tells.
    let elsewhere = now.record()["pair"]["keychain"] == "kernel";
    let wrong = |what: &str| Some(what.to_owned());
    match kept {
        Kept::Nothing if now.code.is_some() => wrong("the code is in the keychain"),
        Kept::Nothing if now.manifest().is_some() => wrong("a manifest is kept"),
        Kept::Nothing if now.has_pair() => wrong("the record names a pair"),
        Kept::Old if now.code != before.code => wrong("the old code is not in the keychain"),
        Kept::Old if now.manifest() != before.manifest() => wrong("the old manifest is not there"),
        Kept::Old if !now.has_pair() || now.record()["pair"] != before.record()["pair"] => {
            wrong("the record does not name the old pair")
        }
        Kept::New if !elsewhere && now.code.as_deref() != Some(&job.unlock_code()) => {
            wrong("the new code is not in the keychain")
        }
        Kept::New if now.manifest() != Some(&job.manifest()) => wrong("the new manifest is not there"),
        Kept::New if !now.has_pair() => wrong("the record names no pair"),
        Kept::AsItWas if now != *before => wrong("what was there is not as it was"),
        Kept::CodeAlone if now.code.as_deref() != Some(&job.unlock_code()) => wrong("the code is not in the keychain"),
        Kept::CodeAlone if now.manifest() == Some(&job.manifest()) => wrong("the manifest is there after all"),
        Kept::CodeAlone if !now.has_pair() => wrong("the record names no pair"),
        _ => None,
    }
}

/// What the device has seen.
pub(crate) fn touch(scene: &Scene<'_>) -> Touch {
    let device = scene.rehearsal.device();
    let is_told = |argument: &String| matches!(&argument[..], "describe-device" | "unlock-device" | "configure");
    if device.state() == DeviceState::Unlocked {
        Touch::Open
    } else if device.unlock_requests() > 0 {
        Touch::Asked
    } else if scene.invocations().iter().any(|call| call.argv.iter().any(is_told)) {
        Touch::LookedAt
    } else {
        Touch::Untouched
    }
}

/// Everything that must hold of any row: no secret shown, no code in a file, nothing left behind, nobody asked twice.
pub(crate) fn flaws(row: &Row, scene: &Scene<'_>, ended: &Ended, secrets: &[String]) -> Vec<String> {
    let mut flaws = Vec::new();
    for secret in secrets {
        if ended.stdout.contains(secret) || ended.stderr.contains(secret) {
            flaws.push("a secret is shown".to_owned());
        }
    }
    let root = scene.rehearsal.root();
    let clients = root.join("client");
    let finders: Vec<_> = secrets.iter().map(memmem::Finder::new).collect();
    // The runtime folder first: what is there goes within a moment.
    if !within_a_moment(|| fs::read_dir(scene.runtime.path()).unwrap().next().is_none()) {
        flaws.push("a private home is left".to_owned());
    }
    let calls = scene.invocations();
    let is_ours = |home: &Path| !home.starts_with(&clients);
    if !within_a_moment(|| calls.iter().all(|call| !is_ours(&call.user_home) || !call.user_home.exists())) {
        flaws.push("a private home is left".to_owned());
    }
    if !within_a_moment(|| calls.iter().all(|call| !is_alive(call.pid))) {
        flaws.push("a process of the client is left".to_owned());
    }
    for path in files(root).into_iter().chain(files(scene.runtime.path())) {
        let is_of_the_client = path.starts_with(&clients);
        // What the client's stand-in wrote down of its own calls is looked at below; its program is a link to ours.
        if is_of_the_client && !path.starts_with(clients.join("client-home")) {
            continue;
        }
        let content = fs::read(&path).unwrap_or_default();
        if finders.iter().any(|finder| finder.find(&content).is_some()) {
            flaws.push(format!("a secret is in {}", path.display()));
        }
    }
    #[cfg(target_os = "linux")]
    if let Some(bus) = &scene.state.lock().unwrap().around.other_keychain {
        for path in files(&bus.keyrings()) {
            if memmem::find(&fs::read(&path).unwrap_or_default(), scene.rehearsal.job().unlock_code().as_bytes())
                .is_some()
            {
                flaws.push(format!("the code is in {}", path.display()));
            }
        }
    }
    let shown = |text: &String| secrets.iter().any(|secret| text.contains(secret));
    if !row.on_argv && calls.iter().any(|call| call.argv.iter().any(shown)) {
        flaws.push("a secret stood on a command line".to_owned());
    }
    if calls.iter().any(|call| call.env.values().any(shown)) {
        flaws.push("a secret stood in an environment".to_owned());
    }
    for folder in ["incoming", "once"].map(|name| scene.folder().join(name)).iter().chain([&root.join("tmp")]) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            flaws.push(format!("left behind: {}", entry.path().display()));
        }
    }
    if scene.rehearsal.device().unlock_requests() > 1 {
        flaws.push("the device was asked to open more than once".to_owned());
    }
    flaws.dedup();
    flaws
}

/// Everything that no one may see.
pub(crate) fn secrets(scene: &Scene<'_>, before: &Sight) -> Vec<String> {
    let signature = |address: &String| address.split_once("X-Amz-Signature=").map(|(_, rest)| rest.to_owned());
    let mut secrets: Vec<String> = scene.rehearsal.issued_addresses().iter().filter_map(signature).collect();
    secrets.push(scene.rehearsal.job().unlock_code());
    secrets.push(scene.rehearsal.secret_key().to_owned());
    secrets.extend(before.code.clone());
    secrets
}

fn within_a_moment(is_so: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > A_MOMENT {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Every file below a folder; links are not followed.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}
