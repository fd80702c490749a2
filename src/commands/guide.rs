//! The guided run: asks for what `run` was not told, says what will happen, and goes on when that is agreed to.
//!
//! Everything asked here can be given as a flag, and is asked only where somebody can answer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use time::OffsetDateTime;

use super::jobs::{JobRow, no_job_ready};
use crate::cli::run_again;
use crate::cloud::Cloud;
use crate::device::{self, Client};
use crate::error::{Error, ExitCode, Result};
use crate::keychain::Keychain;
use crate::model::{
    Endpoint, HandOverPolicy, KeychainKind, Malformed, Region, TargetId, is_code_for_answer, tidy, trimmed, typed_path,
};
use crate::report::{Reporter, Step};
use crate::safety::sanitize::sanitize;
use crate::settings::table::Setting;
use crate::settings::{Settings, Value, setting};
use crate::store::StateFolder;
use crate::ui::{Answer, Ui};

/// What `run` is to do, agreed to.
pub(super) struct Plan {
    pub(super) job: TargetId,
    /// With what was answered in its place.
    pub(super) settings: Settings,
    pub(super) endpoint: Endpoint,
}

/// What is settled by now.
struct Guide<'a> {
    ui: &'a Ui,
    reporter: &'a Reporter,
    job: Option<TargetId>,
    /// With what was answered so far.
    settings: Settings,
    /// The client that was found, to be shown; the run finds it anew.
    client: Option<PathBuf>,
}

/// Asks for what is missing.
pub(super) fn plan(named: Option<TargetId>, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<Plan> {
    let mut guide = Guide { ui, reporter, job: named, settings: settings.clone(), client: None };
    guide.look_at_keychain()?;
    let job = match guide.job.clone() {
        Some(job) => job,
        None => guide.choose_job()?,
    };
    reporter.is_about(&job);
    guide.job = Some(job.clone());
    guide.choose_client()?;
    let endpoint = match guide.settings.endpoint.clone() {
        Some(endpoint) => endpoint,
        None => guide.choose_endpoint()?,
    };
    guide.agree(&job, &endpoint)?;
    Ok(Plan { job, settings: guide.settings, endpoint })
}

impl Guide<'_> {
    /// Takes an answer as if it had been typed as a flag: a lock overrides it.
    fn take(&mut self, setting: &'static Setting, answer: impl Into<Value>) -> Result<()> {
        self.settings = self.settings.with(setting, answer)?;
        Ok(())
    }

    /// Before anybody has answered anything: without a keychain the answers would be lost. Where something is kept, the run
    /// looks into the keychain that has it.
    fn look_at_keychain(&self) -> Result<()> {
        if !self.settings.keychain_was_chosen() && !self.kept().is_empty() {
            return Ok(());
        }
        Keychain::open(self.settings.keychain_settings(self.settings.keychain), self.reporter.shared()).map(drop)
    }

    /// The ids of the jobs whose pairs are here. Looked at without making anything: it may come to nothing.
    fn kept(&self) -> BTreeSet<String> {
        StateFolder::pairs_below(&self.settings.state_dir).unwrap_or_default()
    }

    /// One of those that have been delivered; without AWS, one of those that are kept here.
    fn choose_job(&mut self) -> Result<TargetId> {
        let kept = self.kept();
        let (as_given, mut region_was_typed) = (self.settings.clone(), false);
        let listed = loop {
            self.reporter.begin(Step::Job);
            let cloud = Cloud::open(&self.settings.cloud(), self.reporter.shared());
            match cloud.and_then(|cloud| cloud.jobs()) {
                Err(Error::RegionMissing) if kept.is_empty() => self.choose_region()?,
                // A region that does not exist has no address. Whether it is that or the network, who typed it can tell.
                Err(error @ Error::ApiUnreachable { .. }) if region_was_typed => {
                    let region = self.settings.region.as_ref().and_then(|region| region.value.nearest_known());
                    let meant = region.map(|region| format!(" Did you mean {region}?")).unwrap_or_default();
                    self.ui.tell(&format!("\n{error}\nIs the region written correctly, and is there internet?{meant}"));
                    // The command to paste, if nobody answers, does not name the region that was wrong.
                    self.settings = as_given.clone();
                    self.choose_region()?;
                }
                listed => break listed,
            }
            region_was_typed = true;
        };
        let (mut on_their_way, mut clusters) = (Vec::new(), BTreeMap::<TargetId, usize>::new());
        let rows: Vec<JobRow> = match listed {
            Ok(jobs) => {
                on_their_way.clone_from(&jobs);
                let rows: Vec<JobRow> = jobs.into_iter().map(|job| JobRow::new(job, &kept)).collect();
                for cluster in rows.iter().filter_map(|row| row.ready_in_cluster()?.parse().ok()) {
                    *clusters.entry(cluster).or_default() += 1;
                }
                rows.into_iter().filter(JobRow::is_for_one_device).collect()
            }
            Err(error) if !kept.is_empty() && is_no_reason_to_stop(&error) => {
                self.ui.tell(&format!("{error}\nThe stored code and manifest can unlock their device without AWS."));
                Vec::new()
            }
            // Listing is a permission of its own, which a run does not need.
            Err(error @ Error::AccessDenied { .. }) => {
                self.ui.tell(&format!("{error}\nYou can type the job id instead."));
                return self.ask_for("The job's id, which begins with JID:", TargetId::typed);
            }
            Err(error) => return Err(error),
        };
        let choices: Vec<(TargetId, String)> = if rows.is_empty() && clusters.is_empty() {
            kept.iter().filter_map(|id| Some((id.parse().ok()?, "kept here".to_owned()))).collect()
        } else {
            let now = OffsetDateTime::now_utc();
            let of_cluster =
                |(id, nodes): (&TargetId, &usize)| (id.clone(), format!("cluster, {nodes} nodes delivered"));
            let rows = rows.iter().filter_map(|row| Some((row.id().parse().ok()?, row.in_words(now))));
            rows.chain(clusters.iter().map(of_cluster)).collect()
        };
        match &choices[..] {
            [] => Err(no_job_ready(&on_their_way, |job| {
                run_again(job, self.settings.endpoint.as_ref(), &self.settings, |setting| setting.key != "wait")
            })),
            [(job, words)] => {
                self.reporter.step(Step::Job, &format!("{job}: {words}"));
                Ok(job.clone())
            }
            several => self.choose_of(several),
        }
    }

    fn choose_of(&self, choices: &[(TargetId, String)]) -> Result<TargetId> {
        let list: Vec<String> =
            choices.iter().enumerate().map(|(at, (job, words))| format!("  {}  {job}\n     {words}", at + 1)).collect();
        self.ui.tell(&format!(
            "\nWhich job's device is it? The tracking number is on its shipping label.\n\n{}",
            list.join("\n")
        ));
        loop {
            let line = self.ask(&format!("Number, 1 to {}:", choices.len()))?;
            let by_number = line.parse::<usize>().ok().and_then(|number| choices.get(number.wrapping_sub(1)));
            match by_number.or_else(|| choices.iter().find(|(job, _)| TargetId::typed(&line).as_ref() == Ok(job))) {
                Some((job, _)) => return Ok(job.clone()),
                None => self.ui.tell(&format!("There is no “{}” in this list.", sanitize(&line))),
            }
        }
    }

    fn choose_region(&mut self) -> Result<()> {
        let region: Region = self
            .ask_for("The AWS region in which the job was ordered, such as eu-central-1:", |line| tidy(line).parse())?;
        self.take(&setting::region, region)
    }

    /// Nothing but finding it: a client that is not safe to run is no matter of another path.
    fn choose_client(&mut self) -> Result<()> {
        loop {
            let error = match Client::find(&self.settings.client(), self.reporter) {
                Ok(client) => {
                    self.client = Some(client.launcher().to_path_buf());
                    return Ok(());
                }
                // Another answer than the locked one would not count.
                Err(error) if self.settings.is_locked(&setting::client) => return Err(error),
                Err(error @ (Error::ClientMissing { .. } | Error::ClientUnusable { .. })) => error,
                Err(error) => return Err(error),
            };
            self.ui
                .tell(&format!("\n{error}\nIt is in the vendor's package: https://aws.amazon.com/snowball/resources"));
            let line = self.ask("Where is snowballEdge? Its path:")?;
            if let Some(path) = path_of(trimmed(&line)) {
                self.take(&setting::client, path)?;
            }
        }
    }

    /// The address on the display, at which something answers or is waited for.
    fn choose_endpoint(&mut self) -> Result<Endpoint> {
        let mut question = "The IP address on the device's display, such as 192.0.2.10:";
        let mut last: Option<Endpoint> = None;
        loop {
            let line = self.ask(question)?;
            let endpoint = match (line.as_str(), &last) {
                ("w" | "W", Some(endpoint)) if self.may_wait() => {
                    let endpoint = endpoint.clone();
                    self.take(&setting::wait_device, true)?;
                    self.take(&setting::endpoint, endpoint.clone())?;
                    return Ok(endpoint);
                }
                ("", Some(endpoint)) => endpoint.clone(),
                // A key that was meant for another question, and not to be asked of a name server.
                (line, _) if line.chars().count() < 2 => continue,
                _ => match Endpoint::typed(&line) {
                    Ok(endpoint) => endpoint,
                    Err(malformed) => {
                        self.ui.tell(&format!("“{}” {}.", sanitize(&line), malformed.why));
                        continue;
                    }
                },
            };
            match device::check_address(&endpoint) {
                Err(error @ Error::EndpointPublic { .. }) if self.may_be_public() => {
                    self.ui.tell(&error.to_string());
                    if !matches!(self.ask("Is that what its display says? [yes/N]")?.as_str(), "yes" | "YES" | "Yes") {
                        continue;
                    }
                    self.take(&setting::allow_public_endpoint, true)?;
                }
                Err(Error::EndpointPublic { .. }) if self.settings.allow_public_endpoint => {}
                Err(error) => {
                    self.ui.tell(&error.to_string());
                    continue;
                }
                Ok(()) => {}
            }
            match device::reach(&endpoint, self.reporter) {
                Ok(_) => {
                    self.take(&setting::endpoint, endpoint.clone())?;
                    return Ok(endpoint);
                }
                Err(error @ Error::DeviceUnreachable { .. }) => {
                    self.ui.tell(&format!(
                        "{error}\nA device takes 10 to 20 minutes to start. Is it on, and are cable and address right?"
                    ));
                    question = if self.may_wait() {
                        "Press Enter to try again, type w to wait for the device, or type another address:"
                    } else {
                        "Press Enter to try again, or type another address:"
                    };
                    last = Some(endpoint);
                }
                Err(error) => self.ui.tell(&error.to_string()),
            }
        }
    }

    /// An address that the administrator has ruled out is not offered either.
    fn may_be_public(&self) -> bool {
        !self.settings.allow_public_endpoint && !self.settings.is_locked(&setting::allow_public_endpoint)
    }

    /// A wait that the administrator has ruled out is not offered.
    fn may_wait(&self) -> bool {
        self.settings.wait_device || !self.settings.is_locked(&setting::wait_device)
    }

    fn agree(&self, job: &TargetId, endpoint: &Endpoint) -> Result<()> {
        let settings = &self.settings;
        let folder = settings.state_dir.join("jobs").join(job.as_str());
        let (code, manifest) = match settings.keychain {
            KeychainKind::System => ("is kept in this machine's keychain", folder.display().to_string()),
            KeychainKind::Kernel => {
                ("will be stored in kernel memory, until reboot at the latest", folder.display().to_string())
            }
            KeychainKind::None => ("is kept nowhere", "is kept nowhere".to_owned()),
        };
        let client = self.client.as_ref().map(|path| path.display().to_string());
        let on_argv = if settings.handoff == HandOverPolicy::Argv {
            "\n  Hand-over  may use the client's command line, where other programs can read the code"
        } else {
            ""
        };
        self.ui.tell(&format!(
            "\nThis will be done:\n  Job        {job}\n  Code       {code}\n  Manifest   {manifest}\n  Client     {}\n  Device     {endpoint} will be unlocked{on_argv}\n\nThe same without questions:\n  {}",
            client.as_deref().unwrap_or("snowballEdge in PATH"),
            self.command(),
        ));
        match asked_to_continue(self.ui, |why| self.cancelled(why))? {
            true => Ok(()),
            false => Err(self.cancelled("You chose not to go on.")),
        }
    }

    /// Asks until the answer is what it should be.
    fn ask_for<T>(&self, question: &str, typed: impl Fn(&str) -> std::result::Result<T, Malformed>) -> Result<T> {
        loop {
            let line = self.ask(question)?;
            match typed(&line) {
                Ok(answer) => return Ok(answer),
                Err(malformed) => self.ui.tell(&format!("“{}” {malformed}.", sanitize(&line))),
            }
        }
    }

    fn ask(&self, question: &str) -> Result<String> {
        typed_line(self.ui, question, |why| self.cancelled(why))
    }

    /// The command that does the same without a question, as far as that is settled.
    fn command(&self) -> String {
        run_again(self.job.as_ref(), self.settings.endpoint.as_ref(), &self.settings, |_| true)
    }

    fn cancelled(&self, why: &str) -> Error {
        let is_settled = self.job.is_some() && self.settings.endpoint.is_some();
        let what = if is_settled { "To do it without questions" } else { "To be asked for the rest again" };
        let hint = format!("{what}:\n  {}", self.command());
        Error::Cancelled { why: why.to_owned(), hint }
    }
}

/// Asks for a line that is no unlock code: such a one is neither said again nor used for anything.
pub(super) fn typed_line(ui: &Ui, question: &str, cancelled: impl Fn(&str) -> Error) -> Result<String> {
    loop {
        match ui.ask_for_line(question) {
            Answer::Line(line) if is_code_for_answer(&line) => {
                ui.tell("This looks like an unlock code. Do not type it here. Answer the question instead.");
            }
            Answer::Line(line) => return Ok(line),
            Answer::End => return Err(cancelled("The input ended.")),
            Answer::Silence => return Err(cancelled("No answer came.")),
        }
    }
}

/// Whether to do what was shown.
pub(super) fn asked_to_continue(ui: &Ui, cancelled: impl Fn(&str) -> Error) -> Result<bool> {
    loop {
        match typed_line(ui, "Continue? [Y/n]", &cancelled)?.to_ascii_lowercase().as_str() {
            "" | "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => ui.tell("Please answer y or n."),
        }
    }
}

/// What does not matter to a pair that is kept: the network, and who one is to AWS.
fn is_no_reason_to_stop(error: &Error) -> bool {
    matches!(error.exit(), ExitCode::Network | ExitCode::Credentials | ExitCode::Answer)
}

/// A path as it is typed, dragged from a file manager, or copied from a command: `~/x`, `"/a b/x"`, `/a\ b/x`, `--client /x`.
fn path_of(line: &str) -> Option<PathBuf> {
    let line = line.strip_prefix("--client").map_or(line, |rest| rest.trim_start_matches(['=', ' ']));
    let quotes: &[char] = &['"', '\''];
    let inner = quotes.iter().find_map(|quote| line.strip_prefix(*quote)?.strip_suffix(*quote));
    let text = match inner {
        Some(inner) => inner.to_owned(),
        None if cfg!(windows) => line.to_owned(),
        None => line.replace("\\ ", " "),
    };
    if text.is_empty() {
        return None;
    }
    let path = typed_path(&text);
    Some(std::path::absolute(&path).unwrap_or(path))
}

// Paths and words as the shells of Unix have them.
#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_it_comes() {
        let home = std::env::home_dir().unwrap();
        for (line, path) in [
            ("/opt/a/snowballEdge", PathBuf::from("/opt/a/snowballEdge")),
            ("--client /opt/a/snowballEdge", PathBuf::from("/opt/a/snowballEdge")),
            ("--client=/opt/a/snowballEdge", PathBuf::from("/opt/a/snowballEdge")),
            ("\"/opt/a b/snowballEdge\"", PathBuf::from("/opt/a b/snowballEdge")),
            ("'/opt/a b/snowballEdge'", PathBuf::from("/opt/a b/snowballEdge")),
            ("/opt/a\\ b/snowballEdge", PathBuf::from("/opt/a b/snowballEdge")),
            ("~/a/snowballEdge", home.join("a/snowballEdge")),
        ] {
            assert_eq!(path_of(line), Some(path), "{line}");
        }
        assert_eq!(path_of(""), None);
    }
}
