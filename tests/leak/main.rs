//! Nowhere else: the unlock code, and the signature of the manifest's address, looked for from outside while and after
//! the real binary handled them. Every look first finds something planted, or it proves nothing and fails.
//!
//! `cargo test --test leak -- --nocapture` prints what was looked at, and how many copies were found there.
//!
//! Memory of a process that is not dumpable can be read by root alone. Who isn't root needs `sudo` without a password
//! for these tests; those that can't look are counted as skipped.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../keyring_bus/mod.rs"]
mod keyring_bus;

mod needles;
#[allow(dead_code, reason = "other tests do more with it")]
mod process;
mod scan;
mod stage;
mod table;

mod command_lines;
mod cores;
mod files;
mod memory;
mod other_user;
mod output;
mod secret_key;
