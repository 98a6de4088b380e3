//! A `SELECT` as it was written.

use super::{Expr, Name};
use crate::parse::token::Place;

/// A `SELECT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is selected.
    pub items: Vec<SelectItem>,
    /// The first, or only, stream or table.
    pub from: Source,
    /// What it is joined with, in the order of the text.
    pub joins: Vec<Join>,
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
    /// `EMIT CHANGES`, `EMIT FINAL`. A `SELECT` by itself that has none is a pull query.
    pub emit: Option<(Emit, Place)>,
    /// `LIMIT n`.
    pub limit: Option<(u64, Place)>,
    /// Where the query stands.
    pub place: Place,
}

/// A stream or table in `FROM`.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name.
    pub name: Name,
    /// The name that its columns may be qualified with.
    pub alias: Option<Name>,
}

/// `JOIN source WITHIN … ON …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// Which rows without a partner are kept.
    pub kind: JoinKind,
    /// What is joined.
    pub source: Source,
    /// `WITHIN …`, for streams.
    pub within: Option<Within>,
    /// The condition.
    pub on: Expr,
    /// Where the join stands.
    pub place: Place,
}

/// Which rows without a partner a join keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the left side.
    Left,
    /// Those of the right side.
    Right,
    /// Those of both sides.
    Full,
}

impl JoinKind {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Inner => "INNER JOIN",
            Self::Left => "LEFT JOIN",
            Self::Right => "RIGHT JOIN",
            Self::Full => "FULL OUTER JOIN",
        }
    }
}

/// `WITHIN 10 SECONDS`, `WITHIN (5 SECONDS, 10 SECONDS) GRACE PERIOD 1 MINUTE`.
#[derive(Debug, Clone, PartialEq)]
pub struct Within {
    /// How much older than the left row the right one may be, in milliseconds.
    pub before_ms: i64,
    /// How much newer, in milliseconds.
    pub after_ms: i64,
    /// `GRACE PERIOD`, in milliseconds.
    pub grace_ms: Option<i64>,
    /// Where it stands.
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

/// `WINDOW TUMBLING|HOPPING|SESSION (…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowClause {
    /// Which window.
    pub kind: WindowKind,
    /// `RETENTION`, in milliseconds.
    pub retention_ms: Option<i64>,
    /// `GRACE PERIOD`, in milliseconds.
    pub grace_ms: Option<i64>,
    /// Where it stands.
    pub place: Place,
}

/// Which window; lengths are more than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowKind {
    /// `TUMBLING (SIZE n unit)`.
    Tumbling {
        /// Its length in milliseconds.
        size_ms: i64,
    },
    /// `HOPPING (SIZE n unit, ADVANCE BY n unit)`.
    Hopping {
        /// Its length in milliseconds.
        size_ms: i64,
        /// From the start of one to the start of the next, in milliseconds; at most the length.
        advance_ms: i64,
    },
    /// `SESSION (n unit)`.
    Session {
        /// The longest time between two rows of one session, in milliseconds.
        gap_ms: i64,
    },
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
    /// `x->*`: every field of a struct.
    Fields {
        /// The struct.
        expr: Expr,
    },
    /// An expression.
    Expr {
        /// It.
        expr: Expr,
        /// `AS name`.
        alias: Option<Name>,
    },
}
