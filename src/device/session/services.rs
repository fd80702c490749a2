//! What an open device tells through the session: its services and their certificates.

use std::net::IpAddr;

use crate::device::client::data::CommandData;
use crate::device::client::services::{described_service, listed_certificates, listed_services, shown_certificate};
use crate::device::guard::protocol::Reads;
use crate::device::session::Session;
use crate::device::session::access_keys::unreadable;
use crate::error::Result;
use crate::model::{CertificateArn, DeviceService, EndpointHost, ServiceId};

impl Session {
    /// The address at which the device answered. `None` only before it has.
    #[must_use]
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.port.address().host() {
            EndpointHost::Address(address) => Some(*address),
            EndpointHost::Name(_) => None,
        }
    }

    /// The ids of the device's services.
    ///
    /// # Errors
    /// As [`Session::access_keys`].
    pub(crate) fn services(&mut self) -> Result<Vec<ServiceId>> {
        let command = self.client.data.commands.services.clone();
        self.read_of_device(&command, "", "the client to list the services", listed_services)
    }

    /// One of the device's services.
    ///
    /// # Errors
    /// As [`Session::access_keys`].
    pub(crate) fn service(&mut self, id: &ServiceId) -> Result<DeviceService> {
        let command = self.client.data.commands.service.clone();
        let waiting_for = format!("the client to describe the service {id}");
        self.read_of_device(&command, id.as_str(), &waiting_for, |stdout| described_service(stdout, id))
    }

    /// What the device calls its certificates.
    ///
    /// # Errors
    /// As [`Session::access_keys`].
    pub(crate) fn certificates(&mut self) -> Result<Vec<CertificateArn>> {
        let command = self.client.data.commands.certificates.clone();
        self.read_of_device(&command, "", "the client to list the certificates", listed_certificates)
    }

    /// One of the device's certificates, in PEM.
    ///
    /// # Errors
    /// As [`Session::access_keys`].
    pub(crate) fn certificate(&mut self, arn: &CertificateArn) -> Result<String> {
        let command = self.client.data.commands.certificate.clone();
        self.read_of_device(&command, arn.as_str(), "the client to read a certificate", shown_certificate)
    }

    fn read_of_device<T>(
        &mut self,
        command: &CommandData,
        id: &str,
        waiting_for: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T> {
        let ran = self.ask_device(command, id, Reads::Nothing, waiting_for)?;
        read(&ran.stdout).ok_or_else(|| unreadable(command))
    }
}
