//! Statements about connectors, for whoever runs them.

use super::Engine;
use crate::connector::{ConnectorInfo, Connectors, NewConnector};
use crate::parse::ast::{ConnectorKind, Name};
use crate::{Listing, SqlError, StatementResult};
use millstream_model::{Diagnostic, nearest};
use std::sync::Arc;

fn mistake(message: String, label: &str, help: &str, name: Option<&Name>) -> SqlError {
    let mistake = Diagnostic::error("sql-connector", message).label(label).help(help);
    SqlError::Mistakes(vec![mistake.at(name.map_or(0..0, |name| name.place.clone()))])
}

impl Engine {
    fn connectors_of(&self, name: Option<&Name>) -> Result<&Arc<dyn Connectors>, SqlError> {
        self.connectors.as_ref().ok_or_else(|| {
            let help = "`millstream run` has them: its own, or those of `connect_url` in `[sql]`";
            mistake("no Connect is configured".to_owned(), "nobody runs connectors here", help, name)
        })
    }

    pub(super) async fn create_connector(
        &self,
        kind: ConnectorKind,
        name: &Name,
        if_not_exists: bool,
        properties: Vec<(String, String)>,
    ) -> Result<StatementResult, SqlError> {
        let connectors = self.connectors_of(Some(name))?;
        let failed = |error: String| {
            mistake(
                error,
                "the connector was not made",
                "SHOW CONNECTOR PLUGINS; lists what can be made",
                Some(name),
            )
        };
        if connectors.describe(&name.text).await.map_err(failed)?.is_some() {
            if if_not_exists {
                return Ok(StatementResult::Done(format!("connector {} exists already", name.text)));
            }
            let message = format!("there is a connector `{}` already", name.text);
            return Err(mistake(
                message,
                "defined before",
                "DROP CONNECTOR it, or write IF NOT EXISTS",
                Some(name),
            ));
        }
        let new = NewConnector { name: name.text.clone(), kind, properties };
        let made = connectors.create(new).await.map_err(failed)?;
        Ok(StatementResult::Done(format!("connector {} created", made.name)))
    }

    pub(super) async fn drop_connector(
        &self,
        name: &Name,
        if_exists: bool,
    ) -> Result<StatementResult, SqlError> {
        let connectors = self.connectors_of(Some(name))?;
        let failed = |error: String| {
            mistake(error, "the connector was not dropped", "DESCRIBE CONNECTOR shows it", Some(name))
        };
        if connectors.drop_connector(&name.text).await.map_err(failed)? {
            return Ok(StatementResult::Done(format!("connector {} dropped", name.text)));
        }
        if if_exists {
            return Ok(StatementResult::Done(format!("there is no connector {}", name.text)));
        }
        Err(self.no_connector(connectors, name).await)
    }

    async fn no_connector(&self, connectors: &Arc<dyn Connectors>, name: &Name) -> SqlError {
        let known = connectors.list().await.unwrap_or_default();
        let help = match nearest(&name.text, known.iter().map(|connector| connector.name.as_str())) {
            Some(near) => format!("did you mean {near}?"),
            None => "SHOW CONNECTORS lists what there is".to_owned(),
        };
        mistake(format!("there is no connector `{}`", name.text), "unknown connector", &help, Some(name))
    }

    pub(super) async fn show_connectors(&self, kind: Option<ConnectorKind>) -> Result<Listing, SqlError> {
        let failed = |error: String| mistake(error, "the connectors cannot be listed", "try again", None);
        let mut listing = Listing::new(&["Connector Name", "Type", "Class", "Status"]);
        for connector in self.connectors_of(None)?.list().await.map_err(failed)? {
            if kind.is_none() || connector.kind == kind {
                listing.rows.push(row(connector));
            }
        }
        Ok(listing)
    }

    pub(super) async fn show_plugins(&self) -> Result<Listing, SqlError> {
        let failed = |error: String| mistake(error, "the plugins cannot be listed", "try again", None);
        let mut listing = Listing::new(&["Class", "Type", "Version"]);
        let plugins = self.connectors_of(None)?.plugins().await.map_err(failed)?;
        listing
            .rows
            .extend(plugins.into_iter().map(|plugin| vec![plugin.class, plugin.kind, plugin.version]));
        Ok(listing)
    }

    pub(super) async fn describe_connector(&self, name: &Name) -> Result<Listing, SqlError> {
        let connectors = self.connectors_of(Some(name))?;
        let failed =
            |error: String| mistake(error, "the connector cannot be described", "try again", Some(name));
        let Some(found) = connectors.describe(&name.text).await.map_err(failed)? else {
            return Err(self.no_connector(connectors, name).await);
        };
        let mut listing = Listing::new(&["Property", "Value"]);
        for (property, value) in ["Name", "Type", "Class", "State"].into_iter().zip(row(found.info)) {
            listing.rows.push(vec![property.to_owned(), value]);
        }
        for (number, state, error) in found.tasks {
            let text = if error.is_empty() { state } else { format!("{state}: {error}") };
            listing.rows.push(vec![format!("Task {number}"), text]);
        }
        listing.rows.extend(found.topics.into_iter().map(|topic| vec!["Topic".to_owned(), topic]));
        Ok(listing)
    }
}

fn row(connector: ConnectorInfo) -> Vec<String> {
    let kind = connector.kind.map_or("UNKNOWN", ConnectorKind::word);
    vec![connector.name, kind.to_owned(), connector.class, connector.state]
}
