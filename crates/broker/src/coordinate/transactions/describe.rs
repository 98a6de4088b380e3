//! What administrators ask: which transactional ids there are, and what each is doing (KIP-664).

use super::{Producer, Transactions};
use crate::replica::TransactionKey;
use millstream_bus::TopicPartition;
use millstream_log::batch::ControlKind;

/// One transactional id.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) id: String,
    pub(crate) key: TransactionKey,
    /// Kafka's name of the state.
    pub(crate) state: &'static str,
    pub(crate) timeout_ms: i64,
    /// When the open transaction began, in ms.
    pub(crate) began_at_ms: Option<i64>,
    pub(crate) partitions: Vec<TopicPartition>,
}

impl Transactions {
    /// One id.
    pub(crate) async fn describe(&self, id: &str) -> Option<Described> {
        let slot = self.slot(id)?;
        let producer = slot.lock().await;
        (!producer.expired).then(|| self.described(&producer))
    }

    /// All ids, sorted.
    pub(crate) async fn describe_all(&self) -> Vec<Described> {
        let mut all = Vec::new();
        for slot in self.slots() {
            let producer = slot.lock().await;
            all.extend((!producer.expired).then(|| self.described(&producer)));
        }
        all
    }

    fn described(&self, producer: &Producer) -> Described {
        let open = producer.open.as_ref();
        let timeout =
            producer.client.as_ref().map_or(self.config.transaction_timeout, |client| client.timeout);
        let ended = producer.unsettled.last();
        let partitions = match (open, ended) {
            (Some(open), _) => open.registered().into_iter().map(|registered| registered.at).collect(),
            (None, Some(ended)) => ended.markers.iter().map(|marker| marker.at.clone()).collect(),
            (None, None) => Vec::new(),
        };
        let last = producer.client.as_ref().and_then(|client| client.last);
        let state = match (open, ended.map(|ended| ended.kind), last) {
            (Some(_), _, _) => "Ongoing",
            (None, Some(ControlKind::Commit), _) => "PrepareCommit",
            (None, Some(ControlKind::Abort), _) => "PrepareAbort",
            (None, None, Some(ControlKind::Commit)) => "CompleteCommit",
            (None, None, Some(ControlKind::Abort)) => "CompleteAbort",
            (None, None, None) => "Empty",
        };
        Described {
            id: producer.id.clone(),
            key: producer.key,
            state,
            timeout_ms: i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX),
            began_at_ms: open.map(|open| open.began_at.0),
            partitions,
        }
    }
}
