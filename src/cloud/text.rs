//! Names of ours at the start and in the middle of a sentence.

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
        assert_eq!(capitalised("the bucket"), "The bucket");
        assert_eq!(uncapitalised("The bucket"), "the bucket");
        assert_eq!(uncapitalised("Snowball ListJobs"), "Snowball ListJobs");
    }
}
