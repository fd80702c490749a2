//! What `setup-profile` writes, used: by the AWS CLI of today and that of 2018, boto3 and rclone, against an S3 server that is not ours
//! and shows the device's certificate. What the server was asked is looked at, and what would have left for AWS.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "../whole/agent.rs"]
#[allow(dead_code, reason = "the whole program's tests use the rest")]
mod agent;
#[path = "../keyring_bus/mod.rs"]
mod keyring_bus;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use agent::{Agent, Ended, files_with, state};
use keyring_bus::{Keyring, KeyringBus};
use snow_rehearsal::{AccessKey, Rehearsal};

const BUCKET: &str = "field-data";
const LARGE: usize = 100 * 1000 * 1000;

fn below_here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A program of a venv that tests/run makes.
fn program(path: &str) -> Option<PathBuf> {
    Some(below_here("target").join(path)).filter(|path| path.exists())
}

/// A device with an S3 server, and a profile for it.
struct Site {
    rehearsal: Rehearsal,
    bus: KeyringBus,
    server: Child,
    log: PathBuf,
    proxy: RecordingProxy,
    key: AccessKey,
    name: String,
}

impl Site {
    /// `None` if there is no moto on this machine.
    fn set() -> Option<Self> {
        let Some(python) = program("moto/bin/python") else {
            snow_rehearsal::skipped("moto is not in target/moto, where tests/run puts it");
            return None;
        };
        let rehearsal = Rehearsal::builder().start().unwrap();
        let bus = KeyringBus::start(Keyring::Unlocked);
        let device = rehearsal.device();
        let (certificate, files) = (device.certificate(), rehearsal.home().parent().unwrap().join("server"));
        fs::create_dir(&files).unwrap();
        let file = |name: &str, text: &str| {
            fs::write(files.join(name), text).unwrap();
            files.join(name)
        };
        let (pem, key_pem) = (file("certificate.pem", &certificate.pem), file("key.pem", &certificate.key_pem));
        let log = files.join("log");
        let mut server = Command::new(python);
        server.arg(below_here("tests/aws_profile/server.py")).args([&pem, &key_pem, &log]).arg(BUCKET);
        server.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &files);
        let errors = fs::File::create(files.join("errors")).unwrap();
        let mut server = server.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
        let port: u16 =
            port.trim().parse().unwrap_or_else(|_| panic!("{}", fs::read_to_string(files.join("errors")).unwrap()));
        device.set_services(|services| services.s3_port = port);
        let (key, id) = (device.access_keys().remove(0), rehearsal.job().id().to_owned());
        let site = Self {
            rehearsal,
            bus,
            server,
            log,
            proxy: RecordingProxy::start(),
            key,
            name: format!("snow-{}", &id[3..11]),
        };
        site.on_the_bus(Agent::run(&site.rehearsal, &[])).end().done();
        let agent = Agent::new(&site.rehearsal, ["setup-profile", &id, "--yes"]);
        let agent = agent.arg("--client").arg(site.rehearsal.client_path());
        site.on_the_bus(agent).end().done();
        Some(site)
    }

    fn on_the_bus(&self, agent: Agent) -> Agent {
        let mine = |name: &&str| matches!(*name, "DBUS_SESSION_BUS_ADDRESS" | "XDG_DATA_HOME");
        let variables = self.bus.environment().into_iter().filter(|(name, _)| mine(name));
        variables.fold(agent, |agent, (name, value)| agent.env(name, value))
    }

    /// A program as an operator with a company's proxy starts it, who has followed the hint about that.
    fn command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        command.envs(self.bus.environment().into_iter().filter(|(name, _)| *name != "HOME"));
        let places = self.rehearsal.env().into_iter().filter(|(name, _)| !name.starts_with("AWS_"));
        command.envs(places).env("HTTPS_PROXY", self.proxy.url()).env("NO_PROXY", "127.0.0.1");
        command
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_MAX_ATTEMPTS", "1")
            .current_dir(self.rehearsal.home());
        command
    }

    fn ended(&self, program: &Path, args: &[&str]) -> Ended {
        self.command(program, args).output().unwrap().into()
    }

    fn url(&self) -> String {
        let config = fs::read_to_string(self.rehearsal.home().join(".aws/config")).unwrap();
        config.lines().find_map(|line| line.strip_prefix("endpoint_url = ")).unwrap().to_owned()
    }

    /// What the server was asked since the last time, a JSON object each.
    fn asked(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let asked = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        fs::write(&self.log, "").unwrap();
        asked
    }

    /// Asserts that all that was asked is signed with the device's key for its region, and is what the S3 adapter can do.
    #[track_caller]
    fn assert_asked_as_the_adapter_takes_it(&self) {
        let asked = self.asked();
        assert!(asked.len() >= 3, "{asked:?}");
        for request in &asked {
            let signed = request["authorization"].as_str().unwrap();
            let scope = format!("Credential={}/", self.key.id);
            assert!(signed.contains(&scope) && signed.contains("/snow/s3/aws4_request"), "{request}");
            assert!(!is_chunked(request), "{request}");
            assert!(request["host"].as_str().unwrap().starts_with("127.0.0.1:"), "{request}");
        }
    }

    /// A file of random bytes below the home.
    fn large(&self) -> Vec<u8> {
        let mut bytes = vec![0; LARGE];
        fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
        fs::write(self.rehearsal.home().join("large"), &bytes).unwrap();
        bytes
    }

    /// Asserts that neither the code nor the device's key is in any file of the operator's.
    #[track_caller]
    fn assert_no_secret_is_left(&self) {
        let (home, code) = (self.rehearsal.home(), self.rehearsal.job().unlock_code());
        let planted = home.join("planted");
        for secret in [code.as_str(), self.key.secret.as_str()] {
            fs::write(&planted, format!("x{secret}y")).unwrap();
            assert_eq!(
                files_with(home, secret),
                std::slice::from_ref(&planted),
                "the control is found, and nothing else"
            );
            fs::remove_file(&planted).unwrap();
            for folder in [home, &state(&self.rehearsal), self.rehearsal.runtime_dir()] {
                assert!(files_with(folder, secret).is_empty(), "{}", folder.display());
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Whether the data of a request come in chunks with a trailer, which the S3 adapter does not take.
fn is_chunked(request: &serde_json::Value) -> bool {
    let has = |name: &str, word: &str| request[name].as_str().is_some_and(|value| value.contains(word));
    has("content_encoding", "aws-chunked")
        || has("x_amz_content_sha256", "STREAMING")
        || request.get("x_amz_trailer").is_some()
}

/// A proxy that leads nowhere and writes down where it was asked to lead.
struct RecordingProxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl RecordingProxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let mut line = String::new();
                let _ = BufReader::new(&connection).read_line(&mut line);
                heard.lock().unwrap().push(line.trim().to_owned());
                let _ = connection.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
            }
        });
        Self { port, asked }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// Lists, and moves 100 MB both ways.
fn lists_and_copies(site: &Site, cli: &Path, more: &[&str], variables: &[(&str, PathBuf)]) {
    let aws = |args: &[&str]| {
        let mut command = site.command(cli, &[args, &["--profile", &site.name], more].concat());
        Ended::from(command.envs(variables.iter().map(|(name, value)| (name, value))).output().unwrap())
    };
    assert!(aws(&["s3", "ls"]).done().stdout.contains(BUCKET));
    let bytes = site.large();
    let there = format!("s3://{BUCKET}/large");
    aws(&["s3", "cp", "--no-progress", "large", &there]).done();
    assert!(aws(&["s3", "ls", &format!("s3://{BUCKET}/")]).done().stdout.contains(&format!("{LARGE} large")));
    aws(&["s3", "cp", "--no-progress", &there, "back"]).done();
    let back = site.rehearsal.home().join("back");
    assert!(fs::read(&back).unwrap() == bytes, "what comes back is something else");
    fs::remove_file(back).unwrap();
    site.assert_asked_as_the_adapter_takes_it();
}

#[test]
fn the_aws_cli_lists_and_copies_and_asks_nobody_but_the_device() {
    let Some(cli) = program("boto3/bin/aws") else {
        return snow_rehearsal::skipped("the AWS CLI is not in target/boto3, where tests/run puts it");
    };
    let Some(site) = Site::set() else { return };
    lists_and_copies(&site, &cli, &[], &[]);

    // With what it does unless it is told otherwise.
    let config = site.rehearsal.home().join(".aws/config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("= when_required", "= when_supported")).unwrap();
    site.ended(
        &cli,
        &["s3", "cp", "--no-progress", "large", &format!("s3://{BUCKET}/control"), "--profile", &site.name],
    )
    .done();
    assert!(site.asked().iter().any(is_chunked), "the control: that would have been seen");
    fs::write(&config, &text).unwrap();

    // Services that the device has, and some that no device has. Nothing listens at their ports here.
    assert_eq!(site.proxy.asked(), [""; 0]);
    for asks in [
        &["sts", "get-caller-identity"][..],
        &["iam", "list-users"],
        &["ec2", "describe-instances"],
        &["s3control", "list-regional-buckets", "--account-id", "123456789012"],
        &["snowball", "list-jobs"],
        &["lambda", "list-functions"],
    ] {
        site.ended(&cli, &[asks, &["--profile", &site.name]].concat());
        assert_eq!(site.proxy.asked(), [""; 0], "{asks:?}");
    }
    let aside =
        text.lines().filter(|line| !line.contains("endpoint_url") && !line.starts_with("services")).collect::<Vec<_>>();
    fs::write(&config, aside.join("\n")).unwrap();
    site.ended(&cli, &["sts", "get-caller-identity", "--profile", &site.name]);
    let asked = site.proxy.asked();
    assert!(
        asked.iter().any(|line| line.contains("sts.snow.amazonaws.com")),
        "the control: that would have been seen: {asked:?}"
    );
    fs::write(&config, &text).unwrap();
    site.assert_no_secret_is_left();
}

#[test]
fn the_aws_cli_of_2018_lists_and_copies_with_the_address_named() {
    let Some(cli) = program("aws-cli-1.16/bin/aws") else {
        return snow_rehearsal::skipped("the AWS CLI 1.16.14 is not in target/aws-cli-1.16, where tests/run puts it");
    };
    let Some(site) = Site::set() else { return };
    let aliases = [("PYTHONPATH", below_here("tests/aws_profile/aliases"))];
    lists_and_copies(&site, &cli, &["--endpoint", &site.url()], &aliases);
    assert_eq!(site.proxy.asked(), [""; 0]);
    site.assert_no_secret_is_left();
}

#[test]
fn boto3_needs_the_profile_s_name_and_nothing_else() {
    let Some(python) = program("boto3/bin/python") else {
        return snow_rehearsal::skipped("boto3 is not in target/boto3, where tests/run puts it");
    };
    let Some(site) = Site::set() else { return };
    let script = below_here("tests/aws_profile/boto3_check.py");
    site.ended(&python, &[script.to_str().unwrap(), &site.name, BUCKET]).done();
    site.assert_asked_as_the_adapter_takes_it();
    assert_eq!(site.proxy.asked(), [""; 0]);
    site.assert_no_secret_is_left();
}

/// With the AWS SDK for Go, which runs `credential_process` by a shell. Its first version, which the rclone of Debian 12 has, can't be
/// used with any profile that has `ca_bundle`, so there that line is left out of a copy.
#[test]
fn rclone_copies_with_the_profile() {
    let rclone = Path::new("/usr/bin/rclone");
    if !rclone.exists() {
        return snow_rehearsal::skipped("rclone is not installed, which tests/run does");
    }
    let Some(site) = Site::set() else { return };
    site.large();
    let home = site.rehearsal.home();
    let remote = format!(
        "[snow]\ntype = s3\nprovider = Other\nenv_auth = true\nregion = snow\nendpoint = {}\nforce_path_style = true\nno_check_bucket = true\n",
        site.url()
    );
    fs::write(home.join("rclone.conf"), remote).unwrap();
    let config = fs::read_to_string(home.join(".aws/config")).unwrap();
    let without = config.lines().filter(|line| !line.starts_with("ca_bundle")).collect::<Vec<_>>().join("\n");
    fs::write(home.join("without"), without).unwrap();
    let certificates = state(&site.rehearsal).join("certificates").join(format!("{}.pem", site.rehearsal.job().id()));
    let run = |config: &str, args: &[&str]| {
        let mut command = site.command(rclone, &["--config", "rclone.conf", "--retries", "1", "--ca-cert"]);
        command.arg(&certificates).args(args).env("AWS_PROFILE", &site.name).env("AWS_SDK_LOAD_CONFIG", "1");
        Ended::from(command.env("AWS_CONFIG_FILE", home.join(config)).output().unwrap())
    };
    let there = format!("snow:{BUCKET}/rclone");
    let as_it_is = run(".aws/config", &["ls", &there]);
    let config = if as_it_is.status.success() || !as_it_is.stderr.contains("LoadCustomCABundleError") {
        ".aws/config"
    } else {
        "without"
    };
    run(config, &["copy", "large", &there]).done();
    run(config, &["copy", &format!("{there}/large"), "back"]).done();
    assert!(
        fs::read(home.join("back/large")).unwrap() == fs::read(home.join("large")).unwrap(),
        "what comes back is something else"
    );
    site.assert_asked_as_the_adapter_takes_it();
    assert_eq!(site.proxy.asked(), [""; 0]);
    site.assert_no_secret_is_left();
}
