//! Keychain, client, private folder, state folder, device; and how all of it is told to people.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::keyring_bus::{Keyring, KeyringBus};
use crate::process::may_mount_or_rerun;
use crate::row::Verb::Run;
use crate::row::{Fault, Row};
use crate::scene::Scene;
use crate::visit::{Line, done, env, known, nothing, nothing_is_fetched_or_left, see, visit};

#[test]
fn no_keychain() {
    let row = known("keychains", "no session bus");
    visit(
        &row,
        &[],
        8,
        &[Line("keychain", "fails", &["can't be used"], &["--keychain kernel"], Some("keychain_unavailable"))],
    );
}

#[test]
fn a_keychain_that_is_locked() {
    let row = known("keychains", "locked, and the prompt dismissed");
    visit(&row, &[], 8, &[Line("keychain", "fails", &["is locked"], &["Unlock it"], Some("keychain_locked"))]);
}

#[test]
fn a_keychain_that_keeps_in_clear_and_one_that_is_accepted_so() {
    let row = known("keychains", "a keyring that keeps in clear");
    let hints = &["--allow-plain-keyring"];
    visit(&row, &[], 8, &[Line("keychain", "fails", &["unencrypted"], hints, Some("keychain_in_clear"))]);
    let accepted =
        Line("keychain", "warning", &["test item stored and read back", "unencrypted"], &["Set a password"], None);
    visit(&row, &["--allow-plain-keyring"], 0, &[accepted]);
}

#[test]
fn a_keychain_that_is_silent() {
    let row = known("keychains", "a Secret Service that never answers");
    let line = Line("keychain", "fails", &["did not answer"], &["--keychain-timeout"], Some("keychain_timeout"));
    visit(&row, &["--keychain-timeout", "3s"], 8, &[line]);
}

#[test]
fn a_keychain_that_is_not_used() {
    visit(&nothing(), &["--keychain", "none"], 0, &[Line("keychain", "skipped", &["keychain = none"], &[], None)]);
}

#[test]
fn no_client() {
    let row = known("clients", "it is not there");
    visit(
        &row,
        &[],
        11,
        &[Line("client", "fails", &["was not found"], &["--client /path/to/"], Some("client_missing"))],
    );
}

#[test]
fn a_client_that_others_can_write() {
    let row = known("clients", "others may write a jar of it");
    let line = Line(
        "client",
        "fails",
        &["snowball-client-1.2.0.jar", "can be written by everyone"],
        &["chmod -R go-w"],
        Some("client_unsafe"),
    );
    visit(&row, &[], 11, &[line]);
}

#[test]
fn a_client_of_an_unknown_version_and_one_that_is_allowed() {
    let row = known("clients", "its version is unknown");
    let line = Line("client", "fails", &["Frostball 7"], &["--allow-unknown-client"], Some("client_unknown"));
    visit(&row, &[], 11, &[line]);
    let line = Line("client", "warning", &["it is used anyway"], &["--client"], None);
    visit(&row, &["--allow-unknown-client"], 0, &[line]);
}

#[test]
fn a_client_that_can_t_be_started_and_one_by_itself() {
    let row = known("clients", "its interpreter is missing");
    visit(
        &row,
        &[],
        11,
        &[Line(
            "client",
            "fails",
            &["can't be started", "first line"],
            &["Unpack the whole package"],
            Some("client_unusable"),
        )],
    );
    let row = known("clients", "it lies outside a package");
    visit(
        &row,
        &[],
        0,
        &[Line("client", "warning", &["was checked of this file, of what runs it"], &["--client"], None)],
    );
}

#[test]
fn a_client_that_is_pinned() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    let scene = Scene::set(&nothing(), &bus);
    let found = see(&scene, &[]);
    let digest = found.text("client").rsplit(' ').next().unwrap();
    let report = see(&scene, &["--client-sha256", digest]);
    report.holds(0, &[]);
    assert!(report.text("client").contains("; pinned, SHA-256 "), "{}", report.text("client"));
    let line = Line("client", "fails", &["is not the pinned one"], &["client_sha256"], Some("client_not_pinned"));
    see(&scene, &["--client-sha256", &"0".repeat(64)]).holds(11, &[line]);
    nothing_is_fetched_or_left(&scene);
}

#[test]
fn a_private_folder_on_a_disk_and_one_that_can_t_be_named() {
    if may_mount_or_rerun("machine::a_private_folder_on_a_disk_and_one_that_can_t_be_named") {
        let words = &["can't be in memory", "/dev/shm has less than 8 MB"];
        let line = Line("private_folder", "fails", words, &["df -h"], Some("private_home_on_disk"));
        let client = || Line("client", "warning", &["was not started"], &["the line below"], None);
        in_a_thread(|| {
            drop(visit(&known("machine, as root", "there is no room in memory"), &[], 12, &[line, client()]))
        });
        let row = known("machine, as root", "the one private place has a quote in its path");
        let hints = &["XDG_RUNTIME_DIR"];
        let line =
            Line("private_folder", "fails", &["can't be used with the client"], hints, Some("private_home_unusable"));
        in_a_thread(|| drop(visit(&row, &[], 12, &[line, client()])));
    }
}

/// What a fault does to a thread's view of the file system ends with the thread.
fn in_a_thread(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap());
}

#[test]
fn no_place_for_a_private_folder() {
    if may_mount_or_rerun("machine::no_place_for_a_private_folder") {
        let row = known("machine, as root", "no place is private");
        let line = Line(
            "private_folder",
            "fails",
            &["No private folder"],
            &["XDG_RUNTIME_DIR"],
            Some("private_home_impossible"),
        );
        let client = Line("client", "warning", &["was not started"], &["the line below"], None);
        visit(&row, &[], 12, &[line, client]);
    }
}

#[test]
fn a_state_folder_that_others_can_open() {
    fn open(scene: &Scene<'_>) {
        fs::create_dir(scene.folder()).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(scene.folder(), mode).unwrap();
    }
    let line = Line("state_folder", "fails", &["0755"], &["--state-dir"], Some("state_folder_bad"));
    visit(&done(open), &[], 9, &[line]);
}

/// What a run would refuse, and with its exit code.
#[test]
fn a_part_of_the_state_folder_that_is_not_as_it_should_be() {
    fn with(scene: &Scene<'_>, spoil: fn(&Path)) {
        let mut made = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut made, 0o700);
        made.create(scene.folder()).unwrap();
        spoil(&scene.folder());
    }
    fn open_to_all(folder: &Path) {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    }
    type Fault = fn(&Scene<'_>);
    let faults: [(Fault, &'static [&'static str], &str); 5] = [
        (
            |scene| with(scene, |root| fs::create_dir(root.join("audit.jsonl")).unwrap()),
            &["audit.jsonl", "not a file"],
            "disk",
        ),
        (
            |scene| with(scene, |root| fs::write(root.join("once"), "").unwrap()),
            &["/once", "not a folder"],
            "state_folder_bad",
        ),
        (|scene| with(scene, |root| open_to_all(&root.join("once"))), &["/once", "0777"], "state_folder_bad"),
        (
            |scene| with(scene, |root| fs::write(root.join("homes"), "").unwrap()),
            &["/homes", "not a folder"],
            "state_folder_bad",
        ),
        (|scene| with(scene, |root| open_to_all(&root.join("homes"))), &["/homes", "0777"], "state_folder_bad"),
    ];
    let bus = KeyringBus::start(Keyring::Unlocked);
    for (fault, words, code) in faults {
        let row = done(fault);
        let scene = Scene::set(&row, &bus);
        scene.strike(&row);
        let line = Line("state_folder", "fails", words, &[], Some(code));
        see(&scene, &[]).holds(9, &[line]);
        let ran = scene.run(Run, &[], Duration::from_secs(170));
        let told = format!("{}\n{}", ran.stdout, ran.stderr);
        assert_eq!(ran.exit, Some(9), "{words:?}: {told}");
        assert!(words.iter().all(|word| told.contains(word)), "{words:?}: {told}");
    }
}

#[test]
fn a_state_folder_on_a_disk_that_is_read_only() {
    if may_mount_or_rerun("machine::a_state_folder_on_a_disk_that_is_read_only") {
        let row = known("disk, as root", "the disk is read-only");
        let row = Row { given: crate::row::Given::Nothing, ..row };
        let line = Line("state_folder", "fails", &["can't be written to"], &["--state-dir"], Some("state_folder_bad"));
        visit(&row, &[], 9, &[line]);
    }
}

#[test]
fn a_state_folder_that_is_synchronised_or_in_memory() {
    let base = tempfile::tempdir_in("/dev/shm").unwrap();
    let folder = base.path().join("Dropbox").join("snow-onboard");
    let line = Line("state_folder", "warning", &["Dropbox may be synchronising"], &["--state-dir"], None);
    // It lies above the name: that folder is there.
    fs::create_dir(base.path().join("Dropbox")).unwrap();
    let report = visit(&nothing(), &["--state-dir", folder.to_str().unwrap()], 0, &[line]);
    assert!(!folder.exists(), "{}", report.text("state_folder"));
    let in_memory = base.path().join("snow-onboard");
    let line = Line("state_folder", "warning", &["lies in memory"], &["--state-dir"], None);
    visit(&nothing(), &["--state-dir", in_memory.to_str().unwrap()], 0, &[line]);
}

#[test]
fn a_device_that_does_not_answer() {
    fn gone(scene: &Scene<'_>) {
        scene.change(|state| state.endpoint = Some("127.0.0.1:9".to_owned()));
    }
    let words = &["127.0.0.1:9 can't be reached", "may still be starting"];
    let line = Line("device", "warning", words, &["10 to 20 minutes"], None);
    visit(&done(gone), &[], 0, &[line]);
}

#[test]
fn a_device_that_is_elsewhere() {
    fn public(scene: &Scene<'_>) {
        scene.change(|state| state.endpoint = Some("8.8.8.8".to_owned()));
    }
    let line = Line(
        "device",
        "warning",
        &["8.8.8.8 is outside the local network", "No connection was tried"],
        &["display"],
        None,
    );
    visit(&done(public), &[], 0, &[line]);
}

#[test]
fn the_first_failure_gives_the_exit_code_and_hides_no_other() {
    fn all(scene: &Scene<'_>) {
        scene.env("DBUS_SESSION_BUS_ADDRESS", None);
        scene.change(|state| {
            state.client = Some(scene.rehearsal.home().join("nowhere"));
            state.endpoint = Some("127.0.0.1:9".to_owned());
        });
    }
    let lines = [
        Line("keychain", "fails", &[], &[], Some("keychain_unavailable")),
        Line("client", "fails", &[], &[], Some("client_missing")),
        Line("device", "warning", &[], &[], None),
    ];
    visit(&done(all), &[], 8, &lines);
}

#[test]
fn people_are_told_a_line_a_check_with_the_hint_beneath() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    let row = env(&[("AWS_ENDPOINT_URL_STS", Some("https://127.0.0.1:9"))]);
    let scene = Scene::set(&row, &bus);
    scene.strike(&row);
    let doctor = |more: &[&str]| {
        let mut command = scene.bare_agent();
        command.arg("doctor").arg("--ca-bundle").arg(scene.rehearsal.ca_bundle());
        command.arg("--client").arg(scene.rehearsal.home().join("nowhere")).args(more);
        Scene::run_to_its_end(command, Duration::from_secs(170))
    };
    let plain = doctor(&[]);
    assert_eq!(plain.exit, Some(11), "{}\n{}", plain.stdout, plain.stderr);
    let lines: Vec<&str> = plain.stdout.lines().collect();
    assert_eq!(lines[0], "ok       Region            us-east-1, from AWS_REGION");
    let at = |begin: &str| {
        lines.iter().position(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin}: {lines:#?}"))
    };
    assert_eq!(lines[at("warning  Credentials ") + 2], "           aws sts get-caller-identity");
    assert!(lines[at("fails    Client ") + 2].starts_with("           --client "), "{lines:#?}");
    let again = lines[at("skipped  Device ") + 2];
    assert!(again.starts_with("           snow-onboard doctor --endpoint 192.0.2.10 --ca-bundle "), "{again}");
    let last = lines.last().unwrap();
    assert!(last.starts_with("1 failed, ") && last.ends_with("Exit code 11 (from the first failed check)."), "{last}");
    // What is well, and what was not looked at, nobody in a hurry has to read.
    let quiet = doctor(&["--quiet"]);
    assert!(
        quiet.stdout.lines().all(|line| !line.starts_with("ok ") && !line.starts_with("skipped ")),
        "{}",
        quiet.stdout
    );
    assert!(quiet.stdout.contains("fails    Client "), "{}", quiet.stdout);
}

#[test]
fn what_is_kept_is_left_as_it_is() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    let row = Row::new(Run, "nothing", Fault::None);
    let scene = Scene::set(&row, &bus);
    let fetched = scene.run(crate::row::Verb::Fetch, &[], Duration::from_secs(170));
    assert_eq!(fetched.exit, Some(0), "{}", fetched.stderr);
    let kept = || (fs::read(scene.manifest()).unwrap(), fs::read(scene.record()).unwrap(), bus.lookup(&scene.id()));
    let names = || {
        let mut names: Vec<_> = scene.folder().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = (kept(), names());
    let report = see(&scene, &[]);
    report.holds(0, &[]);
    assert!(report.text("state_folder").contains("is there, and only you can open it"));
    assert!(kept() == before.0, "something that is kept has changed");
    assert_eq!(names(), before.1);
    assert_eq!(bus.search(None).matches("label =").count(), 1, "a test item is in the keychain");
}

/// A pair that is kept needs no AWS.
#[test]
fn without_aws_what_is_kept_is_told() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    let row = known("credentials", "no credentials");
    let scene = Scene::set(&row, &bus);
    let fetched = scene.run(crate::row::Verb::Fetch, &[], Duration::from_secs(170));
    assert_eq!(fetched.exit, Some(0), "{}", fetched.stderr);
    scene.strike(&row);
    let last_of = |more: &[&str]| {
        let mut command = scene.bare_agent();
        command.arg("doctor").args(more);
        if !more.contains(&"--client") {
            command.arg("--client").arg(scene.client());
        }
        let ended = Scene::run_to_its_end(command, Duration::from_secs(170));
        ended.stdout.lines().last().unwrap().to_owned()
    };
    const KEPT: &str = "1 job's code and manifest are kept here: its device can be opened without AWS.";
    assert_eq!(last_of(&[]), KEPT);
    // The client is needed all the same, and this keychain keeps nothing.
    for more in [["--client", "/nowhere/snowballEdge"], ["--keychain", "none"]] {
        assert!(last_of(&more).ends_with("Exit code 4 (from the first failed check)."), "{more:?}");
    }
    assert_eq!(see(&scene, &[]).result()["kept"], 1);
    let ran = scene.run(Run, &[], Duration::from_secs(170));
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
}

#[test]
fn a_path_does_nothing_to_the_terminal() {
    const NAME: &str = "of\u{1b}]0;x\u{7}\u{1b}[2J anna";
    let bus = KeyringBus::start(Keyring::Unlocked);
    let scene = Scene::set(&nothing(), &bus);
    let odd = scene.rehearsal.root().join(NAME);
    fs::create_dir(&odd).unwrap();
    fs::copy(scene.rehearsal.ca_bundle(), odd.join("ca.pem")).unwrap();
    let state = odd.join("snow-onboard");
    for client in [scene.client(), odd.join("snowballEdge")] {
        let mut command = scene.bare_agent();
        command.arg("doctor").arg("--ca-bundle").arg(odd.join("ca.pem")).arg("--state-dir").arg(&state);
        command.arg("--client").arg(client);
        let ended = Scene::run_to_its_end(command, Duration::from_secs(170));
        let shown = ended.stdout.replace('\n', "");
        assert!(!shown.contains(char::is_control), "{}", shown.escape_debug());
        assert!(
            shown.contains("/of anna/ca.pem") && shown.contains("/of anna/snow-onboard does not exist yet"),
            "{shown}"
        );
    }
}

/// What the probe goes by where no other doctor is at work.
fn probe(home: &Path) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(home.as_os_str().as_encoded_bytes());
    let number: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("probe for JID00000000-0000-0000-0000-{number}")
}

#[test]
fn the_probe_of_one_that_was_killed_goes_with_the_next() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    let scene = Scene::set(&nothing(), &bus);
    let left = probe(scene.rehearsal.home());
    bus.store(&["--label", "snow-onboard probe (can be removed)"], &left, &[], "0123456789abcdef");
    assert!(bus.search(None).contains(&left));
    see(&scene, &[]).holds(0, &[]);
    nothing_is_fetched_or_left(&scene);
}

#[test]
fn several_at_once_are_all_right() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    let scene = Scene::set(&nothing(), &bus);
    std::thread::scope(|scope| {
        let visits: Vec<_> = (0..4).map(|_| scope.spawn(|| see(&scene, &[]))).collect();
        for visit in visits {
            visit.join().unwrap().holds(0, &[]);
        }
    });
    nothing_is_fetched_or_left(&scene);
}
