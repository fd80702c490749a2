//! `jobs`: the account's jobs, which are ready, which are kept here.

use std::collections::BTreeSet;

use serde::Serialize;
use time::OffsetDateTime;

use crate::cloud::Cloud;
use crate::error::{Error, Result};
use crate::flow::{About, apply_keep, open_state_folder};
use crate::model::{ClusterId, JobFacts, JobId, Readiness, TargetId};
use crate::report::{Reporter, age_in_words};
use crate::safety::sanitize::sanitize;
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::Ui;

#[derive(Serialize)]
struct JobsResult {
    jobs: Vec<JobRow>,
}

/// A job of the account, everything foreign in it cleaned.
#[derive(Clone, Serialize)]
pub(super) struct JobRow {
    job: String,
    state: String,
    /// `None` where the state does not tell: AWS decides.
    ready: Option<bool>,
    kept: bool,
    kind: Option<String>,
    device_type: Option<String>,
    description: Option<String>,
    tracking_number: Option<String>,
    cluster: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    created: Option<OffsetDateTime>,
    #[serde(skip)]
    state_in_words: String,
}

pub(super) fn jobs(settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<()> {
    // It makes none, but where there is one a leftover of an earlier run goes.
    if StateFolder::is_there(&settings.state_dir)? {
        let state = open_state_folder(&settings.state_dir, reporter)?;
        apply_keep(&state, settings, About::All, reporter);
    }
    let kept = StateFolder::pairs_below(&settings.state_dir)?;
    let cloud = Cloud::open(&settings.cloud(), reporter.shared())?;
    let mut rows: Vec<JobRow> = cloud.jobs()?.into_iter().map(|job| JobRow::new(job, &kept)).collect();
    // What is ready first, then what may be, then the youngest.
    let readiness = |row: &JobRow| row.ready.map_or(1, |ready| if ready { 2 } else { 0 });
    rows.sort_by(|a, b| readiness(b).cmp(&readiness(a)).then(b.created.cmp(&a.created)));
    ui.result(None, &table(&rows, OffsetDateTime::now_utc(), |command| ui.hint(command)), JobsResult { jobs: rows });
    Ok(())
}

impl JobRow {
    /// `kept` are the ids of the jobs whose pairs are here.
    pub(super) fn new(job: JobFacts, kept: &BTreeSet<String>) -> Self {
        let cleaned = |text: Option<String>| text.map(|text| sanitize(&text)).filter(|text| !text.is_empty());
        Self {
            ready: match job.state.readiness() {
                _ if job.is_main => Some(false),
                Readiness::Ready => Some(true),
                Readiness::OnItsWay => None,
                _ => Some(false),
            },
            kept: kept.contains(&job.id) || job.cluster.as_ref().is_some_and(|cluster| kept.contains(cluster)),
            state: sanitize(job.state.as_api()),
            state_in_words: if job.is_main {
                "main job, without a device".to_owned()
            } else {
                job.state.in_words().to_owned()
            },
            job: sanitize(&job.id),
            kind: cleaned(job.kind),
            device_type: cleaned(job.device_type),
            description: cleaned(job.description),
            tracking_number: cleaned(job.tracking_number),
            cluster: cleaned(job.cluster),
            created: job.created,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.job
    }

    /// The cluster that `run` opens its device with, if it has been delivered.
    pub(super) fn ready_in_cluster(&self) -> Option<&str> {
        self.cluster.as_deref().filter(|_| self.ready == Some(true))
    }

    /// Whether `run` can open its device, as far as the state tells: a node of a cluster it can't open by itself.
    pub(super) fn is_for_one_device(&self) -> bool {
        self.ready == Some(true) && self.cluster.is_none()
    }

    /// What it is, how old, how it was sent; in one line, for whoever is to know it again.
    pub(super) fn in_words(&self, now: OffsetDateTime) -> String {
        let kept = self.kept.then(|| "kept here".to_owned());
        let parts = [self.what(), self.age(now), self.tracking(), kept];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { self.state_in_words.clone() } else { parts.join(", ") }
    }

    /// The same of the cluster that it is a node of, whose nodes have a tracking number each.
    pub(super) fn in_words_of_cluster(&self, now: OffsetDateTime) -> String {
        Self { cluster: None, tracking_number: None, ..self.clone() }.in_words(now)
    }

    fn what(&self) -> Option<String> {
        let cluster = self.cluster.as_ref().map(|id| format!("node of {id}"));
        let what: Vec<&str> = [&self.device_type, &self.kind, &self.description, &cluster]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        (!what.is_empty()).then(|| what.join(", "))
    }

    fn age(&self, now: OffsetDateTime) -> Option<String> {
        self.created.map(|created| format!("created {}", age_in_words(now - created)))
    }

    fn tracking(&self) -> Option<String> {
        self.tracking_number.as_ref().map(|number| format!("tracking number {number}"))
    }
}

/// `in_full` says again in a command to paste what was given.
fn table(rows: &[JobRow], now: OffsetDateTime, in_full: impl Fn(&str) -> String) -> String {
    if rows.is_empty() {
        return "No jobs in this account and region.".to_owned();
    }
    let mut text = String::new();
    for row in rows {
        let ready = match row.ready {
            Some(true) => Some("ready"),
            None => Some("perhaps ready"),
            Some(false) => None,
        };
        let marks: Vec<&str> = ready.into_iter().chain(row.kept.then_some("kept here")).collect();
        text.push_str(format!("{}  {}", row.job, marks.join(", ")).trim_end());
        text.push_str(&format!("\n    {}", row.state_in_words));
        for part in [row.age(now), row.tracking()].into_iter().flatten() {
            text.push_str(&format!(", {part}"));
        }
        if let Some(what) = row.what() {
            text.push_str(&format!("\n    {what}"));
        }
        // Another text than an id would be pasted with the command.
        let cluster = row.cluster.as_ref().and_then(|cluster| cluster.parse::<ClusterId>().ok());
        if let Some(cluster) = cluster.filter(|_| row.ready == Some(true)) {
            text.push_str(&format!(
                "\n    {}",
                in_full(&format!("unlocked with its cluster: snow-onboard run {cluster}"))
            ));
        }
        text.push('\n');
    }
    text
}

/// None has been delivered, with those that are on their way. `command` makes the one that runs a job.
pub(super) fn no_job_ready(jobs: &[JobFacts], command: impl Fn(Option<&TargetId>) -> String) -> Error {
    const MOST: usize = 3;
    let on_their_way = jobs.iter().filter(|job| job.state.readiness() == Readiness::OnItsWay && !job.is_main);
    let on_their_way: Vec<(JobId, &JobFacts)> =
        on_their_way.filter_map(|job| Some((job.id.parse().ok()?, job))).collect();
    let sentence = |(id, facts): &(JobId, &JobFacts)| {
        let number = facts.tracking_number.as_deref().map(|number| format!(", tracking number {}", sanitize(number)));
        format!(" {id} {}{}.", facts.state.in_words(), number.unwrap_or_default())
    };
    let others = on_their_way.iter().take(MOST).map(sentence).collect();
    let line = |(id, _): &(JobId, &JobFacts)| format!("\n  {} --wait", command(Some(&id.clone().into())));
    let commands: String = on_their_way.iter().take(MOST).map(line).collect();
    let hint = if commands.is_empty() { commands } else { format!("To wait until it is delivered:{commands}\n") };
    Error::NoJobReady { others, hint }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::JobState;

    fn facts(state: JobState) -> JobFacts {
        JobFacts {
            id: "JID123e4567-e89b-12d3-a456-426655440000".to_owned(),
            state,
            kind: Some("LOCAL_USE".to_owned()),
            device_type: Some("EDGE_S".to_owned()),
            description: Some("Ship\u{1b}[2J log".to_owned()),
            created: Some(OffsetDateTime::UNIX_EPOCH),
            tracking_number: Some("1Z999".to_owned()),
            cluster: None,
            is_main: false,
        }
    }

    #[test]
    fn a_row_says_state_type_age_tracking_number_and_readiness() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(12);
        let kept = BTreeSet::from(["JID123e4567-e89b-12d3-a456-426655440000".to_owned()]);
        let text = table(&[JobRow::new(facts(JobState::WithCustomer), &kept)], now, str::to_owned);
        assert_eq!(
            text,
            "JID123e4567-e89b-12d3-a456-426655440000  ready, kept here\n    has been delivered to you, created 12 days ago, tracking number 1Z999\n    EDGE_S, LOCAL_USE, Ship log\n"
        );
        let text = table(&[JobRow::new(facts(JobState::InTransitToCustomer), &BTreeSet::new())], now, str::to_owned);
        assert!(
            text.starts_with("JID123e4567-e89b-12d3-a456-426655440000  perhaps ready\n    is in transit to you"),
            "{text}"
        );
        let node = JobFacts {
            cluster: Some("CID123e4567-e89b-12d3-a456-426655440001".to_owned()),
            ..facts(JobState::WithCustomer)
        };
        let row = JobRow::new(node, &BTreeSet::new());
        assert!(
            !row.is_for_one_device()
                && table(&[row], now, str::to_owned)
                    .contains("with its cluster: snow-onboard run CID123e4567-e89b-12d3-a456-426655440001")
        );
    }
}
