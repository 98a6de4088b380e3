//! What an earlier life left open: intents without results.

use super::{AGAIN, AUDIT_TOPIC, GROUP, Pair};
use crate::limits::RECENT_INTENTS;
use bytes::Bytes;
use millstream_bus::{
    Acks, Bus, BusError, CommittedOffset, FetchLimit, Isolation, Position, Record, StartOffset,
    TopicPartition,
};
use millstream_format::json;
use millstream_model::Timestamp;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// What an earlier life left.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Intents that were without a result.
    pub(super) settled: usize,
    /// The last intents, with and without results, under the ids that their commands had first: those come again.
    pub(super) recent: BTreeSet<Pair>,
}

/// Appends a result `unknown` for every intent that has none.
pub(super) async fn settle_open_intents(
    bus: &dyn Bus,
    partitions: i32,
    now: Timestamp,
) -> Result<Found, BusError> {
    let mut found = Found::default();
    for partition in 0..partitions {
        let at = TopicPartition::new(AUDIT_TOPIC, partition);
        let open = open_intents(bus, &at, &mut found.recent).await?;
        found.settled += open.len();
        let results: Vec<Record> = open.into_values().filter_map(|intent| unknown(intent, now)).collect();
        if !results.is_empty() {
            let count = results.len();
            tracing::warn!(count, "writes were under way when the process ended; their outcome is unknown");
            bus.append(&at, results, Acks::All).await?;
        }
        let latest = bus.offsets(&at).await?.latest;
        bus.commit(GROUP, &[(at, CommittedOffset::new(latest))]).await?;
    }
    Ok(found)
}

/// The intents without results since the settled offset; at most as many as were ever open at once.
async fn open_intents(
    bus: &dyn Bus,
    at: &TopicPartition,
    recent: &mut BTreeSet<Pair>,
) -> Result<BTreeMap<Pair, Json>, BusError> {
    let committed = bus.committed(GROUP, std::slice::from_ref(at)).await?.into_iter().next().flatten();
    let range = bus.offsets(at).await?;
    let settled = committed.map_or(range.earliest, |committed| committed.offset);
    let start = settled.min(range.stable - RECENT_INTENTS).clamp(range.earliest, range.stable);
    let position = Position::new(at.clone(), StartOffset::Offset(start));
    let mut reader = bus.reader(vec![position], Isolation::ReadCommitted).await?;
    let (mut open, mut next) = (BTreeMap::new(), start);
    while next < range.stable {
        match reader.poll(FetchLimit::default()).await {
            Ok(fetched) => {
                for fetched in fetched {
                    next = fetched.next_offset;
                    for received in fetched.records {
                        note(&mut open, recent, received.record.value.as_ref());
                    }
                }
            }
            Err(error) => {
                // Retention or damage took some: whatever was open there cannot be told any more.
                let Some((_, readable)) = error.next_readable() else { return Err(error) };
                reader.seek(at, readable).await?;
                next = readable;
            }
        }
    }
    Ok(open)
}

fn note(open: &mut BTreeMap<Pair, Json>, recent: &mut BTreeSet<Pair>, value: Option<&Bytes>) {
    let Some(Ok(json)) = value.map(|value| json::parse(value)) else { return };
    let text = |name: &str| json.get(name).and_then(Json::as_str);
    let (Some(id), Some(tag)) = (text("id"), text("tag")) else { return };
    let pair: Pair = (id.into(), tag.into());
    match text("phase") {
        Some("intent") => {
            let first_id = id.split(AGAIN).next().unwrap_or(id);
            recent.insert((first_id.into(), tag.into()));
            open.insert(pair, json);
        }
        Some("result") => {
            open.remove(&pair);
        }
        _ => {}
    }
}

/// The result for an intent whose outcome nobody knows.
fn unknown(mut intent: Json, now: Timestamp) -> Option<Record> {
    let object = intent.as_object_mut()?;
    object.insert("phase".to_owned(), "result".into());
    object.insert("result".to_owned(), "unknown".into());
    object.insert("old".to_owned(), Json::Null);
    let message = "the process ended before the outcome was known";
    object.insert("message".to_owned(), message.into());
    object.insert("at_ms".to_owned(), now.as_millis().into());
    let key = object.get("device")?.as_str()?.to_owned();
    Some(Record::new(Some(key.into()), Some(intent.to_string().into()), now))
}
