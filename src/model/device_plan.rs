//! A plan: which jobs' devices are to be opened, and at which address each stands. Written by hand, or by another program.

use std::collections::HashMap;

use toml::de::{DeTable, DeValue};

use super::job::Malformed;
use super::secret::{UnlockCode, has_shape_of_code, looks_like_code};
use super::typed::{tidy, trimmed};
use super::{ClusterId, Endpoint, JobId};
use crate::safety::sanitize::{phrase, sanitize_typed};

/// So many flaws are told at once.
const MAX_FLAWS: usize = 10;

const NOT_BOTH: &str = "the first row names the columns, but not both of job and address. The columns are job, address and, if you like, label";

/// More than this is no plan for one machine.
const MAX_DEVICES: usize = 1000;

const HOLDS_CODE: &str = "it has something in the shape of an unlock code, which belongs in no file. Remove that";

/// Devices to be opened: at least one, no job and no address twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DevicePlan(Vec<PlannedDevice>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedDevice {
    /// The job.
    pub job: JobId,
    /// Where its device is.
    pub endpoint: Endpoint,
    /// What people call it.
    pub label: Option<String>,
}

/// Whether something in a text of several words looks like an unlock code, with hyphens, with blanks, or with nothing between.
fn holds_code(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let joined = |at: usize| words[at..words.len().min(at + 5)].join("-");
    looks_like_code(trimmed(text))
        || (0..words.len()).any(|at| looks_like_code(words[at]) || looks_like_code(&joined(at)))
}

/// How a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanFormat {
    /// A row a device, with commas, semicolons or tabs between: job, address, and perhaps a label. The first row may name them,
    /// in any order.
    Csv,
    /// A table `[[device]]` each, with the keys `job`, `address` and perhaps `label`.
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

/// A device as it was written: line, job, address, label.
type Written = (Option<u64>, String, String, Option<String>);

impl DevicePlan {
    /// The text of a plan's file.
    ///
    /// # Errors
    /// What is no text, or a text that no plan is written in.
    pub(crate) fn text(bytes: Vec<u8>) -> Result<String, PlanFlaw> {
        // Of a spreadsheet's file, as it is now and as it was; of UTF-16.
        let is = |begins: &[&[u8]]| begins.iter().any(|begin| bytes.starts_with(begin));
        let flaw = |why: &str| PlanFlaw { line: None, why: why.to_owned() };
        if is(&[b"PK\x03\x04", b"\xd0\xcf\x11\xe0"]) {
            return Err(flaw("it is a spreadsheet file. Save it as CSV (UTF-8) in the spreadsheet's program"));
        }
        let why =
            if is(&[b"\xff\xfe", b"\xfe\xff"]) { "it is UTF-16. Save it as CSV (UTF-8)" } else { "it is not UTF-8" };
        String::from_utf8(bytes).map_err(|_| flaw(why))
    }

    /// Reads a plan, and checks all of it.
    ///
    /// # Errors
    /// The flaws, as one, with the line of the first: what is no plan, no job or no address; a job or an address that stands twice;
    /// anything in the shape of an unlock code, which has no place in a file.
    pub(crate) fn parse(text: &str, format: PlanFormat) -> Result<Self, PlanFlaw> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if let Some(at) =
            text.lines().position(|line| line.as_bytes().windows(UnlockCode::LENGTH).any(has_shape_of_code))
        {
            return Err(PlanFlaw { line: Some(at as u64 + 1), why: HOLDS_CODE.to_owned() });
        }
        let mut flaws = Vec::new();
        let written = match format {
            PlanFormat::Csv => of_csv(text, &mut flaws)?,
            PlanFormat::Toml => of_toml(text, &mut flaws)?,
        };
        let mut rows = Vec::new();
        for row in written {
            let line = row.0;
            planned(row).map_or_else(|flaw| flaws.push(flaw), |device| rows.push((line, device)));
        }
        if flaws.is_empty() { Self::of(rows) } else { Err(PlanFlaw::all(flaws)) }
    }

    /// The plan of these devices, each with its line.
    ///
    /// # Errors
    /// None at all, too many, or a job or an address that stands twice.
    pub(crate) fn of(rows: Vec<(Option<u64>, PlannedDevice)>) -> Result<Self, PlanFlaw> {
        let flaw = |line, why| Err(PlanFlaw { line, why });
        if rows.is_empty() {
            return flaw(None, "it names no device".to_owned());
        }
        if rows.len() > MAX_DEVICES {
            return flaw(None, format!("it has more than {MAX_DEVICES} devices"));
        }
        let mut flaws = Vec::new();
        let (mut jobs, mut endpoints) = (HashMap::new(), HashMap::new());
        for (line, device) in &rows {
            let before = jobs.insert(device.job.as_str().to_owned(), *line);
            let what = before.map(|first| (device.job.to_string(), first));
            let before = endpoints.insert(device.endpoint.with_port(), *line);
            if let Some((what, first)) = what.or(before.map(|first| (device.endpoint.to_string(), first))) {
                let first = first.map(|line| format!(", first in line {line}")).unwrap_or_default();
                flaws.push(PlanFlaw { line: *line, why: format!("{what} stands in it twice{first}") });
            }
        }
        if !flaws.is_empty() {
            return Err(PlanFlaw::all(flaws));
        }
        Ok(Self(rows.into_iter().map(|(_, device)| device).collect()))
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
    pub(crate) fn of(name: &str, text: &str) -> Self {
        let ends = |end: &str| name.to_ascii_lowercase().ends_with(end);
        let begins_with_table = || text.lines().any(|line| line.trim_start().starts_with("[[device"));
        if ends(".toml") || (!ends(".csv") && begins_with_table()) { Self::Toml } else { Self::Csv }
    }
}

/// The text as the label of a planned device, if it can be one.
pub(crate) fn plan_label(text: &str) -> Option<String> {
    let label = trimmed(&crate::safety::sanitize::sanitize(text)).to_owned();
    (!label.is_empty() && !holds_code(&label)).then_some(label)
}

/// A device as a row of a plan. What is not known may be empty, for somebody to write.
pub(crate) fn plan_line(job: &JobId, address: &str, label: Option<&str>) -> String {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    // Nothing can go wrong in memory.
    let _ = writer.write_record([job.as_str(), address].into_iter().chain(label));
    let line = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&line).trim_end().to_owned()
}

fn planned((line, job, address, label): Written) -> Result<PlannedDevice, PlanFlaw> {
    let flaw = |why: String| PlanFlaw { line, why };
    if [&job, &address].into_iter().chain(&label).any(|cell| holds_code(cell)) {
        return Err(flaw(HOLDS_CODE.to_owned()));
    }
    let shown = sanitize_typed;
    let endpoint = Endpoint::typed(&address)
        .map_err(|Malformed { why, .. }| flaw(format!("the address “{}” {why}", shown(&address))))?;
    if tidy(&job).parse::<ClusterId>().is_ok() {
        return Err(flaw(format!(
            "{0} is a cluster's, which has a command of its own: snow-onboard run {0}",
            tidy(&job)
        )));
    }
    let job =
        tidy(&job).parse().map_err(|Malformed { why, .. }| flaw(format!("the job id “{}” {why}", shown(&job))))?;
    let label = label.map(|label| trimmed(&label).to_owned()).filter(|label| !label.is_empty());
    Ok(PlannedDevice { job, endpoint, label })
}

fn of_toml(text: &str, flaws: &mut Vec<PlanFlaw>) -> Result<Vec<Written>, PlanFlaw> {
    let line_at = |offset: usize| text[..offset].matches('\n').count() as u64 + 1;
    // A name, never a value: that may be anything.
    let named = |key: &str| if holds_code(key) { "…".to_owned() } else { sanitize_typed(key) };
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
            let (mut cells, mut is_whole) = ([None, None, None], true);
            for (key, value) in values {
                let at = KEYS.iter().position(|known| *known == key.get_ref().as_ref());
                let why = match (at, value.get_ref()) {
                    (Some(at), DeValue::String(text)) => {
                        cells[at] = Some(text.to_string());
                        continue;
                    }
                    (Some(_), _) => format!("the value of “{}” is no text in quotes", named(key.get_ref())),
                    (None, _) => format!(
                        "“{}” is not known. The keys are job, address and, if you like, label",
                        named(key.get_ref())
                    ),
                };
                flaw(key.span().start, why);
                is_whole = false;
            }
            match cells {
                [Some(job), Some(address), label] => written.push((Some(line_at(begins)), job, address, label)),
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

fn of_csv(text: &str, flaws: &mut Vec<PlanFlaw>) -> Result<Vec<Written>, PlanFlaw> {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#')).unwrap_or_default();
    let delimiter = [b',', b';', b'\t'].into_iter().find(|delimiter| first.as_bytes().contains(delimiter));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .delimiter(delimiter.unwrap_or(b','))
        .from_reader(text.as_bytes());
    let (mut columns, mut named) = (None, None);
    let mut written = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| PlanFlaw {
            line: error.position().map(csv::Position::line),
            why: "it is not a table with commas between the values".to_owned(),
        })?;
        let line = record.position().map(csv::Position::line);
        let flaw = |why: &str| PlanFlaw { line, why: why.to_owned() };
        if record.iter().all(str::is_empty) {
            continue;
        }
        let Columns { job, address, label } = match columns {
            Some(known) => known,
            None => match Columns::named(&record) {
                Some(known) => {
                    (columns, named) = (Some(known.map_err(flaw)?), Some(record.len()));
                    continue;
                }
                None => *columns.insert(Columns { job: 0, address: 1, label: Some(2) }),
            },
        };
        // As of a label with a comma in it, or a column that nobody has named.
        if record.iter().skip(named.unwrap_or(UNNAMED)).any(|cell| !cell.is_empty()) {
            flaws.push(flaw(if named.is_none() {
                "a row has job, address and label, and nothing beyond. To have other columns, name all of them in the first row"
            } else {
                "it has more values than the first row names columns. Put a label with a comma in it in quotes"
            }));
            continue;
        }
        let cell = |at: usize| record.get(at).filter(|cell| !cell.is_empty()).map(str::to_owned);
        let (Some(job), Some(address)) = (cell(job), cell(address)) else {
            flaws.push(flaw("a row needs a job and an address. Delete the line of a job that is to be left out"));
            continue;
        };
        written.push((line, job, address, label.and_then(cell)));
    }
    Ok(written)
}

/// How many values a row may have where the first does not name them.
const UNNAMED: usize = 3;

/// Which value of a row is which.
#[derive(Clone, Copy)]
struct Columns {
    job: usize,
    address: usize,
    label: Option<usize>,
}

impl Columns {
    /// As the first row names them. `None` if it names nothing: then it is a device.
    fn named(first: &csv::StringRecord) -> Option<Result<Self, &'static str>> {
        let at = |name: &str| first.iter().position(|cell| cell.eq_ignore_ascii_case(name));
        let is_name = |cell: &str| KEYS.iter().any(|name| cell.eq_ignore_ascii_case(name));
        // No job id and no address is without a digit or a dot.
        let is_word = |cell: &str| cell.chars().all(|c| c.is_alphabetic() || " _-".contains(c));
        if !first.iter().any(is_name) && !first.iter().take(2).all(is_word) {
            return None;
        }
        Some(match (at("job"), at("address")) {
            (Some(job), Some(address)) => Ok(Self { job, address, label: at("label") }),
            _ => Err(NOT_BOTH),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ONE: &str = "JID11111111-0000-4000-8000-000000000000";
    const OTHER: &str = "JID22222222-0000-4000-8000-000000000000";

    fn plan(text: &str) -> Result<Vec<(String, String, Option<String>)>, PlanFlaw> {
        let plan = DevicePlan::parse(text, PlanFormat::of("-", text))?;
        let row = |device: &PlannedDevice| (device.job.to_string(), device.endpoint.to_string(), device.label.clone());
        Ok(plan.devices().iter().map(row).collect())
    }

    #[test]
    fn every_way_to_write_it_says_the_same() {
        let expected = vec![
            (ONE.to_owned(), "192.0.2.10".to_owned(), Some("dock 1, left".to_owned())),
            (OTHER.to_owned(), "192.0.2.11".to_owned(), None),
        ];
        for text in [
            format!("{ONE},192.0.2.10,\"dock 1, left\"\n{OTHER},192.0.2.11\n"),
            format!("\u{feff}job;address;label\r\n{ONE};192.0.2.10;dock 1, left\r\n{OTHER};192.0.2.11;\r\n;;\r\n"),
            format!(
                "# a pallet\n\nLabel\tAddress\tJob\n\"dock 1, left\"\thttps://192.0.2.10\t{ONE}\n\t192.0.2.11\t{OTHER}"
            ),
            format!(
                "[[device]]\njob = \"{ONE}\"\naddress = \"192.0.2.10\"\nlabel = \"dock 1, left\"\n[[device]]\njob = \"{OTHER}\"\naddress = \"192.0.2.11\""
            ),
        ] {
            assert_eq!(plan(&text), Ok(expected.clone()), "{text}");
        }
    }

    #[test]
    fn one_flaw_refuses_all_of_it_by_its_line() {
        for (text, line, why) in [
            (String::new(), None, "names no device"),
            ("job,address\n".to_owned(), None, "names no device"),
            (format!("{ONE},192.0.2.10\n{ONE},192.0.2.11"), Some(2), "twice, first in line 1"),
            (
                format!("{ONE},192.0.2.10\n{OTHER},https://192.0.2.10:9091/"),
                Some(2),
                "192.0.2.10:9091 stands in it twice",
            ),
            (format!("{ONE}\n"), Some(1), "needs a job and an address"),
            (format!("job,label\n{ONE},192.0.2.10"), Some(1), "not both"),
            (format!("{ONE},192.0.2.10,dock 1,left"), Some(1), "nothing beyond"),
            (format!("job,address,label\n{ONE},192.0.2.10,dock 1,left"), Some(2), "more values"),
            (format!("{ONE},192.0.2.300"), Some(1), "the address “192.0.2.300”"),
            (format!("{ONE},192.0.2.10\nJID1,192.0.2.11"), Some(2), "the job id “JID1”"),
            (format!("Job,IP,Name\n{ONE},192.0.2.10,x"), Some(1), "The columns are job, address and"),
            (format!("Order,IP\n{ONE},192.0.2.10"), Some(1), "The columns are job, address and"),
            (format!("[[device]]\njob = \"{ONE}\"\n"), Some(1), "needs a job and an address"),
            (format!("[[device]]\njob = \"{ONE}\"\naddress = \"192.0.2.1\"\nport = 1"), Some(4), "“port” is not known"),
            (format!("[[device]]\njob = \"{ONE}\"\nadress = \"192.0.2.1\""), Some(3), "“adress” is not known"),
            (format!("[[device]\njob = \"{ONE}\""), Some(1), "it is not TOML"),
            (format!("[[devices]]\njob = \"{ONE}\""), Some(1), "“devices” is not known"),
            ("[[device]]\njob = 1\naddress = \"192.0.2.1\"".to_owned(), Some(2), "“job” is no text"),
        ] {
            let flaw = plan(&text).unwrap_err();
            assert_eq!(flaw.line, line, "{text}: {flaw:?}");
            assert!(flaw.why.contains(why), "{text}: {flaw:?}");
        }
    }

    #[test]
    fn columns_that_the_first_row_names_may_be_others_and_empty_values_say_nothing() {
        for text in [
            format!("rack,job,address,label,weight\n7,{ONE},192.0.2.10,dock 1,22\n"),
            format!("{ONE},192.0.2.10,dock 1,,\n"),
        ] {
            let expected = (ONE.to_owned(), "192.0.2.10".to_owned(), Some("dock 1".to_owned()));
            assert_eq!(plan(&text), Ok(vec![expected]), "{text}");
        }
    }

    #[test]
    fn what_is_written_as_a_line_is_read_again() {
        for code in ["01234-abcde-ABCDE-56789-fghij", "01234 abcde ABCDE 56789 fghij"] {
            let label = plan_label(&format!("gate {code}"));
            assert!(label.is_none_or(|label| !label.contains("56789")), "{code}");
        }
        assert_eq!(plan_label(" "), None);
        for label in ["dock 1, \"left\"", "Ship log", "# 7; x"] {
            let label = plan_label(label).unwrap();
            let text =
                format!("  job,address,label\n  {}", plan_line(&ONE.parse().unwrap(), "192.0.2.10", Some(&label)));
            assert_eq!(plan(&text), Ok(vec![(ONE.to_owned(), "192.0.2.10".to_owned(), Some(label))]), "{text}");
        }
        let open = plan_line(&ONE.parse().unwrap(), "", None);
        assert!(plan(&open).unwrap_err().why.contains("needs a job and an address"), "{open}");
    }

    #[test]
    fn all_flaws_are_told_at_once_up_to_ten() {
        let flaw = plan(&format!("{ONE},192.0.2.300\n{OTHER}\nJID1,192.0.2.11")).unwrap_err();
        assert_eq!(flaw.line, Some(1));
        for told in ["“192.0.2.300”", "; line 2: a row needs", "; line 3: the job id “JID1”"] {
            assert!(flaw.why.contains(told), "{flaw:?}");
        }
        let flaw = plan(&"x1,y2\n".repeat(13)).unwrap_err();
        assert!(flaw.why.contains("; line 10: ") && flaw.why.ends_with("; and 3 more"), "{flaw:?}");
        let twice = plan(&format!("{ONE},192.0.2.10\n{ONE},192.0.2.11\n{OTHER},192.0.2.10")).unwrap_err();
        assert!(twice.why.contains("; line 3: 192.0.2.10 stands in it twice"), "{twice:?}");
    }

    #[test]
    fn a_file_that_is_no_text_is_told_as_what_it_is() {
        for (bytes, why) in [
            (&b"PK\x03\x04\x14\x00\xff"[..], "spreadsheet file"),
            (b"\xd0\xcf\x11\xe0\xa1", "spreadsheet file"),
            (b"\xff\xfej\x00", "UTF-16"),
            (b"j\xfc", "not UTF-8"),
        ] {
            assert!(DevicePlan::text(bytes.to_vec()).unwrap_err().why.contains(why));
        }
        assert_eq!(DevicePlan::text(b"job".to_vec()).as_deref(), Ok("job"));
    }

    #[test]
    fn what_is_no_plan_is_not_said_again() {
        for text in [
            "[[device]]\ndevice = \"7c0e1bab84f76750a2b6f8b33\"",
            "[[device]]\n7c0e1bab84f76750a2b6f8b33 = 1",
            "[[device]]\njob = 7c0e1bab84f76750a2b6f8b33",
        ] {
            let flaw = plan(text).unwrap_err();
            assert!(!flaw.why.contains("7c0e1b"), "{flaw:?}");
        }
    }

    #[test]
    fn a_code_in_it_is_refused_and_not_said() {
        let code = "01234-abcde-ABCDE-56789-fghij";
        for text in [
            format!("{ONE},192.0.2.10,{code}"),
            format!("{ONE},{code}"),
            format!("{ONE},192.0.2.10,dock 1,{code}"),
            format!("# {code}\n{ONE},192.0.2.10"),
            format!("[[device]]\njob = \"{ONE}\"\naddress = \"192.0.2.1\"\nunlock_code = \"{code}\""),
            format!("device = \"{code}\""),
            format!("{ONE},192.0.2.10,{}", code.replace('-', "")),
            format!("{ONE},192.0.2.10,gate {} left", code.replace('-', "")),
            format!("{ONE},192.0.2.10,{} gate 4", code.replace('-', " ")),
        ] {
            let flaw = plan(&text).unwrap_err();
            assert!(flaw.why.contains("shape of an unlock code"), "{text}: {flaw:?}");
            assert!(!flaw.why.contains("56789"), "{flaw:?}");
        }
    }
}
