//! `settings`, and what is said of settings that can't be used.

use std::path::PathBuf;

use snow_rehearsal::Rehearsal;

use crate::agent::{Agent, Ended};

/// A rehearsal whose user has a settings file of this text.
fn with_file(text: &str) -> (Rehearsal, PathBuf) {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let folder = rehearsal.home().join("config").join("snow-onboard");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("config.toml");
    std::fs::write(&file, text).unwrap();
    (rehearsal, file)
}

fn settings(rehearsal: &Rehearsal, more: &[&str]) -> Ended {
    let args = ["settings"].iter().chain(more);
    let config = rehearsal.home().join("config");
    let place = if cfg!(windows) { "APPDATA" } else { "XDG_CONFIG_HOME" };
    Agent::new(rehearsal, args).env(place, config).env("SNOW_ONBOARD_WAIT_TIMEOUT", "3h").end()
}

#[test]
fn every_value_is_shown_with_its_origin() {
    let (rehearsal, file) = with_file("# mine\nhandoff = \"private\"\n");
    let shown = settings(&rehearsal, &["--keychain", "none"]).done();
    let line = |key: &str| shown.stdout.lines().find(|line| line.split(' ').next() == Some(key)).unwrap_or_default();
    assert_eq!(line("keychain"), "keychain              none             --keychain");
    assert_eq!(line("wait_timeout"), "wait_timeout          3h               SNOW_ONBOARD_WAIT_TIMEOUT");
    assert_eq!(line("unlock_timeout"), "unlock_timeout        25m              built in");
    assert_eq!(line("profile"), "profile               not set");
    assert!(shown.stdout.contains(&format!("{}:2", file.display())), "{}", shown.stdout);

    let shown = settings(&rehearsal, &["--json"]).done().json("result");
    let rows = shown["settings"].as_array().unwrap();
    let row = rows.iter().find(|row| row["key"] == "handoff").unwrap();
    assert_eq!((&row["value"], &row["locked"]), (&"private".into(), &false.into()));
    assert_eq!(row["origin"], format!("{}:2", file.display()));
    let row = rows.iter().find(|row| row["key"] == "profile").unwrap();
    assert!(row["value"].is_null() && row["origin"].is_null());
    assert!(rehearsal.requests().is_empty(), "nothing was asked of AWS");
}

#[test]
fn what_can_t_be_used_is_an_error_and_the_way_to_put_it_right_still_works() {
    let (rehearsal, file) = with_file("handoff = \"telepathy\"\n");
    let refused = settings(&rehearsal, &[]).failed(3, "“telepathy” of handoff");
    assert!(refused.stderr.contains(&format!("{}:1", file.display())), "{}", refused.stderr);
    std::fs::write(&file, "keychian = \"none\"\n").unwrap();
    settings(&rehearsal, &[]).failed(3, "Did you mean “keychain”?");

    let places = settings(&rehearsal, &["--path"]).done();
    let first = places.stdout.lines().next().unwrap();
    assert_eq!(first, format!("{}\tuser, exists", file.display()));
    assert_eq!(places.stdout.lines().count(), 2, "{}", places.stdout);
    let places = settings(&rehearsal, &["--path", "--json"]).done().json("result");
    assert_eq!(places["files"][0]["exists"], true);
    assert_eq!(places["files"][1]["whose"], "system");

    let sample = settings(&rehearsal, &["--sample"]).done();
    std::fs::write(&file, &sample.stdout).unwrap();
    settings(&rehearsal, &[]).done();
    assert_eq!(settings(&rehearsal, &["--sample", "--json"]).done().json("result")["sample"], sample.stdout);
}
