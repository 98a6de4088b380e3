//! A schema registry in Confluent's words: schemas by id, subjects with versions, compatibility between them.
//!
//! What it is: [`BusRegistry`], which keeps schemas in the compacted topic `_schemas` in the record format of Confluent Schema
//! Registry; [`HttpRegistry`], a client of a registry that runs elsewhere; and [`answer`], the registry's REST API as a function
//! from a request to a response. Both clients that this project has of services with a REST API, of a registry and of a worker
//! of Kafka Connect, speak through [`HttpService`].
//! What it is not: it reads and writes no rows, that is `millstream-format`; and it opens no port, that is `millstream-server`.
//!
//! Three types to know: [`BusRegistry`], [`HttpRegistry`], [`Level`] (which changes of a schema a subject allows).
//!
//! Data enters through [`SchemaRegistry`](millstream_format::registry::SchemaRegistry) or as REST requests, and leaves as
//! records of `_schemas` or as requests to the other registry.

mod bus;
mod client;
mod http;
mod level;
pub mod limits;
mod record;
mod rest;
mod state;

pub use bus::{BusRegistry, SCHEMAS_TOPIC};
pub use client::{Credentials, HttpError, HttpService, Trust, escaped};
pub use http::HttpRegistry;
pub use level::Level;
pub use rest::{Answer, CONTENT_TYPE, answer};
