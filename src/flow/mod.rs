//! What a run does, in which order: [`onboard`] is the flow, read from top to bottom; the rest serves it.

mod delivery;
mod leftovers;
pub mod onboard;
mod parts;
mod recovery;
mod trip;

pub use leftovers::open_state_folder;
pub use onboard::{Requested, Unlocked};
