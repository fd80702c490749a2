//! The verbs: one file each, thin. What they do is in `onboard`.

mod audit;
pub mod bug;
mod client;
mod cluster;
pub mod completions;
mod credentials;
mod doctor;
mod exit_codes;
mod fetch;
mod forget;
mod guide;
mod jobs;
mod plan_advice;
mod receipt;
mod run;
mod run_all;
mod run_plan;
mod settings;
mod setup_profile;
mod several;
mod status;
mod unlock;
mod unlocked;

use std::sync::Arc;

use crate::cli::{self, Cli, Command};
use crate::cloud;
use crate::device::ClientExit;
use crate::error::{Error, ExitCode, HintRules, Result};
use crate::flow::target_named;
use crate::model::{Endpoint, JobId, KeychainKind, TargetId};
use crate::os;
use crate::report::{OPERATOR, Observer, Reporter};
use crate::safety::log::{self, Verbosity};
use crate::safety::sanitize::sanitize_typed;
use crate::settings::{ProcessEnvironment, Settings};
use crate::ui::{self, OutputMode, Ui};

/// Does what the command line says and tells how it went. Gives the exit code of the process.
#[must_use]
pub fn execute(cli: &Cli) -> u8 {
    match run_command(cli) {
        Ended::AsClient(exit) => client::end_as(exit),
        Ended::Here(exit) if cli.verb().is_some_and(Command::only_prints) => Ui::unless_lost(exit) as u8,
        Ended::Here(exit) => exit_of(exit, matches!(cli.verb(), Some(Command::Client(_)))),
    }
}

/// What the process ends with where this program failed: of a command for the vendor's client it is to be told from the client's.
#[must_use]
pub(crate) fn exit_of(exit: ExitCode, is_of_client: bool) -> u8 {
    if is_of_client { ExitCode::NotTheClients as u8 } else { exit as u8 }
}

/// Tells a failure that is none of a command's own. Gives the exit code.
pub fn tell_failure(mode: OutputMode, error: &Error) -> u8 {
    exit_of(typed_ui(mode).failure(None, error), cli::is_client_typed())
}

/// A voice for what is none of a command's own.
fn typed_ui(mode: OutputMode) -> Ui {
    let ui = Ui::new(mode);
    if cli::is_client_typed() { ui.passing_through() } else { ui }
}

/// How whoever typed this command line is to be told what the parser has not seen, or not understood.
#[must_use]
pub fn typed_mode() -> OutputMode {
    // Whoever typed --json reads JSON, save where stdout is for a key.
    if cli::is_typed("--json") && !cli::is_typed("credentials") { OutputMode::Json } else { OutputMode::Plain }
}

/// How a command ended.
enum Ended {
    Here(ExitCode),
    /// As the vendor's client did, whose command it ran.
    AsClient(ClientExit),
}

impl From<ExitCode> for Ended {
    fn from(exit: ExitCode) -> Self {
        Self::Here(exit)
    }
}

fn run_command(cli: &Cli) -> Ended {
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
    match cli.verb() {
        Some(Command::Status(_)) => ui = ui.brief(),
        Some(Command::Client(_)) => ui = ui.passing_through(),
        _ => {}
    }
    let ui = Arc::new(ui);
    let reporter = Reporter::new(Arc::clone(&ui) as Arc<dyn Observer>, None);
    bug::tell_with(&ui, &reporter);
    let (voice_of_the_end, of_the_end) = (Arc::clone(&ui), reporter.clone());
    let told = os::on_interrupt(move |signal| {
        if client::pass_on(signal) {
            return true;
        }
        let (kept, hint) = voice_of_the_end.before_interruption();
        let error = Error::interrupted(signal, kept, hint);
        voice_of_the_end.interrupted(of_the_end.job(), &error);
        ui::start_exit_timer();
        false
    });
    if let Err(error) = told.and_then(|()| os::have_threads_stand_by()) {
        return ui.failure(None, &Error::of_system("to handle signals", &error)).into();
    }
    let around = ProcessEnvironment::of_this_process();
    if needs_no_settings(cli, &around, &ui) {
        return ExitCode::Done.into();
    }
    let settings = Settings::resolve(&cli.flags(), &around);
    if let Ok(settings) = &settings {
        let command = cli::run_again(None, settings.endpoint.as_ref(), settings, |_| true);
        const RUN: &str = "snow-onboard run";
        let rest = command.strip_prefix(RUN).unwrap_or_default().to_owned();
        let rules = settings.hint_rules((RUN.to_owned(), rest), cli::given_flags(settings));
        ui.hints_follow(cli.verb().map_or(rules.clone(), |verb| verb.hint_rules(rules)));
    } else if let Some(verb) = cli.verb() {
        ui.hints_follow(verb.hint_rules(HintRules::default()));
    }
    let log_file = settings.as_ref().ok().and_then(|settings| settings.log_file.as_ref());
    if let Err(error) = log::start(cli.verbosity(), log_file, || ui::Stderr, OPERATOR) {
        return ui.failure(None, &error).into();
    }
    let ended = settings.and_then(|settings| match cli.verb() {
        Some(Command::Client(args)) => client::client(args, &settings, &ui, &reporter).map(Ended::AsClient),
        _ => dispatch(cli, &settings, &ui, &reporter).map(Ended::Here),
    });
    if let Ok(Ended::Here(exit)) = ended {
        ui.ends_with(exit);
    }
    ended.unwrap_or_else(|error| ui.failure(reporter.job(), &error).into())
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
    // Without its words there is no telling what was meant.
    let is_of_client = cli::is_client_typed();
    if said.use_stderr() && typed_mode() == OutputMode::Json {
        let ui = typed_ui(OutputMode::Json);
        ui.hints_follow(HintRules { verb: cli::typed_verb(), ..HintRules::default() });
        return exit_of(ui.failure(None, &cli::not_a_command(said)), is_of_client);
    }
    let is_version = said.kind() == clap::error::ErrorKind::DisplayVersion;
    if is_version && cli::is_typed("--json") {
        Ui::of(OutputMode::Json, "version").result(None, "", VersionResult::of_this_program());
        return Ui::unless_lost(ExitCode::Done) as u8;
    }
    let mut text = cli::in_our_form(&said.render().to_string());
    if is_version && std::env::args_os().any(|word| word.to_str().is_some_and(cli::asks_for_more)) {
        text += &build_details();
    }
    Ui::parser_says(&text, said.use_stderr());
    if !said.use_stderr() {
        return Ui::unless_lost(ExitCode::Done) as u8;
    }
    exit_of(ExitCode::Usage, is_of_client)
}

/// What `--version --json` says, with or without `-v`.
#[derive(serde::Serialize)]
struct VersionResult {
    version: &'static str,
    system: &'static str,
    architecture: &'static str,
    /// None where it is no release.
    commit: Option<&'static str>,
    commit_date: Option<&'static str>,
}

impl VersionResult {
    fn of_this_program() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            commit: option_env!("BUILD_COMMIT"),
            commit_date: option_env!("BUILD_DATE"),
        }
    }
}

/// What `--version -v` adds: for whom the binary was built, and from which commit, which the release's build passes in.
fn build_details() -> String {
    let VersionResult { system, architecture, commit, commit_date, .. } = VersionResult::of_this_program();
    let commit = match (commit, commit_date) {
        (Some(commit), Some(date)) => format!("{commit} of {date}"),
        _ => "not recorded; this is not a release".to_owned(),
    };
    format!("system  {system} {architecture}\ncommit  {commit}\n")
}

/// Refuses what was typed and is wrong, also where it would not come to be used: a pair that is stored is not fetched. `doctor` and
/// `settings` tell it in their own way.
fn check_typed(cli: &Cli, settings: &Settings) -> Result<()> {
    if matches!(cli.verb(), Some(Command::Doctor(_) | Command::Settings(_))) {
        return Ok(());
    }
    settings.ca_bundle.as_ref().map_or(Ok(()), cloud::check_typed_file)?;
    match (cli.verb(), &settings.profile) {
        (Some(Command::Fetch(_)), Some(profile)) => cloud::check_profile(profile),
        _ => Ok(()),
    }
}

fn dispatch(cli: &Cli, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    check_typed(cli, settings)?;
    let done = match cli.verb() {
        Some(Command::Doctor(_)) => return Ok(doctor::doctor(settings, ui, reporter)),
        Some(Command::Run(args)) => return run::run(args, settings, ui, reporter),
        Some(Command::Fetch(args)) => fetch::fetch(args, settings, ui, reporter),
        Some(Command::Unlock(args)) => return unlock::unlock(args, settings, ui, reporter),
        Some(Command::Credentials(args)) => credentials::credentials(args, settings, ui, reporter),
        Some(Command::Status(args)) => return status::status(args, settings, ui, reporter),
        Some(Command::SetupProfile(args)) => setup_profile::setup_profile(args, settings, ui, reporter),
        Some(Command::Jobs) => jobs::jobs(settings, ui, reporter),
        Some(Command::Forget(args)) => return forget::forget(args, settings, ui, reporter),
        Some(Command::Receipt(args)) => receipt::receipt(args, settings, ui, reporter),
        Some(Command::Audit(args)) => return audit::audit(args, settings, ui, reporter),
        Some(Command::Settings(_)) => {
            settings::show_all(settings, ui);
            Ok(())
        }
        // Told before the settings were read, or run apart.
        Some(Command::ExitCodes | Command::Completions(_) | Command::Client(_)) => Ok(()),
        None => Err(Error::Internal { what: "a command line without a verb".to_owned() }),
    };
    done.map(|()| ExitCode::Done)
}

/// Refuses keychain `none` for a verb that needs what is stored.
fn needs_stored_code(verb: &str, settings: &Settings) -> Result<()> {
    if settings.keychain != KeychainKind::None {
        return Ok(());
    }
    Err(Error::Usage {
        why: format!(
            "“{verb}” uses the stored code, and keychain is none (“snow-onboard settings” shows where that was said). \
             Name the keychain that the code is in, for example --keychain system."
        ),
    })
}

/// Whose pair is meant: a job's, a cluster's, or that of the cluster a job is a node of, if it is stored here.
fn parse_target(given: &str, settings: &Settings, reporter: &Reporter) -> Result<TargetId> {
    target_named(parse_id(given)?, &settings.state_dir, reporter)
}

/// The same with the job of the node that was named, where the pair is its cluster's.
fn parse_target_and_node(given: &str, settings: &Settings, reporter: &Reporter) -> Result<(TargetId, Option<JobId>)> {
    let named = parse_id(given)?;
    let node = named.job().cloned();
    let target = target_named(named, &settings.state_dir, reporter)?;
    let node = node.filter(|_| target.job().is_none());
    Ok((target, node))
}

fn parse_id(given: &str) -> Result<TargetId> {
    TargetId::typed(given).map_err(|malformed| {
        let is_address = Endpoint::typed(given).is_ok_and(|endpoint| endpoint.is_by_number());
        if let Some(text) = is_address.then(|| cli::before_address(&sanitize_typed(given))).flatten() {
            return Error::Usage { why: format!("{text}.") };
        }
        Error::JobIdInvalid { given: sanitize_typed(given), origin: "argument JOB".to_owned(), why: malformed.why }
    })
}
