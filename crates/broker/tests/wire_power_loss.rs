//! The power goes while clients produce: what was answered at `acks=all` is there afterwards, and it always starts.
//!
//! `MILLSTREAM_TORTURE_ROUNDS` is the number of histories, `MILLSTREAM_SEED` the first one's seed.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use kafka_protocol::messages::ProduceRequest;
use millstream_broker::{Embedded, EmbeddedConfig, Wire, WireConfig};
use millstream_log::{Random, SimDisk};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use support::client::Client;
use support::data::{batch, error, fetch, produce_to, texts};
use support::{clock, open_log, seeds};
use uuid::Uuid;

/// Histories of one run.
const ROUNDS: u64 = 8;
const PARTITIONS: i32 = 3;

/// What was answered: for each partition the values by offset.
type Acknowledged = BTreeMap<(i32, i64), String>;

async fn start(disk: &SimDisk) -> (Arc<Embedded>, Wire) {
    let log = open_log(Arc::new(disk.clone()), Path::new("/data"));
    if log.topic("t").is_none() {
        let configs = [("segment.bytes".to_owned(), "2000".to_owned())].into();
        log.create_topic("t", PARTITIONS, &configs).unwrap();
    }
    let embedded = Embedded::open(log, EmbeddedConfig::default(), clock()).await.unwrap();
    let wire = Wire::serve(&embedded, WireConfig::default()).await.unwrap();
    (embedded, wire)
}

/// Produces with many requests in flight until the power goes, and notes what is answered.
async fn produce_until_dark(wire: &Wire, round: u64, mut random: Random, acknowledged: &mut Acknowledged) {
    let mut client = Client::connect(wire.addresses()[0]).await;
    let mut number = 0;
    loop {
        let mut posted = Vec::new();
        for _ in 0..=random.below(8) {
            let partition = i32::try_from(random.below(3)).unwrap();
            let text =
                format!("{round}-{number}-{}", "x".repeat(usize::try_from(random.below(200)).unwrap()));
            // Some are not asked to be durable; nothing is promised of them, but they lie among the others.
            let acks = if random.below(4) == 0 { 1 } else { -1 };
            let request = produce_to("t", Uuid::nil(), vec![(partition, batch(&[&text]))], acks);
            posted.push((client.post(9, &request).await.unwrap(), partition, acks, text));
            number += 1;
        }
        for (id, partition, acks, text) in posted {
            let response = client.receive::<ProduceRequest>(9, id).await.unwrap();
            let part = &response.responses[0].partition_responses[0];
            match error(part.error_code) {
                None if acks == -1 => drop(acknowledged.insert((partition, part.base_offset), text)),
                None => {}
                Some(_) => return,
            }
        }
    }
}

/// All that a partition holds, by offset.
async fn contents(client: &mut Client, partition: i32) -> BTreeMap<i64, String> {
    let mut found = BTreeMap::new();
    let mut offset = 0;
    loop {
        let request = support::data::fetch_from("t", Uuid::nil(), &[(partition, offset, 1 << 20)]);
        let part = support::data::parts(client.send(11, &request).await).remove(0);
        assert_eq!(error(part.error_code), None);
        let records = texts(&part.records.unwrap());
        let Some((last, _)) = records.last() else {
            assert_eq!(offset, part.high_watermark, "no offset is missing at the end");
            return found;
        };
        offset = last + 1;
        found.extend(records);
    }
}

async fn torture(seed: u64) {
    let mut random = Random::new(seed);
    let mut disk = SimDisk::new(seed);
    let mut acknowledged = Acknowledged::new();
    for round in 0..4 {
        let (embedded, wire) = start(&disk).await;
        disk.off_after(5 + random.below(200));
        let numbers = Random::new(random.number());
        produce_until_dark(&wire, round, numbers, &mut acknowledged).await;
        wire.close().await;
        drop(embedded);
        disk = disk.crash();
        let (embedded, wire) = start(&disk).await;
        let mut client = Client::connect(wire.addresses()[0]).await;
        let mut kept = BTreeMap::new();
        for partition in 0..PARTITIONS {
            let found = contents(&mut client, partition).await;
            assert!((0..).zip(found.keys()).all(|(offset, found)| offset == *found), "seed {seed}: no gap");
            kept.extend(found.into_iter().map(|(offset, text)| ((partition, offset), text)));
        }
        for (place, text) in &acknowledged {
            assert_eq!(kept.get(place), Some(text), "seed {seed}, round {round}: {place:?}");
        }
        assert_eq!(error(fetch(&mut client, "t", 0).await.error_code), None);
        wire.close().await;
        embedded.close().await.unwrap();
        disk = disk.kill();
    }
    assert!(!acknowledged.is_empty(), "seed {seed}: the power went before anything was acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_with_the_power() {
    for seed in seeds(0, ROUNDS) {
        torture(seed).await;
    }
}
