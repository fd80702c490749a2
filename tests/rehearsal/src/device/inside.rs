//! What an open device has to give.

use std::net::IpAddr;

use serde_json::json;

use super::{
    AccessKey, Answer, DeviceCertificate, Services, Wish,
    certificates::{Certificates, Slot},
    services::About,
};

/// Access keys, certificates, services, software.
pub(super) struct Inside {
    job_id: String,
    generation: u32,
    pub(super) access_keys: Vec<AccessKey>,
    pub(super) services: Services,
    pub(super) updated: bool,
    certificates: Certificates,
    /// Where it was when it was last unlocked: what its certificate is for.
    unlocked_at: IpAddr,
}

impl Inside {
    pub(super) fn new(job_id: &str, access_keys: usize, services: Services, address: IpAddr) -> Self {
        Self {
            job_id: job_id.to_owned(),
            generation: 0,
            access_keys: AccessKey::of(job_id, 0, access_keys),
            services,
            updated: false,
            certificates: Certificates::default(),
            unlocked_at: address,
        }
    }

    pub(super) fn unlock_at(&mut self, address: IpAddr) {
        self.unlocked_at = address;
    }

    pub(super) fn renew_access_keys(&mut self) {
        self.generation += 1;
        self.access_keys = AccessKey::of(&self.job_id, self.generation, self.access_keys.len());
    }

    pub(super) fn set_access_keys(&mut self, count: usize) {
        self.access_keys = AccessKey::of(&self.job_id, self.generation, count);
    }

    pub(super) fn address_certificate(&mut self) -> DeviceCertificate {
        self.certificates.of(Slot::Address, &[self.unlocked_at.to_string()]).clone()
    }

    pub(super) fn storage_certificate(&mut self) -> Option<DeviceCertificate> {
        let mut hosts: Vec<String> =
            self.services.interfaces.iter().map(|interface| interface.host.to_string()).collect();
        hosts.dedup();
        if hosts.is_empty() {
            self.certificates.without(Slot::Storage);
            return None;
        }
        Some(self.certificates.of(Slot::Storage, &hosts).clone())
    }

    /// The answer to a wish about what is inside.
    pub(super) fn answer(&mut self, wish: &Wish) -> Answer {
        self.certificates.of(Slot::Device, &[format!("ID:{}", self.job_id)]);
        let (own, storage) = (self.address_certificate(), self.storage_certificate());
        let refused = |what: &str, id: &str| Answer::Refused(format!("this device has no {what} {id}"));
        match wish {
            Wish::Unlock
            | Wish::Describe
            | Wish::UnlockCluster
            | Wish::Join
            | Wish::Associate
            | Wish::DescribeCluster
            | Wish::Disassociate(_) => Answer::Refused("the lock answers to this".to_owned()),
            Wish::AccessKeys => {
                let ids: Vec<&str> = self.access_keys.iter().map(|key| key.id.as_str()).collect();
                Answer::Json(json!({ "AccessKeyIds": ids }))
            }
            Wish::SecretKey(id) => match self.access_keys.iter().find(|key| key.id == *id) {
                Some(key) => Answer::Text(key.ini()),
                None => refused("access key", id),
            },
            Wish::Certificates => Answer::Json(self.certificates.list()),
            Wish::Certificate(arn) => {
                self.certificates.pem(arn).map_or_else(|| refused("certificate", arn), Answer::Text)
            }
            Wish::Services => Answer::Json(self.services.list()),
            Wish::Service(id) => {
                let about = About {
                    device_id: &self.job_id,
                    address: self.unlocked_at,
                    address_certificate: &own.arn,
                    storage_certificate: storage.as_ref().map(|certificate| certificate.arn.as_str()),
                };
                self.services.describe(id, &about).map_or_else(|| refused("service", id), Answer::Json)
            }
            Wish::Updates => {
                let installed = if self.updated { "119" } else { "118" };
                Answer::Json(json!({ "InstalledVersion": installed, "LatestVersion": "119" }))
            }
            Wish::Features => Answer::Json(json!({ "RemoteManagementState": "INSTALLED_ONLY" })),
        }
    }
}
