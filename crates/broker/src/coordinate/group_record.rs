//! Records of classic groups in `__consumer_offsets`, in Kafka's own layout.
//!
//! Key: version i16 (2), group (string: length i16, UTF-8). Value: version i16 (0 to 3, written as 3), protocol type
//! (string), generation i32, protocol and leader (nullable strings), since when the group is in its state (i64 in ms, from
//! version 2), and the members (count i32): id, instance id (nullable, from version 3), client id, client host, rebalance
//! timeout (i32 in ms, from version 1), session timeout (i32 in ms), subscription and assignment (bytes: length i32). A
//! tombstone says that the group is deleted. Source: Kafka's `GroupMetadataKey.json` and `GroupMetadataValue.json`.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::coordinate::group::Client;
use crate::coordinate::offset_record::{put_string, take_string};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use millstream_bus::Record;
use millstream_model::Timestamp;

const KEY_VERSION: i16 = 2;
const VALUE_VERSION: i16 = 3;

/// A group, or that it is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupRecord {
    pub(crate) group: String,
    pub(crate) value: Option<GroupValue>,
}

/// A group at the end of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupValue {
    /// Empty where nobody has joined yet.
    pub(crate) protocol_type: String,
    pub(crate) generation: i32,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    /// -1 where it is not known.
    pub(crate) state_since_ms: i64,
    pub(crate) members: Vec<MemberValue>,
}

/// A member of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberValue {
    pub(crate) member: String,
    pub(crate) instance: Option<String>,
    pub(crate) client: Client,
    /// -1 where it is not known.
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    pub(crate) subscription: Bytes,
    pub(crate) assignment: Bytes,
}

fn put_nullable(out: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_string(out, text),
        None => out.put_i16(-1),
    }
}

/// A string or null; nothing where it is damaged.
fn take_nullable(from: &mut Bytes) -> Result<Option<String>, Damaged> {
    if from.get(..2) == Some(&[0xff, 0xff]) {
        from.advance(2);
        return Ok(None);
    }
    take_string(from).map(Some).ok_or(Damaged)
}

struct Damaged;

fn put_bytes(out: &mut BytesMut, bytes: &Bytes) {
    // A request is limited to far less than 2 GiB.
    out.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    out.put_slice(bytes);
}

fn take_bytes(from: &mut Bytes) -> Option<Bytes> {
    let len = usize::try_from(from.try_get_i32().ok()?).ok()?;
    (from.remaining() >= len).then(|| from.split_to(len))
}

impl GroupRecord {
    pub(crate) fn encode(&self, now: Timestamp) -> Record {
        let mut key = BytesMut::new();
        key.put_i16(KEY_VERSION);
        put_string(&mut key, &self.group);
        Record::new(Some(key.freeze()), self.value.as_ref().map(GroupValue::encode), now)
    }

    /// `None` where the record is another kind or damaged.
    pub(crate) fn decode(record: &Record) -> Option<Self> {
        let mut key = record.key.clone()?;
        if key.try_get_i16().ok()? != KEY_VERSION {
            return None;
        }
        let group = take_string(&mut key)?;
        let value = match record.value.clone() {
            None => None,
            Some(value) => Some(GroupValue::decode(value)?),
        };
        Some(Self { group, value })
    }
}

impl GroupValue {
    fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(VALUE_VERSION);
        put_string(&mut out, &self.protocol_type);
        out.put_i32(self.generation);
        put_nullable(&mut out, self.protocol.as_deref());
        put_nullable(&mut out, self.leader.as_deref());
        out.put_i64(self.state_since_ms);
        out.put_i32(i32::try_from(self.members.len()).unwrap_or(i32::MAX));
        for member in &self.members {
            put_string(&mut out, &member.member);
            put_nullable(&mut out, member.instance.as_deref());
            put_string(&mut out, &member.client.id);
            put_string(&mut out, &member.client.host);
            out.put_i32(member.rebalance_timeout_ms);
            out.put_i32(member.session_timeout_ms);
            put_bytes(&mut out, &member.subscription);
            put_bytes(&mut out, &member.assignment);
        }
        out.freeze()
    }

    fn decode(mut from: Bytes) -> Option<Self> {
        let version = from.try_get_i16().ok()?;
        if !(0..=VALUE_VERSION).contains(&version) {
            return None;
        }
        let protocol_type = take_string(&mut from)?;
        let generation = from.try_get_i32().ok()?;
        let (protocol, leader) = (take_nullable(&mut from).ok()?, take_nullable(&mut from).ok()?);
        let state_since_ms = if version >= 2 { from.try_get_i64().ok()? } else { -1 };
        let count = from.try_get_i32().ok()?;
        let members = (0..count).map(|_| MemberValue::decode(&mut from, version));
        let members = members.collect::<Option<Vec<_>>>()?;
        Some(Self { protocol_type, generation, protocol, leader, state_since_ms, members })
    }
}

impl MemberValue {
    fn decode(from: &mut Bytes, version: i16) -> Option<Self> {
        Some(Self {
            member: take_string(from)?,
            instance: if version >= 3 { take_nullable(from).ok()? } else { None },
            client: Client { id: take_string(from)?, host: take_string(from)? },
            rebalance_timeout_ms: if version >= 1 { from.try_get_i32().ok()? } else { -1 },
            session_timeout_ms: from.try_get_i32().ok()?,
            subscription: take_bytes(from)?,
            assignment: take_bytes(from)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    fn member() -> impl Strategy<Value = MemberValue> {
        let texts = (".{0,20}", prop::option::of(".{1,20}"), ".{0,20}", ".{0,20}");
        (texts, any::<i32>(), any::<i32>(), bytes(), bytes()).prop_map(
            |(
                (member, instance, id, host),
                rebalance_timeout_ms,
                session_timeout_ms,
                subscription,
                assignment,
            )| {
                let client = Client { id, host };
                MemberValue {
                    member,
                    instance,
                    client,
                    rebalance_timeout_ms,
                    session_timeout_ms,
                    subscription,
                    assignment,
                }
            },
        )
    }

    fn value() -> impl Strategy<Value = GroupValue> {
        let texts = (".{0,20}", prop::option::of(".{1,20}"), prop::option::of(".{1,20}"));
        (texts, any::<i32>(), any::<i64>(), prop::collection::vec(member(), 0..4)).prop_map(
            |((protocol_type, protocol, leader), generation, state_since_ms, members)| GroupValue {
                protocol_type,
                generation,
                protocol,
                leader,
                state_since_ms,
                members,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(group in ".{1,40}", value in prop::option::of(value())) {
            let record = GroupRecord { group, value };
            prop_assert_eq!(GroupRecord::decode(&record.encode(Timestamp(5))), Some(record));
        }

        #[test]
        fn any_bytes_are_taken(
            key in prop::collection::vec(any::<u8>(), 0..64), version in 0..5_i16, rest in prop::collection::vec(any::<u8>(), 0..96)
        ) {
            let _ = GroupRecord::decode(&Record::new(Some(key.into()), Some(rest.clone().into()), Timestamp(0)));
            let value = [&version.to_be_bytes()[..], &rest].concat();
            let key = Bytes::from_static(&[0, 2, 0, 1, b'g']);
            let _ = GroupRecord::decode(&Record::new(Some(key), Some(value.into()), Timestamp(0)));
        }
    }

    /// Bytes of an empty group as Kafka 4 writes them.
    #[test]
    fn the_layout_is_kafkas() {
        let value = GroupValue {
            protocol_type: "consumer".to_owned(),
            generation: 4,
            protocol: None,
            leader: None,
            state_since_ms: 1,
            members: Vec::new(),
        };
        let record = GroupRecord { group: "g".to_owned(), value: Some(value) };
        let encoded = record.encode(Timestamp(1));
        assert_eq!(&encoded.key.unwrap()[..], [0, 2, 0, 1, b'g']);
        let head = [&[0, 3, 0, 8][..], b"consumer", &[0, 0, 0, 4, 255, 255, 255, 255]].concat();
        let tail = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(&encoded.value.unwrap()[..], [&head[..], &tail].concat());
    }
}
