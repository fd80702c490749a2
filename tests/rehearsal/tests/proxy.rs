//! The proxy, spoken to by hand: each fault does what it says, to whom and as often as it was asked to.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use snow_rehearsal::{Impostor, Line, ProxyFault, Rehearsal, Server, Times};
use tokio_rustls::rustls::{CertificateError, ClientConnection, Error as TlsError, StreamOwned, pki_types::ServerName};

/// Longer than anything that is on its way takes on loopback.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the proxy for a tunnel; gives the status and the connection behind it.
fn connect(rehearsal: &Rehearsal, target: &str) -> (u16, TcpStream) {
    try_connect(rehearsal, target).unwrap()
}

/// The same where the line may be broken before the answer has been read.
fn try_connect(rehearsal: &Rehearsal, target: &str) -> std::io::Result<(u16, TcpStream)> {
    let proxy = rehearsal.proxy().unwrap().url();
    let mut stream = TcpStream::connect(proxy.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n")?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    Ok((head.split(' ').nth(1).unwrap().parse().unwrap(), stream))
}

/// What a line that was broken on the other side says, depending on what was under way.
fn is_broken(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe)
}

fn api(rehearsal: &Rehearsal) -> String {
    rehearsal.endpoint_url().replace("https://", "")
}

fn bucket(rehearsal: &Rehearsal) -> String {
    rehearsal.bucket_url().replace("https://", "")
}

/// One request through the tunnel; the whole answer, or what TLS or the line said.
fn ask(rehearsal: &Rehearsal, target: &str) -> std::io::Result<String> {
    let (status, stream) = connect(rehearsal, target);
    assert_eq!(status, 200);
    let tls =
        ClientConnection::new(Arc::new(common::client_config(rehearsal)), ServerName::try_from("127.0.0.1").unwrap());
    let mut stream = StreamOwned::new(tls.unwrap(), stream);
    write!(stream, "GET /nothing HTTP/1.1\r\nhost: {target}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The bytes that come from a server to whom a hello was said, until they end, with the way they end.
fn raw(rehearsal: &Rehearsal, wait: Duration) -> (usize, Result<(), ErrorKind>) {
    let mut stream = match try_connect(rehearsal, &api(rehearsal)) {
        Ok((_, stream)) => stream,
        Err(error) => return (0, Err(error.kind())),
    };
    let config = Arc::new(common::client_config(rehearsal));
    let mut tls = ClientConnection::new(config, ServerName::try_from("127.0.0.1").unwrap()).unwrap();
    // A line that ends at once may do so before the hello is on it.
    if let Err(error) = tls.write_tls(&mut stream) {
        return (0, Err(error.kind()));
    }
    stream.set_read_timeout(Some(wait)).unwrap();
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes).map(drop).map_err(|error| error.kind());
    (bytes.len(), ended)
}

#[test]
fn a_well_proxy_leads_to_both_servers_and_nowhere_else() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    assert!(ask(&rehearsal, &api(&rehearsal)).unwrap().starts_with("HTTP/1.1 4"));
    assert!(ask(&rehearsal, &bucket(&rehearsal)).unwrap().starts_with("HTTP/1.1 403"));
    let elsewhere = rehearsal.device().address().to_string();
    assert_eq!(connect(&rehearsal, &elsewhere).0, 403);
    assert_eq!(rehearsal.proxy().unwrap().asked(), [Server::Api, Server::Bucket]);
}

#[test]
fn a_fault_meets_whom_it_is_meant_for_as_often_as_asked() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let status = |target: &str| connect(&rehearsal, target).0;
    let (api, bucket) = (api(&rehearsal), bucket(&rehearsal));
    let proxy = rehearsal.proxy().unwrap();
    proxy.plant(Some(Server::Bucket), ProxyFault::Refuses(407), Times::First(1));
    assert_eq!([&api, &bucket, &bucket].map(|target| status(target)), [200, 407, 200]);
    proxy.plant(None, ProxyFault::Refuses(502), Times::Always);
    assert_eq!([&api, &bucket, &api].map(|target| status(target)), [502, 502, 502]);
    rehearsal.heal();
    assert_eq!(status(&api), 200);
}

#[test]
fn a_line_is_closed_or_reset_where_asked() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let proxy = rehearsal.proxy().unwrap();
    for after in [0, 1, 100] {
        proxy.plant(None, ProxyFault::Closes(after), Times::First(1));
        let (bytes, ended) = raw(&rehearsal, PATIENCE);
        assert_eq!(bytes, after as usize);
        // What was sent to a line that is closed already is answered by a reset.
        assert!(ended.is_ok() || (after == 0 && ended.is_err_and(is_broken)), "{after}");
        proxy.plant(None, ProxyFault::Resets(after), Times::First(1));
        assert!(raw(&rehearsal, PATIENCE).1.is_err_and(is_broken), "after {after}");
    }
}

#[test]
fn a_line_goes_silent_where_asked() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let proxy = rehearsal.proxy().unwrap();
    proxy.plant(None, ProxyFault::Stalls(100), Times::First(1));
    let (bytes, ended) = raw(&rehearsal, Duration::from_millis(500));
    assert_eq!(bytes, 100);
    assert!(matches!(ended, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "it is still there");
    proxy.plant(None, ProxyFault::Silent, Times::First(1));
    let mut stream = TcpStream::connect(proxy.url().strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    write!(stream, "CONNECT {} HTTP/1.1\r\n\r\n", api(&rehearsal)).unwrap();
    let said = stream.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(said, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)));
}

#[test]
fn a_drip_brings_everything_and_takes_its_time() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let pause = Duration::from_millis(50);
    rehearsal.proxy().unwrap().plant(None, ProxyFault::Drips(200, pause), Times::First(1));
    let start = Instant::now();
    assert!(ask(&rehearsal, &api(&rehearsal)).unwrap().starts_with("HTTP/1.1 4"));
    // A handshake alone is several hundred bytes.
    assert!(start.elapsed() >= 3 * pause, "{:?}", start.elapsed());
}

#[test]
fn a_round_trip_is_waited_for_by_each_request() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let round_trip = Duration::from_millis(50);
    rehearsal.proxy().unwrap().set_line(Line { round_trip, ..Line::default() });
    let start = Instant::now();
    assert!(ask(&rehearsal, &api(&rehearsal)).unwrap().starts_with("HTTP/1.1 4"));
    // The connection, the handshake, the request.
    assert!(start.elapsed() >= 3 * round_trip, "{:?}", start.elapsed());
}

#[test]
fn what_is_lost_comes_late_or_breaks_the_line() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    rehearsal.proxy().unwrap().set_line(Line { lost_per_mille: 1000, ..Line::default() });
    let start = Instant::now();
    match ask(&rehearsal, &api(&rehearsal)) {
        Ok(_) => assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed()),
        Err(error) => assert!(is_broken(error.kind()), "{error}"),
    }
}

#[test]
fn a_byte_that_is_changed_is_noticed_by_tls() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    // In the middle of what is encrypted: the hello before it is a hundred bytes and some.
    rehearsal.proxy().unwrap().plant(None, ProxyFault::Corrupts(400), Times::First(1));
    let error = ask(&rehearsal, &api(&rehearsal)).unwrap_err();
    assert!(matches!(tls_error(&error), TlsError::DecryptError), "{error}");
    assert!(ask(&rehearsal, &api(&rehearsal)).is_ok());
}

#[test]
fn an_impostor_shows_a_certificate_with_the_flaw_asked_for() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let proxy = rehearsal.proxy().unwrap();
    for impostor in [Impostor::Expired, Impostor::OtherName, Impostor::UnknownAuthority] {
        proxy.plant(Some(Server::Api), ProxyFault::Impostor(impostor), Times::First(1));
        let error = ask(&rehearsal, &api(&rehearsal)).unwrap_err();
        let TlsError::InvalidCertificate(reason) = tls_error(&error) else { panic!("{error}") };
        use CertificateError as Reason;
        let expected = match impostor {
            Impostor::Expired => matches!(reason, Reason::Expired | Reason::ExpiredContext { .. }),
            Impostor::OtherName => matches!(reason, Reason::NotValidForName | Reason::NotValidForNameContext { .. }),
            Impostor::UnknownAuthority => matches!(reason, Reason::UnknownIssuer | Reason::BadSignature),
        };
        assert!(expected, "{impostor:?}: {error}");
    }
    assert_eq!(proxy.fooled(), 0);
}

fn tls_error(error: &std::io::Error) -> &TlsError {
    error.get_ref().unwrap().downcast_ref().unwrap()
}
