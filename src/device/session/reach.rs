//! Whether there is anything at the device's address, and whether that address is a local one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::error::{Error, Result, io_in_words};
use crate::model::{Endpoint, EndpointHost};
use crate::os::threads;
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

/// Refuses an address at which no device of the local network is, before anything is fetched for it or sent there. That of a name
/// is known to [`reach`] alone.
///
/// # Errors
/// [`Error::EndpointExample`] for an address that exists in texts only; [`Error::EndpointPublic`] for one outside the local network,
/// which may be right all the same: large networks number their own machines so. What a name leads to is up to whoever answers
/// for it.
pub(crate) fn check_address(endpoint: &Endpoint) -> Result<()> {
    match endpoint.host() {
        EndpointHost::Address(address) if is_example(*address) => {
            Err(Error::EndpointExample { address: address.to_string() })
        }
        EndpointHost::Address(address) if !is_local(*address) => Err(public(
            format!("The address {address}"),
            "Read the IP address off the device's display once more. If it is this one, because your network uses such addresses for its own machines, add:\n  --allow-public-endpoint",
        )),
        _ => Ok(()),
    }
}

fn public(what: String, hint: &str) -> Error {
    Error::EndpointPublic { what, hint: hint.to_owned() }
}

pub(super) fn try_port(endpoint: &Endpoint) -> Result<Endpoint> {
    let unreachable = |why| Error::DeviceUnreachable { endpoint: endpoint.with_port(), port: endpoint.port(), why };
    let addresses = match endpoint.host() {
        EndpointHost::Address(address) => vec![*address],
        EndpointHost::Name(name) => {
            let unknown = |why| Error::DeviceNameUnknown { name: name.clone(), why };
            let addresses = look_up(name).map_err(unknown)?;
            if let Some(address) = addresses.iter().find(|address| !is_local(**address)) {
                return Err(public(
                    format!("The name {name} resolves to {address}, which"),
                    "Give the IP address from the device's display instead:\n  --endpoint 192.0.2.10",
                ));
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
            Err(error) => match Error::if_too_many_files(&error) {
                Some(full) => return Err(full),
                None => why = io_in_words(&error),
            },
        }
    }
    Err(unreachable(why))
}

/// Looks a name up on a thread of its own: the system's resolver knows no deadline.
fn look_up(name: &str) -> std::result::Result<Vec<IpAddr>, String> {
    let (sender, answer) = std::sync::mpsc::channel();
    let find = |name: &str| (name, 0).to_socket_addrs().map(|found| found.map(|found| found.ip()).collect::<Vec<_>>());
    let wanted = name.to_owned();
    let found = match threads::begin(move || sender.send(find(&wanted))) {
        Ok(_) => answer.recv_timeout(LOOK_UP_LIMIT),
        // As long as the system takes.
        Err(_) => Ok(find(name)),
    };
    match found {
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

/// Of the ranges that are set aside for texts (RFC 5737, RFC 3849), which our own help and hints use.
fn is_example(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_documentation(),
        IpAddr::V6(v6) => v6.segments()[..2] == [0x2001, 0xdb8],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_an_example_and_a_public_one_are_told_apart() {
        let code = |text: &str| check_address(&text.parse().unwrap()).err().map(|error| error.code());
        for example in ["192.0.2.10", "198.51.100.7:9091", "203.0.113.7", "2001:db8::1", "[::ffff:192.0.2.1]"] {
            assert_eq!(code(example), Some("endpoint_example"), "{example}");
        }
        for public in ["8.8.8.8", "192.0.3.1", "2001:db9::1"] {
            assert_eq!(code(public), Some("endpoint_public"), "{public}");
        }
        for local in ["10.0.0.1", "snow1.lan", "fd00::1"] {
            assert_eq!(code(local), None, "{local}");
        }
    }

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
