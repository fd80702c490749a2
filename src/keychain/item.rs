//! What one keychain item holds: two lines, the unlock code and the SHA-256 of the manifest that came with it.
//!
//! A person may have opened the item in the keychain's own app, where a line's end or a blank is easily added and the second
//! line easily lost. The first is read as it was meant; the second is left to be seen ([`KeychainItem::manifest`]).

use zeroize::Zeroizing;

use super::backend::ItemId;
use crate::model::{ManifestDigest, UnlockCode};

/// What the job's item holds until the code is there, and what takes the code's place where an item can't be removed. It is written
/// and read back before anything is fetched, so that a keychain that does not keep what it takes is found out before there is a
/// code to lose. Not empty: the kernel and some keychains take no empty item.
pub(super) const PLACEHOLDER: &[u8] = b"no unlock code";

/// A code out of the keychain.
#[derive(Debug)]
pub struct KeychainItem {
    pub(super) id: ItemId,
    /// The code.
    pub code: UnlockCode,
    /// The second line: the manifest that came with the code. `None` if the item has one line, as those of record format 1
    /// have, and those of which a person's app took the second.
    pub manifest: Option<ManifestDigest>,
}

#[cfg(test)]
impl KeychainItem {
    pub(crate) fn for_test(code: UnlockCode, manifest: Option<ManifestDigest>) -> Self {
        Self { id: ItemId::only(), code, manifest }
    }
}

/// What an item turned out to hold.
pub(super) enum Content {
    /// Nothing yet.
    Placeholder,
    Code(UnlockCode, Option<ManifestDigest>),
    /// Something that is not this program's.
    Foreign,
}

impl Content {
    pub(super) fn of(value: &[u8]) -> Self {
        if value.trim_ascii().is_empty() || value.trim_ascii() == PLACEHOLDER {
            return Self::Placeholder;
        }
        let mut lines = value.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
        let mut next = || lines.find(|line| !line.is_empty());
        let (Some(code), second, None) = (next(), next(), next()) else { return Self::Foreign };
        let manifest = match second.map(digest) {
            None => None,
            Some(Some(digest)) => Some(digest),
            Some(None) => return Self::Foreign,
        };
        match UnlockCode::take(code) {
            Ok(code) => Self::Code(code, manifest),
            Err(_) => Self::Foreign,
        }
    }
}

fn digest(line: &[u8]) -> Option<ManifestDigest> {
    std::str::from_utf8(line).ok()?.to_owned().try_into().ok()
}

/// The two lines.
pub(super) fn value(code: &UnlockCode, manifest: &ManifestDigest) -> Zeroizing<Vec<u8>> {
    let manifest = manifest.to_string();
    let mut value = Zeroizing::new(Vec::with_capacity(UnlockCode::LENGTH + 1 + manifest.len()));
    code.expose(|code| value.extend_from_slice(code.as_bytes()));
    value.push(b'\n');
    value.extend_from_slice(manifest.as_bytes());
    value
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CODE: &str = "12345-abcde-12345-ABCDE-12345";

    fn read(value: &str) -> Option<(bool, Option<String>)> {
        match Content::of(value.as_bytes()) {
            Content::Code(code, manifest) => {
                Some((code.expose(|code| code == CODE), manifest.map(|digest| digest.to_string())))
            }
            Content::Placeholder | Content::Foreign => None,
        }
    }

    #[test]
    fn what_is_written_is_read_and_so_is_what_an_editor_makes_of_it() {
        let manifest = ManifestDigest::of(&b"manifest"[..]).unwrap();
        let code = UnlockCode::take(CODE).unwrap();
        let written = String::from_utf8(value(&code, &manifest).to_vec()).unwrap();
        assert_eq!(written.lines().collect::<Vec<_>>(), [CODE, &manifest.to_string()]);
        let with = Some((true, Some(manifest.to_string())));
        for edited in [
            written.clone(),
            format!("{written}\n"),
            format!("{written} \r\n"),
            format!(" {written}"),
            written.replace('\n', "\r\n"),
            written.replace('\n', "\r"),
            written.replace('\n', " \n\n"),
            format!("{CODE}\n{}", manifest.to_string().to_uppercase()),
        ] {
            assert_eq!(read(&edited), with, "{}", edited.escape_debug());
        }
        for line in [CODE.to_owned(), format!("{CODE}\n"), format!("{CODE} "), format!("\r\n{CODE}\r\n")] {
            assert_eq!(read(&line), Some((true, None)), "{}", line.escape_debug());
        }
    }

    #[test]
    fn anything_else_is_foreign_or_a_placeholder() {
        let manifest = "0".repeat(64);
        for foreign in [
            "a shopping list".to_owned(),
            format!("{CODE}6\n{manifest}"),
            format!("{CODE}\n{manifest}0"),
            format!("{CODE}\n{manifest}\nand more"),
            format!("{CODE}\nof the box in the hall"),
            manifest.clone(),
            format!("{manifest}\n{CODE}"),
        ] {
            assert!(matches!(Content::of(foreign.as_bytes()), Content::Foreign), "{foreign}");
        }
        assert!(matches!(Content::of(&[0xff, 0xfe]), Content::Foreign));
        for empty in [&b""[..], b" \r\n", PLACEHOLDER, b"no unlock code  \n"] {
            assert!(matches!(Content::of(empty), Content::Placeholder));
        }
    }
}
