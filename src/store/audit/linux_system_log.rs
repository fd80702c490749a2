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

/// Whether this system has a log that is known.
pub(super) const IS_KNOWN: bool = true;

/// Whether it can be written to, on a way that only the administrator can change.
///
/// # Errors
/// Why not, as the end of a sentence.
pub(super) fn check() -> Result<(), String> {
    open().map(drop)
}

/// Sends a line.
///
/// # Errors
/// Why it was not taken, as the end of a sentence.
pub(super) fn send(line: &str) -> Result<(), String> {
    // Without a time: the log adds the one at which it came, and the line has its own.
    let message = format!("<{PRIORITY}>snow-onboard[{}]: {line}", std::process::id());
    let sent = open()?.send(message.as_bytes());
    sent.map(drop).map_err(|error| format!("{SOCKET} did not take the line: {}", io_in_words(&error)))
}

fn open() -> Result<UnixDatagram, String> {
    let socket = path_trust::socket(Path::new(SOCKET), Whose::Administrator).map_err(|refused| refused.to_string())?;
    let target = socket.ok_or_else(|| format!("nothing listens at {SOCKET}"))?;
    let connect = || {
        let socket = UnixDatagram::unbound()?;
        socket.connect(&target)?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        Ok(socket)
    };
    connect().map_err(|error: std::io::Error| format!("{SOCKET} can't be used: {}", io_in_words(&error)))
}
