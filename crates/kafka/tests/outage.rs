//! What the engine does when Apache Kafka is killed and comes back: its own broker, so that other tests keep theirs.

use bytes::Bytes;
use millstream_bus::{
    Acks, Bus, BusError, CommittedOffset, FetchLimit, Isolation, Position, Reader, Record, StartOffset,
    TopicPartition, TopicSpec,
};
use millstream_kafka::{KafkaBus, KafkaSettings};
use millstream_model::Timestamp;
use millstream_model::metric::{Collect, Page};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const DEADLINE: Duration = Duration::from_mins(3);

/// A broker of one's own on this port, below those that the system hands out; it ends with this value.
struct Broker(&'static str);

impl Broker {
    fn run(&self, what: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/kafka.sh");
        let mut command = Command::new(script);
        let output = command.arg(what).env("KAFKA_PORT", self.0).env_remove("KAFKA_RUN").output();
        let output = output.expect("tests/kafka.sh can be run");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tests/kafka.sh {what} failed: {error}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    async fn apart(self: &Arc<Self>, what: &'static str) -> String {
        let broker = Arc::clone(self);
        tokio::task::spawn_blocking(move || broker.run(what)).await.expect("the script was run")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.run("stop");
    }
}

fn record(text: &str) -> Record {
    Record::new(None, Some(Bytes::copy_from_slice(text.as_bytes())), Timestamp(1_700_000_000_000))
}

async fn read(reader: &mut dyn Reader, count: usize) -> Vec<String> {
    let limit = FetchLimit { wait_max: Duration::from_millis(200), ..FetchLimit::default() };
    let mut texts = Vec::new();
    let began = Instant::now();
    while texts.len() < count {
        assert!(began.elapsed() < DEADLINE, "only {texts:?} came");
        match reader.poll(limit).await {
            Ok(fetched) => {
                let records = fetched.into_iter().flat_map(|part| part.records);
                texts.extend(records.map(|received| {
                    let value = received.record.value.expect("a value");
                    String::from_utf8(value.to_vec()).expect("text")
                }));
            }
            Err(error) => assert!(error.is_retriable(), "{error:?}"),
        }
    }
    texts
}

/// Tries until it works; whatever goes wrong meanwhile must be worth another try.
async fn insist<T, F: Future<Output = Result<T, BusError>>>(mut call: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) => {
                assert!(error.is_retriable(), "{error:?}");
                assert!(began.elapsed() < DEADLINE, "still {error:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_costs_nothing_that_was_acknowledged_and_is_found_again() {
    let broker = Arc::new(Broker("19292"));
    let address = broker.apart("start").await;
    let bus = KafkaBus::open(KafkaSettings::new(address)).expect("the settings are right");
    let topic = format!("outage-{}", std::process::id());
    insist(|| async {
        match bus.create_topic(&TopicSpec::new(&topic, 1)).await {
            Err(BusError::TopicExists(_)) => {
                bus.delete_topic(&topic).await.and(Err(BusError::Unknown(topic.clone())))
            }
            other => other,
        }
    })
    .await;
    let to = TopicPartition::new(topic.as_str(), 0);
    let from = || vec![Position::new(to.clone(), StartOffset::Earliest)];
    let mut reader = bus.reader(from(), Isolation::ReadCommitted).await.expect("a reader");
    bus.append(&to, vec![record("before")], Acks::All).await.expect("appended");
    let mut producer = bus.transactional(&topic).await.expect("a producer");
    let mut transaction = producer.begin().await.expect("a transaction");
    transaction.append(&to, vec![record("in doubt")]).await.expect("appended");

    broker.apart("kill9").await;
    // Handed over while the broker is away: it waits, and goes once when the broker is back.
    let waiting = {
        let (bus, to) = (Arc::clone(&bus), to.clone());
        tokio::spawn(async move { bus.append(&to, vec![record("meanwhile")], Acks::All).await })
    };
    let limit = FetchLimit { wait_max: Duration::from_millis(300), ..FetchLimit::default() };
    let away = reader.poll(limit).await;
    let read_before = match away {
        Ok(fetched) => fetched.iter().map(|part| part.records.len()).sum(),
        Err(error) => {
            assert!(error.is_retriable(), "{error:?}");
            0
        }
    };
    broker.apart("start").await;

    let offset = timeout(DEADLINE, waiting).await.expect("in time").expect("no panic").expect("appended");
    assert!(offset > 0);
    // A transaction that was open goes on, or is given up as a whole.
    let committed = match transaction.commit().await {
        Ok(()) => true,
        Err(BusError::Unknown(_) | BusError::Unavailable { .. } | BusError::Fenced(_)) => false,
        Err(error) => panic!("{error:?}"),
    };
    drop(producer);
    let mut producer = insist(|| bus.transactional(&topic)).await;
    let mut transaction = producer.begin().await.expect("a transaction");
    transaction.append(&to, vec![record("after")]).await.expect("appended");
    transaction.commit_offsets(&topic, &[(to.clone(), CommittedOffset::new(1))]).await.expect("added");
    transaction.commit().await.expect("committed");

    let mut fresh = bus.reader(from(), Isolation::ReadCommitted).await.expect("a reader");
    let all: Vec<&str> = if committed {
        vec!["before", "in doubt", "meanwhile", "after"]
    } else {
        vec!["before", "meanwhile", "after"]
    };
    assert_eq!(read(&mut *fresh, all.len()).await, all);
    assert_eq!(
        read(&mut *reader, all.len() - read_before).await,
        all[read_before..],
        "the old reader goes on"
    );
    assert_eq!(bus.committed(&topic, &[to]).await, Ok(vec![Some(CommittedOffset::new(1))]));
    let mut page = Page::default();
    bus.collect(&mut page);
    let counted = format!("millstream_topic_records_total{{topic=\"{topic}\"}} 4\n");
    assert!(page.render().contains(&counted), "{}", page.render());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_opens_without_a_cluster_and_says_that_it_is_away() {
    let mut settings = KafkaSettings::new("127.0.0.1:9");
    settings.options.insert("message.timeout.ms".to_owned(), "1000".to_owned());
    let bus = KafkaBus::open(settings).expect("the settings are right");
    let refused = timeout(DEADLINE, bus.topics()).await.expect("in time").expect_err("nobody is there");
    assert!(refused.is_retriable(), "{refused:?}");
}
