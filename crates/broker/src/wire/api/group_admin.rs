//! DescribeGroups, ListGroups, DeleteGroups: what tools do with groups.

use crate::coordinate::group::MemberView;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    ListGroupsRequest, ListGroupsResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// From here on an unknown group is an error and not a dead one (KIP-1043).
const NOT_FOUND: i16 = 6;
/// The state of a group that does not exist.
const DEAD: &str = "Dead";

fn text(from: &str) -> StrBytes {
    StrBytes::from_string(from.to_owned())
}

/// DescribeGroups, of classic groups.
pub(crate) async fn describe_groups(call: &Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let describe = |group: &GroupId| {
        if !call.may(Operation::Describe, Resource::Group(group)) {
            let refused = DescribedGroup::default().with_group_id(group.clone());
            return refused.with_error_code(ResponseError::GroupAuthorizationFailed.code());
        }
        let described = describe(call, group);
        if request.include_authorized_operations {
            described.with_authorized_operations(call.authorized_operations(Resource::Group(group)))
        } else {
            described
        }
    };
    DescribeGroupsResponse::default().with_groups(request.groups.iter().map(describe).collect())
}

fn describe(call: &Call, group: &GroupId) -> DescribedGroup {
    let inner = &call.broker.inner;
    let described = DescribedGroup::default().with_group_id(group.clone());
    let is_next = inner.is_consumer_group(group);
    let Some(view) = inner.groups.view(group).filter(|_| !is_next) else {
        // A consumer that assigned itself left nothing but offsets: a group without members and without a protocol.
        if !is_next && inner.offsets.contains(group) {
            return described.with_group_state(text("Empty"));
        }
        let dead = described.with_group_state(text(DEAD));
        if call.version < NOT_FOUND {
            return dead;
        }
        let kind = if is_next { "is not a classic group" } else { "not found" };
        let message = format!("Group {} {kind}.", group.as_str());
        let dead = dead.with_error_code(ResponseError::GroupIdNotFound.code());
        return dead.with_error_message(Some(StrBytes::from_string(message)));
    };
    let member = |member: MemberView| {
        DescribedGroupMember::default()
            .with_member_id(text(&member.member))
            .with_group_instance_id(member.instance.as_deref().map(text))
            .with_client_id(StrBytes::from_string(member.client.id))
            .with_client_host(StrBytes::from_string(member.client.host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    };
    described
        .with_group_state(text(view.state.name()))
        .with_protocol_type(StrBytes::from_string(view.protocol_type))
        .with_protocol_data(StrBytes::from_string(view.protocol))
        .with_members(view.members.into_iter().map(member).collect())
}

/// A group in the list: its protocol type, state and type.
type Row = (String, &'static str, &'static str);

/// ListGroups, of both types, filtered by state and type.
pub(crate) async fn list_groups(call: &Call, request: ListGroupsRequest) -> ListGroupsResponse {
    let sees_all = call.may(Operation::Describe, Resource::Cluster);
    let is_wanted = |filter: &[StrBytes], name: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
    };
    let mut groups = rows(call);
    groups.retain(|group, (_, state, kind)| {
        is_wanted(&request.states_filter, state)
            && is_wanted(&request.types_filter, kind)
            && (sees_all || call.may(Operation::Describe, Resource::Group(group)))
    });
    let listed = |(group, (protocol_type, state, kind)): (String, Row)| {
        ListedGroup::default()
            .with_group_id(GroupId(StrBytes::from_string(group)))
            .with_protocol_type(StrBytes::from_string(protocol_type))
            .with_group_state(StrBytes::from_static_str(state))
            .with_group_type(StrBytes::from_static_str(kind))
    };
    ListGroupsResponse::default().with_groups(groups.into_iter().map(listed).collect())
}

/// Every group by name.
fn rows(call: &Call) -> BTreeMap<String, Row> {
    let inner = &call.broker.inner;
    let only_offsets = inner.offsets.groups().into_iter();
    let mut rows: BTreeMap<String, Row> =
        only_offsets.map(|group| (group, (String::new(), "Empty", "classic"))).collect();
    for listed in inner.groups.list() {
        rows.insert(listed.group, (listed.protocol_type, listed.state.name(), "classic"));
    }
    for (group, state) in inner.consumer_groups.list() {
        if !inner.groups.is_live(&group) {
            rows.insert(group.to_string(), ("consumer".to_owned(), state.name(), "consumer"));
        }
    }
    rows
}

/// DeleteGroups, of both types: those without members, with their offsets.
pub(crate) async fn delete_groups(call: &Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group in request.groups_names {
        let deleted = if call.may(Operation::Delete, Resource::Group(&group)) {
            let (inner, name) = (Arc::clone(&call.broker.inner), group.to_string());
            // In a task of its own: the group must not be left with a part of its offsets.
            let deleting = tokio::spawn(async move { inner.delete_group(&name).await });
            deleting.await.unwrap_or(Err(ResponseError::CoordinatorNotAvailable))
        } else {
            Err(ResponseError::GroupAuthorizationFailed)
        };
        let error_code = deleted.err().map_or(0, |error| error.code());
        results.push(DeletableGroupResult::default().with_group_id(group).with_error_code(error_code));
    }
    DeleteGroupsResponse::default().with_results(results)
}
