//! What the program tells of itself, whatever its settings and folders are like.

use crate::agent::Agent;

/// With a variable that names no setting, which any other verb refuses.
fn with_broken_settings(args: &[&str]) -> Agent {
    Agent::bare(args).env("SNOW_ONBOARD_KEYCHIAN", "none")
}

#[test]
fn exit_codes_are_listed_although_the_settings_are_broken() {
    with_broken_settings(&["jobs"]).end().failed(3, "keychian");
    let ended = with_broken_settings(&["exit-codes", "--json"]).end().done();
    let result = ended.json("result");
    assert_eq!(ended.stdout.lines().count(), 1);
    let rows = result["exit_codes"].as_array().unwrap();
    let settings = rows.iter().find(|row| row["exit"] == 3).unwrap();
    assert!(settings["codes"].as_array().unwrap().contains(&"setting_unknown".into()), "{settings}");
    assert!(with_broken_settings(&["exit-codes"]).end().done().stdout.contains("setting_unknown"));
}
