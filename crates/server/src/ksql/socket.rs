//! `GET /ws/query`: the rows of one query over a WebSocket; first the columns, then a message per row.

use super::entity::FieldInfo;
use super::failure::KsqlFailure;
use super::negotiate::KsqlRequest;
use super::query::permit;
use super::rows::streamed;
use super::{KsqlAnswer, KsqlQuery, KsqlRow};
use crate::api::State;
use crate::limits::{HEARTBEAT, SOCKET_MESSAGE_BYTES, STALL_TIME};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State as With};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

/// The longest reason that fits into the frame that closes a WebSocket.
const REASON_BYTES: usize = 120;

/// What stands behind the `?`.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// What `/query` takes as its body.
    request: String,
}

pub(super) async fn query(
    With(state): With<Arc<State>>,
    Query(Asked { request }): Query<Asked>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, KsqlFailure> {
    let request: KsqlRequest = serde_json::from_str(&request)
        .map_err(|error| KsqlFailure::bad_request(format!("`request` is no such JSON: {error}")))?;
    let sql = request.into_sql()?;
    let permit = permit(&state)?;
    let upgrade = upgrade.max_message_size(SOCKET_MESSAGE_BYTES).max_frame_size(SOCKET_MESSAGE_BYTES);
    Ok(upgrade.on_upgrade(async move |socket| {
        let answer = state.instance.ksql().query(sql).await;
        serve(state, socket, answer, permit).await;
    }))
}

async fn serve(
    state: Arc<State>,
    mut socket: WebSocket,
    answer: Result<KsqlAnswer, KsqlFailure>,
    _permit: OwnedSemaphorePermit,
) {
    let (code, reason) = match answer {
        Ok(KsqlAnswer::Rows(query)) => rows(&state, &mut socket, query).await,
        Ok(KsqlAnswer::Lines(lines)) => text(&state, &mut socket, lines).await,
        Err(failure) => {
            let code = if failure.code() < super::failure::SERVER_ERROR {
                close_code::UNSUPPORTED
            } else {
                close_code::ERROR
            };
            (code, failure.message().to_owned())
        }
    };
    let end = reason.floor_char_boundary(REASON_BYTES.min(reason.len()));
    let frame = CloseFrame { code, reason: reason[..end].into() };
    // A client that is gone is told nothing.
    let _ = timeout(STALL_TIME, socket.send(Message::Close(Some(frame)))).await;
}

async fn rows(state: &State, socket: &mut WebSocket, mut query: KsqlQuery) -> (u16, String) {
    let fields: Vec<FieldInfo> = query
        .columns
        .iter()
        .map(|column| FieldInfo {
            name: column.name.clone(),
            schema: column.schema.clone(),
            kind: None,
            header_key: None,
        })
        .collect();
    if !send(socket, serde_json::to_string(&fields).unwrap_or_default().into()).await {
        return gone();
    }
    let open = state.desk.open(&query.id);
    let mut closed = state.closed.clone();
    loop {
        let row = tokio::select! {
            row = timeout(HEARTBEAT, query.rows.recv()) => row,
            () = open.closed() => Ok(None),
            _ = closed.wait_for(|closed| *closed) => return (close_code::AWAY, "the server is shutting down".into()),
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return gone(),
                Some(Ok(_)) => continue,
            },
        };
        match row {
            Err(_) => {
                if !send(socket, Message::Ping(Bytes::new())).await {
                    return gone();
                }
            }
            Ok(None) => return (close_code::NORMAL, "done".into()),
            Ok(Some(KsqlRow::Limit)) => return (close_code::NORMAL, "Limit Reached".into()),
            Ok(Some(row)) => {
                let failed = matches!(row, KsqlRow::Failed(_));
                if !send(socket, streamed(&row).to_string().into()).await {
                    return gone();
                }
                if failed {
                    return (close_code::ERROR, "the query failed".into());
                }
            }
        }
    }
}

async fn text(state: &State, socket: &mut WebSocket, mut lines: mpsc::Receiver<String>) -> (u16, String) {
    let mut closed = state.closed.clone();
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = closed.wait_for(|closed| *closed) => return (close_code::AWAY, "the server is shutting down".into()),
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return gone(),
                Some(Ok(_)) => continue,
            },
        };
        let Some(line) = line else { return (close_code::NORMAL, "done".into()) };
        if !send(socket, line.into()).await {
            return gone();
        }
    }
}

/// `false` where the client has gone, or has taken nothing for too long.
async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(STALL_TIME, socket.send(message)).await, Ok(Ok(())))
}

fn gone() -> (u16, String) {
    (close_code::NORMAL, String::new())
}
