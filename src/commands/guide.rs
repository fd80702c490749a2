//! The guided run: asks for what `run` was not told, says what will happen, and goes on when that is agreed to.
//!
//! Everything asked here can be given as a flag, and is asked only where somebody can answer.

use std::path::PathBuf;
use std::sync::Arc;

use time::OffsetDateTime;

use super::jobs::Row;
use super::run::command;
use crate::cloud::Cloud;
use crate::device::{self, Client};
use crate::error::{Error, ExitCode, Result};
use crate::job::{Endpoint, JobId};
use crate::notice::Notify;
use crate::settings::{Flags, Settings};
use crate::store::StateFolder;
use crate::text::clean;
use crate::ui::{Answer, Step, Ui};
use crate::vault::KeychainKind;

/// What `run` is to do, agreed to.
pub(super) struct Plan {
    pub(super) job: JobId,
    /// The flags that were typed, and those that would have been.
    pub(super) typed: Flags,
    /// With what was answered in its place.
    pub(super) settings: Settings,
    pub(super) endpoint: Endpoint,
}

/// Asks for what is missing.
pub(super) fn plan(named: Option<JobId>, typed: &Flags, settings: &Settings, ui: &Arc<Ui>) -> Result<Plan> {
    let (mut typed, mut settings) = (typed.clone(), settings.clone());
    let job = match named {
        Some(job) => job,
        None => choose_job(&settings, ui)?,
    };
    choose_client(&mut typed, &mut settings, &job, ui)?;
    let endpoint = match settings.endpoint.clone() {
        Some(endpoint) => endpoint,
        None => choose_endpoint(&mut typed, &mut settings, &job, ui)?,
    };
    settings.endpoint = Some(endpoint.clone());
    let plan = Plan { job, typed, settings, endpoint };
    plan.agree(ui)?;
    Ok(plan)
}

impl Plan {
    /// The command that does the same without a question.
    fn command(&self) -> String {
        format!("  {}", command(&self.job, &self.endpoint.to_string(), &self.typed, &self.settings, &[]))
    }

    fn agree(&self, ui: &Ui) -> Result<()> {
        let folder = self.settings.state_dir.join("jobs").join(self.job.as_str());
        let (code, manifest) = match self.settings.keychain {
            KeychainKind::System => ("is kept in this machine's keychain", folder.display().to_string()),
            KeychainKind::Kernel => {
                ("is kept in the kernel's memory, until the next reboot", folder.display().to_string())
            }
            KeychainKind::None => ("is kept nowhere", "is kept nowhere".to_owned()),
        };
        let client = self.settings.client.as_ref().map(|(path, _)| path.display().to_string());
        ui.tell(&format!(
            "\nThis will be done:\n  Job       {}\n  Code      {code}\n  Manifest  {manifest}\n  Client    {}\n  Device    {} is given both, and opened\n\nThe same without questions:\n{}",
            self.job,
            client.as_deref().unwrap_or("snowballEdge in PATH"),
            self.endpoint,
            self.command(),
        ));
        loop {
            match ui.ask_for_line("Go on? [Y/n]") {
                Answer::Line(line) => match line.to_ascii_lowercase().as_str() {
                    "" | "y" | "yes" => return Ok(()),
                    "n" | "no" => return Err(cancelled("You chose not to go on.", self.command())),
                    _ => ui.tell("Please answer y or n."),
                },
                gone => return Err(without_answer(&gone, self.command())),
            }
        }
    }
}

/// One of those that have been delivered; without AWS, one of those that are kept here.
fn choose_job(settings: &Settings, ui: &Arc<Ui>) -> Result<JobId> {
    let kept = StateFolder::open(&settings.state_dir)?.kept_pairs()?;
    ui.begin(Step::Job);
    let listed = Cloud::open(&settings.cloud(), Arc::clone(ui) as Arc<dyn Notify>).and_then(|cloud| cloud.jobs());
    let rows: Vec<Row> = match listed {
        Ok(jobs) => jobs.into_iter().map(|job| Row::new(job, &kept)).filter(Row::is_ready).collect(),
        Err(error) if !kept.is_empty() && is_no_reason_to_stop(&error) => {
            let report = error.report();
            ui.tell(&format!("{}\nWithout AWS, what is kept here opens its device all the same.", report.sentence));
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    let choices: Vec<(JobId, String)> = if rows.is_empty() {
        kept.iter().filter_map(|id| Some((id.parse().ok()?, "kept here".to_owned()))).collect()
    } else {
        let now = OffsetDateTime::now_utc();
        rows.iter().filter_map(|row| Some((row.id().parse().ok()?, row.in_words(now)))).collect()
    };
    match &choices[..] {
        [] => Err(Error::NoJobReady),
        [(job, words)] => {
            ui.step(Step::Job, &format!("{job}: {words}"));
            Ok(job.clone())
        }
        several => choose_of(several, ui),
    }
}

/// What does not matter to a pair that is kept: the network, and who one is to AWS.
fn is_no_reason_to_stop(error: &Error) -> bool {
    matches!(error.report().exit, ExitCode::Network | ExitCode::Credentials | ExitCode::Answer)
}

fn choose_of(choices: &[(JobId, String)], ui: &Ui) -> Result<JobId> {
    let list: Vec<String> =
        choices.iter().enumerate().map(|(at, (job, words))| format!("  {}  {job}\n     {words}", at + 1)).collect();
    ui.tell(&format!(
        "\nWhich job's device is it? The tracking number is on its shipping label.\n\n{}",
        list.join("\n")
    ));
    loop {
        match ui.ask_for_line(&format!("Number, 1 to {}:", choices.len())) {
            Answer::Line(line) => {
                let by_number = line.parse::<usize>().ok().and_then(|number| choices.get(number.wrapping_sub(1)));
                match by_number.or_else(|| choices.iter().find(|(job, _)| job.as_str() == line)) {
                    Some((job, _)) => return Ok(job.clone()),
                    None => ui.tell(&format!("There is no “{}” in this list.", clean(&line))),
                }
            }
            gone => return Err(without_answer(&gone, "  snow-onboard run JOB --endpoint 192.0.2.10".to_owned())),
        }
    }
}

/// Nothing but finding it: a client that is not safe to run is no matter of another path.
fn choose_client(typed: &mut Flags, settings: &mut Settings, job: &JobId, ui: &Ui) -> Result<()> {
    loop {
        let error = match Client::find(&settings.client(), ui) {
            Ok(client) => {
                if settings.client.is_none() {
                    // Shown before it is agreed to; found anew by the run, which looks at it again.
                    settings.client = Some((client.launcher().to_path_buf(), "PATH".to_owned()));
                }
                return Ok(());
            }
            // Another answer than the locked one would not count.
            Err(error @ (Error::ClientMissing { .. } | Error::ClientUnusable { .. }))
                if !settings.is_locked("client") =>
            {
                error
            }
            Err(error) => return Err(error),
        };
        let report = error.report();
        ui.tell(&format!("\n{}\n{}", report.sentence, report.hint));
        match ui.ask_for_line("Where is snowballEdge? Its path:") {
            Answer::Line(line) if line.is_empty() => {}
            Answer::Line(line) => {
                let path = std::path::absolute(at_home(&line)).unwrap_or_else(|_| PathBuf::from(&line));
                typed.insert("client", path.display().to_string());
                settings.client = Some((path, "--client".to_owned()));
            }
            gone => {
                return Err(without_answer(
                    &gone,
                    format!("  snow-onboard run {job} --endpoint 192.0.2.10 --client /path/to/snowballEdge"),
                ));
            }
        }
    }
}

/// `~/…`, which a shell would have replaced.
fn at_home(line: &str) -> PathBuf {
    let home = line.strip_prefix("~/").zip(std::env::home_dir());
    home.map_or_else(|| PathBuf::from(line), |(rest, home)| home.join(rest))
}

/// The address on the display, at which something answers or is waited for.
fn choose_endpoint(typed: &mut Flags, settings: &mut Settings, job: &JobId, ui: &Ui) -> Result<Endpoint> {
    let mut question = "The IP address on the device's display, such as 192.0.2.10:";
    let mut last: Option<Endpoint> = None;
    loop {
        let line = match ui.ask_for_line(question) {
            Answer::Line(line) => line,
            gone => return Err(without_answer(&gone, format!("  snow-onboard run {job} --endpoint 192.0.2.10"))),
        };
        let endpoint = match (line.as_str(), &last) {
            ("w" | "W", Some(endpoint)) => {
                settings.wait_device = true;
                typed.insert("wait_device", "true".to_owned());
                return Ok(endpoint.clone());
            }
            ("", Some(endpoint)) => endpoint.clone(),
            _ => match line.parse::<Endpoint>() {
                Ok(endpoint) => endpoint,
                Err(malformed) => {
                    ui.tell(&format!("“{}” {}.", clean(&line), malformed.why));
                    continue;
                }
            },
        };
        match device::reach(&endpoint, ui) {
            Ok(()) => return Ok(endpoint),
            Err(error @ Error::DeviceUnreachable { .. }) => {
                ui.tell(&format!(
                    "{error}\nA device takes 10 to 20 minutes to start. Is it on, and are cable and address right?"
                ));
                question = "Enter tries again, w waits for it, or type another address:";
                last = Some(endpoint);
            }
            Err(error) => {
                let report = error.report();
                ui.tell(&format!("{}\n{}", report.sentence, report.hint));
            }
        }
    }
}

fn without_answer(gone: &Answer, command: String) -> Error {
    cancelled(if *gone == Answer::Silence { "No answer came." } else { "The input ended." }, command)
}

fn cancelled(why: &str, command: String) -> Error {
    Error::Cancelled { why: why.to_owned(), way_on: format!("To do it without questions:\n{command}") }
}
