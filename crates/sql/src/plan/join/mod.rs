//! `FROM … JOIN …`: which rows meet where, and what is known of the result.
//!
//! Joins are taken in the order of the text, each with what the ones before it give. A side whose rows are not in the
//! partition of the join key is sent there through a repartition topic; topics that have different numbers of partitions
//! are brought together in the same way.
mod condition;
mod foreign;
mod meet;

use super::bind::{Binder, type_of};
use super::query::{Mistakes, no_relation};
use super::query_plan::{
    Exchange, Fields, Join, JoinMethod, NullKey, PlanNode, Resolve, ScanColumn, Side, Step, Subscribe,
};
use super::scope::{Scope, Source};
use crate::expression::{Node, NodeKind};
use crate::parse::ast::{Expr, Join as Clause, JoinKind, Query};
use crate::{Catalog, ColumnSpec, FormatSpec, Relation, RelationKind, SqlType};
use millstream_model::{Diagnostic, Severity};
use std::sync::Arc;

/// The scope of a query over several relations; `None` where there are mistakes.
pub(super) fn scope(catalog: &Catalog, query: &Query, mistakes: &mut Mistakes) -> Option<Scope> {
    let before = mistakes.len();
    let mut sources = Vec::new();
    for named in std::iter::once(&query.from).chain(query.joins.iter().map(|join| &join.source)) {
        match catalog.find(&named.name.text) {
            Some(relation) => sources.push(Source::new(relation, named, query, false)),
            None => mistakes.push(no_relation(catalog, &named.name)),
        }
    }
    if sources.len() <= query.joins.len() {
        return None;
    }
    check_names(query, &sources, mistakes);
    if mistakes.len() > before {
        return None;
    }
    let sources: Arc<[Source]> = sources.into();
    let mut planner = Joins { sources, nodes: Vec::new(), scans: Vec::new(), mistakes };
    let mut left = planner.source(0)?;
    for (index, clause) in query.joins.iter().enumerate() {
        let right = planner.source(index + 1)?;
        left = planner.join(left, right, clause, index)?;
    }
    let errors = |mistake: &Diagnostic| mistake.severity == Severity::Error;
    if planner.mistakes[before..].iter().any(errors) { None } else { Some(planner.finish(left)) }
}

/// Every source must be told from the others, and a topic has one meaning.
fn check_names(query: &Query, sources: &[Source], mistakes: &mut Mistakes) {
    for (index, source) in sources.iter().enumerate() {
        let place = index.checked_sub(1).and_then(|join| query.joins.get(join)).map_or_else(
            || query.from.name.place.clone(),
            |join| join.source.alias.as_ref().unwrap_or(&join.source.name).place.clone(),
        );
        let others = sources.get(..index).unwrap_or_default();
        if others.iter().any(|other| other.name() == source.name()) {
            let message = format!("`{}` is joined twice under one name", source.name());
            mistakes.push(
                Diagnostic::error("sql-join", message)
                    .label("the second time")
                    .help(format!("give each a name of its own: {} AS A JOIN {0} AS B", source.relation.name))
                    .at(place),
            );
        } else if let Some(other) = others
            .iter()
            .find(|o| o.relation.topic == source.relation.topic && o.relation.name != source.relation.name)
        {
            let (a, b) = (&other.relation.name, &source.relation.name);
            mistakes.push(
                Diagnostic::error("sql-join", format!("`{a}` and `{b}` are over the same topic"))
                    .label(format!("topic {}", source.relation.topic))
                    .help(format!("join `{a}` with itself, or copy one of them into a topic of its own"))
                    .at(place),
            );
        }
    }
}

/// How rows are spread over partitions: by a key of these types, written like this.
#[derive(Debug, Clone, PartialEq)]
struct Spread {
    spec: FormatSpec,
    types: Vec<SqlType>,
}

/// A part of the key of what was joined so far.
#[derive(Debug, Clone)]
struct KeyPart {
    /// The columns, as source and name, that join conditions may name for it.
    same: Vec<(usize, Arc<str>)>,
    /// The columns that may stand for it in a result, best first; none where the join makes a column of its own.
    viable: Vec<(usize, Arc<str>)>,
    /// The columns of an outer join's other side: they equal it wherever they have a value.
    other: Vec<(usize, Arc<str>)>,
    sql_type: SqlType,
    /// Where its value is.
    slot: usize,
}

/// What was joined so far, or one source.
#[derive(Debug, Clone)]
struct Joined {
    node: usize,
    kind: RelationKind,
    columns: Vec<(Arc<str>, SqlType, ScanColumn)>,
    owners: Vec<Option<usize>>,
    key: Vec<KeyPart>,
    spread: Option<Spread>,
    window_ms: Option<i64>,
    session: bool,
    /// Where the start and end of the window are.
    window: Vec<usize>,
    key_spec: FormatSpec,
}

/// One side of a condition, bound.
struct Operand {
    node: Node,
    /// The column that it is, where it is nothing else.
    column: Option<(usize, Arc<str>)>,
}

struct Joins<'m> {
    sources: Arc<[Source]>,
    nodes: Vec<PlanNode>,
    /// The scans so far, by relation: one that is joined with itself is read once.
    scans: Vec<(Arc<str>, usize)>,
    mistakes: &'m mut Mistakes,
}

impl Joins<'_> {
    fn refuse<T>(
        &mut self,
        message: String,
        label: &str,
        help: &str,
        place: &std::ops::Range<usize>,
    ) -> Option<T> {
        let mistake = Diagnostic::error("sql-join", message).label(label).help(help).at(place.clone());
        self.mistakes.push(mistake);
        None
    }

    fn push(&mut self, node: PlanNode) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// What a source gives. One that is there twice is read once, with the columns that either needs.
    fn source(&mut self, index: usize) -> Option<Joined> {
        let source = self.sources.get(index)?.clone();
        let relation = &source.relation;
        let known = self.scans.iter().find(|(name, _)| *name == relation.name).map(|(_, node)| *node);
        // What is read twice is read once, with the columns that either needs.
        let mut all = self.sources.iter().find(|other| other.relation.name == relation.name)?.clone();
        self.sources.iter().filter(|o| o.relation.name == relation.name).for_each(|twin| all.widen(twin));
        let node = known.unwrap_or_else(|| {
            let node = self.push(PlanNode::Scan(all.scan()));
            self.scans.push((relation.name.clone(), node));
            node
        });
        let columns: Vec<_> = all.columns.iter().map(|n| (n.name.clone(), n.sql_type, n.column)).collect();
        let slot = |wanted: ScanColumn| columns.iter().position(|(_, _, column)| *column == wanted);
        let mut key = Vec::new();
        for (part, (name, sql_type)) in relation.key_columns().into_iter().enumerate() {
            let column = vec![(index, name)];
            key.push(KeyPart {
                same: column.clone(),
                viable: column,
                other: Vec::new(),
                sql_type,
                slot: slot(ScanColumn::Key(part))?,
            });
        }
        let layout = relation.key_layout();
        let types = key.iter().map(|part: &KeyPart| part.sql_type).collect();
        let bounds = [ScanColumn::WindowStart, ScanColumn::WindowEnd];
        Some(Joined {
            node,
            kind: relation.kind,
            owners: vec![Some(index); columns.len()],
            key,
            spread: layout.map(|layout| Spread { spec: layout.spec, types }),
            window_ms: relation.window_ms,
            session: relation.session,
            window: bounds.into_iter().filter_map(slot).collect(),
            key_spec: relation.key.clone(),
            columns,
        })
    }

    fn scope_of(&self, joined: &Joined) -> Option<Scope> {
        Some(Scope {
            relation: self.sources.first()?.relation.clone(),
            columns: joined.columns.clone(),
            owners: joined.owners.clone(),
            sources: self.sources.clone(),
            nodes: Vec::new(),
            join_key: Vec::new(),
            join_same: Vec::new(),
        })
    }

    fn join(&mut self, left: Joined, right: Joined, clause: &Clause, index: usize) -> Option<Joined> {
        self.check_kinds(&left, &right, clause)?;
        let pairs = self.condition(&left, &right, clause, index)?;
        if right.kind == RelationKind::Table {
            let pairs = self.on_primary_key(&right, pairs, clause)?;
            let on_left_key = is_key(&left, pairs.iter().map(|(left, _)| left));
            if left.kind == RelationKind::Table && !on_left_key {
                return self.foreign(left, right, pairs, clause, index);
            }
            return self.equal(left, right, pairs, clause, index);
        }
        let pairs = condition::in_key_order(&left, &right, pairs);
        self.equal(left, right, pairs, clause, index)
    }

    fn check_kinds(&mut self, left: &Joined, right: &Joined, clause: &Clause) -> Option<()> {
        use RelationKind::{Stream, Table};
        let place = &clause.place;
        match (left.kind, right.kind) {
            (Table, Stream) => {
                let help = "name the stream first: FROM stream JOIN table ON …";
                return self.refuse(
                    "a table cannot look up a stream".into(),
                    "a table joined with a stream",
                    help,
                    place,
                );
            }
            (Stream, Stream) if clause.within.is_none() => {
                let help = "write WITHIN 10 SECONDS GRACE PERIOD 5 SECONDS behind the stream's name";
                return self.refuse(
                    "streams are joined within a time".into(),
                    "WITHIN is missing",
                    help,
                    place,
                );
            }
            (Stream, Table) if matches!(clause.kind, JoinKind::Right | JoinKind::Full) => {
                let message = format!("a stream and a table have no {}", clause.kind.word());
                let help = "use JOIN or LEFT JOIN: results come with the stream's rows only";
                return self.refuse(message, "not possible with a table", help, place);
            }
            _ => {}
        }
        if let Some(within) = clause.within.as_ref().filter(|_| right.kind == Table) {
            let help = "leave WITHIN out: a table is what it is now";
            return self.refuse(
                "WITHIN is for two streams".into(),
                "one of them is a table",
                help,
                &within.place,
            );
        }
        if left.window.is_empty() != right.window.is_empty()
            || left.session != right.session
            || left.window_ms != right.window_ms
        {
            let help = "join sources with the same windows, or sources without";
            let message = "the two sides have different windows in their keys".into();
            return self.refuse(message, "windows do not go together", help, place);
        }
        Some(())
    }

    /// The scope over all that was joined.
    fn finish(self, joined: Joined) -> Scope {
        let Joined { mut columns, owners, key, window, .. } = joined;
        // Only the join's key is a key from here on.
        for (slot, (_, _, column)) in columns.iter_mut().enumerate() {
            *column =
                match (key.iter().position(|part| part.slot == slot), window.iter().position(|w| *w == slot))
                {
                    (Some(part), _) => ScanColumn::Key(part),
                    (None, Some(0)) => ScanColumn::WindowStart,
                    (None, Some(_)) => ScanColumn::WindowEnd,
                    (None, None) => ScanColumn::Value(slot),
                };
        }
        let place = |(owner, name): &(usize, Arc<str>)| {
            (0..columns.len()).find(|slot| owners[*slot] == Some(*owner) && columns[*slot].0 == *name)
        };
        let join_key = key
            .iter()
            .map(|part| {
                let mut viable: Vec<_> = part.viable.iter().filter_map(place).collect();
                if viable.is_empty() {
                    viable.push(part.slot);
                }
                viable
            })
            .collect();
        let join_same = key.iter().map(|part| part.other.iter().filter_map(place).collect()).collect();
        let first = &self.sources[0].relation;
        let key_columns = key.iter().map(|part| {
            let name = columns[part.slot].0.clone();
            ColumnSpec::new(name, part.sql_type, true)
        });
        let relation = Relation {
            kind: joined.kind,
            key: joined.key_spec,
            columns: key_columns.collect(),
            window_ms: joined.window_ms,
            session: joined.session,
            timestamp: None,
            timestamp_format: None,
            ..(**first).clone()
        };
        // What gives the rows stands last.
        Scope {
            relation: Arc::new(relation),
            columns,
            owners,
            sources: self.sources,
            nodes: self.nodes,
            join_key,
            join_same,
        }
    }
}

impl Operand {
    fn is_part(&self, part: &KeyPart) -> bool {
        matches!(self.node.kind, NodeKind::Column(_) | NodeKind::Cast(_))
            && self.column.as_ref().is_some_and(|column| part.same.contains(column))
    }
}

impl Joined {
    /// The slots of the columns that stand for the key.
    fn key_columns(&self, key: &[KeyPart]) -> Vec<usize> {
        let is_key = |slot: &usize| {
            let column = self.owners[*slot].map(|owner| (owner, self.columns[*slot].0.clone()));
            column.is_some_and(|column| key.iter().any(|part| part.viable.first() == Some(&column)))
                || self.window.contains(slot)
        };
        (0..self.columns.len()).filter(is_key).collect()
    }
}

/// Whether operands, in their order, are the key of a side.
fn is_key<'o>(side: &Joined, operands: impl ExactSizeIterator<Item = &'o Operand>) -> bool {
    !side.key.is_empty()
        && operands.len() == side.key.len()
        && operands.zip(&side.key).all(|(operand, part)| operand.is_part(part))
}

fn fields(columns: &[(Arc<str>, SqlType, ScanColumn)]) -> Fields {
    columns.iter().map(|(name, sql_type, _)| (name.clone(), *sql_type)).collect()
}
