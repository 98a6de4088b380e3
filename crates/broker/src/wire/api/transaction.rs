//! Transactions of clients: AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, EndTxn.

use super::producer::whole;
use crate::coordinate::offset_record::{Committed, OffsetRecord};
use crate::coordinate::transactions::{Claim, TransactionError};
use crate::limits;
use crate::topics;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    EndTxnRequest, EndTxnResponse, ProducerId, TopicName, TransactionalId, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
use millstream_bus::TopicPartition;
use millstream_log::batch::ControlKind;
use std::sync::Arc;

/// The version from which EndTxn and what comes with it changes the epoch (KIP-890).
const END_WITH_EPOCH: i16 = 5;
/// The version of AddPartitionsToTxn from which only brokers send it, for many transactions at a time.
const BROKERS_ONLY: i16 = 4;
/// The version of TxnOffsetCommit that adds the group by itself.
const OFFSETS_JOIN: i16 = 5;

/// What is wrong with one partition.
type OfPartition = (i32, Option<ResponseError>);
type PartitionCodes = Vec<(TopicName, Vec<(i32, ResponseError)>)>;

/// The code of an error for AddPartitionsToTxn, AddOffsetsToTxn and EndTxn: before version 2 there is no PRODUCER_FENCED.
fn code(error: &TransactionError, version: i16) -> ResponseError {
    match error {
        TransactionError::Fenced if version < 2 => ResponseError::InvalidProducerEpoch,
        error => error.code(),
    }
}

pub(crate) async fn add_partitions_to_txn(
    call: &Call,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    if call.version < BROKERS_ONLY {
        let key = (request.v3_and_below_producer_id.0, request.v3_and_below_producer_epoch);
        let id = &request.v3_and_below_transactional_id;
        let topics = &request.v3_and_below_topics;
        let added = add_partitions(call, id, key, topics, false).await;
        return AddPartitionsToTxnResponse::default()
            .with_results_by_topic_v3_and_below(results(topics, added));
    }
    if !call.may(Operation::ClusterAction, Resource::Cluster) {
        let code = ResponseError::ClusterAuthorizationFailed.code();
        return AddPartitionsToTxnResponse::default().with_error_code(code);
    }
    let mut by_transaction = Vec::with_capacity(request.transactions.len());
    for transaction in request.transactions {
        let key = (transaction.producer_id.0, transaction.producer_epoch);
        let (id, topics) = (transaction.transactional_id, transaction.topics);
        let added = add_partitions(call, &id, key, &topics, transaction.verify_only).await;
        let result = AddPartitionsToTxnResult::default().with_transactional_id(id);
        by_transaction.push(result.with_topic_results(results(&topics, added)));
    }
    AddPartitionsToTxnResponse::default().with_results_by_transaction(by_transaction)
}

/// Adds all partitions or none. `Err` gives one code for all of them, or one for each.
async fn add_partitions(
    call: &Call,
    id: &TransactionalId,
    key: (i64, i16),
    topics: &[AddPartitionsToTxnTopic],
    verify_only: bool,
) -> Result<(), Result<ResponseError, PartitionCodes>> {
    if !call.may(Operation::Write, Resource::TransactionalId(id)) {
        return Err(Ok(ResponseError::TransactionalIdAuthorizationFailed));
    }
    let mut partitions = Vec::new();
    let (mut codes, mut refused) = (Vec::with_capacity(topics.len()), false);
    for topic in topics {
        let mut of_topic = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let at = TopicPartition::new(topic.name.as_str(), *partition);
            let checked = check_partition(call, &topic.name, &at);
            refused |= checked.is_err();
            // Of those that could be added none is, if another cannot.
            of_topic.push((*partition, checked.err().unwrap_or(ResponseError::OperationNotAttempted)));
            partitions.push(at);
        }
        codes.push((topic.name.clone(), of_topic));
    }
    if refused {
        return Err(Err(codes));
    }
    let (inner, id) = (Arc::clone(&call.broker.inner), id.to_string());
    let connection = call.peer.connection;
    let added = whole(async move {
        let claim = Claim { id: &id, key, connection };
        if verify_only {
            inner.transactions.verify_partitions(claim, &partitions).await
        } else {
            inner.transactions.add_partitions(claim, &partitions).await
        }
    });
    added.await.map_err(|error| match error {
        TransactionError::NotInTransaction if call.version >= 5 => Ok(ResponseError::TransactionAbortable),
        error => Ok(code(&error, call.version)),
    })
}

fn check_partition(call: &Call, topic: &str, at: &TopicPartition) -> Result<(), ResponseError> {
    if call.is_protected(topic) || !call.may(Operation::Write, Resource::Topic(topic)) {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    let found = call.broker.inner.topics.replica(at);
    found.map(drop).map_err(|_| ResponseError::UnknownTopicOrPartition)
}

fn results(
    topics: &[AddPartitionsToTxnTopic],
    added: Result<(), Result<ResponseError, PartitionCodes>>,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let all = |code: i16| -> Vec<_> {
        let of = |topic: &AddPartitionsToTxnTopic| {
            (
                topic.name.clone(),
                topic.partitions.iter().map(|partition| (*partition, code)).collect::<Vec<_>>(),
            )
        };
        topics.iter().map(of).collect()
    };
    let codes = match added {
        Ok(()) => all(0),
        Err(Ok(error)) => all(error.code()),
        Err(Err(codes)) => {
            let numbers = |of: Vec<(i32, ResponseError)>| {
                of.into_iter().map(|(partition, error)| (partition, error.code())).collect()
            };
            codes.into_iter().map(|(name, of)| (name, numbers(of))).collect()
        }
    };
    let result = |(partition, code)| {
        AddPartitionsToTxnPartitionResult::default()
            .with_partition_index(partition)
            .with_partition_error_code(code)
    };
    let of_topic = |(name, partitions): (TopicName, Vec<(i32, i16)>)| {
        AddPartitionsToTxnTopicResult::default()
            .with_name(name)
            .with_results_by_partition(partitions.into_iter().map(result).collect())
    };
    codes.into_iter().map(of_topic).collect()
}

pub(crate) async fn add_offsets_to_txn(
    call: &Call,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let code = match add_group(call, request).await {
        Ok(()) => 0,
        Err(error) => error.code(),
    };
    AddOffsetsToTxnResponse::default().with_error_code(code)
}

async fn add_group(call: &Call, request: AddOffsetsToTxnRequest) -> Result<(), ResponseError> {
    let (id, group) = (request.transactional_id, request.group_id);
    if !call.may(Operation::Write, Resource::TransactionalId(&id)) {
        return Err(ResponseError::TransactionalIdAuthorizationFailed);
    }
    if !call.may(Operation::Read, Resource::Group(&group)) {
        return Err(ResponseError::GroupAuthorizationFailed);
    }
    let inner = Arc::clone(&call.broker.inner);
    let (key, connection) = ((request.producer_id.0, request.producer_epoch), call.peer.connection);
    let added = whole(async move {
        let claim = Claim { id: &id, key, connection };
        inner.transactions.add_group(claim, &group).await
    });
    added.await.map_err(|error| code(&error, call.version))
}

pub(crate) async fn end_txn(call: &Call, request: EndTxnRequest) -> EndTxnResponse {
    let response = EndTxnResponse::default().with_producer_id(ProducerId(-1)).with_producer_epoch(-1);
    match end(call, request).await {
        Ok(_) if call.version < END_WITH_EPOCH => response,
        Ok((id, epoch)) => response.with_producer_id(ProducerId(id)).with_producer_epoch(epoch),
        Err(error) => response.with_error_code(error.code()),
    }
}

async fn end(call: &Call, request: EndTxnRequest) -> Result<(i64, i16), ResponseError> {
    let id = request.transactional_id;
    if !call.may(Operation::Write, Resource::TransactionalId(&id)) {
        return Err(ResponseError::TransactionalIdAuthorizationFailed);
    }
    let kind = if request.committed { ControlKind::Commit } else { ControlKind::Abort };
    let (key, connection) = ((request.producer_id.0, request.producer_epoch), call.peer.connection);
    let (inner, with_epoch) = (Arc::clone(&call.broker.inner), call.version >= END_WITH_EPOCH);
    let ended = whole(async move {
        let claim = Claim { id: &id, key, connection };
        let ended = inner.transactions.end(claim, kind, with_epoch).await;
        if ended.is_ok() {
            // So that the next transaction need not wait for the disk.
            let inner = Arc::clone(&inner);
            tokio::spawn(async move { inner.transactions.settle_id(&id).await });
        }
        ended
    });
    ended.await.map_err(|error| code(&error, call.version))
}

pub(crate) async fn txn_offset_commit(
    call: &Call,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let mut records = Vec::new();
    let mut codes: Vec<(TopicName, Vec<OfPartition>)> = Vec::new();
    for topic in &request.topics {
        let refused = check_input(call, &topic.name);
        let mut of_topic = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let record = refused.map_or_else(|| record_of(call, &request, &topic.name, partition), Err);
            of_topic.push((partition.partition_index, record.as_ref().err().copied()));
            records.extend(record);
        }
        codes.push((topic.name.clone(), of_topic));
    }
    let refused = commit_offsets(call, &request, records).await.err();
    let of_partition = |(partition, error): (i32, Option<ResponseError>)| {
        let code = error.or(refused).map_or(0, |error| error.code());
        TxnOffsetCommitResponsePartition::default().with_partition_index(partition).with_error_code(code)
    };
    let of_topic = |(name, partitions): (TopicName, Vec<_>)| {
        TxnOffsetCommitResponseTopic::default()
            .with_name(name)
            .with_partitions(partitions.into_iter().map(of_partition).collect())
    };
    TxnOffsetCommitResponse::default().with_topics(codes.into_iter().map(of_topic).collect())
}

fn check_input(call: &Call, topic: &str) -> Option<ResponseError> {
    if call.may(Operation::Read, Resource::Topic(topic)) {
        None
    } else {
        Some(ResponseError::TopicAuthorizationFailed)
    }
}

fn record_of(
    call: &Call,
    request: &TxnOffsetCommitRequest,
    topic: &str,
    partition: &TxnOffsetCommitRequestPartition,
) -> Result<OffsetRecord, ResponseError> {
    let of = TopicPartition::new(topic, partition.partition_index);
    let known = !topics::is_hidden(topic) && call.broker.inner.topics.replica(&of).is_ok();
    if !known {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    let metadata = partition.committed_metadata.clone().unwrap_or_default().to_string();
    if metadata.len() > millstream_bus::limits::COMMIT_METADATA_BYTES {
        return Err(ResponseError::OffsetMetadataTooLarge);
    }
    let (offset, leader_epoch) = (partition.committed_offset, partition.committed_leader_epoch);
    let committed = Some(Committed { offset, leader_epoch, metadata });
    Ok(OffsetRecord { group: request.group_id.to_string(), of, committed })
}

async fn commit_offsets(
    call: &Call,
    request: &TxnOffsetCommitRequest,
    records: Vec<OffsetRecord>,
) -> Result<(), ResponseError> {
    let (id, group) = (request.transactional_id.clone(), request.group_id.clone());
    if !call.may(Operation::Write, Resource::TransactionalId(&id)) {
        return Err(ResponseError::TransactionalIdAuthorizationFailed);
    }
    if !call.may(Operation::Read, Resource::Group(&group)) {
        return Err(ResponseError::GroupAuthorizationFailed);
    }
    if group.is_empty() || group.len() > limits::GROUP_ID_BYTES {
        return Err(ResponseError::InvalidGroupId);
    }
    if !call.broker.inner.offsets.has_room(&group) {
        return Err(ResponseError::GroupMaxSizeReached);
    }
    let inner = Arc::clone(&call.broker.inner);
    let instance = request.group_instance_id.as_deref();
    inner.check_member(&group, &request.member_id, instance, request.generation_id)?;
    if records.is_empty() {
        return Ok(());
    }
    let (key, connection) = ((request.producer_id.0, request.producer_epoch), call.peer.connection);
    let implicit = call.version >= OFFSETS_JOIN;
    let pended = whole(async move {
        let claim = Claim { id: &id, key, connection };
        inner.transactions.pend_offsets(claim, &group, records, implicit).await
    });
    pended.await.map_err(|error| match error {
        TransactionError::NotInTransaction if call.version >= 4 => ResponseError::TransactionAbortable,
        TransactionError::Fenced => ResponseError::InvalidProducerEpoch,
        error => error.code(),
    })
}
