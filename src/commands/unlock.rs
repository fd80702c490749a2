//! `unlock`: what is stored here is enough; AWS is not asked.

use std::sync::Arc;

use super::several::{DeviceRow, NotOpened, Rows, Shared, open_stored};
use super::unlocked::tell;
use super::{cluster, needs_stored_code};
use crate::cli::Unlock;
use crate::error::{Error, ExitCode, Result};
use crate::flow::{
    ClusterRequest, Requested, SharedKeychains, Unlocked, address_unknown, addresses_missing, keep_after_unlock,
    warn_all_until_unlocked, with_remembered,
};
use crate::model::{Purpose, Record, TargetId};
use crate::report::{Event, Notify, Reporter};
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::{NamedDevice, Ui};

pub(super) fn unlock(args: &Unlock, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    // Everything that can be mistyped is looked at first.
    let named = args.job.as_deref().map(|job| super::parse_target(job, settings, reporter)).transpose()?;
    needs_stored_code("unlock", settings)?;
    match named {
        Some(job) => {
            reporter.is_about(&job);
            let record = StateFolder::record_below(&settings.state_dir, &job)?;
            let record = record.ok_or_else(|| Error::nothing_to_unlock_with(&job))?;
            let mut nodes = cluster::request(&args.nodes, None, settings)?;
            if job.job().is_some() && !args.nodes.nodes.is_empty() {
                let why = format!("--node is for a cluster, and {job} is a job of a single device.");
                return Err(Error::Usage { why });
            }
            if job.job().is_none() {
                nodes.addresses = with_remembered(&nodes.addresses, Some(&record), &[], reporter);
                let (given, count) = (&nodes.addresses, record.nodes.len());
                if given.is_empty() || given.len() < count && !nodes.without_missing {
                    return Err(addresses_missing("unlock", &job, given, count));
                }
            }
            let first = nodes.addresses.first().filter(|_| job.job().is_none()).cloned();
            let endpoint = match (&settings.endpoint, record.last_endpoint()) {
                (Some(given), _) => given.clone(),
                _ if first.is_some() => first.ok_or_else(|| Error::endpoint_missing(None))?,
                (None, Some(last)) => {
                    reporter.notify(Event::Fact(format!("The address {last} is that of the last time.")));
                    last
                }
                (None, None) => return Err(address_unknown(&job, Some(&record))),
            };
            let requested = Requested { job, purpose: Purpose::Unlock, settings, reporter: reporter.clone(), ask: ui };
            let kept = requested.check_with_device(&endpoint)?.of_cluster(nodes).take_kept()?;
            let unlocked =
                keep_after_unlock(kept.hand_over(&endpoint, settings.start_timeout())?.wait()?, settings, reporter)?;
            tell(&unlocked, &endpoint, settings, ui);
            Ok(ExitCode::Done)
        }
        None => {
            let stored = StateFolder::kept_or_why_below(&settings.state_dir)?;
            if stored.is_empty() { Err(Error::NothingToUnlock) } else { Ok(unlock_all(stored, settings, ui, reporter)) }
        }
    }
}

/// Each device at its last address. One that fails, or that is waited for, does not keep the others. Each keychain is opened once.
fn unlock_all(
    stored: Vec<(TargetId, Result<Option<Record>>)>,
    settings: &Settings,
    ui: &Ui,
    reporter: &Reporter,
) -> ExitCode {
    let keychains = Arc::new(SharedKeychains::default());
    let devices: Vec<_> = stored
        .into_iter()
        .map(|(job, record)| {
            let endpoint = record.as_ref().ok().and_then(Option::as_ref).and_then(Record::last_endpoint);
            (NamedDevice { job, label: None, endpoint }, record, Arc::clone(&keychains))
        })
        .collect();
    let names: Vec<NamedDevice> = devices.iter().map(|(device, ..)| device.clone()).collect();
    let rows = Rows::begin(&names, None, ui);
    warn_all_until_unlocked(settings, reporter);
    drop(keychains);
    let shared = Shared::of(devices.len(), settings, reporter);
    shared.work_on_all(devices.into_iter().enumerate().collect(), |(at, (device, record, keychains))| {
        let opened = open_again(&device, record, settings, reporter, (keychains, &shared));
        rows.add(at, DeviceRow::new(device, opened, ui));
    });
    rows.tell(ui)
}

fn open_again(
    device: &NamedDevice,
    record: Result<Option<Record>>,
    settings: &Settings,
    reporter: &Reporter,
    (keychains, shared): (Arc<SharedKeychains>, &Shared),
) -> Result<Unlocked, NotOpened> {
    let NamedDevice { job, endpoint, .. } = device;
    let record = record?.ok_or_else(|| Error::nothing_to_unlock_with(job))?;
    let endpoint = endpoint.as_ref().ok_or_else(|| address_unknown(job, Some(&record)))?;
    let kept_in = record.pair.as_ref().map(|pair| pair.keychain);
    keychains.open_once(settings.keychain_settings(settings.keychain_for(kept_in)), reporter.shared())?;
    let reporter = reporter.for_job(job);
    let addresses = if job.job().is_none() { record.last_addresses() } else { vec![endpoint.clone()] };
    let at = (&addresses[..], ClusterRequest::default());
    Ok(open_stored(job, at, Purpose::Unlock, settings, &reporter, (keychains, shared))?)
}
