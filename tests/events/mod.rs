//! Whether a line of `--json` is what `config/events.schema.json` says. For every test that sees such lines.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../config/events.schema.json");

/// The schema as written, but that nothing may be said that is not in it: readers ignore what they don't know, and so would
/// not notice a field that nobody described.
static STRICT: LazyLock<Validator> = LazyLock::new(|| {
    let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
    forbid_more(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
});

fn forbid_more(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(forbid_more);
            if object.contains_key("properties") && object.contains_key("required") {
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(forbid_more),
        _ => {}
    }
}

/// What is wrong with one line, if anything is.
pub(crate) fn flaw(line: &Value) -> Option<String> {
    let complaints: Vec<String> = STRICT.iter_errors(line).map(|error| error.to_string()).collect();
    (!complaints.is_empty()).then(|| format!("not by the schema of events: {line}: {}", complaints.join("; ")))
}

/// What is wrong with all of stdout, if anything is: each line an event by the schema, and the last, and only the last, a
/// result or an error; the error of a command that told a result stands right after that. Before both every step that began is done.
pub(crate) fn flaw_of_all(stdout: &str) -> Option<String> {
    let mut events = Vec::new();
    let mut begun = BTreeSet::new();
    for line in stdout.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else { return Some(format!("no JSON: {line}")) };
        if let Some(flaw) = flaw(&event) {
            return Some(flaw);
        }
        match (event["status"].as_str(), event["step"].as_str()) {
            (Some("started"), Some(step)) => _ = begun.insert(step.to_owned()),
            (_, Some(step)) => _ = begun.remove(step),
            _ if (event["event"] == "result" || event["event"] == "error") && !begun.is_empty() => {
                return Some(format!("not done before the end: {begun:?}: {stdout}"));
            }
            _ => {}
        }
        events.push(event);
    }
    let ends = |event: &Value| event["event"] == "result" || event["event"] == "error";
    let end = events.iter().position(ends);
    let is_last = match events.get(end.unwrap_or_default()..) {
        Some([_]) => end.is_some(),
        Some([result, error]) => result["event"] == "result" && error["event"] == "error",
        _ => false,
    };
    (!is_last).then(|| format!("no end, or something after it: {stdout}"))
}
