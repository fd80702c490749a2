//! A client may say the code in whatever form: none of them leaves the guard.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::stage::{CODE, Stage, code_of};

/// Ten spellings of the code, or of a part of it.
pub(crate) fn spellings() -> [String; 10] {
    let bare = CODE.replace('-', "");
    let each = |form: fn(u8) -> String| CODE.bytes().map(form).collect::<Vec<_>>();
    [
        bare.clone(),
        CODE.to_uppercase(),
        CODE.replace('-', " "),
        bare.chars().map(|c| c.to_string()).collect::<Vec<_>>().join("  "),
        CODE.replace('-', "%2D"),
        bare[..12].to_owned(),
        CODE[14..].to_owned(),
        each(|byte| format!("{byte:02x}")).concat(),
        each(|byte| format!("0x{byte:02X}")).join(", "),
        STANDARD.encode(format!("code={CODE}")),
    ]
}

#[test]
fn ten_spellings_of_the_code_stay_in_the_guard() {
    for spelling in spellings() {
        let stage =
            Stage::new(&format!("unlock() {{ printf 'INVENTED: not with %s here\\n' '{spelling}' >&2; return 9; }}"));
        let error = stage.hand_over().err().unwrap();
        assert_eq!(error.code(), "device_refused");
        let text = error.to_string();
        let said = text.split_once("INVENTED: not with ").and_then(|(_, said)| said.strip_suffix(" here")).unwrap();
        // Of base64 the characters stay that stand for what is before and after.
        assert!(said.contains("[unlock code]") && said.len() < 30, "{spelling}: {error}");
        stage.assert_nothing_left();
    }
}

/// What is taken out may be half of the document: it is read before.
#[test]
fn a_description_is_read_before_the_code_is_taken_out() {
    let stage = Stage::new(
        r#"describe() {
  known "$@" || return 3
  printf '{"DeviceId":"%s","Of":["c0de1","c0de2","C0DE3"],"UnlockStatus":{"State":"%s"}}\n' "$(id)" "$(state)"
}"#,
    );
    stage.hand_over().unwrap().wait_until_unlocked(Duration::from_secs(60), &|_| ()).unwrap();

    // And what is read is looked at as well.
    let stage = Stage::new(&format!("id() {{ printf '%s' 'JID {}'; }}", CODE.replace('-', "\\\\u002d")));
    let error = stage.hand_over().err().unwrap();
    assert!(error.to_string().contains("it reports JID [unlock code]"), "{error}");
    assert_eq!(code_of::<()>(Err(error)), "device_is_another");
}
