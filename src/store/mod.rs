//! The manifest and the record on disk: atomic, private, verified.
//!
//! ```text
//! <state folder>/snow-onboard/          0700
//!     jobs/<id>/                        0700: the files below and nothing else
//!         <id>_manifest.bin             0600
//!         record.json                   0600: states, times, digests; never the code or the presigned URL
//!         client.log                    0600: after a hand-over that failed; without the code
//!     incoming/                         0700: what is not whole yet
//!     once/<id>/                        0700: as jobs/, for one run with `--keychain none`
//!     homes/<name>                      0600: where a run that is at work has its private home
//!     certificates/<id>.pem             0600: of the job's device, for programs that use it
//!     locks/<id>                        0600: locked by the run that is at work on the job
//!     audit.jsonl                       0600
//!     clients.json                      0600: what clients answered in earlier runs
//! ```
//!
//! A file appears under its name whole and synced, or not at all: it is written in `incoming`, synced, renamed, and
//! the folder is synced. `incoming` lies beside `jobs` so that a job's folder never holds anything but its files.
//! A link, or a second name of a file, is refused wherever one is met.

mod audit;
mod export;
mod files;
mod job_folder;
mod known_clients;
mod lock;
mod shared_file;
mod state_folder;
mod state_status;

pub(crate) use audit::{Audit, AuditEntry, AuditFlaw, AuditReport, AuditSession, AuditStep, KnownHead};
pub(crate) use audit::{this_account_in_words, verify_audit};
pub(crate) use export::write_private_file;
pub use job_folder::Draft;
pub use job_folder::{JobFolder, Manifest};
pub(crate) use shared_file::{BlockKey, MadeFor, NotChanged, SharedFile, blocks, lines_of, with_block, without_block};
pub(crate) use state_folder::HomeNote;
pub use state_folder::StateFolder;
pub(crate) use state_status::StateFolderStatus;
