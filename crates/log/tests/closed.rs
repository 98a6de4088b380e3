//! A log that was closed: the next start trusts what its manifests name, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use millstream_log::{Disk, Partition, SimDisk};
use std::path::Path;
use support::{DIR, append, contents, one_partition, open};

fn has_mark(disk: &SimDisk) -> bool {
    disk.list(Path::new(DIR)).unwrap().iter().any(|name| name == "closed")
}

fn append_times(partition: &Partition, times: u64, value: &str) {
    for _ in 0..times {
        append(partition, &[value]);
    }
}

#[test]
fn what_was_closed_is_all_there_whatever_the_power_does_next() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let (log, partition) = one_partition(&disk, &[("segment.bytes", "300")]);
        append_times(&partition, seed % 7, "before");
        log.close().unwrap();
        let kept = contents(&partition);
        if seed % 3 == 0 {
            // Somebody goes on after the end, and nobody is told that it is kept.
            append_times(&partition, seed % 5, "late");
        }
        drop((partition, log));
        let disk = disk.crash();
        assert!(has_mark(&disk));
        let log = open(&disk);
        assert!(!has_mark(&disk));
        let partition = log.partition("t", 0).unwrap();
        assert!(contents(&partition).starts_with(&kept), "seed {seed}");
        append(&partition, &["after"]);
        partition.sync().unwrap();
        let kept = contents(&partition);
        drop((partition, log));
        let disk = disk.crash();
        assert!(!has_mark(&disk), "a log that was not closed says so");
        assert!(contents(&open(&disk).partition("t", 0).unwrap()).starts_with(&kept), "seed {seed}");
    }
}

#[test]
fn power_that_goes_while_a_closed_log_is_opened_costs_nothing() {
    for changes in 0..30 {
        let disk = SimDisk::new(changes);
        let (log, partition) = one_partition(&disk, &[]);
        append(&partition, &["kept"]);
        log.close().unwrap();
        drop((partition, log));
        disk.off_after(changes);
        let clock = support::TestClock::new(1);
        let opened = millstream_log::Log::open(
            std::sync::Arc::new(disk.clone()),
            Path::new(DIR),
            support::small(),
            clock,
        );
        if let Ok((log, _)) = &opened
            && let Ok(partition) = log.partition("t", 0)
        {
            // Whether it goes through or not: what was kept stays.
            let _ = partition.append(&mut support::batch(&["more"]));
            let _ = partition.sync();
        }
        drop(opened);
        let kept = contents(&open(&disk.crash()).partition("t", 0).unwrap());
        assert_eq!(kept.first(), Some(&(0, "kept".to_owned())), "off after {changes} changes");
    }
}
