//! `status`: each stored job: what is stored, and the state of its device. With `--watch` again until every device is open.

use std::time::{Duration, Instant};

use serde::Serialize;
use time::OffsetDateTime;

use super::several::side_by_side;
use super::{needs_stored_code, parse_target};
use crate::cli::ShowStatus;
use crate::device::State;
use crate::error::{Error, ErrorReport, ExitCode, Result, longer_than};
use crate::flow::{Depth, JobLook, Requested, SharedClient, SharedKeychains, keep_of, look_at_job};
use crate::model::{ClusterNode, Endpoint, HandOverMethod, KeychainKind, Purpose, Record, TargetId};
use crate::report::{Ask, Backoff, Event, Nobody, Notify, Reporter, age_in_words, utc_in_words, with_jitter};
use crate::safety::sanitize::{phrase, sanitize};
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::{Failure, NamedDevice, Stage, Ui};

/// Between two looks of a watch. Each starts a JVM; a device takes minutes.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A device that was seen to be open so long ago is looked at once more before all are said to be.
const STALE: Duration = Duration::from_secs(120);

/// How long AWS gives code and manifest after the job was created (Snowball API, GetJobManifest). What a device makes of that is not
/// documented, so it is an estimate, and nothing depends on it.
const GIVEN_FOR: time::Duration = time::Duration::days(360);
const NEAR: time::Duration = time::Duration::days(30);

#[derive(Serialize)]
struct StatusResult {
    jobs: Vec<StatusRow>,
}

#[derive(Serialize)]
struct StatusRow {
    job: TargetId,
    #[serde(flatten)]
    content: StatusOfJob,
}

/// What is told of a job, where its line names the job already.
#[derive(Serialize)]
struct StatusOfJob {
    code_stored: Option<bool>,
    manifest_stored: Option<bool>,
    paired: Option<bool>,
    keychain: Option<KeychainKind>,
    #[serde(with = "time::serde::rfc3339::option")]
    fetched_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    estimated_expiry: Option<OffsetDateTime>,
    expiry_is_near: bool,
    /// When the setting `keep` has code and manifest removed, if it names days.
    #[serde(with = "time::serde::rfc3339::option")]
    kept_until: Option<OffsetDateTime>,
    last_hand_over: Option<LastHandOver>,
    endpoint: Option<Endpoint>,
    device: Option<String>,
    /// Of a cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<ClusterNode>,
    /// Of a cluster, when they were so; none if they are now.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    nodes_seen_at: Option<OffsetDateTime>,
    /// Why the look did not get as far as that.
    error: Option<Failure>,
}

#[derive(Serialize)]
struct LastHandOver {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    method: HandOverMethod,
    #[serde(with = "time::serde::rfc3339::option")]
    unlocked_at: Option<OffsetDateTime>,
}

/// A job, and what the last look at it found.
struct WatchedJob {
    job: TargetId,
    record: Option<Record>,
    endpoint: Option<Endpoint>,
    look: JobLook,
    looked_at: Option<Instant>,
}

/// What is the same for every look of one command.
struct LookOut<'a> {
    settings: &'a Settings,
    ui: &'a Ui,
    reporter: &'a Reporter,
    depth: Depth,
}

pub(super) fn status(args: &ShowStatus, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    let named = args.job.as_deref().map(|job| parse_target(job, settings, reporter)).transpose()?;
    if args.has_address_alone() {
        return Err(Error::Usage { why: "--endpoint is the address of one device, so it needs its JOB.".to_owned() });
    }
    needs_stored_code("status", settings)?;
    let stored = match &named {
        Some(job) => {
            reporter.is_about(job);
            let stored = StateFolder::one_below(&settings.state_dir, job)?;
            vec![stored.ok_or_else(|| Error::NotKept { job: job.to_string() })?]
        }
        None => StateFolder::kept_below(&settings.state_dir)?,
    };
    let given = settings.endpoint.clone().filter(|_| named.is_some());
    let mut jobs: Vec<WatchedJob> = stored
        .into_iter()
        .map(|(job, record)| {
            let endpoint = given.clone().or_else(|| record.as_ref().and_then(Record::last_endpoint));
            WatchedJob { job, record, endpoint, look: JobLook::default(), looked_at: None }
        })
        .collect();
    jobs.sort_by(|one, other| one.job.as_str().cmp(other.job.as_str()));
    let depth = if args.offline { Depth::Stored } else { Depth::Device };
    let look_out = LookOut { settings, ui, reporter, depth };
    if args.watch && jobs.is_empty() {
        return Err(Error::NothingToWatch);
    }
    ui.begin_devices(&jobs.iter().map(WatchedJob::named).collect::<Vec<_>>());
    if args.watch {
        return look_out.watch(&mut jobs, named.as_ref());
    }
    look_out.look(&mut jobs, |_| true);
    look_out.result(&jobs, named.as_ref(), &look_out.table(&jobs));
    Ok(ExitCode::Done)
}

impl LookOut<'_> {
    /// Looks at those that are `due`, side by side.
    fn look(&self, jobs: &mut [WatchedJob], due: impl Fn(&WatchedJob) -> bool) {
        let ask: &dyn Ask = if jobs.len() > 1 { &Nobody } else { self.ui };
        let due: Vec<&mut WatchedJob> = jobs.iter_mut().filter(|job| due(job)).collect();
        let (keychains, client) = (SharedKeychains::of(due.len()), SharedClient::default());
        side_by_side(due, self.settings.parallel, |job| {
            let (settings, purpose, reporter) = (self.settings, Purpose::Status, self.reporter.for_job(&job.job));
            let requested = Requested { job: job.job.clone(), purpose, settings, reporter, ask };
            let (record, endpoint) = (job.record.as_ref(), job.endpoint.as_ref());
            job.look = look_at_job(requested, record, endpoint, self.depth, (&keychains, &client));
            job.looked_at = Some(Instant::now());
            if let Some(ErrorReport { code, sentence, .. }) = &job.look.failure {
                tracing::info!(job = %job.job, code, "{}", sanitize(sentence));
            }
        });
    }

    /// Looks until every device is open, as long as waiting may help.
    fn watch(&self, jobs: &mut [WatchedJob], named: Option<&TargetId>) -> Result<ExitCode> {
        let (started, limit) = (Instant::now(), self.settings.wait_timeout);
        let mut pauses = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
        let is_drawn = self.ui.begin_watch(&jobs.iter().map(WatchedJob::named).collect::<Vec<_>>());
        let mut shown: Vec<Option<Shown>> = jobs.iter().map(|_| None).collect();
        loop {
            if jobs.iter().any(|job| !job.is_open()) {
                self.look(jobs, |job| !job.is_open());
            } else {
                self.look(jobs, WatchedJob::is_stale);
            }
            let now: Vec<_> = jobs.iter().map(|job| Some(job.shown())).collect();
            if now != shown {
                self.show_changes(jobs, &shown, is_drawn);
                (shown, pauses) = (now, Backoff::new(FIRST_PAUSE, MAX_PAUSE));
            }
            let left: Vec<&WatchedJob> = jobs.iter().filter(|job| !job.is_open()).collect();
            if left.is_empty() && jobs.iter().any(WatchedJob::is_stale) {
                continue;
            }
            if !left.iter().any(|job| job.may_open()) {
                if is_drawn || self.ui.is_for_programs() {
                    self.result(jobs, named, &self.table(jobs));
                }
                return Ok(self.why_it_ends(&left, is_drawn));
            }
            if started.elapsed() >= limit {
                if is_drawn {
                    self.result(jobs, named, &self.table(jobs));
                }
                let states: Vec<String> = left.iter().map(|job| format!("{} {}", job.job, job.in_short())).collect();
                let which = match (left.len(), jobs.len()) {
                    (_, 1) => "The device".to_owned(),
                    (left, all) => format!("{left} of {all} devices"),
                };
                let (seconds, longer) = (limit.as_secs(), longer_than(limit, 12 * 60));
                let job = match left.as_slice() {
                    [one] => one.job.to_string(),
                    _ => "--all".to_owned(),
                };
                return Err(Error::WatchTimeout { job, which, states: states.join(", "), seconds, longer });
            }
            let what = match (left.len(), jobs.len()) {
                (_, 1) => "the device to be UNLOCKED".to_owned(),
                (left, all) => format!("{left} of {all} devices to be UNLOCKED"),
            };
            self.reporter.notify(Event::Waiting { what, so_far: started.elapsed() });
            let pause = with_jitter(pauses.next(), 0.9..=1.1);
            std::thread::sleep(pause.min(limit.saturating_sub(started.elapsed())));
        }
    }

    /// Tells why those that are `left` are not waited for, where no table has it. Gives the exit code: that of the first.
    fn why_it_ends(&self, left: &[&WatchedJob], is_drawn: bool) -> ExitCode {
        let failures: Vec<(&TargetId, &ErrorReport)> =
            left.iter().filter_map(|job| Some((&job.job, job.look.failure.as_ref()?))).collect();
        if !is_drawn {
            failures.iter().for_each(|(job, failure)| _ = self.ui.failure_of_one(job, failure));
        }
        failures.first().map_or(ExitCode::Done, |(_, failure)| failure.exit)
    }

    /// In the table where one is drawn; elsewhere tells of what changed, a line or an event each.
    fn show_changes(&self, jobs: &[WatchedJob], before: &[Option<Shown>], is_drawn: bool) {
        for (job, before) in jobs.iter().zip(before) {
            if before.as_ref() == Some(&job.shown()) {
                continue;
            }
            if is_drawn {
                let stage = if job.is_open() { Stage::Open } else { Stage::AtWork };
                let why = job.look.failure.as_ref().map(|failure| format!("state not known: {}", failure.sentence));
                self.ui.device_is(&job.job, stage, &why.unwrap_or_else(|| job.in_short()));
            } else {
                let at = utc_in_words(OffsetDateTime::now_utc());
                let text = format!("{at}  {}  {}", job.job, job.in_short());
                self.ui.told("status", &job.job, &text, self.row(job).content);
            }
        }
    }

    fn result(&self, jobs: &[WatchedJob], named: Option<&TargetId>, text: &str) {
        self.ui.result(named, text, StatusResult { jobs: jobs.iter().map(|job| self.row(job)).collect() });
    }

    fn row(&self, watched: &WatchedJob) -> StatusRow {
        let WatchedJob { job, record, endpoint, look, .. } = watched;
        let pair = record.as_ref().and_then(|record| record.pair.as_ref());
        let last = record.as_ref().and_then(|record| record.hand_overs.last());
        let expiry = watched.estimated_expiry();
        let content = StatusOfJob {
            code_stored: look.code_stored,
            manifest_stored: look.manifest_stored,
            paired: look.paired,
            keychain: pair.map(|pair| pair.keychain),
            fetched_at: pair.map(|pair| pair.fetched_at),
            estimated_expiry: expiry,
            expiry_is_near: expiry.is_some_and(is_near),
            kept_until: pair.and_then(|pair| keep_of(record.as_ref()?, self.settings).0.ends(pair.fetched_at)),
            last_hand_over: last.map(|last| LastHandOver {
                at: last.at,
                method: last.method,
                unlocked_at: last.unlocked_at,
            }),
            endpoint: endpoint.clone(),
            device: look.state.as_ref().map(|state| state.as_str().to_owned()),
            nodes: job_nodes(look, record.as_ref()),
            nodes_seen_at: nodes_seen_at(look, record.as_ref()),
            error: look.failure.as_ref().map(|failure| self.ui.failure_of_row(failure)),
        };
        StatusRow { job: job.clone(), content }
    }

    fn table(&self, jobs: &[WatchedJob]) -> String {
        if jobs.is_empty() {
            return "No job is stored on this machine.".to_owned();
        }
        let now = OffsetDateTime::now_utc();
        jobs.iter().map(|job| self.entry(job, now)).collect()
    }

    /// A job in words, a fact a line.
    fn entry(&self, watched: &WatchedJob, now: OffsetDateTime) -> String {
        let WatchedJob { job, record, endpoint, look, .. } = watched;
        let at = endpoint.as_ref().map_or("address not known".to_owned(), |endpoint| format!("at {endpoint}"));
        let mut text = match (&look.state, self.depth) {
            (Some(state), _) => format!("{job}  {} {at}\n", state.as_str()),
            (None, Depth::Device) => format!("{job}  state not known, {at}\n"),
            (None, Depth::Stored) => format!("{job}  {at}\n"),
        };
        let mut line = |line: &str| text.push_str(&format!("    {line}\n"));
        if let Some(pair) = record.as_ref().and_then(|record| record.pair.as_ref()) {
            let fetched = age_in_words(now - pair.fetched_at);
            line(&format!("{}; fetched {fetched}; keychain: {}", halves_in_words(look), pair.keychain.in_words()));
            let keep = record.as_ref().map(|record| keep_of(record, self.settings).0);
            if let Some(end) = keep.and_then(|keep| keep.ends(pair.fetched_at)) {
                line(&format!("removed after {}, as the setting keep says", day(end)));
            }
        }
        if let Some(last) = record.as_ref().and_then(|record| record.hand_overs.last()) {
            let ended = if last.unlocked_at.is_some() { "unlocked" } else { "not seen to unlock" };
            line(&format!("last hand-over {}: {ended}; {}", age_in_words(now - last.at), last.method.in_words()));
        }
        if let Some(expiry) = watched.estimated_expiry() {
            let day = day(expiry);
            line(&match (is_near(expiry), expiry < now) {
                (_, true) => format!(
                    "Warning: AWS gave the code and manifest probably until {day} only (an estimate). A new pair may no longer be available."
                ),
                (true, false) => format!(
                    "Warning: AWS gives the code and manifest probably until {day} (an estimate), which is in {} days. After that a new pair may not be available.",
                    (expiry - now).whole_days()
                ),
                (false, false) => format!("AWS gives code and manifest probably until {day} (an estimate)"),
            });
        }
        let seen = nodes_seen_at(look, record.as_ref());
        for node in job_nodes(look, record.as_ref()) {
            let was = seen.filter(|_| node.state.is_some()).map(|at| format!("last seen {}: ", utc_in_words(at)));
            line(&format!("node {}: {}{}", node.name(), was.unwrap_or_default(), node.state_in_words()));
        }
        if let Some(failure) = &look.failure {
            let Failure { text: said, hint, .. } = self.ui.failure_of_row(failure);
            line(&said);
            hint.lines().for_each(line);
        }
        text
    }
}

/// What a change is told by.
type Shown = (Option<State>, Option<&'static str>, Option<bool>);

impl WatchedJob {
    fn named(&self) -> NamedDevice {
        NamedDevice { job: self.job.clone(), label: None, endpoint: self.endpoint.clone() }
    }

    fn shown(&self) -> Shown {
        (self.look.state.clone(), self.look.failure.as_ref().map(|failure| failure.code), self.look.paired)
    }

    fn is_open(&self) -> bool {
        self.look.state == Some(State::Unlocked)
    }

    fn is_stale(&self) -> bool {
        self.looked_at.is_none_or(|at| at.elapsed() > STALE)
    }

    /// Whether waiting may help: the device answers, or what keeps it from that may pass by itself.
    fn may_open(&self) -> bool {
        const FOR_GOOD: [&str; 2] = ["device_is_another", "device_unidentified"];
        const MAY_PASS: [ExitCode; 3] = [ExitCode::Device, ExitCode::DeviceTimeout, ExitCode::Busy];
        self.look.failure.as_ref().is_none_or(|ErrorReport { code, exit, .. }| {
            MAY_PASS.contains(exit) && !FOR_GOOD.contains(code) || ["client_hung", "guard_lost"].contains(code)
        })
    }

    fn in_short(&self) -> String {
        match (&self.look.state, &self.look.failure) {
            (Some(state), _) => state.as_str().to_owned(),
            (None, Some(failure)) => format!("not known: {}", phrase(&failure.sentence)),
            (None, None) => "not known".to_owned(),
        }
    }

    fn estimated_expiry(&self) -> Option<OffsetDateTime> {
        Some(self.record.as_ref()?.summary.created? + GIVEN_FOR)
    }
}

/// The nodes of a cluster: as they were seen, else as the record has them.
fn job_nodes(look: &JobLook, record: Option<&Record>) -> Vec<ClusterNode> {
    let recorded = || record.map(|record| record.nodes.clone()).unwrap_or_default();
    if look.nodes.is_empty() { recorded() } else { look.nodes.clone() }
}

/// When the nodes were seen as the record has them, with the last hand-over that told of them; nothing of those that are seen now.
fn nodes_seen_at(look: &JobLook, record: Option<&Record>) -> Option<OffsetDateTime> {
    let record = record.filter(|record| look.nodes.is_empty() && !record.nodes.is_empty())?;
    record.hand_overs.last().map(|last| last.unlocked_at.unwrap_or(last.at))
}

fn day(at: OffsetDateTime) -> String {
    utc_in_words(at).chars().take("2026-01-31".len()).collect()
}

fn is_near(expiry: OffsetDateTime) -> bool {
    expiry - OffsetDateTime::now_utc() < NEAR
}

fn halves_in_words(look: &JobLook) -> &'static str {
    match (look.paired, look.code_stored, look.manifest_stored) {
        (Some(true), ..) => "code and manifest match",
        (_, Some(false), Some(false)) => "neither code nor manifest is stored",
        (_, Some(false), _) => "the code is not in the keychain",
        (_, _, Some(false)) => "the manifest is not on the disk",
        (Some(false), ..) => "code and manifest do not match",
        (None, ..) => "code and manifest not looked at",
    }
}
