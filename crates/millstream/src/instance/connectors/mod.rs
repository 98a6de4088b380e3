//! What `CREATE CONNECTOR` and its like work on: a worker of Kafka Connect, or the connectors of the plant itself.

mod own;
mod worker;

use crate::failure::Failure;
use millstream_plant::SqlSettings;
use millstream_sql::connector::Connectors;
use std::sync::Arc;

pub(super) use own::OwnConnectors;
use worker::Worker;

/// The worker that `settings` name, or the plant's `own`.
pub(super) fn connectors(
    settings: &SqlSettings,
    own: &Arc<OwnConnectors>,
) -> Result<Arc<dyn Connectors>, Failure> {
    match &settings.connect_url {
        Some(url) => {
            let worker = Worker::new(url, settings).map_err(|error| Failure::failed(error.to_string()))?;
            Ok(Arc::new(worker))
        }
        None => Ok(own.clone()),
    }
}

/// How many of its tasks run, as ksqlDB says it; `state` where the connector itself does not.
fn summary<'a>(state: &str, tasks: impl Iterator<Item = &'a str>) -> String {
    let (mut all, mut running) = (0_usize, 0_usize);
    for task in tasks {
        all += 1;
        running += usize::from(task == RUNNING);
    }
    if state != RUNNING {
        return state.to_owned();
    }
    let word = if all > 0 && running == 0 { "WARNING" } else { RUNNING };
    format!("{word} ({running}/{all} tasks RUNNING)")
}

/// The state of what works.
const RUNNING: &str = "RUNNING";

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn a_connector_runs_as_its_tasks_do() {
        assert_eq!(summary("RUNNING", ["RUNNING"].into_iter()), "RUNNING (1/1 tasks RUNNING)");
        assert_eq!(summary("RUNNING", ["RUNNING", "FAILED"].into_iter()), "RUNNING (1/2 tasks RUNNING)");
        assert_eq!(summary("RUNNING", ["FAILED"].into_iter()), "WARNING (0/1 tasks RUNNING)");
        assert_eq!(summary("RUNNING", std::iter::empty()), "RUNNING (0/0 tasks RUNNING)");
        assert_eq!(summary("PAUSED", ["PAUSED"].into_iter()), "PAUSED");
    }
}
