//! Schemas of the registry for statements: columns that it knows, and schemas that results are written by.

use super::Engine;
use crate::parse::Variables;
use crate::plan::query_plan::Scan;
use crate::plan::{WantedSchema, wanted_schemas};
use crate::{Catalog, Relation, SqlError};
use millstream_bus::{BusError, ReceivedRecord};
use millstream_format::registry::{
    RegistryError, SchemaRef, SchemaRegistry, fetch_missing, inferred, subject,
};
use millstream_format::sql::Layout;
use millstream_model::Diagnostic;
use std::sync::Arc;
use std::time::Duration;

/// How long a query waits before it asks a registry again that is away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Engine {
    /// The same engine with a schema registry, for `AVRO`, `PROTOBUF` and `JSON_SR`. Must be called before statements run.
    #[must_use]
    pub fn with_registry(mut self, registry: Arc<dyn SchemaRegistry>) -> Self {
        self.catalog.read().schemas().ask(registry.clone());
        self.registry = Some(registry);
        self
    }

    /// The schema registry, where one is configured.
    pub fn registry(&self) -> Option<&Arc<dyn SchemaRegistry>> {
        self.registry.as_ref()
    }

    /// Asks the registry for the columns that the statements of `source` leave out.
    pub(super) async fn infer(
        &self,
        catalog: &mut Catalog,
        source: &str,
        variables: &Variables,
    ) -> Result<(), SqlError> {
        let Some(registry) = &self.registry else { return Ok(()) };
        for WantedSchema { topic, is_key, spec } in wanted_schemas(source, variables) {
            let found = inferred(&spec, &topic, is_key, catalog.schemas(), &**registry).await;
            match found {
                Ok(Some(columns)) => catalog.insert_inferred(&topic, is_key, spec.schema_id, columns),
                // Whoever plans the statement says that the columns are missing.
                Ok(None) => {}
                Err(error) if error.is_unknown() => {}
                Err(error) => return Err(failed(&format!("the schema of topic `{topic}`"), &error)),
            }
        }
        Ok(())
    }

    /// `relation` with the schemas that its records are written by, registered where they are new. `writes` says whether
    /// anything is written at all.
    pub(super) async fn with_writers(&self, relation: &Relation, writes: bool) -> Result<Relation, SqlError> {
        let mut relation = relation.clone();
        for is_key in [true, false] {
            let columns = if is_key { relation.key_columns() } else { relation.value_columns() };
            let spec = if is_key { &relation.key } else { &relation.value };
            if !spec.format.needs_registry() || columns.is_empty() {
                continue;
            }
            let Some(registry) = &self.registry else {
                return Err(SqlError::Mistakes(vec![
                    Diagnostic::error("sql-registry", format!("{} needs a schema registry", spec.format))
                        .label("no registry is configured")
                        .help("give the address of one, or use JSON, DELIMITED or PROTOBUF_NOSR"),
                ]));
            };
            if !writes {
                continue;
            }
            let cache = self.catalog.read().schemas().clone();
            let layout = Layout::new(spec.clone(), columns);
            let name = subject(&relation.topic, is_key);
            let writer = SchemaRef::writer(&layout, &name, &cache, &**registry).await;
            let writer =
                writer.map_err(|error| failed(&format!("the schema of subject `{name}`"), &error))?;
            let spec = if is_key { &mut relation.key } else { &mut relation.value };
            spec.schema = Some(writer);
        }
        Ok(relation)
    }
}

/// Fetches the schemas that `records` name, so that their decoders have them.
pub(super) async fn fetch_schemas(scan: &Scan, records: &[ReceivedRecord]) -> Result<(), SqlError> {
    let keys = records.iter().filter_map(|received| received.record.key.as_deref());
    let values = records.iter().filter_map(|received| received.record.value.as_deref());
    let away = |error: RegistryError| {
        SqlError::bus("fetching the schemas of records")(BusError::Unavailable {
            message: error.to_string(),
            retry_after: RETRY_AFTER,
        })
    };
    if let Some(key) = &scan.key {
        fetch_missing(key, keys).await.map_err(away)?;
    }
    fetch_missing(&scan.value, values).await.map_err(away)
}

fn failed(what: &str, error: &RegistryError) -> SqlError {
    let mistake = Diagnostic::error("sql-registry", format!("{what}: {error}"))
        .label("the registry does not take it")
        .help("look at the subject in the registry");
    SqlError::Mistakes(vec![mistake])
}
