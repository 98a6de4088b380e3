//! Expressions as they were written.

use super::{Name, TypeName};
use crate::parse::token::Place;
use millstream_format::sql::Decimal;

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

    /// The conditions that must all hold: what `AND` joins, or the expression itself.
    pub fn conjuncts(&self) -> Vec<&Self> {
        let (mut found, mut waiting) = (Vec::new(), vec![self]);
        while let Some(expr) = waiting.pop() {
            match &expr.kind {
                ExprKind::Binary { op: BinaryOp::And, left, right } => waiting.extend([&**right, left]),
                _ => found.push(expr),
            }
        }
        found
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
            | Self::Cast { operand, .. }
            | Self::Field { operand, .. }
            | Self::Lambda { body: operand, .. } => vec![operand],
            Self::Between { operand, low, high, .. } => vec![operand, low, high],
            Self::In { operand, list, .. } => std::iter::once(&**operand).chain(list).collect(),
            Self::Like { operand, pattern, .. } => vec![operand, pattern],
            Self::Case { operand, branches, otherwise } => {
                let branches = branches.iter().flat_map(|(when, then)| [when, then]);
                operand.as_deref().into_iter().chain(branches).chain(otherwise.as_deref()).collect()
            }
            Self::Call { args, .. } | Self::Array(args) => args.iter().collect(),
            Self::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            Self::Struct(fields) => fields.iter().map(|(_, value)| value).collect(),
            Self::Index { operand, index } => vec![operand, index],
        }
    }

    /// The expressions directly below, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Self::Literal(_) | Self::Column { .. } => Vec::new(),
            Self::Binary { left, right, .. } => vec![left, right],
            Self::Not(operand)
            | Self::Negate(operand)
            | Self::IsNull { operand, .. }
            | Self::Cast { operand, .. }
            | Self::Field { operand, .. }
            | Self::Lambda { body: operand, .. } => vec![operand],
            Self::Between { operand, low, high, .. } => vec![operand, low, high],
            Self::In { operand, list, .. } => std::iter::once(&mut **operand).chain(list).collect(),
            Self::Like { operand, pattern, .. } => vec![operand, pattern],
            Self::Case { operand, branches, otherwise } => {
                let branches = branches.iter_mut().flat_map(|(when, then)| [when, then]);
                operand.as_deref_mut().into_iter().chain(branches).chain(otherwise.as_deref_mut()).collect()
            }
            Self::Call { args, .. } | Self::Array(args) => args.iter_mut().collect(),
            Self::Map(entries) => entries.iter_mut().flat_map(|(key, value)| [key, value]).collect(),
            Self::Struct(fields) => fields.iter_mut().map(|(_, value)| value).collect(),
            Self::Index { operand, index } => vec![operand, index],
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
    /// With a point and without an exponent.
    Decimal(Decimal),
    /// With an exponent.
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
        to: TypeName,
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
    /// `x->name`.
    Field {
        /// The struct.
        operand: Box<Expr>,
        /// Its field.
        name: Name,
    },
    /// `x[i]`.
    Index {
        /// The array or map.
        operand: Box<Expr>,
        /// An array's place from 1 (from the end when it is negative), or a map's key.
        index: Box<Expr>,
    },
    /// `ARRAY[a, b]`.
    Array(Vec<Expr>),
    /// `MAP(k := v, …)`.
    Map(Vec<(Expr, Expr)>),
    /// `STRUCT(name := value, …)`.
    Struct(Vec<(Name, Expr)>),
    /// `x => …`, `(x, y) => …`: an argument of functions such as `TRANSFORM`.
    Lambda {
        /// The names that the body may use.
        params: Vec<Name>,
        /// What it gives.
        body: Box<Expr>,
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
