//! CreateTopics, DeleteTopics, CreatePartitions.

use crate::embedded::{Inner, blocking};
use crate::topic_config::{self, DEFINITIONS};
use crate::topics::{is_hidden, uuid_of};
use crate::wire::api::configs::source;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::limits;
use crate::wire::refusal::Refusal;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use millstream_bus::check;
use millstream_log::Topic;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// KIP-4, KIP-195, KIP-464 (default partitions and replicas), KIP-525 (configs in the answer).
pub(crate) async fn create_topics(call: &Call, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut named: BTreeMap<StrBytes, usize> = BTreeMap::new();
    for topic in &request.topics {
        *named.entry(topic.name.0.clone()).or_default() += 1;
    }
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let result = CreatableTopicResult::default().with_name(topic.name.clone());
        match named.get_mut(&topic.name.0) {
            // Of a name that is given twice nothing is made, and it is answered once.
            Some(times) if *times > 1 => {
                *times = 0;
                results.push(refused(
                    result,
                    Refusal::of(ResponseError::InvalidRequest, "Duplicate topic name."),
                ));
            }
            Some(0) => {}
            _ => results.push(match create(call, topic, request.validate_only).await {
                Ok(topic) => created(call, result, &topic, request.validate_only),
                Err(refusal) => refused(result, refusal),
            }),
        }
    }
    CreateTopicsResponse::default().with_topics(results)
}

fn refused(result: CreatableTopicResult, refusal: Refusal) -> CreatableTopicResult {
    result.with_error_code(refusal.code()).with_error_message(refusal.message).with_configs(None)
}

async fn create(call: &Call, topic: CreatableTopic, validate_only: bool) -> Result<Topic, Refusal> {
    let may = call.may(Operation::Create, Resource::Cluster)
        || call.may(Operation::Create, Resource::Topic(&topic.name));
    if !may || is_hidden(&topic.name) {
        return Err(Refusal::of(ResponseError::TopicAuthorizationFailed, "Authorization failed."));
    }
    check::topic_name(&topic.name)
        .map_err(|error| Refusal::of(ResponseError::InvalidTopicException, error.to_string()))?;
    let partitions = partitions(call, &topic)?;
    let mut configs = BTreeMap::new();
    for config in &topic.configs {
        let Some(value) = &config.value else {
            let message = format!("Null value not supported for topic configs: {}", config.name);
            return Err(Refusal::of(ResponseError::InvalidConfig, message));
        };
        configs.insert(config.name.to_string(), value.trim().to_owned());
    }
    if let Some(reason) = topic_config::refuse(&configs) {
        return Err(Refusal::of(ResponseError::InvalidConfig, reason));
    }
    let (inner, name) = (Arc::clone(&call.broker.inner), topic.name.to_string());
    blocking(move || Ok(make(&inner, name, partitions, configs, validate_only))).await?
}

/// Makes a topic that is valid for itself. Blocks.
fn make(
    inner: &Inner,
    name: String,
    partitions: i32,
    configs: BTreeMap<String, String>,
    validate_only: bool,
) -> Result<Topic, Refusal> {
    let log = inner.topics.log();
    let existing = log.topics();
    if existing.iter().any(|topic| topic.name == name) {
        return Err(Refusal::of(
            ResponseError::TopicAlreadyExists,
            format!("Topic '{name}' already exists."),
        ));
    }
    let total: i32 = existing.iter().map(|topic| topic.partitions).fold(partitions, i32::saturating_add);
    check_total(total)?;
    warn_of_collision(&name, &existing);
    if validate_only {
        let config = log.topic_defaults().with(&configs).map_err(Refusal::from)?;
        return Ok(Topic { name, id: 0, partitions, configs, config });
    }
    inner.topics.create_with(&name, partitions, &configs).map_err(Refusal::from)
}

fn check_total(total: i32) -> Result<(), Refusal> {
    if total <= limits::PARTITIONS_TOTAL {
        return Ok(());
    }
    let message =
        format!("there would be {total} partitions, more than the limit of {}", limits::PARTITIONS_TOTAL);
    Err(Refusal::of(ResponseError::PolicyViolation, message))
}

/// Metrics write `.` as `_`: two names that differ in these alone are one there.
fn warn_of_collision(name: &str, existing: &[Topic]) {
    let as_metric = name.replace('.', "_");
    if let Some(other) = existing.iter().find(|topic| topic.name.replace('.', "_") == as_metric) {
        tracing::warn!(
            topic = name,
            other = other.name,
            "two topics have one name in metrics, where `.` is `_`"
        );
    }
}

/// How many partitions a topic is to have, by number or by hand.
fn partitions(call: &Call, topic: &CreatableTopic) -> Result<i32, Refusal> {
    let invalid = |error, message: &str| Err(Refusal::of(error, message));
    if !topic.assignments.is_empty() {
        if topic.replication_factor != -1 {
            let message =
                "A manual partition assignment was specified, but replication factor was not set to -1.";
            return invalid(ResponseError::InvalidRequest, message);
        }
        if topic.num_partitions != -1 {
            let message = "A manual partition assignment was specified, but numPartitions was not set to -1.";
            return invalid(ResponseError::InvalidRequest, message);
        }
        return assigned(&topic.assignments);
    }
    match topic.replication_factor {
        -1 | 1 => {}
        factor if factor < 1 => {
            let message = "Replication factor must be larger than 0, or -1 to use the default value.";
            return invalid(ResponseError::InvalidReplicationFactor, message);
        }
        factor => {
            let message = format!(
                "Unable to replicate the partition {factor} time(s): there is 1 broker, so the replication factor is 1 or -1."
            );
            return invalid(ResponseError::InvalidReplicationFactor, &message);
        }
    }
    match topic.num_partitions {
        -1 => Ok(call.broker.config.partitions),
        count if count < 1 => {
            let message = "Number of partitions was set to an invalid non-positive value.";
            invalid(ResponseError::InvalidPartitions, message)
        }
        count => check_count(count),
    }
}

fn check_count(count: i32) -> Result<i32, Refusal> {
    let max = millstream_log::limits::PARTITIONS;
    if count <= max {
        return Ok(count);
    }
    let message = format!("a topic has at most {max} partitions, not {count}");
    Err(Refusal::of(ResponseError::InvalidPartitions, message))
}

fn assigned(assignments: &[CreatableReplicaAssignment]) -> Result<i32, Refusal> {
    let mut numbers: Vec<i32> = assignments.iter().map(|assignment| assignment.partition_index).collect();
    numbers.sort_unstable();
    if !numbers.iter().copied().eq((0..).take(numbers.len())) {
        let message = "partitions should be a consecutive 0-based integer sequence";
        return Err(Refusal::of(ResponseError::InvalidReplicaAssignment, message));
    }
    for assignment in assignments {
        check_replicas(&assignment.broker_ids)?;
    }
    check_count(i32::try_from(numbers.len()).unwrap_or(i32::MAX))
}

fn check_replicas(brokers: &[BrokerId]) -> Result<(), Refusal> {
    let message = match brokers {
        [BrokerId(limits::NODE_ID)] => return Ok(()),
        [] => "The manual partition assignment includes an empty replica list.".to_owned(),
        all => match all.iter().find(|id| id.0 != limits::NODE_ID) {
            Some(id) => format!(
                "The manual partition assignment includes broker {}, but no such broker is registered.",
                id.0
            ),
            None => format!(
                "The manual partition assignment includes the broker {} more than once.",
                limits::NODE_ID
            ),
        },
    };
    Err(Refusal::of(ResponseError::InvalidReplicaAssignment, message))
}

fn created(
    call: &Call,
    result: CreatableTopicResult,
    topic: &Topic,
    validate_only: bool,
) -> CreatableTopicResult {
    let id = if validate_only { Uuid::nil() } else { uuid_of(topic) };
    let result = result.with_topic_id(id);
    if !call.may(Operation::DescribeConfigs, Resource::Topic(&topic.name)) {
        let hidden = ResponseError::TopicAuthorizationFailed.code();
        return result.with_topic_config_error_code(hidden).with_configs(None);
    }
    let defaults = call.broker.inner.topics.log().topic_defaults();
    let config = |definition: &'static topic_config::Definition| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(definition.name))
            .with_value(Some(StrBytes::from_string(definition.value(topic))))
            .with_config_source(source(definition, topic, defaults).code())
    };
    result
        .with_num_partitions(topic.partitions)
        .with_replication_factor(1)
        .with_configs(Some(DEFINITIONS.iter().map(config).collect()))
}

/// KIP-4, KIP-516 (by id).
pub(crate) async fn delete_topics(call: &Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_name = |name: TopicName| DeleteTopicState::default().with_name(Some(name));
    let wanted: Vec<_> = if call.version >= 6 {
        request.topics
    } else {
        request.topic_names.into_iter().map(by_name).collect()
    };
    let mut seen: BTreeMap<(Option<StrBytes>, Uuid), usize> = BTreeMap::new();
    let key = |state: &DeleteTopicState| (state.name.as_ref().map(|name| name.0.clone()), state.topic_id);
    for state in &wanted {
        *seen.entry(key(state)).or_default() += 1;
    }
    let mut results = Vec::with_capacity(wanted.len());
    for state in wanted {
        let result =
            DeletableTopicResult::default().with_name(state.name.clone()).with_topic_id(state.topic_id);
        let times = seen.get_mut(&key(&state)).map_or(1, std::mem::take);
        let deleted = match times {
            0 => continue,
            1 => delete(call, &state).await,
            _ => Err((
                result.clone(),
                Refusal::of(ResponseError::InvalidRequest, "Duplicate topic name or id."),
            )),
        };
        results.push(match deleted {
            Ok(result) => result,
            Err((result, refusal)) => {
                result.with_error_code(refusal.code()).with_error_message(refusal.message)
            }
        });
    }
    DeleteTopicsResponse::default().with_responses(results)
}

async fn delete(
    call: &Call,
    state: &DeleteTopicState,
) -> Result<DeletableTopicResult, (DeletableTopicResult, Refusal)> {
    let topics = &call.broker.inner.topics;
    let result = DeletableTopicResult::default().with_name(state.name.clone()).with_topic_id(state.topic_id);
    let refuse =
        |result: &DeletableTopicResult, error: ResponseError| Err((result.clone(), Refusal::from(error)));
    let name = match (&state.name, state.topic_id) {
        (Some(_), id) if !id.is_nil() => {
            let message = "You may not specify both topic name and topic id.";
            return Err((result, Refusal::of(ResponseError::InvalidRequest, message)));
        }
        (Some(name), _) => name.0.clone(),
        (None, id) if id.is_nil() => {
            let message = "Neither topic name nor id were specified.";
            return Err((result, Refusal::of(ResponseError::InvalidRequest, message)));
        }
        (None, id) => match topics.name_of(id).filter(|name| !is_hidden(name)) {
            Some(name) => StrBytes::from_string(name.to_string()),
            None => return refuse(&result, ResponseError::UnknownTopicId),
        },
    };
    let topic = Resource::Topic(&name);
    if !call.may(Operation::Describe, topic) {
        return refuse(&result, ResponseError::TopicAuthorizationFailed);
    }
    // Who may see the topic is told its name.
    let result = result.with_name(Some(TopicName(name.clone())));
    if !call.may(Operation::Delete, topic) {
        return refuse(&result, ResponseError::TopicAuthorizationFailed);
    }
    let found = topics.log().topic(&name).filter(|_| !is_hidden(&name));
    let Some(found) = found else {
        return refuse(&result, ResponseError::UnknownTopicOrPartition);
    };
    if call.is_protected(&name) {
        let message = "this topic is kept by the broker itself and cannot be deleted";
        return Err((result, Refusal::of(ResponseError::InvalidTopicException, message)));
    }
    let result = result.with_topic_id(uuid_of(&found));
    let inner = Arc::clone(&call.broker.inner);
    // It goes on when the client is gone.
    let deleting = tokio::spawn(async move { inner.delete_topic(&name).await });
    match deleting.await {
        Ok(Ok(())) => Ok(result),
        Ok(Err(error)) => Err((result, Refusal::from(error))),
        Err(_) => refuse(&result, ResponseError::UnknownServerError),
    }
}

/// KIP-195.
pub(crate) async fn create_partitions(
    call: &Call,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut named: BTreeMap<StrBytes, usize> = BTreeMap::new();
    for topic in &request.topics {
        *named.entry(topic.name.0.clone()).or_default() += 1;
    }
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone());
        let grown = match named.get_mut(&topic.name.0).map_or(1, std::mem::take) {
            0 => continue,
            1 => grow(call, topic, request.validate_only).await,
            _ => Err(Refusal::of(ResponseError::InvalidRequest, "Duplicate topic name.")),
        };
        results.push(match grown {
            Ok(()) => result,
            Err(refusal) => result.with_error_code(refusal.code()).with_error_message(refusal.message),
        });
    }
    CreatePartitionsResponse::default().with_results(results)
}

async fn grow(call: &Call, wanted: CreatePartitionsTopic, validate_only: bool) -> Result<(), Refusal> {
    let name = wanted.name.0.clone();
    if !call.may(Operation::Alter, Resource::Topic(&name)) {
        return Err(ResponseError::TopicAuthorizationFailed.into());
    }
    let log = Arc::clone(call.broker.inner.topics.log());
    let found = log.topic(&name).filter(|_| !is_hidden(&name));
    let found = found.ok_or(ResponseError::UnknownTopicOrPartition)?;
    if call.is_protected(&name) {
        let message = "this topic is kept by the broker itself, as are its partitions";
        return Err(Refusal::of(ResponseError::InvalidTopicException, message));
    }
    let (had, count) = (found.partitions, wanted.count);
    let message = match count {
        count if count == had => format!("Topic already has {had} partition(s)."),
        count if count < had => {
            format!(
                "The topic {} currently has {had} partition(s); {count} would not be an increase.",
                &*name
            )
        }
        _ => String::new(),
    };
    if !message.is_empty() {
        return Err(Refusal::of(ResponseError::InvalidPartitions, message));
    }
    check_count(count)?;
    if let Some(assignments) = &wanted.assignments {
        let added = usize::try_from(count - had).unwrap_or(0);
        if assignments.len() != added {
            let message = format!(
                "Attempted to add {added} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            );
            return Err(Refusal::of(ResponseError::InvalidReplicaAssignment, message));
        }
        for assignment in assignments {
            check_replicas(&assignment.broker_ids)?;
        }
    }
    let all = log.topics().iter().map(|topic| topic.partitions).fold(0, i32::saturating_add);
    check_total(all.saturating_add(count - had))?;
    if validate_only {
        return Ok(());
    }
    blocking(move || Ok(log.add_partitions(&name, count).map(drop).map_err(Refusal::from))).await?
}
