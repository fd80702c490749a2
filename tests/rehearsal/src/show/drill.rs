//! One run of the agent against the stand-ins, and an honest look at what it left where.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant, SystemTime},
};

use super::{
    Keychain,
    inspect::{files_with, mode, new_files_with},
    keychain::{self, Found},
    sampler::{self, Sampler, Seen},
    say,
    serve::interrupt,
    to_send_in,
};
use crate::{
    DeviceOptions, Error, Rehearsal, State, Unlocking,
    client::{build_folder, cargo_build, is_filled_by_cargo},
};

/// The name that the agent's keychain entries go by.
pub(super) const SERVICE: &str = "snow-onboard";

/// Long enough to be seen UNLOCKING, short enough to be UNLOCKED at the agent's second look.
const UNLOCKING: Duration = Duration::from_millis(700);

/// Runs the whole of it; `false` if the agent failed or the code was seen where it must not be.
pub(super) fn drill(keychain: Option<Keychain>, agent: Option<PathBuf>) -> Result<bool, Error> {
    let agent = agent.map_or_else(find_or_build, Ok)?;
    let begun = Instant::now();
    let (keychain, reasons) = keychain.map_or_else(keychain::choose, |chosen| (chosen, Vec::new()));
    let proven = sampler::prove()?;

    let device = DeviceOptions { unlocking: Unlocking::For(UNLOCKING), ..DeviceOptions::default() };
    let rehearsal = Rehearsal::builder().device(device).start()?;
    // Ctrl-C reaches the agent too; we stay to clean up after it.
    rehearsal.runtime().spawn(async {
        loop {
            interrupt().await;
        }
    });
    let job = rehearsal.job();
    let (id, code) = (job.id().to_owned(), job.unlock_code());

    say("A Snowball Edge, its cloud and its client, all played on this machine.");
    reasons.iter().for_each(|reason| say(reason));
    let endpoint = rehearsal.device().endpoint();
    say(&format!("\n$ snow-onboard run {id} --endpoint {endpoint} --keychain {keychain}\n"));

    let since = SystemTime::now();
    let sampler = Sampler::start(&code);
    let status = Agent { program: &agent, rehearsal: &rehearsal, keychain }.run(&[
        "run",
        &id,
        "--endpoint",
        &endpoint,
        "--client",
        &rehearsal.client_path().to_string_lossy(),
        "--ca-bundle",
        &rehearsal.ca_bundle().to_string_lossy(),
        "--keychain",
        &keychain.to_string(),
    ]);
    let seen = sampler.finish();
    let status = status?;

    say("\nWhat is now where:");
    let mut report = Report::default();
    if status.success() {
        report.verdict("Agent", true);
    } else {
        report.bad("Agent", &format!("failed: {status}"));
    }
    report.device(&rehearsal);
    report.keychain(keychain, &id, &code);
    report.manifest(&rehearsal, keychain);
    report.files(&rehearsal, &code, since)?;
    report.processes(&seen, proven);
    report.forget(&agent, &rehearsal, keychain)?;
    // Before the promise that all is removed.
    drop(rehearsal);
    say(&format!("\nDone in {:.1} s; everything of the rehearsal is removed.", begun.elapsed().as_secs_f32()));
    to_send_in::print(&agent, keychain, &report.verdicts);
    Ok(report.good())
}

/// In a build folder, builds the agent and the client as this program was built. Elsewhere the agent is beside this
/// program, or installed.
fn find_or_build() -> Result<PathBuf, Error> {
    let folder = build_folder()?;
    let name = format!("snow-onboard{}", env::consts::EXE_SUFFIX);
    let agent = folder.join(&name);
    let checkout = match is_filled_by_cargo(&folder, &agent) {
        Ok(checkout) => checkout,
        Err(_) if agent.is_file() => return Ok(agent),
        Err(missing) => return in_path(&name).ok_or_else(|| missing.into()),
    };
    cargo_build(checkout, &folder, &["-p", "snow-onboard"])?;
    // The client is a program of this package, which `cargo run` alone does not build.
    cargo_build(checkout, &folder, &["-p", "snow-rehearsal", "--bins"])?;
    Ok(agent)
}

/// The agent beside this program, or installed. Nothing is built.
pub(super) fn find() -> Option<PathBuf> {
    let name = format!("snow-onboard{}", env::consts::EXE_SUFFIX);
    let beside = build_folder().ok().map(|folder| folder.join(&name)).filter(|agent| agent.is_file());
    beside.or_else(|| in_path(&name))
}

/// The first program of this name in an absolute folder of PATH.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The agent, to be started the way an operator would: with what the shell has, minus what would lead it elsewhere.
pub(super) struct Agent<'a> {
    pub(super) program: &'a Path,
    pub(super) rehearsal: &'a Rehearsal,
    pub(super) keychain: Keychain,
}

impl Agent<'_> {
    pub(super) fn run(&self, args: &[&str]) -> Result<ExitStatus, Error> {
        let mut agent = Command::new(self.program);
        let elsewhere = ["AWS_", "SNOW_ONBOARD_", "JAVA_", "_JAVA_", "SSL_CERT_", "XDG_CONFIG_"];
        let misleads = |name: &str| {
            elsewhere.iter().any(|prefix| name.starts_with(prefix)) || name.to_lowercase().ends_with("_proxy")
        };
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(misleads)) {
            agent.env_remove(name);
        }
        // A home of its own, except where the keychain belongs to the home. The real runtime folder, if there is one,
        // because that is where the agent's private home is in memory.
        let real_home = home_has_keychain(self.keychain);
        let kept =
            |name: &str| (name == "HOME" && real_home) || (name == "XDG_RUNTIME_DIR" && env::var_os(name).is_some());
        agent.envs(self.rehearsal.env().into_iter().filter(|(name, _)| !kept(name)));
        Ok(agent.args(args).stdin(Stdio::null()).status()?)
    }
}

/// The macOS keychain is found by way of the home.
fn home_has_keychain(keychain: Keychain) -> bool {
    cfg!(target_os = "macos") && keychain == Keychain::System
}

/// The agent's state folder.
pub(super) fn state_folder(rehearsal: &Rehearsal, keychain: Keychain) -> PathBuf {
    let base = if cfg!(target_os = "macos") {
        let home = env::var_os("HOME").filter(|_| home_has_keychain(keychain)).map(PathBuf::from);
        home.unwrap_or_else(|| rehearsal.home().to_owned()).join("Library").join("Application Support")
    } else {
        rehearsal.state_home().to_owned()
    };
    base.join(SERVICE)
}

/// What was looked at, and whether it is as it should be.
#[derive(Default)]
struct Report {
    verdicts: Vec<(String, bool)>,
}

impl Report {
    fn good(&self) -> bool {
        self.verdicts.iter().all(|(_, good)| *good)
    }

    fn well(&mut self, what: &str, text: &str) {
        say(&format!("  {what:<12} {text}"));
        self.verdict(what, true);
    }

    fn bad(&mut self, what: &str, text: &str) {
        say(&format!("! {what:<12} {text}"));
        self.verdict(what, false);
    }

    /// A line without a name, or with the name again, goes on about the same thing.
    fn verdict(&mut self, what: &str, good: bool) {
        match self.verdicts.last_mut() {
            Some((name, so_far)) if what.is_empty() || name == what => *so_far &= good,
            _ => self.verdicts.push((what.to_owned(), good)),
        }
    }

    fn device(&mut self, rehearsal: &Rehearsal) {
        let device = rehearsal.device();
        let asked = device.unlock_requests();
        match device.state() {
            State::Unlocked => self.well("Device", &format!("UNLOCKED (requests to unlock: {asked})")),
            state => self.bad("Device", &format!("{} (requests to unlock: {asked})", state.word())),
        }
    }

    fn keychain(&mut self, keychain: Keychain, id: &str, code: &str) {
        match (keychain, keychain::look(keychain, id, code)) {
            (Keychain::None, _) => self.well("Unlock code", "kept nowhere, as --keychain none says"),
            (_, Found::Code) => self.well("Unlock code", &format!("in the keychain, under {SERVICE} and the job's id")),
            (_, Found::Entry) => self.well("Unlock code", &format!("the {keychain} keychain has an entry for the job")),
            (_, Found::Nothing) => self.bad("Unlock code", &format!("not in the {keychain} keychain")),
            (_, Found::Unknown(why)) => self.well("Unlock code", &format!("not looked for: {why}")),
        }
    }

    fn manifest(&mut self, rehearsal: &Rehearsal, keychain: Keychain) {
        let job = rehearsal.job();
        let folder = state_folder(rehearsal, keychain).join("jobs").join(job.id());
        let path = folder.join(format!("{}_manifest.bin", job.id()));
        let Ok(bytes) = fs::read(&path) else {
            if keychain == Keychain::None {
                return self.well("Manifest", "not kept either");
            }
            return self.bad("Manifest", &format!("not at {}", path.display()));
        };
        if bytes != job.manifest() {
            return self.bad("Manifest", &format!("{} is not what the bucket served", path.display()));
        }
        self.well("Manifest", &path.display().to_string());
        match (mode(&path), mode(&folder)) {
            (Some(file), Some(around)) if file == "0600" && around == "0700" => {
                self.well("", &format!("mode {file}, in a folder of mode {around}"));
            }
            (Some(file), Some(around)) => self.bad("", &format!("mode {file}, in a folder of mode {around}")),
            _ => {}
        }
    }

    /// The stand-ins keep the code in memory, so that any file of the rehearsal that holds it is a leak.
    fn files(&mut self, rehearsal: &Rehearsal, code: &str, since: SystemTime) -> Result<(), Error> {
        let mut leaks = files_with(rehearsal.root(), code)?;
        let shared = [env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), Some("/dev/shm".into())];
        for folder in shared.into_iter().flatten().chain([env::temp_dir()]) {
            leaks.extend(new_files_with(&folder, code, since));
        }
        leaks.sort();
        leaks.dedup();
        if leaks.is_empty() {
            self.well("Files", "none holds the code: not in the state folder, the runtime folder or memory files");
        }
        for leak in leaks {
            self.bad("Files", &format!("the code is in {}", leak.display()));
        }
        Ok(())
    }

    fn processes(&mut self, seen: &Seen, proven: bool) {
        if !proven {
            self.bad("Processes", "the sampler did not find its own dummy, so that its finding nothing says nothing");
        } else if seen.looks == 0 {
            self.well("Processes", "not looked at: this system shows no other process's arguments");
        } else if seen.places.is_empty() {
            let (looks, reads) = (seen.looks, seen.reads);
            self.well(
                "Processes",
                &format!("the code was in no argument list and no environment ({looks} looks, {reads} read)"),
            );
        }
        for place in &seen.places {
            self.bad("Processes", &format!("the code was in {place}"));
        }
    }

    /// Has the agent remove what it kept, and checks that it did.
    fn forget(&mut self, agent: &Path, rehearsal: &Rehearsal, keychain: Keychain) -> Result<(), Error> {
        if keychain == Keychain::None {
            return Ok(());
        }
        let job = rehearsal.job();
        say(&format!("\n$ snow-onboard forget {} --yes\n", job.id()));
        let status = Agent { program: agent, rehearsal, keychain }.run(&["forget", job.id(), "--yes"])?;
        if status.success() {
            self.verdict("Forget", true);
        } else {
            self.bad("Forget", &format!("failed: {status}"));
        }
        if state_folder(rehearsal, keychain).join("jobs").join(job.id()).exists() {
            self.bad("Forget", "the job's folder is still there");
        }
        if matches!(keychain::look(keychain, job.id(), &job.unlock_code()), Found::Code | Found::Entry) {
            self.bad("Forget", &format!("the {keychain} keychain still has an entry for the job"));
        }
        Ok(())
    }
}
