//! `snow_onboard::cloud` against the stand-ins for the Snowball API and its bucket, over real TLS.
//!
//! The address of the API, the credentials and the proxy can only be set in the environment, and a test must not change
//! its own: each call is made by a child, this same program started with the environment that the test wants.

#![allow(clippy::unwrap_used)]

mod api;
mod child;
mod credentials;
mod download;
mod identity;
mod network;
