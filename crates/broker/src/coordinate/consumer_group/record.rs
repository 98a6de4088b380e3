//! The changes of a group as records of `__consumer_offsets`, in Kafka's own layouts.
//!
//! A key is its type as i16 and its fields in the old encoding (strings: length i16, UTF-8); a value is its version as i16 (0) and
//! its fields in the compact encoding (strings and arrays: length plus one as an unsigned varint, 0 for null) with tagged
//! fields behind. Sources: Kafka 4.3's `ConsumerGroupMetadata{Key,Value}.json` (type 3), `ConsumerGroupMemberMetadata…` (5),
//! `ConsumerGroupTargetAssignmentMetadata…` (6), `ConsumerGroupTargetAssignmentMember…` (7),
//! `ConsumerGroupCurrentMemberAssignment…` (8), `ConsumerGroupRegularExpression…` (16).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::change::Change;
use super::{Current, Held, MemberState, Partition, Resolved, Subscription};
use crate::coordinate::offset_record::{put_string, take_string};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use millstream_bus::Record;
use millstream_model::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

const EPOCH: i16 = 3;
const MEMBER: i16 = 5;
const TARGET_EPOCH: i16 = 6;
const TARGET: i16 = 7;
const CURRENT: i16 = 8;
const REGEX: i16 = 16;

/// A change of a group as a record.
pub(crate) fn encode(group: &str, change: &Change, now: Timestamp) -> Record {
    let mut key = BytesMut::new();
    let mut value = BytesMut::new();
    value.put_i16(0);
    let mut put_key = |kind: i16, id: Option<&str>| {
        key.put_i16(kind);
        put_string(&mut key, group);
        if let Some(id) = id {
            put_string(&mut key, id);
        }
    };
    let is_some = match change {
        Change::Epoch(epoch) => {
            put_key(EPOCH, None);
            epoch.map(|(epoch, hash)| {
                value.put_i32(epoch);
                put_tagged_i64(&mut value, hash);
            })
        }
        Change::Member(id, said) => {
            put_key(MEMBER, Some(id));
            said.as_ref().map(|said| put_subscription(&mut value, said))
        }
        Change::TargetEpoch(epoch) => {
            put_key(TARGET_EPOCH, None);
            epoch.map(|(epoch, computed_at_ms)| {
                value.put_i32(epoch);
                put_tagged_i64(&mut value, computed_at_ms);
            })
        }
        Change::Target(id, target) => {
            put_key(TARGET, Some(id));
            target.as_ref().map(|target| put_target(&mut value, target))
        }
        Change::Current(id, current) => {
            put_key(CURRENT, Some(id));
            current.as_ref().map(|current| put_current(&mut value, current))
        }
        Change::Regex(regex, resolved) => {
            put_key(REGEX, Some(regex));
            resolved.as_ref().map(|resolved| put_resolved(&mut value, resolved))
        }
    };
    Record::new(Some(key.freeze()), is_some.map(|()| value.freeze()), now)
}

/// The group and its change in a record; `None` where the record is of another kind or damaged.
pub(crate) fn decode(record: &Record) -> Option<(Arc<str>, Change)> {
    let mut key = record.key.clone()?;
    let kind = key.try_get_i16().ok()?;
    if !matches!(kind, EPOCH | MEMBER | TARGET_EPOCH | TARGET | CURRENT | REGEX) {
        return None;
    }
    let group = take_string(&mut key)?.into();
    let value = match record.value.clone() {
        Some(mut value) => {
            if value.try_get_i16().ok()? != 0 {
                return None;
            }
            Some(value)
        }
        None => None,
    };
    let mut id = || take_string(&mut key).map(Arc::<str>::from);
    let change = match kind {
        EPOCH => Change::Epoch(taken(value, take_epoch)?),
        MEMBER => Change::Member(id()?, taken(value, take_subscription)?.map(Box::new)),
        TARGET_EPOCH => Change::TargetEpoch(taken(value, take_epoch)?),
        TARGET => Change::Target(id()?, taken(value, take_target)?.map(Arc::new)),
        CURRENT => Change::Current(id()?, taken(value, take_current)?.map(Box::new)),
        _ => Change::Regex(id()?, taken(value, take_resolved)?),
    };
    Some((group, change))
}

/// `None` where the value is damaged, `Some(None)` where there is none.
#[expect(clippy::option_option, reason = "the outer one is the error")]
fn taken<T>(value: Option<Bytes>, take: impl Fn(&mut Bytes) -> Option<T>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(mut value) => take(&mut value).map(Some),
    }
}

fn put_varint(out: &mut BytesMut, mut value: u32) {
    while let (low, true) = (value & 0x7f, value > 0x7f) {
        out.put_u8(u8::try_from(low | 0x80).unwrap_or(u8::MAX));
        value >>= 7;
    }
    out.put_u8(u8::try_from(value).unwrap_or(u8::MAX));
}

fn take_varint(from: &mut Bytes) -> Option<u32> {
    let mut value = 0_u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = from.try_get_u8().ok()?;
        value |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put_len(out: &mut BytesMut, len: usize) {
    put_varint(out, u32::try_from(len).unwrap_or(u32::MAX).saturating_add(1));
}

/// `Some(None)` is null.
#[expect(clippy::option_option, reason = "the outer one is the error")]
fn take_len(from: &mut Bytes) -> Option<Option<usize>> {
    match take_varint(from)?.checked_sub(1) {
        None => Some(None),
        // An element takes a byte at least.
        Some(len) => usize::try_from(len).ok().filter(|len| *len <= from.remaining()).map(Some),
    }
}

fn put_text(out: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => {
            put_len(out, text.len());
            out.put_slice(text.as_bytes());
        }
        None => put_varint(out, 0),
    }
}

#[expect(clippy::option_option, reason = "the outer one is the error")]
fn take_text(from: &mut Bytes) -> Option<Option<Arc<str>>> {
    match take_len(from)? {
        None => Some(None),
        Some(len) => std::str::from_utf8(&from.split_to(len)).ok().map(|text| Some(text.into())),
    }
}

fn put_uuid(out: &mut BytesMut, uuid: Uuid) {
    out.put_slice(uuid.as_bytes());
}

fn take_uuid(from: &mut Bytes) -> Option<Uuid> {
    (from.remaining() >= 16).then(|| Uuid::from_slice(&from.split_to(16)).ok())?
}

/// One tagged field, with tag 0, which is left out where it is 0.
fn put_tagged_i64(out: &mut BytesMut, value: i64) {
    if value == 0 {
        return put_varint(out, 0);
    }
    for number in [1, 0, 8] {
        put_varint(out, number);
    }
    out.put_i64(value);
}

/// Tagged fields: `each` gets tag and bytes.
fn take_tagged(from: &mut Bytes, mut each: impl FnMut(u32, Bytes) -> Option<()>) -> Option<()> {
    for _ in 0..take_varint(from)? {
        let tag = take_varint(from)?;
        let len = usize::try_from(take_varint(from)?).ok().filter(|len| *len <= from.remaining())?;
        each(tag, from.split_to(len))?;
    }
    Some(())
}

fn skip_tagged(from: &mut Bytes) -> Option<()> {
    take_tagged(from, |_, _| Some(()))
}

fn take_epoch(from: &mut Bytes) -> Option<(i32, i64)> {
    let epoch = from.try_get_i32().ok()?;
    let mut tagged = 0;
    take_tagged(from, |tag, mut bytes| {
        if tag == 0 {
            tagged = bytes.try_get_i64().ok()?;
        }
        Some(())
    })?;
    Some((epoch, tagged))
}

fn put_subscription(out: &mut BytesMut, said: &Subscription) {
    put_text(out, said.instance_id.as_deref());
    put_text(out, said.rack_id.as_deref());
    put_text(out, Some(&said.client_id));
    put_text(out, Some(&said.client_host));
    put_texts(out, &said.topics);
    put_text(out, Some(&*said.regex).filter(|regex| !regex.is_empty()));
    out.put_i32(said.rebalance_timeout_ms);
    put_text(out, said.assignor.as_deref());
    put_varint(out, 0);
}

fn take_subscription(from: &mut Bytes) -> Option<Subscription> {
    let said = Subscription {
        instance_id: take_text(from)?,
        rack_id: take_text(from)?,
        client_id: take_text(from)??,
        client_host: take_text(from)??,
        topics: take_texts(from)?,
        regex: take_text(from)?.unwrap_or_default(),
        rebalance_timeout_ms: from.try_get_i32().ok()?,
        assignor: take_text(from)?,
    };
    skip_tagged(from)?;
    Some(said)
}

fn put_texts(out: &mut BytesMut, texts: &BTreeSet<Arc<str>>) {
    put_len(out, texts.len());
    for text in texts {
        put_text(out, Some(text));
    }
}

fn take_texts(from: &mut Bytes) -> Option<BTreeSet<Arc<str>>> {
    let len = take_len(from)??;
    (0..len).map(|_| take_text(from)?).collect()
}

fn put_target(out: &mut BytesMut, target: &BTreeSet<Partition>) {
    put_topics(out, &by_topic(target.iter().map(|at| (*at, ()))), |_, _| put_nothing());
    put_varint(out, 0);
}

fn put_nothing() -> Option<Bytes> {
    None
}

fn take_target(from: &mut Bytes) -> Option<BTreeSet<Partition>> {
    let held = take_topics(from)?;
    skip_tagged(from)?;
    Some(held.into_keys().collect())
}

fn by_topic<T>(partitions: impl Iterator<Item = (Partition, T)>) -> BTreeMap<Uuid, Vec<(i32, T)>> {
    let mut topics: BTreeMap<Uuid, Vec<(i32, T)>> = BTreeMap::new();
    for ((topic, partition), value) in partitions {
        topics.entry(topic).or_default().push((partition, value));
    }
    topics
}

/// Partitions by topic, each topic with the bytes of tagged field 0, if any.
fn put_topics<T>(
    out: &mut BytesMut,
    topics: &BTreeMap<Uuid, Vec<(i32, T)>>,
    tagged: impl Fn(Uuid, &[(i32, T)]) -> Option<Bytes>,
) {
    put_len(out, topics.len());
    for (topic, partitions) in topics {
        put_uuid(out, *topic);
        put_len(out, partitions.len());
        for (partition, _) in partitions {
            out.put_i32(*partition);
        }
        match tagged(*topic, partitions) {
            Some(bytes) => {
                put_varint(out, 1);
                put_varint(out, 0);
                put_varint(out, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                out.put_slice(&bytes);
            }
            None => put_varint(out, 0),
        }
    }
}

fn take_topics(from: &mut Bytes) -> Option<Held> {
    let mut held = Held::new();
    for _ in 0..take_len(from)?? {
        let topic = take_uuid(from)?;
        let partitions = take_i32s(from)??;
        let mut epochs = None;
        take_tagged(from, |tag, mut bytes| {
            if tag == 0 {
                epochs = take_i32s(&mut bytes)?;
            }
            Some(())
        })?;
        // Kafka before 4.3 did not write them: as old as may be.
        let epochs = epochs.filter(|epochs| epochs.len() == partitions.len());
        let epochs = epochs.unwrap_or_else(|| vec![0; partitions.len()]);
        held.extend(partitions.into_iter().map(|partition| (topic, partition)).zip(epochs));
    }
    Some(held)
}

#[expect(clippy::option_option, reason = "the outer one is the error")]
fn take_i32s(from: &mut Bytes) -> Option<Option<Vec<i32>>> {
    let Some(len) = take_len(from)? else { return Some(None) };
    (0..len).map(|_| from.try_get_i32().ok()).collect::<Option<Vec<_>>>().map(Some)
}

fn put_held(out: &mut BytesMut, held: &Held) {
    put_topics(out, &by_topic(held.iter().map(|(at, epoch)| (*at, *epoch))), |_, partitions| {
        let mut epochs = BytesMut::new();
        put_len(&mut epochs, partitions.len());
        for (_, epoch) in partitions {
            epochs.put_i32(*epoch);
        }
        Some(epochs.freeze())
    });
}

fn put_current(out: &mut BytesMut, current: &Current) {
    out.put_i32(current.epoch);
    out.put_i32(current.previous_epoch);
    out.put_i8(match current.state {
        MemberState::Stable => 0,
        MemberState::UnrevokedPartitions => 1,
        MemberState::UnreleasedPartitions => 2,
        MemberState::Unknown => 127,
    });
    put_held(out, &current.assigned);
    put_held(out, &current.revoking);
    put_varint(out, 0);
}

fn take_current(from: &mut Bytes) -> Option<Current> {
    let current = Current {
        epoch: from.try_get_i32().ok()?,
        previous_epoch: from.try_get_i32().ok()?,
        state: match from.try_get_i8().ok()? {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        },
        assigned: take_topics(from)?,
        revoking: take_topics(from)?,
    };
    skip_tagged(from)?;
    Some(current)
}

fn put_resolved(out: &mut BytesMut, resolved: &Resolved) {
    put_texts(out, &resolved.topics);
    out.put_i64(resolved.version);
    out.put_i64(resolved.at_ms);
    put_varint(out, 0);
}

fn take_resolved(from: &mut Bytes) -> Option<Resolved> {
    let (topics, version, at_ms) = (take_texts(from)?, from.try_get_i64().ok()?, from.try_get_i64().ok()?);
    skip_tagged(from)?;
    Some(Resolved { topics, version, at_ms })
}

#[cfg(test)]
mod tests;
