//! The stand-ins, a keyring, the agent before them; and what has to be true once all is quiet.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use snow_rehearsal::{DeviceOptions, Fault, Rehearsal, State, Times, Unlocking};
use tempfile::TempDir;

use crate::disk::{self, Tree};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::needles::Needles;
use crate::process;

/// What a check found wrong, in words.
pub(crate) type Checked = Result<(), String>;

/// How long client, guard and home may outlive the agent here. The promise is a second, and tests of sudden death hold it
/// to that; a machine at work on many tests may take longer for reasons of its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// A pair as AWS has or had it.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) code: String,
    pub(crate) manifest: Vec<u8>,
}

impl Pair {
    /// The text of the keychain's item: the code, and the manifest's SHA-256.
    pub(crate) fn item(&self) -> String {
        format!("{}\n{}", self.code, hex(&Sha256::digest(&self.manifest)))
    }
}

/// What was kept at some time: the state folder and the code, which is all the agent has.
pub(crate) struct Snapshot {
    tree: Tree,
    pub(crate) pair: Pair,
}

/// A rehearsal and a keyring, used for one run after another.
pub(crate) struct Stage {
    pub(crate) rehearsal: Rehearsal,
    pub(crate) bus: KeyringBus,
    /// Where private homes are made: in memory, and of this stage alone, so that a home that is left is seen.
    runtime: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let device = DeviceOptions { unlocking: Unlocking::For(Duration::from_millis(1)), ..DeviceOptions::default() };
        let rehearsal = Rehearsal::builder().device(device).start().unwrap();
        fs::create_dir(rehearsal.root().join("tmp")).unwrap();
        let runtime = tempfile::Builder::new().prefix("crash-test-").tempdir_in("/dev/shm").unwrap();
        Self { rehearsal, bus: KeyringBus::start(Keyring::Unlocked), runtime }
    }

    pub(crate) fn id(&self) -> String {
        self.rehearsal.job().id().to_owned()
    }

    /// The pair that AWS hands out now.
    pub(crate) fn pair(&self) -> Pair {
        let job = self.rehearsal.job();
        Pair { code: job.unlock_code(), manifest: job.manifest() }
    }

    /// Where everything is that the agent keeps on disk.
    pub(crate) fn keeps(&self) -> &Path {
        self.rehearsal.state_home()
    }

    /// What is called the state home: not there before the first run.
    fn state_home(&self) -> PathBuf {
        self.keeps().join(".local/state")
    }

    /// The agent's state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.state_home().join("snow-onboard")
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.state().join(format!("jobs/{0}/{0}_manifest.bin", self.id()))
    }

    fn temporary(&self) -> PathBuf {
        self.rehearsal.root().join("tmp")
    }

    /// `snow-onboard ARGS…` in these surroundings and with no other variable of ours than PATH.
    pub(crate) fn agent<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snow-onboard"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(self.rehearsal.env());
        let of_the_keyring = |name: &str| matches!(name, "DBUS_SESSION_BUS_ADDRESS" | "XDG_DATA_HOME");
        command.envs(self.bus.environment().into_iter().filter(|(name, _)| of_the_keyring(name)));
        command
            .env("XDG_STATE_HOME", self.state_home())
            .env("XDG_RUNTIME_DIR", self.runtime.path())
            .env("TMPDIR", self.temporary());
        command.args(args).arg("--ca-bundle").arg(self.rehearsal.ca_bundle());
        command.current_dir(self.rehearsal.root()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self) -> Command {
        let (id, endpoint) = (self.id(), self.rehearsal.device().endpoint());
        self.agent(["run", &id, "--endpoint", &endpoint, "--client", self.rehearsal.client_path().to_str().unwrap()])
    }

    pub(crate) fn fetch(&self) -> Command {
        self.agent(["fetch", &self.id()])
    }

    pub(crate) fn refresh(&self) -> Command {
        self.agent(["fetch", &self.id(), "--refresh"])
    }

    pub(crate) fn forget(&self) -> Command {
        self.agent(["forget", &self.id()])
    }

    /// Nothing reaches AWS while `work` is done.
    pub(crate) fn offline<R>(&self, work: impl FnOnce() -> R) -> R {
        self.rehearsal.plant_everywhere(Fault::CutOff, Times::Always);
        let result = work();
        self.rehearsal.heal();
        result
    }

    /// Does what is tried once more if it was the keyring that failed. GNOME's ends by itself now and then, once in a
    /// thousand clients or so, which says nothing about ours.
    pub(crate) fn unless_the_keyring_ends<R>(
        &mut self,
        attempt: impl Fn(&Self) -> Result<R, String>,
    ) -> Result<R, String> {
        self.check_keyring();
        match attempt(self) {
            Err(_) if !self.check_keyring() => attempt(self),
            result => result,
        }
    }

    /// Whether the keyring is there. If not, there is another one afterwards, and it is empty.
    fn check_keyring(&mut self) -> bool {
        let is_there = !self.bus.search(None).contains("org.freedesktop.secrets was not provided");
        if !is_there {
            println!("the keyring ended by itself; going on with another one");
            self.bus = KeyringBus::start(Keyring::Unlocked);
        }
        is_there
    }

    /// What is kept now. Nobody may be at work.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { tree: disk::read(self.keeps()), pair: self.pair() }
    }

    /// Puts things as they were then, or as they are before the first run, and locks the device.
    pub(crate) fn restore(&self, snapshot: Option<&Snapshot>) {
        let nothing = Tree::from([(PathBuf::new(), None)]);
        disk::write(snapshot.map_or(&nothing, |snapshot| &snapshot.tree), self.keeps());
        self.put_item(snapshot.map(|snapshot| snapshot.pair.item()).as_deref());
        self.rehearsal.device().power_loss();
    }

    /// Has the keyring hold this item's text and nothing else.
    pub(crate) fn put_item(&self, item: Option<&str>) {
        if !self.bus.search(None).is_empty() {
            let mut clear = Command::new("secret-tool");
            clear.args(["clear", "service", "snow-onboard"]);
            assert!(self.bus.inside(&mut clear).status().unwrap().success());
        }
        if let Some(item) = item {
            self.bus.store(&["--label", "kept before"], &self.id(), &[], item);
        }
    }

    /// Waits until guard and client have ended and the home is gone. Gives how long that took.
    pub(crate) fn wait_at_rest(&self) -> Result<Duration, String> {
        let start = Instant::now();
        loop {
            let (homes, processes) = (self.homes(), self.processes());
            if homes.is_empty() && processes.is_empty() {
                return Ok(start.elapsed());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("left behind: {homes:?}, processes {processes:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn homes(&self) -> Vec<PathBuf> {
        everything(self.runtime.path())
    }

    /// Whatever was started by the agent of this stage, itself included: all of it is given this temporary folder.
    fn processes(&self) -> Vec<u32> {
        let mark = format!("TMPDIR={}", self.temporary().display());
        let is_ours = |pid: &u32| {
            process::is_alive(*pid)
                && process::read(*pid, "environ")
                    .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()))
        };
        process::all().filter(is_ours).collect()
    }

    /// No file that the agent or what it starts could have written holds the code, or a part of it.
    pub(crate) fn check_no_code_on_disk(&self, code: &str) -> Checked {
        let needles = Needles::of(code);
        let of_the_bus = self.bus.home();
        let places = [self.rehearsal.root(), self.runtime.path(), of_the_bus.parent().unwrap()];
        let found: Vec<PathBuf> = places
            .into_iter()
            .flat_map(everything)
            .filter(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_file()))
            .filter(|path| fs::read(path).is_ok_and(|content| needles.count(&content) > 0))
            .collect();
        if found.is_empty() { Ok(()) } else { Err(format!("the code is in {found:?}")) }
    }

    /// This pair is kept, whole, and nothing else is there.
    pub(crate) fn check_kept(&self, pair: &Pair) -> Checked {
        let id = self.id();
        same("the code in the keyring", self.bus.lookup(&id).as_deref(), Some(pair.code.as_str()))?;
        same("the number of items in the keyring", self.items(), 1)?;
        if fs::read(self.manifest()).ok().as_ref() != Some(&pair.manifest) {
            return Err("the manifest is not the pair's".to_owned());
        }
        let record = self.record()?;
        let digest = hex(&Sha256::digest(&pair.manifest));
        same("the record's digest", record["pair"]["manifest_sha256"].as_str(), Some(digest.as_str()))?;
        same("the record's unfinished change", &record["incoming"], &serde_json::Value::Null)?;
        let folder = format!("jobs/{id}");
        self.check_files(&[format!("{folder}/{id}_manifest.bin"), format!("{folder}/record.json"), folder])
    }

    /// The device is open, and the receipt says so.
    pub(crate) fn check_unlocked(&self) -> Checked {
        same("the device", self.rehearsal.device().state(), State::Unlocked)?;
        let record = self.record()?;
        let receipt = record["hand_overs"].as_array().and_then(|all| all.last()).unwrap_or(&serde_json::Value::Null);
        same("the device in the receipt", receipt["device_id"].as_str(), Some(self.id().as_str()))?;
        same("that the receipt has a time", receipt["unlocked_at"].is_string(), true)
    }

    /// Neither half is there, nor anything else of the job.
    pub(crate) fn check_gone(&self) -> Checked {
        same("the number of items in the keyring", self.items(), 0)?;
        self.check_files(&[])
    }

    fn items(&self) -> usize {
        self.bus.search(None).lines().filter(|line| line.starts_with("[/")).count()
    }

    fn record(&self) -> Result<serde_json::Value, String> {
        let path = self.state().join("jobs").join(self.id()).join("record.json");
        let text = fs::read(path).map_err(|error| format!("the record can't be read: {error}"))?;
        serde_json::from_slice(&text).map_err(|error| format!("the record is damaged: {error}"))
    }

    /// The state folder holds these things of the job, what is always there, and no more: no draft, no temporary file, no
    /// folder of a single run.
    fn check_files(&self, of_the_job: &[String]) -> Checked {
        let state = self.state();
        let always = ["incoming", "jobs", "locks"].map(str::to_owned);
        let mut expected: Vec<String> = always.into_iter().chain(of_the_job.iter().cloned()).collect();
        expected.push(format!("locks/{}", self.id()));
        expected.sort();
        let found: Vec<String> = everything(&state)
            .iter()
            .map(|path| path.strip_prefix(&state).unwrap().display().to_string())
            // A run that was killed early has not come to make these. What is in the folder counts.
            .filter(|path| !["audit.jsonl", "clients.json", "homes"].contains(&path.as_str()))
            .collect();
        same("the files", found, expected)
    }

    /// The audit log consists of whole lines; after a power cut, which may tear the last line that was under way, of
    /// pieces of one line each.
    pub(crate) fn check_audit(&self, may_be_torn: bool) -> Checked {
        let log = fs::read_to_string(self.state().join("audit.jsonl")).unwrap_or_default();
        let is_damaged = |line: &&str| {
            let is_whole = serde_json::from_str::<serde_json::Value>(line).is_ok();
            let is_a_piece = line.matches("{\"at\":").count() < 2;
            !is_whole && (!may_be_torn || !is_a_piece)
        };
        match log.lines().find(is_damaged) {
            Some(line) => Err(format!("a line of the audit log is damaged: {line}")),
            None => Ok(()),
        }
    }
}

/// Runs a command to its end; any exit code but those is an error with all it said.
pub(crate) fn finish(mut command: Command, codes: &[i32]) -> Checked {
    let Output { status, stdout, stderr } = command.output().unwrap();
    if status.code().is_some_and(|code| codes.contains(&code)) {
        return Ok(());
    }
    Err(format!("{status}\n{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Checked {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, not {expected:?}")) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All that is below a folder, sorted. Links are not followed.
pub(crate) fn everything(folder: &Path) -> Vec<PathBuf> {
    // What vanishes while it is looked at is gone, which is what is hoped for.
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    for path in found.clone() {
        if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            found.extend(everything(&path));
        }
    }
    found.sort();
    found
}

pub(crate) fn remove(folder: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
}

mod tests {
    use super::*;

    /// What each check is there to find, put there by hand.
    #[test]
    fn what_a_kill_could_leave_is_seen() {
        if !process::may_trace_or_rerun("stage::tests::what_a_kill_could_leave_is_seen") {
            return;
        }
        let mut stage = Stage::new();
        finish(stage.run(), &[0]).unwrap();
        let (pair, state, id) = (stage.pair(), stage.state(), stage.id());
        stage.check_kept(&pair).unwrap();
        stage.check_unlocked().unwrap();
        stage.check_no_code_on_disk(&pair.code).unwrap();
        stage.wait_at_rest().unwrap();
        let kept = stage.snapshot();
        let whole =
            || stage.check_kept(&pair).and_then(|()| stage.check_unlocked()).and_then(|()| stage.check_audit(false));
        let seen = |what: &str, plant: &dyn Fn(), found: &str| {
            plant();
            let why = whole().unwrap_err();
            assert!(why.contains(found), "{what}: {why}");
            stage.restore(Some(&kept));
            stage.rehearsal.device().open();
            whole().unwrap();
        };
        for name in [
            format!("incoming/{id}_manifest.draft"),
            format!("jobs/{id}/.tmp1"),
            "once/x".to_owned(),
            "homes/x".to_owned(),
        ] {
            let path = state.join(&name);
            let plant = || {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, "").unwrap();
            };
            seen(&name, &plant, "the files");
        }
        let append = |path: PathBuf, text: &str| {
            let old = fs::read(&path).unwrap();
            fs::write(path, [&old, text.as_bytes()].concat()).unwrap();
        };
        seen("a manifest", &|| append(stage.manifest(), "x"), "the manifest is not the pair's");
        seen("a record", &|| append(state.join(format!("jobs/{id}/record.json")), "x"), "the record is damaged");
        seen("an audit log", &|| append(state.join("audit.jsonl"), "{"), "a line of the audit log");
        seen("another code", &|| stage.put_item(Some("00000-11111-22222-33333-44444")), "the code in the keyring");
        seen("a probe", &|| stage.bus.store(&["--label", "left"], "probe", &[], "x"), "the number of items");
        seen("a device", &|| stage.rehearsal.device().power_loss(), "the device");

        fs::write(stage.temporary().join("log"), format!("code={}", pair.code)).unwrap();
        assert!(stage.check_no_code_on_disk(&pair.code).unwrap_err().contains("tmp/log"));
        fs::create_dir(stage.runtime.path().join("snow-onboard-1")).unwrap();
        assert_eq!(stage.homes().len(), 1);
        let mut left = Command::new("sleep").arg("60").env("TMPDIR", stage.temporary()).spawn().unwrap();
        assert_eq!(stage.processes(), [left.id()]);
        left.kill().unwrap();
        left.wait().unwrap();
        assert!(stage.processes().is_empty());
        stage.put_item(None);
        remove(&state.join("jobs").join(&id));
        stage.check_gone().unwrap();
        fs::create_dir(state.join("jobs").join(&id)).unwrap();
        assert!(stage.check_gone().unwrap_err().contains("the files"));

        assert!(stage.check_keyring());
        stage.bus.end_keyring();
        assert!(!stage.check_keyring() && stage.check_keyring());
    }
}
