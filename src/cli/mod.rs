//! The command line: what can be typed, and its help; what a shell completes; the command to paste again. Nothing is
//! decided here: `settings` resolves the layers.

mod again;
mod audit;
mod client;
mod cluster;
mod credentials;
mod example_lines;
mod flags;
mod forget;
mod mistyped;
mod receipt;
mod setup_profile;
mod status;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::error::{Error, HintRules, OtherKeychains};
use crate::model::{JobId, holds_code_in_words};
use crate::safety::log::Verbosity;
use crate::safety::sanitize::sanitize;
use crate::settings::Flags;
use crate::settings::table::{DOCTOR, EVERY, FETCH, RUN, UNLOCK};
pub(crate) use again::{
    flags_for_credentials, forget_all_again, forget_in_keychain_again, given_flags, run_again, run_all_again,
    run_cluster_again, run_plan_again, unlock_again,
};
pub use audit::AuditArgs;
pub(crate) use audit::{SHOW, VERIFY};
pub use client::RunClient;
pub(crate) use cluster::NodeFlags;
pub use credentials::Credentials;
pub use flags::FlagsOf;
pub use forget::Forget;
pub(crate) use mistyped::before_address;
pub use receipt::ReceiptArgs;
pub use setup_profile::SetupProfile;
pub use status::ShowStatus;

/// Unlocks an AWS Snowball Edge device, the first time and after each power cut.
///
/// Fetches the job's manifest and unlock code from AWS, keeps the code in the keychain of this machine and the manifest
/// on its disk, and gives both to the vendor's client without putting the code on a command line.
#[derive(Debug, Parser)]
#[command(name = "snow-onboard", version, about, long_about, max_term_width = 100, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
Without a command, on a terminal, snow-onboard asks for the job and the device address, then unlocks the device.

Examples:
  Answer questions instead of typing options:
    snow-onboard
  See whether this machine is ready, before the device arrives:
    snow-onboard doctor
  See your jobs, and which have been delivered:
    snow-onboard jobs
  Bring the device of a job through its first start:
    snow-onboard run JID123e4567-e89b-12d3-a456-426655440000 \\
      --endpoint 192.0.2.10
  Unlock it again after a power cut, without internet:
    snow-onboard unlock JID123e4567-e89b-12d3-a456-426655440000
  See what is stored, and the state of each device:
    snow-onboard status
  Run another command of the vendor's client:
    snow-onboard client JID123e4567-e89b-12d3-a456-426655440000 \\
      -- describe-device
  Fetch code and manifest before the device arrives, to be offline later:
    snow-onboard fetch JID123e4567-e89b-12d3-a456-426655440000
  Remove both when the device goes back:
    snow-onboard forget JID123e4567-e89b-12d3-a456-426655440000";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch the code and manifest if they are not stored, unlock the device, and wait until it is unlocked
    #[command(
        after_help = "\
Examples:
  With the address from the device's display:
    snow-onboard run JID123e4567-e89b-12d3-a456-426655440000 \\
      --endpoint 192.0.2.10
  Wait for the job and for the device, then unlock it:
    snow-onboard run JID123e4567-e89b-12d3-a456-426655440000 \\
      --endpoint 192.0.2.10 --wait --wait-device
  A cluster, by its id, with the address of each node:
    snow-onboard run CID123e4567-e89b-12d3-a456-426655440000 \\
      --endpoint 192.0.2.10 --node 192.0.2.11 --node 192.0.2.12
  Ten devices at once, as a table says; again, it does only what is missing:
    snow-onboard run --plan pallet.csv
  Every job that has been delivered; asks for the address of each device:
    snow-onboard run --all
  With a client that is not in PATH, keeping nothing on this machine:
    snow-onboard run JID123e4567-e89b-12d3-a456-426655440000 \\
      --endpoint 192.0.2.10 \\
      --client ~/snowball-client-linux/bin/snowballEdge --keychain none",
        override_usage = "\
snow-onboard run [OPTIONS] [JOB]
       snow-onboard run [OPTIONS] --plan <FILE>"
    )]
    Run(RunArgs),
    /// Fetch the code and manifest and store them; no device is needed
    #[command(after_help = "\
Examples:
  Fetch once; a second time does nothing:
    snow-onboard fetch JID123e4567-e89b-12d3-a456-426655440000
  Fetch a new pair, after a software update of the device:
    snow-onboard fetch --refresh JID123e4567-e89b-12d3-a456-426655440000")]
    Fetch(Fetch),
    /// Unlock a device again from what is stored here: after a power cut, without internet and without AWS
    #[command(
        after_help = "\
Examples:
  At the address of the last time:
    snow-onboard unlock JID123e4567-e89b-12d3-a456-426655440000
  The device has another address now:
    snow-onboard unlock JID123e4567-e89b-12d3-a456-426655440000 \\
      --endpoint 192.0.2.11
  A cluster, of which a node stays away:
    snow-onboard unlock CID123e4567-e89b-12d3-a456-426655440000 \\
      --without-missing
  After a power cut, every device that was unlocked from this machine:
    snow-onboard unlock --all",
        override_usage = "\
snow-onboard unlock [OPTIONS] <JOB>
       snow-onboard unlock [OPTIONS] --all"
    )]
    Unlock(Unlock),
    /// Print the device's own access key for the AWS CLI and other programs (credential_process)
    ///
    /// The first time it reads the key from the unlocked device and stores the secret in the keychain. After that it needs no
    /// device, no network and no AWS credentials. It prints one JSON document to stdout, as credential_process expects it, and
    /// nothing else there. On a terminal it refuses, because the secret would stay visible.
    #[command(after_help = credentials::EXAMPLES)]
    Credentials(Credentials),
    /// Show each stored job: whether its code and manifest are whole, and the state of its device
    #[command(long_about = status::ABOUT, after_help = status::EXAMPLES)]
    Status(ShowStatus),
    /// Run any command of the vendor's client, which gets code and manifest privately
    #[command(long_about = client::ABOUT, after_help = client::EXAMPLES)]
    Client(RunClient),
    /// List the account's jobs: state, type, age, tracking number, which are ready, which are stored on this machine
    #[command(after_help = "\
Examples:
  snow-onboard jobs
  snow-onboard jobs --region us-east-1 --profile field --json")]
    Jobs,
    /// Check whether this machine is ready to unlock a device; changes nothing on it
    ///
    /// It asks AWS with each of the four permissions for a job that does not exist, which leaves lines in the account's CloudTrail;
    /// stores a test item in the keychain for a moment, where that asks nobody; and makes the client's private folder and removes it.
    /// Nothing is fetched. A locked keychain may ask to be opened. The exit code is that of the first line that fails, or 0.
    #[command(after_help = "\
Examples:
  Before the device arrives:
    snow-onboard doctor --profile field --region eu-central-1
  When it has been started, with the address from its display:
    snow-onboard doctor --endpoint 192.0.2.10
  For a script: one object a check, and exit code 0 if nothing fails:
    snow-onboard doctor --json")]
    Doctor(FlagsOf<DOCTOR>),
    /// Write a profile for a job's unlocked device into ~/.aws/config, for the AWS CLI and SDKs; without a secret in it
    ///
    /// It asks the device, through the client, for its services and certificates, shows the lines that it would add, and asks before
    /// it writes. Every other byte of the file stays. Programs that use the profile get the device's key from the keychain. After the
    /// device's address has changed, run it again.
    #[command(after_help = setup_profile::EXAMPLES)]
    SetupProfile(SetupProfile),
    /// Remove a job's code from the keychain, and its manifest and record from the disk
    #[command(after_help = forget::EXAMPLES, override_usage = forget::USAGE)]
    Forget(Forget),
    /// Show what was done with a job: when, by whom, with which client; as text or as a page to print
    #[command(after_help = receipt::RECEIPT_EXAMPLES)]
    Receipt(ReceiptArgs),
    /// Check or show the audit log: who did what with a job's code and manifest, and when
    #[command(after_help = audit::AUDIT_EXAMPLES)]
    Audit(AuditArgs),
    /// Show every setting with its value and where that comes from
    #[command(after_help = "\
Examples:
  What counts, and where it was said:
    snow-onboard settings
  Where the settings files are, or would be:
    snow-onboard settings --path
  Begin a file of your own (Linux, macOS):
    mkdir -p ~/.config/snow-onboard
    snow-onboard settings --sample > ~/.config/snow-onboard/config.toml")]
    Settings(ShowSettings),
    /// List the exit codes: number, meaning, what to look at, and the errors that end with each
    #[command(after_help = "\
Examples:
  snow-onboard exit-codes
  snow-onboard exit-codes --json")]
    ExitCodes,
    /// Write the script with which your shell completes commands, flags, files, and the jobs that are kept here
    #[command(after_help = "\
Examples:
  bash, for every new shell:
    mkdir -p ~/.local/share/bash-completion/completions
    snow-onboard completions bash \\
      > ~/.local/share/bash-completion/completions/snow-onboard
  zsh, after compinit in ~/.zshrc:
    source <(snow-onboard completions zsh)
  fish:
    snow-onboard completions fish > ~/.config/fish/completions/snow-onboard.fish
  PowerShell, in $PROFILE:
    snow-onboard completions powershell | Out-String | Invoke-Expression")]
    Completions(Completions),
}

/// `run`
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// Nothing was typed, not even the verb.
    #[arg(skip)]
    pub is_bare: bool,
    /// `--no-input` was typed.
    #[arg(skip)]
    pub no_input: bool,
    /// The job's id, or the cluster's (CID…); without it, the one job or cluster that has been delivered
    #[arg(value_name = "JOB")]
    pub job: Option<String>,
    /// Unlock every device and cluster of a plan, side by side: a CSV file with the columns job, address and label, or TOML; - reads stdin
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::Unknown, conflicts_with_all = ["job", "endpoint", "wait", "nodes", "without_missing", "pair_of"])]
    pub plan: Option<PathBuf>,
    /// Unlock the device of every delivered job, and every cluster, side by side; asks for the address of each
    #[arg(long, conflicts_with_all = ["job", "endpoint", "wait", "plan"])]
    pub all: bool,
    #[command(flatten)]
    pub(crate) nodes: NodeFlags,
    /// Use the code and manifest of this node of a cluster, and do not compare its code with the other nodes'
    #[arg(long, value_name = "JOB")]
    pub pair_of: Option<String>,
    #[command(flatten)]
    flags: FlagsOf<RUN>,
}

/// `unlock`
#[derive(Debug, Args)]
pub struct Unlock {
    /// The job's id, or the cluster's (CID…)
    #[arg(value_name = "JOB", required_unless_present = "all")]
    pub job: Option<String>,
    /// Unlock the device of every job that is stored here, each at the address of its last time
    #[arg(long, conflicts_with_all = ["job", "endpoint", "nodes"])]
    pub all: bool,
    #[command(flatten)]
    pub(crate) nodes: NodeFlags,
    #[command(flatten)]
    flags: FlagsOf<UNLOCK>,
}

/// `fetch`
#[derive(Debug, Args)]
pub struct Fetch {
    /// The job's id, or the cluster's (CID…)
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Fetch a new pair even if one is kept; the old one is replaced only when the new one is whole
    #[arg(long)]
    pub refresh: bool,
    /// Use the code and manifest of this node of a cluster, and do not compare its code with the other nodes'
    #[arg(long, value_name = "JOB")]
    pub pair_of: Option<String>,
    #[command(flatten)]
    flags: FlagsOf<FETCH>,
}

/// The shells that can ask, as they are named on the command line.
pub const SHELLS: [&str; 4] = ["bash", "zsh", "fish", "powershell"];

/// `completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = SHELLS)]
    pub shell: String,
}

/// `settings`
#[derive(Debug, Args)]
pub struct ShowSettings {
    /// Show where the settings files of this user and of the system are, and whether they exist
    #[arg(long)]
    pub path: bool,
    /// Print a settings file in which every line is a comment, to begin one with
    #[arg(long, conflicts_with = "path")]
    pub sample: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Common {
    #[command(flatten)]
    flags: FlagsOf<EVERY>,
    /// Print one JSON object per line to stdout
    #[arg(long, global = true)]
    json: bool,
    /// Never ask a question
    #[arg(long, global = true)]
    no_input: bool,
    /// Print only errors, warnings and results
    #[arg(long, short, global = true, conflicts_with_all = ["json", "verbose"])]
    quiet: bool,
    /// Log each step to stderr; -vv logs details. The log contains no secrets
    #[arg(long, short, global = true, action = ArgAction::Count)]
    verbose: u8,
}

impl Command {
    /// The verb as it is typed; it names the result with `--json`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Fetch(_) => "fetch",
            Self::Unlock(_) => "unlock",
            Self::Credentials(_) => "credentials",
            Self::Status(_) => "status",
            Self::Client(_) => "client",
            Self::Jobs => "jobs",
            Self::Doctor(_) => "doctor",
            Self::SetupProfile(_) => "setup-profile",
            Self::Forget(_) => "forget",
            Self::Receipt(_) => "receipt",
            Self::Audit(_) => "audit",
            Self::Settings(_) => "settings",
            Self::ExitCodes => "exit-codes",
            Self::Completions(_) => "completions",
        }
    }

    /// What hints say of this verb, besides what the settings say.
    #[must_use]
    pub(crate) fn hint_rules(&self, rules: HintRules) -> HintRules {
        let for_job = |job: Option<&String>| {
            let job = job.and_then(|job| JobId::typed(job).ok());
            OtherKeychains::Fetched(job.map_or_else(|| "JID…".to_owned(), |job| job.to_string()))
        };
        let other_keychains = match self {
            Self::Fetch(_) => OtherKeychains::Another,
            Self::Unlock(Unlock { job, .. }) | Self::Status(ShowStatus { job, .. }) => for_job(job.as_ref()),
            Self::Client(RunClient { job, .. }) => for_job(Some(job)),
            // The device's key is there as well, or what is to be removed.
            Self::Credentials(_) | Self::SetupProfile(_) | Self::Forget(_) | Self::Receipt(_) => OtherKeychains::This,
            _ => OtherKeychains::AnyOrNone,
        };
        let verb = (!matches!(self, Self::Run(RunArgs { is_bare: true, .. }))).then(|| self.name().to_owned());
        HintRules { verb, other_keychains, ..rules }
    }

    /// Whether its output is all there is to it, so that it is in vain where that is lost.
    #[must_use]
    pub(crate) fn only_prints(&self) -> bool {
        match self {
            Self::Status(_) | Self::Jobs | Self::Doctor(_) | Self::Receipt(_) | Self::Audit(_) => true,
            Self::Settings(_) | Self::ExitCodes | Self::Completions(_) => true,
            Self::Run(_) | Self::Fetch(_) | Self::Unlock(_) | Self::Client(_) => false,
            Self::Credentials(_) | Self::SetupProfile(_) | Self::Forget(_) => false,
        }
    }
}

impl Cli {
    /// What was typed. Without a verb it is `run`, told nothing.
    ///
    /// # Errors
    /// The parser's: help, a version, or a complaint.
    pub fn typed() -> Result<Self, clap::Error> {
        let mut words: Vec<OsString> = std::env::args_os().collect();
        let typed: Vec<String> = words.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        if let Some(flag) = mistyped::flag(typed.iter().cloned()) {
            return Err(flag);
        }
        if let Some(flags) = mistyped::as_flags(&typed) {
            words.splice(1.., flags.into_iter().map(OsString::from));
        }
        let mistyped = |complaint| {
            mistyped::missing(mistyped::client_command(mistyped::address(mistyped::code(mistyped::verb(complaint)))))
        };
        let matches = example_lines::for_this_system(Self::command()).try_get_matches_from(words).map_err(mistyped)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        let no_input = cli.common.no_input;
        let bare = || Command::Run(RunArgs { is_bare: true, ..RunArgs::default() });
        if let Command::Run(run) = cli.command.get_or_insert_with(bare) {
            run.no_input = no_input;
        }
        Ok(cli)
    }

    /// The verb.
    #[must_use]
    pub fn verb(&self) -> Option<&Command> {
        self.command.as_ref()
    }

    /// Whether `--no-input` was given.
    #[must_use]
    pub(crate) fn no_input(&self) -> bool {
        self.common.no_input
    }

    /// Whether `--json` was given, to a command whose stdout is not another program's by itself.
    #[must_use]
    pub fn json(&self) -> bool {
        self.common.json && !matches!(self.command, Some(Command::Credentials(_)))
    }

    /// Whether `--quiet` was given.
    #[must_use]
    pub fn quiet(&self) -> bool {
        self.common.quiet
    }

    /// How often `-v` was given.
    #[must_use]
    pub(crate) fn verbosity(&self) -> Verbosity {
        Verbosity::from_count(self.common.verbose)
    }

    /// The settings that were given as flags.
    #[must_use]
    pub fn flags(&self) -> Flags {
        let mut flags = self.common.flags.0.clone();
        match &self.command {
            Some(Command::Run(run)) => flags.extend(&run.flags.0),
            Some(Command::Fetch(fetch)) => flags.extend(&fetch.flags.0),
            Some(Command::Unlock(unlock)) => flags.extend(&unlock.flags.0),
            Some(Command::Credentials(credentials)) => flags.extend(&credentials.flags.0),
            Some(Command::Status(status)) => flags.extend(&status.flags.0),
            Some(Command::Client(client)) => flags.extend(&client.flags.0),
            Some(Command::Doctor(doctor)) => flags.extend(&doctor.0),
            Some(Command::SetupProfile(profile)) => flags.extend(&profile.flags.0),
            Some(Command::Forget(_)) => flags.only_removes(),
            _ => {}
        }
        flags
    }
}

/// Whether the verb that was typed is `client`, as far as that can be told where the parser could not.
#[must_use]
pub(crate) fn is_client_typed() -> bool {
    std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "client")
}

/// Whether something that is none of the client's own words is an unlock code, whole or in disguise, which belongs on no command line.
#[must_use]
pub fn is_code_typed() -> bool {
    // After two hyphens they are the client's, of that command alone.
    let is_of_client = is_client_typed();
    let words = std::env::args_os().skip(1).take_while(|word| !is_of_client || word != "--");
    holds_code_in_words(&words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>())
}

/// Whether this word was typed before the client's own.
#[must_use]
pub(crate) fn is_typed(word: &str) -> bool {
    std::env::args_os().skip(1).take_while(|typed| typed != "--").any(|typed| typed == word)
}

/// The verb that was typed, as far as that can be told where the parser could not.
#[must_use]
pub(crate) fn typed_verb() -> Option<String> {
    let commands = Cli::command();
    let mut words =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).take_while(|word| word != "--");
    words.find(|word| commands.find_subcommand(word).is_some())
}

/// Whether a word of the command line is, or contains, `-v`.
#[must_use]
pub(crate) fn asks_for_more(word: &str) -> bool {
    let is_short = word.starts_with('-') && !word.starts_with("--");
    word == "--verbose" || is_short && word.contains('v')
}

/// What the parser complains of, as an error of ours: its first paragraph in one line.
#[must_use]
pub(crate) fn not_a_command(complaint: &clap::Error) -> Error {
    let text = complaint.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let words = capitalized(sanitize(first).trim_start_matches(BEGINS));
    let end = if words.ends_with(['.', '?']) { "" } else { "." };
    Error::Usage { why: format!("{words}{end}") }
}

/// How the parser begins what it complains of.
const BEGINS: &str = "error: ";

/// What the parser says to people, which begins as every error does.
#[must_use]
pub(crate) fn in_our_form(said: &str) -> String {
    said.strip_prefix(BEGINS).map_or_else(|| said.to_owned(), |said| format!("Error: {}", capitalized(said)))
}

fn capitalized(text: &str) -> String {
    let (begin, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}", begin.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn of_a_value_that_is_pasted_behind_another_the_last_one_counts() {
        let line =
            "snow-onboard run JID --endpoint 192.0.2.10 --unlock-timeout 4s --unlock-timeout 1h --endpoint 10.0.0.1";
        assert!(Cli::try_parse_from(line.split(' ')).is_ok());
    }

    #[test]
    fn a_verb_is_called_as_it_is_typed() {
        for verb in Cli::command().get_subcommands() {
            let needed = verb.get_positionals().filter(|argument| !argument.is_last_set()).map(|argument| {
                argument.get_possible_values().first().map_or("JID".to_owned(), |value| value.get_name().to_owned())
            });
            let line: Vec<String> =
                ["snow-onboard".to_owned(), verb.get_name().to_owned()].into_iter().chain(needed).collect();
            let cli = Cli::try_parse_from(line).ok();
            assert_eq!(cli.and_then(|cli| cli.command).map(|command| command.name()), Some(verb.get_name()));
        }
    }

    #[test]
    fn every_setting_has_a_flag_of_its_name_with_its_help() {
        let command = Cli::command();
        let verbs = command.get_subcommands().flat_map(clap::Command::get_arguments);
        let known: Vec<&clap::Arg> = command.get_arguments().chain(verbs).collect();
        for setting in crate::settings::table::SETTINGS {
            let flags = known.iter().filter(|arg| arg.get_id() == setting.key);
            let told: Vec<String> =
                flags.map(|arg| arg.get_help().map(ToString::to_string).unwrap_or_default()).collect();
            assert!(!told.is_empty() && told.iter().all(|told| *told == setting.help_of_flag()), "{}", setting.key);
            assert!(known.iter().any(|arg| arg.get_long().is_some_and(|long| format!("--{long}") == setting.flag())));
        }
    }

    #[test]
    fn what_a_hint_offers_to_paste_can_be_typed() {
        use crate::error::Error;
        const JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";
        let mut tried = 0;
        for error in Error::samples() {
            let report = error.report();
            for line in report.hint.lines().filter_map(|line| line.strip_prefix("  ")) {
                let line = line.replace("JID…", JOB);
                let line = match line.split(' ').next() {
                    // A field has it whole, which is tried where it is made.
                    Some("snow-onboard") if line.contains("<command>") => continue,
                    Some("snow-onboard") => line,
                    // To be added to the command that failed.
                    Some(flag) if flag.starts_with("--") => format!("snow-onboard run {JOB} {line}"),
                    _ => continue,
                };
                tried += 1;
                if let Err(refused) = Cli::try_parse_from(line.split(' ')) {
                    let is_help = refused.kind() == clap::error::ErrorKind::DisplayHelp;
                    assert!(is_help, "the hint of {}: {line}: {refused}", report.code);
                }
            }
        }
        assert!(tried > 20, "{tried}");
    }
}
