//! The client's stand-in, started the way the agent starts the real one, and the device behind it.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use snow_rehearsal::{
    ClientOptions, Command as Verb, DeviceOptions, Job, Mode, Rehearsal, State, Trick, Unlocking, VersionText,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a client in a home, with this on its stdin.
fn client(launcher: &Path, home: &Path, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(launcher)
        .args(args)
        .env("JAVA_TOOL_OPTIONS", format!("\"-Duser.home={}\"", home.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that asks for nothing may have ended before it is written to.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A rehearsal whose first job is configured under the profile `p`, in a home with a blank and umlauts.
struct Configured {
    rehearsal: Rehearsal,
    home: std::path::PathBuf,
    answers: String,
}

impl Configured {
    fn new(client: ClientOptions, device: DeviceOptions) -> Self {
        let rehearsal = Rehearsal::builder().client(client).device(device).start().unwrap();
        let home = rehearsal.home().join("Jürgen Müller");
        fs::create_dir(&home).unwrap();
        let manifest = rehearsal.home().join("m.bin");
        fs::write(&manifest, rehearsal.job().manifest()).unwrap();
        let code = rehearsal.job().unlock_code();
        let answers = format!("{}\n{code}\n{}\n", manifest.display(), rehearsal.device().endpoint());
        Self { rehearsal, home, answers }
    }

    fn run(&self, args: &[&str]) -> Output {
        client(self.rehearsal.client_path(), &self.home, args, "")
    }

    fn configure(&self) -> Output {
        client(self.rehearsal.client_path(), &self.home, &["configure", "--profile", "p"], &self.answers)
    }

    fn state(&self) -> String {
        let output = self.run(&["describe-device", "--profile", "p"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        value["UnlockStatus"]["State"].as_str().unwrap().to_owned()
    }
}

fn slow() -> DeviceOptions {
    DeviceOptions { unlocking: Unlocking::Polls(1), ..DeviceOptions::default() }
}

#[test]
fn a_device_is_configured_described_unlocked_and_locked_again_by_a_power_cut() {
    let set = Configured::new(ClientOptions::default(), slow());
    let configured = set.configure();
    assert!(configured.status.success(), "{}", stderr(&configured));
    let config = set.home.join(".aws").join("snowball").join("config").join("snowball-edge.config");
    let first = stdout(&configured).lines().next().unwrap().to_owned();
    assert_eq!(first, format!("Configuration will stored at {}", config.display()));
    assert!(stderr(&configured).starts_with("Picked up JAVA_TOOL_OPTIONS: \"-Duser.home="));
    let written: serde_json::Value = serde_json::from_slice(&fs::read(config).unwrap()).unwrap();
    let job = set.rehearsal.job();
    assert_eq!(written["profiles"]["p"]["jobId"], job.id());
    assert_eq!(written["profiles"]["p"]["unlockCode"], job.unlock_code());

    assert_eq!(set.state(), "LOCKED");
    let unlock = set.run(&["unlock-device", "--profile", "p"]);
    assert!(stdout(&unlock).starts_with("Your Snowball Edge device is unlocking. You may determine"));
    assert_eq!(set.state(), "UNLOCKING");
    assert_eq!(set.state(), "UNLOCKED");
    let described = stdout(&set.run(&["describe-device", "--profile", "p"]));
    assert!(described.contains(&format!("\"DeviceId\" : \"{}\"", job.id())), "{described}");
    let device = set.rehearsal.device();
    assert_eq!((device.state(), device.unlock_requests()), (State::Unlocked, 1));
    device.power_loss();
    assert_eq!(set.state(), "LOCKED");

    assert_eq!(set.rehearsal.client_starts(Verb::DescribeDevice).unwrap(), 5);
    let invocations = set.rehearsal.client_invocations().unwrap();
    assert_eq!(invocations.len(), 7);
    assert!(invocations.iter().all(|one| one.user_home == set.home && !one.terminal));
    assert!(invocations.iter().all(|one| !one.argv.iter().any(|arg| arg.contains(&job.unlock_code()))));
    assert_eq!(invocations[0].argv[1..], ["configure", "--profile", "p"]);
}

#[test]
fn everything_on_the_command_line_works_too() {
    let set = Configured::new(ClientOptions::default(), DeviceOptions::default());
    let (code, endpoint) = (set.rehearsal.job().unlock_code(), set.rehearsal.device().endpoint());
    let manifest = set.answers.lines().next().unwrap();
    let args = ["--endpoint", &endpoint, "--manifest-file", manifest, "--unlock-code", &code];
    assert!(set.run(&[&["unlock-device"][..], &args].concat()).status.success());
    assert!(!set.home.join(".aws/snowball/config").exists());
    let logged = set.rehearsal.client_invocations().unwrap().swap_remove(0);
    assert!(logged.argv.contains(&code));
}

#[test]
fn halves_that_do_not_belong_together_are_found_without_a_device() {
    let set = Configured::new(ClientOptions::default(), DeviceOptions::default());
    let wrong = set.answers.replace(&set.rehearsal.job().unlock_code(), "00000-00000-00000-00000-00000");
    let output = client(set.rehearsal.client_path(), &set.home, &["configure"], &wrong);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("[invented]"));
    assert!(!set.home.join(".aws/snowball/config/snowball-edge.config").exists());
    assert!(!stderr(&output).contains("00000-00000"));

    assert!(set.configure().status.success());
    fs::write(set.answers.lines().next().unwrap(), b"another").unwrap();
    let output = set.run(&["unlock-device", "--profile", "p"]);
    assert!(!output.status.success());
    let device = set.rehearsal.device();
    assert_eq!((device.unlock_requests(), device.strangers(), device.state()), (0, 0, State::Locked));
}

#[test]
fn a_device_knows_its_own_manifest() {
    let rehearsal = Rehearsal::builder().job(Job::new()).job(Job::new()).start().unwrap();
    let other = &rehearsal.jobs()[1];
    let manifest = rehearsal.home().join("m.bin");
    fs::write(&manifest, other.manifest()).unwrap();
    let endpoint = rehearsal.device().endpoint();
    let output = client(
        rehearsal.client_path(),
        rehearsal.home(),
        &[
            "unlock-device",
            "--endpoint",
            &endpoint,
            "--manifest-file",
            manifest.to_str().unwrap(),
            "--unlock-code",
            &other.unlock_code(),
        ],
        "",
    );
    assert!(!output.status.success());
    assert_eq!((rehearsal.device().strangers(), rehearsal.device().unlock_requests()), (1, 0));
}

#[test]
fn variants_of_configure() {
    let ignores = ClientOptions { ignores_our_home: true, ..ClientOptions::default() };
    let set = Configured::new(ignores, DeviceOptions::default());
    assert!(set.configure().status.success());
    assert!(!set.home.join(".aws").exists());

    let terminal = ClientOptions { wants_terminal: true, ..ClientOptions::default() };
    assert!(!Configured::new(terminal, DeviceOptions::default()).configure().status.success());

    let amnesiac = ClientOptions { no_profiles: true, ..ClientOptions::default() };
    let set = Configured::new(amnesiac, DeviceOptions::default());
    assert!(set.configure().status.success());
    assert!(!set.run(&["describe-device", "--profile", "p"]).status.success());

    let own = ClientOptions {
        launcher_options: vec!["-Duser.home=/nonexistent home".to_owned()],
        ..ClientOptions::default()
    };
    let set = Configured::new(own, DeviceOptions::default());
    assert!(stdout(&set.configure()).starts_with("Configuration will stored at /nonexistent home"));
}

#[test]
fn a_client_that_buffers_shows_its_prompts_at_the_end() {
    use std::io::Read;
    let buffers = ClientOptions { buffers_prompts: true, ..ClientOptions::default() };
    let set = Configured::new(buffers, DeviceOptions::default());
    let mut child = Command::new(set.rehearsal.client_path())
        .arg("configure")
        .env("JAVA_TOOL_OPTIONS", format!("-Duser.home='{}'", set.home.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It has started and waits for the first answer; a client that does not buffer would have asked by then.
    let until = Instant::now() + PATIENCE;
    while set.rehearsal.client_invocations().unwrap().is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut output = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        text
    });
    std::thread::sleep(Duration::from_millis(50));
    assert!(!reader.is_finished());
    child.stdin.take().unwrap().write_all(set.answers.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(reader.join().unwrap().contains("Unlock Code: Default Endpoint: "));
}

#[test]
fn tricks() {
    let options = ClientOptions { tells_code: true, version: VersionText::Build254, ..ClientOptions::default() }
        .trick(Verb::DescribeDevice, Trick::Noise)
        .trick(Verb::UnlockDevice, Trick::Pretend)
        .trick(Verb::Help, Trick::Killed)
        .trick(Verb::Version, Trick::Flood(1 << 20));
    let set = Configured::new(options, DeviceOptions::default());
    assert!(set.configure().status.success());
    let version = set.run(&["version"]);
    assert!(version.stdout.len() > 1 << 20);
    assert!(stdout(&version).ends_with("\nSnowball client version: 1.2.0  Build 254\n"));
    assert!(set.run(&["unlock-device", "--profile", "p"]).status.success());
    assert_eq!(set.rehearsal.device().unlock_requests(), 0);
    assert!(!set.run(&["help"]).status.success());
    let noisy = stdout(&set.run(&["describe-device", "--profile", "p"]));
    assert!(noisy.starts_with("OpenJDK") && noisy.contains("\"State\" : \"LOCKED\""), "{noisy}");
    fs::write(set.answers.lines().next().unwrap(), b"another").unwrap();
    let output = set.run(&["describe-device", "--profile", "p"]);
    assert!(stderr(&output).contains(&set.rehearsal.job().unlock_code()));
}

#[test]
fn what_hangs_or_lingers_ends_with_the_rehearsal() {
    let options = ClientOptions::default()
        .trick(Verb::Version, Trick::Hang)
        .trick(Verb::Help, Trick::Grandchild)
        .trick(Verb::UnlockDevice, Trick::Fail)
        .trick(Verb::DescribeDevice, Trick::DeleteManifest);
    let set = Configured::new(options, DeviceOptions::default());
    assert!(set.configure().status.success());
    assert!(!set.run(&["unlock-device", "--profile", "p"]).status.success());
    assert_eq!(set.state(), "LOCKED");
    assert!(!Path::new(set.answers.lines().next().unwrap()).exists());

    let mut hanging = Command::new(set.rehearsal.client_path()).arg("version").stdin(Stdio::null()).spawn().unwrap();
    let mut parent = Command::new(set.rehearsal.client_path())
        .arg("help")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(parent.wait().unwrap().success());
    assert!(hanging.try_wait().unwrap().is_none());
    let pipe = parent.stdout.take().unwrap();
    let reader = std::thread::spawn(move || std::io::read_to_string(pipe).unwrap());
    std::thread::sleep(Duration::from_millis(50));
    assert!(!reader.is_finished(), "the grandchild holds the pipe");
    drop(set);
    hanging.wait().unwrap();
    reader.join().unwrap();
}

#[test]
fn a_pallet_has_a_device_for_each_job() {
    let rehearsal = Rehearsal::builder().pallet(3, slow()).job(Job::new()).start().unwrap();
    let (devices, jobs) = (rehearsal.devices(), rehearsal.jobs());
    assert_eq!((devices.len(), jobs.len()), (3, 4));
    assert!(devices.iter().zip(&jobs).all(|(device, job)| device.job_id() == job.id()));
    assert_ne!(devices[1].address(), devices[2].address());
}

#[test]
fn device_modes_show_in_the_description() {
    let set = Configured::new(ClientOptions::default(), DeviceOptions { unlocked: true, ..DeviceOptions::default() });
    assert!(set.configure().status.success());
    assert_eq!(set.state(), "UNLOCKED");
    let device = set.rehearsal.device();
    device.set_mode(Mode::Says("DEGRADED".to_owned()));
    assert_eq!(set.state(), "DEGRADED");
    device.set_mode(Mode::OtherDevice("JID-OTHER".to_owned()));
    assert!(stdout(&set.run(&["describe-device", "--profile", "p"])).contains("\"DeviceId\" : \"JID-OTHER\""));
    device.set_mode(Mode::NoDeviceId);
    assert!(!stdout(&set.run(&["describe-device", "--profile", "p"])).contains("DeviceId"));
}

#[test]
fn a_booting_device_refuses_connections() {
    let device = DeviceOptions { boot: Duration::from_secs(600), ..DeviceOptions::default() };
    let set = Configured::new(ClientOptions::default(), device);
    assert!(set.configure().status.success());
    assert_eq!(set.rehearsal.device().state(), State::Booting);
    let output = set.run(&["describe-device", "--profile", "p"]);
    assert!(!output.status.success() && stderr(&output).contains("connection refused"), "{}", stderr(&output));
}

#[test]
fn a_device_comes_back_after_a_power_cut() {
    let set = Configured::new(ClientOptions::default(), DeviceOptions { unlocked: true, ..DeviceOptions::default() });
    assert!(set.configure().status.success());
    assert_eq!(set.state(), "UNLOCKED");
    set.rehearsal.device().power_loss_for(Duration::from_millis(300));
    assert_eq!(set.rehearsal.device().state(), State::Booting);
    let until = Instant::now() + PATIENCE;
    while !set.run(&["describe-device", "--profile", "p"]).status.success() {
        assert!(Instant::now() < until, "the device did not come back");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(set.state(), "LOCKED");
}

/// A client's JSON answer, configured, of an open device.
fn json(set: &Configured, args: &[&str]) -> serde_json::Value {
    let output = set.run(&[args, &["--profile", "p"]].concat());
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn open_device(device: DeviceOptions) -> Configured {
    let set = Configured::new(ClientOptions::default(), DeviceOptions { unlocked: true, ..device });
    assert!(set.configure().status.success());
    set
}

#[test]
fn an_open_device_gives_its_keys() {
    let set = open_device(DeviceOptions { access_keys: 2, ..DeviceOptions::default() });
    let keys = set.rehearsal.device().access_keys();
    let listed = json(&set, &["list-access-keys"]);
    assert_eq!(listed, serde_json::json!({ "AccessKeyIds": [keys[0].id, keys[1].id] }));
    let ini = stdout(&set.run(&["get-secret-access-key", "--access-key-id", &keys[1].id, "--profile", "p"]));
    let (id, secret) = (&keys[1].id, &keys[1].secret);
    assert_eq!(ini, format!("[snowballEdge]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n\n"));

    set.rehearsal.device().renew_access_keys();
    let gone = set.run(&["get-secret-access-key", "--access-key-id", id, "--profile", "p"]);
    assert!(!gone.status.success() && stderr(&gone).contains("[invented]"), "{}", stderr(&gone));
    assert_eq!(set.rehearsal.device().questions().len(), 3);
}

#[test]
fn a_locked_device_gives_nothing() {
    let set = Configured::new(ClientOptions::default(), DeviceOptions::default());
    assert!(set.configure().status.success());
    for command in ["list-access-keys", "list-certificates", "list-services", "check-for-updates", "describe-features"]
    {
        let output = set.run(&[command, "--profile", "p"]);
        assert!(!output.status.success() && output.stdout.is_empty(), "{command}");
        assert!(stderr(&output).contains("[invented]"), "{}", stderr(&output));
    }
    assert_eq!(set.rehearsal.device().questions(), [""; 0]);
}

#[test]
fn services_name_their_certificates() {
    let set = open_device(DeviceOptions::default());
    set.rehearsal.device().set_services(|services| services.s3_port = 18_443);
    let services = json(&set, &["list-services"]);
    assert_eq!(services["ServiceIds"], serde_json::json!(["greengrass", "fileinterface", "s3", "ec2", "s3-snow"]));
    let certificates = json(&set, &["list-certificates"]);
    let names_of = |arn: &serde_json::Value| {
        let all = certificates["Certificates"].as_array().unwrap();
        all.iter().find(|one| one["CertificateArn"] == *arn).unwrap()["SubjectAlternativeNames"].clone()
    };
    let s3 = json(&set, &["describe-service", "--service-id", "s3"])["Endpoints"][1].clone();
    assert_eq!((&s3["Protocol"], &s3["Port"]), (&"https".into(), &18_443.into()));
    assert_eq!(names_of(&s3["CertificateAssociation"]["CertificateArn"]), serde_json::json!(["127.0.0.1"]));
    let storage = json(&set, &["describe-service", "--service-id", "s3-snow"]);
    let endpoints = storage["Endpoints"].as_array().unwrap();
    assert!(endpoints[0]["Description"].as_str().unwrap().contains("s3control"));
    assert!(endpoints[1]["Description"].as_str().unwrap().contains("object"));
    let arn = &endpoints[1]["CertificateAssociation"]["CertificateArn"];
    assert_eq!(names_of(arn), serde_json::json!(["192.0.2.115", "192.0.2.202"]));
    let pem = stdout(&set.run(&["get-certificate", "--certificate-arn", arn.as_str().unwrap(), "--profile", "p"]));
    assert_eq!(pem, set.rehearsal.device().storage_certificate().unwrap().pem);
    assert!(!set.run(&["describe-service", "--service-id", "iam", "--profile", "p"]).status.success());
    assert_eq!(json(&set, &["describe-features"]), serde_json::json!({ "RemoteManagementState": "INSTALLED_ONLY" }));
}

#[test]
fn an_update_takes_another_manifest_and_locks_the_device() {
    let set = open_device(DeviceOptions::default());
    let versions = |installed| serde_json::json!({ "InstalledVersion": installed, "LatestVersion": "119" });
    assert_eq!(json(&set, &["check-for-updates"]), versions("118"));
    set.rehearsal.device().update();
    let old = set.run(&["describe-device", "--profile", "p"]);
    assert!(!old.status.success(), "the old manifest still works");
    fs::write(set.answers.lines().next().unwrap(), set.rehearsal.job().manifest()).unwrap();
    assert_eq!(set.state(), "LOCKED");
    set.rehearsal.device().open();
    assert_eq!(json(&set, &["check-for-updates"]), versions("119"));
}

#[test]
fn another_address_makes_another_certificate() {
    let set = open_device(DeviceOptions::default());
    let device = set.rehearsal.device();
    let (first, address) = (device.certificate(), device.address());
    device.power_loss();
    assert_eq!(device.certificate(), first);
    if cfg!(target_os = "macos") {
        return snow_rehearsal::skipped("macOS has one loopback address");
    }
    device.move_to(std::net::Ipv4Addr::new(127, 0, 0, 2).into()).unwrap();
    assert!(device.endpoint().starts_with("https://127.0.0.2:"));
    let at_new = ["--profile", "p", "--endpoint", &device.endpoint()].map(str::to_owned);
    let at_new: Vec<&str> = at_new.iter().map(String::as_str).collect();
    let until = Instant::now() + PATIENCE;
    while !set.run(&[&["unlock-device"], &at_new[..]].concat()).status.success() {
        assert!(Instant::now() < until, "the device does not answer at its new address");
        std::thread::sleep(Duration::from_millis(20));
    }
    while device.state() != State::Unlocked {
        assert!(Instant::now() < until, "the device does not open");
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = device.certificate();
    assert_ne!((&first.arn, &first.pem), (&second.arn, &second.pem));
    assert_eq!(second.names, ["127.0.0.2"]);
    let old = set.run(&[&["get-certificate", "--certificate-arn", &first.arn], &at_new[..]].concat());
    assert!(!old.status.success() && stderr(&old).contains("[invented]"), "{}", stderr(&old));
    assert!(!set.run(&["describe-device", "--profile", "p"]).status.success(), "it still answers at {address}");
}

#[test]
fn the_jvm_in_front_behaves_like_one() {
    let set = Configured::new(ClientOptions::default(), DeviceOptions::default());
    let start = |options: &str| {
        let launcher = set.rehearsal.client_path();
        Command::new(launcher).arg("version").env("JAVA_TOOL_OPTIONS", options).output().unwrap()
    };
    let unquoted = start("-Duser.home=/a b");
    assert_eq!(unquoted.status.code(), Some(1));
    assert!(stderr(&unquoted).contains("Unrecognized option: b\nError: Could not create the Java Virtual Machine."));
    assert!(start("-XX:+Unheard -XX:+IgnoreUnrecognizedVMOptions").status.success());
    assert!(stdout(&start("")).contains("Snowball Edge client version: 1.2.0  Build 661"));
    let homes: Vec<_> = set.rehearsal.client_invocations().unwrap().into_iter().map(|one| one.user_home).collect();
    assert!(homes.iter().all(|home| home.starts_with(set.rehearsal.root())));
}

#[test]
fn a_rehearsal_that_was_copied_away_says_what_it_needs_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(format!("copied{}", std::env::consts::EXE_SUFFIX));
    std::fs::copy(env!("CARGO_BIN_EXE_snow-rehearsal"), &copy).unwrap();
    let output = std::process::Command::new(&copy).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("snow-onboard") && said.contains("into one folder"), "{said}");
}
