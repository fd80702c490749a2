#![allow(clippy::unwrap_used)]

use std::fs;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::model::Record;

struct Scene {
    _dir: tempfile::TempDir,
    audit: Audit,
    job: TargetId,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("snow-onboard")).unwrap();
        let job = "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap();
        Self { audit: Audit::of(&state, AuditCopy::None), job, _dir: dir }
    }

    fn note(&self, step: AuditStep) -> AuditHead {
        self.audit.append(&self.job, step, None).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.audit.path).unwrap()
    }

    fn put(&self, text: impl AsRef<[u8]>) {
        fs::write(&self.audit.path, text).unwrap();
    }

    fn flaws(&self, known: &[AuditHead]) -> Vec<String> {
        let known: Vec<KnownHead> =
            known.iter().map(|head| KnownHead { by: "a record".to_owned(), head: *head }).collect();
        self.audit.verify(&known, None).unwrap().flaws.into_iter().map(|flaw| flaw.text).collect()
    }
}

/// As versions before the chain wrote it.
fn old_line(step: &str) -> String {
    format!(
        "{{\"at\":\"2026-01-02T03:04:05Z\",\"user\":\"anna\",\"pid\":7,\"job\":\"JID123e4567-e89b-12d3-a456-426655440000\",\"step\":\"{step}\"}}\n"
    )
}

#[test]
fn lines_are_appended_to_a_private_file_and_chained() {
    let scene = Scene::new();
    scene.note(AuditStep::Kept);
    let head = scene.note(AuditStep::HandedOverOnCommandLine);
    let text = scene.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["job"], scene.job.as_str());
    assert_eq!(lines[1]["step"], "handed_over_on_command_line");
    // By another implementation than the one that wrote it.
    let sha256 = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!((lines[0]["seq"].as_u64(), lines[0]["previous"].as_str().unwrap()), (Some(1), &*sha256(b"")));
    let first = text.split_inclusive('\n').next().unwrap();
    assert_eq!(
        (lines[1]["seq"].as_u64(), lines[1]["previous"].as_str().unwrap()),
        (Some(2), &*sha256(first.as_bytes()))
    );
    assert_eq!(head.sha256.to_string(), sha256(&text.as_bytes()[first.len()..]));
    assert_eq!(path_trust::privacy_flaw(&scene.audit.path).unwrap(), None);
    let report = scene.audit.verify(&[], Some(&scene.job)).unwrap();
    assert_eq!((report.lines, report.chain_begins, report.head, report.entries.len()), (2, Some(1), Some(head), 2));
    assert!(report.flaws.is_empty() && report.unchained.is_empty(), "{report:?}");
    let other: TargetId = "JID00000000-e89b-12d3-a456-426655440000".parse().unwrap();
    assert!(scene.audit.verify(&[], Some(&other)).unwrap().entries.is_empty());
}

/// A log with lines of both kinds is one chain, and of each line is shown what it has.
#[test]
fn a_line_about_a_session_names_it_and_one_of_an_older_version_is_read_without() {
    let mut scene = Scene::new();
    scene.note(AuditStep::HandOverBegun);
    let without = scene.text();
    assert!(!without.contains("addresses") && !without.contains("client"), "as older versions wrote it: {without}");
    scene.audit.name_session(AuditSession {
        addresses: vec!["192.0.2.10".parse().unwrap(), "192.0.2.11".parse().unwrap()],
        method: Some(HandOverMethod::Configure),
        client_version: "1.2.2\u{1b}[2J".to_owned(),
        client_sha256: "0f".repeat(32).parse().unwrap(),
    });
    let head = scene.note(AuditStep::HandedOver);
    let report = scene.audit.verify(&[KnownHead { by: String::new(), head }], None).unwrap();
    assert_eq!((report.flaws, report.known_to), (vec![], Some(2)));
    let said: Vec<_> = report.entries.iter().map(AuditEntry::session).collect();
    let digest = "0f".repeat(32);
    let expected =
        format!("device at 192.0.2.10, 192.0.2.11, method configure, client version 1.2.2, client SHA-256 {digest}");
    assert_eq!(said, [None, Some(expected)]);
}

#[test]
fn who_acts_is_not_taken_from_the_environment() {
    let scene = Scene::new();
    scene.note(AuditStep::Kept);
    let line: Value = serde_json::from_str(&scene.text()).unwrap();
    assert!(line["host"].as_str().is_some_and(|host| !host.is_empty()), "{line}");
    assert!(line["uid"].is_u64() != line["sid"].as_str().is_some_and(|sid| sid.starts_with("S-1-")), "{line}");
    assert_eq!(line["pid"], std::process::id());
}

#[test]
fn a_line_that_a_power_cut_tore_is_told_until_the_next_line_covers_it() {
    let scene = Scene::new();
    scene.note(AuditStep::Kept);
    let whole = scene.text();
    for length in [1, whole.len() / 2, whole.len() - 2] {
        scene.put(format!("{whole}{}", &whole[..length]));
        assert_eq!(
            scene.flaws(&[]),
            [
                "line 2, the last one, is incomplete: a power cut interrupted its writing, or it was added or cut by hand"
            ]
        );
        scene.note(AuditStep::Forgotten);
        let head = scene.note(AuditStep::Forgotten);
        let text = scene.text();
        let lines: Vec<Option<Value>> = text.lines().map(|line| serde_json::from_str(line).ok()).collect();
        assert_eq!(lines.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, true], "{text}");
        assert_eq!(lines[2].as_ref().unwrap()["over"], 1, "it says so");
        assert_eq!(lines[3].as_ref().unwrap().get("over"), None);
        let report = scene.audit.verify(&[KnownHead { by: String::new(), head }], None).unwrap();
        assert_eq!((report.unchained, report.flaws), (vec![2], vec![]));
        // And that line is in the chain like any other.
        scene.put(text.replacen(&whole[..length], &"x".repeat(length), 2).replacen(
            &"x".repeat(length),
            &whole[..length],
            1,
        ));
        assert_eq!(scene.flaws(&[]), ["lines 1 to 2 were changed"], "{length}");
    }
    // Of the line all but its end was written.
    scene.put(&whole[..whole.len() - 1]);
    assert_eq!(
        scene.flaws(&[]),
        ["line 1, the last one, is incomplete: a power cut interrupted its writing, or it was added or cut by hand"]
    );
    scene.note(AuditStep::Forgotten);
    assert!(scene.text().starts_with(&whole));
    assert!(scene.flaws(&[]).is_empty());
}

#[test]
fn lines_of_versions_without_a_chain_stay_and_are_covered() {
    let scene = Scene::new();
    let old = old_line("kept") + &old_line("unlocked");
    scene.put(&old);
    let report = scene.audit.verify(&[], None).unwrap();
    assert_eq!((report.lines, report.chain_begins, report.head, report.entries.len()), (2, None, None, 2));
    assert!(report.flaws.is_empty(), "no chain, nothing to tell");
    scene.note(AuditStep::Forgotten);
    let report = scene.audit.verify(&[], None).unwrap();
    assert_eq!((report.chain_begins, report.unchained, report.flaws), (Some(3), vec![1, 2], vec![]));
    assert_eq!(report.entries[0].user.as_deref(), Some("anna"));
    let text = scene.text();
    scene.put(text.replacen("anna", "bert", 1));
    assert_eq!(scene.flaws(&[]), ["lines 1 to 2 were changed"]);
    scene.put(&text[old_line("kept").len()..]);
    assert_eq!(scene.flaws(&[]), ["1 line is missing before line 2"]);
    // An older version that is used again.
    scene.put(format!("{text}{}", old_line("kept")));
    assert_eq!(scene.flaws(&[]), ["line 4 is in no chain: added by hand, or by an older version"]);
    scene.note(AuditStep::Forgotten);
    assert_eq!(scene.flaws(&[]), ["line 4 is in no chain: added by hand, or by an older version"]);
}

#[test]
fn what_was_done_to_a_log_is_told_by_its_line() {
    let scene = Scene::new();
    let heads: Vec<AuditHead> = (0..6).map(|_| scene.note(AuditStep::Unlocked)).collect();
    let text = scene.text();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let told = |lines: &[&str], known: &[AuditHead]| {
        scene.put(lines.concat());
        scene.flaws(known)
    };
    let with = |at: usize, line: &str| {
        let mut lines: Vec<&str> = lines.clone();
        let line = line.to_owned().leak();
        lines.insert(at, line);
        lines
    };
    let without = |from: usize, to: usize| [&lines[..from], &lines[to..]].concat();
    assert!(told(&lines, &heads).is_empty());
    assert_eq!(told(&without(2, 3), &[]), ["1 line is missing before line 3"]);
    assert_eq!(told(&without(1, 4), &[]), ["3 lines are missing before line 2"]);
    assert_eq!(told(&without(0, 1), &[]), ["1 line is missing before line 1"]);
    let mut changed = lines.clone();
    let other = lines[2].replace("unlocked", "kept").leak();
    changed[2] = other;
    assert_eq!(told(&changed, &[]), ["line 3 was changed"]);
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    assert!(
        told(&swapped, &[])
            .contains(&"line 4 was moved or inserted: its number in the chain is 3, where 5 belongs".to_owned())
    );
    let in_no_chain = "line 4 is in no chain: added by hand, or by an older version";
    assert_eq!(told(&with(3, "{}\n"), &[]), [in_no_chain, "line 4 was inserted or changed"]);
    assert_eq!(told(&with(3, "{\n"), &[]), ["line 4 was inserted or changed"]);
    assert_eq!(
        told(&with(3, lines[2]), &[])[0],
        "line 4 was moved or inserted: its number in the chain is 3, where 4 belongs"
    );
    assert_eq!(
        told(&with(6, &old_line("kept")), &[]),
        ["line 7 is in no chain: added by hand, or by an older version"]
    );
    // At the end no later line tells, but who wrote down the head.
    assert!(told(&lines[..4], &[]).is_empty());
    assert_eq!(
        told(&lines[..4], &heads[2..]),
        ["2 lines are missing at the end, after line 4: a record knows line 6 of the chain"]
    );
    let mut last = lines.clone();
    last[5] = lines[5].replace("unlocked", "kept").leak();
    assert!(told(&last, &[]).is_empty());
    assert_eq!(told(&last, &heads), ["line 6 is not as a record knows it"]);
    assert_eq!(
        told(&[], &heads[..1]),
        ["1 line is missing: a record knows line 1 of the chain, and the log has none of it"]
    );
    fs::remove_file(&scene.audit.path).unwrap();
    assert_eq!(
        scene.flaws(&heads[..1]),
        ["1 line is missing: a record knows line 1 of the chain, and the log has none of it"]
    );
    assert!(scene.flaws(&[]).is_empty());
}

#[test]
fn a_flaw_is_told_once_and_none_is_no_error() {
    let scene = Scene::new();
    let head = scene.note(AuditStep::Kept);
    let report = scene.audit.verify(&[], None).unwrap();
    assert!(report.error().is_none() && report.error_beside_report().is_none());
    let other = AuditHead { sha256: AuditDigest::from_hasher(Sha256::new()), ..head };
    assert_eq!(scene.flaws(&[other, other]), ["line 1 is not as a record knows it"]);
    let by = |name: &str| KnownHead { by: name.to_owned(), head: other };
    let report = scene.audit.verify(&[by("one"), by("two")], None).unwrap();
    assert_eq!(report.flaws.len(), 2);
    assert!(report.error().unwrap().to_string().contains("as one knows it; line 1 is not as two knows it"));
    assert!(report.error_beside_report().unwrap().to_string().contains("2 flaws"));
    let report = scene.audit.verify(&[by("one")], None).unwrap();
    assert!(report.error_beside_report().unwrap().to_string().contains("1 flaw,"));
}

/// Somebody may have written what a terminal would act upon.
#[test]
fn what_a_line_says_is_shown_without_control_characters() {
    let scene = Scene::new();
    let names = [
        "job",
        "step",
        "purpose",
        "command",
        "user",
        "sid",
        "host",
        "manifest_sha256",
        "method",
        "client_version",
        "client_sha256",
    ];
    let mut line = serde_json::Map::new();
    line.insert("at".to_owned(), "2026-01-02T03:04:05Z".into());
    line.insert("addresses".to_owned(), vec!["\u{1b}[2Jaddresses"].into());
    line.extend(names.map(|name| (name.to_owned(), format!("\u{1b}[2J{name}").into())));
    scene.put(format!("{}\n", Value::from(line)));
    let entry = scene.audit.verify(&[], None).unwrap().entries.remove(0);
    let shown = serde_json::to_value(&entry).unwrap();
    for name in names.into_iter().chain(["addresses"]) {
        let text = shown[name].as_str().or(shown[name][0].as_str()).unwrap();
        assert!(text.ends_with(name) && !text.contains('\u{1b}'), "{text:?}");
    }
}

/// A line is read up to a length; one that goes on behind it is no link, though it begins like one.
#[test]
fn a_link_with_something_behind_its_longest_piece_is_none() {
    let link = format!("{{\"seq\":1,\"previous\":\"{}\"}}", "0".repeat(64));
    for (length, is_link) in [(chain::MAX_LINE - 1, true), (chain::MAX_LINE, false), (chain::MAX_LINE + 1, false)] {
        let text = format!("{link}{}", " ".repeat(length - link.len()));
        let mut chain = AuditChain::new();
        chain.read(text.as_bytes(), |_, _, _| {}).unwrap();
        assert_eq!(chain.has_link(), is_link, "{length}");
    }
}

/// What hinders it is told as what was wanted: reading it, or writing to it.
#[cfg(unix)]
#[test]
fn a_log_that_is_none_is_told_with_what_was_wanted() {
    let scene = Scene::new();
    fs::create_dir(&scene.audit.path).unwrap();
    assert!(scene.audit.verify(&[], None).unwrap_err().to_string().starts_with("Reading"));
    assert!(scene.audit.check().unwrap_err().to_string().starts_with("Writing"));
    // In a file system of the kernel's nobody makes a file, not even root: that is told, and not that there is none.
    if cfg!(target_os = "linux") {
        let refusal = Audit::below(Path::new("/sys"), AuditCopy::None).open().unwrap_err();
        assert!(matches!(&refusal, Error::Disk { why, .. } if !why.to_string().contains("not there")), "{refusal}");
        assert!(!refusal.to_string().contains("No such file"), "{refusal}");
    }
}

#[test]
fn a_line_names_what_the_run_is_for() {
    let scene = Scene::new();
    let mut audit = Audit { path: scene.audit.path.clone(), ..Audit::below(Path::new(""), AuditCopy::None) };
    audit = audit.with_purpose(Purpose::Client);
    audit.name_command("list-services".to_owned());
    audit.append(&scene.job, AuditStep::Kept, None).unwrap();
    let line: Value = serde_json::from_str(&scene.text()).unwrap();
    assert_eq!((&line["purpose"], &line["command"]), (&"client".into(), &"list-services".into()));
}

/// The record gets it with what else is written, or when the job's folder is closed.
#[test]
fn the_record_names_the_log_s_head() {
    let scene = Scene::new();
    let state = StateFolder::open(scene.audit.path.parent().unwrap()).unwrap();
    let record = || StateFolder::record_below(state.path(), &scene.job).unwrap().unwrap();
    let folder = state.job(&scene.job).unwrap();
    let empty = Record::new(scene.job.clone());
    folder.write_record(&empty).unwrap();
    assert_eq!(record().audit_head, None);
    let first = scene.audit.note(&folder, AuditStep::Kept, None).unwrap();
    folder.write_record(&empty).unwrap();
    assert_eq!(record().audit_head, Some(first));
    let second = scene.audit.note(&folder, AuditStep::Unlocked, None).unwrap();
    assert!(second != first && record().audit_head == Some(first), "not written for each line");
    drop(folder);
    assert_eq!(record().audit_head, Some(second));
}

#[test]
fn the_end_of_a_long_log_is_found_and_a_giant_line_is_no_link() {
    let scene = Scene::new();
    scene.note(AuditStep::Kept);
    scene.put(scene.text() + &"x".repeat(3 * chain::MAX_LINE + 17) + "\n");
    // Past the tail that is read at first.
    scene.note(AuditStep::Kept);
    let report = scene.audit.verify(&[], None).unwrap();
    assert_eq!((report.lines, report.unchained, report.flaws), (3, vec![2], vec![]));
    for _ in 0..3 {
        scene.note(AuditStep::Kept);
    }
    scene.put(scene.text() + &(old_line("kept")[1..].repeat(600)));
    scene.note(AuditStep::Kept);
    assert!(scene.text().len() as u64 > 4 * TAIL);
    assert!(scene.flaws(&[]).is_empty());
}

/// The next command counts whatever it finds; that does not make it a line of this program's.
#[test]
fn a_whole_line_in_no_chain_is_told_for_ever_also_when_a_later_line_covers_it() {
    let scene = Scene::new();
    scene.put(old_line("kept"));
    scene.note(AuditStep::Kept);
    assert!(scene.flaws(&[]).is_empty(), "of before the chain");
    let spaced = old_line("unlocked").replacen(':', " : ", 1);
    scene.put(scene.text() + &old_line("unlocked") + "{\"at\":\n" + &spaced);
    let told = [3, 5].map(|line| format!("line {line} is in no chain: added by hand, or by an older version"));
    assert_eq!(scene.flaws(&[]), told);
    for _ in 0..2 {
        scene.note(AuditStep::Kept);
        assert_eq!(scene.flaws(&[]), told);
    }
    let report = scene.audit.verify(&[], None).unwrap();
    assert_eq!(report.unchained, [1, 3, 4, 5]);
    let marked: Vec<u64> = report.entries.iter().filter(|entry| !entry.mark().is_empty()).map(|it| it.line).collect();
    assert_eq!(marked, [1, 3, 5]);
}

/// A lock belongs to the open file, so a second log in this process stands for a second process.
#[test]
fn two_that_append_at_once_lose_no_line() {
    let scene = Scene::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..200 {
                    scene.note(AuditStep::Unlocked);
                }
            });
        }
    });
    let report = scene.audit.verify(&[], None).unwrap();
    assert_eq!((report.lines, report.entries.len(), report.head.unwrap().seq), (400, 400, 400));
    assert!(report.flaws.is_empty(), "{:?}", report.flaws);
}

#[test]
fn a_lock_that_is_held_is_waited_for_and_not_for_ever() {
    let scene = Scene::new();
    scene.note(AuditStep::Kept);
    let held = scene.audit.open().unwrap();
    held.lock().unwrap();
    let file = scene.audit.open().unwrap();
    let refusal = scene.audit.lock(Instant::now(), || file.try_lock()).unwrap_err();
    assert_eq!(refusal.code(), "audit_busy");
    std::thread::scope(|scope| {
        let noted = scope.spawn(|| scene.note(AuditStep::Unlocked));
        std::thread::sleep(Duration::from_millis(100));
        assert!(!noted.is_finished());
        drop(held);
        assert_eq!(noted.join().unwrap().seq, 2);
    });
}

/// A log that is put elsewhere while a process waits for it is not written to any more.
#[cfg(unix)]
#[test]
fn a_log_that_was_moved_away_gets_no_line() {
    let scene = Scene::new();
    scene.note(AuditStep::Kept);
    let held = scene.audit.open().unwrap();
    held.lock().unwrap();
    let moved = scene.audit.path.with_extension("old");
    std::thread::scope(|scope| {
        let noted = scope.spawn(|| scene.note(AuditStep::Unlocked));
        std::thread::sleep(Duration::from_millis(100));
        fs::rename(&scene.audit.path, &moved).unwrap();
        drop(held);
        assert_eq!(noted.join().unwrap().seq, 1, "a new log begins");
    });
    assert_eq!(fs::read_to_string(&moved).unwrap().lines().count(), 1);
}

/// What one edit does to a log of whole lines.
#[derive(Debug, Clone)]
enum Edit {
    Remove(usize),
    Duplicate(usize, usize),
    Swap(usize, usize),
    Insert(usize, String),
    Byte(usize, u8),
    RemoveByte(usize),
    Truncate(usize),
}

fn edits() -> impl Strategy<Value = Edit> {
    prop_oneof![
        any::<usize>().prop_map(Edit::Remove),
        any::<(usize, usize)>().prop_map(|(from, to)| Edit::Duplicate(from, to)),
        any::<(usize, usize)>().prop_map(|(one, other)| Edit::Swap(one, other)),
        (any::<usize>(), "[ -~]{0,40}").prop_map(|(at, line)| Edit::Insert(at, line)),
        any::<(usize, u8)>().prop_map(|(at, byte)| Edit::Byte(at, byte)),
        any::<usize>().prop_map(Edit::RemoveByte),
        any::<usize>().prop_map(Edit::Truncate),
    ]
}

impl Edit {
    fn of(&self, text: &str) -> Vec<u8> {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let mut bytes = text.as_bytes().to_vec();
        let (count, length) = (lines.len(), bytes.len());
        match self {
            Self::Remove(at) => _ = lines.remove(at % count),
            Self::Duplicate(from, to) => lines.insert(to % (count + 1), lines[from % count].clone()),
            Self::Swap(one, other) => lines.swap(one % count, other % count),
            Self::Insert(at, line) => lines.insert(at % (count + 1), format!("{line}\n")),
            Self::Byte(at, byte) => {
                bytes[at % length] = *byte;
                return bytes;
            }
            Self::RemoveByte(at) => {
                bytes.remove(at % length);
                return bytes;
            }
            Self::Truncate(at) => {
                bytes.truncate(at % length);
                return bytes;
            }
        }
        lines.concat().into_bytes()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Of a log whose head is known no edit of one place goes unseen.
    #[test]
    fn no_edit_goes_unseen(edit in edits(), old in 0_usize..3) {
        thread_local! {
            static LOGS: Vec<(Scene, String, AuditHead)> = (0..3).map(|old| {
                let scene = Scene::new();
                scene.put(old_line("kept").repeat(old));
                let head = [AuditStep::Kept, AuditStep::HandOverBegun, AuditStep::HandedOver, AuditStep::Unlocked]
                    .map(|step| scene.note(step))[3];
                let text = scene.text();
                (scene, text, head)
            }).collect();
        }
        LOGS.with(|logs| {
            let (scene, text, head) = &logs[old];
            let edited = edit.of(text);
            scene.put(&edited);
            prop_assert_eq!(scene.flaws(&[*head]).is_empty(), edited == text.as_bytes(), "{}", String::from_utf8_lossy(&edited));
            Ok(())
        })?;
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A line without a place in the chain stays a flaw, whatever it says and however many lines cover it.
    #[test]
    fn no_forged_line_is_covered(step in "[a-z_]{1,20}", after in 1_usize..3, has_link: bool) {
        let scene = Scene::new();
        scene.note(AuditStep::Kept);
        let line = old_line(&step);
        let line = if has_link { line.replacen('{', "{\"seq\":\"2\",", 1) } else { line };
        scene.put(scene.text() + &line);
        (0..after).for_each(|_| _ = scene.note(AuditStep::Kept));
        prop_assert_eq!(scene.flaws(&[]).len(), 1);
    }

    /// A log of any bytes is read to its end, and appended to.
    #[test]
    fn any_log_is_read(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'{'), any::<u8>()], 0..300)) {
        let scene = Scene::new();
        scene.put(&bytes);
        scene.flaws(&[]);
        scene.note(AuditStep::Kept);
        prop_assert!(scene.flaws(&[]).is_empty());
    }
}
