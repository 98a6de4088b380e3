//! The statements of a plant: run in file order, again after a change, and tried again while the log is away.

use super::notices::Notices;
use crate::render::{Diagnostics, Texts};
use millstream_bus::{Bus, BusError, TopicSpec};
use millstream_plant::{Plant, Query};
use millstream_server::Condition;
use millstream_sql::{Engine, SqlError, StatementResult};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The subject of notices about statements.
const SUBJECT: &str = "queries";
/// Pause before statements are tried again while the log is away.
const RETRY: Duration = Duration::from_secs(1);

/// Runs a plant's statements.
pub(super) struct Queries {
    sql: Arc<Engine>,
    bus: Arc<dyn Bus>,
    notices: Arc<Notices>,
    /// The queries that each file has started.
    started: Mutex<BTreeMap<Arc<str>, BTreeSet<Arc<str>>>>,
    starting: Mutex<Option<JoinHandle<()>>>,
}

impl Queries {
    pub(super) fn new(sql: Arc<Engine>, bus: Arc<dyn Bus>, notices: Arc<Notices>) -> Self {
        Self { sql, bus, notices, started: Mutex::default(), starting: Mutex::default() }
    }

    /// Runs every statement of `plant`, and ends the queries that it has no more. Goes on by itself until the log takes it.
    pub(super) fn start(self: &Arc<Self>, plant: &Plant) {
        let (queries, topics) = (plant.queries.clone(), topics(plant));
        let this = self.clone();
        let task = tokio::spawn(async move {
            while let Err(error) = this.attempt(&queries, &topics).await {
                this.notices.set(SUBJECT, Condition::Bad, format!("they cannot be started: {error}"), "");
                tracing::warn!(%error, "queries cannot be started; trying again");
                sleep(RETRY).await;
            }
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

    async fn attempt(&self, queries: &[Query], topics: &BTreeSet<Arc<str>>) -> Result<(), SqlError> {
        for topic in topics {
            match self.bus.create_topic(&TopicSpec::new(&**topic, 1)).await {
                Ok(()) | Err(BusError::TopicExists(_)) => {}
                Err(error) => return Err(SqlError::Bus { context: format!("creating `{topic}`"), error }),
            }
        }
        self.end_changed(queries).await?;
        let mut wrong = 0;
        for query in queries {
            match self.sql.execute(&query.text).await {
                Ok(results) => self.remember(&query.file, results),
                Err(SqlError::Mistakes(mistakes)) => {
                    // Checked before with the plant; what is found only now depends on what runs.
                    let list: Vec<_> =
                        mistakes.into_iter().map(|m| m.within(&query.file, 0..query.text.len())).collect();
                    let texts = Texts::One { name: &query.file, text: &query.text };
                    let text = Diagnostics { diagnostics: &list, texts }.text(false);
                    tracing::error!("a query file was not run\n{text}");
                    wrong += 1;
                }
                Err(error) => return Err(error),
            }
        }
        match wrong {
            0 => self.notices.clear(SUBJECT),
            _ => self.notices.set(
                SUBJECT,
                Condition::Bad,
                format!("{wrong} files were not run; the log says why"),
                "",
            ),
        }
        Ok(())
    }

    /// Ends queries whose file is gone or does not hold their statement any more.
    async fn end_changed(&self, queries: &[Query]) -> Result<(), SqlError> {
        let running: BTreeMap<_, _> = self
            .sql
            .queries()
            .into_iter()
            .map(|query| (query.id.as_str().into(), query.sql))
            .collect::<BTreeMap<Arc<str>, String>>();
        let started = self.started.lock().clone();
        for (file, ids) in started {
            let text = queries.iter().find(|query| query.file == file).map_or("", |query| &query.text);
            for id in ids {
                let kept =
                    running.get(&id).is_some_and(|sql| text.contains(sql.trim().trim_end_matches(';')));
                if !kept {
                    self.sql.terminate(&id).await?;
                    tracing::info!(query = %id, "ended");
                    if let Some(ids) = self.started.lock().get_mut(&file) {
                        ids.remove(&id);
                    }
                }
            }
        }
        Ok(())
    }

    fn remember(&self, file: &Arc<str>, results: Vec<StatementResult>) {
        for result in results {
            if let StatementResult::Started { id, message } = result {
                tracing::info!(query = %id, "{message}");
                self.started.lock().entry(file.clone()).or_default().insert(id);
            }
        }
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
