//! The certificates of the device's services: self-signed, each for addresses of the device.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::sigv4::sha256_hex;

/// A certificate with its key, so that a test can run a server of its own with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCertificate {
    /// What the device calls it.
    pub arn: String,
    /// The addresses and names that it is for.
    pub names: Vec<String>,
    /// The certificate, PEM.
    pub pem: String,
    /// Its private key, PEM. A real device shows it to nobody.
    pub key_pem: String,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The device itself, by its id.
    Device,
    /// Whatever answers at the device's own address: the S3 adapter, EC2 and their like.
    Address,
    /// The virtual interfaces of S3-compatible storage.
    Storage,
}

impl Slot {
    const ALL: [Self; 3] = [Self::Device, Self::Address, Self::Storage];

    /// Digits in the id of its certificate, as seen in the guides' samples.
    const fn digits(self) -> usize {
        match self {
            Self::Device | Self::Address => 32,
            Self::Storage => 96,
        }
    }
}

/// The certificates there are. One that is for other names than are asked for is replaced: its ARN is then unknown.
#[derive(Default)]
pub(super) struct Certificates {
    made: [Option<DeviceCertificate>; 3],
}

impl Certificates {
    /// The certificate for these names.
    pub(super) fn of(&mut self, slot: Slot, names: &[String]) -> &DeviceCertificate {
        let place = &mut self.made[slot as usize];
        let fits = place.take().filter(|certificate| certificate.names == names);
        place.insert(fits.unwrap_or_else(|| make(slot, names)))
    }

    /// None without names: nothing answers there.
    pub(super) fn without(&mut self, slot: Slot) {
        self.made[slot as usize] = None;
    }

    /// The answer to `list-certificates`.
    pub(super) fn list(&self) -> Value {
        let entry = |certificate: &DeviceCertificate| json!({ "CertificateArn": certificate.arn, "SubjectAlternativeNames": certificate.names });
        json!({ "Certificates": Slot::ALL.iter().filter_map(|slot| self.made[*slot as usize].as_ref()).map(entry).collect::<Vec<_>>() })
    }

    /// The answer to `get-certificate`.
    pub(super) fn pem(&self, arn: &str) -> Option<String> {
        self.made.iter().flatten().find(|certificate| certificate.arn == arn).map(|certificate| certificate.pem.clone())
    }
}

/// No certificate authority, as servers' own are: a reader that takes it as its anchor takes it for this server alone.
fn make(slot: Slot, names: &[String]) -> DeviceCertificate {
    let mut params = CertificateParams::new(names.to_vec()).expect("addresses and ids are names for a certificate");
    params.distinguished_name.push(DnType::CommonName, names.first().map_or("", String::as_str));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - Duration::days(1), now + Duration::days(360));
    let key = KeyPair::generate().expect("the system's random source answers");
    let certificate = params.self_signed(&key).expect("its own key signs it");
    let id = [sha256_hex(certificate.der()), sha256_hex(key.public_key_raw())].concat();
    DeviceCertificate {
        arn: format!("arn:aws:snowball-device:::certificate/{}", &id[..slot.digits()]),
        names: names.to_vec(),
        pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    #[test]
    fn another_address_takes_another_certificate_and_the_old_one_is_gone() {
        let mut certificates = Certificates::default();
        let first = certificates.of(Slot::Address, &names("192.0.2.1")).clone();
        assert_eq!(certificates.of(Slot::Address, &names("192.0.2.1")), &first);
        assert_eq!(certificates.pem(&first.arn).as_ref(), Some(&first.pem));
        let second = certificates.of(Slot::Address, &names("192.0.2.2")).clone();
        assert_ne!(second.pem, first.pem);
        assert_eq!(certificates.pem(&first.arn), None);
        assert!(second.pem.starts_with("-----BEGIN CERTIFICATE-----") && second.key_pem.contains("PRIVATE KEY"));
    }

    #[test]
    fn the_ids_have_the_documented_lengths() {
        let mut certificates = Certificates::default();
        for (slot, digits) in [(Slot::Device, 32), (Slot::Address, 32), (Slot::Storage, 96)] {
            let arn = certificates.of(slot, &names("ID:JID-1")).arn.clone();
            assert_eq!(arn.rsplit_once('/').unwrap().1.len(), digits);
        }
        assert_eq!(certificates.list()["Certificates"].as_array().unwrap().len(), 3);
        certificates.without(Slot::Storage);
        assert_eq!(certificates.list()["Certificates"].as_array().unwrap().len(), 2);
    }
}
