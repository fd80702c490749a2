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

/// The authority's certificate for those who are to trust it, and a server's side of TLS.
pub(crate) struct Tls {
    /// PEM, for `--ca-bundle`.
    pub(crate) ca_pem: String,
    /// Offers h2 and HTTP/1.1.
    pub(crate) server: Arc<ServerConfig>,
}

/// Makes an authority and a certificate for this machine's own addresses, and forgets the authority's key.
pub(crate) fn make() -> Result<Tls, Error> {
    let now = OffsetDateTime::now_utc();
    // A day back for clocks that differ, a week ahead because `serve` may be left running.
    let (from, to) = (now - Duration::days(1), now + Duration::days(7));

    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "snow-rehearsal throw-away CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (authority.not_before, authority.not_after) = (from, to);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let names = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "snow-rehearsal");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.use_authority_key_identifier_extension = true;
    (leaf.not_before, leaf.not_after) = (from, to);
    let key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&key, &authority)?;

    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Tls { ca_pem: authority.pem(), server: Arc::new(server) })
}
