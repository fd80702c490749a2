//! `run` of a cluster: the addresses of its nodes, and then the flow.

use super::unlocked::tell;
use crate::cli::NodeFlags;
use crate::cloud::Cloud;
use crate::device;
use crate::error::{Error, ExitCode, Result};
use crate::flow::{
    ClusterRequest, Requested, addresses_missing, check_address, check_addresses, keep_after_unlock, note_nodes,
    warn_of_known_addresses, with_remembered,
};
use crate::model::{ClusterId, Endpoint, JobId, KeychainKind, PlannedDevice, Purpose, TargetId, is_code_for_answer};
use crate::report::{Event, Nobody, Notify, Reporter, Step};
use crate::safety::sanitize::{sanitize, sanitize_typed};
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::{Answer, Ui};

/// What was typed of a cluster.
pub(super) fn request(flags: &NodeFlags, pair_of: Option<&str>, settings: &Settings) -> Result<ClusterRequest> {
    let node = |given: &String| {
        Endpoint::typed(given).map_err(|malformed| Error::EndpointInvalid {
            given: sanitize_typed(given),
            origin: "--node".to_owned(),
            why: malformed.why,
        })
    };
    let nodes = flags.nodes.iter().map(node).collect::<Result<Vec<Endpoint>>>()?;
    let addresses: Vec<Endpoint> = settings.endpoint.iter().cloned().chain(nodes).collect();
    check_addresses(&addresses)?;
    let pair_of = pair_of.map(parse_node).transpose()?;
    Ok(ClusterRequest { addresses, without_missing: flags.without_missing, pair_of })
}

/// The job of a node.
pub(super) fn parse_node(given: &str) -> Result<JobId> {
    JobId::typed(given).map_err(|malformed| Error::JobIdInvalid {
        given: sanitize_typed(given),
        origin: "--pair-of".to_owned(),
        why: malformed.why,
    })
}

/// The cluster of a node that was named with the addresses of all nodes.
pub(super) fn cluster_of(job: &JobId, cloud: &Cloud, reporter: &Reporter) -> Result<ClusterId> {
    reporter.begin(Step::Job);
    let facts = cloud.job_or_node(job)?;
    let cluster = facts.cluster.and_then(|cluster| cluster.parse().ok());
    cluster.ok_or_else(|| Error::Usage {
        why: format!("{job} is not a node of a cluster, so it has one device and one address."),
    })
}

/// The cluster, where a job turns out to be a node of one: what was to be done is done with the cluster.
pub(super) fn of_node(error: Error, reporter: &Reporter) -> Result<ClusterId> {
    let Error::JobInCluster { job, cluster, named } = error else { return Err(error) };
    let Ok(id) = cluster.parse() else { return Err(Error::JobInCluster { job, cluster, named }) };
    reporter.notify(Event::Fact(format!(
        "{job} is a node of the cluster {cluster}, whose nodes share one code and one manifest."
    )));
    Ok(id)
}

/// Opens a cluster. One that lists a node of which nothing is known here has it looked up, and is begun with anew.
pub(super) fn run_cluster(
    id: &ClusterId,
    request: ClusterRequest,
    settings: &Settings,
    ui: &Ui,
    reporter: &Reporter,
) -> Result<ExitCode> {
    match open_cluster(id, request.clone(), settings, ui, reporter) {
        // AWS has been asked for the nodes by this very command.
        Err(Error::ClusterNodeUnknown { cluster, found, endpoint, .. }) if settings.keychain == KeychainKind::None => {
            Err(not_listed(cluster, found, endpoint))
        }
        Err(error @ Error::ClusterNodeUnknown { .. }) => {
            look_up_node(id, error, settings, reporter)?;
            open_cluster(id, request, settings, ui, reporter)
        }
        ended => ended,
    }
}

/// That AWS knows no more of the node than this machine.
fn not_listed(cluster: String, found: String, endpoint: String) -> Error {
    let hint = format!(
        "AWS does not list it for {cluster} either. Check that each address is on the display of a node of this cluster. If they are, \
         show this to AWS Support with the cluster's id."
    );
    Error::ClusterNodeUnknown { cluster, found, endpoint, hint }
}

/// Asks AWS for the cluster's nodes, and puts them down if the one that was found is among them.
fn look_up_node(id: &ClusterId, unknown: Error, settings: &Settings, reporter: &Reporter) -> Result<()> {
    let Error::ClusterNodeUnknown { cluster, found, endpoint, .. } = &unknown else { return Err(unknown) };
    let target = TargetId::from(id.clone());
    let reporter = reporter.for_job(&target);
    reporter.begin(Step::Job);
    let listed = Cloud::open(&settings.cloud(), reporter.shared()).and_then(|cloud| cloud.cluster(id));
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => {
            reporter.notify(Event::Warning(format!("AWS could not be asked for the nodes of {cluster}: {error}")));
            return Err(unknown);
        }
    };
    if !listed.jobs.iter().chain(&listed.gone).any(|job| job.as_str() == found) {
        return Err(not_listed(cluster.clone(), found.clone(), endpoint.clone()));
    }
    note_nodes(&target, &listed, settings, &reporter)?;
    reporter.step(Step::Job, &format!("{found} is a node of {cluster}; AWS lists {} nodes now", listed.jobs.len()));
    Ok(())
}

/// What is not said of its nodes' addresses is remembered, or asked for.
fn open_cluster(
    id: &ClusterId,
    mut request: ClusterRequest,
    settings: &Settings,
    ui: &Ui,
    reporter: &Reporter,
) -> Result<ExitCode> {
    let target = TargetId::from(id.clone());
    let reporter = reporter.for_job(&target);
    let record = StateFolder::record_below(&settings.state_dir, &target).ok().flatten();
    request.addresses = with_remembered(&request.addresses, record.as_ref(), &[], &reporter);
    let mut cloud = None;
    // How many there are does not matter to whoever goes on with those that answer.
    if request.addresses.is_empty() || !request.without_missing {
        let kept = record.filter(|record| record.pair.is_some()).map_or(0, |record| record.nodes.len());
        let nodes = match kept {
            0 => {
                reporter.begin(Step::Job);
                // Whoever signs in with a code or a fingerprint is not to do so twice.
                let opened = cloud.insert(Cloud::open(&settings.cloud(), reporter.shared())?);
                opened.cluster(id)?.jobs.len()
            }
            kept => kept,
        };
        if request.addresses.len() < nodes {
            if !ui.can_prompt() {
                return Err(addresses_missing("run", &target, &request.addresses, nodes));
            }
            ask_for_addresses(&mut request.addresses, id, nodes, ui)?;
        }
    }
    let first = request.addresses.first().cloned().ok_or_else(|| Error::endpoint_missing(None))?;
    // Before anything is fetched; somebody who can be asked is asked when it is used.
    if !ui.can_prompt() {
        request.addresses.iter().try_for_each(|address| check_address(address, settings, &Nobody))?;
    }
    let alone = PlannedDevice::at(target.clone(), first.clone(), request.addresses[1..].to_vec());
    warn_of_known_addresses(&[alone], &settings.state_dir, &reporter);
    let requested = Requested { job: target, purpose: Purpose::Run, settings, reporter: reporter.clone(), ask: ui };
    let checked = requested.check_with_device(&first)?.of_cluster(request);
    let kept = match &cloud {
        Some(cloud) => checked.keep_by(|| Ok(cloud))?,
        None => checked.keep()?,
    };
    // Its buffers have held the code.
    drop(cloud);
    let unlocked = keep_after_unlock(kept.hand_over(&first, settings.start_timeout())?.wait()?, settings, &reporter)?;
    tell(&unlocked, &first, settings, ui);
    Ok(ExitCode::Done)
}

/// Asks for the addresses that are missing, one by one, as the displays show them.
fn ask_for_addresses(addresses: &mut Vec<Endpoint>, id: &ClusterId, nodes: usize, ui: &Ui) -> Result<()> {
    ui.tell(&format!("\n{id} has {nodes} nodes. Each shows its address on its display."));
    while addresses.len() < nodes {
        let question = format!("Address of node {} of {nodes}, or Enter if there are no more:", addresses.len() + 1);
        let line = match ui.ask_for_line(&question) {
            Answer::Line(line) if is_code_for_answer(&line) => {
                ui.tell("This looks like an unlock code. Do not type it here. Answer the question instead.");
                continue;
            }
            Answer::Line(line) => line,
            Answer::End => return Err(cancelled("The input ended.", addresses, id)),
            Answer::Silence => return Err(cancelled("No answer came.", addresses, id)),
        };
        if line.trim().is_empty() {
            if addresses.is_empty() {
                return Err(cancelled("No address was given.", addresses, id));
            }
            return Ok(());
        }
        match Endpoint::typed(&line) {
            Err(malformed) => ui.tell(&format!("“{}” {}.", sanitize(&line), malformed.why)),
            Ok(address) if addresses.iter().any(|known| known.is_same(&address)) => {
                ui.tell(&format!("{address} is the address of another node already."));
            }
            Ok(address) => match device::check_address(&address) {
                Err(error @ Error::EndpointExample { .. }) => ui.tell(&error.to_string()),
                // Of one outside the local network it is asked before it is used.
                _ => addresses.push(address),
            },
        }
    }
    Ok(())
}

fn cancelled(why: &str, addresses: &[Endpoint], id: &ClusterId) -> Error {
    let flags =
        |(at, address): (usize, &Endpoint)| format!(" {} {address}", if at == 0 { "--endpoint" } else { "--node" });
    let given: String = addresses.iter().enumerate().map(flags).collect();
    let hint = format!("To be asked for the rest again:\n  snow-onboard run {id}{given}");
    Error::Cancelled { why: why.to_owned(), hint }
}
