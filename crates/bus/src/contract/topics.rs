//! What holds for topics.

use super::{append, at, topic, unique};
use crate::{Bus, BusError, CleanupPolicy, TopicSpec};
use std::sync::Arc;

async fn is_listed(bus: &Arc<dyn Bus>, name: &str) -> bool {
    let topics = bus.topics().await.unwrap();
    assert!(topics.is_sorted_by(|a, b| a.name < b.name), "topics are sorted by name");
    topics.iter().any(|topic| topic.name == name)
}

pub async fn a_topic_is_created_described_listed_and_deleted(bus: Arc<dyn Bus>) {
    let name = unique("topic");
    assert!(!is_listed(&bus, &name).await);
    bus.create_topic(&TopicSpec::new(&name, 3)).await.unwrap();
    let described = bus.describe_topic(&name).await.unwrap();
    assert_eq!((described.name.as_str(), described.partitions), (name.as_str(), 3));
    assert!(is_listed(&bus, &name).await);
    bus.delete_topic(&name).await.unwrap();
    assert_eq!(bus.describe_topic(&name).await, Err(BusError::UnknownTopic(name.clone())));
    assert!(!is_listed(&bus, &name).await);
}

pub async fn a_topic_of_that_name_exists_already(bus: Arc<dyn Bus>) {
    let name = topic(&bus, 1).await;
    let again = bus.create_topic(&TopicSpec::new(&name, 2)).await;
    assert_eq!(again, Err(BusError::TopicExists(name.clone())));
    assert_eq!(bus.describe_topic(&name).await.unwrap().partitions, 1);
}

pub async fn an_unknown_topic_cannot_be_deleted(bus: Arc<dyn Bus>) {
    let name = unique("nowhere");
    assert_eq!(bus.delete_topic(&name).await, Err(BusError::UnknownTopic(name)));
}

pub async fn bad_names_are_refused(bus: Arc<dyn Bus>) {
    for name in ["", ".", "..", "with space", "slash/slash", "ümlaut", &"x".repeat(250)] {
        let refused = bus.create_topic(&TopicSpec::new(name, 1)).await;
        assert!(matches!(refused, Err(BusError::Invalid(_))), "`{name}`: {refused:?}");
    }
}

pub async fn a_topic_has_at_least_one_partition(bus: Arc<dyn Bus>) {
    for partitions in [0, -1, i32::MIN] {
        let refused = bus.create_topic(&TopicSpec::new(unique("topic"), partitions)).await;
        assert!(matches!(refused, Err(BusError::Invalid(_))), "{partitions}: {refused:?}");
    }
}

pub async fn configs_come_back(bus: Arc<dyn Bus>) {
    let name = unique("topic");
    let spec =
        TopicSpec::compacted(&name, 1).config("retention.ms", "123456").config("segment.bytes", "2097152");
    assert_eq!(spec.cleanup, CleanupPolicy::Compact);
    bus.create_topic(&spec).await.unwrap();
    let configs = bus.describe_topic(&name).await.unwrap().configs;
    for (key, value) in
        [("cleanup.policy", "compact"), ("retention.ms", "123456"), ("segment.bytes", "2097152")]
    {
        assert_eq!(configs.get(key).map(String::as_str), Some(value), "{key}");
    }
    let plain = topic(&bus, 1).await;
    let configs = bus.describe_topic(&plain).await.unwrap().configs;
    assert_eq!(configs.get("segment.bytes"), None, "only what differs from the defaults");
}

pub async fn internal_topics_are_not_listed(bus: Arc<dyn Bus>) {
    let name = topic(&bus, 1).await;
    let group = unique("group");
    bus.commit(&group, &[(at(&name, 0), crate::CommittedOffset::new(1))]).await.unwrap();
    let topics = bus.topics().await.unwrap();
    assert!(topics.iter().all(|topic| !topic.name.starts_with("__")), "{topics:?}");
}

pub async fn a_topic_made_again_is_empty(bus: Arc<dyn Bus>) {
    let name = topic(&bus, 1).await;
    append(&bus, &at(&name, 0), &["a", "b"]).await;
    bus.delete_topic(&name).await.unwrap();
    bus.create_topic(&TopicSpec::new(&name, 2)).await.unwrap();
    assert_eq!(bus.describe_topic(&name).await.unwrap().partitions, 2);
    assert_eq!(bus.offsets(&at(&name, 0)).await.unwrap().latest, 0);
    assert_eq!(append(&bus, &at(&name, 0), &["c"]).await, 0);
}
