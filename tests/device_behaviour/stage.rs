//! A stage for one test: a folder, a client that is a shell script, a device that is a port, and a private place.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use snow_onboard::device::{ArgvExposure, Client, ClientSettings, Device, HandOver, Places, Preparation, Session};
use snow_onboard::error::Result;
use snow_onboard::model::{Endpoint, HandOverPolicy, ManifestDigest, Origin, Sourced, TargetId, UnlockCode};
use snow_onboard::report::{Event, Notify};
use snow_onboard::safety::separation::Separation;

/// The proof that a hand-over demands, given for a folder with nothing in it: what makes it is tested in `safety::apart`.
pub fn separation() -> Separation {
    let folder = tempfile::tempdir().unwrap();
    Separation::check(
        &"JID00000000-0000-4000-8000-000000000001".parse().unwrap(),
        folder.path(),
        &[],
        &UnlockCode::take(CODE).unwrap(),
        &[],
    )
    .unwrap()
}

pub const CODE: &str = "c0de1-c0de2-C0DE3-c0de4-c0de5";
pub const MANIFEST: &[u8] = b"\x01manifest";
pub const JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";

/// How long something that is promised within a second may take here. What is looked for is that it happens by itself:
/// were it not to, a `sleep 600` or a home would stay for good. The rest is for machines that run many tests on two
/// cores, where a shell alone can take a second to start.
pub const A_SECOND: Duration = Duration::from_secs(5);

/// What every script begins with. `W` is the test's folder; `states` has a line for each look at the device, the last
/// one standing for all that follow.
const PRELUDE: &str = r#"
home=$(printf '%s' "$JAVA_TOOL_OPTIONS" | sed -n 's/.*"-Duser\.home=\([^"]*\)".*/\1/p')
echo 'Picked up JAVA_TOOL_OPTIONS: '"$JAVA_TOOL_OPTIONS" >&2
echo "$PPID" >>"$W/guard"
printf '%s\n' "$home" >>"$W/homes"
echo "$$" >>"$W/pids"
{ echo "args: $*"; echo "cwd: $(pwd)"; echo "umask: $(umask)"; env | sed 's/^/env: /'; } >>"$W/seen"
config() { printf %s "$home/.aws/snowball/config/snowball-edge.config"; }
named() { while [ $# -gt 1 ]; do [ "$1" = --profile ] && printf %s "$2"; shift; done; }
known() { case " $* " in *" --unlock-code $CODE "*) ;; *) grep -q "\"$(named "$@")\".*$CODE" "$(config)" ;; esac; }
version() { echo 'Snowball Edge client version: 1.2.0  Build 661'; }
id() { printf %s "$JOB"; }
state() { sed -n 1p "$W/states"; if [ "$(wc -l <"$W/states")" -gt 1 ]; then sed -i.old 1d "$W/states"; fi; }
describe() {
  known "$@" || { echo 'INVENTED: no such profile' >&2; return 3; }
  printf 'a line of noise {\n{\n  "DeviceId" : "%s",\n  "UnlockStatus" : { "State" : "%s" }\n}\n' "$(id)" "$(state)"
}
unlock() { known "$@" || return 3; printf 'UNLOCKING\nUNLOCKED\n' >"$W/states"; echo 'INVENTED: unlocking'; }
configure() { echo 'INVENTED: no configure here' >&2; return 4; }
other() { echo 'INVENTED: unknown command' >&2; exit 64; }
help() { printf 'INVENTED: commands\n  describe-device\n  unlock-device\n'; }
"#;

const MAIN: &str = r#"
command=$1; shift
case $command in
  version) version ;;
  help) help ;;
  describe-device) describe "$@" ;;
  unlock-device) unlock "$@" ;;
  configure) configure "$@" ;;
  *) other "$command" "$@" ;;
esac
"#;

pub struct Stage {
    folder: tempfile::TempDir,
    device: TcpListener,
    pub notices: Arc<Notices>,
    pub endpoint: Endpoint,
    /// How long a device that is still starting is waited for.
    pub patience: Duration,
    /// Whether one counts as starting of which only the port answers.
    pub waits_for_services: bool,
    /// What was given away to be kept.
    pub logs: Mutex<Vec<String>>,
    /// What the homes held right before the code was written.
    pub homes_before_code: Mutex<Vec<String>>,
}

impl Stage {
    /// `variant` is shell text that redefines some of the prelude's functions.
    pub fn new(variant: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let device = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = device.local_addr().unwrap().to_string().parse().unwrap();
        let (notices, patience, logs) = (Arc::default(), Duration::from_secs(60), Mutex::default());
        let homes_before_code = Mutex::default();
        let waits_for_services = true;
        let stage = Self { folder, device, notices, endpoint, patience, waits_for_services, logs, homes_before_code };
        fs::create_dir(stage.work()).unwrap();
        fs::create_dir_all(stage.place()).unwrap();
        // A package of its own, in which nothing changes while it is digested.
        fs::create_dir_all(stage.folder.path().join("client/bin")).unwrap();
        let work = stage.work();
        let script = format!("#!/bin/sh\nW='{}'\nJOB={JOB}\nCODE={CODE}\n{PRELUDE}\n{variant}\n{MAIN}", work.display());
        fs::write(stage.launcher(), script).unwrap();
        fs::set_permissions(stage.launcher(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(stage.manifest(), MANIFEST).unwrap();
        // As the store makes it.
        fs::set_permissions(stage.manifest(), fs::Permissions::from_mode(0o600)).unwrap();
        stage.device_says(&["LOCKED"]);
        stage
    }

    pub fn device_says(&self, states: &[&str]) {
        fs::write(self.work().join("states"), format!("{}\n", states.join("\n"))).unwrap();
    }

    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Where the private home is made.
    pub fn place(&self) -> PathBuf {
        self.folder.path().join("Jürgen Müller")
    }

    pub fn launcher(&self) -> PathBuf {
        self.folder.path().join("client/bin/snowballEdge")
    }

    /// Another process with an agent at work on this stage (`endings::agent_to_be_killed`).
    pub fn agent_to_be_killed(&self) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "endings::agent_to_be_killed", "--ignored", "--nocapture"])
            .env("SNOW_ONBOARD_TEST_STAGE", self.launcher())
            .env("SNOW_ONBOARD_TEST_ENDPOINT", self.endpoint.to_string())
            .env("SNOW_ONBOARD_TEST_PLACE", self.place())
            .env("SNOW_ONBOARD_TEST_MANIFEST", self.manifest())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    pub fn manifest(&self) -> PathBuf {
        self.folder.path().join("work").join("manifest.bin")
    }

    pub fn settings(&self) -> ClientSettings {
        ClientSettings {
            client: Some(Sourced { value: self.launcher(), origin: Origin::Flag("--client".to_owned()) }),
            ..ClientSettings::default()
        }
    }

    pub fn places(&self) -> Places {
        Places { runtime: None, shared_memory: None, temporary: vec![self.place()] }
    }

    pub fn prepare(&self) -> Result<Device> {
        self.prepare_with(self.settings())
    }

    pub fn prepare_with(&self, settings: ClientSettings) -> Result<Device> {
        self.prepare_by(settings, PathBuf::from(env!("CARGO_BIN_EXE_snow-onboard")))
    }

    pub fn prepare_by(&self, settings: ClientSettings, guard: PathBuf) -> Result<Device> {
        Device::prepare(Preparation {
            known: Vec::new(),
            client: Client::find(&settings, &*self.notices)?,
            keep_away: &[&self.work()],
            places: self.places(),
            on_disk: &|_| false,
            guard: Some(guard),
            notify: self.notices.clone(),
        })
    }

    /// Prepares and hands over, by private ways alone.
    pub fn hand_over(&self) -> Result<Session> {
        self.hand_over_by(HandOverPolicy::Private, &|| panic!("a private hand-over asks nothing"))
    }

    pub fn hand_over_by(&self, policy: HandOverPolicy, ask: &dyn Fn() -> bool) -> Result<Session> {
        self.hand_over_with(self.prepare()?, policy, ask, &|| Ok(()), ArgvExposure::default())
    }

    pub fn hand_over_with(
        &self,
        device: Device,
        policy: HandOverPolicy,
        ask: &dyn Fn() -> bool,
        on_argv: &dyn Fn() -> Result<()>,
        exposure: ArgvExposure,
    ) -> Result<Session> {
        let mut session = Session::open(
            device,
            HandOver {
                separation: separation(),
                job: &JOB.parse::<TargetId>().unwrap(),
                manifest: &self.manifest(),
                manifest_sha256: &ManifestDigest::of(MANIFEST).unwrap(),
                code: UnlockCode::take(CODE).unwrap(),
                endpoint: &self.endpoint,
                cluster: None,
                policy,
                ask,
                before_code: &|| {
                    self.homes_before_code.lock().unwrap().extend(self.content());
                    Ok(())
                },
                on_argv,
                exposure,
                patience: self.patience,
                waits_for_services: self.waits_for_services,
                keep_log: &self.keep_log(),
            },
        )?;
        session.unlock(&self.keep_log())?;
        Ok(session)
    }

    /// For what is given away to be kept.
    pub fn keep_log(&self) -> impl Fn(&str) {
        |log| self.logs.lock().unwrap().push(log.to_owned())
    }

    /// What the client wrote down: arguments, environment, working directory of each call.
    pub fn seen(&self) -> String {
        fs::read_to_string(self.work().join("seen")).unwrap_or_default()
    }

    /// How often the client was called with this command.
    pub fn calls(&self, command: &str) -> usize {
        self.seen()
            .lines()
            .filter(|line| line.strip_prefix("args: ").is_some_and(|args| args.starts_with(command)))
            .count()
    }

    /// The private homes there are.
    pub fn homes(&self) -> Vec<PathBuf> {
        fs::read_dir(self.place()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Everything in the homes that there are.
    pub fn content(&self) -> Vec<String> {
        fn below(folder: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() {
                    below(&entry.path(), found);
                } else {
                    found.push(fs::read_to_string(entry.path()).unwrap());
                }
            }
        }
        let mut found = Vec::new();
        self.homes().iter().for_each(|home| below(home, &mut found));
        found
    }

    /// A number that the script wrote.
    pub fn number(&self, file: &str) -> Option<i32> {
        fs::read_to_string(self.work().join(file)).ok()?.lines().last()?.parse().ok()
    }

    /// Every process of the client that there was.
    pub fn pids(&self) -> Vec<i32> {
        let text = fs::read_to_string(self.work().join("pids")).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// The homes that the client was told of, as it wrote them down.
    pub fn homes_told(&self) -> Vec<PathBuf> {
        let text = fs::read_to_string(self.work().join("homes")).unwrap_or_default();
        text.lines().map(PathBuf::from).collect()
    }

    /// Nothing is left: no home, wherever the client had it, no process of the client.
    pub fn assert_nothing_left(&self) {
        wait_for("the end of the client", A_SECOND, || self.pids().iter().all(|pid| !is_alive(*pid)));
        wait_for("the removal of the home", A_SECOND, || {
            self.homes().is_empty() && !self.homes_told().iter().any(|home| home.exists())
        });
    }

    /// The code was on no command line and in no environment that the client saw, nor in a file that stayed.
    pub fn assert_the_code_was_private(&self) {
        let seen = self.seen();
        assert!(!seen.is_empty());
        assert!(!seen.contains(CODE), "{}", seen.replace(CODE, "[CODE]"));
        for notice in self.notices.all() {
            assert!(!notice.contains(CODE), "{notice}");
        }
    }

    /// Lets the device's port refuse.
    pub fn unplug(self) -> Unplugged {
        let address = self.device.local_addr().unwrap();
        drop(self.device);
        Unplugged { folder: self.folder, notices: self.notices, endpoint: self.endpoint, address }
    }
}

/// A stage whose device does not answer yet.
pub struct Unplugged {
    folder: tempfile::TempDir,
    notices: Arc<Notices>,
    endpoint: Endpoint,
    address: std::net::SocketAddr,
}

impl Unplugged {
    /// The stage again, without a port behind it; and how to give it one.
    pub fn split(self) -> (Stage, impl FnOnce() -> TcpListener) {
        // A port elsewhere keeps the type whole; the endpoint still names the refusing one.
        let device = TcpListener::bind("127.0.0.1:0").unwrap();
        let stage = Stage {
            folder: self.folder,
            device,
            notices: self.notices,
            endpoint: self.endpoint,
            patience: Duration::from_secs(60),
            waits_for_services: true,
            logs: Mutex::default(),
            homes_before_code: Mutex::default(),
        };
        (stage, move || TcpListener::bind(self.address).unwrap())
    }
}

#[derive(Default)]
pub struct Notices(Mutex<Vec<Event>>);

impl Notices {
    /// All so far, as text.
    pub fn all(&self) -> Vec<String> {
        let text = |event: &Event| match event {
            Event::Waiting { what, .. } => format!("waiting for {what}"),
            Event::Received { bytes, .. } => format!("received {bytes}"),
            Event::Warning(text) => format!("warning: {text}"),
            Event::Fact(text) => format!("fact: {text}"),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().iter().map(text).collect()
    }
}

impl Notify for Notices {
    fn notify(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

pub fn wait_for(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the process runs; one that has ended and was not collected yet does not.
pub fn is_alive(pid: i32) -> bool {
    if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
        return !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']));
    }
    !Path::new("/proc/self").exists()
        && rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid).unwrap()).is_ok()
}

/// The stable code of a failure.
pub fn code_of<T>(result: Result<T>) -> &'static str {
    result.err().map_or("no error", |error| error.code())
}
