//! The manifest's stand-in: an encrypted file that only the unlock code opens.
//!
//! Nothing public is known of the real container (size, magic, cipher), only what it does: it is encrypted, the
//! job's code decrypts it, and it holds what the client needs to talk to the device, the job id included. This one
//! does the same with AES-256-GCM under a key drawn from the code, in a layout of our own:
//! salt (16) ‖ nonce (12) ‖ ciphertext ‖ tag (16). The plaintext is a length, JSON, and filling to size.

use ring::{
    aead::{self, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};
use serde::{Deserialize, Serialize};

use crate::source::Source;

const SALT: usize = 16;
const HEAD: usize = SALT + aead::NONCE_LEN;
const PURPOSE: &[u8] = b"snow-rehearsal/manifest/1";

/// What a manifest says, once opened.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Contents {
    /// The jobs it is for: one, or every node of a cluster, which share one pair.
    pub job_ids: Vec<String>,
    /// What the client proves to the device that it holds, hex.
    pub device_key: String,
}

/// Why a manifest did not open. The client says the same for all three: nobody could tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoesNotOpen;

/// Encrypts `contents` under `code`, filled up to `size` bytes in all.
pub(crate) fn seal(contents: &Contents, code: &str, size: usize, source: &Source) -> Vec<u8> {
    let json = serde_json::to_vec(contents).expect("strings turn into JSON");
    let mut plain = u32::try_from(json.len()).expect("a few ids").to_be_bytes().to_vec();
    plain.extend_from_slice(&json);
    let mut filling = vec![0; size.saturating_sub(HEAD + plain.len() + aead::AES_256_GCM.tag_len())];
    source.fill(&mut filling);
    plain.append(&mut filling);

    let (salt, nonce) = (source.array::<SALT>(), source.array::<{ aead::NONCE_LEN }>());
    key(code, &salt)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut plain)
        .expect("far below the cipher's limit");
    [&salt[..], &nonce[..], &plain].concat()
}

/// Opens a manifest with `code`, offline, as the vendor's client does before it asks the device for anything.
///
/// # Errors
/// [`DoesNotOpen`] for another code, a damaged file and a file that never was a manifest alike.
pub fn open(manifest: &[u8], code: &str) -> Result<Contents, DoesNotOpen> {
    let (salt, rest) = manifest.split_at_checked(SALT).ok_or(DoesNotOpen)?;
    let (nonce, sealed) = rest.split_at_checked(aead::NONCE_LEN).ok_or(DoesNotOpen)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| DoesNotOpen)?;
    let mut sealed = sealed.to_vec();
    let plain = key(code, salt).open_in_place(nonce, Aad::empty(), &mut sealed).map_err(|_| DoesNotOpen)?;
    let (length, rest) = plain.split_first_chunk::<4>().ok_or(DoesNotOpen)?;
    let json = rest.get(..u32::from_be_bytes(*length) as usize).ok_or(DoesNotOpen)?;
    serde_json::from_slice(json).map_err(|_| DoesNotOpen)
}

fn key(code: &str, salt: &[u8]) -> LessSafeKey {
    let drawn = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(code.as_bytes());
    let okm = drawn.expand(&[PURPOSE], &aead::AES_256_GCM).expect("one key is within HKDF's limit");
    LessSafeKey::new(UnboundKey::from(okm))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample() -> (Contents, String, Vec<u8>) {
        let source = Source::new(Some(3));
        let contents = Contents { job_ids: vec![source.id("JID")], device_key: "00ff".to_owned() };
        let code = source.code();
        let sealed = seal(&contents, &code, 5_000, &source);
        (contents, code, sealed)
    }

    #[test]
    fn opens_with_its_own_code_and_has_the_size_asked_for() {
        let (contents, code, sealed) = sample();
        assert_eq!(sealed.len(), 5_000);
        assert_eq!(open(&sealed, &code).unwrap(), contents);
    }

    #[test]
    fn does_not_open_with_another_code_or_when_damaged() {
        let (_, code, sealed) = sample();
        assert_eq!(open(&sealed, &Source::new(Some(4)).code()), Err(DoesNotOpen));
        assert_eq!(open(&sealed, &code.to_uppercase()), Err(DoesNotOpen));
        assert_eq!(open(&sealed[..4_999], &code), Err(DoesNotOpen));
        for at in [0, SALT, HEAD, 4_999] {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(open(&damaged, &code), Err(DoesNotOpen));
        }
        for short in [&b""[..], b"<html>", &[0; HEAD]] {
            assert_eq!(open(short, &code), Err(DoesNotOpen));
        }
    }

    #[test]
    fn says_nothing_of_itself_to_who_has_no_code() {
        let (contents, code, sealed) = sample();
        for secret in [contents.job_ids[0].as_bytes(), code.as_bytes()] {
            assert!(!sealed.windows(secret.len()).any(|window| window == secret));
        }
        assert!(!sealed[..512].iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()));
    }
}
