//! The catalog: which streams and tables there are, and what their columns are.

use crate::parse::ast::RelationKind;
use crate::session::DefaultFormats;
use crate::{Format, FormatSpec, SqlType};
use millstream_format::registry::SchemaCache;
use millstream_format::sql::{Columns, Layout};
use millstream_model::{DataType, TagType};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One column of a stream or table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Its name, in the letter case that counts.
    pub name: Arc<str>,
    /// Its type.
    pub sql_type: SqlType,
    /// Whether it stands in the record's key.
    pub key: bool,
    /// Which of the record's headers it is, where it is one.
    pub header: Option<Header>,
}

impl ColumnSpec {
    /// A column of a record's key or value.
    pub const fn new(name: Arc<str>, sql_type: SqlType, key: bool) -> Self {
        Self { name, sql_type, key, header: None }
    }
}

/// What a column over headers holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// `HEADERS`: all of them, as `ARRAY<STRUCT<KEY VARCHAR, VALUE BYTES>>`.
    All,
    /// `HEADER('name')`: the last one of this name, as `BYTES`.
    Named(Arc<str>),
}

impl Header {
    /// The type of such a column.
    pub fn sql_type(&self) -> SqlType {
        match self {
            Self::All => {
                SqlType::array(SqlType::structure([("KEY", SqlType::Varchar), ("VALUE", SqlType::Bytes)]))
            }
            Self::Named(_) => SqlType::Bytes,
        }
    }
}

/// Where a relation comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A `CREATE` over a topic.
    Declared,
    /// A scan group of a device.
    ScanGroup,
    /// The query of this id.
    Query(Arc<str>),
}

/// A stream or table over a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its name.
    pub name: Arc<str>,
    /// Stream or table.
    pub kind: RelationKind,
    /// The topic that holds its rows.
    pub topic: Arc<str>,
    /// How its key is laid out.
    pub key: FormatSpec,
    /// How its value is laid out.
    pub value: FormatSpec,
    /// Its columns; those of the key first.
    pub columns: Vec<ColumnSpec>,
    /// Whether it was declared as `SOURCE`: nothing may be inserted, and a table of it is there to be asked.
    pub source: bool,
    /// The length of its windows in milliseconds, where its key has one.
    pub window_ms: Option<i64>,
    /// Whether its key has a session: a start and an end.
    pub session: bool,
    /// The column that holds the rows' time; `None` for the record's timestamp.
    pub timestamp: Option<Arc<str>>,
    /// How the time is written in a `VARCHAR` column, as Java's `DateTimeFormatter` has it.
    pub timestamp_format: Option<Arc<str>>,
    /// How many partitions its topic gets where it has to be made.
    pub partitions: Option<i32>,
    /// How many replicas, likewise.
    pub replicas: Option<i32>,
    /// How long its topic keeps rows, in milliseconds, likewise.
    pub retention_ms: Option<i64>,
    /// Where it comes from.
    pub origin: Origin,
    /// The statement that made it; empty for scan groups.
    pub sql: String,
}

impl Relation {
    /// The key columns with their types.
    pub fn key_columns(&self) -> Columns {
        self.columns.iter().filter(|c| c.key).map(|c| (c.name.clone(), c.sql_type)).collect()
    }

    /// How the key columns stand in a record's key; `None` where there is no key column.
    pub fn key_layout(&self) -> Option<Layout> {
        let columns = self.key_columns();
        let none = columns.is_empty() || self.key.format == Format::None;
        (!none).then(|| Layout::new(self.key.clone(), columns))
    }

    /// How the value columns stand in a record's value.
    pub fn value_layout(&self) -> Layout {
        Layout::new(self.value.clone(), self.value_columns())
    }

    /// The value columns with their types.
    pub fn value_columns(&self) -> Columns {
        let in_value = |c: &&ColumnSpec| !c.key && c.header.is_none();
        self.columns.iter().filter(in_value).map(|c| (c.name.clone(), c.sql_type)).collect()
    }

    /// The columns over headers.
    pub fn header_columns(&self) -> impl Iterator<Item = (&ColumnSpec, &Header)> {
        self.columns.iter().filter_map(|column| Some((column, column.header.as_ref()?)))
    }

    /// Whether its key has a window, so that rows have `WINDOWSTART` and `WINDOWEND`.
    pub const fn is_windowed(&self) -> bool {
        self.session || self.window_ms.is_some()
    }
}

/// All relations and types by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    relations: BTreeMap<Arc<str>, Arc<Relation>>,
    types: BTreeMap<Arc<str>, SqlType>,
    /// The schemas that records name, as far as they were met.
    schemas: SchemaCache,
    /// What the registry's schemas say of keys and values: by topic, whether it is the key, and the schema's id where one
    /// was asked for.
    inferred: BTreeMap<(Arc<str>, bool, Option<i32>), Columns>,
    /// The formats of declarations that name none, while statements are planned.
    pub(crate) formats: DefaultFormats,
}

impl Catalog {
    /// An empty catalog.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares the stream of a scan group's topic: key column `key`, and one column per tag. Names are put into upper
    /// case, so that statements may write them bare. Groups that share a topic add their columns to one stream; where
    /// they differ on a column's type, the wider one counts.
    pub fn declare_stream(&mut self, name: &str, topic: &str, key: &str, columns: &[(&str, SqlType)]) {
        let name: Arc<str> = name.to_uppercase().into();
        let mut relation = match self.relations.get(&name) {
            Some(known) if *known.topic == *topic && known.origin == Origin::ScanGroup => (**known).clone(),
            _ => Relation {
                name: name.clone(),
                kind: RelationKind::Stream,
                topic: topic.into(),
                key: FormatSpec::key(Format::Kafka),
                value: FormatSpec::value(Format::Json),
                columns: vec![ColumnSpec::new(key.to_uppercase().into(), SqlType::Varchar, true)],
                source: false,
                window_ms: None,
                session: false,
                timestamp: None,
                timestamp_format: None,
                partitions: None,
                replicas: None,
                retention_ms: None,
                origin: Origin::ScanGroup,
                sql: String::new(),
            },
        };
        for (column, sql_type) in columns {
            let upper: Arc<str> = column.to_uppercase().into();
            match relation.columns.iter_mut().find(|known| known.name == upper) {
                Some(known) if !known.key => known.sql_type = wider(known.sql_type, *sql_type),
                // A tag that is called like the key column cannot be reached; the key is the asset anyway.
                Some(_) => {}
                None => relation.columns.push(ColumnSpec::new(upper, *sql_type, false)),
            }
        }
        self.relations.insert(name, Arc::new(relation));
    }

    /// The relation called `name`.
    pub fn find(&self, name: &str) -> Option<&Arc<Relation>> {
        self.relations.get(name)
    }

    /// All relations, sorted by name.
    pub fn relations(&self) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations.values()
    }

    /// Adds a relation, or replaces the one of that name.
    pub fn insert(&mut self, relation: Relation) {
        self.relations.insert(relation.name.clone(), Arc::new(relation));
    }

    /// The type that `CREATE TYPE` made under this name.
    pub fn find_type(&self, name: &str) -> Option<SqlType> {
        self.types.get(name).copied()
    }

    /// The types that `CREATE TYPE` made, sorted by name.
    pub fn types(&self) -> impl Iterator<Item = (&Arc<str>, SqlType)> {
        self.types.iter().map(|(name, sql_type)| (name, *sql_type))
    }

    /// Adds a type, or replaces the one of that name.
    pub fn insert_type(&mut self, name: &str, sql_type: SqlType) {
        self.types.insert(name.into(), sql_type);
    }

    /// Removes a type; `false` where there is none.
    pub fn remove_type(&mut self, name: &str) -> bool {
        self.types.remove(name).is_some()
    }

    /// Where the schemas of records are looked up.
    pub const fn schemas(&self) -> &SchemaCache {
        &self.schemas
    }

    /// Shares the schemas of `cache` from now on.
    pub fn share_schemas(&mut self, cache: SchemaCache) {
        self.schemas = cache;
    }

    /// The columns that the registry's schema has of a topic's keys or values, where it was asked for them.
    pub fn inferred(&self, topic: &str, is_key: bool, id: Option<i32>) -> Option<&Columns> {
        self.inferred.get(&(topic.into(), is_key, id))
    }

    /// Remembers what the registry said.
    pub fn insert_inferred(&mut self, topic: &str, is_key: bool, id: Option<i32>, columns: Columns) {
        self.inferred.insert((topic.into(), is_key, id), columns);
    }

    /// Removes a relation.
    pub fn remove(&mut self, name: &str) -> Option<Arc<Relation>> {
        self.relations.remove(name)
    }
}

/// The stream name that belongs to a topic: `machine.telemetry` is `MACHINE_TELEMETRY`.
pub fn stream_name(topic: &str) -> String {
    let name: String =
        topic.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// The SQL type of a tag's values. `scaled` tags are doubles whatever the device holds; arrays, dates and raw bytes are
/// `VARCHAR` until there are types for them (an array is its JSON text).
pub const fn sql_type(tag: TagType, scaled: bool) -> SqlType {
    use DataType as T;
    if tag.count.is_some() {
        return SqlType::Varchar;
    }
    match tag.data_type {
        T::Bool => SqlType::Boolean,
        T::Real | T::LReal => SqlType::Double,
        _ if scaled && tag.data_type.is_numeric() => SqlType::Double,
        T::Byte | T::Word | T::SInt | T::USInt | T::Int | T::UInt | T::DInt => SqlType::Int,
        T::DWord | T::LWord | T::UDInt | T::LInt | T::ULInt => SqlType::BigInt,
        _ => SqlType::Varchar,
    }
}

fn wider(a: SqlType, b: SqlType) -> SqlType {
    if a == b {
        a
    } else if a.is_numeric() && b.is_numeric() {
        a.max(b)
    } else {
        SqlType::Varchar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_share_a_topic_share_a_stream() {
        let mut catalog = Catalog::new();
        catalog.declare_stream(
            "press",
            "press",
            "asset",
            &[("temperature", SqlType::Int), ("state", SqlType::Int)],
        );
        catalog.declare_stream(
            "press",
            "press",
            "asset",
            &[("Temperature", SqlType::Double), ("asset", SqlType::Int)],
        );
        let columns = &catalog.find("PRESS").unwrap().columns;
        let names: Vec<_> = columns.iter().map(|c| (&*c.name, c.sql_type, c.key)).collect();
        let expected = [
            ("ASSET", SqlType::Varchar, true),
            ("TEMPERATURE", SqlType::Double, false),
            ("STATE", SqlType::Int, false),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn topics_and_tags_map_to_sql() {
        assert_eq!(stream_name("machine.telemetry"), "MACHINE_TELEMETRY");
        assert_eq!(stream_name("2nd-line"), "_2ND_LINE");
        assert_eq!(sql_type(TagType::scalar(DataType::UInt), false), SqlType::Int);
        assert_eq!(sql_type(TagType::scalar(DataType::UInt), true), SqlType::Double);
        assert_eq!(sql_type(TagType { data_type: DataType::Int, count: Some(4) }, false), SqlType::Varchar);
    }
}
