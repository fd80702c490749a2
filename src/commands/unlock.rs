//! `unlock`: what is stored here is enough; AWS is not asked.

use super::several::{DeviceRow, side_by_side, tell_all};
use super::unlocked::tell;
use super::{cluster, needs_stored_code};
use crate::cli::Unlock;
use crate::error::{Error, ExitCode, Result};
use crate::flow::{ClusterRequest, Requested, Unlocked, keep_after_unlock};
use crate::model::{Endpoint, Purpose, Record, TargetId};
use crate::report::{Ask, Event, Nobody, Notify, Reporter};
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::Ui;

pub(super) fn unlock(args: &Unlock, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    // Everything that can be mistyped is looked at first.
    let named = args.job.as_deref().map(|job| super::parse_target(job, settings, reporter)).transpose()?;
    needs_stored_code("unlock", settings)?;
    let stored = StateFolder::kept_below(&settings.state_dir)?;
    match named {
        Some(job) => {
            reporter.is_about(&job);
            let Some((_, record)) = stored.into_iter().find(|(stored, _)| *stored == job) else {
                return Err(Error::PairNotKept { job: job.to_string() });
            };
            let mut nodes = cluster::request(&args.nodes, None, settings)?;
            if job.job().is_some() && !args.nodes.nodes.is_empty() {
                let why = format!("--node is for a cluster, and {job} is a job of a single device.");
                return Err(Error::Usage { why });
            }
            if job.job().is_none() && nodes.addresses.is_empty() {
                nodes.addresses = cluster::remembered(record.as_ref(), reporter);
            }
            let first = nodes.addresses.first().filter(|_| job.job().is_none()).cloned();
            let endpoint = match (&settings.endpoint, record.as_ref().and_then(Record::last_endpoint)) {
                (Some(given), _) => given.clone(),
                _ if first.is_some() => first.ok_or(Error::EndpointMissing)?,
                (None, Some(last)) => {
                    reporter.notify(Event::Fact(format!("The address {last} is that of the last time.")));
                    last
                }
                (None, None) => return Err(Error::EndpointUnknown { job: job.to_string() }),
            };
            let unlocked = open(&job, &endpoint, nodes, settings, ui, reporter)?;
            tell(&unlocked, &endpoint, settings, ui);
            Ok(ExitCode::Done)
        }
        None => Ok(unlock_all(stored, settings, ui, reporter)),
    }
}

fn open(
    job: &TargetId,
    endpoint: &Endpoint,
    nodes: ClusterRequest,
    settings: &Settings,
    ask: &dyn Ask,
    reporter: &Reporter,
) -> Result<Unlocked> {
    Requested { job: job.clone(), purpose: Purpose::Unlock, settings, reporter: reporter.clone(), ask }
        .check_with_device(endpoint)?
        .of_cluster(nodes)
        .take_kept()?
        .hand_over(endpoint)?
        .wait()
        .and_then(|unlocked| keep_after_unlock(unlocked, settings, reporter))
}

/// Each device at its last address. One that fails, or that is waited for, does not keep the others.
fn unlock_all(stored: Vec<(TargetId, Option<Record>)>, settings: &Settings, ui: &Ui, reporter: &Reporter) -> ExitCode {
    let rows = side_by_side(stored, settings.parallel, |(job, record)| {
        let endpoint = record.as_ref().and_then(Record::last_endpoint);
        let opened = match &endpoint {
            Some(at) => open(&job, at, ClusterRequest::default(), settings, &Nobody, &reporter.for_job(&job)),
            None => Err(Error::EndpointUnknown { job: job.to_string() }),
        };
        DeviceRow::new(job, endpoint, opened, ui)
    });
    tell_all(rows, ui)
}
