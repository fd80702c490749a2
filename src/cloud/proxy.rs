//! The proxy for https, as its variables name it, and what is reached without it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_runtime_api::client::result::ConnectorError;
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::causes::{chain, find, io_error};
use crate::error::{Error, Result, io_in_words};
use crate::safety::sanitize::phrase;

/// How long a proxy that refused may take to say once more why.
const PATIENCE: Duration = Duration::from_secs(5);

/// The proxy for https, from the variables.
pub(super) struct Proxy {
    pub(super) config: ProxyConfig,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// Which variable names it.
    pub(super) variable: &'static str,
    /// What is reached without it, as `NO_PROXY` says.
    pub(super) except: Option<String>,
    /// What was said of entries of it that except nothing, and whether it was passed on.
    misread: Mutex<Vec<(String, bool)>>,
    /// `Proxy-Authorization`, if the variable has a user.
    login: Option<String>,
    /// Whether it is itself spoken to in TLS.
    is_https: bool,
    /// Whether the request that began last went to it.
    is_asked: AtomicBool,
}

impl Proxy {
    /// `https_proxy`, then `HTTPS_PROXY`, as the AWS CLI, which knows no `ALL_PROXY`. An empty variable switches the proxy off, as
    /// it does there.
    pub(super) fn from_variables(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<Option<Self>> {
        let read = |name: &'static str| match variable(name).map(std::ffi::OsString::into_string) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(_)) => Err(Error::ProxyBad { variable: name, why: "is not valid text".to_owned() }),
        };
        let first = |names: [&'static str; 2]| -> Result<Option<(&'static str, String)>> {
            for name in names {
                if let Some(value) = read(name)? {
                    return Ok(Some((name, value)));
                }
            }
            Ok(None)
        };
        let Some((name, value)) = first(["https_proxy", "HTTPS_PROXY"])? else { return Ok(None) };
        let value = value.trim();
        if value.is_empty() {
            return Ok(None);
        }
        let (uri, login) = parse_proxy(value).map_err(|why| Error::ProxyBad { variable: name, why: why.to_owned() })?;
        let (host, port) = (uri.host().unwrap_or_default().to_owned(), uri.port_u16());
        let is_https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let unusable = |_| Error::ProxyBad { variable: name, why: "is not the address of a proxy".to_owned() };
        let config = ProxyConfig::https(uri).map_err(unusable)?;
        let except = first(["no_proxy", "NO_PROXY"])?.map(|(_, except)| except);
        // Alone it means every host, and among others none.
        if except.as_deref() == Some("*") {
            return Ok(None);
        }
        let except = except.filter(|except| !except.trim().is_empty());
        let (is_asked, misread) = (AtomicBool::new(false), Mutex::default());
        Ok(Some(Self { config, host, port, variable: name, except, misread, login, is_https, is_asked }))
    }

    /// Whether the proxy is not for this: it is for https, and `NO_PROXY` may except a host, or a host at one port. The services that
    /// hand out credentials over http are on this machine.
    pub(super) fn is_bypassed(&self, uri: &http::Uri) -> bool {
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default().to_lowercase();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let is_https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let except = self.except.as_deref().unwrap_or_default();
        if !is_https || excepts(except, authority) {
            return true;
        }
        if let Some((entry, instead)) = misread(except, authority) {
            let (entry, host, address) = (phrase(entry), phrase(authority), self.address());
            let note = format!(
                "{host} is reached through the proxy {address} ({}): “{entry}” in NO_PROXY excepts no host, here as with the AWS CLI. To except it, write: {}",
                self.variable,
                phrase(&instead)
            );
            let mut notes = self.misread.lock().unwrap_or_else(PoisonError::into_inner);
            if !notes.iter().any(|(known, _)| *known == note) {
                notes.push((note, false));
            }
        }
        false
    }

    /// What was meant to go past it and did not, as whole sentences: each once.
    pub(super) fn misread(&self) -> Vec<String> {
        let mut notes = self.misread.lock().unwrap_or_else(PoisonError::into_inner);
        let new = notes.iter_mut().filter_map(|(note, told)| (!std::mem::replace(told, true)).then(|| note.clone()));
        new.collect()
    }

    /// A request begins, which goes to the proxy or past it.
    pub(super) fn is_asked(&self, is_so: bool) {
        self.is_asked.store(is_so, Ordering::Relaxed);
    }

    /// Where what does not answer was asked through the proxy: that, as a part of the sentence, and the hint.
    pub(super) fn in_between(&self) -> Option<(String, String)> {
        let variable = self.variable;
        self.is_asked.load(Ordering::Relaxed).then(|| {
            (format!(" through the proxy {} ({variable})", self.address()), format!("{} ", check_address(variable)))
        })
    }

    /// What the proxy did to a request for `uri` that came to `error`, if it is the proxy that did not connect.
    pub(super) async fn refusal(&self, uri: &http::Uri, error: &ConnectorError) -> Option<ProxyRefused> {
        let target = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443));
        let refused = |why| ProxyRefused {
            why,
            address: self.address(),
            target: phrase(&target),
            variable: self.variable,
            has_login: self.login.is_some(),
            scheme: if self.is_https { "https" } else { "http" },
        };
        if let Some(why) = self.unreachable(error) {
            return Some(refused(ProxyWhy::Unreachable(why)));
        }
        // Said of the connection to the proxy, and not of the one through it.
        let is_of_proxy =
            chain(error).any(|link| link.to_string() == "tunnel error: failed to create underlying connection");
        if let Some(rustls::Error::InvalidCertificate(reason)) = find(error).filter(|_| is_of_proxy) {
            return Some(refused(ProxyWhy::Certificate(reason.clone())));
        }
        if self.is_https && is_no_tls(error) {
            // Without the login: it was to go through TLS.
            let head = tokio::time::timeout(PATIENCE, self.ask_in_clear(uri, None)).await;
            return head.ok()?.ok()?.starts_with("HTTP/").then(|| refused(ProxyWhy::InClear));
        }
        // The HTTP client's error has no public type, and does not tell the status.
        let says = |words: &str| chain(error).any(|link| link.to_string() == words);
        let status = if says("tunnel error: proxy authorization required") {
            Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED)
        } else if says("tunnel error: unsuccessful") {
            self.ask_status(uri).await
        } else {
            return None;
        };
        Some(refused(ProxyWhy::Status(status)))
    }

    /// Host, and port if one is given, for a sentence. Never the user and the password.
    pub(super) fn address(&self) -> String {
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        format!("{}{port}", phrase(&self.host))
    }

    /// Why the proxy itself was not reached, or did not connect in time: ends the sentence "the proxy …". `None` if it is beyond it
    /// that something failed.
    fn unreachable(&self, error: &ConnectorError) -> Option<String> {
        use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut};
        let begins = |words: &str| chain(error).any(|link| link.to_string().starts_with(words));
        // What the HTTP client says of its own deadline for connecting, the tunnel included.
        if error.is_timeout() && begins("HTTP connect") {
            return Some("did not connect in time".to_owned());
        }
        if find::<rustls::Error>(error).is_some() || !begins("client error (Connect)") {
            return None;
        }
        let io = io_error(error)?;
        let is_of_way =
            matches!(io.kind(), AddrNotAvailable | ConnectionRefused | HostUnreachable | NetworkUnreachable | TimedOut);
        (is_of_way || begins("dns error")).then(|| format!("can't be reached: {}", phrase(&io_in_words(io))))
    }

    /// Asks the proxy once more for the same, for the status alone.
    async fn ask_status(&self, uri: &http::Uri) -> Option<StatusCode> {
        if self.is_https {
            return None;
        }
        let head = tokio::time::timeout(PATIENCE, self.ask_in_clear(uri, self.login.as_deref())).await.ok()?.ok()?;
        head.split(' ').nth(1)?.get(..3)?.parse().ok()
    }

    /// Asks the proxy for a connection, without TLS: the beginning of what it answers.
    async fn ask_in_clear(&self, uri: &http::Uri, login: Option<&str>) -> io::Result<String> {
        let port = self.port.unwrap_or(if self.is_https { 443 } else { 80 });
        let mut stream = TcpStream::connect((bare(&self.host), port)).await?;
        let target = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443));
        let login = login.map_or_else(String::new, |login| format!("Proxy-Authorization: {login}\r\n"));
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        // A connection that it makes stays open and silent.
        while head.len() < 12 && stream.read_buf(&mut head).await? > 0 {}
        Ok(String::from_utf8_lossy(&head).into_owned())
    }
}

/// Whether what answered may speak no TLS at all.
fn is_no_tls(error: &ConnectorError) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(find::<rustls::Error>(error), Some(rustls::Error::InvalidMessage(_)))
        || io_error(error)
            .is_some_and(|error| matches!(error.kind(), ConnectionAborted | ConnectionReset | UnexpectedEof))
}

/// The proxy did not connect.
#[derive(Debug, Clone)]
pub(super) struct ProxyRefused {
    why: ProxyWhy,
    /// Its own address.
    address: String,
    /// What it was to connect to, with the port.
    target: String,
    variable: &'static str,
    has_login: bool,
    scheme: &'static str,
}

#[derive(Debug, Clone)]
enum ProxyWhy {
    /// It answered, with this status if that is known.
    Status(Option<StatusCode>),
    /// It did not.
    Unreachable(String),
    /// Its own certificate is not trusted.
    Certificate(rustls::CertificateError),
    /// It is to be spoken to in TLS, and what answers there speaks HTTP without: the proxy, or somebody on the way to it.
    InClear,
}

impl ProxyRefused {
    /// Whether it was for the login: then another try may lock the account.
    pub(super) fn is_of_login(&self) -> bool {
        matches!(self.why, ProxyWhy::Status(Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED)))
    }

    /// Its name, and what is wrong with its own certificate, if that is it.
    pub(super) fn certificate(&self) -> Option<(String, &'static str, &rustls::CertificateError)> {
        let ProxyWhy::Certificate(reason) = &self.why else { return None };
        Some((format!("the proxy {} ({})", self.address, self.variable), self.variable, reason))
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> String {
        let Self { why, target, variable, has_login, scheme, .. } = self;
        match why {
            _ if self.is_of_login() => format!(
                "{} the user and password in {variable}, as {scheme}://USER:PASSWORD@HOST:PORT. Then repeat the same command.",
                if *has_login { "Correct" } else { "Add" }
            ),
            ProxyWhy::Status(Some(StatusCode::FORBIDDEN)) => format!(
                "The proxy does not let this machine connect to {target}. Ask whoever runs it to allow that host, then repeat the same command."
            ),
            ProxyWhy::Status(_) => format!(
                "Ask whoever runs the proxy why it does not connect to {target}, or correct {variable} if it names the wrong proxy. Then repeat the same command."
            ),
            ProxyWhy::Unreachable(_) | ProxyWhy::Certificate(_) => {
                format!("{} Then repeat the same command.", check_address(variable))
            }
            // A login is never sent in clear on the word of whoever answered.
            ProxyWhy::InClear if *has_login => format!(
                "Ask whoever runs the proxy for its https address, and write that into {variable}. Then repeat the same command."
            ),
            ProxyWhy::InClear => format!(
                "Ask whoever runs the proxy for its https address. If they confirm that the proxy speaks no TLS, write http:// in place of https:// in {variable}. Then repeat the same command."
            ),
        }
    }
}

fn check_address(variable: &str) -> String {
    format!("Check the address of the proxy in {variable}, and whether this network needs one.")
}

/// Ends the sentence "… can't be reached: …".
impl fmt::Display for ProxyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { why, address, variable, has_login, .. } = self;
        if self.is_of_login() {
            return if *has_login {
                write!(f, "the proxy {address} does not accept the user and password in {variable} (407)")
            } else {
                write!(f, "the proxy {address} asks for a user and password, and {variable} has none (407)")
            };
        }
        match why {
            ProxyWhy::Status(Some(status)) => {
                let reason = status.canonical_reason().map_or_else(String::new, |reason| format!(" {reason}"));
                write!(f, "the proxy {address} refused the connection ({}{reason})", status.as_u16())
            }
            ProxyWhy::Status(None) => write!(f, "the proxy {address} refused the connection"),
            ProxyWhy::Unreachable(why) => write!(f, "the proxy {address} ({variable}) {why}"),
            ProxyWhy::Certificate(_) => write!(f, "the certificate of the proxy {address} ({variable}) is not trusted"),
            ProxyWhy::InClear => {
                write!(f, "the proxy {address} answered without TLS, and {variable} begins with https://")
            }
        }
    }
}

impl std::error::Error for ProxyRefused {}

/// The address of a proxy and what its user and password make of `Proxy-Authorization`. The refusal never repeats any of it, since
/// it may hold a password.
fn parse_proxy(value: &str) -> Result<(http::Uri, Option<String>), &'static str> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value.trim_start_matches("//")));
    match &*scheme.to_ascii_lowercase() {
        "http" | "https" => {}
        scheme if scheme.starts_with("socks") => {
            return Err("names a SOCKS proxy, and this program speaks to HTTP proxies only");
        }
        _ => return Err("begins with something other than http:// or https://"),
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if path.contains('@') {
        return Err("has a “/”, “?” or “#” before its “@”; in a user or password write %2F, %3F or %23");
    }
    // A password may hold an “@” of its own, and what no address may: all but letters and digits is spelled out.
    let (user, host_and_port) = match authority.rsplit_once('@') {
        Some((user, host_and_port)) => (Some(user), host_and_port),
        None => (None, authority),
    };
    if host_and_port.is_empty() || host_and_port.starts_with(':') {
        return Err("names no host");
    }
    let login = user.map(|user| {
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        (percent_decoded(user), percent_decoded(password))
    });
    let spelled = login.as_ref().map_or_else(String::new, |(user, password)| {
        let spell = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
        format!("{}:{}@", spell(user), spell(password))
    });
    let uri: http::Uri =
        format!("{scheme}://{spelled}{host_and_port}/").parse().map_err(|_| "is not the address of a proxy")?;
    if uri.host().is_none_or(str::is_empty) {
        return Err("names no host");
    }
    let after_host = host_and_port.rsplit(']').next().unwrap_or_default();
    if after_host.contains(':') && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("has no port number from 1 to 65535 after its colon");
    }
    let login = login
        .map(|(user, password)| format!("Basic {}", aws_smithy_types::base64::encode([user, password].join(&b':'))));
    Ok((uri, login))
}

/// `%40` means `@`; a percent sign that begins nothing of the kind is one.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let byte = hex.filter(|_| first == b'%').and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    bytes
}

/// Whether `NO_PROXY` excepts this host, which may have a port: by Python's rules (`urllib.request.proxy_bypass_environment`), which are
/// those of the AWS CLI. It knows names, their ends, and what is written as the address is: neither networks nor stars.
fn excepts(no_proxy: &str, authority: &str) -> bool {
    let (host, _) = without_port(authority);
    entries(no_proxy).any(|entry| {
        let entry = entry.trim_start_matches('.').to_lowercase();
        let is_below = |host: &str| host.strip_suffix(&*entry).is_some_and(|below| below.ends_with('.'));
        [host, authority].iter().any(|host| **host == *entry || is_below(host))
    })
}

/// The entry of `NO_PROXY` that other programs read as this host's, and what [`excepts`] it.
fn misread<'a>(no_proxy: &'a str, authority: &str) -> Option<(&'a str, String)> {
    let (host, port) = without_port(authority);
    let address = bare(host).parse::<IpAddr>().ok();
    entries(no_proxy).flat_map(str::split_whitespace).find_map(|entry| {
        if let (Some((network, length)), Some(address)) = (entry.split_once('/'), address) {
            let is_in = is_in_network(address, network.parse().ok()?, length.parse().ok()?);
            return is_in.then(|| (entry, host.to_owned()));
        }
        let lower = entry.to_lowercase();
        let (name, at) = without_port(&lower);
        if at.is_some_and(|at| at != port.unwrap_or("443")) {
            return None;
        }
        // As "127.*" or "*.0.0.1".
        let is_starred = address.is_some()
            && name.split_once('*').is_some_and(|(begin, end)| {
                let host = bare(host);
                host.len() >= begin.len() + end.len() && host.starts_with(begin) && host.ends_with(end)
            });
        let name = name.strip_prefix('*').filter(|end| end.starts_with('.')).unwrap_or(name);
        let is_it = name == "*"
            || is_starred
            || match address {
                // One that can be written in several ways.
                Some(address) => bare(name).parse::<IpAddr>().is_ok_and(|name| name == address),
                None => excepts(name, host),
            };
        let instead = if name.starts_with('.') { name } else { host };
        is_it.then(|| (entry, instead.to_owned()))
    })
}

/// As Python splits it.
fn entries(no_proxy: &str) -> impl Iterator<Item = &str> {
    no_proxy.split(',').map(str::trim).filter(|entry| !entry.trim_start_matches('.').is_empty())
}

fn without_port(authority: &str) -> (&str, Option<&str>) {
    // Of more than one colon the last is a part of an address, unless brackets say otherwise.
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, Some(port).filter(|port| !port.is_empty()))
        }
        _ => (authority, None),
    }
}

fn is_in_network(address: IpAddr, network: IpAddr, length: u32) -> bool {
    let (address, network, bits) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (address.to_bits().into(), network.to_bits().into(), 32),
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    length <= bits && (address ^ network).checked_shr(bits - length).unwrap_or_default() == 0
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn proxy(pairs: &[(&str, &str)]) -> Result<Option<Proxy>> {
        Proxy::from_variables(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    fn host(pairs: &[(&str, &str)]) -> Option<String> {
        proxy(pairs).unwrap().map(|proxy| proxy.host)
    }

    #[test]
    fn proxy_variables_have_the_order_of_the_aws_cli() {
        assert_eq!(host(&[]), None);
        assert_eq!(host(&[("HTTPS_PROXY", "http://upper:3128"), ("https_proxy", "lower:3128")]).unwrap(), "lower");
        assert_eq!(host(&[("ALL_PROXY", "socks5h://all:1"), ("all_proxy", "http://all:1")]), None);
        assert_eq!(host(&[("HTTPS_PROXY", "https://u:p%40w@[2001:db8::1]:2")]).unwrap(), "[2001:db8::1]");
        assert_eq!(host(&[("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "")]), None, "empty switches it off");
        assert_eq!(host(&[("HTTP_PROXY", "http://plain:1")]), None, "nothing goes over http");
        assert_eq!(host(&[("HTTPS_PROXY", "http://proxy:1"), ("NO_PROXY", "*")]), None);
        assert_eq!(host(&[("HTTPS_PROXY", "http://proxy:1"), ("NO_PROXY", "x, *")]).unwrap(), "proxy");
    }

    #[test]
    fn a_malformed_proxy_is_an_error_that_does_not_repeat_it() {
        for (value, why) in [
            ("http://user:hunter2@", "names no host"),
            ("http://user:hunter2/x@proxy:1", "write %2F"),
            ("http://user:hunter2@proxy:port", "port number"),
            ("http://user:hunter2@proxy:0", "port number"),
            ("socks5://user:hunter2@proxy:1080", "SOCKS"),
            ("ftp://user:hunter2@proxy", "other than http"),
            ("http://user:hunter2@pro xy", "is not the address"),
        ] {
            let Err(Error::ProxyBad { variable: "HTTPS_PROXY", why: said }) = proxy(&[("HTTPS_PROXY", value)]) else {
                panic!("{value} was taken")
            };
            assert!(said.contains(why), "{value}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_login_ends_at_the_last_at_sign_and_may_hold_anything() {
        for (value, login) in [
            ("http://user:p@ss@proxy:1", "user:p@ss"),
            ("user:p%40ss@proxy:1", "user:p@ss"),
            ("//user:pa:ss@proxy:1/", "user:pa:ss"),
            ("http://DOM\\us er:pä^%zz%@proxy:1", "DOM\\us er:pä^%zz%"),
            ("http://user@proxy:1", "user:"),
        ] {
            let proxy = proxy(&[("HTTPS_PROXY", value)]).unwrap().unwrap();
            assert_eq!((proxy.host.as_str(), proxy.port), ("proxy", Some(1)), "{value}");
            let expected = format!("Basic {}", aws_smithy_types::base64::encode(login));
            assert_eq!(proxy.login, Some(expected), "{value}");
        }
        assert_eq!(proxy(&[("HTTPS_PROXY", "http://proxy:1")]).unwrap().unwrap().login, None);
    }

    #[test]
    fn no_proxy_is_read_as_python_does() {
        // Computed with Python's urllib.request.proxy_bypass_environment.
        let all = [
            "a.example.com",
            "example.com",
            "example.com:4443",
            "aexample.com",
            "192.0.2.1",
            "[::1]",
            "[::1]:443",
            "10.1.1.1",
        ];
        for (no_proxy, excepted) in [
            ("*.example.com", &[][..]),
            ("10.0.0.0/8", &[]),
            ("192.0.2.1", &["192.0.2.1"]),
            ("2.1", &["192.0.2.1"]),
            ("..Example.com", &["a.example.com", "example.com", "example.com:4443"]),
            ("x , example.com", &["a.example.com", "example.com", "example.com:4443"]),
            ("example.com:443", &[]),
            ("example.com:4443", &["example.com:4443"]),
            ("[::1]", &["[::1]", "[::1]:443"]),
            ("[::1]:443", &["[::1]:443"]),
            ("::1", &[]),
            ("a b.example.com", &[]),
            ("x, *", &[]),
            ("* ", &[]),
            (". ,", &[]),
            ("com", &["a.example.com", "example.com", "example.com:4443", "aexample.com"]),
        ] {
            let proxy = proxy(&[("HTTPS_PROXY", "proxy:1"), ("NO_PROXY", no_proxy)]).unwrap().unwrap();
            let is_bypassed = |host: &&&str| proxy.is_bypassed(&format!("https://{host}/x").parse().unwrap());
            assert_eq!(all.iter().filter(is_bypassed).copied().collect::<Vec<_>>(), excepted, "{no_proxy}");
            assert!(proxy.is_bypassed(&"http://127.0.0.1:1/credentials".parse().unwrap()), "it is for https");
        }
    }

    #[test]
    fn what_was_meant_for_a_host_and_is_not_is_told_once_with_what_is() {
        for (no_proxy, host, instead) in [
            ("*.example.com", "a.example.com", Some(".example.com")),
            ("10.0.0.0/8", "10.1.1.1", Some("10.1.1.1")),
            ("10.0.0.0/8,192.0.2.0/24", "192.0.2.7:4443", Some("192.0.2.7")),
            ("fd00::/8", "[fd00::7]", Some("[fd00::7]")),
            ("::1", "[::1]", Some("[::1]")),
            ("localhost a.example.com", "a.example.com", Some("a.example.com")),
            ("a.example.com:443", "a.example.com", Some("a.example.com")),
            ("127.0.0.*", "127.0.0.1", Some("127.0.0.1")),
            ("127.*", "127.0.0.1:4443", Some("127.0.0.1")),
            ("*.0.0.1", "127.0.0.1", Some(".0.0.1")),
            ("*.0.0.2,10.*", "127.0.0.1", None),
            ("x, *", "a.example.com", Some("a.example.com")),
            ("* ", "a.example.com", Some("a.example.com")),
            ("*.example.com,.com", "a.example.com", None),
            ("10.0.0.0/8,*.example.org,::/0,/,:443,*x", "a.example.com", None),
            ("10.0.0.0/8,10.0.0.0/33,::/0", "192.0.2.1", None),
            ("a.example.com:4443", "a.example.com", None),
        ] {
            let proxy = proxy(&[("HTTPS_PROXY", "proxy:1"), ("NO_PROXY", no_proxy)]).unwrap().unwrap();
            for _ in 0..2 {
                proxy.is_bypassed(&format!("https://{host}").parse().unwrap());
            }
            let (told, again) = (proxy.misread(), proxy.misread());
            let is_right = |note: &String| {
                note.starts_with(&format!("{host} is reached through the proxy proxy:1 (HTTPS_PROXY): "))
                    && instead.is_some_and(|instead| note.ends_with(&format!("write: {instead}")))
            };
            assert_eq!((told.len(), again.len()), (usize::from(instead.is_some()), 0), "{no_proxy}: {told:?}");
            assert!(told.iter().all(is_right), "{told:?}");
        }
    }

    #[test]
    fn a_login_is_asked_for_in_the_proxy_s_own_scheme() {
        for scheme in ["http", "https"] {
            let why = ProxyWhy::Status(Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED));
            let (address, target) = ("proxy:1".to_owned(), "a.example.com:443".to_owned());
            let refused = ProxyRefused { why, address, target, variable: "HTTPS_PROXY", has_login: false, scheme };
            assert!(refused.hint().contains(&format!(" as {scheme}://USER:")), "{}", refused.hint());
        }
    }
}
