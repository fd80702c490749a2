//! The one line of a terminal that is drawn over again: what is being done or waited for, for how long by now.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::out;
use super::style::{self, Stream};

const BETWEEN_FRAMES: Duration = Duration::from_millis(120);

/// The width of a terminal that does not say its own.
const USUAL_WIDTH: usize = 80;

/// The line, if one is to be drawn at all. Everything else that is written to stderr goes through [`Status::above`].
#[derive(Debug, Default)]
pub(super) struct Status {
    is_drawn: bool,
    line: Mutex<Option<ProgressBar>>,
}

impl Status {
    /// With a line, where the terminal can draw one.
    pub(super) fn where_possible() -> Self {
        Self { is_drawn: style::can_redraw(), line: Mutex::default() }
    }

    /// Whether there is such a line: what it shows need not be said in lines of its own.
    pub(super) fn is_drawn(&self) -> bool {
        self.is_drawn
    }

    /// A step begins: its name, and the time from now.
    pub(super) fn begin(&self, name: &str) {
        self.draw(|line| {
            line.set_prefix(name.to_owned());
            line.set_message("");
            line.reset_elapsed();
        });
    }

    /// What is being waited for, or how far it has come.
    pub(super) fn show(&self, text: &str) {
        // Spinner, name, and a time such as "2m 10s" beside it.
        const BESIDE: usize = 22;
        let room = style::width(Stream::Stderr).unwrap_or(USUAL_WIDTH).saturating_sub(BESIDE);
        let shown = match text.char_indices().nth(room) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        self.draw(|line| line.set_message(shown));
    }

    /// Writes something above the line.
    pub(super) fn above(&self, text: &str) {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match line {
            Some(line) => line.suspend(|| out::to_stderr(text)),
            None => out::to_stderr(text),
        }
    }

    /// Takes the line away, until a step begins again.
    pub(super) fn clear(&self) {
        if let Some(line) = self.line.lock().unwrap_or_else(PoisonError::into_inner).take() {
            line.finish_and_clear();
            out::flush_stderr();
        }
    }

    fn draw(&self, change: impl FnOnce(&ProgressBar)) {
        if !self.is_drawn {
            return;
        }
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        change(line.get_or_insert_with(new_line));
    }
}

fn new_line() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {prefix:<10}{wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let target = ProgressDrawTarget::term_like(Box::new(Screen::default()));
    let line = ProgressBar::with_draw_target(None, target).with_style(style);
    line.enable_steady_tick(BETWEEN_FRAMES);
    line
}

/// The terminal behind the one writer of stderr. A frame is kept until it is whole: the writer holds back an unfinished
/// word, and drops frames that nobody takes.
#[derive(Debug, Default)]
struct Screen(Mutex<String>);

impl Screen {
    fn add(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    fn movement(&self, n: usize, direction: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.add(&format!("\x1b[{n}{direction}")) }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        // A line that fills the last column wraps on some terminals.
        let width = style::width(Stream::Stderr).unwrap_or(USUAL_WIDTH).saturating_sub(1);
        u16::try_from(width).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.movement(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.movement(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.movement(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.movement(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text)?;
        self.add("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let frame = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        // Back to the line's begin, which also ends its last word.
        out::frame_to_stderr(&format!("{frame}\r"));
        Ok(())
    }
}
