//! Who is let in, as whom, and to what: TLS, SASL, ACLs, users, and the incidents of other brokers.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

#[path = "../support/mod.rs"]
mod support;

mod acls;
mod actors;
mod clients;
mod doors;
mod sasl;
mod tls;
mod users;
