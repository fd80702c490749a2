//! The process's two streams. Each has one redacting writer for the whole run, so that nothing gets past it, not even a
//! secret of which the halves are written by different callers.
//!
//! Each writer is on a thread of its own. A terminal that was stopped, or a reader that does not read, must not hold up a
//! run: its deadlines go on, and an interrupt ends it. What is written waits in memory meanwhile.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use crate::error::io_in_words;
use crate::safety::redact::Redacting;

static STDOUT: LazyLock<Writer> = LazyLock::new(|| Writer::start("stdout", Redacting::new(io::stdout())));
static STDERR: LazyLock<Writer> = LazyLock::new(|| Writer::start("stderr", Redacting::new(io::stderr())));

/// So many pieces may wait to be read before a frame of the status line is left out. A terminal may be stopped for hours.
const BACKLOG: usize = 32;

/// How long somebody may take to read what is said, where nothing can wait for long.
const EXIT_TIMEOUT: Duration = Duration::from_millis(200);

/// A way to a writer.
struct Writer {
    pieces: Sender<Piece>,
    /// How many of them are not written yet.
    waiting: Arc<AtomicUsize>,
    /// Why something could not be written, the first time.
    lost: Arc<OnceLock<io::Error>>,
}

enum Piece {
    Text(Vec<u8>),
    /// Told when everything before has been written.
    Mark(SyncSender<()>),
    /// Everything before has been said; what is held back is to go out too, and then this told.
    End(SyncSender<()>),
}

impl Writer {
    fn start<W: Write + Send + 'static>(name: &str, mut writer: Redacting<W>) -> Self {
        let (sender, pieces) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let lost = Arc::new(OnceLock::new());
        let (left, not_written) = (Arc::clone(&waiting), Arc::clone(&lost));
        let write = move || write_all(&mut writer, &pieces, &left, &not_written);
        // Without a thread nothing is said, and the run goes on: a device that is being opened matters more.
        let _ = std::thread::Builder::new().name(name.to_owned()).spawn(write);
        Self { pieces: sender, waiting, lost }
    }

    fn write(&self, text: &[u8]) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = self.pieces.send(Piece::Text(text.to_vec()));
    }

    /// Writes what the next frame makes up for, if this one can't be written.
    fn write_frame(&self, text: &[u8]) {
        if self.waiting.load(Ordering::Relaxed) < BACKLOG {
            self.write(text);
        }
    }

    /// Waits a moment for what was said so far to be written.
    fn catch_up(&self) {
        let (told, mark) = sync_channel(1);
        if self.pieces.send(Piece::Mark(told)).is_ok() {
            let _ = mark.recv_timeout(EXIT_TIMEOUT);
        }
    }

    /// Waits until all has been written; no longer than `limit`, if there is one.
    fn finish(&self, limit: Option<Duration>) {
        let (told, end) = sync_channel(1);
        if self.pieces.send(Piece::End(told)).is_ok() {
            let _ = match limit {
                Some(limit) => end.recv_timeout(limit).is_ok(),
                None => end.recv().is_ok(),
            };
        }
    }
}

fn write_all<W: Write>(
    writer: &mut Redacting<W>,
    pieces: &Receiver<Piece>,
    waiting: &AtomicUsize,
    lost: &OnceLock<io::Error>,
) {
    let note = |written: io::Result<()>| match written {
        // A reader that has gone, as `head` does, has read what it wanted.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => _ = lost.set(error),
        _ => {}
    };
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                note(writer.write_all(&text).and_then(|()| writer.flush()));
                waiting.fetch_sub(1, Ordering::Relaxed);
            }
            Piece::Mark(told) => _ = told.send(()),
            Piece::End(told) => {
                note(writer.finish());
                let _ = told.send(());
            }
        }
    }
}

/// A handle to the redacted stderr, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        STDERR.write(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One of the streams as it is, for what the vendor's client says, out of which its guard has taken the code. The caller waits for
/// whoever reads it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Passed {
    Stdout,
    Stderr,
}

impl Write for Passed {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        use io::IsTerminal as _;
        let is_console = cfg!(windows)
            && match self {
                Self::Stdout => io::stdout().is_terminal(),
                Self::Stderr => io::stderr().is_terminal(),
            };
        // A console of Windows takes nothing but Unicode.
        let text =
            if is_console { String::from_utf8_lossy(piece).into_owned().into_bytes().into() } else { Cow::from(piece) };
        match self {
            Self::Stdout => io::stdout().write_all(&text),
            Self::Stderr => io::stderr().write_all(&text),
        }?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().flush(),
            Self::Stderr => io::stderr().flush(),
        }
    }
}

pub(super) fn to_stdout(text: &str) {
    STDOUT.write(text.as_bytes());
}

/// Past the writer and its redaction. To be called where nothing else is said on stdout.
pub(super) fn unredacted_to_stdout(document: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(document).and_then(|()| stdout.flush())
}

pub(super) fn to_stderr(text: &str) {
    STDERR.write(text.as_bytes());
}

/// Lets stderr be written before anything is said on stdout, which may be the same terminal.
pub(super) fn flush_stderr() {
    STDERR.catch_up();
}

/// Lets stdout be written before anything more is said on stderr.
pub(super) fn flush_stdout() {
    STDOUT.catch_up();
}

/// A frame of the status line.
pub(super) fn frame_to_stderr(text: &str) {
    STDERR.write_frame(text.as_bytes());
}

/// Waits until all that was said on stdout is written, and gives in words why some of it could not be. A broken pipe is no
/// reason.
pub(super) fn lost_of_stdout() -> Option<String> {
    STDOUT.finish(None);
    STDOUT.lost.get().map(io_in_words)
}

/// Writes all that was said, also a last word without a line's end. To be called when nothing more is to be said; waits for
/// whoever reads, as long as it takes. A terminal shows again what is typed, whatever ended a question.
pub fn finish() {
    crate::os::restore_echo();
    for stream in [&STDERR, &STDOUT] {
        stream.finish(None);
    }
}

/// The same, for a process that is to end at once: what nobody reads in time is lost.
pub(crate) fn start_exit_timer() {
    for stream in [&STDERR, &STDOUT] {
        stream.finish(Some(EXIT_TIMEOUT));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Refuses(io::ErrorKind);
    impl Write for Refuses {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lost(why: io::ErrorKind, text: &[u8]) -> Option<io::ErrorKind> {
        let stream = Writer::start("refuses", Redacting::new(Refuses(why)));
        stream.write(text);
        stream.finish(None);
        stream.lost.get().map(io::Error::kind)
    }

    #[test]
    fn what_could_not_be_written_is_remembered_unless_the_reader_has_gone() {
        // Without a line's end it is held back until the end.
        for text in [&b"a line\n"[..], b"a word"] {
            assert_eq!(lost(io::ErrorKind::StorageFull, text), Some(io::ErrorKind::StorageFull));
            assert_eq!(lost(io::ErrorKind::BrokenPipe, text), None);
        }
        assert_eq!(lost(io::ErrorKind::StorageFull, b""), None);
    }
}
