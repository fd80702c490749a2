//! What a row is played in: the stand-ins, a keyring, the agent's surroundings, and the fault.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use snow_rehearsal::{ClientOptions, Invocation, Job, Mode, Rehearsal};
use tempfile::TempDir;

use crate::keyring_bus::KeyringBus;
use crate::row::{Fault, Row, Verb};

/// One row's own world, but for the keyring, which it shares with others under a job id of its own.
pub(crate) struct Scene<'a> {
    pub(crate) rehearsal: Rehearsal,
    pub(crate) bus: &'a KeyringBus,
    pub(crate) state: Mutex<State>,
    /// In memory, as a session manager makes one; the private home comes to lie in it.
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
    /// Instead of the shared one.
    pub(crate) other_bus: Option<KeyringBus>,
    /// Another agent, at work at the same time.
    pub(crate) other_agent: Option<Child>,
    pub(crate) session: Session,
    /// How many files and connections the agent may have open at a time.
    pub(crate) open_files: Option<u32>,
    /// What a fault took away, to be put back.
    pub(crate) aside: Vec<u8>,
}

/// The kernel's session keyring of the agent.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Session {
    #[default]
    AsItIs,
    /// One of its own.
    Own,
    /// None: it was revoked.
    Revoked,
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
    pub(crate) fn set(row: &Row, bus: &'a KeyringBus) -> Self {
        let cast = row.cast.clone();
        let mut builder = Rehearsal::builder();
        builder = match cast.job {
            Some(job) if cast.in_cluster => builder.cluster(job, 3),
            Some(job) if cast.in_parts => builder.export(job, 2),
            Some(job) => builder.job(job),
            None => builder,
        };
        if cast.with_another {
            builder = builder.job(Job::new()).job(Job::new());
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
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o700)).unwrap();
        if cast.small_disk {
            mounts_of_its_own();
            let size = "size=1m,mode=700";
            run_tool(Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(rehearsal.state_home()));
        }
        let runtime = tempfile::Builder::new().prefix("snow-matrix-").tempdir_in("/dev/shm").unwrap();
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
    pub(crate) fn script(&self, text: &str) {
        let launcher = self.rehearsal.install_client("script", &ClientOptions::default()).unwrap();
        let draft = self.rehearsal.root().join("tmp/draft");
        fs::write(&draft, text).unwrap();
        // By another process: a child that some thread is just starting would hold it open for writing.
        run_tool(Command::new("cp").arg("--remove-destination").args([&draft, &launcher]));
        run_tool(Command::new("chmod").arg("755").arg(&launcher));
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
            Fault::Keyring(keyring) => self.change(|state| state.other_bus = Some(KeyringBus::start(keyring))),
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
            Fault::Keyring(_) => self.change(|state| state.other_bus = None),
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
        let agent = env!("CARGO_BIN_EXE_snow-onboard");
        let mut command = Command::new(if state.open_files.is_some() { "sh" } else { agent });
        if let Some(limit) = state.open_files {
            command.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\""), agent]);
        }
        command.env_clear().stdin(Stdio::null());
        let bus = state.other_bus.as_ref().unwrap_or(self.bus);
        let of_the_keyring = |name: &&str| matches!(*name, "DBUS_SESSION_BUS_ADDRESS" | "XDG_DATA_HOME");
        command.envs(bus.environment().into_iter().filter(|(name, _)| of_the_keyring(name)));
        command.envs(rehearsal.env());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TMPDIR", rehearsal.root().join("tmp")).env("XDG_RUNTIME_DIR", self.runtime.path());
        // A machine that plays two dozen rows at once may need longer than an impatient operator grants.
        command.env("SNOW_ONBOARD_NETWORK_TIMEOUT", "60s");
        for (name, value) in &state.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        enter(state.session, &mut command);
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
                Some(status) => break (status.code(), status.signal()),
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
            // Else the folder could not be removed.
            let _ = Command::new("umount").arg(self.rehearsal.state_home()).status();
        }
    }
}

/// Runs a tool of the system that can't but succeed.
#[track_caller]
pub(crate) fn run_tool(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{}", command.get_program().to_string_lossy());
}

/// What this thread mounts is seen by it and by the processes that it starts, and gone with them.
#[allow(unsafe_code)]
pub(crate) fn mounts_of_its_own() {
    // SAFETY: the call takes flags alone and changes nothing but what this thread sees of the file system.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    run_tool(Command::new("mount").args(["--make-rprivate", "/"]));
}

const JOIN_SESSION_KEYRING: libc::c_int = 1;
const REVOKE: libc::c_int = 3;
const SESSION: libc::c_int = -3;

/// Gives this process a new session keyring (keyctl(2)); there is no safe wrapper.
#[allow(unsafe_code)]
fn join_session() -> std::io::Result<()> {
    // SAFETY: the operation takes a name, and a null one makes an anonymous keyring; no memory is touched.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets a process begin with such a session keyring.
#[allow(unsafe_code)]
fn enter(session: Session, command: &mut Command) {
    let begin = move || match session {
        Session::AsItIs => Ok(()),
        Session::Own => join_session(),
        Session::Revoked => {
            // Where there are no keyrings at all there is none to revoke either.
            if join_session().is_ok() {
                // SAFETY: the operation takes a key's number alone.
                unsafe { libc::syscall(libc::SYS_keyctl, REVOKE, SESSION) };
            }
            Ok(())
        }
    };
    if session != Session::AsItIs {
        // SAFETY: between fork and exec it makes two system calls and allocates nothing.
        unsafe { command.pre_exec(begin) };
    }
}

/// Whether this system gives a process a session keyring.
pub(crate) fn has_session_keyrings() -> bool {
    let mut command = Command::new("true");
    enter(Session::Own, &mut command);
    command.status().is_ok_and(|status| status.success())
}
