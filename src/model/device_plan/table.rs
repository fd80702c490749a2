//! The rows of a plan in CSV, each with its line. Strict where others guess: a quote that is not closed would take the lines after it
//! into one value, and their devices out of the plan, without a word.

use super::{PlanFlaw, PlanText};
use crate::model::TargetId;

/// A row, and the line in which it begins.
pub(super) struct PlanRow {
    pub(super) line: u64,
    /// Its values, without blanks around them.
    pub(super) cells: Vec<String>,
}

/// What may stand between the values of a row.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// The rows that are neither empty nor a comment.
///
/// # Errors
/// The first quote that is not where one belongs.
pub(super) fn rows(text: &PlanText) -> Result<Vec<PlanRow>, PlanFlaw> {
    let mut reader = PlanReader { rest: text.as_str(), line: 1, separator: SEPARATORS[0], is_in_table: false };
    reader.skip_empty()?;
    let first = reader.rest.lines().next().unwrap_or_default();
    reader.separator = match named_separator(first) {
        None => first_separator(first),
        Some(Some(named)) => {
            reader.skip_line();
            named
        }
        Some(None) => return Err(reader.flaw("sep= names no separator. It is a comma, a semicolon or a tab")),
    };
    let mut rows = Vec::new();
    while let Some(row) = reader.row()? {
        if row.cells.iter().any(|cell| !cell.is_empty()) {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// That which a line `sep=;` names, as spreadsheets write it before the first row. `None` if it is no such line.
fn named_separator(line: &str) -> Option<Option<char>> {
    let bare = line.trim_matches(['"', ' ']);
    let (name, named) = bare.split_at_checked("sep=".len())?;
    let is_one = |named: &char| SEPARATORS.contains(named) && bare.chars().count() == "sep=;".len();
    name.eq_ignore_ascii_case("sep=").then(|| named.chars().next().filter(is_one))
}

/// That which comes first outside of quotes.
fn first_separator(line: &str) -> char {
    let mut is_quoted = false;
    let is_one = |c: &char| {
        is_quoted ^= *c == '"';
        !is_quoted && SEPARATORS.contains(c)
    };
    line.chars().find(is_one).unwrap_or(SEPARATORS[0])
}

struct PlanReader<'a> {
    rest: &'a str,
    /// The line in which the rest begins, counted from 1.
    line: u64,
    separator: char,
    /// Whether there was a row.
    is_in_table: bool,
}

impl PlanReader<'_> {
    fn flaw(&self, why: &str) -> PlanFlaw {
        PlanFlaw { line: Some(self.line), why: why.to_owned() }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        self.line += u64::from(next == '\n');
        Some(next)
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    /// Goes on behind lines of nothing, and comments. What stands in columns and begins with a label such as #1 is none: its device
    /// would leave the plan without a word.
    fn skip_empty(&mut self) -> Result<(), PlanFlaw> {
        while let Some(line) = self.rest.lines().next() {
            let is_comment = line.starts_with('#');
            if !is_comment && !line.trim().is_empty() {
                break;
            }
            let mut others = line.split(self.separator).skip(1).map(|cell| cell.trim_matches(['"', ' ']));
            if is_comment && self.is_in_table && others.any(|cell| TargetId::typed(cell).is_ok()) {
                return Err(self.flaw(
                    "it begins with #, as a comment, and has a job in another column. If it is a device, put its first value in quotes; else delete the line",
                ));
            }
            self.skip_line();
        }
        Ok(())
    }

    /// Goes on behind blanks that separate nothing.
    fn skip_blanks(&mut self) {
        let is_blank = |c: char| c.is_whitespace() && c != '\n' && c != self.separator;
        self.rest = self.rest.trim_start_matches(is_blank);
    }

    /// Whether a value ends here.
    fn is_at_end(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with(['\n', self.separator])
    }

    fn row(&mut self) -> Result<Option<PlanRow>, PlanFlaw> {
        self.skip_empty()?;
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.is_in_table = true;
        let mut row = PlanRow { line: self.line, cells: Vec::new() };
        loop {
            row.cells.push(self.cell()?.trim().to_owned());
            if self.next() != Some(self.separator) {
                return Ok(Some(row));
            }
        }
    }

    /// One value, up to what ends it.
    fn cell(&mut self) -> Result<String, PlanFlaw> {
        self.skip_blanks();
        if !self.rest.starts_with('"') {
            let length = self.rest.find(['\n', self.separator]).unwrap_or(self.rest.len());
            let (cell, rest) = self.rest.split_at(length);
            if cell.contains('"') {
                return Err(self.flaw(
                    "a quote is in the middle of a value. Put the whole value in quotes, and write a quote inside it twice",
                ));
            }
            self.rest = rest;
            return Ok(cell.to_owned());
        }
        let opened = self.flaw("a quote is not closed");
        self.next();
        let mut cell = String::new();
        loop {
            match self.next() {
                None => return Err(opened),
                Some('"') if self.rest.starts_with('"') => cell.extend(self.next()),
                Some('"') => break,
                Some(c) => cell.push(c),
            }
        }
        self.skip_blanks();
        if self.is_at_end() {
            return Ok(cell);
        }
        // It was closed by one that was meant to open a value in a later line.
        Err(if opened.line == Some(self.line) {
            self.flaw("there is text after a closing quote. Write a quote inside a value in quotes twice")
        } else {
            opened
        })
    }
}
