//! Random histories of transactions, commits and appends on a disk that fails and loses its power, judged by a model: what was
//! committed is whole, what was aborted is absent, offsets go with their records, and what was acknowledged is there once
//! and in order, however often the engine starts again.
//!
//! `MILLSTREAM_TORTURE_ROUNDS` is the number of histories (30 by default), `MILLSTREAM_SEED` the first one's seed.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use bytes::Bytes;
use millstream_broker::{Embedded, EmbeddedConfig};
use millstream_bus::{
    Acks, Bus, CommittedOffset, FetchLimit, Isolation, Position, Record, StartOffset, TopicPartition,
    TopicSpec, TransactionalProducer,
};
use millstream_log::{Log, LogConfig, Operation, Random, SimDisk};
use millstream_model::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{Outcome, histories};

const IDS: [&str; 2] = ["alpha", "beta"];
const PARTITIONS: i32 = 3;

#[derive(Debug)]
struct Transaction {
    outcome: Outcome,
    records: BTreeSet<(i32, u64)>,
    with_offset: bool,
}

/// What must be, and what may be.
#[derive(Debug, Default)]
struct Model {
    /// By id and number.
    transactions: BTreeMap<(&'static str, u64), Transaction>,
    /// Plain records by partition and number: whether each was acknowledged as durable.
    plain: BTreeMap<(i32, u64), bool>,
    /// Groups' offsets that were committed outside transactions; `None` where the outcome of a later one is not known.
    group_offset: Option<i64>,
    group_may_be: BTreeSet<i64>,
    next: u64,
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("out", partition)
}

fn input() -> TopicPartition {
    TopicPartition::new("in", 0)
}

fn record(text: String) -> Record {
    Record::new(Some(Bytes::from_static(b"k")), Some(text.into()), Timestamp(1_700_000_000_000))
}

impl Model {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// One transaction, ended in one way or another.
    async fn transact(
        &mut self,
        random: &mut Random,
        id: &'static str,
        producer: &mut dyn TransactionalProducer,
    ) {
        let number = self.number();
        let mut records = BTreeSet::new();
        let with_offset = random.chance(70);
        let Ok(mut transaction) = producer.begin().await else { return };
        let mut sound = true;
        for k in 0..random.below(6) {
            let partition = i32::try_from(random.below(3)).unwrap();
            let added = transaction.append(&at(partition), vec![record(format!("{id}/{number}/{k}"))]).await;
            sound &= added.is_ok();
            records.insert((partition, k));
        }
        if with_offset {
            let offset = CommittedOffset::new(i64::try_from(number).unwrap());
            sound &= transaction.commit_offsets(id, &[(input(), offset)]).await.is_ok();
        }
        let outcome = match random.below(10) {
            0 => {
                let _ = transaction.abort().await;
                Outcome::Aborted
            }
            1 => {
                drop(transaction);
                Outcome::Aborted
            }
            _ => support::commit(transaction, sound, &format!("{id}/{number}")).await,
        };
        self.transactions.insert((id, number), Transaction { outcome, records, with_offset });
    }

    async fn append(&mut self, random: &mut Random, bus: &Embedded) {
        let partition = i32::try_from(random.below(3)).unwrap();
        let acks = if random.chance(70) { Acks::All } else { Acks::Leader };
        let number = self.number();
        let appended = bus.append(&at(partition), vec![record(format!("plain/{number}/0"))], acks).await;
        self.plain.insert((partition, number), appended.is_ok() && acks == Acks::All);
    }

    async fn commit(&mut self, bus: &Embedded) {
        let offset = i64::try_from(self.number()).unwrap();
        match bus.commit("plain", &[(input(), CommittedOffset::new(offset))]).await {
            Ok(()) => {
                self.group_offset = Some(offset);
                self.group_may_be.clear();
            }
            Err(_) => {
                self.group_may_be.insert(offset);
            }
        }
    }

    /// Compares with what the engine holds after a start, and learns how what was unknown turned out.
    async fn judge(&mut self, bus: &Embedded) {
        let mut found: BTreeMap<(String, u64), BTreeSet<(i32, u64)>> = BTreeMap::new();
        for partition in 0..PARTITIONS {
            let mut last: BTreeMap<String, (u64, u64)> = BTreeMap::new();
            for text in read_all(bus, &at(partition)).await {
                let parts: Vec<&str> = text.split('/').collect();
                let (who, number, k) =
                    (parts[0].to_owned(), parts[1].parse().unwrap(), parts[2].parse().unwrap());
                let before = last.insert(who.clone(), (number, k));
                assert!(before < Some((number, k)), "partition {partition}: {text} comes after {before:?}");
                found.entry((who, number)).or_default().insert((partition, k));
            }
        }
        for ((id, number), transaction) in &mut self.transactions {
            let present = found.remove(&((*id).to_owned(), *number)).unwrap_or_default();
            if !present.is_empty() {
                assert_eq!(present, transaction.records, "{id}/{number} is torn");
            }
            match transaction.outcome {
                Outcome::Committed => {
                    assert_eq!(present, transaction.records, "{id}/{number} was committed and is lost");
                }
                Outcome::Aborted => assert!(present.is_empty(), "{id}/{number} was aborted and is there"),
                Outcome::Unknown if !transaction.records.is_empty() => {
                    let there = !present.is_empty();
                    transaction.outcome = if there { Outcome::Committed } else { Outcome::Aborted };
                }
                Outcome::Unknown => {}
            }
        }
        for ((partition, number), acknowledged) in &mut self.plain {
            let present = found.remove(&("plain".to_owned(), *number)).is_some();
            assert!(present || !*acknowledged, "plain/{number} of {partition} was acknowledged and is lost");
            *acknowledged |= present;
        }
        assert!(found.is_empty(), "nobody wrote {found:?}");
        self.judge_offsets(bus).await;
    }

    async fn judge_offsets(&mut self, bus: &Embedded) {
        for id in IDS {
            let committed =
                bus.committed(id, &[input()]).await.unwrap().remove(0).map(|committed| committed.offset);
            let of_id = |((other, _), transaction): &(&(&str, u64), &mut Transaction)| {
                *other == id && transaction.with_offset
            };
            let mut expected = None;
            for ((_, number), transaction) in self.transactions.iter_mut().filter(of_id) {
                let number = i64::try_from(*number).unwrap();
                if transaction.outcome == Outcome::Unknown {
                    // Of a transaction of an offset alone, the offset tells.
                    let there = committed == Some(number);
                    transaction.outcome = if there { Outcome::Committed } else { Outcome::Aborted };
                }
                if transaction.outcome == Outcome::Committed {
                    expected = Some(number);
                }
            }
            assert_eq!(committed, expected, "the offset of {id} does not go with its records");
        }
        let committed =
            bus.committed("plain", &[input()]).await.unwrap().remove(0).map(|committed| committed.offset);
        let known = committed == self.group_offset
            || committed.is_some_and(|offset| self.group_may_be.contains(&offset));
        assert!(known, "{committed:?} was never committed; {:?} was", self.group_offset);
        self.group_offset = committed;
        self.group_may_be.clear();
    }
}

/// Every committed record of a partition. Nothing may be open.
async fn read_all(bus: &Embedded, of: &TopicPartition) -> Vec<String> {
    let range = bus.offsets(of).await.unwrap();
    assert_eq!(range.stable, range.latest, "{of} has an open transaction after the start");
    let from = vec![Position::new(of.clone(), StartOffset::Earliest)];
    let mut reader = bus.reader(from, Isolation::ReadCommitted).await.unwrap();
    let limit = FetchLimit { wait_max: Duration::ZERO, records_max: 7, ..FetchLimit::default() };
    let mut texts = Vec::new();
    while reader.positions()[0].1 < range.latest {
        for part in reader.poll(limit).await.unwrap() {
            let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
            texts.extend(part.records.into_iter().map(|received| text(received.record.value.unwrap())));
        }
    }
    texts
}

/// Opens the engine; the power may go while it does.
async fn open(disk: &SimDisk) -> Result<(Arc<Log>, Arc<Embedded>), String> {
    let clock = support::clock();
    let opened =
        Log::open(Arc::new(disk.clone()), Path::new("/data"), LogConfig::default(), Arc::clone(&clock));
    let (log, _) = opened.map_err(|error| error.to_string())?;
    let embedded = Embedded::open(Arc::clone(&log), EmbeddedConfig::default(), clock).await;
    Ok((log, embedded.map_err(|error| error.to_string())?))
}

/// One life of the engine: some operations, with faults among them, until the power goes or the process is killed.
async fn live(random: &mut Random, model: &mut Model, disk: &SimDisk, log: &Log, bus: &Embedded) {
    let mut producers: BTreeMap<&str, Box<dyn TransactionalProducer>> = BTreeMap::new();
    if random.chance(80) {
        disk.off_after(random.below(250));
    }
    for _ in 0..5 + random.below(40) {
        match random.below(20) {
            0 => {
                // Another instance takes over; what this one has open is lost to it.
                producers.clear();
            }
            1 => {
                let part = ["out", "in", "__transaction_state", "__consumer_offsets", "topics/out/1"];
                let part = part[usize::try_from(random.below(5)).unwrap()];
                let operation = if random.chance(70) { Operation::Sync } else { Operation::Write };
                disk.fail(operation, part, u32::try_from(1 + random.below(2)).unwrap());
            }
            2 => log.maintain(),
            3..6 => model.append(random, bus).await,
            6..8 => model.commit(bus).await,
            _ => {
                let id = IDS[usize::try_from(random.below(2)).unwrap()];
                if !producers.contains_key(id) {
                    match bus.transactional(id).await {
                        Ok(producer) => drop(producers.insert(id, producer)),
                        Err(_) => continue,
                    }
                }
                model.transact(random, id, &mut **producers.get_mut(id).unwrap()).await;
            }
        }
    }
}

async fn history(seed: u64) {
    let mut random = Random::new(seed);
    let mut disk = SimDisk::new(seed);
    let mut model = Model::default();
    {
        let (_log, bus) = open(&disk).await.unwrap();
        bus.create_topic(&TopicSpec::new("out", PARTITIONS).config("retention.ms", "-1")).await.unwrap();
        bus.create_topic(&TopicSpec::new("in", 1).config("retention.ms", "-1")).await.unwrap();
        // Offsets are committed as far as the input goes.
        let records = (0..3).map(|n| record(format!("in/{n}/0"))).collect();
        bus.append(&input(), records, Acks::All).await.unwrap();
    }
    disk = disk.kill();
    for _ in 0..2 + random.below(4) {
        let (log, bus) = match open(&disk).await {
            Ok(opened) => opened,
            Err(error) => panic!("the engine does not start: {error}"),
        };
        model.judge(&bus).await;
        live(&mut random, &mut model, &disk, &log, &bus).await;
        let next = if random.chance(70) { disk.crash() } else { disk.kill() };
        drop((log, bus));
        disk = next;
        if random.chance(25) {
            // The power goes again while it starts.
            disk.off_after(random.below(60));
            let _ = open(&disk).await;
            disk = disk.crash();
        }
    }
    let (_log, bus) = open(&disk).await.unwrap();
    model.judge(&bus).await;
}

#[test]
fn transactions_are_whole_or_absent_whatever_the_disk_does() {
    histories(30, history);
}
