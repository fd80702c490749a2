//! `run --all`: the devices of all delivered jobs. AWS says which those are, somebody types where each device is, and then it is
//! what `run --plan` does.

use std::collections::{BTreeSet, HashMap};

use time::OffsetDateTime;

use super::guide::{asked_to_continue, typed_line};
use super::jobs::{JobRow, no_job_ready};
use super::run_plan::{PlanRun, needs_keychain};
use crate::cli::{run_again, run_plan_again};
use crate::cloud::Cloud;
use crate::device;
use crate::error::{Error, ExitCode, Result};
use crate::flow::check_address;
use crate::model::{
    DevicePlan, Endpoint, JobFacts, JobId, KeychainKind, PlannedDevice, Record, TargetId, plan_label, plan_line,
};
use crate::report::{Event, Nobody, Notify, Reporter, Step};
use crate::safety::sanitize::sanitize;
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::Ui;

const HEADER: &str = "job,address,label";

/// A delivered job, and what helps to say where its device is.
struct Delivered {
    job: JobId,
    words: String,
    label: Option<String>,
    /// The address of the last time.
    last: Option<Endpoint>,
}

pub(super) fn run_all(no_input: bool, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    needs_keychain(settings)?;
    if !ui.can_prompt() {
        let jobs = Cloud::open(&settings.cloud(), reporter.shared())?.jobs()?;
        let delivered = delivered(jobs, settings, reporter)?;
        let line = |it: &Delivered| {
            let address = it.last.as_ref().map(Endpoint::to_string).unwrap_or_default();
            format!("\n  {}", plan_line(&it.job, &address, it.label.as_deref()))
        };
        let example = format!("  {HEADER}{}", delivered.iter().map(line).collect::<String>());
        let command = run_plan_again("pallet.csv", settings);
        return Err(Error::AddressesMissing { why: ui.why_nobody_is_asked(no_input).to_owned(), example, command });
    }
    // Without a keychain and a client the answers would be lost.
    let run = PlanRun::prepare(settings, ui, reporter)?;
    reporter.begin(Step::Job);
    let jobs = run.cloud(reporter)?.jobs()?;
    let delivered = delivered(jobs, settings, reporter)?;
    reporter.step(Step::Job, &format!("{} delivered", jobs_in_words(delivered.len())));
    let plan = Questions { settings, ui, reporter }.plan(&delivered)?;
    Ok(run.run(&plan))
}

fn jobs_in_words(count: usize) -> String {
    if count == 1 { "1 job has been".to_owned() } else { format!("{count} jobs have been") }
}

/// Those that one device is enough for. A node of a cluster is opened with its cluster, and is left out here.
fn delivered(jobs: Vec<JobFacts>, settings: &Settings, reporter: &Reporter) -> Result<Vec<Delivered>> {
    let records: HashMap<TargetId, Option<Record>> =
        StateFolder::kept_below(&settings.state_dir)?.into_iter().collect();
    let kept = StateFolder::pairs_below(&settings.state_dir)?;
    let (now, mut clusters, mut delivered) = (OffsetDateTime::now_utc(), BTreeSet::new(), Vec::new());
    for facts in &jobs {
        let (row, label) = (JobRow::new(facts.clone(), &kept), facts.description.as_deref().and_then(plan_label));
        match row.id().parse::<JobId>() {
            Ok(job) if row.is_for_one_device() => {
                let last = records.get(&job.clone().into()).and_then(Option::as_ref).and_then(Record::last_endpoint);
                delivered.push(Delivered { job, words: row.in_words(now), label, last });
            }
            _ => clusters.extend(row.ready_in_cluster().map(str::to_owned)),
        }
    }
    for cluster in clusters {
        let command = format!("snow-onboard run {cluster}");
        reporter.notify(Event::Fact(format!("The cluster {cluster} has a command of its own: {command}")));
    }
    if delivered.is_empty() {
        let again =
            |job: Option<&TargetId>| run_again(job, settings.endpoint.as_ref(), settings, |it| it.key != "wait");
        return Err(no_job_ready(&jobs, again));
    }
    Ok(delivered)
}

/// Asks where the devices are, and whether to begin.
struct Questions<'a> {
    settings: &'a Settings,
    ui: &'a Ui,
    reporter: &'a Reporter,
}

impl Questions<'_> {
    fn plan(&self, delivered: &[Delivered]) -> Result<DevicePlan> {
        let mut devices: Vec<PlannedDevice> = Vec::new();
        for (at, it) in delivered.iter().enumerate() {
            self.ui.tell(&format!("\n  {} of {}  {}\n     {}", at + 1, delivered.len(), it.job, it.words));
            if let Some(endpoint) = self.endpoint_of(it, &devices)? {
                devices.push(PlannedDevice { job: it.job.clone(), endpoint, label: it.label.clone() });
            }
        }
        if devices.is_empty() {
            return Err(self.cancelled("No address was given."));
        }
        self.agree(&devices)?;
        DevicePlan::of(devices.into_iter().map(|device| (None, device)).collect())
            .map_err(|flaw| Error::Internal { what: format!("a plan of answers that is none: {}", flaw.why) })
    }

    /// `None` if the job is to be left out.
    fn endpoint_of(&self, of: &Delivered, before: &[PlannedDevice]) -> Result<Option<Endpoint>> {
        let first = match &of.last {
            Some(last) => format!(
                "The IP address on its display. Press Enter for {last}, the address of last time, or type - to leave this job out:"
            ),
            None => "The IP address on its display. Press Enter to leave this job out:".to_owned(),
        };
        let (mut question, mut silent) = (first.as_str(), None::<Endpoint>);
        loop {
            let line = self.ask(question)?;
            let endpoint = match (line.as_str(), silent.take(), &of.last) {
                ("-", ..) | ("", None, None) => return Ok(None),
                // It was said that nothing answers there yet.
                ("", Some(endpoint), _) => return Ok(Some(endpoint)),
                ("", None, Some(last)) => last.clone(),
                // A key that was meant for another question, and not to be asked of a name server.
                (line, ..) if line.chars().count() < 2 => continue,
                (line, ..) => match Endpoint::typed(line) {
                    Ok(endpoint) => endpoint,
                    Err(malformed) => {
                        self.ui.tell(&format!("“{}” {}.", sanitize(line), malformed.why));
                        continue;
                    }
                },
            };
            question = first.as_str();
            if let Some(other) = before.iter().find(|it| it.endpoint.with_port() == endpoint.with_port()) {
                self.ui.tell(&format!("{endpoint} is the address that you gave for {}.", other.job));
                continue;
            }
            // What is agreed to for one address would not be known any more when its turn comes: the setting says it for all.
            if let Err(error) = check_address(&endpoint, self.settings, &Nobody) {
                self.ui.tell(&format!("{error}\n{}", error.report().hint));
                continue;
            }
            match device::reach(&endpoint, self.reporter) {
                Ok(_) => return Ok(Some(endpoint)),
                Err(error @ Error::DeviceUnreachable { .. }) => {
                    self.ui.tell(&format!("{error}\nA device takes 10 to 20 minutes to start."));
                    question =
                        "Press Enter to keep this address, type - to leave this job out, or type another address:";
                    silent = Some(endpoint);
                }
                Err(error) => self.ui.tell(&error.to_string()),
            }
        }
    }

    fn agree(&self, devices: &[PlannedDevice]) -> Result<()> {
        let place = match self.settings.keychain {
            KeychainKind::Kernel => "kernel memory, until reboot at the latest",
            KeychainKind::System | KeychainKind::None => "this machine's keychain",
        };
        let line =
            |it: &PlannedDevice| format!("\n  {}", plan_line(&it.job, &it.endpoint.to_string(), it.label.as_deref()));
        self.ui.tell(&format!(
            "\nThese devices will be unlocked, {} at a time. Codes are kept in {place}.\n\n  {HEADER}{}\n\nThe same without questions: save these lines as a file, for example pallet.csv, and run\n  {}",
            self.settings.parallel,
            devices.iter().map(line).collect::<String>(),
            run_plan_again("pallet.csv", self.settings)
        ));
        match asked_to_continue(self.ui, |why| self.cancelled(why))? {
            true => Ok(()),
            false => Err(self.cancelled("You chose not to go on.")),
        }
    }

    fn ask(&self, question: &str) -> Result<String> {
        typed_line(self.ui, question, |why| self.cancelled(why))
    }

    fn cancelled(&self, why: &str) -> Error {
        let hint = format!("To be asked again:\n  {}", crate::cli::run_all_again(self.settings));
        Error::Cancelled { why: why.to_owned(), hint }
    }
}
