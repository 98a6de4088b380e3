//! What a group id means to those who commit and clean up: a classic group, a consumer group (KIP-848), or only offsets.

use crate::coordinate::offset_record::OffsetRecord;
use crate::coordinate::offsets::Retention;
use crate::embedded::Inner;
use kafka_protocol::ResponseError;
use millstream_bus::{BusError, TopicPartition};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who commits, as a request tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committer<'a> {
    pub(crate) group: &'a str,
    /// Empty for a consumer that assigns itself.
    pub(crate) member: &'a str,
    pub(crate) instance: Option<&'a str>,
    /// The generation, or the epoch of a member of a consumer group; -1 for a consumer that assigns itself.
    pub(crate) generation: i32,
}

impl Inner {
    /// Whether a producer may commit offsets of a group in its transaction. The codes are those of TxnOffsetCommit.
    pub(crate) fn check_member(
        &self,
        group: &str,
        member: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        if self.is_consumer_group(group) {
            return self.consumer_groups.check_commit(group, member, generation, None, []);
        }
        Ok(self.groups.check_transaction(group, member, instance, generation)?)
    }

    /// Whether someone may commit offsets of `partitions` outside a transaction, in a version of OffsetCommit.
    pub(crate) fn check_committer(
        &self,
        who: Committer<'_>,
        version: i16,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), ResponseError> {
        if self.is_consumer_group(who.group) {
            let partitions = partitions.into_iter().map(|of| (of.topic, of.partition));
            return self.consumer_groups.check_commit(
                who.group,
                who.member,
                who.generation,
                Some(version),
                partitions,
            );
        }
        let exists = self.groups.exists(who.group) || self.offsets.contains(who.group);
        if !exists && who.generation >= 0 && version >= 9 {
            return Err(ResponseError::GroupIdNotFound);
        }
        Ok(self.groups.check_commit(who.group, who.member, who.instance, who.generation)?)
    }

    /// Puts on disk what offsets point past, and settles what transactions have committed in their place.
    pub(crate) async fn prepare_commit(&self, records: &[OffsetRecord]) -> Result<(), BusError> {
        self.transactions.complete_committers(records, None).await?;
        self.offsets.flush_inputs(&self.topics, records).await
    }

    /// Whether the id is that of a consumer group: one with a classic group's members in its place is none.
    pub(crate) fn is_consumer_group(&self, group: &str) -> bool {
        self.consumer_groups.contains(group) && !self.groups.is_live(group)
    }

    /// Takes offsets of a group back, so that no crash brings them again.
    pub(crate) async fn remove_offsets(&self, group: &str, of: Vec<TopicPartition>) -> Result<(), BusError> {
        let record =
            |of: &TopicPartition| OffsetRecord { group: group.to_owned(), of: of.clone(), committed: None };
        let records: Vec<_> = of.iter().map(record).collect();
        self.transactions.complete_committers(&records, None).await?;
        self.offsets.remove(group, of).await
    }

    /// Deletes a group without members, of whichever kind, and its offsets. `NON_EMPTY_GROUP`, `GROUP_ID_NOT_FOUND`.
    pub(crate) async fn delete_group(&self, group: &str) -> Result<(), ResponseError> {
        let unavailable = |_| ResponseError::CoordinatorNotAvailable;
        let deleted = if self.is_consumer_group(group) {
            self.consumer_groups.delete(group).await
        } else {
            match self.groups.delete(group) {
                Ok(written) => self.offsets.flushed(written).await.map_err(unavailable),
                Err(error) => Err(error),
            }
        };
        match deleted {
            Ok(()) => {}
            // A consumer that assigned itself left nothing but offsets.
            Err(ResponseError::GroupIdNotFound) if self.offsets.contains(group) => {}
            Err(error) => return Err(error),
        }
        let of = self.offsets.all(group).into_iter().map(|(of, _)| of).collect();
        self.remove_offsets(group, of).await.map_err(unavailable)
    }

    /// Forgets offsets that are old, and groups that nothing is left of.
    pub(crate) async fn expire_offsets(self: &Arc<Self>) {
        let period = self.groups.config().offsets_retention;
        let groups: BTreeSet<String> = self.offsets.groups().into_iter().collect();
        for group in groups {
            // The members of consumer groups keep their offsets as long as they read the topics.
            let is_next = self.is_consumer_group(&group);
            let retention = if is_next { Retention::Unread } else { self.groups.retention(&group) };
            let reads = |topic: &str| {
                if is_next {
                    self.consumer_groups.is_subscribed(&group, topic)
                } else {
                    self.groups.reads(&group, topic)
                }
            };
            let expired = self.offsets.expired(&group, retention, period, reads);
            if expired.is_empty() {
                continue;
            }
            tracing::info!(
                group,
                partitions = expired.len(),
                "committed offsets are forgotten: nobody used them"
            );
            if let Err(error) = self.remove_offsets(&group, expired).await {
                tracing::warn!(group, %error, "old offsets are not forgotten yet");
            }
        }
        self.groups.bury_without_offsets();
        self.consumer_groups.bury_without_offsets(&|group| self.offsets.contains(group));
    }
}
