//! Statements and expressions as they were written, with places.

use super::token::Place;
use crate::SqlType;

/// A name: upper case, or as written where it was quoted.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// One statement with its place, without the semicolon.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What it says.
    pub kind: StatementKind,
    /// Where it stands.
    pub place: Place,
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
    /// `DESCRIBE name`.
    Describe(Name),
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
    /// `TERMINATE id`; `None` for `ALL`.
    Terminate(Option<Name>),
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
}

/// What `SHOW` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Streams.
    Streams,
    /// Tables.
    Tables,
    /// Queries.
    Queries,
    /// Topics.
    Topics,
    /// Functions.
    Functions,
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
    /// `OR REPLACE`, `IF NOT EXISTS`.
    pub on_existing: OnExisting,
    /// Its name.
    pub name: Name,
    /// Its columns.
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
    pub sql_type: SqlType,
    /// `KEY`, `PRIMARY KEY`, or neither.
    pub key: KeyWord,
}

/// What makes a column part of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyWord {
    /// Not part of the key.
    Value,
    /// `KEY`, for streams.
    Key,
    /// `PRIMARY KEY`, for tables.
    PrimaryKey,
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

/// A `SELECT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is selected.
    pub items: Vec<SelectItem>,
    /// From where.
    pub from: Name,
    /// The name that columns may be qualified with.
    pub alias: Option<Name>,
    /// `WINDOW …`.
    pub window: Option<WindowClause>,
    /// `WHERE …`.
    pub filter: Option<Expr>,
    /// `GROUP BY …`.
    pub group_by: Vec<Expr>,
    /// `PARTITION BY …`.
    pub partition_by: Vec<Expr>,
    /// `HAVING …`.
    pub having: Option<Expr>,
    /// `EMIT CHANGES`, `EMIT FINAL`.
    pub emit: Option<(Emit, Place)>,
    /// `LIMIT n`.
    pub limit: Option<(u64, Place)>,
    /// Where the query stands.
    pub place: Place,
}

/// When results are sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Emit {
    /// With every change.
    Changes,
    /// Once, when a window is closed.
    Final,
}

/// `WINDOW TUMBLING (…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowClause {
    /// Length in milliseconds.
    pub size_ms: i64,
    /// `RETENTION`, in milliseconds.
    pub retention_ms: Option<i64>,
    /// `GRACE PERIOD`, in milliseconds.
    pub grace_ms: Option<i64>,
    /// Where it stands.
    pub place: Place,
}

/// One item of a `SELECT` list.
#[derive(Debug, Clone, PartialEq)]
pub enum SelectItem {
    /// `*`, or `s.*`.
    All {
        /// What stands before the star.
        qualifier: Option<Name>,
        /// Where it stands.
        place: Place,
    },
    /// An expression.
    Expr {
        /// It.
        expr: Expr,
        /// `AS name`.
        alias: Option<Name>,
    },
}

/// An expression with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub place: Place,
    /// How many levels it has; bounded by the parser, so that whoever walks it may recurse.
    pub height: usize,
}

impl Expr {
    /// An expression of `kind` at `place`.
    pub fn new(kind: ExprKind, place: Place) -> Self {
        let height = 1 + kind.children().into_iter().map(|child| child.height).max().unwrap_or(0);
        Self { kind, place, height }
    }
}

impl ExprKind {
    /// The expressions directly below.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Self::Literal(_) | Self::Column { .. } => Vec::new(),
            Self::Binary { left, right, .. } => vec![left, right],
            Self::Not(operand)
            | Self::Negate(operand)
            | Self::IsNull { operand, .. }
            | Self::Cast { operand, .. } => vec![operand],
            Self::Between { operand, low, high, .. } => vec![operand, low, high],
            Self::In { operand, list, .. } => std::iter::once(&**operand).chain(list).collect(),
            Self::Like { operand, pattern, .. } => vec![operand, pattern],
            Self::Case { operand, branches, otherwise } => {
                let branches = branches.iter().flat_map(|(when, then)| [when, then]);
                operand.as_deref().into_iter().chain(branches).chain(otherwise.as_deref()).collect()
            }
            Self::Call { args, .. } => args.iter().collect(),
        }
    }
}

/// A value written down.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `NULL`.
    Null,
    /// `TRUE`, `FALSE`.
    Boolean(bool),
    /// Fits 32 bits.
    Int(i32),
    /// Fits 64 bits.
    BigInt(i64),
    /// With a point or an exponent.
    Double(f64),
    /// In single quotes.
    Text(String),
}

/// What expressions there are.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A value.
    Literal(Literal),
    /// A column, perhaps qualified.
    Column {
        /// What stands before the point.
        qualifier: Option<Name>,
        /// The column.
        name: Name,
    },
    /// `left op right`.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Its left side.
        left: Box<Expr>,
        /// Its right side.
        right: Box<Expr>,
    },
    /// `NOT x`.
    Not(Box<Expr>),
    /// `-x`.
    Negate(Box<Expr>),
    /// `x IS [NOT] NULL`.
    IsNull {
        /// What is looked at.
        operand: Box<Expr>,
        /// `NOT`.
        negated: bool,
    },
    /// `x [NOT] BETWEEN low AND high`.
    Between {
        /// What is looked at.
        operand: Box<Expr>,
        /// Lower bound, included.
        low: Box<Expr>,
        /// Upper bound, included.
        high: Box<Expr>,
        /// `NOT`.
        negated: bool,
    },
    /// `x [NOT] IN (…)`.
    In {
        /// What is looked at.
        operand: Box<Expr>,
        /// The list.
        list: Vec<Expr>,
        /// `NOT`.
        negated: bool,
    },
    /// `x [NOT] LIKE pattern [ESCAPE c]`.
    Like {
        /// What is looked at.
        operand: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// The escape character.
        escape: Option<char>,
        /// `NOT`.
        negated: bool,
    },
    /// `CASE …`, both forms.
    Case {
        /// The operand of the simple form.
        operand: Option<Box<Expr>>,
        /// `WHEN … THEN …`.
        branches: Vec<(Expr, Expr)>,
        /// `ELSE …`.
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST(x AS type)`.
    Cast {
        /// What is cast.
        operand: Box<Expr>,
        /// To which type.
        to: SqlType,
    },
    /// `f(a, b)`; `COUNT(*)` has no arguments and `star`.
    Call {
        /// The function.
        name: Name,
        /// Its arguments.
        args: Vec<Expr>,
        /// Whether the argument is `*`.
        star: bool,
    },
}

/// Binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `=`
    Equal,
    /// `<>`, `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `IS DISTINCT FROM`
    Distinct,
    /// `IS NOT DISTINCT FROM`
    NotDistinct,
    /// `AND`
    And,
    /// `OR`
    Or,
}

impl BinaryOp {
    /// As it is written.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Distinct => "IS DISTINCT FROM",
            Self::NotDistinct => "IS NOT DISTINCT FROM",
            Self::And => "AND",
            Self::Or => "OR",
        }
    }
}
