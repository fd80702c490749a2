//! A handle on one job.

use std::sync::Arc;

use crate::{
    faults::{BucketFault, Fault, Operation, Times},
    jobs::Pair,
    world::{World, lock},
};

/// A job of the account.
#[derive(Clone)]
pub struct JobHandle {
    pub(super) id: String,
    pub(super) world: Arc<World>,
}

impl JobHandle {
    /// `JID…`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The state that the API would give now.
    #[must_use]
    pub fn state(&self) -> String {
        lock(&self.world.account).find(&self.id).map(|job| job.state().to_owned()).unwrap_or_default()
    }

    /// The unlock code: what a leak test looks for.
    #[must_use]
    pub fn unlock_code(&self) -> String {
        self.pair().code.clone()
    }

    /// The manifest's bytes.
    #[must_use]
    pub fn manifest(&self) -> Vec<u8> {
        self.pair().manifest.to_vec()
    }

    /// Puts the job in this state for good.
    pub fn set_state(&self, state: &str) {
        if let Some(job) = lock(&self.world.account).find_mut(&self.id) {
            job.set_state(state);
        }
    }

    /// Another manifest under the same code, as after an update of the device; the old one no longer works.
    pub fn renew_manifest(&self) {
        self.renew(Some(self.unlock_code()));
    }

    /// Another manifest and another code, as after an update of the device's certificate.
    pub fn renew_pair(&self) {
        self.renew(None);
    }

    /// Another code with the same manifest, which it does not open: to see what comes of the code alone.
    pub fn renew_code(&self) {
        let mut account = lock(&self.world.account);
        if let Some(job) = account.find_mut(&self.id) {
            job.pair = Pair { code: self.world.source.code(), ..(*job.pair).clone() }.into();
        }
    }

    /// Makes an operation fail for this job.
    pub fn plant(&self, operation: Operation, fault: Fault, times: Times) {
        lock(&self.world.api_faults).plant((Some(operation), Some(self.id.clone())), fault, times);
    }

    /// Makes the download of this job's manifest fail.
    pub fn plant_in_bucket(&self, fault: BucketFault, times: Times) {
        lock(&self.world.bucket_faults).plant(Some(self.id.clone()), fault, times);
    }

    fn renew(&self, code: Option<String>) {
        self.world.renew(&self.id, code);
    }

    fn pair(&self) -> Arc<Pair> {
        // Jobs are only ever added, so that a handle always finds its own.
        lock(&self.world.account).find(&self.id).map(|job| job.pair.clone()).expect("jobs are never removed")
    }
}
