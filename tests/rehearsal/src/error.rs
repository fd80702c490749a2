//! Why a rehearsal could not start.

use std::{fmt, io};

/// What went wrong with the stand-ins themselves.
#[derive(Debug)]
pub enum Error {
    /// A file, a socket or a process.
    Io(io::Error),
    /// The throw-away authority or its certificate.
    Certificate(rcgen::Error),
    /// The server's side of TLS.
    Tls(tokio_rustls::rustls::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Certificate(error) => {
                write!(f, "the throw-away certificate can't be made: {error}")
            }
            Self::Tls(error) => write!(f, "TLS can't be set up: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<rcgen::Error> for Error {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error)
    }
}

impl From<tokio_rustls::rustls::Error> for Error {
    fn from(error: tokio_rustls::rustls::Error) -> Self {
        Self::Tls(error)
    }
}
