//! The child that makes one call, and the parent's side of it.

use std::io::{Seek, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snow_onboard::cloud::{Cloud, CloudSettings, Sink};
use snow_onboard::model::{JobFacts, Origin, Sourced};
use snow_onboard::report::{Event, Notify};
use snow_rehearsal::Rehearsal;

/// Names the file with the order; absent in a test run that is nobody's child.
const ORDER: &str = "CLOUD_TEST_ORDER";

/// One call of `Cloud`, as a test wants it made.
pub(crate) struct Call {
    order: Value,
    environment: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

/// What came of it.
pub(crate) struct Outcome {
    /// "ok", or the error's string code.
    pub(crate) code: String,
    pub(crate) sentence: String,
    pub(crate) hint: String,
    pub(crate) answer: Value,
    pub(crate) notices: Vec<String>,
    pub(crate) took: Duration,
    /// Sockets that were open before and after the drop (Linux; elsewhere none).
    pub(crate) sockets: (u64, u64),
    /// What the writer received.
    pub(crate) manifest: Vec<u8>,
    /// Everything that the child printed.
    pub(crate) printed: String,
}

impl Call {
    /// A call with the settings that lead to `rehearsal`: `fetch`, `job`, `jobs` or `identity`.
    pub(crate) fn new(rehearsal: &Rehearsal, what: &str, job: &str) -> Self {
        let environment = rehearsal.env().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let order = json!({
            "what": what, "job": job, "ca": rehearsal.ca_bundle(), "timeout_ms": 60_000, "limit": 64 << 20,
        });
        Self { order, environment, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.order[name] = value.into();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self = self.without(name);
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(key, _)| key != name);
        self
    }

    /// A file in a folder of the call's own.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Profiles in a home of the call's own, instead of credentials in the environment.
    pub(crate) fn profiles(self, config: &str) -> Self {
        let path = self.file("home/.aws/config", config);
        let home = path.parent().unwrap().parent().unwrap().to_string_lossy().into_owned();
        self.without("AWS_ACCESS_KEY_ID")
            .without("AWS_SECRET_ACCESS_KEY")
            .env("HOME", home.clone())
            .env("USERPROFILE", home)
    }

    /// The program itself, with the call's variables and profile instead of the call.
    #[cfg_attr(not(unix), expect(dead_code, reason = "the tests that use it are about processes of Unix"))]
    pub(crate) fn agent(&self, rehearsal: &Rehearsal, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snow-onboard"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).envs(self.environment.clone());
        command.args(args).arg("--ca-bundle").arg(rehearsal.ca_bundle());
        if let Some(profile) = self.order["profile"].as_str() {
            command.args(["--profile", profile]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(crate) fn run(self) -> Outcome {
        let place = |name: &str| self.folder.path().join(name);
        std::fs::write(place("order.json"), self.order.to_string()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "child::makes_the_call_it_was_started_for", "--nocapture", "--test-threads=1"])
            .env_clear();
        for name in ["PATH", "SystemRoot", "TEMP", "TMP", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                child.env(name, value);
            }
        }
        let output = child.env(ORDER, place("order.json")).envs(self.environment).output().unwrap();
        let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let report = std::fs::read(place("report.json")).unwrap_or_else(|_| panic!("the child died:\n{printed}"));
        let report: Value = serde_json::from_slice(&report).unwrap();
        let text = |name: &str| report[name].as_str().unwrap_or_default().to_owned();
        Outcome {
            code: text("code"),
            sentence: text("sentence"),
            hint: text("hint"),
            answer: report["answer"].clone(),
            notices: report["notices"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line.as_str().unwrap().to_owned())
                .collect(),
            took: Duration::from_millis(report["took_ms"].as_u64().unwrap()),
            sockets: serde_json::from_value(report["sockets"].clone()).unwrap(),
            manifest: std::fs::read(place("manifest.bin")).unwrap_or_default(),
            printed,
        }
    }
}

impl Outcome {
    /// Fails the test with the whole story unless this is what came.
    #[track_caller]
    pub(crate) fn expect(self, code: &str) -> Self {
        assert_eq!(self.code, code, "{} {}\n{}", self.sentence, self.hint, self.notices.join("\n"));
        self
    }

    /// Nothing that a person or a log sees holds `secret`.
    #[track_caller]
    pub(crate) fn never_says(&self, secret: &str) {
        for text in [&self.sentence, &self.hint, &self.printed, &self.notices.join("\n")] {
            assert!(!text.contains(secret), "a secret came out: {text}");
        }
    }
}

#[derive(Default)]
struct WarningCollector(Mutex<Vec<String>>);

impl Notify for WarningCollector {
    fn notify(&self, event: Event) {
        self.0.lock().unwrap().push(match event {
            Event::Waiting { what, .. } => format!("waiting for {what}"),
            Event::Received { bytes, of } => format!("received {bytes} of {}", of.map_or(-1, |of| of as i64)),
            Event::Warning(text) | Event::Fact(text) => text,
            other => format!("{other:?}"),
        });
    }
}

/// A disk that is full after its first bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for Full {
    fn restart(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A file, as what is downloaded goes to.
struct Plain(std::fs::File);

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Sink for Plain {
    fn restart(&mut self) -> std::io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()
    }
}

/// The child. A test run has no order and nothing to do here.
#[test]
fn makes_the_call_it_was_started_for() {
    let Some(path) = std::env::var_os(ORDER).map(PathBuf::from) else { return };
    let order: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let text = |name: &str| order[name].as_str().map(str::to_owned);
    let settings = CloudSettings {
        profile: text("profile"),
        region: text("region")
            .map(|region| Sourced { value: region.parse().unwrap(), origin: Origin::Flag("--region".to_owned()) }),
        ca_bundle: text("ca")
            .map(|path| Sourced { value: path.into(), origin: Origin::Flag("--ca-bundle".to_owned()) }),
        network_timeout: Duration::from_millis(order["timeout_ms"].as_u64().unwrap()),
        manifest_limit: order["limit"].as_u64().unwrap(),
        helper: Some(env!("CARGO_BIN_EXE_snow-onboard").into()),
    };
    let heard = Arc::new(WarningCollector::default());
    let mut took = Duration::ZERO;
    let mut sockets = 0;
    let result = Cloud::open(&settings, heard.clone()).and_then(|cloud| {
        let start = Instant::now();
        let answer = call(&cloud, &order, &path.with_file_name("manifest.bin"));
        took = start.elapsed();
        sockets = open_sockets();
        answer
    });
    let mut report = match result {
        Ok(answer) => json!({ "code": "ok", "answer": answer }),
        Err(error) => {
            let report = error.report();
            json!({ "code": report.code, "sentence": report.sentence, "hint": report.hint })
        }
    };
    report["took_ms"] = u64::try_from(took.as_millis()).unwrap().into();
    report["sockets"] = json!([sockets, open_sockets()]);
    report["notices"] = heard.0.lock().unwrap().clone().into();
    std::fs::write(path.with_file_name("report.json"), report.to_string()).unwrap();
}

fn call(cloud: &Cloud, order: &Value, manifest: &std::path::Path) -> snow_onboard::error::Result<Value> {
    let job = || order["job"].as_str().unwrap().parse().unwrap();
    match order["what"].as_str().unwrap() {
        "fetch" => {
            let mut file = Plain(std::fs::File::create(manifest).unwrap());
            let mut full = Full(order["room"].as_u64().unwrap_or(0) as usize);
            let sink: &mut dyn Sink = if order["room"].is_u64() { &mut full } else { &mut file };
            let pair = cloud.fetch_pair(&job(), None, sink)?;
            // Debug of the pair is what a careless log line would print.
            #[allow(clippy::use_debug, clippy::print_stdout)]
            {
                println!("{pair:?}");
            }
            Ok(json!({ "facts": facts(&pair.facts), "code": pair.code.expose(str::to_owned), "bytes": pair.bytes }))
        }
        "job" => cloud.job(&job()).map(|job| facts(&job)),
        "identity" => cloud.identity().map(|identity| {
            let found = cloud.credentials_in_use().unwrap();
            json!({
                "account": identity.account, "arn": identity.arn, "source": found.source,
                "temporary": found.temporary, "sign_in": found.sign_in,
                "expires": found.expires.map(time::OffsetDateTime::unix_timestamp),
                "clocks_apart": cloud.clocks().map(|(here, there)| (there - here).whole_seconds()),
            })
        }),
        "jobs" => cloud.jobs().map(|jobs| jobs.iter().map(facts).collect()),
        other => panic!("{other}?"),
    }
}

fn facts(job: &JobFacts) -> Value {
    json!({
        "id": job.id, "state": job.state.as_api(), "kind": job.kind, "device_type": job.device_type,
        "description": job.description, "created": job.created.map(time::OffsetDateTime::unix_timestamp),
        "tracking": job.tracking_number, "cluster": job.cluster, "is_main": job.is_main,
    })
}

fn open_sockets() -> u64 {
    let Ok(handles) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let is_network = |target: PathBuf| {
        let inode = target.to_string_lossy().strip_prefix("socket:[").map(|rest| rest.trim_end_matches(']').to_owned());
        let tcp =
            ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
        inode.is_some_and(|inode| tcp.iter().any(|table| table.split_whitespace().any(|word| word == inode)))
    };
    handles
        .flatten()
        .filter_map(|handle| std::fs::read_link(handle.path()).ok())
        .filter(|path| is_network(path.clone()))
        .count() as u64
}
