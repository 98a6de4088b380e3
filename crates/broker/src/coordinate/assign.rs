//! Which member reads what: Kafka's embedded "consumer" protocol and its range assignor.
//!
//! Members send their topics, the leader sends each member's partitions, both in the layouts of Kafka's
//! `ConsumerProtocolSubscription.json` and `ConsumerProtocolAssignment.json` (version 0), so that members in this process and
//! members on the wire can share a group.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::coordinate::offset_record::{put_string, take_string};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use millstream_bus::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The protocol type of consumer groups.
pub(crate) const PROTOCOL_TYPE: &str = "consumer";
/// The one assignor of members in this process, under Kafka's name.
pub(crate) const RANGE: &str = "range";

/// What a member wants to read.
pub(crate) fn encode_subscription(topics: &[String]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(0);
    put_count(&mut out, topics.len());
    for topic in topics {
        put_string(&mut out, topic);
    }
    out.put_i32(-1);
    out.freeze()
}

/// The topics in a subscription of any version; `None` where it is damaged.
pub(crate) fn decode_subscription(mut from: Bytes) -> Option<Vec<String>> {
    let _version = from.try_get_i16().ok()?;
    let count = from.try_get_i32().ok()?;
    (0..count).map(|_| take_string(&mut from)).collect()
}

/// What a member reads.
pub(crate) fn encode_assignment(partitions: &[TopicPartition]) -> Bytes {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for of in partitions {
        by_topic.entry(&of.topic).or_default().push(of.partition);
    }
    let mut out = BytesMut::new();
    out.put_i16(0);
    put_count(&mut out, by_topic.len());
    for (topic, partitions) in by_topic {
        put_string(&mut out, topic);
        put_count(&mut out, partitions.len());
        for partition in partitions {
            out.put_i32(partition);
        }
    }
    out.put_i32(-1);
    out.freeze()
}

/// The partitions in an assignment; `None` where it is damaged. An empty one is no partition.
pub(crate) fn decode_assignment(mut from: Bytes) -> Option<Vec<TopicPartition>> {
    if from.is_empty() {
        return Some(Vec::new());
    }
    let _version = from.try_get_i16().ok()?;
    let mut partitions = Vec::new();
    for _ in 0..from.try_get_i32().ok()? {
        let topic: Arc<str> = take_string(&mut from)?.into();
        for _ in 0..from.try_get_i32().ok()? {
            partitions.push(TopicPartition::new(Arc::clone(&topic), from.try_get_i32().ok()?));
        }
    }
    Some(partitions)
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
}

/// Kafka's range assignor: of each topic, every member that wants it gets a run of partitions, the first members one more.
pub(crate) fn range_assignment(
    members: &BTreeMap<Arc<str>, Vec<String>>,
    partitions: impl Fn(&str) -> i32,
) -> BTreeMap<Arc<str>, Vec<TopicPartition>> {
    let mut out: BTreeMap<_, Vec<_>> = members.keys().map(|id| (Arc::clone(id), Vec::new())).collect();
    let mut takers: BTreeMap<&str, Vec<&Arc<str>>> = BTreeMap::new();
    for (id, topics) in members {
        for topic in topics {
            let takers = takers.entry(topic).or_default();
            if takers.last() != Some(&id) {
                takers.push(id);
            }
        }
    }
    for (topic, takers) in takers {
        let topic_name: Arc<str> = topic.into();
        let count = i64::from(partitions(topic).max(0));
        let members = i64::try_from(takers.len()).unwrap_or(i64::MAX);
        for (turn, id) in (0..members).zip(takers) {
            // Partition p goes to member p * members / count, counted so that the first members have one more.
            let first = share(count, members, turn);
            let end = share(count, members, turn.saturating_add(1));
            let run = (first..end).filter_map(|partition| i32::try_from(partition).ok());
            let run = run.map(|partition| TopicPartition::new(Arc::clone(&topic_name), partition));
            out.entry(Arc::clone(id)).or_default().extend(run);
        }
    }
    out
}

/// How many of `count` partitions the first `turn` of `members` have together.
fn share(count: i64, members: i64, turn: i64) -> i64 {
    let each = count.checked_div(members).unwrap_or(0);
    let rest = count.checked_rem(members).unwrap_or(0);
    each.saturating_mul(turn).saturating_add(turn.min(rest))
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_kafkas() {
        let topics = vec!["t".to_owned()];
        let members = ["a", "b", "c"].map(|id| (Arc::from(id), topics.clone()));
        let assigned = range_assignment(&BTreeMap::from(members), |_| 7);
        let counts: Vec<_> = assigned.values().map(Vec::len).collect();
        assert_eq!(counts, [3, 2, 2]);
        assert_eq!(assigned["b"], [TopicPartition::new("t", 3), TopicPartition::new("t", 4)]);
    }

    proptest! {
        #[test]
        fn every_partition_has_one_reader_and_shares_are_even(
            members in 1..9_usize, partitions in 0..40_i32, wanted in prop::collection::vec(any::<bool>(), 18)
        ) {
            let wants = |member: usize| {
                let topic = |topic: usize| wanted[(member * 2 + topic) % 18].then(|| format!("t{topic}"));
                (0..2).filter_map(topic).collect::<Vec<_>>()
            };
            let ids = (0..members).map(|member| (Arc::from(format!("m{member}")), wants(member)));
            let ids: BTreeMap<Arc<str>, Vec<String>> = ids.collect();
            let assigned = range_assignment(&ids, |_| partitions);
            for topic in ["t0", "t1"] {
                let takers = ids.values().filter(|topics| topics.iter().any(|t| t == topic)).count();
                let mut all: Vec<_> = assigned.values().flatten().filter(|of| &*of.topic == topic).collect();
                all.sort();
                all.dedup();
                let expected = if takers == 0 { 0 } else { usize::try_from(partitions).unwrap() };
                prop_assert_eq!(all.len(), expected);
                let shares = assigned.iter().filter(|(id, _)| ids[*id].iter().any(|t| t == topic));
                let shares: Vec<_> = shares.map(|(_, of)| of.iter().filter(|of| &*of.topic == topic).count()).collect();
                if let (Some(most), Some(least)) = (shares.iter().max(), shares.iter().min()) {
                    prop_assert!(most - least <= 1);
                }
            }
            for partitions in assigned.values() {
                let mut back = decode_assignment(encode_assignment(partitions)).unwrap();
                back.sort();
                let mut sorted = partitions.clone();
                sorted.sort();
                prop_assert_eq!(back, sorted);
            }
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode_assignment(Bytes::from(bytes.clone()));
            let _ = decode_subscription(Bytes::from(bytes));
        }

        #[test]
        fn subscriptions_come_back(topics in prop::collection::vec("[a-z.]{1,20}", 0..6)) {
            prop_assert_eq!(decode_subscription(encode_subscription(&topics)), Some(topics));
        }
    }
}
