//! What is spoken of everywhere and belongs to no room: parsed once, valid ever after, no I/O.

mod digest;
mod endpoint;
mod hand_over;
mod job;
mod keychain;
mod known_client;
mod pair;
mod record;
mod region;
mod secret;
mod sourced;

pub use digest::ClientDigest;
pub use endpoint::{Endpoint, EndpointHost};
pub use hand_over::{HandOverMethod, Handoff, PrivateHome};
pub use job::{ClusterId, JobFacts, JobId, JobState, Malformed, Readiness};
pub use keychain::KeychainKind;
pub use known_client::KnownClient;
pub use pair::{ManifestDigest, PairTag};
pub use record::{HandOverRecord, JobSummary, PairRecord, Record};
pub use region::Region;
pub use secret::{ManifestUrl, NotAManifestUrl, NotAnUnlockCode, UnlockCode, has_shape_of_code, looks_like_code};
pub use sourced::{Origin, Sourced};
