//! A full disk, a failing disk, a jumping clock, few file handles.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use millstream_log::{Log, LogConfig, LogError, Operation, SimDisk};
use millstream_model::metric::{Collect, Page};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{DIR, TestClock, append, batch, configs, contents, keyed, one_partition, open, small};

const DAY_MS: i64 = 86_400_000;

fn used(disk: &SimDisk) -> u64 {
    disk.limit(Some(1 << 40));
    let space = millstream_log::Disk::space(disk, Path::new(DIR)).unwrap();
    space.total_bytes - space.free_bytes
}

#[test]
fn a_full_disk_refuses_appends_and_nothing_else_until_there_is_space() {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &[]);
    append(&partition, &["a"]);
    disk.limit(Some(used(&disk) + 30));
    for _ in 0..3 {
        let error = partition.append(&mut batch(&["b"])).unwrap_err();
        assert!(matches!(error, LogError::DiskFull { .. }), "{error}");
        assert_eq!(contents(&partition).len(), 1);
        partition.sync().unwrap();
    }
    assert!(log.space().unwrap().free_bytes <= 30);
    disk.limit(None);
    assert_eq!(append(&partition, &["b"]), 2);
    partition.sync().unwrap();
    drop((log, partition));
    let log = open(&disk.crash());
    assert_eq!(contents(&log.partition("t", 0).unwrap()).len(), 2);
}

#[test]
fn on_a_full_disk_the_audit_goes_on_and_retention_makes_room() {
    let disk = SimDisk::new(1);
    let config = LogConfig { reserve_bytes: 4 << 20, ..LogConfig::default() };
    let (log, _) = Log::open(Arc::new(disk.clone()), Path::new(DIR), config, TestClock::new(1)).unwrap();
    let settings = [("segment.bytes", "1000"), ("retention.bytes", "1000")];
    log.create_topic("plain", 1, &configs(&settings)).unwrap();
    log.create_topic("audit", 1, &configs(&[("millstream.reserved", "true")])).unwrap();
    let (plain, audit) = (log.partition("plain", 0).unwrap(), log.partition("audit", 0).unwrap());
    for number in 0..100 {
        append(&plain, &[&format!("{number}{}", "x".repeat(200))]);
    }
    plain.sync().unwrap();
    disk.limit(Some(used(&disk)));
    assert!(matches!(plain.append(&mut batch(&["x"])), Err(LogError::DiskFull { .. })));
    append(&audit, &["a write to a machine"]);
    assert!(
        matches!(plain.append(&mut batch(&["x"])), Err(LogError::DiskFull { .. })),
        "it took the audit's room"
    );
    let before = plain.size_bytes();
    log.maintain();
    assert!(plain.size_bytes() < before / 2);
    // The reserve comes first, then the others.
    disk.limit(Some(used(&disk) + (8 << 20)));
    append(&plain, &["x"]);
}

#[test]
fn a_failed_sync_fences_the_partition_and_is_never_called_a_success() {
    for seed in 0..30 {
        let disk = SimDisk::new(seed);
        let (log, partition) = one_partition(&disk, &[]);
        append(&partition, &["durable"]);
        partition.sync().unwrap();
        append(&partition, &["lost"]);
        disk.fail(Operation::Sync, ".log", 1);
        partition.sync().unwrap_err();
        assert!(matches!(partition.sync(), Err(LogError::Fenced { .. })));
        assert!(matches!(partition.append(&mut batch(&["x"])), Err(LogError::Fenced { .. })));
        assert_eq!(contents(&partition), [(0, "durable".to_owned())]);
        drop((log, partition));
        let log = open(&disk.crash());
        let partition = log.partition("t", 0).unwrap();
        assert_eq!(contents(&partition)[0], (0, "durable".to_owned()));
        append(&partition, &["goes on"]);
        partition.sync().unwrap();
    }
}

#[tokio::test]
async fn a_fenced_partition_comes_back_by_itself_without_what_was_lost() {
    let disk = SimDisk::new(3);
    let (log, partition) = one_partition(&disk, &[]);
    append(&partition, &["durable"]);
    partition.flushed(1).await.unwrap();
    let lost = append(&partition, &["lost"]);
    disk.fail(Operation::Sync, ".log", 1);
    assert!(matches!(partition.flushed(lost).await, Err(LogError::Fenced { .. })));
    log.maintain();
    assert!(matches!(partition.flushed(lost).await, Err(LogError::Fenced { .. })), "lost is not durable");
    let next = append(&partition, &["after"]);
    partition.flushed(next).await.unwrap();
    let expected = [(0, "durable".to_owned()), (next - 1, "after".to_owned())];
    assert!(next > lost, "a lost offset is given again");
    assert_eq!(contents(&partition), expected);
    drop((log, partition));
    let log = open(&disk.crash());
    assert_eq!(contents(&log.partition("t", 0).unwrap()), expected);
}

#[test]
fn metrics_name_the_fault() {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &[]);
    append(&partition, &["a", "b"]);
    partition.sync().unwrap();
    let line = |text: &str| {
        let mut page = Page::default();
        log.collect(&mut page);
        page.render().lines().any(|line| line == text)
    };
    assert!(line("millstream_log_appended_records_total{topic=\"t\"} 2"));
    assert!(line("millstream_log_fenced_partitions{topic=\"t\"} 0"));
    assert!(line("millstream_log_sync_seconds_count 1"));
    append(&partition, &["c"]);
    disk.fail(Operation::Sync, ".log", 1);
    partition.sync().unwrap_err();
    assert!(line("millstream_log_fenced_partitions{topic=\"t\"} 1"));
    log.maintain();
    assert!(line("millstream_log_fenced_partitions{topic=\"t\"} 0"));
}

#[test]
fn a_failed_write_fences_the_partition() {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &[]);
    append(&partition, &["a"]);
    partition.sync().unwrap();
    disk.fail(Operation::Write, ".log", 1);
    assert!(matches!(partition.append(&mut batch(&["b"])), Err(LogError::Io { .. })));
    assert!(matches!(partition.append(&mut batch(&["b"])), Err(LogError::Fenced { .. })));
    log.maintain();
    append(&partition, &["b"]);
    assert_eq!(contents(&partition).len(), 2);
}

/// A log of segments whose records are one day apart, the newest of today, kept for seven days.
fn ten_days(disk: &SimDisk, clock: &Arc<TestClock>) -> Arc<Log> {
    let (log, _) =
        Log::open(Arc::new(disk.clone()), Path::new(DIR), small(), Arc::clone(clock) as _).unwrap();
    let settings = [("segment.bytes", "100"), ("retention.ms", "604800000")];
    log.create_topic("t", 1, &configs(&settings)).unwrap();
    let partition = log.partition("t", 0).unwrap();
    for day in 90..=100 {
        partition.append(&mut keyed(&[(None, Some("x"), day * DAY_MS)])).unwrap();
    }
    log
}

#[tokio::test(start_paused = true)]
async fn retention_deletes_by_age() {
    let disk = SimDisk::new(1);
    let clock = TestClock::new(100 * DAY_MS);
    let log = ten_days(&disk, &clock);
    log.maintain();
    assert_eq!(log.partition("t", 0).unwrap().range().earliest, 3);
}

#[tokio::test(start_paused = true)]
async fn retention_does_not_follow_a_clock_that_jumps_until_it_has_stood_for_a_day() {
    let disk = SimDisk::new(1);
    let clock = TestClock::new(100 * DAY_MS);
    let log = ten_days(&disk, &clock);
    let partition = log.partition("t", 0).unwrap();
    clock.set(200 * DAY_MS);
    log.maintain();
    assert_eq!(partition.range().earliest, 3, "deleted after a jump");
    let hours = |hours: i64| Duration::from_secs(u64::try_from(hours * 3600).unwrap());
    tokio::time::advance(hours(12)).await;
    clock.set(100 * DAY_MS + DAY_MS / 2);
    log.maintain();
    assert_eq!(partition.range().earliest, 4, "half a day has passed, and the jump was taken back");
    clock.set(200 * DAY_MS);
    for hour in 1..=25 {
        tokio::time::advance(hours(1)).await;
        clock.set(200 * DAY_MS + hour * DAY_MS / 24);
        log.maintain();
    }
    assert_eq!(partition.range().earliest, 11, "the clock has stood by its new time for a day");
}

#[tokio::test(start_paused = true)]
async fn a_start_with_a_wrong_clock_deletes_nothing() {
    let disk = SimDisk::new(1);
    let log = ten_days(&disk, &TestClock::new(100 * DAY_MS));
    log.maintain();
    log.close().unwrap();
    drop(log);
    let clock = TestClock::new(20_000 * DAY_MS);
    let (log, _) = Log::open(Arc::new(disk.kill()), Path::new(DIR), small(), clock).unwrap();
    log.maintain();
    assert_eq!(log.partition("t", 0).unwrap().range().earliest, 3);
}

#[test]
fn size_retention_keeps_at_least_its_bytes() {
    let disk = SimDisk::new(1);
    let settings = [("segment.bytes", "1000"), ("retention.bytes", "5000"), ("retention.ms", "-1")];
    let (log, partition) = one_partition(&disk, &settings);
    for number in 0..200 {
        append(&partition, &[&number.to_string()]);
    }
    log.maintain();
    assert!((5000..7000).contains(&partition.size_bytes()), "{}", partition.size_bytes());
    assert_eq!(contents(&partition).last().unwrap().0, 199);
}

#[test]
fn hundreds_of_partitions_need_few_file_handles() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { open_files_max: 16, ..small() };
    let (log, _) =
        Log::open(Arc::new(millstream_log::OsDisk), dir.path(), config, TestClock::new(1)).unwrap();
    log.create_topic("t", 150, &configs(&[])).unwrap();
    for round in 0..2 {
        for number in 0..150 {
            assert_eq!(append(&log.partition("t", number).unwrap(), &["x"]), round + 1);
        }
    }
    let own = std::fs::canonicalize(dir.path()).unwrap();
    let handles = std::fs::read_dir("/proc/self/fd").unwrap();
    let open = handles.filter(|fd| {
        let target = std::fs::read_link(fd.as_ref().unwrap().path());
        target.is_ok_and(|target| target.starts_with(&own))
    });
    let open = open.count();
    assert!(open < 100, "{open} files are open");
}
