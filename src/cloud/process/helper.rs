//! The helper: a second process of ours that runs one `credential_process`, and ends it with all that it started: at the
//! deadline, and when the agent is gone, whatever ended that.
//!
//! A process of its own since nothing within the agent could do this when the agent is killed.

use std::io::{BufRead, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::io_in_words;
use crate::os::process::{self, Proc};
use crate::os::threads;

/// First argument of a process that is to call [`credentials_main`].
pub(crate) const CREDENTIALS_ARGUMENT: &str = "__credentials";

/// Bytes kept of what the program says on each stream. Credentials are some kilobytes; the rest is read and dropped.
const KEPT: u64 = 64 << 10;
/// How long the streams may stay open after the program's end: what it started may hold them for ever.
const GRACE_PERIOD: Duration = Duration::from_millis(300);

/// What the agent wants run.
#[derive(Serialize, Deserialize)]
pub(super) struct ProcessOrder {
    /// Program and arguments.
    pub(super) words: Vec<String>,
    /// With which it is to make files: that of the agent's caller.
    pub(super) umask: Option<process::Umask>,
    /// How long it may take, in milliseconds.
    pub(super) limit: u64,
}

/// What came of it.
#[derive(Serialize, Deserialize)]
pub(super) enum HelperReport {
    NotStarted { why: String },
    Ended(ProgramEnd),
}

/// How the program ended, and what it said.
#[derive(Serialize, Deserialize)]
pub(super) struct ProgramEnd {
    /// `None` if a signal or the deadline ended it.
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) timed_out: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

enum HelperEvent {
    Order(ProcessOrder),
    /// The agent is gone, or somebody wants us to end.
    Stop,
    Exited,
    /// Standard output, or else standard error, has ended, and this is its beginning.
    Said(bool, Vec<u8>),
}

/// Main function of the helper. Gives its exit status.
///
/// To be called by a process that was started with `CREDENTIALS_ARGUMENT`, hardened like the agent, before any other work.
#[must_use]
pub fn credentials_main() -> i32 {
    let (sender, events) = channel();
    let stop = sender.clone();
    let terminal = match process::settle_in(move || stop.send(HelperEvent::Stop).is_ok()) {
        Ok(terminal) => terminal,
        Err(error) => {
            let why = format!("no terminal of its own can be had ({})", io_in_words(&error));
            return say(&HelperReport::NotStarted { why });
        }
    };
    if let Err(error) = read_order(sender.clone()) {
        return say(&HelperReport::NotStarted { why: io_in_words(&error) });
    }
    let Ok(HelperEvent::Order(order)) = events.recv() else { return 0 };
    let status = match run(&order, &terminal, &sender, &events) {
        Ok(Some(ran)) => say(&HelperReport::Ended(ran)),
        Ok(None) => 0,
        Err(error) => say(&HelperReport::NotStarted { why: io_in_words(&error) }),
    };
    process::collect_children(Duration::from_millis(300));
    status
}

/// Runs the program to its end. `None` if there is nobody left to tell.
fn run(
    order: &ProcessOrder,
    terminal: &process::SessionTerminal,
    sender: &Sender<HelperEvent>,
    events: &Receiver<HelperEvent>,
) -> std::io::Result<Option<ProgramEnd>> {
    let Some((program, arguments)) = order.words.split_first() else {
        return Err(std::io::ErrorKind::InvalidInput.into());
    };
    let until = Instant::now() + Duration::from_millis(order.limit);
    let mut command = Command::new(program);
    // No input: what is typed at the operator's terminal is for whoever asked for it.
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    order.umask.or_else(process::umask_of_caller).inspect(|umask| process::set_umask(*umask));
    let mut proc = Proc::spawn(command)?;
    terminal.put_in_front(proc.group());
    let stdout = proc.child().stdout.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>);
    let stderr = proc.child().stderr.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>);
    let attend = |stream: Option<Box<dyn Read + Send>>, is_output| {
        let (Some(stream), told) = (stream, sender.clone()) else { return Ok(()) };
        threads::begin(move || told.send(HelperEvent::Said(is_output, beginning(stream)))).map(drop)
    };
    let told = sender.clone();
    let attended = attend(stdout, true).and_then(|()| attend(stderr, false));
    let attended = attended.and_then(|()| proc.watch(move || _ = told.send(HelperEvent::Exited)));
    if let Err(error) = attended {
        proc.end();
        proc.leave();
        return Err(error);
    }

    let mut said = [None, None];
    let (mut has_exited, mut is_ended, mut timed_out) = (false, false, false);
    let mut deadline = until;
    while !has_exited || said.iter().any(Option::is_none) {
        let left = deadline.saturating_duration_since(Instant::now());
        let had_exited = has_exited;
        match events.recv_timeout(Proc::POLL.map_or(left, |poll| poll.min(left))) {
            Ok(HelperEvent::Exited) => has_exited = true,
            Ok(HelperEvent::Said(is_output, text)) => said[usize::from(!is_output)] = Some(text),
            Ok(HelperEvent::Order(_)) => {}
            Ok(HelperEvent::Stop) | Err(RecvTimeoutError::Disconnected) => {
                proc.end();
                proc.leave();
                return Ok(None);
            }
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => has_exited = has_exited || proc.has_ended(),
            Err(RecvTimeoutError::Timeout) if is_ended => break,
            Err(RecvTimeoutError::Timeout) => {
                timed_out = !has_exited && !proc.has_ended();
                proc.end();
                (is_ended, deadline) = (true, Instant::now() + GRACE_PERIOD);
            }
        }
        if has_exited && !had_exited {
            deadline = deadline.min(Instant::now() + GRACE_PERIOD);
        }
    }
    proc.end();
    let exit = proc.reap()?;
    let [stdout, stderr] = said.map(Option::unwrap_or_default);
    Ok(Some(ProgramEnd { code: exit.code, signal: exit.signal, timed_out, stdout, stderr }))
}

/// Reads a stream to its end, and gives as much of it as is kept.
fn beginning(mut stream: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let _ = stream.by_ref().take(KEPT).read_to_end(&mut kept);
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
    kept
}

/// Tells the agent. Gives the exit status.
fn say(report: &HelperReport) -> i32 {
    let Ok(line) = serde_json::to_vec(report) else { return 1 };
    let mut stdout = std::io::stdout().lock();
    i32::from(stdout.write_all(&line).and_then(|()| stdout.flush()).is_err())
}

/// Reads the order on a thread of its own, which then sees the pipe end.
fn read_order(sender: Sender<HelperEvent>) -> std::io::Result<()> {
    threads::begin(move || {
        let mut stdin = std::io::stdin().lock();
        let mut line = String::new();
        let order = stdin.read_line(&mut line).ok().and_then(|_| serde_json::from_str(&line).ok());
        if let Some(order) = order
            && sender.send(HelperEvent::Order(order)).is_ok()
        {
            let _ = std::io::copy(&mut stdin, &mut std::io::sink());
        }
        let _ = sender.send(HelperEvent::Stop);
    })?;
    Ok(())
}
