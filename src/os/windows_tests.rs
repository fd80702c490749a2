//! Windows: hardening, and where settings for all users lie.
#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn hardening_is_accepted() {
    harden_process().unwrap();
    let before = set_error_mode(SEM_NOGPFAULTERRORBOX | SEM_FAILCRITICALERRORS);
    assert_eq!(before & SEM_NOGPFAULTERRORBOX, SEM_NOGPFAULTERRORBOX);
}

#[test]
fn the_place_of_settings_for_all_is_not_the_environment_s_to_say() {
    let place = settings_for_all().unwrap();
    assert!(place.is_absolute() && place.is_dir(), "{}", place.display());
    let tool = std::env::current_exe().unwrap();
    let mut again = std::process::Command::new(tool);
    again
        .args(["--exact", "os::windows::tests::the_place_is_shown", "--nocapture"])
        .env("ProgramData", r"C:\elsewhere");
    let said = again.output().unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).contains(&format!("<{}>", place.display())));
}

#[test]
#[allow(clippy::print_stdout)]
fn the_place_is_shown() {
    println!("<{}>", settings_for_all().unwrap().display());
}
