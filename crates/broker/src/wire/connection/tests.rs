//! A connection over a stream in memory, which takes whatever it is given at once.

use super::*;
use crate::wire::principal::Principal;
use crate::wire::sasl::Identity;
use crate::{Embedded, EmbeddedConfig, ListenerConfig, Wire, WireConfig};
use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader, TopicName};
use kafka_protocol::protocol::Encodable;
use millstream_bus::{Bus, TopicPartition, TopicSpec};
use millstream_log::batch::{BatchBuilder, Compression};
use millstream_log::{Log, LogConfig, SimDisk};
use millstream_model::{Clock, Timestamp};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::timeout;

#[derive(Debug)]
struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(7)
    }
}

async fn engine() -> Arc<Embedded> {
    let clock = Arc::new(StillClock);
    let config = LogConfig { reserve_bytes: 0, ..LogConfig::default() };
    let disk = Arc::new(SimDisk::new(1));
    let (log, _) = Log::open(disk, Path::new("/data"), config, clock.clone()).unwrap();
    Embedded::open(log, EmbeddedConfig::default(), clock).await.unwrap()
}

fn anyone() -> Arc<Peer> {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    Arc::new(Peer {
        connection: 0,
        address,
        host: "127.0.0.1".to_owned(),
        identity: Identity::known(Principal::anonymous(), true),
        local: address,
        software: OnceLock::new(),
        listener: Arc::new(ListenerConfig::default()),
    })
}

fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> BytesMut {
    let header = RequestHeader::default().with_request_api_key(R::KEY);
    let header = header.with_request_api_version(version).with_correlation_id(correlation_id);
    let mut body = BytesMut::new();
    header.encode(&mut body, 1).unwrap();
    request.encode(&mut body, version).unwrap();
    let mut frame = BytesMut::new();
    frame.put_u32(u32::try_from(body.len()).unwrap());
    frame.extend_from_slice(&body);
    frame
}

/// Size and correlation id of the next answer.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> (usize, i32) {
    let answer = async {
        let mut answer = vec![0; usize::try_from(stream.read_u32().await.unwrap()).unwrap()];
        stream.read_exact(&mut answer).await.unwrap();
        (answer.len(), i32::from_be_bytes(answer[..4].try_into().unwrap()))
    };
    timeout(Duration::from_secs(30), answer).await.expect("an answer within 30 s")
}

#[tokio::test]
async fn what_waits_behind_a_large_answer_goes_on_when_that_is_written() {
    let embedded = engine().await;
    embedded.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    let replica = embedded.inner.topics.replica(&TopicPartition::new("t", 0)).unwrap();
    for _ in 0..2 {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(7, None, Some(Bytes::from(vec![7; 600 << 10])), Vec::new());
        replica.append(&mut builder.finish().unwrap(), 1).unwrap();
    }
    let wire = Wire::serve(&embedded, WireConfig::default()).await.unwrap();
    // All that is written goes in at once, as on a fast network.
    let (mut client, server) = duplex(8 << 20);
    let serving = tokio::spawn(serve(Arc::clone(wire.broker()), anyone(), server));
    let partition = FetchPartition::default().with_partition_max_bytes(4 << 20);
    let topic = FetchTopic::default().with_topic(TopicName(StrBytes::from_static_str("t")));
    let fetch = FetchRequest::default()
        .with_max_bytes(4 << 20)
        .with_topics(vec![topic.with_partitions(vec![partition])]);
    let ask = |id| frame(0, id, &ApiVersionsRequest::default());
    client.write_all(&[frame(11, 1, &fetch), ask(2), ask(3)].concat()).await.unwrap();
    let (size, first) = answer(&mut client).await;
    assert!(size > limits::OUTBOX_BYTES && first == 1, "{size} bytes for {first}");
    assert_eq!(answer(&mut client).await.1, 2);
    assert_eq!(answer(&mut client).await.1, 3);
    drop(client);
    serving.await.unwrap().unwrap();
}
