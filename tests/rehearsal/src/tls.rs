//! Real TLS under a certificate authority that lives as long as the rehearsal.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::Error;

/// This machine's own names, which the stand-ins' certificates are for.
const OWN_NAMES: [&str; 3] = ["127.0.0.1", "::1", "localhost"];

/// When a certificate is good: from, to.
type Validity = (OffsetDateTime, OffsetDateTime);

/// A server's side of TLS, that of those who pass themselves off as it, and the authority's certificate for those who
/// are to trust it.
pub(crate) struct Tls {
    /// PEM, for `--ca-bundle`.
    pub(crate) ca_pem: String,
    /// Offers h2 and HTTP/1.1.
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) impostors: Impostors,
}

/// Servers whose certificate should be refused, each for one reason.
#[derive(Clone)]
pub(crate) struct Impostors {
    /// Of the authority and for the right names, until yesterday.
    pub(crate) expired: Arc<ServerConfig>,
    /// Of the authority, for another host.
    pub(crate) other_name: Arc<ServerConfig>,
    /// For the right names, of an authority that nobody was told of.
    pub(crate) unknown_authority: Arc<ServerConfig>,
}

/// Makes an authority and certificates for this machine's own addresses, and forgets the authority's key.
pub(crate) fn make() -> Result<Tls, Error> {
    let now = OffsetDateTime::now_utc();
    // A day back for clocks that differ, a week ahead because `serve` may be left running.
    let current = (now - Duration::days(1), now + Duration::days(7));
    let past = (now - Duration::days(30), now - Duration::days(1));

    let (ours, strangers) = (authority(current)?, authority(current)?);
    Ok(Tls {
        ca_pem: ours.pem(),
        server: server(&ours, &OWN_NAMES, current)?,
        impostors: Impostors {
            expired: server(&ours, &OWN_NAMES, past)?,
            other_name: server(&ours, &["impostor.invalid"], current)?,
            unknown_authority: server(&strangers, &OWN_NAMES, current)?,
        },
    })
}

fn authority(validity: Validity) -> Result<CertifiedIssuer<'static, KeyPair>, Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "snow-rehearsal throw-away CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (authority.not_before, authority.not_after) = validity;
    Ok(CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?)
}

fn server(
    authority: &CertifiedIssuer<'static, KeyPair>,
    names: &[&str],
    validity: Validity,
) -> Result<Arc<ServerConfig>, Error> {
    let mut leaf = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())?;
    leaf.distinguished_name.push(DnType::CommonName, "snow-rehearsal");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.use_authority_key_identifier_extension = true;
    (leaf.not_before, leaf.not_after) = validity;
    let key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&key, authority)?;

    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}
