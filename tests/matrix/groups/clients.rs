//! The vendor's client.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use snow_rehearsal::Command::{self, Configure, DescribeDevice, UnlockDevice, Version};
use snow_rehearsal::{ClientOptions, Trick, VersionText};

use crate::row::Verb::{Refresh, Run};
use crate::row::{Again, Fault, Given, Kept, Row, Touch};
use crate::scene::Scene;

const SOON: [&str; 2] = ["--unlock-timeout", "4s"];

pub(crate) fn rows() -> Vec<Row> {
    // Those that take longest begin.
    let mut rows = behaves();
    rows.extend(found());
    rows
}

/// Clients that are not run, or not more than once.
fn found() -> Vec<Row> {
    let row = |name: &str, what| Row::new(Run, name, Fault::Do(what, first_again));
    vec![
        row("it hangs when asked its version", |it| odd(it, Version, Trick::Hang)).fails(11, "client_hung"),
        row("it hangs and can't be terminated", |it| it.script(DEAF)).fails(11, "client_hung"),
        row("it is not there", |it| it.change(|state| state.client = Some(it.rehearsal.home().join("nowhere"))))
            .fails(11, "client_missing"),
        row("it is not there", |it| it.change(|state| state.client = Some(it.rehearsal.home().join("nowhere"))))
            .given(Given::Pair)
            .fails(11, "client_missing"),
        row("others may write its folder", |it| open_to_all(it, "bin")).fails(11, "client_unsafe"),
        row("others may write a jar of it", |it| open_to_all(it, "lib/snowball-client-1.2.0.jar"))
            .fails(11, "client_unsafe"),
        row("others may write its JVM", |it| open_to_all(it, "jre/bin")).fails(11, "client_unsafe"),
        row("its interpreter is missing", |it| it.script("#!/nonexistent/interpreter\n")).fails(11, "client_unusable"),
        row("it may not be run", not_executable).fails(11, "client_unusable"),
        row("it dies of a signal at once", |it| odd(it, Version, Trick::Killed)).fails(11, "client_unusable"),
        row("it fails at once", |it| odd(it, Version, Trick::Fail)).fails(11, "client_unusable"),
        row("its JVM may not be run", jvm_not_executable).fails(11, "client_unusable"),
        row("it finds no JVM", |it| {
            it.script("#!/bin/sh\n[ -n \"$JAVA_HOME\" ] || { echo '[invented] JAVA_HOME is not set' >&2; exit 1; }\n")
        })
        .fails(11, "client_unusable"),
        row("it starts a program that is not there", |it| it.script("#!/bin/sh\nexec /nonexistent/java \"$@\"\n"))
            .fails(11, "client_unusable"),
        row("it fails at once, and unknown clients are allowed", |it| odd(it, Version, Trick::Fail))
            .args(&["--allow-unknown-client"])
            .fails(11, "client_unusable"),
        row("it is of the next major version", |it| of_version(it, "2.0.1")).fails(11, "client_unknown"),
        row("it is older than all that are known", |it| of_version(it, "0.9")).fails(11, "client_unknown"),
        row("it lists other commands", |it| it.script(OLD)).fails(11, "client_too_old"),
        row("its version is unknown", of_tomorrow).fails(11, "client_unknown"),
        row("its version is unknown, and allowed", of_tomorrow).args(&["--allow-unknown-client"]).well(),
        Row::new(
            Run,
            "it is not the pinned one",
            Fault::Env(vec![("SNOW_ONBOARD_CLIENT_SHA256", Some("0".repeat(64)))]),
        )
        .fails(11, "client_not_pinned"),
        row("it floods before its version", |it| odd(it, Version, Trick::Flood(20_000_000)))
            .fails(11, "client_unknown"),
    ]
}

/// What a client does that is given the pair.
fn behaves() -> Vec<Row> {
    let odd = |name: &str, command, trick| {
        let options = ClientOptions::default().trick(command, trick);
        Row::new(Run, name, Fault::Client(Box::new(options)))
    };
    let with = |name: &str, options| Row::new(Run, name, Fault::Client(Box::new(options)));
    let default = ClientOptions::default;
    let everywhere = |trick| {
        [Version, DescribeDevice, UnlockDevice]
            .into_iter()
            .fold(default(), |options, command| options.trick(command, trick))
    };
    vec![
        odd("it does nothing and says it went well, and there is time", UnlockDevice, Trick::Pretend)
            .args(&["--unlock-timeout", "10m"])
            .fails(13, "device_stays_locked")
            .kept(Kept::New)
            .device(Touch::LookedAt),
        odd("it hangs when it describes the device", DescribeDevice, Trick::Hang)
            .args(&SOON)
            .fails(14, "device_timeout")
            .kept(Kept::New)
            .device(Touch::LookedAt),
        odd("it dies of a signal when it unlocks", UnlockDevice, Trick::Killed)
            .fails(13, "device_refused")
            .kept(Kept::New)
            .device(Touch::LookedAt),
        odd("it fails when it unlocks", UnlockDevice, Trick::Fail)
            .fails(13, "device_refused")
            .kept(Kept::New)
            .device(Touch::LookedAt),
        odd("it fails when it unlocks", UnlockDevice, Trick::Fail)
            .given(Given::Pair)
            .fails(13, "device_refused")
            .device(Touch::LookedAt),
        odd("it does nothing and says it went well", UnlockDevice, Trick::Pretend)
            .args(&SOON)
            .fails(14, "device_timeout")
            .kept(Kept::New)
            .device(Touch::LookedAt),
        with("it is noisy", everywhere(Trick::Noise)).well(),
        with("it leaves a process behind, each time", everywhere(Trick::Grandchild)).well(),
        odd("it floods when it unlocks", UnlockDevice, Trick::Flood(20_000_000)).well(),
        with("it takes a second to start", ClientOptions { start_delay_ms: 1000, ..default() }).well(),
        with("it has a Java 8", ClientOptions { java_8: true, ..default() }).well(),
        with("it has a JVM of another maker", ClientOptions { other_jvm: true, ..default() }).well(),
        with(
            "it takes only profiles of its own, and asks on a terminal",
            ClientOptions { wants_terminal: true, ..default() },
        )
        .well(),
        // It says no more than a client whose device is not ready, so it is not taken for one that leaks.
        with("it finds no profile", ClientOptions { no_profiles: true, ..default() })
            .args(&SOON)
            .fails(13, "device_refused")
            .kept(Kept::New)
            .device(Touch::LookedAt),
        with("it finds no profile, and the command line is allowed", ClientOptions { no_profiles: true, ..default() })
            .args(&["--allow-argv", "--unlock-timeout", "4s"])
            .on_argv()
            .well(),
        with("it ignores the folder it is given", ClientOptions { ignores_our_home: true, ..default() })
            .fails(12, "hand_over_refused")
            .kept(Kept::New)
            .device(Touch::LookedAt),
        with(
            "it finds no profile and can't be configured",
            ClientOptions { no_profiles: true, ..default() }.trick(Configure, Trick::Fail),
        )
        .fails(12, "hand_over_refused")
        .kept(Kept::New)
        .device(Touch::LookedAt),
        odd("it takes the manifest away before it unlocks", DescribeDevice, Trick::DeleteManifest)
            .fails(13, "device_refused")
            .kept(Kept::CodeAlone)
            .device(Touch::LookedAt),
        odd("it spoils the manifest before it unlocks", DescribeDevice, Trick::RewriteManifest)
            .fails(13, "device_refused")
            .kept(Kept::CodeAlone)
            .device(Touch::LookedAt)
            .again(Again::Fails(10, "pair_mismatch", Refresh)),
        with("it spoils the manifest, and tells the code", tells(DescribeDevice, Trick::RewriteManifest))
            .fails(13, "device_refused")
            .kept(Kept::CodeAlone)
            .device(Touch::LookedAt)
            .again(Again::Fails(10, "pair_mismatch", Refresh)),
    ]
}

fn tells(command: Command, trick: Trick) -> ClientOptions {
    ClientOptions { tells_code: true, ..ClientOptions::default() }.trick(command, trick)
}

/// A launcher that does not listen.
const DEAF: &str = "#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 1; done\n";

fn odd(scene: &Scene<'_>, command: Command, trick: Trick) {
    scene.install("odd", &ClientOptions::default().trick(command, trick));
}

fn of_tomorrow(scene: &Scene<'_>) {
    let version = VersionText::Other("Frostball 7 [invented]".to_owned());
    scene.install("odd", &ClientOptions { version, ..ClientOptions::default() });
}

/// Of a time when devices were unlocked otherwise.
const OLD: &str = "#!/bin/sh
case $1 in
  version) echo 'Snowball client version: 1.0.1  Build 1' ;;
  help) echo '[invented] start, status, configure, version' ;;
  *) exit 3 ;;
esac
";

fn of_version(scene: &Scene<'_>, number: &str) {
    let version = VersionText::Other(format!("Snowball Edge client version: {number}  Build 700"));
    scene.install("odd", &ClientOptions { version, ..ClientOptions::default() });
}

fn open_to_all(scene: &Scene<'_>, part: &str) {
    scene.install("odd", &ClientOptions::default());
    let state = scene.state.lock().unwrap();
    let tree = state.client.as_ref().unwrap().parent().unwrap().parent().unwrap();
    fs::set_permissions(tree.join(part), fs::Permissions::from_mode(0o777)).unwrap();
}

fn not_executable(scene: &Scene<'_>) {
    scene.install("odd", &ClientOptions::default());
    let state = scene.state.lock().unwrap();
    fs::set_permissions(state.client.as_ref().unwrap(), fs::Permissions::from_mode(0o644)).unwrap();
}

/// A copy, since what is installed is linked to the program that all the others run.
fn jvm_not_executable(scene: &Scene<'_>) {
    scene.install("odd", &ClientOptions::default());
    let state = scene.state.lock().unwrap();
    let java = state.client.as_ref().unwrap().parent().unwrap().parent().unwrap().join("jre/bin/java");
    let copy = java.with_extension("copy");
    fs::copy(&java, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).unwrap();
    fs::rename(&copy, &java).unwrap();
}

fn first_again(scene: &Scene<'_>) {
    scene.change(|state| state.client = None);
}
