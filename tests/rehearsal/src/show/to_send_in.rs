//! The last lines of a rehearsal: what somebody who was not there needs to know. Verdicts only: their texts name folders,
//! and a folder may name a user.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use super::{Keychain, say};

pub(super) fn print(agent: &Path, keychain: Keychain, verdicts: &[(String, bool)]) {
    say("\nReport (no secrets, no names; it can be sent in)");
    let line = |what: &str, text: &str| say(&format!("  {what:<12} {text}"));
    line("Rehearsal", env!("CARGO_PKG_VERSION"));
    line("Program", &first_line(agent, &["--version"]).unwrap_or_else(|| "does not tell its version".to_owned()));
    line("System", &system());
    line("Keychain", &keychain.to_string());
    for (what, good) in verdicts {
        line(what, if *good { "ok" } else { "FAILED" });
    }
    line("Verdict", if verdicts.iter().all(|(_, good)| *good) { "ok" } else { "FAILED" });
}

/// The system's name and version, its kernel, and the processor's kind.
fn system() -> String {
    let named = if cfg!(windows) {
        first_line(Path::new("cmd"), &["/c", "ver"])
    } else if cfg!(target_os = "macos") {
        first_line(Path::new("/usr/bin/sw_vers"), &["-productVersion"]).map(|version| format!("macOS {version}"))
    } else {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        name.map(|name| format!("{}, Linux {}", name.trim_matches('"'), kernel.trim()))
    };
    format!("{}, {}", named.unwrap_or_else(|| env::consts::OS.to_owned()), env::consts::ARCH)
}

/// The first line with something in it: Windows' `ver` begins with an empty one.
fn first_line(program: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find(|line| !line.trim().is_empty())
        .map(|line| line.trim().to_owned())
}
