//! A terminal with a program in it: a pseudo-terminal, and a screen that shows what a person would see.
//!
//! ```text
//! let mut terminal = Terminal::start(command, 80, 24);
//! terminal.wait_for("What address").type_line("192.0.2.10").wait_for("UNLOCKED");
//! assert_eq!(terminal.end(), 0);
//! ```
//!
//! Nothing here has a pace: every wait is for something to be seen, for half a minute at most, and one that is in vain
//! panics with the screen.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command as PtyCommand, Pty};
use vt100::{Parser, Screen};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The keys that are no text.
pub(crate) const ENTER: &str = "\r";
pub(crate) const CTRL_C: &str = "\u{3}";
pub(crate) const CTRL_Z: &str = "\u{1a}";
pub(crate) const CTRL_D: &str = "\u{4}";
pub(crate) const ESCAPE: &str = "\u{1b}";
pub(crate) const UP: &str = "\u{1b}[A";
pub(crate) const DOWN: &str = "\u{1b}[B";

/// A program in a terminal. It is ended when this is dropped.
pub(crate) struct Terminal {
    child: Child,
    pty: Arc<Pty>,
    seen: Arc<Seen>,
    reader: Option<JoinHandle<()>>,
}

/// What came out of the program so far.
#[derive(Default)]
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    parser: Parser,
    transcript: Vec<u8>,
    /// How much of it there was when the last answer was typed.
    answered: usize,
    closed: bool,
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terminal {
    /// Starts the command in a terminal of this size. Its variables are those that were set on it; `TERM` is
    /// `xterm-256color` unless the command has another.
    pub(crate) fn start(mut command: Command, cols: u16, rows: u16) -> Self {
        if !command.get_envs().any(|(name, _)| name == "TERM") {
            command.env("TERM", "xterm-256color");
        }
        let (pty, inner) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(rows, cols)).unwrap();
        let child = PtyCommand::from(command).spawn(inner).unwrap();
        let pty = Arc::new(pty);
        let seen = Arc::new(Seen::default());
        let (rows, cols) = sizes(rows, cols);
        seen.lock().parser = Parser::new(rows, cols, 10_000);
        let (from, to) = (Arc::clone(&pty), Arc::clone(&seen));
        let reader = std::thread::spawn(move || read_all(&from, &to));
        Self { child, pty, seen, reader: Some(reader) }
    }

    /// Waits until the screen shows the text. What a line's end at the edge of the screen parts counts as one.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> &mut Self {
        self.wait_until(&format!("“{text}”"), |screen| screen.contents().contains(text))
    }

    /// Waits until the screen shows the text no more.
    #[track_caller]
    pub(crate) fn wait_until_gone(&mut self, text: &str) -> &mut Self {
        self.wait_until(&format!("“{text}” to go"), |screen| !screen.contents().contains(text))
    }

    /// Waits until the screen is as `condition` says.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, condition: impl Fn(&Screen) -> bool) -> &mut Self {
        drop(self.wait(what, |state| condition(state.parser.screen())));
        self
    }

    /// Answers a question once it is asked: what is typed before is not for it. One that came before the last answer is not
    /// meant, though it looks as if it were open until the answer is seen.
    #[track_caller]
    pub(crate) fn answer(&mut self, question: &str, line: &str) -> &mut Self {
        let mut state = self.wait(&format!("the question “{question}”"), |state| {
            let since = String::from_utf8_lossy(&state.transcript[state.answered..]);
            let since = console::strip_ansi_codes(&since);
            since.trim_end().lines().last().is_some_and(|last| last.contains(question) && last.ends_with([':', ']']))
        });
        state.answered = state.transcript.len();
        drop(state);
        self.type_line(line)
    }

    #[track_caller]
    fn wait(&self, what: &str, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let start = Instant::now();
        let mut state = self.seen.lock();
        while !condition(&state) {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let why = match (state.closed, left.is_zero()) {
                (true, _) => "the program is gone",
                (_, true) => "half a minute is over",
                _ => "",
            };
            assert!(why.is_empty(), "waited in vain for {what}: {why}.\n{}", framed(state.parser.screen()));
            state = self.seen.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    /// Presses these keys.
    #[track_caller]
    pub(crate) fn press(&mut self, keys: &str) -> &mut Self {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Types a line, and Enter.
    #[track_caller]
    pub(crate) fn type_line(&mut self, line: &str) -> &mut Self {
        self.press(line).press(ENTER)
    }

    /// Sends the program a signal, as a shell does.
    #[allow(dead_code, reason = "not every binary that has a terminal is a shell")]
    pub(crate) fn signal(&mut self, signal: rustix::process::Signal) -> &mut Self {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.unwrap(), signal).unwrap();
        self
    }

    /// Changes the size, which the program is told of by SIGWINCH. What stands on the screen is cut or left as it is, and
    /// not wrapped anew.
    pub(crate) fn resize(&mut self, cols: u16, rows: u16) -> &mut Self {
        let (rows_of_screen, cols_of_screen) = sizes(rows, cols);
        // The screen first: what the program draws in the new size must not meet the old one.
        self.seen.lock().parser.set_size(rows_of_screen, cols_of_screen);
        self.pty.resize(Size::new(rows, cols)).unwrap();
        self
    }

    /// The screen's rows, without blanks at their ends and at its end.
    pub(crate) fn screen(&self) -> String {
        shown(self.seen.lock().parser.screen())
    }

    /// The screen with its colours.
    pub(crate) fn cells(&self) -> Screen {
        self.seen.lock().parser.screen().clone()
    }

    /// All that the program ever wrote to the terminal, control sequences and echo included.
    pub(crate) fn transcript(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().transcript).into_owned()
    }

    /// The process id of the program.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the program ends, and until all it wrote is on the screen. Gives its exit code as a shell would: 128 and
    /// the signal's number if one ended it.
    #[track_caller]
    pub(crate) fn end(&mut self) -> i32 {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "the program does not end.\n{}",
                framed(self.seen.lock().parser.screen())
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut state = self.seen.lock();
        while !state.closed {
            let left = PATIENCE.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "something still has the terminal open.\n{}", framed(state.parser.screen()));
            state = self.seen.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        code(status)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take().filter(JoinHandle::is_finished) {
            let _ = reader.join();
        }
    }
}

fn read_all(pty: &Pty, seen: &Seen) {
    let mut piece = [0; 4096];
    // When the last program has closed it: an error on Linux, an end on macOS.
    while let Ok(length @ 1..) = (&mut &*pty).read(&mut piece) {
        let mut state = seen.lock();
        state.parser.process(&piece[..length]);
        state.transcript.extend_from_slice(&piece[..length]);
        seen.changed.notify_all();
    }
    seen.lock().closed = true;
    seen.changed.notify_all();
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap()
}

fn sizes(rows: u16, cols: u16) -> (NonZeroU16, NonZeroU16) {
    (NonZeroU16::new(rows).unwrap(), NonZeroU16::new(cols).unwrap())
}

fn shown(screen: &Screen) -> String {
    let rows: Vec<String> = screen.rows(0, screen.size().1.get()).map(|row| row.trim_end().to_owned()).collect();
    rows.join("\n").trim_end().to_owned()
}

fn framed(screen: &Screen) -> String {
    let edge = "─".repeat(screen.size().1.get().into());
    format!("{edge}\n{}\n{edge}", shown(screen))
}

mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).args(["-c", script]);
        command
    }

    #[test]
    fn what_is_typed_arrives_and_what_is_said_is_seen() {
        let mut terminal =
            Terminal::start(shell("printf 'name? '; read x; printf '\\033[31mso: %s\\n' \"$x\"; exit 3"), 40, 5);
        terminal.wait_for("name? ").type_line("snow").wait_for("so: snow");
        assert_eq!(terminal.end(), 3);
        assert_eq!(terminal.screen(), "name? snow\nso: snow");
        assert_eq!(terminal.cells().cell(1, 0).unwrap().fgcolor(), vt100::Color::Idx(1));
        assert_eq!(terminal.transcript(), "name? snow\r\n\u{1b}[31mso: snow\r\n");
    }

    #[test]
    fn it_has_a_size_and_can_be_given_another() {
        let mut terminal =
            Terminal::start(shell("trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.05; done"), 40, 5);
        terminal.wait_for("5 40").resize(20, 7).wait_for("7 20");
        assert_eq!(terminal.end(), 0);
    }

    #[test]
    fn a_key_can_end_the_program_as_it_would_in_a_terminal() {
        let mut terminal = Terminal::start(shell("echo ready; exec sleep 1000"), 40, 5);
        terminal.wait_for("ready").press(CTRL_C);
        assert_eq!(terminal.end(), 128 + 2);
    }

    #[test]
    fn a_text_that_the_edge_parts_is_found_whole() {
        let mut terminal = Terminal::start(shell("printf '0123456789abcdef'"), 10, 5);
        terminal.wait_for("789abc");
        assert_eq!(terminal.screen(), "0123456789\nabcdef");
    }

    #[test]
    fn a_question_is_answered_once_it_is_asked_and_the_one_before_is_not_taken_for_it() {
        // What is typed is shown late, and what it begins with was on the screen before.
        let script = r#"stty -echo; printf ' 1 of 2\n q\nNumber: '
            read one; sleep 0.3; read -t 0 && printf 'early '
            printf '%s\nNumber: ' "$one"; read two; printf '%s\n[y]' "$two"; read three; echo "<$one $two$three>""#;
        let mut bash = Command::new("bash");
        bash.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).args(["-c", script]);
        let mut terminal = Terminal::start(bash, 40, 10);
        terminal.answer("Number:", "q").answer("Number:", "w").answer("[y]", "").wait_for("<q w>");
        assert_eq!(terminal.end(), 0);
        assert!(!terminal.screen().contains("early"), "{}", terminal.screen());
    }

    #[test]
    #[should_panic(expected = "waited in vain for “never”: the program is gone.\n──────────\nonce\n──────────")]
    fn a_wait_in_vain_shows_the_screen() {
        Terminal::start(shell("echo once"), 10, 5).wait_for("never");
    }
}
