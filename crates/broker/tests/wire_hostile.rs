//! Clients that mean no good, over real connections: only theirs ends (F37).
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, ProduceRequest};
use millstream_bus::{Bus, TopicSpec};
use millstream_log::Random;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::client::{Client, Server, frame};
use tokio::net::TcpStream;

fn byte(random: &mut Random) -> u8 {
    random.number().to_le_bytes()[0]
}

fn noise(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| byte(random)).collect()
}

/// A request that is none: with a length that fits, or one that does not.
fn hostile(random: &mut Random) -> Vec<u8> {
    let mut bytes = match random.index(5) {
        0 => {
            let len = random.index(200);
            noise(random, len)
        }
        // A header of some API in some version, and noise.
        1 | 2 => {
            let mut bytes = frame(0, 1, "hostile", &ApiVersionsRequest::default()).to_vec();
            let (key, version) = (random.index(95), random.index(20));
            bytes[4..6].copy_from_slice(&u16::try_from(key).unwrap().to_be_bytes());
            bytes[6..8].copy_from_slice(&u16::try_from(version).unwrap().to_be_bytes());
            let len = random.index(100);
            bytes.extend(noise(random, len));
            bytes
        }
        3 => frame(12, 1, "hostile", &MetadataRequest::default().with_topics(Some(vec![]))).to_vec(),
        _ => frame(9, 1, "hostile", &ProduceRequest::default().with_acks(-1)).to_vec(),
    };
    for _ in 0..random.index(4) {
        if !bytes.is_empty() {
            let at = random.index(bytes.len());
            bytes[at] = byte(random);
        }
    }
    if random.index(4) > 0 && bytes.len() >= 4 {
        let len = u32::try_from(bytes.len() - 4).unwrap();
        bytes[..4].copy_from_slice(&len.to_be_bytes());
    }
    bytes
}

/// How much memory the process has, in KiB (Linux, proc(5)).
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_hostile_connections_end_alone() {
    let server = Server::start("wire-hostile").await;
    server.embedded.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    let mut honest = server.client().await;
    honest.send(0, &ApiVersionsRequest::default()).await;
    let address = server.address();
    let before = resident_kib();
    let attackers = (0..8_u64).map(|number| async move {
        let mut random = Random::new(number);
        for _ in 0..500 {
            let Ok(stream) = TcpStream::connect(address).await else { continue };
            let mut client = Client::over(stream);
            for _ in 0..=random.index(3) {
                if client.write(&hostile(&mut random)).await.is_err() {
                    break;
                }
            }
            // Some wait for what comes, some go at once.
            if random.index(2) == 0 {
                let _ = tokio::time::timeout(Duration::from_millis(5), client.read_frame()).await;
            }
        }
    });
    let watching = async {
        for _ in 0..200 {
            honest.send(12, &MetadataRequest::default().with_topics(None)).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(futures_util::future::join_all(attackers), watching);
    honest.send(0, &ApiVersionsRequest::default()).await;
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more than before");
}

/// Each says that 100 MiB are coming, and sends nothing more.
#[tokio::test(flavor = "multi_thread")]
async fn announced_bytes_take_no_memory() {
    let server = Server::start("wire-hostile").await;
    let before = resident_kib();
    let mut held = Vec::new();
    for _ in 0..500 {
        let mut client = server.client().await;
        client.send(0, &ApiVersionsRequest::default()).await;
        client.write(&(100_u32 << 20).to_be_bytes()).await.unwrap();
        client.write(&[0; 1_000]).await.unwrap();
        held.push(client);
    }
    let mut honest = server.client().await;
    honest.send(0, &ApiVersionsRequest::default()).await;
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more than before");
}

/// A broker that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// F33: without file handles left, those who are in stay, and there is no busy loop; when some go, others come in.
#[tokio::test]
async fn a_process_without_file_handles_goes_on() {
    let program = std::env::current_exe().unwrap();
    let program = program.parent().unwrap().parent().unwrap().join("examples/broker");
    let dir = support::fresh_dir("wire-hostile");
    let mut command = Command::new("prlimit");
    command.args(["--nofile=64"]).arg(program).arg(dir).arg("0").stdout(Stdio::piped());
    let mut broker = Process(command.spawn().unwrap());
    let mut address = String::new();
    BufReader::new(broker.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let address: SocketAddr = address.trim().parse().unwrap();
    let mut first = Client::connect(address).await;
    first.send(0, &ApiVersionsRequest::default()).await;
    let mut others = Vec::new();
    for _ in 0..100 {
        others.push(Client::connect(address).await);
    }
    // All handles are taken by now; the rest waits in the system's queue.
    for _ in 0..100 {
        first.send(0, &ApiVersionsRequest::default()).await;
    }
    let before = cpu_ticks(&broker.0);
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        first.send(0, &ApiVersionsRequest::default()).await;
        tokio::time::sleep_until((Instant::now() + Duration::from_millis(100)).into()).await;
    }
    let used = cpu_ticks(&broker.0) - before;
    assert!(used < 50, "{used} of 100 ticks: it spins");
    others.drain(..80);
    for mut other in others {
        other.send(0, &ApiVersionsRequest::default()).await;
    }
}

/// Processor time of a process, in hundredths of a second (proc(5), fields 14 and 15).
fn cpu_ticks(process: &Child) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
