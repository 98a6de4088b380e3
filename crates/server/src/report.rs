//! One moment of a running plant: facts from the instance, topics from the bus, rates and judgement from here.

use crate::health::{Health, Problem, judge_device, judge_query};
use crate::instance::{Condition, DeviceFacts, Instance, QueryFacts, Surroundings};
use crate::limits::BUS_TIME;
use crate::rates::Rates;
use millstream_bus::{Bus, BusError, OffsetRange, TopicDescription, TopicPartition};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::{Instant, timeout};

/// A running plant at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which plant.
    pub instance: Surroundings,
    /// What is wrong with it.
    pub health: Health,
    /// Its devices.
    pub devices: Vec<DeviceStatus>,
    /// Its topics, sorted by name.
    pub topics: Vec<TopicStatus>,
    /// Its queries.
    pub queries: Vec<QueryStatus>,
}

/// One device, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// What it says.
    #[serde(flatten)]
    pub facts: DeviceFacts,
    /// How it is.
    pub condition: Condition,
    /// The same in words.
    pub words: String,
    /// Age of the oldest scan group's values, in milliseconds.
    pub age_ms: Option<i64>,
    /// Scans per second over the last seconds.
    pub scans_per_second: Option<f64>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopicStatus {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<PartitionStatus>,
    /// Configs that are not the engine's defaults.
    pub configs: BTreeMap<String, String>,
    /// Records it holds.
    pub records: u64,
    /// Bytes on disk, where the engine knows.
    pub size_bytes: Option<u64>,
    /// Records appended per second over the last seconds.
    pub records_per_second: Option<f64>,
}

/// One partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// Its number.
    pub partition: i32,
    /// The first offset there is.
    pub earliest: i64,
    /// The next offset to be written.
    pub latest: i64,
}

/// One query, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryStatus {
    /// What it says.
    #[serde(flatten)]
    pub facts: QueryFacts,
    /// How it is.
    pub condition: Condition,
    /// The same in words.
    pub words: String,
    /// Rows read per second over the last seconds.
    pub rows_per_second: Option<f64>,
}

/// Makes reports; remembers the last totals for the rates.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    rates: Mutex<Rates>,
    /// Looked at by itself now and then, so that a single question gets rates, too.
    topic_rates: Mutex<Rates>,
}

impl Reporter {
    /// Every topic with its offsets and rate.
    pub(crate) async fn topics(&self, bus: &dyn Bus) -> Result<Vec<TopicStatus>, BusError> {
        let mut topics = topics(bus).await?;
        let mut rates = self.topic_rates.lock();
        rates.observe(Instant::now(), || {
            topics.iter().map(|topic| (("records", topic.name.clone()), topic.appended())).collect()
        });
        for topic in &mut topics {
            topic.records_per_second = rates.per_second("records", &topic.name);
        }
        Ok(topics)
    }

    pub(crate) async fn report(&self, instance: &dyn Instance, bus: &dyn Bus) -> Report {
        let topics = match timeout(BUS_TIME, self.topics(bus)).await {
            Ok(Ok(topics)) => Ok(topics),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the log does not answer".to_owned()),
        };
        let (devices, queries) = (instance.devices(), instance.queries());
        let mut problems = instance.problems();
        if let Err(what) = &topics {
            problems.push(Problem {
                condition: Condition::Bad,
                who: format!("log ({})", instance.surroundings().log),
                what: what.clone(),
                help: None,
                since_ms: None,
            });
        }
        let mut rates = self.rates.lock();
        rates.observe(Instant::now(), || totals(&devices, &queries));
        let surroundings = instance.surroundings();
        let now_ms = surroundings.now_ms;
        let devices: Vec<_> = devices.into_iter().map(|facts| device_status(facts, &rates, now_ms)).collect();
        let queries: Vec<_> = queries.into_iter().map(|facts| query_status(facts, &rates)).collect();
        problems.extend(devices.iter().filter_map(device_problem));
        problems.extend(queries.iter().filter_map(query_problem));
        Report {
            instance: surroundings,
            health: Health::of(problems),
            devices,
            topics: topics.unwrap_or_default(),
            queries,
        }
    }
}

/// Every topic with its offsets; no rates.
pub async fn topics(bus: &dyn Bus) -> Result<Vec<TopicStatus>, BusError> {
    let descriptions = bus.topics().await?;
    let partitions: Vec<TopicPartition> = descriptions.iter().flat_map(partitions_of).collect();
    // All at once: a cluster may have thousands, and be far away.
    let mut ranges = bus.offsets_of_all(&partitions).await?.into_iter();
    let with_offsets = |description: TopicDescription| {
        let count = usize::try_from(description.partitions).unwrap_or(0);
        let ranges: Option<Vec<OffsetRange>> =
            ranges.by_ref().take(count).collect::<Vec<_>>().into_iter().collect();
        // A topic that was deleted between the two calls has none.
        Some(topic_status(description, &ranges?))
    };
    Ok(descriptions.into_iter().filter_map(with_offsets).collect())
}

/// One topic with its offsets; no rate.
pub async fn topic(bus: &dyn Bus, name: &str) -> Result<TopicStatus, BusError> {
    let description = bus.describe_topic(name).await?;
    let partitions: Vec<TopicPartition> = partitions_of(&description).collect();
    let ranges: Option<Vec<OffsetRange>> = bus.offsets_of_all(&partitions).await?.into_iter().collect();
    let ranges = ranges.ok_or_else(|| BusError::UnknownTopic(name.to_owned()))?;
    Ok(topic_status(description, &ranges))
}

fn partitions_of(description: &TopicDescription) -> impl Iterator<Item = TopicPartition> + use<> {
    let name: Arc<str> = description.name.as_str().into();
    (0..description.partitions).map(move |partition| TopicPartition::new(name.clone(), partition))
}

fn topic_status(description: TopicDescription, ranges: &[OffsetRange]) -> TopicStatus {
    let ranges = (0..).zip(ranges);
    let partition = |(partition, range): (i32, &OffsetRange)| PartitionStatus {
        partition,
        earliest: range.earliest,
        latest: range.latest,
    };
    let partitions: Vec<PartitionStatus> = ranges.map(partition).collect();
    let records = partitions.iter().map(|p| u64::try_from(p.latest - p.earliest).unwrap_or(0)).sum();
    TopicStatus {
        name: description.name,
        partitions,
        configs: description.configs,
        records,
        size_bytes: description.size_bytes,
        records_per_second: None,
    }
}

fn totals(devices: &[DeviceFacts], queries: &[QueryFacts]) -> BTreeMap<(&'static str, String), u64> {
    let scans = devices.iter().map(|device| (("scans", device.name.clone()), device.scans_total));
    let rows = queries.iter().map(|query| (("rows", query.name.clone()), query.rows_in_total));
    scans.chain(rows).collect()
}

impl TopicStatus {
    /// Records that were ever appended, deleted ones among them.
    pub fn appended(&self) -> u64 {
        self.partitions.iter().map(|p| u64::try_from(p.latest).unwrap_or(0)).sum()
    }
}

fn device_status(facts: DeviceFacts, rates: &Rates, now_ms: i64) -> DeviceStatus {
    let (condition, words) = judge_device(&facts, now_ms);
    let oldest = facts.groups.iter().filter_map(|group| group.read_at_ms).min();
    DeviceStatus {
        condition,
        words,
        age_ms: oldest.map(|read_at_ms| now_ms.saturating_sub(read_at_ms).max(0)),
        scans_per_second: rates.per_second("scans", &facts.name),
        facts,
    }
}

fn query_status(facts: QueryFacts, rates: &Rates) -> QueryStatus {
    let (condition, words) = judge_query(&facts);
    QueryStatus { condition, words, rows_per_second: rates.per_second("rows", &facts.name), facts }
}

fn device_problem(device: &DeviceStatus) -> Option<Problem> {
    (device.condition >= Condition::Warning).then(|| Problem {
        condition: device.condition,
        who: format!("device {} ({})", device.facts.name, device.facts.connection),
        what: device.words.clone(),
        help: (device.condition == Condition::Bad)
            .then(|| format!("`millstream doctor '{}'` looks for the cause", device.facts.connection)),
        since_ms: Some(device.facts.since_ms),
    })
}

fn query_problem(query: &QueryStatus) -> Option<Problem> {
    (query.condition >= Condition::Warning).then(|| Problem {
        condition: query.condition,
        who: format!("query {}", query.facts.name),
        what: query.words.clone(),
        help: None,
        since_ms: None,
    })
}
