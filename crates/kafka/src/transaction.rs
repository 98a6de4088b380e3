//! Transactions: librdkafka's transactional producer, its blocking calls kept off the caller's task.

use crate::append::Appender;
use crate::client::{Directory, blocking};
use crate::error::{bus_error, unavailable};
use crate::group::{Outsiders, commit_list};
use crate::{KafkaSettings, limits};
use async_trait::async_trait;
use millstream_bus::meter::TopicMeters;
use millstream_bus::{
    BusError, CommittedOffset, Isolation, Record, TopicPartition, Transaction, TransactionalProducer, check,
};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Shared by the engine's transactional producers.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) settings: Arc<KafkaSettings>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) outsiders: Arc<Outsiders>,
    pub(crate) meters: Arc<TopicMeters>,
}

impl Engine {
    /// Counts what was appended.
    pub(crate) fn count(&self, to: &TopicPartition, records: &[Record]) {
        let bytes = records.iter().map(Record::len_bytes).sum();
        self.meters.topic(&to.topic).appended(records.len(), bytes);
    }
}

/// A producer of transactions.
pub(crate) struct KafkaProducer {
    engine: Engine,
    appender: Arc<Appender>,
    id: String,
    /// The end of the last transaction, where its caller did not wait for it.
    ending: Option<JoinHandle<Result<(), BusError>>>,
    /// Why nothing more can be done with this producer.
    broken: Option<BusError>,
}

/// Calls again while the cluster asks for patience, at most until `patience` is over. Blocks.
fn insist(
    id: &str,
    patience: Duration,
    mut call: impl FnMut(Duration) -> Result<(), KafkaError>,
) -> Result<(), KafkaError> {
    let end = Instant::now() + patience;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match call(left.min(limits::REQUEST_TIMEOUT)) {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && !left.is_zero() => {
                tracing::info!(target: "millstream_kafka", id, %error, "the transaction coordinator asks to try again");
                // Some errors come at once; the coordinator is given a moment.
                std::thread::sleep(limits::TOPIC_CHECK_INTERVAL.min(left));
            }
            result => return result,
        }
    }
}

impl KafkaProducer {
    pub(crate) async fn open(engine: Engine, id: &str) -> Result<Self, BusError> {
        let appender = Arc::new(Appender::open(&engine.settings, Some(id))?);
        let (client, owned) = (Arc::clone(appender.client()?), id.to_owned());
        blocking(move || {
            insist(&owned, limits::TRANSACTION_END_TIMEOUT, |left| client.init_transactions(left))
                .map_err(|error| bus_error(&error, &owned))
        })
        .await?;
        Ok(Self { engine, appender, id: id.to_owned(), ending: None, broken: None })
    }

    /// Starts to end the open transaction, on a thread that may wait.
    fn start_end(&mut self, commit: bool) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            // Dropped outside the runtime: the coordinator ends the transaction when its time is over.
            self.broken = Some(unavailable(format!("`{}` was left open at shutdown", self.id)));
            return;
        };
        let (appender, id) = (Arc::clone(&self.appender), self.id.clone());
        self.ending = Some(runtime.spawn_blocking(move || end(&appender, &id, commit)));
    }

    /// Waits for the end that was started. May be cancelled and called again.
    async fn finish_end(&mut self) -> Result<(), BusError> {
        let Some(ending) = &mut self.ending else { return Ok(()) };
        let ended = ending.await.unwrap_or_else(|_| Err(BusError::Unknown(self.id.clone())));
        self.ending = None;
        self.broken = match &ended {
            Err(error @ (BusError::Fenced(_) | BusError::Fatal(_))) => Some(error.clone()),
            Err(BusError::Unknown(_)) => Some(unavailable(format!(
                "it is not known how the last transaction of `{}` ended; open the producer again",
                self.id
            ))),
            _ if self.appender.is_broken() => {
                Some(unavailable(format!("librdkafka has given up `{}`; open the producer again", self.id)))
            }
            _ => None,
        };
        ended
    }
}

/// Commits or aborts, and aborts what cannot be committed. Blocks.
fn end(appender: &Appender, id: &str, commit: bool) -> Result<(), BusError> {
    let client = appender.client()?;
    let abort = || {
        insist(id, limits::TRANSACTION_END_TIMEOUT, |left| client.abort_transaction(left))
            .map_err(|error| outcome(&error, id))
    };
    if !commit {
        return abort();
    }
    match insist(id, limits::TRANSACTION_END_TIMEOUT, |left| client.commit_transaction(left)) {
        Ok(()) => Ok(()),
        Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
            abort()?;
            let error = bus_error(&KafkaError::Transaction(error), id);
            Err(match error {
                BusError::Fatal(message) => unavailable(message),
                other => other,
            })
        }
        Err(error) => Err(outcome(&error, id)),
    }
}

/// An end that the coordinator did not confirm may still have happened.
fn outcome(error: &KafkaError, id: &str) -> BusError {
    match bus_error(error, id) {
        BusError::Unavailable { .. } | BusError::Unknown(_) => BusError::Unknown(id.to_owned()),
        other => other,
    }
}

#[async_trait]
impl TransactionalProducer for KafkaProducer {
    async fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, BusError> {
        // How the last one ended was its caller's to hear.
        let _ = self.finish_end().await;
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        self.appender.client()?.begin_transaction().map_err(|error| bus_error(&error, &self.id))?;
        Ok(Box::new(KafkaTransaction { producer: self, failed: None, ended: false }))
    }
}

struct KafkaTransaction<'a> {
    producer: &'a mut KafkaProducer,
    /// Something could not be added: it can only be aborted.
    failed: Option<BusError>,
    ended: bool,
}

impl KafkaTransaction<'_> {
    fn doom<T>(&mut self, result: Result<T, BusError>) -> Result<T, BusError> {
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    async fn end(&mut self, commit: bool) -> Result<(), BusError> {
        self.ended = true;
        self.producer.start_end(commit && self.failed.is_none());
        let ended = self.producer.finish_end().await;
        match self.failed.take() {
            Some(failed) if commit => Err(failed),
            _ => ended,
        }
    }

    async fn add(&self, to: &TopicPartition, records: &[Record]) -> Result<(), BusError> {
        check::batch(to, records)?;
        self.producer.engine.directory.require(to).await?;
        match self.producer.appender.append(to, records).await {
            Ok(_) => {
                self.producer.engine.count(to, records);
                Ok(())
            }
            Err(BusError::Fenced(_)) => Err(BusError::Fenced(self.producer.id.clone())),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Transaction for KafkaTransaction<'_> {
    async fn append(&mut self, to: &TopicPartition, records: Vec<Record>) -> Result<(), BusError> {
        let added = self.add(to, &records).await;
        self.doom(added)
    }

    async fn commit_offsets(
        &mut self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError> {
        check::id("group", group)?;
        check::offsets(offsets)?;
        if offsets.is_empty() {
            return Ok(());
        }
        let Engine { settings, outsiders, .. } = self.producer.engine.clone();
        let (client, id) = (Arc::clone(self.producer.appender.client()?), self.producer.id.clone());
        let (offsets, group) = (commit_list(offsets)?, group.to_owned());
        let sent = blocking(move || {
            let group_client = outsiders.client(&settings, &group, Isolation::ReadCommitted)?;
            let membership = group_client
                .group_metadata()
                .ok_or_else(|| BusError::Fatal(format!("group {group} has no metadata")))?;
            insist(&id, limits::TRANSACTION_END_TIMEOUT, |left| {
                client.send_offsets_to_transaction(&offsets, &membership, left)
            })
            .map_err(|error| bus_error(&error, &id))
        })
        .await;
        self.doom(sent)
    }

    async fn commit(mut self: Box<Self>) -> Result<(), BusError> {
        self.end(true).await
    }

    async fn abort(mut self: Box<Self>) -> Result<(), BusError> {
        self.end(false).await
    }
}

impl Drop for KafkaTransaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.producer.start_end(false);
        }
    }
}
