//! What only this engine does.

use super::MemoryBus;
use crate::{
    Acks, Bus, BusError, CommittedOffset, FetchLimit, Isolation, Record, StartOffset, TopicPartition,
    TopicSpec,
};
use millstream_model::Timestamp;

#[tokio::test(start_paused = true)]
async fn an_expired_member_is_fenced_and_joins_anew() {
    let bus = MemoryBus::new();
    bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    let at = TopicPartition::new("t", 0);
    bus.append(&at, vec![Record::new(None, None, Timestamp(0))], Acks::All).await.unwrap();
    let topics = ["t".to_owned()];
    let mut member =
        bus.subscribe("g", &topics, StartOffset::Earliest, Isolation::ReadCommitted).await.unwrap();
    assert_eq!(member.poll(FetchLimit::default()).await.unwrap().len(), 1);
    bus.expire_members("g");
    let refused = member.commit(&[(at.clone(), CommittedOffset::new(1))]).await;
    assert!(matches!(refused, Err(BusError::Fenced(_))), "{refused:?}");
    assert_eq!(member.poll(FetchLimit::default()).await.unwrap().len(), 1, "it comes again");
    member.commit(&[(at, CommittedOffset::new(1))]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_poll_waits_in_simulated_time() {
    let bus = MemoryBus::new();
    bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    let from = vec![crate::Position::new(TopicPartition::new("t", 0), StartOffset::Latest)];
    let mut reader = bus.reader(from, Isolation::ReadUncommitted).await.unwrap();
    let before = tokio::time::Instant::now();
    let limit = FetchLimit { wait_max: std::time::Duration::from_hours(1), ..FetchLimit::default() };
    assert_eq!(reader.poll(limit).await.unwrap(), []);
    assert_eq!(before.elapsed(), limit.wait_max);
}
