//! No call without a deadline, and none silent for longer than two seconds (promise 5).

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::text::capitalised;
use crate::error::{Error, Result};
use crate::notice::{Notice, Notify, SILENCE};

/// How often a download that goes on says so.
const PROGRESS: Duration = Duration::from_millis(500);

/// The longest pause between two lines of a wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What one call is waiting for; shared by its parts, told to the person by [`Wait::attend`].
#[derive(Clone)]
pub(super) struct Wait {
    notify: Arc<dyn Notify>,
    now: Arc<Mutex<Now>>,
    limit: Duration,
}

struct Now {
    what: String,
    started: Instant,
    spoke: Instant,
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wait(…)")
    }
}

impl Wait {
    /// Waits of at most `limit` each.
    pub(super) fn new(notify: Arc<dyn Notify>, limit: Duration) -> Self {
        let now = Instant::now();
        Self { notify, now: Arc::new(Mutex::new(Now { what: String::new(), started: now, spoke: now })), limit }
    }

    /// From here on the wait is for `what` ("the Snowball API"); gives what it was for before.
    pub(super) fn begin(&self, what: String) -> String {
        std::mem::replace(&mut self.lock().what, what)
    }

    /// A download is under way; said at most twice a second, and not before it is slow.
    pub(super) fn received(&self, bytes: u64, of: Option<u64>) {
        let mut now = self.lock();
        if now.started.elapsed() >= SILENCE && now.spoke.elapsed() >= PROGRESS {
            now.spoke = Instant::now();
            drop(now);
            self.notify.notify(Notice::Received { bytes, of });
        }
    }

    /// `what` did not come in time.
    pub(super) fn timed_out(&self, what: &str) -> Error {
        // A limit below a second would read as "within 0 seconds".
        let seconds = self.lock().started.elapsed().as_secs().max(1);
        Error::ApiTimeout { what: capitalised(what), seconds }
    }

    /// Runs `work`, which waits for `what` first, to its end or to the deadline.
    ///
    /// # Errors
    /// [`Error::ApiTimeout`] at the deadline, naming what was waited for then; what `work` gives.
    pub(super) async fn attend<T>(&self, what: String, work: impl Future<Output = Result<T>>) -> Result<T> {
        {
            let mut now = self.lock();
            *now = Now { what, started: Instant::now(), spoke: Instant::now() };
        }
        let mut work = pin!(work);
        let mut deadline = pin!(tokio::time::sleep(self.limit));
        let mut pause = SILENCE;
        loop {
            let silent_for = self.lock().spoke.elapsed();
            tokio::select! {
                biased;
                result = &mut work => return result,
                () = &mut deadline => {
                    let what = self.lock().what.clone();
                    return Err(self.timed_out(&what));
                }
                () = tokio::time::sleep(pause.saturating_sub(silent_for)) => {
                    if self.speak(pause) {
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            }
        }
    }

    /// Says what the wait is for, unless something was said within `pause`.
    fn speak(&self, pause: Duration) -> bool {
        let mut now = self.lock();
        if now.spoke.elapsed() < pause {
            return false;
        }
        now.spoke = Instant::now();
        let notice = Notice::Waiting { what: now.what.clone(), so_far: now.started.elapsed() };
        drop(now);
        self.notify.notify(notice);
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::notice::Kept;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    #[test]
    fn a_wait_speaks_after_two_seconds_and_ends_at_its_deadline() {
        let kept = Arc::new(Kept::default());
        let wait = Wait::new(kept.clone(), Duration::from_millis(2600));
        let ended = block_on(wait.attend("the first".to_owned(), async {
            wait.begin("the second".to_owned());
            std::future::pending::<Result<()>>().await
        }));
        assert!(matches!(ended, Err(Error::ApiTimeout { what, seconds: 2 }) if what == "The second"));
        let notices = kept.0.lock().unwrap();
        assert!(
            matches!(&notices[..], [Notice::Waiting { what, so_far }] if what == "the second" && *so_far >= SILENCE)
        );
    }

    #[test]
    fn a_fast_call_is_silent() {
        let kept = Arc::new(Kept::default());
        let wait = Wait::new(kept.clone(), Duration::from_secs(60));
        let five = block_on(wait.attend("it".to_owned(), async {
            wait.received(1, None);
            Ok(5)
        }));
        assert_eq!(five.unwrap(), 5);
        assert!(kept.0.lock().unwrap().is_empty());
    }
}
