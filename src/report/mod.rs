//! What is told of a run, as data: steps, checks and events, each of one job. The flow and the adapters say it through a
//! `Reporter`; `ui` alone shows it.

mod check;
mod node;
mod reporter;
mod step;
mod times;
mod wait;

use std::time::Duration;

use crate::model::TargetId;
pub use check::Check;
pub use check::Subject;
pub use check::Verdict;
pub use node::NodeState;
pub(crate) use reporter::Reporter;
pub use step::Step;
pub(crate) use times::{age_in_words, duration_in_words, moment, utc_in_words};
pub(crate) use wait::{Backoff, SILENCE, WaitNotice, while_waiting, with_jitter};

/// Target in the log of what is told anyway: for the file, and not a second time for stderr.
pub(crate) const OPERATOR: &str = "snow_onboard::said";

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step begins.
    Started(Step),
    /// A step is done.
    Finished {
        /// Which.
        step: Step,
        /// What came of it, on one line.
        text: String,
        /// Since it was said to begin; nothing for one that was not.
        took: Duration,
    },
    /// `doctor` looked at one thing.
    Checked(Check),
    /// The state of a cluster's node is another than the one that was told last.
    Node(NodeState),
    /// Both halves are in their places: what ends the run from here on leaves them there.
    PairKept,
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

/// Where an adapter's events go: it knows of no job. Called from any thread; never blocks for long, but
/// for a question.
pub trait Notify: Send + Sync {
    /// Tells the person.
    fn notify(&self, event: Event);

    /// Asks the person for a line that the terminal does not show, and waits for it, though no longer than `patience`. `None`
    /// where nobody can be asked, an empty line where nothing is answered.
    fn ask_unseen(&self, question: &str, patience: Duration) -> Option<String> {
        let _ = (question, patience);
        None
    }
}

/// Who is told of every job's events. Called from any thread; never blocks for long.
pub(crate) trait Observer: Send + Sync {
    /// Shows the event. `job` is the one that it is about, where that is known.
    fn event(&self, job: Option<&TargetId>, event: &Event);

    /// See [`Notify::ask_unseen`].
    fn ask_for_unseen_line(&self, question: &str, patience: Duration) -> Option<String> {
        let _ = (question, patience);
        None
    }
}

/// Who answers a question.
pub(crate) trait Ask: Send + Sync {
    /// Asks a question that is answered by yes or no. Where nobody can be asked the answer is no.
    fn ask(&self, question: &str) -> bool;

    /// The same of what holds for the whole command: whoever has answered yes is not asked it again.
    fn ask_once(&self, question: &str) -> bool {
        self.ask(question)
    }
}

/// Where nobody is asked: a program waits for the answer, or several devices are worked on, and two questions at once are answered
/// by nobody who knows which is which.
pub(crate) struct Nobody;

impl Ask for Nobody {
    fn ask(&self, _question: &str) -> bool {
        false
    }
}

/// For tests: keeps what it is told.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct HeardEvents(pub(crate) std::sync::Mutex<Vec<Event>>);

#[cfg(test)]
impl Notify for HeardEvents {
    fn notify(&self, event: Event) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event);
    }
}
