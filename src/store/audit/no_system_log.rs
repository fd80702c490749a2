//! Where no system's log is known: macOS takes lines from programs through a library of its own, and Windows asks for an
//! event source that an administrator has installed.

/// The system's log, of which this version knows none here.
#[derive(Debug)]
pub(super) enum SystemLog {}

impl SystemLog {
    pub(super) const IS_KNOWN: bool = false;

    pub(super) fn open() -> Result<Self, String> {
        Err("this system's log is not known".to_owned())
    }

    pub(super) fn send(&self, _line: &str) -> Result<(), String> {
        match *self {}
    }
}
