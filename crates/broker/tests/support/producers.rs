//! Idempotent and transactional producers, request by request, and a reader that leaves out what a client leaves out.

use super::client::Client;
use super::data::{error, name, produce_to};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, FetchRequest, GroupId,
    InitProducerIdRequest, OffsetFetchRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::StrBytes;
use millstream_log::batch::{BatchBuilder, Compression, ControlKind, ControlMarker, batches};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Producer id and epoch.
pub(crate) type Key = (i64, i16);
pub(crate) type Answer<T> = Result<T, ResponseError>;

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn id(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

fn answer<T>(code: i16, value: T) -> Answer<T> {
    error(code).map_or(Ok(value), Err)
}

/// A batch of a producer, one record for each text.
pub(crate) fn sequenced(key: Key, sequence: i32, transactional: bool, texts: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None).producer(key.0, key.1, sequence);
    if transactional {
        builder = builder.transactional();
    }
    for text in texts {
        builder.push(super::data::TIME, None, Some(Bytes::copy_from_slice(text.as_bytes())), Vec::new());
    }
    builder.finish().unwrap().freeze()
}

/// InitProducerId; `expected` is what a client that had the id before believes to be.
pub(crate) async fn init(client: &mut Client, of: Option<&str>, expected: Option<Key>) -> Answer<Key> {
    init_for(client, of, expected, 60_000).await
}

pub(crate) async fn init_for(
    client: &mut Client,
    of: Option<&str>,
    expected: Option<Key>,
    timeout_ms: i32,
) -> Answer<Key> {
    let (producer_id, epoch) = expected.unwrap_or((-1, -1));
    let request = InitProducerIdRequest::default()
        .with_transactional_id(of.map(id))
        .with_transaction_timeout_ms(timeout_ms)
        .with_producer_id(ProducerId(producer_id))
        .with_producer_epoch(epoch);
    let response = client.send(5, &request).await;
    answer(response.error_code, (response.producer_id.0, response.producer_epoch))
}

/// Produce to one partition; the base offset. Version 12 and later join the transaction by themselves.
pub(crate) async fn send(
    client: &mut Client,
    version: i16,
    of: Option<&str>,
    (topic, partition): (&str, i32),
    batch: Bytes,
) -> Answer<i64> {
    let request =
        produce_to(topic, Uuid::nil(), vec![(partition, batch)], -1).with_transactional_id(of.map(id));
    let response = client.send(version, &request).await;
    let part = &response.responses[0].partition_responses[0];
    answer(part.error_code, part.base_offset)
}

/// AddPartitionsToTxn; the error of each partition.
pub(crate) async fn add_partitions(
    client: &mut Client,
    of: &str,
    key: Key,
    topics: &[(&str, &[i32])],
) -> Vec<Option<ResponseError>> {
    let topic = |(topic, partitions): &(&str, &[i32])| {
        AddPartitionsToTxnTopic::default().with_name(name(topic)).with_partitions(partitions.to_vec())
    };
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(id(of))
        .with_v3_and_below_producer_id(ProducerId(key.0))
        .with_v3_and_below_producer_epoch(key.1)
        .with_v3_and_below_topics(topics.iter().map(topic).collect());
    let response = client.send(3, &request).await;
    let partitions = response.results_by_topic_v3_and_below.into_iter();
    let codes = partitions.flat_map(|topic| topic.results_by_partition);
    codes.map(|partition| error(partition.partition_error_code)).collect()
}

pub(crate) fn end_request(of: &str, key: Key, commit: bool) -> EndTxnRequest {
    EndTxnRequest::default()
        .with_transactional_id(id(of))
        .with_producer_id(ProducerId(key.0))
        .with_producer_epoch(key.1)
        .with_committed(commit)
}

/// EndTxn; from version 5 on what the producer is to call itself from now on.
pub(crate) async fn end(client: &mut Client, version: i16, of: &str, key: Key, commit: bool) -> Answer<Key> {
    let response = client.send(version, &end_request(of, key, commit)).await;
    answer(response.error_code, (response.producer_id.0, response.producer_epoch))
}

pub(crate) async fn add_group(client: &mut Client, of: &str, key: Key, group: &str) -> Answer<()> {
    let request = AddOffsetsToTxnRequest::default()
        .with_transactional_id(id(of))
        .with_producer_id(ProducerId(key.0))
        .with_producer_epoch(key.1)
        .with_group_id(GroupId(text(group)));
    answer(client.send(3, &request).await.error_code, ())
}

/// TxnOffsetCommit of one offset, by a consumer that assigns itself.
pub(crate) async fn commit_offset(
    client: &mut Client,
    version: i16,
    (of, key): (&str, Key),
    group: &str,
    (topic, offset): (&str, i64),
) -> Answer<()> {
    let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic =
        TxnOffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(id(of))
        .with_group_id(GroupId(text(group)))
        .with_producer_id(ProducerId(key.0))
        .with_producer_epoch(key.1)
        .with_generation_id(-1)
        .with_topics(vec![topic]);
    answer(client.send(version, &request).await.topics[0].partitions[0].error_code, ())
}

/// OffsetFetch of partition 0; -1 where there is none.
pub(crate) async fn offset_of(client: &mut Client, group: &str, topic: &str, stable: bool) -> Answer<i64> {
    let topic = OffsetFetchRequestTopics::default().with_name(name(topic)).with_partition_indexes(vec![0]);
    let group =
        OffsetFetchRequestGroup::default().with_group_id(GroupId(text(group))).with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(stable);
    let response = client.send(8, &request).await;
    let partition = &response.groups[0].topics[0].partitions[0];
    answer(partition.error_code, partition.committed_offset)
}

/// The committed records of a partition as a client finds them: it leaves out what the broker says was aborted, by producer id,
/// from the first offset to the next marker of that producer.
pub(crate) async fn committed(client: &mut Client, topic: &str, partition: i32) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = 0;
    loop {
        let part = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(next)
            .with_partition_max_bytes(1_000);
        let topic = FetchTopic::default().with_topic(name(topic)).with_partitions(vec![part]);
        let request = FetchRequest::default()
            .with_max_wait_ms(0)
            .with_min_bytes(1)
            .with_max_bytes(1 << 20)
            .with_isolation_level(1)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let mut response = client.send(11, &request).await;
        let data = response.responses.remove(0).partitions.remove(0);
        assert_eq!(error(data.error_code), None);
        let mut aborted = data.aborted_transactions.unwrap_or_default();
        aborted.sort_by_key(|aborted| aborted.first_offset);
        let mut aborted = aborted.into_iter().peekable();
        let mut left_out = BTreeSet::new();
        let before = next;
        for batch in batches(data.records.unwrap_or_default()) {
            let batch = batch.unwrap();
            let header = batch.header;
            while let Some(begun) = aborted.next_if(|begun| begun.first_offset <= header.last_offset()) {
                left_out.insert(begun.producer_id.0);
            }
            let records = batch.records().unwrap();
            if header.is_control() {
                let marker = records.first().and_then(|record| ControlMarker::decode(record).unwrap());
                if marker.is_some_and(|marker| marker.kind == ControlKind::Abort) {
                    left_out.remove(&header.producer_id);
                }
            } else if !(header.is_transactional() && left_out.contains(&header.producer_id)) {
                let new = records.into_iter().filter(|record| record.offset >= before);
                let text = |value: Option<Bytes>| String::from_utf8(value.unwrap().to_vec()).unwrap();
                found.extend(new.map(|record| text(record.value)));
            }
            next = header.next_offset();
        }
        if next == before {
            return found;
        }
    }
}
