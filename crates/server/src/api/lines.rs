//! Answers that go on: one JSON object per line, with an empty line now and then while there is nothing to say.

use crate::limits::{HEARTBEAT, STREAM_LINES};
use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use std::convert::Infallible;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::timeout;

/// A bounded queue of lines; whoever fills it waits for a slow client, and learns when it is gone.
pub(crate) fn channel<T>() -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
    mpsc::channel(STREAM_LINES)
}

/// Streams what comes out of `items` until it ends, the server closes, or the client goes.
pub(crate) fn respond<T: Serialize + Send + 'static>(
    items: mpsc::Receiver<T>,
    closed: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
) -> Response {
    let lines = stream::unfold((items, closed, permit), async |(mut items, mut closed, permit)| {
        let item = tokio::select! {
            item = timeout(HEARTBEAT, items.recv()) => item,
            _ = closed.wait_for(|closed| *closed) => return None,
        };
        let line = match item {
            Ok(Some(item)) => line(&item, &mut items),
            Ok(None) => return None,
            Err(_) => Bytes::from_static(b"\n"),
        };
        Some((Ok::<_, Infallible>(line), (items, closed, permit)))
    });
    let headers = [(CONTENT_TYPE, "application/x-ndjson"), (CONNECTION, "close")];
    (headers, Body::from_stream(lines)).into_response()
}

/// `first` and everything else that is ready, so that a busy stream is written in large pieces.
fn line<T: Serialize>(first: &T, more: &mut mpsc::Receiver<T>) -> Bytes {
    let mut text = Vec::new();
    push(&mut text, first);
    while let Ok(item) = more.try_recv() {
        push(&mut text, &item);
    }
    text.into()
}

fn push<T: Serialize>(text: &mut Vec<u8>, item: &T) {
    // Our own types have string keys only, and writing to memory cannot fail.
    if serde_json::to_writer(&mut *text, item).is_ok() {
        text.push(b'\n');
    }
}
