//! The manual for who has no Rust: the same chapters as one Markdown file and as a manual page of section 7.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use regex::Regex;

use crate::fresh;

/// In the order of reading.
const CHAPTERS: [(&str, &str); 6] = [
    ("on_site", "On site"),
    ("life_of_a_code", "The life of a code"),
    ("threat_model", "Threat model"),
    ("when_a_code_has_leaked", "When a code has leaked"),
    ("headless", "Without a screen"),
    ("past_mistakes", "Past mistakes of others"),
];
const HEAD: &str = "Brings an AWS Snowball Edge device through its first start: what an operator needs on site, and what whoever \
                    answers for the secrets has to know.";

#[test]
fn every_chapter_is_in_the_manual() {
    let mut chapters: Vec<String> =
        CHAPTERS.iter().map(|(file, _)| format!("{file}.rs")).chain(["mod.rs".into()]).collect();
    chapters.sort();
    assert_eq!(fresh::names("src/manual"), chapters);
}

#[test]
fn the_markdown_is_what_the_chapters_say() {
    let mut text = format!("# snow-onboard: the manual\n\n{HEAD}\n\n");
    for (file, title) in CHAPTERS {
        text.push_str(&format!("- [{title}](#{})\n", title.to_lowercase().replace(' ', "-")));
        assert!(!chapter(file).is_empty());
    }
    for (file, title) in CHAPTERS {
        text.push_str(&format!("\n## {title}\n\n"));
        for line in chapter(file).lines() {
            // A chapter's own headings are one level down here.
            text.push_str(if line.starts_with('#') { "##" } else { "" });
            text.push_str(line);
            text.push('\n');
        }
    }
    fresh::check("packaging/manual.md", &text);
}

#[test]
fn the_manual_page_is_what_the_chapters_say() {
    let mut page = Page::default();
    page.roff.control("SH", ["NAME"]);
    page.roff.text([roman("snow-onboard - the manual")]);
    page.roff.control("SH", ["DESCRIPTION"]);
    page.roff.text([roman(HEAD)]);
    for (file, title) in CHAPTERS {
        page.roff.control("SH", [title.to_uppercase().as_str()]);
        // Which test shows it is for the Markdown: here it would be half of the text.
        page.chapter(&without_tests(&chapter(file)));
    }
    page.roff.control("SH", ["SEE ALSO"]);
    page.roff.text([bold("snow-onboard"), roman("(1)")]);
    let mut out = Vec::new();
    page.roff.to_writer(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let (apostrophe, rest) = text.split_at(text.find(".SH").unwrap());
    let title = ".TH SNOW-ONBOARD 7 \"\" snow-onboard \"Manual\"\n";
    let lines: String =
        format!("{apostrophe}{title}{rest}").lines().map(|line| format!("{}\n", line.trim_end())).collect();
    fresh::check("packaging/man/snow-onboard.7", &lines);
}

/// A chapter as Markdown, without links to what only Rust's documentation has.
fn chapter(file: &str) -> String {
    let source = fresh::read(&format!("src/manual/{file}.rs"));
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let text: String = lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect();
    let link = Regex::new(r"\[([^\]]+)\]\(crate::[^)]*\)").unwrap();
    link.replace_all(&text, "$1").into_owned()
}

#[test]
fn links_into_the_code_become_words() {
    assert!(chapter("life_of_a_code").contains("`Separation::check` looks through"));
    let said = without_tests("It holds\n(`src/a.rs::b`, `tests/c.rs::d`), and (`x`) stays.\n| a | `tests/c.rs::d` |");
    assert_eq!(said, "It holds, and (`x`) stays.\n| a | |");
}

fn without_tests(text: &str) -> String {
    let cited = r"`[a-z_/]+\.rs::\w+`";
    let in_brackets = Regex::new(&format!(r"\s*\({cited}(,\s+{cited})*\)")).unwrap();
    let alone = Regex::new(&format!(r"({cited}(,\s+)?)+")).unwrap();
    let text = in_brackets.replace_all(text, "");
    alone.replace_all(&text, "").replace("|  |", "| |")
}

/// A page that is being written. Tables become lists: a terminal has no room for the others.
#[derive(Default)]
struct Page {
    roff: Roff,
    line: Vec<Inline>,
    strength: Strength,
    /// Whether the next text stands where a new paragraph would be no new one: behind a bullet, or in a cell.
    is_begun: bool,
    /// The number of the next item of each list that is open; none for bullets.
    lists: Vec<Option<u64>>,
    cell: usize,
    columns: Vec<String>,
    in_head: bool,
    /// How much of a row there was after the label of its last cell, which may stay empty.
    label: Option<usize>,
    code: bool,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Strength {
    #[default]
    Roman,
    Bold,
    Italic,
}

impl Page {
    fn chapter(&mut self, text: &str) {
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(tag) => self.start(&tag),
                Event::End(tag) => self.end(tag),
                Event::Text(text) if self.code => {
                    for line in text.lines() {
                        self.roff.text([roman(line)]);
                    }
                }
                Event::Text(text) => self.line.push(match self.strength {
                    Strength::Roman => roman(text.into_string()),
                    Strength::Bold => bold(text.into_string()),
                    Strength::Italic => italic(text.into_string()),
                }),
                Event::Code(text) => self.line.push(bold(text.into_string())),
                Event::SoftBreak | Event::HardBreak => self.line.push(roman(" ")),
                other => panic!("the manual page has no form for {other:?}"),
            }
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Paragraph if self.is_begun => self.is_begun = false,
            Tag::Paragraph => {
                self.roff.control("PP", []);
            }
            Tag::List(first) => self.lists.push(*first),
            Tag::Item => {
                self.flush();
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}.", *number - 1)
                    }
                    _ => "\\(bu".to_owned(),
                };
                self.roff.control("IP", [mark.as_str(), "4"]);
                self.is_begun = true;
            }
            Tag::CodeBlock(_) => {
                self.flush();
                self.roff.control("RS", ["4"]);
                self.roff.control("nf", []);
                self.code = true;
            }
            Tag::TableHead => {
                self.columns.clear();
                self.in_head = true;
            }
            Tag::TableRow => {
                self.cell = 0;
                self.roff.control("TP", []);
            }
            Tag::Strong => self.strength = Strength::Bold,
            Tag::Emphasis => self.strength = Strength::Italic,
            Tag::Heading { .. } | Tag::Table(_) | Tag::TableCell | Tag::Link { .. } => {}
            other => panic!("the manual page has no form for {other:?}"),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                assert_eq!(level, HeadingLevel::H1, "one level of headings in a chapter");
                self.roff.control("SS", []);
                self.flush();
            }
            TagEnd::CodeBlock => {
                self.code = false;
                self.roff.control("fi", []);
                self.roff.control("RE", []);
            }
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
                self.is_begun = false;
            }
            TagEnd::Item => {
                self.flush();
                self.is_begun = false;
            }
            TagEnd::Paragraph => self.flush(),
            TagEnd::TableHead => self.in_head = false,
            TagEnd::TableCell if self.in_head => {
                let words = std::mem::take(&mut self.line).into_iter().map(|part| match part {
                    Inline::Roman(text) | Inline::Bold(text) | Inline::Italic(text) => text,
                    Inline::LineBreak => String::new(),
                });
                self.columns.push(words.collect());
            }
            // The first is what the item is of; of the others the second is clear from what stands in it.
            TagEnd::TableCell => {
                self.cell += 1;
                if self.label.take_if(|at| *at == self.line.len()).is_some() {
                    self.line.pop();
                }
                match self.columns.get(self.cell) {
                    _ if self.cell == 1 => self.flush(),
                    Some(next) => {
                        self.line.push(roman(format!("; {next}: ")));
                        self.label = Some(self.line.len());
                    }
                    None => {}
                }
            }
            TagEnd::TableRow => self.flush(),
            TagEnd::Strong | TagEnd::Emphasis => self.strength = Strength::Roman,
            _ => {}
        }
    }

    fn flush(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.roff.text(line);
        }
    }
}
