//! Hints, followed literally: what stands to be pasted is pasted, and the command repeated, up to four times. The code never
//! gets onto a command line by that, unless the client runs, knows the commands and takes the code in no other way; and each
//! chain ends well, or with whom to ask.

use std::process::Command;
use std::time::Duration;

use crate::groups::groups;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::row::{Given, Row, Verb};
use crate::scene::Scene;
use crate::scenes;

const STEPS: usize = 4;
const LIMIT: Duration = Duration::from_secs(170);

/// Those that only time ends: their hints give the device more of it.
const WAITS: &[&str] = &["device_timeout", "device_stays_locked"];

/// The one thing for which the command line is there: a client that is well, and takes no code otherwise.
const TAKES_NO_CODE_PRIVATELY: &[&str] = &[
    "it ignores the folder it is given",
    "it finds no profile and can't be configured",
    "it finds no profile, and the command line is allowed",
];

#[test]
fn hints_end_well_when_they_are_followed() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    let all = groups().into_iter().chain(scenes::groups());
    let rows = all.filter(|(group, _)| matches!(*group, "clients" | "pairs")).flat_map(|(_, rows)| rows);
    let rows: Vec<Row> = rows
        .filter(|row| row.verb == Verb::Run && !row.name.contains("is killed") && !row.name.contains("is replaced"))
        .filter(|row| row.patience.is_none())
        .collect();
    assert!(rows.len() > 30, "{}", rows.len());
    let next = std::sync::Mutex::new(rows.iter());
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Some(row) = next.lock().unwrap().next() else { break };
                    if let Err(why) = follow(row, &bus) {
                        wrong.lock().unwrap().push(format!("{}: {why}", row.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn follow(row: &Row, bus: &KeyringBus) -> Result<(), String> {
    let scene = Scene::set(row, bus);
    if row.given != Given::Nothing {
        let ended = scene.run(Verb::Fetch, &[], LIMIT);
        assert_eq!(ended.exit, Some(0), "{}{}", ended.stdout, ended.stderr);
    }
    scene.strike(row);
    let mut args = row.args.clone();
    let (mut said, mut pasted) = (Vec::new(), Vec::new());
    let mut ends = false;
    for _ in 0..=STEPS {
        let ended = scene.run(Verb::Run, &args, LIMIT);
        if ended.exit == Some(0) {
            ends = true;
            break;
        }
        let line = ended.stdout.lines().last().unwrap_or_default();
        let failure: serde_json::Value =
            serde_json::from_str(line).map_err(|_| format!("no failure: {}", ended.stdout))?;
        let (code, hint) = (failure["code"].as_str().unwrap_or_default(), failure["hint"].as_str().unwrap_or_default());
        said.push(format!("{code}: {hint}"));
        // What may be pasted comes before the person to ask, and once.
        let lines = hint.lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned);
        let fresh: Vec<String> = lines.filter(|line| !pasted.contains(line)).collect();
        let has_more = fresh.iter().filter(|line| paste(line, &scene, &mut args)).count() > 0;
        pasted.extend(fresh);
        ends = WAITS.contains(&code)
            || ["AWS Support", "help with this", "administrator", "newer version"].iter().any(|who| hint.contains(who));
        if ends && (!has_more || WAITS.contains(&code)) {
            break;
        }
    }
    let code = scene.rehearsal.job().unlock_code();
    let is_shown = scene.invocations().iter().any(|call| call.argv.iter().any(|argument| argument.contains(&code)));
    if is_shown && !TAKES_NO_CODE_PRIVATELY.contains(&row.name.as_str()) {
        return Err(format!("the code got onto a command line:\n{}", said.join("\n")));
    }
    // What a fault took away from the scene it is to have back.
    scene.heal(row);
    if ends { Ok(()) } else { Err(format!("leads nowhere:\n{}", said.join("\n"))) }
}

/// Does what a line to paste says. `false` if there was nothing to be done, or it had been done before.
fn paste(line: &str, scene: &Scene<'_>, args: &mut Vec<String>) -> bool {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    match words[0].as_str() {
        // Unpacked anew.
        "--client" => {
            let is_new = scene.client() != scene.rehearsal.client_path();
            scene.change(|state| state.client = None);
            is_new
        }
        flag if flag.starts_with("--") => {
            // Pasted to the end; of a value that is given twice the last counts, a switch is not given twice.
            let is_new = if words.len() > 1 { !args.ends_with(&words) } else { !args.contains(&words[0]) };
            if is_new {
                args.extend(words);
            }
            is_new
        }
        "snow-onboard" if words[1] != "run" => {
            let mut command = scene.bare_agent();
            let words = words[1..].iter().map(|word| if word.starts_with("JID…") { scene.id() } else { word.clone() });
            let words: Vec<String> = words.collect();
            let is_given = words.iter().any(|word| word == "--ca-bundle");
            command.args(words);
            if !is_given {
                command.arg("--ca-bundle").arg(scene.rehearsal.ca_bundle());
            }
            Scene::run_to_its_end(command, LIMIT).exit == Some(0)
        }
        "chmod" => {
            assert!(line.contains(&*scene.rehearsal.root().to_string_lossy()), "{line}");
            Command::new("sh").args(["-c", line]).status().unwrap().success()
        }
        _ => false,
    }
}
