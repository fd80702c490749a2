//! Any command of the client through an open session: as typed, while somebody looks on.

use std::path::Path;
use std::time::Duration;

use super::Session;
use crate::device::client::profile;
use crate::device::guard::handle::{ClientStreams, SignalSender};
use crate::device::guard::protocol::{Caller, Live, Run};
use crate::device::millis;
use crate::error::{Error, Result};
use crate::os::process;

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
    /// for byte but for the unlock code, which is not looked for in binary data that is not shown. It is ended after `limit`, when
    /// there is one, and with the session.
    ///
    /// # Errors
    /// [`Error::ClientHung`] after `limit`; [`Error::ClientUnusable`] if it can't be started; [`Error::OutputLost`] if what it
    /// says can't be written, which ends the session; [`Error::GuardLost`].
    pub fn run(&mut self, args: &[String], limit: Option<Duration>, streams: ClientStreams<'_>) -> Result<ClientExit> {
        self.run_live(args, limit, None, streams)
    }

    /// The same for the caller of this program, as if that one had started the client: in `folder`, which is that one's, and with
    /// that one's permissions for new files. Where `streams` has no input it is the caller's own, on systems that can hand it on.
    ///
    /// # Errors
    /// Those of [`Session::run`], and [`Error::Usage`] if it can't be told where that is.
    pub(crate) fn run_for_caller(
        &mut self,
        args: &[String],
        folder: &Path,
        streams: ClientStreams<'_>,
    ) -> Result<ClientExit> {
        let Some(folder) = folder.to_str().map(str::to_owned) else {
            let path = crate::safety::sanitize::sanitize(&folder.display().to_string());
            return Err(Error::Usage {
                why: format!(
                    "The current folder, {path}, can't be named to the client: its path is not valid Unicode."
                ),
            });
        };
        self.run_live(args, None, Some(Caller { folder, umask: process::umask_of_caller() }), streams)
    }

    /// Passes the caller's signals on to the command that is run next.
    #[must_use]
    pub(crate) fn signal_sender(&self) -> SignalSender {
        self.guard.signal_sender()
    }

    /// Has commands find the pair that name no profile, or this program's. To be called when the client has shown that it reads the
    /// file in our home and no other, in which these names may stand as well.
    ///
    /// # Errors
    /// [`Error::OnlyPrivate`] if the file, which the client may have written, has another form; [`Error::GuardLost`].
    pub(crate) fn name_profile(&mut self) -> Result<()> {
        let (file, default) = (self.profile_file()?, self.client.data.profile.default.clone());
        let more = vec![default, profile::NAME.to_owned()];
        self.guard.name_profile(&file, &self.profile, more)
    }

    fn run_live(
        &mut self,
        args: &[String],
        limit: Option<Duration>,
        caller: Option<Caller>,
        mut streams: ClientStreams<'_>,
    ) -> Result<ClientExit> {
        let live = Some(Live { input: streams.input.is_some(), passes_binary: !streams.is_shown, caller });
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
