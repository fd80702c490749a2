//! Which node of a cluster the client asks, by what that says of itself: the others are asked about their own keys in vain.

use super::access_keys::unreadable;
use super::contact::replace_endpoint;
use super::port::Port;
use super::{Cluster, Session};
use crate::device::guard::protocol::{Reads, Run};
use crate::error::{Error, Result};
use crate::model::{Endpoint, HandOverMethod, JobId};
use crate::report::Event;
use crate::safety::sanitize::sanitize;

impl Session {
    /// The node at which the client asks. `None` where it tells no id, or one that is no node of this cluster, and of a device that
    /// is no cluster's. One that does not describe itself is asked for nothing else.
    ///
    /// # Errors
    /// [`Error::DeviceRefused`], [`Error::DeviceAnswerUnreadable`]; [`Error::ClientHung`], [`Error::ClientUnusable`],
    /// [`Error::GuardLost`].
    pub(crate) fn asked_node(&mut self) -> Result<Option<JobId>> {
        if self.cluster.is_none() {
            return Ok(None);
        }
        let told = self.told_id()?;
        Ok(self.cluster.as_ref().zip(told).and_then(|(cluster, id)| cluster.node(&id).cloned()))
    }

    /// Checks that the node at which the client asks is this one. Gives it where it says so; one that does describe itself, and
    /// tells no id, contradicts nothing.
    ///
    /// # Errors
    /// [`Error::DeviceIsAnother`]; those of [`Session::asked_node`].
    pub(crate) fn check_node(&mut self, node: &JobId) -> Result<Option<JobId>> {
        let told = self.told_id()?;
        let endpoint = self.endpoint().to_string();
        match told {
            Some(found) if found == node.as_str() => Ok(Some(node.clone())),
            Some(found) => Err(Error::DeviceIsAnother {
                expected: node.to_string(),
                found: sanitize(&found),
                endpoint,
                hint:
                    "Read the address off the node's display, and add it to the same command:\n  --endpoint 192.0.2.10"
                        .to_owned(),
            }),
            None => {
                self.notify.notify(Event::Warning(format!(
                    "The device at {endpoint} does not say which node it is, so this program could not check that it is {node}."
                )));
                Ok(None)
            }
        }
    }

    /// Has the client go to this node from here on, wherever among the cluster's addresses it answers: none is known to be its own.
    ///
    /// # Errors
    /// [`Error::NodeAddressUnknown`] if it is at none of them; [`Error::ClientHung`], [`Error::ClientUnusable`],
    /// [`Error::GuardLost`].
    pub(crate) fn find_node(&mut self, node: &JobId) -> Result<()> {
        for address in self.cluster.as_ref().map(Cluster::addresses).unwrap_or_default().to_vec() {
            if !self.go_to(&address)? {
                break;
            }
            match self.told_id() {
                Ok(Some(found)) if found == node.as_str() => return Ok(()),
                // Another one, or one that does not tell it at the moment.
                Ok(_) | Err(Error::DeviceRefused { .. } | Error::DeviceAnswerUnreadable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::NodeAddressUnknown { node: node.to_string(), cluster: self.job.to_string() })
    }

    /// The id that the device says it has.
    fn told_id(&mut self) -> Result<Option<String>> {
        let command = self.client.data.commands.describe.clone();
        let run = Run { reads: Reads::Description, ..self.command(self.args(&command), command.limit()) };
        let ran = self.run_waiting(run, "the client to describe the node")?;
        if ran.timed_out {
            return Err(Error::ClientHung { what: command.name().to_owned(), seconds: command.limit().as_secs() });
        }
        if !ran.succeeded() {
            return Err(self.refused(command.name(), &ran));
        }
        ran.described.map(|described| described.device_id).ok_or_else(|| unreadable(&command))
    }

    /// Has the client ask at an address at which a node answered. `false` if the client's profile can't be changed so.
    fn go_to(&mut self, address: &Endpoint) -> Result<bool> {
        if self.port.address().is_same(address) {
            return Ok(true);
        }
        if self.method != HandOverMethod::Argv
            && !replace_endpoint(&self.profile_file()?, self.port.address(), address)?
        {
            return Ok(false);
        }
        self.port = Port::new(address.clone(), self.port.patience, std::sync::Arc::clone(&self.notify));
        Ok(true)
    }
}
