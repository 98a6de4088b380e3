//! Topics, wherever they are: behind a running instance's HTTP API, or at whatever speaks the Kafka protocol, an instance or
//! Apache Kafka. The same words for all.

use crate::cli::TopicPlace;
use crate::client::{Client, Lines, segment};
use crate::clock::SystemClock;
use crate::engine;
use crate::failure::Failure;
use hyper::Method;
use millstream_bus::{Bus, BusError, TopicSpec};
use millstream_model::Clock;
use millstream_server::record::{NewRecord, Produced, RecordJson, append};
use millstream_server::{NewTopic, TailFrom, TailRequest, TopicStatus};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// No body.
const NONE: Option<&()> = None;
/// Records on their way from Kafka to the screen.
const TAIL_QUEUE: usize = 256;

/// Where the topics are.
pub(crate) enum Topics {
    /// At a running instance.
    Instance(Client),
    /// Behind the Kafka protocol.
    Kafka(Arc<dyn Bus>),
}

impl Topics {
    pub(crate) fn open(place: &TopicPlace) -> Result<Self, Failure> {
        let Some(servers) = &place.bootstrap else {
            return Client::new(&place.instance.url).map(Self::Instance);
        };
        let mut settings = BTreeMap::new();
        for pair in &place.config {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Failure::mistake(format!("`{pair}` is no setting"), "give NAME=VALUE under librdkafka's name")
            })?;
            settings.insert(name.to_owned(), value.to_owned());
        }
        engine::kafka(servers, &settings).map(Self::Kafka)
    }

    pub(crate) async fn list(&self) -> Result<Vec<TopicStatus>, Failure> {
        match self {
            Self::Instance(client) => client.ask(Method::GET, "/api/topics", NONE).await,
            Self::Kafka(bus) => Ok(millstream_server::topics(&**bus).await?),
        }
    }

    pub(crate) async fn describe(&self, topic: &str) -> Result<TopicStatus, Failure> {
        match self {
            Self::Instance(client) => client.ask(Method::GET, &path(topic), NONE).await,
            Self::Kafka(bus) => Ok(millstream_server::topic(&**bus, topic).await?),
        }
    }

    pub(crate) async fn create(&self, new: NewTopic) -> Result<TopicStatus, Failure> {
        match self {
            Self::Instance(client) => client.ask(Method::POST, "/api/topics", Some(&new)).await,
            Self::Kafka(bus) => {
                let spec = TopicSpec::from(new);
                bus.create_topic(&spec).await?;
                Ok(millstream_server::topic(&**bus, &spec.name).await?)
            }
        }
    }

    pub(crate) async fn delete(&self, topic: &str) -> Result<(), Failure> {
        match self {
            Self::Instance(client) => client.ask(Method::DELETE, &path(topic), NONE).await,
            Self::Kafka(bus) => Ok(bus.delete_topic(topic).await?),
        }
    }

    pub(crate) async fn produce(
        &self,
        topic: &str,
        records: Vec<NewRecord>,
    ) -> Result<Vec<Produced>, Failure> {
        match self {
            Self::Instance(client) => {
                client.ask(Method::POST, &format!("{}/records", path(topic)), Some(&records)).await
            }
            Self::Kafka(bus) => Ok(append(&**bus, topic, records, SystemClock.now()).await?),
        }
    }

    pub(crate) async fn tail(&self, topic: &str, request: TailRequest) -> Result<Tailing, Failure> {
        match self {
            Self::Instance(client) => {
                let path = format!("{}/records?{}", path(topic), query(&request));
                Ok(Tailing::Lines(client.lines(Method::GET, &path, NONE).await?))
            }
            Self::Kafka(bus) => {
                let (sender, records) = mpsc::channel(TAIL_QUEUE);
                let (bus, topic) = (bus.clone(), topic.to_owned());
                let task =
                    tokio::spawn(
                        async move { millstream_server::tail(&*bus, &topic, &request, &sender).await },
                    );
                Ok(Tailing::Task { records, task })
            }
        }
    }
}

/// A tail that runs.
pub(crate) enum Tailing {
    /// From an instance.
    Lines(Lines),
    /// From Kafka.
    Task { records: mpsc::Receiver<RecordJson>, task: JoinHandle<Result<(), BusError>> },
}

impl Tailing {
    /// The next record; `None` at the end. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordJson>, Failure> {
        match self {
            Self::Lines(lines) => lines.next().await,
            Self::Task { records, task } => match records.recv().await {
                Some(record) => Ok(Some(record)),
                None => match task.await {
                    Ok(result) => result.map(|()| None).map_err(Failure::from),
                    Err(error) => Err(Failure::failed(error.to_string())),
                },
            },
        }
    }
}

fn path(topic: &str) -> String {
    format!("/api/topics/{}", segment(topic))
}

fn query(request: &TailRequest) -> String {
    let from = match request.from {
        TailFrom::Earliest => "earliest",
        TailFrom::Latest => "latest",
        TailFrom::Last => "last",
        TailFrom::Offset => "offset",
    };
    let mut query = format!("from={from}&count={}&follow={}", request.count, request.follow);
    if let Some(partition) = request.partition {
        let _ = write!(query, "&partition={partition}");
    }
    if let Some(limit) = request.limit {
        let _ = write!(query, "&limit={limit}");
    }
    query
}
