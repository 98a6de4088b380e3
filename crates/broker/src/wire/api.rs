//! The APIs, one file per family. A function takes the call and the request, and gives the response, errors within it.

pub(crate) mod acls;
pub(crate) mod client_quotas;
pub(crate) mod cluster;
pub(crate) mod configs;
pub(crate) mod consumer_group;
pub(crate) mod fetch;
pub(crate) mod group;
pub(crate) mod group_admin;
pub(crate) mod list_offsets;
pub(crate) mod log_dirs;
pub(crate) mod metadata;
pub(crate) mod node;
pub(crate) mod offset;
pub(crate) mod offset_fetch;
pub(crate) mod produce;
pub(crate) mod producer;
pub(crate) mod records;
pub(crate) mod sasl;
pub(crate) mod topics;
pub(crate) mod transaction;
pub(crate) mod transactions;
pub(crate) mod users;
pub(crate) mod versions;
