//! What can go wrong in opening the server, and how a failed request is answered.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use millstream_bus::BusError;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use thiserror::Error;

/// The server cannot listen.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Another process has the port.
    #[error("{0} is in use by another program")]
    InUse(SocketAddr),
    /// The system does not give the address to us.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
}

/// The body of every answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong, in the user's words.
    pub message: String,
    /// The next right thing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    body: ErrorBody,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, body: ErrorBody { message: message.into(), help: None } }
    }

    /// Its status and what it says.
    pub(crate) fn into_parts(self) -> (StatusCode, ErrorBody) {
        (self.status, self.body)
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.body.help = Some(help.into());
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

impl From<BusError> for Refusal {
    fn from(error: BusError) -> Self {
        let status = match &error {
            BusError::UnknownTopic(_) => StatusCode::NOT_FOUND,
            BusError::TopicExists(_) => StatusCode::CONFLICT,
            BusError::Invalid(_) | BusError::OffsetOutOfRange { .. } => StatusCode::BAD_REQUEST,
            BusError::DiskFull(_) => StatusCode::INSUFFICIENT_STORAGE,
            BusError::Unavailable { .. } | BusError::Unknown(_) => StatusCode::SERVICE_UNAVAILABLE,
            BusError::Corrupt { .. } | BusError::Fenced(_) | BusError::Fatal(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let refusal = Self::new(status, error.to_string());
        match &error {
            BusError::UnknownTopic(_) => refusal.help("`millstream topic list` shows the topics there are"),
            _ => refusal,
        }
    }
}
