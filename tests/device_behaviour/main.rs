//! The device phase as it behaves: real processes, a real guard, a shell script for a client.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::use_debug, clippy::print_stderr, missing_docs, unreachable_pub)]

mod any_command;
mod asking;
mod endings;
mod going_stale;
mod handing_over;
mod leaving_links;
mod saying_no_code;
mod stage;
mod states;
