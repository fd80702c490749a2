//! What is made from the source and committed: manual pages, completion scripts, README's table of exit codes, the built-in
//! settings. Each is compared with what the source makes of it today.
//!
//! `UPDATE=1 cargo test --test generated` writes them anew.

#![allow(clippy::unwrap_used)]

mod examples;
mod fresh;

mod completions;
mod man;
mod manual;
mod readme;
mod settings;
