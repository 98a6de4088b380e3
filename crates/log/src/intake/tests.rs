//! Which batches of clients are taken, and as what.

use super::*;
use crate::batch::{BatchBuilder, Compression, ControlKind, ControlMarker, Header};
use crate::config::Cleanup;
use proptest::prelude::*;

const NOW: i64 = 1_700_000_000_000;

fn batch(records: &[(i64, Option<&'static str>)], codec: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(codec).producer(7, 1, 0);
    for (timestamp, key) in records {
        let key = key.map(|key| Bytes::from_static(key.as_bytes()));
        let headers = vec![Header { name: "h".into(), value: None }];
        builder.push(*timestamp, key, Some(Bytes::from(vec![b'v'; 300])), headers);
    }
    builder.finish().unwrap().freeze()
}

fn refused(config: &TopicConfig, bytes: &Bytes) -> (Reason, Vec<i32>) {
    let refused = config.take_in(bytes, NOW).unwrap_err();
    (refused.reason, refused.records.iter().map(|(index, _)| *index).collect())
}

#[test]
fn by_default_a_batch_is_taken_byte_for_byte() {
    for codec in
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let bytes = batch(&[(NOW, None), (5, Some("k"))], codec);
        let ready = TopicConfig::default().take_in(&bytes, NOW).unwrap();
        assert_eq!((&*ready.batch, ready.append_time_ms), (&*bytes, None));
    }
}

/// A batch with any fields and records, and the right checksum.
fn forged(change: impl FnOnce(&mut BatchHeader), records: &[u8]) -> Bytes {
    let mut header =
        BatchHeader::decode(&batch(&[(NOW, Some("a")), (NOW, Some("b"))], Compression::None)).unwrap();
    change(&mut header);
    Bytes::from(header.encode(records))
}

#[test]
fn records_that_no_consumer_could_read_are_refused() {
    let topics = [
        TopicConfig::default(),
        TopicConfig { timestamp_type: TimestampType::LogAppendTime, ..TopicConfig::default() },
        TopicConfig { compression: Some(Compression::Zstd), ..TopicConfig::default() },
    ];
    // Length, attributes, time delta, offset delta, key, value, headers.
    let (first, second) = ([14, 0, 0, 0, 2, b'k', 1, 0], [14, 0, 0, 2, 2, b'k', 1, 0]);
    let two = [first, second].concat();
    for config in topics {
        let taken =
            |change: fn(&mut BatchHeader), records: &[u8]| config.take_in(&forged(change, records), NOW);
        let same: fn(&mut BatchHeader) = |_| {};
        taken(same, &two).unwrap();
        let more: fn(&mut BatchHeader) = |header| {
            (header.record_count, header.last_offset_delta) = (10, 9);
        };
        let most: fn(&mut BatchHeader) = |header| {
            (header.record_count, header.last_offset_delta) = (i32::MAX, i32::MAX - 1);
        };
        let fewer: fn(&mut BatchHeader) = |header| {
            (header.record_count, header.last_offset_delta) = (1, 0);
        };
        let gzip: fn(&mut BatchHeader) = |header| header.attributes = 1;
        for (change, records) in [
            (more, two.clone()),
            (most, two.clone()),
            (fewer, two.clone()),
            (gzip, two.clone()),
            (same, Vec::new()),
            (same, vec![0xff; 50]),
            (same, [first, first].concat()),
            (same, [second, first].concat()),
            (same, [two.clone(), vec![0]].concat()),
            (same, [&first[..], &[0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 2]].concat()),
        ] {
            let refused = taken(change, &records).unwrap_err();
            assert_eq!(refused.reason, Reason::Invalid, "{records:?}: {refused}");
        }
    }
}

#[test]
fn the_newest_time_is_that_of_a_record() {
    for codec in [Compression::None, Compression::Lz4] {
        let right = batch(&[(NOW - 5, None), (NOW - 9, None)], codec);
        for lie in [i64::MAX, 0, NOW] {
            let mut header = BatchHeader::decode(&right).unwrap();
            header.max_timestamp = lie;
            let lying = Bytes::from(header.encode(&right[crate::batch::HEADER_BYTES..]));
            let ready = TopicConfig::default().take_in(&lying, NOW).unwrap();
            assert_eq!((&*ready.batch, ready.header.max_timestamp), (&*right, NOW - 5));
        }
        let mut header = BatchHeader::decode(&batch(&[(i64::MAX, None)], codec)).unwrap();
        header.max_timestamp = NOW;
        let late = batch(&[(i64::MAX, None)], codec);
        let hidden = Bytes::from(header.encode(&late[crate::batch::HEADER_BYTES..]));
        assert_eq!(refused(&TopicConfig::default(), &hidden), (Reason::Timestamp, vec![0]));
    }
}

#[test]
fn not_every_one_of_many_refused_records_is_named() {
    let compact = Cleanup { delete: false, compact: true };
    let config = TopicConfig { cleanup: compact, ..TopicConfig::default() };
    let bytes = batch(&vec![(NOW, None); 2 * NAMED_RECORDS], Compression::Zstd);
    let refused = config.take_in(&bytes, NOW).unwrap_err();
    assert_eq!(refused.records.len(), NAMED_RECORDS);
    assert!(refused.message.starts_with("2000 records"), "{refused}");
}

#[test]
fn a_compacted_topic_names_the_records_without_a_key() {
    let compact = Cleanup { delete: false, compact: true };
    let config = TopicConfig { cleanup: compact, ..TopicConfig::default() };
    assert!(config.take_in(&batch(&[(NOW, Some("a"))], Compression::Lz4), NOW).is_ok());
    let bytes = batch(&[(NOW, None), (NOW, Some("a")), (NOW, None)], Compression::Lz4);
    assert_eq!(refused(&config, &bytes), (Reason::Invalid, vec![0, 2]));
}

#[test]
fn timestamps_are_held_to_their_range() {
    let hour = 3_600_000;
    let config = TopicConfig::default();
    assert!(config.take_in(&batch(&[(0, None), (NOW + hour, None)], Compression::None), NOW).is_ok());
    let bytes = batch(&[(NOW, None), (NOW + hour + 1, None)], Compression::None);
    assert_eq!(refused(&config, &bytes), (Reason::Timestamp, vec![1]));
    let config = TopicConfig { timestamp_before_max_ms: 1_000, ..config };
    let bytes = batch(&[(NOW - 1_000, None), (NOW - 1_001, None), (-1, None)], Compression::Gzip);
    assert_eq!(refused(&config, &bytes), (Reason::Timestamp, vec![1]));
    let config = TopicConfig { timestamp_type: TimestampType::LogAppendTime, ..config };
    assert!(config.take_in(&bytes, NOW).is_ok(), "the broker's own time is always right");
}

#[test]
fn the_time_of_the_append_takes_the_place_of_all_others() {
    let config = TopicConfig { timestamp_type: TimestampType::LogAppendTime, ..TopicConfig::default() };
    let bytes = batch(&[(1, Some("a")), (9, Some("b"))], Compression::Zstd);
    let ready = config.take_in(&bytes, NOW).unwrap();
    assert_eq!(ready.append_time_ms, Some(NOW));
    let stamped = Batch::decode(ready.batch.freeze()).unwrap();
    assert!(stamped.header.is_log_append_time());
    assert_eq!(stamped.header.base_timestamp, 1, "the records' own deltas still count from it");
    assert!(stamped.records().unwrap().iter().all(|record| record.timestamp == NOW));
    let again = stamped.bytes;
    assert_eq!(refused(&TopicConfig::default(), &again), (Reason::Timestamp, vec![]));
    assert!(config.take_in(&again, NOW).is_ok());
}

#[test]
fn another_codec_keeps_everything_else() {
    let config = TopicConfig { compression: Some(Compression::Zstd), ..TopicConfig::default() };
    let bytes = batch(&[(1, Some("a")), (9, Some("b"))], Compression::Gzip);
    let ready = config.take_in(&bytes, NOW).unwrap();
    let (before, after) = (Batch::decode(bytes).unwrap(), Batch::decode(ready.batch.freeze()).unwrap());
    assert_eq!(after.header.compression(), Compression::Zstd);
    assert_eq!(after.records().unwrap(), before.records().unwrap());
    let fields = |batch: &Batch| {
        let header = batch.header;
        (
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            header.record_count,
            header.attributes & !7,
        )
    };
    assert_eq!(fields(&after), fields(&before));
    let plain = TopicConfig { compression: Some(Compression::None), ..TopicConfig::default() };
    let ready = plain.take_in(&after.bytes, NOW).unwrap();
    assert_eq!(&*ready.batch, &*batch(&[(1, Some("a")), (9, Some("b"))], Compression::None));
}

#[test]
fn what_grows_over_the_limit_is_refused_too() {
    let bytes = batch(&[(1, None); 20], Compression::Zstd);
    let config = TopicConfig { max_message_bytes: bytes.len(), ..TopicConfig::default() };
    assert!(config.take_in(&bytes, NOW).is_ok());
    let plain = TopicConfig { compression: Some(Compression::None), ..config.clone() };
    assert_eq!(refused(&plain, &bytes).0, Reason::TooLarge);
    let smaller = TopicConfig { max_message_bytes: bytes.len() - 1, ..config.clone() };
    assert_eq!(refused(&smaller, &bytes).0, Reason::TooLarge);
    let segment = TopicConfig { segment_bytes: bytes.len() as u64 - 1, ..config };
    assert_eq!(refused(&segment, &bytes).0, Reason::LargerThanSegment);
}

#[test]
fn what_is_no_producers_batch_is_refused() {
    let config = TopicConfig::default();
    let good = batch(&[(NOW, None)], Compression::None);
    let changed = |at: usize, bytes: &[u8]| {
        let mut batch = good.to_vec();
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        Bytes::from(batch)
    };
    assert_eq!(refused(&config, &Bytes::new()).0, Reason::Invalid);
    assert_eq!(refused(&config, &Bytes::from([&*good, &*good].concat())).0, Reason::Invalid);
    assert_eq!(refused(&config, &good.slice(..good.len() - 1)).0, Reason::Damaged);
    assert_eq!(refused(&config, &good.slice(..30)).0, Reason::Damaged);
    assert_eq!(refused(&config, &changed(7, &[1])).0, Reason::Invalid, "an offset");
    assert_eq!(refused(&config, &changed(16, &[1])).0, Reason::Invalid, "the format before v2");
    assert_eq!(refused(&config, &changed(26, &[9])).0, Reason::Invalid, "more offsets than records");
    assert_eq!(refused(&config, &changed(53, &(-1_i32).to_be_bytes())).0, Reason::Invalid, "no sequence");
    let marker = ControlMarker { kind: ControlKind::Commit, coordinator_epoch: 0 };
    let control = BatchBuilder::control(marker, 7, 1, NOW).freeze();
    assert_eq!(refused(&config, &control).0, Reason::Invalid);
}

#[test]
fn a_rewrite_never_makes_a_damaged_batch_good() {
    let mut bytes = batch(&[(1, Some("a"))], Compression::Gzip).to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let bytes = Bytes::from(bytes);
    let stamp = TopicConfig { timestamp_type: TimestampType::LogAppendTime, ..TopicConfig::default() };
    let codec = TopicConfig { compression: Some(Compression::Zstd), ..TopicConfig::default() };
    for config in [stamp, codec] {
        assert_eq!(refused(&config, &bytes).0, Reason::Damaged);
    }
}

proptest! {
    #[test]
    fn forged_bytes_never_panic(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
        length in any::<proptest::sample::Index>(),
        codec in proptest::sample::select(&[Compression::None, Compression::Snappy, Compression::Lz4][..]),
    ) {
        let mut bytes = batch(&[(NOW, Some("a")), (1, None)], codec).to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if length.index(2) == 0 {
            bytes.truncate(length.index(bytes.len() + 1));
        }
        let bytes = Bytes::from(bytes);
        let config = TopicConfig {
            cleanup: Cleanup { delete: true, compact: true },
            timestamp_type: TimestampType::LogAppendTime,
            compression: Some(Compression::Zstd),
            ..TopicConfig::default()
        };
        for config in [config, TopicConfig::default()] {
            let _ = config.take_in(&bytes, NOW);
        }
    }
}
