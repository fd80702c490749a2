//! From the SDK's errors to ours.
//!
//! An SDK error is never printed: its `Debug` shows the whole answer, secrets included, when the answer could not be
//! decoded. What is taken from it is the kind, the service's code, and the service's message, cleaned.

use std::error::Error as StdError;
use std::sync::Arc;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_snowball::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::error::metadata::ErrorMetadata;
use http_body_util::LengthLimitError;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::causes::{chain, find, in_words, io_error, passes};
use super::code::CodeNeeded;
use super::credentials::Profiles;
use super::denied::denied;
use super::http::{MAX_ANSWER, NotHttps};
use super::process::ProgramFailed;
use super::proxy::ProxyRefused;
use super::text::uncapitalised;
use super::trust::{TrustInUse, refused_certificate, refused_certificate_of_proxy};
use super::wait::Wait;
use crate::error::{Error, io_in_words};
use crate::model::Region;
use crate::report::utc_in_words;
use crate::safety::sanitize::{phrase, phrase_or};

/// A difference of clocks that is worth a sentence. AWS refuses signatures from 5 minutes on at the earliest.
const SKEW: time::Duration = time::Duration::minutes(4);

/// Which of AWS's services is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Snowball,
    Sts,
}

impl Service {
    /// In words that a place follows.
    fn api(self) -> &'static str {
        match self {
            Self::Snowball => "the Snowball API",
            Self::Sts => "AWS STS",
        }
    }

    /// As the SDK's settings call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Snowball => "Snowball",
            Self::Sts => "STS",
        }
    }

    /// As policies spell it.
    fn prefix(self) -> &'static str {
        match self {
            Self::Snowball => "snowball",
            Self::Sts => "sts",
        }
    }
}

/// What a sentence about a failure needs to know.
pub(super) struct CallContext {
    pub(super) service: Service,
    pub(super) region: String,
    /// Which API, in words that follow "the Snowball API": "in eu-central-1", "at 127.0.0.1:4443".
    pub(super) place: String,
    /// Where the service's address was set, if it was.
    pub(super) endpoint_origin: Option<String>,
    pub(super) proxy: Option<String>,
    /// The CA certificates in use; `None` if somebody else looks to the connections.
    pub(super) trust: Option<TrustInUse>,
    pub(super) profiles: Arc<Profiles>,
}

/// Why an operation gave no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The job's state does not allow it; which state that is, DescribeJob tells.
    State,
    /// The id is unknown; of a main job the parts may be known.
    Unknown,
    /// May pass by itself: worth another try.
    Passing(Error),
    /// Anything else.
    Failed(Error),
}

impl CallContext {
    /// "the Snowball API in eu-central-1"
    pub(super) fn api(&self) -> String {
        format!("{} {}", self.service.api(), self.place)
    }

    /// Why `operation` ("GetJobManifest") failed.
    pub(super) fn refusal<E>(&self, operation: &str, error: &SdkError<E, HttpResponse>, wait: &Wait) -> Refusal
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        match error {
            SdkError::ServiceError(service) => {
                let answer = ServiceAnswer {
                    status: service.raw().status().as_u16(),
                    code: service.err().code(),
                    message: service.err().message(),
                    date: service.raw().headers().get("date"),
                };
                self.answered(operation, &answer)
            }
            _ if find::<LengthLimitError>(error).is_some() => Refusal::Failed(Error::AnswerTooLarge {
                what: format!("{} {operation}", self.service.name()),
                limit: MAX_ANSWER,
            }),
            SdkError::ResponseError(response) if io_error(error).is_none() => {
                let answer =
                    ServiceAnswer { status: response.raw().status().as_u16(), code: None, message: None, date: None };
                self.answered(operation, &answer)
            }
            SdkError::TimeoutError(_) => Refusal::Passing(wait.timed_out(&self.api())),
            _ if passes(error) => Refusal::Passing(self.unanswered(&self.api(), error, wait)),
            _ => Refusal::Failed(self.unanswered(&self.api(), error, wait)),
        }
    }

    fn answered(&self, operation: &str, answer: &ServiceAnswer<'_>) -> Refusal {
        let what = format!("{} {operation}", self.service.name());
        let message = || phrase_or(answer.message, "no reason given");
        let because = || match answer.code {
            Some(code) => format!("{} ({})", message(), phrase(code)),
            None => format!("it answered {}", answer.status),
        };
        let error = match answer.code.unwrap_or_default() {
            "InvalidJobStateException" => return Refusal::State,
            "InvalidResourceException" => return Refusal::Unknown,
            "AccessDenied" | "AccessDeniedException" | "NotAuthorized" | "UnauthorizedOperation" => {
                denied(format!("{}:{operation}", self.service.prefix()), message())
            }
            // No permission helps an account that is not signed up for the service or has not enabled the region.
            "OptInRequired"
            | "SubscriptionRequiredException"
            | "SubscriptionRequired"
            | "NotSignedUp"
            | "AccountNotSignedUp"
            | "RegionDisabledException" => Error::NotActivated { what: self.api(), why: message() },
            "ExpiredToken" | "ExpiredTokenException" => self.expired(message()),
            "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => clock_skew(answer.date),
            // Also what a wrong clock leads to; the SDK corrects for the clock once, and this is what remains.
            "InvalidSignatureException" | "SignatureDoesNotMatch" | "AuthFailure" if is_skewed(answer.date) => {
                clock_skew(answer.date)
            }
            "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "AuthFailure"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException" => {
                // AWS says so of valid ones as well, in a region that is not enabled for the account.
                let region = match answer.code {
                    Some("UnrecognizedClientException" | "InvalidClientTokenId") => {
                        format!(" (or, if they are right, enable the region {} for the account)", phrase(&self.region))
                    }
                    _ => String::new(),
                };
                let list = self.profiles.aws_command("aws configure list");
                Error::CredentialsRefused { why: because(), region, list }
            }
            "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "SlowDown" => Error::ApiThrottled { what },
            _ if answer.status == 429 => Error::ApiThrottled { what },
            _ if answer.status >= 500 => Error::ApiFailed { what, why: because() },
            // An answer of AWS has a code. This one is of a proxy, a sign-in page, or can't be decoded.
            "" => Error::AnswerMalformed { what },
            _ => Error::ApiRefused { what, why: because() },
        };
        match error {
            Error::ApiThrottled { .. } | Error::ApiFailed { .. } => Refusal::Passing(error),
            _ => Refusal::Failed(error),
        }
    }

    /// Why no answer came from `what` ("the Snowball API at …").
    pub(super) fn unanswered(&self, what: &str, error: &(dyn StdError + 'static), wait: &Wait) -> Error {
        if let Some(credentials) = find::<CredentialsError>(error) {
            return self.no_credentials(credentials, wait);
        }
        if let Some(NotHttps { url }) = find(error) {
            return self.not_https(url.clone());
        }
        if let Some(refused) = find::<ProxyRefused>(error) {
            if let Some((proxy, variable, reason)) = refused.certificate() {
                return refused_certificate_of_proxy(&proxy, variable, self.trust.as_ref(), reason);
            }
            let what = super::text::capitalised(what);
            return Error::ApiUnreachable { what, why: refused.to_string(), hint: refused.hint() };
        }
        if find::<ConnectorError>(error).is_some_and(ConnectorError::is_timeout) {
            return wait.timed_out(what);
        }
        if let Some(rustls::Error::InvalidCertificate(reason)) = find(error) {
            return refused_certificate(what, self.trust.as_ref(), reason);
        }
        let is_api = what == self.api();
        let what = super::text::capitalised(what);
        let mut why = match (find::<rustls::Error>(error), io_error(error)) {
            (Some(tls), _) => format!("the TLS handshake failed ({})", phrase(&tls.to_string())),
            (None, Some(io)) => phrase(&io_in_words(io)),
            (None, None) => match in_words(error) {
                // HTTP/2's own words for a connection or a request that was given up.
                words if words.starts_with("stream error") || words.starts_with("connection error") => {
                    "the connection broke off before the answer was complete".to_owned()
                }
                words => words,
            },
        };
        if let Some(proxy) = &self.proxy {
            why = format!("{why} (a proxy is set: {})", phrase(proxy));
        }
        // A region that does not exist has no address.
        let meant = self.region.parse().ok().and_then(|region: Region| region.nearest_known());
        if let Some(meant) = meant.filter(|_| self.place == format!("in {}", self.region)) {
            why = format!("{why} (the region may be mistyped: the nearest known one is {meant})");
        }
        // The bucket and the sign-in have addresses that nobody set.
        let origin = self.endpoint_origin.as_ref().filter(|_| is_api);
        let address = origin.map(|origin| format!(", and the address in {origin}"));
        let hint = format!(
            "Check the network, and HTTPS_PROXY if there is a proxy{}. Then repeat the same command.",
            address.unwrap_or_default()
        );
        Error::ApiUnreachable { what, why, hint }
    }

    /// The address configured for the service is not one that may be called.
    pub(super) fn not_https(&self, url: String) -> Error {
        let origin = self.endpoint_origin.clone().unwrap_or_else(|| "the AWS configuration".to_owned());
        match self.service {
            Service::Snowball => Error::ApiNotHttps { url, origin },
            Service::Sts => Error::StsNotHttps { url, origin },
        }
    }

    fn no_credentials(&self, error: &CredentialsError, wait: &Wait) -> Error {
        if let Some(CodeNeeded { profile, why }) = find(error) {
            let (why, hint) = (why.in_words(), why.hint(&self.profiles));
            return Error::MfaCodeNeeded { profile: profile.clone(), why, hint };
        }
        if let Some(failed) = find::<ProgramFailed>(error) {
            return Error::CredentialsFailed { why: failed.in_words().into() };
        }
        // A role is assumed with credentials that may fail themselves; what lies deepest is the cause.
        if let Some(connector) = find::<ConnectorError>(error) {
            return match find::<CredentialsError>(connector) {
                Some(deeper) => self.no_credentials(deeper, wait),
                None => self.sign_in_unanswered(connector, wait),
            };
        }
        if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
            let missing = || Error::CredentialsMissing { tried: self.profiles.tried() };
            return self.profiles.missing_profile().unwrap_or_else(missing);
        }
        let why = in_words(error);
        let code = chain(error).find_map(|link| link.downcast_ref::<ErrorMetadata>()).and_then(ErrorMetadata::code);
        let expired = why.starts_with("ExpiredToken") || code.is_some_and(|code| code.starts_with("ExpiredToken"));
        // The SDK's SSO errors have no public types. Their words: "the SSO token has expired and cannot be
        // refreshed", "failed to load the cached SSO token", "failed to read `….json`"; the service's for a token
        // ended before its time: UnauthorizedException.
        let said: String = chain(error).map(|link| phrase(&link.to_string()) + "\n").collect();
        if self.profiles.sign_in().is_some() {
            if said.contains("has expired") || said.contains("Unauthorized") {
                return self.expired(why);
            }
            // What is wrong with the file would quote what stands in it.
            if said.contains("cached Login token") && !said.contains("insufficient permissions") {
                return self.expired(match said.contains("failed to refresh") {
                    true => "AWS does not renew the stored one".to_owned(),
                    false => "the stored one can't be used".to_owned(),
                });
            }
            if said.contains("cached SSO token") || said.contains("failed to read") {
                return self.expired("this machine has no stored sign-in".to_owned());
            }
        }
        if expired {
            return self.expired(why);
        }
        Error::CredentialsFailed { why: why.into() }
    }

    fn sign_in_unanswered(&self, error: &ConnectorError, wait: &Wait) -> Error {
        match self.unanswered("the AWS sign-in", error, wait) {
            // It is not the Snowball API's address that is wrong here.
            Error::ApiNotHttps { url, .. } | Error::StsNotHttps { url, .. } => {
                Error::CredentialsFailed { why: format!("the sign-in address {url} is not an https address").into() }
            }
            error => error,
        }
    }

    fn expired(&self, why: String) -> Error {
        let hint = match self.profiles.sign_in() {
            Some(login) => format!("Sign in again, then repeat the command:\n  {login}"),
            None => format!(
                "Get new credentials the way you got these, then repeat the command. Where they come from:\n  {}",
                self.profiles.aws_command("aws configure list")
            ),
        };
        Error::CredentialsExpired { why, hint }
    }
}

/// What is waited for while something is tried again: ends the sentence "waiting for …".
pub(super) fn retry_reason(error: &Error) -> String {
    match error {
        Error::ApiThrottled { what } => format!("{}, which is throttling requests", uncapitalised(what)),
        Error::ApiFailed { what, why } => format!("{}, which failed at AWS ({why})", uncapitalised(what)),
        Error::ApiTimeout { what, through, .. } => format!("{}, which does not answer{through}", uncapitalised(what)),
        Error::ApiUnreachable { what, why, .. } => format!("{}, which broke off ({why})", uncapitalised(what)),
        Error::ManifestCut { got, expected } => {
            format!("the rest of the manifest, which broke off after {got} of {expected} bytes")
        }
        Error::ManifestSlow { got, .. } => {
            format!("the rest of the manifest, which comes too slowly ({got} bytes so far)")
        }
        other => format!("another try ({})", other.report().sentence.trim_end_matches('.')),
    }
}

/// The part of an answer that tells why it is a refusal.
struct ServiceAnswer<'a> {
    status: u16,
    code: Option<&'a str>,
    message: Option<&'a str>,
    date: Option<&'a str>,
}

fn clock_skew(date: Option<&str>) -> Error {
    Error::ClockSkew {
        here: utc_in_words(OffsetDateTime::now_utc()),
        // A proxy may have put its own date there, and the service's word counts more than that.
        there: date
            .filter(|_| is_skewed(date))
            .and_then(parse_date)
            .map_or_else(String::new, |there| format!(", and {} at AWS", utc_in_words(there))),
    }
}

fn is_skewed(date: Option<&str>) -> bool {
    date.and_then(parse_date).is_some_and(|there| (OffsetDateTime::now_utc() - there).abs() > SKEW)
}

/// The `Date` header: RFC 2822 but for its zone, which is the letters GMT.
pub(super) fn parse_date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cloud::credentials::tests::profiles;
    use crate::cloud::http::NotHttps;
    use crate::report::HeardEvents;
    use aws_smithy_types::retry::ErrorKind;
    use std::time::Duration;

    fn setting(config: &str, profile: &'static str) -> CallContext {
        let profiles = Arc::new(profiles(config, profile, true));
        CallContext {
            service: Service::Snowball,
            region: "eu-west-1".to_owned(),
            place: "in eu-west-1".to_owned(),
            endpoint_origin: None,
            proxy: None,
            trust: None,
            profiles,
        }
    }

    fn wait() -> Wait {
        Wait::new(Arc::new(HeardEvents::default()), Duration::from_secs(1))
    }

    fn answered(status: u16, code: Option<&str>, message: Option<&str>, date: Option<&str>) -> Refusal {
        let setting = setting("[profile p]\nsso_session = s\nsso_role_name = r\n", "p");
        setting.answered("GetJobUnlockCode", &ServiceAnswer { status, code, message, date })
    }

    fn report(refusal: Refusal) -> (&'static str, String) {
        let (Refusal::Failed(error) | Refusal::Passing(error)) = refusal else { panic!("a refusal by state") };
        (error.code(), error.report().sentence)
    }

    #[test]
    fn answers_of_the_service_get_the_error_they_deserve() {
        for (status, code, expected) in [
            (400, "AccessDeniedException", "access_denied"),
            (403, "OptInRequired", "not_activated"),
            (400, "SubscriptionRequiredException", "not_activated"),
            (400, "ExpiredTokenException", "credentials_expired"),
            (403, "InvalidClientTokenId", "credentials_refused"),
            (400, "UnrecognizedClientException", "credentials_refused"),
            (400, "InvalidSignatureException", "credentials_refused"),
            (400, "RequestExpired", "clock_skew"),
            (400, "ThrottlingException", "api_throttled"),
            (429, "Whatever", "api_throttled"),
            (500, "InternalFailure", "api_failed"),
            (503, "", "api_failed"),
            (403, "", "answer_malformed"),
            (200, "", "answer_malformed"),
            (400, "ValidationError", "api_refused"),
        ] {
            let code = Some(code).filter(|code| !code.is_empty());
            assert_eq!(
                report(answered(status, code, Some("said"), None)).0,
                expected,
                "{status} {}",
                code.unwrap_or("-")
            );
        }
        for (status, code, passes) in
            [(400, "ThrottlingException", true), (503, "", true), (400, "AccessDenied", false), (403, "", false)]
        {
            let refusal = answered(status, Some(code).filter(|code| !code.is_empty()), None, None);
            assert_eq!(matches!(refusal, Refusal::Passing(_)), passes, "{status} {code}");
        }
        assert!(matches!(answered(400, Some("InvalidJobStateException"), None, None), Refusal::State));
        assert!(matches!(answered(400, Some("InvalidResourceException"), None, None), Refusal::Unknown));
    }

    #[test]
    fn what_the_service_says_is_cleaned() {
        let said = "no\u{1b}[31m 12345-abcde-12345-ABCDE-12345 https://b.example/?X-Amz-Signature=1.";
        let (_, sentence) = report(answered(400, Some("AccessDenied"), Some(said), None));
        assert!(!sentence.contains("abcde") && !sentence.contains("Amz") && !sentence.contains('\u{1b}'), "{sentence}");
        assert!(sentence.contains("snowball:GetJobUnlockCode"), "{sentence}");
    }

    #[test]
    fn a_denial_names_the_missing_action_with_a_statement_to_paste() {
        let denied = |said: &str| {
            let Refusal::Failed(error) = answered(400, Some("AccessDeniedException"), Some(said), None) else {
                panic!("a denial does not pass")
            };
            error.report()
        };
        let line = |hint: &str| hint.lines().nth(1).unwrap_or_default().trim().to_owned();
        let report = denied("no");
        let statement: serde_json::Value = serde_json::from_str(&line(&report.hint)).unwrap();
        assert_eq!(statement["Action"], "snowball:GetJobUnlockCode");
        assert!(report.hint.contains("kms:Decrypt"), "{}", report.hint);
        let report = denied("User: arn:aws:iam::1:user/x is not authorized to perform: kms:Decrypt on resource: arn:k");
        let statement: serde_json::Value = serde_json::from_str(&line(&report.hint)).unwrap();
        assert_eq!(statement["Action"], "kms:Decrypt");
        assert!(!report.hint.contains("ask for kms:Decrypt") && report.sentence.contains("call kms:Decrypt"));
        for (said, policy) in [
            (" with an explicit deny in a service control policy", "The service control policy forbids it."),
            (
                " with an explicit deny in an identity-based policy: arn:aws:iam::1:policy/p",
                "The identity-based policy",
            ),
            (" with an explicit deny", "The policy forbids it."),
        ] {
            let hint = denied(&format!("x is not authorized to perform: snowball:ListJobs on resource: *{said}")).hint;
            assert!(
                hint.contains(policy) && hint.contains("except snowball:ListJobs") && !hint.contains("Allow"),
                "{hint}"
            );
        }
        let report = denied("x is not authorized to perform: \"},{\"Action\":\"*\" on y");
        assert!(line(&report.hint).contains("\"snowball:GetJobUnlockCode\""), "{}", report.hint);
    }

    #[test]
    fn refused_credentials_are_looked_for_in_the_profile_in_use_and_the_region_may_be_why() {
        let hint = |code| {
            let Refusal::Failed(error) = answered(403, Some(code), None, None) else { panic!("it does not pass") };
            error.report().hint
        };
        for code in ["UnrecognizedClientException", "InvalidClientTokenId", "SignatureDoesNotMatch"] {
            assert!(hint(code).ends_with(":\n  aws configure list --profile p"), "{}", hint(code));
            assert_eq!(
                hint(code).contains("enable the region eu-west-1"),
                !code.contains("Signature"),
                "{}",
                hint(code)
            );
        }
    }

    #[test]
    fn a_wrong_clock_is_told_with_both_times() {
        let (code, sentence) =
            report(answered(403, Some("SignatureDoesNotMatch"), None, Some("Sat, 24 Dec 2016 00:51:15 GMT")));
        assert_eq!(code, "clock_skew");
        assert!(sentence.contains("and 2016-12-24 00:51:15 UTC at AWS"), "{sentence}");
    }

    #[test]
    fn missing_answers_are_told_apart() {
        let setting = setting("[profile p]\nregion = x\n", "p");
        let why = |error: ConnectorError| setting.unanswered("the Snowball API", &error, &wait()).report();
        let io =
            |kind: std::io::ErrorKind, inner: rustls::Error| std::io::Error::new(kind, std::io::Error::other(inner));
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let report = why(ConnectorError::io(io(std::io::ErrorKind::InvalidData, untrusted).into()));
        assert_eq!(report.code, "tls_untrusted");
        assert!(report.sentence.starts_with("The certificate of the Snowball API"), "{}", report.sentence);
        let report = why(ConnectorError::io(io(std::io::ErrorKind::InvalidData, rustls::Error::DecryptError).into()));
        assert_eq!(report.code, "api_unreachable");
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let report = why(ConnectorError::io(refused.into()));
        assert_eq!(report.sentence, "The Snowball API gave no answer: connection refused.");
        let plain = NotHttps { url: "http://h".to_owned() };
        assert_eq!(why(ConnectorError::user(plain.into())).code, "api_not_https");
        assert_eq!(why(ConnectorError::timeout("x".into())).code, "api_timeout");
    }

    #[test]
    fn what_broke_off_is_worth_another_try_and_what_is_not_there_is_not() {
        use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, UnexpectedEof};
        let io = |kind| passes(&ConnectorError::io(std::io::Error::from(kind).into()));
        assert!(io(ConnectionReset) && io(UnexpectedEof) && !io(ConnectionRefused));
        assert!(passes(&ConnectorError::timeout("x".into())));
        assert!(passes(&ConnectorError::other("x".into(), Some(ErrorKind::TransientError))));
        assert!(!passes(&ConnectorError::other("x".into(), None)));
        let reset = ConnectorError::io(std::io::Error::from(ConnectionReset).into());
        let of_the_sign_in = ConnectorError::other(CredentialsError::provider_error(reset).into(), None);
        assert!(!passes(&of_the_sign_in), "a sign-in has tries of its own");
    }

    #[test]
    fn credentials_that_fail_are_told_with_the_way_out() {
        let config = "[profile p]\nsso_session = s\nsso_role_name = r\n[profile k]\nregion = x\n";
        let told = |profile, error: CredentialsError| {
            let outer = ConnectorError::other(error.into(), None);
            setting(config, profile).unanswered("the Snowball API", &outer, &wait()).report()
        };
        let expired = || CredentialsError::provider_error("the SSO token has expired and cannot be refreshed");
        let report = told("p", expired());
        assert_eq!(report.code, "credentials_expired");
        assert!(report.hint.contains("aws sso login --profile p"), "{}", report.hint);
        assert_eq!(told("k", CredentialsError::not_loaded_no_source()).code, "credentials_missing");
        let report = told("k", CredentialsError::provider_error("ExpiredToken: x"));
        assert!(report.hint.ends_with("\n  aws configure list --profile k"), "{}", report.hint);
        let report = told("k", CredentialsError::provider_error("process exited with 3"));
        assert_eq!(report.code, "credentials_failed");
        assert!(report.sentence.contains("process exited with 3"), "{}", report.sentence);
        let unreachable = ConnectorError::io(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into());
        let report = told("p", CredentialsError::provider_error(unreachable));
        assert_eq!(report.sentence, "The AWS sign-in gave no answer: connection refused.");
    }
}
