//! What the API and the bucket were asked, for tests to read.

use time::OffsetDateTime;

/// Which of the two servers was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The Snowball API, and STS, which answers on the same port.
    Api,
    /// The bucket with the manifests.
    Bucket,
}

/// How the Snowball API, or STS, was spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// awsJson 1.1.
    Json,
    /// Smithy RPC v2 CBOR.
    Cbor,
    /// awsQuery: a form as the request, XML as the answer. STS speaks nothing else.
    Query,
}

impl Protocol {
    /// The name that the service model gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Cbor => "smithy-rpc-v2-cbor",
            Self::Query => "query",
        }
    }
}

/// What a signed request says of its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The access key id.
    pub key: String,
    /// The region that it was signed for.
    pub region: String,
    /// The session token.
    pub token: Option<String>,
}

/// One request, whatever came of it.
#[derive(Clone, Debug)]
pub struct Request {
    /// When its answer was ready (or found impossible).
    pub at: OffsetDateTime,
    /// Who was asked.
    pub server: Server,
    /// The operation's name, or the bucket's method (`GET`); as sent, so it may be unknown.
    pub operation: String,
    /// The job asked for, or the cluster.
    pub job_id: Option<String>,
    /// `None` for the bucket and for what is neither protocol.
    pub protocol: Option<Protocol>,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub http: &'static str,
    /// The access key whose signature was verified; `None` if it did not hold.
    pub identity: Option<String>,
    /// Whose request it says to be, whether that holds or not.
    pub claim: Option<Claim>,
    /// The status answered; 0 for a fault that gives none.
    pub status: u16,
    /// The error's name, if the answer was one.
    pub error: Option<String>,
    /// Whether an `Authorization` header came: right for the API, a leak for the bucket.
    pub authorization: bool,
    /// The role asked for, with what was said of its session, as sent.
    pub role: Option<String>,
    /// The `Range` asked for.
    pub range: Option<String>,
    /// Who says to ask.
    pub user_agent: Option<String>,
}
