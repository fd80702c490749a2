//! What an open device tells through the session: its access keys.

use crate::device::client::access_keys::listed_keys;
use crate::device::client::data::CommandData;
use crate::device::client::output::{self, State};
use crate::device::guard::protocol::{Ran, Reads, Run};
use crate::device::session::Session;
use crate::error::{Error, Result};
use crate::model::{AccessKeyId, SecretKey};
use crate::safety::redact;

impl Session {
    /// The ids of the device's access keys, in the order in which it lists them.
    ///
    /// # Errors
    /// [`Error::DeviceTellsNot`], [`Error::DeviceAnswerUnreadable`], [`Error::ClientHung`], [`Error::ClientUnusable`],
    /// [`Error::GuardLost`].
    pub fn access_keys(&mut self) -> Result<Vec<AccessKeyId>> {
        let command = self.client.data.commands.access_keys.clone();
        let ran = self.ask_device(&command, "", Reads::Nothing, "the client to list the access keys")?;
        listed_keys(&ran.stdout).ok_or_else(|| unreadable(&command))
    }

    /// The secret key that goes with an access key of the device. From here on it is taken out of all that is said.
    ///
    /// # Errors
    /// As [`Session::access_keys`].
    pub(crate) fn secret_key(&mut self, id: &AccessKeyId) -> Result<SecretKey> {
        let command = self.client.data.commands.secret_key.clone();
        let mut ran = self.ask_device(&command, id.as_str(), Reads::SecretKey, "the client to read the secret key")?;
        let Some(mut shown) = ran.secret_key.take().filter(|shown| shown.id == id.as_str()) else {
            return Err(unreadable(&command));
        };
        let secret = SecretKey::take(std::mem::take(&mut shown.secret)).map_err(|_| unreadable(&command))?;
        secret.expose(redact::register);
        Ok(secret)
    }

    /// Asks the open device by a command of the client, and gives what it said.
    pub(super) fn ask_device(
        &mut self,
        command: &CommandData,
        id: &str,
        reads: Reads,
        waiting_for: &str,
    ) -> Result<Ran> {
        let what = command.name().to_owned();
        if self.device.state != State::Unlocked {
            let said = format!("the device is {}.", self.device.state.as_str());
            return Err(Error::DeviceTellsNot { job: self.job.to_string(), what, said });
        }
        let run = Run { reads, ..self.command(self.args_about(command, id), command.limit()) };
        let ran = self.run_waiting(run, waiting_for)?;
        if ran.timed_out {
            return Err(Error::ClientHung { what, seconds: command.limit().as_secs() });
        }
        if !ran.succeeded() {
            let said = output::client_output(&ran);
            return Err(Error::DeviceTellsNot { job: self.job.to_string(), what, said });
        }
        Ok(ran)
    }
}

pub(super) fn unreadable(command: &CommandData) -> Error {
    Error::DeviceAnswerUnreadable { what: command.name().to_owned() }
}
