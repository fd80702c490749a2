//! The audit log, read and looked at: what is wrong with it, and what it says of a job.

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::actor::account_in_words;
use super::chain::AuditChain;
use super::{Audit, AuditFlaw, MAX_WAIT};
use crate::error::{Error, Result};
use crate::model::{AuditCopy, AuditHead, Record, TargetId};
use crate::safety::path_trust::OpenMode;
use crate::safety::sanitize::sanitize;
use crate::store::StateFolder;

/// So many flaws are told in an error; a result has all.
const MAX_TOLD: usize = 5;

/// A line of the log, as far as this version reads it, sanitized.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct AuditEntry {
    /// Its line.
    #[serde(skip_deserializing)]
    pub line: u64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Which job.
    pub job: String,
    /// Which step.
    pub step: String,
    /// Whether it is a link of the chain: if not, nothing shows that this program wrote it.
    #[serde(skip_deserializing)]
    pub is_in_chain: bool,
    /// The command that it was for.
    #[serde(default)]
    pub purpose: Option<String>,
    /// The client's command that it was for, where that was one of the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
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
    /// The addresses of the session with the client that it is about. As with what follows, none in lines of an older version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The hand-over method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The client's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// The client's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_sha256: Option<String>,
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
        pairs
            .chain(hand_overs)
            .chain(record.audit_head)
            .map(move |head| Self { by: by.clone(), head })
            .collect::<Vec<_>>()
            .into_iter()
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
    /// The last line whose head is known elsewhere: what follows it could be cut off without a trace.
    pub known_to: Option<u64>,
    /// What is wrong.
    pub flaws: Vec<AuditFlaw>,
    /// Jobs of which the record can't be read, so that the head that it knows was not compared.
    pub unread: Vec<TargetId>,
    /// The lines about the job that was asked for.
    #[serde(skip)]
    pub entries: Vec<AuditEntry>,
}

impl AuditReport {
    /// What is proven by a log without a flaw, and what is not: whole sentences. `None` of one with flaws, or without a chain.
    pub(crate) fn proves(&self) -> Option<String> {
        self.head.filter(|_| self.flaws.is_empty())?;
        let edited = match self.known_to {
            Some(line) if line == self.lines => "This proves that nobody edited a part of it.".to_owned(),
            Some(line) => format!(
                "This proves that nobody edited a part of it up to line {line}, the last one that a record or receipt knows. If lines after it were removed at the end, nothing shows it."
            ),
            None => "This proves that nobody edited a part of what is there. No record knows a line of it. If lines at its end were removed, nothing shows it.".to_owned(),
        };
        Some(format!(
            "{edited} Who can act as this user can write all of it anew: for that, compare the head with a receipt, or the lines with the system's log (setting audit_copy)."
        ))
    }
}

impl Audit {
    /// Reads the log to its end and compares it with the heads that are known. Keeps the lines about `job`, or all.
    ///
    /// # Errors
    /// [`Error::Disk`]; [`Error::AuditBusy`].
    pub(crate) fn verify(&self, known: &[KnownHead], job: Option<&TargetId>) -> Result<AuditReport> {
        let reading = |error: io::Error| Error::disk("Reading", &self.path, error);
        let mut chain = AuditChain::new();
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
                    entry.filter(|entry| job.is_none_or(|job| entry.job == job.as_str())).map(|entry| AuditEntry {
                        line,
                        is_in_chain: head.is_some(),
                        ..entry.sanitized()
                    }),
                );
            });
            read.map_err(reading)?;
        }
        let mut flaws = std::mem::take(&mut chain.flaws);
        flaws.extend(chain.flaws_at_end());
        let is_known = |seen: &AuditHead| known.iter().any(|known| known.head == *seen);
        let known_to = seen.iter().filter(|(_, head)| is_known(head)).map(|(line, _)| *line).max();
        flaws.extend(flaws_of_heads(known, &seen, chain.lines, chain.head()));
        Ok(AuditReport {
            path: self.path.clone(),
            exists,
            lines: chain.lines,
            chain_begins: chain.begins,
            head: chain.head(),
            unchained: chain.covered,
            known_to,
            flaws,
            unread: Vec::new(),
            entries,
        })
    }
}

/// Reads the log of the state folder `root`, which is not made and not changed, and compares it with the heads that the records
/// know, and with `head`. Keeps the lines about `job`, or all.
///
/// # Errors
/// Those of [`StateFolder::kept_below`]; [`Error::AuditBusy`].
pub(crate) fn verify_audit(root: &Path, head: Option<KnownHead>, job: Option<&TargetId>) -> Result<AuditReport> {
    // Before the log is: what a record knows is in the log by then.
    let records = StateFolder::kept_below(root)?;
    let unread = records.iter().filter(|(_, record)| record.is_none()).map(|(job, _)| job.clone()).collect();
    let known = records.iter().filter_map(|(_, record)| record.as_ref()).flat_map(KnownHead::of).chain(head);
    let report = Audit::below(root, AuditCopy::None).verify(&known.collect::<Vec<_>>(), job)?;
    Ok(AuditReport { unread, ..report })
}

impl AuditReport {
    /// What is wrong, as an error.
    pub(crate) fn error(&self) -> Option<Error> {
        let flaws: Vec<&str> = self.flaws.iter().map(|flaw| flaw.text.as_str()).collect();
        let more = flaws.len().saturating_sub(MAX_TOLD);
        let others = if more == 0 { String::new() } else { format!("; and {more} more") };
        (!flaws.is_empty()).then(|| Error::AuditAltered {
            path: self.path.display().to_string(),
            flaws: format!("{}{others}", flaws.into_iter().take(MAX_TOLD).collect::<Vec<_>>().join("; ")),
        })
    }
}

impl AuditReport {
    /// The same beside a report that tells each flaw.
    pub(crate) fn error_beside_report(&self) -> Option<Error> {
        let count = self.flaws.len();
        let flaws = if count == 1 { "1 flaw".to_owned() } else { format!("{count} flaws") };
        (count > 0).then(|| Error::AuditAltered {
            path: self.path.display().to_string(),
            flaws: format!("{flaws}, listed in the report"),
        })
    }
}

impl AuditEntry {
    fn sanitized(self) -> Self {
        let tidy = |text: Option<String>| text.map(|text| sanitize(&text));
        Self {
            job: sanitize(&self.job),
            step: sanitize(&self.step),
            purpose: tidy(self.purpose),
            command: tidy(self.command),
            user: tidy(self.user),
            sid: tidy(self.sid),
            host: tidy(self.host),
            manifest_sha256: tidy(self.manifest_sha256),
            addresses: self.addresses.iter().map(|address| sanitize(address)).collect(),
            method: tidy(self.method),
            client_version: tidy(self.client_version),
            client_sha256: tidy(self.client_sha256),
            ..self
        }
    }

    /// The job.
    pub(crate) fn job(&self) -> &str {
        &self.job
    }

    /// What to say of a line that is in no chain; nothing for any other.
    pub(crate) fn mark(&self) -> &'static str {
        if self.is_in_chain { "" } else { ", IN NO CHAIN" }
    }

    /// What was done, and for which command.
    pub(crate) fn what(&self) -> String {
        let step = match self.step.as_str() {
            "kept" => "code and manifest stored",
            "fetched" => "code and manifest fetched for this run alone, not stored",
            "hand_over_begun" => "hand-over to the client begun",
            "hand_over_failed" => "hand-over failed",
            "handed_over" => "code and manifest handed to the client",
            "handed_over_on_command_line" => "code put on the client's command line",
            "unlocked" => "device UNLOCKED",
            "not_unlocked" => "device not unlocked in time",
            "profile_written" => "profile written into the AWS CLI's settings",
            "profile_removed" => "profile removed from the AWS CLI's settings",
            "device_key_written_to_file" => "the device's secret key written into a file that was asked for",
            "device_key_stored" => "the device's secret key read and stored in the keychain",
            "forgotten" => "stored data removed",
            "removed_by_policy" => "code and manifest removed, as the setting keep says",
            "client_profile_removed" => "profile removed from the client's own settings",
            other => other,
        };
        let command = self.command.as_ref().map(|command| format!(": {command}")).unwrap_or_default();
        let purpose = self.purpose.as_ref().map(|purpose| format!(" ({purpose}{command})")).unwrap_or_default();
        let manifest = self.manifest_sha256.as_ref().map(|digest| format!(", manifest SHA-256 {digest}"));
        format!("{step}{purpose}{}", manifest.unwrap_or_default())
    }

    /// At which device and with which client, where the line says so.
    pub(crate) fn session(&self) -> Option<String> {
        let addresses = self.addresses.join(", ");
        let parts = [
            (!addresses.is_empty()).then(|| format!("device at {addresses}")),
            self.method.as_ref().map(|method| format!("method {method}")),
            self.client_version.as_ref().map(|version| format!("client version {version}")),
            self.client_sha256.as_ref().map(|digest| format!("client SHA-256 {digest}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// Who did it: "anna (uid 1000) on laptop, process 4711".
    pub(crate) fn who(&self) -> String {
        let mut text = account_in_words(self.user.as_deref(), self.uid, self.sid.as_deref(), self.host.as_deref());
        if let Some(pid) = self.pid {
            text.push_str(&format!(", process {pid}"));
        }
        text
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
        let missing = if count == 1 { "1 line is missing".to_owned() } else { format!("{count} lines are missing") };
        let knows = format!("{by} knows line {} of the chain", head.seq);
        let text = match last {
            Some(_) => format!("{missing} at the end, after line {lines}: {knows}"),
            None => format!("{missing}: {knows}, and the log has none of it"),
        };
        flaws.push(AuditFlaw::cut_off(lines, text));
    }
    for KnownHead { by, head } in known.iter().filter(|known| known.head.seq <= end) {
        let mut with_number = seen.iter().filter(|(_, seen)| seen.seq == head.seq).peekable();
        let line = with_number.peek().map_or(lines, |(line, _)| *line);
        if !with_number.any(|(_, seen)| seen == head) {
            let text = format!("line {line} is not as {by} knows it");
            if !flaws.iter().any(|flaw| flaw.text == text) {
                flaws.push(AuditFlaw::altered(line, text));
            }
        }
    }
    flaws
}
