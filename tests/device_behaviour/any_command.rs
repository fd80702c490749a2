//! Any command of the client through an open session: as typed, while somebody looks on, without the code.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use snow_onboard::device::{ClientExit, ClientStreams, Session};
use snow_onboard::error::Result;

use crate::saying_no_code::spellings;
use crate::stage::{A_SECOND, CODE, Stage, code_of, is_alive, wait_for};

const LIMIT: Option<Duration> = Some(Duration::from_secs(60));

/// What a command said, and how it ended.
struct Said {
    output: Vec<u8>,
    errors: Vec<u8>,
    exit: Result<ClientExit>,
}

fn run(session: &mut Session, args: &[&str], input: Option<Vec<u8>>) -> Said {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let input = input.map(|input| Box::new(io::Cursor::new(input)) as Box<dyn io::Read + Send>);
    let exit =
        session.run(&args, LIMIT, ClientStreams { input, output: &mut output, is_shown: false, errors: &mut errors });
    Said { output, errors, exit }
}

#[test]
fn a_line_appears_before_the_client_ends() {
    /// Lets the client go on when it has seen what it said first.
    struct Reader(Vec<u8>, PathBuf);
    impl Write for Reader {
        fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
            self.0.extend_from_slice(piece);
            if self.0.ends_with(b"Really? ") {
                std::fs::write(&self.1, "")?;
            }
            Ok(piece.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let stage = Stage::new(
        "other() { printf 'first\\nReally? '; until [ -e \"$W/go\" ]; do sleep 0.05; done; echo last; exit 7; }",
    );
    let mut session = stage.hand_over().unwrap();
    let mut output = Reader(Vec::new(), stage.work().join("go"));
    let streams = ClientStreams { input: None, output: &mut output, is_shown: false, errors: &mut io::sink() };
    let exit = session.run(&["wait".to_owned()], LIMIT, streams).unwrap();
    assert_eq!(exit, ClientExit { code: Some(7), signal: None });
    assert_eq!(output.0, b"first\nReally? last\n");
    drop(session);
    stage.assert_nothing_left();
    stage.assert_the_code_was_private();
}

#[test]
fn ordinary_output_passes_byte_for_byte_and_arguments_are_left_alone() {
    let stage = Stage::new("other() { cat \"$W/bytes\"; printf 'no \\377\\n' >&2; }");
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    std::fs::write(stage.work().join("bytes"), &bytes).unwrap();
    let mut session = stage.hand_over().unwrap();
    let said = run(&mut session, &["list-files", "{code}", "--endpoint", "a  b", ""], None);
    assert_eq!(said.exit.unwrap(), ClientExit { code: Some(0), signal: None });
    assert!(said.output == bytes, "{} bytes came", said.output.len());
    assert!(said.errors.ends_with(b"no \xff\n"));
    assert!(stage.seen().contains("args: list-files {code} --endpoint a  b \n"));
    stage.assert_the_code_was_private();
}

#[test]
fn a_code_in_pieces_of_three_bytes_stays_in_the_guard() {
    let stage = Stage::new("other() { dd if=\"$W/$2\" bs=3 2>/dev/null; dd if=\"$W/$2\" bs=7 >&2 2>/dev/null; }");
    let mut session = stage.hand_over().unwrap();
    for (number, spelling) in spellings().into_iter().enumerate() {
        let name = format!("spelling{number}");
        std::fs::write(stage.work().join(&name), format!("before {spelling} after\n")).unwrap();
        let said = run(&mut session, &["say", &name], None);
        said.exit.unwrap();
        let output = String::from_utf8(said.output).unwrap();
        assert!(output.starts_with("before ") && output.ends_with(" after\n"), "{output}");
        // A machine that pauses in the middle shows seven characters at the most.
        assert!(output.contains("[unlock code]") && !output.contains(&spelling[spelling.len() / 2..]), "{output}");
        assert!(output.len() < "before [unlock code] after\n".len() + 30, "{output}");
    }
    drop(session);
    stage.assert_nothing_left();
}

#[test]
fn input_arrives_whole_and_so_does_its_end() {
    let stage = Stage::new("other() { cat; echo end; }");
    let mut session = stage.hand_over().unwrap();
    let input: Vec<u8> = (0..=255).rev().cycle().take(100_000).collect();
    let said = run(&mut session, &["put"], Some(input.clone()));
    assert_eq!(said.exit.unwrap().code, Some(0));
    assert!(said.output == [&input[..], b"end\n"].concat(), "{} bytes came", said.output.len());
    let without = run(&mut session, &["put"], None);
    assert_eq!(without.output, b"end\n");
    // One that reads nothing is not waited for, and the next one gets none of it.
    let endless = ClientStreams {
        input: Some(Box::new(io::repeat(b'x'))),
        output: &mut io::sink(),
        is_shown: false,
        errors: &mut io::sink(),
    };
    assert_eq!(session.run(&["version".to_owned()], LIMIT, endless).unwrap().code, Some(0));
    assert_eq!(run(&mut session, &["put"], Some(b"mine\n".to_vec())).output, b"mine\nend\n");
    assert!(session.describe().unwrap().is_some(), "and the session goes on");
}

#[test]
fn how_it_ends_is_told() {
    let stage = Stage::new("other() { case $1 in gone) kill -9 $$ ;; slow) sleep 600 ;; *) exit \"$1\" ;; esac; }");
    let mut session = stage.hand_over().unwrap();
    for code in [0, 1, 64, 255] {
        let said = run(&mut session, &[&code.to_string()], None);
        assert_eq!(said.exit.unwrap(), ClientExit { code: Some(code), signal: None });
    }
    assert_eq!(run(&mut session, &["gone"], None).exit.unwrap(), ClientExit { code: None, signal: Some(9) });
    let streams = ClientStreams { input: None, output: &mut io::sink(), is_shown: false, errors: &mut io::sink() };
    let limited = session.run(&["slow".to_owned()], Some(Duration::from_secs(1)), streams);
    assert_eq!(code_of(limited), "client_hung");
    assert!(session.describe().unwrap().is_some(), "and the session goes on");
    drop(session);
    stage.assert_nothing_left();
}

#[test]
fn a_reader_that_goes_away_is_the_client_s_to_see_and_one_that_fails_ends_it() {
    struct Gone(io::ErrorKind);
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let stage = Stage::new(
        "other() { case $1 in goes-on) trap '' PIPE ;; esac; for i in $(seq 40000); do echo more; done; echo ended >&2; exit 7; }",
    );
    let mut session = stage.hand_over().unwrap();
    let mut run = |command: &str, kind| {
        let (mut output, mut errors) = (Gone(kind), Vec::new());
        let streams = ClientStreams { input: None, output: &mut output, is_shown: false, errors: &mut errors };
        (session.run(&[command.to_owned()], None, streams), String::from_utf8(errors).unwrap())
    };
    let (exit, errors) = run("ends", io::ErrorKind::BrokenPipe);
    assert_eq!(exit.unwrap(), ClientExit { code: None, signal: Some(13) }, "{errors}");
    let (exit, errors) = run("goes-on", io::ErrorKind::BrokenPipe);
    assert_eq!(exit.unwrap(), ClientExit { code: Some(7), signal: None });
    assert!(errors.ends_with("ended\n"), "{errors}");
    assert_eq!(code_of(run("ends", io::ErrorKind::StorageFull).0), "output_lost");
    stage.assert_nothing_left();
}

#[test]
fn the_death_of_the_agent_ends_it() {
    let stage = Stage::new("other() { echo $$ >\"$W/other\"; sleep 600 & echo $! >>\"$W/pids\"; cat; wait; }");
    let mut agent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "endings::agent_to_be_killed", "--ignored", "--nocapture"])
        .env("SNOW_ONBOARD_TEST_STAGE", stage.launcher())
        .env("SNOW_ONBOARD_TEST_ENDPOINT", stage.endpoint.to_string())
        .env("SNOW_ONBOARD_TEST_PLACE", stage.place())
        .env("SNOW_ONBOARD_TEST_MANIFEST", stage.manifest())
        .env("SNOW_ONBOARD_TEST_COMMAND", "stay")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the command", Duration::from_secs(60), || stage.number("other").is_some());
    assert!(is_alive(stage.number("other").unwrap()) && stage.homes().len() == 1, "a control");
    agent.kill().unwrap();
    stage.assert_nothing_left();
    wait_for("the end of the guard", A_SECOND, || !is_alive(stage.number("guard").unwrap()));
    agent.wait().unwrap();
    assert!(!stage.seen().contains(CODE));
}
