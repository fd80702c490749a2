//! The copy of each line that goes to the system's log, which the user can't change: journald, or another syslogd.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use crate::error::io_in_words;
use crate::safety::path_trust::{self, Whose};

/// Where every syslogd of Linux listens (syslog(3)).
const SOCKET: &str = "/dev/log";

/// A local socket takes a line at once, unless nobody reads.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Facility authpriv, severity notice (RFC 3164): for messages that not every user may read.
const PRIORITY: u8 = 10 * 8 + 5;

/// The system's log, open to be written to.
#[derive(Debug)]
pub(super) struct SystemLog {
    socket: UnixDatagram,
}

impl SystemLog {
    /// Whether this system has one that is known.
    pub(super) const IS_KNOWN: bool = true;

    /// Connects to it, on a way that only the administrator can change.
    ///
    /// # Errors
    /// Why it can't be written to, as the end of a sentence.
    pub(super) fn open() -> Result<Self, String> {
        let path = Path::new(SOCKET);
        let way = path_trust::resolve(path, Whose::Administrator).map_err(|refused| refused.to_string())?;
        let target = way.target.ok_or_else(|| format!("nothing listens at {SOCKET}"))?;
        path_trust::administrators_socket(&target).map_err(|refused| refused.to_string())?;
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            socket.connect(&target)?;
            socket.set_write_timeout(Some(TIMEOUT))?;
            Ok(Self { socket })
        };
        connect().map_err(|error: std::io::Error| format!("{SOCKET} can't be used: {}", io_in_words(&error)))
    }

    /// Sends a line.
    ///
    /// # Errors
    /// Why it was not taken, as the end of a sentence.
    pub(super) fn send(&self, line: &str) -> Result<(), String> {
        // Without a time: the log adds the one at which it came, and the line has its own.
        let message = format!("<{PRIORITY}>snow-onboard[{}]: {line}", std::process::id());
        let sent = self.socket.send(message.as_bytes());
        sent.map(drop).map_err(|error| format!("{SOCKET} did not take the line: {}", io_in_words(&error)))
    }
}
