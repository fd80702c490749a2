//! The guard's part of `configure`: answering the client's prompts, the code only when the client has said that it
//! writes into our home, and asks for the code.

use std::io::Write;
use std::path::{Component, Path};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::device::client::data::{Prompt, PromptAnswer};
use crate::device::guard::child::{self, Input, Running, Streams, Woken};
use crate::device::guard::process::{Inbox, say};
use crate::device::guard::protocol::{Configure, Outcome, Ran, Report};
use crate::device::guard::redaction::Redaction;
use crate::model::UnlockCode;

/// Runs `configure` on a pipe and, if it does not come to the code there, on a terminal.
pub(in crate::device) fn run(order: &Configure, home: &Path, code: &UnlockCode, inbox: &mut Inbox) -> Report {
    let first = attempt(order, home, code, Streams::Together, inbox);
    let Ok((Outcome::NoCodeAsked, _)) = first else { return report(code, first) };
    // Held back in a buffer, or refused for want of a terminal. The code was not given, so a second try is the first.
    match child::terminal() {
        _ if inbox.stopped => report(code, first),
        Ok(Some(terminal)) => report(code, attempt(order, home, code, terminal, inbox)),
        Ok(None) => report(code, first),
        Err(error) => Report::NotStarted { why: crate::error::io_in_words(&error) },
    }
}

fn report(code: &UnlockCode, result: Result<(Outcome, Ran), String>) -> Report {
    match result {
        Ok((outcome, mut ran)) => {
            ran.redact(Some(&Redaction::of(code)));
            Report::Configured { outcome, ran }
        }
        Err(why) => Report::NotStarted { why },
    }
}

fn attempt(
    order: &Configure,
    home: &Path,
    code: &UnlockCode,
    streams: Streams,
    inbox: &mut Inbox,
) -> Result<(Outcome, Ran), String> {
    let words = |error: std::io::Error| crate::error::io_in_words(&error);
    let (mut running, mut input) = Running::start(&order.run, home, streams, inbox).map_err(words)?;
    let limit = Instant::now() + order.run.limit();
    let prompt_limit = Duration::from_millis(order.prompt_limit_ms);
    if !say(Report::Started { group: running.group() }) {
        return Ok((Outcome::NoCodeAsked, running.finish(Woken::Stop)));
    }
    let mut script = Script::new(home, &order.prompts, &order.path_label);
    let mut prompt_until = Instant::now() + prompt_limit;
    loop {
        let woken = running.next(if script.is_through() { limit } else { limit.min(prompt_until) });
        loop {
            match script.read(&running.output()) {
                // Nothing is given to a client that has ended or whose time is up; what it said is still judged.
                ScriptStep::Answer(answer) if woken == Woken::Output => {
                    // One that has closed its input is about to end, and its end says the rest.
                    let _ = give(answer, order, code, &mut input);
                    script.answered(answer);
                    prompt_until = Instant::now() + prompt_limit;
                }
                ScriptStep::Answer(_) | ScriptStep::Wait => break,
                ScriptStep::Elsewhere(path) => return Ok((Outcome::Elsewhere { path }, running.finish(Woken::Stop))),
                // The answer was not liked. It is not given twice.
                ScriptStep::AskedAgain => return Ok((script.failure(), running.finish(Woken::TimeUp))),
            }
        }
        if script.is_through() {
            // A client that asks for more finds the end of a pipe rather than waiting for us.
            input = None;
        }
        if woken != Woken::Output {
            let ran = running.finish(woken);
            let done = script.is_through() && ran.succeeded();
            return Ok((if done { Outcome::Done { path: script.path } } else { script.failure() }, ran));
        }
    }
}

/// Writes one answer with its line end, in one piece.
fn give(answer: PromptAnswer, order: &Configure, code: &UnlockCode, input: &mut Option<Input>) -> std::io::Result<()> {
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    match answer {
        PromptAnswer::Manifest => line.extend_from_slice(order.manifest.as_bytes()),
        PromptAnswer::Endpoint => line.extend_from_slice(order.endpoint.as_bytes()),
        PromptAnswer::Code => code.expose(|code| line.extend_from_slice(code.as_bytes())),
    }
    line.push(b'\n');
    let Some(input) = input else { return Ok(()) };
    input.write_all(&line).and_then(|()| input.flush())
}

/// What to do after what was read.
#[derive(Debug, PartialEq, Eq)]
enum ScriptStep {
    Wait,
    Answer(PromptAnswer),
    /// The client names a file outside our home.
    Elsewhere(String),
    /// It asks for something that it has been given.
    AskedAgain,
}

/// Reads the client's side of the conversation.
struct Script<'a> {
    home: &'a Path,
    prompts: &'a [Prompt],
    path_label: String,
    /// The file inside our home that the client has named; empty before.
    path: String,
    given: Vec<PromptAnswer>,
    /// Up to where the output has been understood.
    cursor: usize,
    /// Where the prompt ends that was found last.
    next: usize,
}

impl<'a> Script<'a> {
    fn new(home: &'a Path, prompts: &'a [Prompt], path_label: &str) -> Self {
        let path_label = path_label.to_ascii_lowercase();
        Self { home, prompts, path_label, path: String::new(), given: Vec::new(), cursor: 0, next: 0 }
    }

    /// Looks at all the output so far.
    fn read(&mut self, output: &str) -> ScriptStep {
        // Lower case for ASCII alone, so that positions stay.
        let lower = output.to_ascii_lowercase();
        if self.path.is_empty() {
            // The line counts only when it is whole: half a path may lie in our home by accident.
            let Some(start) = lower.find(&self.path_label).map(|at| at + self.path_label.len()) else {
                return ScriptStep::Wait;
            };
            let Some(end) = lower[start..].find('\n').map(|length| start + length) else { return ScriptStep::Wait };
            let path = output[start..end].trim().trim_matches(['"', '\'']);
            if !is_inside(path, self.home) {
                return ScriptStep::Elsewhere(path.to_owned());
            }
            path.clone_into(&mut self.path);
            self.cursor = end;
        }
        if self.is_through() {
            return ScriptStep::Wait;
        }
        let Some(rest) = lower.get(self.cursor..) else { return ScriptStep::Wait };
        let mut at = 0;
        for question in rest.split_inclusive(':') {
            at += question.len();
            let Some(answer) = question.strip_suffix(':').and_then(|question| self.asked_for(question)) else {
                continue;
            };
            if !self.given.contains(&answer) {
                self.next = self.cursor + at;
                return ScriptStep::Answer(answer);
            }
            // Something else may be said of what was given; a question stands last, and waits.
            if rest[at..].trim_matches(' ').is_empty() {
                return ScriptStep::AskedAgain;
            }
        }
        ScriptStep::Wait
    }

    /// What a prompt asks for, whatever the product is called in it; nothing if it names more than one thing.
    fn asked_for(&self, question: &str) -> Option<PromptAnswer> {
        let line = question.rsplit('\n').next().unwrap_or(question);
        let mut named = self.prompts.iter().filter(|prompt| line.contains(&prompt.label.to_ascii_lowercase()));
        let first = named.next()?;
        named.next().is_none().then_some(first.answer)
    }

    /// The prompt that [`Script::read`] found last has been seen to.
    fn answered(&mut self, answer: PromptAnswer) {
        self.cursor = self.next;
        self.given.push(answer);
    }

    fn is_through(&self) -> bool {
        self.prompts.iter().all(|prompt| self.given.contains(&prompt.answer))
    }

    /// How a try that did not succeed counts.
    fn failure(&self) -> Outcome {
        if self.given.contains(&PromptAnswer::Code) { Outcome::FailedWithCode } else { Outcome::NoCodeAsked }
    }
}

/// Whether `path` names something inside `home`, going by its text: there may be nothing there yet.
fn is_inside(path: &str, home: &Path) -> bool {
    let path = Path::new(path);
    path.starts_with(home) && !path.components().any(|part| part == Component::ParentDir)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::client::data::ClientData;

    const HOME: &str = if cfg!(windows) { r"C:\Temp\snow-onboard-x" } else { "/run/user/1000/snow-onboard-x" };

    fn inside(file: &str) -> String {
        Path::new(HOME).join(file).display().to_string()
    }

    /// Feeds a conversation piece by piece; gives what was answered and the last step.
    fn converse(pieces: &[&str]) -> (Vec<PromptAnswer>, ScriptStep) {
        let data = ClientData::built_in().configure;
        let mut script = Script::new(Path::new(HOME), &data.prompts, &data.path_label);
        let (mut output, mut given) = (String::new(), Vec::new());
        let mut last = ScriptStep::Wait;
        for piece in pieces {
            output.push_str(piece);
            loop {
                last = script.read(&output);
                let ScriptStep::Answer(answer) = last else { break };
                given.push(answer);
                script.answered(answer);
            }
        }
        (given, last)
    }

    #[test]
    fn the_documented_conversation_is_answered_in_order() {
        let path = inside(".aws/snowball/config/snowball-edge.config");
        for wording in ["Configuration will stored at", "Configuration will be stored at"] {
            let (given, last) = converse(&[
                "noise\r\n",
                &format!("{wording} {path}\r\n"),
                "Snowball Edge Manifest ",
                "Path: ",
                "Unlock Code: ",
                "Default Endpoint: ",
            ]);
            assert_eq!(given, [PromptAnswer::Manifest, PromptAnswer::Code, PromptAnswer::Endpoint]);
            assert_eq!(last, ScriptStep::Wait);
        }
        let (given, _) = converse(&[&format!("stored at {path}\nManifest Path: Unlock Code: Default Endpoint: ")]);
        assert_eq!(given.len(), 3, "prompts that come in one piece");
    }

    #[test]
    fn nothing_is_answered_before_the_home_is_named() {
        assert_eq!(converse(&["Manifest Path: ", "Unlock Code: "]), (vec![], ScriptStep::Wait));
        let half = format!("stored at {HOME}");
        assert_eq!(converse(&[&half, "Manifest Path: "]), (vec![], ScriptStep::Wait), "half a line");
    }

    #[test]
    fn a_file_elsewhere_ends_the_conversation() {
        for path in
            ["/home/x/.aws/snowball/config/snowball-edge.config", "home directory\\.aws", "", &inside("../other/file")]
        {
            let (given, last) = converse(&[&format!("stored at {path}\nManifest Path: ")]);
            assert_eq!((given, last), (vec![], ScriptStep::Elsewhere(path.trim().to_owned())));
        }
        let beside = format!("{HOME}-other");
        assert!(matches!(converse(&[&format!("stored at {beside}\n")]).1, ScriptStep::Elsewhere(_)));
    }

    #[test]
    fn a_prompt_is_answered_by_what_it_asks_for() {
        use PromptAnswer::{Code, Endpoint, Manifest};
        let named = format!("stored at {}\n", inside(".aws/snowball/config/snowball-.config"));
        let snowcone = ["Snowcone Manifest Path: ", "Snowcone Unlock Code: ", "Endpoint of the device: "];
        assert_eq!(converse(&[&[named.as_str()], &snowcone[..]].concat()).0, [Manifest, Code, Endpoint]);
        let shuffled = ["Note: what follows is saved.\nUnlock code (29 characters):\n", "Path to the manifest: "];
        assert_eq!(converse(&[&[named.as_str()], &shuffled[..]].concat()).0, [Code, Manifest]);
        let both = converse(&[&named, "Unlock code for the manifest: "]);
        assert_eq!(both, (vec![], ScriptStep::Wait), "what names two things asks for neither");
        let told = converse(&[&named, "Manifest Path: ", "Using manifest: /m.bin\nUnlock Code: "]);
        assert_eq!(told, (vec![Manifest, Code], ScriptStep::Wait));
    }

    #[test]
    fn a_prompt_that_comes_again_is_not_answered_again() {
        let path = inside("f");
        let (given, last) =
            converse(&[&format!("stored at {path}\nManifest Path: "), "Unlock Code: ", "wrong\nUnlock Code: "]);
        assert_eq!((given, last), (vec![PromptAnswer::Manifest, PromptAnswer::Code], ScriptStep::AskedAgain));
    }
}
