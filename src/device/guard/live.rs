//! The streams of a command that somebody looks on to, in the guard.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::device::guard::child::{ChildEvent, Input};
use crate::device::guard::process::say;
use crate::device::guard::protocol::{OutputPiece, Report};
use crate::device::guard::redacted_stream::RedactedStream;

/// When nothing has followed for so long, what was held back is passed on: it is a prompt.
const PAUSE: Duration = Duration::from_millis(50);

/// Passes on what `source` says until it ends, and tells of each piece. `unsaid` counts the pieces that were read and not passed
/// on yet. A reader who takes nothing is waited for, here and not in the guard's main loop.
pub(in crate::device) fn pass_on(
    mut source: impl Read + Send + 'static,
    mut redacted: RedactedStream,
    errors: bool,
    unsaid: &Arc<AtomicUsize>,
    told: impl Fn(ChildEvent) -> bool + Send + 'static,
) {
    let (sender, pieces) = sync_channel::<Zeroizing<Vec<u8>>>(1);
    let (read, said) = (Arc::clone(unsaid), Arc::clone(unsaid));
    std::thread::spawn(move || {
        let mut piece = Zeroizing::new([0_u8; 8 * 1024]);
        loop {
            let length = match source.read(&mut piece[..]) {
                Ok(0) => return,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            read.fetch_add(1, Ordering::SeqCst);
            if sender.send(Zeroizing::new(piece[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        let pass = |out: Vec<u8>| out.is_empty() || say(&Report::Said { errors, piece: OutputPiece::of(&out) });
        loop {
            let next = if redacted.holds() {
                pieces.recv_timeout(PAUSE)
            } else {
                pieces.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            let is_well = match next {
                Ok(piece) => {
                    let is_well = pass(redacted.push(&piece));
                    said.fetch_sub(1, Ordering::SeqCst);
                    is_well
                }
                Err(RecvTimeoutError::Timeout) => pass(redacted.flush()),
                Err(RecvTimeoutError::Disconnected) => {
                    pass(redacted.flush());
                    false
                }
            };
            if !is_well || !told(ChildEvent::Output) {
                break;
            }
        }
        told(ChildEvent::Closed);
    });
}

/// Gives a command its input piece by piece, until that or the command ends.
pub(in crate::device) fn feed(mut input: Input, pieces: &Receiver<OutputPiece>) {
    while let Ok(piece) = pieces.recv() {
        let bytes = Zeroizing::new(piece.bytes());
        if bytes.is_empty() || input.write_all(&bytes).and_then(|()| input.flush()).is_err() {
            return;
        }
        say(&Report::InputTaken);
    }
}
