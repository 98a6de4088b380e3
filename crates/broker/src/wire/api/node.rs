//! What this node says of itself and of its topics, in whatever API.

use crate::topics;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use millstream_log::Topic;

/// The one node: broker, controller and every group's and transaction's coordinator.
pub(crate) const ID: BrokerId = BrokerId(crate::wire::limits::NODE_ID);

/// The cluster's id, the same for as long as the data directory lives.
pub(crate) fn cluster_id(call: &Call) -> StrBytes {
    StrBytes::from_string(call.broker.inner.cluster.cluster_id().to_owned())
}

/// The topics that the client may know of, sorted by name.
pub(crate) fn visible(call: &Call) -> Vec<Topic> {
    let mut topics = call.broker.inner.topics.log().topics();
    topics.retain(|topic| is_visible(call, &topic.name));
    topics
}

/// Whether the client may know of a topic of this name.
pub(crate) fn is_visible(call: &Call, topic: &str) -> bool {
    !topics::is_hidden(topic) && call.may(Operation::Describe, Resource::Topic(topic))
}

/// Whether a partition is served: one whose files could not be opened is not.
pub(crate) fn is_open(call: &Call, topic: &Topic, partition: i32) -> bool {
    call.broker.inner.topics.log().partition(&topic.name, partition).is_ok()
}

/// The operations that make sense on a resource and that the client may do: one bit each (KIP-430).
pub(crate) fn operations(call: &Call, resource: Resource<'_>) -> i32 {
    call.authorized_operations(resource)
}

/// The same for the cluster; none where the client may not describe it.
pub(crate) fn cluster_operations(call: &Call) -> i32 {
    if call.may(Operation::Describe, Resource::Cluster) { operations(call, Resource::Cluster) } else { 0 }
}
