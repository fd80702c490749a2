//! Other systems give no file to read a process's arguments from; the agent's own tests look at what the client was
//! started with, which is the same on all of them.

use std::io;

/// What the sampler saw: nothing.
pub(super) struct Seen {
    pub(super) looks: u64,
    pub(super) reads: u64,
    pub(super) places: Vec<String>,
}

/// Looks at nothing.
pub(super) struct Sampler;

impl Sampler {
    pub(super) fn start(_: &str) -> Self {
        Self
    }

    #[allow(clippy::unused_self)]
    pub(super) fn finish(self) -> Seen {
        Seen { looks: 0, reads: 0, places: Vec::new() }
    }
}

/// That nothing is found proves nothing here, and the summary says so.
pub(super) fn prove() -> io::Result<bool> {
    Ok(true)
}
