//! Zeros that are laid ahead of the records: never seen, never in the way of recovery, and gone when a segment is closed.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use millstream_log::{Log, Partition, Random, SimDisk};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{DIR, TestClock, append, batch, configs, contents, one_partition, open, small};

fn segment(base_offset: i64) -> PathBuf {
    Path::new(DIR).join(format!("topics/t/0/{base_offset:020}-0.log"))
}

fn length(disk: &SimDisk) -> u64 {
    disk.contents(&segment(0)).unwrap().len() as u64
}

/// Appends and syncs until there are zeros ahead.
fn append_until_ahead(disk: &SimDisk, partition: &Partition) {
    for number in 0.. {
        append(partition, &[&number.to_string()]);
        partition.sync().unwrap();
        if length(disk) > partition.size_bytes() {
            return;
        }
        assert!(number < 20, "zeros are laid after a few syncs");
    }
}

#[test]
fn a_segment_that_is_synced_often_has_zeros_ahead_and_readers_do_not_see_them() {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &[]);
    append_until_ahead(&disk, &partition);
    let (before, size) = (contents(&partition), length(&disk));
    append(&partition, &["in their place"]);
    partition.sync().unwrap();
    assert_eq!(length(&disk), size, "the file does not grow");
    assert_eq!(contents(&partition).len(), before.len() + 1);
    log.close().unwrap();
    assert_eq!(length(&disk), partition.size_bytes(), "a clean end leaves none behind");
}

#[test]
fn zeros_are_cut_off_when_the_segment_is_closed() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[("segment.bytes", "4000")]);
    append_until_ahead(&disk, &partition);
    let kept = partition.size_bytes();
    append(&partition, &[&"x".repeat(4_000 - 61)]);
    assert_eq!(length(&disk), kept);
}

#[test]
fn after_a_kill_zeros_are_nothing_to_report() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[]);
    append_until_ahead(&disk, &partition);
    let before = contents(&partition);
    let disk = disk.kill();
    let reopened = Log::open(Arc::new(disk.clone()), Path::new(DIR), small(), TestClock::new(1));
    let (log, reports) = reopened.unwrap();
    assert_eq!(reports, []);
    let partition = log.partition("t", 0).unwrap();
    assert_eq!(contents(&partition), before);
    assert_eq!(length(&disk), partition.size_bytes());
}

#[test]
fn a_disk_without_room_for_zeros_takes_records_on() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[]);
    append(&partition, &["first"]);
    partition.sync().unwrap();
    let used: u64 = 40_000;
    disk.limit(Some(used));
    for number in 0..30 {
        append(&partition, &[&number.to_string()]);
        partition.sync().unwrap();
    }
    assert_eq!(contents(&partition).len(), 31);
}

#[test]
fn on_a_full_disk_every_segment_gives_its_zeros_back() {
    let disk = SimDisk::new(1);
    let (log, idle) = one_partition(&disk, &[]);
    append_until_ahead(&disk, &idle);
    let ahead = length(&disk) - idle.size_bytes();
    log.create_topic("full", 1, &configs(&[])).unwrap();
    let full = log.partition("full", 0).unwrap();
    let has_room = |bytes: usize| full.append(&mut batch(&[&"x".repeat(bytes)])).is_ok();
    assert!(has_room(10));
    let total = 1 << 30;
    disk.limit(Some(total));
    disk.limit(Some(total - log.space().unwrap().free_bytes + 1_000));
    let wanted = usize::try_from(ahead / 2).unwrap();
    assert!(!has_room(wanted), "what would fit in the zeros of another segment");
    log.maintain();
    assert_eq!(length(&disk), idle.size_bytes());
    assert!(has_room(wanted));
}

#[test]
fn nothing_synced_is_lost_with_the_power() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(seed);
        let log = open(&disk);
        log.create_topic("t", 1, &configs(&[("segment.bytes", "20000")])).unwrap();
        let partition = log.partition("t", 0).unwrap();
        disk.off_after(20 + random.below(300));
        let mut synced = 0;
        for number in 0.. {
            let text = format!("{number}-{}", "x".repeat(usize::try_from(random.below(300)).unwrap()));
            let Ok(appended) = partition.append(&mut batch(&[&text])) else { break };
            if random.chance(70) {
                if partition.sync().is_err() {
                    break;
                }
                synced = appended.next_offset;
            }
        }
        let log = open(&disk.crash());
        let found = contents(&log.partition("t", 0).unwrap());
        assert!(i64::try_from(found.len()).unwrap() >= synced, "seed {seed}: {} of {synced}", found.len());
        for (number, (offset, text)) in (0..).zip(found) {
            assert!(offset == number && text.starts_with(&format!("{number}-")), "seed {seed}: {offset}");
        }
    }
}
