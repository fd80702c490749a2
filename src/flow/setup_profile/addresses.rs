//! Which address each service of a device gets in its profile, and which certificates belong to them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::device::check_address;
use crate::error::{Error, Result};
use crate::model::{CertificateArn, DeviceService, Endpoint, ServiceEndpoint, ServiceId, StoragePart, TargetId};

/// Ids of services, as the device has them.
const ADAPTER: &str = "s3";
const S3_SNOW: &str = "s3-snow";
/// What else the AWS CLI can ask of a device, and the documented port (guide, "Port requirements").
const OTHERS: [(&str, u16); 3] = [("ec2", 8243), ("iam", 6089), ("sts", 7089)];
const ADAPTER_PORT: u16 = 8443;

/// The two kinds of S3 storage that a device can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// The S3 adapter: what is written to it goes to AWS with the device, or came with it.
    Adapter,
    /// Amazon S3 compatible storage, which stays on the device.
    S3Snow,
}

impl Storage {
    /// The words for it on the command line.
    pub(crate) const WORDS: [&str; 2] = ["adapter", "s3-snow"];

    /// By such a word.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Self::Adapter, Self::S3Snow].into_iter().find(|storage| storage.word() == word)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Adapter => Self::WORDS[0],
            Self::S3Snow => Self::WORDS[1],
        }
    }

    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Adapter => "S3 adapter",
            Self::S3Snow => "S3 compatible storage (s3-snow)",
        }
    }
}

/// What a device told of its services.
#[derive(Debug, Default)]
pub(super) struct ToldServices {
    /// `None` if it did not list them.
    pub(super) listed: Option<Vec<ServiceId>>,
    /// Those that it described.
    pub(super) described: BTreeMap<String, DeviceService>,
}

/// Where a service's requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceAddress {
    /// As the AWS CLI calls the service.
    pub name: &'static str,
    /// `https://192.0.2.10:8443`.
    pub url: String,
    /// The device did not say so; it is what the guide says of every device.
    pub is_documented_only: bool,
}

/// All that a profile says of addresses.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) storage: Storage,
    /// In the order in which they are written. The first one is `s3`.
    pub(super) services: Vec<ServiceAddress>,
    /// The distinct hosts in them.
    pub(super) hosts: Vec<IpAddr>,
    /// The certificates that their services show, as far as the device says.
    pub(super) certificates: Vec<CertificateArn>,
    /// What the operator should know: whole sentences.
    pub(super) notes: Vec<String>,
}

/// Which services the device is to be asked about, of those that it lists.
pub(super) fn to_describe(listed: &[ServiceId]) -> impl Iterator<Item = &ServiceId> {
    let known = |id: &&ServiceId| {
        [ADAPTER, S3_SNOW].contains(&id.as_str()) || OTHERS.iter().any(|(name, _)| *name == id.as_str())
    };
    listed.iter().filter(known)
}

/// Decides where requests go. `address` is where the device answers, and `wanted` the storage that somebody asked for.
///
/// # Errors
/// [`Error::StorageNotActive`] if the device does not offer what is wanted, or none at all.
pub(super) fn decide(
    job: &TargetId,
    told: &ToldServices,
    address: IpAddr,
    wanted: Option<Storage>,
) -> Result<Addresses> {
    let mut notes = Vec::new();
    let adapter = of_service(told, ADAPTER).or_else(|| documented(told, ADAPTER, address, ADAPTER_PORT));
    let objects = of_storage(told, StoragePart::Objects);
    let first = |endpoints: &[&ServiceEndpoint]| endpoints.first().map(|endpoint| ((*endpoint).clone(), false));
    let chosen = match (wanted, adapter, first(&objects)) {
        (None | Some(Storage::Adapter), Some(adapter), objects) => Ok((Storage::Adapter, adapter, objects.is_some())),
        (None | Some(Storage::S3Snow), adapter, Some(objects)) => Ok((Storage::S3Snow, objects, adapter.is_some())),
        (_, adapter, objects) => Err((adapter.is_some(), objects.is_some())),
    };
    let (storage, s3, has_other) = chosen.map_err(|(has_adapter, has_objects)| {
        let which = wanted.map_or("S3 storage", Storage::in_words);
        let other = match (has_adapter, has_objects) {
            (true, _) => Some(Storage::Adapter),
            (_, true) => Some(Storage::S3Snow),
            _ => None,
        };
        not_active(job, which, wanted, told, other)
    })?;
    if has_other && wanted.is_none() {
        notes.push(format!(
            "The device also offers {}. For a profile that uses that, add --s3 {} and another --name.",
            Storage::S3Snow.in_words(),
            Storage::S3Snow.word()
        ));
    }
    let mut found = vec![("s3", s3)];
    if storage == Storage::S3Snow {
        if objects.len() > 1 {
            let all: Vec<String> = objects.iter().map(|endpoint| endpoint.url()).collect();
            notes.push(format!(
                "S3 compatible storage has several endpoints for objects ({}). The first one is used.",
                all.join(", ")
            ));
        }
        match first(&of_storage(told, StoragePart::Buckets)) {
            Some(buckets) => found.push(("s3control", buckets)),
            None => notes.push("No endpoint for buckets (s3control) of s3-snow is ACTIVE.".to_owned()),
        }
    }
    for (name, port) in OTHERS {
        let told_of = of_service(told, name);
        found.extend(told_of.or_else(|| Some(assumed(address, port))).map(|endpoint| (name, endpoint)));
    }
    let mut addresses = Addresses { storage, services: Vec::new(), hosts: Vec::new(), certificates: Vec::new(), notes };
    for (name, (endpoint, is_documented_only)) in found {
        addresses.services.push(ServiceAddress { name, url: endpoint.url(), is_documented_only });
        let host = endpoint.at.ip();
        if !addresses.hosts.contains(&host) {
            // As with an address that is typed: large networks number their own machines so.
            let typed: Option<Endpoint> = endpoint.at.to_string().parse().ok();
            if host != address && typed.is_some_and(|typed| check_address(&typed).is_err()) {
                addresses.notes.push(format!(
                    "The device says that {name} is at {host}, which is outside the local network. Check that the address is its own."
                ));
            }
            addresses.hosts.push(host);
        }
        addresses.certificates.extend(endpoint.certificate.filter(|arn| !addresses.certificates.contains(arn)));
    }
    Ok(addresses)
}

type FoundAddress = (ServiceEndpoint, bool);

/// Where an ACTIVE service answers, if the device says so.
fn of_service(told: &ToldServices, id: &str) -> Option<FoundAddress> {
    let service = told.described.get(id).filter(|service| service.state == "ACTIVE")?;
    service.endpoints.first().cloned().map(|endpoint| (endpoint, false))
}

/// The endpoints of a part of S3-compatible storage that are ACTIVE: the service as a whole is ACTIVATING while one of them is.
fn of_storage(told: &ToldServices, part: StoragePart) -> Vec<&ServiceEndpoint> {
    let service = told.described.get(S3_SNOW).into_iter();
    let endpoints = service.flat_map(|service| &service.endpoints);
    endpoints.filter(|endpoint| endpoint.storage == Some(part) && endpoint.is_active).collect()
}

/// What the guide says, if the device did not list its services at all.
fn documented(told: &ToldServices, id: &str, address: IpAddr, port: u16) -> Option<FoundAddress> {
    let may_have = told
        .listed
        .as_ref()
        .is_none_or(|listed| listed.iter().any(|listed| listed.as_str() == id) && !told.described.contains_key(id));
    may_have.then(|| assumed(address, port))
}

fn assumed(address: IpAddr, port: u16) -> FoundAddress {
    (ServiceEndpoint { at: (address, port).into(), certificate: None, storage: None, is_active: true }, true)
}

fn not_active(
    job: &TargetId,
    which: &str,
    wanted: Option<Storage>,
    told: &ToldServices,
    other: Option<Storage>,
) -> Error {
    let id = if wanted == Some(Storage::S3Snow) { S3_SNOW } else { ADAPTER };
    let state = match told.described.get(id) {
        Some(service) if service.state.is_empty() => "does not say its state".to_owned(),
        Some(service) => format!("says {} of {id}", service.state),
        None => format!("does not list {id}"),
    };
    let hint = match other {
        Some(other) => format!(
            "Use what the device offers:\n  snow-onboard setup-profile {job} --s3 {}\nOr start {id} with the client first.",
            other.word()
        ),
        None => "Start one of the device's S3 services with the client, then repeat the same command.".to_owned(),
    };
    Error::StorageNotActive { which: which.to_owned(), state, hint }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";

    fn endpoint(at: &str, storage: Option<StoragePart>, is_active: bool, arn: u8) -> ServiceEndpoint {
        let arn = format!("arn:aws:snowball-device:::certificate/{arn}");
        ServiceEndpoint { at: at.parse().unwrap(), certificate: Some(arn.parse().unwrap()), storage, is_active }
    }

    fn told(services: &[(&str, &str, Vec<ServiceEndpoint>)]) -> ToldServices {
        let described = services.iter().map(|(id, state, endpoints)| {
            ((*id).to_owned(), DeviceService { state: (*state).to_owned(), endpoints: endpoints.clone() })
        });
        let listed = services.iter().map(|(id, ..)| id.parse().unwrap()).collect();
        ToldServices { listed: Some(listed), described: described.collect() }
    }

    fn adapter(state: &'static str) -> (&'static str, &'static str, Vec<ServiceEndpoint>) {
        ("s3", state, vec![endpoint("10.0.2.10:8443", None, true, 1)])
    }

    fn storage(is_active: bool) -> (&'static str, &'static str, Vec<ServiceEndpoint>) {
        let (objects, buckets) = (StoragePart::Objects, StoragePart::Buckets);
        let endpoints = vec![
            endpoint("10.0.2.21:443", Some(buckets), true, 2),
            endpoint("10.0.2.22:443", Some(objects), is_active, 3),
        ];
        ("s3-snow", "ACTIVATING", endpoints)
    }

    fn decided(told: &ToldServices, wanted: Option<Storage>) -> Result<Addresses> {
        decide(&JOB.parse().unwrap(), told, "10.0.2.10".parse().unwrap(), wanted)
    }

    fn urls(addresses: &Addresses) -> Vec<(&str, &str, bool)> {
        addresses.services.iter().map(|it| (it.name, it.url.as_str(), it.is_documented_only)).collect()
    }

    #[test]
    fn every_service_gets_the_address_that_the_device_tells_else_the_documented_port() {
        let ec2 = ("ec2", "ACTIVE", vec![endpoint("10.0.2.10:9999", None, true, 1)]);
        let addresses = decided(&told(&[adapter("ACTIVE"), ec2]), None).unwrap();
        let expected = [
            ("s3", "https://10.0.2.10:8443", false),
            ("ec2", "https://10.0.2.10:9999", false),
            ("iam", "https://10.0.2.10:6089", true),
            ("sts", "https://10.0.2.10:7089", true),
        ];
        assert_eq!(urls(&addresses), expected);
        assert_eq!((addresses.storage, addresses.certificates.len(), addresses.hosts.len()), (Storage::Adapter, 1, 1));
        assert!(addresses.notes.is_empty(), "{:?}", addresses.notes);
        let nothing = decided(&ToldServices::default(), None).unwrap();
        assert_eq!(urls(&nothing)[0], ("s3", "https://10.0.2.10:8443", true));
    }

    #[test]
    fn of_both_kinds_of_storage_the_adapter_is_used_unless_the_other_is_asked_for() {
        let both = told(&[adapter("ACTIVE"), storage(true)]);
        let addresses = decided(&both, None).unwrap();
        assert_eq!(addresses.storage, Storage::Adapter);
        assert!(addresses.notes[0].contains("--s3 s3-snow"), "{:?}", addresses.notes);
        for told in [told(&[storage(true)]), told(&[adapter("INACTIVE"), storage(true)])] {
            assert_eq!(decided(&told, None).unwrap().storage, Storage::S3Snow);
        }
        let addresses = decided(&both, Some(Storage::S3Snow)).unwrap();
        assert_eq!(
            urls(&addresses)[..2],
            [("s3", "https://10.0.2.22:443", false), ("s3control", "https://10.0.2.21:443", false)]
        );
        assert_eq!((addresses.certificates.len(), addresses.hosts.len(), addresses.notes.len()), (2, 3, 0));
    }

    #[test]
    fn what_is_not_active_is_not_used() {
        let refused = |told: &ToldServices, wanted| decided(told, wanted).unwrap_err().report();
        let report = refused(&told(&[adapter("ACTIVE"), storage(false)]), Some(Storage::S3Snow));
        assert!(
            report.sentence.contains("says ACTIVATING of s3-snow") && report.hint.contains("--s3 adapter"),
            "{report:?}"
        );
        let report = refused(&told(&[adapter("DEGRADED"), storage(true)]), Some(Storage::Adapter));
        assert!(report.sentence.contains("says DEGRADED of s3") && report.hint.contains("--s3 s3-snow"), "{report:?}");
        let report = refused(&told(&[]), None);
        assert!(
            report.sentence.contains("does not offer S3 storage") && report.hint.contains("with the client"),
            "{report:?}"
        );
    }

    #[test]
    fn an_address_outside_the_local_network_is_told_unless_the_operator_gave_it() {
        let told = told(&[("s3", "ACTIVE", vec![endpoint("8.8.8.8:8443", None, true, 1)])]);
        let notes = decided(&told, None).unwrap().notes;
        assert!(notes.len() == 1 && notes[0].contains("s3 is at 8.8.8.8"), "{notes:?}");
        assert!(decide(&JOB.parse().unwrap(), &told, "8.8.8.8".parse().unwrap(), None).unwrap().notes.is_empty());
    }
}
