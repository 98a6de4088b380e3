//! What a PLC's scan feels while Kafka clients rage in the same process: how late its cycles end.
//!
//! `cargo run --release -p millstream-broker --example isolation -- DIR THREADS` runs a broker, a scan of 10 ms and, one after the other, a
//! flood of connections, a storm of producers, consumers that never read, and garbage, each from a process of its own. The
//! scan works for 0.3 ms and appends 20 records per cycle, as a driver does. Each line is one load; the times are from the moment a
//! cycle was due to its end. THREADS are the broker's own; with 0 it shares those of the scan.
#![expect(clippy::print_stdout, reason = "the figures are what it is asked for")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails has no figures")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a rank among some hundred cycles"
)]

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, FetchRequest, ProduceRequest, RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Encodable, Request, StrBytes};
use millstream_broker::{Embedded, EmbeddedConfig, Wire, WireConfig};
use millstream_bus::{Acks, Bus, Record, TopicPartition, TopicSpec};
use millstream_log::batch::{BatchBuilder, Compression};
use millstream_log::{Log, LogConfig, OsDisk};
use millstream_model::{Clock, Timestamp};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

const PERIOD: Duration = Duration::from_millis(10);
const PHASE: Duration = Duration::from_secs(8);
const LOADS: [&str; 5] = ["nothing", "connections", "producers", "stuck-consumers", "garbage"];

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["load", kind, address] => rage(kind, address.parse().unwrap()),
        [dir, threads] => measure(dir, threads.parse().unwrap()),
        _ => println!("usage: isolation DIR THREADS"),
    }
}

/// The broker, the scan, and one load after the other.
fn measure(dir: &str, threads: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(Still);
        let log = Log::open(Arc::new(OsDisk), &PathBuf::from(dir), LogConfig::default(), Arc::clone(&clock));
        let embedded = Embedded::open(log.unwrap().0, EmbeddedConfig::default(), clock).await.unwrap();
        for topic in ["scan", "t"] {
            // It may be there from an earlier run.
            let _ = embedded.create_topic(&TopicSpec::new(topic, 1)).await;
        }
        let config = WireConfig { threads, ..WireConfig::default() };
        let wire = Wire::serve(&embedded, config).await.unwrap();
        println!("{:<16} {:>8} {:>8} {:>8} {:>8}  (ms)", "load", "p50", "p99", "p99.9", "max");
        for load in LOADS {
            let mut child = start(load, wire.addresses()[0]);
            let mut late = tokio::spawn(scan(Arc::clone(&embedded))).await.unwrap();
            // It never ends by itself.
            let _ = child.as_mut().map(Child::kill);
            let _ = child.as_mut().map(Child::wait);
            late.sort_unstable();
            let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
            println!("{load:<16} {:>8.2} {:>8.2} {:>8.2} {:>8.2}", at(0.5), at(0.99), at(0.999), at(1.0));
        }
        wire.close().await;
        embedded.close().await.unwrap();
    });
}

fn start(load: &str, address: SocketAddr) -> Option<Child> {
    let program = std::env::current_exe().unwrap();
    // It gets what the broker leaves of the cores: the clients are meant to be other hosts.
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(program).args(["load", load, &address.to_string()]);
    (load != "nothing").then(|| command.spawn().unwrap())
}

/// Cycles of a PLC; how long after it was due each ended.
async fn scan(embedded: Arc<Embedded>) -> Vec<Duration> {
    let to = TopicPartition::new("scan", 0);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (started, mut late) = (Instant::now(), Vec::new());
    while started.elapsed() < PHASE {
        let due = ticks.tick().await.into_std();
        let busy = Instant::now();
        while busy.elapsed() < Duration::from_micros(300) {
            std::hint::spin_loop();
        }
        let record = || Record::new(None, Some(Bytes::from_static(&[7; 100])), Timestamp(1_700_000_000_000));
        embedded.append(&to, (0..20).map(|_| record()).collect(), Acks::Leader).await.unwrap();
        late.push(due.elapsed());
    }
    late
}

/// One kind of load, for ever.
fn rage(kind: &str, address: SocketAddr) {
    let work: fn(SocketAddr) = match kind {
        "connections" => connect,
        "producers" => produce,
        "stuck-consumers" => fetch,
        _ => garbage,
    };
    let threads: Vec<_> = (0..16).map(|_| std::thread::spawn(move || work(address))).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn connect(address: SocketAddr) {
    let hello = frame(0, &ApiVersionsRequest::default());
    loop {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        let mut answer = [0; 64];
        // Whatever comes of it.
        let _ = stream.write_all(&hello).and_then(|()| stream.read(&mut answer));
    }
}

fn produce(address: SocketAddr) {
    let mut builder = BatchBuilder::new(Compression::None);
    for _ in 0..600 {
        builder.push(1_700_000_000_000, None, Some(Bytes::from_static(&[7; 100])), Vec::new());
    }
    let data =
        PartitionProduceData::default().with_index(0).with_records(Some(builder.finish().unwrap().freeze()));
    let topic = TopicProduceData::default().with_name(name()).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(1).with_timeout_ms(30_000).with_topic_data(vec![topic]);
    let bytes = frame(9, &request);
    let mut stream = TcpStream::connect(address).unwrap();
    let mut reader = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut sink = vec![0; 1 << 16];
        while reader.read(&mut sink).is_ok_and(|read| read > 0) {}
    });
    while stream.write_all(&bytes).is_ok() {}
}

fn fetch(address: SocketAddr) {
    let partition =
        FetchPartition::default().with_partition(0).with_fetch_offset(0).with_partition_max_bytes(50 << 20);
    let topic = FetchTopic::default().with_topic(name()).with_partitions(vec![partition]);
    let request = FetchRequest::default().with_max_bytes(50 << 20).with_min_bytes(1).with_topics(vec![topic]);
    let bytes = frame(11, &request);
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&bytes.repeat(20)).unwrap();
        held.push(stream);
    }
    loop {
        std::thread::park();
    }
}

fn garbage(address: SocketAddr) {
    let hello = frame(0, &ApiVersionsRequest::default());
    let mut huge = frame(0, &ApiVersionsRequest::default());
    huge[4..8].copy_from_slice(&[0, 3, 0, 12]);
    huge.resize(huge.len() + 60_000, 0xff);
    let length = u32::try_from(huge.len() - 4).unwrap();
    huge[..4].copy_from_slice(&length.to_be_bytes());
    loop {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        // The broker may have had enough in the middle of it.
        let _ = stream.write_all(&hello).and_then(|()| stream.write_all(&huge));
    }
}

fn name() -> TopicName {
    TopicName(StrBytes::from_static_str("t"))
}

fn frame<R: Request>(version: i16, request: &R) -> BytesMut {
    let header_version = ApiKey::try_from(R::KEY).unwrap().request_header_version(version);
    let header = RequestHeader::default().with_request_api_key(R::KEY).with_request_api_version(version);
    let mut body = BytesMut::new();
    header.encode(&mut body, header_version).unwrap();
    request.encode(&mut body, version).unwrap();
    let mut frame = BytesMut::from(&u32::try_from(body.len()).unwrap().to_be_bytes()[..]);
    frame.extend_from_slice(&body);
    frame
}
