//! What statements give back, as ksqlDB's API writes it: one object per statement, told apart by `@type`.

use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The result of one statement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KsqlEntity {
    /// What it is of.
    #[serde(flatten)]
    pub kind: EntityKind,
    /// The statement.
    #[serde(rename = "statementText")]
    pub statement_text: String,
    /// What works, but probably not as meant.
    pub warnings: Vec<Warning>,
}

/// What works, but probably not as meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// In words.
    pub message: String,
}

/// The results there are.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "@type", rename_all_fields = "camelCase")]
pub enum EntityKind {
    /// A command: `CREATE`, `DROP`, `INSERT INTO … SELECT`, `ALTER`.
    #[serde(rename = "currentStatus")]
    CurrentStatus {
        /// `stream/NAME/create` and the like.
        command_id: String,
        /// How it went.
        command_status: CommandStatus,
        /// Its number among the commands of this server; set by the server.
        command_sequence_number: i64,
    },
    /// `SHOW STREAMS`.
    #[serde(rename = "streams")]
    Streams {
        /// They.
        streams: Vec<SourceInfo>,
    },
    /// `SHOW TABLES`.
    #[serde(rename = "tables")]
    Tables {
        /// They.
        tables: Vec<SourceInfo>,
    },
    /// `SHOW QUERIES`.
    #[serde(rename = "queries")]
    Queries {
        /// They.
        queries: Vec<RunningQuery>,
    },
    /// `SHOW QUERIES EXTENDED`.
    #[serde(rename = "query_descriptions")]
    QueryDescriptions {
        /// They.
        query_descriptions: Vec<QueryDescription>,
    },
    /// `SHOW TOPICS`.
    #[serde(rename = "kafka_topics")]
    Topics {
        /// They.
        topics: Vec<TopicInfo>,
    },
    /// `SHOW TOPICS EXTENDED`.
    #[serde(rename = "kafka_topics_extended")]
    TopicsExtended {
        /// They.
        topics: Vec<TopicInfo>,
    },
    /// `SHOW FUNCTIONS`.
    #[serde(rename = "function_names")]
    Functions {
        /// They.
        functions: Vec<FunctionInfo>,
    },
    /// `DESCRIBE FUNCTION`.
    #[serde(rename = "describe_function")]
    Function {
        /// Its name.
        name: String,
        /// What it does.
        description: String,
        /// Who made it.
        author: String,
        /// Its version.
        version: String,
        /// Where it was loaded from.
        path: String,
        /// Its signatures.
        functions: Vec<Signature>,
        /// `SCALAR`, `AGGREGATE` or `TABLE`.
        r#type: String,
    },
    /// `SHOW PROPERTIES`.
    #[serde(rename = "properties")]
    Properties {
        /// They.
        properties: Vec<Property>,
        /// Names of those that the request changed.
        overwritten_properties: Vec<String>,
        /// Names of those that have their default.
        default_properties: Vec<String>,
    },
    /// `SHOW VARIABLES`.
    #[serde(rename = "variables")]
    Variables {
        /// They.
        variables: Vec<Variable>,
    },
    /// `SHOW TYPES`.
    #[serde(rename = "type_list")]
    Types {
        /// By name.
        types: BTreeMap<String, SchemaInfo>,
    },
    /// `DESCRIBE`.
    #[serde(rename = "sourceDescription")]
    Source {
        /// It.
        source_description: Box<SourceDescription>,
    },
    /// `DESCRIBE STREAMS`, `SHOW STREAMS EXTENDED` and the same of tables.
    #[serde(rename = "source_descriptions")]
    Sources {
        /// They.
        source_descriptions: Vec<SourceDescription>,
    },
    /// `EXPLAIN`.
    #[serde(rename = "queryDescription")]
    Query {
        /// It.
        query_description: Box<QueryDescription>,
    },
    /// `TERMINATE`.
    #[serde(rename = "terminate_query")]
    Terminated {
        /// Which.
        query_id: String,
        /// Whether it was ended.
        was_terminated: bool,
    },
    /// `PAUSE`.
    #[serde(rename = "pause_query")]
    Paused {
        /// Which.
        query_id: String,
    },
    /// `RESUME`.
    #[serde(rename = "resume_query")]
    Resumed {
        /// Which.
        query_id: String,
    },
    /// `ASSERT TOPIC`.
    #[serde(rename = "assert_topic")]
    AssertTopic {
        /// The topic.
        topic_name: String,
        /// Whether it is there.
        exists: bool,
    },
    /// `ASSERT SCHEMA`.
    #[serde(rename = "assert_schema")]
    AssertSchema {
        /// The subject.
        subject: Option<String>,
        /// The schema's id.
        id: Option<u32>,
        /// Whether it is there.
        exists: bool,
    },
    /// `SHOW CONNECTORS`.
    #[serde(rename = "connector_list")]
    Connectors {
        /// They.
        connectors: Vec<ConnectorInfo>,
    },
    /// `SHOW CONNECTOR PLUGINS`.
    #[serde(rename = "connector_plugins_list")]
    ConnectorPlugins {
        /// They.
        connectors_plugins: Vec<Value>,
    },
    /// `CREATE CONNECTOR`.
    #[serde(rename = "connector_info")]
    Connector {
        /// It.
        info: Value,
    },
    /// `DESCRIBE CONNECTOR`.
    #[serde(rename = "connector_description")]
    ConnectorDescription {
        /// Its class.
        connector_class: String,
        /// How it does.
        status: Value,
        /// The streams and tables over its topics.
        sources: Vec<SourceDescription>,
        /// Its topics.
        topics: Vec<String>,
    },
    /// `DROP CONNECTOR`.
    #[serde(rename = "drop_connector")]
    ConnectorDropped {
        /// Which.
        connector_name: String,
    },
    /// A statement that was done with something to say about it.
    #[serde(rename = "warning_entity")]
    Warning {
        /// In words.
        message: String,
    },
}

/// How a command went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandStatus {
    /// `SUCCESS` or `ERROR`: commands are done when they are answered.
    pub status: String,
    /// In words.
    pub message: String,
    /// The id of the query that it started.
    pub query_id: Option<String>,
}

/// A stream or table in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceInfo {
    /// `STREAM` or `TABLE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// The key's format.
    pub key_format: String,
    /// The value's format.
    pub value_format: String,
    /// Whether its key has a window.
    pub is_windowed: bool,
}

/// A query in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningQuery {
    /// Its statement.
    pub query_string: String,
    /// What it fills.
    pub sinks: Vec<String>,
    /// The topics of that.
    pub sink_kafka_topics: Vec<String>,
    /// Its id.
    pub id: String,
    /// How many hosts have it in which state.
    pub status_count: BTreeMap<String, u32>,
    /// `PERSISTENT` or `PUSH`.
    pub query_type: String,
    /// `RUNNING`, `ERROR`, `PAUSED`.
    pub state: String,
}

/// A query at length.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryDescription {
    /// Its id; empty for a statement that does not run.
    pub id: String,
    /// Its statement.
    pub statement_text: String,
    /// `TUMBLING`, `HOPPING`, `SESSION`.
    pub window_type: Option<String>,
    /// The columns of its result.
    pub fields: Vec<FieldInfo>,
    /// What it reads.
    pub sources: Vec<String>,
    /// What it fills.
    pub sinks: Vec<String>,
    /// Its steps, in words.
    pub topology: String,
    /// The same.
    pub execution_plan: String,
    /// The properties that the request changed.
    pub overridden_properties: Map<String, Value>,
    /// Its state by host.
    pub ksql_host_query_status: BTreeMap<String, String>,
    /// `PERSISTENT` or `PUSH`.
    pub query_type: String,
    /// What made it fail.
    pub query_errors: Vec<Value>,
    /// Its state.
    pub state: Option<String>,
}

/// A topic in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Replicas of each partition.
    pub replica_info: Vec<i32>,
    /// How many consumers read it; `SHOW TOPICS EXTENDED` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer_count: Option<u32>,
    /// How many groups, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer_group_count: Option<u32>,
}

/// A function in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunctionInfo {
    /// Its name.
    pub name: String,
    /// `SCALAR`, `AGGREGATE` or `TABLE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about.
    pub category: String,
}

/// One way to call a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    /// Its arguments.
    pub arguments: Vec<Value>,
    /// What it gives.
    pub return_type: String,
    /// What it does.
    pub description: String,
}

/// A property in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Property {
    /// Its name.
    pub name: String,
    /// Whose it is: `KSQL`.
    pub scope: String,
    /// Its value.
    pub value: Option<String>,
    /// Whether statements may change it.
    pub editable: bool,
    /// `QUERY` or `SERVER`.
    pub level: String,
}

/// A variable in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A connector in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorInfo {
    /// Its name.
    pub name: String,
    /// `source` or `sink`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its class.
    pub class_name: String,
    /// How it does.
    pub state: String,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldInfo {
    /// Its name.
    pub name: String,
    /// Its type.
    pub schema: SchemaInfo,
    /// `KEY` or `HEADER`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The header's name, for `HEADER('name')`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_key: Option<String>,
}

/// A type, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaInfo {
    /// The base type: `STRING`, `ARRAY`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The fields of a `STRUCT`.
    pub fields: Option<Vec<FieldInfo>>,
    /// What an `ARRAY` holds, or the values of a `MAP`.
    pub member_schema: Option<Box<Self>>,
    /// `precision` and `scale` of a `DECIMAL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<BTreeMap<String, u8>>,
}

/// A stream or table at length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceDescription {
    /// Its name.
    pub name: String,
    /// `TUMBLING`, `HOPPING`, `SESSION`.
    pub window_type: Option<String>,
    /// The queries that read it.
    pub read_queries: Vec<RunningQuery>,
    /// The queries that fill it.
    pub write_queries: Vec<RunningQuery>,
    /// Its columns.
    pub fields: Vec<FieldInfo>,
    /// `STREAM` or `TABLE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The column that holds the rows' time; empty for the record's timestamp.
    pub timestamp: String,
    /// Counts, in words; empty unless it is extended.
    pub statistics: String,
    /// Failures, in words; empty unless it is extended.
    pub error_stats: String,
    /// Whether partitions and replicas are told.
    pub extended: bool,
    /// The key's format.
    pub key_format: String,
    /// The value's format.
    pub value_format: String,
    /// Its topic.
    pub topic: String,
    /// Partitions of the topic, where extended.
    pub partitions: i32,
    /// Replicas of each, where extended.
    pub replication: i32,
    /// The statement that made it.
    pub statement: String,
    /// How far queries have read it.
    pub query_offset_summaries: Vec<Value>,
    /// The streams and tables that need it.
    pub source_constraints: Vec<String>,
}
