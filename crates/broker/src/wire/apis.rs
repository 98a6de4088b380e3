//! The table of APIs: which are served, in which versions, by which function.

use crate::wire::api;
use crate::wire::call::{Answered, Call, Close, Reply};
use crate::wire::throttle::Throttle;
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use kafka_protocol::messages::{ApiKey, ResponseHeader};
use kafka_protocol::protocol::{Encodable, Request};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// One line per API: the request, its versions, the function. `later` marks one whose function returns a second future: what
/// it does before is done in the order of the requests, what that future awaits is awaited beside the requests after it.
macro_rules! apis {
    ($($request:ident, $versions:expr => $($how:ident)? ($function:path);)*) => {
        /// Every API, by key.
        pub(crate) const SERVED: &[(i16, RangeInclusive<i16>)] = &[$((<kafka_protocol::messages::$request as Request>::KEY, $versions)),*];

        /// Calls the function of an API with the body of a request. The future may be dropped when the client goes.
        pub(crate) fn dispatch(call: Arc<Call>, body: Bytes) -> BoxFuture<'static, Result<Reply, Close>> {
            $(if call.api_key == <kafka_protocol::messages::$request as Request>::KEY {
                return Box::pin(async move {
                    let request = decode::<kafka_protocol::messages::$request>(&call, body)?;
                    apis!(@call $($how)? call, request, kafka_protocol::messages::$request, $function)
                });
            })*
            Box::pin(async move { Err(Close::UnknownApi(call.api_key)) })
        }

        /// Decodes the body of a request and encodes it again, in one version.
        #[cfg(test)]
        pub(crate) fn round_trip(api_key: i16, version: i16, body: &mut Bytes) -> Result<BytesMut, String> {
            use kafka_protocol::protocol::Decodable;
            let mut written = BytesMut::new();
            $(if api_key == <kafka_protocol::messages::$request as Request>::KEY {
                let request = kafka_protocol::messages::$request::decode(body, version);
                let request = request.map_err(|error| error.to_string())?;
                request.encode(&mut written, version).map_err(|error| error.to_string())?;
                return Ok(written);
            })*
            Err(format!("API {api_key}"))
        }
    };
    (@call $call:ident, $decoded:ident, $request:ty, $function:path) => {{
        let mut response = $function(&$call, $decoded).await;
        encode::<$request>(&$call, &mut response).map(Reply::Now)
    }};
    (@call later $call:ident, $decoded:ident, $request:ty, $function:path) => {{
        let response = $function(&$call, $decoded).await;
        Ok(Reply::Later(Box::pin(async move {
            match Answered::of(response.await)? {
                Some(mut response) => encode::<$request>(&$call, &mut response),
                None => Ok(Bytes::new()),
            }
        })))
    }};
}

apis! {
    CreateTopicsRequest, 2..=7 => (api::topics::create_topics);
    DeleteTopicsRequest, 1..=6 => (api::topics::delete_topics);
    CreatePartitionsRequest, 0..=3 => (api::topics::create_partitions);
    DescribeConfigsRequest, 1..=4 => (api::configs::describe_configs);
    AlterConfigsRequest, 0..=2 => (api::configs::alter_configs);
    IncrementalAlterConfigsRequest, 0..=1 => (api::configs::incremental_alter_configs);
    ProduceRequest, 3..=13 => later (api::produce::produce);
    FetchRequest, 4..=18 => later (api::fetch::fetch);
    ListOffsetsRequest, 1..=10 => (api::list_offsets::list_offsets);
    OffsetForLeaderEpochRequest, 2..=4 => (api::list_offsets::offset_for_leader_epoch);
    DeleteRecordsRequest, 0..=2 => (api::records::delete_records);
    DescribeLogDirsRequest, 1..=4 => (api::log_dirs::describe_log_dirs);
    InitProducerIdRequest, 0..=5 => (api::producer::init_producer_id);
    AddPartitionsToTxnRequest, 0..=5 => (api::transaction::add_partitions_to_txn);
    AddOffsetsToTxnRequest, 0..=4 => (api::transaction::add_offsets_to_txn);
    EndTxnRequest, 0..=5 => (api::transaction::end_txn);
    TxnOffsetCommitRequest, 0..=5 => (api::transaction::txn_offset_commit);
    DescribeProducersRequest, 0..=0 => (api::transactions::describe_producers);
    DescribeTransactionsRequest, 0..=0 => (api::transactions::describe_transactions);
    ListTransactionsRequest, 0..=2 => (api::transactions::list_transactions);
    ApiVersionsRequest, 0..=4 => (api::versions::api_versions);
    SaslHandshakeRequest, 0..=1 => (api::sasl::sasl_handshake);
    SaslAuthenticateRequest, 0..=2 => (api::sasl::sasl_authenticate);
    DescribeUserScramCredentialsRequest, 0..=0 => (api::users::describe_user_scram_credentials);
    AlterUserScramCredentialsRequest, 0..=0 => (api::users::alter_user_scram_credentials);
    DescribeClientQuotasRequest, 0..=1 => (api::client_quotas::describe_client_quotas);
    DescribeAclsRequest, 1..=3 => (api::acls::describe_acls);
    CreateAclsRequest, 1..=3 => (api::acls::create_acls);
    DeleteAclsRequest, 1..=3 => (api::acls::delete_acls);
    JoinGroupRequest, 0..=9 => later (api::group::join_group);
    SyncGroupRequest, 0..=5 => later (api::group::sync_group);
    HeartbeatRequest, 0..=4 => (api::group::heartbeat);
    LeaveGroupRequest, 0..=5 => (api::group::leave_group);
    DescribeGroupsRequest, 0..=6 => (api::group_admin::describe_groups);
    ListGroupsRequest, 0..=5 => (api::group_admin::list_groups);
    DeleteGroupsRequest, 0..=2 => (api::group_admin::delete_groups);
    OffsetCommitRequest, 2..=9 => later (api::offset::offset_commit);
    OffsetFetchRequest, 1..=9 => (api::offset_fetch::offset_fetch);
    OffsetDeleteRequest, 0..=0 => (api::offset::offset_delete);
    MetadataRequest, 0..=13 => (api::metadata::metadata);
    FindCoordinatorRequest, 0..=6 => (api::cluster::find_coordinator);
    ConsumerGroupHeartbeatRequest, 0..=1 => (api::consumer_group::consumer_group_heartbeat);
    ConsumerGroupDescribeRequest, 0..=1 => (api::consumer_group::consumer_group_describe);
    DescribeClusterRequest, 0..=2 => (api::cluster::describe_cluster);
    ListPartitionReassignmentsRequest, 0..=0 => (api::cluster::list_partition_reassignments);
    DescribeTopicPartitionsRequest, 0..=0 => (api::cluster::describe_topic_partitions);
}

/// The versions in which an API is served.
pub(crate) fn versions(api_key: i16) -> Option<&'static RangeInclusive<i16>> {
    SERVED.iter().find(|(key, _)| *key == api_key).map(|(_, versions)| versions)
}

fn decode<R: Request>(call: &Call, mut body: Bytes) -> Result<R, Close> {
    R::decode(&mut body, call.version).map_err(|error| Close::Malformed(error.to_string()))
}

/// A response as a whole frame.
pub(crate) fn encode<R: Request>(call: &Call, response: &mut R::Response) -> Result<Bytes, Close>
where
    R::Response: Throttle,
{
    if !call.broker.quotas.is_idle() {
        let answer_bytes = response.compute_size(call.version).unwrap_or(0);
        let throttle_ms = call.charge(answer_bytes).as_millis();
        response.set_throttle_ms(i32::try_from(throttle_ms).unwrap_or(i32::MAX));
    }
    encode_as::<R>(call, response, call.version)
}

/// A response in another version than the request had: ApiVersions only.
pub(crate) fn encode_as<R: Request>(
    call: &Call,
    response: &R::Response,
    version: i16,
) -> Result<Bytes, Close> {
    let failed = |error| Close::Unencodable(format!("{error:#}"));
    let header_version =
        ApiKey::try_from(R::KEY).map_or(0, |key: ApiKey| key.response_header_version(version));
    let header = ResponseHeader::default().with_correlation_id(call.correlation_id);
    let size = header.compute_size(header_version).map_err(failed)?
        + response.compute_size(version).map_err(failed)?;
    let mut frame = BytesMut::with_capacity(4 + size);
    frame.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
    header.encode(&mut frame, header_version).map_err(failed)?;
    response.encode(&mut frame, version).map_err(failed)?;
    Ok(frame.freeze())
}
