//! `snow-onboard doctor`, the real binary, with everything as it should be and with one thing after the other broken: the
//! right line says so with the right hint, every other line is there as well, the exit code is that of the first failure,
//! and nothing is fetched, changed or left.
//!
//! The faults are those of the matrix (`tests/matrix`) and of the surface (`tests/surface`), and a few that no other command
//! shows.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "../matrix/groups/mod.rs"]
mod groups;
#[path = "../matrix/host_linux.rs"]
mod host;
#[path = "../keyring_bus/mod.rs"]
mod keyring_bus;
#[allow(dead_code, reason = "looks at more processes than are looked at here")]
#[path = "../leak/process.rs"]
mod process;
#[allow(dead_code, reason = "what becomes of a row is for the matrix to say")]
#[path = "../matrix/row.rs"]
mod row;
#[allow(dead_code, reason = "has more to be looked at than is looked at here")]
#[path = "../matrix/scene.rs"]
mod scene;
#[path = "../surface/scenes.rs"]
mod scenes;

mod aws;
mod machine;
mod visit;
