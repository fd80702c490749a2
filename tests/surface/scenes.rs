//! Faults that the matrix has no use for: it asks what is left of a command, and these leave nothing that it does not
//! know, or end the command from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use snow_rehearsal::{ClientOptions, Command as ClientCommand, Fault as ApiFault, Job, Operation, Times, Trick};

use crate::host::{mounts_of_its_own, run_tool};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::process;
use crate::row::Verb::{Fetch, Jobs, Run};
use crate::row::{Cast, Fault, Given, Row, Verb};
use crate::scene::Scene;

/// All of them; a group may have the name of one of the matrix.
pub(crate) fn groups() -> Vec<(&'static str, Vec<Row>)> {
    let row = |verb: Verb, name: &str, what, undo| Row::new(verb, name, Fault::Do(what, undo));
    let first_client = |scene: &Scene<'_>| scene.change(|state| state.client = None);
    vec![
        ("jobs", jobs()),
        ("pairs", vec![another_code()]),
        (
            "keychains",
            vec![
                row(Fetch, "the keyring's file is not found", hidden_keyring, |it| {
                    it.change(|state| state.around.other_keychain = None);
                }),
                row(Fetch, "the bus lets nobody at the keychain", forbidden, |it| {
                    it.change(|state| state.around.other_keychain = None);
                }),
                row(Fetch, "the bus lets no new item through", no_new_items, |it| {
                    it.change(|state| state.around.other_keychain = None);
                }),
            ],
        ),
        (
            "clients",
            vec![
                row(Run, "it lies outside a package", loose, first_client),
                row(Run, "it writes past the folder it is given", leaks, first_client),
                row(Run, "its own settings have the code", own_settings_have_the_code, |_| ()),
                row(Run, "OpsHub was used", ops_hub_was_used, |_| ()).given(Given::Pair),
                row(Run, "it lists no commands", lists_no_commands, first_client),
                row(Run, "it can't be asked for its commands", has_no_help, first_client),
                row(Run, "it is replaced while the device is waited for", replaced, first_client),
                row(Run, "the guard is killed while it runs", |it| end(it, guard, Signal::KILL), first_client),
            ],
        ),
        (
            "devices",
            vec![
                row(Run, "interrupted while it is asked", |it| end(it, agent, Signal::INT), first_client),
                row(Run, "hung up on while it is asked", |it| end(it, agent, Signal::HUP), first_client),
            ],
        ),
        (
            "access keys",
            vec![
                row(Run, "it has two", |it| access_keys(it, 2), |it| access_keys(it, 1)),
                row(Run, "it has none", |it| access_keys(it, 0), |it| access_keys(it, 1)),
                row(Run, "its list can't be read", no_list, first_client),
            ],
        ),
        (
            "machine",
            vec![
                row(Jobs, "the clock is ten minutes off", |it| api_clock(it, 10), |it| api_clock(it, 0)),
                row(
                    Jobs,
                    "hardly any file may be opened",
                    |it| it.change(|state| state.around.open_files = Some(10)),
                    |it| it.change(|state| state.around.open_files = None),
                ),
            ],
        ),
        (
            "machine, as root",
            vec![
                row(Jobs, "an /etc of its own", etc_of_its_own, |_| ()),
                row(Run, "there is no room in memory", no_room_in_memory, usual_places),
                row(Run, "no place is private", |it| one_place(it, "open to all", 0o777), usual_places),
                row(
                    Run,
                    "the one private place has a quote in its path",
                    |it| one_place(it, "a\"b", 0o700),
                    usual_places,
                ),
            ],
        ),
    ]
}

/// Two halves of two pairs, which no digest can tell.
fn another_code() -> Row {
    let code = "00000-11111-22222-33333-44444".to_owned();
    let fault = Fault::Api(Operation::GetJobUnlockCode, ApiFault::Text(code), Times::Always);
    Row::new(Run, "AWS gave out a code that is another manifest's", fault)
}

fn access_keys(scene: &Scene<'_>, count: usize) {
    scene.rehearsal.device().set_access_keys(count);
}

fn no_list(scene: &Scene<'_>) {
    scene.install("odd", &ClientOptions::default().trick(ClientCommand::ListAccessKeys, Trick::Pretend));
}

fn api_clock(scene: &Scene<'_>, minutes: i64) {
    scene.rehearsal.set_api_clock(time::Duration::minutes(minutes));
}

fn jobs() -> Vec<Row> {
    let cast = |job| Cast { job: Some(job), ..Cast::default() };
    let described =
        Job::new().description(Some("\u{1b}[2J\u{1b}]0;owned\u{7}Ship\u{202e}gol\u{2066} 7\r\nJID\u{0} [invented]"));
    let moving = Job::new().states(&["InTransitToCustomer", "WithCustomer"]);
    let delivered_only = Cast { ready_states: Some(&["WithCustomer"]), ..cast(moving) };
    vec![
        Row::new(Jobs, "described by somebody with bad intentions", Fault::None).cast(cast(described)),
        Row::new(Fetch, "it moves on while it is waited for", Fault::None).cast(delivered_only),
    ]
}

/// A copy of /etc in its place, for the settings of the whole system. Gone with the thread.
fn etc_of_its_own(scene: &Scene<'_>) {
    let etc = scene.rehearsal.root().join("etc");
    run_tool(Command::new("cp").arg("-a").arg("/etc").arg(&etc));
    mounts_of_its_own();
    run_tool(Command::new("mount").arg("--bind").arg(&etc).arg("/etc"));
}

fn hidden_keyring(scene: &Scene<'_>) {
    scene.change(|state| state.around.other_keychain = Some(KeyringBus::start(Keyring::Hidden)));
}

/// As in a sandbox.
fn forbidden(scene: &Scene<'_>) {
    let bus = KeyringBus::start(Keyring::Unlocked);
    bus.refuse("send_destination=\"org.freedesktop.secrets\"");
    scene.change(|state| state.around.other_keychain = Some(bus));
}

fn no_new_items(scene: &Scene<'_>) {
    let bus = KeyringBus::start(Keyring::Unlocked);
    bus.refuse_new_items();
    scene.change(|state| state.around.other_keychain = Some(bus));
}

/// A launcher by itself, as somebody makes one to have it in PATH.
fn loose(scene: &Scene<'_>) {
    let script = format!("#!/bin/sh\nexec \"{}\" \"$@\"\n", scene.rehearsal.client_path().display());
    let (draft, launcher) = (scene.rehearsal.root().join("tmp/draft"), scene.rehearsal.home().join("snowballEdge"));
    fs::write(&draft, script).unwrap();
    // By another process: a child that some thread is just starting would hold it open for writing.
    run_tool(Command::new("install").args(["-m", "755"]).args([&draft, &launcher]));
    fs::remove_file(draft).unwrap();
    scene.change(|state| state.client = Some(launcher));
}

/// Says that it will store a profile where it was told to, and stores it in the operator's home.
const LEAKS: &str = r#"
home=$(printf '%s' "$JAVA_TOOL_OPTIONS" | sed -n 's/.*"-Duser\.home=\([^"]*\)".*/\1/p')
config=.aws/snowball/config/snowball-edge.config
case $1 in
  version) echo 'Snowball Edge client version: 1.2.0  Build 661' ;;
  configure)
    echo "Configuration will be stored at $home/$config"
    for prompt in 'Snowball Edge Manifest Path:' 'Unlock Code:' 'Default Endpoint:'; do
      printf '%s ' "$prompt"
      read -r answer || exit 5
      case $prompt in Unlock*) mkdir -p "$REAL/${config%/*}"; echo "$answer" >"$REAL/$config" ;; esac
    done ;;
  *) echo '[invented] no such profile' >&2; exit 3 ;;
esac
"#;

fn leaks(scene: &Scene<'_>) {
    scene.script(&format!("#!/bin/sh\nREAL='{}'{LEAKS}", scene.rehearsal.home().display()));
}

fn own_settings_have_the_code(scene: &Scene<'_>) {
    let folder = scene.rehearsal.home().join(".aws/snowball/config");
    fs::create_dir_all(&folder).unwrap();
    let (job, code) = (scene.id(), scene.rehearsal.job().unlock_code());
    let profile = serde_json::json!({ "name": "field", "jobId": job, "unlockCode": code });
    let config = serde_json::json!({ "version": 1, "profiles": { "field": profile } });
    fs::write(folder.join("snowball-edge.config"), config.to_string()).unwrap();
}

/// It keeps code and manifest in one tree.
fn ops_hub_was_used(scene: &Scene<'_>) {
    own_settings_have_the_code(scene);
    let folder = scene.rehearsal.home().join(".aws/ops-hub/manifest");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(scene.manifest(), folder.join(format!("{}_manifest-1670622989203.bin", scene.id()))).unwrap();
}

/// Takes no code privately.
fn has_no_help(scene: &Scene<'_>) {
    scene.script(
        "#!/bin/sh
case $1 in
  version) echo 'Snowball Edge client version: 1.2.0  Build 661' ;;
  *) echo '[invented] no' >&2; exit 3 ;;
esac
",
    );
}

/// Has a home of its own, and none of the commands that are wanted.
fn lists_no_commands(scene: &Scene<'_>) {
    scene.script(
        "#!/bin/sh
case $1 in
  version) echo 'Snowball Edge client version: 1.2.0  Build 661' ;;
  help) echo '[invented] version, help' ;;
  *) echo '[invented] unknown command' >&2; exit 3 ;;
esac
",
    );
}

/// Puts another file into the client's package while the agent waits for the device's port.
fn replaced(scene: &Scene<'_>) {
    let launcher = scene.rehearsal.install_client("odd", &ClientOptions::default()).unwrap();
    let package = launcher.parent().and_then(Path::parent).unwrap().to_owned();
    scene.change(|state| state.client = Some(launcher));
    scene.rehearsal.device().power_loss_for(Duration::from_secs(15));
    let folder = scene.rehearsal.root().join("client/odd");
    std::thread::spawn(move || {
        let runs = || !snow_rehearsal::client::invocations(&folder).unwrap_or_default().is_empty();
        process::wait_until("the client to be asked for its version", runs);
        // By then it has been read for the first time.
        std::thread::sleep(Duration::from_secs(7));
        fs::write(package.join("other.jar"), "[invented]").unwrap();
    });
}

/// Ends a process of this scene's agent once the client has been asked for the device, which it never answers.
fn end(scene: &Scene<'_>, which: fn(&str) -> u32, signal: Signal) {
    scene.install("odd", &ClientOptions::default().trick(ClientCommand::DescribeDevice, Trick::Hang));
    let (folder, job) = (scene.rehearsal.root().join("client/odd"), scene.id());
    std::thread::spawn(move || {
        process::wait_until("the client to be asked for the device", || is_asked(&folder));
        process::signal(which(&job), signal);
    });
}

fn is_asked(client: &Path) -> bool {
    let calls = snow_rehearsal::client::invocations(client).unwrap_or_default();
    calls.iter().any(|call| call.argv.iter().any(|argument| argument == "describe-device"))
}

/// The agent that is at work on a job.
fn agent(job: &str) -> u32 {
    let begins = format!("{}\0run\0{job}\0", env!("CARGO_BIN_EXE_snow-onboard"));
    let is_agent = |pid: &u32| process::read(*pid, "cmdline").is_ok_and(|line| line.starts_with(begins.as_bytes()));
    process::all().find(is_agent).expect("it is at work")
}

fn guard(job: &str) -> u32 {
    process::guard_of(agent(job))
}

/// Memory that is too small for a home, and a disk that is not.
fn no_room_in_memory(scene: &Scene<'_>) {
    mounts_of_its_own();
    scene.env("XDG_RUNTIME_DIR", None);
    run_tool(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs", "/dev/shm"]));
}

/// Leaves one place where a private folder could be made: of this name, with this mode.
fn one_place(scene: &Scene<'_>, name: &str, mode: u32) {
    mounts_of_its_own();
    let place = scene.rehearsal.root().join("tmp").join(name);
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
    scene.env("TMPDIR", place.to_str());
    scene.env("XDG_RUNTIME_DIR", None);
    // Too small for a home.
    run_tool(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs", "/dev/shm"]));
}

fn usual_places(scene: &Scene<'_>) {
    run_tool(Command::new("umount").arg("/dev/shm"));
    scene.change(|state| {
        state.env.remove("TMPDIR");
        state.env.remove("XDG_RUNTIME_DIR");
    });
}
