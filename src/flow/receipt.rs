//! The receipt of a job: what was done, when, by whom, with what, as the record and the audit log have it. Never a secret.

use serde::Serialize;
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::model::{
    AuditHead, ClusterNode, HandOverRecord, JobSummary, KeychainKind, ManifestDigest, Record, TargetId,
};
use crate::report::utc_in_words;
use crate::safety::sanitize::sanitize;
use crate::settings::Settings;
use crate::store::{AuditEntry, AuditFlaw, AuditReport, StateFolder, this_account_in_words, verify_audit};

/// What is known of a job.
#[derive(Debug, Serialize)]
pub(crate) struct Receipt {
    /// When this was put together.
    #[serde(with = "time::serde::rfc3339")]
    written_at: OffsetDateTime,
    /// By whom.
    written_by: String,
    /// With which version of this program.
    version: &'static str,
    #[serde(skip)]
    job: TargetId,
    /// What AWS said of the job when the pair was fetched; none if the record is gone.
    summary: Option<JobSummary>,
    /// The nodes, if the pair is a cluster's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<ClusterNode>,
    /// The pair, if it is stored.
    pair: Option<ReceiptPair>,
    /// The latest hand-overs; none if the record is gone.
    hand_overs: Vec<HandOverRecord>,
    /// The audit log's lines about the job.
    lines: Vec<AuditEntry>,
    audit: ReceiptAudit,
}

#[derive(Debug, Serialize)]
struct ReceiptPair {
    #[serde(with = "time::serde::rfc3339")]
    fetched_at: OffsetDateTime,
    keychain: KeychainKind,
    manifest_sha256: ManifestDigest,
    manifest_bytes: u64,
}

/// How the audit log is.
#[derive(Debug, Serialize)]
struct ReceiptAudit {
    path: String,
    is_whole: bool,
    /// What that proves and what not; nothing where it is not whole.
    proves: Option<String>,
    head: Option<AuditHead>,
    flaws: Vec<AuditFlaw>,
    /// Lines in all.
    #[serde(skip)]
    lines: u64,
}

/// A part of a receipt that is shown: rows of a name and what there is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReceiptSection {
    pub(super) title: String,
    pub(super) rows: Vec<(String, String)>,
}

impl Receipt {
    /// Reads what is known of `job`. Nothing is changed.
    ///
    /// # Errors
    /// [`Error::ReceiptEmpty`] if nothing is; those of the record and of the audit log.
    pub(crate) fn of(job: &TargetId, settings: &Settings) -> Result<Self> {
        let record = StateFolder::record_below(&settings.state_dir, job)?;
        let report = verify_audit(&settings.state_dir, None, Some(job))?;
        if record.is_none() && report.entries.is_empty() {
            return Err(Error::ReceiptEmpty { job: job.to_string() });
        }
        Ok(Self::from(job, record, report))
    }

    fn from(job: &TargetId, record: Option<Record>, report: AuditReport) -> Self {
        let nodes = record.as_ref().map(|record| record.nodes.clone()).unwrap_or_default();
        let (summary, pair, hand_overs) =
            record.map_or((None, None, Vec::new()), |record| (Some(record.summary), record.pair, record.hand_overs));
        let proves = report.proves();
        Self {
            written_at: OffsetDateTime::now_utc(),
            written_by: this_account_in_words(),
            version: env!("CARGO_PKG_VERSION"),
            job: job.clone(),
            summary: summary.map(sanitized),
            nodes,
            pair: pair.map(|pair| ReceiptPair {
                fetched_at: pair.fetched_at,
                keychain: pair.keychain,
                manifest_sha256: pair.manifest_sha256,
                manifest_bytes: pair.manifest_bytes,
            }),
            hand_overs,
            lines: report.entries,
            audit: ReceiptAudit {
                path: report.path.display().to_string(),
                is_whole: report.flaws.is_empty(),
                proves,
                head: report.head,
                lines: report.lines,
                flaws: report.flaws,
            },
        }
    }

    /// What it is headed by.
    pub(super) fn title(&self) -> String {
        format!("Receipt for {}", self.job)
    }

    /// For people, in lines.
    pub(crate) fn in_words(&self) -> String {
        let mut text = self.title();
        for ReceiptSection { title, rows } in self.sections() {
            text.push_str(&format!("\n\n{title}\n"));
            let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
            for (name, said) in rows {
                text.push_str(&format!("\n  {name:width$}  {said}"));
            }
        }
        text
    }

    pub(super) fn sections(&self) -> Vec<ReceiptSection> {
        let section = |title: &str, rows| ReceiptSection { title: title.to_owned(), rows };
        let mut sections = vec![section("Job", self.job_rows()), section("Code and manifest", self.pair_rows())];
        for hand_over in &self.hand_overs {
            sections
                .push(section(&format!("Hand-over of {}", utc_in_words(hand_over.at)), self.hand_over_rows(hand_over)));
        }
        let steps = self.lines.iter().map(|line| {
            let session = line.session().map(|session| format!(", {session}")).unwrap_or_default();
            let (what, who, mark) = (line.what(), line.who(), line.mark());
            (utc_in_words(line.at), format!("{what}{session}, by {who} (line {}{mark})", line.line))
        });
        let mut steps: Vec<_> = steps.collect();
        if steps.is_empty() {
            steps.push(row("Steps", "the audit log has none of this job"));
        }
        sections.push(section("Steps, as the audit log has them", steps));
        sections.push(section("Audit log", self.audit_rows()));
        let written =
            format!("{} by {}, with snow-onboard {}", utc_in_words(self.written_at), self.written_by, self.version);
        sections.push(section("This receipt", vec![row("Written", written)]));
        sections
    }

    fn job_rows(&self) -> Vec<(String, String)> {
        let mut rows = vec![row("Job", self.job.to_string())];
        let Some(summary) = &self.summary else {
            rows.push(row("Record", "removed from this machine. What follows is from the audit log alone."));
            return rows;
        };
        let details = [
            ("Type", summary.kind.clone()),
            ("Device type", summary.device_type.clone()),
            ("Description", summary.description.clone()),
            ("Cluster", summary.cluster.clone()),
            ("Created", summary.created.map(utc_in_words)),
            ("State when fetched", Some(summary.state.clone()).filter(|state| !state.is_empty())),
        ];
        rows.extend(details.into_iter().filter_map(|(name, said)| Some(row(name, said?))));
        let node = |node: &ClusterNode| row("Node", format!("{}: {}", node.name(), node.state_in_words()));
        rows.extend(self.nodes.iter().map(node));
        rows
    }

    fn pair_rows(&self) -> Vec<(String, String)> {
        match &self.pair {
            Some(pair) => vec![
                row("Fetched", utc_in_words(pair.fetched_at)),
                row("Code", format!("in {}", pair.keychain.in_words())),
                row("Manifest", format!("{} bytes", pair.manifest_bytes)),
                row("Manifest SHA-256", pair.manifest_sha256.to_string()),
            ],
            None => vec![row("Stored", "neither is stored on this machine")],
        }
    }

    fn hand_over_rows(&self, hand_over: &HandOverRecord) -> Vec<(String, String)> {
        let unlocked = match hand_over.unlocked_at {
            Some(at) if hand_over.was_open_already => format!("{}, and was before", utc_in_words(at)),
            Some(at) => utc_in_words(at),
            None => "not recorded".to_owned(),
        };
        let exposed = match hand_over.argv_seconds {
            Some(seconds) => format!("yes, for {seconds} s"),
            None => "no".to_owned(),
        };
        let listed = |list: Vec<String>| if list.is_empty() { "not recorded".to_owned() } else { list.join(", ") };
        let mut rows = match self.job.job() {
            Some(_) => vec![
                row("Device address", hand_over.endpoint.to_string()),
                row("Device id", hand_over.device_id.as_ref().map_or("not recorded".to_owned(), ToString::to_string)),
            ],
            None => vec![
                row("Node addresses", listed(hand_over.nodes.iter().map(ToString::to_string).collect())),
                row("Node ids", listed(self.nodes.iter().map(|node| node.job.to_string()).collect())),
            ],
        };
        rows.extend([
            row("UNLOCKED", unlocked),
            row("Method", hand_over.method.in_words()),
            row("Code on a command line", exposed),
            row("Client", format!("version {}", sanitize(&hand_over.client_version))),
            row("Client path", sanitize(&hand_over.client.display().to_string())),
            row("Client SHA-256", hand_over.client_sha256.to_string()),
        ]);
        rows.extend(hand_over.audit_head.map(|head| row("Audit head", head.to_string())));
        rows
    }

    fn audit_rows(&self) -> Vec<(String, String)> {
        let mut rows = vec![row("File", sanitize(&self.audit.path))];
        match &self.audit.flaws[..] {
            [] => rows.push(row("Chain", format!("no flaw in its {} line(s)", self.audit.lines))),
            flaws => rows.extend(flaws.iter().map(|flaw| row("Chain", format!("NOT WHOLE: {}", flaw.text)))),
        }
        rows.extend(self.audit.proves.as_ref().map(|proves| row("What that proves", proves.clone())));
        if let Some(head) = self.audit.head {
            rows.push(row("Audit head", head.to_string()));
            rows.push(row("To check it later", format!("snow-onboard audit verify --head {head}")));
        }
        rows
    }
}

fn row(name: &str, said: impl Into<String>) -> (String, String) {
    (name.to_owned(), said.into())
}

fn sanitized(summary: JobSummary) -> JobSummary {
    let tidy = |text: Option<String>| text.map(|text| sanitize(&text));
    JobSummary {
        state: sanitize(&summary.state),
        kind: tidy(summary.kind),
        device_type: tidy(summary.device_type),
        description: tidy(summary.description),
        cluster: tidy(summary.cluster),
        ..summary
    }
}
