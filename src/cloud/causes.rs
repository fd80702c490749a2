//! What an error of a library was caused by.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::error::metadata::ErrorMetadata;
use aws_smithy_types::retry::ErrorKind;

use crate::error::io_in_words;
use crate::safety::sanitize::phrase;

/// An error and its causes. An `io::Error` skips its own payload in `source()`, and the payload is what tells.
pub(super) fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

/// The first cause that is a `T`.
pub(super) fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|link| link.downcast_ref())
}

/// The innermost I/O error, which has the operating system's words.
pub(super) fn io_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a std::io::Error> {
    chain(error).filter_map(|link| link.downcast_ref::<std::io::Error>()).last()
}

/// An error's own words: those of the innermost cause that says something, cleaned.
pub(super) fn in_words(error: &(dyn StdError + 'static)) -> String {
    let said = chain(error).filter_map(|link| {
        let words = match link.downcast_ref::<ErrorMetadata>() {
            // Its `Display` is a `Debug`.
            Some(metadata) => match (metadata.message(), metadata.code()) {
                (Some(message), Some(code)) => format!("{message} ({code})"),
                (message, code) => message.or(code)?.to_owned(),
            },
            None => link.downcast_ref::<std::io::Error>().map_or_else(|| link.to_string(), io_in_words),
        };
        Some(phrase(&words)).filter(|words| !words.is_empty())
    });
    said.last().unwrap_or_else(|| "no reason given".to_owned())
}

/// Whether a request without an answer is worth another one: it took too long, or the connection broke off. What can't
/// be reached at all, or is not trusted, is for a person to look at.
pub(super) fn passes(error: &(dyn StdError + 'static)) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    if find::<CredentialsError>(error).is_some() {
        return false;
    }
    // The HTTP client's errors have no public types. Their words: "client error (SendRequest)" and the like once there was
    // a connection, "client error (Connect)" before.
    let broke_off = |link: &(dyn StdError + 'static)| {
        matches!(
            &*link.to_string(),
            "client error (SendRequest)" | "client error (ChannelClosed)" | "client error (Canceled)"
        )
    };
    let connector = find::<ConnectorError>(error);
    chain(error).any(broke_off)
        || connector.is_some_and(|error| error.is_timeout() || error.as_other() == Some(ErrorKind::TransientError))
        || io_error(error).is_some_and(|error| {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof)
        })
}
