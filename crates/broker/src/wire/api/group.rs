//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup: how members of a classic group live.

use crate::coordinate::group::{
    Client, GroupError, Joined, JoinedMember, Joining, MemberId, Synced, Syncing,
};
use crate::coordinate::groups::JoinAnswer;
use crate::limits;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use uuid::Uuid;

/// From here on new members are told their id before they join (KIP-394).
const MUST_KNOW_ID: i16 = 4;
/// From here on members name the protocol, and it can be null (KIP-559): JoinGroup.
const NULL_PROTOCOL: i16 = 7;
/// From here on a leader can be told to keep the assignment (KIP-814).
const SKIPS_ASSIGNMENT: i16 = 9;
/// From here on several members leave at once.
const LEAVE_MANY: i16 = 3;

fn text(from: &str) -> StrBytes {
    StrBytes::from_string(from.to_owned())
}

fn instance(from: Option<&StrBytes>) -> Option<Arc<str>> {
    from.map(|instance| Arc::from(instance.as_str()))
}

fn millis(from: i32) -> Duration {
    Duration::from_millis(u64::try_from(from).unwrap_or(0))
}

/// Whether the client may be a member of a group, and the id can be one's.
fn check_group(call: &Call, group: &str) -> Result<(), ResponseError> {
    if !call.may(Operation::Read, Resource::Group(group)) {
        Err(ResponseError::GroupAuthorizationFailed)
    } else if group.is_empty() || group.len() > limits::GROUP_ID_BYTES {
        Err(ResponseError::InvalidGroupId)
    } else {
        Ok(())
    }
}

/// JoinGroup: the answer comes when the round is complete.
pub(crate) async fn join_group(
    call: &Call,
    request: JoinGroupRequest,
) -> BoxFuture<'static, Option<JoinGroupResponse>> {
    let version = call.version;
    let asked_as = request.member_id.clone();
    let inner = Arc::clone(&call.broker.inner);
    let group = request.group_id.to_string();
    let joining = joining(call, &request);
    let mut given = Arc::clone(&joining.member);
    let answer = match check_join(call, &request).await {
        Ok(()) => join(call, &group, joining),
        Err(error) => Err(error),
    };
    async move {
        match awaited(answer).await {
            Ok((joined, written)) => {
                inner.groups.recorded(&group, written).await;
                Some(join_response(joined, version))
            }
            Err(error) => {
                match error {
                    ResponseError::MemberIdRequired => {}
                    ResponseError::GroupMaxSizeReached => given = "".into(),
                    _ => given = asked_as.as_str().into(),
                }
                Some(join_failed(error, &given, version))
            }
        }
    }
    .boxed()
}

fn join(call: &Call, group: &str, joining: Joining) -> Result<JoinAnswer, ResponseError> {
    let inner = &call.broker.inner;
    let identity = (Arc::clone(&joining.member), None);
    let answer = inner.groups.join(group, joining)?;
    if inner.consumer_groups.is_live(group) {
        // Members of the other protocol came at the same moment.
        let _ = inner.groups.leave(group, &[identity]);
        return Err(ResponseError::InconsistentGroupProtocol);
    }
    Ok(answer)
}

async fn check_join(call: &Call, request: &JoinGroupRequest) -> Result<(), ResponseError> {
    let group = request.group_id.as_str();
    check_group(call, group)?;
    let ids = [Some(&request.member_id), request.group_instance_id.as_ref()];
    let protocols = request.protocols.iter().map(|one| one.name.len() + one.metadata.len());
    if ids.into_iter().flatten().any(|id| id.len() > limits::GROUP_ID_BYTES)
        || protocols.sum::<usize>() > limits::MEMBER_METADATA_BYTES
    {
        return Err(ResponseError::InvalidRequest);
    }
    let inner = &call.broker.inner;
    let config = inner.groups.config();
    let session = millis(request.session_timeout_ms);
    if session < config.session_timeout_min || session > config.session_timeout_max {
        return Err(ResponseError::InvalidSessionTimeout);
    }
    if !request.member_id.is_empty() && !inner.groups.exists(group) {
        return Err(ResponseError::UnknownMemberId);
    }
    if inner.consumer_groups.contains(group) {
        // With members of the other protocol they would not understand each other; without, it turns into a classic group.
        match inner.consumer_groups.delete(group).await {
            Ok(()) | Err(ResponseError::GroupIdNotFound) => {}
            Err(ResponseError::NonEmptyGroup) => return Err(ResponseError::InconsistentGroupProtocol),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn joining(call: &Call, request: &JoinGroupRequest) -> Joining {
    let has_id = !request.member_id.is_empty();
    let instance = instance(request.group_instance_id.as_ref());
    let member: MemberId = if has_id {
        request.member_id.as_str().into()
    } else {
        let named = instance.as_deref().unwrap_or(&call.client_id);
        format!("{named}-{}", Uuid::new_v4()).into()
    };
    let session_timeout = millis(request.session_timeout_ms);
    // Version 0 has none.
    let rebalance = Some(request.rebalance_timeout_ms).filter(|timeout| *timeout >= 0);
    let protocols = request.protocols.iter();
    Joining {
        member,
        has_id,
        instance,
        client: Client { id: call.client_id.to_string(), host: format!("/{}", call.peer.address.ip()) },
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.map(|one| (one.name.to_string(), one.metadata.clone())).collect(),
        session_timeout,
        rebalance_timeout: rebalance.map_or(session_timeout, millis),
        must_know_id: call.version >= MUST_KNOW_ID,
        can_skip_assignment: call.version >= SKIPS_ASSIGNMENT,
    }
}

fn join_response(joined: Joined, version: i16) -> JoinGroupResponse {
    let member = |member: JoinedMember| {
        JoinGroupResponseMember::default()
            .with_member_id(text(&member.member))
            .with_group_instance_id(member.instance.as_deref().map(text))
            .with_metadata(member.metadata)
    };
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(Some(text(&joined.protocol_type)).filter(|_| version >= NULL_PROTOCOL))
        .with_protocol_name(Some(text(&joined.protocol)))
        .with_leader(text(&joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(text(&joined.member))
        .with_members(joined.members.into_iter().map(member).collect())
}

fn join_failed(error: ResponseError, member: &str, version: i16) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_error_code(error.code())
        .with_generation_id(-1)
        .with_protocol_name(if version >= NULL_PROTOCOL { None } else { Some(StrBytes::default()) })
        .with_member_id(text(member))
}

/// The answer of a round, when it comes.
async fn awaited<T>(
    answer: Result<oneshot::Receiver<Result<T, GroupError>>, ResponseError>,
) -> Result<T, ResponseError> {
    // Dropped only when the broker stops.
    answer?.await.map_err(|_| ResponseError::CoordinatorNotAvailable)?.map_err(ResponseError::from)
}

/// SyncGroup: the answer comes with the leader's, and when the group is recorded.
pub(crate) async fn sync_group(
    call: &Call,
    request: SyncGroupRequest,
) -> BoxFuture<'static, Option<SyncGroupResponse>> {
    let inner = Arc::clone(&call.broker.inner);
    let group = request.group_id.to_string();
    let is_large = |one: &SyncGroupRequestAssignment| one.assignment.len() > limits::MEMBER_METADATA_BYTES;
    let answer = match check_group(call, &group) {
        Ok(()) if request.assignments.iter().any(is_large) => Err(ResponseError::InvalidRequest),
        Ok(()) => inner.groups.sync(&group, syncing(request)).map_err(ResponseError::from),
        Err(error) => Err(error),
    };
    async move {
        Some(match awaited(answer).await {
            Ok((synced, written)) => {
                inner.groups.recorded(&group, written).await;
                sync_response(synced)
            }
            Err(error) => SyncGroupResponse::default().with_error_code(error.code()),
        })
    }
    .boxed()
}

fn syncing(request: SyncGroupRequest) -> Syncing {
    let name = |name: Option<StrBytes>| name.map(|name| name.to_string());
    let assignments = request.assignments.into_iter();
    Syncing {
        member: request.member_id.as_str().into(),
        instance: instance(request.group_instance_id.as_ref()),
        generation: request.generation_id,
        protocol_type: name(request.protocol_type),
        protocol: name(request.protocol_name),
        assignments: assignments.map(|one| (one.member_id.as_str().into(), one.assignment)).collect(),
    }
}

fn sync_response(synced: Synced) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_protocol_type(Some(text(&synced.protocol_type)))
        .with_protocol_name(Some(text(&synced.protocol)))
        .with_assignment(synced.assignment)
}

/// Heartbeat.
pub(crate) async fn heartbeat(call: &Call, request: HeartbeatRequest) -> HeartbeatResponse {
    let group = request.group_id.as_str();
    let instance = request.group_instance_id.as_deref();
    let groups = &call.broker.inner.groups;
    let beat = check_group(call, group)
        .and_then(|()| Ok(groups.heartbeat(group, &request.member_id, instance, request.generation_id)?));
    HeartbeatResponse::default().with_error_code(beat.err().map_or(0, |error| error.code()))
}

/// LeaveGroup: one member, or those that an administrator names.
pub(crate) async fn leave_group(call: &Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let failed = |error: ResponseError| LeaveGroupResponse::default().with_error_code(error.code());
    let group = request.group_id.as_str();
    if let Err(error) = check_group(call, group) {
        return failed(error);
    }
    let leaving: Vec<(MemberId, Option<Arc<str>>)> = if call.version < LEAVE_MANY {
        vec![(request.member_id.as_str().into(), None)]
    } else {
        let members = request.members.iter();
        members.map(|one| (one.member_id.as_str().into(), instance(one.group_instance_id.as_ref()))).collect()
    };
    let results = leave(call, group, &leaving).await;
    let codes = results.into_iter().map(|result| result.err().map_or(0, |error| error.code()));
    if call.version < LEAVE_MANY {
        return LeaveGroupResponse::default().with_error_code(codes.sum());
    }
    let member = |((id, instance), code): ((MemberId, Option<Arc<str>>), i16)| {
        MemberResponse::default()
            .with_member_id(text(&id))
            .with_group_instance_id(instance.as_deref().map(text))
            .with_error_code(code)
    };
    LeaveGroupResponse::default().with_members(leaving.into_iter().zip(codes).map(member).collect())
}

/// Members leave, or are put out, of whichever kind the group is.
async fn leave(
    call: &Call,
    group: &str,
    leaving: &[(MemberId, Option<Arc<str>>)],
) -> Vec<Result<(), ResponseError>> {
    let inner = &call.broker.inner;
    if inner.is_consumer_group(group) {
        let topology = inner.consumer_groups.topology(&inner.topics);
        if let Some((results, written)) = inner.consumer_groups.put_out(group, leaving, &topology) {
            let flushed = inner.consumer_groups.flushed(written).await;
            let refused = |_| vec![Err(ResponseError::CoordinatorNotAvailable); leaving.len()];
            return flushed.map_or_else(refused, |()| results);
        }
    }
    match inner.groups.leave(group, leaving) {
        Some(results) => results.into_iter().map(|result| result.map_err(ResponseError::from)).collect(),
        None => vec![Err(ResponseError::UnknownMemberId); leaving.len()],
    }
}
