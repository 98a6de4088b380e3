//! Every limit of the Kafka protocol's side that is no setting.

/// The id of the one node.
pub(crate) const NODE_ID: i32 = 1;
/// Records of one Fetch response, the first batch excepted, whatever the client asks for.
pub(crate) const FETCH_BYTES: usize = 16 << 20;
/// Fetch sessions (`max.incremental.fetch.session.cache.slots`).
pub(crate) const FETCH_SESSIONS: usize = 1_000;
/// Partitions of all fetch sessions together.
pub(crate) const FETCH_SESSION_PARTITIONS: usize = 100_000;
/// Partitions of all topics together: each costs memory and files.
pub(crate) const PARTITIONS_TOTAL: i32 = 32_768;
/// Topics that one Metadata request may make.
pub(crate) const AUTO_CREATED_TOPICS: usize = 1_000;
/// Partitions of one DescribeTopicPartitions response (`max.request.partition.size.limit`).
pub(crate) const DESCRIBED_PARTITIONS: i32 = 2_000;
