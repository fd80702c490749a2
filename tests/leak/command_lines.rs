//! Neither argument lists nor environments hold the code: every process of the machine sampled as fast as one thread
//! can, and every program that is started below the agent traced.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use snow_rehearsal::{ClientOptions, Rehearsal};

use crate::needles::Needles;
use crate::process::{self, may_trace_or_rerun, wait_until};
use crate::stage::Stage;
use crate::table;

/// A thread that looks at all processes again and again.
pub(crate) struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

#[derive(Default)]
pub(crate) struct Seen {
    /// Copies, by process, place and secret.
    copies: BTreeSet<(u32, &'static str, usize)>,
    looks: u32,
    took: Duration,
}

impl Seen {
    pub(crate) fn of(&self, secret: usize) -> usize {
        self.copies.iter().filter(|(_, _, of)| *of == secret).count()
    }

    pub(crate) fn pace(&self) -> String {
        format!("{} looks, one in {} µs", self.looks, self.took.as_micros() / u128::from(self.looks.max(1)))
    }
}

impl Sampler {
    /// Looks for secrets in every process that is started from now on; in those there are, now and then.
    pub(crate) fn start(secrets: &[&str]) -> Self {
        let old: BTreeSet<u32> = process::all().collect();
        let secrets: Vec<Needles> = secrets.iter().map(|secret| Needles::of(secret)).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut seen, start) = (Seen::default(), Instant::now());
            while !stopped.load(Ordering::Relaxed) {
                let all = seen.looks % 64 == 0;
                for pid in process::all().filter(|pid| all || !old.contains(pid)) {
                    look(pid, &secrets, &mut seen);
                }
                seen.looks += 1;
                thread::yield_now();
            }
            seen.took = start.elapsed();
            seen
        });
        Self { stop, thread }
    }

    pub(crate) fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn look(pid: u32, secrets: &[Needles], seen: &mut Seen) {
    for place in ["cmdline", "environ"] {
        let Ok(text) = process::read(pid, place) else { continue };
        for (number, needles) in secrets.iter().enumerate() {
            if needles.count(&text) > 0 {
                seen.copies.insert((pid, place, number));
            }
        }
    }
}

/// What a sampler finds of a secret that a process has in both places.
pub(crate) fn control() -> usize {
    const PLANTED: &str = "beef1-8suds-kshd6-7hhas-876as";
    let sampler = Sampler::start(&[PLANTED]);
    let mut sleep = Command::new("sh");
    sleep.args(["-c", "sleep 0.2; exit", PLANTED]).env("PLANTED", PLANTED);
    let mut sleep = sleep.spawn().unwrap();
    let pid = sleep.id();
    sleep.wait().unwrap();
    let seen = sampler.finish();
    let found = ["cmdline", "environ"].into_iter().filter(|place| seen.copies.contains(&(pid, place, 0))).count();
    assert_eq!(found, 2, "both places are seen");
    found
}

/// A client that takes its time, so that it can be looked at.
pub(crate) fn slow() -> ClientOptions {
    ClientOptions { start_delay_ms: 50, ..ClientOptions::default() }
}

/// Gives the agent its key in a file: with the key in its own environment, as it may be, a child would seem to have it
/// for as long as it shares the agent's memory before its `exec`.
fn key_in_a_file(stage: &Stage, command: &mut Command) {
    let path = stage.rehearsal.home().join("credentials");
    let (id, key) = (stage.rehearsal.access_key(), stage.rehearsal.secret_key());
    std::fs::write(&path, format!("[default]\naws_access_key_id={id}\naws_secret_access_key={key}\n")).unwrap();
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("AWS_SHARED_CREDENTIALS_FILE", path);
}

#[test]
fn no_process_of_the_machine_shows_it() {
    if !may_trace_or_rerun("command_lines::no_process_of_the_machine_shows_it") {
        return;
    }
    let control = control();
    let stage = Stage::with_keyring(Rehearsal::builder().client(slow()));
    let code = stage.rehearsal.job().unlock_code();
    let client = stage.with_client(&["client", &stage.id()], &["describe-device"]);
    let others = [("status", stage.with_client(&["status"], &[])), ("client", client)];
    for (what, mut command) in [("fetch", stage.fetch()), ("run", stage.run())].into_iter().chain(others) {
        key_in_a_file(&stage, &mut command);
        let sampler = Sampler::start(&[&code, stage.rehearsal.secret_key()]);
        assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
        let seen = sampler.finish();
        for (number, secret) in ["code", "AWS secret key"].into_iter().enumerate() {
            let place = format!("all argument lists and environments, {what} ({})", seen.pace());
            table::none(secret, &place, seen.of(number), control);
        }
    }
}

/// The way that is not private, and says so: with it the same look finds the code.
#[test]
fn the_command_line_shows_it_where_that_was_allowed() {
    if !may_trace_or_rerun("command_lines::the_command_line_shows_it_where_that_was_allowed") {
        return;
    }
    let client = ClientOptions { ignores_our_home: true, ..slow() };
    let stage = Stage::without_keychain(Rehearsal::builder().client(client));
    let code = stage.rehearsal.job().unlock_code();
    let sampler = Sampler::start(&[&code]);
    let output = stage.run().arg("--allow-argv").output().unwrap();
    let seen = sampler.finish();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("command line for"), "it says for how long: {text}");
    table::row("code", "argument lists, run with --allow-argv: where it is expected", seen.of(0), seen.of(0));
    assert!(seen.copies.iter().any(|(_, place, _)| *place == "cmdline"));
    assert!(!seen.copies.iter().any(|(_, place, _)| *place == "environ"), "in no environment even then");
}

/// Every `execve` of `command` and its descendants, a line each, with the full argument list and environment.
fn traced(command: &[&str], surround: impl FnOnce(&mut Command)) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("trace");
    let mut strace = Command::new("strace");
    surround(&mut strace);
    strace.args(["--follow-forks", "--trace=execve,execveat", "--string-limit=100000", "--no-abbrev"]);
    strace.args(["--signal=none", "--output"]).arg(&log).args(command);
    let status = strace.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.unwrap_or_else(|_| panic!("strace is missing. Install it with:\n  apt-get install -y strace"));
    assert!(status.success(), "{status}");
    wait_until("the trace", || log.exists());
    let text = std::fs::read_to_string(&log).unwrap();
    text.lines().filter(|line| line.contains("execve")).map(str::to_owned).collect()
}

#[test]
fn no_program_is_started_with_it() {
    // Who is neither root nor its equal sees no argument of a process that is closed to others.
    if !may_trace_or_rerun("command_lines::no_program_is_started_with_it") {
        return;
    }
    const PLANTED: &str = "cafe1-8suds-kshd6-7hhas-876as";
    let lines = traced(&["sh", "-c", "env A=\"$0\" true \"$0\"; exit", PLANTED], |_| {});
    // `sh` itself, `env` and `true`, in arguments and, for the last, in its environment.
    let control = lines.iter().map(|line| Needles::of(PLANTED).count(line.as_bytes())).sum();
    assert!(lines.len() >= 3 && control >= 4, "{control} in {}", lines.join("\n"));

    let stage = Stage::without_keychain(Rehearsal::builder());
    let agent = stage.run();
    let line: Vec<&str> =
        [agent.get_program()].into_iter().chain(agent.get_args()).map(|s| s.to_str().unwrap()).collect();
    let lines = traced(&line, |strace| {
        stage.surround(strace);
    });
    let programs = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert!(programs("\"__guard\"") > 0 && programs("\"unlock-device\"") > 0, "guard and client are among them");
    assert!(programs("-Duser.home=") > 0, "and so are environments");
    // The first line is the agent itself, with the key that it was given.
    let below = lines[1..].join("\n");
    assert!(lines[0].contains("AWS_SECRET_ACCESS_KEY=") && !below.contains("\"AWS_"), "no variable of AWS goes on");
    let place = format!("all {} programs started below the agent", lines.len() - 1);
    for (secret, needles) in [
        ("code", stage.code()),
        ("signature", Needles::of(&stage.signature())),
        ("AWS secret key", Needles::of(stage.rehearsal.secret_key())),
    ] {
        table::none(secret, &place, needles.count(below.as_bytes()), control);
    }
}
