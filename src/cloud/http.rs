//! The one HTTP client: proxy, CA certificates, deadlines, and no plain http.
//!
//! The SDK's client ignores proxy variables unless given a proxy configuration, leaves out malformed ones silently,
//! and panics on a CA file that it can't read; all three are settled before it sees them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use http_body_util::Limited;
use time::OffsetDateTime;

use super::CloudSettings;
use super::causes::passes;
use super::failure::parse_date;
use super::proxy::{Proxy, ProxyRefused};
use super::trust::{TrustInUse, trusted};
use crate::error::{Error, Result};
use crate::model::Sourced;

/// Time to reach a server, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// Most bytes of an answer but the manifest's. A hundred jobs with the longest descriptions are a fifth of it.
pub(super) const MAX_ANSWER: usize = 1024 * 1024;

/// The HTTP client, in two views on one pool of connections and one TLS configuration.
pub(super) struct Http {
    /// For the Snowball API: https and nothing else, and answers of [`MAX_ANSWER`] at most.
    pub(super) strict: Https,
    /// For the manifest: https and nothing else. What it takes in is bounded where it is written.
    pub(super) download: Https,
    /// For sign-ins and roles: https and nothing else, and answers of [`MAX_ANSWER`] at most.
    pub(super) credentials: Https,
    /// For the services that hand out credentials to a container or an instance: as well the addresses that AWS documents as http
    /// (asked only if the user's own profile or environment names them).
    pub(super) local_services: Https,
    /// The proxy in use, for error sentences.
    pub(super) proxy: Option<Arc<Proxy>>,
    /// The CA certificates, for error sentences.
    pub(super) trust: Option<TrustInUse>,
    /// Made from the settings, and so can be made anew.
    pub(super) is_ours: bool,
    /// When the last answer came, by both clocks.
    pub(super) clocks: Clocks,
}

/// When the last answer came: by the clock of this machine, and by the answer's `Date`.
pub(super) type Clocks = Arc<Mutex<Option<(OffsetDateTime, OffsetDateTime)>>>;

impl Http {
    /// Sets the client up, with the certificates of `ca_file` or the system's; connects to nothing.
    ///
    /// # Errors
    /// [`Error::CaFileBad`], [`Error::ProxyBad`].
    pub(super) fn new(settings: &CloudSettings, ca_file: Option<&Sourced<PathBuf>>) -> Result<Self> {
        let proxy = Proxy::from_variables(|name| std::env::var_os(name))?;
        let (store, trust) = trusted(ca_file)?;
        let tls = TlsContext::builder()
            .with_trust_store(store)
            .build()
            .map_err(|_| Error::Internal { what: "the TLS settings were refused by the HTTP client".to_owned() })?;
        let connector = |config: Option<ProxyConfig>| {
            let builder =
                Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone());
            let builder = match config {
                Some(config) => builder.proxy_config(config),
                None => builder,
            };
            let connector = builder
                .connector_settings(
                    HttpConnectorSettings::builder()
                        .connect_timeout(CONNECT.min(settings.network_timeout))
                        .read_timeout(read_timeout(settings.network_timeout))
                        .build(),
                )
                .sleep_impl(TokioSleep::new())
                .build();
            SharedHttpConnector::new(connector)
        };
        let Some(proxy) = proxy else {
            return Ok(Self { trust: Some(trust), is_ours: true, ..Self::over(connector(None)) });
        };
        let proxy = Arc::new(proxy);
        let through = SharedHttpConnector::new(ThroughProxy {
            through: connector(Some(proxy.config.clone())),
            direct: connector(None),
            proxy: Arc::clone(&proxy),
        });
        Ok(Self { proxy: Some(proxy), trust: Some(trust), is_ours: true, ..Self::over(through) })
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
            credentials: Https {
                inner: shared.clone(),
                local_http: false,
                is_bounded: true,
                clocks: Clocks::default(),
            },
            // Whoever hands out credentials on this machine has this machine's clock.
            local_services: Https { inner: shared, local_http: true, is_bounded: true, clocks: Clocks::default() },
            proxy: None,
            trust: None,
            is_ours: false,
            clocks,
        }
    }
}

/// The proxy's connector, and one past it. A login that the proxy refused is not tried again: that would lock an account.
#[derive(Clone)]
struct ThroughProxy {
    through: SharedHttpConnector,
    direct: SharedHttpConnector,
    proxy: Arc<Proxy>,
}

/// What this process knows of it: the variables do not change while it lives, whoever opens another client.
static PROXY_LOGIN: tokio::sync::Mutex<ProxyLogin> = tokio::sync::Mutex::const_new(ProxyLogin::Untried);

/// What is known of the login at the proxy.
enum ProxyLogin {
    Untried,
    Tried,
    Refused(ProxyRefused),
}

impl fmt::Debug for ThroughProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThroughProxy(…)")
    }
}

impl HttpConnector for ThroughProxy {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri = request.uri().parse::<http::Uri>().unwrap_or_default();
        let is_bypassed = self.proxy.is_bypassed(&uri);
        self.proxy.is_asked(!is_bypassed);
        if is_bypassed {
            return self.direct.call(request);
        }
        let Self { through, proxy, .. } = self.clone();
        HttpConnectorFuture::new(async move {
            let mut known = PROXY_LOGIN.lock().await;
            // The first request goes alone, so that no other one brings the same login at the same time.
            let answer = match &*known {
                ProxyLogin::Refused(refused) => return Err(ConnectorError::user(refused.clone().into())),
                ProxyLogin::Untried => {
                    let answer = through.call(request).await;
                    *known = ProxyLogin::Tried;
                    answer
                }
                ProxyLogin::Tried => {
                    drop(known);
                    let answer = through.call(request).await;
                    known = PROXY_LOGIN.lock().await;
                    answer
                }
            };
            let Err(error) = answer else { return answer };
            let Some(refused) = proxy.refusal(&uri, &error).await else { return Err(error) };
            if refused.is_of_login() {
                *known = ProxyLogin::Refused(refused.clone());
            }
            // Whether another try is worth it stays as it was.
            Err(if error.is_timeout() {
                ConnectorError::timeout(refused.into())
            } else if passes(&error) {
                ConnectorError::other(refused.into(), Some(ErrorKind::TransientError))
            } else {
                ConnectorError::user(refused.into())
            })
        })
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

/// Why a request to a host of AWS in the device's own region was refused unsent: there is none.
#[derive(Debug)]
pub(super) struct OfDevice;

impl fmt::Display for OfDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the region “snow” is the device itself, and not one of AWS")
    }
}

impl std::error::Error for OfDevice {}

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Https(…)")
    }
}

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri = request.uri().parse::<http::Uri>().unwrap_or_default();
        if uri.host().is_some_and(|host| host.to_ascii_lowercase().ends_with(".snow.amazonaws.com")) {
            return HttpConnectorFuture::ready(Err(ConnectorError::user(OfDevice.into())));
        }
        if uri.scheme() == Some(&http::uri::Scheme::HTTPS) || (self.local_http && is_local_service(&uri)) {
            let (answer, clocks, is_bounded) = (self.inner.call(request), Arc::clone(&self.clocks), self.is_bounded);
            HttpConnectorFuture::new(async move {
                let answer = answer.await?;
                if let Some(there) = answer.headers().get("date").and_then(parse_date) {
                    *clocks.lock().unwrap_or_else(PoisonError::into_inner) = Some((OffsetDateTime::now_utc(), there));
                }
                // The SDK reads an answer whole before it looks at it.
                Ok(if is_bounded {
                    answer.map(|body| SdkBody::from_body_1_x(Limited::new(body, MAX_ANSWER)))
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

/// Where AWS documents that credentials are handed out over http: this machine, the agents of ECS and EKS, the instance metadata.
fn is_local_service(uri: &http::Uri) -> bool {
    const OF_CONTAINERS: [IpAddr; 3] = [
        IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
        IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    ];
    const OF_INSTANCES: [IpAddr; 2] =
        [IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))];
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || OF_CONTAINERS.contains(&address) || OF_INSTANCES.contains(&address),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// An address reduced to scheme, host and port: path and query of a presigned URL, or a user name, are secrets.
pub(super) fn without_secrets(url: &str) -> String {
    match url.parse::<http::Uri>() {
        Ok(uri) if uri.host().is_some() => {
            // Also one that is no port, such as 99999: without it this would be another address.
            let port = uri.authority().and_then(|authority| authority.as_str().rsplit_once(':')).map(|(_, port)| port);
            let port = port.filter(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_the_documented_local_services_alone() {
        let is_local = |uri: &str| is_local_service(&uri.parse().unwrap());
        for uri in [
            "http://127.0.0.1:80/x",
            "http://[::1]:80/x",
            "http://localhost/x",
            "http://169.254.170.2/v2",
            "http://169.254.170.23/v1",
            "http://[fd00:ec2::23]/v1",
            "http://169.254.169.254/latest",
            "http://[fd00:0ec2::254]/latest",
        ] {
            assert!(is_local(uri), "{uri}");
        }
        for uri in [
            "http://192.0.2.1/",
            "http://localhost.example.com/",
            "http://[2001:db8::1]/",
            "http://10.0.0.1/",
            "http://169.254.1.1/",
            "http://[fd00:ec2::1]/",
            "http://[fe80::1]/",
        ] {
            assert!(!is_local(uri), "{uri}");
        }
    }

    #[test]
    fn an_address_in_a_sentence_has_no_user_path_or_query() {
        assert_eq!(without_secrets("http://u:p@host.example:81/path?X-Amz-Signature=1"), "http://host.example:81");
        assert_eq!(without_secrets("http://u:1@127.0.0.1:99999/"), "http://127.0.0.1:99999");
        assert_eq!(without_secrets("https://u:1@[::1]/"), "https://[::1]");
        assert_eq!(without_secrets("u:p@x y"), "(not an address)");
        assert_eq!(without_secrets("snowball.example"), "?://snowball.example");
    }
}
