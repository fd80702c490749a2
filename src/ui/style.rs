//! What a terminal can show: whether there is one, how wide it is, colours, and lines broken to fit.
//!
//! Where the output is no terminal nothing here changes a byte: a script sees whole lines.

use std::io::IsTerminal;

use console::{Style, Term};
use textwrap::{Options, WordSplitter};

use crate::report::{Check, Verdict};

/// Where text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// The column at which the text of a step begins.
const NAME: usize = 11;

/// The indentation of what is said about an entry of a list.
const ENTRY: usize = 4;

/// The indentation of a command to paste below that.
const COMMAND: usize = ENTRY + 2;

/// Narrower than this there is no room for a column of names.
const NARROW: usize = 60;

/// Whether somebody can be asked, and sees what is asked.
pub(super) fn terminals_are_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether somebody sees the result.
pub(super) fn is_seen() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether a line may be drawn over again. With `TERM=dumb`, which screen readers' terminals and editors' shells say, it
/// would be read out again and again.
pub(super) fn can_redraw() -> bool {
    let says_nothing = cfg!(windows);
    let is_dumb = std::env::var_os("TERM").filter(|term| !term.is_empty()).map_or(!says_nothing, |term| term == "dumb");
    // A console of Windows has to be told to obey control sequences; this tells it, and an old one does not.
    let obeys = || !cfg!(windows) || Term::stderr().features().colors_supported();
    std::io::stderr().is_terminal() && !is_dumb && obeys()
}

/// The width of the terminal behind a stream, if there is one that says so; another one is left to do its own wrapping.
pub(super) fn width(stream: Stream) -> Option<usize> {
    size(stream).map(|(_, columns)| columns)
}

/// The lines of the terminal behind a stream, if there is one that says so.
pub(super) fn height(stream: Stream) -> Option<usize> {
    size(stream).map(|(rows, _)| rows)
}

/// Lines and columns. A terminal that does not say its size, as a serial line, has none.
fn size(stream: Stream) -> Option<(usize, usize)> {
    let (term, is_terminal) = match stream {
        Stream::Stdout => (Term::stdout(), std::io::stdout().is_terminal()),
        Stream::Stderr => (Term::stderr(), std::io::stderr().is_terminal()),
    };
    let size = is_terminal.then(|| term.size_checked()).flatten();
    size.map(|(rows, columns)| (usize::from(rows), usize::from(columns))).filter(|(_, columns)| *columns > 0)
}

/// `Name       text`, broken under itself where the terminal ends.
pub(super) fn named(name: &str, text: &str, style: &Style) -> String {
    named_within(name, text, style, width(Stream::Stderr))
}

fn named_within(name: &str, text: &str, style: &Style, width: Option<usize>) -> String {
    let name = format!("{name:<NAME$}");
    let first = style.apply_to(&name).to_string();
    let rest = if width.is_some_and(|width| width < NARROW) { "  ".to_owned() } else { " ".repeat(NAME) };
    // A command to paste stands alone.
    let (text, command) = match text.rsplit_once(": snow-onboard ") {
        Some((text, command)) => (format!("{text}:"), format!("\n{rest}  snow-onboard {command}")),
        None => (text.to_owned(), String::new()),
    };
    let text = width.map_or_else(|| format!("{first}{text}"), |width| broken(&text, width, &first, &rest));
    format!("{text}{command}\n")
}

/// The columns at which what was looked at begins, and what was found.
const SUBJECT: usize = 9;
const FOUND: usize = SUBJECT + 18;

/// `verdict  Subject  text`, and the hint beneath; broken under themselves where the terminal ends. A command to paste
/// stays whole.
pub(super) fn checked(check: &Check) -> String {
    checked_within(check, width(Stream::Stdout))
}

fn checked_within(check: &Check, width: Option<usize>) -> String {
    let Check { subject, verdict, text, hint, .. } = check;
    let style = of_verdict(*verdict);
    let verdict = style.apply_to(format!("{verdict:<SUBJECT$}"));
    let column = FOUND - SUBJECT;
    let first = match width {
        Some(..NARROW) => format!("{verdict}{subject}: "),
        _ => format!("{verdict}{subject:<column$}"),
    };
    let rest = " ".repeat(if width.is_some_and(|width| width < NARROW) { 2 } else { SUBJECT });
    let mut lines = match width {
        Some(width) => broken(text, width, &first, &rest),
        None => format!("{first}{text}"),
    };
    for line in hint.iter().flat_map(|hint| hint.lines()) {
        lines.push('\n');
        match width {
            Some(width) if !line.starts_with("  ") => lines.push_str(&broken(line, width, &rest, &rest)),
            _ => lines.push_str(&format!("{rest}{line}")),
        }
    }
    lines + "\n"
}

fn of_verdict(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Ok => Style::new().green(),
        Verdict::Warning => Style::new().yellow().bold(),
        Verdict::Fails => Style::new().red().bold(),
        Verdict::Skipped => Style::new().dim(),
    }
}

/// Text of several lines, sentences broken where the terminal ends. A line that begins with two spaces is a command to paste
/// or a row of a table, and stays whole, as does one of [`COMMAND`]; any other that begins with [`ENTRY`] or more belongs to an
/// entry of a list, and is broken under itself.
pub(super) fn sentences(text: &str, stream: Stream) -> String {
    sentences_within(text, width(stream))
}

fn sentences_within(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let line = |line: &str| match line.len() - line.trim_start_matches(' ').len() {
        COMMAND => line.to_owned(),
        indent @ (0 | ENTRY..) => broken(line.trim_start_matches(' '), width, &line[..indent], &line[..indent]),
        _ => line.to_owned(),
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

fn broken(text: &str, width: usize, first: &str, rest: &str) -> String {
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(rest)
        // A path or an id that is longer than a line can still be copied.
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(text, options)
}

/// For the names of steps.
pub(super) fn of_names() -> Style {
    Style::new().for_stderr().bold()
}

/// For what needs attention and does not end the run.
pub(super) fn of_warnings() -> Style {
    Style::new().for_stderr().yellow().bold()
}

/// For what ends it.
pub(super) fn of_errors() -> Style {
    Style::new().for_stderr().red().bold()
}

/// For what passes.
pub(super) fn of_waits() -> Style {
    Style::new().for_stderr().dim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/home/anna/.local/state/snow-onboard/jobs/JID123e4567-e89b-12d3-a456-426655440000";

    #[test]
    fn without_a_terminal_a_line_stays_a_line() {
        let plain = Style::new().force_styling(false);
        assert_eq!(named_within("Code", &"word ".repeat(50), &plain, None).lines().count(), 1);
        assert_eq!(sentences_within(&"word ".repeat(50), None).lines().count(), 1);
    }

    #[test]
    fn a_step_is_broken_under_itself_and_a_path_is_never_broken() {
        let plain = Style::new().force_styling(false);
        let text = format!("in the Secret Service keyring, read back and compared, beside {PATH}");
        let wide = named_within("Code", &text, &plain, Some(80));
        assert!(wide.lines().skip(1).all(|line| line.starts_with("           ")), "{wide}");
        let narrow = named_within("Code", &text, &plain, Some(40));
        assert!(narrow.lines().skip(1).all(|line| line.starts_with("  ") && !line.starts_with("   ")), "{narrow}");
        for shown in [wide, narrow] {
            assert!(shown.contains(PATH), "{shown}");
            assert!(
                shown.lines().filter(|line| !line.contains(PATH)).all(|line| line.chars().count() <= 80),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_command_to_paste_stays_whole() {
        let plain = Style::new().force_styling(false);
        let paste = format!("snow-onboard fetch --refresh {PATH}");
        for width in [None, Some(40), Some(100)] {
            let warning = named_within("Warning", &format!("It said: no. Fetch a new pair: {paste}"), &plain, width);
            let lines: Vec<&str> = warning.lines().collect();
            assert!(lines.len() > 1 && lines.last().is_some_and(|line| line.trim_start() == paste), "{warning}");
        }
        let command = format!("  snow-onboard fetch --refresh {PATH} --network-timeout 600");
        let text = sentences_within(&format!("Fetch a new pair, which takes a moment:\n{command}"), Some(20));
        assert!(text.lines().any(|line| line == command), "{text}");
        assert!(text.lines().count() > 2, "{text}");
        let entry = sentences_within("     EDGE_C, LOCAL_USE, created 9 days ago", Some(30));
        assert_eq!(entry, "     EDGE_C, LOCAL_USE,\n     created 9 days ago");
        let below = format!("    {command}");
        assert_eq!(sentences_within(&below, Some(20)), below);
    }
}
