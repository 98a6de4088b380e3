//! `POST /query`, `POST /query-stream`, `POST /close-query`: rows, as many as there are and as long as the client takes them.

use super::failure::{BAD_STATEMENT, KsqlFailure, TOO_MANY_QUERIES};
use super::negotiate::{DELIMITED, JSON, KsqlRequest, V1, accepted, read};
use super::rows::{RowFormat, RowWriter};
use super::{KsqlAnswer, KsqlQuery, KsqlRow};
use crate::api::State;
use crate::limits::{HEARTBEAT, PIECE_BYTES, PIECES, STALL_TIME, STREAMS};
use axum::body::Body;
use axum::extract::State as With;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use std::io;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

/// Pieces of an answer on their way to the client; an error cuts the connection, so that no client takes half of an answer
/// for the whole.
pub(super) type Pieces = mpsc::Sender<io::Result<Bytes>>;

pub(super) async fn query(
    With(state): With<Arc<State>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, KsqlFailure> {
    // Both are the same array here; only the name differs.
    let content_type = accepted(&headers, &[V1, JSON])?;
    answer(state, RowFormat::Streamed, content_type, read(body).await?).await
}

pub(super) async fn query_stream(
    With(state): With<Arc<State>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, KsqlFailure> {
    let format = RowFormat::of_content_type(accepted(&headers, &[DELIMITED, JSON, V1])?);
    answer(state, format, format.content_type(), read(body).await?).await
}

/// The body of `/close-query`.
#[derive(Debug, Deserialize)]
pub(super) struct Close {
    #[serde(rename = "queryId")]
    query_id: String,
}

pub(super) async fn close(With(state): With<Arc<State>>, body: Body) -> Result<(), KsqlFailure> {
    let Close { query_id } = read(body).await?;
    if state.desk.close(&query_id) {
        return Ok(());
    }
    Err(KsqlFailure::bad_request(format!("there is no open push query `{query_id}`")))
}

async fn answer(
    state: Arc<State>,
    format: RowFormat,
    content_type: &'static str,
    request: KsqlRequest,
) -> Result<Response, KsqlFailure> {
    let permit = permit(&state)?;
    let sql = request.into_sql()?;
    let (pieces, received) = mpsc::channel(PIECES);
    match state.instance.ksql().query(sql).await? {
        KsqlAnswer::Rows(query) => {
            tokio::spawn(rows(state, query, format, pieces, permit));
        }
        KsqlAnswer::Lines(lines) if format == RowFormat::Streamed => {
            tokio::spawn(text(state, lines, pieces, permit));
        }
        KsqlAnswer::Lines(_) => {
            return Err(KsqlFailure::new(
                BAD_STATEMENT,
                "PRINT gives text, and /query-stream rows: send it to /query",
            ));
        }
    }
    Ok(streaming(received, content_type))
}

/// Leave to stream, in ksqlDB's words.
pub(super) fn permit(state: &State) -> Result<OwnedSemaphorePermit, KsqlFailure> {
    state.stream().map_err(|_| {
        KsqlFailure::new(
            TOO_MANY_QUERIES,
            format!("{STREAMS} queries are open already, which is the limit; end one, or try again later"),
        )
    })
}

/// A response whose body is what comes out of `received`.
pub(super) fn streaming(received: mpsc::Receiver<io::Result<Bytes>>, content_type: &'static str) -> Response {
    let body = stream::unfold(received, async |mut received| Some((received.recv().await?, received)));
    ([(CONTENT_TYPE, content_type)], Body::from_stream(body)).into_response()
}

/// Hands a piece on; `false` where the client is gone or has taken nothing for too long.
pub(super) async fn send(pieces: &Pieces, piece: Vec<u8>) -> bool {
    piece.is_empty() || matches!(timeout(STALL_TIME, pieces.send(Ok(piece.into()))).await, Ok(Ok(())))
}

/// Cuts the answer where it is.
pub(super) fn cut(pieces: &Pieces) {
    // A full queue is a client that does not read: the end of the channel tells it as well.
    let _ = pieces.try_send(Err(io::ErrorKind::ConnectionAborted.into()));
}

/// Writes rows until they end, the client goes, the query is closed, or the server stops.
async fn rows(
    state: Arc<State>,
    mut query: KsqlQuery,
    format: RowFormat,
    pieces: Pieces,
    _permit: OwnedSemaphorePermit,
) {
    let open = state.desk.open(&query.id);
    let mut closed = state.closed.clone();
    let mut writer = RowWriter::new(format, &query);
    let mut piece = Vec::new();
    writer.begin(&query, &mut piece);
    // The header goes out before the first row, which may be long in coming.
    if query.push && !send(&pieces, std::mem::take(&mut piece)).await {
        return;
    }
    loop {
        let row = tokio::select! {
            row = timeout(HEARTBEAT, query.rows.recv()) => row,
            () = open.closed() => Ok(None),
            _ = closed.wait_for(|closed| *closed) => return cut(&pieces),
            () = pieces.closed() => return,
        };
        let mut next = match row {
            Ok(Some(row)) => Some(row),
            Ok(None) => {
                writer.end(false, &mut piece);
                send(&pieces, piece).await;
                return;
            }
            Err(_) => {
                piece.extend_from_slice(format.heartbeat().unwrap_or_default().as_bytes());
                None
            }
        };
        // Everything that is ready goes out together.
        while let Some(row) = next.take() {
            let last = matches!(row, KsqlRow::Limit | KsqlRow::Failed(_));
            writer.row(row, &mut piece);
            if last {
                writer.end(true, &mut piece);
                send(&pieces, piece).await;
                return;
            }
            if piece.len() < PIECE_BYTES {
                next = query.rows.try_recv().ok();
            }
        }
        if !send(&pieces, std::mem::take(&mut piece)).await {
            return;
        }
    }
}

/// Writes lines of text as they are, as ksqlDB answers `PRINT`.
async fn text(
    state: Arc<State>,
    mut lines: mpsc::Receiver<String>,
    pieces: Pieces,
    _permit: OwnedSemaphorePermit,
) {
    let mut closed = state.closed.clone();
    loop {
        let line = tokio::select! {
            line = timeout(HEARTBEAT, lines.recv()) => line,
            _ = closed.wait_for(|closed| *closed) => return cut(&pieces),
            () = pieces.closed() => return,
        };
        let piece = match line {
            Ok(Some(line)) => line + "\n",
            Ok(None) => return,
            Err(_) => "\n".to_owned(),
        };
        if !send(&pieces, piece.into_bytes()).await {
            return;
        }
    }
}
