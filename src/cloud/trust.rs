//! Which CA certificates are trusted: those of a file that somebody named, else the system's.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use aws_smithy_http_client::tls::TrustStore;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use super::CloudSettings;
use super::certificates::{self, signature_in_words, uncheckable};
use super::credentials::Profiles;
use crate::error::{Error, Result, Why, io_in_words};
use crate::model::{Origin, Sourced, below_home};
use crate::report::utc_in_words;
use crate::safety::path_trust::{self, Fault, Position, Whose};
use crate::safety::sanitize::phrase;

/// CA bundles of whole distributions are a quarter of a megabyte.
const MAX_CA_FILE: u64 = 16 * 1024 * 1024;

const SYSTEM: &str = "the system's certificate store";

/// The CA certificates that are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustInUse {
    /// The file; `None` for the system's.
    pub file: Option<Sourced<PathBuf>>,
    /// How many.
    pub count: usize,
    /// Which of them are of no use here, and why: "the CA “…” has …".
    pub uncheckable: Vec<String>,
    /// Which others stand in the files and are not among them, since the files say that they are trusted for other purposes: as
    /// whole sentences.
    pub left_out: Vec<String>,
}

/// The file that replaces the system's certificates, in the order of the AWS CLI: what was said to us or in `AWS_CA_BUNDLE`,
/// the profile's `ca_bundle`, `REQUESTS_CA_BUNDLE`.
pub(super) fn named_file(settings: &CloudSettings, profiles: Option<&Profiles>) -> Option<Sourced<PathBuf>> {
    let sourced = |path: PathBuf, origin| {
        let path = below_home(path);
        Sourced { value: std::path::absolute(&path).unwrap_or(path), origin }
    };
    let of_profile = || {
        let profiles = profiles?;
        let path = profiles.text("ca_bundle")?;
        Some(sourced(path.into(), Origin::Profile(profiles.name().to_owned())))
    };
    let of_requests = || {
        const NAME: &str = "REQUESTS_CA_BUNDLE";
        let path = std::env::var_os(NAME).filter(|path| !path.is_empty())?;
        Some(sourced(path.into(), Origin::Variable(NAME.to_owned())))
    };
    settings.ca_bundle.clone().or_else(of_profile).or_else(of_requests)
}

/// Whether a CA file can be used that a flag names, for a command that may come to need none.
///
/// # Errors
/// [`Error::CaFileBad`].
pub(crate) fn check_typed_file(file: &Sourced<PathBuf>) -> Result<()> {
    match file.origin {
        Origin::Flag(_) => of_file(file).map(drop),
        _ => Ok(()),
    }
}

/// The certificates of `file`, or else the system's.
///
/// # Errors
/// [`Error::CaFileBad`].
pub(super) fn trusted(file: Option<&Sourced<PathBuf>>) -> Result<(TrustStore, TrustInUse)> {
    match file {
        Some(file) => of_file(file),
        None => of_system(),
    }
}

/// The certificates of a file given by the user. They replace the system's, as `--ca-bundle` of the AWS CLI does.
fn of_file(file: &Sourced<PathBuf>) -> Result<(TrustStore, TrustInUse)> {
    let Sourced { value: path, origin } = file;
    let bad_because = |why: Why| Error::CaFileBad { path: path.display().to_string(), origin: origin.to_string(), why };
    let bad = |why: String| bad_because(why.into());
    let pem = path_trust::read_file(path, Whose::Own, MAX_CA_FILE)
        .map_err(|refused| bad_because(refused.into_why(path)))?
        .ok_or_else(|| bad(io_in_words(&std::io::Error::from_raw_os_error(2))))?;
    let mut checked = CertificateBundle::default();
    let found = certificates::read(&pem).map_err(bad)?;
    checked.leave_out(path, &found.left_out);
    for (line, certificate) in found.certificates {
        if !checked.add(certificate) {
            return Err(bad(format!(
                "the certificate that begins in its line {line} is not a usable X.509 certificate"
            )));
        }
    }
    if checked.count == 0 {
        let why = match (pem.is_empty(), checked.left_out.is_empty()) {
            (true, _) => "it is empty",
            (_, true) => "it holds no PEM certificate",
            _ => "it holds no certificate that it says is trusted for servers",
        };
        return Err(bad(why.to_owned()));
    }
    Ok(checked.finish(Some(file.clone())))
}

/// The system's certificates, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
///
/// Read here and handed over checked: the SDK's client reads them by itself only to go on with none, which looks
/// like a network of impostors, and panics in a debug build.
fn of_system() -> Result<(TrustStore, TrustInUse)> {
    let named = |name: &'static str| Some((std::env::var_os(name).filter(|value| !value.is_empty())?, name));
    let (file, folders) = (named("SSL_CERT_FILE"), named("SSL_CERT_DIR"));
    let mut checked = CertificateBundle::default();
    let found = match (&file, &folders) {
        (None, None) => certificates_of_system(&mut checked)?,
        (file, folders) => {
            let mut found = Vec::new();
            if let Some((file, origin)) = file {
                found.extend(certificates_of(Path::new(file), origin, &mut checked)?);
            }
            if let Some((folders, origin)) = folders {
                for folder in std::env::split_paths(folders).filter(|folder| !folder.as_os_str().is_empty()) {
                    found.extend(certificates_below(&folder, Some(origin), &mut checked)?);
                }
            }
            found
        }
    };
    // A system's store may hold oddities that never mattered, and has most certificates twice: in one file, and each in its own.
    let mut seen = HashSet::new();
    for certificate in found {
        if seen.insert(certificate.clone()) {
            checked.add(certificate);
        }
    }
    let named = file.or(folders);
    if checked.count > 0 {
        let file = named.map(|(path, name)| Sourced { value: path.into(), origin: Origin::Variable(name.to_owned()) });
        return Ok(checked.finish(file));
    }
    let (path, origin) = named.map_or_else(
        || ("of this system".to_owned(), SYSTEM),
        |(path, origin)| (path.to_string_lossy().into_owned(), origin),
    );
    Err(Error::CaFileBad { path, origin: origin.to_owned(), why: "it holds no usable certificate".to_owned().into() })
}

/// The system's own: files and folders like any other, which nobody else may change.
#[cfg(all(unix, not(target_os = "macos")))]
fn certificates_of_system(checked: &mut CertificateBundle) -> Result<Vec<CertificateDer<'static>>> {
    let places = openssl_probe::probe();
    let mut found = Vec::new();
    if let Some(file) = places.cert_file {
        found.extend(certificates_of(&file, SYSTEM, checked)?);
    }
    for folder in places.cert_dir {
        found.extend(certificates_below(&folder, None, checked)?);
    }
    Ok(found)
}

/// The system's own, which the system gives out.
#[cfg(not(all(unix, not(target_os = "macos"))))]
#[allow(clippy::unnecessary_wraps, reason = "it is a matter of files elsewhere")]
fn certificates_of_system(_: &mut CertificateBundle) -> Result<Vec<CertificateDer<'static>>> {
    Ok(rustls_native_certs::load_native_certs().certs)
}

/// The certificates of a file that a variable names. None if it is not there.
fn certificates_of(path: &Path, origin: &str, checked: &mut CertificateBundle) -> Result<Vec<CertificateDer<'static>>> {
    let bad = |why: Why| Error::CaFileBad { path: path.display().to_string(), origin: origin.to_owned(), why };
    let pem = path_trust::read_file(path, Whose::Own, MAX_CA_FILE).map_err(|refused| bad(refused.into_why(path)))?;
    let found = certificates::read(&pem.unwrap_or_default()).map_err(|why| bad(why.into()))?;
    checked.leave_out(path, &found.left_out);
    Ok(found.certificates.into_iter().map(|(_, certificate)| certificate).collect())
}

/// Those of the files in a folder that a variable names, as OpenSSL takes them: what is no certificate lies beside them. In the
/// system's folder a file that others can change is left out; one that was named to us is refused.
fn certificates_below(
    folder: &Path,
    origin: Option<&str>,
    checked: &mut CertificateBundle,
) -> Result<Vec<CertificateDer<'static>>> {
    if let Err(refused) = path_trust::folder(folder, Whose::Own, Position::Whole) {
        // One that is not there holds none; so it is without the variable.
        return if refused.is_missing() {
            Ok(Vec::new())
        } else {
            let why = refused.into_why(folder);
            let origin = origin.unwrap_or(SYSTEM).to_owned();
            Err(Error::CaFileBad { path: folder.display().to_string(), origin, why })
        };
    }
    let mut found = Vec::new();
    for path in folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()) {
        match path_trust::read_file(&path, Whose::Own, MAX_CA_FILE) {
            Ok(pem) => {
                let read = certificates::read(&pem.unwrap_or_default()).unwrap_or_default();
                checked.leave_out(&path, &read.left_out);
                found.extend(read.certificates.into_iter().map(|(_, certificate)| certificate));
            }
            // A folder, or a link that leads nowhere, beside the certificates.
            Err(refused) if refused.is_of(Fault::Kind) || refused.is_of(Fault::Link) => {}
            Err(refused) => match origin {
                Some(origin) => {
                    let why = refused.into_why(&path);
                    return Err(Error::CaFileBad { path: path.display().to_string(), origin: origin.to_owned(), why });
                }
                None => checked.leave_out_of_system(&refused),
            },
        }
    }
    Ok(found)
}

/// What rustls takes of the certificates that were added.
#[derive(Default)]
struct CertificateBundle {
    pem: String,
    count: usize,
    uncheckable: Vec<String>,
    left_out: Vec<String>,
}

impl CertificateBundle {
    /// Notes which certificates of a file are not taken, by the lines that they begin in.
    fn leave_out(&mut self, path: &Path, lines: &[usize]) {
        let path = phrase(&path.display().to_string());
        self.left_out.extend(lines.iter().map(|line| {
            format!("The certificate that begins in line {line} of {path} is not used: the file says that it is not trusted for servers.")
        }));
    }

    /// Notes why a file is not taken, once: links with several names lead to it.
    fn leave_out_of_system(&mut self, refused: &path_trust::Refused) {
        let note = format!("A CA certificate of this system is not used: {}.", phrase(&refused.to_string()));
        if !self.left_out.contains(&note) {
            self.left_out.push(note);
        }
    }

    /// Takes a certificate, unless rustls would not.
    fn add(&mut self, certificate: CertificateDer<'static>) -> bool {
        let mut roots = RootCertStore::empty();
        let text = aws_smithy_types::base64::encode(&certificate);
        let is_taken = roots.add(certificate).is_ok();
        if is_taken {
            self.count += 1;
            self.uncheckable.extend(roots.roots.iter().filter_map(uncheckable));
            self.pem.push_str("-----BEGIN CERTIFICATE-----\n");
            self.pem.push_str(&text);
            self.pem.push_str("\n-----END CERTIFICATE-----\n");
        }
        is_taken
    }

    fn finish(self, file: Option<Sourced<PathBuf>>) -> (TrustStore, TrustInUse) {
        let Self { pem, count, uncheckable, left_out } = self;
        let trust = TrustInUse { file, count, uncheckable, left_out };
        (TrustStore::empty().with_pem_certificate(pem.into_bytes()), trust)
    }
}

/// The certificate of `what` was refused. What is missing is asked for, never what is there.
pub(super) fn refused_certificate(what: &str, trust: Option<&TrustInUse>, reason: &rustls::CertificateError) -> Error {
    let what = what.to_owned();
    if is_a_matter_of_dates(reason) {
        return Error::TlsOutOfDate { what, why: certificate_in_words(reason) };
    }
    let (why, hint) = why_refused(trust, reason);
    Error::TlsUntrusted { what, why, hint }
}

/// The same of the proxy itself, where that is spoken to in TLS. Its CA certificate alone would not do: what is reached through it
/// has another.
pub(super) fn refused_certificate_of_proxy(
    proxy: &str,
    variable: &str,
    trust: Option<&TrustInUse>,
    reason: &rustls::CertificateError,
) -> Error {
    use rustls::CertificateError::{BadSignature, NotValidForName, NotValidForNameContext, UnknownIssuer};
    let refused = refused_certificate(proxy, trust, reason);
    let Error::TlsUntrusted { what, why, hint } = refused else { return refused };
    let hint = match (reason, trust.and_then(|trust| trust.file.as_ref())) {
        (NotValidForName | NotValidForNameContext { .. }, _) => {
            format!("Correct the address in {variable}: the proxy's certificate is for another name.")
        }
        (UnknownIssuer | BadSignature, Some(file)) => format!(
            "Only the certificates in {} are trusted. Ask whoever runs the proxy for its CA certificate, and add it to that file.",
            phrase(&file.value.display().to_string())
        ),
        (UnknownIssuer | BadSignature, None) => {
            "Ask whoever runs the proxy for its CA certificate, and add it to the certificates of this machine."
                .to_owned()
        }
        _ => hint,
    };
    Error::TlsUntrusted { what, why, hint }
}

fn is_a_matter_of_dates(reason: &rustls::CertificateError) -> bool {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(reason, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

/// The reason, as the end of a sentence, and the hint.
fn why_refused(trust: Option<&TrustInUse>, reason: &rustls::CertificateError) -> (String, String) {
    use rustls::CertificateError as Reason;
    const CHECKED: &str = "Ask whoever runs the company proxy that inspects this network's traffic for a CA certificate with an RSA key of 2048 bits or more, or an ECDSA key (P-256, P-384) and SHA-256 or SHA-384.";
    let file = trust.and_then(|trust| trust.file.as_ref());
    let in_file = || file.map(|file| format!("{} ({})", phrase(&file.value.display().to_string()), file.origin));
    let hint = || {
        match in_file() {
            Some(file) => format!(
                "Only the certificates in {file} are trusted. If a company proxy inspects this network's traffic, add its CA certificate to that file."
            ),
            None => "If a company proxy inspects this network's traffic, give its CA certificate:\n  --ca-bundle /path/to/ca.pem".to_owned(),
        }
    };
    let uncheckable = || trust?.uncheckable.first();
    match reason {
        Reason::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            let signature = signature_in_words(signature_algorithm_id, None);
            let ca = uncheckable().map_or_else(String::new, |ca| format!(" ({ca})"));
            (format!("it is signed with {signature}, which this program can't check{ca}"), CHECKED.to_owned())
        }
        Reason::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id,
            public_key_algorithm_id,
            ..
        } => {
            let signature = signature_in_words(signature_algorithm_id, Some(public_key_algorithm_id));
            (format!("it is signed with {signature}, which this program can't check"), CHECKED.to_owned())
        }
        // A bad signature is also what a key that is too short leads to.
        Reason::BadSignature if let Some(ca) = uncheckable() => {
            let place = in_file().map_or_else(String::new, |file| format!(" in {file}"));
            (format!("{ca}{place}, with which this program can't check signatures"), CHECKED.to_owned())
        }
        // What an authority of the same name with another key leads to.
        Reason::UnknownIssuer | Reason::BadSignature => {
            let why = match in_file() {
                Some(file) => format!("it was issued by an authority that is not in {file}"),
                None => "it was issued by an authority that this machine does not know".to_owned(),
            };
            (why, hint())
        }
        // No CA helps against another server.
        Reason::NotValidForName | Reason::NotValidForNameContext { .. } => {
            let hint = "Check AWS_ENDPOINT_URL_SNOWBALL and HTTPS_PROXY, if they are set. Another server answers in place of AWS. If you did not expect that, tell the administrator of this network.";
            (certificate_in_words(reason), hint.to_owned())
        }
        other => (certificate_in_words(other), hint()),
    }
}

fn certificate_in_words(reason: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Reason;
    match reason {
        Reason::Expired | Reason::ExpiredContext { .. } => {
            format!(
                "it has expired, or this machine's clock is wrong (it is {} here)",
                utc_in_words(OffsetDateTime::now_utc())
            )
        }
        Reason::NotValidYet | Reason::NotValidYetContext { .. } => {
            format!(
                "it is not valid yet, or this machine's clock is wrong (it is {} here)",
                utc_in_words(OffsetDateTime::now_utc())
            )
        }
        Reason::NotValidForName | Reason::NotValidForNameContext { .. } => "it was issued for another name".to_owned(),
        Reason::Revoked => "it was revoked".to_owned(),
        _ => "it is not one that TLS allows here".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn of_a_proxy_s_own_certificate_the_hint_says_what_is_to_be_done_about_the_proxy() {
        use rustls::CertificateError::{Expired, NotValidForName, UnknownIssuer};
        let hint = |reason| {
            let report =
                refused_certificate_of_proxy("the proxy p (https_proxy)", "https_proxy", None, &reason).report();
            assert!(
                report.sentence.starts_with("The certificate of the proxy p (https_proxy) is not"),
                "{}",
                report.sentence
            );
            report.hint
        };
        // In place of the system's, its CA alone would be no help with AWS.
        let unknown = hint(UnknownIssuer);
        assert!(
            unknown.contains("to the certificates of this machine") && !unknown.contains("--ca-bundle"),
            "{unknown}"
        );
        assert!(hint(NotValidForName).starts_with("Correct the address in https_proxy"));
        assert!(hint(Expired).contains("the clock of this machine"));
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
            (format!("{begin}!!!{end}"), "line 1 is not valid PEM"),
            (format!("{begin}AAAA"), "that does not end"),
            (format!("{begin}AAAA{end}"), "line 1 is not a usable X.509"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(), "no PEM certificate"),
        ] {
            std::fs::write(&path, content).unwrap();
            let Err(Error::CaFileBad { why: said, origin, .. }) = of_file(&named(&path)) else {
                panic!("taken: {why}")
            };
            assert!(said.to_string().contains(why), "{said}");
            assert_eq!(origin, "--ca-bundle");
        }
        assert!(
            matches!(of_file(&named(folder.path())), Err(Error::CaFileBad { why, .. }) if why.to_string().contains("not a file"))
        );
        assert!(matches!(of_file(&named(&folder.path().join("none.pem"))), Err(Error::CaFileBad { .. })));
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn a_file_in_the_system_s_folder_that_others_can_change_is_left_out_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "").unwrap();
        let chmod = std::process::Command::new("chmod").arg("666").arg(&path).status().unwrap();
        assert!(chmod.success());
        let mut checked = CertificateBundle::default();
        for _ in 0..2 {
            assert_eq!(certificates_below(folder.path(), None, &mut checked).unwrap(), []);
        }
        assert!(checked.left_out.len() == 1 && checked.left_out[0].contains("ca.pem"), "{:?}", checked.left_out);
        assert!(matches!(
            certificates_below(folder.path(), Some("SSL_CERT_DIR"), &mut checked),
            Err(Error::CaFileBad { .. })
        ));
    }

    #[test]
    fn what_is_no_certificate_to_rustls_is_not_taken() {
        let mut checked = CertificateBundle::default();
        assert!(!checked.add(CertificateDer::from(vec![1, 2, 3])));
        assert_eq!((checked.count, checked.pem.len()), (0, 0));
    }
}
