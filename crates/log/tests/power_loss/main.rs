//! Thousands of random histories on a disk that forgets, reorders and tears whatever was not synced, fills up, and fails.
//!
//! Each round makes topics, appends, syncs, deletes, compacts and crashes, several times in a row on what the crash before
//! left over, also in the middle of an operation and of recovery. After each crash the log must start, and everything that was
//! acknowledged must be there once and in order ([`model`] says what that means).
//!
//! `MILLSTREAM_TORTURE_ROUNDS` sets the number of rounds, `MILLSTREAM_TORTURE_SEED` the first seed; it is printed.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod model;
#[path = "../support/mod.rs"]
mod support;

use millstream_log::{Log, LogConfig, LogError, Operation, Random, SimDisk};
use model::{Kind, Model};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use support::{DIR, TestClock, configs};

const ROUNDS: u64 = 400;
const CRASHES: u64 = 4;
const STEPS_MAX: u64 = 40;

fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn everything_acknowledged_survives_every_crash() {
    let rounds = number_from_env("MILLSTREAM_TORTURE_ROUNDS").unwrap_or(ROUNDS);
    let first =
        number_from_env("MILLSTREAM_TORTURE_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) >> 16);
    println!("seeds {first} to {}", first + rounds - 1);
    for seed in first..first + rounds {
        let round = std::panic::catch_unwind(|| round(seed));
        assert!(round.is_ok(), "failed with MILLSTREAM_TORTURE_ROUNDS=1 MILLSTREAM_TORTURE_SEED={seed}");
    }
}

fn round(seed: u64) {
    let mut random = Random::new(seed);
    let mut disk = SimDisk::new(random.number());
    let mut model = Model::default();
    for _ in 0..CRASHES {
        let log = start(&mut disk, &mut random);
        model.check_and_adopt(&log);
        if random.chance(50) {
            disk.off_after(random.below(60));
        }
        for _ in 0..random.below(STEPS_MAX) {
            match step(&log, &disk, &mut model, &mut random) {
                // The disk is full, the power is off, a fault was injected, or a topic is half deleted.
                Ok(())
                | Err(
                    LogError::DiskFull { .. }
                    | LogError::Fenced { .. }
                    | LogError::Io { .. }
                    | LogError::UnknownPartition { .. },
                ) => {}
                Err(error) => panic!("{error}"),
            }
            model.observe(&log);
        }
        disk = if random.chance(20) { disk.kill() } else { disk.crash() };
        disk.limit(None);
        drop(log);
    }
    let log = start(&mut disk, &mut random);
    model.check_and_adopt(&log);
}

/// Starts the log; sometimes the power goes again during recovery first.
fn start(disk: &mut SimDisk, random: &mut Random) -> Arc<Log> {
    while random.chance(30) {
        disk.off_after(random.below(20));
        drop(open(disk));
        *disk = disk.crash();
    }
    open(disk).unwrap()
}

fn open(disk: &SimDisk) -> Result<Arc<Log>, LogError> {
    let config = LogConfig { reserve_bytes: 0, open_files_max: 4, ..LogConfig::default() };
    Log::open(Arc::new(disk.clone()), Path::new(DIR), config, TestClock::new(1)).map(|(log, _)| log)
}

fn step(log: &Log, disk: &SimDisk, model: &mut Model, random: &mut Random) -> Result<(), LogError> {
    let name = ["a", "b", "c"][usize::try_from(random.below(3)).unwrap()];
    let Some(topic) = log.topic(name) else {
        if model.may_come_back(name) {
            return Ok(());
        }
        let kind = [Kind::Kept, Kind::Retained, Kind::Compacted][usize::try_from(random.below(3)).unwrap()];
        model.creating(name, kind);
        let segment_bytes = (100 + random.below(1500)).to_string();
        let mut pairs = vec![("segment.bytes", segment_bytes.as_str())];
        pairs.extend(kind.configs());
        log.create_topic(name, 2, &configs(&pairs))?;
        model.created(name);
        return Ok(());
    };
    assert_eq!(topic.partitions, 2);
    let number = i32::from(random.chance(50));
    let partition = log.partition(name, number)?;
    match random.below(100) {
        0..=49 => model.append(&partition, random),
        50..=69 => model.sync(&partition),
        70..=79 => {
            log.maintain();
            Ok(())
        }
        80..=84 => model.delete_before(&partition, random),
        85..=88 => {
            disk.limit(if random.chance(50) { None } else { Some(random.below(20_000)) });
            Ok(())
        }
        89..=91 => {
            disk.fail(Operation::Sync, "", 1);
            Ok(())
        }
        92 => {
            disk.fail(Operation::Write, ".log", 1);
            Ok(())
        }
        93..=94 => {
            model.deleting(name);
            log.delete_topic(name)?;
            model.deleted(name);
            Ok(())
        }
        _ => {
            model.check_read(&partition, random);
            Ok(())
        }
    }
}
