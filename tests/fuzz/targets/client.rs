//! What the vendor's client prints, read for the little that is decided by it.

use std::sync::LazyLock;

use snow_onboard::device::{ClientData, State};

use super::said::fit_to_show;

static CLIENT: LazyLock<ClientData> = LazyLock::new(ClientData::built_in);

/// States are known ones or fit to show; lines of a JVM around the answer change nothing; a version is a number.
pub(super) fn client_output(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let described = CLIENT.described(&text);
    if let Some(described) = &described {
        match &described.state {
            State::Other(other) => {
                assert!(!["LOCKED", "UNLOCKING", "UNLOCKED"].contains(&other.as_str()), "{other} is known");
                assert!(other.chars().count() <= 501);
                fit_to_show(other);
            }
            known => assert!(text.contains(known.as_str()) || text.contains('\\'), "{} was not said", known.as_str()),
        }
        assert!(described.device_id.as_ref().is_none_or(|id| !id.is_empty()));
    }
    let noisy = format!("Picked up JAVA_TOOL_OPTIONS: -Duser.home=\"/run/user/1000/x\"\n{text}\nbye\n");
    assert_eq!(CLIENT.described(&noisy), described, "noise counts");

    if let Some(version) = CLIENT.version_said(&text) {
        assert!(version.len() <= 40 && version.starts_with(|c: char| c.is_ascii_digit()), "{version}");
        assert!(version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !version.contains(".."));
        assert_eq!(
            CLIENT.version_said(&format!("Snowball Edge client version: {version}  Build 1")),
            Some(version.clone())
        );
        assert!(
            !CLIENT.knows(&version) || version.split('.').next().unwrap().trim_start_matches('0') == "1",
            "{version}"
        );
    }
}
