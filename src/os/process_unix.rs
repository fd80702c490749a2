//! Linux and macOS: helper processes of ours and the programs that they run: process groups, pseudo-terminals, signals.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};
use rustix::termios::{LocalModes, OptionalActions};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

#[cfg(target_os = "linux")]
use super::process_linux as special;
#[cfg(not(target_os = "linux"))]
use super::process_macos as special;
use super::{ProcessExit, threads};

/// This program, for a helper to be started from. It may have been replaced since it was started; then the helper is to be of
/// the old one, which speaks as we do.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    special::own_program()
}

/// Named as we are, whatever path it is started by. It leaves the caller's process group by itself ([`settle_in`]).
pub(crate) fn prepare_helper(command: &mut Command) {
    command.arg0("snow-onboard");
}

/// What a helper does first: a session of its own, so that neither the terminal's Ctrl-C nor its hang-up reaches it or what it
/// runs, and that can't open the operator's terminal behind our back. Gives the terminal of that session. `stop` is called at
/// SIGTERM, and says whether it wants to be called again.
///
/// # Errors
/// What the system says of signals and pseudo-terminals.
pub(crate) fn settle_in(stop: impl Fn() -> bool + Send + 'static) -> io::Result<SessionTerminal> {
    // Fails only for a leader of a process group, which a freshly started child is not, unless it was started from a
    // shell by hand; that is harmless.
    let _ = rustix::process::setsid();
    special::adopt_orphans();
    set_private_umask();
    // Handlers and not SIG_IGN, which a program would inherit.
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGHUP, SIGTERM])?;
    threads::begin(move || {
        for signal in signals.forever() {
            if signal == SIGTERM && !stop() {
                return;
            }
        }
    })?;
    SessionTerminal::take()
}

/// What is taken from the permissions of new files.
pub(crate) type Umask = rustix::fs::RawMode;

/// The caller's, if this process has one of its own by now.
pub(crate) fn umask_of_caller() -> Option<Umask> {
    super::unix::UMASK_BEFORE.get().map(|mode| mode.as_raw_mode())
}

/// For the program that is started next, which makes files for its user and not for us.
pub(crate) fn set_umask(umask: Umask) {
    let _ = rustix::process::umask(Mode::from_raw_mode(umask));
}

/// For a helper's own files.
fn set_private_umask() {
    let _ = rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Starts a program in a helper with this umask, if there is one, and has the helper's own again after.
pub(crate) fn with_umask<T>(umask: Option<Umask>, start: impl FnOnce() -> T) -> T {
    let Some(umask) = umask else { return start() };
    set_umask(umask);
    let started = start();
    set_private_umask();
    started
}

/// The standard input of this process, for a helper to hold as its stderr until a program that it runs is to have it. It is handed
/// on and not read, so that what that program does not read stays for whoever reads next: a script in a loop that reads a list,
/// a shell to which the next line was typed already.
pub(crate) fn input_to_hand_on() -> Stdio {
    io::stdin().as_fd().try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from)
}

/// In a helper: what it was started with by [`input_to_hand_on`].
pub(crate) fn input_of_caller() -> Stdio {
    io::stderr().as_fd().try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from)
}

/// The terminal that controls a helper's session, whose other end the helper alone holds: when it is gone, whatever ended it,
/// the system hangs up, and SIGHUP reaches the program that it runs with all that is in the program's process group.
pub(crate) struct SessionTerminal {
    theirs: OwnedFd,
}

impl SessionTerminal {
    fn take() -> io::Result<Self> {
        let (mut ours, theirs) = pseudo_terminal()?;
        rustix::process::ioctl_tiocsctty(&theirs)?;
        // What a program writes to /dev/tty is for nobody, and must not block it. Ends with the process.
        threads::begin(move || {
            let mut piece = zeroize::Zeroizing::new([0_u8; 1024]);
            loop {
                match ours.read(&mut piece[..]) {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => return ours,
                    _ => {}
                }
            }
        })?;
        Ok(Self { theirs })
    }

    /// Puts the process group in the foreground, which is the one that is hung up on. One that has ended already is not
    /// there to be.
    pub(crate) fn put_in_front(&self, group: u32) {
        // The helper itself is in the background from the second program on.
        let _ = super::unix_terminal::unstopped(|| rustix::termios::tcsetpgrp(&self.theirs, pid(group)));
    }
}

/// Sends a program and all that is in its process group one of the signals by which a person or the system asks it to end.
pub(crate) fn signal_group(group: u32, number: i32) {
    if let Some(signal) = [Signal::INT, Signal::TERM, Signal::HUP].into_iter().find(|signal| signal.as_raw() == number)
    {
        let _ = rustix::process::kill_process_group(pid(group), signal);
    }
}

/// Whether a child still runs. One that has ended is not collected, so that its number stays its own.
pub(crate) fn is_running(child: &mut Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    matches!(rustix::process::waitid(WaitId::Pid(pid(child.id())), options), Ok(None))
}

/// Collects what children there are as they end, for a moment: who takes over from us may leave them lying as zombies.
pub(crate) fn collect_children(limit: Duration) {
    let until = Instant::now() + limit;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) | Err(_) => return,
        }
    }
}

/// The programs of all [`Proc`]s, by their numbers, each as long as the number is its own. Held while one is started.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn running() -> MutexGuard<'static, BTreeSet<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends every program that this process runs, for one that is to end at once, whatever its other threads are at. None can be
/// started after.
pub(crate) fn end_programs() {
    // One that is being started just now is hung up on, as that of a helper that was killed.
    let Ok(running) = RUNNING.try_lock() else { return };
    running.iter().for_each(|leader| end_program(*leader));
    std::mem::forget(running);
}

/// Ends a program that is not collected yet, its group, and what it left elsewhere.
fn end_program(leader: u32) {
    let leader = pid(leader);
    let _ = rustix::process::kill_process_group(leader, Signal::KILL);
    // Between fork and setpgid the group may not be there yet; the process is.
    let _ = rustix::process::kill_process(leader, Signal::KILL);
    special::end_orphans(leader);
}

/// A program that a helper runs, leader of a process group of its own.
pub(crate) struct Proc {
    child: Child,
    reaped: bool,
}

impl Proc {
    /// No need to look at the process while waiting: [`Proc::watch`] tells.
    pub(crate) const POLL: Option<Duration> = None;

    pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
        command.process_group(0);
        let mut running = running();
        let child = command.spawn()?;
        running.insert(child.id());
        Ok(Self { child, reaped: false })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn group(&self) -> u32 {
        self.child.id()
    }

    /// Calls `told` when the process has ended. It stays a zombie until [`Proc::end`], so that its number can't go to
    /// a stranger between its end and the signal to its group.
    ///
    /// # Errors
    /// That no thread is to be had for it.
    pub(crate) fn watch(&self, told: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let pid = pid(self.child.id());
        threads::begin(move || {
            while let Err(Errno::INTR) =
                rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            {}
            told();
        })?;
        Ok(())
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        false
    }

    /// Ends the process, its group, and what it left elsewhere.
    pub(crate) fn end(&mut self) {
        if !self.reaped {
            end_program(self.child.id());
        }
    }

    /// Leaves the ended process to [`collect_children`]: it may take its time to go.
    pub(crate) fn leave(&mut self) {
        self.let_go();
    }

    /// Collects the ended process.
    pub(crate) fn reap(&mut self) -> io::Result<ProcessExit> {
        self.let_go();
        let status = self.child.wait()?;
        Ok(ProcessExit { code: status.code(), signal: status.signal() })
    }

    /// From here on its number may be a stranger's.
    fn let_go(&mut self) {
        self.reaped = true;
        running().remove(&self.child.id());
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        if !self.reaped {
            self.end();
            self.let_go();
            let _ = self.child.wait();
        }
    }
}

/// For the agent whose helper is gone: ends the program's process group, and on Linux whatever else is in the helper's session.
/// `helper` must not have been collected yet, so that its number is still its own.
pub(crate) fn end_without_helper(helper: u32, group: Option<u32>) {
    if let Some(group) = group
        && is_of_session(pid(group), pid(helper))
    {
        let _ = rustix::process::kill_process_group(pid(group), Signal::KILL);
    }
    special::end_session(pid(helper));
}

/// Whether the process group `group` is one of the helper's session. The program may have ended and been collected by
/// init, and its number gone to a stranger, who is in another session. While only others of the group live, nobody gets
/// its number, so a group without its leader is still the old one.
fn is_of_session(group: Pid, helper: Pid) -> bool {
    special::is_of_session(group, helper).unwrap_or(true)
}

/// A pseudo-terminal that does not echo: our end, and the program's.
///
/// # Errors
/// What the system says.
pub(crate) fn open_terminal() -> io::Result<Option<(File, OwnedFd)>> {
    pseudo_terminal().map(Some)
}

fn pseudo_terminal() -> io::Result<(File, OwnedFd)> {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    // posix_openpt knows no O_CLOEXEC; the helper starts no other process between these two lines.
    rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let theirs = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut modes = rustix::termios::tcgetattr(&theirs)?;
    modes.local_modes.remove(LocalModes::ECHO | LocalModes::ECHOE | LocalModes::ECHOK | LocalModes::ECHONL);
    rustix::termios::tcsetattr(&theirs, OptionalActions::Now, &modes)?;
    Ok((File::from(ours), theirs))
}

fn pid(number: u32) -> Pid {
    i32::try_from(number).ok().and_then(Pid::from_raw).expect("the number of a child process")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_another_session_is_not_ended() {
        let mut stranger = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let mut guard = Command::new("sleep").arg("600").spawn().unwrap();
        // As if the client's number had gone to the stranger, who is in our session and not in one of the guard's.
        end_without_helper(guard.id(), Some(stranger.id()));
        assert!(is_running(&mut stranger));
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        assert!(is_of_session(pid(stranger.id()), pid(guard.id())), "one that is gone is of any");
        guard.kill().unwrap();
        guard.wait().unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_in_the_session_of_a_guard_is_ended() {
        // The leader of a session of its own, as a guard is, with a client in a group of its own.
        let script = "set -m; sleep 600 & echo $!; wait";
        let mut guard = Command::new("setsid");
        let mut guard = guard.args(["sh", "-c", script]).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(guard.stdout.take().unwrap()), &mut line).unwrap();
        let client: u32 = line.trim().parse().unwrap();
        assert!(is_of_session(pid(client), pid(guard.id())));
        assert!(!is_of_session(pid(std::process::id()), pid(guard.id())), "a control");
        end_without_helper(guard.id(), Some(client));
        // Which was its child, and told it.
        assert!(guard.wait().unwrap().success());
    }
}
