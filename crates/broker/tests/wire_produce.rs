//! Produce: what is taken, what is refused and how, and in which order.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ProduceRequest, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use millstream_broker::{Embedded, EmbeddedConfig, Wire, WireConfig};
use millstream_bus::Bus;
use millstream_log::batch::{BatchBuilder, BatchHeader, Compression, ControlKind, ControlMarker};
use millstream_log::{Operation, SimDisk};
use std::path::Path;
use std::sync::Arc;
use support::client::{Client, Server};
use support::data::{
    PRODUCE_VERSIONS, TIME, batch, batch_with, create, error, fetch, fetch_from, fetched, parts, produce,
    produce_to, produced, texts, topic_id,
};
use support::{clock, open_log};
use uuid::Uuid;

async fn server_with(configs: &[(&str, &str)]) -> (Server, Client) {
    let server = Server::start("wire_produce").await;
    create(&server, "t", 2, configs).await;
    let client = server.client().await;
    (server, client)
}

fn keyed(codec: Compression, records: &[(Option<&'static str>, i64)]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for (key, time) in records {
        builder.push(*time, key.map(Bytes::from), Some(Bytes::from_static(b"v")), Vec::new());
    }
    builder.finish().unwrap().freeze()
}

/// Produces something that is refused; the error, and which records are to blame.
async fn refused(client: &mut Client, topic: &str, records: Bytes) -> (Option<ResponseError>, Vec<i32>) {
    let response = produce(client, topic, records).await;
    assert_eq!(response.base_offset, -1);
    let blamed = response.record_errors.iter().map(|record| {
        assert!(record.batch_index_error_message.is_some());
        record.batch_index
    });
    (error(response.error_code), blamed.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_appends_and_tells_where() {
    let (_server, mut client) = server_with(&[]).await;
    let id = topic_id(&mut client, "t").await;
    let mut expected = Vec::new();
    for (version, offset) in PRODUCE_VERSIONS.zip(0..) {
        let text = format!("by version {version}");
        let id = if version >= 13 { id } else { Uuid::nil() };
        let request = produce_to("t", id, vec![(0, batch(&[&text]))], -1);
        let response = client.send(version, &request).await;
        let part = &response.responses[0].partition_responses[0];
        assert_eq!((error(part.error_code), part.base_offset), (None, offset), "version {version}");
        assert_eq!(part.log_append_time_ms, -1);
        assert_eq!(part.log_start_offset, if version >= 5 { 0 } else { -1 });
        expected.push((offset, text));
    }
    assert_eq!(fetched(&mut client, "t", 0).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_all_codecs_are_kept_byte_for_byte() {
    let (_server, mut client) = server_with(&[]).await;
    for codec in
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let sent = batch_with(codec, &["a", "b"]);
        let offset = produce(&mut client, "t", sent.clone()).await.base_offset;
        let kept = fetch(&mut client, "t", offset).await.records.unwrap();
        assert_eq!(kept[16..], sent[16..], "{codec:?}");
        assert_eq!(BatchHeader::decode(&kept).unwrap().base_offset, offset);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_appended_and_answered_in_their_order_without_waiting_for_each_other() {
    let (_server, mut client) = server_with(&[]).await;
    let mut posted = Vec::new();
    for number in 0..50_i64 {
        let acks = if number % 2 == 0 { -1 } else { 1 };
        let request = produce_to("t", Uuid::nil(), vec![(0, batch(&[&number.to_string()]))], acks);
        posted.push((number, client.post(9, &request).await.unwrap()));
    }
    for (number, id) in posted {
        let response = client.receive::<ProduceRequest>(9, id).await.unwrap();
        assert_eq!(response.responses[0].partition_responses[0].base_offset, number);
    }
    let expected: Vec<_> = (0..50).map(|number| (number, number.to_string())).collect();
    assert_eq!(fetched(&mut client, "t", 0).await, expected);
}

#[tokio::test]
async fn batches_that_take_long_to_look_at_keep_their_order() {
    let (_server, mut client) = server_with(&[]).await;
    let large = "0123456789abcdef".repeat(2_000_000);
    let mut posted = Vec::new();
    for number in 0..12_i64 {
        let (codec, text) =
            if number % 3 == 0 { (Compression::Gzip, &*large) } else { (Compression::None, "s") };
        let records = batch_with(codec, &[text]);
        assert_eq!(records.len() > 16 << 10, number % 3 == 0, "{} bytes", records.len());
        posted.push(client.post(9, &produce_to("t", Uuid::nil(), vec![(0, records)], 1)).await.unwrap());
    }
    for (offset, id) in (0..).zip(posted) {
        let response = client.receive::<ProduceRequest>(9, id).await.unwrap();
        assert_eq!(response.responses[0].partition_responses[0].base_offset, offset);
    }
}

#[tokio::test]
async fn what_is_found_wrong_beside_the_others_is_told_of_its_partition() {
    let (_server, mut client) = server_with(&[]).await;
    let large = batch_with(Compression::Gzip, &[&"0123456789abcdef".repeat(2_000_000)]);
    let mut damaged = large.to_vec();
    damaged[20_000] ^= 1;
    let request = produce_to("t", Uuid::nil(), vec![(0, damaged.into()), (1, large)], -1);
    let response = client.send(9, &request).await.responses.remove(0).partition_responses;
    assert!(error(response[0].error_code).is_some() && response[0].base_offset == -1);
    assert_eq!((error(response[1].error_code), response[1].base_offset), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_0_is_not_answered() {
    let (_server, mut client) = server_with(&[]).await;
    let request = produce_to("t", Uuid::nil(), vec![(0, batch(&["silent"]))], 0);
    client.post(9, &request).await.unwrap();
    // The next answer is that of the next request, which comes after what was said silently.
    assert_eq!(produced(&mut client, "t", &["loud"]).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_not_answered_closes_the_connection() {
    let (server, mut client) = server_with(&[]).await;
    client.post(9, &produce_to("nothing", Uuid::nil(), vec![(0, batch(&["lost"]))], 0)).await.unwrap();
    assert!(client.read_to_end().await.is_empty());
    assert_eq!(produced(&mut server.client().await, "t", &["of another"]).await, 0);
}

/// F13: a producer and a consumer that go on with the id of a topic that was deleted and made again are told so.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_again_is_another_one() {
    let (server, mut client) = server_with(&[]).await;
    let before = topic_id(&mut client, "t").await;
    server.embedded.delete_topic("t").await.unwrap();
    create(&server, "t", 1, &[]).await;
    let after = topic_id(&mut client, "t").await;
    assert_ne!(before, after);
    for (id, code) in [(before, Some(ResponseError::UnknownTopicId)), (after, None)] {
        let request = produce_to("", id, vec![(0, batch(&["a"]))], -1);
        let response = client.send(13, &request).await;
        assert_eq!(error(response.responses[0].partition_responses[0].error_code), code);
        let response = client.send(13, &fetch_from("", id, &[(0, 0, 1_000)])).await;
        assert_eq!(error(parts(response)[0].error_code), code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_acks_are_refused_for_every_partition() {
    let (_server, mut client) = server_with(&[]).await;
    for acks in [2, -2, 7] {
        let parts = vec![(0, batch(&["a"])), (1, batch(&["b"]))];
        let response = client.send(9, &produce_to("t", Uuid::nil(), parts, acks)).await;
        for part in &response.responses[0].partition_responses {
            assert_eq!(error(part.error_code), Some(ResponseError::InvalidRequiredAcks));
        }
    }
    assert_eq!(fetched(&mut client, "t", 0).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_one_request_fare_each_by_itself() {
    let (_server, mut client) = server_with(&[]).await;
    let mut damaged = batch(&["damaged"]).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let parts = vec![(0, batch(&["good"])), (1, Bytes::from(damaged)), (2, batch(&["nowhere"]))];
    let response = client.send(9, &produce_to("t", Uuid::nil(), parts, -1)).await;
    let errors = |part: &PartitionProduceResponse| (part.index, error(part.error_code));
    let parts: Vec<_> = response.responses[0].partition_responses.iter().map(errors).collect();
    let expected = [
        (0, None),
        (1, Some(ResponseError::CorruptMessage)),
        (2, Some(ResponseError::UnknownTopicOrPartition)),
    ];
    assert_eq!(parts, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_is_unknown_by_name_and_by_id() {
    let (_server, mut client) = server_with(&[]).await;
    let (code, _) = refused(&mut client, "nothing", batch(&["a"])).await;
    assert_eq!(code, Some(ResponseError::UnknownTopicOrPartition));
    let request = produce_to("", Uuid::from_u128(7), vec![(0, batch(&["a"]))], -1);
    let response = client.send(13, &request).await;
    assert_eq!(response.responses[0].topic_id, Uuid::from_u128(7));
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(error(code), Some(ResponseError::UnknownTopicId));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_brokers_own_topics_cannot_be_written() {
    let (_server, mut client) = server_with(&[]).await;
    let (code, _) = refused(&mut client, "__cluster_metadata", batch(&["a"])).await;
    assert_eq!(code, Some(ResponseError::UnknownTopicOrPartition), "it is not even there");
    let (code, _) = refused(&mut client, "__consumer_offsets", batch(&["a"])).await;
    assert_eq!(code, Some(ResponseError::InvalidTopicException));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_batch_of_a_client_is_refused() {
    let (_server, mut client) = server_with(&[]).await;
    let good = batch(&["good"]);
    let mut old_format = good.to_vec();
    old_format[16] = 1;
    let marker = ControlMarker { kind: ControlKind::Commit, coordinator_epoch: 0 };
    for (records, code) in [
        (Bytes::new(), ResponseError::InvalidRecord),
        (Bytes::from(old_format), ResponseError::InvalidRecord),
        (Bytes::from([&*good, &*good].concat()), ResponseError::InvalidRecord),
        (BatchBuilder::control(marker, 1, 0, TIME).freeze(), ResponseError::InvalidRecord),
        (good.slice(..good.len() - 1), ResponseError::CorruptMessage),
    ] {
        assert_eq!(refused(&mut client, "t", records).await, (Some(code), vec![]));
    }
    assert_eq!(fetched(&mut client, "t", 0).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn zstd_is_for_clients_that_know_it() {
    let (_server, mut client) = server_with(&[]).await;
    let request = produce_to("t", Uuid::nil(), vec![(0, batch_with(Compression::Zstd, &["a"]))], -1);
    for (version, code) in [(6, Some(ResponseError::UnsupportedCompressionType)), (7, None)] {
        let response = client.send(version, &request).await;
        assert_eq!(error(response.responses[0].partition_responses[0].error_code), code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_over_max_message_bytes_is_too_large() {
    let (_server, mut client) = server_with(&[("max.message.bytes", "200")]).await;
    let (code, _) = refused(&mut client, "t", batch(&[&"x".repeat(200)])).await;
    assert_eq!(code, Some(ResponseError::MessageTooLarge));
    assert_eq!(produced(&mut client, "t", &["small"]).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_names_the_records_without_a_key() {
    let (_server, mut client) = server_with(&[("cleanup.policy", "compact")]).await;
    let records = keyed(Compression::Lz4, &[(None, TIME), (Some("k"), TIME), (None, TIME)]);
    assert_eq!(refused(&mut client, "t", records).await, (Some(ResponseError::InvalidRecord), vec![0, 2]));
    let taken = produce(&mut client, "t", keyed(Compression::Lz4, &[(Some("k"), TIME)])).await;
    assert_eq!(error(taken.error_code), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn timestamps_are_held_to_the_range_of_the_topic() {
    let limits =
        [("message.timestamp.before.max.ms", "600000"), ("message.timestamp.after.max.ms", "600000")];
    let (_server, mut client) = server_with(&limits).await;
    let hour = 3_600_000;
    let records = keyed(Compression::Gzip, &[(None, TIME), (None, TIME - hour), (None, TIME + hour)]);
    assert_eq!(refused(&mut client, "t", records).await, (Some(ResponseError::InvalidTimestamp), vec![1, 2]));
    assert_eq!(produced(&mut client, "t", &["in time"]).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_append_time_is_told_to_the_producer_and_the_consumer() {
    let (_server, mut client) = server_with(&[("message.timestamp.type", "LogAppendTime")]).await;
    let response = produce(&mut client, "t", keyed(Compression::Zstd, &[(None, 5), (None, 6)])).await;
    assert!(response.log_append_time_ms > TIME);
    let records = fetch(&mut client, "t", 0).await.records.unwrap();
    let header = BatchHeader::decode(&records).unwrap();
    assert!(header.is_log_append_time());
    assert_eq!(header.max_timestamp, response.log_append_time_ms);
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_type_decides_how_batches_are_kept() {
    let (_server, mut client) = server_with(&[("compression.type", "lz4")]).await;
    produce(&mut client, "t", batch_with(Compression::Gzip, &["a", "b"])).await;
    let records = fetch(&mut client, "t", 0).await.records.unwrap();
    assert_eq!(BatchHeader::decode(&records).unwrap().compression(), Compression::Lz4);
    assert_eq!(texts(&records), [(0, "a".to_owned()), (1, "b".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn transactional_records_need_a_transactional_id() {
    let (_server, mut client) = server_with(&[]).await;
    let mut builder = BatchBuilder::new(Compression::None).producer(7, 0, 0).transactional();
    builder.push(TIME, None, None, Vec::new());
    let records = builder.finish().unwrap().freeze();
    let mut request = produce_to("t", Uuid::nil(), vec![(0, records), (1, batch(&["plain"]))], -1);
    let response = client.send(9, &request).await;
    for part in &response.responses[0].partition_responses {
        assert_eq!(error(part.error_code), Some(ResponseError::TransactionalIdAuthorizationFailed));
    }
    // Nobody has this id, and the plain batch is no part of any transaction.
    request.transactional_id = Some(TransactionalId(StrBytes::from_static_str("nobody")));
    let response = client.send(9, &request).await;
    let parts = &response.responses[0].partition_responses;
    assert_ne!(parts[0].error_code, 0);
    assert_eq!(error(parts[1].error_code), None);
    assert_eq!(fetched(&mut client, "t", 0).await, []);
}

/// A broker over a disk that can be broken.
async fn on_disk(disk: &SimDisk) -> (Arc<Embedded>, Wire, Client) {
    let log = open_log(Arc::new(disk.clone()), Path::new("/data"));
    log.create_topic("t", 1, &[].into()).unwrap();
    let embedded = Embedded::open(log, EmbeddedConfig::default(), clock()).await.unwrap();
    let wire = Wire::serve(&embedded, WireConfig::default()).await.unwrap();
    let client = Client::connect(wire.addresses()[0]).await;
    (embedded, wire, client)
}

/// F15: the error is one after which producers try again, and nothing of the batch is in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error_that_passes() {
    let disk = SimDisk::new(1);
    let (_embedded, _wire, mut client) = on_disk(&disk).await;
    assert_eq!(produced(&mut client, "t", &["before"]).await, 0);
    disk.limit(Some(0));
    let (code, _) = refused(&mut client, "t", batch(&["full"])).await;
    assert_eq!(code, Some(ResponseError::KafkaStorageError));
    assert!(code.unwrap().is_retriable());
    assert_eq!(fetched(&mut client, "t", 0).await, [(0, "before".to_owned())], "reading goes on");
    disk.limit(None);
    assert_eq!(produced(&mut client, "t", &["after"]).await, 1);
}

/// F16: a failed sync is never answered as a success, and the partition takes no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_fails_the_request() {
    let disk = SimDisk::new(1);
    let (_embedded, _wire, mut client) = on_disk(&disk).await;
    assert_eq!(produced(&mut client, "t", &["before"]).await, 0);
    disk.fail(Operation::Sync, "topics/t/", 1);
    for text in ["unsynced", "fenced"] {
        let (code, _) = refused(&mut client, "t", batch(&[text])).await;
        assert_eq!(code, Some(ResponseError::KafkaStorageError));
    }
    assert_eq!(fetched(&mut client, "t", 0).await, [(0, "before".to_owned())]);
}
