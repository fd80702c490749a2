//! A file: what is done, and what is said to it.
//!
//! At the margin stands what is done, in this order in time:
//!
//! - `# …`: what the file is about, and whatever else is for people
//! - `kept: the pair`, `kept: an older pair`: what was fetched before
//! - `scene: GROUP: NAME`: it goes wrong like that; the groups and names are those of the matrix and of `scenes`
//! - `healed`: the fault is gone
//! - `file: PATH`, its content indented below: is written
//! - `$ NAME=VALUE snow-onboard …`: is run, with these variables on top of those of the scene. Blanks separate words,
//!   double quotes hold them together; no shell has a part in it. With ` > /dev/full` at the end of the line, its stdout
//!   has no space left
//! - `> PROMPT → ANSWER`, below a command: it is run in a terminal, and when its last line has the prompt, this is typed;
//!   `^C` and `^D` are the keys
//!
//! After a command everything up to the next line at the margin is what came of it, and is written by the tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::row::Given;

/// A file, as it stands.
pub(crate) struct Case {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) steps: Vec<Step>,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Remark(String),
    Kept(Given),
    Scene { group: String, name: String },
    Healed,
    File { path: String, content: Vec<String> },
    Command { line: String, typed: Vec<(String, String)> },
}

/// How a command ended, in the words of a file.
pub(crate) struct Said {
    /// `exit 13, device_is_another`
    pub(crate) end: String,
    /// By where: stdout, stderr, or the terminal that is both.
    pub(crate) texts: Vec<(&'static str, String)>,
}

const PAIR: &str = "the pair";
const OLDER: &str = "an older pair";

impl Case {
    /// Every file of a folder, by name.
    pub(crate) fn all_in(folder: &Path) -> Vec<Self> {
        let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    #[track_caller]
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let steps = parse(&text).unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display()));
        Self { path: path.to_owned(), text, steps }
    }

    /// The scene that it needs from the start.
    pub(crate) fn scene(&self) -> Option<(&str, &str)> {
        self.steps.iter().find_map(|step| match step {
            Step::Scene { group, name } => Some((&group[..], &name[..])),
            _ => None,
        })
    }
}

fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let step = match line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim())) {
            ("", _) | ("exit" | "---", _) => continue,
            ("#", text) => Step::Remark(text.to_owned()),
            ("kept:", PAIR) => Step::Kept(Given::Pair),
            ("kept:", OLDER) => Step::Kept(Given::Stale),
            ("scene:", scene) => {
                let (group, name) = scene.split_once(": ").ok_or("a scene is of a group: “scene: GROUP: NAME”")?;
                Step::Scene { group: group.to_owned(), name: name.to_owned() }
            }
            ("healed", "") => Step::Healed,
            ("file:", path) => {
                let mut content = Vec::new();
                while let Some(line) = lines.next_if(|line| line.starts_with("  ")) {
                    content.push(line[2..].to_owned());
                }
                Step::File { path: path.to_owned(), content }
            }
            ("$", command) => {
                let mut typed = Vec::new();
                while let Some(line) = lines.next_if(|line| line.starts_with("> ")) {
                    let (prompt, answer) = line[2..].split_once(" → ").ok_or("“> PROMPT → ANSWER” has an arrow")?;
                    typed.push((prompt.to_owned(), answer.to_owned()));
                }
                Step::Command { line: command.to_owned(), typed }
            }
            _ => return Err(format!("“{line}” is nothing to be done")),
        };
        steps.push(step);
    }
    if !steps.iter().any(|step| matches!(step, Step::Command { .. })) {
        return Err("it runs no command".to_owned());
    }
    Ok(steps)
}

/// The whole file anew; `said` are the commands' ends in their order.
pub(crate) fn render(steps: &[Step], said: &[Said]) -> String {
    let mut said = said.iter();
    let mut blocks: Vec<String> = Vec::new();
    for step in steps {
        let block = match step {
            Step::Remark(text) => format!("# {text}").trim_end().to_owned() + "\n",
            Step::Kept(Given::Stale) => format!("kept: {OLDER}\n"),
            Step::Kept(_) => format!("kept: {PAIR}\n"),
            Step::Scene { group, name } => format!("scene: {group}: {name}\n"),
            Step::Healed => "healed\n".to_owned(),
            Step::File { path, content } => format!("file: {path}\n{}", indented(&(content.join("\n") + "\n"))),
            Step::Command { line, typed } => {
                let said = said.next().expect("every command was run");
                let typed: String = typed.iter().map(|(prompt, answer)| format!("> {prompt} → {answer}\n")).collect();
                let mut block = format!("$ {line}\n{typed}{}\n", said.end);
                for (place, text) in said.texts.iter().filter(|(_, text)| !text.is_empty()) {
                    block.push_str(&format!("--- {place}\n{}", indented(text)));
                }
                block
            }
        };
        // Remarks belong to what follows them, and so does what makes the scene.
        let joins = |step: &Step| matches!(step, Step::Remark(_) | Step::Kept(_) | Step::Scene { .. });
        match blocks.last_mut() {
            Some(last) if joins(step) && !last.starts_with('$') && same_kind(last, &block) => last.push_str(&block),
            _ => blocks.push(block),
        }
    }
    blocks.join("\n")
}

/// Whether two blocks are both remarks, or neither is.
fn same_kind(one: &str, other: &str) -> bool {
    one.starts_with('#') == other.starts_with('#')
}

fn indented(text: &str) -> String {
    let mut indented = String::new();
    for line in text.split_inclusive('\n') {
        let end = if line.ends_with('\n') { "" } else { "[no line's end]\n" };
        let indent = if line == "\n" { "" } else { "  " };
        indented.push_str(&format!("{indent}{line}{end}"));
    }
    indented
}

#[test]
fn what_is_written_is_read_again() {
    let text = "# One.\n# Two.\n\nkept: the pair\nscene: a, b: c: d\n\nfile: [HOME]/x\n  a = 1\n\n$ A=\"b c\" snow-onboard\n> Go on? → y\n";
    let steps = parse(text).unwrap();
    let said = Said {
        end: "exit 2, usage".to_owned(),
        texts: vec![("stdout", "$ no command\n\n# no remark\n".to_owned()), ("stderr", "healed".to_owned())],
    };
    let written = render(&steps, &[said]);
    let expected = format!(
        "{text}exit 2, usage\n--- stdout\n  $ no command\n\n  # no remark\n--- stderr\n  healed[no line's end]\n"
    );
    assert_eq!(written, expected);
    assert_eq!(parse(&written).unwrap(), steps);
}

#[test]
fn what_is_mistyped_is_told() {
    for wrong in ["", "# Only this.\n", "heal\n$ x\n", "scene: clients\n$ x\n", "kept: all\n$ x\n"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
