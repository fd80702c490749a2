//! Several devices at once: worked on side by side, each with its own end, and a summary after all.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::plan_advice::report_in_plan;
use crate::device;
use crate::error::{Error, ErrorReport, ExitCode, Result};
use crate::flow::{
    ClusterRequest, Requested, SharedClient, SharedKeychains, Unlocked, check_address, keep_after_one_of_several,
};
use crate::model::{ClusterNode, Endpoint, PlannedDevice, Purpose, TargetId};
use crate::os::{self, threads};
use crate::report::{Event, Nobody, Notify, Reporter};
use crate::safety::sanitize::sanitize;
use crate::settings::Settings;
use crate::ui::{Failure, NamedDevice, Stage, Ui};

/// Does `work` for every item, at most `at_once` at a time. One that takes long keeps no other. The results are in the order of the
/// items.
pub(super) fn side_by_side<T: Send, R: Send>(items: Vec<T>, at_once: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let workers = at_once.min(items.len());
    let (queue, results) = (Mutex::new(items.into_iter().enumerate()), Mutex::new(Vec::new()));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take_on = || {
        while let Some((at, item)) = next() {
            let result = work(item);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            // Where the system grants no more threads, there are fewer.
            let _ = threads::begin_in(scope, take_on);
        }
        take_on();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// How many devices of one command there is room for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Room {
    /// With a client each.
    worked_on: usize,
    /// Beside those. Each of them is a thread, a lock and, now and then, a socket.
    waited_for: usize,
}

impl Room {
    const MOST_WAITED_FOR: usize = 256;
    /// What this program has open without a device, with its connections to AWS and the keychain.
    const FILES: usize = 48;
    /// What it has open for a device that is worked on: pipes to two guards, and both ends of them for a moment.
    const FILES_WORKED_ON: usize = 16;
    const FILES_WAITED_FOR: usize = 3;

    /// For so many devices at once, as far as the limit of open files allows. Those take no more than half of what there is,
    /// if more than one is worked on: the rest is for waiting.
    fn within(files: Option<u64>, parallel: usize) -> Self {
        let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
        let files = files.saturating_sub(Self::FILES);
        let worked_on = (files / 2 / Self::FILES_WORKED_ON).clamp(1, parallel.max(1));
        let left = files.saturating_sub(worked_on * Self::FILES_WORKED_ON);
        Self { worked_on, waited_for: (left / Self::FILES_WAITED_FOR).min(Self::MOST_WAITED_FOR) }
    }
}

/// How many of several devices are worked on at once. A device has a place from when its port answers until its end: one that is
/// still off keeps no place from another. A cluster has one from when enough of its nodes answer: a node that is off by then is
/// waited for in that place.
struct Turns {
    all: usize,
    free: Mutex<usize>,
    freed: Condvar,
}

/// Free again when it is dropped.
struct Turn<'a>(&'a Turns);

impl Turns {
    fn of(all: usize) -> Self {
        Self { all, free: Mutex::new(all), freed: Condvar::new() }
    }

    fn take(&self, reporter: &Reporter) -> Turn<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if *free == 0 {
            let what = match self.all {
                1 => "its turn, after the device that is worked on".to_owned(),
                all => format!("its turn, after {all} devices that are worked on"),
            };
            reporter.notify(Event::Waiting { what, so_far: Duration::ZERO });
        }
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

/// What several devices of one command share.
pub(super) struct Shared {
    client: SharedClient,
    room: Room,
    places: Turns,
}

impl Shared {
    /// For so many devices.
    pub(super) fn of(devices: usize, settings: &Settings, reporter: &Reporter) -> Self {
        let files = os::raise_file_limit();
        let room = Room::within(files, settings.parallel);
        let wanted = settings.parallel.min(devices);
        if let Some(files) = files.filter(|_| room.worked_on < wanted) {
            reporter.notify(Event::Warning(format!(
                "This session may open {files} files (ulimit -n), which is enough for {} devices at a time, not for {wanted}.",
                room.worked_on
            )));
        }
        Self { client: SharedClient::default(), room, places: Turns::of(room.worked_on) }
    }

    /// Works on all `devices` of a command, each as soon as it answers, no more at once than there is room for. See [`side_by_side`].
    pub(super) fn work_on_all<T: Send, R: Send>(&self, devices: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
        side_by_side(devices, self.room.worked_on + self.room.waited_for, work)
    }

    /// A place for a device that answers, and what is left of the time until it does. While a place is waited for, no time counts.
    fn place(&self, addresses: &[Endpoint], patience: Duration, reporter: &Reporter) -> Result<(Turn<'_>, Duration)> {
        let mut left = patience;
        loop {
            left = device::wait_for_ports(addresses, left, reporter)?;
            let place = self.places.take(reporter);
            // It may be off again since.
            if left.is_zero() || addresses.iter().any(|address| device::reach(address, reporter).is_ok()) {
                return Ok((place, left));
            }
        }
    }
}

/// Opens one of several devices, or clusters, from what is stored. Nobody is asked: two questions at once are answered by nobody who knows which
/// is which. Until the device answers and has a place, only its job is locked: there is no client, no private home and no code.
pub(super) fn open_stored(
    job: &TargetId,
    (addresses, nodes): (&[Endpoint], ClusterRequest),
    purpose: Purpose,
    settings: &Settings,
    reporter: &Reporter,
    (keychains, shared): (Arc<SharedKeychains>, &Shared),
) -> Result<Unlocked> {
    let endpoint = addresses.first().ok_or_else(|| Error::endpoint_missing(None))?;
    let requested = Requested { job: job.clone(), purpose, settings, reporter: reporter.clone(), ask: &Nobody };
    let mut place = None;
    let checked = requested.check_device_sharing(endpoint, &keychains, &shared.client, || {
        addresses.iter().try_for_each(|address| check_address(address, settings, &Nobody))?;
        place = Some(shared.place(addresses, settings.start_timeout(), reporter)?);
        Ok(())
    })?;
    let patience = match &place {
        // Some of its nodes may be waited for still.
        Some((_, left)) if job.job().is_none() => *left,
        _ => settings.start_timeout(),
    };
    let kept = checked.of_cluster(nodes).take_kept()?;
    // Its connections' buffers have held the code. They go with the last device that needs one.
    drop(keychains);
    let unlocked = kept.hand_over(endpoint, patience)?.wait()?;
    drop(place);
    keep_after_one_of_several(unlocked, settings, reporter)
}

/// Why one of several devices is not open.
pub(super) struct NotOpened {
    report: ErrorReport,
    /// What it is instead, where it is known.
    state: Option<String>,
}

impl NotOpened {
    /// For a line of a plan, where the advice is about that line.
    pub(super) fn in_plan(error: Error, device: &PlannedDevice) -> Self {
        let report = report_in_plan(&error, device);
        Self { report, ..error.into() }
    }
}

impl From<ErrorReport> for NotOpened {
    fn from(report: ErrorReport) -> Self {
        Self { report, state: None }
    }
}

impl From<Error> for NotOpened {
    fn from(error: Error) -> Self {
        let state = match &error {
            Error::ClusterIncomplete { open, nodes, .. } => Some(format!("{open} of {nodes} nodes UNLOCKED")),
            Error::DeviceTimeout { state, .. } if state == "UNLOCKING" => Some(format!("{state} at the time limit")),
            _ => None,
        };
        Self { report: error.report(), state }
    }
}

/// The state of a device that failed, where it says no more.
const NOT_UNLOCKED: &str = "not unlocked";

/// What became of one of several devices.
#[derive(Serialize, Clone)]
pub(super) struct DeviceRow {
    job: TargetId,
    endpoint: Option<Endpoint>,
    /// What its plan calls it.
    label: Option<String>,
    /// `null` if the device was not unlocked.
    was_open_already: Option<bool>,
    /// The same in words, or what is done for it when the command is interrupted.
    state: String,
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
    pub(super) fn new(device: NamedDevice, opened: Result<Unlocked, NotOpened>, ui: &Ui) -> Self {
        let (state, error, exit) = match &opened {
            Ok(Unlocked { was_open_already: true, .. }) => ("UNLOCKED already".to_owned(), None, ExitCode::Done),
            Ok(_) => ("UNLOCKED".to_owned(), None, ExitCode::Done),
            Err(NotOpened { report, state }) => {
                let state = state.clone().unwrap_or_else(|| NOT_UNLOCKED.to_owned());
                (state, Some(ui.failure_of_device(&device, report)), report.exit)
            }
        };
        let was_open_already = opened.as_ref().ok().map(|unlocked| unlocked.was_open_already);
        let nodes = opened.map(|unlocked| unlocked.nodes).unwrap_or_default();
        let NamedDevice { job, label, endpoint } = device;
        let row = Self { job, endpoint, label, was_open_already, state, nodes, error, exit };
        let stage = if row.error.is_some() { Stage::Failed } else { Stage::Open };
        ui.device_is(&row.job, stage, &row.state_and_reason());
        row
    }

    /// Of a device that is worked on, or is still to be.
    fn of_now(device: NamedDevice, ui: &Ui) -> Self {
        let state = ui.doing(&device).unwrap_or_else(|| "not begun".to_owned());
        let NamedDevice { job, label, endpoint } = device;
        let (nodes, exit) = (Vec::new(), ExitCode::Interrupted);
        Self { job, endpoint, label, was_open_already: None, state, nodes, error: None, exit }
    }

    fn state_and_reason(&self) -> String {
        match &self.error {
            Some(failure) if self.state == NOT_UNLOCKED => format!("{NOT_UNLOCKED}: {}", failure.code),
            _ => self.state.clone(),
        }
    }

    fn address(&self) -> String {
        self.endpoint.as_ref().map_or("address not known".to_owned(), ToString::to_string)
    }
}

#[derive(Serialize)]
struct DevicesResult {
    jobs: Vec<DeviceRow>,
}

/// A line a device, in columns, below a cluster's a line for each node, and how many are open.
fn in_words(rows: &[DeviceRow]) -> String {
    let label = |row: &DeviceRow| row.label.as_deref().map(sanitize).unwrap_or_default();
    let column = |of: &dyn Fn(&DeviceRow) -> String| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
    let (job, address) = (column(&|row| row.job.to_string()), column(&DeviceRow::address));
    let state = column(&DeviceRow::state_and_reason);
    let line = |row: &DeviceRow| {
        let (id, at, is, label) = (row.job.as_str(), row.address(), row.state_and_reason(), label(row));
        let line = format!("  {id:job$}  {at:address$}  {is:state$}  {label}");
        let node = |node: &ClusterNode| format!("\n    {}  {}", node.name(), node.state_in_words());
        line.trim_end().to_owned() + &row.nodes.iter().map(node).collect::<String>()
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    let open = rows.iter().filter(|row| row.was_open_already.is_some()).count();
    let total = match (open, rows.len()) {
        (1, 1) => "The device is UNLOCKED.".to_owned(),
        (0, 1) => "The device is not UNLOCKED.".to_owned(),
        (1, all) => format!("1 of {all} devices is UNLOCKED."),
        (open, all) => format!("{open} of {all} devices are UNLOCKED."),
    };
    format!("\n{}\n\n{total}", lines.join("\n"))
}

/// What to do with a plan that stands nowhere yet.
pub(super) fn lines_to_keep(what_for: &str, lines: &str, command: &str) -> String {
    format!("{what_for}, save these lines as a file, for example pallet.csv:\n{lines}\nThen run:\n  {command}")
}

/// The rows of all devices as they come, for the end or an interruption.
#[derive(Clone)]
pub(super) struct Rows(Arc<Mutex<RowsSoFar>>);

type RowsSoFar = Vec<(NamedDevice, Option<DeviceRow>)>;

impl Rows {
    /// Begins with none. From here on an interruption tells those that there are, and what is done for the others. `lines` are those of
    /// a plan that stands nowhere, and the command for them.
    pub(super) fn begin(devices: &[NamedDevice], lines: Option<(String, String)>, ui: &Ui) -> Self {
        ui.begin_devices(devices);
        let this = Self(Arc::new(Mutex::new(devices.iter().map(|device| (device.clone(), None)).collect())));
        let rows = this.clone();
        ui.on_interruption(move |ui| {
            ui.result(None, &in_words(&rows.now(ui)), DevicesResult { jobs: rows.now(ui) });
            let kept = "Devices that are UNLOCKED stay so.".to_owned();
            let hint = match &lines {
                None => "Repeat the same command. It does only what is missing.".to_owned(),
                Some((lines, command)) => lines_to_keep("To do only what is missing", lines, command),
            };
            (kept, hint)
        });
        this
    }

    /// What became of the device at this place of the list.
    pub(super) fn add(&self, at: usize, row: DeviceRow) {
        if let Some((_, place)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(at) {
            *place = Some(row);
        }
    }

    fn now(&self, ui: &Ui) -> Vec<DeviceRow> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        rows.into_iter().map(|(device, row)| row.unwrap_or_else(|| DeviceRow::of_now(device, ui))).collect()
    }

    /// Tells what became of all of them. The exit code, and the error that programs are told after the result, are those of the first that
    /// failed, in the order of the plan.
    pub(super) fn tell(self, ui: &Ui) -> ExitCode {
        ui.no_interruption();
        let rows = self.now(ui);
        let failed = rows.iter().find_map(|row| Some((row.job.clone(), row.error.clone()?, row.exit)));
        let exit = failed.as_ref().map_or(ExitCode::Done, |(.., exit)| *exit);
        ui.tell_repeated();
        ui.result(None, &in_words(&rows), DevicesResult { jobs: rows });
        if let Some((job, failure, _)) = failed {
            ui.ends_by(job, failure);
        }
        exit
    }
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

    #[test]
    fn no_more_devices_are_begun_than_may_have_files_open() {
        let room = |files, parallel| {
            let Room { worked_on, waited_for } = Room::within(files, parallel);
            (worked_on, waited_for)
        };
        assert_eq!(room(None, 64), (64, 256), "no limit");
        assert_eq!(room(Some(10_240), 64), (64, 256));
        assert_eq!(room(Some(256), 64), (6, 37), "the limit of macOS, where it can't be raised");
        assert_eq!(room(Some(256), 1), (1, 64));
        assert_eq!(room(Some(20), 4), (1, 0), "one is tried, and says what is missing");
        for files in [100_u64, 256, 1024, 4096, 10_240] {
            for parallel in [1, 4, 64] {
                let Room { worked_on, waited_for } = Room::within(Some(files), parallel);
                let most = Room::FILES + worked_on * Room::FILES_WORKED_ON + waited_for * Room::FILES_WAITED_FOR;
                assert!(most as u64 <= files, "{files} {parallel}: {most}");
            }
        }
    }
}
