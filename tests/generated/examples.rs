//! The examples that a help text ends with: captions, and command lines to paste.

/// One example, as it stands in the help.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Example {
    /// What it is for, without the colon.
    pub(crate) caption: Option<String>,
    /// The lines to paste. One that ends in a backslash goes on in the next.
    pub(crate) lines: Vec<String>,
}

/// What a command's help says before its examples, and the examples.
pub(crate) fn of(command: &clap::Command) -> (String, Vec<Example>) {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let Some((before, examples)) = text.split_once("Examples:\n") else { return (text, Vec::new()) };
    (before.trim().to_owned(), parse(examples))
}

fn parse(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let text = line.trim_start().to_owned();
        let last = examples.last_mut();
        match (text.strip_suffix(':'), last) {
            (Some(caption), _) if indent == 2 => {
                examples.push(Example { caption: Some(caption.to_owned()), lines: Vec::new() });
            }
            (_, Some(example)) if indent > 2 => {
                // A line that goes on is indented further.
                let deeper = if example.lines.last().is_some_and(|line| line.ends_with('\\')) { "    " } else { "" };
                example.lines.push(format!("{deeper}{text}"));
            }
            _ => examples.push(Example { caption: None, lines: vec![text] }),
        }
    }
    examples
}

/// The command lines of this program in lines to paste: each from its name to what a shell takes for the end, in words.
pub(crate) fn command_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Vec<String>> {
    let mut whole = String::new();
    for line in lines {
        match line.trim().strip_suffix('\\') {
            Some(begun) => whole.push_str(begun),
            None => whole.push_str(&format!("{}\n", line.trim())),
        }
    }
    let mut found = Vec::new();
    for line in whole.lines() {
        // “$ ” is a prompt; “<(…)” a shell's way to read what a command writes.
        let line = line.strip_prefix("$ ").unwrap_or(line);
        let line = line.split_once("<(").map_or(line, |(_, inner)| inner.trim_end_matches(')'));
        let words: Vec<String> =
            line.split_whitespace().take_while(|word| !matches!(*word, ">" | "|" | "&&")).map(str::to_owned).collect();
        if words.first().is_some_and(|word| word == "snow-onboard") {
            found.push(words);
        }
    }
    found
}

#[test]
fn examples_and_their_command_lines_are_found() {
    let command = clap::Command::new("x").after_help(
        "A word before.\n\nExamples:\n  One:\n    snow-onboard run A \\\n      --wait\n  snow-onboard completions zsh > file",
    );
    let (before, examples) = of(&command);
    assert_eq!(before, "A word before.");
    assert_eq!(examples.len(), 2);
    assert_eq!(examples[0].caption.as_deref(), Some("One"));
    assert_eq!(examples[0].lines, ["snow-onboard run A \\", "    --wait"]);
    let lines = examples.iter().flat_map(|example| example.lines.iter().map(String::as_str));
    let found: Vec<String> = command_lines(lines).iter().map(|words| words.join(" ")).collect();
    assert_eq!(found, ["snow-onboard run A --wait", "snow-onboard completions zsh"]);
    assert_eq!(
        command_lines(["source <(snow-onboard completions zsh)", "$ ls"]),
        [["snow-onboard", "completions", "zsh"]]
    );
}
