//! What is in effect on the way to AWS, and what the credentials may do there. For whoever wants to know before it matters.

use std::time::{Duration, Instant};

use super::api::Api;
use super::credentials::Profiles;
use super::failure::{Refusal, Service};
use super::http::without_secrets;
use super::proxy::Proxy;
use super::trust::{TrustInUse, named_file, trusted};
use super::variables::profile_of_environment;
use super::{CloudSettings, Identity, endpoints, logged};
use crate::error::Result;
use crate::model::{Origin, Region, Sourced};
use crate::safety::sanitize::phrase;

/// An id of the right shape that no job has: what is asked for with it can't be obtained.
const NO_JOB: &str = "JID00000000-0000-0000-0000-000000000000";

/// STS is asked beside the rest, and is not what matters.
const PATIENCE_WITH_STS: Duration = Duration::from_secs(30);

/// The way to AWS as the settings, the variables and the profile files make it. Nothing is connected to.
#[derive(Debug)]
pub(crate) struct Way {
    /// The profile, unless one was named to us.
    pub profile: Sourced<String>,
    /// The region.
    pub region: Result<Sourced<Region>>,
    /// The address of the Snowball API, if another one than AWS's own is configured. Without a user, a path and a query.
    pub endpoint: Result<Option<Sourced<String>>>,
    /// The proxy, if there is one.
    pub proxy: Result<Option<ProxyInUse>>,
    /// The CA certificates.
    pub trust: Result<TrustInUse>,
}

/// A proxy and what names it. Never its user and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProxyInUse {
    /// Host, and port if one is given. Cleaned.
    pub address: String,
    /// `HTTPS_PROXY`, or the like.
    pub variable: &'static str,
    /// Hosts that are reached without it: `NO_PROXY`. Cleaned.
    pub except: Option<String>,
}

impl Way {
    /// Looks.
    #[must_use]
    pub(crate) fn of(settings: &CloudSettings) -> Self {
        let profiles = Profiles::load(settings.profile.as_deref());
        let trust = trusted(named_file(settings, profiles.as_ref().ok()).as_ref()).map(|(_, trust)| trust);
        let (region, endpoint) = match profiles {
            Ok(profiles) => (profiles.region(settings.region.as_ref()), endpoint(&profiles)),
            // The same answer to both questions, and an error can't be copied.
            Err(error) => {
                let again = Profiles::load(settings.profile.as_deref());
                (Err(error), again.and_then(|profiles| endpoint(&profiles)))
            }
        };
        // Whatever can't be read is told with the region.
        let unreadable = |_| Sourced { value: "default".to_owned(), origin: Origin::Default };
        Self { profile: profile_of_environment().unwrap_or_else(unreadable), region, endpoint, proxy: proxy(), trust }
    }
}

fn endpoint(profiles: &Profiles) -> Result<Option<Sourced<String>>> {
    let found = endpoints::configured(profiles, Service::Snowball)?;
    Ok(found.map(|Sourced { value, origin }| Sourced { value: without_secrets(&value), origin }))
}

fn proxy() -> Result<Option<ProxyInUse>> {
    let proxy = Proxy::from_variables(|name| std::env::var_os(name))?;
    Ok(proxy.map(|proxy| ProxyInUse {
        address: proxy.address(),
        variable: proxy.variable,
        except: proxy.except.as_deref().map(phrase),
    }))
}

/// What the agent does at AWS, each by a permission of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// To find the job.
    ListJobs,
    /// To see its state.
    DescribeJob,
    /// The address of the manifest.
    GetJobManifest,
    /// The unlock code.
    GetJobUnlockCode,
}

impl Action {
    /// As the API calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ListJobs => "ListJobs",
            Self::DescribeJob => "DescribeJob",
            Self::GetJobManifest => "GetJobManifest",
            Self::GetJobUnlockCode => "GetJobUnlockCode",
        }
    }
}

/// What was found out at AWS.
#[derive(Debug)]
pub(crate) struct Examined {
    /// The Snowball API that was asked: "the Snowball API in eu-central-1".
    pub api: String,
    /// Whose credentials they are.
    pub identity: Result<Identity>,
    /// How the AWS CLI is asked the same.
    pub ask_identity: String,
    /// Whether each is allowed: an error if not, or if that can't be told.
    pub actions: [(Action, Result<()>); 4],
}

impl Api {
    /// See [`Cloud::examine`](super::Cloud::examine).
    pub(super) async fn examine(&self) -> Result<Examined> {
        let limit = self.wait.limit();
        let of_sts = limit.min(PATIENCE_WITH_STS);
        let identity = async {
            let answer = tokio::time::timeout(of_sts, self.ask_identity()).await;
            answer.unwrap_or_else(|_| Err(self.wait.timed_out(&self.sts_in_words())))
        };
        let action = async |action: Action| {
            let answer = tokio::time::timeout(limit, self.try_out(action)).await;
            answer.unwrap_or_else(|_| Err(self.wait.timed_out(&self.setting.api())))
        };
        let work = async {
            let (identity, list, describe, manifest, code) = tokio::join!(
                identity,
                action(Action::ListJobs),
                action(Action::DescribeJob),
                action(Action::GetJobManifest),
                action(Action::GetJobUnlockCode),
            );
            let actions = [
                (Action::ListJobs, list),
                (Action::DescribeJob, describe),
                (Action::GetJobManifest, manifest),
                (Action::GetJobUnlockCode, code),
            ];
            let ask_identity = self.setting.profiles.aws_command("aws sts get-caller-identity");
            Ok(Examined { api: self.setting.api(), identity, ask_identity, actions })
        };
        // Each part has a deadline of its own, which is to win: it knows what did not answer.
        self.wait.run_with_limit(limit * 2, self.setting.api(), work).await
    }

    /// Makes the call with nothing to obtain. What the API knows nothing of, it would have given.
    async fn try_out(&self, action: Action) -> Result<()> {
        let (name, client) = (action.name(), &self.client);
        let answer = self.wait.with_retry(name, async || {
            let started = Instant::now();
            // One after the other in four arms: each operation has types of its own. What comes is dropped unseen.
            macro_rules! made {
                ($call:expr) => {{
                    let answer = $call.send().await;
                    logged::answer(name, started, &answer);
                    answer.map(drop).map_err(|error| self.setting.refusal(name, &error, &self.wait))
                }};
            }
            match action {
                Action::ListJobs => made!(client.list_jobs().max_results(1)),
                Action::DescribeJob => made!(client.describe_job().job_id(NO_JOB)),
                Action::GetJobManifest => made!(client.get_job_manifest().job_id(NO_JOB)),
                Action::GetJobUnlockCode => made!(client.get_job_unlock_code().job_id(NO_JOB)),
            }
        });
        match answer.await {
            // Who may not ask is told so first: AWS looks at the policy before it looks for the job.
            Ok(()) | Err(Refusal::Unknown | Refusal::State) => Ok(()),
            Err(Refusal::Failed(error) | Refusal::Passing(error)) => Err(error),
        }
    }
}
