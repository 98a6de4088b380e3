//! What the coordinator keeps in memory, and for how long.

use crate::{Embedded, EmbeddedConfig};
use millstream_bus::{Bus, CommittedOffset, TopicPartition, TopicSpec};
use millstream_log::{Log, LogConfig, SimDisk};
use millstream_model::{Clock, Timestamp};
use std::path::Path;
use std::sync::Arc;

#[derive(Debug)]
struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(7)
    }
}

async fn open(disk: &SimDisk) -> Arc<Embedded> {
    let clock = Arc::new(StillClock);
    let config = LogConfig { reserve_bytes: 0, ..LogConfig::default() };
    let (log, _) = Log::open(Arc::new(disk.clone()), Path::new("/data"), config, clock.clone()).unwrap();
    Embedded::open(log, EmbeddedConfig::default(), clock).await.unwrap()
}

#[tokio::test]
async fn who_committed_what_is_forgotten_once_it_need_not_be_repeated() {
    let disk = SimDisk::new(1);
    let embedded = open(&disk).await;
    embedded.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    let at = TopicPartition::new("t", 0);
    let offset = CommittedOffset { offset: 0, metadata: String::new() };
    let mut producer = embedded.transactional("p").await.unwrap();
    for number in 0..20 {
        let mut transaction = producer.begin().await.unwrap();
        let group = format!("group-{number}");
        transaction.commit_offsets(&group, &[(at.clone(), offset.clone())]).await.unwrap();
        transaction.commit().await.unwrap();
    }
    let committers = |embedded: &Embedded| embedded.inner.transactions.committers.lock().len();
    assert!(committers(&embedded) > 0, "a crash would repeat the last one");
    embedded.inner.transactions.complete_all().await.unwrap();
    assert_eq!(committers(&embedded), 0);
    drop((producer, embedded));
    let embedded = open(&disk.kill()).await;
    assert_eq!(committers(&embedded), 0);
    assert!(embedded.committed("group-19", &[at]).await.unwrap()[0].is_some());
}
