//! Accepting TLS connections and speaking HTTP/1.1 or h2 on them, whichever the client picked.

use std::{future::Future, io, sync::Arc};

use hyper::{Request, Response, Version, body::Incoming, header, http::request, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::{body::Body, world::World};

/// Serves until it is dropped, and every connection with it.
pub(crate) async fn serve<H, F>(listener: TcpListener, tls: Arc<ServerConfig>, world: Arc<World>, handle: H)
where
    H: Fn(Arc<World>, Request<Incoming>) -> F + Copy + Send + 'static,
    F: Future<Output = io::Result<Response<Body>>> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that was gone before it was taken is the client's affair.
                let Ok((stream, _)) = accepted else { continue };
                // Like any server; else the other side's delayed acknowledgement costs 40 ms now and then.
                let _ = stream.set_nodelay(true);
                let (acceptor, world) = (acceptor.clone(), world.clone());
                connections.spawn(async move {
                    // A client that does not trust us hangs up here; that it did is seen by what is not in the log.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| handle(world.clone(), request));
                    let server = auto::Builder::new(TokioExecutor::new());
                    // Cutting a connection is among the things a test asks for: not an error to report.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The host that was asked for: `Host` in HTTP/1.1, `:authority` in h2.
pub(crate) fn host(head: &request::Parts) -> String {
    let header = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| head.uri.authority().map(hyper::http::uri::Authority::as_str)).unwrap_or_default().to_owned()
}

/// The version's name.
pub(crate) fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_11 => "HTTP/1.1",
        _ => "HTTP/1.0",
    }
}
