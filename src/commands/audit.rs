//! `audit`: the audit log, checked or shown.

use serde::Serialize;

use crate::cli::{AuditArgs, SHOW, VERIFY};
use crate::error::{Error, ExitCode, Result};
use crate::model::{AuditHead, Malformed, tidy};
use crate::report::{Event, Notify, Reporter, utc_in_words};
use crate::safety::sanitize::sanitize_typed;
use crate::settings::Settings;
use crate::store::{AuditEntry, AuditReport, KnownHead, verify_audit};
use crate::ui::Ui;

pub(super) fn audit(args: &AuditArgs, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    // The lines about a node's pair name its cluster, as those of the other commands do.
    let job = args.job.as_deref().map(|job| super::parse_target(job, settings, reporter)).transpose()?;
    let head = args.head.as_deref().map(parse_head).transpose()?;
    match (args.action.as_str(), job, head) {
        (VERIFY, Some(_), _) => {
            Err(Error::Usage { why: "“audit verify” checks the whole log, so it takes no job.".to_owned() })
        }
        (SHOW, _, Some(_)) => Err(Error::Usage { why: "--head is for “audit verify”.".to_owned() }),
        (VERIFY, None, head) => {
            let head = head.map(|head| KnownHead { by: "the receipt".to_owned(), head });
            Ok(verify(&verify_audit(&settings.state_dir, head, None)?, ui, reporter))
        }
        (SHOW, job, None) => {
            let report = verify_audit(&settings.state_dir, None, job.as_ref())?;
            if let Some(error) = report.error() {
                reporter.notify(Event::Warning(format!("{error} What is shown may not be what was done.")));
            }
            if let Some(job) = job.filter(|_| report.entries.is_empty()) {
                return Err(Error::AuditEmpty { job: job.to_string() });
            }
            ui.result(None, &table(&report.entries), ShowResult { lines: report.entries });
            Ok(ExitCode::Done)
        }
        (other, ..) => Err(Error::Internal { what: format!("an action of audit that is not known: {other}") }),
    }
}

fn parse_head(given: &str) -> Result<AuditHead> {
    tidy(given).parse().map_err(|malformed: Malformed| Error::Usage {
        why: format!(
            "The value “{}” of --head {malformed}. A receipt shows it as “Audit head”.",
            sanitize_typed(given)
        ),
    })
}

fn verify(report: &AuditReport, ui: &Ui, reporter: &Reporter) -> ExitCode {
    for job in &report.unread {
        reporter.notify(Event::Warning(format!(
            "The record of {job} can't be read, so the log was not compared with what it knows. To see why: snow-onboard status {job}"
        )));
    }
    let error = report.error_beside_report();
    let exit = error.as_ref().map_or(ExitCode::Done, |error| ui.failure_of_several(error));
    let code = error.as_ref().map(Error::code);
    ui.result(
        None,
        &in_words(report),
        VerifyResult { is_whole: error.is_none(), code, proves: report.proves(), report },
    );
    exit
}

#[derive(Serialize)]
struct VerifyResult<'a> {
    is_whole: bool,
    /// The error that it ends with.
    code: Option<&'static str>,
    /// What that proves and what not.
    proves: Option<String>,
    #[serde(flatten)]
    report: &'a AuditReport,
}

#[derive(Serialize)]
struct ShowResult {
    lines: Vec<AuditEntry>,
}

fn in_words(report: &AuditReport) -> String {
    let path = report.path.display();
    let Some(head) = report.head.filter(|_| report.flaws.is_empty()) else {
        let next = report.flaws.iter().skip(1).map(|flaw| flaw.advice).chain([""]);
        // Of several with the same advice the last one has it.
        let flaws = report.flaws.iter().zip(next).map(|(flaw, next)| match flaw.advice {
            advice if advice == next => format!("  {}", flaw.text),
            advice => format!("  {}\n    {advice}", flaw.text),
        });
        let flaws: Vec<String> = flaws.collect();
        return match (report.flaws.is_empty(), report.exists) {
            (false, _) => format!("The audit log {path} is not as it was written.\n\n{}", flaws.join("\n")),
            (true, false) => format!("There is no audit log yet. It will be {path}."),
            (true, true) => format!(
                "The audit log {path} has {}, and none is in a chain: an older version wrote them. The chain begins with the next line, and covers them from then on.",
                count(report.lines)
            ),
        };
    };
    let mut text = format!("The audit log {path} is as it was written: {}.\n\n  Head  {head}", count(report.lines));
    if let Some(first) = report.unchained.first() {
        let more = report.unchained.len() - 1;
        let others = if more == 0 { String::new() } else { format!(" and {more} more") };
        text.push_str(&format!(
            "\n  Line {first}{others} in no chain, but covered by a later line: written by an older version, interrupted by a power cut, or added by hand"
        ));
    }
    text.push_str(&report.proves().map(|proves| format!("\n\n{proves}")).unwrap_or_default());
    text
}

fn count(lines: u64) -> String {
    if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") }
}

fn table(entries: &[AuditEntry]) -> String {
    if entries.is_empty() {
        return "The audit log has no line.".to_owned();
    }
    let row = |entry: &AuditEntry| {
        let (line, at, mark) = (entry.line, utc_in_words(entry.at), entry.mark());
        let session = entry.session().map(|session| format!("\n    {session}")).unwrap_or_default();
        format!("{line}  {at}  {}{mark}\n    {}, by {}{session}", entry.job(), entry.what(), entry.who())
    };
    entries.iter().map(row).collect::<Vec<_>>().join("\n")
}
