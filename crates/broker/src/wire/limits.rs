//! Every limit of the Kafka protocol's side that is no setting.

/// The id of the one node.
pub(crate) const NODE_ID: i32 = 1;
/// Partitions of all topics together: each costs memory and files.
pub(crate) const PARTITIONS_TOTAL: i32 = 32_768;
/// Topics that one Metadata request may make.
pub(crate) const AUTO_CREATED_TOPICS: usize = 1_000;
/// Partitions of one DescribeTopicPartitions response (`max.request.partition.size.limit`).
pub(crate) const DESCRIBED_PARTITIONS: i32 = 2_000;
