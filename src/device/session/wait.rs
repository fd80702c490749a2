//! The wait for UNLOCKED.

use std::time::{Duration, Instant};

use super::Session;
use super::port::MAX_PAUSE;
use crate::device::client::data::StatesData;
use crate::device::client::output::State;
use crate::error::{Error, Result, longer_than};
use crate::model::{ClusterNode, HandOverMethod, JobId, NodeAddresses};
use crate::report::{Backoff, WaitNotice};

/// Time beyond the deadline after which the guard ends by itself: one look and a slow machine.
const BEYOND: Duration = Duration::from_secs(5 * 60);

pub(super) const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// A device that is open. The private home is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceUnlocked {
    /// What the device calls itself: the job id, told at least once.
    pub device_id: Option<String>,
    /// How the client got the code.
    pub method: HandOverMethod,
    /// For how long it was on the client's command line, rounded up, if it was at all.
    pub argv_seconds: Option<u64>,
    /// Nothing had to be unlocked.
    pub was_open_already: bool,
    /// Of a cluster, each node with what was said of it last.
    pub nodes: Vec<ClusterNode>,
    /// Of a cluster, the jobs of the nodes that are not ready.
    pub missing: Vec<JobId>,
    /// Of a cluster, the jobs of the nodes that answer the others, and whose own addresses were not among those that answered.
    pub not_asked: Vec<JobId>,
    /// Of a cluster, what came of the addresses of its nodes.
    pub(crate) addresses: NodeAddresses,
}

impl Session {
    /// Asks the client for the device's state, at growing intervals, until it is UNLOCKED; then removes the home.
    ///
    /// # Errors
    /// [`Error::DeviceTimeout`], [`Error::DeviceRelocked`], [`Error::DeviceStaysLocked`], [`Error::DeviceIsAnother`],
    /// [`Error::DeviceUnidentified`] if it is open and never said whose it is, [`Error::GuardLost`];
    /// [`Error::Disk`] if the home could not be removed. The home is gone after any of the others; what the client wrote
    /// into it is given to `keep_log` before, made fit to be kept.
    pub fn wait_until_unlocked(mut self, deadline: Duration, keep_log: &dyn Fn(&str)) -> Result<DeviceUnlocked> {
        let watched = self.guard.end_within(deadline + BEYOND).and_then(|()| match self.cluster {
            Some(_) => self.watch_cluster(deadline),
            None => self.watch(deadline),
        });
        self.warn_of_codes_in_clear();
        match watched {
            Ok(()) => self.opened(),
            Err(error) => {
                self.save_log(keep_log);
                Err(error)
            }
        }
    }

    /// Whether the watch is over, the device being open; an error if it will not be.
    pub(super) fn is_open(&self, watched: Watched) -> Result<bool> {
        match watched {
            Watched::Open if self.device.device_id.is_none() => Err(self.unidentified()),
            Watched::Open => Ok(true),
            Watched::Relocked { after } => Err(Error::DeviceRelocked { seconds: after.as_secs() }),
            Watched::StaysLocked { after } => {
                Err(Error::DeviceStaysLocked { job: self.job.to_string(), seconds: after.as_secs() })
            }
            Watched::NotYet => Ok(false),
        }
    }

    /// Asks for the state until it is UNLOCKED and the device has said whose it is.
    fn watch(&mut self, deadline: Duration) -> Result<()> {
        let (started, until) = (Instant::now(), Instant::now() + deadline);
        let mut watch = Watch::new(&self.client.data.states);
        let mut growing = Backoff::new(pause_after(self.took, Duration::ZERO), MAX_PAUSE);
        let mut notice = WaitNotice::long();
        // What it said before it was asked to open tells nothing of that.
        let mut at_once = self.is_asked;
        loop {
            let state = self.device.state.clone();
            if self.is_open(watch.see(&state, started.elapsed()))? {
                return Ok(());
            }
            if Instant::now() >= until {
                let (seconds, longer) = (deadline.as_secs(), longer_than(deadline, 60));
                return Err(Error::DeviceTimeout { state: state.as_str().to_owned(), seconds, longer });
            }
            // It is looked at more often than there is something to say.
            let what = format!("the device at {} to unlock (it reports {})", self.port.endpoint(), state.as_str());
            notice.tell(&*self.notify, &what);
            if !std::mem::take(&mut at_once) {
                let pause = match self.method {
                    // Each look shows the code on a command line anew.
                    HandOverMethod::Argv => growing.next(),
                    HandOverMethod::Profile | HandOverMethod::Configure => pause_after(self.took, started.elapsed()),
                };
                self.guard.pause(pause.min(until.saturating_duration_since(Instant::now())))?;
            }
            // One that can't be asked at the moment is not open yet.
            self.look(until)?;
        }
    }

    fn opened(self) -> Result<DeviceUnlocked> {
        let unlocked = DeviceUnlocked {
            device_id: self.device.device_id.clone(),
            method: self.method,
            argv_seconds: self.exposure.seconds(),
            was_open_already: self.was_open_already,
            nodes: self.nodes(),
            missing: self.missing(),
            not_asked: self.not_asked(),
            addresses: self.looked_for(),
        };
        self.guard.close()?;
        Ok(unlocked)
    }
}

/// The pause after a look that took so long, when so much time has passed since the first. A shorter one than a quarter of a look
/// brings nothing; an eighth of what was waited already adds little to it, however long the device takes.
fn pause_after(took: Duration, waited: Duration) -> Duration {
    (took / 4).max(waited / 8).clamp(SHORTEST_PAUSE, MAX_PAUSE)
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Watched {
    Open,
    NotYet,
    /// It was opening.
    Relocked {
        after: Duration,
    },
    /// It never was anything else.
    StaysLocked {
        after: Duration,
    },
}

/// What a row of states means.
pub(super) struct Watch {
    /// How long LOCKED may be a lag: whether it can be is documented nowhere, and AWS's own sample takes it for a
    /// failure.
    grace: Duration,
    seen_unlocking: bool,
}

impl Watch {
    pub(super) fn new(states: &StatesData) -> Self {
        Self { grace: states.locked_grace(), seen_unlocking: false }
    }

    pub(super) fn see(&mut self, state: &State, elapsed: Duration) -> Watched {
        match state {
            State::Unlocked => Watched::Open,
            State::Locked if self.seen_unlocking => Watched::Relocked { after: elapsed },
            State::Locked if elapsed > self.grace => Watched::StaysLocked { after: elapsed },
            State::Unlocking => {
                self.seen_unlocking = true;
                Watched::NotYet
            }
            State::Locked | State::Other(_) => Watched::NotYet,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::client::data::ClientData;

    fn watch(states: &[(State, u64)]) -> Watched {
        let mut watch = Watch::new(&ClientData::built_in().states);
        states.iter().fold(Watched::NotYet, |_, (state, at)| watch.see(state, Duration::from_secs(*at)))
    }

    #[test]
    fn a_pause_is_a_small_part_of_the_wait() {
        let pause = |took, waited| pause_after(Duration::from_millis(took), Duration::from_millis(waited)).as_millis();
        assert_eq!(pause(20, 0), 100);
        assert_eq!(pause(2_000, 0), 500);
        assert_eq!(pause(2_000, 16_000), 2_000);
        assert_eq!(pause(2_000, 600_000), 15_000);
        assert_eq!(pause(200_000, 0), 15_000);
    }

    #[test]
    fn locked_is_a_lag_for_a_minute_unless_unlocking_was_seen() {
        use State::{Locked, Other, Unlocked, Unlocking};
        assert_eq!(watch(&[(Locked, 0), (Locked, 60)]), Watched::NotYet);
        assert_eq!(watch(&[(Locked, 0), (Locked, 61)]), Watched::StaysLocked { after: Duration::from_secs(61) });
        assert_eq!(watch(&[(Unlocking, 1), (Locked, 2)]), Watched::Relocked { after: Duration::from_secs(2) });
        assert_eq!(watch(&[(Locked, 59), (Unlocking, 62), (Unlocking, 600)]), Watched::NotYet);
        assert_eq!(watch(&[(Other("DEGRADED".to_owned()), 600)]), Watched::NotYet);
        assert_eq!(watch(&[(Unlocking, 1), (Unlocked, 9)]), Watched::Open);
    }
}
