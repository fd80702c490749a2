//! A proxy for CONNECT, with which the network itself goes wrong: below HTTP, and below TLS.
//!
//! The agent comes to it by `HTTPS_PROXY`, as it would to a company's. What it passes on it can't read, so its faults are
//! those of a line, of a proxy, and of somebody who passes himself off as the server.

use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::Handle,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    faults::{Planted, Times},
    log::Server,
    tls::Impostors,
    world::lock,
};

/// What a connection through the proxy meets. Bytes are counted from the server, after the proxy's own answer: the
/// first one or two thousand are the TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyFault {
    /// The proxy answers with this status instead: 407, 403, 502, …
    Refuses(u16),
    /// The proxy takes the connection and never says a word.
    Silent,
    /// The connection is closed after so many bytes.
    Closes(u64),
    /// The connection is reset after so many bytes.
    Resets(u64),
    /// Nothing more comes after so many bytes, and the connection stays.
    Stalls(u64),
    /// So many bytes come at a time, with this pause before each.
    Drips(usize, Duration),
    /// One bit of the byte after so many is another.
    Corrupts(u64),
    /// Somebody else answers, with a certificate that should not do.
    Impostor(Impostor),
}

/// What the line is like for every connection, with a fault or without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What a connection takes to be made, and each request on it, TLS's own included.
    pub round_trip: Duration,
    /// Of a thousand pieces from the server, of 16 KiB at most, so many are lost: they come a second later, as TCP first waits
    /// before it sends again, and with every fourth the connection is reset.
    pub lost_per_mille: u16,
    /// With the same seed the same pieces are lost, in the order in which they come.
    pub seed: u64,
}

/// How much later a lost piece comes.
const SENT_AGAIN: Duration = Duration::from_secs(1);

/// What is wrong with the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impostor {
    /// It was good until yesterday.
    Expired,
    /// It is for another host.
    OtherName,
    /// Its authority is not known.
    UnknownAuthority,
}

/// The proxy of a rehearsal, up as long as that is.
pub struct Proxy {
    address: String,
    inner: Arc<Inner>,
}

struct Inner {
    api: String,
    bucket: String,
    impostors: Impostors,
    faults: Mutex<Planted<Option<Server>, ProxyFault>>,
    line: Mutex<Line>,
    /// Pieces that came over the line.
    pieces: AtomicU64,
    asked: Mutex<Vec<Server>>,
    fooled: AtomicU32,
}

impl Proxy {
    /// Listens on loopback. It leads to these two addresses and nowhere else.
    pub(crate) fn start(runtime: &Handle, api: String, bucket: String, impostors: Impostors) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        let inner = Arc::new(Inner {
            api,
            bucket,
            impostors,
            faults: Mutex::default(),
            line: Mutex::default(),
            pieces: AtomicU64::default(),
            asked: Mutex::default(),
            fooled: AtomicU32::new(0),
        });
        let _runtime = runtime.enter();
        runtime.spawn(serve(TcpListener::from_std(listener)?, inner.clone()));
        Ok(Self { address, inner })
    }

    /// `http://127.0.0.1:PORT`, for `HTTPS_PROXY`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets connections to one server, or to both if `None`, meet a fault. `times` counts connections.
    pub fn plant(&self, to: Option<Server>, fault: ProxyFault, times: Times) {
        lock(&self.inner.faults).plant(to, fault, times);
    }

    /// What the line is like from now on.
    pub fn set_line(&self, line: Line) {
        *lock(&self.inner.line) = line;
    }

    /// Takes all faults back; a connection that has met one keeps it.
    pub fn heal(&self) {
        lock(&self.inner.faults).clear();
    }

    /// Which servers connections were asked for so far, oldest first, whatever became of them.
    #[must_use]
    pub fn asked(&self) -> Vec<Server> {
        lock(&self.inner.asked).clone()
    }

    /// How often somebody took an impostor for the server.
    #[must_use]
    pub fn fooled(&self) -> u32 {
        self.inner.fooled.load(Ordering::Relaxed)
    }
}

/// What becomes of one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Comes,
    Late,
    /// And the connection with it.
    Lost,
}

impl Line {
    /// SplitMix64: what is drawn depends on nothing but the seed and the piece's number.
    fn piece(self, number: u64) -> Piece {
        let mut drawn = self.seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        match (drawn ^ (drawn >> 31)) % 4000 {
            drawn if drawn >= 4 * u64::from(self.lost_per_mille) => Piece::Comes,
            drawn if drawn % 4 == 0 => Piece::Lost,
            _ => Piece::Late,
        }
    }
}

async fn serve(listener: TcpListener, inner: Arc<Inner>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(converse(inner.clone(), stream));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, to its end.
async fn converse(inner: Arc<Inner>, mut near: TcpStream) -> io::Result<()> {
    near.set_nodelay(true)?;
    let head = read_head(&mut near).await?;
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let to = match target {
        _ if target == inner.api => Server::Api,
        _ if target == inner.bucket => Server::Bucket,
        _ => return refuse(near, 403).await,
    };
    lock(&inner.asked).push(to);
    let fault = lock(&inner.faults).strike(|planted| planted.is_none_or(|planted| planted == to));
    let round_trip = lock(&inner.line).round_trip;
    tokio::time::sleep(round_trip).await;
    match fault {
        Some(ProxyFault::Refuses(status)) => return refuse(near, status).await,
        Some(ProxyFault::Silent) => return until_gone(near).await,
        _ => near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?,
    }
    if let Some(ProxyFault::Impostor(impostor)) = fault {
        let config = match impostor {
            Impostor::Expired => &inner.impostors.expired,
            Impostor::OtherName => &inner.impostors.other_name,
            Impostor::UnknownAuthority => &inner.impostors.unknown_authority,
        };
        // Whoever looks at the certificate ends the handshake here.
        let stream = TlsAcceptor::from(config.clone()).accept(near).await?;
        inner.fooled.fetch_add(1, Ordering::Relaxed);
        return until_gone(stream).await;
    }
    let far = TcpStream::connect(target).await?;
    far.set_nodelay(true)?;
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) = (near.into_split(), far.into_split());
    // Whether the server has spoken last, so that what comes now is a new request.
    let is_request = AtomicBool::new(true);
    let up = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = from_near.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            if is_request.swap(false, Ordering::Relaxed) {
                tokio::time::sleep(round_trip).await;
            }
            to_far.write_all(&buffer[..read]).await?;
        }
        to_far.shutdown().await?;
        // Who has nothing more to say may still be listening.
        std::future::pending::<io::Result<Ended>>().await
    };
    let ended = tokio::select! {
        ended = deliver(&mut from_far, &mut to_near, fault, &inner, &is_request) => ended?,
        failed = up => failed?,
    };
    match ended {
        Ended::Reset => {
            to_near.as_ref().set_zero_linger()?;
            // Without the goodbye that a dropped half says.
            to_near.forget();
        }
        Ended::Closed => {
            to_near.shutdown().await?;
            // What is unread when a socket is closed turns the goodbye into a reset.
            until_gone(from_near).await?;
        }
    }
    Ok(())
}

/// How a delivery ends.
enum Ended {
    Closed,
    Reset,
}

/// Passes on what the server says, as the fault wants it.
async fn deliver(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    fault: Option<ProxyFault>,
    inner: &Inner,
    has_spoken: &AtomicBool,
) -> io::Result<Ended> {
    let mut passed: u64 = 0;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        // The end comes after so many bytes, not with the next ones.
        match fault {
            Some(ProxyFault::Closes(after)) if passed >= after => return Ok(Ended::Closed),
            Some(ProxyFault::Resets(after)) if passed >= after => return Ok(Ended::Reset),
            Some(ProxyFault::Stalls(after)) if passed >= after => {
                // Nothing more, but it is still there: what comes is thrown away.
                while from.read(&mut buffer).await? > 0 {}
                return std::future::pending().await;
            }
            _ => {}
        }
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(Ended::Closed);
        }
        let number = inner.pieces.fetch_add(1, Ordering::Relaxed);
        let line = *lock(&inner.line);
        match line.piece(number) {
            Piece::Comes => {}
            Piece::Late => tokio::time::sleep(SENT_AGAIN).await,
            Piece::Lost => return Ok(Ended::Reset),
        }
        has_spoken.store(true, Ordering::Relaxed);
        let came = &mut buffer[..read];
        match fault {
            Some(ProxyFault::Closes(after) | ProxyFault::Resets(after) | ProxyFault::Stalls(after)) => {
                let room = usize::try_from(after - passed).unwrap_or(usize::MAX).min(read);
                to.write_all(&came[..room]).await?;
            }
            Some(ProxyFault::Corrupts(at)) => {
                let at = at.checked_sub(passed).and_then(|at| usize::try_from(at).ok());
                if let Some(byte) = at.and_then(|at| came.get_mut(at)) {
                    *byte ^= 1;
                }
                to.write_all(came).await?;
            }
            Some(ProxyFault::Drips(bytes, pause)) => {
                for piece in came.chunks(bytes.max(1)) {
                    tokio::time::sleep(pause).await;
                    to.write_all(piece).await?;
                }
            }
            _ => to.write_all(came).await?,
        }
        passed += read as u64;
    }
}

/// Up to the empty line. Nothing follows it before it is answered.
async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    const LONGEST: usize = 8 * 1024;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await?;
        head.push(byte);
        if head.len() > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

async fn refuse(mut stream: TcpStream, status: u16) -> io::Result<()> {
    let login = if status == 407 { "proxy-authenticate: Basic realm=\"[invented]\"\r\n" } else { "" };
    let head = format!("HTTP/1.1 {status} [invented]\r\n{login}content-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.shutdown().await
}

/// Says nothing until the other side goes.
async fn until_gone(mut stream: impl tokio::io::AsyncRead + Unpin) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_pieces_are_lost_as_asked_and_the_same_for_a_seed() {
        let fates = |seed, lost_per_mille| -> Vec<Piece> {
            let line = Line { lost_per_mille, seed, ..Line::default() };
            (0..20_000).map(|number| line.piece(number)).collect()
        };
        let count = |fates: &[Piece], what| fates.iter().filter(|fate| **fate == what).count();
        let lost = fates(1, 10);
        assert!((100..200).contains(&count(&lost, Piece::Late)), "{}", count(&lost, Piece::Late));
        assert!((25..75).contains(&count(&lost, Piece::Lost)), "{}", count(&lost, Piece::Lost));
        assert_eq!(lost, fates(1, 10));
        assert_ne!(lost, fates(2, 10));
        assert_eq!(count(&fates(1, 0), Piece::Comes), 20_000);
    }
}
