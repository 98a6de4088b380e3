//! DescribeConfigs, IncrementalAlterConfigs, AlterConfigs.

use crate::embedded::blocking;
use crate::topic_config::{self, DEFINITIONS, Definition, definition, parts};
use crate::topics::{self, is_hidden};
use crate::wire::authorize::{Operation, Resource};
use crate::wire::broker_config;
use crate::wire::call::Call;
use crate::wire::limits::NODE_ID;
use crate::wire::refusal::Refusal;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as Replaced;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;
use millstream_bus::check;
use millstream_log::{Topic, TopicConfig};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a value comes from (`ConfigSource` of DescribeConfigs).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The topic's own configs.
    Topic,
    /// The plant folder or the command line.
    Broker,
    Default,
}

impl Source {
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::Broker => 4,
            Self::Default => 5,
        }
    }
}

/// Where what holds for a topic comes from.
pub(crate) fn source(definition: &Definition, topic: &Topic, defaults: &TopicConfig) -> Source {
    if topic.configs.contains_key(definition.name) {
        Source::Topic
    } else {
        default_source(definition, defaults)
    }
}

/// Where the default comes from: what the log was given counts as the broker's property.
pub(crate) fn default_source(definition: &Definition, defaults: &TopicConfig) -> Source {
    let ours = definition.default(&TopicConfig::default());
    if definition.server_property.is_some() && definition.default(defaults) != ours {
        Source::Broker
    } else {
        Source::Default
    }
}

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

/// What of the configs is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    synonyms: bool,
    documentation: bool,
}

/// KIP-133, KIP-226 (synonyms), KIP-569 (types and documentation).
pub(crate) async fn describe_configs(
    call: &Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let wanted = Wanted { synonyms: request.include_synonyms, documentation: request.include_documentation };
    let result = |resource: DescribeConfigsResource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        match describe(call, &resource, wanted) {
            Ok(mut configs) => {
                if let Some(keys) = resource.configuration_keys.filter(|keys| !keys.is_empty()) {
                    configs.retain(|config| keys.contains(&config.name));
                }
                result.with_configs(configs).with_error_message(None)
            }
            Err(refusal) => result.with_error_code(refusal.code()).with_error_message(refusal.message),
        }
    };
    DescribeConfigsResponse::default().with_results(request.resources.into_iter().map(result).collect())
}

fn describe(
    call: &Call,
    resource: &DescribeConfigsResource,
    wanted: Wanted,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let name = &*resource.resource_name;
    check_right(call, Operation::DescribeConfigs, resource.resource_type, name)?;
    match resource.resource_type {
        TOPIC => {
            let topic = existing(call, name)?;
            let defaults = call.broker.inner.topics.log().topic_defaults();
            Ok(DEFINITIONS.iter().map(|definition| of_topic(definition, &topic, defaults, wanted)).collect())
        }
        // Those that hold for all brokers and can change while they run: there are none.
        BROKER if name.is_empty() => Ok(Vec::new()),
        BROKER => {
            check_broker(name)?;
            Ok(broker_config::all(call).into_iter().map(|config| config.describe(wanted)).collect())
        }
        BROKER_LOGGER => check_broker(name).map(|()| Vec::new()),
        CLIENT_METRICS => Ok(Vec::new()),
        GROUP if name.is_empty() => {
            Err(Refusal::of(ResponseError::InvalidRequest, "Group name must not be empty."))
        }
        GROUP => {
            Ok(broker_config::of_groups(call).into_iter().map(|config| config.describe(wanted)).collect())
        }
        other => Err(unsupported(other)),
    }
}

fn unsupported(resource_type: i8) -> Refusal {
    Refusal::of(ResponseError::InvalidRequest, format!("Unsupported resource type: {resource_type}"))
}

fn check_right(call: &Call, operation: Operation, resource_type: i8, name: &str) -> Result<(), Refusal> {
    let (resource, error) = match resource_type {
        TOPIC => (Resource::Topic(name), ResponseError::TopicAuthorizationFailed),
        GROUP => (Resource::Group(name), ResponseError::GroupAuthorizationFailed),
        _ => (Resource::Cluster, ResponseError::ClusterAuthorizationFailed),
    };
    if call.may(operation, resource) { Ok(()) } else { Err(error.into()) }
}

fn check_broker(name: &str) -> Result<(), Refusal> {
    let message = match name.parse::<i32>() {
        Ok(NODE_ID) => return Ok(()),
        Ok(id) => format!("Unexpected broker id, expected {NODE_ID}, but received {id}"),
        Err(_) => format!("Broker id must be an integer, but it is: {name}"),
    };
    Err(Refusal::of(ResponseError::InvalidRequest, message))
}

fn existing(call: &Call, name: &str) -> Result<Topic, Refusal> {
    check::topic_name(name)
        .map_err(|error| Refusal::of(ResponseError::InvalidTopicException, error.to_string()))?;
    let found = call.broker.inner.topics.log().topic(name).filter(|_| !is_hidden(name));
    found.ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Refusal {
    Refusal::of(ResponseError::UnknownTopicOrPartition, format!("The topic '{name}' does not exist."))
}

fn of_topic(
    definition: &'static Definition,
    topic: &Topic,
    defaults: &TopicConfig,
    wanted: Wanted,
) -> DescribeConfigsResourceResult {
    let synonym = |name: &'static str, value: String, source: Source| {
        DescribeConfigsSynonym::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value)))
            .with_source(source.code())
    };
    let mut synonyms = Vec::new();
    if wanted.synonyms {
        if topic.configs.contains_key(definition.name) {
            synonyms.push(synonym(definition.name, definition.value(topic), Source::Topic));
        }
        if let Some(property) = definition.server_property {
            if default_source(definition, defaults) == Source::Broker {
                synonyms.push(synonym(property, definition.default(defaults), Source::Broker));
            }
            synonyms.push(synonym(property, definition.default(&TopicConfig::default()), Source::Default));
        }
    }
    let documentation = wanted.documentation.then(|| StrBytes::from_static_str(definition.documentation));
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(definition.name))
        .with_value(Some(StrBytes::from_string(definition.value(topic))))
        .with_read_only(topics::is_protected(&topic.name))
        .with_config_source(source(definition, topic, defaults).code())
        .with_synonyms(synonyms)
        .with_config_type(definition.type_code())
        .with_documentation(documentation)
}

impl broker_config::Config {
    fn describe(self, wanted: Wanted) -> DescribeConfigsResourceResult {
        let synonym = DescribeConfigsSynonym::default()
            .with_name(StrBytes::from_static_str(self.name))
            .with_value(Some(StrBytes::from_string(self.value.clone())))
            .with_source(self.source.code());
        DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(self.name))
            .with_value(Some(StrBytes::from_string(self.value)))
            .with_read_only(true)
            .with_config_source(self.source.code())
            .with_synonyms(if wanted.synonyms { vec![synonym] } else { Vec::new() })
            .with_config_type(self.type_code)
            .with_documentation(wanted.documentation.then(|| StrBytes::from_static_str(self.documentation)))
    }
}

/// KIP-339.
pub(crate) async fn incremental_alter_configs(
    call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let keys =
        request.resources.iter().map(|resource| (resource.resource_type, resource.resource_name.clone()));
    let times = count(keys);
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let (resource_type, name) = (resource.resource_type, resource.resource_name);
        let change = move |topic: &Topic, defaults: &TopicConfig| step(topic, defaults, &resource.configs);
        let changed = alter(call, &times, (resource_type, &name), request.validate_only, change).await;
        let (code, message) = answer(changed);
        responses.push(
            AlterConfigsResourceResponse::default()
                .with_resource_type(resource_type)
                .with_resource_name(name)
                .with_error_code(code)
                .with_error_message(message),
        );
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

/// KIP-133: all of a topic's configs are replaced.
pub(crate) async fn alter_configs(call: &Call, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let keys =
        request.resources.iter().map(|resource| (resource.resource_type, resource.resource_name.clone()));
    let times = count(keys);
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let (resource_type, name) = (resource.resource_type, resource.resource_name);
        let pairs: Vec<_> = resource.configs.into_iter().map(|config| (config.name, config.value)).collect();
        let change = move |_: &Topic, _: &TopicConfig| replacement(&pairs);
        let changed = alter(call, &times, (resource_type, &name), request.validate_only, change).await;
        let (code, message) = answer(changed);
        responses.push(
            Replaced::default()
                .with_resource_type(resource_type)
                .with_resource_name(name)
                .with_error_code(code)
                .with_error_message(message),
        );
    }
    AlterConfigsResponse::default().with_responses(responses)
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut times = BTreeMap::new();
    for key in keys {
        *times.entry(key).or_default() += 1;
    }
    times
}

fn answer(changed: Result<(), Refusal>) -> (i16, Option<StrBytes>) {
    match changed {
        Ok(()) => (0, None),
        Err(refusal) => (refusal.code(), refusal.message),
    }
}

type Configs = BTreeMap<String, String>;

/// Changes the configs of one resource, all of them or none. `times` counts the resources of the request.
async fn alter(
    call: &Call,
    times: &BTreeMap<(i8, StrBytes), usize>,
    (resource_type, name): (i8, &StrBytes),
    validate_only: bool,
    change: impl FnOnce(&Topic, &TopicConfig) -> Result<Configs, Refusal> + Send + 'static,
) -> Result<(), Refusal> {
    if times.get(&(resource_type, name.clone())).is_some_and(|times| *times > 1) {
        return Err(Refusal::of(ResponseError::InvalidRequest, "Each resource must appear at most once."));
    }
    check_right(call, Operation::AlterConfigs, resource_type, name)?;
    let fixed = |message: &str| Err(Refusal::of(ResponseError::InvalidConfig, message));
    match resource_type {
        TOPIC => {}
        BROKER => {
            if !name.is_empty() {
                check_broker(name)?;
            }
            return fixed("the configs of the broker are set in [kafka] and [log] of the plant folder");
        }
        BROKER_LOGGER => {
            check_broker(name)?;
            return fixed("what is logged is set with RUST_LOG where the broker is started");
        }
        CLIENT_METRICS => return fixed("there are no subscriptions to clients' metrics"),
        GROUP => {
            return fixed("the configs of groups are set in [kafka] of the plant folder, for all of them");
        }
        other => return Err(unsupported(other)),
    }
    existing(call, name)?;
    if call.is_protected(name) {
        return fixed("this topic is kept by the broker itself, as are its configs");
    }
    let (inner, name) = (Arc::clone(&call.broker.inner), name.to_string());
    blocking(move || {
        Ok(inner.topics.configure(&name, validate_only, |topic, defaults| {
            let configs = change(topic, defaults)?;
            match topic_config::refuse(&configs) {
                Some(reason) => Err(Refusal::of(ResponseError::InvalidConfig, reason)),
                None => Ok(configs),
            }
        }))
    })
    .await?
}

fn replacement(pairs: &[(StrBytes, Option<StrBytes>)]) -> Result<Configs, Refusal> {
    let mut configs = Configs::new();
    for (name, value) in pairs {
        let Some(value) = value else {
            let message = format!("Null value not supported for : {}", &**name);
            return Err(Refusal::of(ResponseError::InvalidRequest, message));
        };
        if configs.insert(name.to_string(), value.trim().to_owned()).is_some() {
            return Err(doubled(name));
        }
    }
    Ok(configs)
}

fn doubled(name: &str) -> Refusal {
    Refusal::of(ResponseError::InvalidRequest, format!("Error due to duplicate config keys : {name}"))
}

/// A topic's configs with changes laid over them.
fn step(topic: &Topic, defaults: &TopicConfig, changes: &[AlterableConfig]) -> Result<Configs, Refusal> {
    let mut configs = topic.configs.clone();
    let times = count(changes.iter().map(|change| change.name.clone()));
    if let Some((name, _)) = times.into_iter().find(|(_, times)| *times > 1) {
        return Err(doubled(&name));
    }
    for AlterableConfig { name, config_operation, value, .. } in changes {
        let value = || {
            let given = value.as_ref().map(|value| value.trim().to_owned());
            given.ok_or_else(|| {
                let message = format!("Null value not supported for : {}", &**name);
                Refusal::of(ResponseError::InvalidRequest, message)
            })
        };
        let old = |doing: &str| {
            let Some(definition) = definition(name).filter(|definition| definition.is_list()) else {
                let message = format!("Can't {doing} to key {} because its type is not LIST.", &**name);
                return Err(Refusal::of(ResponseError::InvalidConfig, message));
            };
            let own = configs.get(&**name).cloned();
            Ok(own.unwrap_or_else(|| definition.default(defaults)))
        };
        let new = match config_operation {
            0 => value()?,
            1 => {
                configs.remove(&**name);
                continue;
            }
            2 => {
                let (old, added) = (old("APPEND")?, value()?);
                let mut all: Vec<&str> = parts(&old).collect();
                for part in parts(&added) {
                    if !all.contains(&part) {
                        all.push(part);
                    }
                }
                all.join(",")
            }
            3 => {
                let (old, taken) = (old("SUBTRACT")?, value()?);
                let left = parts(&old).filter(|part| !parts(&taken).any(|taken| taken == *part));
                left.collect::<Vec<_>>().join(",")
            }
            other => {
                let message = format!("Unknown operation type {other}");
                return Err(Refusal::of(ResponseError::InvalidRequest, message));
            }
        };
        configs.insert(name.to_string(), new);
    }
    Ok(configs)
}
