//! `exit-codes`: the table of exit codes, and the names of the errors that end with each.

use serde::Serialize;

use crate::error::ExitCode;
use crate::ui::Ui;

#[derive(Serialize)]
struct ExitCodesResult {
    exit_codes: Vec<ExitCodeRow>,
}

#[derive(Serialize)]
struct ExitCodeRow {
    exit: u8,
    meaning: String,
    /// What to look at or to do.
    advice: Option<String>,
    /// The stable names of the errors.
    codes: Vec<&'static str>,
}

pub(super) fn exit_codes(ui: &Ui) {
    let rows: Vec<ExitCodeRow> = ExitCode::ALL.iter().copied().map(ExitCodeRow::new).collect();
    ui.result(None, &text(&rows), ExitCodesResult { exit_codes: rows });
}

impl ExitCodeRow {
    fn new(exit: ExitCode) -> Self {
        let plain = |text: &str| text.replace('`', "");
        Self {
            exit: exit as u8,
            meaning: plain(exit.meaning()),
            advice: Some(plain(exit.advice())).filter(|advice| !advice.is_empty()),
            codes: exit.codes().collect(),
        }
    }
}

fn text(rows: &[ExitCodeRow]) -> String {
    let mut text = String::new();
    for ExitCodeRow { exit, meaning, advice, codes } in rows {
        text.push_str(&wrap(meaning, &format!("{exit:>3}  "), "     "));
        if let Some(advice) = advice {
            text.push_str(&wrap(advice, "     next:    ", "              "));
        }
        if !codes.is_empty() {
            text.push_str(&wrap(&codes.join(", "), "     errors:  ", "              "));
        }
    }
    text
}

fn wrap(words: &str, first: &str, others: &str) -> String {
    let options = textwrap::Options::new(80).initial_indent(first).subsequent_indent(others);
    textwrap::fill(words, options) + "\n"
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn every_exit_code_and_every_error_is_listed_once() {
        let rows: Vec<ExitCodeRow> = ExitCode::ALL.iter().copied().map(ExitCodeRow::new).collect();
        let codes: Vec<&str> = rows.iter().flat_map(|row| row.codes.iter().copied()).collect();
        assert_eq!(codes.len(), Error::CODES.len());
        for (code, exit) in Error::CODES {
            let row = rows.iter().find(|row| row.codes.contains(code)).unwrap();
            assert_eq!(row.exit, *exit as u8, "{code}");
        }
        let text = text(&rows);
        let words: Vec<&str> = text.split([' ', '\n', ',']).collect();
        for code in codes {
            assert!(words.contains(&code), "{code}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80 && line.trim_end() == line), "{text}");
    }
}
