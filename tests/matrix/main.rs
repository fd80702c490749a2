//! What goes wrong at which step, how the command ends, what is kept, and what the same command does when the fault is
//! gone: one table as data, played with the real binary against the stand-ins, a line that breaks, and a real keyring.
//!
//! A row says what an operator should get by the README; the verdict is on the program, not on the row. To see the
//! table: `cargo test --test matrix -- --nocapture`.
#![cfg(any(target_os = "linux", windows))]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../events/mod.rs"]
mod events;
#[cfg(target_os = "linux")]
#[path = "../keyring_bus/mod.rs"]
mod keyring_bus;
#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "looks at more processes than are looked at here")]
#[path = "../leak/process.rs"]
mod process;

mod groups;
#[cfg_attr(target_os = "linux", path = "host_linux.rs")]
#[cfg_attr(windows, path = "host_windows.rs")]
mod host;
mod play;
mod row;
mod scene;
mod sight;

#[cfg(target_os = "linux")]
use std::collections::HashSet;

use groups::groups;
#[cfg(target_os = "linux")]
use row::{Ends, Row};

#[track_caller]
fn play(group: &str) {
    let (name, rows) = groups().into_iter().find(|(name, _)| *name == group).unwrap();
    play::all(name, &rows);
}

macro_rules! tests {
    ($($test:ident: $group:literal),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                play($group);
            }
        )+
    };
}

tests! {
    network_to_aws: "network",
    answers_of_aws: "answers",
    credentials_of_aws: "credentials",
    states_of_the_job: "job states",
    the_bucket_of_the_manifest: "bucket",
    devices_on_the_desk: "devices",
    pairs_that_are_kept: "pairs",
}

// Disks that are full, keyrings of Linux, clients that are shell scripts.
#[cfg(target_os = "linux")]
tests! {
    the_disk: "disk",
    keychains_of_the_system: "keychains",
    clients_of_the_vendor: "clients",
}

#[cfg(target_os = "linux")]
#[test]
fn the_disk_in_ways_that_only_root_can_bring_about() {
    if process::may_mount_or_rerun("the_disk_in_ways_that_only_root_can_bring_about") {
        play("disk, as root");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_matrix_has_a_row_for_every_kind_of_failure() {
    let groups = groups();
    let rows: Vec<&Row> = groups.iter().flat_map(|(_, rows)| rows).collect();
    assert!(rows.len() >= 90, "{} rows", rows.len());
    for (group, rows) in &groups {
        let mut seen = HashSet::new();
        for row in rows {
            let is_new = seen.insert((&row.name, row.verb, row.given));
            assert!(is_new, "{group} has “{}” twice", row.name);
        }
    }
    // 1 is a mistake of ours, 2 a mistyped command, 130 a signal: not faults of the surroundings.
    for exit in 3..=15 {
        let has = rows.iter().any(|row| matches!(row.ends, Ends::Fails(code, _) if code == exit));
        assert!(has, "no row ends with exit code {exit}");
    }
}
