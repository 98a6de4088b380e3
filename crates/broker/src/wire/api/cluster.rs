//! DescribeCluster (KIP-700, KIP-919), FindCoordinator (KIP-699), DescribeTopicPartitions (KIP-966).

use crate::topics;
use crate::wire::api::node;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::limits;
use crate::wire::place::LEADER_EPOCH;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_topic_partitions_request::Cursor as From;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, DescribeClusterResponse, DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use millstream_bus::check;
use millstream_log::Topic;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// What a client of a broker asks for; 2 are the controllers.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) async fn describe_cluster(
    call: &Call,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let failed = |error: ResponseError, message: String| {
        DescribeClusterResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(StrBytes::from_string(message)))
            .with_controller_id(BrokerId(-1))
    };
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            let message = "this is a broker's address, not a controller's".to_owned();
            return failed(ResponseError::MismatchedEndpointType, message);
        }
        other => {
            let message = format!("there is no endpoint type {other}");
            return failed(ResponseError::UnsupportedEndpointType, message);
        }
    }
    let (host, port) = call.peer.advertised();
    let broker = DescribeClusterBroker::default().with_broker_id(node::ID).with_host(host).with_port(port);
    let asks = request.include_cluster_authorized_operations;
    let operations = if asks { node::cluster_operations(call) } else { i32::MIN };
    DescribeClusterResponse::default()
        .with_cluster_id(node::cluster_id(call))
        .with_controller_id(node::ID)
        .with_brokers(vec![broker])
        .with_cluster_authorized_operations(operations)
}

/// No partition is ever on its way from one node to another: tools ask before they describe a topic.
pub(crate) async fn list_partition_reassignments(
    call: &Call,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let response = ListPartitionReassignmentsResponse::default();
    if call.may(Operation::Describe, Resource::Cluster) {
        return response.with_error_message(None);
    }
    let message = StrBytes::from_static_str("not authorized to describe the cluster");
    response
        .with_error_code(ResponseError::ClusterAuthorizationFailed.code())
        .with_error_message(Some(message))
}

pub(crate) async fn find_coordinator(
    call: &Call,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let (host, port) = call.peer.advertised();
    let coordinator = |key: StrBytes| match refusal(call, request.key_type, &key) {
        Some((error, message)) => Coordinator::default()
            .with_error_code(error.code())
            .with_error_message(Some(StrBytes::from_static_str(message)))
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_key(key),
        None => Coordinator::default()
            .with_error_message(Some(StrBytes::from_static_str("")))
            .with_node_id(node::ID)
            .with_host(host.clone())
            .with_port(port)
            .with_key(key),
    };
    if call.version >= 4 {
        let coordinators = request.coordinator_keys.into_iter().map(coordinator).collect();
        return FindCoordinatorResponse::default().with_coordinators(coordinators);
    }
    let found = coordinator(request.key);
    let message = if found.error_code == 0 { Some("NONE".into()) } else { found.error_message };
    FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_error_message(message)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port)
}

/// Why a client is not told a coordinator. Share groups are not served.
fn refusal(call: &Call, key_type: i8, key: &str) -> Option<(ResponseError, &'static str)> {
    let (resource, error, message) = match key_type {
        0 => {
            (Resource::Group(key), ResponseError::GroupAuthorizationFailed, "not authorized to see the group")
        }
        1 => (
            Resource::TransactionalId(key),
            ResponseError::TransactionalIdAuthorizationFailed,
            "not authorized to see the transactional id",
        ),
        _ => {
            return Some((
                ResponseError::InvalidRequest,
                "only groups (0) and transactional ids (1) have a coordinator",
            ));
        }
    };
    (!call.may(Operation::Describe, resource)).then_some((error, message))
}

pub(crate) async fn describe_topic_partitions(
    call: &Call,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let names = || request.topics.iter().map(|topic| topic.name.clone());
    let is_all = request.topics.is_empty();
    let mut asked: BTreeSet<TopicName> = if is_all {
        let named = |topic: Topic| TopicName(StrBytes::from_string(topic.name));
        node::visible(call).into_iter().map(named).collect()
    } else {
        names().collect()
    };
    let mut first_partition = 0;
    if let Some(From { topic_name, partition_index, .. }) = &request.cursor {
        asked = asked.split_off(topic_name);
        let is_there = asked.first() == Some(topic_name);
        if *partition_index < 0 || (!is_all && !is_there) {
            let refused = |name| failed(name, ResponseError::InvalidRequest);
            return DescribeTopicPartitionsResponse::default().with_topics(names().map(refused).collect());
        }
        first_partition = if is_there { *partition_index } else { 0 };
    }
    let may_know = |name: &TopicName| call.may(Operation::Describe, Resource::Topic(name));
    let (asked, hidden): (Vec<_>, Vec<_>) = asked.into_iter().partition(may_know);
    let (mut topics, next_cursor) = page(call, asked, first_partition, request.response_partition_limit);
    topics.extend(hidden.into_iter().map(|name| failed(name, ResponseError::TopicAuthorizationFailed)));
    DescribeTopicPartitionsResponse::default().with_topics(topics).with_next_cursor(next_cursor)
}

/// As many partitions as fit, and where the next page begins.
fn page(
    call: &Call,
    asked: Vec<TopicName>,
    mut first_partition: i32,
    limit: i32,
) -> (Vec<DescribeTopicPartitionsResponseTopic>, Option<Cursor>) {
    let mut left = limit.clamp(1, limits::DESCRIBED_PARTITIONS);
    let mut topics = Vec::new();
    for name in asked {
        if left == 0 {
            return (topics, Some(Cursor::default().with_topic_name(name).with_partition_index(0)));
        }
        let operations = node::operations(call, Resource::Topic(&name));
        let topic = call.broker.inner.topics.log().topic(&name).filter(|_| !topics::is_hidden(&name));
        let Some(topic) = topic else {
            let is_legal = check::topic_name(&name).is_ok();
            let unknown = ResponseError::UnknownTopicOrPartition;
            let error = if is_legal { unknown } else { ResponseError::InvalidTopicException };
            topics.push(failed(name, error).with_topic_authorized_operations(operations));
            continue;
        };
        let end = topic.partitions.min(first_partition.saturating_add(left));
        let partitions = partitions(call, &topic, first_partition..=end.saturating_sub(1));
        left -= i32::try_from(partitions.len()).unwrap_or(left).min(left);
        topics.push(
            DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(name.clone()))
                .with_topic_id(topics::uuid_of(&topic))
                .with_is_internal(topics::VISIBLE_INTERNAL.contains(&topic.name.as_str()))
                .with_partitions(partitions)
                .with_topic_authorized_operations(operations),
        );
        if end < topic.partitions {
            return (topics, Some(Cursor::default().with_topic_name(name).with_partition_index(end)));
        }
        first_partition = 0;
    }
    (topics, None)
}

fn partitions(
    call: &Call,
    topic: &Topic,
    numbers: RangeInclusive<i32>,
) -> Vec<DescribeTopicPartitionsResponsePartition> {
    let partition = |number| {
        let partition = DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(number)
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![node::ID])
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()));
        if node::is_open(call, topic, number) {
            partition.with_leader_id(node::ID).with_isr_nodes(vec![node::ID])
        } else {
            partition
                .with_error_code(ResponseError::LeaderNotAvailable.code())
                .with_leader_id(BrokerId(-1))
                .with_offline_replicas(vec![node::ID])
        }
    };
    numbers.map(partition).collect()
}

fn failed(name: TopicName, error: ResponseError) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default().with_name(Some(name)).with_error_code(error.code())
}
