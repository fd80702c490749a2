//! The streams of a command that somebody looks on to, in the guard.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::device::guard::child::{ChildEvent, Input};
use crate::device::guard::process::say;
use crate::device::guard::protocol::{OutputPiece, Report};
use crate::device::guard::redacted_stream::RedactedStream;
use crate::os::threads;

/// Most that is read at once: what a pipe holds, so that a client that says much is not held up for each piece of it.
const PIECE: usize = 64 * 1024;

/// When nothing has followed for so long, what was held back is passed on: it is a prompt.
const PAUSE: Duration = Duration::from_millis(50);

/// What is to be done with one of the streams.
pub(in crate::device) struct LiveStream {
    /// What it may begin with that is not passed on.
    pub(in crate::device) notice: Notice,
    /// Takes the code out of the rest.
    pub(in crate::device) redacted: RedactedStream,
    /// Nobody reads it any more, so that it is closed, as the client would see it without us.
    pub(in crate::device) unread: Arc<AtomicBool>,
}

/// Passes on what `source` says until it ends, and tells of each piece. `unsaid` counts the pieces that were read and not passed
/// on yet. A reader who takes nothing is waited for, here and not in the guard's main loop.
///
/// # Errors
/// That no thread is to be had for it.
pub(in crate::device) fn pass_on(
    mut source: impl Read + Send + 'static,
    LiveStream { mut notice, mut redacted, unread }: LiveStream,
    errors: bool,
    unsaid: &Arc<AtomicUsize>,
    told: impl Fn(ChildEvent) -> bool + Send + 'static,
) -> io::Result<()> {
    let (sender, pieces) = sync_channel::<Zeroizing<Vec<u8>>>(1);
    let (read, said) = (Arc::clone(unsaid), Arc::clone(unsaid));
    threads::begin(move || {
        let mut piece = Zeroizing::new([0_u8; PIECE]);
        loop {
            let length = match source.read(&mut piece[..]) {
                Ok(0) => return,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            if unread.load(Ordering::Relaxed) {
                return;
            }
            read.fetch_add(1, Ordering::SeqCst);
            if sender.send(Zeroizing::new(piece[..length].to_vec())).is_err() {
                return;
            }
        }
    })?;
    threads::begin(move || {
        let pass = |out: Vec<u8>| out.is_empty() || say(Report::Said { errors, piece: OutputPiece::of(out) });
        loop {
            let next = if redacted.holds() || notice.holds() {
                pieces.recv_timeout(PAUSE)
            } else {
                pieces.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            let is_well = match next {
                Ok(piece) => {
                    let is_well = pass(redacted.push(&notice.push(&piece)));
                    said.fetch_sub(1, Ordering::SeqCst);
                    is_well
                }
                Err(RecvTimeoutError::Timeout) => pass([redacted.push(&notice.flush()), redacted.flush()].concat()),
                Err(RecvTimeoutError::Disconnected) => {
                    pass([redacted.push(&notice.flush()), redacted.flush()].concat());
                    false
                }
            };
            if !is_well || !told(ChildEvent::Output) {
                break;
            }
        }
        told(ChildEvent::Closed);
    })?;
    Ok(())
}

/// Takes lines out of the very beginning of a stream, if they stand there, each exactly as it is known.
pub(in crate::device) struct Notice {
    lines: VecDeque<Vec<u8>>,
    held: Vec<u8>,
}

impl Notice {
    pub(in crate::device) fn none() -> Self {
        Self::of(Vec::new())
    }

    pub(in crate::device) fn of(lines: Vec<String>) -> Self {
        Self { lines: lines.into_iter().map(String::into_bytes).collect(), held: Vec::new() }
    }

    fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes the next piece, and gives what is not one of the lines.
    fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        while let Some(line) = self.lines.front() {
            let common = line.iter().zip(&self.held).take_while(|(one, other)| one == other).count();
            let (rest, is_whole) = (&self.held[common..], common == line.len());
            match rest {
                [] | b"\r" if rest.is_empty() || is_whole => return Vec::new(),
                [b'\n', ..] if is_whole => _ = self.held.drain(..=common),
                [b'\r', b'\n', ..] if is_whole => _ = self.held.drain(..=common + 1),
                _ => break,
            }
            self.lines.pop_front();
        }
        self.flush()
    }

    /// Gives what was held back; nothing more is taken out.
    fn flush(&mut self) -> Vec<u8> {
        self.lines.clear();
        std::mem::take(&mut self.held)
    }
}

/// Gives a command its input piece by piece, until that or the command ends.
pub(in crate::device) fn feed(mut input: Input, pieces: &Receiver<OutputPiece>) {
    while let Ok(piece) = pieces.recv() {
        let bytes = Zeroizing::new(piece.into_bytes());
        if bytes.is_empty() || input.write_all(&bytes).and_then(|()| input.flush()).is_err() {
            return;
        }
        say(Report::InputTaken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_jvm_is_taken_out_where_the_stream_begins_with_it() {
        const LINE: &str = "Picked up JAVA_TOOL_OPTIONS: \"-Duser.home=/x\"";
        let shown = |text: &str, size: usize| {
            let mut notice = Notice::of(vec![LINE.to_owned(), "Picked up _JAVA_OPTIONS: y".to_owned()]);
            let mut shown: Vec<u8> = text.as_bytes().chunks(size).flat_map(|piece| notice.push(piece)).collect();
            shown.extend(notice.flush());
            String::from_utf8_lossy(&shown).into_owned()
        };
        for size in [1, 7, 1000] {
            for end in ["\n", "\r\n"] {
                assert_eq!(shown(&format!("{LINE}{end}"), size), "");
                assert_eq!(shown(&format!("{LINE}{end}{LINE}{end}"), size), format!("{LINE}{end}"), "once");
                let both = format!("{LINE}{end}Picked up _JAVA_OPTIONS: y{end}\nfailed\n");
                assert_eq!(shown(&both, size), "\nfailed\n");
            }
            for other in
                ["", "failed", "Picked up JAVA_TOOL_OPTIONS: -Dx\n", &format!("{LINE} more\n"), &format!("x{LINE}\n")]
            {
                assert_eq!(shown(other, size), *other);
            }
        }
        assert_eq!(shown(&format!("{LINE}\r"), 3), format!("{LINE}\r"), "not whole");
    }

    #[test]
    fn what_is_held_back_at_a_pause_is_passed_on_for_good() {
        let mut notice = Notice::of(vec!["Picked up".to_owned()]);
        assert_eq!((notice.push(b"Pick"), notice.holds()), (Vec::new(), true));
        assert_eq!((notice.flush(), notice.holds()), (b"Pick".to_vec(), false));
        assert_eq!(notice.push(b"ed up\n"), b"ed up\n");
    }
}
