//! Bit rot in closed segments, damaged or missing indexes and manifests, newer formats: what is sound stays readable, what is not is
//! named, nothing crashes.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use millstream_log::batch::batches;
use millstream_log::{Disk, Log, LogError, Partition, Random, SimDisk};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{DIR, TestClock, append, contents, one_partition, open, small};

const RECORDS: i64 = 60;

fn dir() -> PathBuf {
    Path::new(DIR).join("topics/t/0")
}

fn files(disk: &SimDisk, extension: &str) -> Vec<PathBuf> {
    let names = disk.list(&dir()).unwrap();
    names.into_iter().filter(|name| name.ends_with(extension)).map(|name| dir().join(name)).collect()
}

/// Several closed segments, closed cleanly.
fn written() -> SimDisk {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &[("segment.bytes", "700"), ("retention.ms", "-1")]);
    for number in 0..RECORDS {
        append(&partition, &[&number.to_string()]);
    }
    log.close().unwrap();
    drop((log, partition));
    disk.kill()
}

/// Reads everything that can be read, going on behind each damaged range; also the damaged offsets.
fn read_around(partition: &Partition) -> (Vec<i64>, Vec<i64>) {
    let (mut read, mut damaged) = (Vec::new(), Vec::new());
    let mut next = partition.range().earliest;
    while next < partition.range().next {
        match partition.read(next, 300) {
            Ok(run) => {
                for batch in batches(run) {
                    let batch = batch.unwrap();
                    read.extend(batch.records().unwrap().iter().map(|record| record.offset));
                    next = batch.header.next_offset();
                }
            }
            Err(LogError::Corrupt { first, last, .. }) => {
                assert!(first == next && last >= first);
                damaged.extend(first..=last);
                next = last + 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    (read, damaged)
}

#[test]
fn a_flipped_bit_anywhere_in_a_closed_segment_costs_one_batch_and_is_reported() {
    let pristine = written();
    let path = files(&pristine, ".log")[1].clone();
    let bytes = pristine.contents(&path).unwrap();
    for at in 0..bytes.len() {
        let disk = written();
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        disk.set_contents(&path, &damaged);
        let log = open(&disk);
        let (read, lost) = read_around(&log.partition("t", 0).unwrap());
        assert_eq!(lost.len(), 1, "byte {at}");
        let mut all = [read, lost].concat();
        all.sort_unstable();
        assert_eq!(all, (0..RECORDS).collect::<Vec<_>>());
    }
}

#[test]
fn segments_that_are_cut_or_gone_are_reported_and_the_others_stay() {
    for cut in [Some(0), Some(100), None] {
        let disk = written();
        let path = files(&disk, ".log")[1].clone();
        match cut {
            Some(len) => disk.set_contents(&path, &disk.contents(&path).unwrap()[..len]),
            None => disk.remove(&path).unwrap(),
        }
        let opened = Log::open(Arc::new(disk.clone()), Path::new(DIR), small(), TestClock::new(1));
        let (log, reports) = opened.unwrap();
        assert!(reports[0].message.contains("has lost"), "{reports:?}");
        let (read, lost) = read_around(&log.partition("t", 0).unwrap());
        assert!(!lost.is_empty());
        assert_eq!(read.len() + lost.len(), usize::try_from(RECORDS).unwrap());
    }
}

#[test]
fn indexes_are_made_anew_when_damaged_or_missing() {
    let mut random = Random::new(7);
    for round in 0..30 {
        let disk = written();
        for path in files(&disk, ".index") {
            let mut bytes = disk.contents(&path).unwrap();
            let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            match round % 3 {
                0 => disk.remove(&path).unwrap(),
                1 => disk.set_contents(&path, &bytes[..at]),
                _ => {
                    bytes[at] ^= 0x10;
                    disk.set_contents(&path, &bytes);
                }
            }
        }
        let log = open(&disk);
        let partition = log.partition("t", 0).unwrap();
        assert_eq!(contents(&partition).len(), usize::try_from(RECORDS).unwrap());
        assert_eq!(partition.offset_for_time(0).unwrap().unwrap().offset, 0);
    }
}

#[test]
fn a_damaged_or_missing_manifest_is_made_anew_from_the_segments() {
    for damage in [None, Some(&b"millstream-partition 1\nstart 0\ncrc 00000000\n"[..])] {
        let disk = written();
        let path = dir().join("manifest");
        match damage {
            None => disk.remove(&path).unwrap(),
            Some(bytes) => disk.set_contents(&path, bytes),
        }
        let opened = Log::open(Arc::new(disk.clone()), Path::new(DIR), small(), TestClock::new(1));
        let (log, reports) = opened.unwrap();
        assert!(reports[0].message.contains("was made anew"), "{reports:?}");
        let partition = log.partition("t", 0).unwrap();
        assert_eq!(contents(&partition).len(), usize::try_from(RECORDS).unwrap());
        assert_eq!(append(&partition, &["next"]), RECORDS + 1);
        partition.sync().unwrap();
        drop((log, partition));
        let log = open(&disk.crash());
        assert_eq!(contents(&log.partition("t", 0).unwrap()).len(), usize::try_from(RECORDS).unwrap() + 1);
    }
}

#[test]
fn a_newer_format_is_refused_with_a_clear_message() {
    for file in ["format", "topics/t/topic", "topics/t/0/manifest"] {
        let disk = written();
        let path = Path::new(DIR).join(file);
        let text = String::from_utf8(disk.contents(&path).unwrap()).unwrap();
        disk.set_contents(&path, text.replacen(" 1\n", " 2\n", 1).as_bytes());
        let error = Log::open(Arc::new(disk), Path::new(DIR), small(), TestClock::new(1)).unwrap_err();
        assert!(matches!(error, LogError::DataDir { .. }), "{error}");
        assert!(error.to_string().contains("newer"), "{error}");
    }
}

#[test]
fn a_read_error_of_the_disk_is_an_error_and_not_the_end() {
    let disk = written();
    let log = open(&disk);
    let partition = log.partition("t", 0).unwrap();
    disk.fail(millstream_log::Operation::Read, ".log", 1);
    assert!(matches!(partition.read(0, 1), Err(LogError::Io { .. })));
    assert_eq!(contents(&partition).len(), usize::try_from(RECORDS).unwrap());
}

#[test]
fn whatever_is_overwritten_every_offset_is_either_read_right_or_reported() {
    let mut random = Random::new(11);
    for _ in 0..300 {
        let disk = written();
        for path in files(&disk, ".log") {
            let mut bytes = disk.contents(&path).unwrap();
            for _ in 0..random.below(4) {
                let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
                let end = bytes.len().min(at + usize::try_from(random.below(80)).unwrap());
                bytes[at..end].fill_with(|| random.number().to_le_bytes()[0]);
            }
            disk.set_contents(&path, &bytes);
        }
        let log = open(&disk);
        let partition = log.partition("t", 0).unwrap();
        let (read, lost) = read_around(&partition);
        let mut all = [read.clone(), lost].concat();
        all.sort_unstable();
        assert_eq!(all, (0..RECORDS).collect::<Vec<_>>());
        for offset in read {
            let batch = batches(partition.read(offset, 1).unwrap()).next().unwrap().unwrap();
            assert_eq!(support::text(batch.records().unwrap()[0].value.as_ref()), offset.to_string());
        }
    }
}
