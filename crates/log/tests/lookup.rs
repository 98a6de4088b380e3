//! Looking records up by their time, and reading no further than asked.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use bytes::Bytes;
use millstream_log::batch::{BatchBuilder, Compression, batches};
use millstream_log::{FoundByTime, Partition, SimDisk};
use support::{append, one_partition};

fn append_at(partition: &Partition, times: &[i64]) {
    let mut builder = BatchBuilder::new(Compression::None);
    for time in times {
        builder.push(*time, None, Some(Bytes::from_static(b"value")), Vec::new());
    }
    partition.append(&mut builder.finish().unwrap()).unwrap();
}

#[test]
fn the_newest_record_is_found_wherever_it_is() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[("segment.bytes", "200")]);
    assert_eq!(partition.newest_by_time().unwrap(), None);
    for times in [&[5, 3][..], &[9, 40, 40], &[7], &[40, 1], &[2]] {
        append_at(&partition, times);
    }
    let found = |offset, timestamp| Some(FoundByTime { offset, timestamp });
    assert_eq!(partition.newest_by_time().unwrap(), found(3, 40));
    partition.delete_before(4).unwrap();
    assert_eq!(partition.newest_by_time().unwrap(), found(4, 40));
    partition.delete_before(5).unwrap();
    assert_eq!(partition.newest_by_time().unwrap(), found(6, 40));
    partition.delete_before(7).unwrap();
    assert_eq!(partition.newest_by_time().unwrap().map(|found| found.timestamp), Some(2));
}

#[test]
fn a_read_ends_before_the_offset_it_is_given() {
    let disk = SimDisk::new(1);
    let (_log, partition) = one_partition(&disk, &[("segment.bytes", "400")]);
    for number in 0..20 {
        append(&partition, &[&number.to_string()]);
    }
    for end in 0..=20 {
        let mut next = 0;
        loop {
            let bytes = partition.read_before(next, end, 1_000).unwrap();
            if bytes.is_empty() {
                break;
            }
            next = batches(bytes).last().unwrap().unwrap().header.next_offset();
        }
        assert_eq!(next, end);
    }
}
