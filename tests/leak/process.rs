//! Processes, seen through /proc.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// Whether this process is root's. If not, runs the test of this name again as root, by sudo, and panics if it fails; where that
/// asks for a password, the test is counted as skipped.
pub(crate) fn is_root_or_rerun(test: &str) -> bool {
    if geteuid().is_root() {
        return true;
    }
    let sudo = |args: &[&str]| {
        let mut command = Command::new("sudo");
        command.arg("-n").args(args).stdin(Stdio::null());
        command
    };
    if !sudo(&["true"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        snow_rehearsal::skipped("this takes root, or sudo without a password");
        return false;
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let mut again = sudo(&["env", &format!("PATH={path}")]);
    // What tests are told by whoever starts them; sudo takes the rest away.
    let is_told = |name: &str| name.starts_with("SNOW_ONBOARD_") || ["SNAPSHOTS", "SNOW_TESTS_SKIPPED"].contains(&name);
    let told = std::env::vars().filter(|(name, _)| is_told(name));
    again.args(told.map(|(name, value)| format!("{name}={value}"))).arg(std::env::current_exe().unwrap());
    let status = again.args(["--exact", test, "--include-ignored", "--nocapture"]).status();
    assert!(status.is_ok_and(|status| status.success()), "{test} failed as root");
    false
}

/// The same for a test that reads others' memory or traces them, which a container's root may not be allowed to.
pub(crate) fn may_trace_or_rerun(test: &str) -> bool {
    const CAP_SYS_PTRACE: u64 = 1 << 19;
    let effective = || {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?.trim().to_owned();
        u64::from_str_radix(&line, 16).ok()
    };
    is_root_or_rerun(test)
        && (effective().is_some_and(|has| has & CAP_SYS_PTRACE != 0) || {
            snow_rehearsal::skipped("root may not look into other processes here (no CAP_SYS_PTRACE)");
            false
        })
}

/// The same for a test that mounts something where only it and its children see it.
pub(crate) fn may_mount_or_rerun(test: &str) -> bool {
    is_root_or_rerun(test)
        && (may_mount() || {
            snow_rehearsal::skipped("root may mount nothing here (as in most containers)");
            false
        })
}

fn may_mount() -> bool {
    let mut attempt = Command::new("unshare");
    attempt.args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]);
    attempt.stdin(Stdio::null()).stderr(Stdio::null());
    attempt.status().is_ok_and(|status| status.success())
}

/// `/proc/PID/NAME`, unless the process is gone.
pub(crate) fn read(pid: u32, name: &str) -> io::Result<Vec<u8>> {
    fs::read(PathBuf::from(format!("/proc/{pid}/{name}")))
}

fn text(pid: u32, name: &str) -> String {
    read(pid, name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// All process ids there are.
pub(crate) fn all() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The agent's guard.
pub(crate) fn guard_of(agent: u32) -> u32 {
    let is_guard = |pid: &u32| parent(*pid) == Some(agent) && text(*pid, "cmdline").contains("\0__guard\0");
    all().find(is_guard).expect("an agent with a device has a guard")
}

fn parent(pid: u32) -> Option<u32> {
    after_name(pid, 1)?.parse().ok()
}

/// The state letter of proc(5).
pub(crate) fn state(pid: u32) -> Option<char> {
    after_name(pid, 0)?.chars().next()
}

/// A field of `/proc/PID/stat`, counted from the one after the name, which may hold anything.
fn after_name(pid: u32, field: usize) -> Option<String> {
    let stat = text(pid, "stat");
    stat.rsplit_once(')')?.1.split_whitespace().nth(field).map(str::to_owned)
}

/// Whether a thread waits in a write to stdout: the first two fields are the call's number (1 on x86-64, 64 elsewhere)
/// and the descriptor.
pub(crate) fn writes_to_stdout(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.filter_map(|thread| fs::read_to_string(thread.path().join("syscall")).ok()).any(|call| {
        let mut fields = call.split_whitespace();
        matches!(fields.next(), Some("1" | "64")) && fields.next() == Some("0x1")
    })
}

/// The soft and the hard limit of a core file, as the kernel words them.
pub(crate) fn core_limits(pid: u32) -> Vec<String> {
    let limits = text(pid, "limits");
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    line.split_whitespace().skip(4).take(2).map(str::to_owned).collect()
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // One that has ended meanwhile is what most of them are for.
    let _ = kill_process(pid, signal);
}

pub(crate) fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Waits until `condition` holds, generously.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
