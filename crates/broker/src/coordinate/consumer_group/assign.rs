//! The server's assignors: who shall read what.
//!
//! Both leave members what they have where that is fair. `uniform` evens out the number of partitions over all topics; `range` gives
//! each member a like share of each topic, so that topics with equally many partitions that all members read go to the
//! members alike.
#![deny(clippy::as_conversions, clippy::indexing_slicing, clippy::unwrap_used)]

use super::{MemberId, Partition};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What is assigned to whom.
pub(crate) type Assignment = BTreeMap<MemberId, BTreeSet<Partition>>;

/// An assignor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Assignor {
    Uniform,
    Range,
}

impl Assignor {
    /// Both, the default first.
    pub(crate) const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Kafka's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// Distributes the partitions of `topics` over the `members` that read them.
    pub(crate) fn assign(
        self,
        members: &BTreeMap<MemberId, Reader<'_>>,
        topics: &BTreeMap<Uuid, i32>,
    ) -> Assignment {
        match self {
            Self::Uniform => uniform(members, topics),
            Self::Range => range(members, topics),
        }
    }
}

/// A member as an assignor sees it.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    pub(crate) topics: BTreeSet<Uuid>,
    /// What it was to have until now.
    pub(crate) before: &'a BTreeSet<Partition>,
}

/// A member while partitions are handed out.
struct Hand<'a> {
    id: &'a MemberId,
    reader: &'a Reader<'a>,
    partitions: BTreeSet<Partition>,
}

/// Members keep what they have; what is free goes to those who have least; then partitions move from those who have most to those
/// who have least until no move evens out anything. Where all read the same topics, which is nearly always, everyone has an equal
/// share, some one more, and no fewer moves would do.
fn uniform(members: &BTreeMap<MemberId, Reader<'_>>, topics: &BTreeMap<Uuid, i32>) -> Assignment {
    let mut taken = BTreeSet::new();
    let mut hands: Vec<_> = members
        .iter()
        .map(|(id, reader)| {
            let is_there =
                |at: &Partition| topics.get(&at.0).is_some_and(|count| (0..*count).contains(&at.1));
            let keeps = |at: &&Partition| reader.topics.contains(&at.0) && is_there(at);
            let partitions =
                reader.before.iter().filter(keeps).copied().filter(|at| taken.insert(*at)).collect();
            Hand { id, reader, partitions }
        })
        .collect();
    let mut by_popularity: Vec<(usize, Uuid)> = topics
        .keys()
        .map(|topic| (hands.iter().filter(|hand| hand.reader.topics.contains(topic)).count(), *topic))
        .filter(|(readers, _)| *readers > 0)
        .collect();
    let mut readers = members.values();
    let first = readers.next();
    if first.is_some_and(|first| readers.all(|reader| reader.topics == first.topics)) {
        let count = |topic: &Uuid| topics.get(topic).copied().unwrap_or(0);
        let all =
            by_popularity.iter().flat_map(|(_, topic)| (0..count(topic)).map(|number| (*topic, number)));
        share_out(&mut hands, all.filter(|at| !taken.contains(at)).collect());
        return hands.into_iter().map(|hand| (MemberId::clone(hand.id), hand.partitions)).collect();
    }
    // Those that few can take come first, so that there is still room with them.
    by_popularity.sort_unstable();
    for (_, topic) in &by_popularity {
        let mut order: BTreeSet<(usize, usize)> = hands
            .iter()
            .enumerate()
            .filter(|(_, hand)| hand.reader.topics.contains(topic))
            .map(|(index, hand)| (hand.partitions.len(), index))
            .collect();
        for at in (0..topics.get(topic).copied().unwrap_or(0)).map(|number| (*topic, number)) {
            if taken.contains(&at) {
                continue;
            }
            let Some((count, index)) = order.pop_first() else { break };
            if let Some(hand) = hands.get_mut(index) {
                hand.partitions.insert(at);
            }
            order.insert((count.saturating_add(1), index));
        }
    }
    while by_popularity.iter().any(|(_, topic)| even_out(&mut hands, *topic)) {}
    hands.into_iter().map(|hand| (MemberId::clone(hand.id), hand.partitions)).collect()
}

/// Gives everyone an equal share of what they have and what is `free`; those who have most keep one more, where it does not come out
/// even.
fn share_out(hands: &mut [Hand<'_>], mut free: BTreeSet<Partition>) {
    let total = hands.iter().map(|hand| hand.partitions.len()).fold(free.len(), usize::saturating_add);
    let (Some(share), Some(extra)) = (total.checked_div(hands.len()), total.checked_rem(hands.len())) else {
        return;
    };
    hands.sort_by_key(|hand| std::cmp::Reverse(hand.partitions.len()));
    let due = |rank: usize| share.saturating_add(usize::from(rank < extra));
    for (rank, hand) in hands.iter_mut().enumerate() {
        while hand.partitions.len() > due(rank) {
            free.extend(hand.partitions.pop_last());
        }
    }
    for (rank, hand) in hands.iter_mut().enumerate() {
        while hand.partitions.len() < due(rank)
            && let Some(at) = free.pop_first()
        {
            hand.partitions.insert(at);
        }
    }
}

/// Moves partitions of one topic from who has most to who has least. Whether any moved.
fn even_out(hands: &mut [Hand<'_>], topic: Uuid) -> bool {
    let of_topic = (topic, i32::MIN)..=(topic, i32::MAX);
    let mut moved = false;
    loop {
        let readers = || hands.iter().enumerate().filter(|(_, hand)| hand.reader.topics.contains(&topic));
        let least = readers().map(|(index, hand)| (hand.partitions.len(), index)).min();
        let holders = readers().filter(|(_, hand)| hand.partitions.range(of_topic.clone()).next().is_some());
        let most = holders.map(|(index, hand)| (hand.partitions.len(), index)).max();
        let (Some((least, to)), Some((most, from))) = (least, most) else { return moved };
        if most <= least.saturating_add(1) {
            return moved;
        }
        let at = hands.get_mut(from).and_then(|hand| {
            let last = hand.partitions.range(of_topic.clone()).next_back().copied()?;
            hand.partitions.take(&last)
        });
        let (Some(at), Some(to)) = (at, hands.get_mut(to)) else { return moved };
        to.partitions.insert(at);
        moved = true;
    }
}

/// Of each topic, everyone gets an equal run, some one more; who has partitions of it keeps the lowest of them up to the share.
fn range(members: &BTreeMap<MemberId, Reader<'_>>, topics: &BTreeMap<Uuid, i32>) -> Assignment {
    let mut out: Assignment = members.keys().map(|id| (MemberId::clone(id), BTreeSet::new())).collect();
    for (topic, count) in topics {
        let readers: Vec<_> = members.iter().filter(|(_, reader)| reader.topics.contains(topic)).collect();
        let count = usize::try_from(*count).unwrap_or(0);
        let (Some(share), Some(mut extra)) =
            (count.checked_div(readers.len()), count.checked_rem(readers.len()))
        else {
            continue;
        };
        let mut free: BTreeSet<Partition> = (0..count)
            .filter_map(|number| i32::try_from(number).ok())
            .map(|number| (*topic, number))
            .collect();
        let mut kept = Vec::new();
        for (_, reader) in &readers {
            let had = || reader.before.range((*topic, 0)..=(*topic, i32::MAX)).filter(|at| free.contains(at));
            let has_extra = extra > 0 && had().count() > share;
            extra = extra.saturating_sub(usize::from(has_extra));
            let keeps: Vec<_> = had().take(share.saturating_add(usize::from(has_extra))).copied().collect();
            for at in &keeps {
                free.remove(at);
            }
            kept.push((has_extra, keeps));
        }
        for ((id, _), (has_extra, mut partitions)) in readers.into_iter().zip(kept) {
            let gets_extra = !has_extra && extra > 0;
            extra = extra.saturating_sub(usize::from(gets_extra));
            let due = share.saturating_add(usize::from(has_extra || gets_extra));
            while partitions.len() < due
                && let Some(at) = free.pop_first()
            {
                partitions.push(at);
            }
            out.entry(MemberId::clone(id)).or_default().extend(partitions);
        }
    }
    out
}

#[cfg(test)]
mod tests;
