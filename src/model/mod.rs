//! What is spoken of everywhere and belongs to no room: parsed once, valid ever after, no I/O.

mod digest;
mod endpoint;
mod hand_over;
mod job;
mod keychain;
mod known_client;
mod pair;
mod purpose;
mod record;
mod region;
mod secret;
mod sourced;
mod typed;

pub use digest::ClientDigest;
pub use endpoint::{Endpoint, EndpointHost};
pub use hand_over::PrivateHome;
pub use hand_over::{HandOverMethod, HandOverPolicy};
pub use job::Malformed;
pub(crate) use job::Readiness;
pub use job::{ClusterId, JobFacts, JobId, JobState};
pub use keychain::KeychainKind;
pub use known_client::KnownClient;
pub use pair::ManifestDigest;
pub use pair::PairTag;
pub(crate) use purpose::Purpose;
pub use record::HandOverRecord;
pub use record::JobSummary;
pub use record::PairRecord;
pub use record::Record;
pub use region::Region;
pub use secret::NotAManifestUrl;
pub(crate) use secret::looks_like_code;
pub use secret::{ManifestUrl, NotAnUnlockCode, UnlockCode, has_shape_of_code};
pub use sourced::{Origin, Sourced};
pub(crate) use typed::{below_home, expanded_path, is_like_a_hyphen, tidy, trimmed, typed_path};
