//! The Kafka protocol over the coordinators: listeners, connections, and one function per API.
//!
//! A request goes through these files in this order: [`listener`] accepts the connection, [`connection`] cuts its bytes into
//! frames and keeps answers in order, [`apis`] is the table of what is served in which versions, `api/*` holds the
//! functions, one file per family, and each of them works on the coordinators.

mod accept;
mod access;
mod acl;
mod api;
mod apis;
mod authorize;
mod broker_config;
mod budget;
mod call;
mod connection;
mod fetch_session;
mod header;
mod inbox;
mod limits;
mod listener;
mod metrics;
mod outbox;
mod own_certificate;
mod place;
mod principal;
mod quota;
mod refusal;
mod request;
mod sasl;
mod scram;
mod security;
mod shape;
mod sign_ins;
mod threads;
mod throttle;
mod tls;
mod users;
mod wire_limits;
mod x509;

pub use listener::{ListenerConfig, Wire, WireConfig, WireError};
pub use principal::{PrincipalRules, is_user_name};
pub use quota::{QuotaEntity, QuotaRule, Quotas};
pub use security::{
    Certificate, ClientAuthentication, Mechanism, Password, SecurityConfig, SecurityError, SecurityProtocol,
    TlsConfig, User,
};
pub use wire_limits::WireLimits;
