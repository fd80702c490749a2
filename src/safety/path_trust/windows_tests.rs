//! Windows: what access lists mean, tried on descriptors.
#![allow(clippy::unwrap_used)]

use super::*;

const ME: &str = "S-1-5-21-1-2-3-1001";

fn access(sddl: &str) -> Access {
    Access::described(sddl).unwrap()
}

#[test]
fn private_means_the_user_the_system_and_administrators() {
    let me = current_user().unwrap();
    let access = access(&private_sddl("OICI").unwrap());
    let who: Vec<&str> = access.entries.iter().flatten().map(|ace| &*ace.sid.text).collect();
    assert_eq!((&*access.owner.text, &who[..]), (&*me, &[&*me, SYSTEM, ADMINISTRATORS][..]));
    assert_eq!((access.privacy_flaw(&me), access.write_flaw(&me, true)), (None, None));
}

/// Wine keeps an access list as a Unix mode, so it loses entries (that of administrators, for one) but adds none
/// for strangers, and it does not inherit. What the entries mean is tried on descriptors below instead.
#[test]
fn private_things_let_nobody_else_in() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("Jürgen Müller");
    create_private_dir(&folder).unwrap();
    create_private_file(&folder.join("made")).unwrap();
    let me = current_user().unwrap();
    for path in [folder.clone(), folder.join("made")] {
        let access = Access::of(&path).unwrap();
        assert_eq!(access.owner.text, me);
        let who: Vec<&str> = access.entries.iter().flatten().map(|ace| &*ace.sid.text).collect();
        assert!(who.contains(&&*me), "{who:?}");
        assert!(who.iter().all(|who| [&*me, SYSTEM, ADMINISTRATORS].contains(who)), "{who:?}");
    }
}

#[test]
fn whoever_else_is_let_in_is_named() {
    // WD is everyone, AU every signed-in user, BG guests, CO whoever makes a thing. FR: read; FA: everything;
    // 0x2: write, add files; 0x4: append, add folders; SD: delete; WD, WO: change the list, the owner.
    for (more, private, writable_folder, writable_file) in [
        ("", true, false, false),
        ("(A;;FR;;;WD)", false, false, false),
        ("(A;;0x2;;;WD)", false, true, true),
        ("(A;;0x4;;;AU)", false, false, true),
        ("(A;;SD;;;WD)", false, true, true),
        ("(A;;WD;;;WD)", false, true, true),
        ("(A;;WO;;;WD)", false, true, true),
        ("(A;;GW;;;WD)", false, true, true),
        ("(A;OICIIO;FA;;;AU)", false, false, false),
        ("(D;;FA;;;BG)", true, false, false),
        ("(A;OICIIO;FA;;;CO)", true, false, false),
    ] {
        let access = access(&format!("O:{ME}D:P(A;OICI;FA;;;{ME})(A;OICI;FA;;;SY){more}"));
        assert_eq!(access.privacy_flaw(ME).is_none(), private, "{more}");
        assert_eq!(access.write_flaw(ME, true).is_some(), writable_folder, "{more}");
        assert_eq!(access.write_flaw(ME, false).is_some(), writable_file, "{more}");
    }
    let everyone = access(&format!("O:{ME}D:P(A;;FA;;;WD)")).privacy_flaw(ME).unwrap().text;
    assert!(everyone.starts_with("can be opened by "), "{everyone}");
    let no_list = access(&format!("O:{ME}"));
    assert_eq!(no_list.write_flaw(ME, true).unwrap().text, "can be written by everyone (it has no access list)");
    let installed = access(&format!("O:{TRUSTED_INSTALLER}D:P(A;;FA;;;{TRUSTED_INSTALLER})(A;;FR;;;WD)"));
    assert_eq!(installed.write_flaw(ME, false), None);
    let stranger = access(&format!("O:S-1-5-21-1-2-3-1002D:P(A;;FA;;;{ME})"));
    for flaw in [stranger.privacy_flaw(ME), stranger.write_flaw(ME, true)] {
        assert!(flaw.unwrap().text.starts_with("belongs to S-1-5-21-1-2-3-1002"));
    }
}

#[test]
fn long_paths_are_taken() {
    let base = tempfile::tempdir().unwrap();
    let mut folder = base.path().to_owned();
    for _ in 0..4 {
        folder.push("x".repeat(80));
        create_private_dir(&folder).unwrap();
    }
    create_private_file(&folder.join("file")).unwrap();
    assert_eq!(privacy_flaw(&folder.join("file")).unwrap(), None);
}

#[test]
fn a_system_file_is_the_administrators_own_and_one_that_lets_users_write_is_not() {
    let file = |access: &Access| access.administered_file_flaw(None);
    let folder = |access: &Access| access.administered_folder_flaw(None);
    // As ProgramData comes: users may add files and folders, and own what they made.
    let usual = "O:SYD:(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;FA;;;CO)(A;OICI;FR;;;BU)(A;CI;0x116;;;BU)";
    assert_eq!(folder(&access(usual)), None);
    for (more, safe_folder) in
        [("(A;;0x40;;;BU)", false), ("(A;;SD;;;BU)", false), ("(A;;WD;;;WD)", false), ("(A;;FR;;;BU)", true)]
    {
        assert_eq!(folder(&access(&format!("O:BAD:(A;;FA;;;BA){more}"))).is_none(), safe_folder, "{more}");
    }
    assert_eq!(file(&access("O:BAD:(A;;FA;;;SY)(A;;FA;;;BA)(A;;FR;;;BU)")), None);
    let flaw = file(&access("O:BAD:(A;;FA;;;BA)(A;;0x2;;;BU)")).unwrap().text;
    assert!(flaw.starts_with("can be written by "), "{flaw}");
    let own = file(&access(&format!("O:{ME}D:(A;;FA;;;BA)"))).unwrap().text;
    assert!(own.starts_with(&format!("belongs to {ME}")), "{own}");
    assert!(file(&access("O:BA")).is_some(), "no list at all");
    // Of an administrator who runs this program as one, what is his is the administrator's, and what is another user's is not.
    assert_eq!(access(&format!("O:{ME}D:(A;;FA;;;{ME})")).administered_file_flaw(Some(ME)), None);
    assert!(access(&format!("O:{ME}D:(A;;FA;;;BU)")).administered_file_flaw(Some(ME)).is_some());
    assert!(access("O:BUD:(A;;FA;;;BA)").administered_folder_flaw(Some(ME)).is_some());
}

#[test]
fn only_a_file_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(open_untrusted(&file).unwrap().is_some());
    for path in [folder.path(), Path::new("NUL")] {
        assert!(open_untrusted(path).unwrap().is_none(), "{}", path.display());
    }
    assert_eq!(open_untrusted(&folder.path().join("missing")).unwrap_err().kind(), io::ErrorKind::NotFound);
}
