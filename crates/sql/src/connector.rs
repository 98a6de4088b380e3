//! Connectors: what moves records between topics and other systems, as `CREATE CONNECTOR` and its like see it.

use crate::parse::ast::ConnectorKind;
use async_trait::async_trait;
use std::fmt;

/// A connector that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConnector {
    /// Its name, as written.
    pub name: String,
    /// Source or sink.
    pub kind: ConnectorKind,
    /// Its properties in the order of the statement, `connector.class` among them.
    pub properties: Vec<(String, String)>,
}

/// A connector that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorInfo {
    /// Its name.
    pub name: String,
    /// Source or sink; `None` where that is not known.
    pub kind: Option<ConnectorKind>,
    /// Its class.
    pub class: String,
    /// Where it stands, such as `RUNNING (1/1 tasks RUNNING)`.
    pub state: String,
}

/// What `DESCRIBE CONNECTOR` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorDescription {
    /// What `SHOW CONNECTORS` shows of it.
    pub info: ConnectorInfo,
    /// Its tasks: number, state, error.
    pub tasks: Vec<(u32, String, String)>,
    /// The topics that it uses.
    pub topics: Vec<String>,
}

/// A kind of connector that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorPlugin {
    /// Its class.
    pub class: String,
    /// Source or sink, in the words of whoever has it.
    pub kind: String,
    /// Its version.
    pub version: String,
}

/// Whoever runs connectors: this instance, or a Kafka Connect worker. Errors are sentences for whoever asked.
#[async_trait]
pub trait Connectors: Send + Sync + fmt::Debug + 'static {
    /// Makes a connector and starts it.
    async fn create(&self, connector: NewConnector) -> Result<ConnectorInfo, String>;

    /// Ends a connector and removes it; `false` where there is none of that name.
    async fn drop_connector(&self, name: &str) -> Result<bool, String>;

    /// All connectors, sorted by name.
    async fn list(&self) -> Result<Vec<ConnectorInfo>, String>;

    /// One connector; `None` where there is none of that name.
    async fn describe(&self, name: &str) -> Result<Option<ConnectorDescription>, String>;

    /// The kinds of connectors that can be made.
    async fn plugins(&self) -> Result<Vec<ConnectorPlugin>, String>;
}
