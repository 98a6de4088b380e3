//! Reading what a Fetch asks for.

use crate::replica::Replica;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::fetch_session::Wanted;
use crate::wire::limits;
use crate::wire::place::{self, LEADER_EPOCH};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, EpochEndOffset, PartitionData};
use millstream_bus::Isolation;
use millstream_log::batch::BatchHeader;
use std::sync::Arc;
use tokio::sync::watch;

/// How much one Fetch reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// What is worth an answer before the time is up.
    pub(super) min_bytes: usize,
    /// Of all partitions together, the first batch excepted.
    pub(super) max_bytes: usize,
    pub(super) isolation: Isolation,
}

/// One partition of a Fetch.
pub(super) struct Part {
    pub(super) wanted: Wanted,
    found: Result<Source, ResponseError>,
}

/// Where a partition is read from.
pub(super) struct Source {
    replica: Arc<Replica>,
    /// Changes when there is more to read.
    more: watch::Receiver<i64>,
    /// Bytes that were ever appended, at the last read.
    appended_bytes: u64,
    by_id: bool,
}

/// What a read found, in the order of the parts.
#[derive(Default)]
pub(super) struct Found {
    pub(super) data: Vec<PartitionData>,
    pub(super) bytes: usize,
    /// Whether there is an error to tell of.
    pub(super) has_failed: bool,
}

/// Reads all parts: in place where little is read, which is soonest done, and otherwise on a thread that holds nobody up.
pub(super) async fn read_all(mut parts: Vec<Part>, budget: Budget) -> (Vec<Part>, Found) {
    if !parts.iter().any(Part::is_far_behind) {
        let found = read_now(&mut parts, budget);
        return (parts, found);
    }
    let reading = tokio::task::spawn_blocking(move || {
        let found = read_now(&mut parts, budget);
        (parts, found)
    });
    // A read that panicked tells nothing; the consumer asks again.
    reading.await.unwrap_or_default()
}

fn read_now(parts: &mut [Part], budget: Budget) -> Found {
    let mut found = Found { data: Vec::with_capacity(parts.len()), ..Found::default() };
    for part in parts {
        let left = budget.max_bytes.saturating_sub(found.bytes);
        let data = part.read(budget.isolation, left, found.bytes == 0);
        found.bytes += data.records.as_ref().map_or(0, Bytes::len);
        found.has_failed |= data.error_code != 0 || data.diverging_epoch.end_offset >= 0;
        found.data.push(data);
    }
    found
}

impl Part {
    /// The partition that is meant, where the client may read it.
    pub(super) fn find(call: &Call, wanted: Wanted, by_id: bool, isolation: Isolation) -> Self {
        let found = Source::find(call, &wanted, by_id, isolation);
        Self { wanted, found }
    }

    /// One that is answered with an error.
    pub(super) fn refused(wanted: Wanted, error: ResponseError) -> Self {
        Self { wanted, found: Err(error) }
    }

    /// What may be waited for.
    pub(super) fn source(&mut self) -> Option<&mut Source> {
        self.found.as_mut().ok()
    }

    /// Whether reading it may take long: for the disk, or for how much there is.
    fn is_far_behind(&self) -> bool {
        let behind = |source: &Source| source.replica.log().range().next.saturating_sub(self.wanted.offset);
        self.found.as_ref().is_ok_and(|source| behind(source) > limits::FETCH_IN_PLACE_RECORDS)
    }

    fn read(&mut self, isolation: Isolation, left: usize, is_first: bool) -> PartitionData {
        let index = self.wanted.at.partition;
        let read = match &mut self.found {
            Ok(source) => source.read(&self.wanted, isolation, left, is_first),
            Err(error) => Err(*error),
        };
        let data = read.unwrap_or_else(|error| {
            PartitionData::default().with_error_code(error.code()).with_high_watermark(-1)
        });
        data.with_partition_index(index)
    }
}

impl Source {
    fn find(call: &Call, wanted: &Wanted, by_id: bool, isolation: Isolation) -> Result<Self, ResponseError> {
        let at = &wanted.at;
        let name = place::topic_name(call, &at.name, at.id, by_id)?;
        if !call.may(Operation::Read, Resource::Topic(&name)) {
            return Err(ResponseError::TopicAuthorizationFailed);
        }
        let replica = place::replica(call, &name, at.partition)?;
        let more = match isolation {
            Isolation::ReadCommitted => replica.stable(),
            Isolation::ReadUncommitted => replica.log().appended(),
        };
        Ok(Self { replica, more, appended_bytes: 0, by_id })
    }

    /// Bytes that were appended since the last read.
    pub(super) fn bytes_since(&self) -> usize {
        let bytes = self.replica.log().appended_bytes().saturating_sub(self.appended_bytes);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Whether there is an error to tell of instead of records.
    pub(super) fn has_ended(&self) -> bool {
        self.replica.check_exists().is_err() || self.replica.log().is_fenced()
    }

    pub(super) fn more(&mut self) -> &mut watch::Receiver<i64> {
        &mut self.more
    }

    fn read(
        &mut self,
        wanted: &Wanted,
        isolation: Isolation,
        left: usize,
        is_first: bool,
    ) -> Result<PartitionData, ResponseError> {
        // What comes after this moment rings again.
        self.more.mark_unchanged();
        self.appended_bytes = self.replica.log().appended_bytes();
        let replica = &self.replica;
        if replica.check_exists().is_err() {
            let by_name = ResponseError::UnknownTopicOrPartition;
            return Err(if self.by_id { ResponseError::UnknownTopicId } else { by_name });
        }
        place::check_epoch(wanted.leader_epoch)?;
        let was_fenced = replica.log().is_fenced();
        let range = replica.range();
        let data = PartitionData::default()
            .with_high_watermark(range.latest)
            .with_last_stable_offset(range.stable)
            .with_log_start_offset(range.earliest)
            .with_aborted_transactions((isolation == Isolation::ReadCommitted).then(Vec::new));
        if wanted.last_fetched_epoch > LEADER_EPOCH || wanted.offset < range.earliest {
            return Err(ResponseError::OffsetOutOfRange);
        }
        if wanted.offset > range.latest {
            if was_fenced || replica.log().is_fenced() {
                // The disk failed, and what was read ahead of it is lost. What comes after it has later offsets.
                return Ok(data);
            }
            if wanted.last_fetched_epoch == LEADER_EPOCH {
                let epoch = EpochEndOffset::default().with_epoch(LEADER_EPOCH).with_end_offset(range.latest);
                return Ok(data.with_diverging_epoch(epoch));
            }
            return Err(ResponseError::OffsetOutOfRange);
        }
        if left == 0 && !is_first {
            return Ok(data);
        }
        let end = if isolation == Isolation::ReadCommitted { range.stable } else { i64::MAX };
        let bytes_max = left.min(usize::try_from(wanted.max_bytes).unwrap_or(0));
        let records = replica.log().read_before(wanted.offset, end, bytes_max);
        let records = records.map_err(|error| place::log_code(&error))?;
        if records.is_empty() || (!is_first && records.len() > bytes_max) {
            return Ok(data);
        }
        let data = match isolation {
            Isolation::ReadUncommitted => {
                // Records may have come since the range was looked at, and the high watermark is behind all that are shown.
                data.with_high_watermark(replica.log().range().next.max(range.latest))
            }
            Isolation::ReadCommitted => {
                let aborted = replica.aborted(wanted.offset, end_of(&records));
                let aborted = aborted.map_err(|error| place::bus_code(&error))?;
                data.with_aborted_transactions(Some(aborted.into_iter().map(transaction).collect()))
            }
        };
        Ok(data.with_records(Some(records)))
    }
}

fn transaction((producer_id, first_offset): (i64, i64)) -> AbortedTransaction {
    AbortedTransaction::default().with_producer_id(producer_id.into()).with_first_offset(first_offset)
}

/// The offset after the last of some batches.
fn end_of(mut batches: &[u8]) -> i64 {
    let mut end = 0;
    while let Ok(header) = BatchHeader::decode(batches) {
        end = header.next_offset();
        batches = batches.get(header.size_bytes..).unwrap_or_default();
    }
    end
}
