//! From the start of the process to its exit status.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command as Process, ExitCode, Stdio},
    thread,
    time::Duration,
};

use super::{
    Command, INVENTED, Invocation, StandIn, Trick,
    args::{self},
    commands::{self, Failure},
    documented, jvm,
    output::{Output, report_parse_error},
};

/// How the process that outlives its parent is started.
const GRANDCHILD: &str = "--stand-in-grandchild";

/// The whole client: `jre/bin/java` on Unix, `bin/snowballEdge.exe` on Windows.
#[must_use]
pub fn main() -> ExitCode {
    let Some((place, stand_in)) = find() else {
        report_parse_error(&format!(
            "{INVENTED} this is the stand-in's JVM; it works only where install_client put it"
        ));
        return ExitCode::FAILURE;
    };
    let mut line: Vec<String> = env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    if line.first().is_some_and(|arg| arg == GRANDCHILD) {
        let _ = Invocation::now(stand_in.own_home.clone(), Vec::new()).record(&stand_in);
        linger(&place);
    }
    // On Windows no launcher stands before us to add its own.
    if cfg!(windows) {
        line.splice(0..0, stand_in.options.launcher_options.iter().cloned());
    }

    let variable = |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let (tool, user) = (variable("JAVA_TOOL_OPTIONS"), variable("_JAVA_OPTIONS"));
    let start = jvm::start(tool.as_deref(), user.as_deref(), &line, stand_in.options.jvm());
    start.notices.iter().for_each(|notice| report_parse_error(notice));
    let (home, options) = match &start.outcome {
        Ok(jvm) => (jvm.home.clone(), jvm.options.clone()),
        Err(_) => (None, Vec::new()),
    };
    let home = home.filter(|_| !stand_in.options.ignores_our_home).unwrap_or_else(|| stand_in.own_home.clone());
    if Invocation::now(home.clone(), options).record(&stand_in).is_err() {
        report_parse_error(&format!("{INVENTED} the log of invocations can't be written"));
        return ExitCode::FAILURE;
    }
    match start.outcome {
        Err(lines) => {
            lines.iter().for_each(|line| report_parse_error(line));
            ExitCode::FAILURE
        }
        Ok(jvm) => {
            thread::sleep(Duration::from_millis(stand_in.options.start_delay_ms));
            let documented = documented::run(&stand_in, &home, &jvm.args);
            documented.unwrap_or_else(|| program(&stand_in, &place, &home, &jvm.args))
        }
    }
}

/// What the JVM runs.
fn program(stand_in: &StandIn, place: &Path, home: &Path, args: &[String]) -> ExitCode {
    let parsed = args::parse(args, &stand_in.options.lacks).map_err(|text| Failure::new(&text));
    let outcome = parsed.and_then(|(command, options)| {
        let mut output = Output::new(command == Command::Configure && stand_in.options.buffers_prompts);
        tricks(stand_in, place, command, &mut output)?;
        commands::run(stand_in, home, command, options, &mut output)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let told = failure.code.filter(|_| stand_in.options.tells_code);
            let text = format!("{} {}", failure.text, told.unwrap_or_default());
            commands::log(home, &text);
            report_parse_error(&text);
            ExitCode::FAILURE
        }
    }
}

/// Plays the tricks that come before the command does its work.
fn tricks(stand_in: &StandIn, place: &Path, command: Command, output: &mut Output) -> Result<(), Failure> {
    let of_command = stand_in.options.tricks.iter().filter(|(of, _)| *of == command);
    for trick in of_command.map(|(_, trick)| *trick) {
        match trick {
            Trick::Hang => linger(place),
            Trick::Killed => kill_self(),
            Trick::Flood(bytes) => flood(bytes),
            Trick::Noise => {
                output.line("OpenJDK 64-Bit Server VM warning: [invented] { noise } before what matters");
                output.line("[invented] [INFO] { \"UnlockStatus\" : \"noise\" }");
            }
            Trick::Grandchild => leave_grandchild(),
            Trick::Fail => return Err(Failure::new("fails as scripted")),
            Trick::Pretend
            | Trick::DeleteManifest
            | Trick::RewriteManifest
            | Trick::SayCode
            | Trick::SayAnswer
            | Trick::FailAfter => {}
        }
    }
    Ok(())
}

/// Stays until the installation is removed, which is how a rehearsal ends what a failed test left running. Ends the
/// process then: anything more could bring the folder back that is being removed.
fn linger(place: &Path) -> ! {
    while place.exists() {
        thread::sleep(Duration::from_millis(50));
    }
    std::process::exit(1)
}

fn flood(bytes: u64) {
    const LINE: &[u8; 64] = b"[invented] flood flood flood flood flood flood flood flood floo\n";
    let mut stdout = io::stdout().lock();
    for _ in 0..bytes.div_ceil(LINE.len() as u64) {
        if stdout.write_all(LINE).is_err() {
            return;
        }
    }
}

fn leave_grandchild() {
    let started =
        env::current_exe().and_then(|exe| Process::new(exe).arg(GRANDCHILD).stdin(Stdio::null()).spawn()).map(|_| ());
    if started.is_err() {
        report_parse_error(&format!("{INVENTED} the grandchild did not start"));
    }
}

#[cfg(unix)]
fn kill_self() {
    use rustix::process::{Signal, getpid, kill_process};
    // There is nobody to report a failure to: the next line of the caller would show it.
    let _ = kill_process(getpid(), Signal::KILL);
}

#[cfg(not(unix))]
fn kill_self() {
    std::process::abort();
}

/// The settings beside the JVM: found from the program's own place, never from the environment.
fn find() -> Option<(PathBuf, StandIn)> {
    let exe = env::current_exe().ok()?;
    let root = exe.parent()?.parent()?;
    let places = [root.join("lib"), root.join("jre").join("lib")];
    let place = places.into_iter().map(|lib| lib.join("stand-in.json")).find(|place| place.is_file())?;
    let stand_in = serde_json::from_slice(&fs::read(&place).ok()?).ok()?;
    Some((place, stand_in))
}
