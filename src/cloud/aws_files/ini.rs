//! The AWS CLI's two files, read as the AWS CLI reads them: with Python's `configparser` and `shlex`, whose rules these are.
//!
//! One broken line spoils the section that it stands in and no other: the CLI refuses the file, but a mistake in a colleague's
//! profile is no reason not to find one's own.

use std::collections::HashSet;
use std::fmt;

/// One `[section]`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// What stands between the brackets.
    pub(super) header: String,
    /// Its entries, keys in lower case.
    pub(super) entries: Vec<IniEntry>,
    /// The first line in it that can't be understood.
    pub(super) flaw: Option<IniFlaw>,
}

/// Python's name for what every other section inherits.
pub(super) const DEFAULT: &str = "DEFAULT";

/// `key = value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IniEntry {
    pub(super) key: String,
    pub(super) value: EntryValue,
    /// Counted from 1.
    pub(super) line: usize,
}

/// What stands after a key; it may be an AWS secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum EntryValue {
    /// A text; further lines of it are indented, and joined by line breaks.
    Text(String),
    /// Settings of its own, on indented lines below a key without a value.
    Nested(Vec<(String, String)>),
}

impl fmt::Debug for EntryValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EntryValue(…)")
    }
}

/// What is wrong with a line. `why` ends the sentence "line 3 …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IniFlaw {
    pub(super) line: usize,
    pub(super) why: String,
}

/// The sections of a file, in their order, and what is wrong before the first one.
pub(super) fn read(text: &str) -> (Vec<Section>, Option<IniFlaw>) {
    let mut reader = IniReader::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // As Python's universal newlines: CR LF, LF, or CR alone.
    for (index, line) in text.replace("\r\n", "\n").split(['\n', '\r']).enumerate() {
        reader.line(index + 1, line);
    }
    reader.finish()
}

#[derive(Default)]
struct IniReader {
    sections: Vec<Section>,
    /// Of all sections so far.
    headers: HashSet<String>,
    /// Of the latest section's entries.
    keys: HashSet<String>,
    before_all: Option<IniFlaw>,
    /// How far the latest entry or header was indented.
    indent: usize,
    /// Whether a further indented line continues an entry.
    in_entry: bool,
}

impl IniReader {
    fn line(&mut self, number: usize, line: &str) {
        let value = line.trim();
        if value.is_empty() || value.starts_with(['#', ';']) {
            return;
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        if self.in_entry && indent > self.indent {
            if let Some(IniEntry { value: EntryValue::Text(text), .. }) =
                self.sections.last_mut().and_then(|section| section.entries.last_mut())
            {
                text.push('\n');
                text.push_str(value);
            }
            return;
        }
        self.indent = indent;
        self.in_entry = false;
        // What follows the last bracket is a comment to the CLI.
        if let Some((header, _)) = value.strip_prefix('[').and_then(|rest| rest.rsplit_once(']'))
            && !header.is_empty()
        {
            self.section(number, header);
            return;
        }
        let Some(section) = self.sections.last_mut() else {
            let why = match value.starts_with('[') {
                true => "begins a section without its closing “]”",
                false => "stands before the first [section]",
            };
            self.before_all.get_or_insert(IniFlaw { line: number, why: why.to_owned() });
            return;
        };
        let entry = value.find(['=', ':']).map(|at| (value[..at].trim_end(), value[at + 1..].trim_start()));
        match entry {
            Some((key, value)) if !key.is_empty() => {
                let key = key.to_lowercase();
                if !self.keys.insert(key.clone()) {
                    let why = format!("says “{key}” a second time in its section");
                    section.flaw.get_or_insert(IniFlaw { line: number, why });
                }
                let value = EntryValue::Text(value.to_owned());
                section.entries.push(IniEntry { key, value, line: number });
                self.in_entry = true;
            }
            _ => {
                section.flaw.get_or_insert(IniFlaw { line: number, why: "is no “key = value”".to_owned() });
            }
        }
    }

    fn section(&mut self, number: usize, header: &str) {
        self.keys.clear();
        let is_first = self.headers.insert(header.to_owned());
        // Python reads on in it, and refuses no more than a key that it has already.
        let flaw = (!is_first && header != DEFAULT)
            .then(|| IniFlaw { line: number, why: format!("begins [{header}] a second time") });
        self.sections.push(Section { header: header.to_owned(), entries: Vec::new(), flaw });
    }

    fn finish(mut self) -> (Vec<Section>, Option<IniFlaw>) {
        for section in &mut self.sections {
            for entry in &mut section.entries {
                let EntryValue::Text(text) = &entry.value else { continue };
                let Some(below) = text.strip_prefix('\n') else { continue };
                let nested: Option<Vec<_>> = below
                    .lines()
                    .map(|line| {
                        line.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
                    })
                    .collect();
                match nested {
                    Some(nested) => entry.value = EntryValue::Nested(nested),
                    None => {
                        let why = format!("begins “{}”, below which a line is no “key = value”", entry.key);
                        section.flaw.get_or_insert(IniFlaw { line: entry.line, why });
                    }
                }
            }
        }
        (self.sections, self.before_all)
    }
}

/// A command taken apart as the AWS CLI does on this system. `None` if it can't be.
pub(super) fn split_command(text: &str) -> Option<Vec<String>> {
    if cfg!(windows) { split_as_windows(text) } else { split(text) }
}

/// As programs on Windows take their command lines apart: blanks and tabs separate, double quotes protect, and backslashes escape
/// each other, or a quote, only where they lead up to one. `None` if a quote is left open.
fn split_as_windows(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let (mut is_quoted, mut backslashes) = (false, 0_usize);
    for next in text.chars() {
        if next == '\\' {
            backslashes += 1;
            continue;
        }
        let are_escapes = next == '"';
        let literal = if are_escapes { backslashes / 2 } else { backslashes };
        if literal > 0 {
            word.get_or_insert_default().push_str(&"\\".repeat(literal));
        }
        let is_escaped = are_escapes && backslashes % 2 == 1;
        backslashes = 0;
        match next {
            '"' if !is_escaped => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' if !is_quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    if is_quoted {
        return None;
    }
    if backslashes > 0 {
        word.get_or_insert_default().push_str(&"\\".repeat(backslashes));
    }
    words.extend(word);
    Some(words)
}

/// A command or a header taken apart as Python's `shlex.split` does: blanks separate, either quote protects, a backslash escapes
/// the next character outside quotes, and a quote or a backslash between double ones. Nothing else is special. `None` if a quote
/// or an escape is left open.
pub(super) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        match next {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        inner => word.push(inner),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            escaped @ ('"' | '\\') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        inner => word.push(inner),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn only(text: &str) -> Section {
        let (mut sections, flaw) = read(text);
        assert_eq!((sections.len(), flaw), (1, None), "{text}");
        sections.pop().unwrap()
    }

    fn texts(section: &Section) -> Vec<(&str, &str)> {
        let text = |entry: &'_ IniEntry| match &entry.value {
            EntryValue::Text(_) => (),
            EntryValue::Nested(_) => panic!("{entry:?}"),
        };
        section.entries.iter().for_each(text);
        let pair = |entry| match entry {
            &IniEntry { ref key, value: EntryValue::Text(ref value), .. } => (key.as_str(), value.as_str()),
            _ => unreachable!(),
        };
        section.entries.iter().map(pair).collect()
    }

    #[test]
    fn what_the_cli_reads_is_read() {
        for (text, header, entries) in [
            ("[a]\nRegion = x\n", "a", &[("region", "x")][..]),
            ("\u{feff}[a]\r\nregion=x\r\n", "a", &[("region", "x")]),
            ("  [a]\n    region = x\n    output = y\n", "a", &[("region", "x"), ("output", "y")]),
            ("[a] # mine\nregion: x\n", "a", &[("region", "x")]),
            (
                "[a]\n  # a comment\n\t; another\nregion = x # kept, as Python does\n",
                "a",
                &[("region", "x # kept, as Python does")],
            ),
            ("[a]\nkey = x = y : z\n", "a", &[("key", "x = y : z")]),
            ("[a]\nkey : x = y\n", "a", &[("key", "x = y")]),
            ("[a]\nkey = one\n  two\n\n  three\n", "a", &[("key", "one\ntwo\nthree")]),
            ("[a]\nkey =\u{a0}x\u{a0}\n", "a", &[("key", "x")]),
            ("[a]\nkey =\n", "a", &[("key", "")]),
        ] {
            let section = only(text);
            assert_eq!(
                (section.header.as_str(), texts(&section), &section.flaw),
                (header, entries.to_vec(), &None),
                "{text}"
            );
        }
        let s3 = only("[a]\ns3 =\n  max = 1\n  min=2\nregion = x\n");
        assert_eq!(
            s3.entries[0].value,
            EntryValue::Nested(vec![("max".into(), "1".into()), ("min".into(), "2".into())])
        );
        assert_eq!(s3.entries[1].line, 5);
    }

    #[test]
    fn a_flaw_spoils_its_section_and_no_other() {
        let (sections, flaw) = read("[a]\nnonsense\n[b]\nx = 1\nX = 2\n[c]\nx = 1\n[a]\n[d]\ns3 =\n  nonsense\n");
        let flaws: Vec<_> = sections.iter().map(|section| section.flaw.as_ref().map(|flaw| flaw.line)).collect();
        assert_eq!(flaws, [Some(2), Some(5), None, Some(8), Some(10)]);
        assert_eq!(flaw, None);
        assert_eq!(read("region = x\n[a]\n").1.unwrap().line, 1);
        assert_eq!(read("[]\n").1.unwrap().line, 1);
    }

    /// No clock is read: where each section or key is looked for among all before it, this takes longer than a test may.
    #[test]
    fn many_sections_and_many_keys_are_read() {
        let many = 200_000;
        let sections: String = (0..many).map(|number| format!("[profile p{number}]\nk=1\n")).collect();
        let (sections, flaw) = read(&(sections + "[profile p7]\n"));
        assert_eq!((sections.len(), flaw), (many + 1, None));
        let flaws: Vec<_> = sections.iter().filter_map(|section| section.flaw.as_ref()).map(|flaw| flaw.line).collect();
        assert_eq!(flaws, [2 * many + 1]);
        let keys: String = (0..many).map(|number| format!("k{number}=1\n")).collect();
        let (sections, _) = read(&format!("[a]\n{keys}K7=1\n[b]\nk7=1\n"));
        assert_eq!(sections[0].entries.len(), many + 1);
        assert_eq!(sections[0].flaw.as_ref().map(|flaw| flaw.line), Some(many + 2));
        assert_eq!(sections[1].flaw, None, "another section's keys are its own");
    }

    #[test]
    fn words_are_split_as_python_does() {
        // Computed with Python's shlex.split.
        for (text, words) in [
            (r#"profile "a b""#, Some(&["profile", "a b"][..])),
            (
                r#"run 'a b' "c \"d\" \x" e\ f $HOME & ; #g"#,
                Some(&["run", "a b", r#"c "d" \x"#, "e f", "$HOME", "&", ";", "#g"]),
            ),
            (r#"a""b'' """#, Some(&["ab", ""])),
            ("\u{a0}ä", Some(&["\u{a0}ä"])),
            ("open 'quote", None),
            ("open\\", None),
            ("", Some(&[])),
        ] {
            assert_eq!(
                split(text).as_deref(),
                words.map(|words| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()).as_deref(),
                "{text}"
            );
        }
    }

    #[test]
    fn words_are_split_as_windows_does() {
        // As botocore's own tests for it have them.
        for (text, words) in [
            (r#"C:\foo\bar.exe --baz"#, Some(&[r"C:\foo\bar.exe", "--baz"][..])),
            (r#""C:\with space\bar.exe" a\ b "#, Some(&[r"C:\with space\bar.exe", r"a\", "b"])),
            (r#"a \"b\" \\"c d\\""#, Some(&["a", r#""b""#, r"\c d\"])),
            (r#"foo "" 'x y' $HOME & #g"#, Some(&["foo", "", "'x", "y'", "$HOME", "&", "#g"])),
            (r#"open "quote"#, None),
            ("", Some(&[])),
        ] {
            assert_eq!(
                split_as_windows(text).as_deref(),
                words.map(|words| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()).as_deref(),
                "{text}"
            );
        }
    }
}
