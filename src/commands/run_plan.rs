//! `run --plan`: the devices of a pallet, side by side.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::cluster::cluster_of;
use super::several::{DeviceRow, NotOpened, Rows, Shared, open_stored};
use crate::cli::run_plan_again;
use crate::cloud::Cloud;
use crate::device::Client;
use crate::error::{Error, ExitCode, Result, Why};
use crate::flow::{
    ClusterRequest, Requested, SharedKeychains, addresses_missing, check_address, check_count, target_among,
    warn_all_until_unlocked, warn_of_known_addresses, with_remembered,
};
use crate::model::{
    DevicePlan, Endpoint, KeychainKind, PlanFlaw, PlanFormat, PlannedDevice, Purpose, TargetId, plan_line,
};
use crate::report::{Event, Nobody, Notify, Reporter, Step, while_waiting};
use crate::safety::path_trust::{self, Whose};
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::{NamedDevice, Ui};

const STDIN_LIMIT: Duration = Duration::from_secs(300);

/// A plan of a thousand devices has a tenth of this.
const MAX_SIZE: u64 = 1024 * 1024;

pub(super) fn run_plan(path: &Path, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    needs_keychain(settings)?;
    let plan = read(path, reporter)?;
    if settings.wait {
        reporter.notify(Event::Fact(
            "With a plan, jobs that are not delivered are not waited for. Repeat the command when they are.".to_owned(),
        ));
    }
    let run = PlanRun::prepare(settings, ui, reporter)?;
    let (plan, failed) = run.with_clusters(plan).map_err(|flaw| flawed(path, flaw))?;
    Ok(run.run(&plan, failed, path != Path::new("-")))
}

fn unusable(path: &Path, why: Why) -> Error {
    let hint = "Correct the plan. Then repeat the same command.";
    Error::PlanUnusable { path: path.display().to_string(), why, hint }
}

fn flawed(path: &Path, PlanFlaw { line, why }: PlanFlaw) -> Error {
    unusable(path, line.map_or(why.clone(), |line| format!("line {line}: {why}")).into())
}

/// Refuses keychain `none`: with several devices what is fetched for the last would be kept nowhere for long.
pub(super) fn needs_keychain(settings: &Settings) -> Result<()> {
    if settings.keychain != KeychainKind::None {
        return Ok(());
    }
    Err(Error::Usage {
        why: "With several devices the codes are stored before the first device is unlocked, and keychain is none \
              (“snow-onboard settings” shows where that was said). Name a keychain, for example --keychain system."
            .to_owned(),
    })
}

/// A device that says it is another one of the same plan: whose address it is is known then. Of a cluster's nodes the plan names one
/// at most.
fn of_plan(error: Error, plan: &DevicePlan) -> Error {
    let Error::DeviceIsAnother { expected, found, endpoint, hint } = error else { return error };
    let is_found = |device: &&PlannedDevice| {
        device.job.as_str() == found || device.node.as_ref().is_some_and(|node| node.as_str() == found)
    };
    let hint = match plan.devices().iter().find(is_found) {
        Some(other) => {
            let (job, planned) = (&other.job, &other.endpoint);
            format!(
                "{found} is a job of the same plan, which has its device at {planned}. Give {job} the address {endpoint} in the plan, and \
                 {expected} the one that its device's display shows. Then repeat the same command."
            )
        }
        None => hint,
    };
    Error::DeviceIsAnother { expected, found, endpoint, hint }
}

/// A plan takes no `--wait`.
fn not_waited_for(error: Error) -> Error {
    match error {
        Error::JobNotReady { job, was, state, .. } => {
            let wait = "With a plan, jobs are not waited for. Repeat the same command when the job is delivered.";
            Error::JobNotReady { job, was, state, wait: wait.to_owned() }
        }
        error => error,
    }
}

fn read(path: &Path, reporter: &Reporter) -> Result<DevicePlan> {
    let name = path.display().to_string();
    let not_read = |why: Why| unusable(path, why);
    let bytes = if name == "-" {
        let bytes = from_stdin(reporter).map_err(|error| not_read(error.into()))?;
        if bytes.len() as u64 > MAX_SIZE {
            return Err(not_read(format!("it is larger than {} KiB", MAX_SIZE / 1024).into()));
        }
        bytes
    } else {
        path_trust::read_file(path, Whose::Own, MAX_SIZE)
            .map_err(|refused| match is_descriptor(path) {
                true => Error::PlanUnusable {
                    path: name.clone(),
                    why: "it is no file but what a pipe brings".to_owned().into(),
                    hint: "Pipe the plan into the command, and give - in place of a path:\n  --plan -",
                },
                false => not_read(refused.into_why(path)),
            })?
            .ok_or_else(|| Error::PlanUnusable {
                path: name.clone(),
                why: "there is no such file".to_owned().into(),
                hint: "Check the path after --plan, then repeat the same command.",
            })?
    };
    let plan = DevicePlan::text(bytes).and_then(|text| DevicePlan::parse(&text, PlanFormat::of(&name, &text)));
    plan.map_err(|flaw| flawed(path, flaw))
}

/// Whether the path is the way to what this process has open: /dev/stdin, or what a shell gives for `<(…)`.
fn is_descriptor(path: &Path) -> bool {
    ["/dev/stdin", "/dev/fd", "/proc/self/fd"].iter().any(|of_system| path.starts_with(of_system))
}

/// All that comes, for as long as somebody who types may take; it is waited for aloud.
fn from_stdin(reporter: &Reporter) -> io::Result<Vec<u8>> {
    let (sender, received) = channel();
    // Nothing ends a read of stdin but its end, so it has a thread that nobody waits for.
    std::thread::Builder::new().name("plan".to_owned()).spawn(move || {
        let mut bytes = Vec::new();
        let read = io::stdin().take(MAX_SIZE + 1).read_to_end(&mut bytes);
        sender.send(read.map(|_| bytes))
    })?;
    let late =
        || io::Error::new(io::ErrorKind::TimedOut, format!("stdin did not end within {} s", STDIN_LIMIT.as_secs()));
    while_waiting(reporter, "the plan on stdin to end", || received.recv_timeout(STDIN_LIMIT)).map_err(|_| late())?
}

/// What is the same for all devices of a plan.
pub(super) struct PlanRun<'a> {
    settings: Settings,
    ui: &'a Ui,
    reporter: &'a Reporter,
    keychains: SharedKeychains,
    /// Nobody signs in for each device.
    cloud: OnceCell<Cloud>,
}

impl<'a> PlanRun<'a> {
    /// What would fail for every device fails once, before AWS is asked. One prompt opens the keychain for all.
    pub(super) fn prepare(settings: &Settings, ui: &'a Ui, reporter: &'a Reporter) -> Result<Self> {
        let mut settings = settings.clone();
        settings.wait = false;
        Client::find(&settings.client(), reporter)?;
        let keychains = SharedKeychains::default();
        keychains.open(settings.keychain_settings(settings.keychain), reporter.shared())?;
        Ok(Self { settings, ui, reporter, keychains, cloud: OnceCell::new() })
    }

    /// AWS, with one sign-in.
    pub(super) fn cloud(&self, reporter: &Reporter) -> Result<&Cloud> {
        match self.cloud.get() {
            Some(cloud) => Ok(cloud),
            None => {
                let opened = Cloud::open(&self.settings.cloud(), reporter.shared())?;
                Ok(self.cloud.get_or_init(|| opened))
            }
        }
    }

    /// The plan with the cluster in the place of each node that stands for it, and why that could not be told of some.
    fn with_clusters(&self, plan: DevicePlan) -> Result<(DevicePlan, FailedLookUps), PlanFlaw> {
        let mut failed = FailedLookUps::new();
        let mut devices = plan.devices().to_vec();
        // Once for all of them: of a machine that has opened many it takes a while.
        let kept = while_waiting(self.reporter, "what is stored here to be read", || {
            StateFolder::kept_below(&self.settings.state_dir)
        });
        for device in &mut devices {
            let TargetId::Job(job) = device.job.clone() else { continue };
            let reporter = self.reporter.for_job(&device.job);
            let named =
                kept.as_ref().map_err(Error::clone).map(|kept| target_among(device.job.clone(), kept, &reporter));
            let named = named.and_then(|named| match named {
                // A single device has one address.
                TargetId::Job(_) if !device.others.is_empty() => {
                    let may_ask = failed.values().all(may_ask_after);
                    let skipped = || Err(Error::FetchSkipped { job: job.to_string() });
                    let cloud = if may_ask { self.cloud(&reporter) } else { skipped() };
                    cloud.and_then(|cloud| cluster_of(&job, cloud, &reporter)).map(TargetId::from)
                }
                named => Ok(named),
            });
            match named {
                Ok(cluster @ TargetId::Cluster(_)) => (device.job, device.node) = (cluster, Some(job)),
                Ok(TargetId::Job(_)) => {}
                Err(error) => _ = failed.insert(device.job.clone(), error),
            }
        }
        Ok((DevicePlan::of(devices)?, failed))
    }

    /// First what only AWS has, one after the other; then all devices, side by side, without AWS. A device that fails is no matter of
    /// another. The lines of a plan that `is_kept` nowhere are told if this is interrupted.
    pub(super) fn run(self, plan: &DevicePlan, failed: FailedLookUps, is_kept: bool) -> ExitCode {
        warn_of_known_addresses(plan.devices(), &self.settings.state_dir, self.reporter);
        let lines = (!is_kept).then(|| (plan_text(plan.devices()), run_plan_again("pallet.csv", &self.settings)));
        let rows = Rows::begin(&plan.devices().iter().map(named).collect::<Vec<_>>(), lines, self.ui);
        warn_all_until_unlocked(&self.settings, self.reporter);
        let fetched = self.fetch_all(plan, failed, &rows);
        let Self { settings, ui, reporter, keychains, cloud } = self;
        // Its buffers have held codes; it is gone before the first device is waited for.
        drop(cloud);
        let keychains = Arc::new(keychains);
        let devices: Vec<_> = fetched.into_iter().map(|device| (device, Arc::clone(&keychains))).collect();
        drop(keychains);
        let shared = Shared::of(devices.len(), &settings, reporter);
        shared.work_on_all(devices, |((at, device, nodes), keychains)| {
            // That it is kept has been told.
            let reporter = reporter.for_job(&device.job).without(Step::Kept);
            let addresses =
                if nodes.addresses.is_empty() { vec![device.endpoint.clone()] } else { nodes.addresses.clone() };
            let at_these = (&addresses[..], nodes);
            let opened = open_stored(&device.job, at_these, Purpose::Run, &settings, &reporter, (keychains, &shared));
            let opened = opened.map_err(|error| NotOpened::in_plan(of_plan(error, plan), device));
            rows.add(at, DeviceRow::new(named(device), opened, ui));
        });
        rows.tell(ui)
    }

    /// Those for which that came to something, with their places in the plan. Of the others it is told at once.
    fn fetch_all<'p>(
        &self,
        plan: &'p DevicePlan,
        mut failed: FailedLookUps,
        rows: &Rows,
    ) -> Vec<(usize, &'p PlannedDevice, ClusterRequest)> {
        let mut may_ask = failed.values().all(may_ask_after);
        let mut taken: Vec<(&TargetId, Endpoint)> =
            plan.devices().iter().flat_map(|it| it.addresses().map(|address| (&it.job, address.clone()))).collect();
        let fetch = |(at, device): (usize, &'p PlannedDevice)| {
            let kept = match failed.remove(&device.job) {
                Some(error) => Err(error),
                None => {
                    let of_others = taken.iter().filter(|(job, _)| **job != device.job).map(|(_, address)| address);
                    self.fetch(device, &of_others.cloned().collect::<Vec<_>>(), may_ask)
                }
            };
            may_ask &= kept.as_ref().err().is_none_or(may_ask_after);
            match kept {
                Ok(nodes) => {
                    taken.extend(nodes.addresses.iter().map(|address| (&device.job, address.clone())));
                    Some((at, device, nodes))
                }
                Err(error) => {
                    let not_opened = NotOpened::in_plan(not_waited_for(error), device);
                    rows.add(at, DeviceRow::new(named(device), Err(not_opened), self.ui));
                    None
                }
            }
        };
        plan.devices().iter().enumerate().filter_map(fetch).collect()
    }

    /// Has the pair kept, and lets go of it again. Gives where the nodes are, of a cluster: at none of the addresses `of_others`.
    fn fetch(&self, device: &PlannedDevice, of_others: &[Endpoint], may_ask: bool) -> Result<ClusterRequest> {
        device.addresses().try_for_each(|address| check_address(address, &self.settings, &Nobody))?;
        let reporter = self.reporter.for_job(&device.job);
        let requested = Requested {
            job: device.job.clone(),
            purpose: Purpose::Run,
            settings: &self.settings,
            reporter: reporter.clone(),
            ask: self.ui,
        };
        let cloud = || match may_ask {
            true => self.cloud(&reporter),
            false => Err(Error::FetchSkipped { job: device.job.to_string() }),
        };
        let mut nodes = ClusterRequest::default();
        if let TargetId::Cluster(cluster) = &device.job {
            let record = StateFolder::record_below(&self.settings.state_dir, &device.job).ok().flatten();
            let given: Vec<Endpoint> = device.addresses().cloned().collect();
            nodes.addresses = with_remembered(&given, record.as_ref(), of_others, &reporter);
            let count = match record.filter(|record| record.pair.is_some()) {
                Some(record) => record.nodes.len(),
                None => cloud()?.cluster(cluster)?.jobs.len(),
            };
            check_count(&device.job, &nodes.addresses, count)?;
            if nodes.addresses.len() < count {
                return Err(addresses_missing("run", &device.job, &nodes.addresses, count));
            }
        }
        requested.check_sharing(&self.keychains)?.of_cluster(nodes.clone()).keep_by(cloud).map(|_| nodes)
    }
}

/// Why it could not be told which cluster is meant by a node.
pub(super) type FailedLookUps = BTreeMap<TargetId, Error>;

/// Nobody signs in ten times to be refused ten times, or waits ten times for a network that is not there.
fn may_ask_after(error: &Error) -> bool {
    !matches!(error.exit(), ExitCode::Credentials | ExitCode::Network)
}

/// What begins a plan.
pub(super) const HEADER: &str = "job,address,label";

/// The lines of a plan, to be saved as a file.
pub(super) fn plan_text(devices: &[PlannedDevice]) -> String {
    let line = |it: &PlannedDevice| {
        let addresses: Vec<Endpoint> = it.addresses().cloned().collect();
        format!("\n  {}", plan_line(&it.job, &addresses, it.label.as_deref()))
    };
    format!("  {HEADER}{}", devices.iter().map(line).collect::<String>())
}

fn named(device: &PlannedDevice) -> NamedDevice {
    NamedDevice { job: device.job.clone(), label: device.label.clone(), endpoint: Some(device.endpoint.clone()) }
}
