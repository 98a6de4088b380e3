//! HTTP: the status page, health, metrics, and the plain JSON API that the command line uses.
//!
//! What it is: a small HTTP server (1.1, and 2 for clients that know it beforehand) with limits on everything a stranger can send, over two things it is given: a
//! [`Bus`](millstream_bus::Bus) and an [`Instance`].
//! What it is not: it knows no device, no query and no plant folder; an [`Instance`] tells it what runs.
//!
//! Three types to know: [`Server`] (a listener that is open), [`Instance`] (what a running plant says about itself),
//! [`Report`] (all of it at one moment; the page, `/api/status` and `/health` show nothing else).
//!
//! Data enters as requests and leaves as JSON, as newline-delimited JSON where it goes on, and as Prometheus text.
//!
//! | path | what |
//! |---|---|
//! | `/` | the status page; refreshes by itself |
//! | `/health` | 200, or 503 with every problem by name; `/health/live` is 200 as long as the process answers |
//! | `/metrics` | Prometheus text format |
//! | `/api/status` | a [`Report`] |
//! | `/api/devices/{device}/rearm` | a tag that was latched off takes writes again |
//! | `/api/topics`, `/api/topics/{topic}`, `/api/topics/{topic}/records` | list, create, describe, delete, tail, produce |
//! | `/api/sql`, `/api/sql/names` | statements in, [`SqlEvent`]s out, one per line; the names that they may use |
//! | `/ksql`, `/query`, `/query-stream`, `/inserts-stream`, `/close-query`, `/ws/query`, `/info`, `/healthcheck`, `/status`, `/clusterStatus`, `/is_valid_property` | ksqlDB's REST API, see [`Ksql`] |
//! | `/subjects`, `/schemas`, `/config`, `/mode`, `/compatibility` | a schema registry's REST API |

mod access;
mod api;
mod connections;
mod error;
mod health;
mod instance;
mod ksql;
pub mod limits;
mod metrics;
mod page;
mod process;
mod rates;
pub mod record;
mod report;
mod serve;
mod stall;
mod tail;

pub use api::devices::{Rearm, Rearmed};
pub use api::topics::NewTopic;
pub use error::{ErrorBody, ServeError};
pub use health::{Health, Problem};
pub use instance::{
    Condition, DeviceFacts, DeviceState, GroupFacts, Instance, Listener, NotRearmed, QueryFacts, QueryState,
    SqlColumn, SqlEvent, SqlMistake, SqlNames, SqlRelation, SqlRequest, Surroundings, TagFacts,
};
pub use ksql::{
    Ksql, KsqlAnswer, KsqlColumn, KsqlEntity, KsqlFailure, KsqlInserts, KsqlQuery, KsqlRow, entity,
};
pub use rates::Rates;
pub use report::{DeviceStatus, PartitionStatus, QueryStatus, Report, TopicStatus, topic, topics};
pub use serve::{Server, ServerConfig};
pub use tail::{TailFrom, TailRequest, tail};
