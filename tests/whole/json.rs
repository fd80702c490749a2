//! `--json`: every verb's lines are what `config/events.schema.json` says.

use serde_json::json;
use snow_rehearsal::Rehearsal;

use crate::agent::Agent;
use crate::events;

/// The check itself: it takes what it should and nothing else.
#[test]
fn the_schema_refuses_what_it_does_not_describe() {
    let good = json!({"v": 2, "event": "waiting", "job": null, "what": "the device", "seconds": 3});
    assert_eq!(events::flaw(&good), None);
    for bad in [
        json!({"v": 1, "event": "waiting", "job": null, "what": "the device", "seconds": 3}),
        json!({"v": 2, "event": "waiting", "what": "the device", "seconds": 3}),
        json!({"v": 2, "event": "waiting", "job": "x", "what": "the device", "seconds": 3}),
        json!({"v": 2, "event": "waiting", "job": null, "what": "the device", "seconds": -3}),
        json!({"v": 2, "event": "waiting", "job": null, "what": "the device"}),
        json!({"v": 2, "event": "waiting", "job": null, "what": "the\ndevice", "seconds": 3}),
        json!({"v": 2, "event": "waiting", "job": null, "what": "the device", "seconds": 3, "more": true}),
        json!({"v": 2, "event": "unheard_of", "job": null, "text": "x"}),
        json!({"v": 2, "event": "step", "job": null, "step": "unheard_of", "status": "started"}),
        json!({"v": 2, "event": "result", "job": null, "command": "jobs", "jobs": [{"job": "x"}]}),
    ] {
        assert!(events::flaw(&bad).is_some(), "{bad}");
    }
    let (good, end) = (
        good.to_string(),
        json!({"v": 2, "event": "error", "job": null, "code": "x", "exit": 2, "text": "x", "hint": "y"}),
    );
    assert_eq!(events::flaw_of_all(&format!("{good}\n{end}\n")), None);
    let begun = json!({"v": 2, "event": "step", "job": null, "step": "job", "status": "started"});
    let done =
        json!({"v": 2, "event": "result", "job": null, "command": "completions", "shell": "bash", "script": "x"});
    assert!(
        events::flaw_of_all(&format!("{begun}\n{done}\n")).is_some_and(|flaw| flaw.contains("not done")),
        "{begun}"
    );
    assert_eq!(events::flaw_of_all(&format!("{done}\n")), None);
    for bad in ["", &good, &format!("{end}\n{good}\n"), &format!("{end}\n{end}\n"), &format!("plain\n{end}\n")] {
        assert!(events::flaw_of_all(bad).is_some(), "{bad}");
    }
}

#[test]
fn every_verb_s_lines_are_by_the_schema() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let id = rehearsal.job().id().to_owned();
    let (client, endpoint) = (rehearsal.client_path().to_string_lossy().into_owned(), rehearsal.device().endpoint());
    let good: Vec<Vec<&str>> = vec![
        vec!["jobs"],
        vec!["exit-codes"],
        vec!["settings"],
        vec!["settings", "--path"],
        vec!["settings", "--sample"],
        vec!["completions", "bash"],
        vec!["completions", "fish"],
        vec!["doctor", "--client", &client, "--keychain", "none"],
        vec!["settings"],
        vec!["settings", "--path"],
        vec!["settings", "--sample"],
        vec!["status"],
        vec!["status", "--offline"],
        vec!["forget", "--all", "--keychain", "none"],
        vec!["run", &id, "--endpoint", &endpoint, "--client", &client, "--keychain", "none"],
    ];
    let bad: Vec<Vec<&str>> = vec![
        vec![],
        vec!["run"],
        vec!["run", "JID"],
        vec!["run", &id, "--endpoint", "192.0.2.300"],
        vec!["fetch", "JID"],
        vec!["fetch", &id, "--keychain", "none"],
        vec!["status", "JID"],
        vec!["status", &id],
        vec!["status", "--endpoint", "192.0.2.10"],
        vec!["forget", "JID"],
        vec!["forget", &id, "--client-profile", "unheard of"],
        vec!["jobs", "--unheard-of"],
        // A terminal's sequences are no part of what is said, whoever reads it.
        vec!["jobs", "--state-dir", "/dev/null/\u{1b}]0;x\u{7}"],
        vec!["jobs", "--region", "abcde-01234-abcde-01234-abcde"],
        vec!["fetch"],
    ];
    for (args, ends_well) in good.iter().map(|args| (args, true)).chain(bad.iter().map(|args| (args, false))) {
        let ended = Agent::new(&rehearsal, args).arg("--json").end();
        assert_eq!(ended.status.success(), ends_well, "{args:?}: {}", ended.stdout);
        assert_eq!(events::flaw_of_all(&ended.stdout), None, "{args:?}");
        assert_eq!(ended.stderr, "", "{args:?}");
        if ends_well {
            // A command that names a job says so in each of its lines, any other in none.
            let job = args.contains(&id.as_str()).then_some(id.as_str());
            let lines = ended.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            lines.for_each(|line| assert_eq!(line["job"].as_str(), job, "{args:?}: {line}"));
        }
    }
}
