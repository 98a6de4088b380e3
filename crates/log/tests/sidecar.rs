//! What others keep beside a partition, and the scan that brings it up to date.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use millstream_log::batch::{BatchBuilder, ControlKind, ControlMarker};
use millstream_log::{LogError, Operation, Scanned, SimDisk};
use std::ops::ControlFlow;
use std::path::Path;
use support::{batch, one_partition, open};

/// The base offsets of what a scan finds, and whether each is a control batch.
fn scan(partition: &millstream_log::Partition, from: i64, most: usize) -> Vec<(i64, bool)> {
    let mut found = Vec::new();
    let scanned = partition.scan(from, |scanned| {
        found.push(match scanned {
            Scanned::Header(header) => (header.base_offset, false),
            Scanned::Control(batch) => (batch.header.base_offset, batch.records().unwrap().len() == 1),
        });
        if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    scanned.unwrap();
    found
}

#[test]
fn a_scan_shows_every_batch_once_over_all_segments() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[("segment.bytes", "300")]);
    let mut expected = Vec::new();
    for n in 0..30 {
        let is_control = n % 5 == 4;
        let appended = if is_control {
            let marker = ControlMarker { kind: ControlKind::Commit, coordinator_epoch: 0 };
            partition.append(&mut BatchBuilder::control(marker, 7, 0, 1)).unwrap()
        } else {
            partition.append(&mut batch(&["a", "b"])).unwrap()
        };
        expected.push((appended.base_offset, is_control));
    }
    assert_eq!(scan(&partition, 0, usize::MAX), expected);
    assert_eq!(scan(&partition, 0, 3), expected[..3]);
    for (at, (offset, _)) in expected.iter().enumerate() {
        assert_eq!(scan(&partition, *offset, usize::MAX), expected[at..]);
        // From within a batch the whole batch is shown.
        let inside = scan(&partition, offset + 1, 1);
        let whole = if expected[at].1 || at % 5 == 4 { expected.get(at + 1) } else { expected.get(at) };
        assert_eq!(inside.first(), whole);
    }
    assert_eq!(scan(&partition, partition.range().next, usize::MAX), []);
    assert!(partition.active_from() > 0 && partition.active_from() <= partition.range().next);
}

#[test]
fn a_sidecar_is_the_old_one_or_the_new_one_after_a_crash() {
    for changes in 0..14 {
        let disk = SimDisk::new(changes);
        let (log, partition) = one_partition(&disk, &[]);
        assert_eq!(partition.read_sidecar("notes").unwrap(), None);
        partition.append(&mut batch(&["a"])).unwrap();
        partition.write_sidecar("notes", "end 1\n", 1).unwrap();
        partition.append(&mut batch(&["b"])).unwrap();
        disk.off_after(changes);
        let written = partition.write_sidecar("notes", "end 2\n", 2);
        drop((partition, log));
        let disk = disk.crash();
        let log = open(&disk);
        let partition = log.partition("t", 0).unwrap();
        let lines = partition.read_sidecar("notes").unwrap().unwrap();
        match lines.trim() {
            // It never tells of more than there is.
            "end 2" => assert_eq!(partition.range().next, 2),
            lines => assert!(lines == "end 1" && written.is_err(), "{lines} after {written:?}"),
        }
    }
}

#[test]
fn a_sidecar_never_tells_of_records_that_a_failing_disk_took() {
    let disk = SimDisk::new(3);
    let (log, partition) = one_partition(&disk, &[]);
    partition.append(&mut batch(&["a"])).unwrap();
    disk.fail(Operation::Sync, "t/0", 1);
    assert!(partition.write_sidecar("notes", "end 1\n", 1).is_err());
    log.maintain();
    let refused = partition.write_sidecar("notes", "end 1\n", 1);
    assert!(matches!(refused, Err(LogError::Fenced { .. })), "{refused:?}");
    assert_eq!(partition.read_sidecar("notes").unwrap(), None);
    // What follows the loss is another matter.
    let refused = partition.append_at(Some(1), &mut batch(&["b"]));
    assert!(matches!(refused, Err(LogError::Fenced { .. })), "{refused:?}");
    let next = partition.range().next;
    let appended = partition.append_at(Some(next), &mut batch(&["b"])).unwrap();
    partition.write_sidecar("notes", "later\n", appended.next_offset).unwrap();
}

#[test]
fn a_damaged_sidecar_is_no_sidecar() {
    let disk = SimDisk::new(4);
    let (_log, partition) = one_partition(&disk, &[]);
    partition.append(&mut batch(&["a"])).unwrap();
    partition.write_sidecar("notes", "end 1\n", 1).unwrap();
    let path = Path::new("/data/topics/t/0/notes");
    let bytes = disk.contents(path).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        let file = millstream_log::Disk::open(&disk, path, millstream_log::Open::Existing).unwrap();
        file.write_at(0, &damaged).unwrap();
        assert_eq!(partition.read_sidecar("notes").unwrap(), None, "byte {at}");
    }
}
