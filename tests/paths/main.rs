//! Whose a path is: that another user of this machine can make a run read, obey, run, write or remove nothing.
//!
//! Most of it takes two users, and so root to make them; elsewhere those tests are skipped, and say so.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod file_systems;
mod places;
#[allow(dead_code, reason = "the leak tests use the rest")]
#[path = "../leak/process.rs"]
mod process;
mod race;
mod scene;
mod two_users;
mod users;
