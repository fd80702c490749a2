//! The guard: a second process of ours that owns the private home and the client.
//!
//! It takes orders on its stdin ([`crate::device::guard::protocol`]). When that pipe ends, for whatever reason, or SIGTERM comes, it
//! ends the client with its descendants and removes the home, within a second.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::device::client::data::CODE_PLACEHOLDER;
use crate::device::client::own_profiles::OwnProfiles;
use crate::device::client::profile;
use crate::device::guard::child::{ChildEvent, Running, Streams, Woken};
use crate::device::guard::home::Home;
use crate::device::guard::live::{LiveStream, Notice};
use crate::device::guard::protocol::{Live, Order, OutputPiece, Report, Run, VERSION, receive, send};
use crate::device::guard::redacted_stream::RedactedStream;
use crate::device::guard::redaction::Redaction;
use crate::device::guard::{client_log, configure, environment, live};
use crate::model::UnlockCode;
use crate::os::{process, threads};

/// First argument of a process that is to call [`guard_main`].
pub(crate) const GUARD_ARGUMENT: &str = "__guard";

/// What the guard's main loop waits for.
#[derive(Debug)]
pub(in crate::device) enum GuardEvent {
    Order(Box<Order>),
    /// The agent is gone, or somebody wants us to end.
    Stop,
    /// From the command with this number.
    Child(u32, ChildEvent),
}

/// The guard's one queue. Once it has seen a stop it never forgets it.
pub(in crate::device) struct Inbox {
    pub(in crate::device) sender: Sender<GuardEvent>,
    receiver: Receiver<GuardEvent>,
    pub(in crate::device) stopped: bool,
    /// What controls the session of guard and client.
    pub(in crate::device) terminal: Option<process::SessionTerminal>,
    /// When the guard ends by itself: an agent that hangs or was stopped must not keep the code lying.
    until: Option<Instant>,
    /// Where the input goes of the command that runs.
    input: Option<Sender<OutputPiece>>,
    /// Whether its output and its errors are read by nobody any more.
    unread: [Arc<AtomicBool>; 2],
    /// Its process group, where the caller's signals go.
    pub(in crate::device) group: Option<u32>,
    /// Commands so far, to tell the events of one from late ones of another.
    pub(in crate::device) runs: u32,
}

impl Inbox {
    fn new() -> Self {
        let (sender, receiver) = std::sync::mpsc::channel();
        let unread = Default::default();
        let (stopped, terminal, until, input, group) = (false, None, None, None, None);
        Self { sender, receiver, stopped, terminal, until, input, unread, group, runs: 0 }
    }

    /// The next order, or `None` when the guard is to end.
    fn order(&mut self) -> Option<Order> {
        while !self.stopped {
            match self.receiver.recv_timeout(self.left()) {
                Ok(GuardEvent::Order(order)) => return Some(*order),
                Ok(GuardEvent::Child(..)) => {}
                Err(RecvTimeoutError::Timeout) if !self.left().is_zero() => {}
                Ok(GuardEvent::Stop) | Err(_) => self.stopped = true,
            }
        }
        None
    }

    /// The next event of command `number` within `limit`. `None` also when the guard is to end: see `stopped`.
    pub(in crate::device) fn child_event(&mut self, number: u32, limit: Duration) -> Option<ChildEvent> {
        let until = Instant::now() + limit;
        while !self.stopped {
            let left = until.saturating_duration_since(Instant::now()).min(self.left());
            match self.receiver.recv_timeout(left) {
                Ok(GuardEvent::Child(of, event)) if of == number => return Some(event),
                Ok(GuardEvent::Child(..)) => {}
                Err(RecvTimeoutError::Timeout) if !self.left().is_zero() => return None,
                Ok(GuardEvent::Order(order)) => self.meanwhile(*order),
                Ok(GuardEvent::Stop) | Err(_) => self.stopped = true,
            }
        }
        None
    }

    /// What is ordered while a command runs: more input for it, a signal, an end of reading it, more time for the guard, or an end.
    fn meanwhile(&mut self, order: Order) {
        match order {
            Order::Input(piece) => {
                // One that takes no more is not told what would come.
                let _ = self.input.as_ref().map(|input| input.send(piece));
            }
            Order::Unread { errors } => self.unread[usize::from(errors)].store(true, Ordering::Relaxed),
            Order::Signal { number } => _ = self.group.map(|group| process::signal_group(group, number)),
            Order::EndWithin { ms } => self.until = Some(Instant::now() + Duration::from_millis(ms)),
            _ => self.stopped = true,
        }
    }

    /// Time until the guard ends by itself.
    fn left(&self) -> Duration {
        self.until.map_or(Duration::from_secs(3600), |until| until.saturating_duration_since(Instant::now()))
    }
}

/// Main function of the guard process. Gives its exit status: 0 when the home is gone.
///
/// To be called by a process that was started with `GUARD_ARGUMENT`, hardened like the agent, before any other work.
#[must_use]
pub fn guard_main() -> i32 {
    let mut inbox = Inbox::new();
    let events = inbox.sender.clone();
    match process::settle_in(move || events.send(GuardEvent::Stop).is_ok()) {
        Ok(terminal) => inbox.terminal = Some(terminal),
        Err(error) => {
            let why = format!("no terminal of its own can be had ({})", crate::error::io_in_words(&error));
            let _ = say(Report::NotStarted { why });
            return 1;
        }
    }
    if let Err(error) = read_orders(inbox.sender.clone()) {
        let _ = say(Report::NotStarted { why: crate::error::io_in_words(&error) });
        return 1;
    }
    let Some(Order::Begin { places, on_disk, version }) = inbox.order() else { return 0 };
    if version != VERSION {
        let why = format!("this program was replaced by another version ({VERSION}) while it ran");
        let _ = say(Report::NotStarted { why });
        return 1;
    }
    let home = match Home::make(&places, on_disk) {
        Ok(home) => home,
        Err(fault) => {
            let _ = say(Report::NoHome(fault));
            return 1;
        }
    };
    serve(&home, &mut inbox);
    let fault = home.remove().err().map(|error| crate::error::io_in_words(&error));
    // Only now, and not for long: one that hangs in the kernel must hold up neither the removal nor our end.
    process::collect_children(Duration::from_millis(300));
    let status = i32::from(fault.is_some());
    let _ = say(Report::Gone { fault });
    status
}

/// Works off the orders until the end.
fn serve(home: &Home, inbox: &mut Inbox) {
    let Some(path) = home.path().to_str() else { return };
    let (path, rejected) = (path.to_owned(), home.rejected().to_vec());
    if !say(Report::Home { path, in_memory: home.is_in_memory(), rejected }) {
        return;
    }
    // One copy, in locked memory, as long as the home lives.
    let mut code: Option<UnlockCode> = None;
    while let Some(order) = inbox.order() {
        let report = match order {
            Order::EndWithin { ms } => {
                inbox.until = Some(Instant::now() + Duration::from_millis(ms));
                continue;
            }
            // For a command that has ended meanwhile.
            Order::Input(_) | Order::Unread { .. } | Order::Signal { .. } => continue,
            Order::TakeCode { file } => match profile::read_code(Path::new(&file)) {
                Ok(taken) => {
                    code = Some(taken);
                    Report::CodeTaken
                }
                Err(why) => Report::NotStarted { why },
            },
            Order::NameProfile { file, name, more } => match profile::add_names(Path::new(&file), &name, &more) {
                Ok(()) => Report::ProfileNamed,
                Err(why) => Report::NotStarted { why },
            },
            Order::Run(run) => run_command(run, home.path(), code.as_ref(), inbox),
            Order::Configure(order) => match &code {
                Some(code) => configure::run(&order, home.path(), code, inbox),
                None => no_code(),
            },
            // Without the code nobody can tell whether a log holds a part of it.
            Order::ReadLog { folders } => {
                Report::Log(code.as_ref().and_then(|code| client_log::read(home.path(), &folders, code)))
            }
            Order::FindCode { files } => {
                let files = OwnProfiles::in_files(files);
                Report::Found(code.as_ref().map(|code| files.with_code(code)).unwrap_or_default())
            }
            Order::Begin { .. } | Order::End => return,
        };
        if inbox.stopped || !say(report) {
            return;
        }
    }
}

fn no_code() -> Report {
    Report::NotStarted { why: "the guard was not given the code".to_owned() }
}

fn run_command(mut run: Run, home: &Path, code: Option<&UnlockCode>, inbox: &mut Inbox) -> Report {
    for arg in run.args.iter_mut().filter(|arg| *arg == CODE_PLACEHOLDER && run.live.is_none()) {
        let Some(code) = code else { return no_code() };
        *arg = code.expose(str::to_owned);
    }
    let redacted = |passes_binary| RedactedStream::new(code.map(Redaction::of), passes_binary);
    let streams = match run.live.take() {
        Some(Live { input, passes_binary, caller }) => {
            inbox.unread = Default::default();
            let (redacted_output, unread) = (redacted(passes_binary), inbox.unread[0].clone());
            let output = LiveStream { notice: Notice::none(), redacted: redacted_output, unread };
            let notice = Notice::of(environment::notices(home, &run.java_options, run.jvm));
            let errors = LiveStream { notice, redacted: redacted(false), unread: inbox.unread[1].clone() };
            Streams::Live { input, caller, streams: Box::new([output, errors]) }
        }
        None => Streams::Captured,
    };
    let (sender, pieces) = std::sync::mpsc::channel();
    inbox.input = Some(sender);
    let started = Running::start(&run, home, streams, inbox);
    run.args.iter_mut().for_each(zeroize::Zeroize::zeroize);
    let (mut running, input) = match started {
        Ok(started) => started,
        // The system says the same of an interpreter as of the file itself.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && std::path::Path::new(&run.program).exists() => {
            let why = "the program that its first line names, or the loader that it needs, is not on this machine";
            return Report::NotStarted { why: why.to_owned() };
        }
        Err(error) => return Report::NotStarted { why: crate::error::io_in_words(&error) },
    };
    if let Some(input) = input
        && let Err(error) = threads::begin(move || live::feed(input, &pieces))
    {
        running.finish(Woken::Stop);
        return Report::NotStarted { why: crate::error::io_in_words(&error) };
    }
    // What was looked at before the start is not the client's time.
    let until = Instant::now() + run.limit();
    let woken = if say(Report::Started { group: running.group() }) { running.wait(until) } else { Woken::Stop };
    let mut ran = running.finish(woken);
    inbox.input = None;
    ran.read(run.reads);
    ran.redact(code.map(Redaction::of).as_ref());
    Report::Ran(ran)
}

/// Tells the agent. `false` when it is gone.
pub(in crate::device) fn say(report: Report) -> bool {
    send(report, &mut std::io::stdout().lock()).is_ok()
}

/// Reads orders on a thread of its own: a read of a pipe has no deadline, and its end must be seen at any moment.
fn read_orders(sender: Sender<GuardEvent>) -> std::io::Result<()> {
    threads::begin(move || {
        let mut stdin = std::io::stdin().lock();
        while let Some(order) = receive(&mut stdin) {
            if sender.send(GuardEvent::Order(Box::new(order))).is_err() {
                return;
            }
        }
        let _ = sender.send(GuardEvent::Stop);
    })?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Names the folder for the home; absent in a test run that is nobody's child.
    #[cfg(target_os = "linux")]
    const FOLDER: &str = "GUARD_TEST_FOLDER";

    /// What a guard is while a command of the client runs; then one of its threads panics.
    #[test]
    #[cfg(target_os = "linux")]
    #[ignore = "run by another test, in a process of its own"]
    fn a_guard_that_panics() {
        use crate::commands::bug::Part;
        let Ok(folder) = std::env::var(FOLDER) else { return };
        std::panic::set_hook(Box::new(|panic| Part::Guard.end_by_bug(panic.location())));
        let mut inbox = Inbox::new();
        inbox.terminal = Some(process::settle_in(|| true).unwrap());
        let places = [crate::device::guard::protocol::Place { folder, memory_only: false, own_only: false }];
        let home = Home::make(&places, true).unwrap();
        std::fs::write(home.path().join("code"), "secret").unwrap();
        // It and what it starts go on, whoever hangs up, and the latter is in a session of its own.
        let script = "trap '' HUP TERM; setsid sh -c 'echo $$; exec sleep 600' & echo $$; exec sleep 600";
        let mut program = std::process::Command::new("sh");
        program.args(["-c", script]).stdout(std::process::Stdio::piped());
        let mut proc = process::Proc::spawn(program).unwrap();
        let mut lines = std::io::BufReader::new(proc.child().stdout.take().unwrap());
        let mut numbers = String::new();
        for _ in 0..2 {
            std::io::BufRead::read_line(&mut lines, &mut numbers).unwrap();
        }
        std::io::Write::write_all(&mut std::io::stderr(), numbers.as_bytes()).unwrap();
        // The main loop has its report half said.
        let _stdout = std::io::stdout().lock();
        let _ = std::thread::spawn(|| panic!("the secret")).join();
        std::thread::park();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_guard_that_panics_takes_client_and_home_along() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let name = "device::guard::process::tests::a_guard_that_panics";
        command.args(["--exact", name, "--ignored", "--nocapture"]).env(FOLDER, folder.path());
        let ended = command.output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(101), "{stderr}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{stderr}");
        let numbers: Vec<i32> = stderr.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(numbers.len(), 2);
        let is_there = |number: &i32| {
            let process = rustix::process::Pid::from_raw(*number).unwrap();
            // Ended, and not collected yet by whoever has it now.
            let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            rustix::process::test_kill_process(process).is_ok() && !state.contains(") Z ")
        };
        assert!(!numbers.iter().any(is_there), "{numbers:?}");
    }

    #[test]
    fn a_guard_ends_by_itself_when_its_time_is_over() {
        let mut inbox = Inbox::new();
        let soon = || Some(Instant::now() + Duration::from_millis(50));
        assert_eq!(inbox.child_event(1, Duration::from_millis(10)), None);
        assert!(!inbox.stopped, "a control: a command's own limit is no end");
        inbox.until = soon();
        assert_eq!(inbox.child_event(1, Duration::from_secs(600)), None);
        assert!(inbox.stopped, "while a command runs");
        let mut inbox = Inbox::new();
        inbox.until = soon();
        assert!(inbox.order().is_none() && inbox.stopped, "and while none does");
    }
}
