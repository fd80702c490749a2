//! The agent's end of the pipe to its guard.

use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use crate::device::client::find::unusable;
use crate::device::client::own_profiles::{OwnProfile, OwnProfiles};
use crate::device::guard::process::GUARD_ARGUMENT;
use crate::device::guard::protocol::{HomeFault, Order, OutputPiece, Place, Ran, Report, Run, VERSION, receive, send};
use crate::device::guard::{child, environment, home};
use crate::error::{Error, Result, io_in_words};
use crate::os::{process, threads};
use crate::report::{Event, Notify};
use crate::safety::path_trust::FolderToRemove;

/// How long the guard may take to answer where it does not wait for the client.
const PROMPT: Duration = Duration::from_secs(20);
/// How long the guard may take beyond the client's own limit: ending it, and a machine that swaps.
const SLACK: Duration = Duration::from_secs(15);
/// How long a guard that has said its last word may take to end.
const COLLECT: Duration = Duration::from_secs(2);

/// How often the guard is told, while a live command runs, that the agent is there.
const ATTENDED: Duration = Duration::from_secs(60);
/// How long the guard goes on without that: the agent was stopped, or what it passes on is not read.
const UNATTENDED: Duration = Duration::from_secs(60 * 60);

/// So many reports may wait to be worked off. Then the guard waits, and the client with it, as for any reader that is slow.
const BACKLOG: usize = 16;

/// What the operator's end of a command of the client is tied to.
pub struct ClientStreams<'a> {
    /// What it is given to read; nothing if `None`.
    pub input: Option<Box<dyn Read + Send>>,
    /// What it says.
    pub output: &'a mut dyn Write,
    /// Somebody reads that as it comes, on a terminal. Elsewhere binary data is passed on without a look at it.
    pub is_shown: bool,
    /// What it says of errors.
    pub errors: &'a mut dyn Write,
}

/// What the agent waits for.
enum Incoming {
    Report(Report),
    /// The guard says nothing more.
    Ended,
    /// Input for the live command with this number.
    Input(u32, OutputPiece),
    /// A signal for the one with this number.
    Signal(u32, i32),
}

/// Passes the caller's signals on to one command of the client.
#[derive(Clone)]
pub(crate) struct SignalSender {
    sender: SyncSender<Incoming>,
    number: u32,
}

impl SignalSender {
    /// `false` if it can't be passed on: the agent is busy with a reader that does not read.
    pub(crate) fn send(&self, signal: i32) -> bool {
        cfg!(unix) && self.sender.try_send(Incoming::Signal(self.number, signal)).is_ok()
    }
}

/// Has a guard end while somebody waits for its answer.
pub(in crate::device) struct EndSender(SyncSender<Incoming>);

impl EndSender {
    pub(in crate::device) fn send(&self) {
        // One that has much to say is ended at the time limit of its command.
        let _ = self.0.try_send(Incoming::Ended);
    }
}

/// The guard, as long as it lives. Dropping it ends the client and removes the home.
pub(in crate::device) struct GuardHandle {
    guard: Child,
    /// `None` once it is closed, which alone makes the guard end.
    orders: Option<ChildStdin>,
    incoming: Receiver<Incoming>,
    /// For those who read for it.
    sender: SyncSender<Incoming>,
    /// It says nothing any more.
    has_ended: bool,
    /// Live commands so far, to tell the input for one from what was read for another.
    runs: u32,
    home: PathBuf,
    /// The same, open from the beginning: a client may give it another name.
    folder: Option<FolderToRemove>,
    in_memory: bool,
    rejected: Vec<String>,
    left_out: Option<String>,
    notify: Arc<dyn Notify>,
    /// Process group of a client that may still run.
    group: Option<u32>,
    /// The home is gone, or has been seen to.
    is_over: bool,
}

impl GuardHandle {
    /// Starts `program` as the guard and has it make a home in one of `places`; where that would be `on_disk` though the system
    /// has memory for it, only if that is agreed to.
    pub(in crate::device) fn start(
        program: &Path,
        places: Vec<Place>,
        on_disk: bool,
        notify: Arc<dyn Notify>,
    ) -> Result<Self> {
        let (variables, left_out) = environment::trusted(std::env::vars_os());
        let mut command = Command::new(program);
        command
            .arg(GUARD_ARGUMENT)
            .env_clear()
            .envs(variables)
            .current_dir(child::neutral_folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What it says there is for nobody, so that there is room for what the client may come to read.
            .stderr(process::input_to_hand_on());
        process::prepare_helper(&mut command);
        let mut guard = command.spawn().map_err(|error| not_started(&error))?;
        let (Some(orders), Some(stdout)) = (guard.stdin.take(), guard.stdout.take()) else {
            return Err(Error::Internal { what: "a child without the pipes it was given".to_owned() });
        };
        let (sender, incoming) = sync_channel(BACKLOG);
        let reports = sender.clone();
        let reading = threads::begin(move || {
            let mut stdout = BufReader::new(stdout);
            while let Some(report) = receive(&mut stdout) {
                if reports.send(Incoming::Report(report)).is_err() {
                    return;
                }
            }
            let _ = reports.send(Incoming::Ended);
        });
        if let Err(error) = reading {
            // It ends with the pipe, and has made nothing yet.
            drop(orders);
            let _ = guard.wait();
            return Err(Error::of_system("a thread that waits for the client", &error));
        }
        let mut link = Self {
            guard,
            orders: Some(orders),
            incoming,
            sender,
            has_ended: false,
            runs: 0,
            home: PathBuf::new(),
            folder: None,
            in_memory: false,
            rejected: Vec::new(),
            left_out,
            notify,
            group: None,
            is_over: false,
        };
        link.order(Order::Begin { places, on_disk, version: VERSION.to_owned() })?;
        match link.report(PROMPT)? {
            Report::Home { path, in_memory, rejected } => {
                tracing::debug!(home = path, in_memory, "the private home is made");
                (link.home, link.in_memory, link.rejected) = (PathBuf::from(path), in_memory, rejected);
                // One that can't be opened is removed by its name, and told if it stays.
                link.folder = FolderToRemove::open(&link.home).ok();
                Ok(link)
            }
            Report::NoHome(HomeFault::Impossible { why }) => Err(Error::PrivateHomeImpossible { why }),
            Report::NoHome(HomeFault::OnDisk { folder, why }) => Err(Error::PrivateHomeOnDisk { folder, why }),
            Report::NoHome(HomeFault::Unusable { path, why }) => Err(Error::PrivateHomeUnusable { path, why }),
            Report::NotStarted { why } => Err(Error::GuardNotStarted { why }),
            _ => Err(link.lost("it sent an unexpected message")),
        }
    }

    pub(in crate::device) fn home(&self) -> &Path {
        &self.home
    }

    pub(in crate::device) fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// What is to be warned of: what the client does not get.
    pub(in crate::device) fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    /// Why the home is not in a place that was better.
    pub(in crate::device) fn rejected(&self) -> &[String] {
        &self.rejected
    }

    /// Runs a command of the client. `Err(ClientUnusable)` if it can't even be started.
    pub(in crate::device) fn run(&mut self, run: Run) -> Result<Ran> {
        self.run_for(run, None)
    }

    /// The same, for somebody who looks on if there are streams.
    pub(in crate::device) fn run_for(&mut self, run: Run, streams: Option<&mut ClientStreams<'_>>) -> Result<Ran> {
        let (program, limit) = (run.program.clone(), run.limit());
        // The first argument names the command; later ones may stand for the code.
        let command = run.args.first().cloned().unwrap_or_default();
        tracing::debug!(command, program, "the client is started");
        let order = Order::Run(run);
        let report = match streams {
            Some(streams) => self.converse_live(order, limit, streams)?,
            None => self.converse(order, limit + SLACK)?,
        };
        match report {
            Report::Ran(ran) => {
                let Ran { code, signal, timed_out, millis, dropped, .. } = ran;
                tracing::info!(command, exit = code, signal, timed_out, millis, dropped, "the client has ended");
                if !ran.succeeded() {
                    tracing::debug!(
                        command,
                        said = crate::device::client::output::client_output(&ran),
                        "the client has failed"
                    );
                }
                Ok(ran)
            }
            Report::NotStarted { why } => Err(unusable(&program, format!("it can't be started: {why}"), true)),
            _ => Err(self.lost("it spoke out of turn")),
        }
    }

    /// Has the guard take the code from `file` in its home, which alone knows it from then on.
    pub(in crate::device) fn take_code(&mut self, file: &Path) -> Result<()> {
        let Some(file) = file.to_str() else {
            return Err(Error::Internal { what: "a home whose path is not Unicode".to_owned() });
        };
        match self.converse(Order::TakeCode { file: file.to_owned() }, PROMPT)? {
            Report::CodeTaken => Ok(()),
            Report::NotStarted { why } => Err(Error::GuardLost { why }),
            _ => Err(self.lost("it spoke out of turn")),
        }
    }

    /// Has the guard give the profile `name` in the client's `file` more names.
    pub(in crate::device) fn name_profile(&mut self, file: &Path, name: &str, more: Vec<String>) -> Result<()> {
        let file = file.display().to_string();
        match self.converse(Order::NameProfile { file, name: name.to_owned(), more }, PROMPT)? {
            Report::ProfileNamed => Ok(()),
            Report::NotStarted { why } => Err(Error::OnlyPrivate { why }),
            _ => Err(self.lost("it spoke out of turn")),
        }
    }

    /// For the live command that is run next.
    pub(in crate::device) fn signal_sender(&self) -> SignalSender {
        SignalSender { sender: self.sender.clone(), number: self.runs + 1 }
    }

    /// For the command that is run next, by whoever may want its answer no more.
    pub(in crate::device) fn end_sender(&self) -> EndSender {
        EndSender(self.sender.clone())
    }

    /// What the client logged in these folders of the home, fit to be kept.
    pub(in crate::device) fn read_log(&mut self, folders: &[Vec<String>]) -> Option<String> {
        match self.converse(Order::ReadLog { folders: folders.to_vec() }, PROMPT) {
            Ok(Report::Log(log)) => log,
            // A home that is gone has nothing to tell.
            _ => None,
        }
    }

    /// Where the code stands in clear in the operator's own files.
    pub(in crate::device) fn find_code(&mut self, files: &OwnProfiles) -> Vec<OwnProfile> {
        match self.converse(Order::FindCode { files: files.to_tell() }, PROMPT) {
            Ok(Report::Found(found)) => found,
            _ => Vec::new(),
        }
    }

    /// Has the guard end by itself when `time` has passed.
    pub(in crate::device) fn end_within(&mut self, time: Duration) -> Result<()> {
        self.order(Order::EndWithin { ms: crate::device::millis(time) })
    }

    /// Gives an order and waits for the report that ends it.
    pub(in crate::device) fn converse(&mut self, order: Order, limit: Duration) -> Result<Report> {
        self.order(order)?;
        let until = Instant::now() + limit;
        loop {
            match self.report(until.saturating_duration_since(Instant::now()))? {
                Report::Started { group } => self.group = Some(group),
                report => {
                    self.group = None;
                    return Ok(report);
                }
            }
        }
    }

    /// The same for a live command: what it says goes to `streams`, and their input to it.
    fn converse_live(&mut self, order: Order, limit: Duration, streams: &mut ClientStreams<'_>) -> Result<Report> {
        self.end_within(UNATTENDED)?;
        let run = self.runs + 1;
        let wanted = streams.input.take().map(|input| read_input(input, run, self.sender.clone())).transpose();
        let wanted = wanted.map_err(|error| Error::of_system("a thread that reads the client's input", &error))?;
        self.order(order)?;
        self.runs = run;
        let (mut attended, mut until) = (Instant::now(), Instant::now() + limit + SLACK);
        let mut unread = [false; 2];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.incoming(left.min(ATTENDED)) {
                Ok(Incoming::Report(Report::Said { errors, .. })) if unread[usize::from(errors)] => {}
                Ok(Incoming::Report(Report::Said { errors, piece })) => {
                    let stream = if errors { &mut streams.errors } else { &mut streams.output };
                    match stream.write_all(piece.bytes()).and_then(|()| stream.flush()) {
                        // A reader that has gone is for the client to see, which may have more to do.
                        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                            unread[usize::from(errors)] = true;
                            self.order(Order::Unread { errors })?;
                        }
                        Err(error) => {
                            self.end_all();
                            return Err(Error::OutputLost { why: io_in_words(&error) });
                        }
                        Ok(()) => {}
                    }
                    // Its reader may have taken all its time.
                    until = until.max(Instant::now() + SLACK);
                }
                Ok(Incoming::Report(Report::InputTaken)) => {
                    let _ = wanted.as_ref().map(|wanted| wanted.send(()));
                }
                Ok(Incoming::Input(number, piece)) if number == self.runs => self.order(Order::Input(piece))?,
                Ok(Incoming::Signal(of, number)) if of == self.runs => self.order(Order::Signal { number })?,
                Ok(Incoming::Report(Report::Started { group })) => self.group = Some(group),
                Ok(Incoming::Report(report)) => {
                    self.group = None;
                    return Ok(report);
                }
                Ok(Incoming::Input(..) | Incoming::Signal(..) | Incoming::Ended) => {}
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
                Err(error) => return Err(self.lost_for(error)),
            }
            if attended.elapsed() >= ATTENDED {
                self.end_within(UNATTENDED)?;
                attended = Instant::now();
            }
        }
    }

    fn order(&mut self, order: Order) -> Result<()> {
        let written = match &mut self.orders {
            Some(orders) => send(order, orders),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        written.map_err(|_| self.lost("it no longer accepts requests"))
    }

    fn report(&mut self, limit: Duration) -> Result<Report> {
        let until = Instant::now() + limit;
        loop {
            match self.incoming(until.saturating_duration_since(Instant::now())) {
                // What is left of a live command that has ended.
                Ok(Incoming::Report(Report::Said { .. } | Report::InputTaken)) => {}
                Ok(Incoming::Report(report)) => return Ok(report),
                Ok(Incoming::Input(..) | Incoming::Signal(..) | Incoming::Ended) => {}
                Err(error) => return Err(self.lost_for(error)),
            }
        }
    }

    /// The next of all that comes; `Disconnected` when the guard has ended.
    fn incoming(&mut self, limit: Duration) -> std::result::Result<Incoming, RecvTimeoutError> {
        if self.has_ended {
            return Err(RecvTimeoutError::Disconnected);
        }
        match self.incoming.recv_timeout(limit) {
            Ok(Incoming::Ended) => {
                self.has_ended = true;
                Err(RecvTimeoutError::Disconnected)
            }
            incoming => incoming,
        }
    }

    fn lost_for(&mut self, error: RecvTimeoutError) -> Error {
        self.lost(match error {
            RecvTimeoutError::Disconnected => "its last message is missing",
            RecvTimeoutError::Timeout => "it no longer answers",
        })
    }

    /// Has the home removed and the guard ended. After an `Ok` the home is gone.
    pub(in crate::device) fn close(mut self) -> Result<()> {
        if self.order(Order::End).is_err() {
            return self.home_is_gone();
        }
        self.orders = None;
        let fault = match self.report(PROMPT) {
            Ok(Report::Gone { fault }) => fault,
            _ => {
                self.end_all();
                return self.home_is_gone();
            }
        };
        // Collected below, so that neither its number nor its session's is its own any longer: nothing is ended by them
        // from here on. A guard that has seen to the home has ended the client before.
        self.is_over = true;
        self.collect();
        if fault.is_some() {
            // It may be that somebody else's hands are off it by now.
            self.remove_home();
        }
        self.home_is_gone()
    }

    /// What is left is told by [`Self::home_is_gone`].
    fn remove_home(&self) {
        let _ = match &self.folder {
            Some(folder) => home::remove_opened(folder),
            None if self.home.as_os_str().is_empty() => Ok(()),
            None => home::remove(&self.home),
        };
    }

    fn home_is_gone(&self) -> Result<()> {
        let left = self
            .folder
            .as_ref()
            .and_then(FolderToRemove::place)
            .or_else(|| self.home.symlink_metadata().is_ok().then(|| self.home.clone()));
        if let Some(left) = left {
            let why = std::io::Error::other("it is still there; remove it by hand, it may hold the code");
            return Err(Error::disk("Removing", &left, why));
        }
        if self.folder.as_ref().is_some_and(|folder| !folder.is_gone()) {
            let why = std::io::Error::other(
                "the client moved it to another folder, where it was not found; what was in it has been removed",
            );
            return Err(Error::disk("Removing", &self.home, why));
        }
        Ok(())
    }

    /// The guard failed: does its work in its stead, and says so.
    fn lost(&mut self, why: &str) -> Error {
        let status = self.end_all();
        let detail = status.map(|status| format!(" ({status})")).unwrap_or_default();
        match self.home_is_gone() {
            Ok(()) => Error::GuardLost { why: format!("{why}{detail}") },
            Err(error) => error,
        }
    }

    /// Ends guard and client and removes the home, whatever state they are in. Gives the guard's exit status.
    fn end_all(&mut self) -> Option<std::process::ExitStatus> {
        if self.is_over {
            return None;
        }
        self.is_over = true;
        self.orders = None;
        // A guard that is well needs no more than its pipe closed; give it the time it promises.
        let until = Instant::now() + Duration::from_secs(1);
        while process::is_running(&mut self.guard) && Instant::now() < until {
            match self.incoming(Duration::from_millis(20)) {
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                // Its end of the pipe is closed: it is ending, or has ended and waits to be collected.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        // Not collected yet, so its number is still its own.
        process::end_without_helper(self.guard.id(), self.group.take());
        let _ = self.guard.kill();
        let status = self.collect();
        self.remove_home();
        status
    }

    /// Waits for the guard's end, ends it when that takes too long, and in the end leaves it to the system: one that
    /// hangs in the kernel is not ended by anything.
    fn collect(&mut self) -> Option<std::process::ExitStatus> {
        for _ in 0..2 {
            let until = Instant::now() + COLLECT;
            loop {
                match self.guard.try_wait() {
                    Ok(Some(status)) => return Some(status),
                    Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
                    _ => break,
                }
            }
            let _ = self.guard.kill();
        }
        None
    }

    /// Lets time pass, and notices at once when the guard is gone meanwhile.
    pub(in crate::device) fn pause(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        loop {
            match self.incoming(until.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(error) => return Err(self.lost_for(error)),
                Ok(Incoming::Report(Report::Said { .. } | Report::InputTaken)) => {}
                Ok(Incoming::Input(..) | Incoming::Signal(..) | Incoming::Ended) => {}
                Ok(Incoming::Report(_)) => return Err(self.lost("it spoke out of turn")),
            }
        }
    }
}

fn not_started(error: &io::Error) -> Error {
    Error::if_too_many_files(error).unwrap_or_else(|| Error::GuardNotStarted { why: io_in_words(error) })
}

/// Reads the input for a live command: a piece, and the next one each time that it is told that the command has that. A read can't
/// be broken off, so what was read last when the command ends is lost.
fn read_input(mut input: Box<dyn Read + Send>, number: u32, sender: SyncSender<Incoming>) -> io::Result<Sender<()>> {
    let (wanted, wants) = channel();
    threads::begin(move || {
        let mut piece = zeroize::Zeroizing::new([0_u8; 8 * 1024]);
        loop {
            let length = match input.read(&mut piece[..]) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => 0,
            };
            let is_over =
                sender.send(Incoming::Input(number, OutputPiece::of(piece[..length].to_vec()))).is_err() || length == 0;
            if is_over || wants.recv().is_err() {
                return;
            }
        }
    })?;
    Ok(wanted)
}

impl Drop for GuardHandle {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.end_all();
        // There is no error to tell it by: one is on its way already, or the run is being broken off.
        if let Err(error) = self.home_is_gone() {
            self.notify.notify(Event::Warning(error.to_string()));
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::HeardEvents;
    use std::os::unix::fs::PermissionsExt;

    /// A guard that says it has a home at `home`, and does nothing more than `at_end` when it is told to end.
    fn link(folder: &Path, home: &Path, at_end: &str, notify: Arc<HeardEvents>) -> GuardHandle {
        let script = format!(
            "#!/bin/sh\nread -r x\necho '{{\"Home\":{{\"path\":\"{}\",\"in_memory\":false,\"rejected\":[]}}}}'\nread -r x\n{at_end}\n",
            home.display()
        );
        let program = folder.join("guard");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        GuardHandle::start(&program, Vec::new(), false, notify).unwrap()
    }

    #[test]
    fn a_home_that_will_not_go_is_told_even_when_nobody_asks() {
        let folder = tempfile::tempdir().unwrap();
        // A file can't be removed as a folder, whoever tries.
        let home = folder.path().join("home");
        std::fs::write(&home, "").unwrap();
        let notices = Arc::new(HeardEvents::default());
        drop(link(folder.path(), &home, "exit 1", notices.clone()));
        let notices = notices.0.lock().unwrap();
        let [Event::Warning(text)] = &notices[..] else { panic!("one warning") };
        assert!(text.contains(&home.display().to_string()) && text.contains("remove it by hand"), "{text}");
    }

    #[test]
    fn a_guard_that_does_not_end_does_not_hold_up_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("gone");
        let notices = Arc::new(HeardEvents::default());
        let gone = "echo '{\"Gone\":{\"fault\":null}}'; exec sleep 600";
        let start = Instant::now();
        link(folder.path(), &home, gone, notices.clone()).close().unwrap();
        assert!(start.elapsed() < Duration::from_secs(60));
        assert!(notices.0.lock().unwrap().is_empty());
    }
}
