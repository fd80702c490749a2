//! Everything ends: commands that hang or flood, what they leave behind, and each process of ours being killed.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::stage::{A_SECOND, Stage, code_of, is_alive, wait_for};

fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[test]
fn a_client_that_hangs_is_ended_with_its_children() {
    let mut stage = Stage::new("describe() { sleep 600 & echo $! >>\"$W/pids\"; sleep 600; }");
    stage.patience = Duration::from_secs(3);
    let start = Instant::now();
    // It is the deadline that ends it, long before the minute that the client has.
    assert_eq!(code_of(stage.hand_over()), "device_timeout");
    assert!(start.elapsed() < Duration::from_secs(30));
    stage.assert_nothing_left();
}

#[test]
fn a_client_that_hangs_for_all_the_time_it_has_is_said_to_hang() {
    let stage = Stage::new("version() { sleep 600; }");
    assert_eq!(code_of(stage.prepare()), "client_hung");
    stage.assert_nothing_left();
}

#[test]
fn a_poll_that_hangs_ends_with_the_time() {
    let stage = Stage::new(
        "unlock() { printf 'HANG\\n' >\"$W/states\"; }
state() { if grep -q HANG \"$W/states\"; then sleep 600; else echo LOCKED; fi; }",
    );
    let handed = stage.hand_over().unwrap();
    let start = Instant::now();
    assert_eq!(code_of(handed.wait_until_unlocked(Duration::from_secs(3), &|_| ())), "device_timeout");
    assert!(start.elapsed() < Duration::from_secs(20));
    stage.assert_nothing_left();
}

#[test]
fn a_flood_blocks_nothing_and_hides_nothing_before_it() {
    let stage = Stage::new(
        "version() { echo 'Snowball client version: 1.1.0'; head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2; }",
    );
    let device = stage.prepare().unwrap();
    assert_eq!(device.client_version(), Some("1.1.0"));
}

#[test]
fn a_grandchild_that_holds_the_pipe_is_not_waited_for_and_does_not_stay() {
    // One in the client's process group, and one that left it: only Linux lets us find that one.
    let daemon = if cfg!(target_os = "linux") { "setsid sleep 600 & echo $! >>\"$W/pids\"" } else { ":" };
    let stage = Stage::new(&format!(
        "version() {{ sleep 600 & echo $! >>\"$W/pids\"\n{daemon}\necho 'Snowball client version: 1.1.0'; }}"
    ));
    let start = Instant::now();
    let device = stage.prepare().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(device.client_version(), Some("1.1.0"));
    let pids = stage.pids();
    assert!(pids.len() >= 2);
    wait_for("the end of the grandchildren, the guard still at work", A_SECOND, || {
        pids.iter().all(|pid| !is_alive(*pid))
    });
    assert_eq!(stage.homes().len(), 1);
}

#[test]
fn a_guard_that_is_killed_is_noticed_and_cleaned_up_after() {
    for signal in [Signal::KILL, Signal::TERM] {
        let stage = Stage::new("version() { echo $PPID >\"$W/its\"; sleep 600 & echo $! >>\"$W/pids\"; sleep 600; }");
        std::thread::scope(|scope| {
            let prepared = scope.spawn(|| code_of(stage.prepare()));
            wait_for("the client", Duration::from_secs(60), || stage.pids().len() > 2);
            send(stage.number("its").unwrap(), signal);
            stage.assert_nothing_left();
            assert_eq!(prepared.join().unwrap(), "guard_lost");
        });
    }
}

#[test]
fn a_guard_that_is_killed_while_nothing_runs_is_noticed_at_once() {
    let stage = Stage::new("unlock() { :; }");
    let handed = stage.hand_over().unwrap();
    std::thread::scope(|scope| {
        let waited = scope.spawn(|| code_of(handed.wait_until_unlocked(Duration::from_secs(600), &|_| ())));
        // Far enough into the growing pauses.
        wait_for("a long pause", Duration::from_secs(60), || stage.calls("describe-device") == 8);
        wait_for("the end of the client", A_SECOND, || stage.pids().iter().all(|pid| !is_alive(*pid)));
        send(stage.number("guard").unwrap(), Signal::KILL);
        stage.assert_nothing_left();
        assert_eq!(waited.join().unwrap(), "guard_lost");
    });
}

#[test]
fn a_terminals_interrupt_and_hang_up_do_not_reach_the_guard() {
    let stage = Stage::new("");
    let handed = stage.hand_over().unwrap();
    let guard = stage.number("guard").unwrap();
    send(guard, Signal::INT);
    send(guard, Signal::HUP);
    let own_session = rustix::process::getsid(Pid::from_raw(guard)).unwrap();
    assert_eq!(own_session.as_raw_nonzero().get(), guard);
    handed.wait_until_unlocked(Duration::from_secs(60), &|_| ()).unwrap();
}

/// Promise 3, with a process that has no chance to do anything: the agent is killed while the client runs.
#[test]
fn when_the_agent_is_killed_client_and_home_are_gone_within_a_second() {
    let stage = Stage::new("unlock() { sleep 600 & echo $! >>\"$W/pids\"; sleep 600; }");
    let mut agent = stage.agent_to_be_killed();
    wait_for("the client to be asked", Duration::from_secs(60), || stage.calls("unlock-device") == 1);
    wait_for("its child", Duration::from_secs(60), || stage.pids().len() == 5);
    assert_eq!(stage.homes().len(), 1);
    assert!(stage.pids().iter().any(|pid| is_alive(*pid)));
    agent.kill().unwrap();
    let killed = Instant::now();
    stage.assert_nothing_left();
    eprintln!("gone {:?} after the kill", killed.elapsed());
    wait_for("the end of the guard", A_SECOND, || !is_alive(stage.number("guard").unwrap()));
    agent.wait().unwrap();
}

/// Promise 3, with two processes that have no chance to do anything: agent and guard are killed at once, while a launcher that
/// does not become its JVM waits for it.
#[test]
fn when_agent_and_guard_are_killed_at_once_the_system_ends_the_client() {
    let stage = Stage::new(
        "unlock() { sleep 600 & echo $! >>\"$W/pids\"; wait; echo 'INVENTED: still here' >\"$W/survived\"; }",
    );
    let mut agent = stage.agent_to_be_killed();
    wait_for("the client's child", Duration::from_secs(60), || stage.pids().len() == 5);
    let (guard, client) = (stage.number("guard").unwrap(), stage.pids()[3..].to_vec());
    assert!(client.iter().all(|pid| is_alive(*pid)), "launcher and child run");
    // Stopped, so that neither sees the other end.
    send(guard, Signal::STOP);
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(client.iter().all(|pid| is_alive(*pid)), "a control");
    send(guard, Signal::KILL);
    let killed = Instant::now();
    wait_for("the end of launcher and child", A_SECOND, || client.iter().all(|pid| !is_alive(*pid)));
    eprintln!("gone {:?} after the kill", killed.elapsed());
    assert!(!stage.work().join("survived").exists());
    // What nobody was left to remove goes with the next command.
    assert_eq!(stage.homes().len(), 1);
    assert!(snow_onboard::device::remove_stale_homes(&stage.places()).is_empty());
    stage.assert_nothing_left();
}

/// The other process of three tests of this file: an agent.
#[test]
#[ignore = "started by when_the_agent_is_killed_client_and_home_are_gone_within_a_second and its neighbours"]
fn agent_to_be_killed() {
    use snow_onboard::device::{Client, ClientSettings, Device, HandOver, Places, Preparation, Session};
    use snow_onboard::model::{HandOverPolicy, Origin, Sourced, UnlockCode};

    let path = |name: &str| PathBuf::from(std::env::var_os(name).expect("started by its test"));
    let launcher = path("SNOW_ONBOARD_TEST_STAGE");
    let settings = ClientSettings {
        client: Some(Sourced { value: launcher, origin: Origin::Flag("--client".to_owned()) }),
        ..ClientSettings::default()
    };
    let places = Places { runtime: None, shared_memory: None, temporary: vec![path("SNOW_ONBOARD_TEST_PLACE")] };
    let endpoint = std::env::var("SNOW_ONBOARD_TEST_ENDPOINT").unwrap().parse().unwrap();
    let device = Device::prepare(Preparation {
        known: Vec::new(),
        client: Client::find(&settings, &crate::stage::Notices::default()).unwrap(),
        keep_away: &[],
        places,
        on_disk: &|_| false,
        guard: Some(PathBuf::from(env!("CARGO_BIN_EXE_snow-onboard"))),
        notify: std::sync::Arc::<crate::stage::Notices>::default(),
    })
    .unwrap();
    let opened = Session::open(
        device,
        HandOver {
            separation: crate::stage::separation(),
            job: &crate::stage::JOB.parse().unwrap(),
            cluster: None,
            manifest: &path("SNOW_ONBOARD_TEST_MANIFEST"),
            manifest_sha256: &snow_onboard::model::ManifestDigest::of(crate::stage::MANIFEST).unwrap(),
            code: UnlockCode::take(crate::stage::CODE).unwrap(),
            endpoint: &endpoint,
            policy: HandOverPolicy::Private,
            ask: &|| false,
            before_code: &|| Ok(()),
            on_argv: &|| Ok(()),
            exposure: snow_onboard::device::ArgvExposure::default(),
            patience: Duration::from_secs(30),
            waits_for_services: true,
            keep_log: &|_| (),
        },
    );
    let outcome = opened.and_then(|mut session| {
        session.unlock(&|_| ())?;
        // Some are killed while they run another command.
        let Ok(command) = std::env::var("SNOW_ONBOARD_TEST_COMMAND") else { return Ok(()) };
        let (mut output, mut errors) = (std::io::sink(), std::io::sink());
        let streams = snow_onboard::device::ClientStreams {
            input: Some(Box::new(std::io::stdin())),
            output: &mut output,
            is_shown: false,
            errors: &mut errors,
        };
        session.run(&[command], None, streams).map(|_| ())
    });
    // The one whose agent is killed does not get here.
    std::fs::write(path("SNOW_ONBOARD_TEST_OUTCOME"), code_of(outcome)).unwrap();
}

/// A client that names our home but writes to, and reads from, the user's real one, as one that has an old path
/// compiled in may. What it leaves there must not pass for our hand-over, neither now nor in a later run.
#[test]
fn a_client_that_writes_past_our_home_is_found_out_every_time() {
    let stage = Stage::new(
        r#"
real="$W/real/.aws/snowball/config/snowball-edge.config"
known() { grep -q "\"$(named "$@")\".*$CODE" "$real"; }
configure() {
  echo "Configuration will be stored at $(config)"
  for prompt in 'Snowball Edge Manifest Path:' 'Unlock Code:' 'Default Endpoint:'; do
    printf '%s ' "$prompt"; read -r answer || exit 5
    case $prompt in Unlock*) printf '"%s" %s\n' "$(named "$@")" "$answer" >>"$real" ;; esac
  done
}"#,
    );
    let real = stage.work().join("real/.aws/snowball/config");
    std::fs::create_dir_all(&real).unwrap();
    let outcome = stage.work().join("outcome");
    for run in 1..=2 {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "endings::agent_to_be_killed", "--ignored"])
            .env("HOME", stage.work().join("real"))
            .env("SNOW_ONBOARD_TEST_STAGE", stage.launcher())
            .env("SNOW_ONBOARD_TEST_ENDPOINT", stage.endpoint.to_string())
            .env("SNOW_ONBOARD_TEST_PLACE", stage.place())
            .env("SNOW_ONBOARD_TEST_MANIFEST", stage.manifest())
            .env("SNOW_ONBOARD_TEST_OUTCOME", &outcome)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        assert_eq!(std::fs::read_to_string(&outcome).unwrap(), "profile_leaked", "run {run}");
        let leaked = std::fs::read_to_string(real.join("snowball-edge.config")).unwrap();
        assert_eq!(leaked.lines().count(), run, "a control: it was written there");
    }
    assert_eq!(stage.calls("unlock-device"), 0);
    stage.assert_nothing_left();
}

#[test]
fn the_home_keeps_away_from_the_state_folder() {
    let stage = Stage::new("");
    let place = stage.place();
    let result = snow_onboard::device::Device::prepare(snow_onboard::device::Preparation {
        known: Vec::new(),
        client: snow_onboard::device::Client::find(&stage.settings(), &*stage.notices).unwrap(),
        keep_away: &[place.parent().unwrap()],
        places: stage.places(),
        on_disk: &|_| false,
        guard: Some(PathBuf::from(env!("CARGO_BIN_EXE_snow-onboard"))),
        notify: stage.notices.clone(),
    });
    assert_eq!(code_of(result), "private_home_impossible");
    assert_eq!(stage.calls("version"), 0);
}

#[test]
fn a_home_that_had_to_go_to_a_disk_is_told_once() {
    let stage = Stage::new("");
    let device = snow_onboard::device::Device::prepare(snow_onboard::device::Preparation {
        known: Vec::new(),
        client: snow_onboard::device::Client::find(&stage.settings(), &*stage.notices).unwrap(),
        keep_away: &[],
        places: snow_onboard::device::Places { runtime: Some(stage.work().join("absent")), ..stage.places() },
        on_disk: &|_| false,
        guard: Some(PathBuf::from(env!("CARGO_BIN_EXE_snow-onboard"))),
        notify: stage.notices.clone(),
    })
    .unwrap();
    let notices = stage.notices.all();
    let told = notices.iter().filter(|text| text.contains("on a disk") && text.contains("absent")).count();
    // Where the temporary folder itself lies in memory nothing was lost.
    assert_eq!(told, usize::from(!device.home_is_in_memory()), "{notices:?}");
}

/// Memory that is there and can't be used is no reason to go to a disk unasked.
#[test]
#[cfg(target_os = "linux")]
fn a_home_goes_to_a_disk_for_want_of_memory_only_if_that_is_agreed_to() {
    use std::os::unix::fs::PermissionsExt as _;
    let shared = tempfile::tempdir_in("/dev/shm").unwrap();
    // Others can exchange what is in it, so it is passed over; a full one is the same.
    std::fs::set_permissions(shared.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let stage = Stage::new("");
    let prepare = |agrees: bool| {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let on_disk = |error: &snow_onboard::error::Error| {
            assert!(error.to_string().contains("can be written by everyone"), "{error}");
            asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            agrees
        };
        let result = snow_onboard::device::Device::prepare(snow_onboard::device::Preparation {
            known: Vec::new(),
            client: snow_onboard::device::Client::find(&stage.settings(), &*stage.notices).unwrap(),
            keep_away: &[],
            places: snow_onboard::device::Places { shared_memory: Some(shared.path().to_owned()), ..stage.places() },
            on_disk: &on_disk,
            guard: Some(PathBuf::from(env!("CARGO_BIN_EXE_snow-onboard"))),
            notify: stage.notices.clone(),
        });
        (result, asked.load(std::sync::atomic::Ordering::Relaxed))
    };
    let (refused, asked) = prepare(false);
    if refused.as_ref().is_ok_and(snow_onboard::device::Device::home_is_in_memory) {
        assert_eq!(asked, 0);
        snow_rehearsal::skipped(
            "the temporary folder of this machine lies in memory, so no home comes to lie on a disk",
        );
        return;
    }
    assert_eq!((code_of(refused), asked, stage.calls("version")), ("private_home_on_disk", 1, 0));
    assert!(stage.homes().is_empty());
    let (agreed, asked) = prepare(true);
    assert!(!agreed.unwrap().home_is_in_memory());
    assert_eq!(asked, 1);
    assert!(stage.notices.all().iter().any(|text| text.contains("on a disk")), "and it is told");
}

#[test]
fn a_guard_that_cannot_be_started_is_told() {
    let stage = Stage::new("");
    let result = snow_onboard::device::Device::prepare(snow_onboard::device::Preparation {
        known: Vec::new(),
        client: snow_onboard::device::Client::find(&stage.settings(), &*stage.notices).unwrap(),
        keep_away: &[],
        places: stage.places(),
        on_disk: &|_| false,
        guard: Some(PathBuf::from("/nonexistent/guard")),
        notify: stage.notices.clone(),
    });
    assert_eq!(code_of(result), "guard_not_started");
}

#[test]
fn two_homes_live_beside_each_other_and_the_sweep_leaves_both() {
    let stage = Stage::new("");
    let (one, two) = (stage.prepare().unwrap(), stage.prepare().unwrap());
    assert!(snow_onboard::device::remove_stale_homes(&stage.places()).is_empty());
    assert!(one.home().is_dir() && two.home().is_dir() && one.home() != two.home());
    drop(one);
    assert_eq!(stage.homes(), [two.home()]);
}
