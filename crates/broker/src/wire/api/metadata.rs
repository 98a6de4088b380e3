//! Metadata: topics and the node that serves them (KIP-4, KIP-516).

use crate::embedded::blocking;
use crate::topics;
use crate::wire::api::node;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::limits;
use crate::wire::place::LEADER_EPOCH;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use millstream_bus::{BusError, TopicSpec, check};
use millstream_log::Topic;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Where authorized operations were not asked for.
const NOT_ASKED: i32 = i32::MIN;

pub(crate) async fn metadata(call: &Call, request: MetadataRequest) -> MetadataResponse {
    let version = call.version;
    let asked = request.topics.as_deref().filter(|topics| version > 0 || !topics.is_empty());
    let is_wrong = |topic: &MetadataRequestTopic| {
        (version < 12 && !topic.topic_id.is_nil()) || (topic.name.is_none() && topic.topic_id.is_nil())
    };
    // Kafka refuses the request as a whole, on each of its topics.
    if let Some(topics) = asked.filter(|topics| topics.iter().any(is_wrong)) {
        let refused = topics.iter().map(|topic| refused(call, topic)).collect();
        return MetadataResponse::default().with_controller_id(BrokerId(-1)).with_topics(refused);
    }
    let mut topics = match asked {
        None => all(call),
        Some(topics) if topics.iter().any(|topic| !topic.topic_id.is_nil()) => by_id(call, topics),
        Some(topics) => by_name(call, topics, request.allow_auto_topic_creation).await,
    };
    if request.include_topic_authorized_operations {
        for topic in &mut topics {
            if let Some(name) = topic.name.as_ref().filter(|name| !name.is_empty()) {
                topic.topic_authorized_operations = node::operations(call, Resource::Topic(name));
            }
        }
    }
    let asks_cluster = request.include_cluster_authorized_operations;
    let operations = if asks_cluster { node::cluster_operations(call) } else { NOT_ASKED };
    let (host, port) = call.peer.advertised();
    let broker = MetadataResponseBroker::default().with_node_id(node::ID).with_host(host).with_port(port);
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(node::cluster_id(call)))
        .with_controller_id(node::ID)
        .with_topics(topics)
        .with_cluster_authorized_operations(operations)
}

/// Every topic that the client may know of.
fn all(call: &Call) -> Vec<MetadataResponseTopic> {
    node::visible(call).iter().map(|topic| found(call, topic)).collect()
}

/// Topics by their ids; names beside them count for nothing, as with Kafka.
fn by_id(call: &Call, asked: &[MetadataRequestTopic]) -> Vec<MetadataResponseTopic> {
    let ids: BTreeSet<Uuid> = asked.iter().map(|topic| topic.topic_id).filter(|id| !id.is_nil()).collect();
    let by_id = |id: Uuid| {
        let topic = call.broker.inner.topics.by_uuid(id).filter(|topic| node::is_visible(call, &topic.name));
        topic.map_or_else(
            || failed(None, ResponseError::UnknownTopicId).with_topic_id(id),
            |topic| found(call, &topic),
        )
    };
    ids.into_iter().map(by_id).collect()
}

/// Topics by name: those that are there first, then those that are not, then those that the client may not know of.
async fn by_name(
    call: &Call,
    asked: &[MetadataRequestTopic],
    may_create: bool,
) -> Vec<MetadataResponseTopic> {
    let mut seen = BTreeSet::new();
    let (mut there, mut missing, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
    let mut may_make = limits::AUTO_CREATED_TOPICS;
    for name in asked.iter().filter_map(|topic| topic.name.clone()) {
        if !seen.insert(name.clone()) {
            continue;
        }
        if !call.may(Operation::Describe, Resource::Topic(&name)) {
            hidden.push(failed(Some(name), ResponseError::TopicAuthorizationFailed));
            continue;
        }
        let topic = call.broker.inner.topics.log().topic(&name).filter(|_| !topics::is_hidden(&name));
        if let Some(topic) = topic {
            there.push(found(call, &topic));
        } else if may_create && call.broker.config.auto_create_topics && may_make > 0 {
            may_make -= 1;
            match make(call, &name).await {
                Ok(topic) => there.push(found(call, &topic)),
                Err(error) => missing.push(failed(Some(name), error)),
            }
        } else {
            let error = missing_error(&name);
            missing.push(failed(Some(name), error));
        }
    }
    there.into_iter().chain(missing).chain(hidden).collect()
}

fn missing_error(name: &str) -> ResponseError {
    match check::topic_name(name) {
        Ok(()) => ResponseError::UnknownTopicOrPartition,
        Err(_) => ResponseError::InvalidTopicException,
    }
}

/// Makes a topic because a client asked for it.
async fn make(call: &Call, name: &TopicName) -> Result<Topic, ResponseError> {
    if topics::is_hidden(name) || missing_error(name) == ResponseError::InvalidTopicException {
        return Err(missing_error(name));
    }
    let may_create =
        call.may(Operation::Create, Resource::Cluster) || call.may(Operation::Create, Resource::Topic(name));
    if !may_create {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    let inner = Arc::clone(&call.broker.inner);
    let spec = TopicSpec::new(name.to_string(), call.broker.config.partitions);
    let made = blocking(move || match inner.topics.create(&spec) {
        // Another client was faster.
        Ok(()) | Err(BusError::TopicExists(_)) => Ok(inner.topics.log().topic(&spec.name)),
        Err(error) => Err(error),
    });
    match made.await {
        Ok(topic) => topic.ok_or(ResponseError::UnknownTopicOrPartition),
        Err(error) => {
            tracing::warn!(topic = %**name, %error, "a topic that a client asked for cannot be made");
            Err(match error {
                BusError::Invalid(_) => ResponseError::InvalidTopicException,
                _ => ResponseError::UnknownTopicOrPartition,
            })
        }
    }
}

fn found(call: &Call, topic: &Topic) -> MetadataResponseTopic {
    let partition = |number| {
        let partition = MetadataResponsePartition::default()
            .with_partition_index(number)
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![node::ID]);
        if node::is_open(call, topic, number) {
            partition.with_leader_id(node::ID).with_isr_nodes(vec![node::ID])
        } else {
            partition
                .with_error_code(ResponseError::LeaderNotAvailable.code())
                .with_leader_id(BrokerId(-1))
                .with_offline_replicas(vec![node::ID])
        }
    };
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.name.clone()))))
        .with_topic_id(topics::uuid_of(topic))
        .with_is_internal(topics::VISIBLE_INTERNAL.contains(&topic.name.as_str()))
        .with_partitions((0..topic.partitions).map(partition).collect())
        .with_topic_authorized_operations(NOT_ASKED)
}

fn failed(name: Option<TopicName>, error: ResponseError) -> MetadataResponseTopic {
    let is_internal = name.as_ref().is_some_and(|name| topics::VISIBLE_INTERNAL.contains(&name.as_str()));
    MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_name(name)
        .with_is_internal(is_internal)
        .with_topic_authorized_operations(NOT_ASKED)
}

fn refused(call: &Call, topic: &MetadataRequestTopic) -> MetadataResponseTopic {
    // No name can be written from version 12 on only.
    let name = topic.name.clone().or_else(|| (call.version < 12).then(TopicName::default));
    failed(name, ResponseError::InvalidRequest).with_topic_id(topic.topic_id)
}
