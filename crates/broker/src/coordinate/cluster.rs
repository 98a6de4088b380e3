//! What holds for the whole cluster beside its topics, in `__cluster_metadata`: JSON values by key, the newest counts.
//!
//! Keys are paths: `cluster.id` (made once), `broker.config/<name>`, and whatever else is kept here under a prefix of its own.

use crate::coordinate::producers::{compacted, load};
use crate::embedded::blocking;
use crate::error::{bus_error, unavailable};
use crate::record::encode;
use crate::replica::Replica;
use crate::topics::Topics;
use bytes::Bytes;
use millstream_bus::{BusError, Record};
use millstream_model::Clock;
use parking_lot::RwLock;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

pub(crate) const TOPIC: &str = "__cluster_metadata";
const CLUSTER_ID: &str = "cluster.id";

/// The records, all of them in memory.
#[derive(Debug)]
pub(crate) struct ClusterRecords {
    cluster_id: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    values: RwLock<BTreeMap<String, Value>>,
    /// Held from before an append until it shows, so that memory takes values in the log's order.
    writing: tokio::sync::Mutex<()>,
}

impl ClusterRecords {
    /// Reads what is kept, and makes the cluster's id where there is none. Blocks.
    pub(crate) fn open(topics: &Topics, clock: Arc<dyn Clock>) -> Result<Self, BusError> {
        let replica = topics.internal(TOPIC, &compacted())?;
        let mut values = BTreeMap::new();
        load(&replica, |record| {
            let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else {
                return;
            };
            match record.value.as_deref().map(serde_json::from_slice) {
                Some(Ok(value)) => drop(values.insert(key.to_owned(), value)),
                Some(Err(error)) => tracing::error!(key, %error, "a damaged cluster record is passed over"),
                None => drop(values.remove(key)),
            }
        })?;
        let known = values.get(CLUSTER_ID).and_then(Value::as_str).map(str::to_owned);
        let cluster_id = known.clone().unwrap_or_else(|| base64(Uuid::new_v4()));
        let writing = tokio::sync::Mutex::default();
        let shared = Shared { replica, clock, values: RwLock::new(values), writing };
        if known.is_none() {
            let id = Value::String(cluster_id.clone());
            shared.append(&[(CLUSTER_ID.to_owned(), Some(id.clone()))])?;
            shared.replica.log().sync().map_err(bus_error)?;
            shared.values.write().insert(CLUSTER_ID.to_owned(), id);
        }
        Ok(Self { cluster_id, shared: Arc::new(shared) })
    }

    /// The cluster's id, as clients see it: the same for as long as the data directory lives.
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        self.shared.values.read().get(key).cloned()
    }

    /// Keys that begin with `prefix`, sorted, with their values.
    pub(crate) fn list(&self, prefix: &str) -> Vec<(String, Value)> {
        let values = self.shared.values.read();
        let from = values.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        let of_prefix = from.take_while(|(key, _)| key.starts_with(prefix));
        of_prefix.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Sets a value, or takes it away with `None`; durable when it returns, and then seen by everyone. It goes on where the
    /// future is dropped.
    pub(crate) async fn put(&self, key: &str, value: Option<Value>) -> Result<(), BusError> {
        self.put_all(vec![(key.to_owned(), value)]).await
    }

    /// The same for several values, all of them or none.
    pub(crate) async fn put_all(&self, changes: Vec<(String, Option<Value>)>) -> Result<(), BusError> {
        let shared = Arc::clone(&self.shared);
        let put = tokio::spawn(async move { shared.put(changes).await });
        put.await.unwrap_or_else(|_| Err(unavailable("given up at shutdown")))
    }
}

impl Shared {
    async fn put(self: Arc<Self>, changes: Vec<(String, Option<Value>)>) -> Result<(), BusError> {
        let _writing = self.writing.lock().await;
        let (shared, kept) = (Arc::clone(&self), changes.clone());
        let next_offset = blocking(move || shared.append(&kept)).await?;
        self.replica.flushed(next_offset).await?;
        let mut values = self.values.write();
        for (key, value) in changes {
            match value {
                Some(value) => values.insert(key, value),
                None => values.remove(&key),
            };
        }
        Ok(())
    }

    /// In one batch, which is there wholly after a crash or not at all.
    fn append(&self, changes: &[(String, Option<Value>)]) -> Result<i64, BusError> {
        let now = self.clock.now();
        let record = |(key, value): &(String, Option<Value>)| {
            let value = value.as_ref().map(|value| Bytes::from(value.to_string()));
            Record::new(Some(Bytes::copy_from_slice(key.as_bytes())), value, now)
        };
        let mut batch = encode(changes.iter().map(record).collect(), usize::MAX, None)?;
        Ok(self.replica.append(&mut batch, changes.len()).map_err(bus_error)?.next_offset)
    }
}

/// As Kafka prints UUIDs: base64 for URLs (RFC 4648, section 5) without padding, 22 characters. Never with a `-` in front, which
/// would read as an option on a command line.
pub(crate) fn base64(uuid: Uuid) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let number = uuid.as_u128();
    let digit = |index: u32| {
        // 128 bits are 21 digits of six and one of two, which stands in front of four zero bits.
        let bits = if index < 21 { number >> (122 - 6 * index) } else { number << 4 };
        usize::try_from(bits & 63)
            .ok()
            .and_then(|bits| ALPHABET.get(bits))
            .map_or('A', |byte| char::from(*byte))
    };
    let text: String = (0..22).map(digit).collect();
    match text.strip_prefix('-') {
        Some(rest) => format!("_{rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_log::{Log, LogConfig, SimDisk};
    use millstream_model::Timestamp;
    use serde_json::json;
    use std::path::Path;

    #[derive(Debug)]
    struct StillClock;

    impl Clock for StillClock {
        fn now(&self) -> Timestamp {
            Timestamp(7)
        }
    }

    fn open(disk: &SimDisk) -> ClusterRecords {
        let config = LogConfig { reserve_bytes: 0, ..LogConfig::default() };
        let log =
            Log::open(Arc::new(disk.clone()), Path::new("/data"), config, Arc::new(StillClock)).unwrap().0;
        ClusterRecords::open(&Topics::new(log), Arc::new(StillClock)).unwrap()
    }

    #[tokio::test]
    async fn what_was_put_survives_a_power_cut_and_so_does_the_id() {
        let disk = SimDisk::new(3);
        let records = open(&disk);
        let id = records.cluster_id().to_owned();
        assert_eq!(id.len(), 22);
        records.put("acl/1", Some(json!({"who": "User:a"}))).await.unwrap();
        records.put("acl/2", Some(json!(2))).await.unwrap();
        records.put("acm/3", Some(json!(3))).await.unwrap();
        records.put("acl/1", Some(json!({"who": "User:b"}))).await.unwrap();
        records.put("acl/2", None).await.unwrap();
        drop(records);
        let records = open(&disk.crash());
        assert_eq!(records.cluster_id(), id);
        assert_eq!(records.list("acl/"), [("acl/1".to_owned(), json!({"who": "User:b"}))]);
        assert_eq!(records.get("acl/2"), None);
        assert_eq!(records.get("acm/3"), Some(json!(3)));
    }

    #[test]
    fn ids_print_as_kafkas() {
        // Kafka's `new Uuid(0L, 1L)`, its metadata topic, prints as this.
        assert_eq!(base64(Uuid::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(base64(Uuid::from_u128(u128::MAX)), "_____________________w");
        assert_eq!(
            base64(Uuid::from_u128(0xfbff_ffff_ffff_ffff_ffff_ffff_ffff_fffe)),
            "_____________________g"
        );
    }
}
