//! The pair: one code and one manifest, fetched together for one job.
//!
//! Here is answered whether they are stored separately ([`Separation`]). Whether they belong together, the keychain's item tells,
//! whose second line is the [`ManifestDigest`]; in records of format 1 it was the [`PairTag`].

use std::io::{self, Read};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::digest::{hex_text, to_hex};
use crate::model::{TargetId, UnlockCode};

/// SHA-256 of a manifest. Not secret; written as 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ManifestDigest([u8; 32]);

/// Of record format 1: `HMAC-SHA256(key = code, "snow-onboard/pair/1" ‖ 0 ‖ job id ‖ manifest SHA-256)`.
///
/// Read only to convert such a record, and then removed: with the tag beside the manifest, a code of which all but one group
/// is known can be completed offline in seconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PairTag([u8; 32]);

const TAG_CONTEXT: &[u8] = b"snow-onboard/pair/1\0";

impl ManifestDigest {
    /// Digest of all that is left to read.
    ///
    /// # Errors
    /// What reading says.
    pub fn of(mut source: impl Read) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return Ok(Self(hasher.finalize().into())),
                Ok(read) => hasher.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// From a finished hasher, for a manifest that is hashed while it is written.
    #[must_use]
    pub(crate) fn from_hasher(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// The first digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        to_hex(&self.0[..6])
    }
}

impl PairTag {
    /// Tag of this code, job and manifest, as the versions made it that wrote record format 1.
    #[cfg(test)]
    pub(crate) fn of(code: &UnlockCode, job: &TargetId, manifest: &ManifestDigest) -> Self {
        Self(mac(code, job, manifest).finalize().into_bytes().into())
    }

    /// Whether the tag was made of this code, job and manifest. Takes the same time wherever it differs.
    #[must_use]
    pub(crate) fn fits(&self, code: &UnlockCode, job: &TargetId, manifest: &ManifestDigest) -> bool {
        mac(code, job, manifest).verify_slice(&self.0).is_ok()
    }
}

fn mac(code: &UnlockCode, job: &TargetId, manifest: &ManifestDigest) -> Hmac<Sha256> {
    let mut mac =
        code.expose(|code| Hmac::<Sha256>::new_from_slice(code.as_bytes())).expect("HMAC takes keys of any length");
    mac.update(TAG_CONTEXT);
    mac.update(job.as_str().as_bytes());
    mac.update(&manifest.0);
    mac
}

hex_text!(ManifestDigest, PairTag);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CODE: &str = "7c0e1-bab84-f7675-0a2b6-f8b33";

    fn code() -> UnlockCode {
        UnlockCode::take(CODE).unwrap()
    }
    fn job() -> TargetId {
        "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap()
    }

    #[test]
    fn the_tag_is_the_documented_one() {
        // Computed with another implementation (Python's hmac and hashlib).
        let manifest = ManifestDigest::of(&b"manifest"[..]).unwrap();
        assert_eq!(
            PairTag::of(&code(), &job(), &manifest).to_string(),
            "31a494ce958c41262b00accdbd636f4e7fecb53326ca8777da49c3978c24ae29"
        );
    }

    #[test]
    fn any_other_half_is_found() {
        let manifest = ManifestDigest::of(&b"manifest"[..]).unwrap();
        let tag = PairTag::of(&code(), &job(), &manifest);
        assert!(tag.fits(&code(), &job(), &manifest));
        let other_manifest = ManifestDigest::of(&b"manifesu"[..]).unwrap();
        let other_code = UnlockCode::take("7c0e1-bab84-f7675-0a2b6-f8b34").unwrap();
        let other_job = "JID123e4567-e89b-12d3-a456-426655440001".parse().unwrap();
        assert!(!tag.fits(&code(), &job(), &other_manifest));
        assert!(!tag.fits(&other_code, &job(), &manifest));
        assert!(!tag.fits(&code(), &other_job, &manifest));
    }

    /// Fails once, and gives a byte after that.
    struct Failing(Option<io::ErrorKind>, bool);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if let Some(kind) = self.0.take() {
                return Err(kind.into());
            }
            buffer[0] = b'x';
            Ok(usize::from(!std::mem::replace(&mut self.1, true)))
        }
    }

    #[test]
    fn a_digest_survives_an_interruption_and_no_other_failure() {
        let digest = |kind| ManifestDigest::of(Failing(Some(kind), false));
        assert_eq!(digest(io::ErrorKind::Interrupted).unwrap(), ManifestDigest::of(&b"x"[..]).unwrap());
        assert_eq!(digest(io::ErrorKind::Other).unwrap_err().kind(), io::ErrorKind::Other);
    }

    #[test]
    fn digests_come_back_from_their_text() {
        let digest = ManifestDigest::of(&b"x"[..]).unwrap();
        assert_eq!(ManifestDigest::try_from(digest.to_string()).unwrap(), digest);
        assert_eq!(digest.short(), "2d711642b726", "the first digits of sha256sum's");
        for bad in ["", "zz", &"g".repeat(64), &"ä".repeat(32)] {
            assert!(ManifestDigest::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
