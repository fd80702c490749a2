//! Any command of the client through an open session: as typed, while somebody looks on.

use std::time::Duration;

use super::Session;
use crate::device::guard::handle::ClientStreams;
use crate::device::guard::protocol::{Live, Run};
use crate::device::millis;
use crate::error::{Error, Result};

/// How a command of the client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientExit {
    /// Its exit status.
    pub code: Option<i32>,
    /// The signal that ended it, on Unix.
    pub signal: Option<i32>,
}

impl Session {
    /// Runs a command of the client with these arguments and nothing added to them. What it says is passed on as it says it, byte
    /// for byte but for the unlock code. It is ended after `limit`, when there is one, and with the session.
    ///
    /// # Errors
    /// [`Error::ClientHung`] after `limit`; [`Error::ClientUnusable`] if it can't be started; [`Error::OutputLost`] if what it
    /// says can't be written, which ends the session; [`Error::GuardLost`].
    pub fn run(
        &mut self,
        args: &[String],
        limit: Option<Duration>,
        mut streams: ClientStreams<'_>,
    ) -> Result<ClientExit> {
        let live = Some(Live { input: streams.input.is_some() });
        let run = Run { limit_ms: limit.map(millis), live, ..self.command(args.to_vec(), Duration::ZERO) };
        let ran = self.guard.run_for(run, Some(&mut streams))?;
        match limit {
            Some(limit) if ran.timed_out => {
                let what = args.first().map(|arg| crate::safety::sanitize::sanitize(arg)).unwrap_or_default();
                Err(Error::ClientHung { what, seconds: limit.as_secs() })
            }
            _ => Ok(ClientExit { code: ran.code, signal: ran.signal }),
        }
    }
}
