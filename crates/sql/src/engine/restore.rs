//! State out of its changelog.

use super::stage::prefix;
use super::topics::ensure;
use crate::SqlError;
use crate::operator::{Graph, Operator};
use crate::state::{Changes, FINGERPRINT_KEY};
use bytes::Bytes;
use millstream_bus::{Bus, FetchLimit, Isolation, Position, Record, StartOffset, TopicPartition, TopicSpec};
use millstream_model::Timestamp;
use std::collections::BTreeMap;

/// The changelog topic of one operator's state.
pub(super) fn topic(query_id: &str, state_name: &str) -> String {
    format!("{}-{state_name}-changelog", prefix(query_id))
}

/// Changes that the first commit must add, by changelog: fingerprints, and deletions of state of another shape.
pub(super) type Pending = Vec<(TopicPartition, Vec<Record>)>;

/// Loads the state of every operator of `graph` for one partition.
pub(super) async fn restore(
    bus: &dyn Bus,
    query_id: &str,
    graph: &mut Graph,
    partition: i32,
    partitions: i32,
) -> Result<Pending, SqlError> {
    let mut pending = Pending::new();
    for (name, operator) in graph.stateful() {
        let topic = topic(query_id, &name);
        ensure(bus, &TopicSpec::compacted(&topic, partitions)).await?;
        let at = TopicPartition::new(topic, partition);
        let saved = read(bus, &at).await?;
        let changes = load(operator.as_mut(), saved)?;
        if !changes.is_empty() {
            pending.push((at, records(changes, Timestamp(0))));
        }
    }
    Ok(pending)
}

/// The newest value of every key of a changelog partition.
async fn read(bus: &dyn Bus, at: &TopicPartition) -> Result<BTreeMap<Bytes, Bytes>, SqlError> {
    let context = || format!("reading the state in `{at}`");
    let end = bus.offsets(at).await.map_err(SqlError::bus(context()))?.stable;
    let mut saved = BTreeMap::new();
    let from = vec![Position::new(at.clone(), StartOffset::Earliest)];
    let mut reader = bus.reader(from, Isolation::ReadCommitted).await.map_err(SqlError::bus(context()))?;
    while reader.positions().iter().any(|(_, position)| *position < end) {
        let fetched = reader.poll(FetchLimit::default()).await.map_err(SqlError::bus(context()))?;
        for record in fetched.into_iter().flat_map(|fetched| fetched.records) {
            match (record.record.key, record.record.value) {
                (Some(key), Some(value)) => drop(saved.insert(key, value)),
                (Some(key), None) => drop(saved.remove(&key)),
                (None, _) => {}
            }
        }
    }
    Ok(saved)
}

/// Gives the entries to `operator`, and says what must change in the changelog first.
fn load(operator: &mut dyn Operator, mut saved: BTreeMap<Bytes, Bytes>) -> Result<Changes, SqlError> {
    let fingerprint = operator.fingerprint();
    let found = saved.remove(FINGERPRINT_KEY);
    if found.as_deref() == Some(fingerprint.as_bytes()) {
        for (key, value) in &saved {
            operator.load(key, value)?;
        }
        return Ok(Changes::new());
    }
    // The statement was changed so that its state has another shape: it begins anew.
    let mut changes: Changes = saved.into_keys().map(|key| (key.to_vec(), None)).collect();
    changes.push((FINGERPRINT_KEY.to_vec(), Some(fingerprint.into_bytes())));
    Ok(changes)
}

/// Changelog records.
pub(super) fn records(changes: Changes, now: Timestamp) -> Vec<Record> {
    changes
        .into_iter()
        .map(|(key, value)| Record::new(Some(key.into()), value.map(Bytes::from), now))
        .collect()
}
