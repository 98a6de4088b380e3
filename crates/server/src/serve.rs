//! The listener: accepts, limits, serves and closes.

use crate::access::Ends;
use crate::api::{State, router};
use crate::connections::{Connections, Place};
use crate::error::ServeError;
use crate::instance::Instance;
use crate::limits::{CLOSE_TIME, HEAD_BYTES, HEAD_TIME, STALL_TIME};
use crate::report::Report;
use crate::stall::Stall;
use axum::Router;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use millstream_bus::Bus;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

/// Where to listen.
#[derive(Debug, Clone, Copy)]
pub struct ServerConfig {
    /// The address; port 0 takes a free one. Loopback unless the plant says otherwise.
    pub listen: SocketAddr,
}

/// An open server. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    closing: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    sampling: JoinHandle<()>,
}

impl Server {
    /// Listens and serves from now on.
    pub async fn open(
        config: ServerConfig,
        bus: Arc<dyn Bus>,
        instance: Arc<dyn Instance>,
    ) -> Result<Self, ServeError> {
        let listener = TcpListener::bind(config.listen).await.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => ServeError::InUse(config.listen),
            _ => ServeError::Listen(config.listen, error),
        })?;
        let address = listener.local_addr().map_err(|error| ServeError::Listen(config.listen, error))?;
        let (closing, closed) = watch::channel(false);
        let state = Arc::new(State::new(bus, instance, closed.clone()));
        let router = router(state.clone());
        let accepting = tokio::spawn(accept(listener, address, router, closed));
        let sampling = tokio::spawn({
            let state = state.clone();
            async move { state.sample().await }
        });
        Ok(Self { address, state, closing, accepting, sampling })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `/api/status` says now.
    pub async fn report(&self) -> Report {
        self.state.report().await
    }

    /// Takes no more connections, ends streams, lets answers under way go out, and cuts what is left after two seconds.
    pub async fn close(mut self) {
        self.closing.send_replace(true);
        if timeout(CLOSE_TIME, &mut self.accepting).await.is_err() {
            self.accepting.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.sampling.abort();
    }
}

async fn accept(listener: TcpListener, own: SocketAddr, router: Router, mut closed: watch::Receiver<bool>) {
    let connections = Arc::new(Connections::default());
    let mut serving = JoinSet::new();
    let mut told = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closed.wait_for(|closed| *closed) => break,
            Some(_) = serving.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                told = false;
                if let Some(place) = connections.enter(Instant::now()) {
                    let ends = Ends { peer, own };
                    serving.spawn(serve(stream, ends, place, router.clone(), closed.clone()));
                }
                // Otherwise every connection is busy: the newcomer is closed at once and may try again.
            }
            Err(error) => {
                // Out of file handles, mostly: others may give some back.
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "cannot accept a connection");
                }
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    while serving.join_next().await.is_some() {}
}

async fn serve(
    stream: TcpStream,
    ends: Ends,
    place: Place,
    router: Router,
    mut closed: watch::Receiver<bool>,
) {
    // Answers are written whole; waiting to fill a segment only adds delay.
    let _ = stream.set_nodelay(true);
    let evicted = place.evicted();
    let place = Arc::new(place);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ends);
        let (place, service) = (place.clone(), TowerToHyperService::new(router.clone()));
        place.busy();
        async move {
            let response = service.call(request).await;
            // A stream stays busy: its connection closes with it.
            if response.as_ref().is_ok_and(|response| response.extensions().get::<Streaming>().is_none()) {
                place.idle(Instant::now());
            }
            response
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Stall::new(stream, STALL_TIME)), service);
    tokio::pin!(connection);
    tokio::select! {
        // A broken connection is the client's affair.
        _ = connection.as_mut() => return,
        () = evicted.notified() => return,
        _ = closed.wait_for(|closed| *closed) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Marks a response whose body goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Streaming;
