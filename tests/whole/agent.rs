//! The agent as a process, started through nothing but its public surface.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
#[cfg(unix)]
use std::time::{Duration, Instant};

use snow_rehearsal::Rehearsal;

/// A command line of the agent in the surroundings of a rehearsal: no variable of this process but PATH.
pub(crate) struct Agent {
    command: Command,
}

/// How the agent ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Agent {
    /// `snow-onboard ARGS… --ca-bundle …` with the rehearsal's variables.
    pub(crate) fn new<S: AsRef<std::ffi::OsStr>>(rehearsal: &Rehearsal, args: impl IntoIterator<Item = S>) -> Self {
        let mut agent = Self::bare(args);
        agent.command.envs(rehearsal.env()).arg("--ca-bundle").arg(rehearsal.ca_bundle());
        agent
    }

    /// `run JOB --endpoint … --client …` for the rehearsal's first job.
    pub(crate) fn run(rehearsal: &Rehearsal, more: &[&str]) -> Self {
        Self::run_with(rehearsal, rehearsal.client_path(), more)
    }

    /// The same with another client.
    pub(crate) fn run_with(rehearsal: &Rehearsal, client: &Path, more: &[&str]) -> Self {
        let job = rehearsal.job();
        let mut args: Vec<OsString> = vec!["run".into(), job.id().into(), "--endpoint".into()];
        args.push(rehearsal.device().endpoint().into());
        args.extend(["--client".into(), client.into()]);
        args.extend(more.iter().map(OsString::from));
        Self::new(rehearsal, args)
    }

    /// `snow-onboard ARGS…` with PATH and nothing else.
    pub(crate) fn bare<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snow-onboard"));
        command.env_clear().args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for kept in ["PATH", "SystemRoot", "TEMP", "WINEPREFIX"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        Self { command }
    }

    /// The same by another copy of the program.
    #[cfg(target_os = "linux")]
    pub(crate) fn by(self, program: &Path) -> Self {
        let mut command = Command::new(program);
        command.args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn envs(mut self, variables: Vec<(&'static str, String)>) -> Self {
        self.command.envs(variables);
        self
    }

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// The same with a file as its input.
    #[cfg(target_os = "linux")]
    pub(crate) fn reading(mut self, file: &Path) -> Self {
        self.command.stdin(std::fs::File::open(file).unwrap());
        self
    }

    /// The same from a shell that has left a descriptor open.
    #[cfg(target_os = "linux")]
    pub(crate) fn with_a_descriptor_too_many(self) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "exec 9</dev/null; exec \"$0\" \"$@\""]).arg(self.command.get_program());
        command.args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    /// The same where so many files may be open at a time.
    #[cfg(target_os = "linux")]
    pub(crate) fn with_open_files(self, limit: u32) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]).arg(self.command.get_program());
        command.args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    /// The same where no file may be larger than so many units of the shell's.
    #[cfg(target_os = "linux")]
    pub(crate) fn with_files_of(self, limit: u32) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -f {limit}; exec \"$0\" \"$@\"")]).arg(self.command.get_program());
        command.args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    /// The same where `etc` is what lies at /etc: in mounts of its own, for which one has to be root.
    #[cfg(target_os = "linux")]
    pub(crate) fn with_etc(self, etc: &Path) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc && exec \"$@\""]).arg(etc);
        command.arg(self.command.get_program()).args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    /// The same in mounts of its own, which `script` makes of these two words: for which one has to be root.
    #[cfg(target_os = "linux")]
    pub(crate) fn in_mounts(self, script: &str, first: &Path, second: &str) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).arg(first).arg(second);
        command.arg(self.command.get_program()).args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    /// For what is not to be started here.
    #[cfg(target_os = "linux")]
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    pub(crate) fn spawn(mut self) -> Child {
        self.command.spawn().unwrap()
    }

    /// Runs it to its end.
    pub(crate) fn end(self) -> Ended {
        self.spawn().wait_with_output().unwrap().into()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// Asserts success.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.stdout, self.stderr);
        self
    }

    /// Asserts a failure with this exit code, whose sentence contains `words`.
    #[track_caller]
    pub(crate) fn failed(self, exit: i32, words: &str) -> Self {
        assert_eq!(self.status.code(), Some(exit), "{}\n{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(words), "“{words}” is not in:\n{}", self.stderr);
        self
    }

    /// The one result object of a `--json` run.
    #[track_caller]
    pub(crate) fn json(&self, event: &str) -> serde_json::Value {
        let lines: Vec<serde_json::Value> =
            self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.into_iter().find(|line| line["event"] == event).unwrap_or_else(|| panic!("no {event} in {}", self.stdout))
    }
}

/// Where the agent keeps its state in this rehearsal.
pub(crate) fn state(rehearsal: &Rehearsal) -> PathBuf {
    if cfg!(target_os = "macos") {
        rehearsal.home().join("Library/Application Support/snow-onboard")
    } else {
        rehearsal.state_home().join("snow-onboard")
    }
}

/// Every file below `folder`, with its content.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let Ok(entries) = folder.read_dir() else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        // A draft may be gone between the list and this.
        let Ok(about) = path.symlink_metadata() else { continue };
        if about.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap_or_default()));
        }
    }
    found
}

/// Files below `folder` that contain the text.
pub(crate) fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let found = files(folder).into_iter().filter(|(_, content)| contains(content, text));
    found.map(|(path, _)| path).collect()
}

pub(crate) fn contains(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Waits until `condition` holds, generously.
#[cfg(unix)]
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}
