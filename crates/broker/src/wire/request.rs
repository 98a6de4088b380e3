//! One request from its bytes to its function: what must be true of them before anything is decoded.

use crate::wire::budget::Share;
use crate::wire::call::{Broker, Call, Close, Peer, Reply};
use crate::wire::header::Header;
use crate::wire::inbox::Frame;
use crate::wire::{api, apis, limits, sasl, shape};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::protocol::{Request, StrBytes};
use std::sync::Arc;

/// A request at work, until the next one may begin.
pub(crate) struct Current {
    pub(crate) reply: BoxFuture<'static, Result<Reply, Close>>,
    /// `None` where the frame was no request, but a message of a SASL mechanism.
    pub(crate) call: Option<Arc<Call>>,
}

/// Begins a request. `client_id` is what the last one had.
pub(crate) fn begin(
    broker: &Arc<Broker>,
    peer: &Arc<Peer>,
    client_id: &mut StrBytes,
    frame: Frame,
) -> Result<Current, Close> {
    let Frame { bytes, share } = frame;
    if peer.identity.awaits_token() {
        let (broker, peer) = (Arc::clone(broker), Arc::clone(peer));
        let reply = Box::pin(async move { sasl::token(&broker, &peer, &bytes).await });
        return Ok(Current { reply, call: None });
    }
    let header = Header::read(&bytes).ok_or_else(|| Close::Malformed("its header".to_owned()))?;
    let (api_key, version) = (header.api_key, header.version);
    peer.identity.admits(api_key)?;
    if client_id.as_str() != header.client_id {
        // A copy: the bytes of the request are let go.
        *client_id = StrBytes::from_string(header.client_id.to_owned());
    }
    let versions = apis::versions(api_key).ok_or(Close::UnknownApi(api_key))?;
    let call = Call::new(broker, peer, &header, client_id.clone(), bytes.len());
    if !versions.contains(&version) {
        return unserved(call);
    }
    let body_len = header.body_len(shape::is_flexible(api_key, version));
    let body_len = body_len.ok_or_else(|| Close::Malformed("its header".to_owned()))?;
    let body = bytes.slice(bytes.len() - body_len..);
    let measure =
        shape::measure(api_key, version, &body).map_err(|error| Close::Malformed(error.to_string()))?;
    drop(bytes);
    let reply = run(&call, body, share, measure.memory_bytes);
    Ok(Current { reply, call: Some(call) })
}

/// A version that is not served: ApiVersions says which are, everything else is the end.
fn unserved(call: Arc<Call>) -> Result<Current, Close> {
    let (api_key, version) = (call.api_key, call.version);
    if api_key != ApiVersionsRequest::KEY {
        return Err(Close::UnknownVersion { api_key, version });
    }
    let response = api::versions::unsupported();
    let frame = apis::encode_as::<ApiVersionsRequest>(&call, &response, 0)?;
    Ok(Current { reply: Box::pin(async move { Ok(Reply::Now(frame)) }), call: Some(call) })
}

/// Calls the function, with room for the decoded request, and gives back all room when it is done.
fn run(
    call: &Arc<Call>,
    body: Bytes,
    share: Share,
    memory_bytes: usize,
) -> BoxFuture<'static, Result<Reply, Close>> {
    let call = Arc::clone(call);
    if share.is_none() && memory_bytes <= limits::SMALL_BYTES {
        return apis::dispatch(call, body);
    }
    Box::pin(async move {
        let _share = share;
        let _decoded = call.broker.budget.decoded(memory_bytes).await;
        apis::dispatch(call, body).await
    })
}
