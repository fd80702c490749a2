//! The Snowball API and the manifest's bucket: what a job is, and both halves of its pair.
//!
//! The only module that names the AWS crates. It keeps a current-thread runtime of its own inside; every call blocks,
//! and has one deadline for all that it does. Dropping [`Cloud`] drops clients, connections and runtime: a pooled
//! connection's read buffer still holds the code in clear.

mod api;
mod aws_files;
mod causes;
mod certificates;
mod chain;
mod cluster;
mod code;
mod config_change;
mod credentials;
mod denied;
mod download;
mod endpoints;
mod examine;
mod failure;
mod http;
mod identity;
mod logged;
mod process;
mod proxy;
mod role;
mod text;
mod trust;
mod usable;
mod variables;
mod wait;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::model::{ClusterId, JobFacts, JobId, Region, Sourced, UnlockCode};
use crate::report::{Event, Notify};

use api::Api;
pub(crate) use config_change::{ConfigChange, config_file, credentials_file};
pub use credentials::CredentialsInUse;
pub use endpoints::forget_empty_variables;
pub use examine::Action;
pub(crate) use examine::{Examined, Way};
pub use identity::Identity;
pub(crate) use process::CREDENTIALS_ARGUMENT;
pub use process::credentials_main;
pub(crate) use trust::{TrustInUse, check_typed_file};

/// What the operator decides about AWS and the way to it.
#[derive(Debug, Clone)]
pub struct CloudSettings {
    /// Profile to use. If set it wins over credentials in the environment, as `--profile` of the AWS CLI does; if
    /// not, `AWS_PROFILE` or `default` counts.
    pub profile: Option<String>,
    /// Region of the job; if not set, `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile's.
    pub region: Option<Sourced<Region>>,
    /// PEM file that replaces the system's CA certificates; if not set, the profile's `ca_bundle` or `REQUESTS_CA_BUNDLE`.
    pub ca_bundle: Option<Sourced<PathBuf>>,
    /// Deadline of each call of [`Cloud`], with all its requests, retries, sign-in and download.
    pub network_timeout: Duration,
    /// Largest manifest taken, in bytes.
    pub manifest_limit: u64,
    /// Program whose main function calls [`credentials_main`] for its argument; this program if `None`.
    pub helper: Option<PathBuf>,
}

/// One job's pair as it came from AWS; the manifest is in the writer that was given.
#[derive(Debug)]
pub struct FetchedPair {
    /// What DescribeJob says of the job.
    pub facts: JobFacts,
    /// The unlock code.
    pub code: UnlockCode,
    /// Length of the manifest.
    pub bytes: u64,
    /// The nodes that have this pair, if it is a cluster's.
    pub nodes: ClusterJobs,
}

/// The nodes of a cluster, by their jobs.
#[derive(Debug, Default)]
pub struct ClusterJobs {
    /// Those that have a device here, or will have, in the service's order.
    pub jobs: Vec<JobId>,
    /// Those of them whose code was not compared with the one that was fetched.
    pub not_compared: Vec<JobId>,
    /// Those that were cancelled, or whose device has left. The other nodes may list them still.
    pub gone: Vec<JobId>,
}

/// What DescribeJob says of a job, for [`Cloud::fetch_pair`].
#[derive(Debug)]
pub struct DescribedJob {
    facts: JobFacts,
    /// Ids of the parts of a main export job.
    parts: Vec<String>,
}

/// Where a manifest goes while it is downloaded.
pub trait Sink: Write {
    /// Forgets all that was written: the download begins anew.
    ///
    /// # Errors
    /// What the system says.
    fn restart(&mut self) -> io::Result<()>;
}

/// A way to the Snowball API with one account, region and proxy.
pub struct Cloud {
    /// `None` only while it is dropped.
    parts: Option<(Api, tokio::runtime::Runtime)>,
    notify: Arc<dyn Notify>,
}

/// Whether a profile that was named is one. It may be wrong and never come to be used.
///
/// # Errors
/// [`Error::CredentialsFailed`].
pub(crate) fn check_profile(name: &str) -> Result<()> {
    credentials::Profiles::load(Some(name)).map(drop)
}

impl Cloud {
    /// Reads the AWS settings, the proxy variables and the CA certificates, and sets the client up. Connects to
    /// nothing: credentials are obtained at the first call.
    ///
    /// # Errors
    /// [`Error::CaFileBad`], [`Error::ProxyBad`], [`Error::ApiNotHttps`], [`Error::RegionMissing`],
    /// [`Error::SettingInvalid`] for a malformed region, [`Error::CredentialsFailed`] for unreadable profile files or
    /// a profile that is in none of them.
    pub fn open(settings: &CloudSettings, notify: Arc<dyn Notify>) -> Result<Self> {
        let profiles = credentials::Profiles::load(settings.profile.as_deref())?;
        // What can't be told later than here: the settings alone do not know the profile's file.
        let settings = &CloudSettings { ca_bundle: trust::named_file(settings, Some(&profiles)), ..settings.clone() };
        Self::set_up(settings, profiles, || http::Http::new(settings, settings.ca_bundle.as_ref()), None, notify)
    }

    /// The same over an HTTP connector and with credentials that the caller has: for a program with a way to AWS of its
    /// own, or one that plays back what AWS once answered. Plain http is refused here as well. Proxy variables, CA
    /// certificates and the sources of credentials are not looked at; `settings.ca_bundle` counts for nothing.
    ///
    /// # Errors
    /// As [`Cloud::open`], but for those of what is not looked at.
    pub fn over(
        connector: SharedHttpConnector,
        credentials: SharedCredentialsProvider,
        settings: &CloudSettings,
        notify: Arc<dyn Notify>,
    ) -> Result<Self> {
        let profiles = credentials::Profiles::load(settings.profile.as_deref())?;
        Self::set_up(settings, profiles, || Ok(http::Http::over(connector)), Some(credentials), notify)
    }

    fn set_up(
        settings: &CloudSettings,
        profiles: credentials::Profiles,
        http: impl FnOnce() -> Result<http::Http>,
        credentials: Option<SharedCredentialsProvider>,
        notify: Arc<dyn Notify>,
    ) -> Result<Self> {
        profiles.notes().iter().for_each(|note| notify.notify(Event::Warning(note.clone())));
        let runtime = runtime().map_err(|error| Error::of_system("threads for the network", &error))?;
        let wait = wait::Wait::new(Arc::clone(&notify), settings.network_timeout);
        let api = runtime.block_on(async {
            let http = http()?;
            for left_out in http.trust.iter().flat_map(|trust| &trust.left_out) {
                notify.notify(Event::Warning(left_out.clone()));
            }
            Api::open(settings, profiles, http, credentials, wait).await
        })?;
        Ok(Self { parts: Some((api, runtime)), notify })
    }

    /// What AWS says of one job.
    ///
    /// # Errors
    /// [`Error::JobUnknown`], and those of credentials, network and answers.
    pub fn job(&self, job: &JobId) -> Result<JobFacts> {
        let (api, runtime) = self.parts();
        runtime.block_on(api.described(job)).map(|described| described.facts)
    }

    /// What AWS says of one job, to be used by [`Cloud::fetch_pair`] later.
    ///
    /// # Errors
    /// Those of [`Cloud::job`].
    pub fn describe(&self, job: &JobId) -> Result<DescribedJob> {
        let (api, runtime) = self.parts();
        runtime.block_on(api.described(job))
    }

    /// Obtains both halves of one job's pair at once: DescribeJob, unless the job is described already, GetJobManifest and
    /// GetJobUnlockCode overlap, and the download, into `manifest`, begins as soon as its address is there. What may pass
    /// (throttling, failures of the
    /// service, connections that break off) is tried again until the deadline; an address that has expired is asked for
    /// anew, and a download that broke off goes on where it broke.
    ///
    /// Whether the pair can be had is the API's answer alone; the job's state only explains a refusal. After an error
    /// `manifest` may have received a part.
    ///
    /// # Errors
    /// [`Error::JobUnknown`], [`Error::JobNotReady`], [`Error::JobTooLate`], [`Error::JobNotUsable`],
    /// [`Error::JobIsMain`]; [`Error::CodeMalformed`], [`Error::ManifestUrlBad`] and the other `Manifest…` errors;
    /// [`Error::NotAManifest`]; those of credentials, network and answers. A failure of `manifest` is an
    /// [`Error::Disk`] with the path "the manifest", for the caller to name.
    pub fn fetch_pair(
        &self,
        job: &JobId,
        described: Option<DescribedJob>,
        manifest: &mut dyn Sink,
    ) -> Result<FetchedPair> {
        let (api, runtime) = self.parts();
        runtime.block_on(api.fetch_pair(job, described, manifest))
    }

    /// What AWS says of one job, be it a node of a cluster or not.
    ///
    /// # Errors
    /// Those of [`Cloud::job`], but for [`Error::JobInCluster`].
    pub(crate) fn job_or_node(&self, job: &JobId) -> Result<JobFacts> {
        let (api, runtime) = self.parts();
        runtime.block_on(api.job_or_node(job))
    }

    /// The jobs of a cluster: those that have a device here or will have, and those that have none any more.
    ///
    /// # Errors
    /// [`Error::JobUnknown`]; [`Error::JobTooLate`] if none is left; those of credentials, network and answers.
    pub(crate) fn cluster(&self, cluster: &ClusterId) -> Result<ClusterJobs> {
        let (api, runtime) = self.parts();
        runtime.block_on(api.cluster(cluster))
    }

    /// Obtains both halves of a cluster's pair, as [`Cloud::fetch_pair`] does a job's: those of `pair_of`, or of a node that has
    /// been delivered. Then the code of each other node that is released is compared with it, in memory, and dropped at once.
    ///
    /// # Errors
    /// Those of [`Cloud::fetch_pair`]; [`Error::ClusterCodesDiffer`]; [`Error::Usage`] if `pair_of` is no node of it.
    pub(crate) fn fetch_cluster_pair(
        &self,
        cluster: &ClusterId,
        pair_of: Option<&JobId>,
        manifest: &mut dyn Sink,
    ) -> Result<FetchedPair> {
        let (api, runtime) = self.parts();
        runtime.block_on(api.fetch_cluster_pair(cluster, pair_of, manifest))
    }

    /// All jobs of account and region, in the service's order; those on their way or delivered with tracking number
    /// and cluster (the list itself has neither: Snowball API, JobListEntry).
    ///
    /// # Errors
    /// Those of credentials, network and answers. If only the details can't be had, that is a warning.
    pub fn jobs(&self) -> Result<Vec<JobFacts>> {
        let (api, runtime) = self.parts();
        runtime.block_on(api.jobs(&*self.notify))
    }

    /// Whose credentials are in use, as STS says: GetCallerIdentity needs no permission (STS API reference). A call of
    /// its own, to another host than all else.
    ///
    /// # Errors
    /// [`Error::StsNotHttps`]; those of credentials, network and answers.
    pub fn identity(&self) -> Result<Identity> {
        let (api, runtime) = self.parts();
        runtime.block_on(api.identity())
    }

    /// Tries out whose credentials are in use and what they may do, all at once: GetCallerIdentity, ListJobs, and the calls
    /// about one job with an id that no job has, so that nothing is obtained. Each has the deadline of a call.
    ///
    /// # Errors
    /// None of the calls' own, which stand in what is given.
    pub(crate) fn examine(&self) -> Result<Examined> {
        let (api, runtime) = self.parts();
        runtime.block_on(api.examine())
    }

    /// Where the credentials come from that the calls so far were made with, and when they expire; `None` before the first
    /// call and when there are none.
    #[must_use]
    pub fn credentials_in_use(&self) -> Option<CredentialsInUse> {
        self.parts().0.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When AWS answered last, by the clock of this machine and by its own (the answer's `Date`).
    #[must_use]
    pub fn clocks(&self) -> Option<(OffsetDateTime, OffsetDateTime)> {
        *self.parts().0.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parts(&self) -> (&Api, &tokio::runtime::Runtime) {
        let (api, runtime) = self.parts.as_ref().expect("taken by drop alone");
        (api, runtime)
    }
}

/// A runtime on this thread. It, and what it has for signals, panics where the session may open no more files; so as many as it
/// needs are opened first, and closed again.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    #[cfg(unix)]
    {
        /// A poll, what wakes it, the two ends for signals and another of one of them; and one to spare.
        const PAIRS: usize = 3;
        let pairs: std::io::Result<Vec<_>> = (0..PAIRS).map(|_| std::os::unix::net::UnixStream::pair()).collect();
        drop(pairs?);
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Some((api, runtime)) = self.parts.take() {
            drop(api);
            // Ends the connections now, but does not wait for a name lookup that the system's resolver sits on.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cloud(…)")
    }
}
