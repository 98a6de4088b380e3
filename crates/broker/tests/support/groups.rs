//! A member of a classic group, request by request.

use super::client::Client;
use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest,
    OffsetFetchRequest, SyncGroupRequest, SyncGroupResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::io;

pub(crate) fn text(from: &str) -> StrBytes {
    StrBytes::from_string(from.to_owned())
}

pub(crate) fn group_id(from: &str) -> GroupId {
    GroupId(text(from))
}

pub(crate) fn topic_name(from: &str) -> TopicName {
    TopicName(text(from))
}

/// A subscription of the consumer protocol, version 0.
pub(crate) fn subscription(topic: &str) -> Bytes {
    let length = u16::try_from(topic.len()).unwrap().to_be_bytes();
    [&[0, 0, 0, 0, 0, 1][..], &length, topic.as_bytes(), &[255; 4]].concat().into()
}

/// A join of `group` with everything that every version has.
pub(crate) fn join_request(group: &str, topic: &str, session_ms: i32) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    JoinGroupRequest::default()
        .with_group_id(group_id(group))
        .with_session_timeout_ms(session_ms)
        .with_rebalance_timeout_ms(session_ms)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol.with_metadata(subscription(topic))])
}

/// Offsets of partitions of one topic.
pub(crate) fn commit_request(group: &str, topic: &str, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    let partition = |(index, offset): &(i32, i64)| {
        let partition = OffsetCommitRequestPartition::default().with_partition_index(*index);
        partition.with_committed_offset(*offset).with_committed_metadata(Some(text("m")))
    };
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name(topic));
    let topic = topic.with_partitions(offsets.iter().map(partition).collect());
    OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic])
}

/// The committed offset of a partition; -1 where there is none.
pub(crate) async fn committed(client: &mut Client, group: &str, topic: &str, partition: i32) -> i64 {
    try_committed(client, group, topic, partition).await.unwrap()
}

/// The same, where the broker may close the connection.
pub(crate) async fn try_committed(
    client: &mut Client,
    group: &str,
    topic: &str,
    partition: i32,
) -> io::Result<i64> {
    let topic = OffsetFetchRequestTopics::default().with_name(topic_name(topic));
    let topic = topic.with_partition_indexes(vec![partition]);
    let group = OffsetFetchRequestGroup::default().with_group_id(group_id(group));
    let request = OffsetFetchRequest::default().with_groups(vec![group.with_topics(Some(vec![topic]))]);
    let response = client.try_send(9, &request).await?;
    assert_eq!(response.groups[0].error_code, 0);
    Ok(response.groups[0].topics[0].partitions[0].committed_offset)
}

/// A member, in the newest versions. The leader shares the partitions, one byte each, among all members in turn.
pub(crate) struct Member {
    pub(crate) client: Client,
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) partitions: u8,
    pub(crate) session_ms: i32,
    pub(crate) instance: Option<StrBytes>,
    pub(crate) id: StrBytes,
    pub(crate) generation: i32,
    pub(crate) leads: bool,
    pub(crate) assigned: Vec<u8>,
}

impl Member {
    pub(crate) fn new(client: Client, group: &str, topic: &str, partitions: u8, session_ms: i32) -> Self {
        Self {
            client,
            group: group.to_owned(),
            topic: topic.to_owned(),
            partitions,
            session_ms,
            instance: None,
            id: StrBytes::default(),
            generation: -1,
            leads: false,
            assigned: Vec::new(),
        }
    }

    pub(crate) fn fixed(self, instance: &str) -> Self {
        Self { instance: Some(text(instance)), ..self }
    }

    /// One JoinGroup.
    pub(crate) async fn join(&mut self) -> io::Result<JoinGroupResponse> {
        let request = join_request(&self.group, &self.topic, self.session_ms)
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.clone());
        let response = self.client.try_send(9, &request).await?;
        if response.error_code == 0 || response.error_code == 79 {
            self.id = response.member_id.clone();
        }
        Ok(response)
    }

    pub(crate) async fn sync(
        &mut self,
        members: &[JoinGroupResponseMember],
    ) -> io::Result<SyncGroupResponse> {
        let share = |(turn, member): (usize, &JoinGroupResponseMember)| {
            let partitions = (0..self.partitions).filter(|one| usize::from(*one) % members.len() == turn);
            let assignment = SyncGroupRequestAssignment::default().with_member_id(member.member_id.clone());
            assignment.with_assignment(partitions.collect::<Vec<_>>().into())
        };
        let request = SyncGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.clone())
            .with_generation_id(self.generation)
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_assignments(members.iter().enumerate().map(share).collect());
        self.client.try_send(5, &request).await
    }

    /// Joins until it is in, and gives up the id where the group does not know it any more.
    pub(crate) async fn enter(&mut self) -> io::Result<()> {
        loop {
            let joined = self.join().await?;
            match joined.error_code {
                0 => {}
                25 => {
                    self.id = StrBytes::default();
                    continue;
                }
                // Its id, or a round that has begun again.
                79 | 27 | 15 => continue,
                code => panic!("join failed with {code}"),
            }
            self.generation = joined.generation_id;
            self.leads = joined.leader == joined.member_id && !joined.skip_assignment;
            let synced = self.sync(if self.leads { &joined.members } else { &[] }).await?;
            match synced.error_code {
                0 => {
                    self.assigned = synced.assignment.to_vec();
                    return Ok(());
                }
                25 => self.id = StrBytes::default(),
                27 | 22 | 15 => {}
                code => panic!("sync failed with {code}"),
            }
        }
    }

    /// The error code of a heartbeat.
    pub(crate) async fn beat(&mut self) -> io::Result<i16> {
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(&self.group))
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.clone())
            .with_generation_id(self.generation);
        Ok(self.client.try_send(4, &request).await?.error_code)
    }

    /// The error code of a commit.
    pub(crate) async fn commit(&mut self, partition: i32, offset: i64) -> io::Result<i16> {
        let request = commit_request(&self.group, &self.topic, &[(partition, offset)])
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.clone())
            .with_generation_id_or_member_epoch(self.generation);
        let response = self.client.try_send(9, &request).await?;
        Ok(response.topics[0].partitions[0].error_code)
    }

    /// The error code of a leave.
    pub(crate) async fn leave(&mut self) -> i16 {
        let identity = MemberIdentity::default().with_member_id(self.id.clone());
        let request = LeaveGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_members(vec![identity.with_group_instance_id(self.instance.clone())]);
        let response = self.client.send(5, &request).await;
        response.members.first().map_or(response.error_code, |member| member.error_code)
    }
}
