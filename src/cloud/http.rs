//! The one HTTP client: proxy, CA certificates, deadlines, and no plain http.
//!
//! The SDK's client ignores proxy variables unless given a proxy configuration, leaves out malformed ones silently,
//! and panics on a CA file that it can't read; all three are settled here before it sees them.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::OffsetDateTime;

use super::CloudSettings;
use super::failure::parse_date;
use crate::error::{Error, Result, io_in_words};
use crate::model::Sourced;
use crate::safety::path_trust::{self, Fault, Position, Whose};

/// Time to reach a server, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// Most bytes of an answer but the manifest's. A hundred jobs with the longest descriptions are a fifth of it.
pub(super) const LONGEST_ANSWER: usize = 1024 * 1024;

/// CA bundles of whole distributions are a quarter of a megabyte.
const LONGEST_CA_FILE: u64 = 16 * 1024 * 1024;

/// The HTTP client, in two views on one pool of connections and one TLS configuration.
pub(super) struct Http {
    /// For the Snowball API: https and nothing else, and answers of [`LONGEST_ANSWER`] at most.
    pub(super) strict: Https,
    /// For the manifest: https and nothing else. What it takes in is bounded where it is written.
    pub(super) download: Https,
    /// For credential sources: as well the http addresses that never leave the machine or its link, where container
    /// and instance credentials live (asked only if the user's own profile or environment names them).
    pub(super) credentials: Https,
    /// Host of the proxy in use, for error sentences.
    pub(super) proxy: Option<String>,
    /// Made from the settings, and so can be made anew.
    pub(super) is_ours: bool,
    /// When the last answer came, by both clocks.
    pub(super) clocks: Clocks,
}

/// When the last answer came: by the clock of this machine, and by the answer's `Date`.
pub(super) type Clocks = Arc<Mutex<Option<(OffsetDateTime, OffsetDateTime)>>>;

impl Http {
    /// Sets the client up; connects to nothing.
    ///
    /// # Errors
    /// [`Error::CaFileBad`], [`Error::ProxyBad`].
    pub(super) fn new(settings: &CloudSettings) -> Result<Self> {
        let proxy = Proxy::from_variables(|name| std::env::var_os(name))?;
        let trust = match &settings.ca_bundle {
            Some(bundle) => trust_file(bundle)?.0,
            None => trust_system()?.0,
        };
        let tls = TlsContext::builder()
            .with_trust_store(trust)
            .build()
            .map_err(|_| Error::Internal { what: "the TLS settings were refused by the HTTP client".to_owned() })?;
        let mut connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls);
        if let Some(proxy) = &proxy {
            connector = connector.proxy_config(proxy.config.clone());
        }
        let shared = SharedHttpConnector::new(
            connector
                .connector_settings(
                    HttpConnectorSettings::builder()
                        .connect_timeout(CONNECT.min(settings.network_timeout))
                        .read_timeout(read_timeout(settings.network_timeout))
                        .build(),
                )
                .sleep_impl(TokioSleep::new())
                .build(),
        );
        Ok(Self { proxy: proxy.map(|proxy| proxy.host), is_ours: true, ..Self::over(shared) })
    }

    /// The client over a connector that is there already.
    pub(super) fn over(shared: SharedHttpConnector) -> Self {
        let clocks = Clocks::default();
        Self {
            strict: Https { inner: shared.clone(), local_http: false, is_bounded: true, clocks: Arc::clone(&clocks) },
            download: Https {
                inner: shared.clone(),
                local_http: false,
                is_bounded: false,
                clocks: Arc::clone(&clocks),
            },
            // Whoever hands out credentials on this machine has this machine's clock.
            credentials: Https { inner: shared, local_http: true, is_bounded: true, clocks: Clocks::default() },
            proxy: None,
            is_ours: false,
            clocks,
        }
    }
}

/// How long one request may wait for the head of its answer: three attempts fit into the deadline of the call.
pub(super) fn read_timeout(network_timeout: Duration) -> Duration {
    network_timeout / 3
}

/// A view of the client that refuses plain http before anything is sent.
#[derive(Clone)]
pub(super) struct Https {
    inner: SharedHttpConnector,
    local_http: bool,
    is_bounded: bool,
    clocks: Clocks,
}

/// Why a request was refused unsent.
#[derive(Debug)]
pub(super) struct NotHttps {
    /// Scheme and host, nothing that could be secret.
    pub(super) url: String,
}

impl fmt::Display for NotHttps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not an https address", self.url)
    }
}

impl std::error::Error for NotHttps {}

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Https(…)")
    }
}

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri = request.uri().parse::<http::Uri>().unwrap_or_default();
        if uri.scheme() == Some(&http::uri::Scheme::HTTPS) || (self.local_http && stays_on_this_link(&uri)) {
            let (answer, clocks, is_bounded) = (self.inner.call(request), Arc::clone(&self.clocks), self.is_bounded);
            HttpConnectorFuture::new(async move {
                let answer = answer.await?;
                if let Some(there) = answer.headers().get("date").and_then(parse_date) {
                    *clocks.lock().unwrap_or_else(PoisonError::into_inner) = Some((OffsetDateTime::now_utc(), there));
                }
                // The SDK reads an answer whole before it looks at it.
                Ok(if is_bounded {
                    answer.map(|body| SdkBody::from_body_1_x(Limited::new(body, LONGEST_ANSWER)))
                } else {
                    answer
                })
            })
        } else {
            let refusal = NotHttps { url: without_secrets(request.uri()) };
            HttpConnectorFuture::ready(Err(ConnectorError::user(refusal.into())))
        }
    }
}

impl HttpClient for Https {
    // The settings are the same for every client here, so one connector, one pool and one TLS configuration do. The
    // SDK's own client would build them anew for each set of timeouts, and once more to validate.
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn stays_on_this_link(uri: &http::Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => v4.is_loopback() || v4.is_link_local(),
        // fd00:ec2::/32 is where EC2 puts its metadata and pod identity services.
        Ok(IpAddr::V6(v6)) => v6.is_loopback() || v6.segments()[..2] == [0xfd00, 0x0ec2],
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// An address reduced to scheme, host and port: path and query of a presigned URL, or a user name, are secrets.
pub(super) fn without_secrets(url: &str) -> String {
    match url.parse::<http::Uri>() {
        Ok(uri) if uri.host().is_some() => {
            let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
            format!(
                "{}://{}{port}",
                uri.scheme_str().unwrap_or("?"),
                crate::safety::sanitize::phrase(uri.host().unwrap_or("?"))
            )
        }
        // What is no address may still hold a password; only a short beginning without an @ is repeated.
        _ => {
            let start: String = crate::safety::sanitize::phrase(url).chars().take(40).collect();
            if start.contains('@') { "(not an address)".to_owned() } else { start }
        }
    }
}

/// The certificates of a file given by the user, and how many there are. They replace the system's, as `--ca-bundle` of the AWS CLI does.
pub(super) fn trust_file(Sourced { value: path, origin }: &Sourced<PathBuf>) -> Result<(TrustStore, usize)> {
    let bad = |why: String| Error::CaFileBad { path: path.display().to_string(), origin: origin.to_string(), why };
    let pem = path_trust::read_file(path, Whose::Own, LONGEST_CA_FILE)
        .map_err(|refused| bad(refused.clause(path)))?
        .ok_or_else(|| bad(io_in_words(&std::io::Error::from_raw_os_error(2))))?;
    let mut roots = RootCertStore::empty();
    for (at, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        let number = at + 1;
        let certificate = certificate.map_err(|_| bad(format!("its certificate number {number} is not valid PEM")))?;
        roots
            .add(certificate)
            .map_err(|_| bad(format!("its certificate number {number} is not a usable X.509 certificate")))?;
    }
    if roots.is_empty() {
        return Err(bad(if pem.is_empty() { "it is empty" } else { "it holds no PEM certificate" }.to_owned()));
    }
    Ok((TrustStore::empty().with_pem_certificate(pem), roots.len()))
}

/// The system's certificates, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, and how many there are.
///
/// Read here and handed over checked: the SDK's client reads them by itself only to go on with none, which looks
/// like a network of impostors, and panics in a debug build.
pub(super) fn trust_system() -> Result<(TrustStore, usize)> {
    let named = |name: &'static str| Some((std::env::var_os(name).filter(|value| !value.is_empty())?, name));
    let (file, folders) = (named("SSL_CERT_FILE"), named("SSL_CERT_DIR"));
    let found = match (&file, &folders) {
        (None, None) => rustls_native_certs::load_native_certs().certs,
        (file, folders) => {
            let mut found = Vec::new();
            if let Some((file, origin)) = file {
                found.extend(certificates_of(Path::new(file), origin)?);
            }
            if let Some((folders, origin)) = folders {
                for folder in std::env::split_paths(folders) {
                    found.extend(certificates_below(&folder, origin)?);
                }
            }
            found
        }
    };
    let (count, pem) = as_checked_pem(found);
    if count > 0 {
        return Ok((TrustStore::empty().with_pem_certificate(pem), count));
    }
    let (path, origin) = file.or(folders).map_or_else(
        || ("of this system".to_owned(), "the system's certificate store"),
        |(path, origin)| (path.to_string_lossy().into_owned(), origin),
    );
    Err(Error::CaFileBad { path, origin: origin.to_owned(), why: "it holds no usable certificate".to_owned() })
}

/// The certificates of a file that a variable names. None if it is not there.
fn certificates_of(path: &Path, origin: &str) -> Result<Vec<CertificateDer<'static>>> {
    let pem = path_trust::read_file(path, Whose::Own, LONGEST_CA_FILE).map_err(|refused| Error::CaFileBad {
        path: path.display().to_string(),
        origin: origin.to_owned(),
        why: refused.clause(path),
    })?;
    Ok(CertificateDer::pem_slice_iter(&pem.unwrap_or_default()).filter_map(std::result::Result::ok).collect())
}

/// Those of the files in a folder that a variable names, as OpenSSL takes them.
fn certificates_below(folder: &Path, origin: &str) -> Result<Vec<CertificateDer<'static>>> {
    if let Err(refused) = path_trust::folder(folder, Whose::Own, Position::Whole) {
        let why = refused.clause(folder);
        // One that is not there holds none; so it is without the variable.
        return if refused.is_missing() {
            Ok(Vec::new())
        } else {
            Err(Error::CaFileBad { path: folder.display().to_string(), origin: origin.to_owned(), why })
        };
    }
    let mut found = Vec::new();
    for path in folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()) {
        match path_trust::read_file(&path, Whose::Own, LONGEST_CA_FILE) {
            Ok(pem) => found.extend(CertificateDer::pem_slice_iter(&pem.unwrap_or_default()).flatten()),
            // A folder, or a link that leads nowhere, beside the certificates.
            Err(refused) if refused.is_of(Fault::Kind) || refused.is_of(Fault::Link) => {}
            Err(refused) => {
                let path = path.display().to_string();
                return Err(Error::CaFileBad { path, origin: origin.to_owned(), why: refused.to_string() });
            }
        }
    }
    Ok(found)
}

/// Leaves out what rustls would not take; a system's store may hold oddities that never mattered.
fn as_checked_pem(certificates: Vec<CertificateDer<'static>>) -> (usize, Vec<u8>) {
    let mut roots = RootCertStore::empty();
    let mut pem = String::new();
    let mut count = 0;
    for certificate in certificates {
        let text = aws_smithy_types::base64::encode(&certificate);
        if roots.add(certificate).is_ok() {
            count += 1;
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            pem.push_str(&text);
            pem.push_str("\n-----END CERTIFICATE-----\n");
        }
    }
    (count, pem.into_bytes())
}

/// The proxy for https, from the variables.
pub(super) struct Proxy {
    config: ProxyConfig,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// Which variable names it.
    pub(super) variable: &'static str,
    /// What is reached without it, as `NO_PROXY` says.
    pub(super) except: Option<String>,
}

impl Proxy {
    /// `https_proxy`, then `HTTPS_PROXY`, then the same of `ALL_PROXY`: the order of curl and of the AWS CLI. An
    /// empty variable switches the proxy off, as it does there.
    pub(super) fn from_variables(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<Option<Self>> {
        let read = |name: &str| match variable(name).map(std::ffi::OsString::into_string) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value.trim().to_owned())),
            Some(Err(_)) => Err(Error::ProxyBad { why: format!("{name} is not valid text") }),
        };
        let first = |names: [&'static str; 2]| -> Result<Option<(&'static str, String)>> {
            for name in names {
                if let Some(value) = read(name)? {
                    return Ok(Some((name, value)));
                }
            }
            Ok(None)
        };
        let Some((name, value)) = first(["https_proxy", "HTTPS_PROXY"])?
            .map_or_else(|| first(["all_proxy", "ALL_PROXY"]), |found| Ok(Some(found)))?
        else {
            return Ok(None);
        };
        if value.is_empty() {
            return Ok(None);
        }
        let uri = parse_proxy(&value).map_err(|why| Error::ProxyBad { why: format!("{name} {why}") })?;
        let (host, port) = (uri.host().unwrap_or_default().to_owned(), uri.port_u16());
        let unusable = |_| Error::ProxyBad { why: format!("{name} is not the address of a proxy") };
        let mut config = ProxyConfig::https(uri).map_err(unusable)?;
        let mut except = None;
        if let Some((_, bypass)) = first(["no_proxy", "NO_PROXY"])? {
            // The HTTP client takes the star for names only, not for addresses.
            if bypass.split(',').any(|rule| rule.trim() == "*") {
                return Ok(None);
            }
            config = config.no_proxy(bypass_rules(&bypass));
            except = Some(bypass).filter(|bypass| !bypass.is_empty());
        }
        Ok(Some(Self { config, host, port, variable: name, except }))
    }
}

/// The address of a proxy; the refusal never repeats it, since it may hold a password.
fn parse_proxy(value: &str) -> Result<http::Uri, &'static str> {
    let with_scheme = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let uri: http::Uri = with_scheme.parse().map_err(|_| "is not the address of a proxy")?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(scheme) if scheme.starts_with("socks") => {
            return Err("names a SOCKS proxy, and this program speaks to HTTP proxies only");
        }
        _ => return Err("begins with something other than http:// or https://"),
    }
    let authority = uri.authority().ok_or("names no host")?;
    let host_and_port = authority.as_str().rsplit('@').next().unwrap_or_default();
    if uri.host().is_none_or(str::is_empty) {
        return Err("names no host");
    }
    let after_host = host_and_port.rsplit(']').next().unwrap_or_default();
    if after_host.contains(':') && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("has no port number from 1 to 65535 after its colon");
    }
    Ok(uri)
}

/// `*.example.com`, which many write and the HTTP client does not know, means `.example.com`.
fn bypass_rules(text: &str) -> String {
    let rule =
        |rule: &str| rule.trim().strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(rule).to_owned();
    text.split(',').map(rule).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Origin;

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
        assert_eq!(
            host(&[("ALL_PROXY", "http://all:1"), ("HTTPS_PROXY", "https://u:p%40w@upper:2")]).unwrap(),
            "upper"
        );
        assert_eq!(host(&[("ALL_PROXY", "http://[2001:db8::1]:1")]).unwrap(), "[2001:db8::1]");
        assert_eq!(host(&[("HTTPS_PROXY", ""), ("ALL_PROXY", "http://all:1")]), None, "empty switches it off");
        assert_eq!(host(&[("HTTP_PROXY", "http://plain:1")]), None, "nothing goes over http");
        assert_eq!(host(&[("HTTPS_PROXY", "http://proxy:1"), ("NO_PROXY", "x, *")]), None);
    }

    #[test]
    fn a_malformed_proxy_is_an_error_that_does_not_repeat_it() {
        for (value, why) in [
            ("http://user:hunter2@", "is not the address"),
            ("http://user:hunter2@proxy:port", "port number"),
            ("http://user:hunter2@proxy:0", "port number"),
            ("socks5://user:hunter2@proxy:1080", "SOCKS"),
            ("ftp://user:hunter2@proxy", "other than http"),
            ("http://user:hunter2@pro xy", "is not the address"),
        ] {
            let Err(Error::ProxyBad { why: said }) = proxy(&[("HTTPS_PROXY", value)]) else {
                panic!("{value} was taken")
            };
            assert!(said.starts_with("HTTPS_PROXY ") && said.contains(why), "{value}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn wildcards_in_no_proxy_are_understood() {
        assert_eq!(bypass_rules("*.example.com, 10.0.0.0/8 ,*,localhost"), ".example.com, 10.0.0.0/8 ,*,localhost");
    }

    #[test]
    fn plain_http_never_leaves_the_link() {
        let stays = |uri: &str| stays_on_this_link(&uri.parse().unwrap());
        for uri in ["http://127.0.0.1:80/x", "http://localhost/x", "http://169.254.170.2/v2", "http://[fd00:ec2::254]/"]
        {
            assert!(stays(uri), "{uri}");
        }
        for uri in ["http://192.0.2.1/", "http://localhost.example.com/", "http://[2001:db8::1]/", "http://10.0.0.1/"] {
            assert!(!stays(uri), "{uri}");
        }
    }

    #[test]
    fn an_address_in_a_sentence_has_no_user_path_or_query() {
        assert_eq!(without_secrets("http://u:p@host.example:81/path?X-Amz-Signature=1"), "http://host.example:81");
        assert_eq!(without_secrets("u:p@x y"), "(not an address)");
        assert_eq!(without_secrets("snowball.example"), "?://snowball.example");
    }

    #[test]
    fn a_bad_ca_file_is_an_error_and_never_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let begin = "-----BEGIN CERTIFICATE-----\n";
        let end = "\n-----END CERTIFICATE-----\n";
        let named = |path: &Path| Sourced { value: path.to_owned(), origin: Origin::Flag("--ca-bundle".to_owned()) };
        for (content, why) in [
            (String::new(), "is empty"),
            ("hello\n".to_owned(), "no PEM certificate"),
            (format!("{begin}!!!{end}"), "not valid PEM"),
            (format!("{begin}AAAA"), "not valid PEM"),
            (format!("{begin}AAAA{end}"), "not a usable X.509"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(), "no PEM certificate"),
        ] {
            std::fs::write(&path, content).unwrap();
            let Err(Error::CaFileBad { why: said, origin, .. }) = trust_file(&named(&path)) else {
                panic!("taken: {why}")
            };
            assert!(said.contains(why), "{said}");
            assert_eq!(origin, "--ca-bundle");
        }
        assert!(
            matches!(trust_file(&named(folder.path())), Err(Error::CaFileBad { why, .. }) if why.contains("not a file"))
        );
        let missing = trust_file(&named(&folder.path().join("none.pem")));
        assert!(matches!(missing, Err(Error::CaFileBad { .. })));
    }

    #[test]
    fn unusable_certificates_of_the_system_are_left_out() {
        let (count, pem) = as_checked_pem(vec![CertificateDer::from(vec![1, 2, 3])]);
        assert_eq!((count, pem.len()), (0, 0));
    }
}
