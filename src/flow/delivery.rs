//! Waiting for a job that is still on its way (`--wait`).

use std::borrow::Borrow;
use std::time::{Duration, Instant};

use crate::cloud::{Cloud, FetchedPair};
use crate::error::{Error, ExitCode, Result, longer_than};
use crate::model::{JobId, Readiness};
use crate::report::{Event, Notify, with_jitter};

/// No faster than this: the service publishes no limit, and a state changes a few times in weeks.
const BETWEEN_LOOKS: Duration = Duration::from_secs(60);

/// Fetches; when the job is not ready yet, looks at its state about once a minute, and fetches again when that has
/// changed. Whether the pair can be had is the API's answer alone, but it is not asked for without a reason: each time it
/// is leaves a line in the account's CloudTrail.
///
/// `fetch` is told whether there has been a wait. A connection lives for one call of it or one look: what it has carried
/// lies in its buffers, and is not to lie there for hours. `patience` is how long all of it may take; `None` waits for
/// nothing.
///
/// # Errors
/// Those of `open` and `fetch`: after `patience` [`Error::JobNotReady`]; those of looking, save the network's, which may be better at
/// the next look.
pub(super) fn fetch_when_delivered<C: Borrow<Cloud>>(
    open: impl Fn() -> Result<C>,
    patience: Option<Duration>,
    notify: &dyn Notify,
    mut fetch: impl FnMut(&Cloud, bool) -> Result<FetchedPair>,
) -> Result<FetchedPair> {
    let started = Instant::now();
    let mut has_waited = false;
    loop {
        let not_ready = match fetch(open()?.borrow(), has_waited) {
            Err(error @ Error::JobNotReady { .. }) => error,
            result => return result,
        };
        let Some(patience) = patience else { return Err(not_ready) };
        wait_for_change(&open, not_ready, (started, patience), notify)?;
        has_waited = true;
    }
}

/// Waits until the job is in another state than the one that `not_ready` names.
fn wait_for_change<C: Borrow<Cloud>>(
    open: impl Fn() -> Result<C>,
    not_ready: Error,
    (started, patience): (Instant, Duration),
    notify: &dyn Notify,
) -> Result<()> {
    // Of a cluster it is the job of the node that was asked for.
    let Error::JobNotReady { job: id, was, state, .. } = &not_ready else { return Err(not_ready) };
    let Ok(job) = id.parse::<JobId>() else { return Err(not_ready) };
    loop {
        notify
            .notify(Event::Waiting { what: format!("{job} to be delivered (it {state})"), so_far: started.elapsed() });
        let left = patience.saturating_sub(started.elapsed());
        if left.is_zero() {
            let (job, was, state) = (id.clone(), was.clone(), state.clone());
            let longer = longer_than(patience, 48 * 60);
            let wait = format!("To let the command wait longer, repeat it with:\n  --wait-timeout {longer}");
            return Err(Error::JobNotReady { job, was, state, wait });
        }
        std::thread::sleep(pause(patience).min(left));
        match open()?.borrow().job_or_node(&job) {
            Ok(facts) => {
                if facts.state != *was || !matches!(facts.state.readiness(), Readiness::NotYet | Readiness::OnItsWay) {
                    return Ok(());
                }
            }
            Err(error) if error.exit() == ExitCode::Network => {
                notify.notify(Event::Fact(format!("{error} This program tries again at the next check.")));
            }
            Err(error) => return Err(error),
        }
    }
}

/// A minute, or less where the whole wait is short; up to a tenth more or less, so that twenty sites that were started
/// together don't ask together.
fn pause(patience: Duration) -> Duration {
    with_jitter((patience / 10).clamp(Duration::from_secs(1), BETWEEN_LOOKS), 0.9..=1.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_a_minute_apart_and_never_at_the_same_moment() {
        let pauses: Vec<Duration> = std::iter::repeat_with(|| pause(Duration::from_secs(8 * 3600))).take(50).collect();
        assert!(pauses.iter().all(|pause| (54..=66).contains(&pause.as_secs())));
        assert!(pauses.iter().max() > pauses.iter().min());
        assert!(pause(Duration::from_secs(20)) < Duration::from_secs(3));
        assert!(pause(Duration::from_secs(1)) > Duration::from_millis(800));
    }
}
