//! The typed plan of one query: what is read, which steps it goes through, what is written.

pub(crate) use super::group::{Explode, Group, Retract, Window};
use crate::expression::Node;
use crate::function::keyed::KeyedFunction;
use crate::parse::ast::JoinKind;
use crate::{Format, FormatSpec, Header, Relation, RelationKind, SqlType};
pub(crate) use millstream_format::sql::Columns as Fields;
use millstream_format::sql::Layout;
use std::sync::Arc;

/// How records of a topic become batches: only the columns that the query needs.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    pub(crate) topic: Arc<str>,
    pub(crate) kind: RelationKind,
    /// `None` where no key column is wanted.
    pub(crate) key: Option<Layout>,
    pub(crate) value: Layout,
    /// What the batch's columns are.
    pub(crate) columns: Vec<ScanColumn>,
    /// What the columns over headers are.
    pub(crate) headers: Vec<Header>,
    /// The length of the windows in the key, in milliseconds.
    pub(crate) window_ms: Option<i64>,
    /// Whether the key has a session: its end and its start.
    pub(crate) session: bool,
    /// Which of `value` holds the rows' time.
    pub(crate) timestamp: Option<usize>,
    /// How a `VARCHAR` holds it.
    pub(crate) timestamp_format: Option<Arc<str>>,
    /// How many partitions the topic gets where it has to be made.
    pub(crate) partitions: Option<i32>,
    /// Whether the topic is one of the query's own, written by [`Exchange`]; only the value is read then.
    pub(crate) internal: bool,
}

/// One column of a scanned batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanColumn {
    Key(usize),
    Value(usize),
    /// One of [`Scan::headers`].
    Header(usize),
    RowTime,
    RowPartition,
    RowOffset,
    WindowStart,
    WindowEnd,
}

/// One step between reading and writing.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Appends the column of a function with a memory per key.
    Keyed(Keyed),
    /// Keeps the rows where it is true. In a table, the others delete their key.
    Filter(Node),
    /// Replaces the columns.
    Project(Vec<Node>),
    /// Appends the columns of table functions.
    Explode(Explode),
    /// Turns a table's changes into rows that are taken out of groups and put into them.
    Retract(Retract),
    /// Groups rows.
    Group(Group),
    /// Numbers the changes of a foreign-key join's left table.
    Subscribe(Subscribe),
    /// Keeps those answers of a foreign-key join that were not overtaken.
    Resolve(Resolve),
}

/// A join of two inputs: gives the kept columns of the left one, then of the right one, then the key where it says so.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    /// The name of its state, unique in the query.
    pub(crate) name: String,
    pub(crate) kind: JoinKind,
    pub(crate) method: JoinMethod,
    pub(crate) left: Side,
    pub(crate) right: Side,
    pub(crate) key_types: Vec<SqlType>,
    /// Whether the columns of the join key follow those of both sides.
    pub(crate) gives_key: bool,
    /// Of a foreign-key join: where the left table's primary key stands among the kept columns.
    pub(crate) primary: Vec<usize>,
}

/// One input of a join.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    /// The columns that must be equal to those of the other side.
    pub(crate) key: Vec<usize>,
    /// The columns that are needed behind the join.
    pub(crate) keep: Vec<usize>,
    /// Their names and types.
    pub(crate) fields: Fields,
}

/// How a join works; times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinMethod {
    /// Both sides are streams: the right row is at most `before_ms` older and `after_ms` newer than the left one.
    Streams { before_ms: i64, after_ms: i64, grace_ms: i64 },
    /// A stream looks up a table.
    StreamTable,
    /// Tables with the same primary key.
    Tables,
    /// Tables, the left one with a foreign key.
    Foreign,
}

/// Sends rows of the left table of a foreign-key join to where their foreign key is.
#[derive(Debug, Clone)]
pub(crate) struct Subscribe {
    pub(crate) name: String,
    /// The columns that are the primary key.
    pub(crate) primary: Vec<usize>,
    /// The columns that are the foreign key.
    pub(crate) foreign: Vec<usize>,
    /// All columns of the input.
    pub(crate) fields: Fields,
}

/// Takes the answers to them.
#[derive(Debug, Clone)]
pub(crate) struct Resolve {
    pub(crate) name: String,
    /// The columns that are the primary key.
    pub(crate) primary: Vec<usize>,
    pub(crate) primary_types: Vec<SqlType>,
    /// The column that says which change is answered.
    pub(crate) number: usize,
    /// The column with its marks.
    pub(crate) mark: usize,
}

impl Join {
    /// The types of the columns that it gives.
    pub(crate) fn types(&self) -> impl Iterator<Item = SqlType> {
        let key = if self.gives_key { self.key_types.as_slice() } else { &[] };
        self.left
            .fields
            .iter()
            .chain(&self.right.fields)
            .map(|(_, sql_type)| *sql_type)
            .chain(key.iter().copied())
    }
}

/// A call of a function with a memory.
#[derive(Debug, Clone)]
pub(crate) struct Keyed {
    pub(crate) function: &'static KeyedFunction,
    pub(crate) args: Vec<Node>,
    /// Which columns are the key that it remembers by.
    pub(crate) key: Vec<usize>,
}

/// How batches become records.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) relation: Arc<Relation>,
    /// Which columns are the key, in the order of the relation's key columns.
    pub(crate) key: Vec<usize>,
    /// Which columns are the value, in the order of the relation's value columns.
    pub(crate) value: Vec<usize>,
    /// The column that holds the window's start, where the key has one.
    pub(crate) window_start: Option<usize>,
    /// The column that holds the session's end, where the key has one.
    pub(crate) window_end: Option<usize>,
    /// The column that becomes the records' time.
    pub(crate) timestamp: Option<usize>,
}

/// A query: nodes, each behind those that it takes its rows from. The last one gives the result.
#[derive(Debug, Clone)]
pub(crate) struct QueryPlan {
    pub(crate) nodes: Vec<PlanNode>,
    /// The names and types of the result's columns, which are the first of the last node's; those of the key are marked.
    pub(crate) output: Vec<OutputColumn>,
    /// Whether the result is a stream or a table.
    pub(crate) kind: RelationKind,
    /// The key's format where the statement does not say one.
    pub(crate) key_format: Format,
    /// The window that the query groups by.
    pub(crate) window: Option<Window>,
    /// The length of the windows in the result's key, in milliseconds.
    pub(crate) window_ms: Option<i64>,
    /// The column of the last node that holds the window's start.
    pub(crate) window_start: Option<usize>,
    /// The column of the last node that holds the session's end, where the result's key has a session.
    pub(crate) window_end: Option<usize>,
    pub(crate) limit: Option<u64>,
}

/// One node of a query. Numbers of inputs are places in [`QueryPlan::nodes`].
#[derive(Debug, Clone)]
pub(crate) enum PlanNode {
    /// Reads a topic.
    Scan(Scan),
    /// Does something to the rows of one input.
    Step { input: usize, step: Step },
    /// Joins two inputs.
    Join { left: usize, right: usize, join: Join },
    /// Sends rows to the partition of their key, where they are not there anyway.
    Repartition { input: usize, exchange: Exchange },
}

/// Rows on their way to the partition of a key: through a topic of their own, unless all is one partition.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// A word for its topic's name, unique in the query.
    pub(crate) name: String,
    /// Which columns are the key.
    pub(crate) key: Vec<usize>,
    /// How the key is written, so that its partition is the same as in the topic that it must meet.
    pub(crate) key_spec: FormatSpec,
    /// All columns.
    pub(crate) fields: Fields,
    /// What happens to rows whose key is `NULL`.
    pub(crate) null_key: NullKey,
    /// Whether rows are where they belong already if the topics that meet have equally many partitions.
    pub(crate) placed: bool,
}

/// What happens to rows without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NullKey {
    /// They are in no group: left out, and said.
    NoGroup,
    /// They join nothing, and are left out.
    NoMatch,
    /// They stay in their partition.
    Stays,
}

impl NullKey {
    /// What is said of a row whose key has `NULL` in its column of this number, from 1 on.
    pub(crate) fn message(self, column: usize) -> String {
        match self {
            Self::NoGroup => format!("group key {column} is NULL; the row is in no group"),
            Self::NoMatch | Self::Stays => format!("key {column} is NULL; the row matches nothing"),
        }
    }
}

impl QueryPlan {
    /// What the query reads.
    pub(crate) fn scans(&self) -> impl Iterator<Item = &Scan> {
        self.nodes.iter().filter_map(|node| if let PlanNode::Scan(scan) = node { Some(scan) } else { None })
    }

    /// The topics that it reads, each once.
    pub(crate) fn topics(&self) -> Vec<Arc<str>> {
        let mut topics: Vec<_> = self.scans().map(|scan| scan.topic.clone()).collect();
        topics.sort();
        topics.dedup();
        topics
    }

    /// Whether it reads this topic.
    pub(crate) fn reads(&self, topic: &str) -> bool {
        self.scans().any(|scan| *scan.topic == *topic)
    }

    /// Whether each node gives a stream or a table.
    pub(crate) fn kinds(&self) -> Vec<RelationKind> {
        let mut kinds: Vec<RelationKind> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let of = |input: &usize| kinds.get(*input).copied().unwrap_or(RelationKind::Stream);
            kinds.push(match node {
                PlanNode::Scan(scan) => scan.kind,
                PlanNode::Step { step: Step::Group(_), .. } => RelationKind::Table,
                PlanNode::Step { step: Step::Retract(_), .. } => RelationKind::Stream,
                PlanNode::Join { left, .. } => of(left),
                PlanNode::Step { input, .. } | PlanNode::Repartition { input, .. } => of(input),
            });
        }
        kinds
    }
}

/// One column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputColumn {
    pub(crate) name: Arc<str>,
    pub(crate) sql_type: SqlType,
    /// Its place among the key's columns.
    pub(crate) key: Option<usize>,
}

/// One row to append: values as expressions without columns, in the order of the relation's key and value columns.
#[derive(Debug, Clone)]
pub(crate) struct Insert {
    pub(crate) relation: Arc<Relation>,
    pub(crate) key: Vec<Node>,
    pub(crate) value: Vec<Node>,
    /// The row's time; now where it is not given.
    pub(crate) time: Option<Node>,
}

/// A query that fills a relation.
#[derive(Debug, Clone)]
pub(crate) struct PersistentQuery {
    pub(crate) id: Arc<str>,
    pub(crate) sql: String,
    pub(crate) plan: Arc<QueryPlan>,
    pub(crate) sink: Arc<Sink>,
}
