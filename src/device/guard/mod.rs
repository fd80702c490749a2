//! The guard: a second process of ours that owns the private home and the client, and the agent's handle to it.

pub(in crate::device) mod child;
pub(in crate::device) mod client_log;
pub(in crate::device) mod configure;
pub(in crate::device) mod environment;
pub(in crate::device) mod handle;
pub(in crate::device) mod home;
pub(in crate::device) mod live;
pub(in crate::device) mod process;
pub(in crate::device) mod protocol;
pub(in crate::device) mod redacted_stream;
pub(in crate::device) mod redaction;
pub(in crate::device) mod stale_homes;
pub(in crate::device) mod views;
