//! What a row is played in: the stand-ins, a keyring, the agent's surroundings, and the fault.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use snow_rehearsal::{ClientOptions, Invocation, Job, Mode, Rehearsal};
use tempfile::TempDir;

use crate::host::{self, Keychain, Surroundings};
#[cfg(target_os = "linux")]
use crate::keyring_bus::KeyringBus;
use crate::row::{Fault, Row, Verb};

/// One row's own world, but for the keyring, which it shares with others under a job id of its own.
pub(crate) struct Scene<'a> {
    pub(crate) rehearsal: Rehearsal,
    pub(crate) bus: &'a Keychain,
    pub(crate) state: Mutex<State>,
    /// Where the private home comes to lie, if the system has such a place.
    pub(crate) runtime: TempDir,
    small_disk: bool,
}

/// What a fault may change.
#[derive(Default)]
pub(crate) struct State {
    /// On top of the usual variables; `None` takes one away.
    pub(crate) env: BTreeMap<String, Option<OsString>>,
    /// Instead of the first one.
    pub(crate) client: Option<PathBuf>,
    /// Instead of the first device's.
    pub(crate) endpoint: Option<String>,
    /// Another agent, at work at the same time.
    pub(crate) other_agent: Option<Child>,
    /// What is about its process.
    pub(crate) around: Surroundings,
    /// What a fault took away, to be put back.
    pub(crate) aside: Vec<u8>,
}

/// How the agent ended.
pub(crate) struct Ended {
    /// `None` if it had to be ended, or a signal did.
    pub(crate) exit: Option<i32>,
    /// The signal that ended it, if one did that was not ours.
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl<'a> Scene<'a> {
    pub(crate) fn set(row: &Row, bus: &'a Keychain) -> Self {
        let cast = row.cast.clone();
        let mut builder = Rehearsal::builder();
        builder = match cast.job {
            Some(job) if cast.in_cluster => builder.cluster(job, 3),
            Some(job) if cast.in_parts => builder.export(job, 2),
            Some(job) => builder.job(job),
            None => builder,
        };
        if cast.with_another {
            // Of the same moment: which was created first decides the order in which they are told.
            let job = Job::new();
            builder = builder.job(job.clone()).job(job);
        }
        if let Some(states) = cast.ready_states {
            builder = builder.ready_states(states);
        }
        if cast.bare_bucket {
            builder = builder.bare_bucket();
        }
        let rehearsal = builder.start().unwrap();
        let temporary = rehearsal.root().join("tmp");
        fs::create_dir(&temporary).unwrap();
        host::keep_private(&temporary);
        if cast.small_disk {
            host::mount_small_disk(rehearsal.state_home());
        }
        let runtime = host::runtime_folder();
        let scene = Self { rehearsal, bus, state: Mutex::default(), runtime, small_disk: cast.small_disk };
        if matches!(row.fault, Fault::Line(..)) {
            let url = scene.rehearsal.proxy().unwrap().url();
            scene.change(|state| {
                state.env.insert("HTTPS_PROXY".to_owned(), Some(url.into()));
            });
        }
        scene
    }

    pub(crate) fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.state.lock().unwrap());
    }

    pub(crate) fn env(&self, name: &str, value: Option<&str>) {
        self.change(|state| {
            state.env.insert(name.to_owned(), value.map(OsString::from));
        });
    }

    pub(crate) fn id(&self) -> String {
        self.rehearsal.job().id().to_owned()
    }

    /// Where the agent keeps its state.
    pub(crate) fn folder(&self) -> PathBuf {
        self.rehearsal.state_home().join("snow-onboard")
    }

    pub(crate) fn job_folder(&self) -> PathBuf {
        self.folder().join("jobs").join(self.id())
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.job_folder().join(format!("{}_manifest.bin", self.id()))
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.job_folder().join("record.json")
    }

    /// Installs a client that behaves like this, and has the agent use it.
    pub(crate) fn install(&self, name: &str, options: &ClientOptions) {
        let launcher = self.rehearsal.install_client(name, options).unwrap();
        self.change(|state| state.client = Some(launcher));
    }

    /// A client whose launcher is this shell script, laid out as the vendor's is.
    #[cfg(target_os = "linux")]
    pub(crate) fn script(&self, text: &str) {
        let launcher = self.rehearsal.install_client("script", &ClientOptions::default()).unwrap();
        let draft = self.rehearsal.root().join("tmp/draft");
        fs::write(&draft, text).unwrap();
        // By another process: a child that some thread is just starting would hold it open for writing.
        host::run_tool(Command::new("cp").arg("--remove-destination").args([&draft, &launcher]));
        host::run_tool(Command::new("chmod").arg("755").arg(&launcher));
        fs::remove_file(draft).unwrap();
        self.change(|state| state.client = Some(launcher));
    }

    /// Every start of any of the clients.
    pub(crate) fn invocations(&self) -> Vec<Invocation> {
        let base = self.rehearsal.root().join("client");
        let more = fs::read_dir(&base).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        let folders = more.chain([base.clone()]);
        folders.flat_map(|folder| snow_rehearsal::client::invocations(&folder).unwrap()).collect()
    }

    /// Lets it go wrong.
    pub(crate) fn strike(&self, row: &Row) {
        let rehearsal = &self.rehearsal;
        if let Some(patience) = row.patience {
            self.env("SNOW_ONBOARD_NETWORK_TIMEOUT", Some(patience));
        }
        match row.fault.clone() {
            Fault::None => {}
            Fault::Api(operation, fault, times) => rehearsal.plant(operation, fault, times),
            Fault::EveryCall(fault, times) => rehearsal.plant_everywhere(fault, times),
            Fault::Bucket(fault, times) => rehearsal.plant_in_bucket(fault, times),
            Fault::Line(to, fault, times) => rehearsal.proxy().unwrap().plant(to, fault, times),
            Fault::Env(variables) => variables.iter().for_each(|(name, value)| self.env(name, value.as_deref())),
            Fault::JobState(state) => rehearsal.job().set_state(state),
            #[cfg(target_os = "linux")]
            Fault::Keyring(keyring) => {
                self.change(|state| state.around.other_keychain = Some(KeyringBus::start(keyring)));
            }
            Fault::Client(options) => self.install("odd", &options),
            Fault::Device(mode) => rehearsal.device().set_mode(mode),
            Fault::Do(what, _) => what(self),
        }
    }

    /// Makes it well again.
    pub(crate) fn heal(&self, row: &Row) {
        let rehearsal = &self.rehearsal;
        rehearsal.heal();
        match row.fault.clone() {
            Fault::Env(variables) => self.change(|state| {
                for (name, _) in variables {
                    state.env.remove(name);
                }
            }),
            Fault::JobState(_) => rehearsal.job().set_state("WithCustomer"),
            #[cfg(target_os = "linux")]
            Fault::Keyring(_) => self.change(|state| state.around.other_keychain = None),
            Fault::Client(_) => self.change(|state| state.client = None),
            Fault::Device(_) => {
                rehearsal.device().set_mode(Mode::Normal);
                rehearsal.device().power_loss();
            }
            Fault::Do(_, undo) => undo(self),
            _ => {}
        }
        self.change(|state| {
            state.env.remove("SNOW_ONBOARD_NETWORK_TIMEOUT");
        });
    }

    /// The agent, ready to be started.
    pub(crate) fn agent(&self, verb: Verb, more: &[String]) -> Command {
        let mut command = self.bare_agent();
        command.args(verb.words());
        if verb != Verb::Jobs {
            command.arg(self.id());
        }
        if verb == Verb::Run {
            command.arg("--endpoint").arg(self.endpoint()).arg("--client").arg(self.client());
        }
        command.args(["--json", "--ca-bundle"]).arg(self.rehearsal.ca_bundle()).args(more);
        command
    }

    /// The device's address, or what stands in its place.
    pub(crate) fn endpoint(&self) -> String {
        self.state.lock().unwrap().endpoint.clone().unwrap_or_else(|| self.rehearsal.device().endpoint())
    }

    /// The client's launcher, or what stands in its place.
    pub(crate) fn client(&self) -> PathBuf {
        self.state.lock().unwrap().client.clone().unwrap_or_else(|| self.rehearsal.client_path().to_owned())
    }

    /// The agent in its surroundings, without an argument.
    pub(crate) fn bare_agent(&self) -> Command {
        let state = self.state.lock().unwrap();
        let rehearsal = &self.rehearsal;
        let mut command = state.around.agent(self.bus, &rehearsal.root().join("tmp"), self.runtime.path());
        command.stdin(Stdio::null());
        command.envs(rehearsal.env());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        // A machine that plays two dozen rows at once may need longer than an impatient operator grants.
        command.env("SNOW_ONBOARD_NETWORK_TIMEOUT", "60s");
        for (name, value) in &state.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs the agent to its end, or to the limit.
    pub(crate) fn run(&self, verb: Verb, more: &[String], limit: Duration) -> Ended {
        Self::run_to_its_end(self.agent(verb, more), limit)
    }

    /// The same with any command line.
    pub(crate) fn run_to_its_end(mut command: Command, limit: Duration) -> Ended {
        let said = tempfile::tempdir().unwrap();
        let (stdout, stderr) = (said.path().join("stdout"), said.path().join("stderr"));
        let start = Instant::now();
        let mut agent =
            command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap()).spawn().unwrap();
        let (exit, signal) = loop {
            match agent.try_wait().unwrap() {
                Some(status) => break (status.code(), host::signal(status)),
                None if start.elapsed() > limit => {
                    agent.kill().unwrap();
                    agent.wait().unwrap();
                    break (None, None);
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let took = start.elapsed();
        let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        Ended { exit, signal, stdout: text(&stdout), stderr: text(&stderr), took }
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(mut agent) = state.other_agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
        if self.small_disk {
            host::unmount_small_disk(self.rehearsal.state_home());
        }
    }
}
