//! CreateTopics, DeleteTopics and CreatePartitions, as Apache Kafka answers them.

mod support;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    IncrementalAlterConfigsRequest, MetadataRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use millstream_broker::{EmbeddedConfig, WireConfig};
use millstream_bus::{Acks, Bus, FetchLimit, Isolation, StartOffset, TopicPartition};
use std::time::Duration;
use support::client::{Client, Server};
use support::data::{batch, error, fetch_from, parts, produce_to, texts};
use support::{fresh_dir, records};
use uuid::Uuid;

fn name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn topic(topic: &str, partitions: i32, factor: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(factor)
}

fn config(name: &'static str, value: Option<&'static str>) -> CreatableTopicConfig {
    CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(value.map(StrBytes::from_static_str))
}

async fn create(client: &mut Client, version: i16, topics: Vec<CreatableTopic>) -> Vec<CreatableTopicResult> {
    let request = CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(10_000);
    client.send(version, &request).await.topics
}

/// A topic that is to have `count` partitions.
fn to(topic: &str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic::default().with_name(name(topic)).with_count(count).with_assignments(None)
}

/// Error code and message.
fn refusal(result: &CreatableTopicResult) -> (Option<ResponseError>, &str) {
    (ResponseError::try_from_code(result.error_code), result.error_message.as_deref().unwrap_or_default())
}

async fn delete(client: &mut Client, topics: &[&str]) -> Vec<i16> {
    let states = topics.iter().map(|topic| DeleteTopicState::default().with_name(Some(name(topic))));
    let request = DeleteTopicsRequest::default().with_topics(states.collect()).with_timeout_ms(10_000);
    client.send(6, &request).await.responses.iter().map(|response| response.error_code).collect()
}

/// How many partitions clients see, and the topic's id; `None` where they see no such topic.
async fn seen(client: &mut Client, topic: &str) -> Option<(usize, Uuid)> {
    let asked = MetadataRequestTopic::default().with_name(Some(name(topic)));
    let request =
        MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false);
    let found = client.send(12, &request).await.topics.remove(0);
    (found.error_code == 0).then_some((found.partitions.len(), found.topic_id))
}

#[tokio::test]
async fn a_topic_is_made_in_every_version_and_seen_with_its_id() {
    let server = Server::start("wire_topics").await;
    let mut client = server.client().await;
    for version in 2..=7 {
        let made = format!("v{version}");
        let results = create(&mut client, version, vec![topic(&made, 3, 1)]).await;
        let [result] = results.as_slice() else { panic!("{results:?}") };
        assert_eq!((result.error_code, &result.name), (0, &name(&made)));
        let (partitions, id) = seen(&mut client, &made).await.unwrap();
        assert_eq!(partitions, 3);
        if version >= 5 {
            assert_eq!((result.num_partitions, result.replication_factor), (3, 1));
            let configs = result.configs.as_ref().unwrap();
            let cleanup = configs.iter().find(|config| &*config.name == "cleanup.policy").unwrap();
            assert_eq!((cleanup.value.as_deref(), cleanup.config_source), (Some("delete"), 5));
        }
        if version >= 7 {
            assert_eq!(result.topic_id, id);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_with_kafkas_code_and_a_reason() {
    use ResponseError as E;
    let server = Server::start("wire_topics").await;
    let mut client = server.client().await;
    create(&mut client, 7, vec![topic("there", 1, 1)]).await;
    let by_hand = |brokers: &[i32]| {
        let assignment = CreatableReplicaAssignment::default()
            .with_partition_index(0)
            .with_broker_ids(brokers.iter().map(|id| BrokerId(*id)).collect());
        topic("t", -1, -1).with_assignments(vec![assignment])
    };
    let second_only = topic("t", -1, -1)
        .with_assignments(vec![CreatableReplicaAssignment::default().with_partition_index(1)]);
    let configured = |name, value| topic("t", 1, 1).with_configs(vec![config(name, value)]);
    for (topic, error, part) in [
        (topic("there", 1, 1), E::TopicAlreadyExists, "'there' already exists"),
        (topic("", 1, 1), E::InvalidTopicException, "is empty"),
        (topic("..", 1, 1), E::InvalidTopicException, "`.` or `..`"),
        (topic("a/b", 1, 1), E::InvalidTopicException, "has a character"),
        (topic(&"x".repeat(250), 1, 1), E::InvalidTopicException, "longer than 249"),
        (topic("t", 0, 1), E::InvalidPartitions, "non-positive"),
        (topic("t", -2, 1), E::InvalidPartitions, "non-positive"),
        (topic("t", 1_025, 1), E::InvalidPartitions, "at most 1024"),
        (topic("t", i32::MAX, 1), E::InvalidPartitions, "at most 1024"),
        (topic("t", 1, 0), E::InvalidReplicationFactor, "larger than 0"),
        (topic("t", 1, 3), E::InvalidReplicationFactor, "3 time(s)"),
        (by_hand(&[]), E::InvalidReplicaAssignment, "empty replica list"),
        (by_hand(&[2]), E::InvalidReplicaAssignment, "broker 2"),
        (by_hand(&[1, 1]), E::InvalidReplicaAssignment, "more than once"),
        (by_hand(&[1]).with_num_partitions(1), E::InvalidRequest, "numPartitions was not set to -1"),
        (by_hand(&[1]).with_replication_factor(1), E::InvalidRequest, "replication factor was not set to -1"),
        (second_only, E::InvalidReplicaAssignment, "consecutive"),
        (configured("retention.ms", Some("a week")), E::InvalidConfig, "retention.ms"),
        (configured("retention.ms", None), E::InvalidConfig, "Null value"),
        (configured("retention", Some("1")), E::InvalidConfig, "Unknown topic config name: retention"),
        (configured("remote.storage.enable", Some("true")), E::InvalidConfig, "no tiered storage"),
        (topic("__cluster_metadata", 1, 1), E::TopicAuthorizationFailed, "Authorization failed"),
        (topic("__consumer_offsets", 1, 1), E::TopicAlreadyExists, "already exists"),
    ] {
        let asked = topic.clone();
        let results = create(&mut client, 7, vec![topic]).await;
        let (found, message) = refusal(results.first().unwrap());
        assert_eq!(found, Some(error), "{asked:?}: {message}");
        assert!(message.contains(part), "{asked:?}: {message}");
    }
    assert_eq!(seen(&mut client, "t").await, None);
}

#[tokio::test]
async fn the_defaults_and_assignments_by_hand_make_topics() {
    let config = WireConfig { partitions: 4, ..WireConfig::default() };
    let server = Server::with(&fresh_dir("wire_topics"), EmbeddedConfig::default(), config).await;
    let mut client = server.client().await;
    let assignment = |index| {
        CreatableReplicaAssignment::default().with_partition_index(index).with_broker_ids(vec![BrokerId(1)])
    };
    let by_hand = topic("by_hand", -1, -1).with_assignments(vec![assignment(1), assignment(0)]);
    let results = create(
        &mut client,
        7,
        vec![topic("default", -1, -1), by_hand, topic("a.b", 1, 1), topic("a_b", 1, 1)],
    )
    .await;
    assert!(results.iter().all(|result| result.error_code == 0), "{results:?}");
    assert_eq!(seen(&mut client, "default").await.unwrap().0, 4);
    assert_eq!(seen(&mut client, "by_hand").await.unwrap().0, 2);
    // Names that are one in metrics are two here, as with Kafka's own log.
    assert_ne!(seen(&mut client, "a.b").await, seen(&mut client, "a_b").await);
}

#[tokio::test]
async fn validation_alone_makes_nothing_and_finds_the_same() {
    let server = Server::start("wire_topics").await;
    let mut client = server.client().await;
    let request = CreateTopicsRequest::default().with_validate_only(true).with_topics(vec![
        topic("good", 2, 1).with_configs(vec![config("retention.ms", Some("5000"))]),
        topic("bad", 1, 1).with_configs(vec![config("retention.ms", Some("-2"))]),
        topic("twice", 1, 1),
        topic("twice", 1, 1),
    ]);
    let results = client.send(7, &request).await.topics;
    let codes: Vec<_> = results.iter().map(|result| (&*result.name.0, result.error_code)).collect();
    assert_eq!(codes, [("good", 0), ("bad", 40), ("twice", 42)]);
    let retention = results.first().unwrap().configs.as_ref().unwrap().iter();
    let retention = retention.clone().find(|config| &*config.name == "retention.ms").unwrap();
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("5000"), 1));
    for topic in ["good", "bad", "twice"] {
        assert_eq!(seen(&mut client, topic).await, None);
    }
}

#[tokio::test]
async fn a_topic_is_deleted_by_name_or_id_and_a_new_one_is_another() {
    let server = Server::start("wire_topics").await;
    let mut client = server.client().await;
    create(&mut client, 7, vec![topic("a", 1, 1), topic("b", 1, 1)]).await;
    let (_, first) = seen(&mut client, "a").await.unwrap();
    assert_eq!(delete(&mut client, &["a", "missing"]).await, [0, 3]);
    assert_eq!(seen(&mut client, "a").await, None);
    create(&mut client, 7, vec![topic("a", 2, 1)]).await;
    let (partitions, second) = seen(&mut client, "a").await.unwrap();
    assert_eq!(partitions, 2);
    assert_ne!(first, second);
    let by_id = |id| {
        let state = DeleteTopicState::default().with_name(None).with_topic_id(id);
        DeleteTopicsRequest::default().with_topics(vec![state])
    };
    let gone = client.send(6, &by_id(first)).await.responses.remove(0);
    assert_eq!((gone.error_code, gone.name), (ResponseError::UnknownTopicId.code(), None));
    let deleted = client.send(6, &by_id(second)).await.responses.remove(0);
    assert_eq!((deleted.error_code, deleted.name), (0, Some(name("a"))));
    assert_eq!(seen(&mut client, "a").await, None);
    for version in 1..=5 {
        let of_version = format!("v{version}");
        create(&mut client, 7, vec![topic(&of_version, 1, 1)]).await;
        let request =
            DeleteTopicsRequest::default().with_topic_names(vec![name(&of_version), name("missing")]);
        let codes: Vec<_> =
            client.send(version, &request).await.responses.iter().map(|r| r.error_code).collect();
        assert_eq!(codes, [0, 3], "version {version}");
    }
}

#[tokio::test]
async fn a_deletion_that_says_nothing_or_too_much_is_refused() {
    let server = Server::start("wire_topics").await;
    let mut client = server.client().await;
    create(&mut client, 7, vec![topic("a", 1, 1)]).await;
    let (_, id) = seen(&mut client, "a").await.unwrap();
    let neither = DeleteTopicState::default().with_name(None);
    let both = DeleteTopicState::default().with_name(Some(name("a"))).with_topic_id(id);
    let twice = DeleteTopicState::default().with_name(Some(name("a")));
    let request = DeleteTopicsRequest::default().with_topics(vec![neither, both, twice.clone(), twice]);
    let codes: Vec<_> = client.send(6, &request).await.responses.iter().map(|r| r.error_code).collect();
    assert_eq!(codes, [42, 42, 42]);
    let protected = ["__consumer_offsets", "__transaction_state", "__cluster_metadata", "__producer_ids"];
    assert_eq!(delete(&mut client, &protected).await, [17, 17, 3, 3]);
    assert!(seen(&mut client, "a").await.is_some());
    assert!(seen(&mut client, "__consumer_offsets").await.is_some());
}

#[tokio::test]
async fn a_topic_grows_and_everyone_sees_it() {
    let server = Server::start("wire_topics").await;
    let mut client = server.client().await;
    create(&mut client, 7, vec![topic("t", 1, 1)]).await;
    let bus = &server.embedded;
    let mut member =
        bus.subscribe("g", &["t".to_owned()], StartOffset::Earliest, Isolation::ReadCommitted).await.unwrap();
    member.poll(FetchLimit { wait_max: Duration::ZERO, ..FetchLimit::default() }).await.unwrap();
    for (version, count) in (0..=3).zip(2..) {
        let grown = to("t", count);
        let validate =
            CreatePartitionsRequest::default().with_topics(vec![grown.clone()]).with_validate_only(true);
        assert_eq!(client.send(version, &validate).await.results.remove(0).error_code, 0);
        assert_eq!(seen(&mut client, "t").await.unwrap().0, usize::try_from(count - 1).unwrap());
        let request = CreatePartitionsRequest::default().with_topics(vec![grown]);
        assert_eq!(client.send(version, &request).await.results.remove(0).error_code, 0);
        assert_eq!(seen(&mut client, "t").await.unwrap().0, usize::try_from(count).unwrap());
    }
    bus.append(&TopicPartition::new("t", 4), records(["late"]), Acks::All).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let limit = FetchLimit { wait_max: Duration::from_millis(100), ..FetchLimit::default() };
        // A member learns of the rebalance by an error that tells it to go on.
        let polled = member.poll(limit).await.unwrap_or_default();
        if polled.iter().any(|part| part.partition.partition == 4 && !part.records.is_empty()) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "a member does not see partition 4");
    }
}

#[tokio::test]
async fn a_topic_does_not_shrink_nor_grow_without_end() {
    use ResponseError as E;
    let server = Server::start("wire_topics").await;
    let mut client = server.client().await;
    create(&mut client, 7, vec![topic("t", 3, 1)]).await;
    let by_hand = |brokers: Vec<Vec<i32>>| {
        let assignment = |ids: Vec<i32>| {
            CreatePartitionsAssignment::default().with_broker_ids(ids.into_iter().map(BrokerId).collect())
        };
        to("t", 4).with_assignments(Some(brokers.into_iter().map(assignment).collect()))
    };
    for (asked, error) in [
        (to("missing", 4), E::UnknownTopicOrPartition),
        (to("t", 3), E::InvalidPartitions),
        (to("t", 2), E::InvalidPartitions),
        (to("t", -1), E::InvalidPartitions),
        (to("t", 1_025), E::InvalidPartitions),
        (by_hand(vec![vec![1], vec![1]]), E::InvalidReplicaAssignment),
        (by_hand(vec![vec![7]]), E::InvalidReplicaAssignment),
        (to("__consumer_offsets", 1_000), E::InvalidTopicException),
        (to("__producer_ids", 1_000), E::UnknownTopicOrPartition),
    ] {
        let request = CreatePartitionsRequest::default().with_topics(vec![asked.clone()]);
        let result = client.send(3, &request).await.results.remove(0);
        assert_eq!(ResponseError::try_from_code(result.error_code), Some(error), "{asked:?}");
        assert!(result.error_message.is_some(), "{asked:?}");
    }
    let twice = CreatePartitionsRequest::default().with_topics(vec![to("t", 4), to("t", 5)]);
    let results = client.send(3, &twice).await.results;
    assert_eq!(results.iter().map(|result| result.error_code).collect::<Vec<_>>(), [42]);
    assert_eq!(seen(&mut client, "t").await.unwrap().0, 3);
    let good = CreatePartitionsRequest::default().with_topics(vec![by_hand(vec![vec![1]])]);
    assert_eq!(client.send(3, &good).await.results.remove(0).error_code, 0);
}

#[tokio::test]
async fn topics_their_ids_and_partitions_survive_a_restart() {
    let server = Server::start("wire_topics").await;
    let mut client = server.client().await;
    create(&mut client, 7, vec![topic("t", 1, 1), topic("gone", 1, 1)]).await;
    let request = CreatePartitionsRequest::default().with_topics(vec![to("t", 3)]);
    client.send(3, &request).await;
    delete(&mut client, &["gone"]).await;
    let before = seen(&mut client, "t").await;
    let dir = server.stop().await;
    let server = Server::with(&dir, EmbeddedConfig::default(), WireConfig::default()).await;
    let mut client = server.client().await;
    assert_eq!(seen(&mut client, "t").await, before);
    assert_eq!(before.unwrap().0, 3);
    assert_eq!(seen(&mut client, "gone").await, None);
}

/// Such as the trail of what was written to machines: everyone may look, nobody may touch it.
#[tokio::test(flavor = "multi_thread")]
async fn a_protected_topic_is_read_and_nothing_else() {
    let config = WireConfig { protected_topics: vec!["trail".to_owned()], ..WireConfig::default() };
    let server = Server::with(&fresh_dir("wire_topics"), EmbeddedConfig::default(), config).await;
    support::data::create(&server, "trail", 1, &[]).await;
    let trail = TopicPartition::new("trail", 0);
    server.embedded.append(&trail, records(["kept"]), Acks::All).await.unwrap();
    let mut client = server.client().await;
    let invalid = Some(ResponseError::InvalidTopicException);
    let produced = produce_to("trail", Uuid::nil(), vec![(0, batch(&["forged"]))], 1);
    let produced = client.send(9, &produced).await.responses.remove(0).partition_responses.remove(0);
    assert_eq!(error(produced.error_code), invalid);
    assert_eq!(delete(&mut client, &["trail"]).await.into_iter().map(error).collect::<Vec<_>>(), [invalid]);
    let grown = CreatePartitionsRequest::default().with_topics(vec![to("trail", 2)]);
    assert_eq!(error(client.send(3, &grown).await.results[0].error_code), invalid);
    let cut = DeleteRecordsPartition::default().with_partition_index(0).with_offset(-1);
    let cut = DeleteRecordsTopic::default().with_name(name("trail")).with_partitions(vec![cut]);
    let cut = DeleteRecordsRequest::default().with_topics(vec![cut]);
    assert_eq!(error(client.send(2, &cut).await.topics[0].partitions[0].error_code), invalid);
    let retention = AlterableConfig::default()
        .with_name(StrBytes::from_static_str("retention.ms"))
        .with_value(Some(StrBytes::from_static_str("1")));
    let altered = AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(StrBytes::from_static_str("trail"))
        .with_configs(vec![retention]);
    let altered = IncrementalAlterConfigsRequest::default().with_resources(vec![altered]);
    assert_ne!(client.send(1, &altered).await.responses[0].error_code, 0);
    let read = parts(client.send(11, &fetch_from("trail", Uuid::nil(), &[(0, 0, i32::MAX)])).await);
    assert_eq!(texts(read[0].records.as_ref().unwrap()), [(0, "kept".to_owned())]);
}
