//! ConsumerGroupHeartbeat and ConsumerGroupDescribe (KIP-848), and what other APIs say of these groups.

mod support;

use kafka_protocol::ResponseError::{self, *};
use kafka_protocol::messages::consumer_group_describe_response::DescribedGroup;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    CreateAclsRequest, DeleteGroupsRequest, GroupId, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest,
    OffsetCommitRequest, OffsetFetchRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::StrBytes;
use millstream_broker::{
    ConsumerGroupConfig, EmbeddedConfig, ListenerConfig, Mechanism, Password, SecurityConfig,
    SecurityProtocol, User, WireConfig,
};
use millstream_bus::Bus;
use std::collections::BTreeSet;
use std::slice;
use std::time::Duration;
use support::client::{Client, Server};
use support::data::{create, error, name, topic_id};
use support::fresh_dir;
use tokio::time::Instant;
use uuid::Uuid;

const INVALID_REGULAR_EXPRESSION: i16 = 128;
const PATIENCE: Duration = Duration::from_secs(30);

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn group(name: &str) -> GroupId {
    GroupId(text(name))
}

/// A topic `t` with this many partitions, and a client.
async fn server(partitions: i32) -> (Server, Client, Uuid) {
    server_with(partitions, ConsumerGroupConfig::default()).await
}

async fn server_with(partitions: i32, consumer_groups: ConsumerGroupConfig) -> (Server, Client, Uuid) {
    let config = EmbeddedConfig { consumer_groups, ..EmbeddedConfig::default() };
    let server = Server::with(&fresh_dir("wire_consumer_group"), config, WireConfig::default()).await;
    create(&server, "t", partitions, &[]).await;
    let mut client = server.client().await;
    let id = topic_id(&mut client, "t").await;
    (server, client, id)
}

/// A member of group `g` with nothing new.
fn beat(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    let request = ConsumerGroupHeartbeatRequest::default().with_group_id(group("g"));
    request.with_member_id(text(member)).with_member_epoch(epoch)
}

/// A member that joins group `g` to read `t`.
fn join(member: &str) -> ConsumerGroupHeartbeatRequest {
    beat(member, 0)
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![name("t")]))
        .with_topic_partitions(Some(Vec::new()))
}

fn holding(member: &str, epoch: i32, topic: Uuid, partitions: &[i32]) -> ConsumerGroupHeartbeatRequest {
    let held = TopicPartitions::default().with_topic_id(topic).with_partitions(partitions.to_vec());
    beat(member, epoch).with_topic_partitions(Some(vec![held]))
}

async fn send(
    client: &mut Client,
    request: &ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    client.send(1, request).await
}

/// The epoch and the partitions of `t` that are told; the answer is no error.
async fn good(client: &mut Client, request: &ConsumerGroupHeartbeatRequest) -> (i32, Option<Vec<i32>>) {
    let response = send(client, request).await;
    assert_eq!(error(response.error_code), None, "{:?}", response.error_message);
    assert_eq!(response.member_id.as_ref(), Some(&request.member_id));
    let partitions = response.assignment.map(|assignment| {
        assignment.topic_partitions.iter().flat_map(|topic| topic.partitions.clone()).collect()
    });
    (response.member_epoch, partitions)
}

async fn refused(client: &mut Client, request: &ConsumerGroupHeartbeatRequest) -> Option<ResponseError> {
    let response = send(client, request).await;
    assert!(response.error_code == 0 || response.error_message.is_some_and(|message| !message.is_empty()));
    assert!(response.assignment.is_none());
    error(response.error_code)
}

async fn describe(client: &mut Client, name: &str) -> DescribedGroup {
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group(name)]);
    client.send(1, &request).await.groups.remove(0)
}

/// Sends heartbeats of a member until one is answered as `is_it` wants.
async fn until(
    client: &mut Client,
    request: &ConsumerGroupHeartbeatRequest,
    is_it: impl Fn(&ConsumerGroupHeartbeatResponse) -> bool,
) -> ConsumerGroupHeartbeatResponse {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let response = send(client, request).await;
        if is_it(&response) {
            return response;
        }
        assert!(Instant::now() < deadline, "the last answer was {response:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_a_topic() {
    let (_server, mut client, t) = server(4).await;
    assert_eq!(good(&mut client, &join("a")).await, (1, Some(vec![0, 1, 2, 3])));
    assert_eq!(good(&mut client, &join("b")).await, (2, Some(vec![])));
    assert_eq!(describe(&mut client, "g").await.group_state.as_str(), "Reconciling");
    assert_eq!(good(&mut client, &beat("a", 1)).await, (1, Some(vec![0, 1])));
    assert_eq!(good(&mut client, &beat("b", 2)).await, (2, None));
    assert_eq!(good(&mut client, &holding("a", 1, t, &[0, 1])).await, (2, None));
    assert_eq!(good(&mut client, &beat("b", 2)).await, (2, Some(vec![2, 3])));

    let response = client.send(0, &beat("a", 2)).await;
    assert_eq!((response.heartbeat_interval_ms, response.member_epoch), (5_000, 2));
    assert_eq!(good(&mut client, &beat("b", -1)).await, (-1, None));
    assert_eq!(good(&mut client, &beat("a", 2)).await, (3, Some(vec![0, 1, 2, 3])));
    assert_eq!(refused(&mut client, &beat("b", 2)).await, Some(UnknownMemberId));
    assert_eq!(refused(&mut client, &beat("a", 1)).await, Some(FencedMemberEpoch));
    assert_eq!(refused(&mut client, &beat("a", 7)).await, Some(FencedMemberEpoch));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_described_as_it_is() {
    let (_server, mut client, t) = server(2).await;
    let request = join("a")
        .with_instance_id(Some(text("i")))
        .with_rack_id(Some(text("rack")))
        .with_server_assignor(Some(text("range")))
        .with_subscribed_topic_regex(Some(text("x.*")));
    good(&mut client, &request).await;
    let described = describe(&mut client, "g").await;
    assert_eq!((described.error_code, described.group_state.as_str()), (0, "Stable"));
    assert_eq!((described.group_epoch, described.assignment_epoch), (1, 1));
    assert_eq!((described.assignor_name.as_str(), described.authorized_operations), ("range", i32::MIN));
    let [member] = &described.members[..] else { panic!("{described:?}") };
    assert_eq!((member.member_id.as_str(), member.member_epoch, member.member_type), ("a", 1, 1));
    assert_eq!((member.client_id.as_str(), member.client_host.as_str()), ("test", "/127.0.0.1"));
    let optional = |text: &Option<StrBytes>| text.as_ref().map(ToString::to_string);
    assert_eq!(optional(&member.instance_id).as_deref(), Some("i"));
    assert_eq!(optional(&member.rack_id).as_deref(), Some("rack"));
    assert_eq!(optional(&member.subscribed_topic_regex).as_deref(), Some("x.*"));
    assert_eq!(member.subscribed_topic_names, [name("t")]);
    for assignment in [&member.assignment, &member.target_assignment] {
        let [topic] = &assignment.topic_partitions[..] else { panic!("{assignment:?}") };
        assert_eq!((topic.topic_id, &topic.topic_name, &topic.partitions[..]), (t, &name("t"), &[0, 1][..]));
    }
    let request = ConsumerGroupDescribeRequest::default()
        .with_group_ids(["g", "none", ""].map(group).to_vec())
        .with_include_authorized_operations(true);
    let groups = client.send(0, &request).await.groups;
    let codes: Vec<_> = groups.iter().map(|group| error(group.error_code)).collect();
    assert_eq!(codes, [None, Some(GroupIdNotFound), Some(InvalidGroupId)]);
    // Read, delete, describe, describe and alter configs.
    assert_eq!(groups[0].authorized_operations, (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11));
    assert_eq!(groups[1].authorized_operations, i32::MIN);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let (_server, mut client, t) = server(1).await;
    let long = "x".repeat(2_000);
    let cases = [
        join("").with_group_id(group("g")),
        join(" "),
        join("a").with_group_id(group("")),
        join("a").with_instance_id(Some(text(""))),
        join("a").with_rack_id(Some(text(" "))),
        join("a").with_rebalance_timeout_ms(-1),
        join("a").with_topic_partitions(None),
        join("a").with_topic_partitions(holding("a", 0, t, &[0]).topic_partitions),
        join("a").with_subscribed_topic_names(None),
        beat("a", -2),
        beat("a", -3),
        join(&long),
        join("a").with_subscribed_topic_names(Some(vec![name("t"); 20_000])),
    ];
    for case in &cases {
        assert_eq!(refused(&mut client, case).await, Some(InvalidRequest), "{case:?}");
    }
    let unknown = join("a").with_server_assignor(Some(text("none")));
    assert_eq!(refused(&mut client, &unknown).await, Some(UnsupportedAssignor));
    let regex = join("a").with_subscribed_topic_names(None).with_subscribed_topic_regex(Some(text("(")));
    assert_eq!(send(&mut client, &regex).await.error_code, INVALID_REGULAR_EXPRESSION);
    for nobody in [beat("a", 1), beat("a", -1)] {
        assert_eq!(refused(&mut client, &nobody).await, Some(GroupIdNotFound));
    }
    assert_eq!(error(describe(&mut client, "g").await.error_code), Some(GroupIdNotFound), "nobody joined");
    // In version 0 the coordinator names the member.
    let named = client.send(0, &join("")).await;
    assert_eq!((error(named.error_code), named.member_epoch), (None, 1));
    assert!(named.member_id.unwrap().len() > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_group_takes_nobody_else() {
    let config = ConsumerGroupConfig { members_max: 2, ..ConsumerGroupConfig::default() };
    let (_server, mut client, _) = server_with(1, config).await;
    good(&mut client, &join("a")).await;
    good(&mut client, &join("b")).await;
    assert_eq!(refused(&mut client, &join("c")).await, Some(GroupMaxSizeReached));
    good(&mut client, &join("b")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_member_is_put_out_and_another_takes_over() {
    let session_timeout = Duration::from_millis(400);
    let config = ConsumerGroupConfig { session_timeout, ..ConsumerGroupConfig::default() };
    let (_server, mut client, _) = server_with(2, config).await;
    good(&mut client, &join("silent")).await;
    good(&mut client, &join("b")).await;
    let taken = until(&mut client, &beat("b", 2), |response| response.member_epoch == 3).await;
    assert_eq!(taken.assignment.unwrap().topic_partitions[0].partitions, [0, 1]);
    assert_eq!(refused(&mut client, &beat("silent", 1)).await, Some(UnknownMemberId));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_keeps_what_it_must_give_back_is_put_out() {
    let (_server, mut client, t) = server(2).await;
    good(&mut client, &join("a").with_rebalance_timeout_ms(300)).await;
    good(&mut client, &join("b")).await;
    assert_eq!(good(&mut client, &beat("a", 1)).await, (1, Some(vec![0])));
    let stubborn = holding("a", 1, t, &[0, 1]);
    let out = until(&mut client, &stubborn, |response| response.error_code != 0).await;
    assert_eq!(error(out.error_code), Some(UnknownMemberId));
    assert_eq!(good(&mut client, &beat("b", 2)).await, (3, Some(vec![0, 1])));
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_come_grow_and_go_are_followed() {
    let (server, mut client, _) = server(1).await;
    let request = join("a").with_subscribed_topic_names(None).with_subscribed_topic_regex(Some(text("t.*")));
    assert_eq!(good(&mut client, &request).await, (1, Some(vec![0])));
    create(&server, "t2", 2, &[]).await;
    create(&server, "other", 2, &[]).await;
    assert_eq!(good(&mut client, &beat("a", 1)).await.sorted(), (2, Some(vec![0, 0, 1])));
    let t2 = topic_id(&mut client, "t2").await;
    server.embedded.delete_topic("t").await.unwrap();
    let (epoch, told) = good(&mut client, &beat("a", 2)).await;
    assert_eq!((epoch, told), (2, Some(vec![0, 1])));
    assert_eq!(good(&mut client, &holding("a", 2, t2, &[0, 1])).await, (3, None));
}

trait Sorted {
    fn sorted(self) -> Self;
}

impl Sorted for (i32, Option<Vec<i32>>) {
    fn sorted(mut self) -> Self {
        self.1.iter_mut().for_each(|partitions| partitions.sort_unstable());
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_nothing() {
    let (server, mut client, t) = server(4).await;
    let fixed = |request: ConsumerGroupHeartbeatRequest| request.with_instance_id(Some(text("i")));
    good(&mut client, &fixed(join("a"))).await;
    good(&mut client, &join("b")).await;
    good(&mut client, &fixed(beat("a", 1))).await;
    let before = describe(&mut client, "g").await;
    let dir = server.stop().await;

    let server = Server::with(&dir, EmbeddedConfig::default(), WireConfig::default()).await;
    let mut client = server.client().await;
    assert_eq!(describe(&mut client, "g").await, before);
    assert_eq!(good(&mut client, &fixed(holding("a", 1, t, &[0, 1]))).await, (2, None));
    assert_eq!(good(&mut client, &beat("b", 2)).await, (2, Some(vec![2, 3])));
    // It goes, to come back as another.
    assert_eq!(refused(&mut client, &fixed(join("c"))).await, Some(UnreleasedInstanceId));
    assert_eq!(refused(&mut client, &fixed(beat("c", 2))).await, Some(FencedInstanceId));
    assert_eq!(good(&mut client, &fixed(beat("a", -2))).await, (-2, None));
    let dir = server.stop().await;

    let server = Server::with(&dir, EmbeddedConfig::default(), WireConfig::default()).await;
    let mut client = server.client().await;
    assert_eq!(good(&mut client, &fixed(join("c"))).await, (2, Some(vec![0, 1])));
    assert_eq!(good(&mut client, &beat("b", 2)).await, (2, None), "the others did not notice");
    assert_eq!(refused(&mut client, &fixed(beat("a", 2))).await, Some(FencedInstanceId));
}

fn commit(member: &str, epoch: i32, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group("g"))
        .with_member_id(text(member))
        .with_generation_id_or_member_epoch(epoch)
        .with_topics(vec![topic])
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_committed_with_the_member_epoch() {
    let (_server, mut client, t) = server(2).await;
    good(&mut client, &join("a")).await;
    let mut committed = async |version, member: &str, epoch| {
        let response = client.send(version, &commit(member, epoch, 0)).await;
        error(response.topics[0].partitions[0].error_code)
    };
    assert_eq!(committed(9, "a", 1).await, None);
    assert_eq!(committed(9, "a", 2).await, Some(StaleMemberEpoch));
    assert_eq!(committed(9, "a", 0).await, Some(StaleMemberEpoch));
    assert_eq!(committed(9, "z", 1).await, Some(UnknownMemberId));
    assert_eq!(committed(9, "", -1).await, Some(UnknownMemberId));
    assert_eq!(committed(8, "a", 1).await, Some(UnsupportedVersion));

    // It has given 1 back and is in epoch 2 without knowing: what it holds still it may commit.
    good(&mut client, &join("b")).await;
    good(&mut client, &beat("a", 1)).await;
    good(&mut client, &holding("a", 1, t, &[0])).await;
    let response = client.send(9, &commit("a", 1, 0)).await;
    assert_eq!(error(response.topics[0].partitions[0].error_code), None);

    let mut fetched = async |member: Option<&str>, epoch| {
        let asked = OffsetFetchRequestGroup::default()
            .with_group_id(group("g"))
            .with_member_id(member.map(text))
            .with_member_epoch(epoch)
            .with_topics(None);
        let request = OffsetFetchRequest::default().with_groups(vec![asked]);
        error(client.send(9, &request).await.groups[0].error_code)
    };
    assert_eq!(fetched(None, -1).await, None);
    assert_eq!(fetched(Some("a"), 2).await, None);
    assert_eq!(fetched(Some("a"), 1).await, Some(StaleMemberEpoch));
    assert_eq!(fetched(Some("z"), 1).await, Some(UnknownMemberId));
}

async fn listed(client: &mut Client, request: ListGroupsRequest) -> Vec<(String, String, String)> {
    let groups = client.send(5, &request).await.groups;
    let row = |group: kafka_protocol::messages::list_groups_response::ListedGroup| {
        (group.group_id.0.to_string(), group.group_type.to_string(), group.group_state.to_string())
    };
    groups.into_iter().map(row).collect()
}

fn owned(row: (&str, &str, &str)) -> (String, String, String) {
    (row.0.to_owned(), row.1.to_owned(), row.2.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed_and_deleted() {
    let (_server, mut client, _) = server(1).await;
    good(&mut client, &join("a")).await;
    let stable = owned(("g", "consumer", "Stable"));
    assert_eq!(listed(&mut client, ListGroupsRequest::default()).await, slice::from_ref(&stable));
    let of_type = |kind: &str| ListGroupsRequest::default().with_types_filter(vec![text(kind)]);
    assert_eq!(listed(&mut client, of_type("consumer")).await, slice::from_ref(&stable));
    assert_eq!(listed(&mut client, of_type("classic")).await, []);
    let in_state = |state: &str| ListGroupsRequest::default().with_states_filter(vec![text(state)]);
    assert_eq!(listed(&mut client, in_state("stable")).await, [stable]);
    assert_eq!(listed(&mut client, in_state("Empty")).await, []);

    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group("g")]);
    assert_eq!(error(client.send(2, &delete).await.results[0].error_code), Some(NonEmptyGroup));
    good(&mut client, &beat("a", -1)).await;
    assert_eq!(listed(&mut client, in_state("Empty")).await, [owned(("g", "consumer", "Empty"))]);
    assert_eq!(error(client.send(2, &delete).await.results[0].error_code), None);
    assert_eq!(listed(&mut client, ListGroupsRequest::default()).await, []);
    assert_eq!(error(describe(&mut client, "g").await.error_code), Some(GroupIdNotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_puts_members_out() {
    let (_server, mut client, _) = server(1).await;
    good(&mut client, &join("a").with_instance_id(Some(text("i")))).await;
    good(&mut client, &join("b")).await;
    let who = |id: &str, instance: Option<&str>| {
        MemberIdentity::default().with_member_id(text(id)).with_group_instance_id(instance.map(text))
    };
    let members = vec![who("b", None), who("", Some("i")), who("z", None), who("b", Some("i"))];
    let request = LeaveGroupRequest::default().with_group_id(group("g")).with_members(members);
    let response = client.send(5, &request).await;
    let codes: Vec<_> = response.members.iter().map(|member| error(member.error_code)).collect();
    assert_eq!(codes, [None, None, Some(UnknownMemberId), Some(FencedInstanceId)]);
    assert_eq!(describe(&mut client, "g").await.group_state.as_str(), "Empty");
}

fn classic(member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    JoinGroupRequest::default()
        .with_group_id(group("g"))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_group_turns_into_one_of_the_other_kind_and_keeps_its_offsets() {
    let (_server, mut client, _) = server(1).await;
    let joined = client.send(3, &classic("")).await;
    assert_eq!(error(joined.error_code), None);
    // With members it does not.
    assert_eq!(refused(&mut client, &join("a")).await, Some(GroupIdNotFound));
    let leaving = LeaveGroupRequest::default().with_group_id(group("g")).with_member_id(joined.member_id);
    assert_eq!(error(client.send(0, &leaving).await.error_code), None);
    let response = client.send(9, &commit("", -1, 0)).await;
    assert_eq!(error(response.topics[0].partitions[0].error_code), None);

    assert_eq!(good(&mut client, &join("a")).await, (1, Some(vec![0])));
    assert_eq!(listed(&mut client, ListGroupsRequest::default()).await, [owned(("g", "consumer", "Stable"))]);
    assert_eq!(error(client.send(3, &classic("")).await.error_code), Some(InconsistentGroupProtocol));
    good(&mut client, &beat("a", -1)).await;
    assert_eq!(error(client.send(3, &classic("")).await.error_code), None);
    let kinds: BTreeSet<_> =
        listed(&mut client, ListGroupsRequest::default()).await.into_iter().map(|row| row.1).collect();
    assert_eq!(kinds, BTreeSet::from(["classic".to_owned()]));
    let asked =
        OffsetFetchRequestGroup::default().with_group_id(group("g")).with_member_epoch(-1).with_topics(None);
    let fetched = client.send(8, &OffsetFetchRequest::default().with_groups(vec![asked])).await;
    assert_eq!(fetched.groups[0].topics[0].partitions[0].committed_offset, 0);
}

/// A connection of a user who is signed in.
async fn client_of(server: &Server, user: &str) -> Client {
    let mut client = server.client().await;
    let handshake = SaslHandshakeRequest::default().with_mechanism(text("PLAIN"));
    assert_eq!(client.send(1, &handshake).await.error_code, 0);
    let message = format!("\0{user}\0{user}-secret").into_bytes();
    let authenticate = SaslAuthenticateRequest::default().with_auth_bytes(message.into());
    assert_eq!(client.send(2, &authenticate).await.error_code, 0);
    client
}

/// A server that admin rules, with topics `t` and `secret`; alice has the rights that are given: kind, name, operation.
async fn guarded(rights: &[(i8, &str, i8)]) -> (Server, Client, Client) {
    let user = |name: &str| User { name: name.to_owned(), password: Password::new(format!("{name}-secret")) };
    let security = SecurityConfig {
        mechanisms: vec![Mechanism::Plain],
        users: vec![user("admin"), user("alice")],
        super_users: vec!["User:admin".to_owned()],
        ..SecurityConfig::default()
    };
    let listener = ListenerConfig { protocol: SecurityProtocol::SaslPlaintext, ..ListenerConfig::default() };
    let config = WireConfig { listeners: vec![listener], security, ..WireConfig::default() };
    let server = Server::with(&fresh_dir("wire_consumer_group"), EmbeddedConfig::default(), config).await;
    create(&server, "t", 1, &[]).await;
    create(&server, "t.secret", 1, &[]).await;
    let (mut admin, alice) = (client_of(&server, "admin").await, client_of(&server, "alice").await);
    let creation = |(kind, name, operation): &(i8, &str, i8)| {
        AclCreation::default()
            .with_resource_type(*kind)
            .with_resource_name(text(name))
            .with_resource_pattern_type(3)
            .with_principal(text("User:alice"))
            .with_host(text("*"))
            .with_operation(*operation)
            .with_permission_type(3)
    };
    let request = CreateAclsRequest::default().with_creations(rights.iter().map(creation).collect());
    assert!(admin.send(3, &request).await.results.iter().all(|result| result.error_code == 0));
    (server, admin, alice)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_may_join_and_are_told_of_what_they_may_know() {
    const TOPIC: i8 = 2;
    const GROUP: i8 = 3;
    const READ: i8 = 3;
    const DESCRIBE: i8 = 8;
    let (_server, _, mut alice) = guarded(&[(TOPIC, "t", DESCRIBE)]).await;
    assert_eq!(refused(&mut alice, &join("a")).await, Some(GroupAuthorizationFailed));
    assert_eq!(error(describe(&mut alice, "g").await.error_code), Some(GroupAuthorizationFailed));

    let (_server, _, mut alice) = guarded(&[(GROUP, "g", READ)]).await;
    assert_eq!(refused(&mut alice, &join("a")).await, Some(TopicAuthorizationFailed));

    let (_server, mut admin, mut alice) = guarded(&[(GROUP, "g", READ), (TOPIC, "t", DESCRIBE)]).await;
    assert_eq!(good(&mut alice, &join("a")).await, (1, Some(vec![0])));
    assert_eq!(describe(&mut alice, "g").await.members.len(), 1);
    // A regular expression matches no topic that she may not know of.
    let regex = beat("a", 1).with_subscribed_topic_regex(Some(text("t.*")));
    let regex = regex.with_subscribed_topic_names(Some(Vec::new()));
    assert_eq!(good(&mut alice, &regex).await, (2, None));
    let both = join("b").with_subscribed_topic_names(Some(vec![name("t.secret")]));
    assert_eq!(good(&mut admin, &both).await, (3, Some(vec![0])));
    let described = describe(&mut alice, "g").await;
    assert_eq!((error(described.error_code), described.members.len()), (Some(TopicAuthorizationFailed), 0));
    assert_eq!(describe(&mut admin, "g").await.members.len(), 2);
}
