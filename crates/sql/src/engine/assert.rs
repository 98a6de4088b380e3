//! `ASSERT`: waits until something is as it should be, or says that it is not.

use super::Engine;
use crate::plan::Assert;
use crate::{SqlError, StatementResult};
use millstream_bus::BusError;
use millstream_model::Diagnostic;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Engine {
    pub(super) async fn assert(&self, assert: &Assert) -> Result<StatementResult, SqlError> {
        let wait = Duration::from_millis(u64::try_from(assert.timeout_ms).unwrap_or(0));
        let until = Instant::now() + wait;
        loop {
            let trouble = match &assert.topic {
                Some(topic) => self.assert_topic(topic, assert).await?,
                None => self.assert_schema(assert).await?,
            };
            let Some(trouble) = trouble else {
                let not = if assert.exists { "" } else { " does not exist" };
                return Ok(StatementResult::Done(format!("asserted: {}{not}", what(assert))));
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || *self.stop.borrow() {
                let mistake = Diagnostic::error("sql-assert", trouble)
                    .label(format!("so after {} milliseconds", assert.timeout_ms))
                    .help("TIMEOUT says how long it is waited for");
                return Err(SqlError::Mistakes(vec![mistake]));
            }
            sleep(left.min(LOOK_EVERY)).await;
        }
    }

    /// What is not as it should be.
    async fn assert_topic(&self, topic: &str, assert: &Assert) -> Result<Option<String>, SqlError> {
        let found = match self.bus.describe_topic(topic).await {
            Ok(found) => Some(found),
            Err(BusError::UnknownTopic(_)) => None,
            Err(error) => return Err(SqlError::bus(format!("looking at topic `{topic}`"))(error)),
        };
        let Some(found) = found else {
            return Ok(assert.exists.then(|| format!("there is no topic `{topic}`")));
        };
        if !assert.exists {
            return Ok(Some(format!("there is a topic `{topic}`")));
        }
        if let Some(partitions) = assert.partitions.filter(|partitions| *partitions != found.partitions) {
            let message = format!("topic `{topic}` has {} partitions, not {partitions}", found.partitions);
            return Ok(Some(message));
        }
        let replicas =
            found.configs.get("replication.factor").and_then(|text| text.parse().ok()).unwrap_or(1);
        let wanted = assert.replicas.filter(|wanted| *wanted != replicas);
        Ok(wanted.map(|wanted| format!("topic `{topic}` has {replicas} replicas, not {wanted}")))
    }

    async fn assert_schema(&self, assert: &Assert) -> Result<Option<String>, SqlError> {
        let Some(registry) = &self.registry else {
            let mistake = Diagnostic::error("sql-registry", "no schema registry is configured")
                .label("nobody keeps schemas here")
                .help("give the address of a schema registry");
            return Err(SqlError::Mistakes(vec![mistake]));
        };
        let found = match (&assert.subject, assert.id) {
            (Some(subject), None) => registry.latest(subject).await.map(|_| true),
            (Some(subject), Some(id)) => match registry.versions(subject).await {
                Ok(versions) => {
                    let mut found = Ok(false);
                    for version in versions {
                        match registry.version(subject, version).await {
                            Ok(known) if known.id == id => found = Ok(true),
                            Ok(_) => {}
                            Err(error) => found = Err(error),
                        }
                    }
                    found
                }
                Err(error) => Err(error),
            },
            (None, Some(id)) => registry.by_id(id).await.map(|_| true),
            (None, None) => Ok(false),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) if error.is_unknown() => false,
            Err(error) => return Ok(Some(error.to_string())),
        };
        Ok((found != assert.exists).then(|| {
            let is = if assert.exists { "is no" } else { "is a" };
            format!("there {is} {}", what(assert))
        }))
    }
}

/// What is asserted, in words.
fn what(assert: &Assert) -> String {
    if let Some(topic) = &assert.topic {
        return format!("topic `{topic}`");
    }
    let subject =
        assert.subject.as_ref().map(|subject| format!(" of subject `{subject}`")).unwrap_or_default();
    let id = assert.id.map(|id| format!(" with id {id}")).unwrap_or_default();
    format!("schema{subject}{id}")
}
