//! The schema registry of a plant: the one that it names, or one in its log, opened when it is first needed.

use async_trait::async_trait;
use millstream_bus::Bus;
use millstream_format::registry::{RegistryError, SchemaRegistry, SchemaText, SchemaVersion};
use millstream_model::Clock;
use millstream_plant::SqlSettings;
use millstream_registry::{BusRegistry, Credentials, HttpRegistry, Trust, answer};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// A registry elsewhere, or over the log: nothing is made or read there before somebody asks, and a log that is away is
/// asked again.
#[derive(Debug)]
pub(super) struct PlantRegistry {
    elsewhere: Option<(String, HttpRegistry)>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    opened: OnceCell<BusRegistry>,
}

impl PlantRegistry {
    /// The registry that `settings` name; the error says why there can be none.
    pub(super) fn new(
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        settings: &SqlSettings,
    ) -> Result<Self, RegistryError> {
        let credentials = settings.schema_registry_user.as_ref().map(|user| Credentials {
            user: user.clone(),
            password: settings.schema_registry_password.clone().unwrap_or_default(),
        });
        let elsewhere: Option<Result<_, RegistryError>> = settings
            .schema_registry
            .as_ref()
            .map(|url| Ok((url.clone(), HttpRegistry::new(url, credentials.as_ref(), &Trust::System)?)));
        Ok(Self { elsewhere: elsewhere.transpose()?, bus, clock, opened: OnceCell::new() })
    }

    async fn kept(&self) -> Result<&BusRegistry, RegistryError> {
        self.opened.get_or_try_init(|| BusRegistry::open(self.bus.clone(), self.clock.clone())).await
    }

    async fn open(&self) -> Result<&dyn SchemaRegistry, RegistryError> {
        match &self.elsewhere {
            Some((_, registry)) => Ok(registry),
            None => Ok(self.kept().await?),
        }
    }

    /// A request of its REST API: status and body.
    pub(super) async fn answer(&self, method: &str, path: &str, query: &str, body: &[u8]) -> (u16, Value) {
        if let Some((url, _)) = &self.elsewhere {
            return (
                404,
                json!({ "error_code": 404, "message": format!("the schema registry of this plant is {url}") }),
            );
        }
        match self.kept().await {
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
