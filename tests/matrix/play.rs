//! Plays rows, several at a time, and prints the table.

use std::any::Any;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::events;
use crate::host::{self, Keychain};
use crate::row::{Again, Ends, Given, Kept, Row, Touch, Verb};
use crate::scene::{Ended, Scene};
use crate::sight::{self, Sight};

/// Rows at a time: most of their time is spent waiting.
const AT_ONCE: usize = if cfg!(windows) { 3 } else { 10 };

/// What became of a row.
struct Verdict {
    took: Duration,
    /// Empty if the row holds.
    flaws: Vec<String>,
}

impl Verdict {
    /// Whether the row holds, or differs as it is known to.
    fn is_as_known(&self, row: &Row) -> bool {
        let Some(known) = row.differs else { return self.flaws.is_empty() };
        let is_known = |flaw: &String| known.flaws.iter().any(|part| flaw.contains(part));
        !self.flaws.is_empty() && self.flaws.iter().all(is_known)
    }
}

/// Plays all rows, prints them, and fails with all that do not hold.
#[track_caller]
pub(crate) fn all(group: &str, rows: &[Row]) {
    let bus = host::keychain();
    let next = AtomicUsize::new(0);
    let verdicts: Vec<Mutex<Option<Verdict>>> = rows.iter().map(|_| Mutex::default()).collect();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(row) = rows.get(at) else { break };
                    *verdicts[at].lock().unwrap() = Some(judge(row, &bus));
                }
            });
        }
    });
    let verdicts: Vec<Verdict> = verdicts.into_iter().map(|it| it.into_inner().unwrap().unwrap()).collect();
    print(group, rows, &verdicts);
    let failed: Vec<String> = rows
        .iter()
        .zip(&verdicts)
        .filter(|(row, verdict)| !verdict.is_as_known(row))
        .map(|(row, verdict)| match row.differs {
            Some(known) if verdict.flaws.is_empty() => {
                format!("“{}” holds now; it was known to differ: {}", row.name, known.how)
            }
            _ => format!("“{}”: {}", row.name, verdict.flaws.join("; ")),
        })
        .collect();
    assert!(failed.is_empty(), "{} of {} rows do not hold:\n{}", failed.len(), rows.len(), failed.join("\n"));
}

fn judge(row: &Row, bus: &Keychain) -> Verdict {
    let start = Instant::now();
    // A thread of its own: what a row does to its view of the file system ends with it.
    let flaws = thread::scope(|scope| scope.spawn(|| play(row, bus)).join());
    let flaws = flaws.unwrap_or_else(|panic| vec![format!("could not be played: {}", words(&*panic))]);
    Verdict { took: start.elapsed(), flaws }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}

fn play(row: &Row, bus: &Keychain) -> Vec<String> {
    let scene = Scene::set(row, bus);
    if row.given != Given::Nothing {
        let ended = scene.run(Verb::Fetch, &[], row.limit());
        assert_eq!(ended.exit, Some(0), "the pair could not be fetched: {}{}", ended.stdout, ended.stderr);
        if row.given == Given::Stale {
            // The keychain of before tells the old code apart.
            scene.rehearsal.job().renew_pair();
        }
    }
    let old = Sight::of(&scene);
    scene.strike(row);
    let before = if row.kept == Kept::AsItWas { Sight::of(&scene) } else { old };

    let ended = scene.run(row.verb, &row.args, row.limit());
    let mut flaws = Vec::new();
    flaws.extend(ends_otherwise(row.ends, &ended));
    flaws.extend(sight::differs(row.kept, &scene, &before));
    let touch = sight::touch(&scene);
    if touch != row.device {
        flaws.push(format!("the device: {}, not {}", touch_in_words(touch), touch_in_words(row.device)));
    }
    let secrets = sight::secrets(&scene, &before);
    flaws.extend(sight::flaws(row, &scene, &ended, &secrets));
    if ended.took > Duration::from_secs(140) {
        flaws.push(format!("it took {} s", ended.took.as_secs()));
    }

    scene.heal(row);
    flaws.extend(again(row, &scene, &before));
    flaws
}

/// In what the same command differs, the fault being gone.
fn again(row: &Row, scene: &Scene<'_>, before: &Sight) -> Option<String> {
    // What was typed for the one command is not for another.
    let run = |verb| scene.run(verb, if verb == row.verb { &row.args[..] } else { &[] }, row.limit());
    if row.again != Again::Well {
        let ends = if let Again::Fails(exit, code, _) = row.again { Ends::Fails(exit, code) } else { row.ends };
        if let Some(flaw) = ends_otherwise(ends, &run(row.verb)) {
            return Some(format!("again: {flaw}"));
        }
        let (Again::WellAfter(verb) | Again::Fails(_, _, verb)) = row.again else { return None };
        if let Some(flaw) = ends_otherwise(Ends::Well, &run(verb)) {
            return Some(format!("the way out that the hint names: {flaw}"));
        }
    }
    if let Some(flaw) = ends_otherwise(last(row), &run(row.verb)) {
        return Some(format!("again: {flaw}"));
    }
    let kept = match row.verb {
        Verb::Jobs => return None,
        Verb::Forget => Kept::Nothing,
        _ if row.keeps_nothing_by_choice() => Kept::Nothing,
        Verb::Fetch if row.given == Given::Stale => Kept::Old,
        Verb::Run | Verb::Fetch | Verb::Refresh => Kept::New,
    };
    if let Some(flaw) = sight::differs(kept, scene, before) {
        return Some(format!("again: {flaw}"));
    }
    let open = row.verb == Verb::Run && sight::touch(scene) != Touch::Open;
    open.then(|| "again: the device is not open".to_owned())
}

/// How the command ends at last.
fn last(row: &Row) -> Ends {
    match (row.verb, row.ends) {
        // What was forgotten can't be forgotten again.
        (Verb::Forget, Ends::Well) => Ends::Fails(6, "not_kept"),
        _ => Ends::Well,
    }
}

/// In what a command ended otherwise, if it did.
fn ends_otherwise(expected: Ends, ended: &Ended) -> Option<String> {
    let lines: Result<Vec<Value>, _> = ended.stdout.lines().map(serde_json::from_str).collect();
    let Ok(lines) = lines else { return Some(format!("what it says is no JSON: {}", ended.stdout)) };
    if let Some(flaw) = events::flaw_of_all(&ended.stdout).filter(|_| ended.exit.is_some()) {
        return Some(flaw);
    }
    let last = lines.last().cloned().unwrap_or_default();
    let was = match (ended.exit, last["event"].as_str()) {
        (Some(0), Some("result")) => "it ends well".to_owned(),
        (Some(exit), Some("error")) => {
            let code = last["code"].as_str().unwrap_or_default();
            match expected {
                Ends::Fails(exit_wanted, wanted) if exit == i32::from(exit_wanted) && code == wanted => {
                    let whole = last["exit"] == exit_wanted && !last["hint"].as_str().unwrap_or_default().is_empty();
                    let text = last["text"].as_str().unwrap_or_default();
                    // What the client said is its own.
                    let ours = text.split("` failed: ").next().unwrap_or_default();
                    let for_people =
                        !["docs.rs", "os error", "Error {", "Some("].iter().any(|word| ours.contains(word));
                    return (!whole || !for_people).then(|| format!("the error is not fit for people: {last}"));
                }
                _ => format!("it fails with {exit} {code} ({})", last["text"].as_str().unwrap_or_default()),
            }
        }
        (None, _) => match ended.signal {
            Some(signal) => format!("signal {signal} ended it"),
            None => format!("it did not end by itself within {} s", ended.took.as_secs()),
        },
        (exit, _) => format!("it ends with {exit:?} and says {last} {}", ended.stderr),
    };
    if expected == Ends::Well && was == "it ends well" { None } else { Some(was) }
}

fn print(group: &str, rows: &[Row], verdicts: &[Verdict]) {
    let head = ["given", "command", "fault", "ends", "kept", "device", "again", "s", "verdict"].map(str::to_owned);
    let lines = rows.iter().zip(verdicts).map(|(row, verdict)| {
        [
            given_in_words(row.given).to_owned(),
            row.verb
                .words()
                .iter()
                .chain(&row.args.iter().map(String::as_str).collect::<Vec<_>>())
                .copied()
                .collect::<Vec<_>>()
                .join(" "),
            row.name.clone(),
            match row.ends {
                Ends::Well => "0".to_owned(),
                Ends::Fails(exit, code) => format!("{exit} {code}"),
            },
            kept_in_words(row.kept).to_owned(),
            touch_in_words(row.device).to_owned(),
            again_in_words(row),
            format!("{:.1}", verdict.took.as_secs_f64()),
            match row.differs {
                Some(known) if verdict.is_as_known(row) => format!("known to differ: {}", known.how),
                Some(_) if verdict.flaws.is_empty() => "HOLDS NOW".to_owned(),
                None if verdict.flaws.is_empty() => "holds".to_owned(),
                _ => format!("DOES NOT HOLD: {}", verdict.flaws.join("; ")),
            },
        ]
    });
    let lines: Vec<[String; 9]> = std::iter::once(head).chain(lines).collect();
    let widths: Vec<usize> =
        (0..8).map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default()).collect();
    let mut table = format!("\n{group}: {} rows\n", rows.len());
    for line in &lines {
        for (cell, width) in line.iter().zip(&widths) {
            table.push_str(&format!("{cell:<width$}  "));
        }
        table.push_str(&line[8]);
        table.push('\n');
    }
    println!("{table}");
}

fn given_in_words(given: Given) -> &'static str {
    match given {
        Given::Nothing => "nothing",
        Given::Pair => "the pair",
        Given::Stale => "an old pair",
    }
}

fn kept_in_words(kept: Kept) -> &'static str {
    match kept {
        Kept::Nothing => "nothing",
        Kept::Old => "the old pair",
        Kept::New => "the new pair",
        Kept::AsItWas => "all as it was",
        Kept::CodeAlone => "the code alone",
    }
}

fn touch_in_words(touch: Touch) -> &'static str {
    match touch {
        Touch::Untouched => "untouched",
        Touch::LookedAt => "looked at",
        Touch::Asked => "asked once",
        Touch::Open => "open",
    }
}

fn again_in_words(row: &Row) -> String {
    match (row.again, last(row)) {
        (Again::Well, Ends::Well) => "ends well".to_owned(),
        (Again::Well, Ends::Fails(exit, code)) => format!("{exit} {code}"),
        (Again::WellAfter(verb), _) => format!("ends well after {}", verb.words().join(" ")),
        (Again::Fails(exit, code, verb), _) => format!("{exit} {code}, ends well after {}", verb.words().join(" ")),
        (Again::Stays, _) => "the same".to_owned(),
    }
}
