//! What happens in the demo's topics: alarms, averages, guarded writes, refusals.

use millstream_bus::{Bus, BusError, FetchLimit, Isolation, Position, Reader, StartOffset, TopicPartition};
use millstream_connect::audit::{AUDIT_TOPIC, REFUSED_TOPIC};
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The topics of the demo's queries.
const ALARM_TOPIC: &str = "press.alarm";
const AVERAGE_TOPIC: &str = "press.average";
/// Pause before a topic that is not there yet, or a log that is away, is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// What the alarm query said.
    Alarm { at_ms: i64, temperature: f64, hot: bool },
    /// What the averaging query said.
    Average(f64),
    /// A guarded write ended.
    Write(Write),
    /// The guard refused a write.
    Refused(Write),
}

/// One guarded write.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Write {
    pub(super) at_ms: i64,
    pub(super) target: String,
    pub(super) old: Option<f64>,
    pub(super) value: Option<f64>,
    pub(super) words: String,
}

impl Write {
    /// Whether the value was there before, as far as anyone would see.
    pub(super) fn changes_nothing(&self) -> bool {
        self.old.zip(self.value).is_some_and(|(old, value)| (old - value).abs() < 0.05)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct AlarmRow {
    temperature: Option<f64>,
    hot: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct AverageRow {
    temperature: Option<f64>,
}

#[derive(Deserialize)]
struct AuditRecord {
    phase: Option<String>,
    device: String,
    tag: Option<String>,
    #[serde(default)]
    value: serde_json::Value,
    #[serde(default)]
    old: serde_json::Value,
    result: Option<String>,
    verified: Option<bool>,
    message: Option<String>,
}

/// Reads the topics as they grow.
pub(super) struct Events {
    bus: Arc<dyn Bus>,
    readers: Vec<(&'static str, Option<Box<dyn Reader>>)>,
    waiting: VecDeque<Event>,
}

impl Events {
    pub(super) fn new(bus: Arc<dyn Bus>) -> Self {
        let topics = [ALARM_TOPIC, AVERAGE_TOPIC, AUDIT_TOPIC, REFUSED_TOPIC];
        Self { bus, readers: topics.map(|topic| (topic, None)).into(), waiting: VecDeque::new() }
    }

    /// The next event. Cancel-safe: what was read and not given out waits.
    pub(super) async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return event;
            }
            self.open().await;
            if self.readers.iter().all(|(_, reader)| reader.is_none()) {
                sleep(RETRY).await;
                continue;
            }
            self.poll().await;
        }
    }

    /// Opens the topics that exist by now.
    async fn open(&mut self) {
        for (topic, reader) in self.readers.iter_mut().filter(|(_, reader)| reader.is_none()) {
            *reader = open(&*self.bus, topic).await.ok();
        }
    }

    /// Asks every open topic; waits a little at the first.
    async fn poll(&mut self) {
        let mut wait_max = RETRY;
        for (topic, slot) in &mut self.readers {
            let Some(reader) = slot else { continue };
            let limit = FetchLimit { wait_max, ..FetchLimit::default() };
            wait_max = Duration::ZERO;
            match reader.poll(limit).await {
                Ok(fetched) => {
                    let records = fetched.iter().flat_map(|batch| &batch.records);
                    let events = records.filter_map(|received| {
                        let record = &received.record;
                        event(topic, record.timestamp.as_millis(), record.value.as_deref()?)
                    });
                    self.waiting.extend(events);
                }
                Err(_) => *slot = None,
            }
        }
    }
}

/// A reader from now on, or for a topic that has just come, from its beginning.
async fn open(bus: &dyn Bus, topic: &str) -> Result<Box<dyn Reader>, BusError> {
    let partitions = bus.describe_topic(topic).await?.partitions;
    let name: Arc<str> = topic.into();
    let positions = (0..partitions)
        .map(|partition| Position::new(TopicPartition::new(name.clone(), partition), StartOffset::Latest))
        .collect();
    bus.reader(positions, Isolation::ReadCommitted).await
}

fn event(topic: &str, at_ms: i64, value: &[u8]) -> Option<Event> {
    match topic {
        ALARM_TOPIC => {
            let row: AlarmRow = serde_json::from_slice(value).ok()?;
            Some(Event::Alarm { at_ms, temperature: row.temperature?, hot: row.hot? })
        }
        AVERAGE_TOPIC => {
            let row: AverageRow = serde_json::from_slice(value).ok()?;
            Some(Event::Average(row.temperature?))
        }
        _ => {
            let record: AuditRecord = serde_json::from_slice(value).ok()?;
            match record.phase.as_deref() {
                Some("intent") => None,
                Some(_) => Some(Event::Write(record.write(at_ms))),
                None => Some(Event::Refused(record.write(at_ms))),
            }
        }
    }
}

impl AuditRecord {
    fn write(self, at_ms: i64) -> Write {
        let words = match (self.result.as_deref(), self.verified) {
            (Some("written"), Some(true)) => "written, read back".to_owned(),
            (Some(result), _) => result.to_owned(),
            (None, _) => format!("refused: {}", self.message.unwrap_or_default()),
        };
        Write {
            at_ms,
            target: format!("{} {}", self.device, self.tag.unwrap_or_default()),
            old: self.old.as_f64(),
            value: self.value.as_f64(),
            words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_events() {
        let alarm = br#"{"TEMPERATURE":65.5,"HOT":true}"#;
        assert_eq!(
            event(ALARM_TOPIC, 7, alarm),
            Some(Event::Alarm { at_ms: 7, temperature: 65.5, hot: true })
        );
        let result = br#"{"id":"x","phase":"result","device":"cooler","tag":"setpoint","value":80.5,"result":"written","old":25.0,"verified":true}"#;
        let Some(Event::Write(write)) = event(AUDIT_TOPIC, 8, result) else { panic!("a write") };
        assert_eq!(
            (write.target.as_str(), write.old, write.value),
            ("cooler setpoint", Some(25.0), Some(80.5))
        );
        assert_eq!(write.words, "written, read back");
        assert_eq!(event(AUDIT_TOPIC, 8, br#"{"phase":"intent","device":"cooler","tag":"setpoint"}"#), None);
        let refused = br#"{"id":"x","device":"cooler","tag":"setpoint","reason":"out-of-range","message":"120 is above 95","value":120}"#;
        let Some(Event::Refused(write)) = event(REFUSED_TOPIC, 9, refused) else { panic!("a refusal") };
        assert_eq!(write.words, "refused: 120 is above 95");
        assert_eq!(event(ALARM_TOPIC, 1, b"not json"), None);
    }
}
