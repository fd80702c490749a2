//! `client`: any command of the vendor's client, as if it had been started alone, but for the code.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use snow_rehearsal::{ClientOptions, Rehearsal, State};

use crate::agent::{Agent, Ended, contains, files_with, state, wait_until};
use crate::events;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::process::is_alive;
use crate::secret_service::on_the_bus;

/// What the launcher does besides starting the stand-in: commands of the tests' own, which need no JVM. `code` is what the profile in
/// the private home says.
const PROBE: &str = r#"
if [ "$1" = probe ]; then
  shift; what=$1; shift
  code() { sed 's/.*"unlockCode":"\([^"]*\)".*/\1/' "$HOME/.aws/snowball/config/snowball-edge.config"; }
  case $what in
    args) for word; do printf '<%s>\n' "$word"; done ;;
    cat) cat; printf 'complained\n' >&2 ;;
    stream) head -c "$1" /dev/zero | tr '\0' 'z' ;;
    bytes) i=0; while [ $i -lt 256 ]; do printf "\\$(printf %o $i)"; i=$((i + 1)); done ;;
    write) echo written >"$1"; pwd ;;
    exit) exit "$1" ;;
    signal) kill "-$1" $$ ;;
    more) while echo more; do :; done ;;
    say) code; code >&2; code | base64; printf '\000'; code ;;
    profiles) grep -o '"name":"[^"]*"' "$HOME/.aws/snowball/config/snowball-edge.config" ;;
    stay) trap 'echo bye; exit 7' INT; echo "ready $$ $HOME"; while :; do sleep 0.1; done ;;
    stubborn) trap '' INT; echo "ready $$ $HOME"; while :; do sleep 0.1; done ;;
  esac
  exit
fi
"#;

/// A job whose pair is stored and whose device is open.
struct Scene {
    rehearsal: Rehearsal,
    bus: KeyringBus,
    folder: tempfile::TempDir,
}

impl Scene {
    fn set() -> Self {
        Self::with(ClientOptions::default(), &[])
    }

    fn with(client: ClientOptions, run: &[&str]) -> Self {
        let rehearsal = Rehearsal::builder().client(client).start().unwrap();
        let launcher = rehearsal.client_path();
        let text = std::fs::read_to_string(launcher).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        std::fs::write(launcher, format!("{first}\n{PROBE}{rest}")).unwrap();
        let bus = KeyringBus::start(Keyring::Unlocked);
        on_the_bus(Agent::run(&rehearsal, run), &bus).end().done();
        Self { rehearsal, bus, folder: tempfile::tempdir().unwrap() }
    }

    /// `client JOB MORE… -- ARGS…` in a folder of the caller's, without AWS.
    fn client_with(&self, more: &[&str], args: &[&str]) -> Command {
        let (id, client) = (self.rehearsal.job().id().to_owned(), self.rehearsal.client_path().to_str().unwrap());
        let mut line = vec!["client", &id, "--client", client];
        line.extend(more);
        line.push("--");
        line.extend(args);
        let agent = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"]
            .iter()
            .fold(Agent::bare(line).envs(self.rehearsal.env()), |agent, name| agent.without_env(name))
            .env("AWS_ENDPOINT_URL_SNOWBALL", "https://127.0.0.1:9");
        let mut command = on_the_bus(agent, &self.bus).into_command();
        command.current_dir(self.folder.path());
        command
    }

    fn client(&self, args: &[&str]) -> Command {
        self.client_with(&[], args)
    }

    fn output(&self, args: &[&str]) -> Output {
        self.client(args).output().unwrap()
    }

    /// No private home is left, and no code anywhere but in the keychain.
    fn nothing_left(&self) {
        for call in self.rehearsal.client_invocations().unwrap() {
            assert!(!call.user_home.exists(), "{}", call.user_home.display());
        }
        let code = self.rehearsal.job().unlock_code();
        assert!(files_with(&state(&self.rehearsal), &code).is_empty());
        assert!(files_with(self.folder.path(), &code).is_empty());
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_command_without_a_profile_finds_the_pair_and_argv_is_as_typed() {
    let scene = Scene::set();
    let asked = scene.rehearsal.requests().len();
    for args in [&["describe-device"][..], &["describe-device", "--profile", "snow-onboard"]] {
        let ended = scene.output(args);
        assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(0), String::new()), "{}", text(&ended.stdout));
        let said: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(
            (&said["DeviceId"], &said["UnlockStatus"]["State"]),
            (&scene.rehearsal.job().id().into(), &"UNLOCKED".into())
        );
    }
    let unknown = scene.output(&["describe-device", "--profile", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1), "the client's own");
    assert!(text(&unknown.stderr).contains("there is no profile nobody"), "{}", text(&unknown.stderr));
    let names = text(&scene.output(&["probe", "profiles"]).stdout);
    assert_eq!(names.lines().count(), 3, "{names}");
    assert!(names.contains("\"default\"") && names.contains("\"snow-onboard\""), "{names}");

    let ips = ["associate-device", "--device-ip-addresses", "192.0.2.1", "192.0.2.2", "192.0.2.3", "{code}", ""];
    assert_eq!(scene.output(&ips).status.code(), Some(1), "one that the stand-in does not have");
    let calls = scene.rehearsal.client_invocations().unwrap();
    assert_eq!(calls.last().unwrap().argv[1..], ips, "as typed");
    let code = scene.rehearsal.job().unlock_code();
    for call in &calls {
        let environment = call.env.iter().map(|(name, value)| format!("{name}={value}"));
        assert!(!call.argv.iter().cloned().chain(environment).any(|word| word.contains(&code)), "{:?}", call.argv);
    }
    assert_eq!(scene.rehearsal.requests().len(), asked, "AWS was not asked");
    let audit = std::fs::read_to_string(state(&scene.rehearsal).join("audit.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of =
        |command: &str| lines.iter().filter(|line| line["purpose"] == "client" && line["command"] == command).count();
    assert_eq!((of("describe-device"), of("associate-device")), (6, 2), "{audit}");
    assert!(!audit.contains("192.0.2.2"), "no argument: {audit}");
    scene.nothing_left();
}

#[test]
fn words_streams_folder_and_exit_code_are_those_of_the_client_alone() {
    let scene = Scene::set();
    let words = ["a  b", "*", "$HOME", "--json", "", "ä", "-v", "--"];
    let ended = scene.output(&[&["probe", "args"][..], &words].concat());
    assert_eq!(text(&ended.stdout), words.map(|word| format!("<{word}>\n")).concat());
    assert_eq!(text(&ended.stderr), "");
    for code in [0, 1, 42, 125, 255] {
        assert_eq!(scene.output(&["probe", "exit", &code.to_string()]).status.code(), Some(code));
    }
    assert_eq!(scene.output(&["probe", "signal", "KILL"]).status.code(), Some(137));
    assert_eq!(scene.output(&["probe", "signal", "TERM"]).status.signal(), Some(15));
    assert_eq!(scene.output(&["probe", "bytes"]).stdout, (0..=255).collect::<Vec<u8>>());

    let ended = scene.output(&["probe", "write", "a file"]);
    assert_eq!(text(&ended.stdout).trim(), scene.folder.path().canonicalize().unwrap().to_str().unwrap());
    let file = scene.folder.path().join("a file");
    let beside = scene.folder.path().join("beside");
    std::fs::write(&beside, "").unwrap();
    let mode = |path: &PathBuf| path.metadata().unwrap().permissions().mode();
    assert_eq!(mode(&file), mode(&beside), "with the caller's umask");
    scene.nothing_left();
}

#[test]
fn what_the_client_does_not_read_of_a_pipe_stays_in_it() {
    let scene = Scene::set();
    let input: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let mut command = scene.client(&["probe", "cat"]);
    let mut agent = command.stdin(Stdio::piped()).spawn().unwrap();
    let (mut stdin, sent) = (agent.stdin.take().unwrap(), input.clone());
    let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    let ended = agent.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(ended.stdout == input, "{} bytes came", ended.stdout.len());
    assert_eq!(text(&ended.stderr), "complained\n");

    let list = scene.folder.path().join("list");
    std::fs::write(&list, "one\ntwo\n").unwrap();
    let command = scene.client(&["probe", "exit", "0"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "while read -r line; do \"$@\" && echo \"$line\"; done", "sh"]);
    shell.arg(command.get_program()).args(command.get_args()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = shell.stdin(std::fs::File::open(&list).unwrap()).output().unwrap();
    assert_eq!(text(&ended.stdout), "one\ntwo\n", "{}", text(&ended.stderr));
}

#[test]
fn a_reader_that_has_read_enough_ends_the_client_as_it_would_alone() {
    let scene = Scene::set();
    let mut agent = scene.client(&["probe", "more"]).spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(16, agent.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "more\n");
    let ended = agent.wait_with_output().unwrap();
    assert!(!ended.status.success());
    assert!(!text(&ended.stderr).contains("snow-onboard"), "{}", text(&ended.stderr));
    scene.nothing_left();
}

#[test]
fn the_first_interrupt_is_the_client_s_and_the_second_ends_both() {
    let scene = Scene::set();
    let start = |what: &str| {
        let mut agent = scene.client(&["probe", what]).spawn().unwrap();
        let mut output = BufReader::new(agent.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(words.first().map(String::as_str), Some("ready"), "{line}");
        let (pid, home): (u32, PathBuf) = (words[1].parse().unwrap(), words[2].clone().into());
        assert!(is_alive(pid) && home.exists(), "the control");
        (agent, output, pid, home)
    };
    let (agent, mut output, _, home) = start("stay");
    kill_process(Pid::from_child(&agent), Signal::INT).unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let ended = agent.wait_with_output().unwrap();
    assert_eq!((rest.as_str(), ended.status.code(), text(&ended.stderr)), ("bye\n", Some(7), String::new()));
    assert!(!home.exists());

    let (agent, _output, pid, home) = start("stubborn");
    kill_process(Pid::from_child(&agent), Signal::INT).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(is_alive(pid) && is_alive(agent.id()), "it goes on, as alone");
    kill_process(Pid::from_child(&agent), Signal::INT).unwrap();
    let ended = agent.wait_with_output().unwrap();
    assert_eq!((ended.status.signal(), text(&ended.stderr)), (Some(2), String::new()));
    wait_until("the client and its home to go", || !is_alive(pid) && !home.exists());

    // Promise 3.
    let (mut agent, _output, pid, home) = start("stubborn");
    agent.kill().unwrap();
    agent.wait().unwrap();
    wait_until("the client and its home to go", || !is_alive(pid) && !home.exists());
    scene.nothing_left();
}

#[test]
fn no_code_is_said_and_every_other_byte_is() {
    let scene = Scene::set();
    let code = scene.rehearsal.job().unlock_code();
    let ended = scene.output(&["probe", "say"]);
    assert!(ended.status.success());
    for said in [&ended.stdout, &ended.stderr] {
        assert!(contains(said, "[unlock code]"), "the control: something was to be said: {}", text(said));
        assert!(!contains(said, &code) && !contains(said, &code[6..17]), "{}", text(said));
    }
    assert!(contains(&ended.stdout, "\0[unlock code]"), "also after a byte of binary data: {}", text(&ended.stdout));
    let log = scene.client_with(&["-vv"], &["probe", "say"]).output().unwrap();
    assert!(!contains(&log.stderr, &code), "{}", text(&log.stderr));
}

#[test]
fn what_fails_before_the_client_runs_is_told_from_what_the_client_says() {
    let scene = Scene::set();
    let (id, code) = (scene.rehearsal.job().id().to_owned(), scene.rehearsal.job().unlock_code());
    let calls = || scene.rehearsal.client_invocations().unwrap().len();
    let before = calls();
    let fails = |command: &mut Command, words: &str| {
        let ended = Ended::from(command.output().unwrap()).failed(125, words);
        assert_eq!(ended.stdout, "");
        ended
    };
    let bare = |args: &[&str]| on_the_bus(Agent::bare(args).envs(scene.rehearsal.env()), &scene.bus).into_command();
    fails(&mut scene.client(&[]), "No command for the vendor's client");
    fails(&mut bare(&["client", "JID", "--", "x"]), "“JID” (argument JOB)");
    fails(&mut bare(&["client", &id, "describe-device"]), "after two hyphens");
    fails(&mut bare(&["client", &id, "--unheard-of", "--", "x"]), "--unheard-of");
    fails(&mut bare(&["client"]), "required");
    fails(&mut scene.client_with(&["--keychain", "none"], &["describe-device"]), "keychain is none");
    let other = "JID00000000-0000-4000-8000-000000000000";
    fails(&mut bare(&["client", other, "--", "describe-device"]), "are not both stored");
    for args in [
        &["unlock-device", "--unlock-code", &code][..],
        &["unlock-device", "--unlock-code=x"],
        &["unlock-device", "--Unlock", "x"],
        &["probe", "args", &format!("--x={code}")],
    ] {
        let refused = fails(&mut scene.client(args), "contains an unlock code");
        assert!(!refused.stderr.contains(&code), "{}", refused.stderr);
    }
    fails(&mut scene.client_with(&["--endpoint", "127.0.0.1:9"], &["describe-device"]), "can't be reached");
    let json = scene.client_with(&["--endpoint", "127.0.0.1:9", "--json"], &["describe-device"]).output().unwrap();
    assert_eq!((json.status.code(), text(&json.stdout)), (Some(125), String::new()));
    let said = text(&json.stderr);
    assert_eq!(events::flaw_of_all(&said), None, "{said}");
    let error: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&error["code"], &error["exit"]), (&"device_unreachable".into(), &125.into()));
    let json = bare(&["client", &id, "--json", "describe-device"]).output().unwrap();
    assert_eq!((json.status.code(), text(&json.stdout)), (Some(125), String::new()));
    assert_eq!(events::flaw_of_all(&text(&json.stderr)), None);
    assert_eq!(calls(), before, "the client was not started");

    assert_eq!(text(&scene.client_with(&["--json"], &["probe", "args", "x"]).output().unwrap().stdout), "<x>\n");
}

#[test]
fn a_locked_device_is_no_failure_and_explains_one() {
    let scene = Scene::set();
    let failing = |scene: &Scene| scene.output(&["probe", "exit", "3"]);
    assert_eq!((failing(&scene).status.code(), text(&failing(&scene).stderr)), (Some(3), String::new()));
    scene.rehearsal.device().power_loss();
    let ended = failing(&scene);
    assert_eq!(ended.status.code(), Some(3));
    assert!(text(&ended.stderr).contains("reports LOCKED") && text(&ended.stderr).contains("snow-onboard unlock JID"));
    assert_eq!(text(&scene.output(&["probe", "args"]).stderr), "");
    assert_eq!(scene.output(&["describe-device"]).status.code(), Some(0));
    assert_eq!(scene.rehearsal.device().state(), State::Locked, "and it is left as it is");
    assert_eq!(scene.output(&["unlock-device"]).status.code(), Some(0));
}

#[test]
fn a_client_that_takes_the_code_on_its_command_line_alone_is_refused() {
    let client = ClientOptions { ignores_our_home: true, ..ClientOptions::default() };
    let scene = Scene::with(client, &["--allow-argv"]);
    let code = scene.rehearsal.job().unlock_code();
    let shown = |calls: &[snow_rehearsal::Invocation]| {
        calls.iter().filter(|call| call.argv.iter().any(|word| word.contains(&code))).count()
    };
    let before = scene.rehearsal.client_invocations().unwrap();
    assert!(shown(&before) > 0, "the control");
    let mut command = scene.client(&["describe-device"]);
    command.env("SNOW_ONBOARD_HANDOFF", "argv");
    let ended = Ended::from(command.output().unwrap()).failed(125, "never puts it on a command line");
    assert!(!ended.stderr.contains("--allow-argv"), "no way out that weakens: {}", ended.stderr);
    let after = scene.rehearsal.client_invocations().unwrap();
    assert_eq!(shown(&after), shown(&before));
}

#[test]
fn the_client_writes_the_profile_itself_and_a_command_finds_it_all_the_same() {
    let scene = Scene::set();
    // Reads nothing but what its own `configure` has written.
    let launcher = scene.rehearsal.client_path();
    let text_of = std::fs::read_to_string(launcher).unwrap();
    let (first, rest) = text_of.split_once('\n').unwrap();
    let own = r#"
case $1 in
  configure) : >"$HOME/configured" ;;
  describe-device) [ -e "$HOME/configured" ] || { echo no such profile >&2; exit 3; } ;;
esac
"#;
    std::fs::write(launcher, format!("{first}\n{own}{rest}")).unwrap();
    let names = scene.output(&["probe", "profiles"]);
    assert!(text(&names.stdout).contains("default"), "{}{}", text(&names.stdout), text(&names.stderr));
    let calls = scene.rehearsal.client_invocations().unwrap();
    assert!(calls.iter().any(|call| call.argv.iter().any(|word| word == "configure")), "the control");
}

/// What passes is bounded in memory, however slow the reader is.
#[test]
fn a_long_stream_passes_whole_and_does_not_pile_up() {
    const LENGTH: u64 = 24 << 20;
    let scene = Scene::set();
    let mut agent = scene.client(&["probe", "stream", &LENGTH.to_string()]).spawn().unwrap();
    let mut stdout = agent.stdout.take().unwrap();
    let mut piece = vec![0; 64 * 1024];
    let mut got = stdout.read(&mut piece).unwrap() as u64;
    // Nobody reads for a while.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let resident = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let most = resident(agent.id());
    assert!(most < 120 * 1024, "{most} kB");
    loop {
        match stdout.read(&mut piece).unwrap() {
            0 => break,
            read => {
                assert!(piece[..read].iter().all(|byte| *byte == b'z'));
                got += read as u64;
            }
        }
    }
    assert_eq!((got, agent.wait().unwrap().code()), (LENGTH, Some(0)));
}
