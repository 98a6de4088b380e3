//! The broker's own configs as clients see them: under Kafka's names, read-only, each telling what really holds.

use crate::topic_config::DEFINITIONS;
use crate::wire::api::configs::{Source, default_source};
use crate::wire::call::Call;
use crate::wire::limits::NODE_ID;
use millstream_log::TopicConfig;

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
    configs.extend(of_groups(call));
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

/// What holds for every group.
pub(crate) fn of_groups(call: &Call) -> Vec<Config> {
    let (given, default) = (&call.broker.inner.config, crate::EmbeddedConfig::default());
    vec![set(
        "transaction.max.timeout.ms",
        &given.transaction_timeout.as_millis(),
        &default.transaction_timeout.as_millis(),
        LONG,
        "The longest time a transaction may be open.",
    )]
}
