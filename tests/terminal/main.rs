//! The program in a terminal, as a person sees it: started in a pseudo-terminal, typed at, resized, its screen looked at.

// The harness has no console of Windows.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
#[path = "../keyring_bus/mod.rs"]
mod keyring_bus;

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "made for the other generated files")]
#[path = "../generated/fresh.rs"]
mod fresh;
mod pty;
mod stage;

mod completions;
mod credentials;
#[cfg(target_os = "linux")]
mod forget;
mod guided;
#[cfg(target_os = "linux")]
mod picture;
mod run;
#[cfg(target_os = "linux")]
mod several;
