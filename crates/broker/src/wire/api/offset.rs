//! OffsetCommit, OffsetFetch, OffsetDelete: what groups have committed.

use crate::coordinate::groups::OffsetRights;
use crate::coordinate::membership::Committer;
use crate::coordinate::offset_record::{Committed, OffsetRecord};
use crate::embedded::Inner;
use crate::error::unavailable;
use crate::limits;
use crate::seldom::Seldom;
use crate::topics;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
};
use millstream_bus::{BusError, TopicPartition};
use std::sync::Arc;

/// OffsetCommit: answered when the offsets, and the records before them, are on disk. Commits share the waits for the disk.
pub(crate) async fn offset_commit(
    call: &Call,
    request: OffsetCommitRequest,
) -> BoxFuture<'static, Option<OffsetCommitResponse>> {
    let (mut response, records) = sort_out(call, &request);
    if records.is_empty() {
        return async move { Some(response) }.boxed();
    }
    // In the order of the requests, so that no offset goes back.
    let written = write(call, &request, &records).await;
    let inner = Arc::clone(&call.broker.inner);
    // In a task of its own: what is written counts, though the client may be gone.
    let applying =
        written.map(|written| tokio::spawn(async move { inner.offsets.finish(records, written).await }));
    async move {
        let finished = match applying {
            Ok(applying) => applying.await.unwrap_or_else(|_| Err(unavailable("given up at shutdown"))),
            Err(error) => {
                refuse_rest(&mut response, error);
                Ok(())
            }
        };
        if let Err(error) = finished {
            not_committed(&error);
            refuse_rest(&mut response, ResponseError::CoordinatorNotAvailable);
        }
        Some(response)
    }
    .boxed()
}

fn not_committed(error: &BusError) {
    static SELDOM: Seldom = Seldom::new();
    if let Some(left_out) = SELDOM.due() {
        tracing::warn!(%error, left_out, "offsets are not committed");
    }
}

/// Refuses what was not refused yet.
fn refuse_rest(response: &mut OffsetCommitResponse, error: ResponseError) {
    let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    partitions.filter(|one| one.error_code == 0).for_each(|one| one.error_code = error.code());
}

/// Writes offsets when everything before them is on disk. Returns what to await.
async fn write(
    call: &Call,
    request: &OffsetCommitRequest,
    records: &[OffsetRecord],
) -> Result<i64, ResponseError> {
    let inner = &call.broker.inner;
    let failed = |error: BusError| {
        not_committed(&error);
        ResponseError::CoordinatorNotAvailable
    };
    inner.prepare_commit(records).await.map_err(failed)?;
    // The group may have gone on meanwhile.
    refuse_commit(call, request)?;
    inner.offsets.append(records).map_err(failed)
}

/// What is refused, and what is to be committed: its places in the response have no error yet.
fn sort_out(call: &Call, request: &OffsetCommitRequest) -> (OffsetCommitResponse, Vec<OffsetRecord>) {
    let group = request.group_id.as_str();
    let refusal = refuse_commit(call, request).err();
    let mut records = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let name = &topic.name;
        let may = call.may(Operation::Read, Resource::Topic(name));
        let refusal = refusal.or((!may).then_some(ResponseError::TopicAuthorizationFailed));
        let partition = |one: &OffsetCommitRequestPartition| {
            let refused = refusal.or_else(|| refuse_partition(call, name, one));
            if refused.is_none() {
                records.push(record(group, name, one));
            }
            OffsetCommitResponsePartition::default()
                .with_partition_index(one.partition_index)
                .with_error_code(refused.map_or(0, |error| error.code()))
        };
        let partitions = topic.partitions.iter().map(partition).collect();
        let response = OffsetCommitResponseTopic::default().with_partitions(partitions);
        topics.push(response.with_name(name.clone()));
    }
    (OffsetCommitResponse::default().with_topics(topics), records)
}

/// Whether the client may commit for the group at all.
fn refuse_commit(call: &Call, request: &OffsetCommitRequest) -> Result<(), ResponseError> {
    let group = request.group_id.as_str();
    if !call.may(Operation::Read, Resource::Group(group)) {
        return Err(ResponseError::GroupAuthorizationFailed);
    }
    if group.is_empty() || group.len() > limits::GROUP_ID_BYTES {
        return Err(ResponseError::InvalidGroupId);
    }
    if !call.broker.inner.offsets.has_room(group) {
        return Err(ResponseError::GroupMaxSizeReached);
    }
    let who = Committer {
        group,
        member: &request.member_id,
        instance: request.group_instance_id.as_deref(),
        generation: request.generation_id_or_member_epoch,
    };
    let partitions = request.topics.iter().flat_map(|topic| {
        let at = |index| TopicPartition::new(topic.name.as_str(), index);
        topic.partitions.iter().map(move |one| at(one.partition_index))
    });
    call.broker.inner.check_committer(who, call.version, partitions)
}

fn refuse_partition(call: &Call, name: &str, one: &OffsetCommitRequestPartition) -> Option<ResponseError> {
    let partitions = call.broker.inner.topics.partitions(name).unwrap_or(0);
    let metadata = one.committed_metadata.as_deref().unwrap_or_default();
    // An offset of a partition that is not there would point past its end once it is.
    if topics::is_hidden(name) || !(0..partitions).contains(&one.partition_index) {
        Some(ResponseError::UnknownTopicOrPartition)
    } else if metadata.len() > millstream_bus::limits::COMMIT_METADATA_BYTES {
        Some(ResponseError::OffsetMetadataTooLarge)
    } else {
        None
    }
}

fn record(group: &str, topic: &str, one: &OffsetCommitRequestPartition) -> OffsetRecord {
    let metadata = one.committed_metadata.as_deref().unwrap_or_default().to_owned();
    let committed =
        Committed { offset: one.committed_offset, leader_epoch: one.committed_leader_epoch, metadata };
    OffsetRecord {
        group: group.to_owned(),
        of: TopicPartition::new(topic, one.partition_index),
        committed: Some(committed),
    }
}

/// OffsetDelete: takes offsets back, of topics that nobody in the group reads.
pub(crate) async fn offset_delete(call: &Call, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let failed = |error: ResponseError| OffsetDeleteResponse::default().with_error_code(error.code());
    let group = request.group_id.as_str();
    let rights = match delete_rights(call, group) {
        Ok(rights) => rights,
        Err(error) => return failed(error),
    };
    let inner = &call.broker.inner;
    let mut removed = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let refused = refuse_delete(call, group, &topic.name, rights).map_or(0, |error| error.code());
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for one in &topic.partitions {
            let at = TopicPartition::new(topic.name.as_str(), one.partition_index);
            if refused == 0 && inner.offsets.committed(group, &at).is_some() {
                removed.push(at);
            }
            let response = OffsetDeleteResponsePartition::default().with_partition_index(one.partition_index);
            partitions.push(response.with_error_code(refused));
        }
        let response = OffsetDeleteResponseTopic::default().with_name(topic.name.clone());
        topics.push(response.with_partitions(partitions));
    }
    let (inner, group) = (Arc::clone(inner), group.to_owned());
    let removing = tokio::spawn(async move { remove(&inner, &group, removed).await });
    match removing.await {
        Ok(Ok(())) => OffsetDeleteResponse::default().with_topics(topics),
        _ => failed(ResponseError::CoordinatorNotAvailable),
    }
}

async fn remove(inner: &Inner, group: &str, of: Vec<TopicPartition>) -> Result<(), BusError> {
    if of.is_empty() { Ok(()) } else { inner.remove_offsets(group, of).await }
}

fn delete_rights(call: &Call, group: &str) -> Result<OffsetRights, ResponseError> {
    if !call.may(Operation::Delete, Resource::Group(group)) {
        return Err(ResponseError::GroupAuthorizationFailed);
    }
    if group.is_empty() {
        return Err(ResponseError::InvalidGroupId);
    }
    let inner = &call.broker.inner;
    if inner.is_consumer_group(group) {
        return Ok(OffsetRights::Unread);
    }
    if !inner.groups.exists(group) && !inner.offsets.contains(group) {
        return Err(ResponseError::GroupIdNotFound);
    }
    inner.groups.offset_rights(group)
}

fn refuse_delete(call: &Call, group: &str, topic: &str, rights: OffsetRights) -> Option<ResponseError> {
    let inner = &call.broker.inner;
    let is_read = || {
        if inner.is_consumer_group(group) {
            inner.consumer_groups.is_subscribed(group, topic)
        } else {
            inner.groups.reads(group, topic)
        }
    };
    if !call.may(Operation::Read, Resource::Topic(topic)) {
        Some(ResponseError::TopicAuthorizationFailed)
    } else if topics::is_hidden(topic) || !inner.topics.exists(topic) {
        Some(ResponseError::UnknownTopicOrPartition)
    } else if rights == OffsetRights::Unread && is_read() {
        Some(ResponseError::GroupSubscribedToTopic)
    } else {
        None
    }
}
