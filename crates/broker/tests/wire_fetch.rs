//! Fetch: what a consumer gets, when, and how it is told what it cannot get.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use millstream_broker::{Embedded, EmbeddedConfig, Wire, WireConfig};
use millstream_bus::Bus;
use millstream_log::SimDisk;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::client::{Client, Server};
use support::data::{
    FETCH_VERSIONS, batch, create, error, fetch, fetch_from, fetched, forgotten, parts, produce_to, produced,
    texts, topic_id,
};
use support::{at, clock, open_log, records};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

const ALL: i32 = 1 << 20;

async fn server_with(partitions: i32) -> (Server, Client) {
    let server = Server::start("wire_fetch").await;
    create(&server, "t", partitions, &[]).await;
    let client = server.client().await;
    (server, client)
}

async fn fetch_parts(client: &mut Client, parts: &[(i32, i64, i32)]) -> FetchResponse {
    client.send(11, &fetch_from("t", Uuid::nil(), parts)).await
}

fn sizes(response: FetchResponse) -> Vec<usize> {
    parts(response).iter().map(|part| part.records.as_ref().map_or(0, Bytes::len)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_reads_from_any_offset() {
    let (_server, mut client) = server_with(1).await;
    let id = topic_id(&mut client, "t").await;
    for number in 0..10 {
        produced(&mut client, "t", &[&number.to_string()]).await;
    }
    for version in FETCH_VERSIONS {
        for offset in [0, 4, 9, 10] {
            let id = if version >= 13 { id } else { Uuid::nil() };
            let mut request = fetch_from("t", id, &[(0, offset, ALL)]);
            request.session_epoch = -1;
            let response = client.send(version, &request).await;
            assert_eq!((response.error_code, response.session_id), (0, 0));
            let topic = &response.responses[0];
            assert_eq!((&*topic.topic.0, topic.topic_id), (if version < 13 { "t" } else { "" }, id));
            let part = parts(response).remove(0);
            assert_eq!((error(part.error_code), part.high_watermark), (None, 10), "version {version}");
            assert_eq!(part.last_stable_offset, 10);
            assert_eq!(part.log_start_offset, if version >= 5 { 0 } else { -1 });
            let expected: Vec<_> = (offset..10).map(|number| (number, number.to_string())).collect();
            assert_eq!(texts(&part.records.unwrap()), expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_that_is_not_there_is_out_of_range() {
    let (server, mut client) = server_with(1).await;
    for number in 0..10 {
        produced(&mut client, "t", &[&number.to_string()]).await;
    }
    let log = server.embedded.offsets(&at("t", 0)).await.unwrap();
    assert_eq!((log.earliest, log.latest), (0, 10));
    for offset in [-5, 11, i64::MAX] {
        let part = fetch(&mut client, "t", offset).await;
        assert_eq!(error(part.error_code), Some(ResponseError::OffsetOutOfRange), "{offset}");
        assert_eq!((part.high_watermark, part.log_start_offset), (-1, -1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_unknown_by_name_and_by_id() {
    let (_server, mut client) = server_with(1).await;
    let unknown = Some(ResponseError::UnknownTopicOrPartition);
    assert_eq!(error(parts(fetch_parts(&mut client, &[(7, 0, ALL)]).await)[0].error_code), unknown);
    assert_eq!(error(fetch(&mut client, "nothing", 0).await.error_code), unknown);
    assert_eq!(error(fetch(&mut client, "__cluster_metadata", 0).await.error_code), unknown);
    assert_eq!(error(fetch(&mut client, "__consumer_offsets", 0).await.error_code), None);
    let response = client.send(13, &fetch_from("", Uuid::from_u128(7), &[(0, 0, ALL)])).await;
    assert_eq!(error(parts(response)[0].error_code), Some(ResponseError::UnknownTopicId));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_one_epoch_there_is_fits() {
    let (_server, mut client) = server_with(1).await;
    produced(&mut client, "t", &["a"]).await;
    for (epoch, code) in [(-1, None), (0, None), (1, Some(ResponseError::UnknownLeaderEpoch))] {
        let mut request = fetch_from("t", Uuid::nil(), &[(0, 0, ALL)]);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        assert_eq!(error(parts(client.send(11, &request).await)[0].error_code), code);
    }
    let mut request = fetch_from("t", Uuid::nil(), &[(0, 9, ALL)]);
    request.topics[0].partitions[0].last_fetched_epoch = 0;
    let part = parts(client.send(12, &request).await).remove(0);
    assert_eq!((error(part.error_code), part.diverging_epoch.end_offset), (None, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_a_follower_here() {
    let (_server, mut client) = server_with(1).await;
    produced(&mut client, "t", &["a"]).await;
    let mut request = fetch_from("t", Uuid::nil(), &[(0, 0, ALL)]);
    request.replica_id = 2.into();
    let part = parts(client.send(11, &request).await).remove(0);
    assert_eq!(error(part.error_code), Some(ResponseError::NotLeaderOrFollower));
    assert!(part.records.unwrap_or_default().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_cut_between_batches_but_the_first_is_always_whole() {
    let (_server, mut client) = server_with(3).await;
    let one = batch(&[&"x".repeat(1_000)]);
    let size = one.len();
    let each = i32::try_from(size).unwrap();
    for partition in 0..3 {
        for _ in 0..4 {
            let request = produce_to("t", Uuid::nil(), vec![(partition, one.clone())], 1);
            client.send(9, &request).await;
        }
    }
    let parts = |limit| [(0, 0, limit), (1, 0, limit), (2, 0, limit)];
    assert_eq!(sizes(fetch_parts(&mut client, &parts(ALL)).await), [4 * size; 3]);
    assert_eq!(sizes(fetch_parts(&mut client, &parts(2 * each)).await), [2 * size; 3]);
    assert_eq!(sizes(fetch_parts(&mut client, &parts(2 * each + 1)).await), [2 * size; 3]);
    assert_eq!(sizes(fetch_parts(&mut client, &parts(1)).await), [size, 0, 0], "one batch or nobody goes on");
    for (max_bytes, expected) in [
        (0, [size, 0, 0]),
        (1, [size, 0, 0]),
        (5 * each, [4 * size, size, 0]),
        (5 * each - 1, [4 * size, 0, 0]),
        (9 * each, [4 * size, 4 * size, size]),
    ] {
        let mut request = fetch_from("t", Uuid::nil(), &parts(ALL));
        request.max_bytes = max_bytes;
        assert_eq!(sizes(client.send(11, &request).await), expected, "max_bytes {max_bytes}");
    }
}

/// A fetch that may wait for a long time.
fn patient(min_bytes: usize) -> FetchRequest {
    let mut request = fetch_from("t", Uuid::nil(), &[(0, 0, ALL), (1, 0, ALL)]);
    request.max_wait_ms = 60_000;
    request.min_bytes = i32::try_from(min_bytes).unwrap();
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_waits_for_the_first_record() {
    let (server, mut client) = server_with(2).await;
    let id = client.post(11, &patient(1)).await.unwrap();
    produced(&mut server.client().await, "t", &["awaited"]).await;
    let response = client.receive::<FetchRequest>(11, id).await.unwrap();
    assert_eq!(texts(&parts(response)[0].records.clone().unwrap()), [(0, "awaited".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_waits_for_as_many_bytes_as_it_asks_for_across_partitions() {
    let (server, mut client) = server_with(2).await;
    let one = batch(&["x"]);
    let id = client.post(11, &patient(4 * one.len())).await.unwrap();
    let mut producer = server.client().await;
    for partition in [0, 1, 1, 0] {
        let early = timeout(Duration::from_millis(20), client.receive::<FetchRequest>(11, id)).await;
        assert!(early.is_err(), "there is not enough yet");
        producer.send(9, &produce_to("t", Uuid::nil(), vec![(partition, one.clone())], 1)).await;
    }
    let response = client.receive::<FetchRequest>(11, id).await.unwrap();
    assert_eq!(sizes(response), [2 * one.len(); 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_gives_what_there_is_when_its_time_is_up() {
    let (_server, mut client) = server_with(2).await;
    produced(&mut client, "t", &["little"]).await;
    let mut request = patient(100_000);
    request.max_wait_ms = 50;
    let began = Instant::now();
    let response = client.send(11, &request).await;
    assert!(began.elapsed() >= Duration::from_millis(50));
    assert_eq!(texts(&parts(response)[0].records.clone().unwrap()), [(0, "little".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_topic_ends_the_wait() {
    let (server, mut client) = server_with(2).await;
    let id = client.post(11, &patient(1)).await.unwrap();
    // The answer to a later request shows that the first one is waiting.
    let later = client.post(11, &fetch_from("t", Uuid::nil(), &[(0, 0, ALL)])).await.unwrap();
    server.embedded.delete_topic("t").await.unwrap();
    let response = client.receive::<FetchRequest>(11, id).await.unwrap();
    for part in parts(response) {
        assert_eq!(error(part.error_code), Some(ResponseError::UnknownTopicOrPartition));
    }
    client.receive::<FetchRequest>(11, later).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_tells_only_what_is_new() {
    let (_server, mut client) = server_with(3).await;
    let mut full = fetch_from("t", Uuid::nil(), &[(0, 0, ALL), (1, 0, ALL), (2, 0, ALL)]);
    full.session_epoch = 0;
    let response = client.send(11, &full).await;
    let session_id = response.session_id;
    assert_ne!(session_id, 0);
    assert_eq!(parts(response).len(), 3);
    let next = |epoch: i32, changed: &[(i32, i64, i32)]| {
        let mut request = fetch_from("t", Uuid::nil(), changed);
        (request.session_id, request.session_epoch) = (session_id, epoch);
        request.topics.retain(|topic| !topic.partitions.is_empty());
        request
    };
    let response = client.send(11, &next(1, &[])).await;
    assert_eq!((response.session_id, response.responses.len()), (session_id, 0));
    client.send(9, &produce_to("t", Uuid::nil(), vec![(1, batch(&["news"]))], 1)).await;
    let found = parts(client.send(11, &next(2, &[])).await);
    assert_eq!(found.iter().map(|part| part.partition_index).collect::<Vec<_>>(), [1]);
    // It is not told again once the consumer has gone on, and a partition that is forgotten is not read.
    client.send(9, &produce_to("t", Uuid::nil(), vec![(2, batch(&["unread"]))], 1)).await;
    let mut request = next(3, &[(1, 1, ALL)]);
    request.forgotten_topics_data = vec![forgotten("t", 2)];
    assert!(client.send(11, &request).await.responses.is_empty());
    // Out of turn, and then an id that is no session's.
    let response = client.send(11, &next(3, &[])).await;
    assert_eq!(error(response.error_code), Some(ResponseError::InvalidFetchSessionEpoch));
    let mut request = next(1, &[]);
    request.session_id = session_id.wrapping_add(1);
    let response = client.send(11, &request).await;
    assert_eq!(error(response.error_code), Some(ResponseError::FetchSessionIdNotFound));
    // Closed by the client.
    let mut request = next(-1, &[(0, 0, ALL)]);
    request.session_epoch = -1;
    assert_eq!(client.send(11, &request).await.session_id, 0);
    let response = client.send(11, &next(4, &[])).await;
    assert_eq!(error(response.error_code), Some(ResponseError::FetchSessionIdNotFound));
}

/// What the consumers of a topic see of one transaction after the other.
#[tokio::test(flavor = "multi_thread")]
async fn committed_records_end_at_the_first_open_transaction() {
    let (server, mut client) = server_with(1).await;
    let mut first = server.embedded.transactional("first").await.unwrap();
    let mut second = server.embedded.transactional("second").await.unwrap();
    let mut open = first.begin().await.unwrap();
    let mut aborted = second.begin().await.unwrap();
    produced(&mut client, "t", &["plain"]).await;
    aborted.append(&at("t", 0), records(["aborted"])).await.unwrap();
    open.append(&at("t", 0), records(["open"])).await.unwrap();
    aborted.abort().await.unwrap();
    produced(&mut client, "t", &["behind"]).await;
    let committed = |offset| {
        let mut request = fetch_from("t", Uuid::nil(), &[(0, offset, ALL)]);
        request.isolation_level = 1;
        request
    };
    let part = parts(client.send(11, &committed(0)).await).remove(0);
    assert_eq!((part.high_watermark, part.last_stable_offset), (5, 2));
    let found = texts(&part.records.unwrap());
    assert_eq!(found, [(0, "plain".to_owned()), (1, "aborted".to_owned())]);
    let aborted = part.aborted_transactions.unwrap();
    assert_eq!(aborted.iter().map(|aborted| aborted.first_offset).collect::<Vec<_>>(), [1]);
    assert_eq!(fetched(&mut client, "t", 0).await.len(), 5, "all but the isolated see everything");
    // Who waits for committed records is woken by the commit.
    let mut request = committed(2);
    request.max_wait_ms = 60_000;
    let id = client.post(11, &request).await.unwrap();
    open.commit().await.unwrap();
    let part = parts(client.receive::<FetchRequest>(11, id).await.unwrap()).remove(0);
    assert_eq!(part.last_stable_offset, 6);
    let found: Vec<_> = texts(&part.records.unwrap()).into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(found, [2, 3, 4, 5]);
    let aborted = part.aborted_transactions.unwrap();
    assert_eq!(aborted.len(), 1, "the end of the aborted one is among them");
    let part = parts(client.send(11, &committed(4)).await).remove(0);
    assert_eq!(part.aborted_transactions.unwrap(), []);
}

fn segment(disk: &SimDisk) -> PathBuf {
    let path = Path::new("/data/topics/t/0").join(format!("{:020}-0.log", 0));
    assert!(disk.contents(&path).is_some());
    path
}

/// F19: what is damaged on disk is an error with its name, and all the rest can be read.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_records_are_an_error_and_the_others_are_read() {
    let disk = SimDisk::new(1);
    let log = open_log(Arc::new(disk.clone()), Path::new("/data"));
    log.create_topic("t", 1, &[].into()).unwrap();
    let embedded = Embedded::open(log, EmbeddedConfig::default(), clock()).await.unwrap();
    let wire = Wire::serve(&embedded, WireConfig::default()).await.unwrap();
    let mut client = Client::connect(wire.addresses()[0]).await;
    for number in 0..5 {
        produced(&mut client, "t", &[&format!("number {number}")]).await;
    }
    let path = segment(&disk);
    let mut bytes = disk.contents(&path).unwrap();
    let size = batch(&["number 0"]).len();
    bytes[2 * size + size - 1] ^= 1;
    disk.set_contents(&path, &bytes);
    assert_eq!(fetched(&mut client, "t", 0).await.len(), 2);
    let part = fetch(&mut client, "t", 2).await;
    assert_eq!(error(part.error_code), Some(ResponseError::CorruptMessage));
    assert_eq!(fetched(&mut client, "t", 3).await.len(), 2);
}
