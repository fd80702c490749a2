//! A tracer of the test's own: it sees every system call of the agent's threads, and can end the agent before any of
//! them. The agent's children, guard and client, are not followed: they have to live on, and clean up.
#![allow(unsafe_code)]

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use libc::c_long;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A thread of the agent, before or after a system call.
pub(crate) struct Stop {
    thread: Pid,
    /// Whether the call is still to be made.
    pub(crate) before: bool,
    /// The call's number.
    pub(crate) number: c_long,
    /// The call's arguments.
    pub(crate) args: [u64; 6],
    /// What it gave, once it was made; negative is an error.
    pub(crate) result: i64,
}

/// What is to become of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    GoOn,
    /// SIGKILL, now; the call is not made.
    Kill,
}

/// How a traced agent ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code, or `None` after a signal.
    pub(crate) code: Option<i32>,
    /// What it wrote, stdout and stderr together.
    pub(crate) output: String,
}

/// Runs `command` to its end. `look` sees each of its system calls twice, before and after.
pub(crate) fn trace(command: &mut Command, look: &mut (dyn FnMut(&Stop) -> Verdict + Send)) -> Ended {
    let mut output = tempfile::tempfile().unwrap();
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output.try_clone().unwrap());
    // On a thread of its own, which has no other child: so its waits take no other test's child away.
    let code = std::thread::scope(|scope| scope.spawn(|| follow(command, look)).join().unwrap());
    let mut text = Vec::new();
    output.seek(SeekFrom::Start(0)).unwrap();
    output.read_to_end(&mut text).unwrap();
    Ended { code, output: String::from_utf8_lossy(&text).into_owned() }
}

fn follow(command: &mut Command, look: &mut dyn FnMut(&Stop) -> Verdict) -> Option<i32> {
    // SAFETY: between fork and exec it makes one system call, and neither allocates nor takes a lock.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(std::io::Error::from)) };
    let agent = Pid::from_raw(command.spawn().unwrap().id().cast_signed());
    // It stands still at the end of its exec, before its first instruction.
    assert!(matches!(waitpid(agent, Some(WaitPidFlag::__WALL)), Ok(WaitStatus::Stopped(_, Signal::SIGTRAP))));
    // Only what `clone` makes without SIGCHLD is followed: threads. And it dies with its tracer.
    let options = Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE;
    ptrace::setoptions(agent, options).unwrap();
    go_on(agent, None);
    let mut threads = HashSet::from([agent]);
    let mut killed = false;
    loop {
        let any = Pid::from_raw(-1);
        match waitpid(any, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == agent => return Some(code),
            Ok(WaitStatus::Signaled(pid, ..)) if pid == agent => return None,
            Ok(WaitStatus::PtraceSyscall(thread)) if !killed => match stop(thread).map(|stop| look(&stop)) {
                Some(Verdict::Kill) => {
                    kill(agent, Signal::SIGKILL).unwrap();
                    killed = true;
                }
                Some(Verdict::GoOn) | None => go_on(thread, None),
            },
            // A new thread begins with a stop that nobody sent.
            Ok(WaitStatus::Stopped(thread, Signal::SIGSTOP)) if threads.insert(thread) => go_on(thread, None),
            Ok(WaitStatus::Stopped(thread, signal)) => go_on(thread, Some(signal)),
            Ok(WaitStatus::PtraceEvent(thread, ..) | WaitStatus::PtraceSyscall(thread)) => go_on(thread, None),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => panic!("the agent was lost: {error}"),
        }
    }
}

fn go_on(thread: Pid, signal: Option<Signal>) {
    match ptrace::syscall(thread, signal) {
        // It was killed with the rest of its process meanwhile.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("a thread can't go on: {error}"),
    }
}

fn stop(thread: Pid) -> Option<Stop> {
    let info = ptrace::syscall_info(thread).ok()?;
    let registers = ptrace::getregs(thread).ok()?;
    let before = info.op == libc::PTRACE_SYSCALL_INFO_ENTRY;
    #[cfg(target_arch = "x86_64")]
    let (number, args, result) = {
        let r = registers;
        (r.orig_rax, [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9], r.rax)
    };
    #[cfg(target_arch = "aarch64")]
    let (number, args, result) = {
        let r = registers.regs;
        // After the call the first argument is overwritten by the result.
        (r[8], [r[0], r[1], r[2], r[3], r[4], r[5]], r[0])
    };
    Some(Stop { thread, before, number: number.cast_signed(), args, result: result.cast_signed() })
}

impl Stop {
    /// The number of the thread.
    pub(crate) fn thread(&self) -> i32 {
        self.thread.as_raw()
    }

    /// `length` bytes of the agent's memory.
    pub(crate) fn memory(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let memory = File::open(format!("/proc/{}/mem", self.thread)).expect("root reads the memory of any process");
        let mut filled = 0;
        // What was asked for may end in a page that is not there.
        while let Ok(more @ 1..) = memory.read_at(&mut bytes[filled..], address + filled as u64) {
            filled += more;
        }
        bytes.truncate(filled);
        bytes
    }

    /// The text at an address, up to its zero byte.
    pub(crate) fn text(&self, address: u64) -> String {
        let bytes = self.memory(address, libc::PATH_MAX as usize);
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    /// What a descriptor of the agent is open on.
    pub(crate) fn descriptor(&self, descriptor: u64) -> Option<PathBuf> {
        std::fs::read_link(self.link(descriptor)).ok()
    }

    /// Where the next `write` through a descriptor goes.
    pub(crate) fn position(&self, descriptor: u64) -> Option<u64> {
        let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/{}", self.thread, descriptor as u32)).ok()?;
        let field = |name| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let flags = libc::c_int::from_str_radix(field("flags:")?, 8).ok()?;
        if flags & libc::O_APPEND != 0 {
            return std::fs::metadata(self.link(descriptor)).ok().map(|meta| meta.len());
        }
        field("pos:")?.parse().ok()
    }

    pub(crate) fn is_regular_file(&self, descriptor: u64) -> bool {
        std::fs::metadata(self.link(descriptor)).is_ok_and(|meta| meta.is_file())
    }

    fn link(&self, descriptor: u64) -> String {
        format!("/proc/{}/fd/{}", self.thread, descriptor as u32)
    }
}
