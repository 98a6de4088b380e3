//! Producing and fetching through the protocol, request by request.

use super::client::{Client, Server};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, ListOffsetsRequest, MetadataRequest, ProduceRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use millstream_bus::{Bus, TopicSpec};
use millstream_log::batch::{BatchBuilder, Compression, batches};
use uuid::Uuid;

/// When the records of these tests were made, in ms.
pub(crate) const TIME: i64 = 1_700_000_000_000;
pub(crate) const FETCH_VERSIONS: std::ops::RangeInclusive<i16> = 4..=18;
pub(crate) const PRODUCE_VERSIONS: std::ops::RangeInclusive<i16> = 3..=13;

pub(crate) fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

/// Whether a response has exactly this error; `None` for none.
pub(crate) fn error(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}

pub(crate) async fn create(server: &Server, topic: &str, partitions: i32, configs: &[(&str, &str)]) {
    let mut spec = TopicSpec::new(topic, partitions);
    spec.configs = configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    server.embedded.create_topic(&spec).await.unwrap();
}

/// The id that a topic has in the protocol.
pub(crate) async fn topic_id(client: &mut Client, topic: &str) -> Uuid {
    let asked = MetadataRequestTopic::default().with_name(Some(name(topic)));
    let request = MetadataRequest::default().with_topics(Some(vec![asked]));
    client.send(12, &request).await.topics[0].topic_id
}

/// A batch without a producer, one record for each text.
pub(crate) fn batch(texts: &[&str]) -> Bytes {
    batch_with(Compression::None, texts)
}

pub(crate) fn batch_with(codec: Compression, texts: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for text in texts {
        builder.push(TIME, None, Some(Bytes::copy_from_slice(text.as_bytes())), Vec::new());
    }
    builder.finish().unwrap().freeze()
}

/// What some batches hold: offsets and values.
pub(crate) fn texts(records: &Bytes) -> Vec<(i64, String)> {
    let records = batches(records.clone()).flat_map(|batch| batch.unwrap().records().unwrap());
    let text = |value: Option<Bytes>| String::from_utf8(value.unwrap_or_default().to_vec()).unwrap();
    records.map(|record| (record.offset, text(record.value))).collect()
}

pub(crate) fn produce_to(topic: &str, id: Uuid, parts: Vec<(i32, Bytes)>, acks: i16) -> ProduceRequest {
    let part =
        |(index, records)| PartitionProduceData::default().with_index(index).with_records(Some(records));
    let data = TopicProduceData::default()
        .with_name(name(topic))
        .with_topic_id(id)
        .with_partition_data(parts.into_iter().map(part).collect());
    ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![data])
}

/// Produces one batch to partition 0 and gives its part of the answer.
pub(crate) async fn produce(client: &mut Client, topic: &str, batch: Bytes) -> PartitionProduceResponse {
    let request = produce_to(topic, Uuid::nil(), vec![(0, batch)], -1);
    let mut response = client.send(9, &request).await;
    response.responses.remove(0).partition_responses.remove(0)
}

/// Produces one batch, which must be taken, and gives its offset.
pub(crate) async fn produced(client: &mut Client, topic: &str, texts: &[&str]) -> i64 {
    let response = produce(client, topic, batch(texts)).await;
    assert_eq!(error(response.error_code), None, "{:?}", response.error_message);
    response.base_offset
}

/// A fetch of one topic without a session; parts are partition, offset and limit in bytes.
pub(crate) fn fetch_from(topic: &str, id: Uuid, parts: &[(i32, i64, i32)]) -> FetchRequest {
    let part = |(partition, offset, bytes): &(i32, i64, i32)| {
        FetchPartition::default()
            .with_partition(*partition)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(*bytes)
    };
    let topic = FetchTopic::default()
        .with_topic(name(topic))
        .with_topic_id(id)
        .with_partitions(parts.iter().map(part).collect());
    FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

pub(crate) fn forgotten(topic: &str, partition: i32) -> ForgottenTopic {
    ForgottenTopic::default().with_topic(name(topic)).with_partitions(vec![partition])
}

/// The partitions of a response, in its order.
pub(crate) fn parts(response: FetchResponse) -> Vec<PartitionData> {
    response.responses.into_iter().flat_map(|topic| topic.partitions).collect()
}

/// Fetches partition 0 from an offset on.
pub(crate) async fn fetch(client: &mut Client, topic: &str, offset: i64) -> PartitionData {
    let request = fetch_from(topic, Uuid::nil(), &[(0, offset, 1 << 20)]);
    parts(client.send(11, &request).await).remove(0)
}

/// What partition 0 holds from an offset on.
pub(crate) async fn fetched(client: &mut Client, topic: &str, offset: i64) -> Vec<(i64, String)> {
    let data = fetch(client, topic, offset).await;
    assert_eq!(error(data.error_code), None);
    texts(&data.records.unwrap())
}

/// Looks an offset of partition 0 up.
pub(crate) async fn list_offset(
    client: &mut Client,
    version: i16,
    topic: &str,
    (timestamp, isolation): (i64, i8),
) -> ListOffsetsPartitionResponse {
    let part = ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![part]);
    let request = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(isolation)
        .with_topics(vec![topic]);
    client.send(version, &request).await.topics.remove(0).partitions.remove(0)
}
