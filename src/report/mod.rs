//! What a step tells the person who waits for it. The adapters say it; only `ui` prints it.

mod times;

use std::time::Duration;

pub use times::{age_in_words, duration_in_words, utc_in_words};

/// Something to tell while a step is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A step waits for something outside: "the device at 192.0.2.10 to start". Said again as the wait goes on.
    Waiting {
        /// Ends the sentence "waiting for …".
        what: String,
        /// How long by now.
        so_far: Duration,
    },
    /// A download goes on.
    Received {
        /// Bytes by now.
        bytes: u64,
        /// Bytes in all, if the server said so.
        of: Option<u64>,
    },
    /// Something the person should know, though the run goes on. A whole sentence.
    Warning(String),
    /// Something that was found out or done on the way. A whole sentence.
    Fact(String),
}

/// Where notices go. Called from any thread; never blocks for long.
pub trait Notify: Send + Sync {
    /// Tells the person.
    fn notify(&self, notice: Notice);
}

/// How long a step may be silent (promise 5).
pub const SILENCE: Duration = Duration::from_secs(2);

/// Runs `work` and says "waiting for `what`" when it takes longer than [`SILENCE`], and again at growing intervals.
pub fn while_waiting<R>(notify: &dyn Notify, what: &str, work: impl FnOnce() -> R) -> R {
    std::thread::scope(|scope| {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            let start = std::time::Instant::now();
            let mut interval = SILENCE;
            while wait.recv_timeout(interval) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                notify.notify(Notice::Waiting { what: what.to_owned(), so_far: start.elapsed() });
                interval = (interval * 2).min(Duration::from_secs(30));
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// For tests: keeps what it is told.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Kept(pub(crate) std::sync::Mutex<Vec<Notice>>);

#[cfg(test)]
impl Notify for Kept {
    fn notify(&self, notice: Notice) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(notice);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_long_step_speaks_and_a_short_one_is_silent() {
        let kept = Kept::default();
        assert_eq!(while_waiting(&kept, "nothing", || 5), 5);
        assert!(kept.0.lock().unwrap().is_empty());
        while_waiting(&kept, "the test", || std::thread::sleep(SILENCE + Duration::from_millis(700)));
        let notices = kept.0.into_inner().unwrap();
        assert!(
            matches!(&notices[..], [Notice::Waiting { what, so_far }] if what == "the test" && *so_far >= SILENCE),
            "one line after two seconds"
        );
    }
}
