//! Groups in memory: committed offsets, members, and who holds which partition.

use crate::{BusError, CommittedOffset, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) offsets: BTreeMap<TopicPartition, CommittedOffset>,
    members: BTreeMap<u64, Member>,
    owners: BTreeMap<TopicPartition, u64>,
}

#[derive(Debug)]
struct Member {
    topics: Vec<String>,
    /// What it should hold once the others have let go.
    target: BTreeSet<TopicPartition>,
}

impl Group {
    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    pub(super) fn is_member(&self, id: u64) -> bool {
        self.members.contains_key(&id)
    }

    /// Takes in a member; `partitions` are all partitions of every topic of the engine.
    pub(super) fn join(&mut self, id: u64, topics: &[String], partitions: &[TopicPartition]) {
        self.members.insert(id, Member { topics: topics.to_vec(), target: BTreeSet::new() });
        self.spread(partitions);
    }

    pub(super) fn leave(&mut self, id: u64, partitions: &[TopicPartition]) {
        self.members.remove(&id);
        self.owners.retain(|_, owner| *owner != id);
        self.spread(partitions);
    }

    pub(super) fn expire(&mut self) {
        self.members.clear();
        self.owners.clear();
    }

    /// Gives every partition a member in turn. What a member holds now stays its own until it settles.
    pub(super) fn spread(&mut self, partitions: &[TopicPartition]) {
        self.owners.retain(|partition, _| partitions.contains(partition));
        for member in self.members.values_mut() {
            member.target.clear();
        }
        for (turn, partition) in partitions.iter().enumerate() {
            let wants = |member: &Member| member.topics.iter().any(|topic| **topic == *partition.topic);
            let takers: Vec<u64> =
                self.members.iter().filter(|(_, member)| wants(member)).map(|(id, _)| *id).collect();
            if let Some(id) = takers.get(turn % takers.len().max(1))
                && let Some(member) = self.members.get_mut(id)
            {
                member.target.insert(partition.clone());
            }
        }
    }

    /// Lets go of what the member should not hold, takes what is free, and returns what it holds then,
    /// and whether anything was let go.
    pub(super) fn settle(&mut self, id: u64) -> (BTreeSet<TopicPartition>, bool) {
        let Some(member) = self.members.get(&id) else { return (BTreeSet::new(), false) };
        let before = self.owners.len();
        self.owners.retain(|partition, owner| *owner != id || member.target.contains(partition));
        let released = self.owners.len() != before;
        for partition in &member.target {
            self.owners.entry(partition.clone()).or_insert(id);
        }
        let held = member.target.iter().filter(|partition| self.owners.get(*partition) == Some(&id));
        (held.cloned().collect(), released)
    }

    /// Commits as member `id`, which must hold every partition.
    pub(super) fn commit_as(
        &mut self,
        name: &str,
        id: u64,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError> {
        let holds = |partition: &TopicPartition| self.owners.get(partition) == Some(&id);
        if !self.is_member(id) || !offsets.iter().all(|(partition, _)| holds(partition)) {
            return Err(BusError::Fenced(format!("a member of group {name}")));
        }
        self.offsets.extend(offsets.iter().cloned());
        Ok(())
    }
}
