//! The field of a response that tells a client how long it has to wait for its quota.

use kafka_protocol::messages as kafka;

/// A response that may tell so.
pub(crate) trait Throttle {
    /// Sets the time, in milliseconds.
    fn set_throttle_ms(&mut self, throttle_ms: i32);
}

macro_rules! throttle {
    (tells: [$($tells:ident,)*] silent: [$($silent:ident,)*]) => {
        $(impl Throttle for kafka::$tells {
            fn set_throttle_ms(&mut self, throttle_ms: i32) {
                self.throttle_time_ms = throttle_ms;
            }
        })*
        $(impl Throttle for kafka::$silent {
            fn set_throttle_ms(&mut self, _throttle_ms: i32) {}
        })*
    };
}

throttle! {
    tells: [AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, AlterClientQuotasResponse, AlterConfigsResponse, AlterPartitionReassignmentsResponse, AlterReplicaLogDirsResponse, AlterUserScramCredentialsResponse, ApiVersionsResponse, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse, CreateAclsResponse, CreateDelegationTokenResponse, CreatePartitionsResponse, CreateTopicsResponse, DeleteAclsResponse, DeleteGroupsResponse, DeleteRecordsResponse, DeleteTopicsResponse, DescribeAclsResponse, DescribeClientQuotasResponse, DescribeClusterResponse, DescribeConfigsResponse, DescribeDelegationTokenResponse, DescribeGroupsResponse, DescribeLogDirsResponse, DescribeProducersResponse, DescribeTopicPartitionsResponse, DescribeTransactionsResponse, DescribeUserScramCredentialsResponse, ElectLeadersResponse, EndTxnResponse, ExpireDelegationTokenResponse, FetchResponse, FindCoordinatorResponse, GetTelemetrySubscriptionsResponse, HeartbeatResponse, IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse, LeaveGroupResponse, ListConfigResourcesResponse, ListGroupsResponse, ListOffsetsResponse, ListPartitionReassignmentsResponse, ListTransactionsResponse, MetadataResponse, OffsetCommitResponse, OffsetDeleteResponse, OffsetFetchResponse, OffsetForLeaderEpochResponse, ProduceResponse, PushTelemetryResponse, RenewDelegationTokenResponse, SyncGroupResponse, TxnOffsetCommitResponse, UpdateFeaturesResponse,]
    silent: [SaslAuthenticateResponse, SaslHandshakeResponse, WriteTxnMarkersResponse,]
}
