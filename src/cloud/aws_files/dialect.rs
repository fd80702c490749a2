//! What the SDK takes for a name and for a value.

use std::fmt::Write as _;

/// How the SDK is told a name: as it is, or spelled in hexadecimal if it takes no such name.
pub(in crate::cloud) fn sdk_name(name: &str) -> String {
    const SPELLED: &str = "name-in-hex-";
    if is_identifier(name) && !name.starts_with(SPELLED) {
        return name.to_owned();
    }
    name.bytes().fold(SPELLED.to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What the SDK takes for a name.
pub(super) fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.%@:+".contains(c))
}

/// Whether the SDK takes a part of the value for a comment.
pub(super) fn is_cut_by_sdk(value: &str) -> bool {
    value.starts_with(['#', ';'])
        || value.char_indices().any(|(at, c)| c.is_whitespace() && value[at + c.len_utf8()..].starts_with(['#', ';']))
}

/// The first character in it that no access key, secret or token has, in words: the SDK panics where one can't stand in a header,
/// and AWS says "can't be verified" of the others. Never more than the one character.
pub(in crate::cloud) fn odd_key_character(text: &str) -> Option<String> {
    let odd = text.chars().find(|c| !c.is_ascii_graphic())?;
    Some(match odd {
        '\r' => "a carriage return".to_owned(),
        '\n' => "a line break".to_owned(),
        ' ' => "a blank".to_owned(),
        '\t' => "a tab".to_owned(),
        other => format!("the character U+{:04X}", u32::from(other)),
    })
}
