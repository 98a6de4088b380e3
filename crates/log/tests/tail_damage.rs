//! The last batch damaged in every possible way, as a power cut or a bad disk leaves it: all before it stays.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use millstream_log::{LogError, SimDisk};
use std::path::{Path, PathBuf};
use support::{DIR, append, batch, contents, one_partition, open};

const LAST: &str = "the last batch, which is damaged";

fn log_file() -> PathBuf {
    Path::new(DIR).join("topics/t/0/00000000000000000000-0.log")
}

/// A disk with three batches that nobody has noted as durable, and where the last one begins.
fn written() -> (SimDisk, Vec<u8>, usize) {
    let disk = SimDisk::new(1);
    let (log, partition) = one_partition(&disk, &[]);
    append(&partition, &["a", "b"]);
    append(&partition, &["c"]);
    append(&partition, &[LAST, "and its second record"]);
    drop((log, partition));
    let bytes = disk.contents(&log_file()).unwrap();
    let last = bytes.len() - batch(&[LAST, "and its second record"]).len();
    (disk.kill(), bytes, last)
}

/// Starts on `bytes` and expects the first three records and no more; appending goes on.
fn expect_all_before(disk: &SimDisk, bytes: &[u8], what: &str) {
    let disk = disk.kill();
    disk.set_contents(&log_file(), bytes);
    let log = open(&disk);
    let partition = log.partition("t", 0).unwrap();
    let expected: Vec<_> = (0..).zip(["a", "b", "c"].map(str::to_owned)).collect();
    assert_eq!(contents(&partition), expected, "{what}");
    assert_eq!(append(&partition, &["d"]), 4, "{what}");
    partition.sync().unwrap();
    drop((log, partition));
    let log = open(&disk.crash());
    assert_eq!(contents(&log.partition("t", 0).unwrap()).len(), 4, "{what}");
}

/// [`written`] gives the same bytes each time.
fn each_time(work: impl Fn(&SimDisk, &[u8], usize)) {
    let (disk, bytes, last) = written();
    work(&disk, &bytes, last);
}

#[test]
fn the_last_batch_cut_at_every_byte() {
    let (_, bytes, last) = written();
    for end in last..bytes.len() {
        each_time(|disk, bytes, _| expect_all_before(disk, &bytes[..end], &format!("cut at {end}")));
    }
}

#[test]
fn the_last_batch_with_one_bit_flipped_at_every_byte() {
    let (_, bytes, last) = written();
    for at in last..bytes.len() {
        for bit in 0..8 {
            each_time(|disk, bytes, _| {
                let mut bytes = bytes.to_vec();
                bytes[at] ^= 1 << bit;
                expect_all_before(disk, &bytes, &format!("byte {at} bit {bit}"));
            });
        }
    }
}

#[test]
fn garbage_or_zeros_behind_the_last_batch() {
    for tail in [&[0_u8; 5000][..], &[0xff; 100], b"\0\0\0\0\0\0\0\x03garbage"] {
        each_time(|disk, bytes, last| expect_all_before(disk, &[&bytes[..last], tail].concat(), "garbage"));
    }
}

#[test]
fn a_damaged_batch_that_was_noted_as_durable_is_never_cut_off() {
    let (disk, bytes, last) = written();
    let log = open(&disk);
    log.close().unwrap();
    drop(log);
    let mut damaged = bytes.clone();
    damaged[last / 2 + 70] ^= 1;
    let disk = disk.kill();
    disk.set_contents(&log_file(), &damaged);
    let log = open(&disk);
    let partition = log.partition("t", 0).unwrap();
    assert_eq!(partition.range().next, 5);
    assert_eq!(disk.contents(&log_file()).unwrap(), damaged);
    let error = (0..3).find_map(|from| partition.read(from, 1).err()).unwrap();
    assert!(matches!(error, LogError::Corrupt { .. }), "{error}");
    assert_eq!(support::text(support::read_from(&partition, 3).unwrap()[0].value.as_ref()), LAST);
}
