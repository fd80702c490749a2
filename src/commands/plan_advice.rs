//! What to do about an error of one device of a plan. The error table advises whoever opens one device: its flags are refused beside
//! `--plan`, and what is wrong stands in a line of a file.

use crate::error::{Error, ErrorReport};
use crate::model::{PlannedDevice, TargetId};

/// What is to be told of `error`.
pub(super) fn report_in_plan(error: &Error, device: &PlannedDevice) -> ErrorReport {
    let mut report = match (error, device.line) {
        (Error::ClusterAddressesTooMany { cluster, count, nodes, .. }, Some(line)) => {
            let leave = format!("Leave one address for each node in line {line} of the plan");
            let cluster = cluster.clone();
            Error::ClusterAddressesTooMany { cluster, count: *count, nodes: *nodes, leave }.report()
        }
        _ => error.report(),
    };
    // Of a plan that was typed as answers there are no lines.
    if let Some(hint) = device.line.and_then(|line| advice(error, line, device)) {
        report.hint = hint;
    }
    report
}

/// The hint in the place of the error's own, if that is for a single device.
fn advice(error: &Error, line: u64, device: &PlannedDevice) -> Option<String> {
    let what = match error {
        Error::ClusterAddressesMissing { .. } => format!(
            "Write the addresses of all nodes into line {line} of the plan, as their displays show them: in one value, with spaces between."
        ),
        Error::JobInCluster { named, .. } => format!(
            "Write the addresses of all nodes into line {line} of the plan, as their displays show them: in one value, with spaces between. \
             The job may stay, or give way to {named}."
        ),
        Error::ClusterTooFew { .. } => format!(
            "Switch the missing nodes on, check their cables, and write the address of each into line {line} of the plan."
        ),
        Error::DeviceNameUnknown { .. } => format!(
            "Check how the name is written in line {line} of the plan, or write the IP address from the device's display there."
        ),
        Error::EndpointPublic { .. } if !device.endpoint.is_by_number() => {
            format!("Write the IP address from the device's display into line {line} of the plan instead.")
        }
        Error::EndpointExample { .. } => {
            format!("Write the IP address that the device's display shows into line {line} of the plan.")
        }
        Error::Usage { .. } if !device.others.is_empty() => match device.job {
            TargetId::Job(_) => {
                format!("Leave one address in line {line} of the plan, or write the id of the cluster (CID…) there.")
            }
            TargetId::Cluster(_) => format!("Leave one address for each node in line {line} of the plan."),
        },
        _ => return None,
    };
    Some(format!("{what} Then repeat the same command."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn device(line: Option<u64>, job: &str, addresses: &[&str]) -> PlannedDevice {
        let mut addresses = addresses.iter().map(|address| address.parse().unwrap());
        let endpoint = addresses.next().unwrap();
        PlannedDevice {
            line,
            job: job.parse().unwrap(),
            node: None,
            endpoint,
            others: addresses.collect(),
            label: None,
        }
    }

    #[test]
    fn an_error_of_one_line_says_what_to_change_there_and_no_flag_that_is_refused() {
        const JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";
        const CLUSTER: &str = "CID123e4567-e89b-12d3-a456-426655440000";
        let text = || "x".to_owned();
        for (error, job, addresses) in [
            (Error::ClusterAddressesMissing { what: text(), command: text() }, CLUSTER, &["192.0.2.10"][..]),
            (Error::JobInCluster { job: text(), cluster: text(), named: CLUSTER.to_owned() }, JOB, &["192.0.2.10"]),
            (
                Error::ClusterTooFew { cluster: text(), answer: 1, nodes: 5, silent: String::new() },
                CLUSTER,
                &["192.0.2.10", "192.0.2.11"],
            ),
            (Error::DeviceNameUnknown { name: text(), why: text() }, JOB, &["snow.lan"]),
            (Error::EndpointPublic { what: text(), hint: text() }, JOB, &["snow.lan"]),
            (Error::EndpointExample { address: text() }, JOB, &["192.0.2.10"]),
            (Error::Usage { why: text() }, JOB, &["192.0.2.10", "192.0.2.11"]),
            (Error::Usage { why: text() }, CLUSTER, &["192.0.2.10", "192.0.2.11"]),
        ] {
            let hint = report_in_plan(&error, &device(Some(7), job, addresses)).hint;
            assert!(hint.contains("line 7 of the plan") && !hint.contains("--"), "{hint}");
            let of_answers = report_in_plan(&error, &device(None, job, addresses)).hint;
            assert_eq!(of_answers, error.report().hint);
        }
        let public = Error::EndpointPublic { what: text(), hint: "--allow-public-endpoint".to_owned() };
        assert_eq!(report_in_plan(&public, &device(Some(7), JOB, &["8.8.8.8"])).hint, "--allow-public-endpoint");
    }
}
