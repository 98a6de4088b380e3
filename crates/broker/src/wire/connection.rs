//! One connection: frames in, answers out in the order of the requests.

use crate::wire::api;
use crate::wire::apis;
use crate::wire::call::{Broker, Call, Close, Peer, Reply};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, RequestHeader};
use kafka_protocol::protocol::{Decodable, Request};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest request (`socket.request.max.bytes`).
const FRAME_BYTES: usize = 100 << 20;
/// Answers that are awaited at a time, per connection.
const PIPELINED: usize = 64;

/// Serves a connection until the client goes or breaks the protocol.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    broker: Arc<Broker>,
    peer: Arc<Peer>,
    stream: S,
) -> Result<(), Close> {
    let (mut input, mut output) = tokio::io::split(stream);
    let mut answers: FuturesOrdered<BoxFuture<'static, Result<Bytes, Close>>> = FuturesOrdered::new();
    let mut frame = Box::pin(read_frame(&mut input));
    loop {
        tokio::select! {
            biased;
            Some(answer) = answers.next() => output.write_all(&answer?).await?,
            request = &mut frame, if answers.len() < PIPELINED => {
                let Some(request) = request? else { return Ok(()) };
                drop(frame);
                match answer(&broker, &peer, request).await? {
                    Reply::Now(bytes) => answers.push_back(Box::pin(async move { Ok(bytes) })),
                    Reply::Later(later) => answers.push_back(later),
                }
                frame = Box::pin(read_frame(&mut input));
            }
        }
    }
}

/// The next frame; `None` at the end.
async fn read_frame<S: AsyncRead + Unpin>(input: &mut S) -> Result<Option<Bytes>, Close> {
    let mut length = [0; 4];
    match input.read_exact(&mut length).await {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    };
    let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|length| *length <= FRAME_BYTES);
    let length = length.ok_or_else(|| Close::Malformed("its length".to_owned()))?;
    let mut frame = BytesMut::with_capacity(length);
    let mut limited = input.take(length as u64);
    while frame.len() < length {
        if limited.read_buf(&mut frame).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(frame.freeze()))
}

async fn answer(broker: &Arc<Broker>, peer: &Arc<Peer>, mut frame: Bytes) -> Result<Reply, Close> {
    let malformed = |what: &str| Close::Malformed(what.to_owned());
    let mut start = frame.clone();
    let api_key = start.try_get_i16().map_err(|_| malformed("its header"))?;
    let version = start.try_get_i16().map_err(|_| malformed("its header"))?;
    let key = ApiKey::try_from(api_key).map_err(|()| Close::UnknownApi(api_key))?;
    let is_served = apis::versions(api_key).is_some_and(|versions| versions.contains(&version));
    let is_versions = api_key == ApiVersionsRequest::KEY;
    if !is_served && !is_versions {
        return Err(Close::UnknownVersion { api_key, version });
    }
    let header_version = if is_served { key.request_header_version(version) } else { 1 };
    let header = RequestHeader::decode(&mut frame, header_version)
        .map_err(|error| Close::Malformed(error.to_string()))?;
    let call = Arc::new(Call {
        broker: Arc::clone(broker),
        peer: Arc::clone(peer),
        api_key,
        version,
        correlation_id: header.correlation_id,
        client_id: header.client_id.unwrap_or_default(),
    });
    if !is_served {
        let response = api::versions::unsupported();
        return apis::encode_as::<ApiVersionsRequest>(&call, &response, 0).map(Reply::Now);
    }
    apis::dispatch(call, frame).await
}
