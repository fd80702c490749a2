//! Response bodies: whole, or in pieces that may stop coming.

use std::io;

use http_body_util::{BodyExt, Channel, Full, channel::Sender, combinators::UnsyncBoxBody};
use hyper::body::Bytes;

/// What both servers answer with.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A body that is all there.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body that somebody else feeds. An error ends the connection without the orderly close.
pub(crate) fn fed() -> (Sender<Bytes, io::Error>, Body) {
    let (sender, body) = Channel::new(1);
    (sender, body.boxed_unsync())
}
