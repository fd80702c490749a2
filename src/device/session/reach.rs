//! Whether there is anything at the device's address, and whether that address is a local one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::error::{Error, Result, io_in_words};
use crate::model::{Endpoint, EndpointHost};
use crate::report::{Notify, while_waiting};

/// How long a connection may take.
const LIMIT: Duration = Duration::from_secs(2);
/// How long a look-up may take: what does not answer is taken for a name that is wrong.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(10);

/// Tries the device's port, without a word to it. Gives the endpoint with the address that answered.
///
/// # Errors
/// [`Error::DeviceUnreachable`], good for a warning: a device takes 10 to 20 minutes to start.
/// [`Error::DeviceNameUnknown`] for a name that can't be looked up: that is no device that starts.
/// [`Error::EndpointPublic`] if the address is a name that leads out of the local network, even in part: nothing must
/// be sent there.
pub fn reach(endpoint: &Endpoint, notify: &dyn Notify) -> Result<Endpoint> {
    while_waiting(notify, "the device's port", || try_port(endpoint))
}

/// The address, if it is one outside the local network; of a name [`reach`] finds that out.
///
/// Such an address is a matter for a warning or a question, not a refusal: large networks number their own machines so, and
/// what stands on a display was typed on purpose. What a name leads to is up to whoever answers for it.
#[must_use]
pub(crate) fn is_public(endpoint: &Endpoint) -> Option<IpAddr> {
    match endpoint.host() {
        EndpointHost::Address(address) if !is_local(*address) => Some(*address),
        _ => None,
    }
}

pub(super) fn try_port(endpoint: &Endpoint) -> Result<Endpoint> {
    let unreachable = |why| Error::DeviceUnreachable { endpoint: endpoint.with_port(), port: endpoint.port(), why };
    let addresses = match endpoint.host() {
        EndpointHost::Address(address) => vec![*address],
        EndpointHost::Name(name) => {
            let unknown = |why| Error::DeviceNameUnknown { name: name.clone(), why };
            let addresses = look_up(name).map_err(unknown)?;
            if let Some(address) = addresses.iter().find(|address| !is_local(**address)) {
                return Err(Error::EndpointPublic { name: name.clone(), address: address.to_string() });
            }
            addresses
        }
    };
    if let (EndpointHost::Name(name), true) = (endpoint.host(), addresses.is_empty()) {
        return Err(Error::DeviceNameUnknown { name: name.clone(), why: "it leads to no address".to_owned() });
    }
    let mut why = String::new();
    for address in addresses.iter().take(4) {
        match TcpStream::connect_timeout(&SocketAddr::new(*address, endpoint.port()), LIMIT) {
            Ok(_) => return Ok(endpoint.at(*address)),
            Err(error) => why = io_in_words(&error),
        }
    }
    Err(unreachable(why))
}

/// Looks a name up on a thread of its own: the system's resolver knows no deadline.
fn look_up(name: &str) -> std::result::Result<Vec<IpAddr>, String> {
    let (sender, answer) = std::sync::mpsc::channel();
    let name = name.to_owned();
    std::thread::spawn(move || {
        let found = (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|found| found.ip()).collect());
        let _ = sender.send(found);
    });
    match answer.recv_timeout(LOOK_UP_LIMIT) {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(io_in_words(&error)),
        Err(_) => Err(format!("no answer within {} seconds", LOOK_UP_LIMIT.as_secs())),
    }
}

/// Loopback, private (RFC 1918), guard-local, shared (RFC 6598), unique local (RFC 4193).
fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = u32::from(Ipv4Addr::new(100, 64, 0, 0));
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || u32::from(v4) & 0xffc0_0000 == shared
        }
        IpAddr::V6(v6) => v6 == Ipv6Addr::LOCALHOST || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_are_told_from_public_ones() {
        for local in [
            "127.0.0.1",
            "10.0.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_local(local.parse().unwrap()), "{local}");
        }
        for public in ["8.8.8.8", "172.32.0.1", "100.63.255.255", "100.128.0.0", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!is_local(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn a_port_that_listens_is_reached_and_another_is_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint: Endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
        assert_eq!(try_port(&endpoint).unwrap(), endpoint);
        drop(listener);
        assert_eq!(try_port(&endpoint).unwrap_err().code(), "device_unreachable");
    }

    #[test]
    fn a_name_is_looked_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let reached = try_port(&format!("localhost:{port}").parse().unwrap()).unwrap();
        assert_eq!(reached.to_string(), format!("127.0.0.1:{port}"));
    }
}
