//! What a terminal draws over again: one line that says what is being done or waited for, for how long by now; or a line a device,
//! where several are worked on.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use console::measure_text_width;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

use super::devices::DeviceTable;
use super::out;
use super::style::{self, Stream};

const BETWEEN_FRAMES: Duration = Duration::from_millis(120);

/// The size of a terminal that does not say its own.
const USUAL_WIDTH: usize = 80;
const USUAL_HEIGHT: usize = 24;

/// The line or the table, if one is to be drawn at all. Everything else that is written to stderr goes through [`Status::above`].
#[derive(Debug, Default)]
pub(super) struct Status {
    is_drawn: bool,
    drawn: Mutex<Option<ProgressBar>>,
    /// Drawn in the place of the line while there is one. Never held while something is drawn, which looks into it.
    table: SharedTable,
}

type SharedTable = Arc<Mutex<Option<DeviceTable>>>;

impl Status {
    /// With a line, where the terminal can draw one.
    pub(super) fn where_possible() -> Self {
        Self { is_drawn: style::can_redraw(), ..Self::default() }
    }

    /// Whether there is such a line: what it shows need not be said in lines of its own.
    pub(super) fn is_drawn(&self) -> bool {
        self.is_drawn
    }

    /// From now on a table, until [`Status::end_table`].
    pub(super) fn begin_table(&self, table: DeviceTable) {
        if self.is_drawn {
            self.clear();
            *lock(&self.table) = Some(table);
            self.draw(|_| {});
        }
    }

    /// Changes the table. `false` if there is none.
    pub(super) fn change_table(&self, change: impl FnOnce(&mut DeviceTable)) -> bool {
        let is_there = lock(&self.table).as_mut().map(change).is_some();
        if is_there {
            self.draw(|_| {});
        }
        is_there
    }

    /// Whether a table is drawn.
    pub(super) fn has_table(&self) -> bool {
        lock(&self.table).is_some()
    }

    /// Takes the table away.
    pub(super) fn end_table(&self) {
        self.clear();
        *lock(&self.table) = None;
    }

    /// A step begins: its name, and the time from now.
    pub(super) fn begin(&self, name: &str) {
        if self.change_table(|table| table.begin(name)) {
            return;
        }
        self.draw(|line| {
            line.set_prefix(name.to_owned());
            line.set_message("");
            line.reset_elapsed();
        });
    }

    /// What is being waited for, or how far it has come.
    pub(super) fn show(&self, text: &str) {
        if self.change_table(|table| table.show(text)) {
            return;
        }
        // Spinner, name, and a time such as "2m 10s" beside it.
        const BESIDE: usize = 22;
        let room = width().saturating_sub(BESIDE);
        let shown = match text.char_indices().nth(room) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        self.draw(|line| line.set_message(shown));
    }

    /// No step is under way, until one begins again.
    pub(super) fn rest(&self) {
        if !self.change_table(DeviceTable::rest) {
            self.clear();
        }
    }

    /// Writes something above the line.
    pub(super) fn above(&self, text: &str) {
        let drawn = lock(&self.drawn).clone();
        match drawn {
            Some(drawn) => drawn.suspend(|| out::to_stderr(text)),
            None => out::to_stderr(text),
        }
    }

    /// Takes away what is drawn, until there is something to draw again.
    pub(super) fn clear(&self) {
        if let Some(drawn) = lock(&self.drawn).take() {
            drawn.finish_and_clear();
            out::flush_stderr();
        }
    }

    /// The same when the program is to end; a table stays as it was last, above what is said then.
    pub(super) fn leave(&self) {
        if !self.has_table() {
            return self.clear();
        }
        if let Some(drawn) = lock(&self.drawn).take() {
            drawn.abandon();
            out::to_stderr("\n");
        }
    }

    fn draw(&self, change: impl FnOnce(&ProgressBar)) {
        if !self.is_drawn {
            return;
        }
        let style = if self.has_table() { style_of_table(&self.table) } else { style_of_line() };
        let mut drawn = lock(&self.drawn);
        change(drawn.get_or_insert_with(|| {
            let target = ProgressDrawTarget::term_like(Box::new(Screen::default()));
            let new = ProgressBar::with_draw_target(None, target).with_style(style);
            new.enable_steady_tick(BETWEEN_FRAMES);
            new
        }));
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn style_of_line() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix:<10}{wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn style_of_table(table: &SharedTable) -> ProgressStyle {
    let table = Arc::clone(table);
    let style = ProgressStyle::with_template("{table}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    style.with_key("table", move |_: &ProgressState, frame: &mut dyn std::fmt::Write| {
        let table = lock(&table);
        let lines = table.as_ref().map(|table| table.lines(width(), height(), Instant::now()));
        let _ = frame.write_str(&lines.unwrap_or_default().join("\n"));
    })
}

/// The columns that are drawn in: a line that fills the last one wraps on some terminals.
fn width() -> usize {
    style::width(Stream::Stderr).unwrap_or(USUAL_WIDTH).saturating_sub(1)
}

/// The lines that are drawn in: what scrolls away can't be drawn over.
fn height() -> usize {
    style::height(Stream::Stderr).unwrap_or(USUAL_HEIGHT).saturating_sub(1)
}

/// The terminal behind the one writer of stderr. A frame is kept until it is whole: the writer holds back an unfinished
/// word, and drops frames that nobody takes.
#[derive(Debug, Default)]
struct Screen(Mutex<Frame>);

/// What is drawn next.
#[derive(Debug, Default)]
struct Frame {
    text: String,
    /// How many columns of the line are written.
    column: usize,
}

impl Screen {
    fn add(&self, text: &str) -> io::Result<()> {
        lock(&self.0).text.push_str(text);
        Ok(())
    }

    fn movement(&self, n: usize, direction: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.add(&format!("\x1b[{n}{direction}")) }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        u16::try_from(width()).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(height()).unwrap_or(u16::MAX)
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
        self.write_str(text)?;
        lock(&self.0).column = 0;
        self.add("\n")
    }

    /// Several lines come one after the other, each with blanks to the edge, where a terminal goes on below by itself; this edge is
    /// one column before its own.
    fn write_str(&self, text: &str) -> io::Result<()> {
        let (width, mut frame) = (width(), lock(&self.0));
        if text == "\r" {
            frame.column = 0;
        } else if !text.is_empty() && frame.column >= width {
            (frame.text, frame.column) = (std::mem::take(&mut frame.text) + "\n", 0);
        }
        frame.column += measure_text_width(text);
        frame.text.push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        lock(&self.0).column = 0;
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let Frame { text, .. } = std::mem::take(&mut *lock(&self.0));
        // Back to the line's begin, which also ends its last word.
        out::frame_to_stderr(&format!("{text}\r"));
        Ok(())
    }
}
