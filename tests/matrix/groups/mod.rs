//! The rows, group by group. What the surface is shown with (tests/surface) are the same faults.

mod answers;
mod bucket;
mod clients;
mod credentials;
mod devices;
mod disk;
mod job_states;
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
        ("disk", disk::rows()),
        ("disk, as root", disk::rows_of_root()),
        ("keychains", keychains::rows()),
        ("clients", clients::rows()),
        ("devices", devices::rows()),
        ("pairs", pairs::rows()),
    ]
}
