//! No call without a deadline, and none silent for longer than two seconds (promise 5). What may pass by itself is tried
//! again until then, with growing pauses.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::failure::{Refusal, retry_reason};
use super::proxy::Proxy;
use super::text::capitalised;
use crate::error::{Error, Result, longer_than};
use crate::report::{Backoff, Event, Notify, SILENCE, WaitNotice, with_jitter};

/// How often a download that goes on says so.
const PROGRESS: Duration = Duration::from_millis(500);

/// The pauses before another try.
pub(super) fn tries() -> Backoff {
    Backoff::new(Duration::from_millis(500), Duration::from_secs(15))
}

/// What one call is waiting for; shared by its parts, told to the person by [`Wait::attend`].
#[derive(Clone)]
pub(super) struct Wait {
    notify: Arc<dyn Notify>,
    now: Arc<Mutex<Now>>,
    limit: Duration,
    proxy: Option<Arc<Proxy>>,
}

struct Now {
    what: String,
    notice: WaitNotice,
    received: Instant,
    /// What is being tried again, by its name, and why it has to be.
    failing: Vec<(&'static str, Error)>,
    /// A question is open: what is said now would stand in the middle of its answer.
    is_asking: bool,
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wait(…)")
    }
}

impl Wait {
    /// Waits of at most `limit` each.
    pub(super) fn new(notify: Arc<dyn Notify>, limit: Duration) -> Self {
        Self { notify, now: Arc::new(Mutex::new(Now::new(String::new()))), limit, proxy: None }
    }

    /// The same, for calls that may go through this proxy.
    pub(super) fn through(self, proxy: Option<Arc<Proxy>>) -> Self {
        Self { proxy, ..self }
    }

    /// The deadline of each.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Makes a call again and again, as long as it fails for reasons that may pass and there is time.
    ///
    /// # Errors
    /// What the call says at last; never [`Refusal::Passing`].
    pub(super) async fn with_retry<T>(
        &self,
        name: &'static str,
        mut call: impl AsyncFnMut() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut backoff = tries();
        loop {
            match call().await {
                Err(Refusal::Passing(error)) => self.pause(name, error, &mut backoff).await.map_err(Refusal::Failed)?,
                other => {
                    self.recovered(name);
                    return other;
                }
            }
        }
    }

    /// Says why `name` has to be tried again, and lets a pause pass.
    ///
    /// # Errors
    /// The error given, when there is no time for another try.
    pub(super) async fn pause(&self, name: &'static str, error: Error, backoff: &mut Backoff) -> Result<()> {
        let pause = with_jitter(backoff.next(), 0.5..=1.0);
        {
            let mut now = self.lock();
            if now.notice.so_far() + pause >= self.limit {
                return Err(error);
            }
            now.notice.was_spoken_of();
            let event = Event::Waiting { what: retry_reason(&error), so_far: now.notice.so_far() };
            now.failing.retain(|(failing, _)| *failing != name);
            now.failing.push((name, error));
            drop(now);
            self.notify.notify(event);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// `name` is no longer tried again.
    pub(super) fn recovered(&self, name: &'static str) {
        self.lock().failing.retain(|(failing, _)| *failing != name);
    }

    /// From here on the wait is for `what` ("the Snowball API"); gives what it was for before.
    pub(super) fn begin(&self, what: String) -> String {
        std::mem::replace(&mut self.lock().what, what)
    }

    /// Asks the person for a line that the terminal does not show, and says nothing meanwhile. `None` where nobody can be asked.
    pub(super) async fn ask_unseen(&self, question: String) -> Option<String> {
        let (notify, patience) = (Arc::clone(&self.notify), self.limit * 3 / 4);
        self.lock().is_asking = true;
        let line = tokio::task::spawn_blocking(move || notify.ask_unseen(&question, patience)).await;
        let mut now = self.lock();
        now.is_asking = false;
        now.notice.was_spoken_of();
        line.ok().flatten()
    }

    /// A download is under way; said at most twice a second, and not before it is slow.
    pub(super) fn received(&self, bytes: u64, of: Option<u64>) {
        let mut now = self.lock();
        if now.notice.so_far() >= SILENCE && now.received.elapsed() >= PROGRESS {
            now.received = Instant::now();
            now.notice.was_spoken_of();
            drop(now);
            self.notify.notify(Event::Received { bytes, of });
        }
    }

    /// `what` did not come in time.
    pub(super) fn timed_out(&self, what: &str) -> Error {
        // A limit below a second would read as "within 0 seconds".
        let seconds = self.lock().notice.so_far().as_secs().max(1);
        let (through, check) = self.proxy.as_ref().and_then(|proxy| proxy.in_between()).unwrap_or_default();
        let longer = longer_than(self.limit(), 10);
        Error::ApiTimeout { what: capitalised(what), through, seconds, check, longer }
    }

    /// Runs `work`, which waits for `what` first, to its end or to the deadline.
    ///
    /// # Errors
    /// At the deadline what was being tried again, else [`Error::ApiTimeout`], naming what was waited for; what `work`
    /// gives.
    pub(super) async fn run_with_deadline<T>(&self, what: String, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.run_with_limit(self.limit, what, work).await
    }

    /// The same with a deadline of its own.
    ///
    /// # Errors
    /// The same.
    pub(super) async fn run_with_limit<T>(
        &self,
        limit: Duration,
        what: String,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        *self.lock() = Now::new(what);
        let mut work = pin!(work);
        let mut deadline = pin!(tokio::time::sleep(limit));
        loop {
            let until_due = self.lock().notice.until_due();
            tokio::select! {
                biased;
                result = &mut work => {
                    self.tell_what_was_misread();
                    return result;
                }
                () = &mut deadline => {
                    self.tell_what_was_misread();
                    let (what, failing) = {
                        let mut now = self.lock();
                        (now.what.clone(), now.failing.pop())
                    };
                    return Err(match failing {
                        // The seconds in it were counted when it was new.
                        None | Some((_, Error::ApiTimeout { .. })) => self.timed_out(&what),
                        Some((_, error)) => error,
                    });
                }
                () = tokio::time::sleep(until_due) => self.speak(),
            }
        }
    }

    /// Which entries of `NO_PROXY` were meant to except what was asked, and do not.
    fn tell_what_was_misread(&self) {
        let misread = self.proxy.iter().flat_map(|proxy| proxy.misread());
        misread.for_each(|note| self.notify.notify(Event::Warning(note)));
    }

    /// Says what the wait is for, if that is due.
    fn speak(&self) {
        let event = {
            let mut now = self.lock();
            if now.is_asking {
                return now.notice.was_spoken_of();
            }
            let what = now.what.clone();
            now.notice.due(&what)
        };
        if let Some(event) = event {
            self.notify.notify(event);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    fn new(what: String) -> Self {
        let now = Instant::now();
        Self { what, notice: WaitNotice::new(), received: now, failing: Vec::new(), is_asking: false }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::HeardEvents;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    #[test]
    fn a_wait_speaks_after_two_seconds_and_ends_at_its_deadline() {
        let kept = Arc::new(HeardEvents::default());
        let wait = Wait::new(kept.clone(), Duration::from_millis(2600));
        let ended = block_on(wait.run_with_deadline("the first".to_owned(), async {
            wait.begin("the second".to_owned());
            std::future::pending::<Result<()>>().await
        }));
        assert!(matches!(ended, Err(Error::ApiTimeout { what, seconds: 2, .. }) if what == "The second"));
        let events = kept.0.lock().unwrap();
        assert!(matches!(&events[..], [Event::Waiting { what, so_far }] if what == "the second" && *so_far >= SILENCE));
    }

    #[test]
    fn what_may_pass_is_tried_again_and_told_and_its_reason_is_what_stays() {
        let kept = Arc::new(HeardEvents::default());
        let wait = Wait::new(kept.clone(), Duration::from_millis(1200));
        let throttled = || Refusal::Passing(Error::ApiThrottled { what: "Snowball ListJobs".to_owned() });
        let call = |succeeds_after: u32| {
            let mut tries = 0;
            let wait = wait.clone();
            async move {
                let answer = wait.with_retry("ListJobs", async || {
                    tries += 1;
                    if tries > succeeds_after { Ok(tries) } else { Err(throttled()) }
                });
                answer.await.map_err(|refusal| match refusal {
                    Refusal::Failed(error) => error,
                    _ => panic!("neither a state nor one that may pass"),
                })
            }
        };
        assert_eq!(block_on(wait.run_with_deadline("it".to_owned(), call(1))).unwrap(), 2);
        let said = |event: &Event| matches!(event, Event::Waiting { what, .. } if what.contains("throttling"));
        assert!(matches!(&kept.0.lock().unwrap()[..], [event] if said(event)));
        let failed = block_on(wait.run_with_deadline("it".to_owned(), call(u32::MAX)));
        assert!(matches!(failed, Err(Error::ApiThrottled { .. })), "and not a mere timeout");
        // As when the last try is the one that hangs.
        let hung = block_on(wait.run_with_deadline("it".to_owned(), async {
            wait.pause("ListJobs", Error::ApiThrottled { what: "it".to_owned() }, &mut tries()).await?;
            std::future::pending::<Result<()>>().await
        }));
        assert!(matches!(hung, Err(Error::ApiThrottled { .. })));
    }

    #[test]
    fn a_fast_call_is_silent() {
        let kept = Arc::new(HeardEvents::default());
        let wait = Wait::new(kept.clone(), Duration::from_secs(60));
        let five = block_on(wait.run_with_deadline("it".to_owned(), async {
            wait.received(1, None);
            Ok(5)
        }));
        assert_eq!(five.unwrap(), 5);
        assert!(kept.0.lock().unwrap().is_empty());
    }
}
