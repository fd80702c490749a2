//! A plan: which jobs' devices are to be opened, and at which address each stands. Written by hand, or by another program.

mod table;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use toml::de::{DeTable, DeValue};

use self::table::PlanRow;
use super::job::Malformed;
use super::typed::trimmed;
use super::{Endpoint, JobId, TargetId, holds_hidden_code};
use crate::safety::sanitize::{phrase, sanitize_typed};

/// So many flaws are told at once.
const MAX_FLAWS: usize = 10;

const NOT_BOTH: &str = "the first row names the columns, but not both of job and address. The columns are job, address and, if you like, label";

/// More than this is no plan for one machine.
const MAX_DEVICES: usize = 1000;

const HOLDS_CODE: &str = "it has something in the shape of an unlock code, which belongs in no file. Remove that";

/// Devices and clusters to be opened: at least one, no job and no address twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DevicePlan(Vec<PlannedDevice>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedDevice {
    /// Where it stands, counted from 1.
    pub line: Option<u64>,
    /// The job, or the cluster.
    pub job: TargetId,
    /// The job of a node, by which its cluster was named.
    pub node: Option<JobId>,
    /// Where its device is, or the first node.
    pub endpoint: Endpoint,
    /// Where the other nodes are.
    pub others: Vec<Endpoint>,
    /// What people call it.
    pub label: Option<String>,
}

impl PlannedDevice {
    /// One that stands in no file.
    pub(crate) fn at(job: TargetId, endpoint: Endpoint, others: Vec<Endpoint>) -> Self {
        Self { line: None, job, node: None, endpoint, others, label: None }
    }

    /// All its addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Endpoint> {
        std::iter::once(&self.endpoint).chain(&self.others)
    }
}

/// The text of a plan's file, as its lines are counted: without a byte order mark, and with one kind of line ends. An editor shows a
/// line for each of LF, CR LF and CR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanText(String);

impl PlanText {
    fn of(text: &str) -> Self {
        Self(text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n"))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanFormat {
    /// A row a device or a cluster, with commas, semicolons or tabs between: job, address, and perhaps a label. The first row may
    /// name them, in any order. The addresses of a cluster's nodes are in one value, with spaces or semicolons between.
    Csv,
    /// A table `[[device]]` each, with the keys `job`, `address` and perhaps `label`. The addresses of a cluster's nodes are a list.
    Toml,
}

/// Why a plan is none, as the end of a sentence, with the line where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanFlaw {
    /// Counted from 1.
    pub line: Option<u64>,
    /// What is wrong. It never says what may be a code.
    pub why: String,
}

/// A device as it was written: line, job, addresses, label.
type Written = (Option<u64>, String, Vec<String>, Option<String>);

impl DevicePlan {
    /// The text of a plan's file.
    ///
    /// # Errors
    /// What is no text, or a text that no plan is written in.
    pub(crate) fn text(bytes: Vec<u8>) -> Result<PlanText, PlanFlaw> {
        // Of a spreadsheet's file, as it is now and as it was; of UTF-16.
        let is = |begins: &[&[u8]]| begins.iter().any(|begin| bytes.starts_with(begin));
        let flaw = |why: &str| PlanFlaw { line: None, why: why.to_owned() };
        if is(&[b"PK\x03\x04", b"\xd0\xcf\x11\xe0"]) {
            return Err(flaw("it is a spreadsheet file. Save it as CSV (UTF-8) in the spreadsheet's program"));
        }
        // Without a mark, every second byte of it is nothing, which UTF-8 allows.
        let is_wide = matches!(bytes[..], [one, 0, other, 0, ..] | [0, one, 0, other, ..] if one != 0 && other != 0);
        if is_wide || is(&[b"\xff\xfe", b"\xfe\xff"]) {
            return Err(flaw("it is UTF-16. Save it as CSV (UTF-8)"));
        }
        let not_utf8 = |_| flaw("it is not UTF-8. Save it as CSV (UTF-8)");
        String::from_utf8(bytes).map(|text| PlanText::of(&text)).map_err(not_utf8)
    }

    /// Reads a plan, and checks all of it.
    ///
    /// # Errors
    /// The flaws, as one, with the line of the first: what is no plan, no job or no address; a job or an address that stands twice;
    /// anything in the shape of an unlock code, which has no place in a file.
    pub(crate) fn parse(text: &PlanText, format: PlanFormat) -> Result<Self, PlanFlaw> {
        if let Some(at) = text.as_str().lines().position(holds_hidden_code) {
            return Err(PlanFlaw { line: Some(at as u64 + 1), why: HOLDS_CODE.to_owned() });
        }
        let mut flaws = Vec::new();
        let written = match format {
            PlanFormat::Csv => of_csv(text, &mut flaws)?,
            PlanFormat::Toml => of_toml(text.as_str(), &mut flaws)?,
        };
        let mut rows = Vec::new();
        for row in written {
            planned(row).map_or_else(|flaw| flaws.push(flaw), |device| rows.push(device));
        }
        if flaws.is_empty() { Self::of(rows) } else { Err(PlanFlaw::all(flaws)) }
    }

    /// The plan of these devices.
    ///
    /// # Errors
    /// None at all, too many, a job or an address that stands twice, or a node beside its cluster.
    pub(crate) fn of(rows: Vec<PlannedDevice>) -> Result<Self, PlanFlaw> {
        let flaw = |line, why| Err(PlanFlaw { line, why });
        if rows.is_empty() {
            return flaw(None, "it names no device".to_owned());
        }
        if rows.len() > MAX_DEVICES {
            return flaw(None, format!("it has more than {MAX_DEVICES} devices"));
        }
        let mut flaws = Vec::new();
        let (mut jobs, mut addresses) = (HashMap::<&str, &PlannedDevice>::new(), HashMap::new());
        for device in &rows {
            let first = *jobs.entry(device.job.as_str()).or_insert(device);
            let of_job = (!std::ptr::eq(first, device)).then(|| {
                let what = match (&device.node, &first.node) {
                    (None, None) if matches!(device.job, TargetId::Job(_)) => {
                        format!("{} stands in it twice", device.job)
                    }
                    (None, None) => format!("{} stands in it twice, {ONE_LINE}", device.job),
                    (Some(node), _) | (None, Some(node)) => {
                        format!("{node} is a node of {}, which stands in it twice, {ONE_LINE}", device.job)
                    }
                };
                (what, first.line)
            });
            let mut twice = None;
            for address in device.addresses() {
                match addresses.entry(address.with_port()) {
                    Entry::Vacant(place) => _ = place.insert(device.line),
                    Entry::Occupied(first) => {
                        twice.get_or_insert((format!("{address} stands in it twice"), *first.get()));
                    }
                }
            }
            if let Some((what, first)) = of_job.or(twice) {
                let first = first.filter(|first| Some(*first) != device.line);
                let first = first.map(|line| format!(", first in line {line}")).unwrap_or_default();
                flaws.push(PlanFlaw { line: device.line, why: format!("{what}{first}") });
            }
        }
        if !flaws.is_empty() {
            return Err(PlanFlaw::all(flaws));
        }
        Ok(Self(rows))
    }

    /// The devices, in the plan's order.
    pub(crate) fn devices(&self) -> &[PlannedDevice] {
        &self.0
    }
}

impl PlanFlaw {
    /// Several as one, by their lines: that of the first, which tells of the others.
    fn all(mut flaws: Vec<Self>) -> Self {
        flaws.sort_by_key(|flaw| flaw.line);
        let more = flaws.len().saturating_sub(MAX_FLAWS);
        flaws.truncate(MAX_FLAWS);
        let mut flaws = flaws.into_iter();
        let Some(mut first) = flaws.next() else { return Self { line: None, why: "it has a flaw".to_owned() } };
        for Self { line, why } in flaws {
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            first.why += &format!("; {line}{why}");
        }
        if more > 0 {
            first.why += &format!("; and {more} more");
        }
        first
    }
}

impl PlanFormat {
    /// That of a file with this name; of what has none, by what it begins with.
    pub(crate) fn of(name: &str, text: &PlanText) -> Self {
        let ends = |end: &str| name.to_ascii_lowercase().ends_with(end);
        let begins_with_table = || text.as_str().lines().any(|line| line.trim_start().starts_with("[[device"));
        if ends(".toml") || (!ends(".csv") && begins_with_table()) { Self::Toml } else { Self::Csv }
    }
}

/// The text as the label of a planned device, if it can be one. A plan is opened in a spreadsheet, which takes what begins like a
/// formula for one: the label begins behind that.
pub(crate) fn plan_label(text: &str) -> Option<String> {
    let label = crate::safety::sanitize::sanitize(text);
    let label = label.trim_start_matches(|c: char| c.is_whitespace() || "=+-@".contains(c));
    let label = trimmed(label).to_owned();
    (!label.is_empty() && why_no_label(&label).is_none()).then_some(label)
}

/// Why the text is no label of a planned device, if it is none.
fn why_no_label(label: &str) -> Option<String> {
    if holds_hidden_code(label) {
        return Some(HOLDS_CODE.to_owned());
    }
    if label.contains(['\n', '\r']) {
        return Some(line_break("the label"));
    }
    // As of addresses that are values of their own.
    label.parse::<Endpoint>().is_ok_and(|it| it.is_by_number()).then(|| {
        format!(
            "the label “{}” is an address. The addresses of a cluster are one value, with spaces between",
            sanitize_typed(label)
        )
    })
}

/// A device or a cluster as a row of a plan. What is not known may be empty, for somebody to write.
pub(crate) fn plan_line(job: &TargetId, addresses: &[Endpoint], label: Option<&str>) -> String {
    let address = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    // Nothing can go wrong in memory.
    let label = label.and_then(plan_label);
    let _ = writer.write_record([job.as_str(), &address].into_iter().chain(label.as_deref()));
    let line = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&line).trim_end().to_owned()
}

fn planned((line, job, written, label): Written) -> Result<PlannedDevice, PlanFlaw> {
    let flaw = |why: String| PlanFlaw { line, why };
    if std::iter::once(&job).chain(&written).chain(&label).any(|cell| holds_hidden_code(cell)) {
        return Err(flaw(HOLDS_CODE.to_owned()));
    }
    if trimmed(&job).contains(['\n', '\r']) {
        return Err(flaw(line_break("the job")));
    }
    let label = label.map(|label| trimmed(&label).to_owned()).filter(|label| !label.is_empty());
    if let Some(why) = label.as_deref().and_then(why_no_label) {
        return Err(flaw(why));
    }
    let shown = sanitize_typed;
    let mut addresses = Vec::new();
    for address in written.iter().flat_map(|cell| cell.split(BETWEEN_ADDRESSES)).filter(|part| !part.is_empty()) {
        let address = Endpoint::typed(address)
            .map_err(|Malformed { why, .. }| flaw(format!("the address “{}” {why}", shown(address))))?;
        addresses.push(address);
    }
    if addresses.is_empty() {
        return Err(flaw("a device needs an address".to_owned()));
    }
    let (endpoint, others) = (addresses.remove(0), addresses);
    let job: TargetId =
        TargetId::typed(&job).map_err(|Malformed { why, .. }| flaw(format!("the job id “{}” {why}", shown(&job))))?;
    Ok(PlannedDevice { line, job, node: None, endpoint, others, label })
}

/// What to do of a cluster that has several.
const ONE_LINE: &str = "and all addresses of a cluster go into one line";

/// What may stand between the addresses of a cluster's nodes in one value: also the line ends of a spreadsheet's cell.
const BETWEEN_ADDRESSES: [char; 6] = [' ', ';', ',', '\t', '\r', '\n'];

fn of_toml(text: &str, flaws: &mut Vec<PlanFlaw>) -> Result<Vec<Written>, PlanFlaw> {
    let line_at = |offset: usize| text[..offset].matches('\n').count() as u64 + 1;
    // A name, never a value: that may be anything.
    let named = |key: &str| if holds_hidden_code(key) { "…".to_owned() } else { sanitize_typed(key) };
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_at(span.start));
        PlanFlaw { line, why: format!("it is not TOML ({})", phrase(error.message())) }
    })?;
    let mut written = Vec::new();
    for (key, value) in table.get_ref() {
        let mut flaw = |at, why: String| flaws.push(PlanFlaw { line: Some(line_at(at)), why });
        let DeValue::Array(devices) = value.get_ref() else {
            flaw(
                key.span().start,
                format!("“{}” is not known. Each device begins with [[device]]", named(key.get_ref())),
            );
            continue;
        };
        if key.get_ref() != "device" {
            flaw(
                key.span().start,
                format!("“{}” is not known. Each device begins with [[device]]", named(key.get_ref())),
            );
            continue;
        }
        for device in devices {
            let begins = device.span().start;
            let DeValue::Table(values) = device.get_ref() else {
                flaw(begins, "a device is no table. Each begins with [[device]]".to_owned());
                continue;
            };
            let (mut cells, mut list, mut is_whole) = ([None, None, None], None, true);
            for (key, value) in values {
                let at = KEYS.iter().position(|known| *known == key.get_ref().as_ref());
                let why = match (at, value.get_ref()) {
                    (Some(at), DeValue::String(text)) => {
                        cells[at] = Some(text.to_string());
                        continue;
                    }
                    (Some(ADDRESS), DeValue::Array(values)) => match texts(values) {
                        Some(texts) => {
                            list = Some(texts);
                            continue;
                        }
                        None => "the value of “address” is no list of texts in quotes".to_owned(),
                    },
                    (Some(_), _) => format!("the value of “{}” is no text in quotes", named(key.get_ref())),
                    (None, _) => format!(
                        "“{}” is not known. The keys are job, address and, if you like, label",
                        named(key.get_ref())
                    ),
                };
                flaw(key.span().start, why);
                is_whole = false;
            }
            let [job, address, label] = cells;
            match (job, list.or(address.map(|address| vec![address]))) {
                (Some(job), Some(addresses)) => written.push((Some(line_at(begins)), job, addresses, label)),
                // Of a key that was written otherwise it is told already.
                _ if !is_whole => {}
                _ => flaw(begins, "a device needs a job and an address".to_owned()),
            }
        }
    }
    Ok(written)
}

/// Of a device in TOML, in the order of what is written.
const KEYS: [&str; 3] = ["job", "address", "label"];
const ADDRESS: usize = 1;

fn texts(values: &[toml::Spanned<DeValue<'_>>]) -> Option<Vec<String>> {
    values.iter().map(|value| value.get_ref().as_str().map(str::to_owned)).collect()
}

fn of_csv(text: &PlanText, flaws: &mut Vec<PlanFlaw>) -> Result<Vec<Written>, PlanFlaw> {
    let (mut columns, mut written) = (None, Vec::new());
    for PlanRow { line, cells } in table::rows(text)? {
        let flaw = |why: &str| PlanFlaw { line: Some(line), why: why.to_owned() };
        let known = match columns.take() {
            Some(known) => known,
            None => match Columns::named(&cells) {
                Some(named) => {
                    columns = Some(named.map_err(|why| flaw(&why))?);
                    continue;
                }
                None => Columns { job: 0, address: 1, label: Some(2), names: None },
            },
        };
        let Columns { job, address, label, names } = &*columns.insert(known);
        if names.is_none() && Columns::named_in(&cells) {
            return Err(flaw("it names the columns, as only the first row may. Delete the rows above it"));
        }
        let has_name = |at: usize| match names {
            Some(names) => names.get(at).is_some_and(|name| *name),
            None => at < UNNAMED,
        };
        // As of a label with a comma in it, or a column that nobody has named.
        if (0..).zip(&cells).any(|(at, cell)| !cell.is_empty() && !has_name(at)) {
            flaws.push(flaw(if names.is_none() {
                "a row has job, address and label, and nothing beyond. The addresses of a cluster are one value, with spaces between; other columns are named in the first row"
            } else {
                "it has more values than the first row names columns. Put a label with a comma in it in quotes"
            }));
            continue;
        }
        // What is not read here may be what a quote has taken from the plan.
        if (0..)
            .zip(&cells)
            .any(|(at, cell)| ![*job, *address].contains(&at) && Some(at) != *label && cell.contains('\n'))
        {
            flaws.push(flaw(&line_break("a value")));
            continue;
        }
        let cell = |at: usize| cells.get(at).filter(|cell| !cell.is_empty()).cloned();
        let (Some(job), Some(address)) = (cell(*job), cell(*address)) else {
            flaws.push(flaw("a row needs a job and an address. Delete the line of a job that is to be left out"));
            continue;
        };
        written.push((Some(line), job, vec![address], label.and_then(cell)));
    }
    Ok(written)
}

/// That a value goes over several lines which is one line in every plan.
fn line_break(what: &str) -> String {
    format!(
        "{what} has a line break in it, or a quote is not closed. Only the addresses of a cluster may stand in several lines"
    )
}

/// How many values a row may have where the first does not name them.
const UNNAMED: usize = 3;

/// Which value of a row is which.
struct Columns {
    job: usize,
    address: usize,
    label: Option<usize>,
    /// Whether the first row has a name for each, if it names them.
    names: Option<Vec<bool>>,
}

impl Columns {
    /// Whether this row has the names of those that a device needs.
    fn named_in(row: &[String]) -> bool {
        KEYS[..=ADDRESS].iter().all(|name| row.iter().any(|cell| cell.eq_ignore_ascii_case(name)))
    }

    /// As the first row names them. `None` if it names nothing: then it is a device.
    fn named(first: &[String]) -> Option<Result<Self, String>> {
        let at = |name: &str| first.iter().position(|cell| cell.eq_ignore_ascii_case(name));
        let is_name = |cell: &String| KEYS.iter().any(|name| cell.eq_ignore_ascii_case(name));
        // No job id and no address is without a digit or a dot.
        let is_word = |cell: &String| cell.chars().all(|c| c.is_alphabetic() || " _-".contains(c));
        if !first.iter().any(is_name) && !first.iter().take(2).all(is_word) {
            return None;
        }
        let is_twice = |name: &&&str| first.iter().filter(|cell| cell.eq_ignore_ascii_case(name)).count() > 1;
        if let Some(twice) = KEYS.iter().find(is_twice) {
            return Some(Err(format!("the first row names the column {twice} twice")));
        }
        Some(match (at("job"), at("address")) {
            (Some(job), Some(address)) => {
                let names = first.iter().map(|cell| !cell.is_empty()).collect();
                Ok(Self { job, address, label: at("label"), names: Some(names) })
            }
            _ => Err(NOT_BOTH.to_owned()),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
