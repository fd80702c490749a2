//! The account's jobs: what a test or the operator wants the Snowball API to say about them.

use std::sync::Arc;

use hyper::body::Bytes;
use time::OffsetDateTime;

use crate::{
    manifest::{self, Contents},
    source::Source,
};

/// Size of a manifest unless [`Job::manifest_size`] says otherwise. Real sizes are not public.
pub const MANIFEST_SIZE: usize = 100 * 1024;

/// States in which the stand-in hands out manifest and code unless the builder says otherwise.
///
/// The API reference names `WithCustomer` alone, the guide of 2025 says "in transit to you": the sources disagree, so
/// a test that cares sets its own list.
pub const READY_STATES: [&str; 2] = ["WithCustomer", "InTransitToCustomer"];

/// A job as scripted: what the API will say, word for word. States and types are plain text so that a test can also
/// play a word that no SDK knows yet.
#[derive(Clone)]
pub struct Job {
    pub(crate) states: Vec<String>,
    pub(crate) job_type: String,
    pub(crate) snowball_type: String,
    pub(crate) description: Option<String>,
    pub(crate) tracking: Option<String>,
    pub(crate) created: OffsetDateTime,
    pub(crate) manifest_size: usize,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            states: vec!["WithCustomer".to_owned()],
            job_type: "IMPORT".to_owned(),
            snowball_type: "EDGE".to_owned(),
            description: Some("Rehearsal".to_owned()),
            tracking: Some("1Z999AA10123456784".to_owned()),
            created: OffsetDateTime::now_utc() - time::Duration::days(9),
            manifest_size: MANIFEST_SIZE,
        }
    }
}

impl Job {
    /// An import job whose storage-optimised device has just been delivered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the job in one state for good.
    #[must_use]
    pub fn state(self, state: &str) -> Self {
        self.states(&[state])
    }

    /// Lets the job move on by one state with each `DescribeJob`; the last one stays.
    #[must_use]
    pub fn states(mut self, states: &[&str]) -> Self {
        self.states = states.iter().map(|&state| state.to_owned()).collect();
        self
    }

    /// `IMPORT`, `EXPORT` or `LOCAL_USE`.
    #[must_use]
    pub fn job_type(mut self, job_type: &str) -> Self {
        job_type.clone_into(&mut self.job_type);
        self
    }

    /// `EDGE`, `EDGE_C`, `V3_5S`, …
    #[must_use]
    pub fn snowball_type(mut self, snowball_type: &str) -> Self {
        snowball_type.clone_into(&mut self.snowball_type);
        self
    }

    /// What the person who ordered it called it; `None` leaves the member out.
    #[must_use]
    pub fn description(mut self, description: Option<&str>) -> Self {
        self.description = description.map(str::to_owned);
        self
    }

    /// The carrier's number on the way to the customer; `None` leaves the shipment out.
    #[must_use]
    pub fn tracking(mut self, tracking: Option<&str>) -> Self {
        self.tracking = tracking.map(str::to_owned);
        self
    }

    /// When the job was created.
    #[must_use]
    pub fn created(mut self, created: OffsetDateTime) -> Self {
        self.created = created;
        self
    }

    /// Bytes of the manifest, at least what its contents take.
    #[must_use]
    pub fn manifest_size(mut self, size: usize) -> Self {
        self.manifest_size = size;
        self
    }
}

/// Manifest and code that belong together, with the key that the manifest gives the client.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) code: String,
    pub(crate) manifest: Bytes,
    pub(crate) device_key: String,
}

impl Pair {
    pub(crate) fn new(job_ids: &[String], size: usize, source: &Source) -> Self {
        Self::with_code(source.code(), job_ids, size, source)
    }

    /// Another manifest for a code that stays, as after an update of the device's software.
    pub(crate) fn with_code(code: String, job_ids: &[String], size: usize, source: &Source) -> Self {
        let device_key = hex::encode(source.array::<32>());
        let contents = Contents { job_ids: job_ids.to_vec(), device_key: device_key.clone() };
        let manifest = manifest::seal(&contents, &code, size, source).into();
        Self { code, manifest, device_key }
    }
}

/// A job with its id and its pair, as the API and the bucket look it up.
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) job: Job,
    pub(crate) cluster: Option<String>,
    /// Ids of its parts: such a job is a "master", which has no device, no manifest and no code of its own.
    pub(crate) parts: Vec<String>,
    pub(crate) pair: Arc<Pair>,
    described: usize,
}

impl Entry {
    pub(crate) fn is_master(&self) -> bool {
        !self.parts.is_empty()
    }

    /// The state that `DescribeJob` gave last, or would give first.
    pub(crate) fn state(&self) -> &str {
        let at = self.described.saturating_sub(1).min(self.job.states.len().saturating_sub(1));
        self.job.states.get(at).map_or("New", String::as_str)
    }

    /// Counts a `DescribeJob`, which is what moves a scripted job on.
    pub(crate) fn describe(&mut self) {
        self.described += 1;
    }

    /// Ends the script: the job is in this state from now on.
    pub(crate) fn set_state(&mut self, state: &str) {
        self.job.states = vec![state.to_owned()];
        self.described = 0;
    }
}

/// A cluster: nodes are jobs of their own, the pair is one for all of them.
pub(crate) struct Cluster {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) description: String,
    pub(crate) created: OffsetDateTime,
    pub(crate) job_type: String,
    pub(crate) snowball_type: String,
}

/// Everything the account has.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) jobs: Vec<Entry>,
    pub(crate) clusters: Vec<Cluster>,
}

impl Account {
    pub(crate) fn find(&self, id: &str) -> Option<&Entry> {
        self.jobs.iter().find(|entry| entry.id == id)
    }

    pub(crate) fn find_mut(&mut self, id: &str) -> Option<&mut Entry> {
        self.jobs.iter_mut().find(|entry| entry.id == id)
    }

    /// Adds a job with a pair of its own and gives its id.
    pub(crate) fn add(&mut self, job: Job, source: &Source) -> String {
        let id = source.id("JID");
        let pair = Pair::new(std::slice::from_ref(&id), job.manifest_size, source);
        self.push(id.clone(), job, None, pair.into());
        id
    }

    /// Adds a cluster whose nodes share one pair, as the guide says they do, and gives the nodes' ids.
    pub(crate) fn add_cluster(&mut self, node: &Job, nodes: usize, source: &Source) -> Vec<String> {
        let cluster = source.id("CID");
        let ids: Vec<String> = (0..nodes).map(|_| source.id("JID")).collect();
        let pair = Arc::new(Pair::new(&ids, node.manifest_size, source));
        for id in &ids {
            self.push(id.clone(), node.clone(), Some(cluster.clone()), pair.clone());
        }
        let delivered = node.states.iter().any(|state| state == "WithCustomer");
        self.clusters.push(Cluster {
            id: cluster,
            state: if delivered { "InUse" } else { "Pending" }.to_owned(),
            description: node.description.clone().unwrap_or_default(),
            created: node.created,
            job_type: node.job_type.clone(),
            snowball_type: node.snowball_type.clone(),
        });
        ids
    }

    /// Adds an export in parts and gives the ids: first the main job's (`MID`, a guess: the model only says that such
    /// ids exist), then the parts'.
    pub(crate) fn add_export(&mut self, job: &Job, parts: usize, source: &Source) -> Vec<String> {
        let job = job.clone().job_type("EXPORT");
        let main = source.id("MID");
        let pair = Pair::new(std::slice::from_ref(&main), 0, source);
        self.push(main.clone(), job.clone(), None, pair.into());
        let ids: Vec<String> = (0..parts).map(|_| self.add(job.clone(), source)).collect();
        if let Some(entry) = self.find_mut(&main) {
            entry.parts.clone_from(&ids);
        }
        std::iter::once(main).chain(ids).collect()
    }

    fn push(&mut self, id: String, mut job: Job, cluster: Option<String>, pair: Arc<Pair>) {
        // Two parcels have two numbers.
        if let Some(number) = job.tracking.clone()
            && self.jobs.iter().any(|entry| entry.job.tracking.as_ref() == Some(&number))
        {
            let begin = number.get(..number.len().saturating_sub(2)).unwrap_or_default();
            job.tracking = Some(format!("{begin}{:02}", (84 + self.jobs.len()) % 100));
        }
        self.jobs.push(Entry { id, job, cluster, parts: Vec::new(), pair, described: 0 });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_script_moves_on_with_each_description_and_ends_on_its_last_state() {
        let mut account = Account::default();
        let id = account.add(Job::new().states(&["New", "WithCustomer"]), &Source::new(Some(1)));
        let entry = account.find_mut(&id).unwrap();
        assert_eq!(entry.state(), "New");
        let mut seen = Vec::new();
        for _ in 0..3 {
            entry.describe();
            seen.push(entry.state().to_owned());
        }
        assert_eq!(seen, ["New", "WithCustomer", "WithCustomer"]);
        entry.set_state("Complete");
        assert_eq!(entry.state(), "Complete");
    }

    #[test]
    fn the_nodes_of_a_cluster_share_one_pair() {
        let mut account = Account::default();
        let ids = account.add_cluster(&Job::new(), 3, &Source::new(Some(1)));
        let pairs: Vec<_> = ids.iter().map(|id| account.find(id).unwrap().pair.clone()).collect();
        assert!(Arc::ptr_eq(&pairs[0], &pairs[1]) && Arc::ptr_eq(&pairs[1], &pairs[2]));
        let contents = manifest::open(&pairs[0].manifest, &pairs[0].code).unwrap();
        assert_eq!(contents.job_ids, ids);
    }

    #[test]
    fn an_export_in_parts_has_a_main_job_without_a_device() {
        let mut account = Account::default();
        let ids = account.add_export(&Job::new(), 2, &Source::new(Some(1)));
        assert_eq!(ids.len(), 3);
        assert!(account.find(&ids[0]).unwrap().is_master());
        assert!(!account.find(&ids[1]).unwrap().is_master());
    }
}
