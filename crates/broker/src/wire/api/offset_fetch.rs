//! OffsetFetch: what one group has committed, or several.

use crate::embedded::Inner;
use crate::topics;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use millstream_bus::TopicPartition;
use std::collections::BTreeMap;

/// From here on an error of the group has a place of its own.
const GROUP_ERROR: i16 = 2;
/// From here on several groups are asked for at once.
const MANY_GROUPS: i16 = 8;

pub(crate) async fn offset_fetch(call: &Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let require_stable = request.require_stable;
    if call.version >= MANY_GROUPS {
        let groups = request.groups.iter().map(|group| one_group(call, group, require_stable));
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let topics = request.topics.map(|topics| {
        let topic = |topic: kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic| {
            let wanted = OffsetFetchRequestTopics::default().with_name(topic.name);
            wanted.with_partition_indexes(topic.partition_indexes)
        };
        topics.into_iter().map(topic).collect::<Vec<_>>()
    });
    let wanted = OffsetFetchRequestGroup::default().with_group_id(request.group_id).with_topics(topics);
    flat(call, &wanted, one_group(call, &wanted, require_stable))
}

/// The answer of versions before 8, which know one group.
fn flat(
    call: &Call,
    wanted: &OffsetFetchRequestGroup,
    mut group: OffsetFetchResponseGroup,
) -> OffsetFetchResponse {
    let mut error_code = group.error_code;
    if error_code != 0 && call.version < GROUP_ERROR {
        let wanted = wanted.topics.iter().flatten();
        group.topics = wanted.map(|topic| refused(topic, error_code)).collect();
        error_code = 0;
    }
    let partition = |one: OffsetFetchResponsePartitions| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(one.partition_index)
            .with_committed_offset(one.committed_offset)
            .with_committed_leader_epoch(one.committed_leader_epoch)
            .with_metadata(one.metadata)
            .with_error_code(one.error_code)
    };
    let topic = |topic: OffsetFetchResponseTopics| {
        let partitions = topic.partitions.into_iter().map(partition).collect();
        OffsetFetchResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    };
    let topics = group.topics.into_iter().map(topic).collect();
    OffsetFetchResponse::default().with_error_code(error_code).with_topics(topics)
}

fn one_group(
    call: &Call,
    wanted: &OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let response = OffsetFetchResponseGroup::default().with_group_id(wanted.group_id.clone());
    if let Err(error) = check_group(call, wanted) {
        return response.with_error_code(error.code());
    }
    let group = wanted.group_id.as_str();
    let topics = match &wanted.topics {
        Some(topics) => topics.iter().map(|topic| one_topic(call, group, topic, require_stable)).collect(),
        None => all_topics(call, group, require_stable),
    };
    response.with_topics(topics)
}

fn check_group(call: &Call, wanted: &OffsetFetchRequestGroup) -> Result<(), ResponseError> {
    let group = wanted.group_id.as_str();
    if !call.may(Operation::Describe, Resource::Group(group)) {
        return Err(ResponseError::GroupAuthorizationFailed);
    }
    let inner = &call.broker.inner;
    if inner.is_consumer_group(group) {
        inner.consumer_groups.check_fetch(group, wanted.member_id.as_deref(), wanted.member_epoch)?;
    }
    Ok(())
}

fn unknown(index: i32, error_code: i16) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions::default()
        .with_partition_index(index)
        .with_committed_offset(-1)
        .with_committed_leader_epoch(-1)
        .with_metadata(Some(StrBytes::default()))
        .with_error_code(error_code)
}

/// A topic of which nothing is told but why.
fn refused(wanted: &OffsetFetchRequestTopics, error_code: i16) -> OffsetFetchResponseTopics {
    let partitions = wanted.partition_indexes.iter().map(|index| unknown(*index, error_code)).collect();
    let response = OffsetFetchResponseTopics::default().with_partitions(partitions);
    response.with_name(wanted.name.clone())
}

fn one_topic(
    call: &Call,
    group: &str,
    wanted: &OffsetFetchRequestTopics,
    require_stable: bool,
) -> OffsetFetchResponseTopics {
    if !call.may(Operation::Describe, Resource::Topic(&wanted.name)) {
        return refused(wanted, ResponseError::TopicAuthorizationFailed.code());
    }
    let inner = &call.broker.inner;
    let one = |index: &i32| {
        committed(inner, group, &TopicPartition::new(wanted.name.as_str(), *index), require_stable)
    };
    let partitions = wanted.partition_indexes.iter().map(one).collect();
    let response = OffsetFetchResponseTopics::default().with_partitions(partitions);
    response.with_name(wanted.name.clone())
}

/// Everything that the group has committed for topics that the client may know of.
fn all_topics(call: &Call, group: &str, require_stable: bool) -> Vec<OffsetFetchResponseTopics> {
    let inner = &call.broker.inner;
    let mut by_topic: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (of, _) in inner.offsets.all(group) {
        let one = committed(inner, group, &of, require_stable);
        by_topic.entry(of.topic).or_default().push(one);
    }
    by_topic.retain(|topic, _| {
        !topics::is_hidden(topic) && call.may(Operation::Describe, Resource::Topic(topic))
    });
    let topic = |(name, partitions): (std::sync::Arc<str>, Vec<OffsetFetchResponsePartitions>)| {
        let topic_name = TopicName(StrBytes::from_string(name.to_string()));
        OffsetFetchResponseTopics::default().with_name(topic_name).with_partitions(partitions)
    };
    by_topic.into_iter().map(topic).collect()
}

fn committed(
    inner: &Inner,
    group: &str,
    of: &TopicPartition,
    require_stable: bool,
) -> OffsetFetchResponsePartitions {
    if require_stable && inner.offsets.is_pending(group, of) {
        return unknown(of.partition, ResponseError::UnstableOffsetCommit.code());
    }
    match inner.offsets.committed(group, of) {
        Some(committed) => OffsetFetchResponsePartitions::default()
            .with_partition_index(of.partition)
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(StrBytes::from_string(committed.metadata))),
        None => unknown(of.partition, 0),
    }
}
