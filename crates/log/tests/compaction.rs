//! Compaction against a model, with transactions, tombstones and producers whose last batch must not vanish.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use bytes::Bytes;
use millstream_log::batch::{
    BatchBuilder, BatchHeader, Compression, ControlKind, ControlMarker, Record, batches,
};
use millstream_log::{Log, Partition, Random, SimDisk};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{DIR, TestClock, configs, keyed, one_partition, open, read_from, small, text};

const COMPACTED: [(&str, &str); 3] =
    [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0"), ("segment.bytes", "600")];

/// Records as a reader of committed records sees them, and all headers.
fn committed(partition: &Partition) -> (Vec<Record>, Vec<BatchHeader>) {
    let (mut records, mut headers) = (Vec::new(), Vec::new());
    let mut open: BTreeMap<i64, Vec<Record>> = BTreeMap::new();
    let mut next = partition.range().earliest;
    loop {
        let run = partition.read(next, 1000).unwrap();
        if run.is_empty() {
            break;
        }
        for batch in batches(run) {
            let batch = batch.unwrap();
            next = batch.header.next_offset();
            headers.push(batch.header);
            let producer = batch.header.producer_id;
            let mut found = batch.records().unwrap();
            if batch.header.is_control() {
                let marker = found.first().and_then(|record| ControlMarker::decode(record).unwrap());
                let ended = open.remove(&producer).unwrap_or_default();
                if marker.is_some_and(|marker| marker.kind == ControlKind::Commit) {
                    records.extend(ended);
                }
            } else if batch.header.is_transactional() {
                open.entry(producer).or_default().append(&mut found);
            } else {
                records.append(&mut found);
            }
        }
    }
    assert!(open.values().all(Vec::is_empty), "a transaction has lost its marker");
    records.sort_by_key(|record| record.offset);
    (records, headers)
}

/// The newest value of each key; `None` for a tombstone.
fn table(records: &[Record]) -> BTreeMap<String, Option<String>> {
    let pairs = records
        .iter()
        .map(|record| (text(record.key.as_ref()), record.value.as_ref().map(|value| text(Some(value)))));
    pairs.collect()
}

fn values(table: BTreeMap<String, Option<String>>) -> BTreeMap<String, String> {
    table.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

#[test]
fn the_newest_record_of_each_key_stays_with_its_offset() {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &COMPACTED);
    for round in 0..50 {
        let value = round.to_string();
        let pairs: Vec<_> =
            ["a", "b", "c"].iter().map(|key| (Some(*key), Some(value.as_str()), round)).collect();
        partition.append(&mut keyed(&pairs)).unwrap();
    }
    let before = read_from(&partition, 0).unwrap();
    log.maintain();
    let after = read_from(&partition, 0).unwrap();
    assert!(after.len() < before.len() / 5, "{} of {} stay", after.len(), before.len());
    for record in &after {
        assert_eq!(before[usize::try_from(record.offset).unwrap()], *record);
    }
    assert_eq!(table(&after), table(&before));
    for from in 0..150 {
        let expected = after.iter().find(|record| record.offset >= from);
        assert_eq!(read_from(&partition, from).unwrap().first(), expected);
    }
    drop((log, partition));
    let log = open(&disk.crash());
    assert_eq!(read_from(&log.partition("t", 0).unwrap(), 0).unwrap(), after);
}

#[test]
fn random_histories_keep_their_committed_table() {
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(seed);
        let mut settings = COMPACTED.to_vec();
        settings.push(("delete.retention.ms", if seed % 2 == 0 { "0" } else { "1000000" }));
        let (log, partition) = one_partition(&disk, &settings);
        let mut sequences = [0; 4];
        for step in 0..120 {
            let producer = usize::try_from(random.below(4)).unwrap();
            match random.below(10) {
                0..=5 => append_some(&partition, &mut random, step, producer, &mut sequences),
                6..=8 if producer < 3 => {
                    let kind = if random.chance(50) { ControlKind::Commit } else { ControlKind::Abort };
                    end_transaction(&partition, kind, producer);
                }
                _ => {
                    log.maintain();
                }
            }
        }
        (0..3).for_each(|producer| end_transaction(&partition, ControlKind::Commit, producer));
        let (before, headers) = committed(&partition);
        let last: BTreeMap<_, _> =
            headers.iter().filter(|h| !h.is_control()).map(|h| (h.producer_id, h.base_sequence)).collect();
        for _ in 0..3 {
            log.maintain();
            let (after, headers) = committed(&partition);
            assert_eq!(values(table(&after)), values(table(&before)), "seed {seed}");
            if seed % 2 == 1 {
                assert_eq!(table(&after), table(&before), "a tombstone went early, seed {seed}");
                let kept: BTreeMap<_, _> = headers
                    .iter()
                    .filter(|h| !h.is_control())
                    .map(|h| (h.producer_id, h.base_sequence))
                    .collect();
                assert_eq!(kept, last, "a producer lost its last sequence number, seed {seed}");
            }
        }
    }
}

/// A full disk can hold a marker up until the producer's next transaction, which has another epoch, has begun and ended.
#[test]
fn a_late_marker_ends_the_transaction_that_it_names() {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &COMPACTED);
    for (epoch, value) in [(0, "kept"), (1, "aborted")] {
        let mut builder = BatchBuilder::new(Compression::None).producer(7, epoch, 0).transactional();
        builder.push(0, Some(Bytes::from("key")), Some(Bytes::from(value)), Vec::new());
        partition.append(&mut builder.finish().unwrap()).unwrap();
    }
    for (epoch, kind) in [(1, ControlKind::Abort), (0, ControlKind::Commit)] {
        let marker = ControlMarker { kind, coordinator_epoch: 0 };
        partition.append(&mut BatchBuilder::control(marker, 7, epoch, 0)).unwrap();
    }
    for _ in 0..2 {
        partition.append(&mut keyed(&[(Some("filler"), Some(&"x".repeat(600)), 0)])).unwrap();
    }
    log.maintain();
    let values: Vec<_> =
        read_from(&partition, 0).unwrap().iter().map(|record| text(record.value.as_ref())).collect();
    assert_eq!(values.first().map(String::as_str), Some("kept"), "{values:?}");
    assert!(!values.iter().any(|value| value == "aborted"), "{values:?}");
}

/// Appends a batch of producer 0 to 2 in its transaction, or of 3 outside any.
fn append_some(
    partition: &Partition,
    random: &mut Random,
    step: i64,
    producer: usize,
    sequences: &mut [i32; 4],
) {
    let codec = [Compression::None, Compression::Lz4][usize::from(random.chance(50))];
    let id = i64::try_from(producer).unwrap();
    let mut builder = BatchBuilder::new(codec).producer(id, 0, sequences[producer]);
    if producer < 3 {
        builder = builder.transactional();
    }
    for _ in 0..=random.below(3) {
        let key = Bytes::from(format!("key{}", random.below(6)));
        let value = random.chance(80).then(|| Bytes::from(format!("{step}")));
        builder.push(step, Some(key), value, Vec::new());
        sequences[producer] += 1;
    }
    partition.append(&mut builder.finish().unwrap()).unwrap();
}

fn end_transaction(partition: &Partition, kind: ControlKind, producer: usize) {
    let marker = ControlMarker { kind, coordinator_epoch: 0 };
    let id = i64::try_from(producer).unwrap();
    partition.append(&mut BatchBuilder::control(marker, id, 0, 0)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tombstone_stays_for_the_delete_retention_and_then_goes() {
    let disk = SimDisk::new(1);
    let clock = TestClock::new(0);
    let (log, _) = Log::open(Arc::new(disk), Path::new(DIR), small(), Arc::clone(&clock) as _).unwrap();
    let mut settings = COMPACTED.to_vec();
    settings.push(("delete.retention.ms", "3600000"));
    log.create_topic("t", 1, &configs(&settings)).unwrap();
    let partition = log.partition("t", 0).unwrap();
    let pass = async |minutes: u64| {
        let filler = "x".repeat(600);
        partition.append(&mut keyed(&[(Some("filler"), Some(&filler), 0)])).unwrap();
        tokio::time::advance(Duration::from_secs(minutes * 60)).await;
        let now_ms = clock.0.load(std::sync::atomic::Ordering::Relaxed);
        clock.set(now_ms + i64::try_from(minutes * 60_000).unwrap());
        log.maintain();
        table(&read_from(&partition, 0).unwrap()).get("gone").cloned()
    };
    partition.append(&mut keyed(&[(Some("gone"), Some("value"), 0)])).unwrap();
    partition.append(&mut keyed(&[(Some("gone"), None, 0)])).unwrap();
    assert_eq!(pass(1).await, Some(None));
    assert_eq!(pass(50).await, Some(None));
    assert_eq!(pass(20).await, None);
}

#[test]
fn damaged_segments_are_left_alone() {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &COMPACTED);
    for round in 0..30 {
        partition.append(&mut keyed(&[(Some("a"), Some(&round.to_string()), 0)])).unwrap();
    }
    partition.sync().unwrap();
    let path = Path::new(DIR).join("topics/t/0/00000000000000000000-0.log");
    let mut bytes = disk.contents(&path).unwrap();
    bytes[100] ^= 1;
    disk.set_contents(&path, &bytes);
    drop((log, partition));
    let disk = disk.kill();
    let log = open(&disk);
    let partition = log.partition("t", 0).unwrap();
    log.maintain();
    assert_eq!(disk.contents(&path).unwrap(), bytes);
    assert!(partition.read(1, 1).is_err());
    assert_eq!(partition.range().next, 30);
}
