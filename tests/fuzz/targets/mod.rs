//! What has to hold for any bytes at all: for every place that reads what comes from outside, a function that panics
//! when it does not.
//!
//! Two drivers call them: `cargo test`, over the committed corpus and a bounded number of mutations of it, and libFuzzer
//! (`tests/fuzz/run`), for as long as one likes. Neither knows what is checked.

mod answers;
mod client;
mod files;
mod ids;
mod redactor;
mod said;

/// A place that reads what comes from outside.
pub(crate) struct Target {
    /// Names the corpus, and the target of cargo-fuzz.
    pub(crate) name: &'static str,
    /// Panics when what has to hold does not.
    pub(crate) check: fn(&[u8]),
    /// How many mutations of the corpus a test run tries: what takes some two seconds in a debug build.
    pub(crate) cases: usize,
}

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    Target { name: "api_answer", check: answers::api_answer, cases: 1_000 },
    Target { name: "client_output", check: client::client_output, cases: 10_000 },
    Target { name: "endpoint", check: ids::endpoint, cases: 20_000 },
    Target { name: "foreign_text", check: redactor::foreign_text, cases: 2_000 },
    Target { name: "job_id", check: ids::job_id, cases: 20_000 },
    Target { name: "manifest_url", check: ids::manifest_url, cases: 20_000 },
    Target { name: "record", check: files::record, cases: 5_000 },
    Target { name: "redactor", check: redactor::redactor, cases: 2_000 },
    Target { name: "settings_file", check: files::settings_file, cases: 5_000 },
    Target { name: "unlock_code", check: ids::unlock_code, cases: 20_000 },
];
