//! What a query leaves behind: offsets, changelogs and repartition topics. They stay when it ends, so that it can go on, and
//! go when what it fills is dropped, so that a query of the same name begins anew.

use super::restore;
use super::stage::stages;
use crate::SqlError;
use crate::operator::Graph;
use crate::plan::query_plan::PersistentQuery;
use millstream_bus::{Bus, BusError, CommittedOffset, TopicPartition};
use std::collections::BTreeMap;

/// The metadata of an offset that stands for none: whoever finds it begins at the beginning. No engine deletes an offset.
const NO_OFFSET: &str = "begin";

/// The offset that says there is none.
fn no_offset() -> CommittedOffset {
    CommittedOffset { offset: 0, metadata: NO_OFFSET.to_owned() }
}

/// What a group has committed; an offset of a query that was dropped is none.
pub(super) fn valid(committed: Option<CommittedOffset>) -> Option<CommittedOffset> {
    committed.filter(|committed| committed.metadata != NO_OFFSET)
}

/// Forgets what `query`, which does not run any more, has left.
pub(super) async fn forget(bus: &dyn Bus, query: &PersistentQuery) -> Result<(), SqlError> {
    let mut partitions = BTreeMap::new();
    for scan in query.plan.scans() {
        if let Ok(topic) = bus.describe_topic(&scan.topic).await {
            partitions.insert(scan.topic.clone(), topic.partitions);
        }
    }
    for stage in stages(query, &partitions) {
        let mut begin = Vec::new();
        for scan in &stage.inputs {
            if scan.internal {
                delete(bus, &scan.topic).await?;
            }
            let count = partitions.get(&scan.topic).copied().unwrap_or(0);
            let of = |partition| (TopicPartition::new(scan.topic.clone(), partition), no_offset());
            begin.extend((0..count).map(of));
        }
        let group = stage.consumer_group(&query.id);
        let committed = bus.commit(&group, &begin).await;
        committed.map_err(SqlError::bus(format!("forgetting the offsets of `{group}`")))?;
        for (name, _) in Graph::new(&stage.inputs, &stage.nodes).stateful() {
            delete(bus, &restore::topic(&query.id, &name)).await?;
        }
    }
    Ok(())
}

async fn delete(bus: &dyn Bus, topic: &str) -> Result<(), SqlError> {
    match bus.delete_topic(topic).await {
        Ok(()) | Err(BusError::UnknownTopic(_)) => Ok(()),
        Err(error) => Err(SqlError::bus(format!("deleting topic `{topic}`"))(error)),
    }
}
