//! What this machine knows of an address before anything is done there: two lines of a plan may be swapped.

use std::path::Path;

use time::OffsetDateTime;

use crate::model::{Endpoint, JobId, PlannedDevice, Record, TargetId};
use crate::report::{Event, Notify, Reporter};
use crate::store::StateFolder;

/// Warns of each address at which another job's device was when it was opened last. It is no reason to stop: a network gives its
/// addresses anew, and `DeviceId` is compared whatever stands there.
pub(crate) fn warn_of_known_addresses(devices: &[PlannedDevice], state_dir: &Path, reporter: &Reporter) {
    // A folder that can't be read is told by what needs it.
    let kept = StateFolder::kept_below(state_dir).unwrap_or_default();
    known_as_others(devices, &kept).into_iter().for_each(|warning| reporter.notify(Event::Warning(warning)));
}

fn known_as_others(devices: &[PlannedDevice], kept: &[(TargetId, Option<Record>)]) -> Vec<String> {
    let last_at = |address: &Endpoint| {
        let opened = kept.iter().filter_map(|(job, record)| Some((job, opened_at(record.as_ref()?, address)?)));
        opened.max_by_key(|(_, at)| *at).map(|(job, _)| job)
    };
    let warning = |device: &PlannedDevice, address: &Endpoint| {
        let other = last_at(address).filter(|other| **other != device.job)?;
        let planned = devices.iter().find(|it| it.job == *other);
        let line_of_other = planned.and_then(|it| it.line).map(|line| format!(" (line {line})")).unwrap_or_default();
        let given = match device.line {
            Some(line) => format!("line {line} gives it to {}", device.job),
            None => format!("now it is given for {}", device.job),
        };
        let question = match (planned, device.line) {
            (Some(_), Some(_)) => "Are two lines swapped?",
            (Some(_), None) => "Are two addresses swapped?",
            (None, _) => "Is it the right address?",
        };
        Some(format!("{address} was the device of {other}{line_of_other} when it was opened last; {given}. {question}"))
    };
    devices.iter().flat_map(|device| device.addresses().filter_map(move |address| warning(device, address))).collect()
}

/// When the job's device, or a node, was open and known for what it is at this address, if it was there the last time. A device is
/// known by its `DeviceId`; a cluster has none of its own, and is open only where its nodes are known.
fn opened_at(record: &Record, address: &Endpoint) -> Option<OffsetDateTime> {
    let is_known = |device_id: Option<&JobId>| device_id.is_some() || record.job.job().is_none();
    let last = record.hand_overs.iter().rev().find(|it| it.unlocked_at.is_some() && is_known(it.device_id.as_ref()))?;
    let mut at = std::iter::once(&last.endpoint).chain(&last.nodes);
    at.any(|known| known.is_same(address)).then_some(last.unlocked_at).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{HandOverMethod, HandOverRecord};

    const ONE: &str = "JID11111111-0000-4000-8000-000000000000";
    const OTHER: &str = "JID22222222-0000-4000-8000-000000000000";

    fn device(line: Option<u64>, job: &str, address: &str) -> PlannedDevice {
        let (job, endpoint) = (job.parse().unwrap(), address.parse().unwrap());
        PlannedDevice { line, job, node: None, endpoint, others: Vec::new(), label: None }
    }

    /// Opened at this address, so many seconds after the beginning of time.
    fn opened(job: &str, address: &str, at: i64) -> (TargetId, Option<Record>) {
        let at = OffsetDateTime::from_unix_timestamp(at).unwrap();
        let record = Record::new(job.parse().unwrap());
        let hand_over = HandOverRecord {
            at,
            endpoint: address.parse().unwrap(),
            nodes: Vec::new(),
            method: HandOverMethod::Profile,
            argv_seconds: None,
            client: "/opt/snowballEdge".into(),
            client_version: "1.2.0".to_owned(),
            client_sha256: serde_json::from_str(&format!("\"{}\"", "0".repeat(64))).unwrap(),
            client_jvm_is_bare: false,
            was_open_already: false,
            device_id: job.parse().ok(),
            unlocked_at: Some(at),
            audit_head: None,
        };
        (job.parse().unwrap(), Some(record.with(&hand_over)))
    }

    #[test]
    fn an_address_of_another_device_is_told_with_both_lines() {
        let kept = [opened(ONE, "10.0.0.1", 1), opened(OTHER, "10.0.0.2:9091", 1)];
        let swapped = [device(Some(2), ONE, "10.0.0.2"), device(Some(3), OTHER, "10.0.0.1")];
        assert_eq!(
            known_as_others(&swapped, &kept),
            [
                format!(
                    "10.0.0.2 was the device of {OTHER} (line 3) when it was opened last; line 2 gives it to {ONE}. Are two lines swapped?"
                ),
                format!(
                    "10.0.0.1 was the device of {ONE} (line 2) when it was opened last; line 3 gives it to {OTHER}. Are two lines swapped?"
                ),
            ]
        );
        for (line, given, question) in [
            (Some(2), format!("line 2 gives it to {ONE}"), "Is it the right address?"),
            (None, format!("now it is given for {ONE}"), "Is it the right address?"),
        ] {
            let told = known_as_others(&[device(line, ONE, "10.0.0.2")], &kept);
            assert_eq!(told.len(), 1);
            assert!(told[0].ends_with(&format!("when it was opened last; {given}. {question}")), "{told:?}");
        }
    }

    /// What tells of a cluster is no job's id, and each of its nodes has an address.
    #[test]
    fn an_address_of_a_cluster_s_node_is_told() {
        const CLUSTER: &str = "CID11111111-0000-4000-8000-000000000000";
        let (cluster, record) = opened(CLUSTER, "10.0.0.1", 1);
        let mut record = record.unwrap();
        assert_eq!(record.hand_overs[0].device_id, None, "the control");
        record.hand_overs[0].nodes = ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().unwrap()).into();
        let kept = [(cluster, Some(record))];
        for address in ["10.0.0.1", "10.0.0.2"] {
            assert_eq!(
                known_as_others(&[device(None, ONE, address)], &kept),
                [format!(
                    "{address} was the device of {CLUSTER} when it was opened last; now it is given for {ONE}. Is it the right address?"
                )]
            );
            assert_eq!(known_as_others(&[device(None, CLUSTER, address)], &kept), [""; 0]);
        }
        assert_eq!(known_as_others(&[device(None, ONE, "10.0.0.3")], &kept), [""; 0]);
    }

    #[test]
    fn the_device_that_was_there_last_and_one_that_was_not_opened_are_no_matter() {
        let right = [device(Some(1), ONE, "10.0.0.1"), device(Some(2), OTHER, "10.0.0.2")];
        assert_eq!(known_as_others(&right, &[opened(ONE, "10.0.0.1", 1), opened(OTHER, "10.0.0.2", 1)]), [""; 0]);
        // It was another's before, and this one's since.
        assert_eq!(known_as_others(&right, &[opened(OTHER, "10.0.0.1", 1), opened(ONE, "10.0.0.1", 2)]), [""; 0]);
        let (job, record) = opened(OTHER, "10.0.0.1", 1);
        let mut record = record.unwrap();
        record.hand_overs[0].unlocked_at = None;
        assert_eq!(known_as_others(&right, &[(job.clone(), Some(record))]), [""; 0]);
        assert_eq!(known_as_others(&right, &[(job, None)]), [""; 0]);
    }
}
