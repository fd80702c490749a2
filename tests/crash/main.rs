//! Nothing half done: the real binary is killed at its system calls, and its power is cut between them; the same command,
//! run again, ends in the same state.
//!
//! `tests/crash/all` tries all points; without it a sample is tried. As root, or with `sudo` that needs no password: the
//! agent's memory is closed to everyone else.

// What a call is and how its arguments are passed is known here for these.
#![cfg(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../keyring_bus/mod.rs"]
mod keyring_bus;
#[path = "../leak/needles.rs"]
mod needles;
#[allow(dead_code, reason = "made for the leak tests, which use all of it")]
#[path = "../leak/process.rs"]
mod process;

mod calls;
mod disk;
mod kill;
mod power_cut;
mod record;
mod stage;
mod tracer;

/// Whether every point is to be tried, as `tests/crash/all` asks, and not a sample only.
fn all_points() -> bool {
    std::env::var("SNOW_ONBOARD_CRASH_POINTS").is_ok_and(|points| points == "all")
}
