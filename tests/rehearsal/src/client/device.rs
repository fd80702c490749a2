//! Talking to the device, in the protocol of the stand-in's own device.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use super::commands::Failure;
use crate::device::{Answer, Question};

/// The device-management port, which the client adds to an endpoint without one.
const PORT: u16 = 9091;
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the device at `endpoint`.
pub(super) fn ask(endpoint: &str, question: &Question) -> Result<Answer, Failure> {
    try_ask(&place(endpoint)?, question)?.map_err(|error| match error.kind() {
        // The one error that the guide names.
        io::ErrorKind::ConnectionRefused => Failure::new("connection refused"),
        _ => Failure::new(&format!("no answer from the device: {error}")),
    })
}

/// Asks the device there; the inner error is that of a device that does not answer.
pub(super) fn try_ask((host, port): &(String, u16), question: &Question) -> Result<io::Result<Answer>, Failure> {
    match exchange(host, *port, question) {
        Ok(Answer::Stranger) => Err(Failure::new("the device does not accept this manifest")),
        Ok(Answer::Refused(text)) => Err(Failure::new(&text)),
        answer => Ok(answer),
    }
}

/// Host and port of an endpoint.
pub(super) fn place(endpoint: &str) -> Result<(String, u16), Failure> {
    parse(endpoint).ok_or_else(|| Failure::new("the endpoint is not https://ADDRESS or https://ADDRESS:PORT"))
}

/// Host and port of a device's address, `IP` or `IP:PORT`.
pub(super) fn address(text: &str) -> Result<(String, u16), Failure> {
    parse(&format!("https://{text}")).ok_or_else(|| Failure::new(&format!("{text} is not IP or IP:PORT")))
}

fn exchange(host: &str, port: u16, question: &Question) -> io::Result<Answer> {
    let address = (host, port).to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

fn parse(endpoint: &str) -> Option<(String, u16)> {
    let authority = endpoint.strip_prefix("https://")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = if port.is_empty() { PORT } else { port.strip_prefix(':')?.parse().ok()? };
        return Some((host.to_owned(), port));
    }
    match authority.split_once(':') {
        None if authority.is_empty() => None,
        None => Some((authority.to_owned(), PORT)),
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let some = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(parse("https://192.0.2.0"), some("192.0.2.0", 9091));
        assert_eq!(parse("https://192.0.2.0:9091/"), some("192.0.2.0", 9091));
        assert_eq!(parse("https://[2001:db8::1]"), some("2001:db8::1", 9091));
        assert_eq!(parse("https://[::1]:8"), some("::1", 8));
        for wrong in ["http://192.0.2.0", "192.0.2.0", "https://", "https://h:x", "https://[::1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
