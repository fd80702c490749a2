//! The whole program, as a user starts it: the real binary, its own process, against the stand-ins.

#![allow(clippy::unwrap_used)]

mod agent;
#[cfg(target_os = "linux")]
mod audit;
#[path = "../events/mod.rs"]
mod events;
#[cfg(target_os = "linux")]
#[path = "../keyring_bus/mod.rs"]
mod keyring_bus;
#[cfg(target_os = "linux")]
#[path = "../leak/process.rs"]
#[allow(dead_code, reason = "the leak tests use the rest")]
mod process;

#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod client_commands;
#[cfg(target_os = "linux")]
mod cluster_nodes;
#[cfg(target_os = "linux")]
mod cluster_plans;
#[cfg(target_os = "linux")]
mod clusters;
mod completions;
#[cfg(target_os = "linux")]
mod credentials;
#[cfg(target_os = "linux")]
mod desktop_keychains;
mod examples;
mod first_start;
#[cfg(target_os = "linux")]
mod forgetting;
mod itself;
mod jobs;
mod json;
#[cfg(target_os = "linux")]
mod keep;
#[cfg(target_os = "linux")]
mod known_clients;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod locks;
mod logs;
#[cfg(target_os = "linux")]
mod plans;
#[cfg(target_os = "linux")]
mod receipt;
mod refusals;
#[cfg(target_os = "linux")]
mod secret_service;
mod settings;
#[cfg(target_os = "linux")]
mod setup_profile;
#[cfg(target_os = "linux")]
mod status;
#[cfg(unix)]
mod sudden_death;
#[cfg(target_os = "linux")]
mod two_lines;
#[cfg(target_os = "linux")]
mod unlocking;
#[cfg(unix)]
mod waiting;
#[cfg(windows)]
mod windows;
