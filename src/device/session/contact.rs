//! A port of this machine that stands in for the device for one look, to see whether the client gets as far as to contact it.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::device::client::profile;
use crate::device::guard::home;
use crate::error::{Error, Result};
use crate::model::Endpoint;
use crate::os::threads;
use crate::safety::path_trust;

const PAUSE: Duration = Duration::from_millis(20);

/// Open until it is dropped. It closes each connection at once: nothing is read, and a client's TLS has sent no secret by then.
pub(super) struct ContactPort {
    listener: TcpListener,
    /// What the client is told.
    pub(super) endpoint: Endpoint,
}

impl ContactPort {
    /// `None` where this machine can't be contacted through a port, or only through one that a client that knows none but the
    /// device's own would never contact.
    pub(super) fn open() -> Option<Self> {
        // At a loopback address that nobody else knows or is likely to use.
        let mut random = [0; 3];
        getrandom::fill(&mut random).ok()?;
        let [first, second, third] = random;
        // macOS has but the one loopback address.
        let address = if cfg!(target_os = "macos") {
            Ipv4Addr::LOCALHOST
        } else {
            Ipv4Addr::new(127, first.max(1), second, third.clamp(1, 254))
        };
        let listener = TcpListener::bind((address, Endpoint::MANAGEMENT_PORT)).ok()?;
        let address = listener.local_addr().ok()?;
        drop(TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?);
        listener.accept().ok()?;
        listener.set_nonblocking(true).ok()?;
        Some(Self { listener, endpoint: address.to_string().parse().ok()? })
    }

    /// What `look` gives, and whether anything contacted the port meanwhile.
    pub(super) fn watch<T>(&self, look: impl FnOnce() -> T) -> (T, bool) {
        let (is_over, is_contacted) = (AtomicBool::new(false), AtomicBool::new(false));
        let accept = || {
            if self.listener.accept().is_ok() {
                is_contacted.store(true, Ordering::Relaxed);
            }
        };
        let looked = std::thread::scope(|scope| {
            // Without a thread, what came is seen afterwards.
            let _ = threads::begin_in(scope, || {
                while !is_over.load(Ordering::Relaxed) {
                    accept();
                    std::thread::sleep(PAUSE);
                }
            });
            // Also when it panics, where that does not end the process: the scope waits for the thread.
            let _over = Over(&is_over);
            look()
        });
        // One that came and went since.
        accept();
        (looked, is_contacted.into_inner())
    }
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Has our profile name another device. `false` if the client has changed it, so that it stays as it is.
pub(super) fn replace_endpoint(profile: &Path, from: &Endpoint, to: &Endpoint) -> Result<bool> {
    let Some(text) = profile::with_endpoint(profile, from, to)? else { return Ok(false) };
    let fail = |error| Error::disk("Changing", profile, error);
    home::remove_file(profile).map_err(fail)?;
    path_trust::create_private_file(profile).and_then(|mut file| file.write_all(&text)).map_err(fail)?;
    Ok(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_seen_and_none_is_not() {
        let port = ContactPort::open().unwrap();
        assert_eq!(port.watch(|| 1), (1, false), "our own look at it does not count");
        let address = port.endpoint.with_port();
        assert_eq!(port.watch(|| TcpStream::connect(&address).is_ok()), (true, true));
    }

    #[test]
    fn a_profile_is_changed_there_and_back_and_one_that_the_client_has_changed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let profile = folder.path().join("profile");
        let (device, port): (Endpoint, Endpoint) = ("192.0.2.10".parse().unwrap(), "127.1.2.3:9091".parse().unwrap());
        let text = format!("{{\"unlockCode\":\"x\",\"defaultEndpoint\":\"{}\"}}", device.as_url());
        std::fs::write(&profile, &text).unwrap();
        assert!(replace_endpoint(&profile, &device, &port).unwrap());
        assert!(std::fs::read_to_string(&profile).unwrap().contains(&port.as_url()));
        assert_eq!(path_trust::privacy_flaw(&profile).unwrap(), None);
        assert!(replace_endpoint(&profile, &port, &device).unwrap());
        assert_eq!(std::fs::read_to_string(&profile).unwrap(), text);
        std::fs::write(&profile, text.replace('/', "\\/")).unwrap();
        assert!(!replace_endpoint(&profile, &device, &port).unwrap());
    }
}
