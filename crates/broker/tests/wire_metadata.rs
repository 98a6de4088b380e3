//! Topics, the cluster, its coordinators and features, over a connection.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiVersionsRequest, DescribeClusterRequest, DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse, FindCoordinatorRequest, ListPartitionReassignmentsRequest,
    MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use millstream_broker::{EmbeddedConfig, ListenerConfig, SecurityConfig, WireConfig};
use millstream_bus::{Bus, TopicSpec};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use support::client::{Client, Server};
use support::fresh_dir;
use uuid::Uuid;

fn name(text: &str) -> TopicName {
    TopicName(StrBytes::from_string(text.to_owned()))
}

fn by_name(names: &[&str]) -> MetadataRequest {
    let topic = |text: &&str| MetadataRequestTopic::default().with_name(Some(name(text)));
    MetadataRequest::default()
        .with_topics(Some(names.iter().map(topic).collect()))
        .with_allow_auto_topic_creation(false)
}

fn names(response: &MetadataResponse) -> Vec<(String, i16)> {
    let name = |topic: &kafka_protocol::messages::metadata_response::MetadataResponseTopic| {
        (topic.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(), topic.error_code)
    };
    response.topics.iter().map(name).collect()
}

async fn serve() -> (Server, Client) {
    let server = Server::start("wire-metadata").await;
    server.embedded.create_topic(&TopicSpec::new("aa", 3)).await.unwrap();
    server.embedded.create_topic(&TopicSpec::new("bb", 2)).await.unwrap();
    let client = server.client().await;
    (server, client)
}

#[tokio::test]
async fn topics_are_told_in_every_version() {
    let (server, mut client) = serve().await;
    for version in 0..=13 {
        let asks = by_name(&["bb", "none", "a b", "aa", "aa"]).with_allow_auto_topic_creation(version < 4);
        let response = client.send(version, &asks).await;
        let unknown = ResponseError::UnknownTopicOrPartition.code();
        let invalid = ResponseError::InvalidTopicException.code();
        let mut expected = vec![
            ("bb".to_owned(), 0),
            ("aa".to_owned(), 0),
            ("none".to_owned(), unknown),
            ("a b".to_owned(), invalid),
        ];
        if version < 4 {
            // Older clients always ask to make what is not there.
            expected = vec![
                ("bb".to_owned(), 0),
                ("none".to_owned(), 0),
                ("aa".to_owned(), 0),
                ("a b".to_owned(), invalid),
            ];
            server.embedded.delete_topic("none").await.unwrap();
        }
        assert_eq!(names(&response), expected, "version {version}");
        let broker = &response.brokers[0];
        assert_eq!((broker.node_id.0, broker.host.as_str()), (1, "127.0.0.1"));
        assert_eq!(broker.port, i32::from(server.address().port()));
        let partitions = &response.topics[0].partitions;
        assert_eq!(partitions.iter().map(|one| one.partition_index).collect::<Vec<_>>(), [0, 1]);
        assert!(partitions.iter().all(|one| one.leader_id.0 == 1 && one.isr_nodes[0].0 == 1));
        assert_eq!(response.cluster_id.is_some(), version >= 2);
    }
}

#[tokio::test]
async fn all_topics_are_those_a_client_may_know_of() {
    let (_server, mut client) = serve().await;
    let expected = ["__consumer_offsets", "__transaction_state", "aa", "bb"].map(|name| (name.to_owned(), 0));
    let all = client.send(0, &MetadataRequest::default().with_topics(Some(vec![]))).await;
    assert_eq!(names(&all), expected, "no topics are all topics in version 0");
    let none = client.send(1, &MetadataRequest::default().with_topics(Some(vec![]))).await;
    assert_eq!(names(&none), []);
    let all = client.send(13, &MetadataRequest::default().with_topics(None)).await;
    assert_eq!(names(&all), expected);
    let internal: Vec<_> = all.topics.iter().map(|topic| topic.is_internal).collect();
    assert_eq!(internal, [true, true, false, false]);
    let hidden =
        client.send(13, &by_name(&["__cluster_metadata"]).with_allow_auto_topic_creation(true)).await;
    assert_eq!(hidden.topics[0].error_code, ResponseError::UnknownTopicOrPartition.code());
}

#[tokio::test]
async fn topics_are_found_by_their_ids() {
    let (_server, mut client) = serve().await;
    let id = client.send(13, &by_name(&["aa"])).await.topics[0].topic_id;
    assert!(!id.is_nil());
    let by_id = |id| MetadataRequestTopic::default().with_topic_id(id);
    let request = MetadataRequest::default().with_topics(Some(vec![by_id(id), by_id(Uuid::from_u128(7))]));
    let found = client.send(12, &request).await;
    let mut told: Vec<_> = found.topics.iter().map(|topic| (topic.topic_id, topic.error_code)).collect();
    told.sort_unstable();
    assert_eq!(told, {
        let mut expected = vec![(id, 0), (Uuid::from_u128(7), ResponseError::UnknownTopicId.code())];
        expected.sort_unstable();
        expected
    });
    // Before version 12 an id is a mistake, and the whole request with it.
    let early = MetadataRequest::default().with_topics(Some(vec![by_id(id).with_name(Some(name("aa")))]));
    let refused = client.send(11, &early).await;
    assert_eq!(refused.topics[0].error_code, ResponseError::InvalidRequest.code());
    assert_eq!((refused.brokers.len(), refused.controller_id.0), (0, -1));
    let neither = MetadataRequest::default().with_topics(Some(vec![by_id(Uuid::nil()).with_name(None)]));
    let refused = client.send(12, &neither).await;
    assert_eq!(refused.topics[0].error_code, ResponseError::InvalidRequest.code());
}

#[tokio::test]
async fn a_topic_is_made_for_a_client_that_asks_where_the_settings_say_so() {
    let (server, mut client) = serve().await;
    let asks = by_name(&["made"]).with_allow_auto_topic_creation(true);
    assert_eq!(names(&client.send(12, &asks).await), [("made".to_owned(), 0)]);
    assert_eq!(
        server.embedded.topics().await.unwrap().iter().find(|topic| topic.name == "made").unwrap().partitions,
        1
    );
    let config = WireConfig { auto_create_topics: false, ..WireConfig::default() };
    let dir = fresh_dir("wire-metadata");
    let server = Server::with(&dir, EmbeddedConfig::default(), config).await;
    let refused = server.client().await.send(12, &asks).await;
    assert_eq!(refused.topics[0].error_code, ResponseError::UnknownTopicOrPartition.code());
}

#[tokio::test]
async fn what_a_client_may_do_is_told_when_it_asks() {
    let (_server, mut client) = serve().await;
    let asks = by_name(&["aa", "none"])
        .with_include_topic_authorized_operations(true)
        .with_include_cluster_authorized_operations(true);
    let told = client.send(8, &asks).await;
    // As Apache Kafka 4.3 without an authorizer.
    assert_eq!(told.cluster_authorized_operations, 0x1fa0);
    assert_eq!(told.topics[0].topic_authorized_operations, 0x0df8);
    assert_eq!(told.topics[1].topic_authorized_operations, 0x0df8);
    let silent = client.send(8, &by_name(&["aa"])).await;
    assert_eq!(silent.cluster_authorized_operations, i32::MIN);
    assert_eq!(silent.topics[0].topic_authorized_operations, i32::MIN);
}

#[tokio::test]
async fn the_cluster_is_one_node() {
    let (_server, mut client) = serve().await;
    for version in 0..=2 {
        let asks = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
        let told = client.send(version, &asks).await;
        assert_eq!((told.error_code, told.controller_id.0, told.brokers.len()), (0, 1, 1));
        assert_eq!(told.cluster_authorized_operations, 0x1fa0);
        assert_eq!(told.cluster_id.len(), 22, "a UUID in base64");
    }
    let cluster = |endpoint_type| DescribeClusterRequest::default().with_endpoint_type(endpoint_type);
    let controllers = client.send(2, &cluster(2)).await;
    assert_eq!(controllers.error_code, ResponseError::MismatchedEndpointType.code());
    let nothing = client.send(2, &cluster(9)).await;
    assert_eq!(nothing.error_code, ResponseError::UnsupportedEndpointType.code());
}

#[tokio::test]
async fn a_client_of_ipv4_is_told_an_address_of_ipv4_by_a_listener_of_both() {
    let dir = fresh_dir("wire-metadata-both");
    let listener = ListenerConfig { listen: (Ipv6Addr::UNSPECIFIED, 0).into(), ..ListenerConfig::default() };
    let security = SecurityConfig { insecure: true, ..SecurityConfig::default() };
    let config = WireConfig { listeners: vec![listener], security, ..WireConfig::default() };
    let server = Server::with(&dir, EmbeddedConfig::default(), config).await;
    for address in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        let mut client = Client::connect((address, server.address().port()).into()).await;
        let told = client.send(2, &DescribeClusterRequest::default()).await;
        assert_eq!(told.brokers[0].host.as_str(), address.to_string());
    }
}

#[tokio::test]
async fn every_group_and_transaction_has_this_node_as_its_coordinator() {
    let (server, mut client) = serve().await;
    let port = i32::from(server.address().port());
    for version in 0..=3 {
        let asks = FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("g"));
        let found = client.send(version, &asks).await;
        assert_eq!((found.error_code, found.node_id.0, found.port), (0, 1, port), "version {version}");
    }
    let several = |key_type| {
        let keys = ["a", "b"].map(StrBytes::from_static_str).to_vec();
        FindCoordinatorRequest::default().with_key_type(key_type).with_coordinator_keys(keys)
    };
    for version in 4..=6 {
        for key_type in [0, 1] {
            let found = client.send(version, &several(key_type)).await;
            let told: Vec<_> = found
                .coordinators
                .iter()
                .map(|one| (one.key.as_str(), one.error_code, one.node_id.0))
                .collect();
            assert_eq!(told, [("a", 0, 1), ("b", 0, 1)]);
        }
    }
    let share = client.send(6, &several(2)).await;
    let errors: Vec<_> = share.coordinators.iter().map(|one| (one.error_code, one.node_id.0)).collect();
    assert_eq!(errors, [(ResponseError::InvalidRequest.code(), -1); 2]);
}

fn page(response: &DescribeTopicPartitionsResponse) -> Vec<(String, i16, Vec<i32>)> {
    let topics = response.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|one| one.partition_index).collect();
        (topic.name.as_ref().unwrap().as_str().to_owned(), topic.error_code, partitions)
    });
    topics.collect()
}

fn next(response: &DescribeTopicPartitionsResponse) -> Option<(&str, i32)> {
    let cursor = response.next_cursor.as_ref()?;
    Some((&cursor.topic_name, cursor.partition_index))
}

/// The expectations were tried on Apache Kafka 4.3.1.
#[tokio::test]
async fn partitions_are_described_page_by_page() {
    let (_server, mut client) = serve().await;
    let asks = |topics: &[&str], limit, cursor: Option<(&str, i32)>| {
        let topic = |text: &&str| TopicRequest::default().with_name(name(text));
        let cursor = cursor.map(|(topic, partition)| {
            Cursor::default().with_topic_name(name(topic)).with_partition_index(partition)
        });
        DescribeTopicPartitionsRequest::default()
            .with_topics(topics.iter().map(topic).collect())
            .with_response_partition_limit(limit)
            .with_cursor(cursor)
    };
    let both = ["bb", "aa", "nn", "a b"];
    let told = client.send(0, &asks(&both, 4, None)).await;
    let (invalid, unknown) = (ResponseError::InvalidTopicException, ResponseError::UnknownTopicOrPartition);
    let of = |name: &str, error: i16, partitions: &[i32]| (name.to_owned(), error, partitions.to_vec());
    assert_eq!(page(&told), [of("a b", invalid.code(), &[]), of("aa", 0, &[0, 1, 2]), of("bb", 0, &[0])]);
    assert_eq!(next(&told), Some(("bb", 1)));
    let rest = client.send(0, &asks(&both, 4, next(&told))).await;
    assert_eq!(page(&rest), [of("bb", 0, &[1]), of("nn", unknown.code(), &[])]);
    assert_eq!(next(&rest), None);
    let exact = client.send(0, &asks(&["bb", "aa"], 3, None)).await;
    assert_eq!(next(&exact), Some(("bb", 0)));
    for limit in [1, 0, -1] {
        let one = client.send(0, &asks(&["bb", "aa"], limit, None)).await;
        assert_eq!((page(&one), next(&one)), (vec![of("aa", 0, &[0])], Some(("aa", 1))));
    }
    let beyond = client.send(0, &asks(&["bb", "aa"], 3, Some(("aa", 9)))).await;
    assert_eq!(page(&beyond), [of("aa", 0, &[]), of("bb", 0, &[0, 1])]);
    let refused = ResponseError::InvalidRequest.code();
    for cursor in [("aab", 5), ("aa", -1)] {
        let wrong = client.send(0, &asks(&["bb", "aa"], 3, Some(cursor))).await;
        assert_eq!(page(&wrong), [of("bb", refused, &[]), of("aa", refused, &[])]);
    }
    let gone = client.send(0, &asks(&[], 3, Some(("aab", 5)))).await;
    assert_eq!(page(&gone), [of("bb", 0, &[0, 1])]);
}

#[tokio::test]
async fn versions_and_features_are_those_of_kafka() {
    let (_server, mut client) = serve().await;
    for version in 0..=4 {
        let asks = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("a.client"))
            .with_client_software_version(StrBytes::from_static_str("1.0-x"));
        let told = client.send(version, &asks).await;
        assert_eq!(told.error_code, 0);
        let of = |key: i16| {
            let key = told.api_keys.iter().find(|one| one.api_key == key).unwrap();
            (key.min_version, key.max_version)
        };
        assert_eq!((of(0), of(3), of(18)), ((0, 13), (0, 13), (0, 4)));
        if version >= 3 {
            let finalized: Vec<_> = told
                .finalized_features
                .iter()
                .map(|one| (one.name.as_str(), one.max_version_level))
                .collect();
            assert_eq!(
                finalized,
                [("group.version", 1), ("metadata.version", 30), ("transaction.version", 2)]
            );
            // Level 0 was an error to clients that ask in version 3.
            assert_eq!(told.supported_features.len(), if version == 3 { 1 } else { 3 });
        }
    }
    let nameless = client.send(3, &ApiVersionsRequest::default()).await;
    assert_eq!((nameless.error_code, nameless.api_keys.len()), (ResponseError::InvalidRequest.code(), 0));
}

#[tokio::test]
async fn no_partition_is_on_its_way() {
    let (_server, mut client) = serve().await;
    let told = client.send(0, &ListPartitionReassignmentsRequest::default().with_topics(None)).await;
    assert_eq!((told.error_code, told.topics.len()), (0, 0));
}
