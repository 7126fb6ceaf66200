//! Sockets: loopback TCP for people and scripts, a Unix socket for the users of this machine.

use crate::guard::Peer;
use crate::limits::{ACCEPT_PAUSE, HEAD_TIME, MAX_CONNECTIONS, MAX_HEAD_BYTES, MAX_HEADERS, STOP_TIME};
use crate::{Console, os_user};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Serves on a bound listener until `shutdown` is done; connections then get two seconds to finish.
///
/// # Errors
/// When the listener is not on a loopback address: nothing listens beyond it without accounts.
pub async fn serve_tcp(
    console: Console,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    if !local.ip().is_loopback() {
        let message = format!("{local} is not a loopback address");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let server = Server::new(console);
    let mut shutdown = pin!(shutdown);
    loop {
        let permit = tokio::select! {
            permit = server.permit() => permit,
            () = &mut shutdown => break,
        };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => server.connection(stream, None, permit),
                Err(error) => refused(&error).await,
            },
            () = &mut shutdown => break,
        }
    }
    server.stop().await;
    Ok(())
}

/// The same on a Unix socket. Whoever connects is the operating-system user that the kernel names (`SO_PEERCRED`).
///
/// # Errors
/// None so far; as [`serve_tcp`] otherwise.
pub async fn serve_unix(
    console: Console,
    listener: UnixListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let server = Server::new(console);
    let mut shutdown = pin!(shutdown);
    loop {
        let permit = tokio::select! {
            permit = server.permit() => permit,
            () = &mut shutdown => break,
        };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match stream.peer_cred() {
                    Ok(cred) => {
                        let peer = Peer(os_user::actor(cred.uid()));
                        server.connection(stream, Some(peer), permit);
                    }
                    Err(error) => tracing::warn!(%error, "a Unix connection without credentials was dropped"),
                },
                Err(error) => refused(&error).await,
            },
            () = &mut shutdown => break,
        }
    }
    server.stop().await;
    Ok(())
}

async fn refused(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

struct Server {
    router: Router,
    permits: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl Server {
    fn new(console: Console) -> Self {
        Server {
            router: console.router(),
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            stopping: watch::Sender::new(false),
        }
    }

    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.permits.clone().acquire_owned().await.ok()
    }

    fn connection<S>(&self, stream: S, peer: Option<Peer>, permit: Option<OwnedSemaphorePermit>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = WithPeer { inner: TowerToHyperService::new(self.router.clone()), peer };
        let mut stopping = self.stopping.subscribe();
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(MAX_HEAD_BYTES)
                .max_headers(MAX_HEADERS);
            let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
            // The value that `wait_for` lends must not live across the next wait.
            let stop = async move { stopping.wait_for(|stop| *stop).await.is_ok() };
            let ended = tokio::select! {
                ended = &mut connection => ended,
                _ = stop => {
                    connection.as_mut().graceful_shutdown();
                    match tokio::time::timeout(STOP_TIME, connection).await {
                        Ok(ended) => ended,
                        Err(_) => Ok(()),
                    }
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended badly");
            }
            drop(permit);
        });
    }

    /// Waits until every connection is done; each of them limits its own time.
    async fn stop(&self) {
        self.stopping.send_replace(true);
        let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
        // Either all are done, or the time is over; both end the server.
        let _ = tokio::time::timeout(2 * STOP_TIME, self.permits.acquire_many(all)).await;
    }
}

/// Adds who connected to every request of a connection.
struct WithPeer {
    inner: TowerToHyperService<Router>,
    peer: Option<Peer>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl hyper::service::Service<Request<Incoming>> for WithPeer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, mut request: Request<Incoming>) -> Answer {
        if let Some(peer) = &self.peer {
            request.extensions_mut().insert(peer.clone());
        }
        Box::pin(hyper::service::Service::call(&self.inner, request))
    }
}
