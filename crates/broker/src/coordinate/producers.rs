//! Producer ids: unique for ever, because markers in the log name them.
//!
//! They are made durable in blocks, in the topic `__producer_ids`: one key, whose newest value is the first id that was not
//! taken. A crash loses the rest of a block, never hands out an id twice.

use crate::error::bus_error;
use crate::limits;
use crate::record::{decode, encode};
use crate::replica::Replica;
use crate::topics::Topics;
use bytes::Bytes;
use millstream_bus::{BusError, Record};
use millstream_log::LogError;
use millstream_log::batch::batches;
use millstream_model::Clock;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Mutex;

const TOPIC: &str = "__producer_ids";
const KEY: &[u8] = b"next";

/// Hands out producer ids.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    /// Those that are durably taken and not handed out.
    left: Mutex<Range<i64>>,
}

/// Configs of a topic that keeps the newest value of each key.
pub(crate) fn compacted() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("cleanup.policy".to_owned(), "compact".to_owned()),
        ("segment.bytes".to_owned(), limits::INTERNAL_SEGMENT_BYTES.to_string()),
    ])
}

/// Every record of an internal topic, oldest first. Damaged ones are passed over, with a warning. Blocks.
pub(crate) fn load(replica: &Replica, mut each: impl FnMut(&Record)) -> Result<(), BusError> {
    let range = replica.range();
    let mut next = range.earliest;
    while next < range.latest {
        let bytes = match replica.log().read(next, limits::READ_BYTES) {
            Ok(bytes) if bytes.is_empty() => return Ok(()),
            Ok(bytes) => bytes,
            Err(LogError::Corrupt { first, last, .. }) => {
                tracing::error!(topic = %replica.at, first, last, "damaged records of an internal topic are passed over");
                next = last + 1;
                continue;
            }
            Err(error) => return Err(bus_error(error)),
        };
        for batch in batches(bytes) {
            let Ok(batch) = batch else { break };
            if !batch.header.is_control() {
                match decode(&batch, next) {
                    Ok(records) => records.iter().for_each(|received| each(&received.record)),
                    Err(error) => {
                        tracing::error!(topic = %replica.at, %error, "a damaged batch is passed over");
                    }
                }
            }
            next = batch.header.next_offset();
        }
    }
    Ok(())
}

impl ProducerIds {
    /// Reads where the last process stopped. Blocks.
    pub(crate) fn open(topics: &Topics, clock: Arc<dyn Clock>) -> Result<Self, BusError> {
        let replica = topics.internal(TOPIC, &compacted())?;
        let mut next = 0;
        load(&replica, |record| {
            let value = record.value.as_deref().and_then(|value| <[u8; 8]>::try_from(value).ok());
            next = value.map_or(next, i64::from_be_bytes).max(next);
        })?;
        Ok(Self { replica, clock, left: Mutex::new(next..next) })
    }

    /// An id that no producer ever had.
    pub(crate) async fn next(&self) -> Result<i64, BusError> {
        let mut left = self.left.lock().await;
        if left.is_empty() {
            let end = left.start + limits::PRODUCER_ID_BLOCK;
            let value = Bytes::copy_from_slice(&end.to_be_bytes());
            let record = Record::new(Some(Bytes::from_static(KEY)), Some(value), self.clock.now());
            let mut batch = encode(vec![record], usize::MAX, None)?;
            let appended = self.replica.append(&mut batch, 1).map_err(bus_error)?;
            self.replica.flushed(appended.next_offset).await?;
            left.end = end;
        }
        left.start += 1;
        Ok(left.start - 1)
    }
}
