//! `POST /inserts-stream`: a line that names the target, then a JSON object per line; an acknowledgement for each.

use super::KsqlInserts;
use super::failure::KsqlFailure;
use super::negotiate::{DELIMITED, JSON, accepted};
use super::query::{Pieces, cut, permit, send, streaming};
use crate::api::State;
use crate::limits::{BODY_BYTES, INSERT_ROWS, PIECES};
use axum::body::{Body, BodyDataStream};
use axum::extract::State as With;
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// The first line.
#[derive(Debug, Deserialize)]
struct Target {
    target: String,
}

pub(super) async fn inserts(
    With(state): With<Arc<State>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, KsqlFailure> {
    let content_type = accepted(&headers, &[DELIMITED, JSON])?;
    let permit = permit(&state)?;
    let mut lines =
        Lines { body: body.into_data_stream(), buffer: Vec::new(), whole: VecDeque::new(), ended: false };
    let first = lines.some(1).await?.pop();
    let Some(first) = first else {
        return Err(KsqlFailure::bad_request(
            "the request is empty; its first line names the target: {\"target\":\"S\"}",
        ));
    };
    let Target { target } = serde_json::from_str(&first)
        .map_err(|error| KsqlFailure::bad_request(format!("the first line names no target: {error}")))?;
    let inserts = state.instance.ksql().inserts(&target).await?;
    let (pieces, received) = mpsc::channel(PIECES);
    tokio::spawn(pump(state, lines, inserts, pieces, content_type == JSON, permit));
    Ok(streaming(received, content_type))
}

/// Appends rows in the order in which they come, and acknowledges each, until the client has said all.
async fn pump(
    state: Arc<State>,
    mut lines: Lines,
    mut inserts: Box<dyn KsqlInserts>,
    pieces: Pieces,
    array: bool,
    _permit: OwnedSemaphorePermit,
) {
    let mut closed = state.closed.clone();
    let mut sequence = 0_i64;
    loop {
        let rows = tokio::select! {
            rows = lines.some(INSERT_ROWS) => rows,
            _ = closed.wait_for(|closed| *closed) => return cut(&pieces),
            () = pieces.closed() => return,
        };
        let mut piece = Vec::new();
        let rows = match rows {
            Ok(rows) => rows,
            Err(failure) => {
                acknowledge(sequence, Err(failure), array, &mut piece);
                finish(array, sequence > 0, &mut piece);
                send(&pieces, piece).await;
                return;
            }
        };
        if rows.is_empty() {
            finish(array, sequence > 0, &mut piece);
            send(&pieces, piece).await;
            return;
        }
        for outcome in inserts.insert(rows).await {
            acknowledge(sequence, outcome, array, &mut piece);
            sequence += 1;
        }
        if !send(&pieces, piece).await {
            return;
        }
    }
}

fn acknowledge(sequence: i64, outcome: Result<(), KsqlFailure>, array: bool, out: &mut Vec<u8>) {
    let mut said = match outcome {
        Ok(()) => json!({ "status": "ok" }),
        Err(failure) => {
            let mut said = serde_json::to_value(&failure).unwrap_or_default();
            if let Value::Object(fields) = &mut said {
                fields.insert("status".to_owned(), "error".into());
            }
            said
        }
    };
    if let Value::Object(fields) = &mut said {
        fields.insert("seq".to_owned(), sequence.into());
    }
    if array {
        out.extend_from_slice(if sequence == 0 { b"[" } else { b",\n" });
    }
    out.extend_from_slice(said.to_string().as_bytes());
    if !array {
        out.push(b'\n');
    }
}

fn finish(array: bool, begun: bool, out: &mut Vec<u8>) {
    if array {
        let open = begun || !out.is_empty();
        out.extend_from_slice(if open { b"]" } else { b"[]" });
    }
}

/// Lines of a request's body, one longer than a body may be refused.
struct Lines {
    body: BodyDataStream,
    buffer: Vec<u8>,
    whole: VecDeque<String>,
    ended: bool,
}

impl Lines {
    /// At least one line, at most `limit` of those that are there; none at the end. Cancel-safe.
    async fn some(&mut self, limit: usize) -> Result<Vec<String>, KsqlFailure> {
        while self.whole.is_empty() && !self.ended {
            match self.body.next().await {
                Some(Ok(bytes)) => {
                    self.buffer.extend_from_slice(&bytes);
                    self.cut()?;
                    if self.buffer.len() > BODY_BYTES {
                        return Err(KsqlFailure::bad_request(format!(
                            "a line has more than {BODY_BYTES} bytes"
                        )));
                    }
                }
                Some(Err(error)) => {
                    return Err(KsqlFailure::bad_request(format!("the request broke off: {error}")));
                }
                None => {
                    self.ended = true;
                    self.buffer.push(b'\n');
                    self.cut()?;
                }
            }
        }
        let count = limit.min(self.whole.len());
        Ok(self.whole.drain(..count).collect())
    }

    fn cut(&mut self) -> Result<(), KsqlFailure> {
        let Some(last) = self.buffer.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let rest = self.buffer.split_off(last + 1);
        let whole = std::mem::replace(&mut self.buffer, rest);
        let text =
            std::str::from_utf8(&whole).map_err(|_| KsqlFailure::bad_request("the request is not UTF-8"))?;
        self.whole.extend(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
        Ok(())
    }
}
