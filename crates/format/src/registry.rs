//! Schemas that records name by an id, and who keeps them: the trait of a schema registry, and what has been fetched from one.
//!
//! The vocabulary is Confluent Schema Registry's: a subject has versions, a version has a schema, and the same schema has
//! the same id wherever it stands. Registries themselves are `millstream-registry`.

use crate::sql::{Columns, Layout, LayoutError, ParsedSchema};
use async_trait::async_trait;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// How many schemas a [`SchemaCache`] remembers. One more drops the one with the lowest id, which is fetched again where
/// it is met again.
pub const SCHEMAS_MAX: usize = 10_000;
/// The longest text of a schema in bytes; Kafka would not take a longer one as a record either.
pub const SCHEMA_BYTES_MAX: usize = 1 << 20;
/// How many schemas a schema may refer to, those that these refer to among them.
pub const REFERENCES_MAX: usize = 100;

/// A language of schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SchemaKind {
    /// Apache Avro.
    Avro,
    /// JSON Schema.
    Json,
    /// Protocol Buffers.
    Protobuf,
}

impl SchemaKind {
    /// As the registry's `schemaType` names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }

    /// Reads a `schemaType`; an absent one means Avro.
    pub fn from_name(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("AVRO") => Some(Self::Avro),
            Some("JSON") => Some(Self::Json),
            Some("PROTOBUF") => Some(Self::Protobuf),
            Some(_) => None,
        }
    }
}

impl fmt::Display for SchemaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// That a schema uses another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaReference {
    /// How it calls it: a full name in Avro, a path in Protobuf, an address in JSON Schema.
    pub name: String,
    /// The subject of the other one.
    pub subject: String,
    /// Its version there.
    pub version: i32,
}

/// A schema as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaText {
    /// Its language.
    pub kind: SchemaKind,
    /// Its text.
    pub text: Arc<str>,
    /// What it uses.
    pub references: Vec<SchemaReference>,
}

impl SchemaText {
    /// A schema that uses no other.
    pub fn new(kind: SchemaKind, text: impl Into<Arc<str>>) -> Self {
        Self { kind, text: text.into(), references: Vec::new() }
    }
}

/// A schema with its place in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion {
    /// The subject.
    pub subject: String,
    /// The version, from 1.
    pub version: i32,
    /// The id that records name it by.
    pub id: i32,
    /// The schema.
    pub schema: SchemaText,
}

/// What a registry said, split by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// There is no such subject.
    #[error("the registry has no subject `{0}`")]
    UnknownSubject(String),
    /// The subject has no such version.
    #[error("subject `{subject}` has no version {version}")]
    UnknownVersion {
        /// The subject.
        subject: String,
        /// The version.
        version: i32,
    },
    /// No schema has this id.
    #[error("the registry has no schema with id {0}")]
    UnknownId(i32),
    /// The text is no schema.
    #[error("not a schema: {0}")]
    Invalid(String),
    /// The subject's compatibility level does not allow it.
    #[error("the schema is not compatible with what subject `{subject}` has: {}", reasons.join("; "))]
    Incompatible {
        /// The subject.
        subject: String,
        /// Why, one reason each.
        reasons: Vec<String>,
    },
    /// Columns have no schema in this format.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The registry refuses: wrong credentials, read-only.
    #[error("the schema registry refuses: {0}")]
    Refused(String),
    /// The registry cannot be reached now. Try again later.
    #[error("the schema registry cannot be reached: {0}")]
    Unavailable(String),
}

impl RegistryError {
    /// Whether trying the same again later can work.
    pub const fn is_retriable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether it says that there is no such subject, version or id.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::UnknownSubject(_) | Self::UnknownVersion { .. } | Self::UnknownId(_))
    }
}

/// A schema registry. Every method may be called from any task.
#[async_trait]
pub trait SchemaRegistry: Send + Sync + fmt::Debug + 'static {
    /// Registers a schema under a subject and returns its id; the same one where it stands there already.
    async fn register(&self, subject: &str, schema: &SchemaText) -> Result<i32, RegistryError>;

    /// The schema of this id.
    async fn by_id(&self, id: i32) -> Result<SchemaText, RegistryError>;

    /// The newest version of a subject.
    async fn latest(&self, subject: &str) -> Result<SchemaVersion, RegistryError>;

    /// One version of a subject.
    async fn version(&self, subject: &str, version: i32) -> Result<SchemaVersion, RegistryError>;

    /// The versions of a subject, ascending.
    async fn versions(&self, subject: &str) -> Result<Vec<i32>, RegistryError>;

    /// All subjects, sorted.
    async fn subjects(&self) -> Result<Vec<String>, RegistryError>;

    /// Why the schema could not be registered under the subject; empty where it could.
    async fn incompatibilities(
        &self,
        subject: &str,
        schema: &SchemaText,
    ) -> Result<Vec<String>, RegistryError>;

    /// Deletes a subject, softly: its schemas are still found by id. Returns the versions that it had.
    async fn delete_subject(&self, subject: &str) -> Result<Vec<i32>, RegistryError>;
}

/// The subject of a topic's keys or values (Confluent's `TopicNameStrategy`).
pub fn subject(topic: &str, is_key: bool) -> String {
    format!("{topic}-{}", if is_key { "key" } else { "value" })
}

/// Schemas that were fetched, by id; shared by all who decode. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SchemaCache(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    schemas: RwLock<BTreeMap<i32, Arc<ParsedSchema>>>,
    registry: RwLock<Option<Arc<dyn SchemaRegistry>>>,
}

impl SchemaCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says which registry [`fetch_missing`] asks.
    pub fn ask(&self, registry: Arc<dyn SchemaRegistry>) {
        *self.0.registry.write() = Some(registry);
    }

    /// The schema of this id, where it has been fetched.
    pub fn get(&self, id: i32) -> Option<Arc<ParsedSchema>> {
        self.0.schemas.read().get(&id).cloned()
    }

    /// Remembers a schema, and those that it uses, by their names. One that cannot be read is remembered as such.
    pub fn insert(&self, id: i32, schema: &SchemaText, used: &[(String, SchemaText)]) -> Arc<ParsedSchema> {
        let parsed = Arc::new(ParsedSchema::new(schema, used));
        let mut all = self.0.schemas.write();
        if all.len() >= SCHEMAS_MAX {
            all.pop_first();
        }
        all.insert(id, parsed.clone());
        parsed
    }

    /// The schema of this id, fetched where it is not here yet.
    pub async fn fetch(
        &self,
        id: i32,
        registry: &dyn SchemaRegistry,
    ) -> Result<Arc<ParsedSchema>, RegistryError> {
        if let Some(known) = self.get(id) {
            return Ok(known);
        }
        let schema = registry.by_id(id).await?;
        let used = used_by(&schema, registry).await?;
        Ok(self.insert(id, &schema, &used))
    }
}

/// Every schema that `schema` uses, those that they use before them.
pub async fn used_by(
    schema: &SchemaText,
    registry: &dyn SchemaRegistry,
) -> Result<Vec<(String, SchemaText)>, RegistryError> {
    let mut found: Vec<(String, SchemaText)> = Vec::new();
    let mut wanted: Vec<SchemaReference> = schema.references.clone();
    let mut fetched = 0_usize;
    while let Some(reference) = wanted.pop() {
        if found.iter().any(|(name, _)| *name == reference.name) {
            continue;
        }
        fetched += 1;
        if fetched > REFERENCES_MAX {
            return Err(RegistryError::Invalid(format!("it uses more than {REFERENCES_MAX} other schemas")));
        }
        let used = registry.version(&reference.subject, reference.version).await?.schema;
        wanted.extend(used.references.iter().cloned());
        found.push((reference.name, used));
    }
    found.reverse();
    Ok(found)
}

/// Where the schemas of a layout are. Two are the same that write by the same schema: what has been fetched so far belongs
/// neither to their equality nor to their `Debug` text, by which plans are compared.
#[derive(Clone)]
pub struct SchemaRef {
    /// What decoders look ids up in.
    pub cache: SchemaCache,
    /// The id that an encoder writes with; its schema is in `cache`. `None` where the layout is only read.
    pub writer: Option<i32>,
}

impl fmt::Debug for SchemaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaRef").field("writer", &self.writer).finish_non_exhaustive()
    }
}

impl PartialEq for SchemaRef {
    fn eq(&self, other: &Self) -> bool {
        self.writer == other.writer
    }
}

impl Eq for SchemaRef {}

impl std::hash::Hash for SchemaRef {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.writer.hash(state);
    }
}

impl SchemaRef {
    /// A reference for reading: whatever ids the records name.
    pub const fn reader(cache: SchemaCache) -> Self {
        Self { cache, writer: None }
    }

    /// A reference for writing `layout`: the schema that its `*_SCHEMA_ID` names, or the one of its columns, which is
    /// registered under `subject`.
    pub async fn writer(
        layout: &Layout,
        subject: &str,
        cache: &SchemaCache,
        registry: &dyn SchemaRegistry,
    ) -> Result<Self, RegistryError> {
        let id = match layout.spec.schema_id {
            Some(id) => id,
            None => registry.register(subject, &layout.schema()?).await?,
        };
        let parsed = cache.fetch(id, registry).await?;
        layout.can_be_written_as(&parsed)?;
        Ok(Self { cache: cache.clone(), writer: Some(id) })
    }
}

/// The columns of a topic's keys or values as its registered schema has them: of `schema_id`, or the newest of the
/// topic's subject. `None` where there is no schema.
pub async fn inferred(
    layout: &crate::sql::FormatSpec,
    topic: &str,
    is_key: bool,
    cache: &SchemaCache,
    registry: &dyn SchemaRegistry,
) -> Result<Option<Columns>, RegistryError> {
    let id = match layout.schema_id {
        Some(id) => id,
        None => match registry.latest(&subject(topic, is_key)).await {
            Ok(latest) => latest.id,
            Err(error) if error.is_unknown() => return Ok(None),
            Err(error) => return Err(error),
        },
    };
    let parsed = cache.fetch(id, registry).await?;
    Ok(Some(parsed.columns(layout, is_key)?))
}

/// Fetches the schemas that keys or values of `layout` name and that are not here yet: before a batch is decoded, so that no
/// decoder meets [`DecodeError::UnknownSchema`](crate::sql::DecodeError::UnknownSchema). An id that the registry does not know is
/// left for the decoder to tell; the error says that the registry should be asked again later.
pub async fn fetch_missing<'b>(
    layout: &Layout,
    bytes: impl Iterator<Item = &'b [u8]> + Send,
) -> Result<(), RegistryError> {
    let Some(SchemaRef { cache, .. }) = &layout.spec.schema else { return Ok(()) };
    let Some(registry) = cache.0.registry.read().clone() else { return Ok(()) };
    let mut last = None;
    for bytes in bytes {
        let id = layout.schema_id(bytes);
        if id == last {
            continue;
        }
        last = id;
        if let Some(id) = id
            && let Err(error) = cache.fetch(id, &*registry).await
            && error.is_retriable()
        {
            return Err(error);
        }
    }
    Ok(())
}
