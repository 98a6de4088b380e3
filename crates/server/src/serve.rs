//! The listener: accepts, limits, serves and closes.

use crate::access::Ends;
use crate::api::{State, router};
use crate::connections::{Connections, Place};
use crate::error::ServeError;
use crate::instance::Instance;
use crate::limits::{
    CLOSE_TIME, HEAD_BYTES, HEAD_LIST_BYTES, HEAD_TIME, HEARTBEAT, PIECE_BYTES, REQUESTS_PER_CONNECTION,
    STALL_TIME,
};
use crate::report::Report;
use crate::stall::Stall;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::Version;
use axum::http::header::CONNECTION;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use millstream_bus::Bus;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
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
    let open = Arc::new(OpenAnswers { place, count: AtomicUsize::new(0), asked: AtomicBool::new(false) });
    let asked = open.clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ends);
        let version = request.version();
        let (answer, service) = (OpenAnswers::one(&open), TowerToHyperService::new(router.clone()));
        async move {
            let mut response = service.call(request).await?;
            if version == Version::HTTP_2 {
                // HTTP/2 has no such header: its streams end by themselves.
                response.headers_mut().remove(CONNECTION);
            }
            Ok::<_, Infallible>(response.map(|body| Answering { body, _open: answer }))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(REQUESTS_PER_CONNECTION)
        .max_header_list_size(HEAD_LIST_BYTES)
        .max_send_buf_size(PIECE_BYTES)
        .keep_alive_interval(HEARTBEAT)
        .keep_alive_timeout(HEAD_TIME);
    let stalling = TokioIo::new(Stall::new(stream, STALL_TIME));
    let connection = builder.serve_connection_with_upgrades(stalling, service);
    tokio::pin!(connection);
    // Until it is known which HTTP is spoken, nothing else looks at the time.
    let silent = async {
        sleep(HEAD_TIME + HEAD_TIME).await;
        if asked.asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // A broken connection is the client's affair.
        _ = connection.as_mut() => return,
        () = evicted.notified() => return,
        () = silent => return,
        _ = closed.wait_for(|closed| *closed) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// The answers of one connection that are not out yet: while there is one, the connection is busy.
#[derive(Debug)]
struct OpenAnswers {
    place: Place,
    count: AtomicUsize,
    asked: AtomicBool,
}

/// One of them.
#[derive(Debug)]
struct OpenAnswer(Arc<OpenAnswers>);

impl OpenAnswers {
    fn one(this: &Arc<Self>) -> OpenAnswer {
        this.asked.store(true, Ordering::Relaxed);
        this.count.fetch_add(1, Ordering::Relaxed);
        this.place.busy();
        OpenAnswer(this.clone())
    }
}

impl Drop for OpenAnswer {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.place.idle(Instant::now());
        }
    }
}

/// A body that keeps its connection busy until it is out.
#[derive(Debug)]
struct Answering {
    body: Body,
    _open: OpenAnswer,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
