//! A cluster: its nodes have one pair and are asked to unlock together, and each tells its own state.
//!
//! `unlock-cluster` wants the address of every node. What more there is to a cluster than to a device: a node that does not answer
//! yet, one that comes back, one that stays missing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::port::{FIRST_PAUSE, MAX_PAUSE};
use super::reach::try_port;
use super::wait::{SHORTEST_PAUSE, Watch};
use super::{Attempt, MIN_DESCRIBE_TIME, Session};
use crate::device::client::cluster::{DescribedCluster, DescribedNode};
use crate::device::client::output::{self, Described, State};
use crate::device::guard::handle::GuardHandle;
use crate::device::guard::protocol::{Reads, Run};
use crate::error::{Error, Result, longer_than};
use crate::model::{ClusterId, ClusterNode, Endpoint, EndpointHost, JobId, NodeAddresses};
use crate::report::{Backoff, Event, NodeState, Notify, WaitNotice, duration_in_words, while_waiting};

/// A node that does not answer for so long is named.
const NAMED_AFTER: Duration = Duration::from_secs(5);

/// The nodes of a cluster, for [`Session::open`].
pub struct ClusterOrder<'a> {
    /// The cluster.
    pub id: &'a ClusterId,
    /// The jobs of its nodes, in the service's order. Each is its node's `DeviceId`.
    pub jobs: &'a [JobId],
    /// Where the nodes are. The client goes to the first one that answers.
    pub addresses: &'a [Endpoint],
    /// Goes on at once with the nodes that answer.
    pub without_missing: bool,
}

/// The nodes of the session's cluster.
pub(super) struct Cluster {
    id: ClusterId,
    jobs: Vec<JobId>,
    /// Where those are that answered: what the client is told.
    addresses: Vec<Endpoint>,
    /// Where the others should be.
    silent: Vec<Endpoint>,
    /// Those of both that were seen not to answer, and answer now.
    back: Vec<Endpoint>,
    /// Those that did not when they were tried last.
    down: Vec<Endpoint>,
    /// As they were described last.
    nodes: Vec<DescribedNode>,
    /// By `DeviceId`.
    past: BTreeMap<String, Past>,
}

/// What a node was since the session began.
#[derive(Default)]
struct Past {
    told: String,
    was_open: bool,
    was_ready: bool,
    was_reachable: bool,
    /// It was reachable, and then no more.
    was_lost: bool,
    /// It was asked to associate again, which is done once.
    is_asked: bool,
}

impl Cluster {
    /// Waits until the nodes' ports answer, all of them at once. When `patience` is over, those that answer are enough if they are
    /// more than half of the cluster. How many nodes a cluster needs is not documented in detail; that number is ours.
    ///
    /// Nothing is told to the client before, as with a single device.
    pub(super) fn wait(
        order: &ClusterOrder<'_>,
        guard: &mut GuardHandle,
        patience: Duration,
        notify: &dyn Notify,
    ) -> Result<Self> {
        let (started, mut pause) = (Instant::now(), Backoff::new(FIRST_PAUSE, MAX_PAUSE));
        let mut checked: Vec<Option<Endpoint>> = vec![None; order.addresses.len()];
        let (mut is_named, mut why_not) = (false, String::new());
        let silent = loop {
            let tried = while_waiting(notify, "the ports of the nodes", || try_ports(order.addresses, &checked));
            for (at, tried) in tried {
                match tried {
                    Ok(found) => checked[at] = Some(found),
                    Err(Error::DeviceUnreachable { why, .. }) => why_not = why,
                    Err(error) => return Err(error),
                }
            }
            let silent: Vec<Endpoint> = order
                .addresses
                .iter()
                .zip(&checked)
                .filter(|(_, checked)| checked.is_none())
                .map(|(address, _)| address.clone())
                .collect();
            let answering = checked.len() - silent.len();
            if silent.is_empty() || answering > 0 && order.without_missing {
                break silent;
            }
            let left = patience.saturating_sub(started.elapsed());
            if left.is_zero() {
                break silent;
            }
            if !is_named && started.elapsed() >= NAMED_AFTER {
                is_named = true;
                notify.notify(Event::Warning(format!(
                    "{} of {} nodes do not answer yet: {}. A node takes up to 20 minutes to start. This command waits for {} at \
                     most. To go on without them, stop it (Ctrl-C) and add --without-missing.",
                    silent.len(),
                    order.jobs.len(),
                    listed(&silent),
                    duration_in_words(patience)
                )));
            }
            let what = format!("the nodes at {} to start", listed(&silent));
            notify.notify(Event::Waiting { what, so_far: started.elapsed() });
            guard.pause(pause.next().min(left))?;
        };
        let addresses: Vec<Endpoint> = checked.into_iter().flatten().collect();
        if addresses.is_empty() {
            let (endpoint, port) =
                order.addresses.first().map(|first| (first.with_port(), first.port())).unwrap_or_default();
            return Err(Error::DeviceUnreachable { endpoint, port, why: why_not });
        }
        if !order.without_missing && addresses.len() * 2 <= order.jobs.len() {
            let silent = if silent.is_empty() { String::new() } else { format!(" No answer: {}.", listed(&silent)) };
            return Err(Error::ClusterTooFew {
                cluster: order.id.to_string(),
                answer: addresses.len(),
                nodes: order.jobs.len(),
                silent,
            });
        }
        if !silent.is_empty() && is_named {
            notify.notify(Event::Warning(format!("No answer: {}. The other nodes are unlocked.", listed(&silent))));
        }
        let (id, jobs) = (order.id.clone(), order.jobs.to_vec());
        let (down, back) = (silent.clone(), Vec::new());
        Ok(Self { id, jobs, addresses, silent, back, down, nodes: Vec::new(), past: BTreeMap::new() })
    }

    /// Where the client goes.
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        self.addresses.first()
    }

    /// The job that the client's profile names: one of those that have this pair.
    pub(super) fn job(&self) -> Option<&JobId> {
        self.jobs.first()
    }

    /// The nodes that answered, as the client takes their addresses.
    pub(super) fn for_client(&self) -> Vec<String> {
        self.addresses.iter().map(Endpoint::as_node).collect()
    }

    /// Takes a description of the nodes. Gives what it says of all of them.
    fn see(&mut self, described: DescribedCluster) -> Described {
        self.nodes = described.nodes;
        for node in &self.nodes {
            let Some(id) = &node.device.device_id else { continue };
            let past = self.past.entry(id.clone()).or_default();
            past.was_lost |= past.was_reachable && !node.is_reachable;
            past.was_open |= node.is_opening();
            past.was_ready |= node.is_ready();
            past.was_reachable |= node.is_reachable;
        }
        let is_whole = described.cluster_id.is_none_or(|id| id == self.id.as_str());
        let has_ids = !self.nodes.is_empty() && self.nodes.iter().all(|node| node.device.device_id.is_some());
        Described { device_id: (is_whole && has_ids).then(|| self.id.to_string()), state: self.state() }
    }

    /// All of them in one state.
    fn state(&self) -> State {
        let any = |is: fn(&DescribedNode) -> bool| self.nodes.iter().any(is);
        if self.ready() >= self.addresses.len() {
            State::Unlocked
        } else if any(DescribedNode::is_opening) {
            State::Unlocking
        } else if any(|node| node.device.state == State::Locked) {
            State::Locked
        } else {
            State::Other(self.nodes.first().map_or(State::NOT_TOLD.to_owned(), DescribedNode::in_words))
        }
    }

    fn ready(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_ready()).count()
    }

    /// The first id among the described ones that is none of this cluster's jobs.
    pub(super) fn stranger(&self) -> Option<&str> {
        let ids = self.nodes.iter().filter_map(|node| node.device.device_id.as_deref());
        ids.into_iter().find(|id| !self.jobs.iter().any(|job| job.as_str() == *id))
    }

    /// Whether a node that answered is neither open nor opening.
    pub(super) fn is_locked(&self) -> bool {
        self.nodes.iter().filter(|node| node.is_opening()).count() < self.addresses.len()
    }

    fn known(&self) -> impl Iterator<Item = &Endpoint> {
        self.addresses.iter().chain(&self.silent)
    }

    /// The address that was given for this node. What it says of itself has no port, so nodes behind one address are not told apart
    /// by it.
    fn address_of(&self, node: &DescribedNode) -> Option<&Endpoint> {
        let address = EndpointHost::Address(node.address?);
        let mut known = self.known().filter(|known| *known.host() == address);
        known.next().filter(|_| known.next().is_none())
    }

    /// The same for a node that came back: of several, it is the one whose port went and came.
    fn address_back(&self, node: &DescribedNode) -> Option<&Endpoint> {
        let address = EndpointHost::Address(node.address?);
        self.address_of(node).or_else(|| {
            let mut back = self.back.iter().filter(|back| *back.host() == address);
            back.next().filter(|_| back.next().is_none())
        })
    }

    /// Tries the ports, where a node is said to be missing.
    fn try_again(&mut self) {
        if self.down.is_empty() && self.nodes.iter().all(|node| node.is_reachable) {
            return;
        }
        let known: Vec<Endpoint> = self.known().cloned().collect();
        for (at, tried) in try_ports(&known, &vec![None; known.len()]) {
            let address = &known[at];
            let was_down = self.down.contains(address);
            match tried {
                Ok(_) if was_down => self.back.push(address.clone()),
                Err(_) if !was_down => {
                    self.back.retain(|back| back != address);
                    self.down.push(address.clone());
                }
                _ => {}
            }
        }
        self.down.retain(|down| !self.back.contains(down));
    }

    /// Each node of the cluster with what was said of it last.
    pub(super) fn nodes(&self) -> Vec<ClusterNode> {
        let described =
            |job: &JobId| self.nodes.iter().find(|node| node.device.device_id.as_deref() == Some(job.as_str()));
        let node = |job: &JobId| match described(job) {
            None => ClusterNode::of(job.clone()),
            Some(node) => ClusterNode {
                job: job.clone(),
                address: self
                    .address_of(node)
                    .cloned()
                    .or_else(|| Some(Endpoint::of(node.address?)))
                    .filter(|_| self.address_of(node).is_some() || node.is_reachable),
                state: Some(node.in_words()),
            },
        };
        self.jobs.iter().map(node).collect()
    }

    /// What came of each address. One that is written as a name is not told from a node's.
    pub(super) fn looked_for(&self) -> NodeAddresses {
        let hosts: Vec<EndpointHost> =
            self.nodes.iter().filter_map(|node| node.address).map(EndpointHost::Address).collect();
        let all_are_told = !hosts.is_empty() && hosts.len() == self.jobs.len();
        let mut found = NodeAddresses::default();
        for address in self.known() {
            let is_listed = hosts.is_empty() || matches!(address.host(), EndpointHost::Name(_));
            if self.down.contains(address) {
                found.silent.push(address.clone());
            } else if is_listed || hosts.contains(address.host()) {
                found.answered.push(address.clone());
            } else if all_are_told {
                found.foreign.push(address.clone());
            }
        }
        found
    }

    /// What may be wrong where the client gets nowhere. Its own words are about the manifest, where an address is another device's.
    pub(super) fn what_to_check(&self) -> String {
        let foreign = match &self.looked_for().foreign[..] {
            [] => String::new(),
            foreign => format!(" No node of it is at {}.", listed(foreign)),
        };
        format!(
            "Check that each of these addresses is on the display of a node of {}, and that the nodes have started: {}.{foreign}",
            self.id,
            listed(&self.addresses)
        )
    }

    /// The nodes that answer the others and are not opened, because their own addresses were not among those that answered.
    fn not_asked(&self) -> Vec<JobId> {
        let is_asked = |node: &DescribedNode| match self.address_of(node) {
            Some(address) => self.addresses.contains(address),
            // Those behind one address are not told apart by it.
            None => self.addresses.len() >= self.jobs.len(),
        };
        let left = self.nodes.iter().filter(|node| node.is_reachable && node.device.state == State::Locked);
        let ids = left.filter(|node| !is_asked(node)).filter_map(|node| node.device.device_id.as_deref());
        ids.filter_map(|id| id.parse().ok()).collect()
    }

    /// Tells of each node whose state is another than the one that was told last.
    fn tell_changes(&mut self, notify: &dyn Notify) {
        let of = self.jobs.len();
        for (number, node) in (1..).zip(self.nodes()) {
            let Some(state) = node.state else { continue };
            let Some(past) = self.past.get_mut(node.job.as_str()).filter(|past| past.told != state) else { continue };
            past.told.clone_from(&state);
            let at = node.address.map(|address| address.to_string());
            notify.notify(Event::Node(NodeState { number, of, job: node.job, at, state }));
        }
    }

    /// The nodes that are back and not open: each with the address by which the client is to associate it again.
    fn come_back(&mut self) -> Vec<(String, String)> {
        let mut back = Vec::new();
        for node in &self.nodes {
            let (Some(id), Some(address)) = (&node.device.device_id, self.address_back(node)) else { continue };
            let was_silent = self.silent.contains(address) || self.back.contains(address);
            let Some(past) = self.past.get(id).filter(|past| !past.is_asked && node.is_reachable) else { continue };
            let is_locked = node.device.state == State::Locked && (past.was_open || past.was_lost || was_silent);
            let is_out = !node.is_associated
                && !node.association.is_empty()
                && (past.was_ready || past.was_lost && !node.is_opening());
            if is_locked || is_out {
                back.push((id.clone(), address.as_node()));
            }
        }
        for (id, address) in &back {
            self.past.entry(id.clone()).or_default().is_asked = true;
            self.back.retain(|back| back.as_node() != *address);
        }
        back
    }
}

impl Session {
    /// The nodes of the cluster with what was said of each last; none of a session with a single device.
    #[must_use]
    pub fn nodes(&self) -> Vec<ClusterNode> {
        self.cluster.as_ref().map(Cluster::nodes).unwrap_or_default()
    }

    /// What came of the addresses of the cluster's nodes; nothing of a session with a single device.
    #[must_use]
    pub(crate) fn looked_for(&self) -> NodeAddresses {
        self.cluster.as_ref().map(Cluster::looked_for).unwrap_or_default()
    }

    /// The jobs of the nodes that are locked because they were not asked.
    pub(super) fn not_asked(&self) -> Vec<JobId> {
        self.cluster.as_ref().map(Cluster::not_asked).unwrap_or_default()
    }

    /// The state of the device, or of the cluster: of one that has missing nodes, how many are open.
    #[must_use]
    pub(crate) fn state(&self) -> State {
        let (missing, all) = (self.missing().len(), self.nodes().len());
        match &self.device.state {
            State::Unlocked if missing > 0 => State::Other(format!("UNLOCKED, {} of {all} nodes", all - missing)),
            state => state.clone(),
        }
    }

    /// The jobs of the nodes that are not ready; none of a session with a single device.
    pub(super) fn missing(&self) -> Vec<JobId> {
        let Some(cluster) = &self.cluster else { return Vec::new() };
        let is_ready = |job: &JobId| {
            cluster.nodes.iter().any(|node| node.is_ready() && node.device.device_id.as_deref() == Some(job.as_str()))
        };
        cluster.jobs.iter().filter(|job| !is_ready(job)).cloned().collect()
    }

    /// One `describe-cluster`.
    pub(super) fn attempt_cluster(&mut self, until: Instant) -> Result<Attempt> {
        let command = self.client.data.commands.describe_cluster.clone();
        let args = self.args(&command);
        // A deadline is no reason not to see it open at the very end.
        let left = until.saturating_duration_since(Instant::now()).max(MIN_DESCRIBE_TIME);
        let run = Run { reads: Reads::Cluster, ..self.command(args, command.limit().min(left)) };
        let mut ran = self.run_waiting(run, "the client to describe the cluster")?;
        self.took = Duration::from_millis(ran.millis);
        let described = ran.cluster.take();
        Ok(match (described, &mut self.cluster) {
            (Some(described), Some(cluster)) => {
                let described = cluster.see(*described);
                let (state, ready) = (described.state.as_str(), cluster.ready());
                tracing::info!(state, ready, method = self.method.as_str(), "the cluster was looked at");
                Attempt::Described(described)
            }
            _ => Attempt::Failed(ran),
        })
    }

    /// Asks for the nodes' states until each that answered is UNLOCKED, ASSOCIATED and REACHABLE, or until the deadline when some
    /// are; which are not, [`Session::nodes`] tells. A node that comes back locked is associated again, once.
    pub(super) fn watch_cluster(&mut self, deadline: Duration) -> Result<()> {
        let (started, until) = (Instant::now(), Instant::now() + deadline);
        let mut watch = Watch::new(&self.client.data.states);
        let mut pause = Backoff::new((self.took / 4).max(SHORTEST_PAUSE), MAX_PAUSE);
        let mut notice = WaitNotice::long();
        let mut at_once = self.is_asked;
        loop {
            let Some(cluster) = &mut self.cluster else { return Ok(()) };
            cluster.tell_changes(&*self.notify);
            cluster.try_again();
            let (back, ready) = (if self.is_asked { Vec::new() } else { cluster.come_back() }, cluster.ready());
            let state = self.device.state.clone();
            if self.is_open(watch.see(&state, started.elapsed()))? {
                return Ok(());
            }
            if Instant::now() >= until {
                let (seconds, longer) = (deadline.as_secs(), longer_than(deadline, 60));
                let late = Error::DeviceTimeout { state: state.as_str().to_owned(), seconds, longer };
                return if ready > 0 { Ok(()) } else { Err(late) };
            }
            for (id, address) in back {
                self.associate(&id, &address)?;
            }
            notice.tell(&*self.notify, &format!("the nodes of {} to unlock ({ready} are ready)", self.job));
            if !std::mem::take(&mut at_once) {
                self.guard.pause(pause.next().min(until.saturating_duration_since(Instant::now())))?;
            }
            // One that can't be asked at the moment is not open yet.
            self.look(until)?;
        }
    }

    /// Has a node that came back associated with the cluster again, which also unlocks it.
    fn associate(&mut self, id: &str, address: &str) -> Result<()> {
        let command = self.client.data.commands.associate.clone();
        let run = self.command(self.args_about(&command, address), command.limit());
        let ran = self.run_waiting(run, "the client to associate a node")?;
        self.notify.notify(if ran.succeeded() {
            Event::Fact(format!(
                "The node {id} at {address} came back. It was asked to associate with the cluster again."
            ))
        } else {
            let said = output::client_output(&ran);
            Event::Warning(format!("`snowballEdge {}` failed for the node {id} at {address}: {said}", command.name()))
        });
        Ok(())
    }
}

/// Tries the ports of those that have not answered yet, side by side.
fn try_ports(addresses: &[Endpoint], checked: &[Option<Endpoint>]) -> Vec<(usize, Result<Endpoint>)> {
    std::thread::scope(|scope| {
        let tries: Vec<_> = addresses
            .iter()
            .enumerate()
            .filter(|(at, _)| checked[*at].is_none())
            .map(|(at, address)| (at, scope.spawn(move || try_port(address))))
            .collect();
        let panicked = || Err(Error::Internal { what: "trying a node's port ended in a panic".to_owned() });
        tries.into_iter().map(|(at, tried)| (at, tried.join().unwrap_or_else(|_| panicked()))).collect()
    })
}

fn listed(addresses: &[Endpoint]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::HeardEvents;

    const CLUSTER: &str = "CID123e4567-e89b-12d3-a456-426655440000";

    fn job(node: usize) -> String {
        format!("JID123e4567-e89b-12d3-a456-42665544000{node}")
    }

    fn cluster(nodes: usize, silent: &[usize]) -> Cluster {
        let address = |node: usize| format!("192.0.2.1{node}").parse::<Endpoint>().unwrap();
        Cluster {
            id: CLUSTER.parse().unwrap(),
            jobs: (0..nodes).map(|node| job(node).parse().unwrap()).collect(),
            addresses: (0..nodes).filter(|node| !silent.contains(node)).map(address).collect(),
            silent: silent.iter().map(|node| address(*node)).collect(),
            back: Vec::new(),
            down: Vec::new(),
            nodes: Vec::new(),
            past: BTreeMap::new(),
        }
    }

    /// A node by its state, association and reachability, each by its first letter; `-` for a state that is not told.
    fn node(at: usize, words: &str) -> DescribedNode {
        let words: Vec<char> = words.chars().collect();
        let state = match words[0] {
            'U' => State::Unlocked,
            'O' => State::Unlocking,
            'L' => State::Locked,
            _ => State::Other(State::NOT_TOLD.to_owned()),
        };
        let (is_associated, is_reachable) = (words[1] == 'A', words[2] == 'R');
        DescribedNode {
            device: Described { device_id: Some(job(at)), state },
            association: if is_associated { "ASSOCIATED" } else { "DISASSOCIATED" }.to_owned(),
            reachability: if is_reachable { "REACHABLE" } else { "UNREACHABLE" }.to_owned(),
            address: format!("192.0.2.1{at}").parse().ok(),
            is_associated,
            is_reachable,
        }
    }

    fn see(cluster: &mut Cluster, nodes: &[&str]) -> Described {
        let nodes = nodes.iter().enumerate().map(|(at, words)| node(at, words)).collect();
        cluster.see(DescribedCluster { cluster_id: Some(CLUSTER.to_owned()), nodes })
    }

    #[test]
    fn a_cluster_is_open_when_each_node_that_answered_is_ready() {
        let mut three = cluster(3, &[]);
        for (nodes, state) in [
            (["LDR", "LDR", "LDR"], State::Locked),
            (["ODR", "LDR", "LDR"], State::Unlocking),
            (["UAR", "UAR", "UDR"], State::Unlocking),
            (["UAR", "UAR", "-AU"], State::Unlocking),
            (["UAR", "UAR", "UAR"], State::Unlocked),
        ] {
            assert_eq!(see(&mut three, &nodes).state, state, "{nodes:?}");
        }
        assert!(!three.is_locked());
        let mut without_one = cluster(3, &[2]);
        assert_eq!(see(&mut without_one, &["UAR", "UAR", "-DU"]).state, State::Unlocked);
        assert_eq!(without_one.for_client(), ["192.0.2.10", "192.0.2.11"]);
        let states: Vec<_> = without_one.nodes().into_iter().map(|node| node.state.unwrap()).collect();
        assert_eq!(states[2], "DISASSOCIATED, UNREACHABLE");
    }

    #[test]
    fn a_node_that_comes_back_is_asked_once_and_one_that_never_went_is_not() {
        let mut three = cluster(3, &[]);
        let mut back = |nodes: &[&str]| {
            see(&mut three, nodes);
            three.come_back().into_iter().map(|(_, address)| address).collect::<Vec<_>>()
        };
        for nodes in [["LDR", "LDR", "LDR"], ["ODR", "UDR", "LDR"], ["UAR", "UAR", "ODR"], ["UAR", "-AU", "UAR"]] {
            assert_eq!(back(&nodes), Vec::<String>::new(), "{nodes:?}");
        }
        assert_eq!(back(&["UAR", "LDR", "UAR"]), ["192.0.2.11"]);
        assert_eq!(back(&["UAR", "LDR", "UAR"]), Vec::<String>::new(), "once");
        let mut late = cluster(3, &[2]);
        see(&mut late, &["UAR", "UAR", "LDR"]);
        assert_eq!(late.come_back().len(), 1, "it did not answer when the others were unlocked");
    }

    #[test]
    fn a_device_of_another_cluster_is_seen() {
        let mut two = cluster(2, &[]);
        see(&mut two, &["LDR", "LDR"]);
        assert_eq!(two.stranger(), None);
        see(&mut two, &["LDR", "LDR", "LDR"]);
        assert_eq!(two.stranger(), Some(&*job(2)));
    }

    #[test]
    fn a_line_is_told_for_each_node_and_each_change() {
        let heard = HeardEvents::default();
        let mut two = cluster(2, &[]);
        for nodes in [["LDR", "LDR"], ["LDR", "LDR"], ["LDR", "UAR"]] {
            see(&mut two, &nodes);
            two.tell_changes(&heard);
        }
        let told: Vec<String> = heard
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|event| match event {
                Event::Node(node) => node.in_words(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told.len(), 3);
        assert_eq!(told[2], format!("Node 2 of 2 ({} at 192.0.2.11)  UNLOCKED, ASSOCIATED, REACHABLE", job(1)));
    }
}
