//! What the client was started with, written down for tests that look for leaks.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::StandIn;

/// One start of the client, the ones that its JVM refused included.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invocation {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The process; it may be gone, and its number used again.
    pub pid: u32,
    /// The whole command line that reached the JVM's place, program name included.
    pub argv: Vec<String>,
    /// The whole environment. What is not Unicode is replaced.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The umask, on Unix.
    pub umask: Option<u32>,
    /// The `user.home` in effect, were it given or not.
    pub user_home: PathBuf,
    /// The JVM's options in effect, weakest first.
    pub jvm_options: Vec<String>,
    /// Whether stdin was a terminal.
    pub terminal: bool,
    /// The file descriptors that were open, on Linux.
    pub descriptors: Vec<u32>,
}

impl Invocation {
    pub(super) fn now(user_home: PathBuf, jvm_options: Vec<String>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            at: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            pid: std::process::id(),
            argv: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
            env: std::env::vars_os()
                .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
                .collect(),
            cwd: std::env::current_dir().unwrap_or_default(),
            umask: umask(),
            user_home,
            jvm_options,
            terminal: io::stdin().is_terminal(),
            descriptors: descriptors(),
        }
    }

    /// Appends to the log, in one write, so that clients that run at once do not mix their lines.
    pub(super) fn record(&self, stand_in: &StandIn) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        OpenOptions::new().append(true).create(true).open(&stand_in.log)?.write_all(&line)
    }
}

/// None where there is no such folder.
fn descriptors() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open = entries.filter(|entry| {
        // All but the one that the folder itself is read by.
        entry.path().read_link().is_ok_and(|target| !target.starts_with("/proc"))
    });
    let mut numbers: Vec<u32> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// It can only be read by setting it; nothing of ours runs beside this.
#[cfg(unix)]
fn umask() -> Option<u32> {
    use rustix::{fs::Mode, process::umask};
    let mask = umask(Mode::empty());
    umask(mask);
    // The raw type is narrower on macOS.
    #[allow(clippy::useless_conversion)]
    Some(u32::from(mask.as_raw_mode()))
}

#[cfg(not(unix))]
fn umask() -> Option<u32> {
    None
}
