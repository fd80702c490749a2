//! Whose bus it is, and whether there is one.

use super::*;

#[test]
fn the_bus_of_another_user_is_refused() {
    if !process::is_root_or_rerun("buses::the_bus_of_another_user_is_refused") {
        return;
    }
    let bus = KeyringBus::start_as(Some(ANOTHER_USER), Keyring::Unlocked);
    let answers = Script { steps: "prepare keep-a", ..Script::SYSTEM }.run_with(bus.environment());
    assert!(answers[0].starts_with("keychain_not_yours: "), "{answers:?}");
    assert!(answers[0].contains(&format!("(uid {ANOTHER_USER})")), "{answers:?}");
    assert_eq!(bus.search(None), "");
}

/// At a socket to which no folder leads: who listens there is known by the kernel alone.
#[test]
fn a_bus_without_a_folder_is_refused_by_who_listens() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};
    use std::os::unix::process::CommandExt as _;

    if !process::is_root_or_rerun("buses::a_bus_without_a_folder_is_refused_by_who_listens") {
        return;
    }
    let name = format!("snow-onboard-test-{}", std::process::id());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let (_folder, program) = for_another_user();
    let mut command = Command::new(program);
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:abstract={name}")).uid(ANOTHER_USER).gid(ANOTHER_USER);
    let answers = Script { steps: "prepare", ..Script::SYSTEM }.run_as(command);
    assert!(answers[0].starts_with("keychain_not_yours: "), "{answers:?}");
    assert!(answers[0].contains(&format!("another user (uid 0; you are {ANOTHER_USER})")), "{answers:?}");
}

/// A folder of another user, and in it a link of theirs to this user's own bus: it could lead to any program of this user.
#[test]
fn a_link_of_another_user_to_one_s_own_bus_is_not_followed() {
    if !process::is_root_or_rerun("buses::a_link_of_another_user_to_one_s_own_bus_is_not_followed") {
        return;
    }
    let bus = KeyringBus::start(Keyring::Unlocked);
    let own = bus.environment().into_iter().find(|(name, _)| *name == "DBUS_SESSION_BUS_ADDRESS").unwrap().1;
    let own = own.into_string().unwrap();
    let own = own.split(',').next().unwrap().strip_prefix("unix:path=").unwrap().to_owned();
    let theirs = tempfile::tempdir().unwrap();
    let link = theirs.path().join("bus");
    std::os::unix::fs::symlink(own, &link).unwrap();
    let run = |name: &str, value: &std::ffi::OsStr| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        bus.inside(&mut command).env_remove("DBUS_SESSION_BUS_ADDRESS").env(name, value);
        Script { steps: "prepare withdraw", ..Script::SYSTEM }.run_as(command)
    };
    let by_address = format!("unix:path={}", link.display());
    let both = [("XDG_RUNTIME_DIR", theirs.path().as_os_str()), ("DBUS_SESSION_BUS_ADDRESS", by_address.as_ref())];
    for (name, value) in both {
        assert_eq!(run(name, value)[1], "made", "a control: one's own link is followed");
    }
    std::os::unix::fs::chown(theirs.path(), Some(ANOTHER_USER), None).unwrap();
    for (name, value) in both {
        let answers = run(name, value);
        assert!(answers[0].starts_with("keychain_not_yours: "), "{answers:?}");
        assert!(answers[0].contains(&format!("(uid {ANOTHER_USER})")), "{answers:?}");
    }
}

/// In another PID namespace than the bus, whose process then has no number.
#[test]
fn a_bus_outside_the_pid_namespace_is_known_by_its_user() {
    if !process::may_mount_or_rerun("buses::a_bus_outside_the_pid_namespace_is_known_by_its_user") {
        return;
    }
    let bus = KeyringBus::start(Keyring::Unlocked);
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork"]).arg(std::env::current_exe().unwrap());
    bus.inside(&mut command);
    let answers = Script { steps: "prepare withdraw", ..Script::SYSTEM }.run_as(command);
    assert_eq!(answers[1..3], ["made", "withdrawn "], "{answers:?}");
}

/// As a snap's or a Flatpak's sandbox may have it: the bus passes nothing on to the keychain.
#[test]
fn a_policy_that_forbids_the_keychain_is_said_to_be_one() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    bus.refuse("send_destination=\"org.freedesktop.secrets\"");
    let answers = run(&bus, "prepare");
    assert!(answers[0].starts_with("keychain_blocked: ") && answers[0].contains("security policy"), "{answers:?}");
    assert!(!answers[0].contains("matched rules") && !answers[0].contains("org.freedesktop"), "{answers:?}");
}

#[test]
fn without_a_service_or_a_bus_the_cause_is_said() {
    let bus = KeyringBus::start(Keyring::NoService);
    let answers = run(&bus, "prepare");
    assert!(answers[0].starts_with("keychain_unavailable: ") && answers[0].contains("no Secret Service runs"));

    let child = |change: &dyn Fn(&mut Command)| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "in_a_child", "--ignored", "--nocapture"]);
        bus.inside(&mut command).env(SCRIPT, format!("system {JOB} 60 false prepare"));
        change(&mut command);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let nowhere = tempfile::tempdir().unwrap();
    let text = child(&|command| {
        command.env_remove("DBUS_SESSION_BUS_ADDRESS").env("XDG_RUNTIME_DIR", nowhere.path());
    });
    assert!(text.contains("there is no D-Bus session bus (DBUS_SESSION_BUS_ADDRESS is not set)"), "{text}");
    for address in [format!("unix:path={}/bus", nowhere.path().display()), "nonsense".to_owned()] {
        let text = child(&|command| {
            command.env("DBUS_SESSION_BUS_ADDRESS", &address);
        });
        assert!(text.contains("no D-Bus session bus at the address that DBUS_SESSION_BUS_ADDRESS gives"), "{text}");
    }
    // Nobody listens there, and nobody is asked to.
    for address in ["tcp:host=127.0.0.1,port=9", "unixexec:path=/bin/false", "autolaunch:"] {
        let text = child(&|command| {
            command.env("DBUS_SESSION_BUS_ADDRESS", address);
        });
        assert!(text.contains("keychain_not_yours: ") && text.contains("only a local socket"), "{text}");
    }
}

#[test]
fn a_service_that_is_killed_meanwhile_is_said_to_have_ended() {
    let mut bus = KeyringBus::start(Keyring::Unlocked);
    let script = Script { steps: "keep-a sleep sleep recall", ..Script::SYSTEM };
    let answers = std::thread::scope(|scope| {
        let child = scope.spawn({
            let bus = bus.environment();
            move || script.run_with(bus)
        });
        bus.wait_for_item(JOB);
        bus.end_keyring();
        child.join().unwrap()
    });
    assert!(answers[4].starts_with("keychain_failed: ") && answers[4].contains("GNOME Keyring ended"), "{answers:?}");
}
