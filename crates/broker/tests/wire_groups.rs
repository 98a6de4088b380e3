//! Classic groups on the wire: rounds, static members, offsets, restarts, and what tools see of them.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;
use millstream_broker::{EmbeddedConfig, GroupConfig, ListenerConfig, WireConfig};
use millstream_bus::{Bus, FetchLimit, Isolation, StartOffset};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use support::client::{Client, Server};
use support::data::create;
use support::fresh_dir;
use support::groups::{
    Member, commit_request, committed, group_id, join_request, text, topic_name, try_committed,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

const PATIENCE: Duration = Duration::from_mins(1);
/// A session that ends soon.
const SESSION_MS: i32 = 900;

fn engine() -> EmbeddedConfig {
    let groups = GroupConfig { session_timeout_min: Duration::from_millis(100), ..GroupConfig::default() };
    EmbeddedConfig { groups, ..EmbeddedConfig::default() }
}

async fn server() -> Server {
    let server = Server::with(&fresh_dir("wire_groups"), engine(), WireConfig::default()).await;
    create(&server, "t", 4, &[]).await;
    server
}

/// The same broker again, at the same address.
async fn again(server: Server) -> Server {
    let address = server.address();
    let dir = server.stop().await;
    let listeners = vec![ListenerConfig { listen: address, ..ListenerConfig::default() }];
    Server::with(&dir, engine(), WireConfig { listeners, ..WireConfig::default() }).await
}

async fn member(server: &Server, group: &str) -> Member {
    Member::new(server.client().await, group, "t", 4, 10_000)
}

fn code(error: ResponseError) -> i16 {
    error.code()
}

/// A group of two members that are in.
async fn pair(server: &Server, group: &str) -> (Member, Member) {
    let (mut a, mut b) = (member(server, group).await, member(server, group).await);
    a.enter().await.unwrap();
    both_enter(&mut a, &mut b).await;
    (a, b)
}

async fn both_enter(a: &mut Member, b: &mut Member) {
    let (a, b) = timeout(PATIENCE, async { tokio::join!(a.enter(), b.enter()) }).await.unwrap();
    a.unwrap();
    b.unwrap();
}

#[tokio::test]
async fn members_share_the_partitions_and_take_over_what_others_leave() {
    let server = server().await;
    let (mut a, mut b) = pair(&server, "g").await;
    assert_eq!(a.generation, b.generation);
    let held: BTreeSet<u8> = a.assigned.iter().chain(&b.assigned).copied().collect();
    assert_eq!((a.assigned.len(), b.assigned.len(), held.len()), (2, 2, 4));
    assert_eq!(a.commit(0, 5).await.unwrap(), 0);
    assert_eq!(b.leave().await, 0);
    assert_eq!(a.beat().await.unwrap(), code(ResponseError::RebalanceInProgress));
    assert_eq!(a.commit(0, 6).await.unwrap(), 0, "what was read before may still be committed");
    a.enter().await.unwrap();
    assert_eq!(a.assigned, [0, 1, 2, 3]);
    assert_eq!(committed(&mut a.client, "g", "t", 0).await, 6);
    assert_eq!(b.beat().await.unwrap(), code(ResponseError::UnknownMemberId));
    assert_eq!(b.commit(0, 1).await.unwrap(), code(ResponseError::UnknownMemberId));
}

#[tokio::test]
async fn every_version_of_a_members_requests_is_served() {
    let server = server().await;
    let mut client = server.client().await;
    for version in 0..=9 {
        let group = format!("v{version}");
        let mut request = join_request(&group, "t", 10_000);
        if version == 0 {
            request.rebalance_timeout_ms = -1;
        }
        let mut joined = client.send(version, &request).await;
        if version >= 4 {
            assert_eq!(joined.error_code, code(ResponseError::MemberIdRequired));
            assert!(joined.member_id.starts_with("test-"), "{}", joined.member_id);
            joined = client.send(version, &request.with_member_id(joined.member_id)).await;
        }
        assert_eq!((joined.error_code, joined.generation_id, joined.members.len()), (0, 1, 1));
        assert_eq!(joined.protocol_type.is_some(), version >= 7);
        let sync = SyncGroupRequest::default()
            .with_group_id(group_id(&group))
            .with_generation_id(1)
            .with_member_id(joined.member_id.clone());
        let synced = client.send(version.min(5), &sync).await;
        assert_eq!((synced.error_code, synced.protocol_name.is_some()), (0, version >= 5));
        let beat = HeartbeatRequest::default()
            .with_group_id(group_id(&group))
            .with_generation_id(1)
            .with_member_id(joined.member_id.clone());
        assert_eq!(client.send(version.min(4), &beat).await.error_code, 0);
        let commit = commit_request(&group, "t", &[(1, 3)]).with_member_id(joined.member_id.clone());
        let commit = commit.with_generation_id_or_member_epoch(1);
        let response = client.send(version.clamp(2, 9), &commit).await;
        assert_eq!(response.topics[0].partitions[0].error_code, 0);
        let leave = LeaveGroupRequest::default().with_group_id(group_id(&group));
        let identity = MemberIdentity::default().with_member_id(joined.member_id.clone());
        let (leave, version) = match version {
            0..=2 => (leave.with_member_id(joined.member_id), version),
            _ => (leave.with_members(vec![identity]), version.min(5)),
        };
        let left = client.send(version, &leave).await;
        assert_eq!((left.error_code, left.members.iter().all(|member| member.error_code == 0)), (0, true));
    }
}

#[tokio::test]
async fn joins_that_cannot_be_are_refused_as_in_kafka() {
    let server = Server::start("wire_groups").await;
    let mut client = server.client().await;
    let mut refused = async |request: JoinGroupRequest| client.send(9, &request).await.error_code;
    let request = || join_request("g", "t", 10_000);
    let short = refused(request().with_session_timeout_ms(5_999)).await;
    assert_eq!(short, code(ResponseError::InvalidSessionTimeout));
    let long = refused(request().with_session_timeout_ms(1_800_001)).await;
    assert_eq!(long, code(ResponseError::InvalidSessionTimeout));
    let nameless = refused(request().with_group_id(group_id(""))).await;
    assert_eq!(nameless, code(ResponseError::InvalidGroupId));
    let unknown = refused(request().with_member_id(text("x"))).await;
    assert_eq!(unknown, code(ResponseError::UnknownMemberId));
    let empty = refused(request().with_protocols(Vec::new())).await;
    assert_eq!(empty, code(ResponseError::InconsistentGroupProtocol));
    let beat = HeartbeatRequest::default().with_group_id(group_id("none")).with_member_id(text("x"));
    assert_eq!(client.send(4, &beat).await.error_code, code(ResponseError::UnknownMemberId));
    let sync = SyncGroupRequest::default().with_group_id(group_id("none")).with_member_id(text("x"));
    assert_eq!(client.send(5, &sync).await.error_code, code(ResponseError::UnknownMemberId));
    let leave = LeaveGroupRequest::default().with_group_id(group_id("none"));
    let leave = leave.with_members(vec![MemberIdentity::default().with_member_id(text("x"))]);
    let left = client.send(5, &leave).await;
    let unknown = code(ResponseError::UnknownMemberId);
    assert_eq!((left.error_code, left.members[0].error_code), (0, unknown));
}

#[tokio::test]
async fn a_static_member_that_restarts_does_not_rebalance() {
    let server = server().await;
    let mut a = member(&server, "g").await.fixed("one");
    let mut b = member(&server, "g").await.fixed("two");
    a.enter().await.unwrap();
    both_enter(&mut a, &mut b).await;
    let generation = a.generation;
    let (mut leader, mut follower) = if a.leads { (a, b) } else { (b, a) };
    // It closes without leaving, as static members do, and comes back.
    let mut back = member(&server, "g").await.fixed(&follower.instance.clone().unwrap());
    back.enter().await.unwrap();
    assert_eq!((back.generation, &back.assigned), (generation, &follower.assigned));
    assert_ne!(back.id, follower.id);
    assert_eq!(leader.beat().await.unwrap(), 0, "the other one noticed nothing");
    assert_eq!(follower.beat().await.unwrap(), code(ResponseError::FencedInstanceId));
    assert_eq!(follower.commit(0, 1).await.unwrap(), code(ResponseError::FencedInstanceId));
    // The leader too, and after a restart of the broker.
    let server = again(server).await;
    let mut leads_again = member(&server, "g").await.fixed(&leader.instance.clone().unwrap());
    let joined = leads_again.join().await.unwrap();
    assert_eq!((joined.error_code, joined.generation_id, joined.skip_assignment), (0, generation, true));
    back.client = server.client().await;
    assert_eq!(back.beat().await.unwrap(), 0);
    leader.client = server.client().await;
    assert_eq!(leader.beat().await.unwrap(), code(ResponseError::FencedInstanceId));
}

#[tokio::test]
async fn members_go_on_after_a_restart_without_a_round() {
    let server = server().await;
    let (mut a, mut b) = pair(&server, "g").await;
    assert_eq!(a.commit(2, 7).await.unwrap(), 0);
    let server = again(server).await;
    for member in [&mut a, &mut b] {
        member.client = server.client().await;
        assert_eq!(member.beat().await.unwrap(), 0);
    }
    assert_eq!(a.commit(2, 8).await.unwrap(), 0);
    assert_eq!(committed(&mut b.client, "g", "t", 2).await, 8);
    let described = describe(&mut a.client, "g").await;
    assert_eq!((&*described.group_state, described.members.len()), ("Stable", 2));
    assert_eq!(&*described.members[0].client_id, "test");
    // A deleted group is gone, and stays so.
    assert_eq!((a.leave().await, b.leave().await), (0, 0));
    assert_eq!(delete(&mut a.client, "g").await.error_code, 0);
    let server = again(server).await;
    let mut client = server.client().await;
    assert_eq!(list(&mut client, &[], &[]).await, []);
    assert_eq!(committed(&mut client, "g", "t", 2).await, -1);
}

#[tokio::test]
async fn a_member_of_this_process_and_one_on_the_wire_share_a_group() {
    let server = server().await;
    let bus = Arc::clone(&server.embedded);
    let topics = ["t".to_owned()];
    let isolation = Isolation::ReadCommitted;
    let mut local = bus.subscribe("g", &topics, StartOffset::Earliest, isolation).await.unwrap();
    let limit = FetchLimit { wait_max: Duration::from_millis(20), ..FetchLimit::default() };
    while local.assignment().len() < 4 {
        local.poll(limit).await.unwrap();
    }
    let mut wire = member(&server, "g").await;
    let entering = tokio::spawn(async move {
        // The leader is the member of this process: its assignments are those of the consumer protocol.
        wire.enter().await.unwrap();
        wire
    });
    let deadline = Instant::now() + PATIENCE;
    while local.assignment().len() != 2 {
        assert!(Instant::now() < deadline, "{:?}", local.assignment());
        local.poll(limit).await.unwrap();
    }
    let mut wire = entering.await.unwrap();
    assert!(!wire.assigned.is_empty());
    assert_eq!(wire.commit(3, 1).await.unwrap(), 0);
    let described = describe(&mut wire.client, "g").await;
    assert!(described.members.iter().any(|member| &*member.client_host == "this process"));
}

async fn describe(client: &mut Client, group: &str) -> DescribedGroup {
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    client.send(6, &request).await.groups.remove(0)
}

async fn delete(client: &mut Client, group: &str) -> DeletableGroupResult {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
    client.send(2, &request).await.results.remove(0)
}

async fn list(client: &mut Client, states: &[&str], types: &[&str]) -> Vec<(String, String, String)> {
    let texts = |from: &[&str]| from.iter().map(|one| text(one)).collect();
    let request = ListGroupsRequest::default().with_states_filter(texts(states));
    let response = client.send(5, &request.with_types_filter(texts(types))).await;
    let groups = response.groups.into_iter();
    groups
        .map(|one| (one.group_id.to_string(), one.group_state.to_string(), one.protocol_type.to_string()))
        .collect()
}

#[tokio::test]
async fn tools_see_groups_and_delete_those_without_members() {
    let server = server().await;
    let mut client = server.client().await;
    let mut a = member(&server, "alive").await;
    a.enter().await.unwrap();
    client.send(9, &commit_request("simple", "t", &[(0, 4)])).await;
    let row =
        |group: &str, state: &str, protocol: &str| (group.to_owned(), state.to_owned(), protocol.to_owned());
    let (alive, simple) = (row("alive", "Stable", "consumer"), row("simple", "Empty", ""));
    assert_eq!(list(&mut client, &[], &[]).await, [alive.clone(), simple.clone()]);
    assert_eq!(list(&mut client, &["stable"], &["Classic"]).await, [alive]);
    assert_eq!(list(&mut client, &["Empty", "Dead"], &[]).await, [simple]);
    assert_eq!(list(&mut client, &[], &["consumer"]).await, []);
    let described = describe(&mut client, "alive").await;
    assert_eq!((&*described.protocol_data, &*described.members[0].client_host), ("range", "/127.0.0.1"));
    assert_eq!(described.members[0].member_assignment, [0, 1, 2, 3].as_slice());
    let unknown = describe(&mut client, "nobody").await;
    assert_eq!(unknown.error_code, code(ResponseError::GroupIdNotFound));
    assert_eq!(
        (&*unknown.group_state, unknown.error_message.as_deref()),
        ("Dead", Some("Group nobody not found."))
    );
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id("nobody")]);
    let before = client.send(5, &request.with_include_authorized_operations(true)).await.groups.remove(0);
    assert_eq!((before.error_code, &*before.group_state), (0, "Dead"));
    assert_ne!(before.authorized_operations, i32::MIN);
    let results = ["alive", "simple", "nobody"];
    let expected = [code(ResponseError::NonEmptyGroup), 0, code(ResponseError::GroupIdNotFound)];
    for (group, expected) in results.into_iter().zip(expected) {
        assert_eq!(delete(&mut client, group).await.error_code, expected, "{group}");
    }
    assert_eq!(committed(&mut client, "simple", "t", 0).await, -1);
}

/// The error code of a commit.
async fn commit_code(client: &mut Client, version: i16, request: &OffsetCommitRequest) -> i16 {
    client.send(version, request).await.topics[0].partitions[0].error_code
}

#[tokio::test]
async fn commits_that_cannot_be_are_refused_as_in_kafka() {
    let server = server().await;
    let (mut a, _b) = pair(&server, "g").await;
    let mut client = server.client().await;
    let simple = |group: &str| commit_request(group, "t", &[(0, 4)]);
    assert_eq!(commit_code(&mut client, 9, &simple("g")).await, code(ResponseError::UnknownMemberId));
    let old = simple("g").with_member_id(a.id.clone()).with_generation_id_or_member_epoch(a.generation - 1);
    assert_eq!(commit_code(&mut client, 9, &old).await, code(ResponseError::IllegalGeneration));
    let nowhere = simple("none").with_member_id(text("x")).with_generation_id_or_member_epoch(3);
    assert_eq!(commit_code(&mut client, 8, &nowhere).await, code(ResponseError::IllegalGeneration));
    assert_eq!(commit_code(&mut client, 9, &nowhere).await, code(ResponseError::GroupIdNotFound));
    let nameless = commit_code(&mut client, 9, &simple("")).await;
    assert_eq!(nameless, code(ResponseError::InvalidGroupId));
    let partition = commit_request("s", "t", &[(4, 1)]);
    let unknown = code(ResponseError::UnknownTopicOrPartition);
    assert_eq!(commit_code(&mut client, 9, &partition).await, unknown);
    assert_eq!(commit_code(&mut client, 9, &commit_request("s", "none", &[(0, 1)])).await, unknown);
    assert_eq!(
        commit_code(&mut client, 9, &commit_request("s", "__cluster_metadata", &[(0, 1)])).await,
        unknown
    );
    let mut long = commit_request("s", "t", &[(0, 1)]);
    long.topics[0].partitions[0].committed_metadata = Some(StrBytes::from_string("m".repeat(4_097)));
    assert_eq!(commit_code(&mut client, 9, &long).await, code(ResponseError::OffsetMetadataTooLarge));
    assert_eq!(a.commit(0, 4).await.unwrap(), 0);
}

#[tokio::test]
async fn offsets_come_back_with_their_epoch_and_metadata_in_every_version() {
    let server = server().await;
    let mut client = server.client().await;
    let mut request = commit_request("g", "t", &[(0, 4), (3, 9)]);
    request.topics[0].partitions[0].committed_leader_epoch = 0;
    client.send(9, &request).await;
    for version in 1..=7 {
        let topic = OffsetFetchRequestTopic::default().with_name(topic_name("t"));
        let topic = topic.with_partition_indexes(vec![0, 1]);
        let request = OffsetFetchRequest::default().with_group_id(group_id("g"));
        let response = client.send(version, &request.clone().with_topics(Some(vec![topic]))).await;
        let [known, unknown] = &response.topics[0].partitions[..] else { panic!("{response:?}") };
        assert_eq!((known.committed_offset, known.metadata.as_deref()), (4, Some("m")));
        assert_eq!(known.committed_leader_epoch, if version >= 5 { 0 } else { -1 });
        assert_eq!((unknown.committed_offset, unknown.error_code), (-1, 0));
        if version >= 2 {
            let all = client.send(version, &request.with_topics(None)).await;
            let offsets =
                all.topics[0].partitions.iter().map(|one| (one.partition_index, one.committed_offset));
            assert_eq!(offsets.collect::<Vec<_>>(), [(0, 4), (3, 9)]);
        }
    }
    for version in 8..=9 {
        let all = OffsetFetchRequestGroup::default().with_group_id(group_id("g")).with_topics(None);
        let nobody = OffsetFetchRequestGroup::default().with_group_id(group_id("nobody")).with_topics(None);
        let request = OffsetFetchRequest::default().with_groups(vec![all, nobody]);
        let response = client.send(version, &request).await;
        let [all, nobody] = &response.groups[..] else { panic!("{response:?}") };
        assert_eq!((all.topics[0].partitions[1].committed_offset, nobody.topics.len()), (9, 0));
    }
}

async fn delete_offsets(client: &mut Client, group: &str, topic: &str) -> (i16, Vec<i16>) {
    let partition = OffsetDeleteRequestPartition::default().with_partition_index(0);
    let wanted = OffsetDeleteRequestTopic::default().with_name(topic_name(topic));
    let request = OffsetDeleteRequest::default().with_group_id(group_id(group));
    let request = request.with_topics(vec![wanted.with_partitions(vec![partition])]);
    let response = client.send(0, &request).await;
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    (response.error_code, partitions.map(|one| one.error_code).collect())
}

#[tokio::test]
async fn offsets_of_topics_that_nobody_reads_can_be_deleted() {
    let server = server().await;
    create(&server, "u", 1, &[]).await;
    let mut client = server.client().await;
    client.send(9, &commit_request("g", "u", &[(0, 4)])).await;
    let mut a = member(&server, "g").await;
    a.enter().await.unwrap();
    a.commit(0, 4).await.unwrap();
    let subscribed = code(ResponseError::GroupSubscribedToTopic);
    assert_eq!(delete_offsets(&mut client, "g", "t").await, (0, vec![subscribed]));
    assert_eq!(delete_offsets(&mut client, "g", "u").await, (0, vec![0]));
    let unknown = code(ResponseError::UnknownTopicOrPartition);
    assert_eq!(delete_offsets(&mut client, "g", "none").await, (0, vec![unknown]));
    let nobody = code(ResponseError::GroupIdNotFound);
    assert_eq!(delete_offsets(&mut client, "nobody", "t").await, (nobody, vec![]));
    assert_eq!(committed(&mut client, "g", "u", 0).await, -1);
    assert_eq!(committed(&mut client, "g", "t", 0).await, 4);
    a.leave().await;
    assert_eq!(delete_offsets(&mut client, "g", "t").await, (0, vec![0]));
    assert_eq!(committed(&mut client, "g", "t", 0).await, -1);
}

#[tokio::test]
async fn old_offsets_are_forgotten_where_nobody_uses_them() {
    let groups = GroupConfig {
        offsets_retention: Duration::ZERO,
        offsets_check_interval: Duration::from_millis(20),
        ..GroupConfig::default()
    };
    let config = EmbeddedConfig { groups, ..EmbeddedConfig::default() };
    let server = Server::with(&fresh_dir("wire_groups"), config, WireConfig::default()).await;
    create(&server, "t", 4, &[]).await;
    create(&server, "u", 1, &[]).await;
    let mut client = server.client().await;
    let mut a = member(&server, "g").await;
    a.enter().await.unwrap();
    assert_eq!(a.commit(0, 4).await.unwrap(), 0);
    let unread = commit_request("g", "u", &[(0, 9)]).with_member_id(a.id.clone());
    let unread = unread.with_generation_id_or_member_epoch(a.generation);
    assert_eq!(commit_code(&mut client, 9, &unread).await, 0);
    until_forgotten(&mut client, "u").await;
    assert_eq!(committed(&mut client, "g", "t", 0).await, 4, "a member reads it");
    a.leave().await;
    until_forgotten(&mut client, "t").await;
    let deadline = Instant::now() + PATIENCE;
    while !list(&mut client, &[], &[]).await.is_empty() {
        assert!(Instant::now() < deadline, "a group that nothing is left of goes too");
    }
}

async fn until_forgotten(client: &mut Client, topic: &str) {
    let deadline = Instant::now() + PATIENCE;
    while committed(client, "g", topic, 0).await != -1 {
        assert!(Instant::now() < deadline, "the offset of {topic} is still there");
    }
}

/// Redpanda's inconsistent offsets (#3003): a commit that was acknowledged is what everyone reads from then on.
#[tokio::test]
async fn offsets_never_go_back_however_commits_are_pipelined() {
    let server = server().await;
    let mut client = server.client().await;
    let mut other = server.client().await;
    for round in 0..3_i64 {
        let mut posted = Vec::new();
        for offset in 1..=40 {
            let request = commit_request("g", "t", &[(0, round * 100 + offset)]);
            posted.push(client.post(9, &request).await.unwrap());
        }
        let mut seen = 0;
        for (id, offset) in posted.into_iter().zip(1..) {
            let response = client.receive::<OffsetCommitRequest>(9, id).await.unwrap();
            assert_eq!(response.topics[0].partitions[0].error_code, 0);
            let now = committed(&mut other, "g", "t", 0).await;
            assert!(now >= seen && now >= round * 100 + offset, "{now} after {seen} and {offset}");
            seen = now;
        }
    }
    let server = again(server).await;
    assert_eq!(committed(&mut server.client().await, "g", "t", 0).await, 240);
}

/// What a worker is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Work,
    /// It hangs, as a process that is stopped does.
    Hang,
    /// It is gone, as a process that is killed is.
    Die,
}

const PARTITIONS: u8 = 4;
const RECORDS: i64 = 300;

type Processed = Arc<parking_lot::Mutex<BTreeMap<(u8, i64), u32>>>;

/// A consumer: it enters, reads on from the committed offsets, notes what it has done, and commits that. It connects again
/// whenever the broker was away.
async fn work(address: SocketAddr, mut order: watch::Receiver<Order>, processed: Processed) {
    while *order.borrow() != Order::Die {
        let Ok(stream) = tokio::net::TcpStream::connect(address).await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let mut member = Member::new(Client::over(stream), "g", "t", PARTITIONS, SESSION_MS);
        // An error is a connection that broke.
        let _ = consume(&mut member, &mut order, &processed).await;
    }
}

async fn consume(
    member: &mut Member,
    order: &mut watch::Receiver<Order>,
    processed: &Processed,
) -> std::io::Result<()> {
    loop {
        member.enter().await?;
        let mut positions = BTreeMap::new();
        for partition in member.assigned.clone() {
            let from = try_committed(&mut member.client, "g", "t", i32::from(partition)).await?;
            positions.insert(partition, from.max(0));
        }
        loop {
            if *order.borrow() == Order::Hang {
                order.wait_for(|order| *order != Order::Hang).await.unwrap();
            }
            if *order.borrow() == Order::Die {
                return Ok(());
            }
            for (partition, next) in &mut positions {
                if *next < RECORDS {
                    *processed.lock().entry((*partition, *next)).or_default() += 1;
                    *next += 1;
                }
            }
            let mut refused = false;
            for (partition, next) in &positions {
                refused |= member.commit(i32::from(*partition), *next).await? != 0;
            }
            if refused || member.beat().await? != 0 {
                break;
            }
        }
    }
}

#[tokio::test]
async fn what_a_client_brings_to_a_group_is_bounded() {
    let server = server().await;
    let mut client = server.client().await;
    let long = "g".repeat(2_000);
    let join = |group: &str| join_request(group, "t", 10_000);
    let large = {
        let mut request = join("g");
        request.protocols[0].metadata = vec![0; 2 << 20].into();
        request
    };
    for (request, error) in [
        (join(&long), ResponseError::InvalidGroupId),
        (join("g").with_group_instance_id(Some(text(&long))), ResponseError::InvalidRequest),
        (large, ResponseError::InvalidRequest),
    ] {
        assert_eq!(client.send(9, &request).await.error_code, error.code());
    }
    let response = client.send(8, &commit_request(&long, "t", &[(0, 1)])).await;
    assert_eq!(response.topics[0].partitions[0].error_code, ResponseError::InvalidGroupId.code());
    assert!(client.send(5, &ListGroupsRequest::default()).await.groups.is_empty());
}

/// F27, and the rebalance that the project promises: one killed, one stopped past its session, the broker restarted in the
/// middle.
#[tokio::test]
async fn no_record_is_skipped_while_consumers_die_hang_and_the_broker_restarts() {
    let server = server().await;
    let processed = Processed::default();
    let mut orders = Vec::new();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (order, receiver) = watch::channel(Order::Work);
        workers.spawn(work(server.address(), receiver, Arc::clone(&processed)));
        orders.push(order);
    }
    let done = |share: usize| {
        let processed = Arc::clone(&processed);
        async move {
            let all = usize::from(PARTITIONS) * usize::try_from(RECORDS).unwrap();
            let deadline = Instant::now() + PATIENCE;
            while processed.lock().len() < all * share / 100 {
                assert!(Instant::now() < deadline, "stuck at {} of {all}", processed.lock().len());
                sleep(Duration::from_millis(5)).await;
            }
        }
    };
    done(10).await;
    orders[0].send(Order::Hang).unwrap();
    done(25).await;
    orders[1].send(Order::Die).unwrap();
    done(40).await;
    let server = again(server).await;
    done(70).await;
    // By now its session has ended long ago.
    orders[0].send(Order::Work).unwrap();
    done(100).await;
    let mut client = server.client().await;
    let deadline = Instant::now() + PATIENCE;
    for partition in 0..PARTITIONS {
        while committed(&mut client, "g", "t", i32::from(partition)).await < RECORDS {
            assert!(Instant::now() < deadline, "partition {partition} is not read to its end");
        }
    }
    for order in &orders {
        // One of them is dead already.
        let _ = order.send(Order::Die);
    }
    while let Some(ended) = timeout(PATIENCE, workers.join_next()).await.unwrap() {
        ended.unwrap();
    }
}
