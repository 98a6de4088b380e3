//! Records of the bus as record batches of the log, and back.

use millstream_bus::{BusError, Header, ReceivedRecord, Record};
use millstream_log::batch::{self, Batch, BatchBuilder, BatchError, Compression};
use millstream_model::Timestamp;

/// Whose transaction a batch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    /// The sequence number of the first record.
    pub(crate) sequence: i32,
}

/// Bytes that a record takes at most in a batch beside its keys, values and headers' own bytes.
const RECORD_FRAMING_BYTES: usize = 32;
/// The same for each header.
const HEADER_FRAMING_BYTES: usize = 10;

fn bad(error: BatchError) -> BusError {
    BusError::Invalid(format!("the records make no batch: {error}"))
}

fn framed_len(record: &Record) -> usize {
    record.len_bytes() + RECORD_FRAMING_BYTES + record.headers.len() * HEADER_FRAMING_BYTES
}

/// Adds to a sequence number, which wraps to 0 as in Kafka.
pub(crate) fn sequence_after(sequence: i32, records: usize) -> i32 {
    let sum = i64::from(sequence) + i64::try_from(records).unwrap_or(0);
    i32::try_from(sum % (i64::from(i32::MAX) + 1)).unwrap_or(0)
}

/// One batch or several, none larger than `bytes_max` where a single record does not make it so.
pub(crate) fn encode(
    records: Vec<Record>,
    bytes_max: usize,
    stamp: Option<Stamp>,
) -> Result<Vec<u8>, BusError> {
    let builder = |sequence: i32| {
        let builder = BatchBuilder::new(Compression::None);
        match stamp {
            Some(stamp) => builder.producer(stamp.producer_id, stamp.epoch, sequence).transactional(),
            None => builder,
        }
    };
    let mut sequence = stamp.map_or(0, |stamp| stamp.sequence);
    let mut out = Vec::new();
    let mut open = builder(sequence);
    for record in records {
        if !open.is_empty() && open.size_bytes() + framed_len(&record) > bytes_max {
            sequence = sequence_after(sequence, open.len());
            let full = std::mem::replace(&mut open, builder(sequence));
            out.extend_from_slice(&full.finish().map_err(bad)?);
        }
        let headers = record.headers.into_iter();
        let headers =
            headers.map(|header| batch::Header { name: header.name, value: header.value }).collect();
        open.push(record.timestamp.0, record.key, record.value, headers);
    }
    let last = open.finish().map_err(bad)?;
    if out.is_empty() {
        return Ok(Vec::from(last));
    }
    out.extend_from_slice(&last);
    Ok(out)
}

/// The records of a batch from offset `from` on.
pub(crate) fn decode(batch: &Batch, from: i64) -> Result<Vec<ReceivedRecord>, BatchError> {
    let records = batch.records()?.into_iter().filter(|record| record.offset >= from);
    Ok(records.map(received).collect())
}

fn received(record: batch::Record) -> ReceivedRecord {
    let headers = record.headers.into_iter();
    ReceivedRecord {
        offset: record.offset,
        record: Record {
            key: record.key,
            value: record.value,
            headers: headers.map(|header| Header { name: header.name, value: header.value }).collect(),
            timestamp: Timestamp(record.timestamp),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_batch_over_the_limit_is_split_and_numbered_on() {
        let records: Vec<_> = (0..100)
            .map(|n| Record::new(None, Some(Bytes::from(vec![7; 100])), Timestamp(n)).header("h", "v"))
            .collect();
        let stamp = Stamp { producer_id: 9, epoch: 2, sequence: i32::MAX - 10 };
        let encoded = encode(records.clone(), 2_000, Some(stamp)).unwrap();
        let batches: Vec<_> = batch::batches(encoded.into()).map(Result::unwrap).collect();
        assert!(batches.len() > 5, "{}", batches.len());
        assert!(batches.iter().all(|batch| batch.bytes.len() <= 2_000));
        let mut sequence = stamp.sequence;
        let mut back = Vec::new();
        for batch in &batches {
            assert_eq!(batch.header.base_sequence, sequence);
            assert!(batch.header.is_transactional());
            let decoded = decode(batch, 0).unwrap();
            sequence = sequence_after(sequence, decoded.len());
            back.extend(decoded.into_iter().map(|received| received.record));
        }
        assert_eq!(back, records);
    }
}
