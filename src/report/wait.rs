//! How a wait goes on: the pauses between two tries, and when it says again what it is for.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::{Event, Notify};
use crate::os::threads;

/// How long a step may be silent (promise 5).
pub(crate) const SILENCE: Duration = Duration::from_secs(2);

/// The longest time between two lines of a wait.
const MAX_SILENCE: Duration = Duration::from_secs(30);

/// Growing pauses, each twice the one before.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Begins with `first`, and grows to `longest`.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first.min(longest), longest }
    }

    /// The next pause.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }
}

/// A random part of `pause` within `range`: a service that turned many away must not see them all again at once.
pub(crate) fn with_jitter(pause: Duration, range: RangeInclusive<f64>) -> Duration {
    // Without random numbers it is merely the longest.
    let part = getrandom::u32().map_or(1.0, |part| f64::from(part) / f64::from(u32::MAX));
    pause.mul_f64(range.start() + (range.end() - range.start()) * part)
}

/// When one wait says what it is for: after [`SILENCE`], at growing intervals, and when that has changed since it was said.
#[derive(Debug)]
pub(crate) struct WaitNotice {
    started: Instant,
    due: Instant,
    intervals: Backoff,
    said: Option<String>,
}

impl WaitNotice {
    /// A wait that begins now, and may be over before there is anything to say.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let mut intervals = Backoff::new(SILENCE, MAX_SILENCE);
        Self { started: now, due: now + intervals.next(), intervals, said: None }
    }

    /// A wait that is known to take its time: it speaks at once.
    pub(crate) fn long() -> Self {
        let mut this = Self::new();
        this.due = this.started;
        this.intervals = Backoff::new(SILENCE, MAX_SILENCE);
        this
    }

    /// How long it has taken by now.
    pub(crate) fn so_far(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long it may be silent yet.
    pub(crate) fn until_due(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// Something else was said of the wait: it needs not speak for as long as it may be silent.
    pub(crate) fn was_spoken_of(&mut self) {
        self.due = Instant::now() + SILENCE;
    }

    /// What there is to say now, if there is: that it waits for `what`, which ends the sentence "waiting for …".
    pub(crate) fn due(&mut self, what: &str) -> Option<Event> {
        let is_news = self.said.as_ref().is_some_and(|said| said != what);
        if !is_news && !self.until_due().is_zero() {
            return None;
        }
        if is_news {
            self.intervals = Backoff::new(SILENCE, MAX_SILENCE);
        }
        self.due = Instant::now() + self.intervals.next();
        self.said = Some(what.to_owned());
        Some(Event::Waiting { what: what.to_owned(), so_far: self.so_far() })
    }

    /// The same, told to `notify`.
    pub(crate) fn tell(&mut self, notify: &dyn Notify, what: &str) {
        if let Some(event) = self.due(what) {
            notify.notify(event);
        }
    }
}

/// Runs `work` and says "waiting for `what`" when it takes longer than [`SILENCE`], and again at growing intervals.
pub(crate) fn while_waiting<R>(notify: &dyn Notify, what: &str, work: impl FnOnce() -> R) -> R {
    std::thread::scope(|scope| {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        // Without a thread it is silent, and goes on.
        let _ = threads::begin_in(scope, move || {
            let mut notice = WaitNotice::new();
            while wait.recv_timeout(notice.until_due()) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                notice.tell(notify, what);
            }
        });
        let result = work();
        drop(done);
        result
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::HeardEvents;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let seconds = |first, longest| {
            let mut backoff = Backoff::new(Duration::from_secs(first), Duration::from_secs(longest));
            std::iter::repeat_with(|| backoff.next().as_secs()).take(6).collect::<Vec<_>>()
        };
        assert_eq!(seconds(1, 15), [1, 2, 4, 8, 15, 15]);
        assert_eq!(seconds(60, 15), [15; 6]);
    }

    #[test]
    fn jitter_stays_in_its_range_and_no_two_are_alike() {
        let pauses: Vec<_> =
            std::iter::repeat_with(|| with_jitter(Duration::from_secs(10), 0.9..=1.1)).take(50).collect();
        assert!(pauses.iter().all(|pause| (9..=11).contains(&pause.as_secs())), "{pauses:?}");
        assert!(pauses.iter().max() > pauses.iter().min());
    }

    #[test]
    fn a_wait_speaks_when_it_is_due_or_waits_for_something_else() {
        let mut notice = WaitNotice::new();
        assert_eq!(notice.due("the bus"), None, "silent at first");
        notice.due = Instant::now();
        assert!(notice.due("the bus").is_some());
        assert_eq!(notice.due("the bus"), None);
        assert!(matches!(notice.due("you"), Some(Event::Waiting { what, .. }) if what == "you"), "that is news");
        assert!(notice.until_due() <= SILENCE && !notice.until_due().is_zero(), "the next line comes soon again");
        notice.due = Instant::now();
        notice.was_spoken_of();
        assert_eq!(notice.due("you"), None);
        assert!(WaitNotice::long().due("a device").is_some(), "a long one speaks at once");
    }

    #[test]
    fn a_long_step_speaks_and_a_short_one_is_silent() {
        let kept = HeardEvents::default();
        assert_eq!(while_waiting(&kept, "nothing", || 5), 5);
        assert!(kept.0.lock().unwrap().is_empty());
        while_waiting(&kept, "the test", || std::thread::sleep(SILENCE + Duration::from_millis(700)));
        let events = kept.0.into_inner().unwrap();
        assert!(
            matches!(&events[..], [Event::Waiting { what, so_far }] if what == "the test" && *so_far >= SILENCE),
            "one line after two seconds"
        );
    }
}
