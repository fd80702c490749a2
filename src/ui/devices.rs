//! Several devices that are worked on at once: what their lines call them, and the table of what each of them does now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use console::{measure_text_width, truncate_str};

use super::{Ui, received_in_words, style};
use crate::model::{Endpoint, TargetId};
use crate::report::{Event, NodeState, duration_in_words};
use crate::safety::sanitize::{sanitize, sanitize_lines};

/// One of several devices.
#[derive(Debug, Clone)]
pub(crate) struct NamedDevice {
    pub(crate) job: TargetId,
    /// What its plan calls it.
    pub(crate) label: Option<String>,
    pub(crate) endpoint: Option<Endpoint>,
}

/// What a line of the table is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    AtWork,
    Failed,
    /// For its turn, or for the device, before anything is done for it.
    Waiting,
    Queued,
    Open,
}

/// The widest that a name is shown in the table.
const MAX_NAME: usize = 28;

/// So much of an id tells it from others, as a rule: JID123e4567.
const SHORT_ID: usize = 11;

/// Narrower than this a line has no room for the address.
const NARROW: usize = 72;

/// Between two pictures of what turns.
const TURN: Duration = Duration::from_millis(120);
const TURNING: [char; 8] = ['⠁', '⠂', '⠄', '⡀', '⢀', '⠠', '⠐', '⠈'];

impl Ui {
    /// Several devices are worked on from now on: each line about one of them names it. Where something can be drawn over again
    /// and people look at it, that is a table with a line a device, until the result.
    pub(crate) fn begin_devices(&self, devices: &[NamedDevice]) {
        if devices.len() > 1 {
            self.reported().names = names(devices);
            if !self.is_brief {
                self.status.begin_table(DeviceTable::of(devices));
            }
        }
    }

    /// The same for a command that shows the state of devices over again, where it can be drawn and seen. `false` where not.
    pub(crate) fn begin_watch(&self, devices: &[NamedDevice]) -> bool {
        let is_drawn = self.status.is_drawn() && style::is_seen();
        if is_drawn {
            self.status.begin_table(DeviceTable::of(devices));
        }
        is_drawn
    }

    /// What was done last for one of them.
    pub(crate) fn doing(&self, device: &NamedDevice) -> Option<String> {
        let address = device.endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
        self.reported().doing.get(&device.job).map(|words| without_address(words, &address))
    }

    /// What came of a device, or its state for now, in the table.
    pub(crate) fn device_is(&self, job: &TargetId, stage: Stage, words: &str) {
        let words = sanitize_lines(words).replace('\n', " ");
        self.status.change_table(|table| table.set(job, stage, &words, false));
    }

    /// What a device of several does, in the table. `false` if there is none, or it is to be told in a line that stays.
    pub(super) fn show_in_table(&self, job: &TargetId, event: &Event) -> bool {
        if self.is_brief {
            return false;
        }
        let doing = doing(event).unwrap_or_default();
        let set = |stage, goes_on| self.status.change_table(|table| table.set(job, stage, &doing, goes_on));
        match event {
            Event::Started(_) => set(Stage::AtWork, false),
            Event::Waiting { .. } => self.status.change_table(|table| table.wait(job, &doing)),
            Event::Received { .. } => set(Stage::AtWork, true),
            Event::PairKept => set(Stage::Queued, false),
            Event::Finished { .. } => self.status.has_table(),
            Event::Node(node) => self.status.change_table(|table| table.set_node(job, node)),
            Event::Checked(_) | Event::Warning(_) | Event::Fact(_) => false,
        }
    }
}

/// What is done from this event on.
pub(super) fn doing(event: &Event) -> Option<String> {
    match event {
        Event::Started(step) => Some(step.in_progress().to_owned()),
        Event::Waiting { what, .. } => Some(format!("waiting for {what}")),
        Event::Received { bytes, of } => Some(received_in_words(*bytes, *of)),
        Event::PairKept => Some("code and manifest stored".to_owned()),
        Event::Finished { .. } | Event::Node(_) | Event::Checked(_) | Event::Warning(_) | Event::Fact(_) => None,
    }
}

/// The same words beside the device's address, which need not stand there twice.
fn without_address(words: &str, address: &str) -> String {
    if address.is_empty() { words.to_owned() } else { words.replacen(&format!(" at {address} "), " ", 1) }
}

/// What to call each of them in a line: its label where it has one that no other has, else its job's id.
pub(super) fn names(devices: &[NamedDevice]) -> BTreeMap<TargetId, String> {
    let label_of = |device: &NamedDevice| device.label.as_deref().map(sanitize).filter(|label| !label.is_empty());
    let labels: Vec<_> = devices.iter().map(label_of).collect();
    let is_alone = |label: &&String| labels.iter().flatten().filter(|other| other == label).count() == 1;
    let name = |(device, label): (&NamedDevice, &Option<String>)| {
        let name = label.as_ref().filter(is_alone).cloned().unwrap_or_else(|| device.job.to_string());
        (device.job.clone(), name)
    };
    devices.iter().zip(&labels).map(name).collect()
}

/// A line a device: its name, its address, what it does now and for how long, or what came of it. Below a cluster's a line for each
/// of its nodes, where there is room for those of all.
#[derive(Debug)]
pub(super) struct DeviceTable {
    rows: Vec<Row>,
    /// What is done for none of them alone.
    common: Option<(String, Instant)>,
    begun: Instant,
}

#[derive(Debug)]
struct Row {
    job: TargetId,
    name: String,
    address: String,
    stage: Stage,
    doing: String,
    since: Instant,
    /// The nodes of a cluster, as far as something was said of them: by their numbers.
    nodes: BTreeMap<usize, String>,
}

impl DeviceTable {
    pub(super) fn of(devices: &[NamedDevice]) -> Self {
        let now = Instant::now();
        let (names, ids) = (names(devices), devices.iter().map(|device| device.job.as_str()).collect::<Vec<_>>());
        let row = |device: &NamedDevice| Row {
            job: device.job.clone(),
            name: match names.get(&device.job) {
                Some(label) if label != device.job.as_str() => truncate_str(label, MAX_NAME, "…").into_owned(),
                _ => short(device.job.as_str(), &ids),
            },
            address: device.endpoint.as_ref().map(ToString::to_string).unwrap_or_default(),
            stage: Stage::Queued,
            doing: "queued".to_owned(),
            since: now,
            nodes: BTreeMap::new(),
        };
        Self { rows: devices.iter().map(row).collect(), common: None, begun: now }
    }

    /// A device does something else now, or goes on with what it does.
    pub(super) fn set(&mut self, job: &TargetId, stage: Stage, doing: &str, goes_on: bool) {
        let Some(row) = self.rows.iter_mut().find(|row| row.job == *job) else { return };
        let doing = without_address(doing, &row.address);
        if !goes_on && (row.stage, row.doing.as_str()) != (stage, doing.as_str()) {
            row.since = Instant::now();
        }
        (row.stage, row.doing) = (stage, doing);
    }

    /// A device waits: as a part of what is done for it, or before that.
    pub(super) fn wait(&mut self, job: &TargetId, doing: &str) {
        let Some(row) = self.rows.iter().find(|row| row.job == *job) else { return };
        match row.stage {
            Stage::Queued => self.set(job, Stage::Waiting, doing, false),
            stage => self.set(job, stage, doing, true),
        }
    }

    /// What was said last of a node of a cluster.
    pub(super) fn set_node(&mut self, job: &TargetId, node: &NodeState) {
        let Some(row) = self.rows.iter_mut().find(|row| row.job == *job) else { return };
        let at = node.at.as_ref().map(|at| format!("{at}  ")).unwrap_or_default();
        row.nodes
            .insert(node.number, format!("    node {} of {}  {at}{}", node.number, node.of, sanitize(&node.state)));
    }

    /// What is done for none of them alone, from now on.
    pub(super) fn begin(&mut self, what: &str) {
        self.common = Some((what.to_owned(), Instant::now()));
    }

    /// How that goes on.
    pub(super) fn show(&mut self, text: &str) {
        let since = self.common.take().map_or_else(Instant::now, |(_, since)| since);
        self.common = Some((text.to_owned(), since));
    }

    /// Nothing is done for none of them.
    pub(super) fn rest(&mut self) {
        self.common = None;
    }

    /// The lines, none wider than `width`, at most `height` of them: of more devices those that something is done for come first,
    /// and the others are counted.
    pub(super) fn lines(&self, width: usize, height: usize, now: Instant) -> Vec<String> {
        let room = height.saturating_sub(usize::from(self.common.is_some())).max(1);
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        let mut hidden = Vec::new();
        if self.rows.len() > room {
            order.sort_by_key(|at| (self.rows[*at].stage, *at));
            hidden = order.split_off(room - 1);
            order.sort_unstable();
        }
        let turned = now.saturating_duration_since(self.begun).as_millis() / TURN.as_millis();
        let turning = TURNING[usize::try_from(turned).unwrap_or_default() % TURNING.len()];
        let column = |of: fn(&Row) -> &str| self.rows.iter().map(|row| measure_text_width(of(row))).max().unwrap_or(0);
        let (name, address) = (column(|row| &row.name), column(|row| &row.address));
        let nodes: usize = self.rows.iter().map(|row| row.nodes.len()).sum();
        let has_room = hidden.is_empty() && self.rows.len() + nodes <= room;
        let mut lines: Vec<String> = order
            .into_iter()
            .flat_map(|at| {
                let row = &self.rows[at];
                let mark = if row.stage == Stage::AtWork { turning } else { ' ' };
                let address = match width {
                    ..NARROW => String::new(),
                    _ => padded(&row.address, address) + "  ",
                };
                let text = format!("{mark} {}  {address}{}", padded(&row.name, name), row.doing);
                let since = matches!(row.stage, Stage::AtWork | Stage::Waiting)
                    .then(|| now.saturating_duration_since(row.since));
                let nodes = row.nodes.values().filter(|_| has_room).map(|node| with_time(node, None, width));
                std::iter::once(with_time(&text, since, width)).chain(nodes).collect::<Vec<_>>()
            })
            .collect();
        if !hidden.is_empty() {
            lines.push(truncate_str(&format!("  {}", self.counted(&hidden)), width, "…").into_owned());
        }
        if let Some((text, since)) = &self.common {
            lines.push(with_time(&format!("{turning} {text}"), Some(now.saturating_duration_since(*since)), width));
        }
        lines
    }

    fn counted(&self, hidden: &[usize]) -> String {
        let of = |stage, words: &str| {
            let count = hidden.iter().filter(|at| self.rows[**at].stage == stage).count();
            (count > 0).then(|| format!("{count} {words}"))
        };
        let counts = [
            of(Stage::AtWork, "at work"),
            of(Stage::Failed, "not unlocked"),
            of(Stage::Waiting, "waiting"),
            of(Stage::Queued, "queued"),
            of(Stage::Open, "UNLOCKED"),
        ];
        format!("… and {} more: {}", hidden.len(), counts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(measure_text_width(text))))
}

/// The text with a time at the right edge.
fn with_time(text: &str, time: Option<Duration>, width: usize) -> String {
    let time = time.map(|time| format!("  {}", duration_in_words(time))).unwrap_or_default();
    let room = width.saturating_sub(measure_text_width(&time));
    let text = truncate_str(text, room, "…");
    if time.is_empty() { text.into_owned() } else { padded(&text, room) + &time }
}

/// The beginning of an id, if that tells it from the others.
fn short(id: &str, all: &[&str]) -> String {
    match id.get(..SHORT_ID) {
        Some(begin) if all.iter().filter(|other| other.starts_with(begin)).count() == 1 => format!("{begin}…"),
        _ => id.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn device(number: usize, label: Option<&str>) -> NamedDevice {
        let job = format!("JID{number:08}-0000-4000-8000-000000000000").parse().unwrap();
        let endpoint = format!("192.0.2.{number}").parse().ok();
        NamedDevice { job, label: label.map(str::to_owned), endpoint }
    }

    fn table(count: usize) -> (DeviceTable, Vec<TargetId>) {
        let devices: Vec<_> = (1..=count).map(|number| device(number, None)).collect();
        let jobs = devices.iter().map(|device| device.job.clone()).collect();
        (DeviceTable::of(&devices), jobs)
    }

    #[test]
    fn a_device_is_called_by_its_label_unless_another_has_it_too() {
        let devices =
            [device(1, Some("dock 1\u{1b}[2J")), device(2, Some("gate")), device(3, Some("gate")), device(4, None)];
        let names: Vec<String> = names(&devices).into_values().collect();
        assert_eq!(names[0], "dock 1");
        assert!(names[1..].iter().all(|name| name.starts_with("JID0000000")), "{names:?}");
    }

    #[test]
    fn a_line_says_what_is_done_and_for_how_long_and_what_came_of_it() {
        let (mut table, jobs) = table(3);
        table.set(&jobs[0], Stage::AtWork, "unlocking", false);
        table.set(&jobs[0], Stage::AtWork, "waiting for the device", true);
        table.set(&jobs[1], Stage::Open, "UNLOCKED", false);
        let lines = table.lines(100, 20, Instant::now() + Duration::from_secs(65));
        assert!(lines[0].contains("JID00000001…  192.0.2.1  waiting for the device"), "{lines:?}");
        assert!(lines[0].ends_with("  1 min 5 s") && measure_text_width(&lines[0]) == 100, "{lines:?}");
        assert_eq!(lines[1], "  JID00000002…  192.0.2.2  UNLOCKED");
        assert_eq!(lines[2], "  JID00000003…  192.0.2.3  queued");
        let narrow = table.lines(30, 20, Instant::now());
        assert!(narrow.iter().all(|line| measure_text_width(line) <= 30 && !line.contains("192")), "{narrow:?}");
    }

    #[test]
    fn a_cluster_has_a_line_for_each_node_where_there_is_room_for_all() {
        let (mut table, jobs) = table(2);
        let node = |number, state: &str| NodeState {
            number,
            of: 3,
            job: jobs[0].as_str().parse().unwrap(),
            at: (number == 1).then(|| "192.0.2.7".to_owned()),
            state: state.to_owned(),
        };
        for (number, state) in [(3, "LOCKED"), (1, "LOCKED"), (1, "UNLOCKED")] {
            table.set_node(&jobs[0], &node(number, state));
        }
        let lines = table.lines(80, 4, Instant::now());
        assert_eq!(lines[1..3], ["    node 1 of 3  192.0.2.7  UNLOCKED", "    node 3 of 3  LOCKED"]);
        assert!(lines.len() == 4 && lines[3].contains("queued"), "{lines:?}");
        assert_eq!(table.lines(80, 3, Instant::now()).len(), 2);
    }

    #[test]
    fn a_long_table_is_cut_to_the_height_and_what_is_left_out_is_counted() {
        let (mut table, jobs) = table(9);
        table.set(&jobs[7], Stage::AtWork, "unlocking", false);
        table.set(&jobs[8], Stage::Failed, "not unlocked", false);
        table.set(&jobs[0], Stage::Open, "UNLOCKED", false);
        let lines = table.lines(80, 4, Instant::now());
        assert_eq!(lines.len(), 4);
        assert!(lines[0].contains("JID00000002") && lines[1].contains("unlocking"), "{lines:?}");
        assert!(lines[2].contains("not unlocked"), "{lines:?}");
        assert_eq!(lines[3], "  … and 6 more: 5 queued, 1 UNLOCKED");
        table.begin("Keychain");
        assert_eq!(table.lines(80, 4, Instant::now()).len(), 4, "with what is done for none alone");
        table.rest();
        assert_eq!(table.lines(80, 9, Instant::now()).len(), 9);
    }
}
