//! Who may do what: Kafka's operations and resources, and the questions that the functions of the APIs ask.

use crate::wire::call::Call;

/// What is done (Kafka's `AclOperation`; the numbers are those of the protocol).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub(crate) enum Operation {
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
    CreateTokens = 13,
    DescribeTokens = 14,
    TwoPhaseCommit = 15,
}

impl Operation {
    pub(crate) const ALL: [Self; 13] = [
        Self::Read,
        Self::Write,
        Self::Create,
        Self::Delete,
        Self::Alter,
        Self::Describe,
        Self::ClusterAction,
        Self::DescribeConfigs,
        Self::AlterConfigs,
        Self::IdempotentWrite,
        Self::CreateTokens,
        Self::DescribeTokens,
        Self::TwoPhaseCommit,
    ];

    /// Its number in the protocol.
    pub(crate) const fn code(self) -> i8 {
        self as i8
    }

    pub(crate) fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.code() == code)
    }
}

/// The kinds of things that ACLs protect (Kafka's `ResourceType`; the numbers are those of the protocol).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub(crate) enum ResourceType {
    Topic = 2,
    Group = 3,
    Cluster = 4,
    TransactionalId = 5,
    DelegationToken = 6,
    User = 7,
}

impl ResourceType {
    pub(crate) const ALL: [Self; 6] =
        [Self::Topic, Self::Group, Self::Cluster, Self::TransactionalId, Self::DelegationToken, Self::User];

    /// Its number in the protocol.
    pub(crate) const fn code(self) -> i8 {
        self as i8
    }

    pub(crate) fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|resource_type| resource_type.code() == code)
    }

    /// What can be done to such a thing, in Kafka's table.
    const fn operations(self) -> &'static [Operation] {
        use Operation::{
            Alter, AlterConfigs, ClusterAction, Create, CreateTokens, Delete, Describe, DescribeConfigs,
            DescribeTokens, IdempotentWrite, Read, TwoPhaseCommit, Write,
        };
        match self {
            Self::Topic => &[Read, Write, Create, Describe, Delete, Alter, DescribeConfigs, AlterConfigs],
            Self::Group => &[Read, Describe, Delete, DescribeConfigs, AlterConfigs],
            Self::Cluster => {
                &[Create, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite, Alter, Describe]
            }
            Self::TransactionalId => &[Describe, Write, TwoPhaseCommit],
            Self::DelegationToken => &[Describe],
            Self::User => &[CreateTokens, DescribeTokens],
        }
    }
}

/// The one name that a cluster has in ACLs.
pub(crate) const CLUSTER_NAME: &str = "kafka-cluster";

/// What it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    Topic(&'a str),
    Group(&'a str),
    TransactionalId(&'a str),
    Cluster,
}

impl<'a> Resource<'a> {
    pub(crate) const fn resource_type(self) -> ResourceType {
        match self {
            Self::Topic(_) => ResourceType::Topic,
            Self::Group(_) => ResourceType::Group,
            Self::TransactionalId(_) => ResourceType::TransactionalId,
            Self::Cluster => ResourceType::Cluster,
        }
    }

    pub(crate) const fn name(self) -> &'a str {
        match self {
            Self::Topic(name) | Self::Group(name) | Self::TransactionalId(name) => name,
            Self::Cluster => CLUSTER_NAME,
        }
    }
}

impl Call {
    /// Whether the client may do this.
    pub(crate) fn may(&self, operation: Operation, resource: Resource<'_>) -> bool {
        self.broker.security.may(&self.peer, operation, resource)
    }

    /// Whether the client may do this to at least one thing of the kind, whatever its name. Who may write to any topic may
    /// have a producer id.
    pub(crate) fn may_on_any(&self, operation: Operation, resource_type: ResourceType) -> bool {
        self.broker.security.may_on_any(&self.peer, operation, resource_type)
    }

    /// What the client may do to a thing, as the bits that responses tell it with.
    pub(crate) fn authorized_operations(&self, resource: Resource<'_>) -> i32 {
        let operations = resource.resource_type().operations().iter();
        let allowed = operations.filter(|operation| self.may(**operation, resource));
        allowed.fold(0, |bits, operation| bits | 1 << operation.code())
    }
}
