//! The guard's hold on one client command: its output, bounded; its end; and the end of everything it started.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::device::guard::environment;
use crate::device::guard::live::{self, LiveStream};
use crate::device::guard::process::{GuardEvent, Inbox};
use crate::device::guard::protocol::{Caller, Ran, Run};
use crate::os::process::{self, Proc};
use crate::os::threads;

/// Bytes kept of each stream. The rest is read, so that the client does not block, and counted.
const KEPT: usize = 64 * 1024;
/// How long the streams may stay open after the client's end: a grandchild may hold them for ever.
const GRACE_PERIOD: Duration = Duration::from_millis(150);

/// What a running command tells the guard's main loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::device) enum ChildEvent {
    /// There is new output.
    Output,
    /// A stream has ended.
    Closed,
    /// The process has ended.
    Exited,
}

/// Why waiting for a command came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::device) enum Woken {
    Output,
    Exited,
    TimeUp,
    /// The guard is to end.
    Stop,
}

/// A running command.
pub(in crate::device) struct Running<'a> {
    proc: Proc,
    inbox: &'a mut Inbox,
    number: u32,
    started: Instant,
    open_streams: usize,
    exited: bool,
    out: Bounded,
    err: Bounded,
    /// Pieces of a live command that were not passed on yet.
    unsaid: Arc<AtomicUsize>,
}

/// What the command's streams are tied to.
pub(in crate::device) enum Streams {
    /// No input; output and errors apart.
    Captured,
    /// Output and errors are passed on as they come, without the code.
    Live { input: bool, caller: Option<Caller>, streams: Box<[LiveStream; 2]> },
    /// Input from us; output and errors together, in their order.
    Together,
    /// A terminal for all three.
    Terminal { ours: File, theirs: Stdio, more: [Stdio; 2] },
}

/// Our end of the command's input.
pub(in crate::device) type Input = Box<dyn io::Write + Send>;

impl<'a> Running<'a> {
    /// Starts `run`.
    pub(in crate::device) fn start(
        run: &Run,
        home: &std::path::Path,
        streams: Streams,
        inbox: &'a mut Inbox,
    ) -> io::Result<(Self, Option<Input>)> {
        let mut command = Command::new(&run.program);
        command
            .args(&run.args)
            .env_clear()
            // Hours may have passed since the guard was given them.
            .envs(environment::trusted(std::env::vars_os()).0)
            .envs(environment::of_home(home, &run.java_options, run.jvm))
            // Neither the home nor the state folder; and no folder that a removal would find busy.
            .current_dir(neutral_folder());
        let (mut sources, mut input): (Vec<Box<dyn Read + Send>>, Option<Input>) = (Vec::new(), None);
        let (mut input_piped, mut live, mut umask) = (false, None, None);
        match streams {
            Streams::Captured => {
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            }
            Streams::Live { input, caller, streams } => {
                command.stdin(match &caller {
                    _ if input => Stdio::piped(),
                    Some(_) => process::input_of_caller(),
                    None => Stdio::null(),
                });
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                caller.iter().for_each(|caller| _ = command.current_dir(&caller.folder));
                (input_piped, live, umask) = (input, Some(streams), caller.and_then(|caller| caller.umask));
            }
            Streams::Together => {
                let (reader, writer) = io::pipe()?;
                command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
                sources.push(Box::new(reader));
                input_piped = true;
            }
            Streams::Terminal { ours, theirs, more: [output, errors] } => {
                command.stdin(theirs).stdout(output).stderr(errors);
                sources.push(Box::new(ours.try_clone()?));
                input = Some(Box::new(ours));
            }
        }
        // The command holds our copies of the child's ends; they close when it is dropped in there.
        let mut proc = process::with_umask(umask, || Proc::spawn(command))?;
        if let Some(terminal) = &inbox.terminal {
            terminal.put_in_front(proc.group());
        }
        if input_piped {
            input = proc.child().stdin.take().map(|stdin| Box::new(stdin) as Input);
        }
        sources.extend(proc.child().stdout.take().map(|stdout| Box::new(stdout) as Box<dyn Read + Send>));
        sources.extend(proc.child().stderr.take().map(|stderr| Box::new(stderr) as Box<dyn Read + Send>));

        inbox.runs += 1;
        inbox.group = Some(proc.group());
        let (number, sender) = (inbox.runs, &inbox.sender);
        let (out, err) = (Bounded::default(), Bounded::default());
        let open_streams = sources.len();
        let unsaid = Arc::<AtomicUsize>::default();
        let attend = || {
            if let Some(streams) = live {
                for (errors, (source, stream)) in
                    [false, true].into_iter().zip(std::mem::take(&mut sources).into_iter().zip(*streams))
                {
                    let sender = sender.clone();
                    live::pass_on(source, stream, errors, &unsaid, move |event| {
                        sender.send(GuardEvent::Child(number, event)).is_ok()
                    })?;
                }
            }
            for (source, kept) in sources.into_iter().zip([&out, &err]) {
                let (kept, sender) = (kept.clone(), sender.clone());
                threads::begin(move || {
                    kept.fill(source, || sender.send(GuardEvent::Child(number, ChildEvent::Output)).is_ok());
                    let _ = sender.send(GuardEvent::Child(number, ChildEvent::Closed));
                })?;
            }
            let told = sender.clone();
            proc.watch(move || _ = told.send(GuardEvent::Child(number, ChildEvent::Exited)))
        };
        if let Err(error) = attend() {
            inbox.group = None;
            proc.end();
            proc.leave();
            return Err(error);
        }
        let running =
            Self { proc, inbox, number, started: Instant::now(), open_streams, exited: false, out, err, unsaid };
        Ok((running, input))
    }

    /// The process group to be told to the agent.
    pub(in crate::device) fn group(&self) -> u32 {
        self.proc.group()
    }

    /// Everything said so far on the first stream.
    pub(in crate::device) fn output(&self) -> String {
        self.out.text()
    }

    /// Waits until something happens or `until` has come.
    pub(in crate::device) fn next(&mut self, until: Instant) -> Woken {
        loop {
            if self.exited {
                return Woken::Exited;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.inbox.child_event(self.number, Proc::POLL.map_or(left, |poll| poll.min(left))) {
                _ if self.inbox.stopped => return Woken::Stop,
                Some(ChildEvent::Output) => return Woken::Output,
                Some(ChildEvent::Closed) => self.open_streams = self.open_streams.saturating_sub(1),
                Some(ChildEvent::Exited) => self.exited = true,
                None => {
                    self.exited = self.proc.has_ended();
                    if !self.exited && Instant::now() >= until {
                        return Woken::TimeUp;
                    }
                }
            }
        }
    }

    /// Waits for the end and no longer than `until`; output is merely kept. Gives what it woke by at last.
    pub(in crate::device) fn wait(&mut self, until: Instant) -> Woken {
        loop {
            match self.next(until) {
                Woken::Output => {}
                woken => return woken,
            }
        }
    }

    /// Ends whatever still runs, and says how it went. After an end of its own the last output gets a moment to arrive.
    pub(in crate::device) fn finish(mut self, woken: Woken) -> Ran {
        if woken == Woken::Exited {
            self.drain();
        }
        // Its number is its own until it is collected.
        self.inbox.group = None;
        self.proc.end();
        if woken != Woken::Stop {
            self.drain();
        }
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        // When the guard is to end, the home goes before anything is waited for: one that hangs in the kernel is ended
        // by nobody, and could hold it up for ever.
        let exit = if self.inbox.stopped {
            self.proc.leave();
            None
        } else {
            self.proc.reap().ok()
        };
        Ran {
            code: exit.as_ref().and_then(|exit| exit.code),
            signal: exit.as_ref().and_then(|exit| exit.signal),
            timed_out: woken == Woken::TimeUp,
            stdout: self.out.text(),
            stderr: self.err.text(),
            described: None,
            cluster: None,
            secret_key: None,
            dropped: self.out.dropped() + self.err.dropped(),
            millis,
        }
    }

    /// Waits until the streams have ended, but only for a moment after all that was said is passed on.
    fn drain(&mut self) {
        let mut until = Instant::now() + GRACE_PERIOD;
        while self.open_streams > 0 && !self.inbox.stopped {
            if self.unsaid.load(Ordering::SeqCst) > 0 {
                until = Instant::now() + GRACE_PERIOD;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if self.inbox.child_event(self.number, left) == Some(ChildEvent::Closed) {
                self.open_streams -= 1;
            }
        }
    }
}

/// The beginning of a stream.
#[derive(Clone, Default)]
struct Bounded(Arc<Mutex<(Vec<u8>, u64)>>);

impl Bounded {
    /// Reads `source` to its end. Calls `told` after each piece that was kept, so at most [`KEPT`] times.
    fn fill(&self, mut source: impl Read, told: impl Fn() -> bool) {
        let mut piece = zeroize::Zeroizing::new([0_u8; 8 * 1024]);
        loop {
            // A pseudo-terminal ends with an error (EIO) when its last holder closes it.
            let length = match source.read(&mut piece[..]) {
                Ok(0) => return,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let kept = {
                let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let kept = length.min(KEPT - state.0.len());
                state.0.extend_from_slice(&piece[..kept]);
                state.1 += (length - kept) as u64;
                kept
            };
            if kept > 0 && !told() {
                return;
            }
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner).0).into_owned()
    }

    fn dropped(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// A working directory that is nobody's.
pub(in crate::device) fn neutral_folder() -> PathBuf {
    if cfg!(windows) {
        std::env::var_os("SystemRoot").map_or_else(|| PathBuf::from("C:\\"), PathBuf::from)
    } else {
        PathBuf::from("/")
    }
}

/// A terminal for the client, if the system has any.
pub(in crate::device) fn terminal() -> io::Result<Option<Streams>> {
    let Some((ours, theirs)) = process::open_terminal()? else { return Ok(None) };
    let more = [theirs.try_clone()?.into(), theirs.try_clone()?.into()];
    Ok(Some(Streams::Terminal { ours, theirs: theirs.into(), more }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_read_whole_and_kept_in_part() {
        let kept = Bounded::default();
        let told = std::cell::Cell::new(0_usize);
        kept.fill(io::repeat(b'x').take(10 << 20), || {
            told.set(told.get() + 1);
            true
        });
        assert_eq!(kept.text().len(), KEPT);
        assert_eq!(kept.dropped(), (10 << 20) - KEPT as u64);
        assert!(told.get() <= KEPT, "no more wake-ups than kept bytes");
    }
}
