//! `run --all`: the devices of all delivered jobs. AWS says which those are, somebody types where each device is, and then it is
//! what `run --plan` does.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::guide::{asked_to_continue, typed_line};
use super::jobs::{JobRow, no_job_ready};
use super::run_plan::{FailedLookUps, HEADER, PlanRun, needs_keychain, plan_text};
use super::several::lines_to_keep;
use crate::cli::{run_again, run_plan_again};
use crate::cloud::Cloud;
use crate::device;
use crate::error::{Error, ExitCode, Result};
use crate::flow::check_address;
use crate::model::{
    ClusterId, DevicePlan, Endpoint, JobFacts, JobId, KeychainKind, PlannedDevice, Readiness, Record, TargetId,
    plan_label, plan_line,
};
use crate::report::{Nobody, Reporter, Step};
use crate::safety::sanitize::sanitize;
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::Ui;

/// A delivered job, and what helps to say where its device is.
struct Delivered {
    job: TargetId,
    words: String,
    label: Option<String>,
    /// How many addresses it has: a cluster, one for each node.
    nodes: usize,
    /// Those of the last time.
    last: Vec<Endpoint>,
}

pub(super) fn run_all(no_input: bool, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    needs_keychain(settings)?;
    if !ui.can_prompt() {
        let jobs = Cloud::open(&settings.cloud(), reporter.shared())?.jobs()?;
        let delivered = delivered(jobs, settings)?;
        let line = |it: &Delivered| format!("\n  {}", plan_line(&it.job, &it.last, it.label.as_deref()));
        let example = format!("  {HEADER}{}", delivered.iter().map(line).collect::<String>());
        let command = run_plan_again("pallet.csv", settings);
        return Err(Error::AddressesMissing { why: ui.why_nobody_is_asked(no_input).to_owned(), example, command });
    }
    // Without a keychain and a client the answers would be lost.
    let run = PlanRun::prepare(settings, ui, reporter)?;
    reporter.begin(Step::Job);
    let jobs = run.cloud(reporter)?.jobs()?;
    let delivered = delivered(jobs, settings)?;
    reporter.step(Step::Job, &format!("{} delivered", in_words(&delivered)));
    let plan = Questions { delivered: &delivered, settings, ui, reporter }.plan()?;
    Ok(run.run(&plan, FailedLookUps::new(), false))
}

/// How many jobs, and how many clusters.
fn in_words(delivered: &[Delivered]) -> String {
    let count = |of_clusters: bool, one: &str, more: &str| {
        let count = delivered.iter().filter(|it| it.job.job().is_none() == of_clusters).count();
        (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { more }))
    };
    let counts: Vec<String> =
        [count(false, "job", "jobs"), count(true, "cluster", "clusters")].into_iter().flatten().collect();
    format!("{} {} been", counts.join(" and "), if delivered.len() == 1 { "has" } else { "have" })
}

/// Those whose device is here, and the clusters of which a node is.
fn delivered(jobs: Vec<JobFacts>, settings: &Settings) -> Result<Vec<Delivered>> {
    let records: HashMap<TargetId, Option<Record>> =
        StateFolder::kept_below(&settings.state_dir)?.into_iter().collect();
    let kept = StateFolder::pairs_below(&settings.state_dir)?;
    let (now, mut delivered) = (OffsetDateTime::now_utc(), Vec::<Delivered>::new());
    let last =
        |job: &TargetId| records.get(job).and_then(Option::as_ref).map(Record::last_addresses).unwrap_or_default();
    for facts in &jobs {
        let (row, label) = (JobRow::new(facts.clone(), &kept), facts.description.as_deref().and_then(plan_label));
        if row.is_for_one_device() {
            let Ok(job) = row.id().parse::<JobId>().map(TargetId::from) else { continue };
            delivered.push(Delivered { last: last(&job), job, words: row.in_words(now), label, nodes: 1 });
            continue;
        }
        let Some(job) = row.ready_in_cluster().and_then(|id| id.parse::<ClusterId>().ok()).map(TargetId::from) else {
            continue;
        };
        if delivered.iter().all(|it| it.job != job) {
            let of_cluster =
                jobs.iter().filter(|other| other.cluster.as_deref() == Some(job.as_str()) && !other.is_main);
            let nodes = of_cluster.filter(|node| node.state.readiness() != Readiness::TooLate).count();
            let words = format!("cluster of {nodes} nodes, {}", row.in_words_of_cluster(now));
            delivered.push(Delivered { last: last(&job), job, words, label, nodes });
        }
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
    delivered: &'a [Delivered],
    settings: &'a Settings,
    ui: &'a Ui,
    reporter: &'a Reporter,
}

impl Questions<'_> {
    fn plan(&self) -> Result<DevicePlan> {
        let mut devices: Vec<PlannedDevice> = Vec::new();
        for (at, it) in self.delivered.iter().enumerate() {
            self.ui.tell(&format!("\n  {} of {}  {}\n     {}", at + 1, self.delivered.len(), it.job, it.words));
            if let Some(device) = self.addresses_of(it, &devices)? {
                devices.push(device);
                self.keep_if_interrupted(&devices);
            }
        }
        if devices.is_empty() {
            return Err(self.cancelled("No address was given."));
        }
        self.agree(&devices)?;
        DevicePlan::of(devices)
            .map_err(|flaw| Error::Internal { what: format!("a plan of answers that is none: {}", flaw.why) })
    }

    /// Somebody has read them off displays, one by one.
    fn keep_if_interrupted(&self, devices: &[PlannedDevice]) {
        let (lines, command) = (plan_text(devices), run_plan_again("pallet.csv", self.settings));
        let keep = lines_to_keep("To keep the addresses", &lines, &command);
        self.ui.on_interruption(move |_| ("Nothing was done.".to_owned(), keep.clone()));
    }

    /// Asks for the address of each node. `None` if the job is to be left out.
    fn addresses_of(&self, of: &Delivered, before: &[PlannedDevice]) -> Result<Option<PlannedDevice>> {
        let Some(endpoint) = self.endpoint_of(of, before, &[])? else { return Ok(None) };
        let mut device = PlannedDevice::at(of.job.clone(), endpoint, Vec::new());
        device.label.clone_from(&of.label);
        for _ in 1..of.nodes {
            let given: Vec<Endpoint> = device.addresses().cloned().collect();
            self.keep_if_interrupted(&[before, std::slice::from_ref(&device)].concat());
            let Some(other) = self.endpoint_of(of, before, &given)? else {
                if !before.is_empty() {
                    self.keep_if_interrupted(before);
                }
                return Ok(None);
            };
            device.others.push(other);
        }
        Ok(Some(device))
    }

    /// `None` if the job is to be left out; `given` are the addresses of the nodes before.
    fn endpoint_of(&self, of: &Delivered, before: &[PlannedDevice], given: &[Endpoint]) -> Result<Option<Endpoint>> {
        let is_taken = |last: &&Endpoint| given.iter().any(|given| given.is_same(last));
        let last = of.last.iter().find(|last| !is_taken(last));
        let (whose, this) = match of.nodes {
            1 => ("its display".to_owned(), "this job"),
            nodes => (format!("the display of node {} of {nodes}", given.len() + 1), "this cluster"),
        };
        let first = match last {
            Some(last) => format!(
                "The IP address on {whose}. Press Enter for {last}, the address of last time, or type - to leave {this} out:"
            ),
            None => format!("The IP address on {whose}. Press Enter to leave {this} out:"),
        };
        let keep = format!("Press Enter to keep this address, type - to leave {this} out, or type another address:");
        let (mut question, mut silent, mut confirmed) = (first.as_str(), None::<Endpoint>, None::<Endpoint>);
        loop {
            let line = self.ask(question)?;
            let endpoint = match (line.as_str(), silent.take(), last) {
                ("-", ..) | ("", None, None) => return Ok(None),
                // It was said that nothing answers there yet.
                ("", Some(endpoint), _) => return Ok(Some(endpoint)),
                ("", None, Some(last)) => last.clone(),
                // A key that was meant for another question, and not to be asked of a name server.
                (line, ..) if line.chars().count() < 2 => {
                    if !line.is_empty() {
                        let line = sanitize(line);
                        self.ui.tell(&format!("“{line}” is no address. Type the address, or - to leave {this} out."));
                    }
                    continue;
                }
                (line, ..) => match Endpoint::typed(line) {
                    Ok(endpoint) => endpoint,
                    Err(malformed) => {
                        self.ui.tell(&format!("“{}” {}.", sanitize(line), malformed.why));
                        continue;
                    }
                },
            };
            question = first.as_str();
            let mut others = before.iter().filter(|it| it.addresses().any(|other| other.is_same(&endpoint)));
            let other = others.next().map(|it| &it.job).or(is_taken(&&endpoint).then_some(&of.job));
            if let Some(other) = other {
                self.ui.tell(&format!("{endpoint} is the address that you gave for {other}."));
                continue;
            }
            let former =
                self.delivered.iter().find(|it| it.job != of.job && it.last.iter().any(|it| it.is_same(&endpoint)));
            if let Some(Delivered { job, .. }) = former.filter(|_| confirmed.as_ref() != Some(&endpoint)) {
                self.ui.tell(&format!("{endpoint} was the device of {job} when it was opened last."));
                question = &keep;
                (silent, confirmed) = (Some(endpoint.clone()), Some(endpoint));
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
                    question = &keep;
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
        self.ui.tell(&format!(
            "\nThese devices will be unlocked, {} at a time. Codes are kept in {place}.\n\n{}\n\nThe same without questions: save these lines as a file, for example pallet.csv, and run\n  {}",
            self.settings.parallel,
            plan_text(devices),
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
