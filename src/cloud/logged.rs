//! What the log says of a call: which, how it ended, how long it took, and the id by which AWS's support finds it.

use std::time::Instant;

use aws_sdk_snowball::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_snowball::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::safety::sanitize::phrase;

/// Notes how `operation`, begun at `started`, ended. Never what was answered.
pub(super) fn answer<O, E>(operation: &'static str, started: Instant, answer: &Result<O, SdkError<E, HttpResponse>>)
where
    O: RequestId,
    E: ProvideErrorMetadata,
{
    let millis = millis(started);
    match answer {
        Ok(output) => {
            let request = phrase(output.request_id().unwrap_or("unknown"));
            tracing::info!(operation, status = 200, request, millis, "AWS has answered");
        }
        Err(error) => {
            let status = error.raw_response().map(|response| response.status().as_u16());
            let request = phrase(error.request_id().unwrap_or("unknown"));
            let kind = match error {
                SdkError::ConstructionFailure(_) => "not sent",
                SdkError::TimeoutError(_) => "timed out",
                SdkError::DispatchFailure(_) => "no connection, or no credentials",
                SdkError::ResponseError(_) => "unreadable answer",
                SdkError::ServiceError(_) => "refused",
                _ => "unknown",
            };
            let code = error.code().map(phrase);
            tracing::warn!(operation, status, request, millis, kind, code, "AWS has not given it");
        }
    }
}

pub(super) fn millis(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
