//! A cluster: its nodes have one pair and are asked to unlock together, and each tells its own state.
//!
//! `unlock-cluster` wants the address of every node. What more there is to a cluster than to a device: a node that does not answer
//! yet, one that comes back, one that stays missing.

mod addresses;
mod identity;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::advice::WaitAdvice;
use super::port::{FIRST_PAUSE, MAX_PAUSE};
use super::reach::try_port;
use super::wait::{SHORTEST_PAUSE, Watch};
use super::{Attempt, MIN_DESCRIBE_TIME, Session};
use crate::device::client::cluster::{DescribedCluster, DescribedNode};
use crate::device::client::output::{self, Described, State};
use crate::device::guard::handle::GuardHandle;
use crate::device::guard::protocol::{Reads, Run};
use crate::error::{Error, Result, longer_than};
use crate::model::{ClusterId, ClusterNode, Endpoint, JobId, NodeAddresses};
use crate::os::threads::Beside;
use crate::report::{Backoff, Event, NodeState, Notify, WaitNotice, duration_in_words, while_waiting};

/// A node that does not answer for so long is named.
pub(super) const NAMED_AFTER: Duration = Duration::from_secs(5);

/// The nodes of a cluster, for [`Session::open`].
pub struct ClusterOrder<'a> {
    /// The cluster.
    pub id: &'a ClusterId,
    /// The jobs of its nodes, in the service's order. Each is its node's `DeviceId`.
    pub jobs: &'a [JobId],
    /// The jobs of nodes that are not expected any more: sent back, cancelled, replaced. The others may list them still.
    pub former: &'a [JobId],
    /// Where the nodes are. The client goes to the first one that answers.
    pub addresses: &'a [Endpoint],
    /// Goes on at once with the nodes that answer.
    pub without_missing: bool,
}

/// The nodes of the session's cluster.
pub(super) struct Cluster {
    id: ClusterId,
    jobs: Vec<JobId>,
    former: Vec<JobId>,
    /// Where those are that answered: what the client is told.
    addresses: Vec<Endpoint>,
    /// Where the others should be.
    silent: Vec<Endpoint>,
    /// Those of both that were seen not to answer, and answer now.
    back: Vec<Endpoint>,
    /// Those that did not when they were tried last.
    down: Vec<Endpoint>,
    /// Until when those are waited for that do not answer, before the cluster is asked to open.
    waits_until: Option<Instant>,
    /// What they said last which cluster they are.
    named: Option<String>,
    /// As they were described last.
    nodes: Vec<DescribedNode>,
    /// Those of them that are not expected any more.
    listed_still: Vec<DescribedNode>,
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
    /// It was told that it is listed though it is not expected any more.
    is_told_still: bool,
}

impl ClusterOrder<'_> {
    /// Whether so many nodes are enough to begin with.
    fn is_enough(&self, answering: usize) -> bool {
        is_enough(answering, self.jobs.len())
    }
}

/// Whether so many of a cluster's nodes are enough to begin with.
pub(super) fn is_enough(answering: usize, nodes: usize) -> bool {
    answering * 2 > nodes
}

impl Cluster {
    /// Waits until the nodes' ports answer, all of them at once. When `patience` is over, those that answer are enough if they are
    /// more than half of the cluster. How many nodes a cluster needs is not documented in detail; that number is ours.
    ///
    /// Nothing is told to the client before, as with a single device. But when so many answer for a while, and others do not, the
    /// cluster is looked at: one that is open already shows that an address is wrong, and nobody has to wait for it. One that is not
    /// is not asked to open before the time of the others is over ([`Session::wait_for_others`]).
    pub(super) fn wait(
        order: &ClusterOrder<'_>,
        guard: &mut GuardHandle,
        patience: Duration,
        notify: &dyn Notify,
    ) -> Result<Self> {
        let (started, mut pause) = (Instant::now(), Backoff::new(FIRST_PAUSE, MAX_PAUSE));
        let mut checked: Vec<Option<Endpoint>> = vec![None; order.addresses.len()];
        let (mut is_named, mut why_not, mut waits_until) = (false, String::new(), None);
        let mut advice = WaitAdvice::new();
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
            if is_named && order.is_enough(answering) {
                waits_until = Some(started + patience);
                break silent;
            }
            advice.tell(&silent, notify);
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
        if !order.without_missing && !order.is_enough(addresses.len()) {
            let silent = if silent.is_empty() { String::new() } else { format!(" No answer: {}.", listed(&silent)) };
            return Err(Error::ClusterTooFew {
                cluster: order.id.to_string(),
                answer: addresses.len(),
                nodes: order.jobs.len(),
                silent,
            });
        }
        if !silent.is_empty() && is_named && waits_until.is_none() {
            notify.notify(without(&silent));
        }
        Ok(Self {
            id: order.id.clone(),
            jobs: order.jobs.to_vec(),
            former: order.former.to_vec(),
            addresses,
            down: silent.clone(),
            silent,
            back: Vec::new(),
            waits_until,
            named: None,
            nodes: Vec::new(),
            listed_still: Vec::new(),
            past: BTreeMap::new(),
        })
    }

    /// Where the client goes.
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        self.addresses.first()
    }

    /// Where nodes answered.
    pub(super) fn addresses(&self) -> &[Endpoint] {
        &self.addresses
    }

    /// The node of this job, if it is one of the cluster's.
    pub(super) fn node(&self, id: &str) -> Option<&JobId> {
        self.jobs.iter().find(|job| job.as_str() == id)
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
        let is_former = |node: &DescribedNode| {
            let id = node.device.device_id.as_deref();
            id.is_some_and(|id| self.former.iter().any(|former| former.as_str() == id))
        };
        (self.listed_still, self.nodes) = described.nodes.into_iter().partition(is_former);
        for node in &self.nodes {
            let Some(id) = &node.device.device_id else { continue };
            let past = self.past.entry(id.clone()).or_default();
            past.was_lost |= past.was_reachable && !node.is_reachable;
            past.was_open |= node.is_opening();
            past.was_ready |= node.is_ready();
            past.was_reachable |= node.is_reachable;
        }
        self.named = described.cluster_id;
        let has_ids = !self.nodes.is_empty() && self.nodes.iter().all(|node| node.device.device_id.is_some());
        Described { device_id: has_ids.then(|| self.id.to_string()), state: self.state() }
    }

    /// All of them in one state.
    fn state(&self) -> State {
        let any = |is: fn(&DescribedNode) -> bool| self.nodes.iter().any(is);
        if self.ready() >= self.wanted() {
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

    /// How many have to be ready: while others are waited for, all.
    fn wanted(&self) -> usize {
        if self.waits_until.is_some() { self.jobs.len() } else { self.addresses.len() }
    }

    /// Whether a node that answered is neither open nor opening.
    pub(super) fn is_locked(&self) -> bool {
        self.nodes.iter().filter(|node| node.is_opening()).count() < self.wanted()
    }

    fn known(&self) -> impl Iterator<Item = &Endpoint> {
        self.addresses.iter().chain(&self.silent)
    }

    /// Takes in those that answer by now.
    fn try_silent(&mut self) {
        let tried = try_ports(&self.silent, &vec![None; self.silent.len()]);
        let found: Vec<(Endpoint, Endpoint)> =
            tried.into_iter().filter_map(|(at, tried)| Some((self.silent[at].clone(), tried.ok()?))).collect();
        for (given, found) in found {
            self.silent.retain(|silent| *silent != given);
            self.down.retain(|down| *down != given);
            self.addresses.push(found);
        }
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
            Some(node) => ClusterNode { job: job.clone(), address: self.place_of(node), state: Some(node.in_words()) },
        };
        self.jobs.iter().map(node).collect()
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
        for node in &self.listed_still {
            let Some(id) = &node.device.device_id else { continue };
            let past = self.past.entry(id.clone()).or_default();
            if !std::mem::replace(&mut past.is_told_still, true) {
                notify.notify(Event::Fact(format!(
                    "The cluster still lists {id} ({}). By what AWS said last, this node was sent back, cancelled or replaced. It is not waited for.",
                    node.in_words()
                )));
            }
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

    /// Waits on for the nodes that did not answer when the cluster was looked at, unless all of them are ready.
    pub(super) fn wait_for_others(&mut self) -> Result<()> {
        let (started, mut pause) = (Instant::now(), Backoff::new(FIRST_PAUSE, MAX_PAUSE));
        loop {
            let Some(cluster) = &mut self.cluster else { return Ok(()) };
            let Some(until) = cluster.waits_until else { return Ok(()) };
            if cluster.ready() >= cluster.jobs.len() {
                cluster.waits_until = None;
                return Ok(());
            }
            while_waiting(&*self.notify, "the ports of the nodes", || cluster.try_silent());
            let left = until.saturating_duration_since(Instant::now());
            if cluster.silent.is_empty() || left.is_zero() {
                cluster.waits_until = None;
                if !cluster.silent.is_empty() {
                    self.notify.notify(without(&cluster.silent));
                }
                self.check_unchanged()?;
                // What was seen before was seen without those that came.
                let limit = self.client.data.commands.describe_cluster.limit();
                return self.look(Instant::now() + limit).map(drop);
            }
            let what = format!("the nodes at {} to start", listed(&cluster.silent));
            self.notify.notify(Event::Waiting { what, so_far: started.elapsed() });
            self.guard.pause(pause.next().min(left))?;
        }
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
        self.check_again_if_long_ago()?;
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

/// Those of these addresses at which a port answers.
pub(crate) fn answering(addresses: &[Endpoint]) -> Vec<Endpoint> {
    let tried = try_ports(addresses, &vec![None; addresses.len()]);
    tried.into_iter().filter(|(_, tried)| tried.is_ok()).map(|(at, _)| addresses[at].clone()).collect()
}

/// Tries the ports of those that have not answered yet, side by side.
pub(super) fn try_ports(addresses: &[Endpoint], checked: &[Option<Endpoint>]) -> Vec<(usize, Result<Endpoint>)> {
    std::thread::scope(|scope| {
        let tries: Vec<_> = addresses
            .iter()
            .enumerate()
            .filter(|(at, _)| checked[*at].is_none())
            .map(|(at, address)| (at, Beside::begin(scope, move || try_port(address))))
            .collect();
        tries.into_iter().map(|(at, tried)| (at, tried.join())).collect()
    })
}

/// That the cluster is opened without those at these addresses.
fn without(silent: &[Endpoint]) -> Event {
    Event::Warning(format!("No answer: {}. The other nodes are unlocked.", listed(silent)))
}

pub(super) fn listed(addresses: &[Endpoint]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
