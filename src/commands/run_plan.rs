//! `run --plan`: the devices of a pallet, side by side.

use std::cell::OnceCell;
use std::convert::identity;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::several::{DeviceRow, open_stored, side_by_side, tell_all};
use crate::cloud::Cloud;
use crate::device::Client;
use crate::error::{Error, ExitCode, Result, Why};
use crate::flow::{Requested, SharedKeychains, check_address};
use crate::model::{DevicePlan, KeychainKind, PlanFlaw, PlanFormat, PlannedDevice, Purpose};
use crate::report::{Event, Nobody, Notify, Reporter, Step, while_waiting};
use crate::safety::path_trust::{self, Whose};
use crate::settings::Settings;
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
    Ok(PlanRun::prepare(settings, ui, reporter)?.run(&plan))
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
    let unusable = |why: Why| Error::PlanUnusable {
        path: name.clone(),
        why,
        hint: "Correct the plan. Then repeat the same command.",
    };
    let bytes = if name == "-" {
        let bytes = from_stdin(reporter).map_err(|error| unusable(error.into()))?;
        if bytes.len() as u64 > MAX_SIZE {
            return Err(unusable(format!("it is larger than {} KiB", MAX_SIZE / 1024).into()));
        }
        bytes
    } else {
        path_trust::read_file(path, Whose::Own, MAX_SIZE)
            .map_err(|refused| unusable(refused.into_why(path)))?
            .ok_or_else(|| Error::PlanUnusable {
                path: name.clone(),
                why: "there is no such file".to_owned().into(),
                hint: "Check the path after --plan, then repeat the same command.",
            })?
    };
    let plan = DevicePlan::text(bytes).and_then(|text| DevicePlan::parse(&text, PlanFormat::of(&name, &text)));
    plan.map_err(|PlanFlaw { line, why }| {
        unusable(line.map_or(why.clone(), |line| format!("line {line}: {why}")).into())
    })
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

    /// First what only AWS has, one after the other; then all devices, side by side, without AWS. A device that fails is no matter of
    /// another.
    pub(super) fn run(self, plan: &DevicePlan) -> ExitCode {
        self.ui.begin_devices(&plan.devices().iter().map(named).collect::<Vec<_>>());
        let fetched = self.fetch_all(plan);
        let Self { settings, ui, reporter, keychains, cloud } = self;
        // Its buffers have held codes; it is gone before the first device is waited for.
        drop(cloud);
        let keychains = Arc::new(keychains);
        let devices: Vec<_> =
            fetched.into_iter().map(|(device, kept)| (device, kept, Arc::clone(&keychains))).collect();
        drop(keychains);
        let rows = side_by_side(devices, settings.parallel, |(device, kept, keychains)| {
            kept.map_or_else(identity, |()| {
                // That it is kept has been told.
                let job = device.job.clone().into();
                let reporter = reporter.for_job(&job).without(Step::Kept);
                let opened = open_stored(&job, &device.endpoint, Purpose::Run, &settings, &reporter, keychains);
                DeviceRow::new(named(device), opened.map_err(|error| error.report()), ui)
            })
        });
        tell_all(rows, ui)
    }

    /// With what is to be told of those for which that failed, which is told at once.
    fn fetch_all<'p>(&self, plan: &'p DevicePlan) -> Vec<(&'p PlannedDevice, Result<(), DeviceRow>)> {
        let mut may_ask = true;
        let fetch = |device: &'p PlannedDevice| {
            let kept = self.fetch(device, may_ask);
            // Nobody signs in ten times to be refused ten times, or waits ten times for a network that is not there.
            may_ask &=
                !kept.as_ref().is_err_and(|error| matches!(error.exit(), ExitCode::Credentials | ExitCode::Network));
            let row = |error| DeviceRow::new(named(device), Err(not_waited_for(error).report()), self.ui);
            (device, kept.map_err(row))
        };
        plan.devices().iter().map(fetch).collect()
    }

    /// Has the pair kept, and lets go of it again.
    fn fetch(&self, device: &PlannedDevice, may_ask: bool) -> Result<()> {
        check_address(&device.endpoint, &self.settings, &Nobody)?;
        let reporter = self.reporter.for_job(&device.job.clone().into());
        let requested = Requested {
            job: device.job.clone().into(),
            purpose: Purpose::Run,
            settings: &self.settings,
            reporter: reporter.clone(),
            ask: self.ui,
        };
        let cloud = || match may_ask {
            true => self.cloud(&reporter),
            false => Err(Error::FetchSkipped { job: device.job.to_string() }),
        };
        requested.check_sharing(&self.keychains)?.keep_by(cloud).map(drop)
    }
}

fn named(device: &PlannedDevice) -> NamedDevice {
    NamedDevice { job: device.job.clone().into(), label: device.label.clone(), endpoint: Some(device.endpoint.clone()) }
}
