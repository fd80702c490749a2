//! What a client leaves in its private home leads the code nowhere else, and nothing of the user's gets in.

use std::fs;

use snow_onboard::model::HandOverMethod;

use crate::stage::{CODE, Stage, code_of};

/// The user's own folder, as a client that keeps to `HOME` has it, with what is in it.
fn own_folder(stage: &Stage) -> std::path::PathBuf {
    let own = stage.work().join("own");
    for folder in ["snowball/config", "snowball/logs"] {
        fs::create_dir_all(own.join(folder)).unwrap();
    }
    fs::write(own.join("snowball/logs/own.log"), "OWN LOG\n").unwrap();
    own
}

/// Everything in files below a folder.
fn text_below(folder: &std::path::Path) -> String {
    let below = |path: std::path::PathBuf| match path.is_dir() {
        true => text_below(&path),
        false => fs::read_to_string(&path).unwrap(),
    };
    fs::read_dir(folder).unwrap().map(|entry| below(entry.unwrap().path())).collect()
}

#[test]
fn a_link_that_it_made_at_its_first_start_is_gone_before_the_code_comes() {
    let stage = Stage::new("[ -e \"$home/.aws\" ] || ln -s \"$W/own\" \"$home/.aws\"");
    let own = own_folder(&stage);
    let device = stage.prepare().unwrap();
    assert!(device.home().join(".aws").is_symlink(), "a control");
    drop(device);
    let handed = stage.hand_over().unwrap();
    assert_eq!(handed.method(), HandOverMethod::Profile);
    assert!(stage.homes()[0].join(".aws/snowball/config/snowball-edge.config").is_file(), "a control");
    assert_eq!(text_below(&own), "OWN LOG\n");
    drop(handed);
    stage.assert_the_code_was_private();
    assert_eq!(text_below(&own), "OWN LOG\n");
}

#[test]
fn an_empty_profile_that_it_made_at_its_first_start_is_in_nobody_s_way() {
    let stage = Stage::new(
        "version() { mkdir -p \"$(dirname \"$(config)\")\"; : >\"$(config)\"; echo 'Snowball client version: 1.2.0  Build 254'; }",
    );
    assert_eq!(stage.hand_over().unwrap().method(), HandOverMethod::Profile);
    stage.assert_the_code_was_private();
}

#[test]
fn a_link_that_it_made_later_is_not_followed_either() {
    // Of the folder, of one above, of the home itself, and of the file.
    for (there, made) in [
        (".aws", "rm -rf \"$home/.aws\"; ln -s \"$W/own\" \"$home/.aws\""),
        (".aws/snowball/config", "rm -rf \"$home/.aws/snowball\"; ln -s \"$W/own/snowball\" \"$home/.aws/snowball\""),
        (
            "",
            "mv \"$home\" \"$home-old\"; mkdir \"$W/as-home\"; ln -s ../own \"$W/as-home/.aws\"; ln -s \"$W/as-home\" \"$home\"",
        ),
    ] {
        let stage =
            Stage::new(&format!("describe() {{ if [ ! -e \"$W/once\" ]; then :>\"$W/once\"; {made}; fi; return 3; }}"));
        let own = own_folder(&stage);
        let profile = own.join("snowball/config/snowball-edge.config");
        fs::write(&profile, "OWN PROFILE\n").unwrap();
        let error = stage.hand_over().err().unwrap();
        assert_eq!(error.code(), "client_unusable", "{there}: {error}");
        assert!(error.to_string().contains("is a symbolic link"), "{there}: {error}");
        assert_eq!(fs::read_to_string(&profile).unwrap(), "OWN PROFILE\n", "{there}");
        assert!(!text_below(&own).contains(CODE), "{there}");
        assert!(!stage.logs.lock().unwrap().concat().contains("OWN LOG"), "{there}");
    }
    let stage =
        Stage::new("describe() { rm \"$(config)\"; ln -s \"$W/own/snowball/config/own\" \"$(config)\"; return 3; }");
    let own = own_folder(&stage);
    fs::write(own.join("snowball/config/own"), "OWN PROFILE\n").unwrap();
    assert_ne!(code_of(stage.hand_over()), "no error");
    assert_eq!(fs::read_to_string(own.join("snowball/config/own")).unwrap(), "OWN PROFILE\n");
}

#[test]
fn the_user_s_own_logs_are_not_taken_for_those_of_the_home() {
    let variant = "describe() { cp \"$(config)\" \"$W/copy\"; logs=\"$home/.aws/snowball/logs\"; echo 'ITS LOG' >\"$logs/its.log\";
        ln \"$W/own/snowball/logs/own.log\" \"$logs/hard.log\"; ln -s \"$W/own/snowball/logs/own.log\" \"$logs/soft.log\"; return 3; }";
    let stage = Stage::new(variant);
    own_folder(&stage);
    assert_ne!(code_of(stage.hand_over()), "no error");
    let kept = stage.logs.lock().unwrap().concat();
    assert!(kept.contains("ITS LOG") && !kept.contains("OWN LOG"), "{kept}");
}
