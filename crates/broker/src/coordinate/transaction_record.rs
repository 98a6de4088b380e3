//! Records of `__transaction_state`: one per transactional id, the newest counts.
//!
//! Key: version i16 (0) and the id, as Kafka has it. Value: JSON, because it carries what Kafka keeps elsewhere: the offsets
//! committed with the transaction, and the partitions that an open transaction may have touched.

use crate::coordinate::offset_record::{Committed, OffsetRecord, put_string, take_string};
use bytes::{BufMut, BytesMut};
use millstream_bus::{Record, TopicPartition};
use millstream_model::Timestamp;
use serde::{Deserialize, Serialize};

/// What is decided about a producer's last transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decision {
    /// Nothing: what is found in `registered` without a marker was aborted.
    Ongoing,
    /// The transaction of `epoch` is committed, in `touched` and with `offsets`; later ones are not.
    Commit,
    /// The transaction of `epoch` is aborted, in `touched`.
    Abort,
    /// A client of the protocol has a transaction open, in `touched` and with `offsets`: it goes on after a restart.
    Open,
}

/// What is kept of a client of the protocol that has the transactional id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientRecord {
    /// How long its transactions may stay open.
    pub(crate) timeout_ms: i64,
    /// Producer id and epoch before the last change: a repeated request still names them.
    pub(crate) previous: Option<(i64, i16)>,
    /// How its last transaction ended: whether it was committed.
    pub(crate) committed: Option<bool>,
    /// When the id was last used, in ms.
    pub(crate) used_at_ms: i64,
    /// When the open transaction began, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) began_at_ms: Option<i64>,
    /// Groups that were added to the open transaction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) groups: Vec<String>,
}

/// A partition, and the id of its topic: one of the same name that is made later is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) at: TopicPartition,
    pub(crate) topic_id: u64,
}

/// The state of one transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransactionRecord {
    pub(crate) id: String,
    pub(crate) producer_id: i64,
    /// The epoch of the transaction that was decided, or of the one that may be open.
    pub(crate) epoch: i16,
    /// Producer id and epoch of whatever follows a decided transaction.
    pub(crate) next: (i64, i16),
    pub(crate) decision: Decision,
    /// Partitions of the decided transaction.
    pub(crate) touched: Vec<Registered>,
    /// Partitions that an open transaction may have touched.
    pub(crate) registered: Vec<Registered>,
    /// Offsets of the decided or open transaction.
    pub(crate) offsets: Vec<OffsetRecord>,
    /// `None` where a producer of this process has the id.
    pub(crate) client: Option<ClientRecord>,
}

#[derive(Serialize, Deserialize)]
struct Value {
    version: u32,
    producer_id: i64,
    epoch: i16,
    next: (i64, i16),
    decision: Decision,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    touched: Vec<(String, i32, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    registered: Vec<(String, i32, u64)>,
    /// Group, topic, partition, offset, metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    offsets: Vec<(String, String, i32, i64, String)>,
    /// Leader epochs of `offsets`; empty where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    leader_epochs: Vec<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<ClientRecord>,
}

const KEY_VERSION: i16 = 0;
const VALUE_VERSION: u32 = 1;

fn names(of: &[Registered]) -> Vec<(String, i32, u64)> {
    of.iter().map(|of| (of.at.topic.to_string(), of.at.partition, of.topic_id)).collect()
}

fn partitions(of: Vec<(String, i32, u64)>) -> Vec<Registered> {
    let registered = |(topic, partition, topic_id): (String, i32, u64)| Registered {
        at: TopicPartition::new(topic, partition),
        topic_id,
    };
    of.into_iter().map(registered).collect()
}

impl TransactionRecord {
    pub(crate) fn encode(&self, now: Timestamp) -> Record {
        let mut key = BytesMut::new();
        key.put_i16(KEY_VERSION);
        put_string(&mut key, &self.id);
        let offset = |record: &OffsetRecord| {
            let committed = record.committed.clone().unwrap_or_else(|| Committed::new(-1, String::new()));
            let topic = record.of.topic.to_string();
            (record.group.clone(), topic, record.of.partition, committed.offset, committed.metadata)
        };
        let leader_epoch =
            |record: &OffsetRecord| record.committed.as_ref().map_or(-1, |committed| committed.leader_epoch);
        let mut leader_epochs: Vec<_> = self.offsets.iter().map(leader_epoch).collect();
        if leader_epochs.iter().all(|epoch| *epoch < 0) {
            leader_epochs.clear();
        }
        let value = Value {
            version: VALUE_VERSION,
            producer_id: self.producer_id,
            epoch: self.epoch,
            next: self.next,
            decision: self.decision,
            touched: names(&self.touched),
            registered: names(&self.registered),
            offsets: self.offsets.iter().map(offset).collect(),
            leader_epochs,
            client: self.client.clone(),
        };
        // Strings and numbers always make JSON.
        let value = serde_json::to_vec(&value).unwrap_or_default();
        Record::new(Some(key.freeze()), Some(value.into()), now)
    }

    /// What takes back everything that is known of an id.
    pub(crate) fn tombstone(id: &str, now: Timestamp) -> Record {
        let mut key = BytesMut::new();
        key.put_i16(KEY_VERSION);
        put_string(&mut key, id);
        Record::new(Some(key.freeze()), None, now)
    }

    /// Of which id a record tells; `None` where it is another kind.
    pub(crate) fn id_of(record: &Record) -> Option<String> {
        let mut key = record.key.clone()?;
        if bytes::Buf::try_get_i16(&mut key).ok()? != KEY_VERSION {
            return None;
        }
        take_string(&mut key)
    }

    /// `None` where the record is another kind, or damaged, or a tombstone.
    pub(crate) fn decode(record: &Record) -> Option<Self> {
        let id = Self::id_of(record)?;
        let value: Value = serde_json::from_slice(record.value.as_ref()?).ok()?;
        let mut leader_epochs = value.leader_epochs.into_iter();
        let offset = |(group, topic, partition, offset, metadata)| OffsetRecord {
            group,
            of: TopicPartition::new(String::as_str(&topic), partition),
            committed: Some(Committed { offset, leader_epoch: leader_epochs.next().unwrap_or(-1), metadata }),
        };
        Some(Self {
            id,
            producer_id: value.producer_id,
            epoch: value.epoch,
            next: value.next,
            decision: value.decision,
            touched: partitions(value.touched),
            registered: partitions(value.registered),
            offsets: value.offsets.into_iter().map(offset).collect(),
            client: value.client,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let record = TransactionRecord {
            id: "query-1 ü".to_owned(),
            producer_id: 7,
            epoch: 3,
            next: (7, 4),
            decision: Decision::Commit,
            touched: vec![Registered { at: TopicPartition::new("out", 1), topic_id: 5 }],
            registered: vec![
                Registered { at: TopicPartition::new("out", 1), topic_id: 5 },
                Registered { at: TopicPartition::new("changelog", 0), topic_id: u64::MAX },
            ],
            offsets: vec![OffsetRecord {
                group: "g".to_owned(),
                of: TopicPartition::new("in", 2),
                committed: Some(Committed { offset: 99, leader_epoch: 3, metadata: "{\"a\":1}".to_owned() }),
            }],
            client: Some(ClientRecord {
                timeout_ms: 60_000,
                previous: Some((7, 2)),
                committed: Some(true),
                used_at_ms: 5,
                began_at_ms: None,
                groups: vec!["g".to_owned()],
            }),
        };
        assert_eq!(TransactionRecord::decode(&record.encode(Timestamp(1))), Some(record.clone()));
        let tombstone = Record { value: None, ..record.encode(Timestamp(1)) };
        assert_eq!(TransactionRecord::decode(&tombstone), None);
    }
}
