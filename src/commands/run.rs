//! `run`: the whole flow.

use super::cluster::{self, cluster_of, run_cluster};
use super::jobs::no_job_ready;
use super::unlocked::tell;
use super::{guide, run_all, run_plan};
use crate::cli::{RunArgs, run_again};
use crate::cloud::Cloud;
use crate::error::{Error, ExitCode, Result};
use crate::flow::{ClusterRequest, Requested, keep_after_unlock, warn_of_known_addresses};
use crate::model::{Endpoint, PlannedDevice, Purpose, Readiness, TargetId};
use crate::report::{Reporter, Step};
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::Ui;

const EXAMPLE_JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";

pub(super) fn run(args: &RunArgs, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    if let Some(plan) = &args.plan {
        return run_plan::run_plan(plan, settings, ui, reporter);
    }
    if args.all {
        return run_all::run_all(args.no_input, settings, ui, reporter);
    }
    // Everything that can be mistyped is looked at before anything is asked of AWS.
    let named = args.job.as_deref().map(|job| super::parse_target(job, settings, reporter)).transpose()?;
    let nodes = cluster::request(&args.nodes, args.pair_of.as_deref(), settings)?;
    let of_cluster = match &named {
        Some(TargetId::Cluster(id)) => Some(id.clone()),
        Some(TargetId::Job(job)) if !args.nodes.nodes.is_empty() => {
            let cloud = Cloud::open(&settings.cloud(), reporter.shared())?;
            Some(cluster_of(job, &cloud, reporter)?)
        }
        _ => None,
    };
    if let Some(id) = of_cluster {
        reporter.is_about(&id.clone().into());
        return run_cluster(&id, nodes, settings, ui, reporter);
    }
    if let Some(job) = &named {
        reporter.is_about(job);
    }
    if args.is_bare && !ui.can_prompt() {
        let (why, what) = (ui.why_nobody_is_asked(args.no_input), "give JOB and --endpoint");
        let hint = format!("For example:\n  snow-onboard run {EXAMPLE_JOB} --endpoint 192.0.2.10");
        return Err(Error::NobodyToAsk { why, what, hint });
    }
    if ui.can_prompt() && (args.is_bare || named.is_none() || settings.endpoint.is_none()) {
        let plan = guide::plan(named, settings, ui, reporter)?;
        return open_or_cluster(plan.job, &plan.endpoint, nodes, &plan.settings, ui, reporter);
    }
    let Some(endpoint) = &settings.endpoint else {
        let record = named.as_ref().and_then(|job| StateFolder::record_below(&settings.state_dir, job).ok().flatten());
        return Err(Error::endpoint_missing(record.and_then(|record| record.last_endpoint()).as_ref()));
    };
    let job = match named {
        Some(job) => job,
        None => the_delivered_job(endpoint, settings, reporter)?,
    };
    open_or_cluster(job, endpoint, nodes, settings, ui, reporter)
}

/// Opens the device, or the cluster. A job that turns out to be a node of a cluster is opened with its cluster.
fn open_or_cluster(
    job: TargetId,
    endpoint: &Endpoint,
    nodes: ClusterRequest,
    settings: &Settings,
    ui: &Ui,
    reporter: &Reporter,
) -> Result<ExitCode> {
    if let TargetId::Cluster(id) = &job {
        let addresses = if nodes.addresses.is_empty() { vec![endpoint.clone()] } else { nodes.addresses };
        return run_cluster(id, ClusterRequest { addresses, ..nodes }, settings, ui, reporter);
    }
    match open(job, endpoint, settings, ui, reporter) {
        Err(error @ Error::JobInCluster { .. }) => {
            let id = cluster::of_node(error, reporter)?;
            let addresses = vec![endpoint.clone()];
            run_cluster(&id, ClusterRequest { addresses, ..nodes }, settings, ui, reporter)
        }
        ended => ended,
    }
}

fn open(job: TargetId, endpoint: &Endpoint, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    reporter.is_about(&job);
    let alone = PlannedDevice::at(job.clone(), endpoint.clone(), Vec::new());
    warn_of_known_addresses(&[alone], &settings.state_dir, reporter);
    let unlocked = Requested { job, purpose: Purpose::Run, settings, reporter: reporter.clone(), ask: ui }
        .check_with_device(endpoint)?
        .keep()?
        .hand_over(endpoint, settings.start_timeout())?
        .wait()?;
    let unlocked = keep_after_unlock(unlocked, settings, reporter)?;
    tell(&unlocked, endpoint, settings, ui);
    Ok(ExitCode::Done)
}

/// The one job that has been delivered, or the one cluster of which a node has.
fn the_delivered_job(endpoint: &Endpoint, settings: &Settings, reporter: &Reporter) -> Result<TargetId> {
    let cloud = Cloud::open(&settings.cloud(), reporter.shared())?;
    reporter.begin(Step::Job);
    let jobs = cloud.jobs()?;
    let found = jobs
        .iter()
        .filter(|job| job.state.readiness() == Readiness::Ready && !job.is_main)
        .filter_map(|job| job.cluster.as_ref().unwrap_or(&job.id).parse::<TargetId>().ok());
    let mut delivered = Vec::new();
    // A cluster's nodes are one; the order stays.
    found.for_each(|id| {
        if !delivered.contains(&id) {
            delivered.push(id)
        }
    });
    match &delivered[..] {
        [] => Err(no_job_ready(&jobs, |job| run_again(job, Some(endpoint), settings, |setting| setting.key != "wait"))),
        [job] => {
            reporter.step(Step::Job, &format!("{job} is the one that has been delivered"));
            Ok(job.clone())
        }
        several => {
            let jobs = several.iter().map(TargetId::as_str).collect::<Vec<_>>().join(", ");
            let commands = several.iter().map(|job| format!("snow-onboard run {job} --endpoint {endpoint}"));
            Err(Error::JobAmbiguous { jobs, hint: commands.collect::<Vec<_>>().join("\n  ") })
        }
    }
}
