//! Stand-ins for what nobody has on a desk: the Snowball API, the bucket with the manifests, a Snowball Edge device
//! and the vendor's client. [`Rehearsal`] starts all of them on loopback, over real TLS, and ends and removes them when
//! it is dropped. The agent runs against them as its own process, through nothing but its public settings.
//!
//! - [`rehearsal`] has the starting, and handles for tests
//! - `api`, [`sigv4`], `bucket`, `range`, `server` and `tls` make the two servers
//! - [`proxy`] stands on the way to both, and lets the line go wrong
//! - [`jobs`], [`manifest`], [`faults`], [`log`] say what they serve, what goes wrong, what they were asked
//! - [`device`] is the box
//! - [`client`] is `snowballEdge`
//! - [`show`] is the rehearsal that people watch
//!
//! Facts come from the service model, the vendor's guides and, where those are silent, from nowhere: such texts carry
//! `[invented]`.

mod api;
mod body;
mod bucket;
pub mod client;
pub mod device;
mod error;
pub mod faults;
pub mod jobs;
pub mod log;
pub mod manifest;
pub mod proxy;
mod range;
pub mod rehearsal;
mod server;
pub mod show;
pub mod sigv4;
mod source;
mod tls;
mod world;

pub use crate::{
    api::REFRESH_TOKEN,
    client::{ClientOptions, Command, Invocation, Trick, VersionText, client_binary, install_client},
    device::{
        AccessKey, ClusterRequests, Device, DeviceCertificate, DeviceOptions, Interface, Mode, Purpose, Services,
        State, Unlocking,
    },
    error::Error,
    faults::{BucketFault, Fault, MFA_CODE, MFA_DEVICE, Operation, Times},
    jobs::Job,
    log::{Claim, Protocol, Request, Server},
    proxy::{Impostor, Line, Proxy, ProxyFault},
    rehearsal::{Builder, ClusterHandle, JobHandle, Rehearsal},
};

/// Says why a test was not tried on this machine, where whoever runs the tests reads it: in what is printed, and in the file
/// that the variable `SNOW_TESTS_SKIPPED` names, a line each, for `tests/run` to count.
#[allow(clippy::print_stderr)]
pub fn skipped(reason: &str) {
    use std::io::Write as _;
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(path) = std::env::var_os("SNOW_TESTS_SKIPPED")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = writeln!(file, "{test}: {reason}");
    }
}
