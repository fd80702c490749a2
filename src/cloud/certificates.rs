//! The certificates of a PEM file, as far as the AWS CLI's OpenSSL takes them and further: all that stand there, or a refusal that
//! names the line. And what of a certificate the TLS library of this program can't check.

use rustls::pki_types::{CertificateDer, TrustAnchor};

use crate::safety::sanitize::phrase;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The certificates of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PemCertificates {
    /// Each with the line that it begins in.
    pub(super) certificates: Vec<(usize, CertificateDer<'static>)>,
    /// The lines that others begin in, of which the text says that they are not trusted for servers.
    pub(super) left_out: Vec<usize>,
}

/// The certificates in a text.
///
/// # Errors
/// Which line can't be understood: ends the sentence "the CA file can't be used: …".
pub(super) fn read(pem: &[u8]) -> Result<PemCertificates, String> {
    let text = String::from_utf8_lossy(pem);
    let mut found = PemCertificates::default();
    let mut open: Option<(usize, String, String)> = None;
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        // Each of several files joined into one may begin with a byte order mark, and may lack its last line break.
        let mut rest = line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        loop {
            if let Some((begun, label, body)) = &mut open {
                let Some((before, after)) = rest.split_once(END) else {
                    if rest.contains(BEGIN) {
                        return Err(format!("its line {begun} begins a “{}” that does not end", phrase(label)));
                    }
                    body.push_str(rest);
                    break;
                };
                body.push_str(before);
                let Some(after) = after.strip_prefix(&**label).and_then(|after| after.strip_prefix(DASHES)) else {
                    return Err(format!("its line {number} does not end the “{}” of line {begun}", phrase(label)));
                };
                match section(*begun, label, body)? {
                    PemSection::ForServers(certificate) => found.certificates.push((*begun, certificate)),
                    PemSection::ForOthers => found.left_out.push(*begun),
                    PemSection::Else => {}
                }
                (open, rest) = (None, after.trim_start_matches('\u{feff}'));
            // Only at a line's start, or right behind the end of another: one behind a “#” was disabled.
            } else if let Some((label, after)) = rest.strip_prefix(BEGIN).and_then(|label| label.split_once(DASHES)) {
                open = Some((number, label.to_owned(), String::new()));
                rest = after;
            } else {
                if rest.starts_with('-') && rest.contains("BEGIN") {
                    return Err(format!("its line {number} is not valid PEM"));
                }
                break;
            }
        }
    }
    match open {
        Some((begun, label, _)) => Err(format!("its line {begun} begins a “{}” that does not end", phrase(&label))),
        None => Ok(found),
    }
}

/// What stands between BEGIN and END.
enum PemSection {
    ForServers(CertificateDer<'static>),
    /// A certificate that is trusted for other purposes.
    ForOthers,
    /// No certificate.
    Else,
}

fn section(line: usize, label: &str, body: &str) -> Result<PemSection, String> {
    // OpenSSL's names. The third is followed by what the certificate is trusted for.
    let is_known = matches!(label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE");
    if !is_known {
        let holds_others = label.to_uppercase().contains("CERTIFICATE") && !label.contains("REQUEST")
            || matches!(label, "PKCS7" | "CMS");
        return if holds_others {
            Err(format!("its line {line} begins a “{}”, which is not read; write it as a CERTIFICATE", phrase(label)))
        } else {
            Ok(PemSection::Else)
        };
    }
    let body: String = body.split_whitespace().collect();
    let der = aws_smithy_types::base64::decode(body)
        .map_err(|_| format!("the certificate that begins in its line {line} is not valid PEM"))?;
    let unusable = || format!("the certificate that begins in its line {line} is not a usable X.509 certificate");
    let (_, _, after) = element(&der).ok_or_else(unusable)?;
    if !after.is_empty() && label != "TRUSTED CERTIFICATE" {
        return Err(unusable());
    }
    match is_for_servers(after) {
        Some(true) => Ok(PemSection::ForServers(der[..der.len() - after.len()].to_vec().into())),
        Some(false) => Ok(PemSection::ForOthers),
        None => Err(unusable()),
    }
}

/// Whether OpenSSL's words on what a certificate is trusted for (X509_CERT_AUX: the purposes that it is trusted for, and below tag 0
/// those that it is not) let it vouch for servers. `None` if they can't be read.
fn is_for_servers(aux: &[u8]) -> Option<bool> {
    const SERVER: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x01";
    const ANY: &[u8] = b"\x55\x1d\x25\x00";
    if aux.is_empty() {
        return Some(true);
    }
    let (0x30, mut rest, after) = element(aux)? else { return None };
    if !after.is_empty() {
        return None;
    }
    let names_servers = |mut purposes: &[u8]| {
        while !purposes.is_empty() {
            let (_, purpose, more) = element(purposes)?;
            if purpose == SERVER || purpose == ANY {
                return Some(true);
            }
            purposes = more;
        }
        Some(false)
    };
    let mut is_trusted = true;
    while !rest.is_empty() {
        let (tag, content, more) = element(rest)?;
        match tag {
            0x30 => is_trusted = is_trusted && names_servers(content)?,
            0xa0 => is_trusted = is_trusted && !names_servers(content)?,
            _ => {}
        }
        rest = more;
    }
    Some(is_trusted)
}

/// Why the TLS library can't check what this CA has signed, and which CA: "the CA “…” has a key of P-521". `None` if it can.
pub(super) fn uncheckable(ca: &TrustAnchor<'_>) -> Option<String> {
    let (_, algorithm, after) = element(&ca.subject_public_key_info)?;
    let why = match key_kind(algorithm) {
        KeyKind::Rsa => {
            let (_, key, _) = element(after)?;
            // A bit string begins with the number of unused bits.
            let (_, numbers, _) = element(key.get(1..)?)?;
            let (_, modulus, _) = element(numbers)?;
            let bytes = modulus.iter().skip_while(|byte| **byte == 0).count();
            (!(256..=1024).contains(&bytes)).then(|| format!("an RSA key of {} bits", bytes * 8))?
        }
        KeyKind::Fine => return None,
        KeyKind::Other(name) => format!("a key of {name}"),
    };
    Some(format!("the CA{} has {why}", common_name(&ca.subject).map_or_else(String::new, |name| format!(" “{name}”"))))
}

enum KeyKind {
    Rsa,
    Fine,
    Other(&'static str),
}

/// From what stands within an AlgorithmIdentifier.
fn key_kind(algorithm: &[u8]) -> KeyKind {
    let parts = element(algorithm).map(|(_, kind, rest)| (kind, element(rest).map_or(&[][..], |(_, curve, _)| curve)));
    match parts {
        Some((b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", _)) => KeyKind::Rsa,
        Some((b"\x2a\x86\x48\xce\x3d\x02\x01", curve)) => match curve {
            b"\x2a\x86\x48\xce\x3d\x03\x01\x07" | b"\x2b\x81\x04\x00\x22" => KeyKind::Fine,
            b"\x2b\x81\x04\x00\x23" => KeyKind::Other("the curve P-521"),
            _ => KeyKind::Other("a rare elliptic curve"),
        },
        Some((b"\x2b\x65\x70", _)) => KeyKind::Fine,
        Some((b"\x2b\x65\x71", _)) => KeyKind::Other("the kind Ed448"),
        _ => KeyKind::Other("a rare kind"),
    }
}

/// A signature that can't be checked, in words: "ECDSA with SHA-512, by a key of the curve P-521".
pub(super) fn signature_in_words(signature: &[u8], key: Option<&[u8]>) -> String {
    let name = match element(signature).map(|(_, name, _)| name) {
        Some(b"\x2a\x86\x48\xce\x3d\x04\x01") => "ECDSA with SHA-1",
        Some(b"\x2a\x86\x48\xce\x3d\x04\x03\x01") => "ECDSA with SHA-224",
        Some(b"\x2a\x86\x48\xce\x3d\x04\x03\x02") => "ECDSA with SHA-256",
        Some(b"\x2a\x86\x48\xce\x3d\x04\x03\x03") => "ECDSA with SHA-384",
        Some(b"\x2a\x86\x48\xce\x3d\x04\x03\x04") => "ECDSA with SHA-512",
        Some(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04") => "RSA with MD5",
        Some(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05") => "RSA with SHA-1",
        Some(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e") => "RSA with SHA-224",
        Some(b"\x2b\x65\x71") => "Ed448",
        _ => "a rare algorithm",
    };
    match key.map(key_kind) {
        Some(KeyKind::Other(kind)) => format!("{name}, by a key of {kind}"),
        _ => name.to_owned(),
    }
}

/// The CN of a subject, the first if there are several.
fn common_name(subject: &[u8]) -> Option<String> {
    const CN: &[u8] = b"\x06\x03\x55\x04\x03";
    let at = subject.windows(CN.len()).position(|window| window == CN)?;
    let (_, name, _) = element(&subject[at + CN.len()..])?;
    Some(phrase(&String::from_utf8_lossy(name)))
}

/// The first element of a DER text: its tag, what it holds, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (inner, after) = rest.split_at_checked(length)?;
    Some((tag, inner, after))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rustls::RootCertStore;

    const BODY: &str = "MAMCAQE=";

    fn section(label: &str) -> String {
        format!("-----BEGIN {label}-----\n{BODY}\n-----END {label}-----")
    }

    fn lines(text: &str) -> Vec<usize> {
        read(text.as_bytes()).unwrap().certificates.iter().map(|(line, _)| *line).collect()
    }

    #[test]
    fn all_that_stands_there_is_read() {
        let one = section("CERTIFICATE");
        assert_eq!(lines(&format!("{one}\n{one}\n")), [1, 4]);
        assert_eq!(lines(&format!("\u{feff}{one}{one}{one}")), [1, 3, 5], "no line break between them");
        assert_eq!(lines(&format!("{one}\r\n\u{feff}{one}").replace('\n', "\r\n")), [1, 4], "each with its mark");
        assert_eq!(lines(&format!("# mine\n{}\ntext\n{}", section("X509 CERTIFICATE"), one)), [2, 6]);
        assert_eq!(lines(&format!("{}\n{one}", section("PRIVATE KEY"))), [4]);
        let indented: String = one.lines().map(|line| format!("    {line}  \n")).collect();
        assert_eq!(lines(&indented), [1]);
        let trusted = "-----BEGIN TRUSTED CERTIFICATE-----\nMAMCAQEwAwIBAQ==\n-----END TRUSTED CERTIFICATE-----\n";
        assert_eq!(
            read(trusted.as_bytes()).unwrap().certificates[0].1.as_ref(),
            [0x30, 3, 2, 1, 1],
            "what follows is left out"
        );
    }

    #[test]
    fn what_is_not_trusted_for_servers_or_was_disabled_is_left_out() {
        use base64::Engine as _;
        let oid = |last: u8| [&b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03"[..], &[last]].concat();
        let count = |tag: u8, last: u8| {
            let aux = [&[0x30, 12, tag, 10][..], &oid(last)].concat();
            let body = base64::engine::general_purpose::STANDARD.encode([&[0x30, 3, 2, 1, 1][..], &aux].concat());
            let pem = format!("-----BEGIN TRUSTED CERTIFICATE-----\n{body}\n-----END TRUSTED CERTIFICATE-----\n");
            let found = read(pem.as_bytes()).unwrap();
            (found.certificates.len(), found.left_out)
        };
        let (servers, mail) = (1, 4);
        assert_eq!([count(0x30, servers), count(0xa0, mail)], [(1, vec![]), (1, vec![])]);
        assert_eq!([count(0xa0, servers), count(0x30, mail)], [(0, vec![1]), (0, vec![1])]);
        let one = section("CERTIFICATE");
        assert_eq!(lines(&format!("#{one}\n{one}\n")), [4], "it begins behind a “#”");
    }

    #[test]
    fn what_can_t_be_read_is_refused_by_line() {
        let one = section("CERTIFICATE");
        for (text, line) in [
            (format!("{one}\n-----BEGIN CERTIFICATE-----\n{BODY}\n"), "line 4 "),
            (format!("-----BEGIN CERTIFICATE-----\n{BODY}\n{one}\n"), "line 1 "),
            (format!("-----BEGIN CERTIFICATE-----\n{BODY}\n-----END X-----\n"), "line 3 "),
            (format!("{one}\n-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"), "line 4 "),
            (format!("{one}\n----BEGIN CERTIFICATE----\n"), "line 4 "),
            (format!("{one}\n{}", section("PKCS7")), "line 4 "),
            (format!("{one}\n{}", section("certificate")), "line 4 "),
            ("-----BEGIN CERTIFICATE-----\nMAMCAQEA\n-----END CERTIFICATE-----\n".to_owned(), "line 1 "),
        ] {
            let why = read(text.as_bytes()).unwrap_err();
            assert!(why.contains(line), "{text}: {why}");
        }
        assert_eq!(read(b"").unwrap(), PemCertificates::default());
    }

    #[test]
    fn what_the_library_can_t_check_is_told() {
        let why = |pem: &str| {
            let mut roots = RootCertStore::empty();
            roots.add(read(pem.as_bytes()).unwrap().certificates.remove(0).1).unwrap();
            uncheckable(&roots.roots[0])
        };
        let text = why(include_str!("../../tests/cloud/authorities/p521.pem")).unwrap();
        assert_eq!(text, "the CA “p521 CA” has a key of the curve P-521");
        let text = why(include_str!("../../tests/cloud/authorities/rsa1024.pem")).unwrap();
        assert_eq!(text, "the CA “rsa1024 CA” has an RSA key of 1024 bits");
        assert_eq!(why(include_str!("../../tests/cloud/authorities/p256-sha512.pem")), None, "its key is fine");
    }
}
