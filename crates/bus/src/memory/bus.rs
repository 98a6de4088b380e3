//! The engine's side of [`Bus`].

use super::reader::{MemoryMember, MemoryReader, Positions};
use super::transaction::MemoryProducer;
use super::{MemoryBus, Topic};
use crate::{
    Acks, Bus, BusError, CommittedOffset, GroupDescription, GroupReader, Isolation, OffsetRange, Position,
    Reader, Record, StartOffset, TopicDescription, TopicPartition, TopicSpec, TransactionalProducer, check,
};
use async_trait::async_trait;
use millstream_model::Timestamp;
use std::sync::Arc;

#[async_trait]
impl Bus for MemoryBus {
    async fn create_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        check::topic(spec)?;
        self.0.change(|state| {
            if state.topics.contains_key(&spec.name) {
                return Err(BusError::TopicExists(spec.name.clone()));
            }
            state.topics.insert(spec.name.clone(), Topic::new(spec));
            Ok(())
        })
    }

    async fn delete_topic(&self, topic: &str) -> Result<(), BusError> {
        self.0.change(|state| {
            state.topics.remove(topic).ok_or_else(|| BusError::UnknownTopic(topic.to_owned()))?;
            let all = state.partitions_of(&state.topics.keys().cloned().collect::<Vec<_>>());
            for group in state.groups.values_mut() {
                group.offsets.retain(|at, _| *at.topic != *topic);
                group.spread(&all);
            }
            Ok(())
        })
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>, BusError> {
        let state = self.0.state();
        let visible = state.topics.values().filter(|topic| !topic.spec.name.starts_with("__"));
        Ok(visible.map(Topic::describe).collect())
    }

    async fn describe_topic(&self, topic: &str) -> Result<TopicDescription, BusError> {
        let state = self.0.state();
        state.topics.get(topic).map(Topic::describe).ok_or_else(|| BusError::UnknownTopic(topic.to_owned()))
    }

    async fn append(&self, to: &TopicPartition, records: Vec<Record>, _acks: Acks) -> Result<i64, BusError> {
        check::batch(to, &records)?;
        self.0.change(|state| Ok(state.partition(to)?.append(records, None)))
    }

    async fn offsets(&self, of: &TopicPartition) -> Result<OffsetRange, BusError> {
        Ok(self.0.state().partition(of)?.range())
    }

    async fn offset_for_time(&self, of: &TopicPartition, time: Timestamp) -> Result<Option<i64>, BusError> {
        Ok(self.0.state().partition(of)?.offset_for_time(time))
    }

    async fn delete_records(&self, of: &TopicPartition, before: i64) -> Result<(), BusError> {
        self.0.state().partition(of)?.delete_before(of, before)
    }

    async fn reader(&self, from: Vec<Position>, isolation: Isolation) -> Result<Box<dyn Reader>, BusError> {
        let mut positions = Positions::new();
        let mut state = self.0.state();
        for Position { partition, start } in from {
            let offset = start.resolve(state.partition(&partition)?.range(), isolation);
            if positions.insert(partition.clone(), offset).is_some() {
                return Err(BusError::Invalid(format!("`{partition}` is asked for twice in one reader")));
            }
        }
        Ok(Box::new(MemoryReader { shared: Arc::clone(&self.0), positions, isolation }))
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
        start: StartOffset,
        isolation: Isolation,
    ) -> Result<Box<dyn GroupReader>, BusError> {
        check::id("group", group)?;
        self.0.change(|state| {
            if let Some(unknown) = topics.iter().find(|topic| !state.topics.contains_key(*topic)) {
                return Err(BusError::UnknownTopic(unknown.clone()));
            }
            let all = state.partitions_of(&state.topics.keys().cloned().collect::<Vec<_>>());
            let id = state.number();
            state.groups.entry(group.to_owned()).or_default().join(id, topics, &all);
            let member: Box<dyn GroupReader> = Box::new(MemoryMember {
                shared: Arc::clone(&self.0),
                group: group.to_owned(),
                id,
                topics: topics.to_vec(),
                start,
                isolation,
                positions: Positions::new(),
            });
            Ok(member)
        })
    }

    async fn committed(
        &self,
        group: &str,
        of: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>, BusError> {
        let state = self.0.state();
        let offsets = state.groups.get(group).map(|group| &group.offsets);
        Ok(of.iter().map(|at| offsets.and_then(|offsets| offsets.get(at)).cloned()).collect())
    }

    async fn commit(
        &self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError> {
        check::id("group", group)?;
        check::offsets(offsets)?;
        let mut state = self.0.state();
        let entry = state.groups.entry(group.to_owned()).or_default();
        if entry.members() > 0 {
            return Err(BusError::Fenced(format!("group {group}")));
        }
        entry.offsets.extend(offsets.iter().cloned());
        Ok(())
    }

    async fn groups(&self) -> Result<Vec<GroupDescription>, BusError> {
        let state = self.0.state();
        let alive = state.groups.iter().filter(|(_, group)| group.members() > 0 || !group.offsets.is_empty());
        Ok(alive
            .map(|(name, group)| GroupDescription { name: name.clone(), members: group.members() })
            .collect())
    }

    async fn transactional(&self, id: &str) -> Result<Box<dyn TransactionalProducer>, BusError> {
        check::id("transactional id", id)?;
        let epoch = self.0.change(|state| state.take_over(id));
        Ok(Box::new(MemoryProducer { shared: Arc::clone(&self.0), id: id.to_owned(), epoch }))
    }
}
