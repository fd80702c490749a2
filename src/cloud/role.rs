//! The role of a profile: the SDK overlooks how long the profile wants it, and asks nobody for a one-time code (`mfa_serial`).

use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::causes::{in_words, passes};
use super::code::{CodeNeeded, WhyNoCode};
use super::credentials::Profiles;
use super::endpoints;
use super::failure::Service;
use super::http::Https;
use super::wait::Wait;
use crate::model::Region;

/// How often a code that is none is asked for again.
const TRIES: usize = 3;

/// How long before their end credentials are no longer used.
const EARLY: Duration = Duration::from_secs(60);

/// A role, as a profile has it.
#[derive(Debug, Clone)]
pub(super) struct ProfileRole {
    /// The profile's name, as it may be shown.
    pub(super) profile: String,
    pub(super) role: String,
    /// The device that shows the codes, if it asks for one.
    pub(super) serial: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) session: Option<String>,
    pub(super) seconds: Option<i32>,
}

/// Assumes a role, once for all who ask.
#[derive(Debug)]
pub(super) struct RoleProvider {
    pub(super) role: ProfileRole,
    /// Whose credentials it is assumed with.
    pub(super) source: SharedCredentialsProvider,
    pub(super) profiles: std::sync::Arc<Profiles>,
    pub(super) region: Region,
    pub(super) http: Https,
    pub(super) wait: Wait,
    /// A code is good for one call, so what came of it is kept: also a refusal, or each of several calls would ask again.
    pub(super) obtained: Mutex<Option<Result<Credentials, CodeRefusal>>>,
}

/// Why there are no credentials, for whoever asks a second time.
#[derive(Debug, Clone)]
pub(super) enum CodeRefusal {
    NoCode(CodeNeeded),
    Said(String),
}

impl From<CodeRefusal> for CredentialsError {
    fn from(refused: CodeRefusal) -> Self {
        match refused {
            CodeRefusal::NoCode(needed) => Self::provider_error(needed),
            CodeRefusal::Said(why) => Self::provider_error(why),
        }
    }
}

impl ProvideCredentials for RoleProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.obtain())
    }
}

impl RoleProvider {
    async fn obtain(&self) -> provider::Result {
        let mut obtained = self.obtained.lock().await;
        match &*obtained {
            Some(Ok(credentials)) if credentials.expiry().is_none_or(|end| end > SystemTime::now() + EARLY) => {
                return Ok(credentials.clone());
            }
            Some(Err(refused)) => return Err(refused.clone().into()),
            _ => {}
        }
        // The sign-in that lies before it fails first, and not after somebody has typed a code.
        let source = self.source.provide_credentials().await?;
        let Some(serial) = &self.role.serial else {
            let assumed = self.assume(SharedCredentialsProvider::new(source), None).await;
            let credentials = assumed.map_err(CredentialsError::provider_error)?;
            *obtained = Some(Ok(credentials.clone()));
            return Ok(credentials);
        };
        let no_code = |why| CodeRefusal::NoCode(CodeNeeded { profile: self.role.profile.clone(), why });
        let code = match self.ask(serial).await {
            Ok(code) => code,
            Err(why) => {
                *obtained = Some(Err(no_code(why.clone())));
                return Err(no_code(why).into());
            }
        };
        let answer = self.assume(SharedCredentialsProvider::new(source), Some(&code)).await;
        let refused = match answer {
            Ok(credentials) => {
                *obtained = Some(Ok(credentials.clone()));
                return Ok(credentials);
            }
            Err(error) if passes(&error) || is_of_server(&error) => no_code(WhyNoCode::Unanswered(in_words(&error))),
            Err(error @ SdkError::ServiceError(_)) => match in_words(&error) {
                said if said.contains("MultiFactorAuthentication") => no_code(WhyNoCode::Wrong),
                said => CodeRefusal::Said(said),
            },
            // It was not sent.
            Err(error) => return Err(CredentialsError::provider_error(error)),
        };
        *obtained = Some(Err(refused.clone()));
        Err(refused.into())
    }

    /// A code of six digits.
    async fn ask(&self, serial: &str) -> Result<String, WhyNoCode> {
        let profile = &self.role.profile;
        let mut question = format!("One-time code of {serial}, for profile “{profile}” (not shown):");
        for _ in 0..TRIES {
            let line = self.wait.ask_unseen(question.clone()).await.ok_or(WhyNoCode::Nobody)?;
            if line.is_empty() {
                return Err(WhyNoCode::Untold);
            }
            let digits: String = line.chars().filter(|c| !c.is_whitespace()).collect();
            if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Ok(digits);
            }
            question = format!("A one-time code has six digits. The code of {serial} (not shown):");
        }
        Err(WhyNoCode::NoDigits)
    }

    async fn assume(
        &self,
        source: SharedCredentialsProvider,
        code: Option<&str>,
    ) -> Result<Credentials, SdkError<AssumeRoleError>> {
        let ProfileRole { role, serial, external_id, session, seconds, .. } = &self.role;
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .profile_name(self.profiles.name_for_sdk())
            .profile_files(self.profiles.for_sdk())
            .region(aws_config::Region::new(self.region.to_string()))
            .http_client(self.http.clone())
            // A code is good for one call, and a second one would be refused for it.
            .retry_config(code.map_or_else(RetryConfig::standard, |_| RetryConfig::disabled()))
            .credentials_provider(source)
            .load()
            .await;
        let now = || format!("snow-onboard-{}", OffsetDateTime::now_utc().unix_timestamp());
        let endpoint = endpoints::configured(&self.profiles, Service::Sts);
        let endpoint = endpoint.map_err(|error| SdkError::construction_failure(error.to_string()))?;
        let answer = endpoints::sts(&config, endpoint.map(|endpoint| endpoint.value))
            .assume_role()
            .role_arn(role)
            .role_session_name(session.clone().unwrap_or_else(now))
            .set_external_id(external_id.clone())
            .set_duration_seconds(*seconds)
            .set_serial_number(serial.clone())
            .set_token_code(code.map(str::to_owned))
            .send()
            .await?;
        let given = answer.credentials.ok_or_else(|| SdkError::construction_failure("STS gave no credentials"))?;
        let expires = SystemTime::try_from(given.expiration).ok();
        let (id, secret, token) = (given.access_key_id, given.secret_access_key, given.session_token);
        let mut credentials = Credentials::new(id, secret, Some(token), expires, "role");
        credentials
            .get_property_mut_or_default::<Vec<AwsCredentialFeature>>()
            .push(AwsCredentialFeature::CredentialsStsAssumeRole);
        Ok(credentials)
    }
}

/// Whether the service failed: it may have taken the code before.
fn is_of_server<E>(error: &SdkError<E>) -> bool {
    matches!(error, SdkError::ServiceError(service) if service.raw().status().is_server_error())
}
