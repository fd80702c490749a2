//! The stand-ins, the agent before them, and what to look for.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use snow_rehearsal::{Builder, Invocation, Rehearsal};

use crate::keyring_bus::{Keyring, KeyringBus};
use crate::needles::Needles;
use crate::process::{self, wait_until};
use crate::scan;

/// A rehearsal, perhaps with a keyring, and the folders that the agent is given.
pub(crate) struct Stage {
    pub(crate) rehearsal: Rehearsal,
    pub(crate) bus: Option<KeyringBus>,
}

impl Stage {
    /// The agent keeps nothing here.
    pub(crate) fn without_keychain(builder: Builder) -> Self {
        let rehearsal = builder.start().unwrap();
        for folder in ["tmp", "cwd"] {
            fs::create_dir(rehearsal.root().join(folder)).unwrap();
        }
        Self { rehearsal, bus: None }
    }

    /// The agent keeps the code in a keyring with a password.
    pub(crate) fn with_keyring(builder: Builder) -> Self {
        Self { bus: Some(KeyringBus::start(Keyring::Unlocked)), ..Self::without_keychain(builder) }
    }

    /// The working directory of the agent.
    pub(crate) fn cwd(&self) -> PathBuf {
        self.rehearsal.root().join("cwd")
    }

    pub(crate) fn id(&self) -> String {
        self.rehearsal.job().id().to_owned()
    }

    pub(crate) fn code(&self) -> Needles {
        Needles::of(&self.rehearsal.job().unlock_code())
    }

    /// The signature of the one address that was handed out.
    pub(crate) fn signature(&self) -> String {
        let addresses = self.rehearsal.issued_addresses();
        let (_, after) = addresses.last().unwrap().split_once("X-Amz-Signature=").unwrap();
        after.split('&').next().unwrap().to_owned()
    }

    /// `snow-onboard ARGS…` in these surroundings and with no other variable of ours than PATH.
    pub(crate) fn agent<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snow-onboard"));
        self.surround(&mut command).args(args);
        command.arg("--ca-bundle").arg(self.rehearsal.ca_bundle());
        if self.bus.is_none() {
            command.args(["--keychain", "none"]);
        }
        command
    }

    /// Gives a command the agent's environment and working directory.
    pub(crate) fn surround<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(self.rehearsal.env());
        command.env("TMPDIR", self.rehearsal.root().join("tmp")).current_dir(self.cwd());
        let of_the_keyring = |name: &str| matches!(name, "DBUS_SESSION_BUS_ADDRESS" | "XDG_DATA_HOME");
        if let Some(bus) = &self.bus {
            command.envs(bus.environment().into_iter().filter(|(name, _)| of_the_keyring(name)));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())
    }

    /// `run JOB` with the rehearsal's device and client.
    pub(crate) fn run(&self) -> Command {
        let (id, endpoint) = (self.id(), self.rehearsal.device().endpoint());
        self.agent(["run", &id, "--endpoint", &endpoint, "--client", self.rehearsal.client_path().to_str().unwrap()])
    }

    /// `VERB …` with the rehearsal's client, and what stands after two hyphens for it.
    pub(crate) fn with_client(&self, words: &[&str], for_client: &[&str]) -> Command {
        let client = ["--client", self.rehearsal.client_path().to_str().unwrap()];
        let mut agent = self.agent(words.iter().chain(&client));
        if !for_client.is_empty() {
            agent.arg("--").args(for_client);
        }
        agent
    }

    pub(crate) fn fetch(&self) -> Command {
        self.agent(["fetch", &self.id()])
    }

    /// The first start of the client with this command.
    pub(crate) fn client_at(&self, command: &str) -> Option<Invocation> {
        let calls = self.rehearsal.client_invocations().unwrap();
        calls.into_iter().find(|call| call.argv.iter().any(|arg| arg == command))
    }

    /// Waits for the first start of the client with this command.
    pub(crate) fn wait_for_client(&self, command: &str) -> Invocation {
        wait_until("the client", || self.client_at(command).is_some());
        self.client_at(command).unwrap()
    }

    /// Every file that holds the code, of all the agent could have written: home, state, temporary and runtime folder,
    /// working directory, the client's log, and shared memory.
    pub(crate) fn files_with_code(&self) -> Vec<PathBuf> {
        let code = self.code();
        let mut found = scan::files_with(self.rehearsal.root(), &code);
        found.extend(scan::files_with(Path::new("/dev/shm"), &code));
        if let Some(bus) = &self.bus {
            found.extend(scan::files_with(bus.home().parent().unwrap(), &code));
        }
        found
    }
}

/// A process that is ended with its test, by its own id.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pipe so full that whoever writes to it next waits.
pub(crate) struct FullPipe {
    reader: io::PipeReader,
    filled: usize,
}

impl FullPipe {
    /// The pipe, and its end for the process that is to wait.
    pub(crate) fn new() -> (Self, io::PipeWriter) {
        let (reader, mut writer) = io::pipe().unwrap();
        let flags = fcntl_getfl(&writer).unwrap();
        fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
        let mut filled = 0;
        for part in [&[b' '; 4096][..], b" "] {
            while let Ok(written) = writer.write(part) {
                filled += written;
            }
        }
        fcntl_setfl(&writer, flags).unwrap();
        (Self { reader, filled }, writer)
    }

    /// Waits until `process` waits for room to write its result.
    pub(crate) fn hold(&self, process: &mut Running) {
        let pid = process.id();
        wait_until("the result to be written", || process::writes_to_stdout(pid) || !process::is_alive(pid));
        assert!(process::writes_to_stdout(pid), "ended before its result");
    }

    /// Makes room, and gives what is written until the other end is closed.
    pub(crate) fn drain(mut self) -> String {
        let mut text = String::new();
        self.reader.read_to_string(&mut text).unwrap();
        text.split_off(self.filled)
    }
}
