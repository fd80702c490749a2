//! The two secrets of a run: the unlock code and the signed manifest address.
//!
//! Both are parsed once from an answer we take ownership of, so that the text they came from is wiped here and not
//! wherever a caller forgot. Neither has `Clone`, `Display`, `Serialize` or a revealing `Debug`; the only way to the
//! text is [`UnlockCode::expose`] or [`ManifestUrl::expose`], which a reviewer can search for.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The code that opens one job's device: 25 ASCII letters or digits in five groups of five, joined by hyphens.
///
/// Lives in a page of its own that never grows and never moves, is kept from being swapped out where the system grants
/// that, and is wiped when dropped. Case is kept: whether it matters is documented nowhere (Snowball API,
/// GetJobUnlockCode).
pub struct UnlockCode {
    // Dropped in this order: a page is unlocked while it still is ours.
    _in_memory: Option<region::LockGuard>,
    page: Box<Page>,
}

/// Separation from all else on the heap: systems lock whole pages, and the end of one lock would end that of a neighbour. Four
/// of x86-64's pages are one of Apple silicon's.
#[repr(C, align(16384))]
struct Page([u8; UnlockCode::LENGTH]);

/// Why a text is not an unlock code. Says how long it was, never what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnUnlockCode {
    /// Characters of the refused text; where it is no UTF-8, bytes.
    pub length: usize,
}

impl UnlockCode {
    /// Characters of a code, hyphens included.
    pub const LENGTH: usize = 29;

    /// Takes the code out of `source` and wipes `source`, whether it was a code or not.
    ///
    /// # Errors
    /// [`NotAnUnlockCode`] if the text has another shape. A trailing newline is another shape.
    pub fn take(source: impl Into<Vec<u8>>) -> Result<Self, NotAnUnlockCode> {
        let source = Zeroizing::new(source.into());
        if !has_shape_of_code(&source) {
            let length = std::str::from_utf8(&source).map_or(source.len(), |text| text.chars().count());
            return Err(NotAnUnlockCode { length });
        }
        let mut page = Box::new(Page([0; Self::LENGTH]));
        // Refused where the limit is used up (`ulimit -l`); the code is then as well kept as all other memory.
        let in_memory = region::lock(page.0.as_ptr(), Self::LENGTH).ok();
        page.0.copy_from_slice(&source);
        Ok(Self { _in_memory: in_memory, page })
    }

    /// Lends the code to `use_it`. What the closure copies is the closure's to wipe.
    pub fn expose<R>(&self, use_it: impl FnOnce(&str) -> R) -> R {
        use_it(std::str::from_utf8(&self.page.0).expect("the shape admits only ASCII"))
    }

    /// Whether both are the same code, in time that does not depend on where they differ.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.page.0.ct_eq(&other.page.0).into()
    }
}

/// Whether `text` is shaped like an unlock code: `[0-9A-Za-z]{5}(-[0-9A-Za-z]{5}){4}`.
///
/// The redaction of foreign text goes by this shape too, since by then nobody holds the code to compare with.
#[must_use]
pub fn has_shape_of_code(text: &[u8]) -> bool {
    text.len() == UnlockCode::LENGTH
        && text
            .iter()
            .enumerate()
            .all(|(at, byte)| if at % 6 == 5 { *byte == b'-' } else { byte.is_ascii_alphanumeric() })
}

/// Whether anything in `text` is.
#[must_use]
pub(crate) fn holds_shape_of_code(text: &str) -> bool {
    text.as_bytes().windows(UnlockCode::LENGTH).any(has_shape_of_code)
}

impl Drop for UnlockCode {
    fn drop(&mut self) {
        self.page.0.zeroize();
    }
}

impl ZeroizeOnDrop for UnlockCode {}

impl fmt::Debug for UnlockCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnlockCode(…)")
    }
}

/// The presigned URL of a manifest: for an hour, whoever holds it can download the manifest (Snowball API,
/// GetJobManifest), so it is treated like the code. https only, no user or password in it.
pub struct ManifestUrl {
    text: Zeroizing<String>,
    host: String,
}

/// Why a text is not a usable manifest address. Never contains the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAManifestUrl {
    /// Ends the sentence "the address of the manifest …".
    pub why: &'static str,
}

impl ManifestUrl {
    /// Longest address taken. Presigned URLs with a session token run to about 2 KiB.
    pub const MAX_LENGTH: usize = 16 * 1024;

    /// Takes the address out of `source`; a refused one is wiped.
    ///
    /// # Errors
    /// [`NotAManifestUrl`] if it is not an absolute https address with a host and without user or password.
    pub fn take(source: String) -> Result<Self, NotAManifestUrl> {
        let text = Zeroizing::new(source);
        let refuse = |why| Err(NotAManifestUrl { why });
        if text.len() > Self::MAX_LENGTH {
            return refuse("is longer than 16 KiB");
        }
        let Ok(parsed) = text.parse::<http::Uri>() else {
            return refuse("is not an address");
        };
        if parsed.scheme_str() != Some("https") {
            return refuse("is not an https address");
        }
        let Some(authority) = parsed.authority() else {
            return refuse("names no host");
        };
        if authority.as_str().contains('@') {
            return refuse("carries a user name");
        }
        let host = authority.host().to_owned();
        if host.is_empty() {
            return refuse("names no host");
        }
        Ok(Self { text, host })
    }

    /// The host it points to; not secret.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Lends the address to `use_it`. What the closure copies is the closure's to wipe.
    pub fn expose<R>(&self, use_it: impl FnOnce(&str) -> R) -> R {
        use_it(&self.text)
    }
}

impl fmt::Debug for ManifestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManifestUrl(https://{}/…)", self.host)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::use_debug)]
mod tests {
    use super::*;
    use impls::impls;
    use proptest::prelude::*;

    #[test]
    fn documented_codes_are_taken_and_their_case_kept() {
        for code in ["12345-abcde-12345-ABCDE-12345", "7c0e1-bab84-f7675-0a2b6-f8k33", "a6gt3-8suds-kshd6-7hhas-876as"]
        {
            assert!(UnlockCode::take(code).unwrap().expose(|text| text == code));
        }
    }

    /// What the kernel says of the mapping that holds this address (proc(5), smaps): "lo" stands for locked.
    #[cfg(target_os = "linux")]
    fn is_locked(address: usize) -> bool {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in smaps.lines() {
            let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
            if let Some(range) = range.and_then(|(start, end)| {
                Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
            }) {
                inside = range.contains(&address);
            } else if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
                return flags.split_whitespace().any(|flag| flag == "lo");
            }
        }
        panic!("no mapping holds the address");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_code_is_kept_out_of_the_swap_and_shares_its_page_with_nothing() {
        let other = Box::new([0_u8; 4096]);
        let code = UnlockCode::take("12345-abcde-12345-ABCDE-12345").unwrap();
        let neighbour = UnlockCode::take("12345-abcde-12345-ABCDE-12346").unwrap();
        let at = |code: &UnlockCode| code.page.0.as_ptr() as usize;
        assert!(is_locked(at(&code)) && is_locked(at(&neighbour)));
        assert!(!is_locked(other.as_ptr() as usize), "a control: other memory is not");
        assert_eq!(at(&code) % 16384, 0);
        assert!(at(&code).abs_diff(at(&neighbour)) >= 16384);
        drop(neighbour);
        assert!(is_locked(at(&code)), "the end of another's lock leaves it alone");
    }

    #[test]
    fn other_shapes_are_refused_without_an_echo() {
        for text in [
            "",
            "01234-abcde-ABCDE-01234",
            "12345-abcde-12345-ABCDE-1234\n",
            "12345-abcde-12345-ABCDE-1234ä",
            "12345_abcde_12345_ABCDE_12345",
            "12345\u{2011}abcde\u{2011}12345\u{2011}ABCDE\u{2011}12345",
        ] {
            let refusal = UnlockCode::take(text).unwrap_err();
            assert_eq!(refusal, NotAnUnlockCode { length: text.chars().count() });
        }
    }

    #[test]
    fn debug_shows_neither_secret() {
        let code = UnlockCode::take("12345-abcde-12345-ABCDE-12345").unwrap();
        assert_eq!(format!("{code:?}"), "UnlockCode(…)");
        let url =
            ManifestUrl::take("https://bucket.example/JID_manifest.bin?X-Amz-Signature=abcdef".to_owned()).unwrap();
        assert_eq!(format!("{url:?}"), "ManifestUrl(https://bucket.example/…)");
    }

    /// Whether a type has any of the ways by which a secret gets out or multiplies unseen.
    macro_rules! has_a_way_out {
        ($secret:ty) => {
            [
                impls!($secret: Clone),
                impls!($secret: fmt::Display),
                impls!($secret: serde::Serialize),
                impls!($secret: PartialEq),
                impls!($secret: std::ops::Deref),
                impls!($secret: AsRef<str> | AsRef<[u8]>),
                impls!($secret: std::borrow::Borrow<str>),
            ]
        };
    }

    #[test]
    fn neither_secret_can_be_copied_shown_or_written_out() {
        assert_eq!(has_a_way_out!(String), [true; 7], "a control: each of the ways is seen where there is one");
        assert_eq!(has_a_way_out!(UnlockCode), [false; 7]);
        assert_eq!(has_a_way_out!(ManifestUrl), [false; 7]);
    }

    #[test]
    fn only_https_addresses_without_a_user_are_taken() {
        for (text, why) in [
            ("http://127.0.0.1/x", "is not an https address"),
            ("https://user:pass@bucket.example/x", "carries a user name"),
            ("/JID_manifest.bin", "is not an https address"),
            ("https://", "is not an address"),
            ("https://:443/x", "names no host"),
        ] {
            assert_eq!(ManifestUrl::take(text.to_owned()).unwrap_err().why, why, "{text}");
        }
    }

    proptest! {
        #[test]
        fn exactly_the_documented_shape_is_taken(text in "\\PC{0,40}|[0-9A-Za-z]{5}(-[0-9A-Za-z]{5}){3,5}") {
            let expected = {
                let groups: Vec<&str> = text.split('-').collect();
                groups.len() == 5 && groups.iter().all(|g| g.len() == 5 && g.bytes().all(|b| b.is_ascii_alphanumeric()))
            };
            prop_assert_eq!(UnlockCode::take(text.as_str()).is_ok(), expected);
        }

        #[test]
        fn equality_is_equality_of_text(a in "[0-9a-b]{5}(-[0-9a-b]{5}){4}", b in "[0-9a-b]{5}(-[0-9a-b]{5}){4}") {
            let (left, right) = (UnlockCode::take(a.as_str()).unwrap(), UnlockCode::take(b.as_str()).unwrap());
            prop_assert_eq!(left.is_same_as(&right), a == b);
            prop_assert!(left.is_same_as(&UnlockCode::take(a.as_str()).unwrap()));
        }
    }
}
