//! Owners, modes and access lists, as they are judged; and what is opened with what.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};

use super::super::accounts::{me, runs_as_administrator};
use super::super::{beside_program, is_link, is_own, part_of_program};
use super::*;

/// The number of no user and of no group.
const OTHER: u32 = 54_321;

fn folder(mode: u32) -> Seen {
    Seen { kind: FileType::Directory, uid: 0, gid: OTHER, mode, names: 1, list: AccessList::default() }
}

fn listed(writers: &[Grantee]) -> AccessList {
    let writers = writers.iter().map(|to| Grant { to: *to }).collect();
    AccessList { group_writes: Some(false), writers, openers: Vec::new() }
}

fn base() -> (tempfile::TempDir, PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().canonicalize().unwrap();
    (base, path)
}

fn pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn why(flaw: Option<Flaw>) -> Option<String> {
    flaw.map(|flaw| flaw.text)
}

#[test]
fn another_user_is_not_trusted_and_this_one_not_as_the_administrator() {
    for whose in [Whose::Own, Whose::Administrator] {
        assert!(is_trusted(0, whose) && !is_trusted(OTHER, whose));
        assert_eq!(is_trusted(me(), whose), whose == Whose::Own || runs_as_administrator());
        assert_eq!(why(folder(0o700).owner_flaw(whose)), None);
        let of_another = Seen { uid: OTHER, ..folder(0o700) };
        assert_eq!(why(of_another.owner_flaw(whose)).unwrap(), "belongs to uid 54321");
        assert_eq!(why(of_another.write_flaw(whose, Position::OnTheWay)).unwrap(), "belongs to uid 54321");
    }
}

#[test]
fn who_may_write_is_told_and_a_sticky_folder_on_the_way_is_fine() {
    let flaw = |seen: &Seen, position| why(seen.write_flaw(Whose::Own, position));
    for position in [Position::OnTheWay, Position::Whole] {
        assert_eq!(flaw(&folder(0o755), position), None);
        let said = flaw(&folder(0o775), position).unwrap();
        assert_eq!(said, "can be written by the group gid 54321 (mode 0775)");
        let said = flaw(&folder(0o757), position).unwrap();
        assert_eq!(said, "can be written by everyone (mode 0757)");
    }
    for mode in [0o1777, 0o1775, 0o1757] {
        assert_eq!(flaw(&folder(mode), Position::OnTheWay), None);
        assert!(flaw(&folder(mode), Position::Whole).is_some());
        let file = Seen { kind: FileType::RegularFile, ..folder(mode) };
        assert!(flaw(&file, Position::OnTheWay).is_some(), "on a file the bit says nothing");
    }
}

#[test]
fn who_is_on_the_access_list_counts() {
    let with = |mode, list| Seen { list, ..folder(mode) };
    let flaw = |seen: &Seen, position| why(seen.write_flaw(Whose::Own, position));
    for (to, name) in [
        (Grantee::User(OTHER), "uid 54321"),
        (Grantee::Group(OTHER), "the group gid 54321"),
        (Grantee::Unknown, "others"),
    ] {
        // After one that may.
        let seen = with(0o775, listed(&[Grantee::User(me()), to]));
        for position in [Position::OnTheWay, Position::Whole] {
            assert_eq!(flaw(&seen, position).unwrap(), format!("can be written by {name}, by its access list"));
        }
        let openers = vec![Grant { to: Grantee::User(me()) }, Grant { to }];
        let open = Seen { uid: me(), ..with(0o700, AccessList { openers, ..AccessList::default() }) };
        assert_eq!(why(open.privacy_flaw()).unwrap(), format!("can be opened by {name}, by its access list"));
    }
    let ours = [Grantee::User(me()), Grantee::User(0)];
    assert_eq!(flaw(&with(0o775, listed(&ours)), Position::Whole), None);
    let openers = ours.map(|to| Grant { to }).to_vec();
    let private = Seen { uid: me(), ..with(0o700, AccessList { openers, ..AccessList::default() }) };
    assert_eq!(why(private.privacy_flaw()), None);
    if cfg!(target_os = "linux") {
        assert_eq!(flaw(&with(0o1775, listed(&[Grantee::User(OTHER)])), Position::OnTheWay), None);
    }
}

#[test]
fn as_many_links_as_linux_follows() {
    let (_base, folder) = base();
    fs::write(folder.join("0"), "").unwrap();
    for number in 1..=MAX_CHAINED_LINKS + 1 {
        symlink((number - 1).to_string(), folder.join(number.to_string())).unwrap();
    }
    let last = folder.join(MAX_CHAINED_LINKS.to_string());
    assert_eq!(resolve(&last, Whose::Own).unwrap().target, Some(folder.join("0")));
    assert!(resolve(&folder.join((MAX_CHAINED_LINKS + 1).to_string()), Whose::Own).unwrap_err().is_io());
}

#[test]
fn a_link_that_leads_nowhere_is_seen_through_others() {
    let (_base, folder) = base();
    symlink(".", folder.join("home")).unwrap();
    symlink("home/none", folder.join("through")).unwrap();
    symlink("none", folder.join("dangling")).unwrap();
    for path in ["through", "home/dangling", "home/through", "through/file"] {
        let refused = open_file(&folder.join(path), Whose::Own).unwrap_err();
        assert!(refused.is_of(Fault::Link), "{path}: {refused}");
    }
}

#[test]
fn neither_a_link_nor_a_pipe_is_taken_for_what_it_is_not() {
    let (_base, folder) = base();
    let [file, link, to_file, fifo] = ["file", "link", "to file", "pipe"].map(|name| folder.join(name));
    fs::write(&file, "x").unwrap();
    symlink(".", &link).unwrap();
    symlink("file", &to_file).unwrap();
    pipe(&fifo);
    for path in [&link, &file] {
        assert!(folder_at(path, Whose::Own, Position::OnTheWay).unwrap_err().is_of(Fault::Kind));
        assert!(private_folder_at(path).unwrap_err().is_of(Fault::Kind));
    }
    assert!(is_link(&link).unwrap() && !is_link(&file).unwrap());
    // Of a pipe without another end: neither waits for one.
    assert_eq!(privacy_flaw(&fifo).unwrap().is_some(), fs::metadata(&fifo).unwrap().mode() & 0o077 != 0);
    beside_program(&fifo).unwrap();
    assert!(open_to_overwrite(&fifo).is_err() && open_to_overwrite(&to_file).is_err());
    open_to_overwrite(&file).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"x");

    assert!(part_of_program(&file).unwrap().is_some() && part_of_program(&folder).unwrap().is_none());
    for path in [&link, &to_file, &fifo] {
        assert!(part_of_program(path).unwrap_err().is_of(Fault::Kind), "{}", path.display());
    }
    assert_eq!(
        (beside_program(&to_file).unwrap(), beside_program(&folder.join("no")).unwrap()),
        (file.clone(), folder)
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(part_of_program(&file).unwrap_err().is_of(Fault::Writable));
    assert!(beside_program(&to_file).unwrap_err().is_of(Fault::Writable));
}

#[test]
fn what_may_be_run_and_what_is_still_there_is_told() {
    let (_base, folder) = base();
    let path = folder.join("file");
    fs::write(&path, "").unwrap();
    let file = File::open(&path).unwrap();
    for (mode, is) in [(0o600, false), (0o640, false), (0o700, true), (0o610, true), (0o601, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(is_executable(&file).unwrap(), is, "{mode:o}");
    }
    assert!(is_still_at(&file, &path).unwrap() && is_own(&path).unwrap());
    fs::rename(&path, folder.join("moved")).unwrap();
    assert!(!is_still_at(&file, &path).unwrap());
    fs::write(&path, "").unwrap();
    assert!(!is_still_at(&file, &path).unwrap() && is_still_at(&file, &folder.join("moved")).unwrap());
}

/// Root alone can give things away.
#[test]
fn what_was_given_to_another_user_is_another_user_s() {
    if !runs_as_administrator() {
        return;
    }
    let (_base, folder) = base();
    let [file, link] = ["file", "link"].map(|name| folder.join(name));
    fs::write(&file, "").unwrap();
    symlink("file", &link).unwrap();
    lchown(&link, Some(OTHER), None).unwrap();
    let refused = resolve(&link, Whose::Own).unwrap_err();
    assert_eq!((refused.why(), refused.owner()), ("is a link that belongs to uid 54321".to_owned(), Some("uid 54321")));
    // A group that this user is not in is kept by a file that takes the place of another.
    chown(&file, None, Some(OTHER)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let draft = create_private_file(&folder.join("draft")).unwrap();
    super::super::copy_rights(&File::open(&file).unwrap(), &draft).unwrap();
    let made = draft.metadata().unwrap();
    assert_eq!((made.gid(), made.mode() & 0o7777), (OTHER, 0o640));
    chown(&file, Some(OTHER), None).unwrap();
    assert!(!is_own(&file).unwrap());
    assert_eq!(open_to_overwrite(&file).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    for refused in [open_file(&file, Whose::Own).unwrap_err(), part_of_program(&file).unwrap_err()] {
        assert_eq!(refused.owner(), Some("uid 54321"));
    }
}
