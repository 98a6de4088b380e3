//! Kafka record batches, format v2 (magic 2), as producers send them and segments keep them.
//!
//! ```text
//!  byte  0  baseOffset            i64   given by the log; outside the CRC
//!        8  batchLength           i32   bytes after this field
//!       12  partitionLeaderEpoch  i32   always 0 in the log; outside the CRC
//!       16  magic                 i8    2
//!       17  crc                   u32   CRC-32C of everything from byte 21
//!       21  attributes            i16   bits 0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon
//!       23  lastOffsetDelta       i32
//!       27  baseTimestamp         i64   ms; the delete horizon where bit 6 is set (KIP-534)
//!       35  maxTimestamp          i64   ms
//!       43  producerId            i64   -1: none
//!       51  producerEpoch         i16
//!       53  baseSequence          i32
//!       57  recordCount           i32
//!       61  records                     compressed as a whole by the codec
//! ```
//!
//! Sources: the Kafka protocol guide ("Record Batch"), KIP-98, KIP-534.

pub(crate) mod compression;
mod control;
mod cursor;
mod encode;
mod glance;
mod header;
mod record;
mod rewrite;

pub use compression::Compression;
pub use control::{ControlKind, ControlMarker};
pub use encode::BatchBuilder;
pub(crate) use glance::{Glance, glance};
pub use header::{BatchError, BatchHeader, HEADER_BYTES};
pub(crate) use header::{LEADER_EPOCH, give_offset, split_first};
pub use record::{Batch, Header, Record, batches};
pub(crate) use rewrite::{stamp_append_time, stamp_max_timestamp};

#[cfg(test)]
mod tests;
