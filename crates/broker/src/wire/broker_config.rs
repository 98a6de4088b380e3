//! The broker's own configs as clients see them: under Kafka's names, read-only, each telling what really holds.

use crate::topic_config::DEFINITIONS;
use crate::wire::api::configs::{Source, default_source};
use crate::wire::call::Call;
use crate::wire::limits::NODE_ID;
use crate::wire::wire_limits::WireLimits;
use crate::{ConsumerGroupConfig, EmbeddedConfig};
use millstream_log::TopicConfig;
use std::time::Duration;

/// One config.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) source: Source,
    /// Kafka's code for the type (`ConfigType` of DescribeConfigs).
    pub(crate) type_code: i8,
    pub(crate) documentation: &'static str,
}

const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
const INT: i8 = 3;
const LONG: i8 = 5;
const LIST: i8 = 7;

fn fixed(name: &'static str, value: &impl ToString, type_code: i8, documentation: &'static str) -> Config {
    Config { name, value: value.to_string(), source: Source::Default, type_code, documentation }
}

/// One that the plant folder sets: it counts as given where it is not the default.
fn set<T: ToString + PartialEq>(
    name: &'static str,
    value: &T,
    default: &T,
    type_code: i8,
    documentation: &'static str,
) -> Config {
    let source = if value == default { Source::Default } else { Source::Broker };
    Config { name, value: value.to_string(), source, type_code, documentation }
}

/// Every config of the broker, sorted by name.
pub(crate) fn all(call: &Call) -> Vec<Config> {
    let mut configs = of_topics(call);
    configs.extend(of_wire(call));
    configs.extend(of_limits(call));
    configs.extend(of_coordinators(call));
    configs.extend(of_producers(call));
    configs.extend([
        fixed("broker.id", &NODE_ID, INT, "The id of the one node."),
        fixed("default.replication.factor", &1, INT, "There is one node, and so one replica."),
        fixed("delete.topic.enable", &true, BOOLEAN, "Topics can be deleted."),
        fixed("node.id", &NODE_ID, INT, "The id of the one node."),
        fixed("offsets.topic.replication.factor", &1, INT, "There is one node, and so one replica."),
        fixed("process.roles", &"broker,controller", LIST, "One process is both."),
        fixed("remote.log.storage.system.enable", &false, BOOLEAN, "There is no tiered storage."),
        fixed("transaction.state.log.min.isr", &1, INT, "There is one node, and so one replica."),
        fixed("transaction.state.log.replication.factor", &1, INT, "There is one node, and so one replica."),
        fixed(
            "transaction.two.phase.commit.enable",
            &false,
            BOOLEAN,
            "Transactions end with their producer.",
        ),
    ]);
    configs.sort_by_key(|config| config.name);
    configs
}

/// What topics get that say nothing themselves.
fn of_topics(call: &Call) -> Vec<Config> {
    let defaults: &TopicConfig = call.broker.inner.topics.log().topic_defaults();
    let config = |definition: &'static crate::topic_config::Definition| {
        Some(Config {
            name: definition.server_property?,
            value: definition.default(defaults),
            source: default_source(definition, defaults),
            type_code: definition.type_code(),
            documentation: definition.documentation,
        })
    };
    DEFINITIONS.iter().filter_map(config).collect()
}

/// What the listeners were given.
fn of_wire(call: &Call) -> Vec<Config> {
    let (given, default) = (&call.broker.config, crate::WireConfig::default());
    let listeners: Vec<String> = given
        .listeners
        .iter()
        .map(|listener| format!("{}://{}", listener.protocol.name(), listener.listen))
        .collect();
    let (host, port) = call.peer.advertised();
    let advertised = format!("{}://{}:{port}", call.peer.listener.protocol.name(), &*host);
    let mechanisms: Vec<&str> = given.security.mechanisms.iter().map(|mechanism| mechanism.name()).collect();
    let mut super_users: Vec<&str> = given.security.super_users.iter().map(String::as_str).collect();
    super_users.sort_unstable();
    vec![
        fixed(
            "advertised.listeners",
            &advertised,
            LIST,
            "What clients of this listener are told to connect to.",
        ),
        set(
            "allow.everyone.if.no.acl.found",
            &given.security.allow_everyone_if_no_acl_found,
            &default.security.allow_everyone_if_no_acl_found,
            BOOLEAN,
            "Whether what no ACL speaks of is open to everyone.",
        ),
        set(
            "auto.create.topics.enable",
            &given.auto_create_topics,
            &default.auto_create_topics,
            BOOLEAN,
            "Whether a topic is made when a client that may create it asks for it.",
        ),
        Config {
            name: "listeners",
            value: listeners.join(","),
            source: Source::Broker,
            type_code: LIST,
            documentation: "Where the Kafka protocol is served.",
        },
        set(
            "num.partitions",
            &given.partitions,
            &default.partitions,
            INT,
            "Partitions of a topic that is made without a number.",
        ),
        set("sasl.enabled.mechanisms", &mechanisms.join(","), &String::new(), LIST, "How users sign in."),
        set("super.users", &super_users.join(";"), &String::new(), STRING, "Who may do everything."),
    ]
}

/// How much clients may take.
fn of_limits(call: &Call) -> Vec<Config> {
    let (given, default) = (&call.broker.config.limits, WireLimits::default());
    vec![
        set(
            "connections.max.idle.ms",
            &given.idle.as_millis(),
            &default.idle.as_millis(),
            LONG,
            "A connection without requests is closed after so long.",
        ),
        set("max.connections", &given.connections, &default.connections, INT, "Connections in all."),
        set(
            "max.connections.per.ip",
            &given.connections_per_ip,
            &default.connections_per_ip,
            INT,
            "Connections from one address.",
        ),
        set(
            "queued.max.request.bytes",
            &given.request_memory_bytes,
            &default.request_memory_bytes,
            LONG,
            "Memory for the requests of all connections.",
        ),
        set(
            "socket.request.max.bytes",
            &given.request_bytes,
            &default.request_bytes,
            INT,
            "Bytes of one request.",
        ),
    ]
}

/// A time of the coordinators.
fn millis(
    call: &Call,
    name: &'static str,
    of: fn(&EmbeddedConfig) -> Duration,
    type_code: i8,
    documentation: &'static str,
) -> Config {
    let (given, default) = (of(&call.broker.inner.config), of(&EmbeddedConfig::default()));
    set(name, &given.as_millis(), &default.as_millis(), type_code, documentation)
}

/// What holds for groups and their offsets.
fn of_coordinators(call: &Call) -> Vec<Config> {
    let (given, default) = (&call.broker.inner.config, EmbeddedConfig::default());
    let members = |name, of: fn(&EmbeddedConfig) -> usize| {
        set(name, &of(given), &of(&default), INT, "Members of one group.")
    };
    let minutes = |config: &EmbeddedConfig| config.groups.offsets_retention.as_secs() / 60;
    vec![
        millis(
            call,
            "group.consumer.heartbeat.interval.ms",
            |config| config.consumer_groups.heartbeat_interval,
            INT,
            HEARTBEAT_INTERVAL,
        ),
        members("group.consumer.max.size", |config| config.consumer_groups.members_max),
        millis(
            call,
            "group.consumer.session.timeout.ms",
            |config| config.consumer_groups.session_timeout,
            INT,
            SESSION_TIMEOUT,
        ),
        millis(
            call,
            "group.initial.rebalance.delay.ms",
            |config| config.groups.initial_rebalance_delay,
            INT,
            "How long the first round of an empty group waits for more members.",
        ),
        millis(
            call,
            "group.max.session.timeout.ms",
            |config| config.groups.session_timeout_max,
            INT,
            "The longest session that a member of a classic group may ask for.",
        ),
        members("group.max.size", |config| config.groups.members_max),
        millis(
            call,
            "group.min.session.timeout.ms",
            |config| config.groups.session_timeout_min,
            INT,
            "The shortest session that a member of a classic group may ask for.",
        ),
        millis(
            call,
            "offsets.retention.check.interval.ms",
            |config| config.groups.offsets_check_interval,
            LONG,
            "How often old offsets are looked for.",
        ),
        set(
            "offsets.retention.minutes",
            &minutes(given),
            &minutes(&default),
            INT,
            "Offsets that nobody uses are forgotten after so long.",
        ),
    ]
}

/// What holds for producers and their transactions.
fn of_producers(call: &Call) -> Vec<Config> {
    vec![
        millis(
            call,
            "producer.id.expiration.ms",
            |config| config.producers.producer_id_expiration,
            INT,
            "A partition forgets a producer that was not heard of for so long.",
        ),
        millis(
            call,
            "transaction.max.timeout.ms",
            |config| config.producers.transaction_max_timeout,
            INT,
            "The longest time-out that a client may ask for its transactions.",
        ),
        millis(
            call,
            "transactional.id.expiration.ms",
            |config| config.producers.transactional_id_expiration,
            INT,
            "A transactional id that was not used for so long is forgotten.",
        ),
    ]
}

const HEARTBEAT_INTERVAL: &str = "How often members are told to send a heartbeat.";
const SESSION_TIMEOUT: &str = "A member that was not heard of for so long is put out.";

/// What holds for every group, under the names of a group's configs.
pub(crate) fn of_groups(call: &Call) -> Vec<Config> {
    let (given, default) = (&call.broker.inner.config.consumer_groups, ConsumerGroupConfig::default());
    vec![
        set(
            "consumer.heartbeat.interval.ms",
            &given.heartbeat_interval.as_millis(),
            &default.heartbeat_interval.as_millis(),
            INT,
            HEARTBEAT_INTERVAL,
        ),
        set(
            "consumer.session.timeout.ms",
            &given.session_timeout.as_millis(),
            &default.session_timeout.as_millis(),
            INT,
            SESSION_TIMEOUT,
        ),
    ]
}
