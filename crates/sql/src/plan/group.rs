//! Grouping, as it was planned: keys, windows, aggregates; and what stands before it.

use super::bind::{Binder, Context};
use super::bind_group::GroupContext;
use super::query::{Mistakes, Planner, in_a_row};
use super::query_plan::{Exchange, Fields, NullKey, PlanNode, QueryPlan, Step};
use crate::expression::{Node, NodeKind};
use crate::function::aggregate::Aggregate;
use crate::function::table::TableFunction;
use crate::limits::{DEFAULT_WINDOW_KEEP_MS, WINDOWS_PER_ROW_MAX};
use crate::parse::ast::{Emit, Query, RelationKind, WindowClause, WindowKind};
use crate::{Format, FormatSpec, SqlType};
use millstream_model::Diagnostic;

/// `GROUP BY`. Gives the columns of the key, then the start and end of the window where there is one, then one column
/// per call.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// The first of the input's columns: they make the key.
    pub(crate) key: Fields,
    pub(crate) window: Option<Window>,
    pub(crate) calls: Vec<GroupCall>,
    /// The column that says of each row whether it is taken out of its group: what [`Retract`] adds.
    pub(crate) retracted: Option<usize>,
    pub(crate) emit: Emit,
    /// `HAVING`, over the output's columns.
    pub(crate) having: Option<Node>,
}

/// What a group takes beside its key and its state: its entry, and its place in the index and in the window's list.
const ENTRY_BYTES: usize = 64;

impl Group {
    /// How many bytes a group takes at first and at most in memory, without its key.
    pub(crate) fn state_bytes(&self) -> (usize, usize) {
        let sum = |of: fn(&Aggregate) -> usize| {
            self.calls.iter().fold(ENTRY_BYTES, |sum, call| sum.saturating_add(of(&call.aggregate)))
        };
        let least = sum(|aggregate| 8 * aggregate.words() + if aggregate.holds() { 24 } else { 0 });
        (least, least.max(sum(Aggregate::state_bytes_max)))
    }
}

/// An aggregate and the input's columns that it is of; none for `COUNT(*)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupCall {
    pub(crate) aggregate: Aggregate,
    pub(crate) args: Vec<usize>,
}

/// A window that rows are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) kind: WindowKind,
    /// How late a row may come, in milliseconds.
    pub(crate) grace_ms: i64,
    /// How long the results stay in the sink's topic, in milliseconds.
    pub(crate) retention_ms: Option<i64>,
}

impl Window {
    /// The length where it is the same for all; a session has its own.
    pub(crate) const fn size_ms(&self) -> Option<i64> {
        match self.kind {
            WindowKind::Tumbling { size_ms } | WindowKind::Hopping { size_ms, .. } => Some(size_ms),
            WindowKind::Session { .. } => None,
        }
    }
}

/// What a table's rows become before they are grouped: each change takes the row before out of its group and puts the
/// new one into its own.
///
/// The input's first `fields` are the group's keys and the arguments; the columns behind them are the table's primary
/// key (and window). Gives the fields, then a `BOOLEAN` that is true for rows that are taken out.
#[derive(Debug, Clone)]
pub(crate) struct Retract {
    /// How many of the fields are the group's keys: rows where one is `NULL` are in no group.
    pub(crate) keys: usize,
    pub(crate) fields: Fields,
}

/// Table functions of one `SELECT`. Appends one column per call; each row becomes as many as the longest result has, none
/// where all are empty, and shorter ones are filled up with `NULL`.
#[derive(Debug, Clone)]
pub(crate) struct Explode {
    pub(crate) calls: Vec<TableCall>,
}

/// A call of a table function.
#[derive(Debug, Clone)]
pub(crate) struct TableCall {
    pub(crate) function: &'static TableFunction,
    pub(crate) args: Vec<Node>,
    /// The type of one row.
    pub(crate) returns: SqlType,
}

impl Planner<'_, '_> {
    /// A query with groups.
    pub(super) fn groups(&mut self) -> Option<QueryPlan> {
        let mut binder = Binder::new(self.scope);
        let mut before = self.filter(&mut binder);
        let mut keys = Vec::new();
        for expr in &self.query.group_by {
            let bound = binder.bind(expr);
            keys.push((expr, self.note(bound)?));
        }
        let retracts = self.scope.relation.kind == RelationKind::Table;
        if retracts && self.scope.identity().is_empty() {
            let place = self.query.from.name.place.clone();
            self.mistakes.push(
                Diagnostic::error("sql-key", "a table without a primary key cannot be grouped")
                    .label("the row before a change could not be found")
                    .help("declare a column as PRIMARY KEY")
                    .at(place),
            );
            return None;
        }
        let window = self.query.window.as_ref().map(|clause| self.window(clause));
        let key_types: Vec<_> = keys.iter().map(|(expr, node)| (*expr, node.sql_type)).collect();
        binder.context = Context::Groups(GroupContext::new(&key_types, window.is_some(), retracts));
        let items = self.items(&mut binder);
        let having = self.query.having.as_ref().map(|having| binder.truth(having));
        let having = having.and_then(|having| self.note(having));
        let Context::Groups(context) = std::mem::replace(&mut binder.context, Context::Rows) else {
            return None;
        };
        before.extend(std::mem::take(&mut binder.keyed).into_iter().map(Step::Keyed));
        let output = self.output(&items, &self.query.group_by.clone());
        self.check_key(&output, &self.query.group_by.clone());
        let key: Fields =
            keys.iter().enumerate().map(|(i, (_, node))| (format!("K{i}").into(), node.sql_type)).collect();
        let emit = self.query.emit.as_ref().map_or(Emit::Changes, |(emit, _)| *emit);
        let keys = keys.into_iter().map(|(_, node)| node).collect();
        let (mut nodes, retracted) = self.grouped_rows(before, &key, keys, context.args, retracts);
        let group = Group { key, window, calls: context.calls, retracted, emit, having };
        let mut results: Vec<Node> = items.into_iter().map(|item| item.node).collect();
        let mut window_start = None;
        if window.is_some() {
            window_start = Some(results.len());
            results.push(Node::new(NodeKind::Column(group.key.len()), SqlType::BigInt));
        }
        let mut window_end = None;
        if window.is_some_and(|window| window.size_ms().is_none()) {
            window_end = Some(results.len());
            results.push(Node::new(NodeKind::Column(group.key.len() + 1), SqlType::BigInt));
        }
        for step in [Step::Group(group), Step::Project(results)] {
            nodes.push(PlanNode::Step { input: nodes.len() - 1, step });
        }
        Some(QueryPlan {
            nodes,
            output,
            kind: RelationKind::Table,
            key_format: self.group_key_format(),
            window,
            window_ms: window.and_then(|window| window.size_ms()),
            window_start,
            window_end,
            limit: self.query.limit.as_ref().map(|(rows, _)| *rows),
        })
    }

    /// The nodes up to the grouping: rows of keys and arguments, in the partition of their group. For a table, also the slot
    /// of the column that says which rows are taken out.
    fn grouped_rows(
        &self,
        mut steps: Vec<Step>,
        key: &Fields,
        keys: Vec<Node>,
        args: Vec<Node>,
        retracts: bool,
    ) -> (Vec<PlanNode>, Option<usize>) {
        let arguments = args.iter().enumerate().map(|(i, node)| (format!("A{i}").into(), node.sql_type));
        let mut fields: Fields = key.iter().cloned().chain(arguments).collect();
        let mut columns: Vec<Node> = keys.into_iter().chain(args).collect();
        let mut retracted = None;
        if retracts {
            columns.extend(self.scope.identity());
            steps.push(Step::Project(columns));
            steps.push(Step::Retract(Retract { keys: key.len(), fields: fields.clone() }));
            retracted = Some(fields.len());
            fields.push(("RETRACTED".into(), SqlType::Boolean));
        } else {
            steps.push(Step::Project(columns));
        }
        let mut nodes = in_a_row(self.scope, steps);
        if !self.scope.is_key(&self.query.group_by) {
            let exchange = Exchange {
                name: "group".to_owned(),
                key_spec: FormatSpec::key(Format::Json),
                key: (0..key.len()).collect(),
                fields,
                null_key: NullKey::NoGroup,
                placed: false,
            };
            nodes.push(PlanNode::Repartition { input: nodes.len() - 1, exchange });
        }
        (nodes, retracted)
    }

    fn group_key_format(&self) -> Format {
        let source = self.scope.relation.key.format;
        self.key_format.unwrap_or(if source == Format::None { Format::Kafka } else { source })
    }

    fn window(&mut self, clause: &WindowClause) -> Window {
        let length_ms = match clause.kind {
            WindowKind::Tumbling { size_ms } | WindowKind::Hopping { size_ms, .. } => size_ms,
            WindowKind::Session { gap_ms } => gap_ms,
        };
        let grace_ms = clause.grace_ms.unwrap_or_else(|| {
            self.mistakes.push(
                Diagnostic::warning("sql-grace", "windows are kept open for 24 hours")
                    .label("no GRACE PERIOD is given")
                    .help("add GRACE PERIOD 10 SECONDS (how late a row may come) to use less memory")
                    .at(clause.place.clone()),
            );
            DEFAULT_WINDOW_KEEP_MS.saturating_sub(length_ms).max(0)
        });
        let needed_ms = length_ms.saturating_add(grace_ms);
        if clause.grace_ms.is_some()
            && clause.retention_ms.is_some_and(|retention_ms| retention_ms < needed_ms)
        {
            self.mistakes.push(
                Diagnostic::error("sql-window", "RETENTION is shorter than a window with its grace period")
                    .label(format!("expected {needed_ms} milliseconds or more"))
                    .help("make RETENTION longer, or leave it out")
                    .at(clause.place.clone()),
            );
        }
        if let WindowKind::Hopping { size_ms, advance_ms } = clause.kind
            && size_ms / advance_ms.max(1) > WINDOWS_PER_ROW_MAX
        {
            self.mistakes.push(
                Diagnostic::error("sql-window", "a row would be in too many windows")
                    .label(format!(
                        "{} of them, {WINDOWS_PER_ROW_MAX} are the most",
                        size_ms / advance_ms.max(1)
                    ))
                    .help("make ADVANCE BY longer")
                    .at(clause.place.clone()),
            );
        }
        Window { kind: clause.kind, grace_ms, retention_ms: clause.retention_ms }
    }
}

/// What grouping does not go with.
pub(super) fn check_grouping(query: &Query, kind: RelationKind, mistakes: &mut Mistakes) {
    if let (Some(window), RelationKind::Table) = (&query.window, kind) {
        mistakes.push(
            Diagnostic::error("sql-window", "a table has no windows: it is what is now")
                .label("not possible over a table")
                .help("group the stream that the table is made of, or leave WINDOW out")
                .at(window.place.clone()),
        );
    }
}
