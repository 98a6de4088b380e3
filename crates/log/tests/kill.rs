//! A writer is killed with SIGKILL at random points: every record it acknowledged is there once and in order.
//!
//! The writer is this test program, started again with an environment variable. It appends to three partitions and prints a line for each
//! acknowledged record; the lines that arrived before it died are the ledger.
//!
//! `MILLSTREAM_KILL_ROUNDS` sets the number of rounds, `MILLSTREAM_KILL_SEED` the seed; it is printed.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use millstream_log::{Log, LogConfig, OsDisk, Partition, Random};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use support::{TestClock, append, configs, contents};

const WRITER_DIR: &str = "MILLSTREAM_KILL_WRITER_DIR";
const WRITER_ROUND: &str = "MILLSTREAM_KILL_WRITER_ROUND";
const ROUNDS: u64 = 12;
const PARTITIONS: i32 = 3;

/// Partition and offset to value.
type Ledger = BTreeMap<(i32, i64), String>;

fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn open(dir: &Path) -> Arc<Log> {
    let config = LogConfig { reserve_bytes: 1 << 20, ..LogConfig::default() };
    Log::open(Arc::new(OsDisk), dir, config, TestClock::new(1)).unwrap().0
}

#[test]
fn every_acknowledged_record_survives_kill_9() {
    if let Ok(dir) = std::env::var(WRITER_DIR) {
        write_until_killed(Path::new(&dir), number_from_env(WRITER_ROUND).unwrap());
        return;
    }
    let rounds = number_from_env("MILLSTREAM_KILL_ROUNDS").unwrap_or(ROUNDS);
    let seed = number_from_env("MILLSTREAM_KILL_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let settings = configs(&[("segment.bytes", "5000"), ("retention.ms", "-1")]);
    open(dir.path()).create_topic("t", PARTITIONS, &settings).unwrap();
    let mut ledger = Ledger::new();
    for round in 0..rounds {
        // Also during recovery, before the first record.
        let lines = if random.chance(20) { 0 } else { random.below(300) };
        run_writer_and_kill_it(dir.path(), round, lines, &mut ledger);
        let log = open(dir.path());
        check(&log, &ledger);
    }
    assert!(!ledger.is_empty());
}

fn run_writer_and_kill_it(dir: &Path, round: u64, lines: u64, ledger: &mut Ledger) {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "every_acknowledged_record_survives_kill_9", "--nocapture"])
        .env(WRITER_DIR, dir)
        .env(WRITER_ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = 0;
    let mut output = BufReader::new(writer.stdout.take().unwrap()).lines();
    // What is in the pipe when it dies was acknowledged, too.
    while let Some(Ok(line)) = output.next() {
        let words: Vec<_> = line.split(' ').collect();
        if let ["acknowledged", partition, offset, value] = words[..] {
            let place = (partition.parse().unwrap(), offset.parse().unwrap());
            let before = ledger.insert(place, value.to_owned());
            assert_eq!(before, None, "an acknowledged offset was given again");
            seen += 1;
        }
        if seen >= lines && (seen > 0 || words[0] == "started") {
            writer.kill().unwrap();
        }
    }
    let status = writer.wait().unwrap();
    assert!(!status.success(), "the writer ended by itself");
}

/// Everything in the ledger is there, and nothing is there twice.
fn check(log: &Log, ledger: &Ledger) {
    for number in 0..PARTITIONS {
        let found = contents(&log.partition("t", number).unwrap());
        assert!(found.iter().map(|(offset, _)| *offset).eq(0..i64::try_from(found.len()).unwrap()));
        let mut values: Vec<_> = found.iter().map(|(_, value)| value).collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), found.len(), "a record is there twice");
        for ((_, offset), value) in ledger.range((number, 0)..(number + 1, 0)) {
            let found = found.get(usize::try_from(*offset).unwrap());
            assert_eq!(found, Some(&(*offset, value.clone())), "partition {number}");
        }
    }
}

fn write_until_killed(dir: &Path, round: u64) {
    std::io::stdout().lock().write_all(b"\nstarted\n").unwrap();
    let log = open(dir);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let writers: Vec<_> = (0..PARTITIONS)
        .map(|number| {
            let partition = log.partition("t", number).unwrap();
            runtime.spawn(write(partition, round))
        })
        .collect();
    for writer in writers {
        runtime.block_on(writer).unwrap();
    }
}

async fn write(partition: Arc<Partition>, round: u64) {
    for count in 0.. {
        let value = format!("{round}-{count}");
        let next = append(&partition, &[&value]);
        partition.flushed(next).await.unwrap();
        let line = format!("acknowledged {} {} {value}\n", partition.number(), next - 1);
        // One write per line, so that no line is torn.
        if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}
