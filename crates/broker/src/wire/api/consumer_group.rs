//! ConsumerGroupHeartbeat and ConsumerGroupDescribe (KIP-848, KIP-1082, KIP-1099).

use crate::coordinate::consumer_group::assign::Assignor;
use crate::coordinate::consumer_group::heartbeat::{Heartbeat, JOIN, LEAVE, LEAVE_STATIC};
use crate::coordinate::consumer_group::topology::Topology;
use crate::coordinate::consumer_group::{ConsumerGroup, Member, Partition};
use crate::coordinate::consumer_groups::Refusal;
use crate::limits;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response as described;
use kafka_protocol::messages::consumer_group_heartbeat_response as beaten;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// A member of this protocol, in ConsumerGroupDescribe.
const CONSUMER_MEMBER: i8 = 1;

pub(crate) async fn consumer_group_heartbeat(
    call: &Call,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    match heartbeat(call, request).await {
        Ok(response) => response,
        Err(refusal) => ConsumerGroupHeartbeatResponse::default()
            .with_error_code(refusal.error.code())
            .with_error_message(Some(refusal.message.into())),
    }
}

async fn heartbeat(
    call: &Call,
    request: ConsumerGroupHeartbeatRequest,
) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
    let inner = &call.broker.inner;
    let group = request.group_id.to_string();
    if !call.may(Operation::Read, Resource::Group(&group)) {
        let message = format!("group `{group}` is not open to this client");
        return Err(Refusal::new(ResponseError::GroupAuthorizationFailed, message));
    }
    let may_see = |topic: &str| call.may(Operation::Describe, Resource::Topic(topic));
    if request.subscribed_topic_names.iter().flatten().any(|topic| !may_see(topic)) {
        let message = "a topic of the subscription is not open to this client";
        return Err(Refusal::new(ResponseError::TopicAuthorizationFailed, message));
    }
    check(call.version, &request).map_err(|message| Refusal::new(ResponseError::InvalidRequest, message))?;
    if let Some(unknown) =
        request.server_assignor.as_deref().filter(|name| Assignor::from_name(name).is_none())
    {
        let names = Assignor::ALL.map(Assignor::name).join("`, `");
        let message = format!("there is no assignor `{unknown}`; there are `{names}`");
        return Err(Refusal::new(ResponseError::UnsupportedAssignor, message));
    }
    let beat = beat_of(call, request);
    let topology = inner.consumer_groups.topology(&inner.topics);
    let make_way = || inner.groups.make_way(&group);
    let (answer, written) = inner.consumer_groups.heartbeat(&group, &beat, &topology, &may_see, &make_way)?;
    inner.consumer_groups.flushed(written).await?;
    let interval = inner.consumer_groups.heartbeat_interval().as_millis();
    let is_in = !matches!(beat.epoch, LEAVE | LEAVE_STATIC);
    Ok(ConsumerGroupHeartbeatResponse::default()
        .with_member_id(Some(StrBytes::from_string(beat.member_id.to_string())))
        .with_member_epoch(answer.epoch)
        .with_heartbeat_interval_ms(if is_in { i32::try_from(interval).unwrap_or(i32::MAX) } else { 0 })
        .with_assignment(answer.assignment.map(|partitions| {
            let topic = |(id, partitions)| {
                beaten::TopicPartitions::default().with_topic_id(id).with_partitions(partitions)
            };
            let topics = by_topic(partitions).into_iter().map(topic).collect();
            beaten::Assignment::default().with_topic_partitions(topics)
        })))
}

/// What Kafka refuses as `INVALID_REQUEST`, and what is too large.
fn check(version: i16, request: &ConsumerGroupHeartbeatRequest) -> Result<(), &'static str> {
    let epoch = request.member_epoch;
    let is_blank = |text: Option<&StrBytes>| text.is_some_and(|text| text.trim().is_empty());
    let owned = || request.topic_partitions.iter().flatten();
    if (version >= 1 || epoch > JOIN || epoch == LEAVE) && is_blank(Some(&request.member_id)) {
        Err("the member id is empty")
    } else if is_blank(Some(&request.group_id.0)) {
        Err("the group id is empty")
    } else if is_blank(request.instance_id.as_ref()) {
        Err("the instance id is empty")
    } else if is_blank(request.rack_id.as_ref()) {
        Err("the rack id is empty")
    } else if epoch == JOIN && request.rebalance_timeout_ms == -1 {
        Err("a member that joins says its rebalance timeout")
    } else if epoch == JOIN && request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
        Err("a member that joins says that it holds no partitions")
    } else if epoch == JOIN
        && request.subscribed_topic_names.is_none()
        && request.subscribed_topic_regex.is_none()
    {
        Err("a member that joins says what topics it reads, by name or by a regular expression")
    } else if epoch == LEAVE_STATIC && request.instance_id.is_none() {
        Err("only a member with an instance id leaves to come back")
    } else if epoch < LEAVE_STATIC {
        Err("there is no such member epoch")
    } else if ids(request).any(|id| id.len() > limits::GROUP_ID_BYTES) {
        Err("an id is too long")
    } else if request
        .subscribed_topic_names
        .as_ref()
        .is_some_and(|topics| topics.len() > limits::SUBSCRIBED_TOPICS)
    {
        Err("there are too many topics in the subscription")
    } else if owned().map(|topic| topic.partitions.len()).sum::<usize>() > limits::OWNED_PARTITIONS {
        Err("there are too many partitions")
    } else {
        Ok(())
    }
}

fn ids(request: &ConsumerGroupHeartbeatRequest) -> impl Iterator<Item = &StrBytes> {
    let optional = [&request.instance_id, &request.rack_id, &request.server_assignor];
    let topics = request.subscribed_topic_names.iter().flatten().map(|topic| &topic.0);
    [&request.group_id.0, &request.member_id].into_iter().chain(optional.into_iter().flatten()).chain(topics)
}

fn beat_of(call: &Call, request: ConsumerGroupHeartbeatRequest) -> Heartbeat {
    let shared = |text: StrBytes| Arc::<str>::from(&*text);
    let member_id = if request.member_id.is_empty() {
        Arc::from(Uuid::new_v4().to_string())
    } else {
        shared(request.member_id)
    };
    let owned = |topics: Vec<kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions>| {
        let of_topic =
            |topic: kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions| {
                topic.partitions.into_iter().map(move |partition| (topic.topic_id, partition))
            };
        topics.into_iter().flat_map(of_topic).collect()
    };
    Heartbeat {
        member_id,
        epoch: request.member_epoch,
        instance_id: request.instance_id.map(shared),
        rack_id: request.rack_id.map(shared),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|timeout| *timeout != -1),
        topics: request
            .subscribed_topic_names
            .map(|topics| topics.into_iter().map(|topic| shared(topic.0)).collect()),
        regex: request.subscribed_topic_regex.map(shared),
        assignor: request.server_assignor.map(shared),
        owned: request.topic_partitions.map(owned),
        client_id: shared(call.client_id.clone()),
        client_host: format!("/{}", call.peer.address.ip()).into(),
    }
}

fn by_topic(partitions: impl IntoIterator<Item = Partition>) -> BTreeMap<Uuid, Vec<i32>> {
    let mut topics: BTreeMap<_, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        topics.entry(topic).or_default().push(partition);
    }
    topics
}

pub(crate) async fn consumer_group_describe(
    call: &Call,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let groups = request.group_ids.into_iter().map(|id| {
        let group = describe(call, &id.0);
        let may_tell = request.include_authorized_operations && group.error_code == 0;
        let group = if may_tell {
            let operations = call.authorized_operations(Resource::Group(&id.0));
            group.with_authorized_operations(operations)
        } else {
            group
        };
        group.with_group_id(id)
    });
    ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
}

fn describe(call: &Call, id: &str) -> described::DescribedGroup {
    let refused = |error: ResponseError, message: String| {
        let message = Some(StrBytes::from_string(message));
        described::DescribedGroup::default().with_error_code(error.code()).with_error_message(message)
    };
    if !call.may(Operation::Describe, Resource::Group(id)) {
        return described::DescribedGroup::default()
            .with_error_code(ResponseError::GroupAuthorizationFailed.code());
    }
    if id.is_empty() {
        return refused(ResponseError::InvalidGroupId, "the group id is empty".to_owned());
    }
    let inner = &call.broker.inner;
    let topology = inner.consumer_groups.topology(&inner.topics);
    let Some(group) = inner.consumer_groups.look(id, |group| described_group(group, &topology)) else {
        return refused(ResponseError::GroupIdNotFound, format!("there is no consumer group `{id}`"));
    };
    let topics = |member: &described::Member| {
        let both = [&member.assignment, &member.target_assignment];
        both.map(|assignment| {
            assignment.topic_partitions.iter().map(|topic| topic.topic_name.clone()).collect()
        })
    };
    let topics: BTreeSet<TopicName> =
        group.members.iter().flat_map(topics).flat_map(|topics: Vec<TopicName>| topics).collect();
    if topics.iter().any(|topic| !call.may(Operation::Describe, Resource::Topic(topic))) {
        let message = "the group reads topics that this client may not know of";
        return refused(ResponseError::TopicAuthorizationFailed, message.to_owned());
    }
    group
}

fn described_group(group: &ConsumerGroup, topology: &Topology) -> described::DescribedGroup {
    let nothing = BTreeSet::new();
    let members = group.members.iter().map(|(id, member)| {
        let target = group.target.get(id).map_or(&nothing, |target| &**target);
        described_member(id, member, target, topology)
    });
    described::DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str(group.state().name()))
        .with_group_epoch(group.epoch)
        .with_assignment_epoch(group.target_epoch)
        .with_assignor_name(StrBytes::from_static_str(group.assignor().name()))
        .with_members(members.collect())
}

fn described_member(
    id: &str,
    member: &Member,
    target: &BTreeSet<Partition>,
    topology: &Topology,
) -> described::Member {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let optional = |value: &Option<Arc<str>>| value.as_deref().map(text);
    let (said, current) = (&member.said, &member.current);
    let held = current.assigned.keys().chain(current.revoking.keys()).copied();
    let topics = said.topics.iter().map(|topic| TopicName(text(topic)));
    described::Member::default()
        .with_member_id(text(id))
        .with_instance_id(optional(&said.instance_id))
        .with_rack_id(optional(&said.rack_id))
        .with_member_epoch(current.epoch)
        .with_client_id(text(&said.client_id))
        .with_client_host(text(&said.client_host))
        .with_subscribed_topic_names(topics.collect())
        .with_subscribed_topic_regex(Some(text(&said.regex)).filter(|regex| !regex.is_empty()))
        .with_assignment(assignment(held, topology))
        .with_target_assignment(assignment(target.iter().copied(), topology))
        .with_member_type(CONSUMER_MEMBER)
}

/// Without topics that were deleted.
fn assignment(partitions: impl Iterator<Item = Partition>, topology: &Topology) -> described::Assignment {
    let topic = |(id, partitions): (Uuid, Vec<i32>)| {
        let name = StrBytes::from_string(topology.name(id)?.to_string());
        let topic = described::TopicPartitions::default().with_topic_id(id).with_partitions(partitions);
        Some(topic.with_topic_name(TopicName(name)))
    };
    let topics = by_topic(partitions).into_iter().filter_map(topic).collect();
    described::Assignment::default().with_topic_partitions(topics)
}
