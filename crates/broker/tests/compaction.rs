//! Random histories on a compacted topic, on a disk that fails, fills up and loses its power: for readers of committed records the
//! newest committed record of each key is the newest, whatever compaction took away and however late a marker came.
//!
//! `MILLSTREAM_TORTURE_ROUNDS` is the number of histories (40 by default), `MILLSTREAM_SEED` the first one's seed.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use bytes::Bytes;
use millstream_broker::Embedded;
use millstream_bus::{Acks, Bus, Record, TopicPartition, TopicSpec, TransactionalProducer};
use millstream_log::{Log, Operation, Random, SimDisk};
use millstream_model::Timestamp;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::Arc;
use support::{Outcome, histories};

const PARTITIONS: u64 = 2;
const KEYS: u64 = 4;

/// Every write to a key of a partition in the order they were made, and how each ended.
#[derive(Debug, Default)]
struct Model {
    writes: BTreeMap<(i32, String), Vec<(String, u64)>>,
    outcomes: BTreeMap<u64, Outcome>,
}

fn at(partition: i32) -> TopicPartition {
    support::at("out", partition)
}

impl Model {
    /// A record for some partition, written down as one of `number`.
    fn write(&mut self, random: &mut Random, number: u64) -> (TopicPartition, Vec<Record>) {
        let partition = i32::try_from(random.below(PARTITIONS)).unwrap();
        let key = format!("key{}", random.below(KEYS));
        let writes = self.writes.entry((partition, key.clone())).or_default();
        let value = format!("{number}/{}", writes.len());
        writes.push((value.clone(), number));
        let filler = Bytes::from(vec![b'x'; usize::try_from(random.below(60)).unwrap()]);
        let record = Record::new(Some(key.into()), Some(value.into()), Timestamp(1_700_000_000_000));
        (at(partition), vec![record.header("filler", filler)])
    }

    fn number(&self) -> u64 {
        u64::try_from(self.outcomes.len()).unwrap()
    }

    async fn transact(&mut self, random: &mut Random, producer: &mut dyn TransactionalProducer) {
        let number = self.number();
        let Ok(mut transaction) = producer.begin().await else { return };
        let mut sound = true;
        for _ in 0..=random.below(4) {
            let (to, records) = self.write(random, number);
            sound &= transaction.append(&to, records).await.is_ok();
        }
        let outcome = match random.below(8) {
            0 | 1 => {
                let _ = transaction.abort().await;
                Outcome::Aborted
            }
            2 => {
                drop(transaction);
                Outcome::Aborted
            }
            _ => support::commit(transaction, sound, &format!("{number}")).await,
        };
        self.outcomes.insert(number, outcome);
    }

    async fn append(&mut self, random: &mut Random, bus: &Embedded) {
        let number = self.number();
        let (to, records) = self.write(random, number);
        let appended = bus.append(&to, records, Acks::All).await;
        let outcome = if appended.is_ok() { Outcome::Committed } else { Outcome::Unknown };
        self.outcomes.insert(number, outcome);
    }

    /// Compares with what committed readers find. Nothing may be open.
    async fn judge(&self, bus: &Embedded) {
        for partition in 0..i32::try_from(PARTITIONS).unwrap() {
            let range = bus.offsets(&at(partition)).await.unwrap();
            assert_eq!(range.stable, range.latest, "{partition} has an open transaction");
            let found = support::newest(bus, &at(partition)).await;
            for ((_, key), writes) in self.writes.iter().filter(|((of, _), _)| *of == partition) {
                let found = found.get(key);
                let newest = writes.iter().rev().find(|(value, number)| match self.outcomes[number] {
                    Outcome::Committed => true,
                    Outcome::Aborted => false,
                    Outcome::Unknown => found == Some(value),
                });
                assert_eq!(
                    found,
                    newest.map(|(value, _)| value),
                    "the newest {key} of partition {partition}"
                );
            }
        }
    }
}

/// One life of the engine, with faults.
async fn live(random: &mut Random, model: &mut Model, disk: &SimDisk, log: &Log, bus: &Embedded) {
    let mut producers: BTreeMap<u64, Box<dyn TransactionalProducer>> = BTreeMap::new();
    for _ in 0..100 {
        match random.below(24) {
            0 => producers.clear(),
            1 => {
                let part = ["out", "topics/out/1", "__transaction_state", "__consumer_offsets"];
                let part = part[usize::try_from(random.below(4)).unwrap()];
                let operation = if random.chance(70) { Operation::Sync } else { Operation::Write };
                disk.fail(operation, part, u32::try_from(1 + random.below(2)).unwrap());
            }
            2 => disk.limit(Some(0)),
            3 => disk.limit(None),
            4..8 => log.maintain(),
            8..10 => model.append(random, bus).await,
            _ => {
                let id = random.below(2);
                let producer = match producers.entry(id) {
                    Entry::Occupied(taken) => taken.into_mut(),
                    Entry::Vacant(free) => match bus.transactional(&format!("id{id}")).await {
                        Ok(producer) => free.insert(producer),
                        Err(_) => continue,
                    },
                };
                model.transact(random, &mut **producer).await;
            }
        }
    }
    disk.limit(None);
}

async fn history(seed: u64) {
    let mut random = Random::new(seed);
    let mut disk = SimDisk::new(seed);
    let mut model = Model::default();
    {
        let bus = support::open(Arc::new(disk.clone()), Path::new("/data")).await;
        let retention = if seed.is_multiple_of(2) { "0" } else { "1000000" };
        let spec = TopicSpec::compacted("out", i32::try_from(PARTITIONS).unwrap())
            .config("segment.bytes", "500")
            .config("min.cleanable.dirty.ratio", "0")
            .config("delete.retention.ms", retention);
        bus.create_topic(&spec).await.unwrap();
    }
    disk = disk.kill();
    for _ in 0..3 {
        let (log, bus) = support::open_both(Arc::new(disk.clone()), Path::new("/data")).await;
        model.judge(&bus).await;
        live(&mut random, &mut model, &disk, &log, &bus).await;
        let next = if random.chance(60) { disk.crash() } else { disk.kill() };
        drop((log, bus));
        disk = next;
    }
    let (log, bus) = support::open_both(Arc::new(disk.clone()), Path::new("/data")).await;
    model.judge(&bus).await;
    log.maintain();
    model.judge(&bus).await;
}

#[test]
fn the_newest_committed_record_of_each_key_stays_whatever_the_disk_does() {
    histories(40, history);
}
