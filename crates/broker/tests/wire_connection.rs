//! A connection and its limits: order, what ends it, and that it ends alone.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiVersionsRequest, FetchRequest, HeartbeatRequest, MetadataRequest, ProduceRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use millstream_broker::{EmbeddedConfig, QuotaEntity, QuotaRule, Quotas, WireConfig, WireLimits};
use millstream_bus::{Bus, TopicSpec};
use millstream_log::batch::{BatchBuilder, Compression};
use millstream_model::metric::{Collect, Page};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use support::client::{Client, Server, frame};
use support::fresh_dir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn name(text: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(text))
}

async fn serve(limits: WireLimits) -> Server {
    serve_with(WireConfig { limits, ..WireConfig::default() }).await
}

async fn serve_with(config: WireConfig) -> Server {
    let server = Server::with(&fresh_dir("wire-connection"), EmbeddedConfig::default(), config).await;
    server.embedded.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    server
}

async fn is_served(client: &mut Client) -> bool {
    client.try_send(0, &ApiVersionsRequest::default()).await.is_ok()
}

/// Waits until it holds, for 30 s at most.
async fn wait_for(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
}

fn metric(server: &Server, name: &str) -> u64 {
    let mut page = Page::default();
    server.wire.collect(&mut page);
    let page = page.render();
    let line = page.lines().find(|line| line.starts_with(name) && !line.starts_with('#'));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{name} in\n{page}"))
}

fn batch(value_bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(1_700_000_000_000, None, Some(Bytes::from(vec![7; value_bytes])), Vec::new());
    builder.finish().unwrap().freeze()
}

fn produce(value_bytes: usize, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch(value_bytes)));
    let topic = TopicProduceData::default().with_name(name("t")).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topic])
}

fn fetch(offset: i64, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(50 << 20);
    let topic = FetchTopic::default().with_topic(name("t")).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_topics(vec![topic])
}

fn produced(response: &kafka_protocol::messages::ProduceResponse) -> (i16, i64) {
    let part = &response.responses[0].partition_responses[0];
    (part.error_code, part.base_offset)
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_requests() {
    let server = serve(WireLimits::default()).await;
    let mut client = server.client().await;
    // A fetch that waits for records, the records, and questions in between, all at once.
    let waits = client.post(11, &fetch(0, 20_000)).await.unwrap();
    let asks = client.post(1, &MetadataRequest::default().with_topics(None)).await.unwrap();
    let mut posted = Vec::new();
    for _ in 0..200 {
        posted.push(client.post(9, &produce(100, -1)).await.unwrap());
    }
    let last = client.post(0, &ApiVersionsRequest::default()).await.unwrap();
    let fetched = client.receive::<FetchRequest>(11, waits).await.unwrap();
    assert!(fetched.responses[0].partitions[0].records.as_ref().is_some_and(|records| !records.is_empty()));
    client.receive::<MetadataRequest>(1, asks).await.unwrap();
    for (correlation_id, offset) in posted.into_iter().zip(0..) {
        let response = client.receive::<ProduceRequest>(9, correlation_id).await.unwrap();
        assert_eq!(produced(&response), (0, offset));
    }
    client.receive::<ApiVersionsRequest>(0, last).await.unwrap();
}

#[tokio::test]
async fn what_was_sent_before_the_end_is_done() {
    let server = serve(WireLimits::default()).await;
    let mut client = server.client().await;
    for _ in 0..50 {
        client.post(9, &produce(100, 0)).await.unwrap();
    }
    drop(client);
    let at = support::at("t", 0);
    wait_for("50 records that nobody waits for", async || {
        server.embedded.offsets(&at).await.unwrap().latest == 50
    })
    .await;
}

#[tokio::test]
async fn a_client_that_goes_while_it_waits_is_let_go() {
    let server = serve(WireLimits::default()).await;
    let mut client = server.client().await;
    client.post(11, &fetch(0, i32::MAX)).await.unwrap();
    wait_for("the connection", async || metric(&server, "millstream_kafka_connections ") == 1).await;
    drop(client);
    wait_for("its end", async || metric(&server, "millstream_kafka_connections ") == 0).await;
}

#[tokio::test]
async fn an_unknown_api_or_version_ends_the_connection_but_for_api_versions() {
    let server = serve(WireLimits::default()).await;
    let mut other = server.client().await;
    // As Apache Kafka 4.3.1: what is not known is not answered.
    for (api_key, version) in [(999_i16, 0_i16), (-1, 0), (3, 99), (3, -1), (0, 2), (52, 0), (58, 0)] {
        let mut client = server.client().await;
        let mut bytes = frame(0, 7, "c", &ApiVersionsRequest::default()).to_vec();
        bytes[4..6].copy_from_slice(&api_key.to_be_bytes());
        bytes[6..8].copy_from_slice(&version.to_be_bytes());
        client.write(&bytes).await.unwrap();
        assert_eq!(client.read_to_end().await, b"", "API {api_key} version {version}");
    }
    for version in [5_i16, 99, -1, i16::MAX] {
        let mut client = server.client().await;
        let mut bytes = frame(0, 7, "c", &ApiVersionsRequest::default()).to_vec();
        bytes[6..8].copy_from_slice(&version.to_be_bytes());
        client.write(&bytes).await.unwrap();
        let answer = client.read_frame().await.unwrap();
        assert_eq!(answer[..], [0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4], "version {version}");
        assert!(is_served(&mut client).await, "it may go on in a version that is served");
    }
    assert!(is_served(&mut other).await);
}

#[tokio::test]
async fn a_length_that_cannot_be_ends_the_connection() {
    let server = serve(WireLimits { request_bytes: 1 << 20, ..WireLimits::default() }).await;
    let mut other = server.client().await;
    for length in [0, -1, i32::MIN, i32::MAX, (1 << 20) + 1] {
        let mut client = server.client().await;
        client.write(&length.to_be_bytes()).await.unwrap();
        assert_eq!(client.read_to_end().await, b"", "{length}");
    }
    let mut client = server.client().await;
    assert_eq!(produced(&client.send(9, &produce(1_000_000, -1)).await), (0, 0));
    assert!(is_served(&mut other).await);
}

/// Sends bytes one by one until the broker has enough of it.
async fn dribble(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let started = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    for byte in bytes.iter().cycle() {
        pause.tick().await;
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "it goes on for ever");
    }
}

#[tokio::test]
async fn a_client_that_takes_too_long_is_not_waited_for() {
    let short = Duration::from_millis(300);
    let server = serve(WireLimits { setup: short, stall: short, ..WireLimits::default() }).await;
    // One that says nothing, one whose first request never ends, one that is slow later.
    assert_eq!(server.client().await.read_to_end().await, b"");
    dribble(server.address(), &[0]).await;
    let mut client = server.client().await;
    assert!(is_served(&mut client).await);
    client.write(&[0, 0, 1]).await.unwrap();
    assert_eq!(client.read_to_end().await, b"");
    assert_eq!(metric(&server, "millstream_kafka_connections_closed_total"), 3);
}

#[tokio::test]
async fn an_idle_connection_ends_and_one_that_waits_for_records_does_not() {
    let server = serve(WireLimits { idle: Duration::from_millis(300), ..WireLimits::default() }).await;
    let (mut idle, mut waiting) = (server.client().await, server.client().await);
    assert!(is_served(&mut idle).await);
    let posted = waiting.post(11, &fetch(0, 1_500)).await.unwrap();
    assert_eq!(idle.read_to_end().await, b"");
    waiting.receive::<FetchRequest>(11, posted).await.unwrap();
}

#[tokio::test]
async fn there_are_so_many_connections_and_no_more() {
    let server = serve(WireLimits { connections: 5, connections_per_ip: 3, ..WireLimits::default() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut client = server.client().await;
        assert!(is_served(&mut client).await);
        held.push(client);
    }
    let mut refused = server.client().await;
    assert!(!is_served(&mut refused).await, "the fourth from one address");
    assert!(metric(&server, "millstream_kafka_connections_refused_total") >= 1);
    assert!(is_served(&mut held[0]).await, "those who are in stay");
    held.pop();
    wait_for("a place that is free again", async || is_served(&mut server.client().await).await).await;
}

#[tokio::test]
async fn a_thousand_connections_are_held() {
    let server = serve(WireLimits::default()).await;
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        clients.push(server.client().await);
    }
    for client in &mut clients {
        assert!(is_served(client).await);
    }
    assert_eq!(metric(&server, "millstream_kafka_connections "), 1_000);
}

/// F27: what a client does not read takes no more than its share, and holds up nobody.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_hold_up_nobody() {
    let limits = WireLimits { answer_memory_bytes: 8 << 20, ..WireLimits::default() };
    let server = serve(limits).await;
    let mut producer = server.client().await;
    for _ in 0..40 {
        assert_eq!(produced(&producer.send(9, &produce(900_000, 1)).await).0, 0);
    }
    let mut stuck = Vec::new();
    for _ in 0..40 {
        let mut client = server.client().await;
        for _ in 0..8 {
            client.post(11, &fetch(0, 0)).await.unwrap();
        }
        stuck.push(client);
    }
    // Others produce and fetch as before.
    for _ in 0..20 {
        assert_eq!(produced(&producer.send(9, &produce(1_000, -1)).await).0, 0);
        let mut consumer = server.client().await;
        let fetched = consumer.send(11, &fetch(0, 0)).await;
        assert!(
            fetched.responses[0].partitions[0].records.as_ref().is_some_and(|records| !records.is_empty())
        );
    }
    assert_eq!(metric(&server, "millstream_kafka_connections_closed_total"), 0);
}

#[tokio::test]
async fn a_client_that_never_reads_is_let_go() {
    let server = serve(WireLimits { stall: Duration::from_millis(300), ..WireLimits::default() }).await;
    let mut client = server.client().await;
    for _ in 0..20 {
        assert_eq!(produced(&client.send(9, &produce(900_000, 1)).await).0, 0);
    }
    let mut stuck = server.client().await;
    for _ in 0..20 {
        stuck.post(11, &fetch(0, 0)).await.unwrap();
    }
    wait_for("its end", async || metric(&server, "millstream_kafka_connections_closed_total") == 1).await;
    assert!(is_served(&mut client).await);
}

/// F32: more in flight than the memory for it is waited for, not refused and not piled up.
#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_for_memory() {
    let limits = WireLimits { request_memory_bytes: 2 << 20, ..WireLimits::default() };
    let server = serve(limits).await;
    let address = server.address();
    let producers = (0..16).map(|_| async move {
        let mut client = Client::connect(address).await;
        for _ in 0..20 {
            assert_eq!(produced(&client.send(9, &produce(400_000, -1)).await).0, 0);
        }
    });
    futures_util::future::join_all(producers).await;
    let all = server.embedded.offsets(&support::at("t", 0)).await.unwrap();
    assert_eq!(all.latest, 320);
}

#[tokio::test]
async fn a_client_over_its_quota_is_told_to_wait_and_waits() {
    let rule = QuotaRule {
        client_id: Some(QuotaEntity::Named("greedy".to_owned())),
        produce_bytes_per_second: Some(100_000),
        requests_per_second: Some(10_000),
        ..QuotaRule::default()
    };
    let config = WireConfig { quotas: Quotas { rules: vec![rule] }, ..WireConfig::default() };
    let server = serve_with(config).await;
    let (mut greedy, mut modest) = (server.client().await, server.client().await);
    greedy.client_id = "greedy";
    let told = greedy.send(9, &produce(150_000, 1)).await;
    assert_eq!(produced(&told).0, 0, "it is done all the same");
    assert!((400..=501).contains(&told.throttle_time_ms), "{} ms", told.throttle_time_ms);
    let asked = Instant::now();
    assert!(is_served(&mut greedy).await);
    let waited = asked.elapsed();
    assert!(waited >= Duration::from_millis(350), "it was answered after {waited:?}");
    assert_eq!(modest.send(9, &produce(150_000, 1)).await.throttle_time_ms, 0);
    // In a version whose responses have no room for it, too.
    for version in 3..=9 {
        greedy.send(version, &produce(10, 1)).await;
    }
    assert!(metric(&server, "millstream_kafka_throttled_total") >= 1);
}

#[tokio::test]
async fn closing_finishes_what_is_at_work_and_does_not_wait_for_those_who_wait() {
    let server = serve(WireLimits::default()).await;
    let (mut waiting, mut idle, mut busy) =
        (server.client().await, server.client().await, server.client().await);
    waiting.post(11, &fetch(0, i32::MAX).with_min_bytes(i32::MAX)).await.unwrap();
    assert!(is_served(&mut idle).await);
    let mut posted = Vec::new();
    for _ in 0..20 {
        posted.push(busy.post(9, &produce(100, -1)).await.unwrap());
    }
    let first = busy.receive::<ProduceRequest>(9, posted.remove(0)).await.unwrap();
    assert_eq!(produced(&first).0, 0);
    let started = Instant::now();
    server.wire.close().await;
    assert!(started.elapsed() < Duration::from_secs(4), "it waited for {:?}", started.elapsed());
    let mut answered = 1;
    for correlation_id in posted {
        match busy.receive::<ProduceRequest>(9, correlation_id).await {
            Ok(response) => assert_eq!(produced(&response).0, 0),
            Err(error) => {
                assert!(matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
                ));
                break;
            }
        }
        answered += 1;
    }
    let latest = server.embedded.offsets(&support::at("t", 0)).await.unwrap().latest;
    assert!(latest >= answered, "{answered} answered, {latest} there");
    assert_eq!(idle.read_to_end().await, b"");
    assert_eq!(waiting.read_to_end().await, b"");
    assert!(TcpStream::connect(server.address()).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_heartbeat_and_a_topic_list_are_counted() {
    let server = serve(WireLimits::default()).await;
    let mut client = server.client().await;
    let topic = MetadataRequestTopic::default().with_name(Some(name("t")));
    client.send(4, &MetadataRequest::default().with_topics(Some(vec![topic]))).await;
    let group = StrBytes::from_static_str("g");
    client.send(3, &HeartbeatRequest::default().with_group_id(group.into())).await;
    assert_eq!(metric(&server, "millstream_kafka_request_seconds_count{api=\"Metadata\"}"), 1);
    assert_eq!(metric(&server, "millstream_kafka_request_seconds_count{api=\"Heartbeat\"}"), 1);
    assert!(metric(&server, "millstream_kafka_received_bytes_total") > 20);
    assert!(metric(&server, "millstream_kafka_sent_bytes_total") > 20);
}

/// With threads of its own the wire serves whatever the rest of the process does, and the other way round.
#[tokio::test]
async fn threads_of_its_own_serve_while_the_others_are_busy() {
    let server = serve_with(WireConfig { threads: 1, ..WireConfig::default() }).await;
    let address = server.address();
    // All of it in one go: the test's only thread runs nothing else meanwhile.
    let answer = {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(&frame(0, 7, "c", &ApiVersionsRequest::default())).unwrap();
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).unwrap();
        answer
    };
    assert_eq!(answer[4..], [0, 0, 0, 7, 0, 0]);
    let mut client = server.client().await;
    assert_eq!(produced(&client.send(9, &produce(100, -1)).await), (0, 0));
    server.stop().await;
    assert!(client.try_send(9, &produce(100, -1)).await.is_err(), "it has ended");
}
