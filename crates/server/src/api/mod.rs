//! The routes, and what they share.

pub(crate) mod devices;
pub(crate) mod lines;
mod registry;
pub(crate) mod sql;
pub(crate) mod topics;

use crate::error::Refusal;
use crate::instance::{Condition, Instance};
use crate::ksql::{self, Desk};
use crate::limits::{BODY_BYTES, REQUEST_TIME, SAMPLE, STREAMS};
use crate::report::{Report, Reporter, TopicStatus};
use crate::{access, metrics, page};
use axum::body::HttpBody as _;
use axum::extract::{DefaultBodyLimit, Request, State as With};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use millstream_bus::{Bus, BusError};
use std::fmt;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// What every route can reach.
pub(crate) struct State {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) instance: Arc<dyn Instance>,
    pub(crate) closed: watch::Receiver<bool>,
    /// What the ksqlDB API remembers from request to request.
    pub(crate) desk: Desk,
    streams: Arc<Semaphore>,
    reporter: Reporter,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("bus", &self.bus).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn new(bus: Arc<dyn Bus>, instance: Arc<dyn Instance>, closed: watch::Receiver<bool>) -> Self {
        let streams = Arc::new(Semaphore::new(STREAMS));
        Self { bus, instance, closed, desk: Desk::default(), streams, reporter: Reporter::default() }
    }

    pub(crate) async fn report(&self) -> Report {
        self.reporter.report(&*self.instance, &*self.bus).await
    }

    pub(crate) async fn topics(&self) -> Result<Vec<TopicStatus>, BusError> {
        self.reporter.topics(&*self.bus).await
    }

    /// Looks at the topics now and then, for ever.
    pub(crate) async fn sample(&self) {
        let mut ticks = interval(SAMPLE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A log that is away shows in every report; here there is just no rate.
            let _ = timeout(SAMPLE, self.topics()).await;
        }
    }

    /// Leave to stream, held as long as the stream goes on.
    pub(crate) fn stream(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.streams.clone().try_acquire_owned().map_err(|_| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, format!("{STREAMS} streams are open already"))
                .help("end one, or try again later")
        })
    }
}

/// Every route, behind the guard and the limits.
pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/status.css", get(page::style))
        .route("/status.js", get(page::script))
        .route("/health", get(health))
        .route("/health/live", get(async || "alive\n"))
        .route("/metrics", get(metrics::metrics))
        .route("/api/status", get(status))
        .route("/api/devices/{device}/rearm", post(devices::rearm))
        .route("/api/topics", get(topics::list).post(topics::create))
        .route("/api/topics/{topic}", get(topics::describe).delete(topics::delete))
        .route("/api/topics/{topic}/records", get(topics::tail).post(topics::produce))
        .route("/api/sql", post(sql::run))
        .route("/api/sql/names", get(sql::names))
        .merge(ksql::routes())
        .merge(registry::routes())
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn(bounded))
        .layer(from_fn(access::guard))
        .with_state(state)
}

async fn status(With(state): With<Arc<State>>) -> Json<Report> {
    Json(state.report().await)
}

async fn health(With(state): With<Arc<State>>) -> Response {
    let health = state.report().await.health;
    let code = if health.status == Condition::Bad { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(health)).into_response()
}

async fn nothing(request: Request) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("there is nothing at `{}`", request.uri().path()))
}

async fn wrong_method(request: Request) -> Response {
    let path = request.uri().path();
    let message = format!("`{path}` does not take {}", request.method());
    ksql::refused(path, Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message))
}

/// A request must not announce too much, and must be read and answered in time; a stream must begin in time.
async fn bounded(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let announced = request.body().size_hint().lower();
    if announced > BODY_BYTES as u64 {
        let message = format!("the request has {announced} bytes, the limit is {BODY_BYTES}");
        return ksql::refused(&path, Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    timeout(REQUEST_TIME, next.run(request)).await.unwrap_or_else(|_| {
        let message = format!("the request took longer than {} s", REQUEST_TIME.as_secs());
        ksql::refused(&path, Refusal::new(StatusCode::REQUEST_TIMEOUT, message))
    })
}
