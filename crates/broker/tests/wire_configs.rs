//! DescribeConfigs, IncrementalAlterConfigs and AlterConfigs, as Apache Kafka answers them.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_request::{
    AlterConfigsResource as ReplacedResource, AlterableConfig as ReplacedConfig,
};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use kafka_protocol::protocol::StrBytes;
use millstream_broker::{Embedded, EmbeddedConfig, Wire, WireConfig};
use millstream_log::{Log, LogConfig, OsDisk, TopicConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use support::client::{Client, Server};
use support::data::create;
use support::{clock, fresh_dir};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn resource(kind: i8, name: &str) -> DescribeConfigsResource {
    DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None)
}

async fn described(client: &mut Client, kind: i8, name: &str) -> DescribeConfigsResult {
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource(kind, name)])
        .with_include_synonyms(true)
        .with_include_documentation(true);
    client.send(4, &request).await.results.remove(0)
}

fn find<'r>(result: &'r DescribeConfigsResult, name: &str) -> &'r DescribeConfigsResourceResult {
    let found = result.configs.iter().find(|config| &*config.name == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

/// Value and source of a topic's config.
async fn config(client: &mut Client, topic: &str, name: &str) -> (String, i8) {
    let result = described(client, TOPIC, topic).await;
    let config = find(&result, name);
    (config.value.as_deref().unwrap().to_owned(), config.config_source)
}

type Change<'c> = (&'c str, i8, Option<&'c str>);

fn changes(kind: i8, name: &str, changes: &[Change<'_>]) -> AlterConfigsResource {
    let config = |(name, operation, value): &Change<'_>| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    };
    AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(changes.iter().map(config).collect())
}

async fn change(client: &mut Client, topic: &str, list: &[Change<'_>]) -> (Option<ResponseError>, String) {
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![changes(TOPIC, topic, list)]);
    let response = client.send(1, &request).await.responses.remove(0);
    let message = response.error_message.as_deref().unwrap_or_default().to_owned();
    (ResponseError::try_from_code(response.error_code), message)
}

async fn replace(client: &mut Client, version: i16, topic: &str, pairs: &[(&str, &str)]) -> i16 {
    let config = |(name, value): &(&str, &str)| {
        ReplacedConfig::default().with_name(text(name)).with_value(Some(text(value)))
    };
    let resource = ReplacedResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configs(pairs.iter().map(config).collect());
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    client.send(version, &request).await.responses.remove(0).error_code
}

/// The names that Apache Kafka 4.3.1 lists for a topic, with types and defaults (`LogConfig`).
const KAFKA: [(&str, i8, &str); 33] = [
    ("cleanup.policy", 7, "delete"),
    ("compression.gzip.level", 3, "-1"),
    ("compression.lz4.level", 3, "9"),
    ("compression.type", 2, "producer"),
    ("compression.zstd.level", 3, "3"),
    ("delete.retention.ms", 5, "86400000"),
    ("file.delete.delay.ms", 5, "60000"),
    ("flush.messages", 5, "9223372036854775807"),
    ("flush.ms", 5, "9223372036854775807"),
    ("follower.replication.throttled.replicas", 7, ""),
    ("index.interval.bytes", 3, "4096"),
    ("leader.replication.throttled.replicas", 7, ""),
    ("local.retention.bytes", 5, "-2"),
    ("local.retention.ms", 5, "-2"),
    ("max.compaction.lag.ms", 5, "9223372036854775807"),
    ("max.message.bytes", 3, "1048588"),
    ("message.timestamp.after.max.ms", 5, "3600000"),
    ("message.timestamp.before.max.ms", 5, "9223372036854775807"),
    ("message.timestamp.type", 2, "CreateTime"),
    ("min.cleanable.dirty.ratio", 6, "0.5"),
    ("min.compaction.lag.ms", 5, "0"),
    ("min.insync.replicas", 3, "1"),
    ("preallocate", 1, "false"),
    ("remote.log.copy.disable", 1, "false"),
    ("remote.log.delete.on.disable", 1, "false"),
    ("remote.storage.enable", 1, "false"),
    ("retention.bytes", 5, "-1"),
    ("retention.ms", 5, "604800000"),
    // Kafka's own default is 1 GiB; smaller segments let retention free a small disk sooner.
    ("segment.bytes", 3, "134217728"),
    ("segment.index.bytes", 3, "10485760"),
    ("segment.jitter.ms", 5, "0"),
    ("segment.ms", 5, "604800000"),
    ("unclean.leader.election.enable", 1, "false"),
];

#[tokio::test]
async fn every_config_of_kafka_is_there_with_type_default_and_documentation() {
    let server = Server::start("wire_configs").await;
    create(&server, "t", 1, &[]).await;
    let mut client = server.client().await;
    let result = described(&mut client, TOPIC, "t").await;
    assert_eq!((result.error_code, result.resource_type, &*result.resource_name), (0, TOPIC, "t"));
    for (name, kind, default) in KAFKA {
        let config = find(&result, name);
        assert_eq!(
            (config.value.as_deref(), config.config_source, config.config_type, config.read_only),
            (Some(default), 5, kind, false),
            "{name}"
        );
        assert!(config.documentation.as_deref().is_some_and(|text| !text.is_empty()), "{name}");
        assert!(!config.is_sensitive, "{name}");
    }
    assert_eq!(result.configs.len(), KAFKA.len() + 1, "ours alone is millstream.reserved");
    for version in 1..=4 {
        let request = DescribeConfigsRequest::default().with_resources(vec![
            resource(TOPIC, "t").with_configuration_keys(Some(vec![text("retention.ms"), text("none")])),
        ]);
        let result = client.send(version, &request).await.results.remove(0);
        let names: Vec<_> = result.configs.iter().map(|config| &*config.name).collect();
        assert_eq!(names, ["retention.ms"], "version {version}");
        let config = find(&result, "retention.ms");
        assert!(config.synonyms.is_empty(), "version {version}");
        assert_eq!(config.documentation.as_deref().unwrap_or_default(), "", "version {version}");
    }
}

#[tokio::test]
async fn a_value_tells_where_it_comes_from() {
    let dir = fresh_dir("wire_configs");
    let given = TopicConfig { retention_ms: Some(5_000), ..TopicConfig::default() };
    let config = LogConfig { topic: given, ..LogConfig::default() };
    let log = Log::open(Arc::new(OsDisk), &dir, config, clock()).unwrap().0;
    let embedded = Embedded::open(log, EmbeddedConfig::default(), clock()).await.unwrap();
    let wire = Wire::serve(&embedded, WireConfig::default()).await.unwrap();
    let server = Server { wire, embedded, dir };
    create(&server, "t", 1, &[("segment.ms", "9")]).await;
    let mut client = server.client().await;
    let result = described(&mut client, TOPIC, "t").await;
    let synonyms = |name: &str| -> Vec<(String, String, i8)> {
        let config = find(&result, name);
        let synonym = |s: &kafka_protocol::messages::describe_configs_response::DescribeConfigsSynonym| {
            (s.name.to_string(), s.value.as_deref().unwrap().to_owned(), s.source)
        };
        config.synonyms.iter().map(synonym).collect()
    };
    let of = |name: &str, value: &str, source| (name.to_owned(), value.to_owned(), source);
    let retention = [of("log.retention.ms", "5000", 4), of("log.retention.ms", "604800000", 5)];
    assert_eq!(synonyms("retention.ms"), retention);
    assert_eq!(find(&result, "retention.ms").config_source, 4);
    assert_eq!(synonyms("segment.ms"), [of("segment.ms", "9", 1), of("log.roll.ms", "604800000", 5)]);
    assert_eq!(find(&result, "segment.ms").config_source, 1);
    let broker = described(&mut client, BROKER, "1").await;
    let retention = find(&broker, "log.retention.ms");
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("5000"), 4));
}

#[tokio::test]
async fn changes_are_laid_over_what_is_there_and_count_at_once() {
    let server = Server::start("wire_configs").await;
    create(&server, "t", 1, &[]).await;
    let mut client = server.client().await;
    let done = (None, String::new());
    let set = [("retention.ms", SET, Some(" 7000 ")), ("max.message.bytes", SET, Some("100"))];
    assert_eq!(change(&mut client, "t", &set).await, done);
    assert_eq!(config(&mut client, "t", "retention.ms").await, ("7000".to_owned(), 1));
    let large = support::data::produce(&mut client, "t", support::data::batch(&[&"x".repeat(200)])).await;
    assert_eq!(ResponseError::try_from_code(large.error_code), Some(ResponseError::MessageTooLarge));
    assert_eq!(change(&mut client, "t", &[("max.message.bytes", DELETE, None)]).await, done);
    assert_eq!(config(&mut client, "t", "max.message.bytes").await, ("1048588".to_owned(), 5));
    assert_eq!(config(&mut client, "t", "retention.ms").await, ("7000".to_owned(), 1));
    let large = support::data::produce(&mut client, "t", support::data::batch(&[&"x".repeat(200)])).await;
    assert_eq!(large.error_code, 0);
    let policy = async |client: &mut Client, operation, value| {
        let changed = change(client, "t", &[("cleanup.policy", operation, Some(value))]).await;
        (changed.0, config(client, "t", "cleanup.policy").await.0)
    };
    assert_eq!(policy(&mut client, APPEND, "compact").await, (None, "compact,delete".to_owned()));
    assert_eq!(policy(&mut client, APPEND, "compact,delete").await, (None, "compact,delete".to_owned()));
    assert_eq!(policy(&mut client, SUBTRACT, "delete").await, (None, "compact".to_owned()));
    let (error, left) = policy(&mut client, SUBTRACT, "compact").await;
    assert_eq!((error, left.as_str()), (Some(ResponseError::InvalidConfig), "compact"));
    let dir = server.stop().await;
    let server = Server::with(&dir, EmbeddedConfig::default(), WireConfig::default()).await;
    let mut client = server.client().await;
    assert_eq!(config(&mut client, "t", "cleanup.policy").await, ("compact".to_owned(), 1));
    assert_eq!(config(&mut client, "t", "retention.ms").await, ("7000".to_owned(), 1));
}

#[tokio::test]
async fn a_change_that_cannot_be_is_refused_as_a_whole() {
    use ResponseError as E;
    let server = Server::start("wire_configs").await;
    create(&server, "t", 1, &[]).await;
    let mut client = server.client().await;
    let good = ("segment.ms", SET, Some("9"));
    for (bad, error, part) in [
        (
            ("retention.ms", SET, Some("-2")),
            E::InvalidConfig,
            "Invalid value -2 for configuration retention.ms",
        ),
        (("segment.bytes", SET, Some("14")), E::InvalidConfig, "at least 1048576"),
        (("cleanup.policy", SET, Some("shred")), E::InvalidConfig, "some of compact, delete"),
        (("compression.type", SET, Some("brotli")), E::InvalidConfig, "gzip"),
        (("message.timestamp.type", SET, Some("LogTime")), E::InvalidConfig, "LogAppendTime"),
        (("min.cleanable.dirty.ratio", SET, Some("NaN")), E::InvalidConfig, "from 0 to 1"),
        (("preallocate", SET, Some("maybe")), E::InvalidConfig, "true or false"),
        (("no.such.config", SET, Some("1")), E::InvalidConfig, "Unknown topic config name: no.such.config"),
        (("retention.ms", SET, None), E::InvalidRequest, "Null value not supported"),
        (("retention.ms", APPEND, Some("1")), E::InvalidConfig, "not LIST"),
        (("retention.ms", SUBTRACT, Some("1")), E::InvalidConfig, "not LIST"),
        (("retention.ms", 9, Some("1")), E::InvalidRequest, "Unknown operation type 9"),
        (("segment.ms", SET, Some("10")), E::InvalidRequest, "duplicate config keys"),
        (("remote.storage.enable", SET, Some("true")), E::InvalidConfig, "no tiered storage"),
        (("preallocate", SET, Some("true\nid 7")), E::InvalidConfig, "preallocate"),
    ] {
        let (found, message) = change(&mut client, "t", &[good, bad]).await;
        assert_eq!(found, Some(error), "{bad:?}: {message}");
        assert!(message.contains(part), "{bad:?}: {message}");
    }
    assert_eq!(config(&mut client, "t", "segment.ms").await, ("604800000".to_owned(), 5));
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(vec![changes(TOPIC, "t", &[good])])
        .with_validate_only(true);
    assert_eq!(client.send(0, &request).await.responses.remove(0).error_code, 0);
    assert_eq!(config(&mut client, "t", "segment.ms").await.1, 5);
    let twice = IncrementalAlterConfigsRequest::default()
        .with_resources(vec![changes(TOPIC, "t", &[good]), changes(TOPIC, "t", &[good])]);
    let codes: Vec<_> = client.send(1, &twice).await.responses.iter().map(|r| r.error_code).collect();
    assert_eq!(codes, [E::InvalidRequest.code(); 2]);
}

#[tokio::test]
async fn the_older_request_replaces_everything() {
    let server = Server::start("wire_configs").await;
    create(&server, "t", 1, &[("segment.ms", "9"), ("retention.ms", "5")]).await;
    let mut client = server.client().await;
    for version in 0..=2 {
        let value = (version + 100).to_string();
        assert_eq!(replace(&mut client, version, "t", &[("retention.ms", &value)]).await, 0);
        assert_eq!(config(&mut client, "t", "retention.ms").await, (value, 1));
        assert_eq!(config(&mut client, "t", "segment.ms").await.1, 5, "taken back");
    }
    let bad = replace(&mut client, 2, "t", &[("retention.ms", "x")]).await;
    assert_eq!(ResponseError::try_from_code(bad), Some(ResponseError::InvalidConfig));
    assert_eq!(config(&mut client, "t", "retention.ms").await, ("102".to_owned(), 1));
}

#[tokio::test]
async fn what_is_not_there_or_not_to_be_changed_says_so() {
    use ResponseError as E;
    let server = Server::start("wire_configs").await;
    create(&server, "t", 1, &[]).await;
    let mut client = server.client().await;
    for (kind, name, error) in [
        (TOPIC, "missing", Some(E::UnknownTopicOrPartition)),
        (TOPIC, "a/b", Some(E::InvalidTopicException)),
        (TOPIC, "__producer_ids", Some(E::UnknownTopicOrPartition)),
        (TOPIC, "__consumer_offsets", None),
        (BROKER, "1", None),
        (BROKER, "", None),
        (BROKER, "2", Some(E::InvalidRequest)),
        (BROKER, "one", Some(E::InvalidRequest)),
        (8, "1", None),
        (16, "metrics", None),
        (32, "group", None),
        (32, "", Some(E::InvalidRequest)),
        (7, "x", Some(E::InvalidRequest)),
    ] {
        let result = described(&mut client, kind, name).await;
        assert_eq!(ResponseError::try_from_code(result.error_code), error, "{kind} {name}");
        assert_eq!(result.error_message.is_some(), error.is_some(), "{kind} {name}");
    }
    for (kind, name, error) in [
        (TOPIC, "missing", E::UnknownTopicOrPartition),
        (TOPIC, "__consumer_offsets", E::InvalidConfig),
        (TOPIC, "__cluster_metadata", E::UnknownTopicOrPartition),
        (BROKER, "1", E::InvalidConfig),
        (BROKER, "", E::InvalidConfig),
        (BROKER, "5", E::InvalidRequest),
        (8, "1", E::InvalidConfig),
        (7, "x", E::InvalidRequest),
    ] {
        let resource = changes(kind, name, &[("retention.ms", SET, Some("5"))]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let response = client.send(1, &request).await.responses.remove(0);
        assert_eq!(ResponseError::try_from_code(response.error_code), Some(error), "{kind} {name}");
        assert!(response.error_message.is_some(), "{kind} {name}");
    }
}

#[tokio::test]
async fn the_broker_tells_what_holds() {
    let config = WireConfig { partitions: 3, auto_create_topics: false, ..WireConfig::default() };
    let mut engine = EmbeddedConfig::default();
    engine.producers.transaction_max_timeout = Duration::from_mins(5);
    engine.consumer_groups.session_timeout = Duration::from_secs(40);
    let server = Server::with(&fresh_dir("wire_configs"), engine, config).await;
    let mut client = server.client().await;
    let result = described(&mut client, GROUP, "g").await;
    let session = find(&result, "consumer.session.timeout.ms");
    assert_eq!((session.value.as_deref(), session.config_source), (Some("40000"), 4));
    assert_eq!(result.configs.len(), 2);
    let result = described(&mut client, BROKER, "1").await;
    let values: BTreeMap<_, _> = result
        .configs
        .iter()
        .map(|config| (config.name.to_string(), config.value.as_deref().unwrap().to_owned()))
        .collect();
    assert_eq!(values.len(), result.configs.len(), "no name is there twice");
    for (name, value) in [
        ("num.partitions", "3"),
        ("auto.create.topics.enable", "false"),
        ("broker.id", "1"),
        ("default.replication.factor", "1"),
        ("message.max.bytes", "1048588"),
        ("log.retention.ms", "604800000"),
        ("transaction.max.timeout.ms", "300000"),
        ("group.consumer.session.timeout.ms", "40000"),
        ("group.min.session.timeout.ms", "6000"),
        ("offsets.retention.minutes", "10080"),
        ("socket.request.max.bytes", "104857600"),
        ("listeners", &format!("PLAINTEXT://{}", "127.0.0.1:0")),
        ("advertised.listeners", &format!("PLAINTEXT://{}", server.address())),
    ] {
        assert_eq!(values.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(result.configs.iter().all(|config| config.read_only && config.documentation.is_some()));
}
