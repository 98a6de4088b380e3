//! Control records, which end a transaction (KIP-98): key = version i16, kind i16; value = version i16, coordinator epoch i32.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::cursor::Cursor;
use super::header::BatchError;
use super::record::Record;
use bytes::Bytes;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlKind {
    /// Its records never count.
    Abort,
    /// Its records count.
    Commit,
}

/// The one record of a control batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlMarker {
    /// How the transaction ended.
    pub kind: ControlKind,
    /// The epoch of the transaction coordinator that ended it.
    pub coordinator_epoch: i32,
}

impl ControlMarker {
    pub(crate) fn key(self) -> Bytes {
        let kind: i16 = match self.kind {
            ControlKind::Abort => 0,
            ControlKind::Commit => 1,
        };
        Bytes::from([0_i16.to_be_bytes(), kind.to_be_bytes()].concat())
    }

    pub(crate) fn value(self) -> Bytes {
        Bytes::from([&0_i16.to_be_bytes()[..], &self.coordinator_epoch.to_be_bytes()].concat())
    }

    /// Reads the record of a control batch. `Ok(None)` for kinds that end no transaction (Kafka has some for its own use).
    pub fn decode(record: &Record) -> Result<Option<Self>, BatchError> {
        let mut key = Cursor::new(record.key.as_deref().unwrap_or_default());
        let _version = key.i16()?;
        let kind = match key.i16()? {
            0 => ControlKind::Abort,
            1 => ControlKind::Commit,
            _ => return Ok(None),
        };
        let mut value = Cursor::new(record.value.as_deref().unwrap_or_default());
        let _version = value.i16()?;
        Ok(Some(Self { kind, coordinator_epoch: value.i32()? }))
    }
}
