//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords, DescribeLogDirs: which offsets there are, and how much room they take.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{
    DeleteRecordsRequest, DescribeLogDirsRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest,
};
use millstream_bus::Bus;
use millstream_log::batch::{BatchBuilder, Compression};
use support::client::{Client, Server};
use support::data::{create, error, fetch, fetched, list_offset, name, produce, produced};
use support::{at, records};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

async fn server_with(configs: &[(&str, &str)]) -> (Server, Client) {
    let server = Server::start("wire_offsets").await;
    create(&server, "t", 1, configs).await;
    let client = server.client().await;
    (server, client)
}

async fn produce_at(client: &mut Client, times: &[i64]) {
    let mut builder = BatchBuilder::new(Compression::None);
    for time in times {
        builder.push(*time, Some(Bytes::from_static(b"k")), None, Vec::new());
    }
    let response = produce(client, "t", builder.finish().unwrap().freeze()).await;
    assert_eq!(error(response.error_code), None);
}

/// The error, offset and timestamp.
async fn looked_up(client: &mut Client, timestamp: i64) -> (Option<ResponseError>, i64, i64) {
    let found = list_offset(client, 7, "t", (timestamp, 0)).await;
    (error(found.error_code), found.offset, found.timestamp)
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_found_by_their_place_and_time_in_every_version() {
    let (_server, mut client) = server_with(&[]).await;
    for times in [[10, 20], [70, 30], [70, 40]] {
        produce_at(&mut client, &times).await;
    }
    for version in 1..=10 {
        for (timestamp, expected) in [
            (LATEST, (6, -1)),
            (EARLIEST, (0, -1)),
            (EARLIEST_LOCAL, (0, -1)),
            (0, (0, 10)),
            (11, (1, 20)),
            (21, (2, 70)),
            (70, (2, 70)),
            (71, (-1, -1)),
            (LATEST_TIERED, (-1, -1)),
            (MAX_TIMESTAMP, (2, 70)),
        ] {
            let found = list_offset(&mut client, version, "t", (timestamp, 0)).await;
            assert_eq!(error(found.error_code), None);
            assert_eq!((found.offset, found.timestamp), expected, "{timestamp} by version {version}");
            let epoch = if version >= 4 && found.offset >= 0 { 0 } else { -1 };
            assert_eq!(found.leader_epoch, epoch, "{timestamp} by version {version}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_offsets_end_at_the_first_open_transaction() {
    let (server, mut client) = server_with(&[]).await;
    produced(&mut client, "t", &["plain"]).await;
    let mut producer = server.embedded.transactional("writer").await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&at("t", 0), records(["open"])).await.unwrap();
    let open_time = 1_700_000_000_000;
    let mut offsets = Vec::new();
    for isolation in [0, 1] {
        for timestamp in [LATEST, open_time] {
            offsets.push(list_offset(&mut client, 7, "t", (timestamp, isolation)).await.offset);
        }
    }
    assert_eq!(offsets, [2, 0, 1, 0]);
    transaction.commit().await.unwrap();
    assert_eq!(list_offset(&mut client, 7, "t", (LATEST, 1)).await.offset, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_has_no_offsets() {
    let (_server, mut client) = server_with(&[]).await;
    let found = list_offset(&mut client, 7, "nothing", (LATEST, 0)).await;
    assert_eq!(error(found.error_code), Some(ResponseError::UnknownTopicOrPartition));
    assert_eq!((found.offset, found.timestamp), (-1, -1));
    assert_eq!(looked_up(&mut client, MAX_TIMESTAMP).await, (None, -1, -1), "an empty one has no newest");
    assert_eq!(looked_up(&mut client, LATEST).await, (None, 0, -1));
    let partition = kafka_protocol::messages::list_offsets_request::ListOffsetsPartition::default()
        .with_timestamp(LATEST)
        .with_current_leader_epoch(3);
    let topic = kafka_protocol::messages::list_offsets_request::ListOffsetsTopic::default()
        .with_name(name("t"))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    let code = client.send(7, &request).await.topics[0].partitions[0].error_code;
    assert_eq!(error(code), Some(ResponseError::UnknownLeaderEpoch));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_epoch_ends_where_the_log_does() {
    let (_server, mut client) = server_with(&[]).await;
    produced(&mut client, "t", &["a", "b"]).await;
    for version in 2..=4 {
        for (epoch, expected) in [(0, (0, 2)), (1, (-1, -1)), (-1, (-1, -1))] {
            let partition =
                OffsetForLeaderPartition::default().with_current_leader_epoch(0).with_leader_epoch(epoch);
            let topic =
                OffsetForLeaderTopic::default().with_topic(name("t")).with_partitions(vec![partition]);
            let mut request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
            if version < 3 {
                request.replica_id = (-2).into();
            }
            let end = client.send(version, &request).await.topics.remove(0).partitions.remove(0);
            assert_eq!((end.leader_epoch, end.end_offset), expected, "epoch {epoch} by version {version}");
        }
    }
}

async fn delete_before(client: &mut Client, topic: &str, offset: i64) -> (Option<ResponseError>, i64) {
    let partition = DeleteRecordsPartition::default().with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let deleted = client.send(2, &request).await.topics.remove(0).partitions.remove(0);
    (error(deleted.error_code), deleted.low_watermark)
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_are_gone_and_the_start_moves() {
    let (_server, mut client) = server_with(&[]).await;
    for number in 0..5 {
        produced(&mut client, "t", &[&number.to_string()]).await;
    }
    assert_eq!(delete_before(&mut client, "t", 3).await, (None, 3));
    assert_eq!(delete_before(&mut client, "t", 1).await, (None, 3), "it never moves back");
    assert_eq!(looked_up(&mut client, EARLIEST).await.1, 3);
    let part = fetch(&mut client, "t", 2).await;
    assert_eq!(error(part.error_code), Some(ResponseError::OffsetOutOfRange));
    assert_eq!(fetched(&mut client, "t", 3).await.len(), 2);
    let beyond = Some(ResponseError::OffsetOutOfRange);
    assert_eq!(delete_before(&mut client, "t", 6).await, (beyond, -1));
    assert_eq!(delete_before(&mut client, "t", -2).await, (beyond, -1));
    assert_eq!(delete_before(&mut client, "t", -1).await, (None, 5), "all there is");
    assert_eq!(produced(&mut client, "t", &["next"]).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_may_not_be_deleted_stay() {
    let (_server, mut client) = server_with(&[("cleanup.policy", "compact")]).await;
    produce_at(&mut client, &[1]).await;
    let policy = Some(ResponseError::PolicyViolation);
    assert_eq!(delete_before(&mut client, "t", 1).await, (policy, -1));
    let unknown = Some(ResponseError::UnknownTopicOrPartition);
    assert_eq!(delete_before(&mut client, "nothing", 1).await, (unknown, -1));
    assert_eq!(delete_before(&mut client, "__cluster_metadata", 0).await, (unknown, -1));
    let internal = Some(ResponseError::InvalidTopicException);
    assert_eq!(delete_before(&mut client, "__consumer_offsets", 0).await, (internal, -1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_its_size_and_its_room() {
    let (server, mut client) = server_with(&[]).await;
    produced(&mut client, "t", &["a"]).await;
    for version in 1..=4 {
        let response = client.send(version, &DescribeLogDirsRequest::default().with_topics(None)).await;
        let [dir] = &*response.results else { panic!("there is one directory") };
        assert_eq!(&*dir.log_dir, &*server.dir.display().to_string());
        let names: Vec<_> = dir.topics.iter().map(|topic| topic.name.to_string()).collect();
        assert!(names.contains(&"t".to_owned()) && !names.contains(&"__cluster_metadata".to_owned()));
        let topic = dir.topics.iter().find(|topic| &*topic.name.0 == "t").unwrap();
        assert!(topic.partitions[0].partition_size > 61);
        assert_eq!(version >= 4, dir.total_bytes > 0 && dir.usable_bytes > 0);
    }
}
