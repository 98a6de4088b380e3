//! The statements of a plant: started, brought up to date after a change, and tried again while the log is away.

use super::notices::Notices;
use millstream_bus::{Bus, BusError, TopicSpec};
use millstream_plant::Plant;
use millstream_server::Condition;
use millstream_sql::{Engine, SqlError, StatementResult};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The subject of notices about statements.
const SUBJECT: &str = "queries";
/// Pause before statements are tried again while the log is away.
const RETRY: Duration = Duration::from_secs(1);

/// Keeps the SQL engine at what the plant says.
pub(super) struct Queries {
    sql: Arc<Engine>,
    bus: Arc<dyn Bus>,
    notices: Arc<Notices>,
    starting: Mutex<Option<JoinHandle<()>>>,
}

impl Queries {
    pub(super) fn new(sql: Arc<Engine>, bus: Arc<dyn Bus>, notices: Arc<Notices>) -> Self {
        Self { sql, bus, notices, starting: Mutex::default() }
    }

    /// Brings the engine to what `plant` says: queries that stay the same go on undisturbed, the others end or start. Goes on
    /// by itself until the log takes it.
    pub(super) fn start(self: &Arc<Self>, plant: &Plant) {
        let (this, plant) = (self.clone(), plant.clone());
        let task = tokio::spawn(async move {
            let mut told = None;
            while let Err(error) = this.attempt(&plant).await {
                this.notices.set(SUBJECT, Condition::Bad, format!("they cannot be started: {error}"), "");
                if let SqlError::Mistakes(mistakes) = &error {
                    // The plant was checked with the same rules, so this is a matter of what runs, and no retry mends it.
                    for mistake in mistakes {
                        tracing::error!("the queries were not taken over: {}", mistake.message);
                    }
                    return;
                }
                if told.as_ref() != Some(&error) {
                    tracing::warn!("the queries cannot be started yet: {error}");
                }
                told = Some(error);
                sleep(RETRY).await;
            }
            this.notices.clear(SUBJECT);
        });
        if let Some(older) = self.starting.lock().replace(task) {
            older.abort();
        }
    }

    /// Tries no more.
    pub(super) fn stop(&self) {
        if let Some(task) = self.starting.lock().take() {
            task.abort();
        }
    }

    async fn attempt(&self, plant: &Plant) -> Result<(), SqlError> {
        for topic in topics(plant) {
            match self.bus.create_topic(&TopicSpec::new(&*topic, 1)).await {
                Ok(()) | Err(BusError::TopicExists(_)) => {}
                Err(error) => return Err(SqlError::Bus { context: format!("creating `{topic}`"), error }),
            }
        }
        self.sql.keep_statements().await?;
        self.sql.keep_statements().await?;
        let running: Vec<_> = self.sql.queries().into_iter().map(|query| query.id).collect();
        let sources: Vec<_> = plant.queries.iter().map(|query| &*query.text).collect();
        for result in self.sql.reload(plant.catalog(), &sources).await? {
            match result {
                StatementResult::Started { id, .. } if running.iter().any(|known| *known == *id) => {}
                StatementResult::Started { message, .. } => tracing::info!("{message}"),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The topics that queries and clients expect: those of the scan groups and of the commands.
fn topics(plant: &Plant) -> BTreeSet<Arc<str>> {
    let groups =
        plant.devices.iter().flat_map(|device| device.groups.iter().map(|group| group.topic.clone()));
    let commands =
        plant.devices.iter().filter_map(|device| device.sink.as_ref().map(|sink| sink.topic.clone()));
    groups.chain(commands).collect()
}
