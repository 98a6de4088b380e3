//! The power goes while groups commit: what was answered is there afterwards, and no offset points past the end of its
//! partition, though the records before it were never asked to be durable.
//!
//! `MILLSTREAM_TORTURE_ROUNDS` is the number of histories, `MILLSTREAM_SEED` the first one's seed.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use kafka_protocol::messages::{OffsetCommitRequest, ProduceRequest};
use millstream_broker::{Embedded, EmbeddedConfig, GroupConfig, Wire, WireConfig};
use millstream_log::{Random, SimDisk};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::client::Client;
use support::data::{batch, error, fetch_from, parts, produce_to};
use support::groups::{Member, commit_request, committed};
use support::{clock, open_log, seeds};
use uuid::Uuid;

/// Histories of one run.
const ROUNDS: u64 = 8;
const PARTITIONS: i32 = 2;

async fn start(disk: &SimDisk) -> (Arc<Embedded>, Wire) {
    let log = open_log(Arc::new(disk.clone()), Path::new("/data"));
    if log.topic("t").is_none() {
        log.create_topic("t", PARTITIONS, &BTreeMap::new()).unwrap();
    }
    // A leave that the power took back ends with its session, so sessions are short.
    let groups = GroupConfig { session_timeout_min: Duration::ZERO, ..GroupConfig::default() };
    let config = EmbeddedConfig { groups, ..EmbeddedConfig::default() };
    let embedded = Embedded::open(log, config, clock()).await.unwrap();
    let wire = Wire::serve(&embedded, WireConfig::default()).await.unwrap();
    (embedded, wire)
}

/// Produces at `acks=1` and commits past what was produced, with several commits in flight, until the power goes. Notes the
/// offsets that were answered.
async fn commit_until_dark(wire: &Wire, mut random: Random, answered: &mut BTreeMap<i32, i64>) {
    let mut client = Client::connect(wire.addresses()[0]).await;
    let mut producer = Client::connect(wire.addresses()[0]).await;
    loop {
        let mut posted = Vec::new();
        for _ in 0..=random.below(5) {
            let partition = i32::try_from(random.below(2)).unwrap();
            let request = produce_to("t", Uuid::nil(), vec![(partition, batch(&["a", "b", "c"]))], 1);
            let produced = producer.send::<ProduceRequest>(9, &request).await;
            let part = &produced.responses[0].partition_responses[0];
            if error(part.error_code).is_some() {
                return;
            }
            let next = part.base_offset + 3;
            let request = commit_request("g", "t", &[(partition, next)]);
            posted.push((client.post(9, &request).await.unwrap(), partition, next));
            if random.below(2) == 0 {
                collect(&mut client, &mut posted, answered).await;
            }
        }
        if !collect(&mut client, &mut posted, answered).await {
            return;
        }
    }
}

/// Awaits the answers to commits; whether all of them went well.
async fn collect(
    client: &mut Client,
    posted: &mut Vec<(i32, i32, i64)>,
    answered: &mut BTreeMap<i32, i64>,
) -> bool {
    let mut all = true;
    for (id, partition, next) in posted.drain(..) {
        let response = client.receive::<OffsetCommitRequest>(9, id).await.unwrap();
        if error(response.topics[0].partitions[0].error_code).is_none() {
            answered.insert(partition, next);
        } else {
            all = false;
        }
    }
    all
}

async fn torture(seed: u64) {
    let mut random = Random::new(seed);
    let mut disk = SimDisk::new(seed);
    let mut answered = BTreeMap::new();
    let mut generations = Vec::new();
    for round in 0..4 {
        let (embedded, wire) = start(&disk).await;
        disk.off_after(5 + random.below(150));
        let numbers = Random::new(random.number());
        commit_until_dark(&wire, numbers, &mut answered).await;
        wire.close().await;
        drop(embedded);
        disk = disk.crash();
        let (embedded, wire) = start(&disk).await;
        let mut client = Client::connect(wire.addresses()[0]).await;
        for partition in 0..PARTITIONS {
            let request = fetch_from("t", Uuid::nil(), &[(partition, 0, 1)]);
            let end = parts(client.send(11, &request).await).remove(0).high_watermark;
            let found = committed(&mut client, "g", "t", partition).await;
            let last = answered.get(&partition).copied().unwrap_or(-1);
            let what = format!("seed {seed}, round {round}, partition {partition}");
            assert!(found >= last, "{what}: offset {last} was answered, and {found} is there");
            assert!(found <= end, "{what}: offset {found} is past the end, {end}");
        }
        // A member that was told its partitions is in a generation that no one else will ever have.
        let mut member = Member::new(client, "members", "t", 2, 300);
        member.enter().await.unwrap();
        assert!(generations.iter().all(|before| *before < member.generation), "seed {seed}: {generations:?}");
        generations.push(member.generation);
        assert_eq!(member.leave().await, 0);
        wire.close().await;
        drop(embedded);
        disk = disk.crash();
    }
    assert!(!answered.is_empty(), "seed {seed}: the power went before anything was answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_committed_offset_points_past_the_end_when_the_power_goes() {
    for seed in seeds(0, ROUNDS) {
        torture(seed).await;
    }
}
