//! Where the client writes: at once, or, for one that buffers, when it ends.

use std::io::{self, IsTerminal, Write};

/// The client's stdout and stderr.
pub(super) struct Output {
    /// What is held back until the end; `None` writes at once.
    held: Option<Vec<u8>>,
}

impl Output {
    /// Holds back what goes to a pipe, if asked to.
    pub(super) fn new(buffers: bool) -> Self {
        Self { held: (buffers && !io::stdout().is_terminal()).then(Vec::new) }
    }

    /// Holds back everything.
    #[cfg(test)]
    pub(super) fn holding() -> Self {
        Self { held: Some(Vec::new()) }
    }

    /// What was held back.
    #[cfg(test)]
    pub(super) fn take(&mut self) -> String {
        String::from_utf8_lossy(&self.held.take().unwrap_or_default()).into_owned()
    }

    /// To stdout, as it is.
    pub(super) fn write(&mut self, text: &str) {
        match &mut self.held {
            Some(held) => held.extend_from_slice(text.as_bytes()),
            None => {
                let mut stdout = io::stdout().lock();
                // Whoever reads may have gone: a JVM's System.out does not mind either.
                let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
            }
        }
    }

    /// To stdout, as a line.
    pub(super) fn line(&mut self, text: &str) {
        self.write(&format!("{text}\n"));
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            let _ = io::stdout().write_all(&held);
        }
    }
}

/// To stderr, as a line.
pub(super) fn report_parse_error(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
