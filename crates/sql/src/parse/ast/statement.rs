//! Statements as they were written.

use super::{Expr, Name, Query, TypeName};
use crate::parse::token::Place;

/// One statement with its place, without the semicolon.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What it says.
    pub kind: StatementKind,
    /// Where it stands.
    pub place: Place,
    /// Its text with the session's variables put in, where it has any.
    pub text: Option<String>,
}

/// What statements there are.
#[derive(Debug, Clone, PartialEq)]
pub enum StatementKind {
    /// `CREATE STREAM|TABLE name (columns) WITH (…)`.
    Declare(Declare),
    /// `CREATE STREAM|TABLE name WITH (…) AS SELECT …`.
    CreateAs(CreateAs),
    /// `INSERT INTO name SELECT …`.
    InsertSelect {
        /// Where the rows go.
        target: Name,
        /// `WITH (QUERY_ID='…')`.
        options: Vec<WithOption>,
        /// The query.
        query: Query,
    },
    /// `INSERT INTO name (columns) VALUES (…)`.
    InsertValues {
        /// Where the row goes.
        target: Name,
        /// The columns; empty for all in their order.
        columns: Vec<Name>,
        /// One value per column.
        values: Vec<Expr>,
    },
    /// `SELECT … EMIT CHANGES`.
    Select(Query),
    /// `SHOW …`, `LIST …`.
    Show(Show),
    /// `DESCRIBE name [EXTENDED]`.
    Describe {
        /// Which stream or table.
        name: Name,
        /// `EXTENDED`: with the queries that read and write it, and statistics.
        extended: bool,
    },
    /// `DESCRIBE STREAMS|TABLES [EXTENDED]`.
    DescribeAll {
        /// Streams or tables.
        kind: RelationKind,
        /// `EXTENDED`.
        extended: bool,
    },
    /// `DESCRIBE CONNECTOR name`.
    DescribeConnector(Name),
    /// `DESCRIBE FUNCTION name`.
    DescribeFunction(Name),
    /// `DROP STREAM|TABLE name`.
    Drop {
        /// Stream or table.
        kind: RelationKind,
        /// Whether a missing one is no mistake.
        if_exists: bool,
        /// Which.
        name: Name,
        /// Whether its topic goes, too.
        delete_topic: bool,
    },
    /// `DROP TYPE name`.
    DropType {
        /// Which.
        name: Name,
        /// Whether a missing one is no mistake.
        if_exists: bool,
    },
    /// `DROP CONNECTOR name`.
    DropConnector {
        /// Which.
        name: Name,
        /// Whether a missing one is no mistake.
        if_exists: bool,
    },
    /// `ALTER STREAM|TABLE name ADD [COLUMN] column type, …`.
    Alter {
        /// Stream or table.
        kind: RelationKind,
        /// Which.
        name: Name,
        /// The columns to add.
        columns: Vec<ColumnDeclaration>,
    },
    /// `TERMINATE id`; `None` for `ALL`.
    Terminate(Option<Name>),
    /// `PAUSE id`; `None` for `ALL`.
    Pause(Option<Name>),
    /// `RESUME id`; `None` for `ALL`.
    Resume(Option<Name>),
    /// `EXPLAIN id`.
    ExplainQuery(Name),
    /// `EXPLAIN statement`.
    Explain(Box<Statement>),
    /// `SET 'name' = 'value'`.
    Set {
        /// The property.
        name: String,
        /// Its value; `None` for `UNSET`.
        value: Option<String>,
        /// Where the property stands.
        place: Place,
    },
    /// `CREATE TYPE name AS type`.
    CreateType {
        /// Its name.
        name: Name,
        /// Whether an existing one stays.
        if_not_exists: bool,
        /// What it says.
        sql_type: TypeName,
    },
    /// `CREATE SOURCE|SINK CONNECTOR name WITH (…)`.
    CreateConnector {
        /// Source or sink.
        kind: ConnectorKind,
        /// Its name.
        name: Name,
        /// Whether an existing one stays.
        if_not_exists: bool,
        /// Its properties; names as written.
        options: Vec<WithOption>,
    },
    /// `PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n]`.
    Print {
        /// The topic, as written.
        topic: Name,
        /// `FROM BEGINNING`: what is there already comes first.
        from_beginning: bool,
        /// `INTERVAL n`: only every n-th record.
        interval: Option<(u64, Place)>,
        /// `LIMIT n`: it ends behind so many records.
        limit: Option<(u64, Place)>,
    },
    /// `DEFINE name = 'value'`.
    Define {
        /// The variable, as written.
        name: Name,
        /// Its value.
        value: String,
    },
    /// `UNDEFINE name`.
    Undefine(Name),
    /// `ASSERT [NOT EXISTS] TOPIC|SCHEMA …`.
    Assert {
        /// Whether it must be there, or must not (`NOT EXISTS`).
        exists: bool,
        /// What.
        what: Assertion,
        /// How long it is waited for, in milliseconds.
        timeout_ms: i64,
    },
    /// `RUN SCRIPT 'file'`: whoever has the file puts its text in its place.
    RunScript(Name),
}

/// What `SHOW` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Streams.
    Streams {
        /// Each as `DESCRIBE EXTENDED` shows it.
        extended: bool,
    },
    /// Tables.
    Tables {
        /// Each as `DESCRIBE EXTENDED` shows it.
        extended: bool,
    },
    /// Queries.
    Queries {
        /// Each as `EXPLAIN` shows it.
        extended: bool,
    },
    /// Topics.
    Topics {
        /// Those of the system, too.
        all: bool,
        /// With the groups that read them.
        extended: bool,
    },
    /// Functions.
    Functions,
    /// What `CREATE TYPE` made.
    Types,
    /// What `DEFINE` made.
    Variables,
    /// What `SET` may change, and what it is.
    Properties,
    /// Connectors; `None` for sources and sinks.
    Connectors(Option<ConnectorKind>),
    /// The kinds of connectors that may be made.
    ConnectorPlugins,
}

/// Where a connector's records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectorKind {
    /// From another system into topics.
    Source,
    /// From topics into another system.
    Sink,
}

impl ConnectorKind {
    /// In upper case, as it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Source => "SOURCE",
            Self::Sink => "SINK",
        }
    }
}

/// What `ASSERT` looks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Assertion {
    /// `TOPIC name [WITH (PARTITIONS=…, REPLICAS=…)]`.
    Topic {
        /// Its name, as written.
        name: Name,
        /// What must be so of it.
        options: Vec<WithOption>,
    },
    /// `SCHEMA [SUBJECT name] [ID n]`.
    Schema {
        /// The subject, as written.
        subject: Option<Name>,
        /// The schema's id.
        id: Option<(u32, Place)>,
    },
}

/// A stream (every row is an event) or a table (the newest row of each key counts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RelationKind {
    /// A stream.
    Stream,
    /// A table.
    Table,
}

impl RelationKind {
    /// In lower case, for sentences.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Table => "table",
        }
    }
}

/// How `CREATE` treats an existing relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExisting {
    /// It is a mistake.
    #[default]
    Refuse,
    /// `OR REPLACE`.
    Replace,
    /// `IF NOT EXISTS`.
    Keep,
}

/// `CREATE STREAM|TABLE` over a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Declare {
    /// Stream or table.
    pub kind: RelationKind,
    /// `SOURCE`: it can only be read, and, where it is a table, be asked with pull queries.
    pub source: bool,
    /// `OR REPLACE`, `IF NOT EXISTS`.
    pub on_existing: OnExisting,
    /// Its name.
    pub name: Name,
    /// Its columns; empty where the registry knows them.
    pub columns: Vec<ColumnDeclaration>,
    /// `WITH (…)`.
    pub options: Vec<WithOption>,
}

/// One column of a `CREATE`.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDeclaration {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub sql_type: TypeName,
    /// Where in the record it stands.
    pub key: KeyWord,
}

/// Where in the record a column stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyWord {
    /// In the value.
    Value,
    /// `KEY`, for streams.
    Key,
    /// `PRIMARY KEY`, for tables.
    PrimaryKey,
    /// `HEADERS`: all headers.
    Headers,
    /// `HEADER('name')`: the last header of this name.
    Header(String),
}

impl KeyWord {
    /// Whether it stands in the record's key.
    pub const fn is_key(&self) -> bool {
        matches!(self, Self::Key | Self::PrimaryKey)
    }
}

/// `CREATE … AS SELECT`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateAs {
    /// Stream or table.
    pub kind: RelationKind,
    /// `OR REPLACE`, `IF NOT EXISTS`.
    pub on_existing: OnExisting,
    /// Its name.
    pub name: Name,
    /// `WITH (…)`.
    pub options: Vec<WithOption>,
    /// The query.
    pub query: Query,
}

/// `NAME = value` inside `WITH (…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct WithOption {
    /// The option in upper case.
    pub name: Name,
    /// Its value: a text, a number or a word, all as text.
    pub value: String,
    /// Where the value stands.
    pub place: Place,
}
