//! The coordinators, each keeping what Kafka's keeps: groups, offsets, producers, transactions.

pub(crate) mod assign;
pub(crate) mod cluster;
pub(crate) mod consumer_group;
pub(crate) mod consumer_groups;
pub(crate) mod group;
pub(crate) mod group_record;
pub(crate) mod groups;
pub(crate) mod membership;
pub(crate) mod offset_record;
pub(crate) mod offsets;
pub(crate) mod producers;
pub(crate) mod transaction_record;
pub(crate) mod transactions;
