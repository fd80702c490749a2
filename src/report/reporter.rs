//! The handle by which one job reports.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::{Check, Event, Notify, OPERATOR, Observer, Step};
use crate::model::TargetId;
use crate::safety::sanitize::{sanitize, sanitize_lines};

/// Reports for one job: times its steps, leaves out what it has just said, and names the job to whoever is told. A clone
/// reports for the same job. What the adapters are given is this as [`Notify`].
#[derive(Clone)]
pub(crate) struct Reporter(Arc<OfOneJob>);

struct OfOneJob {
    job: OnceLock<TargetId>,
    observer: Arc<dyn Observer>,
    /// When the steps began that are not done.
    begun: Mutex<BTreeMap<Step, Instant>>,
    last: Mutex<Option<Event>>,
    /// Nothing is said of this step.
    without: Option<Step>,
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reporter").field(&self.job()).finish()
    }
}

impl Reporter {
    /// Reports to `observer`, for `job` if it is known.
    #[must_use]
    pub(crate) fn new(observer: Arc<dyn Observer>, job: Option<TargetId>) -> Self {
        Self::with(observer, job, None)
    }

    fn with(observer: Arc<dyn Observer>, job: Option<TargetId>, without: Option<Step>) -> Self {
        let job = job.map_or_else(OnceLock::new, OnceLock::from);
        Self(Arc::new(OfOneJob { job, observer, begun: Mutex::default(), last: Mutex::default(), without }))
    }

    /// Reports to the same observer for the same job, but nothing of this step: it has been told.
    pub(crate) fn without(&self, step: Step) -> Self {
        Self::with(Arc::clone(&self.0.observer), self.job().cloned(), Some(step))
    }

    /// Reports to the same observer, for another job.
    pub(crate) fn for_job(&self, job: &TargetId) -> Self {
        Self::new(Arc::clone(&self.0.observer), Some(job.clone()))
    }

    /// From here on everything is about this job. A reporter is for one job: another one later changes nothing.
    pub(crate) fn is_about(&self, job: &TargetId) {
        let _ = self.0.job.set(job.clone());
    }

    /// The job, once it is known.
    #[must_use]
    pub(crate) fn job(&self) -> Option<&TargetId> {
        self.0.job.get()
    }

    /// The same, for an adapter.
    #[must_use]
    pub(crate) fn shared(&self) -> Arc<dyn Notify> {
        Arc::new(self.clone())
    }

    /// A step begins.
    pub(crate) fn begin(&self, step: Step) {
        self.0.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(step, Instant::now());
        self.pass_on(&Event::Started(step));
    }

    /// A step is done. `text` is one line.
    pub(crate) fn step(&self, step: Step, text: &str) {
        let begun = self.0.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(&step);
        let took = begun.map(|begun| begun.elapsed()).unwrap_or_default();
        let text = sanitize_lines(text).trim_end_matches('\n').to_owned();
        self.pass_on(&Event::Finished { step, text, took });
    }

    /// A check is done.
    pub(crate) fn check(&self, check: Check) {
        self.pass_on(&Event::Checked(check));
    }

    /// Both halves are in their places from here on.
    pub(crate) fn pair_is_kept(&self) {
        self.pass_on(&Event::PairKept);
    }

    fn pass_on(&self, event: &Event) {
        if matches!(event, Event::Started(step) | Event::Finished { step, .. } if self.0.without == Some(*step)) {
            return;
        }
        self.log(event);
        self.0.observer.event(self.job(), event);
    }

    fn log(&self, event: &Event) {
        let job = self.job().map(tracing::field::display);
        match event {
            Event::Started(step) => tracing::debug!(target: OPERATOR, job, "{step} begins"),
            Event::Finished { step, text, .. } => tracing::info!(target: OPERATOR, job, "{step}: {text}"),
            Event::Checked(Check { subject, verdict, text, .. }) => {
                tracing::info!(target: OPERATOR, job, "{subject}: {verdict}: {text}");
            }
            Event::Node(node) => tracing::info!(target: OPERATOR, job, "{}", node.in_words()),
            Event::PairKept => {}
            Event::Waiting { what, so_far } => {
                tracing::info!(target: OPERATOR, job, seconds = so_far.as_secs(), "waiting for {what}");
            }
            Event::Received { bytes, of } => tracing::info!(target: OPERATOR, job, bytes, of, "received"),
            Event::Warning(text) => tracing::warn!(target: OPERATOR, job, "{text}"),
            Event::Fact(text) => tracing::info!(target: OPERATOR, job, "{text}"),
        }
    }
}

impl Notify for Reporter {
    fn notify(&self, event: Event) {
        // Paths and what AWS says may hold what no terminal should be sent, and no log.
        let event = match event {
            Event::Waiting { what, so_far } => Event::Waiting { what: sanitize(&what), so_far },
            Event::Warning(text) => Event::Warning(sanitize(&text)),
            Event::Fact(text) => Event::Fact(sanitize(&text)),
            other => other,
        };
        // The same words twice in a row tell nobody anything; a wait differs by its seconds.
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(&event) {
            self.pass_on(&event);
            *last = Some(event);
        }
    }

    fn ask_unseen(&self, question: &str, patience: Duration) -> Option<String> {
        self.0.observer.ask_for_unseen_line(&sanitize(question), patience)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Told(Mutex<Vec<(Option<TargetId>, Event)>>);

    impl Observer for Told {
        fn event(&self, job: Option<&TargetId>, event: &Event) {
            self.0.lock().unwrap().push((job.cloned(), event.clone()));
        }
    }

    fn job(digit: char) -> TargetId {
        format!("JID{0}{0}{0}{0}{0}{0}{0}{0}-0000-4000-8000-000000000000", digit).parse().unwrap()
    }

    #[test]
    fn two_jobs_report_at_once_and_share_nothing() {
        const PART: Duration = Duration::from_millis(40);
        let told = Arc::new(Told::default());
        let (one, other) = (job('1'), job('2'));
        let reporter = |job: &TargetId| Reporter::new(Arc::clone(&told) as Arc<dyn Observer>, Some(job.clone()));
        let (first, second) = (reporter(&one), reporter(&other));
        let warning = || Event::Warning("the same".to_owned());

        first.begin(Step::Device);
        std::thread::sleep(PART);
        second.begin(Step::Device);
        first.notify(warning());
        second.notify(warning());
        first.notify(warning());
        second.shared().notify(warning());
        second.step(Step::Device, "open");
        std::thread::sleep(PART);
        first.step(Step::Device, "open\n");

        let events = std::mem::take(&mut *told.0.lock().unwrap());
        let of = |job: &TargetId| {
            let mine = events.iter().filter(|(of, _)| of.as_ref() == Some(job)).map(|(_, event)| event.clone());
            mine.collect::<Vec<_>>()
        };
        let took = |events: &[Event]| match events {
            [Event::Started(Step::Device), said, Event::Finished { step: Step::Device, text, took }]
                if *said == warning() && text == "open" =>
            {
                *took
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(events.len(), 6, "nothing without its job: {events:?}");
        assert!(took(&of(&one)) >= took(&of(&other)) + 2 * PART, "{events:?}");
    }

    #[test]
    fn a_job_that_becomes_known_is_named_from_then_on() {
        let told = Arc::new(Told::default());
        let reporter = Reporter::new(Arc::clone(&told) as Arc<dyn Observer>, None);
        let fact = || Event::Fact("found\u{1b}[2J".to_owned());
        reporter.notify(fact());
        reporter.is_about(&job('1'));
        reporter.is_about(&job('2'));
        reporter.notify(fact());
        reporter.step(Step::Job, "delivered");
        let finished = Event::Finished { step: Step::Job, text: "delivered".to_owned(), took: Duration::ZERO };
        let events = told.0.lock().unwrap();
        assert_eq!(*events, [(None, Event::Fact("found".to_owned())), (Some(job('1')), finished)]);
    }
}
