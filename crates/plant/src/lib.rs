//! A plant folder: read, everything checked with places, and the difference of two plants for reload.
//!
//! What it is: [`read`] turns a folder (every `*.toml`, `queries/*.sql`, `connectors/*`) or a single `.toml` into a
//! [`Plant`] that is valid by construction, or into every mistake at once, each with file, line, key and remedy.
//! [`Difference`] says what a reload touches, so that the rest goes on undisturbed.
//! What it is not: it runs nothing, opens no connection, and writes nothing.
//!
//! Three types to know: [`Plant`] (what was read), [`Registry`] (the drivers it may name), [`Sources`] (the texts,
//! for lines and columns of diagnostics).
//!
//! Data enters as files that a user wrote, and leaves as the configs of the scheduler, the PLC source, the guard and SQL.

mod command;
mod connector;
mod csv;
mod cycle;
mod device;
mod diff;
mod import;
mod kafka;
mod kafka_names;
mod keys;
pub mod limits;
mod list;
mod load;
mod name;
mod order;
mod plant;
mod query;
mod read;
mod said;
mod secret;
mod section;
mod settings;
mod simulate;
mod source;
mod stream;
mod template;
mod text;
mod tree;
mod value;
mod write;

pub use diff::{Change, Difference, diff};
pub use kafka::{
    KafkaClientAuthentication, KafkaGroups, KafkaLimits, KafkaListener, KafkaMechanism, KafkaProtocol,
    KafkaQuota, KafkaSettings, KafkaTls, KafkaUser,
};
pub use keys::{KeySpec, TABLES, TableSpec};
pub use plant::{Connector, Device, Listener, LogSettings, Plant, Query, Registry, Simulation, SqlSettings};
pub use read::read;
pub use source::{Location, Sources};

use millstream_model::Diagnostic;

/// Why a plant cannot be used: everything that is wrong with it, warnings among them, and the texts to show it in.
#[derive(Debug, Clone)]
pub struct Mistakes {
    /// At least one error; sorted by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that were read.
    pub sources: Sources,
}
