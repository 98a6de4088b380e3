//! Topics as a whole: partitions that are added, ids that never come back.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use millstream_log::{LogError, SimDisk};
use support::{append, configs, contents, one_partition, open};

#[test]
fn added_partitions_take_records_and_survive_a_power_cut() {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &[("retention.ms", "5000")]);
    append(&partition, &["before"]);
    partition.sync().unwrap();
    let topic = log.add_partitions("t", 3).unwrap();
    assert_eq!((topic.partitions, log.topic("t").unwrap().partitions), (3, 3));
    for number in 1..3 {
        let added = log.partition("t", number).unwrap();
        assert_eq!(added.config().retention_ms, Some(5_000));
        append(&added, &[&format!("in {number}")]);
        added.sync().unwrap();
    }
    append(&partition, &["after"]);
    partition.sync().unwrap();
    let log = open(&disk.crash());
    assert_eq!(log.topic("t").unwrap(), topic);
    let all = |number| contents(&log.partition("t", number).unwrap());
    assert_eq!(all(0), [(0, "before".to_owned()), (1, "after".to_owned())]);
    assert_eq!((all(1), all(2)), (vec![(0, "in 1".to_owned())], vec![(0, "in 2".to_owned())]));
}

#[test]
fn a_topic_never_has_fewer_partitions_nor_too_many() {
    let (log, _) = one_partition(&SimDisk::new(1), &[]);
    log.add_partitions("t", 4).unwrap();
    for count in [i32::MIN, 0, 3, 4, 1_025] {
        assert!(matches!(log.add_partitions("t", count), Err(LogError::Invalid(_))), "{count}");
    }
    assert!(matches!(log.add_partitions("u", 2), Err(LogError::UnknownPartition { .. })));
    assert_eq!(log.topic("t").unwrap().partitions, 4);
    assert!(log.partition("t", 4).is_err());
}

/// Cut off at every change to the disk: the topic has the old count or the new one, all partitions work, none lost a record, and
/// adding them again goes on from there.
#[test]
fn a_crash_while_partitions_are_added_leaves_the_old_count_or_the_new_one() {
    let mut counts = Vec::new();
    for changes in 0..60 {
        let disk = SimDisk::new(changes);
        let (log, partition) = one_partition(&disk, &[]);
        append(&partition, &["kept"]);
        partition.sync().unwrap();
        disk.off_after(changes);
        let done = log.add_partitions("t", 3);
        drop((partition, log));
        let log = open(&disk.crash());
        let count = log.topic("t").unwrap().partitions;
        assert!(count == 3 || count == 1 && done.is_err(), "{count} after {changes} changes, {done:?}");
        counts.push(count);
        assert_eq!(contents(&log.partition("t", 0).unwrap()), [(0, "kept".to_owned())]);
        let topic = log.add_partitions("t", 4).unwrap();
        for number in 1..topic.partitions {
            let partition = log.partition("t", number).unwrap();
            assert_eq!(append(&partition, &["new"]), 1, "partition {number} after {changes} changes");
        }
    }
    assert!(counts.contains(&1) && counts.contains(&3), "{counts:?}");
}

#[test]
fn a_disk_that_fails_under_added_partitions_leaves_the_topic_as_it_was() {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &[]);
    disk.limit(Some(0));
    assert!(matches!(log.add_partitions("t", 2), Err(LogError::DiskFull { .. })));
    assert_eq!(log.topic("t").unwrap().partitions, 1);
    assert!(log.partition("t", 1).is_err());
    disk.limit(None);
    log.add_partitions("t", 2).unwrap();
    append(&log.partition("t", 1).unwrap(), &["in"]);
    append(&partition, &["also"]);
}

/// The clock stands still in these tests.
#[test]
fn a_topic_made_again_has_another_id_also_after_a_restart() {
    let disk = SimDisk::new(1);
    let (log, _) = one_partition(&disk, &[]);
    let mut ids = vec![log.topic("t").unwrap().id];
    log.delete_topic("t").unwrap();
    ids.push(log.create_topic("t", 1, &configs(&[])).unwrap().id);
    log.delete_topic("t").unwrap();
    drop(log);
    let disk = disk.crash();
    let log = open(&disk);
    ids.push(log.create_topic("t", 1, &configs(&[])).unwrap().id);
    ids.push(log.create_topic("u", 1, &configs(&[])).unwrap().id);
    log.delete_topic("t").unwrap();
    drop(log);
    ids.push(open(&disk.crash()).create_topic("t", 1, &configs(&[])).unwrap().id);
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}
