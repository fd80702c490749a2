//! `run --plan`: the devices of a pallet, side by side.

use std::cell::OnceCell;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::several::{DeviceRow, side_by_side, tell_all};
use crate::cloud::Cloud;
use crate::device::Client;
use crate::error::{Error, ExitCode, Result, Why};
use crate::flow::{Requested, Unlocked, check_address, keep_after_unlock};
use crate::keychain::Keychain;
use crate::model::{DevicePlan, KeychainKind, PlanFlaw, PlanFormat, PlannedDevice, Purpose};
use crate::report::{Event, Nobody, Notify, Reporter, while_waiting};
use crate::safety::path_trust::{self, Whose};
use crate::settings::Settings;
use crate::ui::Ui;

const STDIN_LIMIT: Duration = Duration::from_secs(300);

/// A plan of a thousand devices has a tenth of this.
const MAX_SIZE: u64 = 1024 * 1024;

pub(super) fn run_plan(path: &Path, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    if settings.keychain == KeychainKind::None {
        return Err(Error::Usage {
            why: "With a plan the codes are stored before the first device is unlocked, and keychain is none (“snow-onboard \
                  settings” shows where that was said). Name a keychain, for example --keychain system."
                .to_owned(),
        });
    }
    let plan = read(path, reporter)?;
    if settings.wait {
        reporter.notify(Event::Fact(
            "With a plan, jobs that are not delivered are not waited for. Repeat the command when they are.".to_owned(),
        ));
    }
    let mut without_wait = settings.clone();
    without_wait.wait = false;
    let settings = &without_wait;
    // What would fail for every device fails once, before AWS is asked.
    Client::find(&settings.client(), reporter)?;
    // One prompt opens it for all.
    Keychain::open(settings.keychain_settings(settings.keychain), reporter.shared())?;
    let rows = plan_rows(&plan, settings, ui, reporter);
    Ok(tell_all(rows, ui))
}

fn read(path: &Path, reporter: &Reporter) -> Result<DevicePlan> {
    let name = path.display().to_string();
    let unusable = |why: Why| Error::PlanUnusable { path: name.clone(), why };
    let bytes = if name == "-" {
        let bytes = from_stdin(reporter).map_err(|error| unusable(error.into()))?;
        if bytes.len() as u64 > MAX_SIZE {
            return Err(unusable(format!("it is larger than {} KiB", MAX_SIZE / 1024).into()));
        }
        bytes
    } else {
        path_trust::read_file(path, Whose::Own, MAX_SIZE)
            .map_err(|refused| unusable(refused.into_why(path)))?
            .ok_or_else(|| unusable("there is no such file".to_owned().into()))?
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

/// First what only AWS has, one after the other, with one sign-in; then all devices, side by side, without AWS. A device that fails
/// is no matter of another.
fn plan_rows(plan: &DevicePlan, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Vec<DeviceRow> {
    let mut fetched = Vec::new();
    {
        // Its buffers have held codes; it is gone before the first device is waited for.
        let cloud = OnceCell::new();
        let mut may_ask = true;
        for device in plan.devices() {
            let kept = fetch(device, settings, ui, reporter, || {
                if !may_ask {
                    return Err(Error::FetchSkipped { job: device.job.to_string() });
                }
                match cloud.get() {
                    Some(cloud) => Ok(cloud),
                    None => {
                        Cloud::open(&settings.cloud(), reporter.shared()).map(|opened| cloud.get_or_init(|| opened))
                    }
                }
            });
            // Nobody signs in ten times to be refused ten times, or waits ten times for a network that is not there.
            may_ask &=
                !kept.as_ref().is_err_and(|error| matches!(error.exit(), ExitCode::Credentials | ExitCode::Network));
            fetched.push((device, kept));
        }
    }
    side_by_side(fetched, settings.parallel, |(device, kept)| {
        let opened = kept.and_then(|()| open(device, settings, reporter));
        DeviceRow::new(device.job.clone().into(), Some(device.endpoint.clone()), opened, ui)
            .labelled(device.label.clone())
    })
}

/// Has the pair kept, and lets go of it again.
fn fetch<'c>(
    device: &PlannedDevice,
    settings: &Settings,
    ui: &Ui,
    reporter: &Reporter,
    cloud: impl FnOnce() -> Result<&'c Cloud>,
) -> Result<()> {
    check_address(&device.endpoint, settings, &Nobody)?;
    let reporter = reporter.for_job(&device.job.clone().into());
    let requested = Requested { job: device.job.clone().into(), purpose: Purpose::Run, settings, reporter, ask: ui };
    requested.check()?.keep_by(cloud).map(drop)
}

fn open(device: &PlannedDevice, settings: &Settings, reporter: &Reporter) -> Result<Unlocked> {
    let reporter = reporter.for_job(&device.job.clone().into());
    let told = reporter.clone();
    Requested { job: device.job.clone().into(), purpose: Purpose::Run, settings, reporter: told, ask: &Nobody }
        .check_with_device(&device.endpoint)?
        .take_kept()?
        .hand_over(&device.endpoint)?
        .wait()
        .and_then(|unlocked| keep_after_unlock(unlocked, settings, &reporter))
}
