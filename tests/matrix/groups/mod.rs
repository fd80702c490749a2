//! The rows, group by group. What the surface is shown with (tests/surface) are the same faults.

mod answers;
mod bucket;
#[cfg(target_os = "linux")]
mod clients;
mod credentials;
mod devices;
#[cfg(target_os = "linux")]
mod disk;
mod job_states;
#[cfg(target_os = "linux")]
mod keychains;
mod network;
mod pairs;

use crate::row::Row;

/// All rows, group by group.
pub(crate) fn groups() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("network", network::rows()),
        ("answers", answers::rows()),
        ("credentials", credentials::rows()),
        ("job states", job_states::rows()),
        ("bucket", bucket::rows()),
        #[cfg(target_os = "linux")]
        ("disk", disk::rows()),
        #[cfg(target_os = "linux")]
        ("disk, as root", disk::rows_of_root()),
        #[cfg(target_os = "linux")]
        ("keychains", keychains::rows()),
        #[cfg(target_os = "linux")]
        ("clients", clients::rows()),
        ("devices", devices::rows()),
        ("pairs", pairs::rows()),
    ]
}
