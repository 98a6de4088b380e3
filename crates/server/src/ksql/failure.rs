//! Errors in ksqlDB's words: `@type`, `error_code`, `message`, and for statements which one and what was done before it.

use super::entity::KsqlEntity;
use super::negotiate::V1;
use crate::error::Refusal;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The request is wrong.
pub(crate) const BAD_REQUEST: u32 = 40_000;
/// A statement is wrong.
pub(crate) const BAD_STATEMENT: u32 = 40_001;
/// The statement belongs to `/query`.
pub(crate) const QUERY_ENDPOINT: u32 = 40_002;
/// Too many push queries.
pub(crate) const TOO_MANY_QUERIES: u32 = 40_003;
/// The server failed.
pub(crate) const SERVER_ERROR: u32 = 50_000;
/// The server stops.
pub(crate) const SHUTTING_DOWN: u32 = 50_300;
/// The command that was to be waited for did not come.
pub(crate) const COMMAND_TIMEOUT: u32 = 50_301;

/// An error as ksqlDB answers it. Its HTTP status is the code without its last two digits.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "@type")]
pub enum KsqlFailure {
    /// Of a request.
    #[serde(rename = "generic_error")]
    Generic {
        /// ksqlDB's code.
        error_code: u32,
        /// What is wrong, in words.
        message: String,
    },
    /// Of a statement.
    #[serde(rename = "statement_error")]
    Statement {
        /// ksqlDB's code.
        error_code: u32,
        /// What is wrong, in words.
        message: String,
        /// The statement.
        #[serde(rename = "statementText")]
        statement_text: String,
        /// What came of the statements before it.
        entities: Vec<KsqlEntity>,
    },
}

impl KsqlFailure {
    /// An error of a request.
    pub fn new(error_code: u32, message: impl Into<String>) -> Self {
        Self::Generic { error_code, message: message.into() }
    }

    /// The request is wrong: 40000.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(BAD_REQUEST, message)
    }

    /// The server failed: 50000.
    pub fn server(message: impl Into<String>) -> Self {
        Self::new(SERVER_ERROR, message)
    }

    /// The server stops: 50300.
    pub fn shutting_down() -> Self {
        Self::new(SHUTTING_DOWN, "the server is shutting down")
    }

    /// A statement is wrong: 40001.
    pub fn statement(
        message: impl Into<String>,
        statement: impl Into<String>,
        done: Vec<KsqlEntity>,
    ) -> Self {
        let (message, statement_text) = (message.into(), statement.into());
        Self::Statement { error_code: BAD_STATEMENT, message, statement_text, entities: done }
    }

    /// A statement failed that is not wrong: 50000.
    pub fn failed_statement(
        message: impl Into<String>,
        statement: impl Into<String>,
        done: Vec<KsqlEntity>,
    ) -> Self {
        let (message, statement_text) = (message.into(), statement.into());
        Self::Statement { error_code: SERVER_ERROR, message, statement_text, entities: done }
    }

    /// The statement belongs to `/query`: 40002.
    pub fn query_endpoint(statement: impl Into<String>, done: Vec<KsqlEntity>) -> Self {
        Self::Statement {
            error_code: QUERY_ENDPOINT,
            message: "SELECT and PRINT give rows: send them to /query or /query-stream".to_owned(),
            statement_text: statement.into(),
            entities: done,
        }
    }

    /// ksqlDB's code.
    pub const fn code(&self) -> u32 {
        match self {
            Self::Generic { error_code, .. } | Self::Statement { error_code, .. } => *error_code,
        }
    }

    /// What is wrong, in words.
    pub fn message(&self) -> &str {
        match self {
            Self::Generic { message, .. } | Self::Statement { message, .. } => message,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        let status =
            u16::try_from(self.code() / 100).ok().and_then(|status| StatusCode::from_u16(status).ok());
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Refusal> for KsqlFailure {
    fn from(refusal: Refusal) -> Self {
        let (status, body) = refusal.into_parts();
        let message = match body.help {
            Some(help) => format!("{}; {help}", body.message),
            None => body.message,
        };
        Self::new(u32::from(status.as_u16()) * 100, message)
    }
}

impl IntoResponse for KsqlFailure {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (self.status(), [(CONTENT_TYPE, V1)], body).into_response()
    }
}
