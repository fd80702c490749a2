//! What holds for everything that the program says of what it has read.

use snow_onboard::error::Error;
use snow_onboard::model::{UnlockCode, has_shape_of_code};
use snow_onboard::safety::redact::redacted;

/// Whether one text holds the other.
pub(super) fn holds(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// No unlock code is in it.
#[track_caller]
pub(super) fn no_code(text: &[u8]) {
    assert!(!text.windows(UnlockCode::LENGTH).any(has_shape_of_code), "a code: {}", text.escape_ascii());
}

/// A sentence of ours that quotes what was read: one line, for any terminal, without a secret.
#[track_caller]
pub(super) fn fit_to_show(sentence: &str) {
    assert!(!sentence.chars().any(char::is_control), "a control character: {}", sentence.escape_debug());
    no_code(sentence.as_bytes());
    assert!(redacted(sentence.as_bytes()) == sentence.as_bytes(), "a secret: {}", sentence.escape_debug());
}

/// An error that was made of `input`, sentence and hint: fit to show, and no longer than what can be read.
#[track_caller]
pub(super) fn fit_error(error: &Error, input: &[u8]) {
    let report = error.report();
    fit_to_show(&report.sentence);
    report.hint.lines().for_each(fit_to_show);
    let length = report.sentence.len() + report.hint.len();
    assert!(length < 8192 + input.len(), "{length} bytes are said of {}", input.len());
}

/// Nothing of `input` is repeated in `said`, which says why it was refused. What `said` would say of `others` as well
/// are its own words.
#[track_caller]
pub(super) fn no_echo(said: &str, input: &str, own_words: &str) {
    /// Shorter than what could tell anything of a code, longer than what stands in both by chance.
    const LENGTH: usize = 7;
    for window in said.as_bytes().windows(LENGTH) {
        assert!(!holds(input.as_bytes(), window) || holds(own_words.as_bytes(), window), "an echo: {said}");
    }
}
