//! The verbs: one file each, thin. What they do is in `onboard`.

mod audit;
pub mod completions;
mod credentials;
mod doctor;
mod exit_codes;
mod fetch;
mod forget;
mod guide;
mod jobs;
mod receipt;
mod run;
mod run_plan;
mod settings;
mod several;
mod unlock;

use std::sync::Arc;

use crate::cli::{self, Cli, Command};
use crate::error::{Error, ExitCode, Result};
use crate::model::{JobId, tidy};
use crate::os;
use crate::report::{OPERATOR, Observer, Reporter};
use crate::safety::log::{self, Verbosity};
use crate::safety::sanitize::sanitize_typed;
use crate::settings::{ProcessEnvironment, Settings};
use crate::ui::{self, OutputMode, Ui};

/// Does what the command line says and tells how it went.
#[must_use]
pub fn execute(cli: &Cli) -> ExitCode {
    let exit = run_command(cli);
    if cli.verb().is_some_and(Command::only_prints) { Ui::unless_lost(exit) } else { exit }
}

fn run_command(cli: &Cli) -> ExitCode {
    let mode = match (cli.json(), cli.quiet()) {
        (true, _) => OutputMode::Json,
        (_, true) => OutputMode::Quiet,
        _ => OutputMode::Plain,
    };
    let mut ui = Ui::of(mode, cli.verb().map_or("", Command::name));
    // What doctor finds goes to stdout line by line, between which nothing may be drawn.
    if cli.verbosity() == Verbosity::Quiet && !matches!(cli.verb(), Some(Command::Doctor(_))) {
        ui = ui.with_status();
    }
    if !cli.no_input() {
        ui = ui.with_questions();
    }
    let ui = Arc::new(ui);
    let reporter = Reporter::new(Arc::clone(&ui) as Arc<dyn Observer>, None);
    let (voice_of_the_end, of_the_end) = (Arc::clone(&ui), reporter.clone());
    let told = os::on_interrupt(move |signal| {
        let error = Error::interrupted(signal, voice_of_the_end.kept());
        voice_of_the_end.failure(of_the_end.job(), &error);
        ui::start_exit_timer();
    });
    if let Err(error) = told {
        return ui.failure(None, &Error::of_system("signals can't be handled", &error));
    }
    let around = ProcessEnvironment::of_this_process();
    if needs_no_settings(cli, &around, &ui) {
        return ExitCode::Done;
    }
    let settings = Settings::resolve(&cli.flags(), &around);
    if let Ok(settings) = &settings {
        let command = cli::run_again(None, settings.endpoint.as_ref(), settings, |_| true);
        const RUN: &str = "snow-onboard run";
        let rest = command.strip_prefix(RUN).unwrap_or_default().to_owned();
        ui.hints_follow(settings.hint_rules((RUN.to_owned(), rest), cli::given_flags(settings)));
    }
    let log_file = settings.as_ref().ok().and_then(|settings| settings.log_file.as_ref());
    if let Err(error) = log::start(cli.verbosity(), log_file, || ui::Stderr, OPERATOR) {
        return ui.failure(None, &error);
    }
    match settings.and_then(|settings| dispatch(cli, &settings, &ui, &reporter)) {
        Ok(exit) => exit,
        Err(error) => ui.failure(reporter.job(), &error),
    }
}

/// Verbs that are about this program alone, and answer whatever its settings and folders are like.
fn needs_no_settings(cli: &Cli, around: &ProcessEnvironment, ui: &Ui) -> bool {
    match cli.verb() {
        Some(Command::Settings(args)) if settings::needs_no_values(args) => {
            settings::places_or_sample(args, around, ui);
        }
        Some(Command::ExitCodes) => exit_codes::exit_codes(ui),
        Some(Command::Completions(args)) => completions::completions(args, ui),
        _ => return false,
    }
    true
}

/// Says what the parser of the command line has to say: help, a version, or a complaint. Returns the exit code.
#[must_use]
pub fn report_parse_error(said: &clap::Error) -> u8 {
    // Without its words there is no telling what was meant; but whoever typed --json reads JSON, save where stdout is for a key.
    let typed = |word: &str| std::env::args_os().any(|argument| argument == word);
    if said.use_stderr() && typed("--json") && !typed("credentials") {
        return Ui::new(OutputMode::Json).failure(None, &cli::not_a_command(said)) as u8;
    }
    let mut text = said.render().to_string();
    if said.kind() == clap::error::ErrorKind::DisplayVersion
        && std::env::args_os().any(|word| word.to_str().is_some_and(cli::asks_for_more))
    {
        text += &build_details();
    }
    Ui::parser_says(&text, said.use_stderr());
    if !said.use_stderr() {
        return Ui::unless_lost(ExitCode::Done) as u8;
    }
    u8::try_from(said.exit_code()).unwrap_or(ExitCode::Usage as u8)
}

/// What `--version -v` adds: for whom the binary was built, and from which commit, which the release's build passes in.
fn build_details() -> String {
    let commit = match (option_env!("BUILD_COMMIT"), option_env!("BUILD_DATE")) {
        (Some(commit), Some(date)) => format!("{commit} of {date}"),
        _ => "not recorded; this is not a release".to_owned(),
    };
    format!("system  {} {}\ncommit  {commit}\n", std::env::consts::OS, std::env::consts::ARCH)
}

fn dispatch(cli: &Cli, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    let done = match cli.verb() {
        Some(Command::Doctor(_)) => return Ok(doctor::doctor(settings, ui, reporter)),
        Some(Command::Run(args)) => return run::run(args, settings, ui, reporter),
        Some(Command::Fetch(args)) => fetch::fetch(args, settings, ui, reporter),
        Some(Command::Unlock(args)) => return unlock::unlock(args, settings, ui, reporter),
        Some(Command::Credentials(args)) => credentials::credentials(args, settings, ui, reporter),
        Some(Command::Jobs) => jobs::jobs(settings, ui, reporter),
        Some(Command::Forget(args)) => return forget::forget(args, settings, ui, reporter),
        Some(Command::Receipt(args)) => receipt::receipt(args, settings, ui, reporter),
        Some(Command::Audit(args)) => return audit::audit(args, settings, ui, reporter),
        Some(Command::Settings(_)) => {
            settings::show_all(settings, ui);
            Ok(())
        }
        // Told before the settings were read.
        Some(Command::ExitCodes | Command::Completions(_)) => Ok(()),
        None => Err(Error::Internal { what: "a command line without a verb".to_owned() }),
    };
    done.map(|()| ExitCode::Done)
}

fn parse_job(given: &str) -> Result<JobId> {
    tidy(given).parse().map_err(|malformed: crate::model::Malformed| Error::JobIdInvalid {
        given: sanitize_typed(given),
        origin: "argument JOB".to_owned(),
        why: malformed.why,
    })
}
