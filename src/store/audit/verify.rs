//! The audit log, read and looked at: what is wrong with it, and what it says of a job.

use std::io::{self, BufReader};
use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::chain::Chain;
use super::{Audit, AuditFlaw, MAX_WAIT};
use crate::error::{Error, Result};
use crate::model::{AuditHead, JobId, Record};
use crate::safety::path_trust::OpenMode;

/// A line of the log, as far as this version reads it. Texts are the file's own and not sanitized.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AuditEntry {
    /// Its line.
    #[serde(skip)]
    pub line: u64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Which job.
    pub job: String,
    /// Which step.
    pub step: String,
    /// The command that it was for.
    #[serde(default)]
    pub purpose: Option<String>,
    /// The account's name: as the system knows it, or in lines without a number, as the environment had it.
    #[serde(default)]
    pub user: Option<String>,
    /// The account's number, on Unix.
    #[serde(default)]
    pub uid: Option<u32>,
    /// Its security identifier, on Windows.
    #[serde(default)]
    pub sid: Option<String>,
    /// The machine.
    #[serde(default)]
    pub host: Option<String>,
    /// The process.
    #[serde(default)]
    pub pid: Option<u32>,
    /// The manifest's digest.
    #[serde(default)]
    pub manifest_sha256: Option<String>,
}

/// A head of the chain that was written down elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownHead {
    /// By whom, as "the record of JID…".
    pub by: String,
    /// The head.
    pub head: AuditHead,
}

impl KnownHead {
    /// Those of a record.
    pub(crate) fn of(record: &Record) -> impl Iterator<Item = Self> {
        let pairs = record.pair.iter().filter_map(|pair| pair.audit_head);
        let hand_overs = record.hand_overs.iter().filter_map(|hand_over| hand_over.audit_head);
        let by = format!("the record of {}", record.job);
        pairs.chain(hand_overs).map(move |head| Self { by: by.clone(), head }).collect::<Vec<_>>().into_iter()
    }
}

/// What a look at the log has found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AuditReport {
    /// The file.
    pub path: PathBuf,
    /// Whether it is there.
    pub exists: bool,
    /// Its lines.
    pub lines: u64,
    /// The first line of the chain; none if no line is in one.
    pub chain_begins: Option<u64>,
    /// Lines that are in no chain, and that a later line covers and counts: what an older version wrote, or a cut one.
    pub unchained: Vec<u64>,
    /// The last line of the chain.
    pub head: Option<AuditHead>,
    /// What is wrong.
    pub flaws: Vec<AuditFlaw>,
    /// The lines about the job that was asked for.
    #[serde(skip)]
    pub entries: Vec<AuditEntry>,
}

impl Audit {
    /// Reads the log to its end and compares it with the heads that are known. Keeps the lines about `job`, or all.
    ///
    /// # Errors
    /// [`Error::Disk`]; [`Error::AuditBusy`].
    pub(crate) fn verify(&self, known: &[KnownHead], job: Option<&JobId>) -> Result<AuditReport> {
        let reading = |error: io::Error| Error::disk("Reading", &self.path, error);
        let mut chain = Chain::new();
        let (mut entries, mut seen) = (Vec::new(), Vec::new());
        let file = self.open_existing(OpenMode::Read)?;
        let exists = file.is_some();
        if let Some(file) = file {
            // While a line is being written, what is there of it looks cut.
            self.lock(Instant::now() + MAX_WAIT, || file.try_lock_shared())?;
            let read = chain.read(BufReader::new(&file), |line, text, head| {
                if let Some(head) = head {
                    seen.extend(known.iter().any(|known| known.head.seq == head.seq).then_some((line, head)));
                }
                let entry = serde_json::from_slice::<AuditEntry>(text).ok();
                entries.extend(
                    entry
                        .filter(|entry| job.is_none_or(|job| entry.job == job.as_str()))
                        .map(|entry| AuditEntry { line, ..entry }),
                );
            });
            read.map_err(reading)?;
        }
        let mut flaws = std::mem::take(&mut chain.flaws);
        flaws.extend(chain.flaw_at_end());
        flaws.extend(flaws_of_heads(known, &seen, chain.lines, chain.head()));
        Ok(AuditReport {
            path: self.path.clone(),
            exists,
            lines: chain.lines,
            chain_begins: chain.begins,
            head: chain.head(),
            unchained: chain.covered,
            flaws,
            entries,
        })
    }
}

/// What heads that were written down elsewhere tell of a log: `seen` are its lines with a number that one of them has.
fn flaws_of_heads(
    known: &[KnownHead],
    seen: &[(u64, AuditHead)],
    lines: u64,
    last: Option<AuditHead>,
) -> Vec<AuditFlaw> {
    let mut flaws: Vec<AuditFlaw> = Vec::new();
    let end = last.map_or(0, |head| head.seq);
    // Of those past the end, the one that misses most says it all.
    if let Some(KnownHead { by, head }) = known.iter().filter(|known| known.head.seq > end).max_by_key(|it| it.head.seq)
    {
        let count = head.seq - end;
        let missing = if count == 1 { "1 line is".to_owned() } else { format!("{count} lines are") };
        flaws.push(AuditFlaw {
            line: lines,
            text: format!(
                "{missing} missing at the end, after line {lines}: {by} knows line {} of the chain",
                head.seq
            ),
        });
    }
    for KnownHead { by, head } in known.iter().filter(|known| known.head.seq <= end) {
        let mut with_number = seen.iter().filter(|(_, seen)| seen.seq == head.seq).peekable();
        let line = with_number.peek().map_or(lines, |(line, _)| *line);
        if !with_number.any(|(_, seen)| seen == head) {
            let text = format!("line {line} is not as {by} knows it");
            if !flaws.iter().any(|flaw| flaw.text == text) {
                flaws.push(AuditFlaw { line, text });
            }
        }
    }
    flaws
}
