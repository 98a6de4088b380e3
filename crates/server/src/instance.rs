//! What a running plant says about itself: the words between the server and whoever runs the plant.

use crate::ksql::Ksql;
use async_trait::async_trait;
use millstream_model::metric::Page;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A running plant. The server asks; nothing here may block.
#[async_trait]
pub trait Instance: Send + Sync + 'static {
    /// Name, version, where the log is, who listens where.
    fn surroundings(&self) -> Surroundings;

    /// Every device, in the plant's order.
    fn devices(&self) -> Vec<DeviceFacts>;

    /// Every query, in the order they were started.
    fn queries(&self) -> Vec<QueryFacts>;

    /// What else is wrong: a plant folder with mistakes, a link to Kafka that is down, a disk that is full.
    fn problems(&self) -> Vec<crate::Problem>;

    /// Writes the metrics of every part on `page`. Those of topics and of the process are the server's own.
    fn collect(&self, page: &mut Page);

    /// Lets `tag` of `device` take writes again that was latched off after failed ones. Returns once that is recorded and done.
    async fn rearm(&self, device: &str, tag: &str) -> Result<(), NotRearmed>;

    /// Runs statements one after the other, and sends what they yield. Stops when `events` is closed.
    async fn sql(&self, request: SqlRequest, events: mpsc::Sender<SqlEvent>);

    /// The names that statements may use.
    async fn sql_names(&self) -> SqlNames;

    /// The same statements behind ksqlDB's REST API.
    fn ksql(&self) -> Arc<dyn Ksql>;

    /// Answers a request to the schema registry: HTTP's status, and JSON. `None` where no schemas are kept here.
    async fn registry(
        &self,
        method: &str,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> Option<(u16, serde_json::Value)>;
}

/// Statements, and what earlier ones of the same client have set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SqlRequest {
    /// One or more statements, each ended with `;`.
    pub sql: String,
    /// As `SET 'name' = 'value'` says them.
    pub properties: BTreeMap<String, String>,
    /// As `DEFINE name = 'value'` says them.
    pub variables: BTreeMap<String, String>,
}

/// The names that statements may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlNames {
    /// Streams and tables.
    pub relations: Vec<SqlRelation>,
    /// Functions.
    pub functions: Vec<String>,
}

/// One stream or table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlRelation {
    /// Its name, in the letter case that counts.
    pub name: String,
    /// `STREAM` or `TABLE`.
    pub kind: String,
    /// Its columns, likewise.
    pub columns: Vec<String>,
}

/// Why a tag was not re-armed. `nearest` is a name that may have been meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRearmed {
    /// There is no such device.
    UnknownDevice {
        /// A device that there is.
        nearest: Option<String>,
    },
    /// The device has no such tag that may be written.
    UnknownTag {
        /// A tag that may be written.
        nearest: Option<String>,
    },
    /// It takes writes as it is.
    NotLatched,
    /// The audit trail does not take the record now, for this reason; the tag stays as it is.
    Unrecorded(String),
}

/// Which plant this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// The plant's name: its folder.
    pub plant: String,
    /// Millstream's version.
    pub version: String,
    /// The log in words: `embedded, in plant/data` or `Apache Kafka at kafka1:9092`.
    pub log: String,
    /// Since when it runs, in milliseconds since the epoch.
    pub started_at_ms: i64,
    /// Now by the plant's clock, in milliseconds since the epoch.
    pub now_ms: i64,
    /// What can be connected to.
    pub listeners: Vec<Listener>,
}

/// One open port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// What answers there: `http`, `modbus-tcp press (simulated)`.
    pub what: String,
    /// Where: `127.0.0.1:8080`.
    pub address: String,
}

/// Where a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// An attempt to connect is under way.
    Connecting,
    /// Connected; scans run.
    Online,
    /// Not reachable.
    Offline,
    /// Reached, but it refuses us.
    Refused,
}

/// One device as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// The name in the plant folder.
    pub name: String,
    /// The connection string without secrets.
    pub connection: String,
    /// The asset path.
    pub asset: String,
    /// Where it stands.
    pub state: DeviceState,
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
    /// Why, in words; empty while online.
    pub cause: String,
    /// Its scan groups.
    pub groups: Vec<GroupFacts>,
    /// Scans finished since the start.
    pub scans_total: u64,
    /// Scans skipped because the device or the log was too slow.
    pub overruns_total: u64,
    /// Cells that were bad.
    pub bad_cells_total: u64,
    /// Requests sent.
    pub requests_total: u64,
    /// Writes done.
    pub writes_total: u64,
    /// Writes refused or failed.
    pub writes_refused_total: u64,
}

/// One scan group as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupFacts {
    /// The name in the plant folder.
    pub name: String,
    /// Where its records go.
    pub topic: String,
    /// Time from scan to scan, in milliseconds.
    pub interval_ms: u64,
    /// When its newest values were read, in milliseconds since the epoch.
    pub read_at_ms: Option<i64>,
    /// Its tags with their newest values.
    pub tags: Vec<TagFacts>,
}

/// One tag as it was read last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagFacts {
    /// The name in records.
    pub name: String,
    /// The value as JSON; `null` where it is bad or was never read.
    pub value: serde_json::Value,
    /// The status where it is not good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The unit where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// Where a query stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueryState {
    /// It reads and writes.
    Running,
    /// It was told to wait.
    Paused,
    /// It cannot go on now and tries again by itself.
    Retrying,
    /// It was stopped by a mistake that trying again does not mend.
    Failed,
}

/// One query as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryFacts {
    /// Its name.
    pub name: String,
    /// Its statement.
    pub statement: String,
    /// Where it stands.
    pub state: QueryState,
    /// Why, in words; empty while it runs.
    pub cause: String,
    /// Rows read since the start.
    pub rows_in_total: u64,
    /// Rows written since the start.
    pub rows_out_total: u64,
    /// Rows that could not be read or computed.
    pub bad_rows_total: u64,
    /// Records it has not read yet, where that is known.
    pub lag_records: Option<u64>,
}

/// How something is, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Fresh and as it should be.
    Good,
    /// Not known yet, or on its way.
    Waiting,
    /// It works, not as it should.
    Warning,
    /// It does not work.
    Bad,
}

/// What running statements yields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlEvent {
    /// Rows of these columns follow.
    Columns(Vec<SqlColumn>),
    /// One row, a value per column.
    Row(Vec<serde_json::Value>),
    /// A row of a table that is deleted; only the key's columns have values.
    Deleted(Vec<serde_json::Value>),
    /// A whole list of texts, as `SHOW` and `DESCRIBE` give it.
    Listing {
        /// The columns' names.
        columns: Vec<String>,
        /// A text per column.
        rows: Vec<Vec<String>>,
    },
    /// A statement without rows is done, in words.
    Message(String),
    /// What works, but probably not as meant.
    Warnings(Vec<SqlMistake>),
    /// The statements have mistakes; nothing after the first was run.
    Mistakes(Vec<SqlMistake>),
    /// A statement failed while it ran.
    Failed(String),
    /// Everything was run. A stream that ends without this was cut.
    Done,
}

/// One column of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlColumn {
    /// Its name.
    pub name: String,
    /// Its SQL type.
    #[serde(rename = "type")]
    pub sql_type: String,
}

/// A diagnostic about the text of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlMistake {
    /// The diagnostic's code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What was expected.
    pub label: String,
    /// The remedy.
    pub help: Option<String>,
    /// Where, in bytes of the request's statements.
    pub range: Option<(usize, usize)>,
}
