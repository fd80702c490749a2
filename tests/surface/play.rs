//! Plays files, several at a time, and compares.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use snapbox::{Assert, Data};

use crate::case::{Case, Said, Step, render};
use crate::groups::groups;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::names::{named, resolved};
use crate::pty::{self, Terminal};
use crate::row::{Fault, Given, Row, Verb};
use crate::scene::{Ended, Scene};
use crate::{codes, events, scenes};

/// Files at a time: most of their time is spent waiting.
const AT_ONCE: usize = 8;

/// For how long a command may run.
const LIMIT: Duration = Duration::from_secs(170);

/// What all files of a folder share.
pub(crate) struct Stage {
    bus: KeyringBus,
    groups: Vec<(&'static str, Vec<Row>)>,
}

/// Plays all files of a folder, and fails with those that say something else.
#[track_caller]
pub(crate) fn all(folder: &Path) {
    let (stage, cases) = (Stage::new(), Case::all_in(folder));
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // A thread of its own: what a scene does to its view of the file system ends with it.
                    let compared = thread::scope(|scope| scope.spawn(|| stage.compare(case)).join());
                    let compared =
                        compared.unwrap_or_else(|panic| Err(format!("could not be played: {}", words(&*panic))));
                    if let Err(difference) = compared {
                        wrong.lock().unwrap().push(format!("{}\n{difference}", case.path.display()));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} files differ:\n\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}

impl Stage {
    pub(crate) fn new() -> Self {
        let groups = groups().into_iter().chain(scenes::groups()).collect();
        Self { bus: KeyringBus::start(Keyring::Unlocked), groups }
    }

    /// Plays a file, and says in what it differs. With `SNAPSHOTS=overwrite` it no longer does.
    fn compare(&self, case: &Case) -> Result<(), String> {
        let said = Data::text(self.play(case));
        let expected = Data::text(case.text.clone()).raw();
        if Assert::new().action(snapbox::assert::Action::Verify).try_eq(None, said.clone(), expected).is_ok() {
            return Ok(());
        }
        let expected = Data::read_from(&case.path, Some(snapbox::data::DataFormat::Text)).raw();
        Assert::new()
            .action_env(snapbox::assert::DEFAULT_ACTION_ENV)
            .try_eq(Some(&"said"), said, expected)
            .map_err(|difference| difference.to_string())
    }

    /// Plays a file; gives what should stand in it.
    pub(crate) fn play(&self, case: &Case) -> String {
        let row = case.scene().map_or_else(quiet, |(group, name)| self.find(group, name));
        // Which takes every code of this program's out of the keychain, the other files' too.
        let takes_all = |step: &Step| matches!(step, Step::Command { line, .. } if line.contains("forget --all"));
        let own_bus = case.steps.iter().any(takes_all).then(|| KeyringBus::start(Keyring::Unlocked));
        let scene = Scene::set(&row, own_bus.as_ref().unwrap_or(&self.bus));
        scene.env("AWS_CA_BUNDLE", scene.rehearsal.ca_bundle().to_str());
        let (mut said, mut is_struck) = (Vec::new(), false);
        for step in &case.steps {
            match step {
                Step::Remark(_) => {}
                Step::Kept(given) => keep(&scene, *given),
                Step::Scene { .. } => {
                    is_struck = true;
                    scene.strike(&row);
                }
                Step::Healed => {
                    is_struck = false;
                    scene.heal(&row);
                }
                Step::File { path, content } => {
                    let path = resolved(path, &scene);
                    fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
                    fs::write(path, resolved(&(content.join("\n") + "\n"), &scene)).unwrap();
                }
                Step::Command { line, typed } if typed.is_empty() => said.push(run(line, &scene)),
                Step::Command { line, typed } => said.push(run_in_a_terminal(line, typed, &scene)),
            }
        }
        if is_struck {
            // A fault may have taken a folder away that the scene is to remove.
            scene.heal(&row);
        }
        render(&case.steps, &said)
    }

    fn find(&self, group: &str, name: &str) -> Row {
        let mut rows = self.groups.iter().filter(|(of, _)| *of == group).flat_map(|(_, rows)| rows);
        let row = rows.find(|row| row.name == name);
        let row = row.unwrap_or_else(|| panic!("there is no scene “{group}: {name}”"));
        let mut found = Row::new(row.verb, row.name.clone(), row.fault.clone()).cast(row.cast.clone());
        found.patience = row.patience;
        found
    }
}

/// A scene in which nothing goes wrong.
fn quiet() -> Row {
    Row::new(Verb::Run, "", Fault::None)
}

fn keep(scene: &Scene<'_>, given: Given) {
    let ended = scene.run(Verb::Fetch, &[], LIMIT);
    assert_eq!(ended.exit, Some(0), "the pair could not be fetched: {}{}", ended.stdout, ended.stderr);
    if given == Given::Stale {
        scene.rehearsal.job().renew_pair();
    }
}

fn run(line: &str, scene: &Scene<'_>) -> Said {
    let (line_before, stdout_is_full) = match line.strip_suffix(FULL) {
        Some(before) => (before, true),
        None => (line, false),
    };
    let mut command = command(line_before, scene);
    if stdout_is_full {
        // A shell has the last word on stdout, whatever the scene makes of it.
        let mut full = Command::new("sh");
        full.args(["-c", "exec \"$0\" \"$@\" > /dev/full"]).arg(command.get_program()).args(command.get_args());
        full.stdin(Stdio::null()).env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command = full;
    }
    let Ended { exit, signal, stdout, stderr, .. } = Scene::run_to_its_end(command, LIMIT);
    // As a shell says it.
    let exit = exit.or_else(|| Some(128 + signal?));
    said(line, exit, vec![("stdout", stdout), ("stderr", stderr)], scene)
}

/// Wide enough for any path and long enough for all that is said, so that nothing is broken or lost.
const SCREEN: (u16, u16) = (250, 200);

/// At a line's end: its stdout has no space left.
const FULL: &str = " > /dev/full";

const TERMINAL: &str = "terminal";

fn run_in_a_terminal(line: &str, typed: &[(String, String)], scene: &Scene<'_>) -> Said {
    let mut terminal = Terminal::start(command(line, scene), SCREEN.0, SCREEN.1);
    // A question that is asked again is another one, and the answer to the first one still stands in the last line.
    let mut asked = BTreeMap::new();
    for (prompt, answer) in typed {
        let times = |text: &str| text.matches(prompt).count();
        let before = asked.get(prompt).copied().unwrap_or_default();
        terminal.wait_until(prompt, |screen| {
            let text = screen.contents();
            text.trim_end().lines().last().is_some_and(|line| line.contains(prompt)) && times(&text) > before
        });
        asked.insert(prompt, times(&terminal.screen()));
        match &answer[..] {
            "^C" => terminal.press(pty::CTRL_C),
            "^D" => terminal.press(pty::CTRL_D),
            answer => terminal.type_line(&resolved(answer, scene)),
        };
    }
    let exit = terminal.end();
    said(line, Some(exit), vec![(TERMINAL, terminal.screen() + "\n")], scene)
}

const PATIENCE: &str = "SNOW_ONBOARD_NETWORK_TIMEOUT";

/// What a line of a file runs.
fn command(line: &str, scene: &Scene<'_>) -> Command {
    let words = split(&resolved(line, scene));
    let is_variable = |word: &&String| word.split_once('=').is_some_and(|(name, _)| is_name(name));
    let variables: Vec<&String> = words.iter().take_while(is_variable).collect();
    let mut rest = words.iter().skip(variables.len());
    assert_eq!(rest.next().map(String::as_str), Some("snow-onboard"), "{line}");
    let mut command = scene.bare_agent();
    if !scene.state.lock().unwrap().env.contains_key(PATIENCE) {
        // Of the matrix, and not typed by anybody here: what is said would speak of it.
        command.env_remove(PATIENCE);
    }
    command.envs(variables.iter().filter_map(|word| word.split_once('='))).args(rest);
    command
}

/// How it ended, in words. A failure has to have a code, unless it is the command line that could not be read.
fn said(line: &str, exit: Option<i32>, texts: Vec<(&'static str, String)>, scene: &Scene<'_>) -> Said {
    let secrets = [scene.rehearsal.job().unlock_code(), scene.rehearsal.secret_key().to_owned()];
    let whole: String = texts.iter().map(|(_, text)| &text[..]).collect();
    assert!(!secrets.iter().any(|secret| whole.contains(secret)), "a secret is shown after “{line}”");
    // What `client` says of its own is on stderr.
    if line.split(' ').any(|word| word == "--json") && !line.ends_with(FULL) && !line.contains(" client ") {
        // `flaw_of_all` names the line.
        assert_eq!(events::flaw_of_all(&texts[0].1), None, "after “{line}”");
    }
    let end = match (exit, exit.and_then(|exit| codes::told(&texts, exit))) {
        (Some(0), None) => "exit 0".to_owned(),
        // What is asked anew says what was wrong with the answer.
        (Some(0), Some(_)) if texts.iter().any(|(place, _)| *place == TERMINAL) => "exit 0".to_owned(),
        (Some(exit), Some(code)) if exit != 0 => format!("exit {exit}, {code}"),
        (Some(exit @ (2 | 125)), None) if whole.starts_with("Error: ") => format!("exit {exit}"),
        (Some(exit), code) => panic!("“{line}” ends with {exit} and tells {code:?}:\n{whole}"),
        (None, _) => panic!("“{line}” did not end by itself:\n{whole}"),
    };
    Said { end, texts: texts.into_iter().map(|(place, text)| (place, named(&text, scene))).collect() }
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The words of a line.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match c {
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    assert!(!is_quoted, "a quote has no end: {line}");
    words.extend(word);
    words
}

#[test]
fn words_are_split_at_blanks_outside_quotes() {
    assert_eq!(split(r#"A="b c" x  "" y"z""#), ["A=b c", "x", "", "yz"]);
}
