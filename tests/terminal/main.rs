//! The program in a terminal, as a person sees it: started in a pseudo-terminal, typed at, resized, its screen looked at.

// The harness has no console of Windows.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod pty;
mod stage;

mod guided;
mod run;
