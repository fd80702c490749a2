//! What is trusted, and what is not, on every system.
#![allow(clippy::unwrap_used)]

use super::*;
use std::fs;

#[test]
fn private_things_are_made_once_and_are_private() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("Jürgen Müller");
    create_private_dir(&folder).unwrap();
    assert_eq!(privacy_flaw(&folder).unwrap(), None);
    assert!(create_private_dir(&folder).is_err(), "made exclusively");
    let file = folder.join("manifest.bin");
    create_private_file(&file).unwrap();
    assert_eq!(privacy_flaw(&file).unwrap(), None);
    assert!(create_private_file(&file).is_err(), "made exclusively");
    assert!(open_file(&file, Whose::Own).unwrap().is_some());
    assert!(open_own(&file, OpenMode::Write).unwrap().is_some());
    assert!(open_own(&folder.join("absent"), OpenMode::Read).unwrap().is_none());
    assert!(is_own_private_folder(&folder) && !is_own_private_folder(&file));
    folder_at(&folder, Whose::Own, Position::Whole).unwrap();
}

#[test]
fn a_private_folder_is_made_with_those_above_it_and_looked_at_when_it_is_there() {
    let base = tempfile::tempdir().unwrap();
    let deep = base.path().join("a").join("b").join("c");
    let looked = look_at_private_folder(&deep).unwrap();
    assert!(!looked.exists && looked.ground == crate::os::real(base.path()).unwrap());
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0, "a look makes nothing");
    let made = private_folder(&deep).unwrap();
    assert_eq!(privacy_flaw(&base.path().join("a")).unwrap(), None);
    assert_eq!(private_folder(&deep).unwrap(), made);
    assert!(look_at_private_folder(&deep).unwrap().exists);
    fs::write(deep.join("file"), "").unwrap();
    assert!(private_folder(&deep.join("file")).unwrap_err().is_of(Fault::Kind));
    assert!(private_folder(&deep.join("file").join("d")).is_err());
    assert_eq!(fs::read_dir(&deep).unwrap().count(), 1);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("file");
    fs::write(&file, [b'x'; 2048]).unwrap();
    assert_eq!(read_file(&file, Whose::Own, 2048).unwrap().unwrap().len(), 2048);
    let refused = read_file(&file, Whose::Own, 1024).unwrap_err().clause(&file);
    assert_eq!(refused, "it is larger than 1 KiB");
    assert!(read_file(&base.path().join("absent"), Whose::Own, 1).unwrap().is_none());
    assert!(read_file(base.path(), Whose::Own, 1).unwrap_err().is_of(Fault::Kind), "a folder");
}

#[cfg(unix)]
#[test]
fn no_variable_turns_it_off() {
    // The switch of the crate that was not taken, and the likes of it.
    let tool = std::env::current_exe().unwrap();
    let mut again = std::process::Command::new(tool);
    again.args(["--exact", "safety::path_trust::tests::what_others_may_change_is_refused"]);
    for name in ["FS_MISTRUST_DISABLE_PERMISSIONS_CHECKS", "SNOW_ONBOARD_DISABLE_PERMISSIONS_CHECKS"] {
        again.env(name, "1");
    }
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[cfg(unix)]
mod on_unix {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn base() -> (tempfile::TempDir, PathBuf) {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().canonicalize().unwrap();
        (base, path)
    }

    #[test]
    fn only_a_file_is_opened_and_a_pipe_is_not_waited_for() {
        let (_base, folder) = base();
        let [file, pipe, link, to_pipe] = ["file", "pipe", "link", "to pipe"].map(|name| folder.join(name));
        fs::write(&file, "x").unwrap();
        symlink(&file, &link).unwrap();
        symlink(&pipe, &to_pipe).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [file, link] {
            assert!(open_untrusted(&path).unwrap().is_some(), "{}", path.display());
            assert!(open_file(&path, Whose::Own).unwrap().is_some(), "{}", path.display());
        }
        for path in [pipe, to_pipe, folder.clone(), "/dev/null".into()] {
            assert!(open_untrusted(&path).unwrap().is_none(), "{}", path.display());
            assert!(open_file(&path, Whose::Own).unwrap_err().is_of(Fault::Kind), "{}", path.display());
        }
        assert_eq!(open_untrusted(&folder.join("missing")).unwrap_err().kind(), io::ErrorKind::NotFound);
        symlink("nowhere", folder.join("dangling")).unwrap();
        assert!(open_file(&folder.join("dangling"), Whose::Own).unwrap_err().is_of(Fault::Link));
        assert!(open_file(&folder.join("dangling/file"), Whose::Own).unwrap_err().is_of(Fault::Link));
        // A home behind a link, as Fedora's /home is one, without that file in it.
        symlink(".", folder.join("home")).unwrap();
        symlink("home/home", folder.join("twice")).unwrap();
        for path in ["home/missing", "twice/missing/deep"] {
            assert!(open_file(&folder.join(path), Whose::Own).unwrap().is_none(), "{path}");
        }
    }

    #[test]
    fn a_second_name_of_a_file_of_ours_is_seen() {
        let (_base, folder) = base();
        let file = folder.join("file");
        fs::write(&file, "").unwrap();
        assert!(open_own(&file, OpenMode::Append).unwrap().is_some());
        symlink(&file, folder.join("link")).unwrap();
        assert!(open_own(&folder.join("link"), OpenMode::Append).unwrap_err().is_of(Fault::Link));
        fs::hard_link(&file, folder.join("other")).unwrap();
        let refused = open_own(&file, OpenMode::Append).unwrap_err();
        assert!(refused.is_of(Fault::Names) && refused.why() == "has 2 names (hard links)");
        assert!(open_own(&folder, OpenMode::Read).unwrap_err().is_of(Fault::Kind));
        assert!(std::process::Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
        assert!(open_own(&folder.join("pipe"), OpenMode::Append).unwrap_err().is_of(Fault::Kind));
    }

    #[test]
    fn a_private_file_is_private_or_refused() {
        let (_base, folder) = base();
        let file = folder.join("log");
        open_private(&file, OpenMode::Append).unwrap();
        assert_eq!(privacy_flaw(&file).unwrap(), None);
        set(&file, 0o640);
        assert!(open_private(&file, OpenMode::Append).unwrap_err().is_of(Fault::Open));
        set(&file, 0o600);
        set(&folder, 0o777);
        assert!(open_private(&file, OpenMode::Append).unwrap_err().is_of(Fault::Writable), "anyone can exchange it");
        assert!(open_private(&folder.join("new"), OpenMode::Append).is_err());
        assert!(!folder.join("new").exists());
        // In a file system of the kernel's nobody makes a file, not even root: that is told, and not that there is none.
        if cfg!(target_os = "linux") {
            assert!(!open_private(Path::new("/sys/snow-onboard"), OpenMode::Append).unwrap_err().is_missing());
        }
        set(&folder, 0o1777);
        open_private(&file, OpenMode::Append).unwrap();
    }

    #[test]
    fn a_way_is_walked_link_by_link() {
        let (_base, folder) = base();
        fs::create_dir_all(folder.join("real/deep")).unwrap();
        fs::write(folder.join("real/deep/file"), "").unwrap();
        symlink("real", folder.join("relative")).unwrap();
        symlink(folder.join("relative/deep"), folder.join("absolute")).unwrap();
        symlink("ring", folder.join("ring")).unwrap();
        let target = |path: &str| resolve(&folder.join(path), Whose::Own).unwrap().target;
        for path in ["absolute/file", "relative/../relative/deep/file", "real/deep/../deep/file"] {
            assert_eq!(target(path).unwrap(), folder.join("real/deep/file"), "{path}");
        }
        assert_eq!(target("absolute/none"), None);
        assert!(resolve(&folder.join("ring"), Whose::Own).is_err());
        let way = resolve(&folder.join("absolute/file"), Whose::Own).unwrap();
        assert_eq!(way.links, 2);
        assert_eq!(way.last, folder.join("real/deep"));
        // The folder where the name is missing, though it was passed before.
        symlink(folder.join("none"), folder.join("real/back")).unwrap();
        let way = resolve(&folder.join("real/back"), Whose::Own).unwrap();
        assert_eq!((way.target, way.last), (None, folder.clone()));
        // In the middle of the way, not only at its end.
        set(&folder.join("real"), 0o777);
        let refused = resolve(&folder.join("absolute/file"), Whose::Own).unwrap_err();
        assert!(refused.path == folder.join("real") && refused.is_of(Fault::Writable));
    }
}

#[cfg(unix)]
#[test]
fn what_others_may_change_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().canonicalize().unwrap();
    let set = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    let at = |position| folder_at(&folder, Whose::Own, position);
    set(0o757);
    assert_eq!(at(Position::Whole).unwrap_err().why(), "can be written by everyone (mode 0757)");
    set(0o1777);
    assert!(at(Position::Whole).unwrap_err().is_of(Fault::Writable), "others may add to it");
    at(Position::OnTheWay).unwrap();
    set(0o777);
    assert!(at(Position::OnTheWay).unwrap_err().is_of(Fault::Writable));
    set(0o755);
    at(Position::Whole).unwrap();
    folder_at(Path::new("/"), Whose::Own, Position::Whole).unwrap();
    folder_at(Path::new("/"), Whose::Administrator, Position::Whole).unwrap();
}

/// What a refusal says: of what was asked for, and of something on the way to it.
#[cfg(unix)]
#[test]
fn a_refusal_tells_what_is_at_fault_and_what_mends_it() {
    let (at, below) = (Path::new("/a/b"), Path::new("/a/b/c"));
    let missing = || Refused::nothing_at(at);
    let denied = || Refused::io(at, io::ErrorKind::PermissionDenied.into());
    let words = io_in_words(&io::ErrorKind::PermissionDenied.into());
    assert!(missing().is_io() && missing().is_missing() && denied().is_io() && !denied().is_missing());
    assert_eq!((missing().why(), denied().why()), ("is not there".to_owned(), format!("can't be opened: {words}")));
    assert_eq!((missing().clause(at), denied().clause(at)), ("it is not there".to_owned(), words.clone()));
    assert_eq!(missing().clause(below), "/a/b is not there");
    assert!(matches!(denied().into_why(at), Why::Io(error) if error.kind() == io::ErrorKind::PermissionDenied));
    for (why, said) in [
        (missing().into_why(at), "it is not there".to_owned()),
        (missing().into_why(below), "/a/b is not there".to_owned()),
        (denied().into_why(below), format!("/a/b can't be opened: {words}")),
        (denied().into_why_of("/a/b", at), format!("/a/b can't be used: {words}")),
        (
            denied().into_why_of("the file /a/b", at),
            format!("the file /a/b can't be used: /a/b can't be opened: {words}"),
        ),
    ] {
        assert!(matches!(&why, Why::Refused(clause, mend) if *clause == said && mend.is_empty()), "{why:?}");
    }

    let owned = || Refused::flaw(at, Flaw::owned_by("anna".to_owned()));
    let writable = || Refused::flaw(at, Flaw::new(Fault::Writable, "can be written by everyone"));
    assert!(
        owned().is_of(Fault::Owner) && !owned().is_of(Fault::Writable) && !owned().is_io() && !owned().is_missing()
    );
    assert_eq!((owned().owner(), writable().owner(), denied().owner()), (Some("anna"), None, None));
    assert_eq!((owned().why(), owned().clause(at)), ("belongs to anna".to_owned(), "it belongs to anna".to_owned()));
    let of_administrator = |refused: Refused| match refused.into_why_of_administrator(at) {
        Why::Refused(clause, mend) => (clause, mend),
        why => panic!("{why:?}"),
    };
    let (clause, mend) = of_administrator(owned());
    assert_eq!(clause, "it belongs to anna, so not only an administrator may have written it");
    assert!(mend.ends_with("\n  sudo chown root /a/b"), "{mend}");
    let (_, mend) = of_administrator(writable());
    assert!(mend.ends_with("\n  sudo chmod go-w /a/b"), "{mend}");
    let (clause, mend) = of_administrator(Refused::flaw(at, Flaw::new(Fault::Link, "is a link")));
    assert_eq!((&*clause, &*mend), ("it is a link, so not only an administrator may have written it", ""));
}

/// Folders of the system, and of other users, are as they are for good reasons.
#[cfg(unix)]
#[test]
fn no_hint_changes_a_folder_that_is_not_in_a_place_of_this_user_s_own() {
    let hint = |path: &Path, asked: &Path, fault| match Refused::flaw(path, Flaw::new(fault, "is as it is".to_owned()))
        .into_why(asked)
    {
        Why::Refused(_, mend) => mend,
        why => panic!("{why}"),
    };
    for folder in ["/", "/tmp", "/etc"].map(Path::new) {
        for fault in [Fault::Open, Fault::Writable, Fault::Owner] {
            let hint = hint(folder, folder, fault);
            assert!(
                hint.contains("a folder of your own") && !hint.contains("chmod") && !hint.contains("chown"),
                "{hint}"
            );
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    fs::write(&file, "x").unwrap();
    assert!(hint(&file, &file, Fault::Writable).contains("chmod go-w "), "the control");
    assert!(hint(&file, &file, Fault::Owner).contains("chown "), "the control");
    let ours = dir.path().join("snow-onboard");
    fs::create_dir(&ours).unwrap();
    assert!(hint(&ours, &ours, Fault::Open).contains("chmod go-rwx "), "the control");
    assert!(!hint(&ours, &ours.join("below"), Fault::Owner).contains("chown"), "a folder above what was named");
}
