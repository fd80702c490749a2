//! The one thread that talks to the keychain, so that whoever asks can stop waiting.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::backend::{Backend, CurrentPrompt, KeychainFailure, Opened, PendingPrompt};
use crate::error::{Error, Result, longer_than};
use crate::report::{Notify, WaitNotice};

/// How long a drop waits for an idle thread to close its connections.
const CLOSING: Duration = Duration::from_secs(1);

/// Bytes of stack that a call may use: generous for the libraries below, and well within the two megabytes of a thread.
const STACK_OF_A_CALL: usize = 256 * 1024;

/// How often a wait looks whether something else is waited for by now.
const LOOK: Duration = Duration::from_millis(100);

type Call = Box<dyn FnOnce(&mut dyn Backend) + Send>;

/// A handle to the thread. One that hangs in a call is left behind: nothing joins it, so the process can exit.
pub(super) struct KeychainThread {
    calls: Option<mpsc::Sender<Call>>,
    /// Never gets a value: the thread drops the other end after its store. In a `Mutex` only to be `Sync`.
    ended: Mutex<mpsc::Receiver<()>>,
    deadline: Duration,
    notify: Arc<dyn Notify>,
    current_prompt: CurrentPrompt,
    hung: AtomicBool,
}

impl KeychainThread {
    /// Starts the thread and has it open its store. Gives the store's name too.
    pub(super) fn start(
        deadline: Duration,
        notify: Arc<dyn Notify>,
        current_prompt: CurrentPrompt,
        open: impl FnOnce() -> Result<Opened> + Send + 'static,
    ) -> Result<(String, Self)> {
        let what = "opening the keychain";
        let (calls, to_do) = mpsc::channel::<Call>();
        let (name, opened) = mpsc::sync_channel(1);
        let (ends, ended) = mpsc::channel();
        let body = move || {
            // The first local is dropped last: whoever sees it go knows the store is closed.
            let _ends: mpsc::Sender<()> = ends;
            let mut backend = match open() {
                Ok(opened) => {
                    let _ = name.send(Ok(opened.name));
                    opened.backend
                }
                Err(error) => return drop(name.send(Err(error))),
            };
            drop(name);
            for call in to_do {
                call(&mut *backend);
                // The decryption of an answer leaves blocks of the code on this stack, which glibc keeps for the next
                // thread. A call is behind a pointer, so its frames are below this one.
                zeroize::zeroize_stack::<STACK_OF_A_CALL>();
            }
        };
        std::thread::Builder::new()
            .name("keychain".to_owned())
            .spawn(body)
            .map_err(|error| failed(what, crate::error::io_in_words(&error)))?;
        let hung = AtomicBool::new(false);
        let this = Self { calls: Some(calls), ended: Mutex::new(ended), deadline, notify, current_prompt, hung };
        let name = this.wait(what, &opened)??;
        Ok((name, this))
    }

    /// Has the thread do `work`, and waits for it as long as the deadline allows.
    ///
    /// # Errors
    /// [`Error::KeychainTimeout`], also for every call after the one that hung; [`Error::KeychainFailed`] if the
    /// thread is gone. What `work` says is inside.
    pub(super) fn call<R: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce(&mut dyn Backend) -> Result<R, KeychainFailure> + Send + 'static,
    ) -> Result<Result<R, KeychainFailure>> {
        if self.hung.load(Ordering::Relaxed) {
            return Err(self.timeout(what));
        }
        let (answer, answered) = mpsc::sync_channel(1);
        let call: Call = Box::new(move |backend| {
            // Nobody waits any more when the deadline has passed.
            let _ = answer.send(work(backend));
        });
        if let Some(calls) = &self.calls {
            // A thread that is gone drops `call`, and with it `answer`: the wait ends at once.
            let _ = calls.send(call);
        }
        let started = std::time::Instant::now();
        let done = self.wait(what, &answered);
        let outcome = match &done {
            Ok(Ok(_)) => "done",
            Ok(Err(_)) => "refused",
            Err(_) => "no answer",
        };
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(what, outcome, millis, "keychain");
        done
    }

    /// Waits for an answer, and says what is waited for: after two seconds of silence, when that changes, and at growing
    /// intervals.
    fn wait<R>(&self, what: &str, answered: &mpsc::Receiver<R>) -> Result<R> {
        let mut notice = WaitNotice::new();
        loop {
            match answered.recv_timeout(LOOK.min(self.deadline.saturating_sub(notice.so_far()))) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(failed(what, "the library that talks to it gave up".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if notice.so_far() >= self.deadline {
                self.hung.store(true, Ordering::Relaxed);
                return Err(self.timeout(what));
            }
            notice.tell(&*self.notify, &self.current_prompt.get().waiting);
        }
    }

    fn timeout(&self, what: &str) -> Error {
        let PendingPrompt { what_failed, .. } = self.current_prompt.get();
        let (seconds, longer) = (self.deadline.as_secs(), longer_than(self.deadline, 10));
        Error::KeychainTimeout { what_failed, what: what.to_owned(), seconds, longer }
    }
}

fn failed(what: &str, why: String) -> Error {
    Error::KeychainFailed { which: "The keychain".to_owned(), what: what.to_owned(), why }
}

impl Drop for KeychainThread {
    fn drop(&mut self) {
        self.calls = None;
        if !self.hung.load(Ordering::Relaxed)
            && let Ok(ended) = self.ended.get_mut()
        {
            let _ = ended.recv_timeout(CLOSING);
        }
    }
}
