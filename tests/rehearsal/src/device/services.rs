//! The services that an unlocked device offers, as `list-services` and `describe-service` tell of them.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

/// The services, for a test to change: above all ports, since a server of the test's own has one that is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// What `list-services` names; any other is unknown to `describe-service`.
    pub ids: Vec<String>,
    /// The state of all services but `s3-snow`, whose own follows from its interfaces.
    pub state: String,
    /// Where the S3 adapter listens for https.
    pub s3_port: u16,
    /// Where EC2 listens for https.
    pub ec2_port: u16,
    /// The virtual interfaces of `s3-snow`.
    pub interfaces: Vec<Interface>,
}

impl Default for Services {
    fn default() -> Self {
        let interface = |last, purpose| Interface {
            host: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)),
            port: 443,
            purpose,
            state: "ACTIVE".to_owned(),
        };
        Self {
            ids: ["greengrass", "fileinterface", "s3", "ec2", "s3-snow"].map(str::to_owned).to_vec(),
            state: "ACTIVE".to_owned(),
            s3_port: 8443,
            ec2_port: 8243,
            interfaces: vec![interface(115, Purpose::Buckets), interface(202, Purpose::Objects)],
        }
    }
}

/// A virtual interface that S3-compatible storage answers at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its address.
    pub host: IpAddr,
    /// Its port; 443 on a real device.
    pub port: u16,
    /// What it is for.
    pub purpose: Purpose,
    /// `ACTIVE`, `ACTIVATING`, …
    pub state: String,
}

/// What an interface of S3-compatible storage is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// s3control: buckets.
    Buckets,
    /// s3api: objects, and buckets on newer device software.
    Objects,
}

impl Purpose {
    /// Word for word the guide's.
    const fn description(self) -> &'static str {
        match self {
            Self::Buckets => "s3-snow bucket API endpoint (for s3control SDK)",
            Self::Objects => "s3-snow object & bucket API endpoint (for s3api SDK)",
        }
    }
}

/// What the description of a service needs to know of the device.
pub(super) struct About<'a> {
    pub(super) device_id: &'a str,
    pub(super) address: IpAddr,
    pub(super) address_certificate: &'a str,
    pub(super) storage_certificate: Option<&'a str>,
}

impl Services {
    /// The answer to `list-services`.
    pub(super) fn list(&self) -> Value {
        json!({ "ServiceIds": self.ids })
    }

    /// The answer to `describe-service`; `None` for a service that the device does not have.
    pub(super) fn describe(&self, id: &str, about: &About<'_>) -> Option<Value> {
        self.ids.iter().find(|known| *known == id)?;
        Some(match id {
            "s3" => json!({
                "ServiceId": id,
                "Status": { "State": self.state },
                "Storage": { "TotalSpaceBytes": 99_608_745_492_480_u64, "FreeSpaceBytes": 99_608_744_468_480_u64 },
                "Endpoints": about.plain_and_tls(8080, self.s3_port),
            }),
            "ec2" => json!({
                "ServiceId": id,
                "Status": { "State": self.state },
                "Endpoints": about.plain_and_tls(8008, self.ec2_port),
            }),
            "s3-snow" => self.storage(about),
            _ => json!({ "ServiceId": id, "Status": { "State": self.state } }),
        })
    }

    fn storage(&self, about: &About<'_>) -> Value {
        let endpoint = |interface: &Interface| {
            json!({
                "Protocol": "https",
                "Port": interface.port,
                "Host": interface.host.to_string(),
                "CertificateAssociation": { "CertificateArn": about.storage_certificate },
                "Description": interface.purpose.description(),
                "DeviceId": about.device_id,
                "Status": { "State": interface.state },
            })
        };
        let state = match &self.interfaces[..] {
            [] => "INACTIVE",
            all if all.iter().all(|interface| interface.state == "ACTIVE") => "ACTIVE",
            _ => "ACTIVATING",
        };
        json!({
            "ServiceId": "s3-snow",
            "Autostart": false,
            "Status": { "State": state },
            "ServiceCapacities": [ {
                "Name": "S3 Storage", "Unit": "Byte", "Used": 640_303_104_u64, "Available": 219_571_981_512_u64
            } ],
            "Endpoints": self.interfaces.iter().map(endpoint).collect::<Vec<_>>(),
        })
    }
}

impl About<'_> {
    fn plain_and_tls(&self, plain: u16, tls: u16) -> Value {
        let host = self.address.to_string();
        json!([
            { "Protocol": "http", "Port": plain, "Host": host },
            {
                "Protocol": "https", "Port": tls, "Host": host,
                "CertificateAssociation": { "CertificateArn": self.address_certificate }
            }
        ])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ABOUT: About<'_> = About {
        device_id: "JID1",
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        address_certificate: "arn:1",
        storage_certificate: Some("arn:2"),
    };

    #[test]
    fn storage_is_as_far_as_its_interfaces_are() {
        let mut services = Services::default();
        let state = |services: &Services| services.describe("s3-snow", &ABOUT).unwrap()["Status"]["State"].clone();
        assert_eq!(state(&services), "ACTIVE");
        "ACTIVATING".clone_into(&mut services.interfaces[1].state);
        assert_eq!(state(&services), "ACTIVATING");
        services.interfaces.clear();
        assert_eq!(state(&services), "INACTIVE");
    }

    #[test]
    fn each_service_names_its_own_certificate_and_port() {
        let services = Services { s3_port: 1, ..Services::default() };
        let s3 = services.describe("s3", &ABOUT).unwrap();
        assert_eq!(s3["Endpoints"][1]["Port"], 1);
        assert_eq!(s3["Endpoints"][1]["CertificateAssociation"]["CertificateArn"], "arn:1");
        let storage = services.describe("s3-snow", &ABOUT).unwrap();
        assert_eq!(storage["Endpoints"][0]["CertificateAssociation"]["CertificateArn"], "arn:2");
        assert!(services.describe("iam", &ABOUT).is_none());
    }
}
