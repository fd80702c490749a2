//! Words of servers, proxies and credential programs, made fit for the middle of a sentence of ours.

use crate::text;

/// Foreign text for use inside a sentence: cleaned, and without a full stop at its end.
pub(super) fn clean(foreign: &str) -> String {
    let mut cleaned = text::clean(foreign);
    cleaned.truncate(cleaned.trim_end_matches(['.', ' ']).len());
    cleaned
}

/// [`clean`], or `instead` where nothing remains.
pub(super) fn clean_or(text: Option<&str>, instead: &str) -> String {
    Some(clean(text.unwrap_or_default())).filter(|text| !text.is_empty()).unwrap_or_else(|| instead.to_owned())
}

/// With a capital at the start, for the beginning of a sentence.
pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// For the middle of a sentence what may begin one: "the Snowball API" of "The Snowball API"; names stay as they are.
pub(super) fn uncapitalised(text: &str) -> String {
    text.strip_prefix("The ").map_or_else(|| text.to_owned(), |rest| format!("the {rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_fit_into_a_sentence() {
        assert_eq!(clean("Request has\r\n expired. "), "Request has expired");
        assert_eq!(clean_or(Some("\n\u{7}"), "no reason given"), "no reason given");
        assert_eq!(clean_or(None, "no reason given"), "no reason given");
        assert_eq!(capitalised("the bucket"), "The bucket");
        assert_eq!(uncapitalised("The bucket"), "the bucket");
        assert_eq!(uncapitalised("Snowball ListJobs"), "Snowball ListJobs");
    }
}
