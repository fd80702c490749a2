//! Several devices at once: worked on side by side, each with its own end, and a summary after all.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::error::{ErrorReport, ExitCode, Result};
use crate::flow::{ClusterRequest, Requested, SharedClient, SharedKeychains, Unlocked, keep_after_unlock};
use crate::model::{ClusterNode, Endpoint, Purpose, TargetId};
use crate::report::{Nobody, Reporter};
use crate::safety::sanitize::sanitize;
use crate::settings::Settings;
use crate::ui::{Failure, NamedDevice, Stage, Ui};

/// Does `work` for every item, at most `at_once` at a time. One that takes long keeps no other. The results are in the order of the
/// items.
pub(super) fn side_by_side<T: Send, R: Send>(items: Vec<T>, at_once: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let workers = at_once.min(items.len());
    let (queue, results) = (Mutex::new(items.into_iter().enumerate()), Mutex::new(Vec::new()));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((at, item)) = next() {
                    let result = work(item);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Opens one of several devices, or clusters, from what is stored. Nobody is asked: two questions at once are answered by nobody who knows which
/// is which.
pub(super) fn open_stored(
    job: &TargetId,
    (endpoint, nodes): (&Endpoint, ClusterRequest),
    purpose: Purpose,
    settings: &Settings,
    reporter: &Reporter,
    (keychains, client): (Arc<SharedKeychains>, &SharedClient),
) -> Result<Unlocked> {
    let requested = Requested { job: job.clone(), purpose, settings, reporter: reporter.clone(), ask: &Nobody };
    let kept = requested.check_device_sharing(endpoint, &keychains, client)?.of_cluster(nodes).take_kept()?;
    // Its connections' buffers have held the code. They go with the last device that needs one.
    drop(keychains);
    let unlocked = kept.hand_over(endpoint)?.wait()?;
    keep_after_unlock(unlocked, settings, reporter)
}

/// What became of one of several devices.
#[derive(Serialize)]
pub(super) struct DeviceRow {
    job: TargetId,
    endpoint: Option<Endpoint>,
    /// What its plan calls it.
    label: Option<String>,
    /// `null` if the device was not unlocked.
    was_open_already: Option<bool>,
    /// Of a cluster that is open.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<ClusterNode>,
    /// Why not.
    error: Option<Failure>,
    #[serde(skip)]
    exit: ExitCode,
}

impl DeviceRow {
    /// Of a device that is open, or is not, which is told.
    pub(super) fn new(device: NamedDevice, opened: Result<Unlocked, ErrorReport>, ui: &Ui) -> Self {
        let NamedDevice { job, label, endpoint } = device;
        let (was_open_already, nodes, error, exit) = match opened {
            Ok(unlocked) => (Some(unlocked.was_open_already), unlocked.nodes, None, ExitCode::Done),
            Err(report) => (None, Vec::new(), Some(ui.failure_of_one(&job, &report)), report.exit),
        };
        let row = Self { job, endpoint, label, was_open_already, nodes, error, exit };
        match &row.error {
            Some(failure) => ui.device_is(&row.job, Stage::Failed, &format!("not unlocked: {}", failure.code)),
            None => ui.device_is(&row.job, Stage::Open, row.state()),
        }
        row
    }

    fn state(&self) -> &'static str {
        match self.was_open_already {
            Some(true) => "UNLOCKED already",
            Some(false) => "UNLOCKED",
            None => "not unlocked",
        }
    }

    fn in_words(&self) -> String {
        let endpoint = self.endpoint.as_ref().map_or("address not known".to_owned(), ToString::to_string);
        let label = self.label.as_ref().map(|label| format!("  {}", sanitize(label))).unwrap_or_default();
        let node = |node: &ClusterNode| format!("\n    {}  {}", node.name(), node.state_in_words());
        let nodes: String = self.nodes.iter().map(node).collect();
        format!("  {}  {endpoint}  {}{label}{nodes}", self.job, self.state())
    }
}

#[derive(Serialize)]
struct DevicesResult {
    jobs: Vec<DeviceRow>,
}

/// Tells what became of all of them. The exit code is that of the first that failed.
pub(super) fn tell_all(rows: Vec<DeviceRow>, ui: &Ui) -> ExitCode {
    let lines: Vec<String> = rows.iter().map(DeviceRow::in_words).collect();
    let text = if lines.is_empty() {
        "No job is stored on this machine.".to_owned()
    } else {
        format!("\n{}", lines.join("\n"))
    };
    let exit = rows.iter().map(|row| row.exit).find(|exit| *exit != ExitCode::Done).unwrap_or_default();
    ui.result(None, &text, DevicesResult { jobs: rows });
    exit
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn so_many_are_worked_on_at_once_and_the_order_stays() {
        // Ends only if three are at work together.
        let (together, at_work, most) = (Barrier::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        let doubled = side_by_side((0..9).collect(), 3, |number: usize| {
            most.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            together.wait();
            at_work.fetch_sub(1, Ordering::SeqCst);
            number * 2
        });
        assert_eq!(doubled, (0..9).map(|number| number * 2).collect::<Vec<_>>());
        assert_eq!(most.into_inner(), 3);
        assert!(side_by_side(Vec::<u8>::new(), 3, |it| it).is_empty());
    }
}
