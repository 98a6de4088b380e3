//! Metadata, DescribeCluster, DescribeTopicPartitions, FindCoordinator: who serves what.

use crate::topics;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::limits::NODE_ID;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use millstream_log::Topic;

pub(crate) async fn metadata(call: &Call, request: MetadataRequest) -> MetadataResponse {
    let log = call.broker.inner.topics.log();
    let named = match &request.topics {
        Some(topics) => topics.iter().filter_map(|topic| topic.name.clone()).collect(),
        None => log
            .topics()
            .iter()
            .map(|topic| TopicName(StrBytes::from_string(topic.name.clone())))
            .collect::<Vec<_>>(),
    };
    let mut topics = Vec::with_capacity(named.len());
    for name in named {
        let mut found = log.topic(&name);
        if found.is_none() && request.allow_auto_topic_creation && call.broker.config.auto_create_topics {
            let (inner, name) = (std::sync::Arc::clone(&call.broker.inner), name.to_string());
            let partitions = call.broker.config.partitions;
            let spec = millstream_bus::TopicSpec::new(name.clone(), partitions);
            let _ = crate::embedded::blocking(move || inner.topics.create(&spec)).await;
            found = log.topic(&name);
        }
        topics.push(match found {
            Some(found) => topic(&found),
            None => MetadataResponseTopic::default()
                .with_name(Some(name))
                .with_error_code(ResponseError::UnknownTopicOrPartition.code()),
        });
    }
    let (host, port) = call.peer.advertised();
    let broker =
        MetadataResponseBroker::default().with_node_id(BrokerId(NODE_ID)).with_host(host).with_port(port);
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_controller_id(BrokerId(NODE_ID))
        .with_topics(topics)
}

fn topic(found: &Topic) -> MetadataResponseTopic {
    let partition = |number| {
        MetadataResponsePartition::default()
            .with_partition_index(number)
            .with_leader_id(BrokerId(NODE_ID))
            .with_leader_epoch(0)
            .with_replica_nodes(vec![BrokerId(NODE_ID)])
            .with_isr_nodes(vec![BrokerId(NODE_ID)])
    };
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(found.name.clone()))))
        .with_is_internal(topics::is_internal(&found.name))
        .with_partitions((0..found.partitions).map(partition).collect())
}

pub(crate) async fn find_coordinator(
    call: &Call,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let (host, port) = call.peer.advertised();
    if call.version < 4 {
        let response = FindCoordinatorResponse::default();
        return match coordinator_error(call, request.key_type, &request.key) {
            Some(error) => response.with_error_code(error.code()).with_node_id(BrokerId(-1)),
            None => response.with_node_id(BrokerId(NODE_ID)).with_host(host).with_port(port),
        };
    }
    let coordinator = |key: StrBytes| {
        let error = coordinator_error(call, request.key_type, &key);
        let coordinator = Coordinator::default().with_key(key);
        match error {
            Some(error) => coordinator.with_error_code(error.code()).with_node_id(BrokerId(-1)),
            None => coordinator.with_node_id(BrokerId(NODE_ID)).with_host(host.clone()).with_port(port),
        }
    };
    FindCoordinatorResponse::default()
        .with_coordinators(request.coordinator_keys.iter().cloned().map(coordinator).collect())
}

fn coordinator_error(call: &Call, key_type: i8, key: &str) -> Option<ResponseError> {
    let (resource, refused) = match key_type {
        0 => (Resource::Group(key), ResponseError::GroupAuthorizationFailed),
        1 => (Resource::TransactionalId(key), ResponseError::TransactionalIdAuthorizationFailed),
        _ => return Some(ResponseError::InvalidRequest),
    };
    (!call.may(Operation::Describe, resource)).then_some(refused)
}
