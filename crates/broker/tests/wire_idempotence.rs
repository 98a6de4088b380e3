//! Idempotent producers: what they send is in the log once and in order, however often they send it, and across restarts of any
//! kind.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::DescribeProducersRequest;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use millstream_broker::{Embedded, EmbeddedConfig, Wire, WireConfig};
use millstream_bus::Bus;
use millstream_log::{Operation, SimDisk};
use std::path::Path;
use std::sync::Arc;
use support::client::{Client, Server};
use support::data::{create, fetched, name};
use support::producers::{Answer, Key, init, send, sequenced};
use support::{at, clock, open_log};

const TOPIC: (&str, i32) = ("t", 0);

async fn start() -> (Server, Client, Key) {
    let server = Server::start("wire_idempotence").await;
    create(&server, "t", 1, &[]).await;
    let mut client = server.client().await;
    let key = init(&mut client, None, None).await.unwrap();
    (server, client, key)
}

async fn put(client: &mut Client, key: Key, sequence: i32, texts: &[&str]) -> Answer<i64> {
    send(client, 9, None, TOPIC, sequenced(key, sequence, false, texts)).await
}

/// A broker on a simulated disk.
struct Simulated {
    disk: SimDisk,
    embedded: Arc<Embedded>,
    wire: Wire,
}

impl Simulated {
    async fn start(disk: SimDisk) -> Self {
        let log = open_log(Arc::new(disk.clone()), Path::new("/data"));
        let embedded = Embedded::open(log, EmbeddedConfig::default(), clock()).await.unwrap();
        let wire = Wire::serve(&embedded, WireConfig::default()).await.unwrap();
        Self { disk, embedded, wire }
    }

    async fn client(&self) -> Client {
        Client::connect(self.wire.addresses()[0]).await
    }

    /// Ends it the way that `end` ends the disk, and starts again.
    async fn again(self, end: impl Fn(&SimDisk) -> SimDisk) -> Self {
        let disk = end(&self.disk);
        self.wire.close().await;
        drop(self.embedded);
        Self::start(disk).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_is_there_once_and_answered_as_the_first_time() {
    let (_server, mut client, key) = start().await;
    assert_eq!(put(&mut client, key, 0, &["a", "b"]).await, Ok(0));
    assert_eq!(put(&mut client, key, 2, &["c"]).await, Ok(2));
    assert_eq!(put(&mut client, key, 0, &["a", "b"]).await, Ok(0));
    assert_eq!(put(&mut client, key, 2, &["c"]).await, Ok(2));
    let out_of_order = Err(ResponseError::OutOfOrderSequenceNumber);
    assert_eq!(put(&mut client, key, 4, &["gap"]).await, out_of_order);
    assert_eq!(put(&mut client, key, 1, &["b"]).await, out_of_order);
    assert_eq!(put(&mut client, key, 3, &["d"]).await, Ok(3));
    let texts: Vec<_> = fetched(&mut client, "t", 0).await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["a", "b", "c", "d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_begins_at_zero_and_fences_the_old_one() {
    let (_server, mut client, key) = start().await;
    assert_eq!(put(&mut client, key, 0, &["a"]).await, Ok(0));
    let bumped = (key.0, key.1 + 1);
    assert_eq!(put(&mut client, bumped, 1, &["x"]).await, Err(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(put(&mut client, bumped, 0, &["b"]).await, Ok(1));
    assert_eq!(put(&mut client, key, 1, &["x"]).await, Err(ResponseError::InvalidProducerEpoch));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_wrap_and_an_unknown_producer_may_begin_anywhere() {
    let (_server, mut client, key) = start().await;
    assert_eq!(put(&mut client, key, i32::MAX - 1, &["a", "b", "c"]).await, Ok(0));
    assert_eq!(put(&mut client, key, i32::MAX - 1, &["a", "b", "c"]).await, Ok(0));
    assert_eq!(put(&mut client, key, 1, &["d"]).await, Ok(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn producer_ids_are_given_once() {
    let (server, mut client, key) = start().await;
    let other = init(&mut client, None, None).await.unwrap();
    assert_ne!(key.0, other.0);
    let dir = server.stop().await;
    let server = Server::with(&dir, EmbeddedConfig::default(), WireConfig::default()).await;
    let later = init(&mut server.client().await, None, None).await.unwrap();
    assert!(later.0 > other.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_are_known_after_every_kind_of_restart() {
    let mut broker = Simulated::start(SimDisk::new(1)).await;
    broker.embedded.create_topic(&millstream_bus::TopicSpec::new("t", 1)).await.unwrap();
    let mut client = broker.client().await;
    let key = init(&mut client, None, None).await.unwrap();
    let mut sequence = 0;
    for round in 0..9 {
        for _ in 0..3 {
            let sent = put(&mut client, key, sequence, &["x"]).await;
            assert_eq!(sent, Ok(i64::from(sequence)), "round {round}");
            sequence += 1;
        }
        broker = match round % 3 {
            0 => broker.again(SimDisk::crash).await,
            1 => broker.again(SimDisk::kill).await,
            _ => {
                broker.embedded.close().await.unwrap();
                broker.again(SimDisk::crash).await
            }
        };
        client = broker.client().await;
        let last = sequence - 1;
        assert_eq!(put(&mut client, key, last, &["x"]).await, Ok(i64::from(last)), "round {round}");
        let gap = put(&mut client, key, sequence + 1, &["x"]).await;
        assert_eq!(gap, Err(ResponseError::OutOfOrderSequenceNumber), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_known_of_batches_that_the_power_took() {
    for seed in 0..20 {
        let broker = Simulated::start(SimDisk::new(seed)).await;
        broker.embedded.create_topic(&millstream_bus::TopicSpec::new("t", 1)).await.unwrap();
        let mut client = broker.client().await;
        let key = init(&mut client, None, None).await.unwrap();
        assert_eq!(put(&mut client, key, 0, &["kept"]).await, Ok(0));
        // Answered before it is on disk: `acks=1`.
        let hasty = support::data::produce_to(
            "t",
            uuid::Uuid::nil(),
            vec![(0, sequenced(key, 1, false, &["lost?"]))],
            1,
        );
        client.send(9, &hasty).await;
        let broker = broker.again(SimDisk::crash).await;
        let mut client = broker.client().await;
        let end = broker.embedded.offsets(&at("t", 0)).await.unwrap().latest;
        // What is there is found, and what is not comes in its place: both have the same offset.
        assert_eq!(put(&mut client, key, 1, &["lost?"]).await, Ok(1), "seed {seed}, {end} before");
        assert_eq!(broker.embedded.offsets(&at("t", 0)).await.unwrap().latest, 2, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_known_of_batches_that_a_failing_disk_took() {
    let disk = SimDisk::new(7);
    let log = open_log(Arc::new(disk.clone()), Path::new("/data"));
    let embedded = Embedded::open(Arc::clone(&log), EmbeddedConfig::default(), clock()).await.unwrap();
    let wire = Wire::serve(&embedded, WireConfig::default()).await.unwrap();
    embedded.create_topic(&millstream_bus::TopicSpec::new("t", 1)).await.unwrap();
    let mut client = Client::connect(wire.addresses()[0]).await;
    let key = init(&mut client, None, None).await.unwrap();
    assert_eq!(put(&mut client, key, 0, &["kept"]).await, Ok(0));
    disk.fail(Operation::Sync, "topics/t", 1);
    assert_eq!(put(&mut client, key, 1, &["lost"]).await, Err(ResponseError::KafkaStorageError));
    assert_eq!(put(&mut client, key, 2, &["x"]).await, Err(ResponseError::KafkaStorageError));
    log.maintain();
    assert_eq!(put(&mut client, key, 2, &["x"]).await, Err(ResponseError::OutOfOrderSequenceNumber));
    let again = put(&mut client, key, 1, &["lost"]).await.unwrap();
    assert_eq!(put(&mut client, key, 1, &["lost"]).await, Ok(again));
    let texts: Vec<_> = fetched(&mut client, "t", 0).await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["kept"]);
    assert_eq!(fetched(&mut client, "t", again).await, [(again, "lost".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_is_known_after_its_records_were_deleted() {
    let (server, mut client, key) = start().await;
    assert_eq!(put(&mut client, key, 0, &["a", "b"]).await, Ok(0));
    server.embedded.delete_records(&at("t", 0), 2).await.unwrap();
    let dir = server.stop().await;
    let server = Server::with(&dir, EmbeddedConfig::default(), WireConfig::default()).await;
    let mut client = server.client().await;
    assert_eq!(put(&mut client, key, 1, &["b"]).await, Err(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(put(&mut client, key, 0, &["a", "b"]).await, Ok(0));
    assert_eq!(put(&mut client, key, 2, &["c"]).await, Ok(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_are_described() {
    let (_server, mut client, key) = start().await;
    put(&mut client, key, 0, &["a", "b"]).await.unwrap();
    let topic = |of: &str| TopicRequest::default().with_name(name(of)).with_partition_indexes(vec![0]);
    let request = DescribeProducersRequest::default().with_topics(vec![topic("t"), topic("none")]);
    let response = client.send(0, &request).await;
    let producer = &response.topics[0].partitions[0].active_producers[0];
    assert_eq!((producer.producer_id.0, producer.producer_epoch), (key.0, i32::from(key.1)));
    assert_eq!((producer.last_sequence, producer.current_txn_start_offset), (1, -1));
    let unknown = response.topics[1].partitions[0].error_code;
    assert_eq!(support::data::error(unknown), Some(ResponseError::UnknownTopicOrPartition));
}
