//! What the coordinator keeps of a client of the protocol, beside what it keeps of every transactional id.
//!
//! A client's transaction differs from one of this process in three ways.
//!
//! * It survives a restart: a partition, group or offset is in an `Open` record on disk before the client hears that it was
//!   added, and so before any record of the transaction can be in that partition.
//! * It ends by a decision on disk for aborts too, because the client goes on after it.
//! * Its requests come over a network, where they are delayed, repeated, and overtaken by later ones on another connection.
//!
//! Why no such request tears a transaction (Jepsen found committed halves, and aborted records that were read, in the systems
//! that speak the older protocol):
//!
//! * From transaction version 2 (KIP-890) on, each transaction has an epoch of its own, given by the answer to EndTxn. A late
//!   request names an older epoch and has no effect; a late EndTxn gets the answer that it got the first time.
//! * Clients of the older protocol keep their epoch, so that a late EndTxn could be taken for that of the next transaction. But a client
//!   begins the next one only after it has the answer to an EndTxn, and if the late one was not the one that was answered, that came
//!   over another connection: within one TCP keeps the order. It was opened after the late one was sent, and before the late one was
//!   sent, its own connection had been accepted, since clients await an answer (ApiVersions) before anything else. So the number of
//!   the connection tells which is late: a producer's request on a connection with a smaller number than one on which it has spoken
//!   already is refused, without effect. This holds for each of the ways apart that a client may use connections of their own for:
//!   the coordinator, offsets, and records.
//! * A late InitProducerId fences the producer: its open transaction is aborted whole.
//! * Late records: sequence numbers let them in once and in order, and a client that gave records up without knowing what became of
//!   them takes a new epoch before its next transaction (KIP-360).
//! * A partition takes records of a transaction only from the moment the coordinator has it open there until the moment
//!   it is being ended: both are told to the partition itself, under the lock that appends.
//! * Markers and offsets of a transaction are on disk before the next one of the same id begins, so that a decision that is carried out again
//!   after a crash finds nothing of a later transaction.

use super::{Open, Producer, TransactionError};
use crate::coordinate::transaction_record::ClientRecord;
use crate::replica::TransactionKey;
use millstream_log::batch::ControlKind;
use millstream_model::Timestamp;
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub(super) struct Client {
    /// How long its transactions may stay open.
    pub(super) timeout: Duration,
    /// What producer id and epoch were before they last changed: a request that is repeated still names them.
    pub(super) previous: Option<TransactionKey>,
    /// How its last transaction ended.
    pub(super) last: Option<ControlKind>,
    pub(super) used_at: Timestamp,
    pub(super) heard: Heard,
}

/// The newest connection on which a producer was heard, by way.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) coordinator: u64,
    pub(super) offsets: u64,
    pub(super) records: u64,
}

/// Takes note of a request on a connection; refuses one that comes late.
pub(super) fn hear(newest: &mut u64, connection: u64) -> Result<(), TransactionError> {
    if connection < *newest {
        return Err(TransactionError::OldConnection);
    }
    *newest = connection;
    Ok(())
}

impl Client {
    pub(super) fn new(timeout: Duration, used_at: Timestamp) -> Self {
        Self { timeout, previous: None, last: None, used_at, heard: Heard::default() }
    }

    pub(super) fn record(&self, open: Option<&Open>) -> ClientRecord {
        ClientRecord {
            timeout_ms: i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX),
            previous: self.previous,
            committed: self.last.map(|kind| kind == ControlKind::Commit),
            used_at_ms: self.used_at.0,
            began_at_ms: open.map(|open| open.began_at.0),
            groups: open.into_iter().flat_map(|open| open.groups.iter().cloned()).collect(),
        }
    }

    pub(super) fn restore(record: &ClientRecord) -> Self {
        let ended = |committed| if committed { ControlKind::Commit } else { ControlKind::Abort };
        Self {
            timeout: Duration::from_millis(u64::try_from(record.timeout_ms).unwrap_or(0)),
            previous: record.previous,
            last: record.committed.map(ended),
            used_at: Timestamp(record.used_at_ms),
            heard: Heard::default(),
        }
    }
}

impl Producer {
    /// The client that has the id, if the request comes from it.
    pub(super) fn client_of(&mut self, key: TransactionKey) -> Result<&mut Client, TransactionError> {
        if self.key.0 != key.0 {
            return Err(TransactionError::UnknownProducer);
        }
        if self.key.1 != key.1 {
            return Err(TransactionError::Fenced);
        }
        self.client.as_mut().ok_or(TransactionError::Fenced)
    }
}
