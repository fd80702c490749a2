//! Processes that panic: this very program of tests, started again for one scene.

#[cfg(unix)]
use std::io::Read as _;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::report::Observer;
#[cfg(unix)]
use crate::report::{Event, Step};
use crate::ui::OutputMode;

/// Names the scene; absent in a test run that is nobody's child.
const SCENE: &str = "BUG_TEST_SCENE";

/// A process that plays this scene, and was started with these words beside.
fn process(scene: &str, words: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "commands::bug::tests::in_a_child", "--ignored", "--nocapture"]).args(words);
    command.env(SCENE, scene).stdin(Stdio::null());
    command
}

/// What the process says before the scene begins is the test runner's.
fn played(scene: &str, words: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = process(scene, words).output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    let stdout = stdout.trim_start().trim_start_matches("running 1 test").trim_start();
    (status.code(), stdout.to_owned(), String::from_utf8(stderr).unwrap())
}

fn voice(ui: Ui) -> Arc<Ui> {
    let ui = Arc::new(ui);
    let job = "JID12345678-0000-4000-8000-000000000001".parse().unwrap();
    tell_with(&ui, &Reporter::new(Arc::clone(&ui) as Arc<dyn Observer>, Some(job)));
    ui
}

/// A log of which the first line panics, or never comes to be written.
struct Log(&'static str);

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        static LINES: AtomicUsize = AtomicUsize::new(0);
        match (LINES.fetch_add(1, Ordering::SeqCst), self.0) {
            (0, "panics") => panic!("another secret"),
            (0, _) => loop {
                std::thread::park();
            },
            _ => Ok(line.len()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn in_a_child() {
    let Ok(scene) = std::env::var(SCENE) else { return };
    let part = match scene.as_str() {
        "completion" => Part::Completion,
        "helper" => Part::CredentialsHelper,
        _ => Part::Agent,
    };
    std::panic::set_hook(Box::new(move |panic| part.end_by_bug(panic.location())));
    let log = |what| tracing_subscriber::fmt().with_writer(Mutex::new(Log(what))).init();
    match scene.as_str() {
        "json" => drop(voice(Ui::of(OutputMode::Json, "run"))),
        "the log hangs" => {
            voice(Ui::of(OutputMode::Quiet, "run"));
            log("hangs");
        }
        "the log panics" => {
            voice(Ui::of(OutputMode::Quiet, "run"));
            log("panics");
        }
        "stderr is taken" => {
            let _taken = std::io::stderr().lock();
            panic!("the secret");
        }
        "several at once" => std::thread::scope(|scope| {
            (0..8).for_each(|_| drop(scope.spawn(|| panic!("the secret"))));
        }),
        #[cfg(unix)]
        "helper" => {
            let mut program = Command::new("sh");
            // Whatever hangs up on it: it goes on.
            program.args(["-c", "trap '' HUP TERM; exec sleep 600"]);
            let proc = process::Proc::spawn(program).unwrap();
            // By whoever lives long enough to say it.
            std::io::stdout().write_all(proc.group().to_string().as_bytes()).unwrap();
            std::io::stdout().flush().unwrap();
            std::mem::forget(proc);
        }
        #[cfg(unix)]
        "a terminal" => {
            let ui = voice(Ui::of(OutputMode::Plain, "run").with_status());
            os::stop_echo();
            ui.event(None, &Event::Started(Step::Device));
            use rustix::termios::{LocalModes, tcgetattr};
            assert!(!tcgetattr(std::io::stdin()).unwrap().local_modes.contains(LocalModes::ECHO), "a control");
            std::io::stdin().read_exact(&mut [0]).unwrap();
        }
        _ => {}
    }
    // Where somebody waits for the thread, and would go on.
    let _ = std::thread::spawn(|| panic!("the secret")).join();
    std::io::stdout().write_all(b"it went on").unwrap();
}

#[track_caller]
fn assert_told(stderr: &str) {
    assert_eq!(stderr.matches("a panic at src/commands/bug/tests.rs:").count(), 1, "{stderr}");
}

#[test]
fn a_panic_on_any_thread_ends_the_process_and_is_told_without_its_message() {
    for scene in ["before a command", "several at once"] {
        let (code, stdout, stderr) = played(scene, &[]);
        assert_told(&stderr);
        assert!(!stderr.contains("secret") && stdout.is_empty(), "{stdout}{stderr}");
        assert_eq!(code, Some(ExitCode::Internal as i32), "{scene}");
    }
}

#[test]
fn a_program_that_asked_for_json_reads_of_it_in_json() {
    let (code, stdout, stderr) = played("json", &[]);
    let event: serde_json::Value = serde_json::from_str(stdout.trim()).unwrap();
    assert_eq!(event["event"], "error");
    assert_eq!(event["code"], "internal");
    assert_eq!(event["job"], "JID12345678-0000-4000-8000-000000000001");
    assert_told(&stdout);
    assert_eq!((code, stderr.as_str()), (Some(ExitCode::Internal as i32), ""));
}

#[test]
fn one_of_client_is_told_from_what_the_client_ends_with() {
    let (code, _, stderr) = played("before a command", &["client"]);
    assert_told(&stderr);
    assert_eq!(code, Some(ExitCode::NotTheClients as i32));
}

#[test]
fn what_hangs_or_panics_while_it_is_told_holds_up_neither_the_telling_nor_the_end() {
    for scene in ["the log hangs", "the log panics"] {
        let (code, _, stderr) = played(scene, &[]);
        assert_told(&stderr);
        assert!(!stderr.contains("secret"), "{stderr}");
        assert_eq!(code, Some(ExitCode::Internal as i32), "{scene}");
    }
    // Then there is nothing to tell it by.
    assert_eq!(played("stderr is taken", &[]), (Some(ExitCode::Internal as i32), String::new(), String::new()));
}

#[test]
fn whoever_types_a_command_line_sees_nothing_of_it() {
    assert_eq!(played("completion", &[]), (Some(0), String::new(), String::new()));
}

#[test]
#[cfg(unix)]
fn a_helper_takes_its_program_along_and_says_nothing() {
    let (code, stdout, stderr) = played("helper", &[]);
    assert_eq!((code, stderr.as_str()), (Some(PANICKED), ""));
    let program = rustix::process::Pid::from_raw(stdout.trim().parse().unwrap()).unwrap();
    // Its parent, who waited for its end, is gone; whoever has it now may not have collected it yet.
    let is_there = || {
        let state = std::fs::read_to_string(format!("/proc/{program}/stat")).unwrap_or_default();
        rustix::process::test_kill_process(program).is_ok() && !state.contains(") Z ")
    };
    assert!(!is_there());
}

#[test]
#[cfg(unix)]
fn the_terminal_shows_again_what_is_typed_and_nothing_of_what_was_drawn() {
    use rustix::termios::{LocalModes, tcgetattr};
    let (mut pty, inner) = pty_process::blocking::open().unwrap();
    pty.resize(pty_process::Size::new(24, 100)).unwrap();
    let mut command = process("a terminal", &[]);
    command.env("TERM", "xterm-256color");
    let mut child = pty_process::blocking::Command::from(command).spawn(inner).unwrap();
    let mut screen = vt100::Parser::new(24.try_into().unwrap(), 100.try_into().unwrap(), 0);
    let mut piece = [0; 4096];
    let mut has_gone_on = false;
    while let Ok(length @ 1..) = pty.read(&mut piece) {
        screen.process(&piece[..length]);
        if !has_gone_on && screen.screen().contents().contains("Device") {
            pty.write_all(b"\n").unwrap();
            has_gone_on = true;
        }
    }
    let screen = screen.screen().contents();
    assert!(has_gone_on && !screen.contains("Device"), "{screen}");
    assert_told(&screen.replace('\n', ""));
    assert!(tcgetattr(&pty).unwrap().local_modes.contains(LocalModes::ECHO), "{screen}");
    assert_eq!(child.wait().unwrap().code(), Some(ExitCode::Internal as i32));
}
