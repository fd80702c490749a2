//! The way to AWS: https only, CA certificates, proxies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use snow_rehearsal::Rehearsal;

use crate::child::Call;

fn one() -> Rehearsal {
    Rehearsal::builder().start().unwrap()
}

fn fetch(world: &Rehearsal) -> Call {
    Call::new(world, "fetch", world.job().id())
}

/// Counts who connects, and answers nobody.
fn listener() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap().to_string(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, count)
}

#[test]
fn an_http_endpoint_is_refused_before_anything_is_sent() {
    let world = one();
    let (address, connections) = listener();
    let plain = format!("http://user:hunter2@{address}/path");
    let services = format!("[profile p]\nservices = s\n[services s]\nsnowball =\n  endpoint_url = {plain}\n");
    let global = format!("[profile p]\nendpoint_url = {plain}\n");
    let bare = || fetch(&world).without("AWS_ENDPOINT_URL_SNOWBALL");
    for call in [
        fetch(&world).env("AWS_ENDPOINT_URL_SNOWBALL", plain.as_str()),
        bare().env("AWS_ENDPOINT_URL", plain.as_str()),
        bare().env("AWS_ENDPOINT_URL", "127.0.0.1:1 or so"),
        bare().profiles(&services).set("profile", "p"),
        bare().profiles(&global).set("profile", "p"),
    ] {
        let outcome = call.run().expect("api_not_https");
        outcome.never_says("hunter2");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[test]
fn an_api_that_is_not_there_is_said_to_be_unreachable() {
    let world = one();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome =
        fetch(&world).env("AWS_ENDPOINT_URL_SNOWBALL", format!("https://{gone}")).run().expect("api_unreachable");
    assert!(outcome.sentence.starts_with(&format!("The Snowball API at {gone} gave no answer: ")));
}

#[test]
fn the_device_s_own_region_is_never_asked_for_at_aws() {
    let world = one();
    for host in ["snowball.snow.amazonaws.com", "snowball.SNOW.amazonaws.com:443"] {
        let call = fetch(&world).env("AWS_ENDPOINT_URL_SNOWBALL", format!("https://{host}"));
        let outcome = call.run().expect("api_unreachable");
        assert!(
            outcome.sentence.ends_with("the region “snow” is the device itself, and not one of AWS."),
            "{}",
            outcome.sentence
        );
    }
}

#[test]
fn certificates_are_taken_from_where_they_should_be() {
    let (world, stranger) = (one(), one());
    let outcome = fetch(&world).set("ca", stranger.ca_bundle().to_str()).run().expect("tls_untrusted");
    let file = stranger.ca_bundle().display().to_string();
    assert!(
        outcome.sentence.ends_with(&format!("authority that is not in {file} (--ca-bundle).")),
        "{}",
        outcome.sentence
    );
    assert!(outcome.hint.contains(&file) && !outcome.hint.contains("--ca-bundle /path"), "{}", outcome.hint);
    let of_system = || fetch(&world).set("ca", serde_json::Value::Null);
    of_system().env("SSL_CERT_FILE", world.ca_bundle().to_str().unwrap()).run().expect("ok");
    of_system().env("SSL_CERT_FILE", stranger.ca_bundle().to_str().unwrap()).run().expect("tls_untrusted");
    // The file that was named replaces the system's.
    fetch(&world).env("SSL_CERT_FILE", stranger.ca_bundle().to_str().unwrap()).run().expect("ok");
}

#[test]
fn a_bad_ca_file_is_an_error_wherever_it_is_named() {
    let world = one();
    for content in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\n!\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let call = fetch(&world);
        let path = call.file("ca.pem", content).to_str().unwrap().to_owned();
        let outcome = call.set("ca", path.as_str()).run().expect("ca_file_bad");
        assert!(outcome.sentence.contains(&format!("{path} (--ca-bundle)")), "{}", outcome.sentence);

        let call = fetch(&world).set("ca", serde_json::Value::Null);
        let path = call.file("ca.pem", content).to_str().unwrap().to_owned();
        let outcome = call.env("SSL_CERT_FILE", path.as_str()).run().expect("ca_file_bad");
        assert!(outcome.sentence.contains(&format!("{path} (SSL_CERT_FILE)")), "{}", outcome.sentence);
    }
}

#[test]
fn a_certificate_that_is_trusted_for_other_purposes_is_left_out_by_name() {
    let world = one();
    let whole = std::fs::read_to_string(world.ca_bundle()).unwrap();
    let der = CertificateDer::from_pem_slice(whole.as_bytes()).unwrap();
    // X509_CERT_AUX of OpenSSL: trusted for e-mail.
    let aux = b"\x30\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x04";
    let body = base64::engine::general_purpose::STANDARD.encode([der.as_ref(), aux].concat());
    let marked = format!("-----BEGIN TRUSTED CERTIFICATE-----\n{body}\n-----END TRUSTED CERTIFICATE-----\n");
    for variable in ["", "SSL_CERT_FILE"] {
        let with = |content: &str| {
            let call = fetch(&world).set("ca", serde_json::Value::Null);
            let path = call.file("ca.pem", content).to_str().unwrap().to_owned();
            let call =
                if variable.is_empty() { call.set("ca", path.as_str()) } else { call.env(variable, path.as_str()) };
            (call.run(), path)
        };
        let (outcome, path) = with(&format!("{marked}{whole}"));
        let told = format!("The certificate that begins in line 1 of {path} is not used");
        assert!(outcome.expect("ok").notices.iter().any(|notice| notice.contains(&told)));
        let (outcome, _) = with(&marked);
        outcome.expect("ca_file_bad");
    }
}

/// A server with the certificates and the key of a PEM text: it shakes hands and no more.
fn server(pem: &'static [u8]) -> String {
    let chain = CertificateDer::pem_slice_iter(pem).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(pem).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            while connection.complete_io(&mut stream).is_ok() {}
        }
    });
    address
}

#[test]
fn an_authority_whose_signatures_can_t_be_checked_is_named_and_not_asked_for() {
    let world = one();
    for (ca, served, words) in [
        (
            include_str!("authorities/p521.pem"),
            &include_bytes!("authorities/p521-server.pem")[..],
            "signed with ECDSA with SHA-512, which this program can't check (the CA “p521 CA” has a key of the curve P-521).",
        ),
        (
            include_str!("authorities/p256-sha512.pem"),
            include_bytes!("authorities/p256-sha512-server.pem"),
            "signed with ECDSA with SHA-512, which this program can't check.",
        ),
        (
            include_str!("authorities/rsa1024.pem"),
            include_bytes!("authorities/rsa1024-server.pem"),
            "the CA “rsa1024 CA” has an RSA key of 1024 bits",
        ),
    ] {
        let call = fetch(&world).env("AWS_ENDPOINT_URL_SNOWBALL", format!("https://{}", server(served)));
        let path = call.file("ca.pem", ca).to_str().unwrap().to_owned();
        let outcome = call.set("ca", path.as_str()).run().expect("tls_untrusted");
        assert!(outcome.sentence.contains(words), "{}", outcome.sentence);
        assert!(
            outcome.hint.contains("RSA key of 2048 bits") && !outcome.hint.contains("--ca-bundle"),
            "{}",
            outcome.hint
        );
    }
}

/// A proxy for CONNECT that notes where it was asked to go and with what `Proxy-Authorization`.
struct Proxy {
    address: String,
    asked: Arc<Asked>,
}

/// Target and `Proxy-Authorization` of each request.
type Asked = Mutex<Vec<(String, Option<String>)>>;

impl Proxy {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Asked::default());
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || tunnel(stream, answer, &noted));
            }
        });
        Self { address, asked }
    }

    fn targets(&self) -> Vec<String> {
        let mut targets: Vec<_> = self.asked.lock().unwrap().iter().map(|(target, _)| target.clone()).collect();
        targets.sort();
        targets.dedup();
        targets
    }
}

fn tunnel(mut near: TcpStream, answer: &str, noted: &Asked) -> Option<()> {
    let mut lines = BufReader::new(near.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    let target = first.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let authorization = head.iter().find_map(|line| {
        line.to_ascii_lowercase()
            .starts_with("proxy-authorization:")
            .then(|| line["proxy-authorization:".len()..].trim().to_owned())
    });
    noted.lock().unwrap().push((target.clone(), authorization));
    near.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).ok()?;
    if !answer.starts_with("200") {
        return None;
    }
    let far = TcpStream::connect(target).ok()?;
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    };
    let (near_too, far_too) = (near.try_clone().ok()?, far.try_clone().ok()?);
    let up = std::thread::spawn(move || copy(near_too, far_too));
    copy(far, near);
    up.join().ok()
}

#[test]
fn api_and_bucket_are_reached_through_the_proxy_of_the_variables() {
    let world = one();
    let both = || {
        let mut both = [world.endpoint_url(), world.bucket_url()].map(|url| url.replace("https://", "")).to_vec();
        both.sort();
        both
    };
    for name in ["HTTPS_PROXY", "https_proxy"] {
        let proxy = Proxy::start("200 Fine");
        fetch(&world).env(name, format!("http://user:p%40ss@{}", proxy.address)).run().expect("ok");
        assert_eq!(proxy.targets(), both(), "{name}");
        // user:p@ss
        assert!(proxy.asked.lock().unwrap().iter().all(|(_, login)| login.as_deref() == Some("Basic dXNlcjpwQHNz")));
    }
    for (name, rule) in [("no_proxy", "example.com, 127.0.0.1"), ("NO_PROXY", "*")] {
        let proxy = Proxy::start("200 Fine");
        fetch(&world).env("HTTPS_PROXY", format!("http://{}", proxy.address)).env(name, rule).run().expect("ok");
        assert!(proxy.targets().is_empty(), "{name}={rule}");
    }
    // To the AWS CLI a network is no host.
    let proxy = Proxy::start("200 Fine");
    let proxied = fetch(&world).env("HTTPS_PROXY", format!("http://{}", proxy.address));
    let outcome = proxied.env("NO_PROXY", "127.0.0.0/8").run().expect("ok");
    assert_eq!(proxy.targets(), both());
    let told = "“127.0.0.0/8” in NO_PROXY excepts no host, here as with the AWS CLI. To except it, write: 127.0.0.1";
    assert_eq!(outcome.notices.iter().filter(|notice| notice.ends_with(told)).count(), 2, "{:?}", outcome.notices);
    // A rule for one port is for that port alone.
    let api = world.endpoint_url().replace("https://", "");
    let proxy = Proxy::start("200 Fine");
    fetch(&world).env("HTTPS_PROXY", format!("http://{}", proxy.address)).env("NO_PROXY", api).run().expect("ok");
    assert_eq!(proxy.targets(), [world.bucket_url().replace("https://", "")]);
    let proxy = Proxy::start("200 Fine");
    fetch(&world).env("HTTPS_PROXY", format!("http://user:p@ss@{}", proxy.address)).run().expect("ok");
    assert!(proxy.asked.lock().unwrap().iter().all(|(_, login)| login.as_deref() == Some("Basic dXNlcjpwQHNz")));
    let proxy = Proxy::start("200 Fine");
    fetch(&world).env("HTTP_PROXY", format!("http://{}", proxy.address)).run().expect("ok");
    assert!(proxy.targets().is_empty(), "HTTP_PROXY is not for https");
}

#[test]
fn a_proxy_that_refuses_or_is_malformed_is_named() {
    let world = one();
    for (login, answer, words, hint) in [
        (
            "user:hunter2@",
            "407 Whatever",
            "does not accept the user and password in HTTPS_PROXY (407).",
            "Correct the user",
        ),
        ("", "407 Whatever", "asks for a user and password, and HTTPS_PROXY has none (407).", "Add the user"),
        ("user:hunter2@", "403 Whatever", "refused the connection (403 Forbidden).", "to allow that host"),
        (
            "user:hunter2@",
            "502 Whatever",
            "refused the connection (502 Bad Gateway).",
            "why it does not connect to 127.0.0.1:",
        ),
    ] {
        let proxy = Proxy::start(answer);
        let outcome = fetch(&world).env("HTTPS_PROXY", format!("http://{login}{}", proxy.address)).run();
        let outcome = outcome.expect("api_unreachable");
        let address = &proxy.address;
        assert!(outcome.sentence.ends_with(&format!("the proxy {address} {words}")), "{}", outcome.sentence);
        assert!(outcome.hint.contains(hint), "{}", outcome.hint);
        outcome.never_says("hunter2");
        if answer.starts_with("407") {
            assert_eq!(proxy.asked.lock().unwrap().len(), 1, "another try may lock the account");
        }
    }
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    {
        let (address, words) = (gone, "can't be reached: connection refused");
        let call = fetch(&world).env("HTTPS_PROXY", format!("http://user:hunter2@{address}"));
        let outcome = call.run().expect("api_unreachable");
        let told = format!("the proxy {address} (HTTPS_PROXY) {words}");
        assert!(outcome.sentence.contains(&told), "{}", outcome.sentence);
        assert!(outcome.hint.contains("the address of the proxy in HTTPS_PROXY"), "{}", outcome.hint);
        outcome.never_says("hunter2");
    }
    for login in ["", "user:hunter2@"] {
        let proxy = Proxy::start("200 Fine");
        let outcome = fetch(&world).env("HTTPS_PROXY", format!("https://{login}{}", proxy.address)).run();
        let outcome = outcome.expect("api_unreachable");
        let told = format!("the proxy {} answered without TLS, and HTTPS_PROXY begins with https://", proxy.address);
        assert!(outcome.sentence.contains(&told), "{}", outcome.sentence);
        // Somebody on the way may have answered, to get the login in clear.
        assert!(outcome.hint.starts_with("Ask whoever runs the proxy for its https address"), "{}", outcome.hint);
        assert_eq!(
            outcome.hint.contains("If they confirm that the proxy speaks no TLS, write http://"),
            login.is_empty()
        );
        assert_eq!(outcome.hint.contains("http://"), login.is_empty(), "{}", outcome.hint);
        assert!(proxy.asked.lock().unwrap().iter().all(|(_, login)| login.is_none()), "the login was for TLS");
        outcome.never_says("hunter2");
    }
    for bad in ["http://user:hunter2@", "socks5://user:hunter2@127.0.0.1:1", "http://user:hunter2@host:none"] {
        let outcome = fetch(&world).env("HTTPS_PROXY", bad).run().expect("proxy_bad");
        assert!(outcome.sentence.contains("HTTPS_PROXY"), "{}", outcome.sentence);
        outcome.never_says("hunter2");
    }
    assert!(world.requests().is_empty());
}

#[test]
fn a_proxy_whose_own_certificate_is_not_trusted_is_named_and_not_the_api() {
    let (world, stranger) = (one(), one());
    // It gets as far as the handshake.
    let proxy = stranger.endpoint_url().replace("https://", "");
    let through = |login: &str| fetch(&world).env("HTTPS_PROXY", format!("https://{login}{proxy}"));
    let outcome = through("user:hunter2@").run().expect("tls_untrusted");
    let told = format!("The certificate of the proxy {proxy} (HTTPS_PROXY) is not trusted: ");
    assert!(outcome.sentence.starts_with(&told), "{}", outcome.sentence);
    assert!(outcome.hint.contains("Ask whoever runs the proxy for its CA certificate"), "{}", outcome.hint);
    assert!(outcome.hint.contains(world.ca_bundle().to_str().unwrap()), "{}", outcome.hint);
    outcome.never_says("hunter2");
    // What is behind a proxy that is trusted, or needs none, is told of itself.
    let behind = Proxy::start("200 Fine");
    let call = fetch(&world).set("ca", stranger.ca_bundle().to_str());
    let outcome = call.env("HTTPS_PROXY", format!("http://{}", behind.address)).run().expect("tls_untrusted");
    assert!(outcome.sentence.starts_with("The certificate of the Snowball API"), "{}", outcome.sentence);
}

/// Whichever deadline ends it.
#[test]
fn a_proxy_that_takes_the_connection_and_says_nothing_is_named() {
    let world = one();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for what in ["fetch", "jobs", "identity"] {
        let call = Call::new(&world, what, world.job().id()).set("timeout_ms", 1500);
        let outcome = call.env("HTTPS_PROXY", format!("http://user:hunter2@{address}")).run();
        assert!(["api_timeout", "api_unreachable"].contains(&&*outcome.code), "{} {}", outcome.code, outcome.sentence);
        let told = outcome.sentence.contains(&format!("the proxy {address} (HTTPS_PROXY)"));
        assert!(told, "{}", outcome.sentence);
        assert!(outcome.hint.contains("the address of the proxy in HTTPS_PROXY"), "{}", outcome.hint);
        outcome.never_says("hunter2");
        let direct = Call::new(&world, what, world.job().id()).set("timeout_ms", 1500);
        let direct = direct.env("HTTPS_PROXY", format!("http://{address}")).env("NO_PROXY", "127.0.0.1").run();
        assert_eq!(direct.code, "ok", "{}", direct.sentence);
    }
}
