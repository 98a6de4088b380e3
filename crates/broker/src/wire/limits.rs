//! Every limit of the Kafka protocol's side that is no setting.

/// The id of the one node, as in the name of its listeners' brokers.
pub(crate) const NODE_ID: i32 = 1;
