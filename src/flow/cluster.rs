//! What is different where the pair is a cluster's: whose it is, what AWS is asked, where the nodes are, which are still missing.

use std::path::Path;

use super::address::check_address;
use super::leftovers::open_state_folder;
use super::run_context::{ClusterRequest, RunContext, job_in_words};
use crate::cloud::{Cloud, ClusterJobs, DescribedJob, FetchedPair, Sink};
use crate::device::{self, DeviceUnlocked, Session};
use crate::error::{Error, Result};
use crate::model::{ClusterNode, Endpoint, JobId, KeychainKind, NodeAddresses, Record, TargetId};
use crate::report::{Event, Notify, Reporter};
use crate::safety::quote::address_flags;
use crate::settings::Settings;
use crate::store::{JobFolder, StateFolder};

/// Whose pair is meant by an id: a node's id stands for the cluster whose pair is kept here, unless it has a pair of its own.
///
/// # Errors
/// Those of the state folder.
pub(crate) fn target_named(id: TargetId, state_dir: &Path, reporter: &Reporter) -> Result<TargetId> {
    if id.job().is_none() {
        return Ok(id);
    }
    // The AWS CLI asks for credentials with each of its calls: the other jobs' records are not read for that.
    if StateFolder::one_below(state_dir, &id)?.is_some() {
        return Ok(id);
    }
    Ok(target_among(id, &StateFolder::kept_below(state_dir)?, reporter))
}

/// The same where all that is `kept` here has been read.
pub(crate) fn target_among(id: TargetId, kept: &[(TargetId, Option<Record>)], reporter: &Reporter) -> TargetId {
    let Some(job) = id.job() else { return id };
    let has_node = |record: &Record| record.nodes.iter().any(|node| node.job == *job);
    let cluster = kept.iter().find(|(_, record)| record.as_ref().is_some_and(has_node)).map(|(cluster, _)| cluster);
    let Some(cluster) = cluster.filter(|_| kept.iter().all(|(kept, _)| *kept != id)) else { return id };
    reporter.notify(Event::Fact(format!("{job} is a node of the cluster {cluster}, whose pair is stored here.")));
    cluster.clone()
}

/// Refuses addresses of which two lead to the same place: each node has its own.
///
/// # Errors
/// [`Error::Usage`].
pub(crate) fn check_addresses(addresses: &[Endpoint]) -> Result<()> {
    let twice = (1..).zip(addresses).find(|(at, address)| addresses[*at..].iter().any(|other| other.is_same(address)));
    match twice {
        None => Ok(()),
        Some((_, address)) => {
            Err(Error::Usage { why: format!("The address {address} was given twice. Each node has its own.") })
        }
    }
}

/// An address for each of so many nodes: those that are known, then the examples of our texts, which no device has.
pub(crate) fn address_templates(known: &[Endpoint], nodes: usize) -> Vec<Endpoint> {
    let examples = (10..=u8::MAX).filter_map(|last| format!("192.0.2.{last}").parse().ok());
    let missing = nodes.saturating_sub(known.len());
    known.iter().cloned().chain(examples.skip(known.len()).take(missing)).collect()
}

/// That not every node's address was given, with the command in which they stand.
pub(crate) fn addresses_missing(verb: &str, cluster: &TargetId, given: &[Endpoint], nodes: usize) -> Error {
    let what = match given.len() {
        0 => format!("The addresses of the {nodes} nodes of {cluster} were not given."),
        count => format!("The addresses of {count} of the {nodes} nodes of {cluster} are known."),
    };
    let addresses = address_flags(&address_templates(given, nodes));
    Error::ClusterAddressesMissing { what, command: format!("{verb} {cluster}{addresses}") }
}

/// That nobody said where the device is, or the nodes of the cluster.
pub(crate) fn address_unknown(job: &TargetId, record: Option<&Record>) -> Error {
    match (job, record.map_or(0, |record| record.nodes.len())) {
        (TargetId::Cluster(_), nodes) if nodes > 0 => addresses_missing("unlock", job, &[], nodes),
        _ => Error::EndpointUnknown { job: job.to_string() },
    }
}

/// Has both halves fetched: a job's, or a cluster's.
pub(super) fn fetch_pair(
    cloud: &Cloud,
    folder: &JobFolder,
    request: &ClusterRequest,
    described: Option<DescribedJob>,
    sink: &mut dyn Sink,
) -> Result<FetchedPair> {
    match folder.job() {
        TargetId::Job(job) => cloud.fetch_pair(job, described, sink),
        TargetId::Cluster(cluster) => cloud.fetch_cluster_pair(cluster, request.pair_of.as_ref(), sink),
    }
}

/// Tells of whom a pair was fetched. Where nodes were not compared, it says which.
pub(super) fn fetched_in_words(fetched: &FetchedPair, target: &TargetId, reporter: &Reporter) -> String {
    let ClusterJobs { jobs, not_compared, .. } = &fetched.nodes;
    if jobs.is_empty() {
        return job_in_words(&fetched.facts);
    }
    if !not_compared.is_empty() {
        let list = not_compared.iter().map(JobId::as_str).collect::<Vec<_>>().join(", ");
        reporter.notify(Event::Warning(format!(
            "These nodes of {target} were left out when the nodes' codes were compared, because AWS has not released theirs or \
             --pair-of was given: {list}."
        )));
    }
    let compared = jobs.len() - not_compared.len();
    format!("{target}, {} nodes; {compared} have one code; {}", jobs.len(), job_in_words(&fetched.facts))
}

/// Takes over which nodes there are, and keeps what the record knows of each. Those that are not expected any more stay known as such.
pub(super) fn set_nodes(record: &mut Record, listed: &ClusterJobs) {
    let mut before = std::mem::take(&mut record.nodes);
    before.append(&mut record.former_nodes);
    let mut known = |job: &JobId| match before.iter().position(|node| node.job == *job) {
        Some(at) => before.remove(at),
        None => ClusterNode::of(job.clone()),
    };
    record.nodes = listed.jobs.iter().map(&mut known).collect();
    record.former_nodes = listed.gone.iter().map(known).collect();
    record.former_nodes.append(&mut before);
}

/// Puts down which nodes AWS lists, beside a pair that stays as it is.
///
/// # Errors
/// Those of the state folder; [`Error::Busy`].
pub(crate) fn note_nodes(
    cluster: &TargetId,
    listed: &ClusterJobs,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<()> {
    let folder = open_state_folder(&settings.state_dir, reporter)?.job(cluster)?;
    let Some(mut record) = folder.record()? else { return Ok(()) };
    set_nodes(&mut record, listed);
    folder.write_record(&record)
}

/// Takes over what was told of the nodes. An address that is remembered gives way to none but one at which that node answers. Gives
/// the addresses to be remembered: those at which nodes answered, and those of before of the nodes that were not asked or did not answer.
pub(super) fn remember(record: &mut Record, told: &[ClusterNode], found: &NodeAddresses) -> Vec<Endpoint> {
    let mut earlier = record.last_addresses();
    let before = std::mem::take(&mut record.nodes);
    let has_answered = |address: &Endpoint| found.answered.iter().any(|answered| answered.is_same(address));
    for node in told {
        let known = before.iter().find(|known| known.job == node.job).and_then(|known| known.address.clone());
        let mut node = node.clone();
        match (&node.address, known) {
            (Some(now), Some(known)) if has_answered(now) => {
                earlier.retain(|earlier| earlier.is_same(now) || !earlier.is_same(&known));
            }
            // It was not asked there: of its own address the others tell no port.
            (Some(now), Some(known)) if now.host() == known.host() => node.address = Some(known),
            (None, known) => node.address = known,
            _ => {}
        }
        record.nodes.push(node);
    }
    // What answers there is another node by now, whichever.
    for node in &mut record.former_nodes {
        node.address = node.address.take().filter(|address| !has_answered(address));
    }
    let told_of = |address: &Endpoint, job: &JobId| told.iter().any(|node| node.is_at(address) && node.job != *job);
    for node in &mut record.nodes {
        node.address = node.address.take().filter(|address| !told_of(address, &node.job));
    }
    let others = earlier.into_iter().filter(|earlier| !has_answered(earlier));
    found.answered.iter().cloned().chain(others).take(record.nodes.len()).collect()
}

/// The addresses that were given, and for the other nodes those at which they answered the last time. What was given for others by
/// now is nobody else's, whatever is remembered.
pub(crate) fn with_remembered(
    given: &[Endpoint],
    record: Option<&Record>,
    of_others: &[Endpoint],
    reporter: &Reporter,
) -> Vec<Endpoint> {
    let Some(record) = record else { return given.to_vec() };
    let is_given = |address: &Endpoint| given.iter().chain(of_others).any(|given| given.is_same(address));
    let missing = record.nodes.len().saturating_sub(given.len());
    let mut added: Vec<Endpoint> = record.last_addresses().into_iter().filter(|address| !is_given(address)).collect();
    if missing > 0 && added.len() > missing {
        // A node has another address than the last time: what was given counts, and of the others those at which somebody is.
        let answers = device::answering(&added);
        added.sort_by_key(|address| !answers.contains(address));
    }
    added.truncate(missing);
    if !added.is_empty() {
        let whose = if given.is_empty() { "the nodes" } else { "the other nodes" };
        let list = added.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        reporter.notify(Event::Fact(format!("The addresses of {whose} are those of the last time: {list}.")));
    }
    [given, &added].concat()
}

/// Where one device is asked.
pub(crate) struct AskedAt {
    /// Where the session begins.
    pub endpoint: Endpoint,
    /// The node that was named in place of its cluster.
    node: Option<NamedNode>,
}

/// A node that was named.
struct NamedNode {
    job: JobId,
    /// Whether the address is its own, as far as that was said or is known; else it is at one of the cluster's.
    has_address: bool,
}

impl AskedAt {
    /// The device that is asked: as was said, else as the last time; of a cluster, the node that was named in its place, or the
    /// first one. Another node's own address would not be what was asked for; where none is known for this one, the node is looked
    /// for in the session ([`AskedAt::check_node`]).
    ///
    /// # Errors
    /// [`Error::NodeAddressUnknown`]; [`Error::EndpointUnknown`] and its like.
    pub(crate) fn find(
        (job, node): (&TargetId, Option<&JobId>),
        record: Option<&Record>,
        settings: &Settings,
    ) -> Result<Self> {
        let given = settings.endpoint.clone();
        let own = given.or_else(|| match node {
            Some(node) => record.and_then(|record| record.address_of(node)),
            None => record.and_then(Record::last_endpoint),
        });
        let named = |has_address| node.map(|job| NamedNode { job: job.clone(), has_address });
        match (own, node) {
            (Some(endpoint), _) => Ok(Self { endpoint, node: named(true) }),
            (None, None) => Err(address_unknown(job, record)),
            (None, Some(node)) => {
                let known = record.map(Record::last_addresses).unwrap_or_default();
                let answering = device::answering(&known);
                let unknown = || Error::NodeAddressUnknown { node: node.to_string(), cluster: job.to_string() };
                let endpoint = answering.into_iter().chain(known).next().ok_or_else(unknown)?;
                Ok(Self { endpoint, node: named(false) })
            }
        }
    }

    /// Makes certain that the session asks the node that was named. Gives the node of a cluster that is asked, where it says
    /// which one it is; nothing of a device that is no cluster's.
    ///
    /// # Errors
    /// [`Error::DeviceIsAnother`], [`Error::NodeAddressUnknown`]; those of a node that does not describe itself.
    pub(crate) fn check_node(&self, session: &mut Session) -> Result<Option<JobId>> {
        match &self.node {
            Some(NamedNode { job, has_address: true }) => session.check_node(job),
            Some(NamedNode { job, has_address: false }) => session.find_node(job).map(|()| Some(job.clone())),
            None => Ok(None),
        }
    }

    /// The same, and of a cluster of which no node was named, which one is asked.
    ///
    /// # Errors
    /// As there.
    pub(super) fn identify_node(&self, session: &mut Session) -> Result<Option<JobId>> {
        match &self.node {
            Some(_) => self.check_node(session),
            None => session.asked_node(),
        }
    }
}

/// Where the nodes are: as was said, else as the last time. `first` is where that is a single address.
///
/// # Errors
/// [`Error::ClusterAddressesTooMany`]; [`Error::Usage`] if one of them stands twice.
pub(super) fn addresses(context: &RunContext<'_>, record: &Record, first: &Endpoint) -> Result<Vec<Endpoint>> {
    let given = &context.request.addresses;
    let mut addresses = if given.is_empty() { record.last_addresses() } else { given.clone() };
    let is_new = !addresses.iter().any(|address| address.is_same(first));
    // The client goes to the first one.
    addresses.sort_by_key(|address| !address.is_same(first));
    if is_new {
        addresses.insert(0, first.clone());
        // The one that it takes the place of is not known.
        addresses.truncate(record.nodes.len().max(1));
    }
    check_addresses(&addresses)?;
    // The first was checked before the client was started.
    let others = addresses.iter().filter(|address| !address.is_same(first));
    others.into_iter().try_for_each(|address| check_address(address, context.settings, context.ask))?;
    check_count(context.folder.job(), &addresses, record.nodes.len())?;
    Ok(addresses)
}

/// Refuses more addresses than there are nodes.
///
/// # Errors
/// [`Error::ClusterAddressesTooMany`].
pub(crate) fn check_count(cluster: &TargetId, addresses: &[Endpoint], nodes: usize) -> Result<()> {
    match addresses.len() {
        count if count > nodes => {
            let leave = "Give one address for each node".to_owned();
            Err(Error::ClusterAddressesTooMany { cluster: cluster.to_string(), count, nodes, leave })
        }
        _ => Ok(()),
    }
}

/// Why addresses were of no use, if some were not: nobody answers there, or something that is no node of the cluster.
fn useless_in_words(found: &NodeAddresses) -> Option<String> {
    let listed = |list: &[Endpoint]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let said = [("No node answers at", &found.silent), ("No node of this cluster is at", &found.foreign)];
    let said: Vec<String> = said
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(what, list)| format!("{what} {}", listed(list)))
        .collect();
    (!said.is_empty()).then(|| said.join(". "))
}

/// The end of a run after which nodes are missing, unless that was agreed to.
pub(super) fn incomplete(context: &RunContext<'_>, unlocked: &DeviceUnlocked, keychain: KeychainKind) -> Option<Error> {
    let useless = useless_in_words(&unlocked.addresses);
    if unlocked.missing.is_empty() {
        if let Some(useless) = useless {
            context.reporter.notify(Event::Warning(format!("{useless}. Correct that address the next time.")));
        }
        return None;
    }
    let (nodes, cluster) = (unlocked.nodes.len(), context.folder.job());
    let open = nodes - unlocked.missing.len();
    let state = |job: &JobId| {
        let node = unlocked.nodes.iter().find(|node| node.job == *job);
        let why = if unlocked.not_asked.contains(job) { "; not among the addresses that answered" } else { "" };
        node.map_or(job.to_string(), |node| format!("{} ({}{why})", node.name(), node.state_in_words()))
    };
    let missing = unlocked.missing.iter().map(state).collect::<Vec<_>>().join("; ");
    let missing = useless.map_or(missing.clone(), |useless| format!("{missing}. {useless}"));
    if context.request.without_missing {
        context.reporter.notify(Event::Warning(format!(
            "{open} of the {nodes} nodes of {cluster} are UNLOCKED, ASSOCIATED and REACHABLE. Missing: {missing}."
        )));
        return None;
    }
    let verb = if keychain == KeychainKind::None { "run" } else { "unlock" };
    let later = if unlocked.not_asked.is_empty() {
        let begin = "Switch the missing nodes on and wait until they have started, up to 20 minutes. Then";
        match keychain {
            KeychainKind::None => format!("{begin} repeat the same command."),
            KeychainKind::System | KeychainKind::Kernel => {
                // Those that did not answer are right, as far as anybody knows, and not remembered yet.
                let NodeAddresses { answered, silent, .. } = &unlocked.addresses;
                let addresses = [&answered[..], silent].concat();
                format!("{begin} run:\n  snow-onboard {verb} {cluster}{}", address_flags(&addresses))
            }
        }
    } else {
        let addresses = address_flags(&address_templates(&unlocked.addresses.answered, nodes));
        format!("Give the address that each node's display shows:\n  snow-onboard {verb} {cluster}{addresses}")
    };
    let hint = format!("The nodes that are open stay open. {later}");
    Some(Error::ClusterIncomplete { cluster: cluster.to_string(), open, nodes, missing, hint })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct HearsNothing;

    impl crate::report::Observer for HearsNothing {
        fn event(&self, _: Option<&TargetId>, _: &Event) {}
    }

    #[test]
    fn an_address_may_stand_once_however_it_is_written() {
        let parse = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<Endpoint>>();
        assert!(check_addresses(&parse(&["192.0.2.10", "192.0.2.11", "192.0.2.10:9092"])).is_ok());
        for twice in [["192.0.2.10", "192.0.2.10"], ["192.0.2.10", "192.0.2.10:9091"]] {
            assert!(check_addresses(&parse(&twice)).unwrap_err().to_string().contains("twice"));
        }
    }

    #[test]
    fn what_others_were_given_is_not_taken_for_a_node_s_address() {
        use crate::model::{HandOverMethod, HandOverRecord};
        let parse = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<Endpoint>>();
        let job = |node: u8| format!("JID123e4567-e89b-12d3-a456-42665544000{node}").parse::<JobId>().unwrap();
        let cluster: TargetId = "CID123e4567-e89b-12d3-a456-426655440000".parse().unwrap();
        let mut record = Record::new(cluster.clone());
        record.nodes = (1..4).map(|node| ClusterNode::of(job(node))).collect();
        let nodes = parse(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
        let record = record.with(&HandOverRecord {
            at: time::OffsetDateTime::UNIX_EPOCH,
            endpoint: nodes[0].clone(),
            nodes: nodes.clone(),
            method: HandOverMethod::Profile,
            argv_seconds: None,
            client: "/opt/snowballEdge".into(),
            client_version: "1.2.0".to_owned(),
            client_sha256: serde_json::from_str(&format!("\"{}\"", "0".repeat(64))).unwrap(),
            client_jvm_is_bare: false,
            was_open_already: false,
            device_id: None,
            unlocked_at: None,
            audit_head: None,
        });
        let reporter = Reporter::new(std::sync::Arc::new(HearsNothing), None);
        let with = |of_others: &[Endpoint]| with_remembered(&nodes[..2], Some(&record), of_others, &reporter);
        assert_eq!(with(&[]), nodes);
        assert_eq!(with(&parse(&["127.0.0.3:9091"])), nodes[..2]);
        let kept = [(cluster.clone(), Some(record.clone()))];
        assert_eq!(target_among(job(2).into(), &kept, &reporter), cluster);
        let own = [kept[0].clone(), (job(2).into(), None)];
        assert_eq!(target_among(job(2).into(), &own, &reporter), TargetId::from(job(2)), "it has a pair of its own");
    }

    #[test]
    fn what_is_known_of_a_node_stays_and_a_new_one_comes_in() {
        let job = |node: u8| format!("JID123e4567-e89b-12d3-a456-42665544000{node}").parse::<JobId>().unwrap();
        let known = ClusterNode { state: Some("UNLOCKED".to_owned()), ..ClusterNode::of(job(1)) };
        let mut record = Record::new(TargetId::Job(job(9)));
        record.nodes = vec![known.clone(), ClusterNode::of(job(3))];
        let listed = ClusterJobs { jobs: vec![job(1), job(2)], gone: vec![job(4)], ..ClusterJobs::default() };
        for _ in 0..2 {
            set_nodes(&mut record, &listed);
            assert_eq!(record.nodes, [known.clone(), ClusterNode::of(job(2))]);
            assert_eq!(record.former_nodes, [ClusterNode::of(job(4)), ClusterNode::of(job(3))]);
        }
    }
}
