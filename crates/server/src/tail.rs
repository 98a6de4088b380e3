//! Reading a topic as it grows: the same for the API and for the command line on a bare Kafka.

use crate::record::RecordJson;
use millstream_bus::{Bus, BusError, FetchLimit, Isolation, Position, StartOffset, TopicPartition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TailFrom {
    /// At the first record there is.
    Earliest,
    /// With the next record to come.
    #[default]
    Latest,
    /// This many offsets before the end of each partition.
    Last,
    /// At an offset.
    Offset,
}

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TailRequest {
    /// One partition; all where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// Where to start.
    pub from: TailFrom,
    /// The offset, or how many offsets, for `from`.
    pub count: i64,
    /// Whether to wait for more at the end.
    pub follow: bool,
    /// Stop after this many records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Sends committed records of `topic` until the end, the limit, or until nobody listens.
pub async fn tail(
    bus: &dyn Bus,
    topic: &str,
    request: &TailRequest,
    records: &mpsc::Sender<RecordJson>,
) -> Result<(), BusError> {
    let (positions, mut ends) = begin(bus, topic, request).await?;
    let mut reader = bus.reader(positions, Isolation::ReadCommitted).await?;
    let mut left = request.limit.unwrap_or(u64::MAX);
    loop {
        if !request.follow {
            for (partition, offset) in reader.positions() {
                if ends.get(&partition).is_some_and(|end| offset >= *end) {
                    ends.remove(&partition);
                }
            }
        }
        if left == 0 || (!request.follow && ends.is_empty()) {
            return Ok(());
        }
        let fetched = tokio::select! {
            fetched = reader.poll(FetchLimit::default()) => fetched?,
            () = records.closed() => return Ok(()),
        };
        for batch in fetched {
            let end = if request.follow { None } else { ends.get(&batch.partition).copied() };
            for received in &batch.records {
                if left == 0 || end.is_some_and(|end| received.offset >= end) {
                    break;
                }
                let (topic, partition) = (&batch.partition.topic, batch.partition.partition);
                let record = RecordJson::new(topic, partition, received.offset, &received.record);
                if records.send(record).await.is_err() {
                    return Ok(());
                }
                left -= 1;
            }
        }
    }
}

/// Start positions, and the ends as they are now of partitions that are not empty.
async fn begin(
    bus: &dyn Bus,
    topic: &str,
    request: &TailRequest,
) -> Result<(Vec<Position>, BTreeMap<TopicPartition, i64>), BusError> {
    let description = bus.describe_topic(topic).await?;
    let partitions = match request.partition {
        Some(partition) if (0..description.partitions).contains(&partition) => partition..partition + 1,
        Some(partition) => {
            let count = description.partitions;
            return Err(BusError::Invalid(format!("`{topic}` has {count} partitions, none is {partition}")));
        }
        None => 0..description.partitions,
    };
    let name: Arc<str> = topic.into();
    let (mut positions, mut ends) = (Vec::new(), BTreeMap::new());
    for partition in partitions {
        let at = TopicPartition::new(name.clone(), partition);
        let range = bus.offsets(&at).await?;
        let start = match request.from {
            TailFrom::Earliest => range.earliest,
            TailFrom::Latest => range.stable,
            TailFrom::Last => (range.stable - request.count.max(0)).max(range.earliest),
            TailFrom::Offset => request.count,
        };
        if start < range.stable {
            ends.insert(at.clone(), range.stable);
        }
        positions.push(Position::new(at, StartOffset::Offset(start)));
    }
    Ok((positions, ends))
}
