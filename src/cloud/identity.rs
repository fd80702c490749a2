//! Whose credentials are in use: STS, GetCallerIdentity.

use std::time::Instant;

use aws_config::SdkConfig;
use aws_sdk_sts::Client;

use super::api::Api;
use super::endpoints;
use super::failure::{CallContext, Refusal};
use super::logged;
use crate::error::{Error, Result};
use crate::safety::sanitize::phrase;

/// Who somebody is to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account's number. Cleaned.
    pub account: String,
    /// User or role: `arn:aws:iam::123456789012:user/operator`. Cleaned.
    pub arn: String,
}

/// The client for STS with what its errors need to be told.
pub(super) struct Sts {
    client: Client,
    setting: CallContext,
    /// The address that is configured, if it may not be called.
    refused: Option<String>,
}

impl Sts {
    /// Over the same HTTP client and with the same credentials as the Snowball API; connects to nothing.
    pub(super) fn new(
        config: &SdkConfig,
        endpoint: Option<String>,
        setting: CallContext,
        refused: Option<String>,
    ) -> Self {
        // What is refused is never called; another client would not start with it.
        Self { client: endpoints::sts(config, endpoint.filter(|_| refused.is_none())), setting, refused }
    }
}

impl Api {
    /// See [`Cloud::identity`](super::Cloud::identity).
    pub(super) async fn identity(&self) -> Result<Identity> {
        self.wait.run_with_deadline(self.sts.setting.api(), self.ask_identity()).await
    }

    /// What did not answer, if STS does not.
    pub(super) fn sts_in_words(&self) -> String {
        self.sts.setting.api()
    }

    /// The call, for whoever attends to it.
    pub(super) async fn ask_identity(&self) -> Result<Identity> {
        let Sts { client, setting, refused } = &self.sts;
        if let Some(url) = refused {
            return Err(setting.not_https(url.clone()));
        }
        let answer = self.wait.with_retry("GetCallerIdentity", async || {
            let started = Instant::now();
            let answer = client.get_caller_identity().send().await;
            logged::answer("GetCallerIdentity", started, &answer);
            answer.map_err(|error| setting.refusal("GetCallerIdentity", &error, &self.wait))
        });
        let answer = answer.await.map_err(|refusal| match refusal {
            Refusal::Failed(error) | Refusal::Passing(error) => error,
            Refusal::State | Refusal::Unknown => Error::AnswerMalformed { what: "STS GetCallerIdentity".to_owned() },
        })?;
        let part = |text: Option<String>, name: &str| {
            text.map(|text| phrase(&text)).filter(|text| !text.is_empty()).ok_or_else(|| Error::AnswerIncomplete {
                what: "STS GetCallerIdentity".to_owned(),
                missing: name.to_owned(),
            })
        };
        Ok(Identity { account: part(answer.account, "Account")?, arn: part(answer.arn, "Arn")? })
    }
}
