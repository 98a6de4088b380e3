//! What one partition does: append, read, wait, look up, delete.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use millstream_log::batch::{BatchBuilder, BatchHeader, Compression, batches};
use millstream_log::{LogError, OsDisk, SimDisk};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{TestClock, append, batch, configs, contents, keyed, one_partition, open, read_from};

#[test]
fn records_come_back_in_order_with_offsets_across_segments() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[("segment.bytes", "200")]);
    for number in 0..20 {
        let appended = partition.append(&mut batch(&[&format!("a{number}"), &format!("b{number}")])).unwrap();
        assert_eq!((appended.base_offset, appended.next_offset), (number * 2, number * 2 + 2));
    }
    let expected: Vec<_> =
        (0..20).flat_map(|n| [(n * 2, format!("a{n}")), (n * 2 + 1, format!("b{n}"))]).collect();
    assert_eq!(contents(&partition), expected);
    for from in 0..=40 {
        assert_eq!(read_from(&partition, from).unwrap().len(), usize::try_from(40 - from).unwrap());
    }
}

#[test]
fn batches_are_kept_byte_for_byte_but_for_the_offset() {
    for codec in
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let disk = SimDisk::new(1);
        let (_log, partition) = one_partition(&disk, &[]);
        append(&partition, &["first"]);
        let mut builder = BatchBuilder::new(codec).producer(7, 1, 42).transactional();
        builder.push(5, Some("key".into()), Some("value".into()), Vec::new());
        let sent = builder.finish().unwrap();
        partition.append(&mut sent.clone()).unwrap();
        let kept = partition.read(1, 1).unwrap();
        assert_eq!(kept[16..], sent[16..], "{codec:?}");
        assert_eq!(BatchHeader::decode(&kept).unwrap().base_offset, 1);
    }
}

#[test]
fn several_batches_are_appended_as_one() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[]);
    let appended = partition.append(&mut [batch(&["a", "b"]), batch(&["c"])].concat()).unwrap();
    assert_eq!((appended.base_offset, appended.next_offset), (0, 3));
    assert_eq!(read_from(&partition, 0).unwrap().len(), 3);
}

#[test]
fn a_bad_batch_is_refused_and_changes_nothing() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[("max.message.bytes", "100")]);
    append(&partition, &["good"]);
    let good = batch(&["good"]);
    let mut wrong_crc = good.clone();
    *wrong_crc.last_mut().unwrap() ^= 1;
    let too_large = batch(&[&"x".repeat(100)]);
    for bad in [
        &[][..],
        &good[..40],
        &good[..good.len() - 1],
        &wrong_crc,
        &too_large,
        &[good.clone(), wrong_crc.clone()].concat(),
    ] {
        assert!(matches!(partition.append(&mut bad.to_vec()), Err(LogError::Invalid(_))));
    }
    assert_eq!(contents(&partition), [(0, "good".to_owned())]);
    assert_eq!(append(&partition, &["next"]), 2);
}

#[test]
fn a_read_stays_within_its_size_but_gives_at_least_one_batch() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[]);
    let len = batch(&["0"]).len();
    for number in 0..10 {
        append(&partition, &[&number.to_string()]);
    }
    for (bytes_max, count) in [(0, 1), (1, 1), (len, 1), (2 * len - 1, 1), (2 * len, 2), (100 * len, 10)] {
        assert_eq!(batches(partition.read(0, bytes_max).unwrap()).count(), count, "{bytes_max}");
    }
    assert!(partition.read(10, 100).unwrap().is_empty());
    assert!(matches!(
        partition.read(11, 100),
        Err(LogError::OffsetOutOfRange { offset: 11, earliest: 0, next: 10, .. })
    ));
}

#[test]
fn a_time_finds_the_first_record_that_is_not_older() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[("segment.bytes", "300")]);
    for time in (0..100).step_by(2) {
        partition
            .append(&mut keyed(&[(None, Some("x"), time * 10), (None, Some("y"), time * 10 + 10)]))
            .unwrap();
    }
    for time in 0..990 {
        let found = partition.offset_for_time(time).unwrap().unwrap();
        assert_eq!(found.timestamp, (time + 9) / 10 * 10, "{time}");
        assert_eq!(found.offset, found.timestamp / 10);
    }
    assert_eq!(partition.offset_for_time(991).unwrap(), None);
}

#[test]
fn records_before_an_offset_are_deleted_with_their_segments_and_stay_deleted() {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &[("segment.bytes", "100")]);
    for number in 0..10 {
        append(&partition, &[&number.to_string()]);
    }
    let before = partition.size_bytes();
    partition.delete_before(7).unwrap();
    assert!(partition.size_bytes() < before / 2);
    assert!(matches!(partition.read(6, 1), Err(LogError::OffsetOutOfRange { earliest: 7, .. })));
    drop((log, partition));
    let log = open(&disk.crash());
    let partition = log.partition("t", 0).unwrap();
    assert_eq!(contents(&partition).first().unwrap(), &(7, "7".to_owned()));
    partition.delete_before(10).unwrap();
    assert_eq!(
        (partition.size_bytes(), partition.range().earliest, append(&partition, &["10"])),
        (0, 10, 11)
    );
    assert!(matches!(partition.delete_before(12), Err(LogError::OffsetOutOfRange { .. })));
}

#[tokio::test]
async fn a_reader_is_woken_by_an_append() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[]);
    let mut appended = partition.appended();
    let reader = tokio::spawn(async move { *appended.wait_for(|next| *next >= 2).await.unwrap() });
    append(&partition, &["a", "b"]);
    let next = tokio::time::timeout(Duration::from_secs(10), reader).await.unwrap().unwrap();
    assert_eq!(next, 2);
}

#[tokio::test]
async fn what_was_flushed_survives_every_crash() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let (log, partition) = one_partition(&disk, &[("segment.bytes", "150")]);
        for number in 0..10 {
            let next = append(&partition, &[&number.to_string()]);
            partition.flushed(next).await.unwrap();
            assert!(partition.range().durable >= next);
        }
        let found = disk.crash();
        drop((log, partition));
        let log = open(&found);
        assert_eq!(contents(&log.partition("t", 0).unwrap()).len(), 10, "seed {seed}");
    }
}

#[tokio::test]
async fn all_appends_that_wait_share_one_sync() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[]);
    for number in 0..100 {
        append(&partition, &[&number.to_string()]);
    }
    let before = disk.changes_made();
    let waiting: Vec<_> = (1..=100)
        .map(|next| {
            let partition = Arc::clone(&partition);
            tokio::spawn(async move { partition.flushed(next).await })
        })
        .collect();
    for task in waiting {
        tokio::time::timeout(Duration::from_mins(1), task).await.unwrap().unwrap().unwrap();
    }
    assert_eq!(disk.changes_made() - before, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_append_and_flush_side_by_side() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[("segment.bytes", "5000")]);
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let partition = Arc::clone(&partition);
            tokio::spawn(async move {
                for number in 0..20 {
                    let next = append(&partition, &[&format!("{task}-{number}")]);
                    partition.flushed(next).await.unwrap();
                    assert!(partition.range().durable >= next);
                }
            })
        })
        .collect();
    for task in tasks {
        tokio::time::timeout(Duration::from_mins(1), task).await.unwrap().unwrap();
    }
    assert_eq!(contents(&partition).len(), 64 * 20);
}

#[test]
fn topics_are_made_configured_and_deleted_durably() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    let made = log.create_topic("a", 3, &configs(&[("retention.ms", "5")])).unwrap();
    let other = log.create_topic("b", 1, &configs(&[])).unwrap();
    assert!(other.id > made.id);
    assert!(matches!(log.create_topic("a", 1, &configs(&[])), Err(LogError::TopicExists(_))));
    assert!(matches!(log.create_topic("a/b", 1, &configs(&[])), Err(LogError::Invalid(_))));
    assert!(matches!(log.create_topic("c", 0, &configs(&[])), Err(LogError::Invalid(_))));
    assert!(matches!(log.create_topic("c", 1, &configs(&[("x", "y")])), Err(LogError::Invalid(_))));
    log.configure_topic("b", &configs(&[("segment.bytes", "77")])).unwrap();
    let partition = log.partition("a", 2).unwrap();
    assert!(matches!(log.partition("a", 3), Err(LogError::UnknownPartition { .. })));
    log.delete_topic("a").unwrap();
    assert!(matches!(partition.append(&mut batch(&["x"])), Err(LogError::UnknownPartition { .. })));
    assert!(matches!(partition.read(0, 1), Err(LogError::UnknownPartition { .. })));
    assert!(matches!(log.delete_topic("a"), Err(LogError::UnknownPartition { .. })));
    drop(log);
    let log = open(&disk.crash());
    let names: Vec<_> = log.topics().into_iter().map(|topic| topic.name).collect();
    assert_eq!(names, ["b"]);
    assert_eq!(log.topic("b").unwrap().config.segment_bytes, 77);
    assert_eq!(log.partition("b", 0).unwrap().config().segment_bytes, 77);
}

#[test]
fn a_second_process_is_kept_out_and_a_real_directory_works_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let open =
        |path: &Path| millstream_log::Log::open(Arc::new(OsDisk), path, support::small(), TestClock::new(1));
    let (log, _) = open(dir.path()).unwrap();
    log.create_topic("t", 1, &configs(&[("segment.bytes", "200")])).unwrap();
    let partition = log.partition("t", 0).unwrap();
    for number in 0..50 {
        append(&partition, &[&number.to_string()]);
    }
    let refused = open(dir.path()).unwrap_err();
    assert!(refused.to_string().contains("another process uses it"), "{refused}");
    assert!(log.space().unwrap().free_bytes > 0);
    log.close().unwrap();
    drop((log, partition));
    let (log, reports) = open(dir.path()).unwrap();
    assert_eq!(reports, []);
    assert_eq!(contents(&log.partition("t", 0).unwrap()).len(), 50);
}

#[test]
fn a_start_reads_only_what_is_behind_the_last_checkpoint() {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &[("segment.bytes", "20000000"), ("retention.ms", "-1")]);
    let value = "x".repeat(1_000_000);
    for _ in 0..60 {
        append(&partition, &[&value]);
        partition.sync().unwrap();
    }
    drop((log, partition));
    let disk = disk.crash();
    let log = open(&disk);
    assert_eq!(log.partition("t", 0).unwrap().range().next, 60);
    let allowed = 2 * millstream_log::limits::CHECKPOINT_BYTES + 2_000_000;
    assert!(disk.bytes_read() < allowed, "{} bytes were read", disk.bytes_read());
}
