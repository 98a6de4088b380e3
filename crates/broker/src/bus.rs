//! Every method of the bus, on the part that serves it.

use crate::coordinate::offsets::records_of;
use crate::embedded::{Embedded, blocking};
use crate::error::bus_error;
use crate::member::EmbeddedMember;
use crate::producer::EmbeddedProducer;
use crate::reader::EmbeddedReader;
use crate::record::encode;
use crate::topics::is_internal;
use async_trait::async_trait;
use millstream_bus::{
    Acks, Bus, BusError, CommittedOffset, GroupDescription, GroupReader, Isolation, OffsetRange, Position,
    Reader, Record, StartOffset, TopicDescription, TopicPartition, TopicSpec, TransactionalProducer, check,
};
use millstream_model::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

#[async_trait]
impl Bus for Embedded {
    async fn create_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        let (inner, spec) = (Arc::clone(&self.inner), spec.clone());
        blocking(move || inner.topics.create(&spec)).await
    }

    async fn delete_topic(&self, topic: &str) -> Result<(), BusError> {
        self.inner.delete_topic(topic).await
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>, BusError> {
        Ok(self.inner.topics.list())
    }

    async fn describe_topic(&self, topic: &str) -> Result<TopicDescription, BusError> {
        self.inner.topics.describe(topic)
    }

    async fn append(&self, to: &TopicPartition, records: Vec<Record>, acks: Acks) -> Result<i64, BusError> {
        check::batch(to, &records)?;
        if is_internal(&to.topic) {
            return Err(BusError::Invalid(format!("topic `{}` is the broker's own", to.topic)));
        }
        let replica = self.inner.topics.replica(to)?;
        let count = records.len();
        let mut batches = encode(records, replica.log().config().max_message_bytes, None)?;
        let appended = replica.append(&mut batches, count).map_err(bus_error)?;
        if acks == Acks::All {
            replica.flushed(appended.next_offset).await?;
        }
        Ok(appended.base_offset)
    }

    async fn offsets(&self, of: &TopicPartition) -> Result<OffsetRange, BusError> {
        Ok(self.inner.topics.replica(of)?.range())
    }

    async fn offset_for_time(&self, of: &TopicPartition, time: Timestamp) -> Result<Option<i64>, BusError> {
        let replica = self.inner.topics.replica(of)?;
        blocking(move || {
            let found = replica.log().offset_for_time(time.0).map_err(bus_error)?;
            Ok(found.map(|found| found.offset))
        })
        .await
    }

    async fn delete_records(&self, of: &TopicPartition, before: i64) -> Result<(), BusError> {
        let replica = self.inner.topics.replica(of)?;
        let OffsetRange { earliest, latest, .. } = replica.range();
        if before < 0 || before > latest {
            return Err(BusError::OffsetOutOfRange { at: of.clone(), offset: before, earliest, latest });
        }
        if before <= earliest {
            return Ok(());
        }
        blocking(move || replica.delete_before(before).map_err(bus_error)).await
    }

    async fn reader(&self, from: Vec<Position>, isolation: Isolation) -> Result<Box<dyn Reader>, BusError> {
        Ok(Box::new(EmbeddedReader::open(&self.inner, from, isolation)?))
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
        start: StartOffset,
        isolation: Isolation,
    ) -> Result<Box<dyn GroupReader>, BusError> {
        Ok(Box::new(EmbeddedMember::new(&self.inner, group, topics, start, isolation)?))
    }

    async fn committed(
        &self,
        group: &str,
        of: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>, BusError> {
        Ok(of.iter().map(|of| self.inner.offsets.committed(group, of).map(Into::into)).collect())
    }

    async fn commit(
        &self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError> {
        check::id("group", group)?;
        check::offsets(offsets)?;
        if self.inner.groups.members(group) > 0 {
            return Err(BusError::Fenced(format!("group {group}")));
        }
        self.inner.commit(records_of(group, offsets)).await
    }

    async fn groups(&self) -> Result<Vec<GroupDescription>, BusError> {
        let idle = self.inner.offsets.groups().into_iter().map(|name| (name, 0));
        let mut groups: BTreeMap<String, usize> = idle.collect();
        groups.extend(self.inner.groups.list().into_iter().map(|listed| {
            let members = self.inner.groups.members(&listed.group);
            (listed.group, members)
        }));
        Ok(groups.into_iter().map(|(name, members)| GroupDescription { name, members }).collect())
    }

    async fn transactional(&self, id: &str) -> Result<Box<dyn TransactionalProducer>, BusError> {
        Ok(Box::new(EmbeddedProducer::open(&self.inner, id).await?))
    }
}
