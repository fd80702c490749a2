//! snow-onboard brings an AWS Snowball Edge through its first start.
//!
//! It fetches a job's encrypted **manifest** and its 29-character **unlock code** from the Snowball API, keeps the
//! code in the OS keychain and the manifest on disk, gives both to the vendor's client `snowballEdge` without putting
//! the code on a command line, and stays until the device says `UNLOCKED`. This page is the reader's map; whoever answers
//! for the secrets rather reads the [`manual`].
//!
//! # What it promises
//!
//! 1. **Separation.** Code and manifest never share a folder, a file, a log, an argument list or an environment. The code
//!    is in the keychain and, until the device is open, in one private client home; nowhere else.
//! 2. **Paired.** What is handed over was fetched for one job and has not changed since ([`safety::separation`]).
//! 3. **Nothing half done.** Files appear whole or not at all ([`store`]); a killed run is finished or undone by the
//!    next ([`flow`]); the client and its home don't outlive the agent ([`device`]).
//! 4. **Never a silent weaker way.** No keychain, nothing fetched; a keychain that keeps in clear is refused; the
//!    command line is used only when allowed; everything that carries a half is https.
//! 5. **Never an endless wait.** Every call has a deadline, and says what it waits for ([`report`]); what may pass is tried
//!    again until then.
//! 6. **Every failure** says what happened and what to do, with a code of its own ([`error`]).
//! 7. **Other people's places.** What another user can change is not read as ours, obeyed, run, followed, written or removed
//!    ([`safety::path_trust`]).
//!
//! # Where things are
//!
//! ```text
//! main        harden, parse, call, exit code
//! cli         what can be typed, completed, repeated
//! commands    one file a verb, thin
//! flow        onboard: THE FLOW, Requested → … → Unlocked; recovery, delivery, leftovers: what serves it
//! settings    each declared once; layers, locks, sample
//! model       job, endpoint, pair, secret, record: parsed once, no I/O
//!
//! cloud       Snowball API, credentials, HTTP, the download of the manifest
//! keychain    the keychains, on one thread of their own, each call with a deadline
//! store       manifest, record and audit log on disk
//! device      the vendor's client: find, check, private home, guard, hand-over, states
//!
//! doctor      all that a run needs, seen beforehand
//! report      steps, checks and events as data, each of one job
//! ui          the only writer of stdout and stderr: shows them, to people or as JSON
//! safety      security rules, each once: path trust, apart, sanitize, redact, harden, log
//! error       sentence, hint and codes of each error
//! os          what systems do differently; one file an OS
//! manual      chapters for whoever answers for the secrets
//! ```
//!
//! Arrows point one way: `main → commands → {cli, doctor, flow, ui}`, `flow → {cloud, keychain, store, device}`, and below them
//! `report`, `error`, `model`, `safety`, `os` (`tests/arrows` has the list). The four adapters don't know each other. Only
//! `cloud` names the AWS crates, only `keychain` keyring and D-Bus, only `ui` prints. Programs are started by two helpers of this
//! very program and nobody else: `device`'s guard and that of `cloud` for `credential_process`.
//!
//! # Where a value goes
//!
//! The code: [`cloud::Cloud::fetch_pair`] parses it into a [`model::UnlockCode`]; [`keychain::Keychain::keep`] stores and
//! compares it; [`safety::separation::Separation::check`] looks for it where it must not be; [`device::Session::open`] consumes it.
//!
//! The secret key of a device: its guard reads it from the client's output, the keychain keeps it, and `credentials` hands it out.

pub mod cli;
pub mod cloud;
pub mod commands;
pub mod device;
pub mod doctor;
pub mod error;
pub mod flow;
pub mod keychain;
pub mod manual;
pub mod model;
pub mod os;
pub mod report;
pub mod safety;
pub mod settings;
pub mod store;
pub mod ui;
