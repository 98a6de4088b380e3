//! A registry whose memory is the topic `_schemas`.
//!
//! All of it is read at the start; before every answer that could be outdated, what has been appended since. A writer takes the
//! transactional id `_schemas`, which fences every other writer, reads to the end, decides, and commits: so two processes
//! on one cluster give no id twice.

use crate::Level;
use crate::limits::{EMPTY_POLLS_MAX, POLL_TIME, TRIES_MAX};
use crate::record::Entry;
use crate::state::{Registration, State};
use async_trait::async_trait;
use millstream_bus::{
    Bus, BusError, FetchLimit, Isolation, Position, Record, StartOffset, TopicPartition, TopicSpec,
};
use millstream_format::registry::{RegistryError, SchemaRegistry, SchemaText, SchemaVersion};
use millstream_model::Clock;
use parking_lot::Mutex;
use std::sync::Arc;

/// The topic that holds schemas, as Confluent Schema Registry calls it.
pub const SCHEMAS_TOPIC: &str = "_schemas";

/// Which versions of a subject are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    Newest,
    One(i32),
}

/// A registry over a bus. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct BusRegistry {
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    at: TopicPartition,
    state: Mutex<State>,
    /// The next offset to read. Held while reading, and over a whole write.
    next: tokio::sync::Mutex<i64>,
}

impl BusRegistry {
    /// Opens the registry: makes its topic where there is none, and reads it.
    pub async fn open(bus: Arc<dyn Bus>, clock: Arc<dyn Clock>) -> Result<Self, RegistryError> {
        let spec = TopicSpec::compacted(SCHEMAS_TOPIC, 1);
        match bus.create_topic(&spec).await {
            Ok(()) | Err(BusError::TopicExists(_)) => {}
            Err(error) => return Err(failed(&error)),
        }
        let at = TopicPartition::new(SCHEMAS_TOPIC, 0);
        let registry = Self { bus, clock, at, state: Mutex::default(), next: tokio::sync::Mutex::new(0) };
        registry.read().await?;
        Ok(registry)
    }

    /// Reads what has been appended since.
    pub(crate) async fn read(&self) -> Result<(), RegistryError> {
        let mut next = self.next.lock().await;
        self.read_from(&mut next).await
    }

    async fn read_from(&self, next: &mut i64) -> Result<(), RegistryError> {
        let range = self.bus.offsets(&self.at).await.map_err(|error| failed(&error))?;
        // Compaction and deletion of records may have moved the beginning.
        *next = (*next).max(range.earliest);
        if *next >= range.stable {
            return Ok(());
        }
        let from = vec![Position::new(self.at.clone(), StartOffset::Offset(*next))];
        let mut reader =
            self.bus.reader(from, Isolation::ReadCommitted).await.map_err(|error| failed(&error))?;
        let limit = FetchLimit { wait_max: POLL_TIME, ..FetchLimit::default() };
        let mut empty = 0;
        while *next < range.stable {
            let before = *next;
            for fetched in reader.poll(limit).await.map_err(|error| failed(&error))? {
                let mut state = self.state.lock();
                for received in &fetched.records {
                    let record = &received.record;
                    if let Some(entry) = Entry::decode(record.key.as_deref(), record.value.as_deref()) {
                        state.apply(entry);
                    } else {
                        tracing::debug!(offset = received.offset, "a record of {SCHEMAS_TOPIC} says nothing");
                    }
                }
                *next = (*next).max(fetched.next_offset);
            }
            empty = if *next == before { empty + 1 } else { 0 };
            if empty > EMPTY_POLLS_MAX {
                return Err(RegistryError::Unavailable(format!("{SCHEMAS_TOPIC} cannot be read to its end")));
            }
        }
        Ok(())
    }

    /// Decides on the newest state what to append, and appends it.
    pub(crate) async fn write<T: Send>(
        &self,
        decide: impl Fn(&State) -> Result<(T, Vec<Entry>), RegistryError> + Send + Sync,
    ) -> Result<T, RegistryError> {
        let mut next = self.next.lock().await;
        for _ in 0..TRIES_MAX {
            self.read_from(&mut next).await?;
            let (result, entries) = decide(&self.state.lock())?;
            if entries.is_empty() {
                return Ok(result);
            }
            // Whoever takes the id makes sure that nobody else appends between the reading and the commit.
            let mut producer = self.bus.transactional(SCHEMAS_TOPIC).await.map_err(|error| failed(&error))?;
            self.read_from(&mut next).await?;
            let (result, entries) = decide(&self.state.lock())?;
            match self.append(producer.as_mut(), entries).await {
                Ok(()) => {
                    self.read_from(&mut next).await?;
                    return Ok(result);
                }
                Err(BusError::Fenced(_)) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(RegistryError::Unavailable("other processes write schemas at the same time".to_owned()))
    }

    async fn append(
        &self,
        producer: &mut dyn millstream_bus::TransactionalProducer,
        entries: Vec<Entry>,
    ) -> Result<(), BusError> {
        if entries.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let records = entries.iter().map(|entry| {
            let (key, value) = entry.encode();
            Record::new(Some(key), value, now)
        });
        let records = records.collect();
        let mut transaction = producer.begin().await?;
        transaction.append(&self.at, records).await?;
        transaction.commit().await
    }

    /// What `answer` reads from the newest state.
    pub(crate) async fn newest<T>(&self, answer: impl FnOnce(&State) -> T) -> Result<T, RegistryError> {
        self.read().await?;
        Ok(answer(&self.state.lock()))
    }

    /// Sets the level of a subject, or of all that have none of their own; `None` takes it back.
    pub async fn set_level(&self, subject: Option<&str>, level: Option<Level>) -> Result<(), RegistryError> {
        self.write(|_| Ok(((), vec![Entry::Level { subject: subject.map(str::to_owned), level }]))).await
    }

    /// The level that counts for a subject.
    pub async fn level(&self, subject: &str) -> Result<Level, RegistryError> {
        self.newest(|state| state.level(Some(subject), false).unwrap_or_default()).await
    }

    /// Deletes versions of a subject: softly, or, those that are so already, for good.
    pub(crate) async fn delete(
        &self,
        subject: &str,
        which: Which,
        permanent: bool,
    ) -> Result<Vec<i32>, RegistryError> {
        self.write(|state| {
            let numbers = match which {
                Which::All => state.versions(subject, permanent)?,
                Which::Newest => vec![state.version(subject, None, permanent)?.version],
                Which::One(version) => vec![state.version(subject, Some(version), permanent)?.version],
            };
            let kept = state.versions(subject, false).unwrap_or_default();
            let soft = numbers.iter().find(|number| kept.contains(number));
            if let (true, Some(number)) = (permanent, soft) {
                return Err(RegistryError::Refused(format!(
                    "version {number} of subject `{subject}` was not deleted first before being permanently deleted"
                )));
            }
            let user = numbers.iter().find_map(|number| state.users(subject, *number).first().copied());
            if let Some(id) = user {
                return Err(RegistryError::Refused(format!(
                    "one or more references exist to subject `{subject}`: schema {id} uses it"
                )));
            }
            let mut entries = Vec::new();
            for number in &numbers {
                let subject = subject.to_owned();
                entries.push(if permanent {
                    Entry::Gone { subject, version: *number }
                } else {
                    Entry::Schema(state.version(&subject, Some(*number), true)?, true)
                });
            }
            if let (Which::All, false, Some(last)) = (which, permanent, numbers.last()) {
                entries.push(Entry::Deleted { subject: subject.to_owned(), version: *last });
                entries.push(Entry::Level { subject: Some(subject.to_owned()), level: None });
            }
            Ok((numbers, entries))
        })
        .await
    }
}

#[async_trait]
impl SchemaRegistry for BusRegistry {
    async fn register(&self, subject: &str, schema: &SchemaText) -> Result<i32, RegistryError> {
        self.write(|state| {
            Ok(match state.register(subject, schema)? {
                Registration::Known(id) => (id, Vec::new()),
                Registration::New(version) => (version.id, vec![Entry::Schema(version, false)]),
            })
        })
        .await
    }

    async fn by_id(&self, id: i32) -> Result<SchemaText, RegistryError> {
        // The text of an id never changes.
        if let Ok(known) = self.state.lock().schema(id) {
            return Ok(known.clone());
        }
        self.newest(|state| state.schema(id).cloned()).await?
    }

    async fn latest(&self, subject: &str) -> Result<SchemaVersion, RegistryError> {
        self.newest(|state| state.version(subject, None, false)).await?
    }

    async fn version(&self, subject: &str, version: i32) -> Result<SchemaVersion, RegistryError> {
        self.newest(|state| state.version(subject, Some(version), false)).await?
    }

    async fn versions(&self, subject: &str) -> Result<Vec<i32>, RegistryError> {
        self.newest(|state| state.versions(subject, false)).await?
    }

    async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        self.newest(|state| state.subjects(false)).await
    }

    async fn incompatibilities(
        &self,
        subject: &str,
        schema: &SchemaText,
    ) -> Result<Vec<String>, RegistryError> {
        self.newest(|state| {
            let level = state.level(Some(subject), false).unwrap_or_default();
            state.incompatibilities(schema, &state.compared(subject), level)
        })
        .await?
    }

    async fn delete_subject(&self, subject: &str) -> Result<Vec<i32>, RegistryError> {
        self.delete(subject, Which::All, false).await
    }
}

fn failed(error: &BusError) -> RegistryError {
    if error.is_retriable() {
        RegistryError::Unavailable(error.to_string())
    } else {
        RegistryError::Refused(error.to_string())
    }
}
