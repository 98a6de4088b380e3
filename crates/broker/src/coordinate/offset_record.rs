//! Records of `__consumer_offsets`, in Kafka's own layout.
//!
//! Key: version i16 (1), group, topic (strings: length i16, UTF-8), partition i32. Value: version i16 (3), offset i64,
//! leader epoch i32, metadata (string), commit time i64 in ms. A tombstone takes an offset back. Keys of version 2 hold
//! group metadata and are read elsewhere. Source: Kafka's `OffsetCommitKey.json` and `OffsetCommitValue.json`.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use bytes::{Buf, BufMut, Bytes, BytesMut};
use millstream_bus::{CommittedOffset, Record, TopicPartition};
use millstream_model::Timestamp;

/// What a group has committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The next offset to read.
    pub(crate) offset: i64,
    /// The leader epoch of the last record that was read; -1 where the client told none.
    pub(crate) leader_epoch: i32,
    /// Free text kept with it.
    pub(crate) metadata: String,
}

impl Committed {
    /// Without a leader epoch.
    pub(crate) fn new(offset: i64, metadata: String) -> Self {
        Self { offset, leader_epoch: -1, metadata }
    }
}

impl From<CommittedOffset> for Committed {
    fn from(committed: CommittedOffset) -> Self {
        Self::new(committed.offset, committed.metadata)
    }
}

impl From<Committed> for CommittedOffset {
    fn from(committed: Committed) -> Self {
        Self { offset: committed.offset, metadata: committed.metadata }
    }
}

/// A committed offset, or that there is none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OffsetRecord {
    pub(crate) group: String,
    pub(crate) of: TopicPartition,
    /// `None` takes it back.
    pub(crate) committed: Option<Committed>,
}

const KEY_VERSION: i16 = 1;
const VALUE_VERSION: i16 = 3;

pub(crate) fn put_string(out: &mut BytesMut, text: &str) {
    // Names, ids and metadata are limited to far less than 32 KiB before they get here.
    let text = text.get(..text.len().min(32_767)).unwrap_or_default();
    out.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
    out.put_slice(text.as_bytes());
}

pub(crate) fn take_string(from: &mut Bytes) -> Option<String> {
    let len = usize::try_from(from.try_get_i16().ok()?).ok()?;
    if from.remaining() < len {
        return None;
    }
    String::from_utf8(from.split_to(len).to_vec()).ok()
}

impl OffsetRecord {
    pub(crate) fn encode(&self, now: Timestamp) -> Record {
        let mut key = BytesMut::new();
        key.put_i16(KEY_VERSION);
        put_string(&mut key, &self.group);
        put_string(&mut key, &self.of.topic);
        key.put_i32(self.of.partition);
        let value = self.committed.as_ref().map(|committed| {
            let mut value = BytesMut::new();
            value.put_i16(VALUE_VERSION);
            value.put_i64(committed.offset);
            value.put_i32(committed.leader_epoch);
            put_string(&mut value, &committed.metadata);
            value.put_i64(now.0);
            value.freeze()
        });
        Record::new(Some(key.freeze()), value, now)
    }

    /// `None` where the record is another kind or damaged.
    pub(crate) fn decode(record: &Record) -> Option<Self> {
        let mut key = record.key.clone()?;
        if !(0..=KEY_VERSION).contains(&key.try_get_i16().ok()?) {
            return None;
        }
        let (group, topic) = (take_string(&mut key)?, take_string(&mut key)?);
        let of = TopicPartition::new(topic, key.try_get_i32().ok()?);
        let committed = match record.value.clone() {
            None => None,
            Some(mut value) => {
                let version = value.try_get_i16().ok()?;
                let offset = value.try_get_i64().ok()?;
                let leader_epoch = if version >= 3 { value.try_get_i32().ok()? } else { -1 };
                Some(Committed { offset, leader_epoch, metadata: take_string(&mut value)? })
            }
        };
        Some(Self { group, of, committed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            group in ".{1,40}", topic in "[a-z]{1,20}", partition in 0..9999_i32, offset in 0..i64::MAX,
            leader_epoch in -1..99_i32, metadata in ".{0,60}", present in any::<bool>(),
        ) {
            let committed = present.then_some(Committed { offset, leader_epoch, metadata });
            let record = OffsetRecord { group, of: TopicPartition::new(topic, partition), committed };
            prop_assert_eq!(OffsetRecord::decode(&record.encode(Timestamp(5))), Some(record));
        }

        #[test]
        fn any_bytes_are_taken(key in prop::collection::vec(any::<u8>(), 0..64), value in prop::collection::vec(any::<u8>(), 0..64)) {
            let record = Record::new(Some(key.into()), Some(value.into()), Timestamp(0));
            let _ = OffsetRecord::decode(&record);
        }
    }

    /// Bytes as `kafka-dump-log` of Kafka 4 shows them for group `g`, topic `t`, partition 7.
    #[test]
    fn the_layout_is_kafkas() {
        let record = OffsetRecord {
            group: "g".to_owned(),
            of: TopicPartition::new("t", 7),
            committed: Some(Committed::new(258, "m".to_owned())),
        };
        let encoded = record.encode(Timestamp(1));
        assert_eq!(&encoded.key.unwrap()[..], [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 7]);
        let value =
            [&[0, 3, 0, 0, 0, 0, 0, 0, 1, 2, 255, 255, 255, 255, 0, 1, b'm'][..], &[0, 0, 0, 0, 0, 0, 0, 1]];
        assert_eq!(&encoded.value.unwrap()[..], value.concat());
    }
}
