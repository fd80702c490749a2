//! What the servers, the device and the test share.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;

use crate::{
    device::Nodes,
    faults::{BucketFault, Fault, Operation, Planted},
    jobs::{Account, Entry, Pair, READY_STATES},
    log::Request,
    sigv4::Keys,
    source::Source,
};

/// Operation and job that a fault is meant for.
pub(crate) type ApiKey = (Option<Operation>, Option<String>);

/// The one state behind a rehearsal.
pub(crate) struct World {
    /// What the caller of the API signs with.
    pub(crate) keys: Keys,
    /// What whoever has assumed a role signs with.
    pub(crate) role_keys: Keys,
    /// One-time codes that were taken: each is good for one call.
    pub(crate) taken_codes: Mutex<Vec<String>>,
    /// What the service signs addresses with; never the caller's.
    pub(crate) bucket_keys: Keys,
    pub(crate) region: String,
    pub(crate) source: Source,
    pub(crate) account: Mutex<Account>,
    /// The clusters' devices, which know of each other.
    pub(crate) nodes: Nodes,
    pub(crate) settings: Mutex<Settings>,
    pub(crate) api_faults: Mutex<Planted<ApiKey, Fault>>,
    pub(crate) bucket_faults: Mutex<Planted<Option<String>, BucketFault>>,
    pub(crate) log: Mutex<Vec<Request>>,
    /// Every presigned URL handed out: bearer secrets, which a leak test has to know.
    pub(crate) issued: Mutex<Vec<String>>,
    /// `127.0.0.1:PORT`, known once the bucket listens.
    pub(crate) bucket: OnceLock<String>,
}

/// What a test may change while the servers run.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) ready_states: Vec<String>,
    pub(crate) page_size: usize,
    pub(crate) latency: Duration,
    pub(crate) api_clock: time::Duration,
    pub(crate) bucket_clock: time::Duration,
    pub(crate) expires: u32,
    pub(crate) session_token: bool,
    pub(crate) checksum: bool,
    pub(crate) etag: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ready_states: READY_STATES.map(str::to_owned).to_vec(),
            page_size: 100,
            latency: Duration::ZERO,
            api_clock: time::Duration::ZERO,
            bucket_clock: time::Duration::ZERO,
            // The API reference: the address is usable for 60 minutes.
            expires: 3600,
            session_token: false,
            checksum: true,
            etag: true,
        }
    }
}

impl World {
    pub(crate) fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    /// The hour by the API's clock.
    pub(crate) fn api_now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + lock(&self.settings).api_clock
    }

    /// The hour by the bucket's clock, which is set ahead to see an address expire.
    pub(crate) fn bucket_now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + lock(&self.settings).bucket_clock
    }

    /// Another manifest for a job, and another code unless this one stays.
    pub(crate) fn renew(&self, job_id: &str, code: Option<String>) {
        if let Some(job) = lock(&self.account).find_mut(job_id) {
            let code = code.unwrap_or_else(|| self.source.code());
            let ids = [job_id.to_owned()];
            job.pair = Pair::with_code(code, &ids, job.job.manifest_size, &self.source).into();
        }
    }

    /// Another manifest under the same code for all nodes of a cluster.
    pub(crate) fn renew_cluster(&self, cluster: &str) {
        let mut account = lock(&self.account);
        let of_cluster = |job: &&mut Entry| job.cluster.as_deref() == Some(cluster);
        let nodes: Vec<&mut Entry> = account.jobs.iter_mut().filter(of_cluster).collect();
        let Some(first) = nodes.first() else { return };
        let ids: Vec<String> = nodes.iter().map(|node| node.id.clone()).collect();
        let pair = Pair::with_code(first.pair.code.clone(), &ids, first.job.manifest_size, &self.source);
        let pair = Arc::new(pair);
        nodes.into_iter().for_each(|node| node.pair = pair.clone());
    }

    pub(crate) fn record(&self, request: Request) {
        lock(&self.log).push(request);
    }
}

/// Locks, also after a holder panicked: a test that failed in one thread is to fail once, not everywhere.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
