//! The security rules, each of which stands once: whoever needs one asks it here.

pub(crate) mod escapes;
pub mod harden;
#[cfg(unix)]
pub(crate) mod interpreter;
pub mod log;
pub mod path_trust;
pub(crate) mod quote;
pub mod redact;
pub mod sanitize;
pub(crate) mod search_path;
pub mod separation;
