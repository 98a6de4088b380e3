//! The schema registry of a plant that brings none of its own: kept in the log, opened when it is first needed.

use async_trait::async_trait;
use millstream_bus::Bus;
use millstream_format::registry::{RegistryError, SchemaRegistry, SchemaText, SchemaVersion};
use millstream_model::Clock;
use millstream_registry::{BusRegistry, answer};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// A registry over the log. Nothing is made or read before somebody asks, and a log that is away is asked again.
#[derive(Debug)]
pub(super) struct PlantRegistry {
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    opened: OnceCell<BusRegistry>,
}

impl PlantRegistry {
    pub(super) fn new(bus: Arc<dyn Bus>, clock: Arc<dyn Clock>) -> Self {
        Self { bus, clock, opened: OnceCell::new() }
    }

    async fn open(&self) -> Result<&BusRegistry, RegistryError> {
        self.opened.get_or_try_init(|| BusRegistry::open(self.bus.clone(), self.clock.clone())).await
    }

    /// A request of its REST API: status and body.
    pub(super) async fn answer(&self, method: &str, path: &str, query: &str, body: &[u8]) -> (u16, Value) {
        match self.open().await {
            Ok(registry) => {
                let answer = answer(registry, method, path, query, body).await;
                (answer.status, answer.body)
            }
            Err(error) => (500, json!({ "error_code": 50_001, "message": error.to_string() })),
        }
    }
}

#[async_trait]
impl SchemaRegistry for PlantRegistry {
    async fn register(&self, subject: &str, schema: &SchemaText) -> Result<i32, RegistryError> {
        self.open().await?.register(subject, schema).await
    }

    async fn by_id(&self, id: i32) -> Result<SchemaText, RegistryError> {
        self.open().await?.by_id(id).await
    }

    async fn latest(&self, subject: &str) -> Result<SchemaVersion, RegistryError> {
        self.open().await?.latest(subject).await
    }

    async fn version(&self, subject: &str, version: i32) -> Result<SchemaVersion, RegistryError> {
        self.open().await?.version(subject, version).await
    }

    async fn versions(&self, subject: &str) -> Result<Vec<i32>, RegistryError> {
        self.open().await?.versions(subject).await
    }

    async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        self.open().await?.subjects().await
    }

    async fn incompatibilities(
        &self,
        subject: &str,
        schema: &SchemaText,
    ) -> Result<Vec<String>, RegistryError> {
        self.open().await?.incompatibilities(subject, schema).await
    }

    async fn delete_subject(&self, subject: &str) -> Result<Vec<i32>, RegistryError> {
        self.open().await?.delete_subject(subject).await
    }
}
