//! Every limit of the Kafka protocol's side that is no setting.

use std::time::Duration;

/// The id of the one node.
pub(crate) const NODE_ID: i32 = 1;
/// Partitions of all topics together: each costs memory and files.
pub(crate) const PARTITIONS_TOTAL: i32 = 32_768;
/// Topics that one Metadata request may make.
pub(crate) const AUTO_CREATED_TOPICS: usize = 1_000;
/// Partitions of one DescribeTopicPartitions response (`max.request.partition.size.limit`).
pub(crate) const DESCRIBED_PARTITIONS: i32 = 2_000;
/// How long a TLS handshake may take.
pub(crate) const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// How often files of certificates are looked at for newer ones.
pub(crate) const CERTIFICATE_CHECK: Duration = Duration::from_secs(10);
/// ACLs in all.
pub(crate) const ACLS: usize = 65_536;
/// ACLs or credentials that one request may change.
pub(crate) const ACL_CHANGES: usize = 10_000;
/// SCRAM credentials in all.
pub(crate) const SCRAM_CREDENTIALS: usize = 65_536;
/// Bytes of a salt or of a salted password.
pub(crate) const SALT_BYTES: usize = 1_024;
/// A request of so many bytes needs no part of the budget that all connections share.
pub(crate) const SMALL_BYTES: usize = 64 << 10;
/// Requests over this have a budget of their own.
pub(crate) const GIANT_BYTES: usize = 1 << 20;
/// The largest request of a client that has not signed in yet.
pub(crate) const SIGN_IN_BYTES: usize = SMALL_BYTES;
/// A request that holds a part of the budget must come this fast on average.
pub(crate) const FRAME_BYTES_PER_SECOND: usize = 16 << 10;
/// Room for the first bytes of a request on a connection that is idle.
pub(crate) const IDLE_BYTES: usize = 512;
/// Room for the next request of a connection that had large ones, at most.
pub(crate) const EXPECTED_BYTES: usize = 16 << 10;
/// Memory of one decoded request, its strings and byte fields aside.
pub(crate) const DECODED_BYTES: usize = 16 << 20;
/// A compressed batch up to this size is looked at in place; what a larger one holds takes its time.
pub(crate) const COMPRESSED_IN_PLACE_BYTES: usize = 16 << 10;
/// The same of a batch that is not compressed.
pub(crate) const PLAIN_IN_PLACE_BYTES: usize = 1 << 20;
/// Requests whose batches are taken apart beside everything else, at a time: each takes the memory of what it unpacks.
pub(crate) const TAKEN_APART: usize = 2;
/// Answers that are awaited at a time, per connection.
pub(crate) const PIPELINED: usize = 64;
/// A connection with so many bytes to write begins nothing new.
pub(crate) const OUTBOX_BYTES: usize = 1 << 20;
/// Requests that one connection begins before others have a turn.
pub(crate) const TURN_REQUESTS: usize = 32;
/// Records of one Fetch response, the first batch excepted, whatever the client asks for.
pub(crate) const FETCH_BYTES: usize = 16 << 20;
/// Fetch sessions (`max.incremental.fetch.session.cache.slots`).
pub(crate) const FETCH_SESSIONS: usize = 1_000;
/// Partitions of all fetch sessions together.
pub(crate) const FETCH_SESSION_PARTITIONS: usize = 100_000;
/// What a quota lets through at once, as time of its rate.
pub(crate) const QUOTA_BURST: Duration = Duration::from_secs(1);
/// The longest that a client waits for its quota.
pub(crate) const THROTTLE_DEBT: Duration = Duration::from_mins(2);
/// Bytes of a client's name and version that are kept.
pub(crate) const SOFTWARE_BYTES: usize = 128;
/// Clients whose use is counted at a time, per kind of quota and rule.
pub(crate) const QUOTA_BUCKETS: usize = 8_192;
/// How long a request goes on whose client has gone.
pub(crate) const LEFT_BEHIND: Duration = Duration::from_secs(5);
/// How long requests at work may take when the broker closes.
pub(crate) const CLOSING: Duration = Duration::from_secs(5);
/// The first and the longest pause after a connection could not be accepted.
pub(crate) const ACCEPT_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Threads that may wait for the disk for clients at a time: cold reads, topics made and deleted.
pub(crate) const BLOCKING_THREADS: usize = 32;
/// Records behind the end up to which a Fetch is read in place; more of them take their time, or the disk's.
pub(crate) const FETCH_IN_PLACE_RECORDS: i64 = 4_096;
