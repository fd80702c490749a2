//! The device's own S3 access keys.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::sigv4::sha256_hex;

/// One of the device's access keys. It is made of the job's id, so that a seeded rehearsal shows the same one each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// What is sent with every request.
    pub id: String,
    /// What signs it: what a leak test looks for.
    pub secret: String,
}

impl AccessKey {
    /// The keys of a device that was set up so many times before.
    pub(super) fn of(job_id: &str, generation: u32, count: usize) -> Vec<Self> {
        let draw = |what: &str, number: usize| sha256_hex(format!("{what} {job_id} {generation} {number}").as_bytes());
        let key = |number| Self {
            id: format!("AKIA{}", draw("id", number)[..16].to_uppercase()),
            // 30 bytes, 40 characters in the alphabet of AWS's own.
            secret: STANDARD.encode(hex::decode(&draw("secret", number)[..60]).unwrap_or_default()),
        };
        (0..count).map(key).collect()
    }

    /// The documented INI text: the section is always of this name, and blank lines follow.
    pub(super) fn ini(&self) -> String {
        let Self { id, secret } = self;
        format!("[snowballEdge]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_look_like_the_vendors_and_differ() {
        let keys = [AccessKey::of("JID1", 0, 2), AccessKey::of("JID1", 1, 1), AccessKey::of("JID2", 0, 1)].concat();
        assert!(keys.iter().all(|key| key.id.len() == 20 && key.secret.len() == 40));
        let mut ids: Vec<_> = keys.iter().flat_map(|key| [&key.id, &key.secret]).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 8);
    }
}
