//! `FROM … JOIN …`: which rows meet where, and what is known of the result.
//!
//! Joins are taken in the order of the text, each with what the ones before it give. A side whose rows are not in the
//! partition of the join key is sent there through a repartition topic; topics that have different numbers of partitions
//! are brought together in the same way.

use super::bind::{Binder, type_of};
use super::query::{Mistakes, no_relation};
use super::query_plan::{
    Exchange, Fields, Join, JoinMethod, NullKey, PlanNode, Resolve, ScanColumn, Side, Step, Subscribe,
};
use super::scope::{Scope, Source};
use crate::expression::{Node, NodeKind};
use crate::function::common_type;
use crate::limits::DEFAULT_WINDOW_KEEP_MS;
use crate::parse::ast::{BinaryOp, Expr, ExprKind, Join as Clause, JoinKind, Query, Within};
use crate::{Catalog, ColumnSpec, Format, FormatSpec, Relation, RelationKind, SqlType};
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
        } else if let Some(other) =
            others.iter().find(|o| o.relation.topic == source.relation.topic && o.relation.name != source.relation.name)
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
    fn refuse<T>(&mut self, message: String, label: &str, help: &str, place: &std::ops::Range<usize>) -> Option<T> {
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
        let mut twins = self.sources.iter().filter(|other| other.relation.name == relation.name);
        let node = match self.scans.iter().find(|(name, _)| *name == relation.name) {
            Some((_, node)) => *node,
            None => {
                let mut all = twins.next()?.clone();
                twins.for_each(|twin| all.widen(twin));
                let node = self.push(PlanNode::Scan(all.scan()));
                self.scans.push((relation.name.clone(), node));
                node
            }
        };
        // The scan's columns are those of the first source of the relation, widened.
        let mut all = self.sources.iter().find(|other| other.relation.name == relation.name)?.clone();
        self.sources.iter().filter(|o| o.relation.name == relation.name).for_each(|twin| all.widen(twin));
        let columns: Vec<_> = all.columns.iter().map(|n| (n.name.clone(), n.sql_type, n.column)).collect();
        let slot = |wanted: ScanColumn| columns.iter().position(|(_, _, column)| *column == wanted);
        let mut key = Vec::new();
        for (part, (name, sql_type)) in relation.key_columns().into_iter().enumerate() {
            let column = vec![(index, name)];
            key.push(KeyPart { same: column.clone(), viable: column, sql_type, slot: slot(ScanColumn::Key(part))? });
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
        let pairs = in_key_order(&left, &right, pairs);
        self.equal(left, right, pairs, clause, index)
    }

    fn check_kinds(&mut self, left: &Joined, right: &Joined, clause: &Clause) -> Option<()> {
        use RelationKind::{Stream, Table};
        let place = &clause.place;
        match (left.kind, right.kind) {
            (Table, Stream) => {
                let help = "name the stream first: FROM stream JOIN table ON …";
                return self.refuse("a table cannot look up a stream".into(), "a table joined with a stream", help, place);
            }
            (Stream, Stream) if clause.within.is_none() => {
                let help = "write WITHIN 10 SECONDS GRACE PERIOD 5 SECONDS behind the stream's name";
                return self.refuse("streams are joined within a time".into(), "WITHIN is missing", help, place);
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
            return self.refuse("WITHIN is for two streams".into(), "one of them is a table", help, &within.place);
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

    /// The equalities of a condition, left side first, of one type each.
    fn condition(
        &mut self,
        left: &Joined,
        right: &Joined,
        clause: &Clause,
        index: usize,
    ) -> Option<Vec<(Operand, Operand)>> {
        let mut equalities = Vec::new();
        conjuncts(&clause.on, &mut equalities);
        let mut pairs = Vec::new();
        for expr in equalities {
            let ExprKind::Binary { op: BinaryOp::Equal, left: first, right: second } = &expr.kind else {
                let help = "write A.X = B.Y, and put other conditions into WHERE";
                return self.refuse(
                    "a join condition is one or more equalities".into(),
                    "no equality",
                    help,
                    &expr.place,
                );
            };
            let (a, b) = (self.reach(first)?, self.reach(second)?);
            let (ours, theirs) = if is_of(&b, index + 1) && is_before(&a, index + 1) {
                (first, second)
            } else if is_of(&a, index + 1) && is_before(&b, index + 1) {
                (second, first)
            } else {
                let message = "a join condition compares one side with the other".into();
                let help = format!(
                    "one side of the = must name only columns of `{}`, the other only columns before it",
                    self.sources.get(index + 1).map_or("", Source::name)
                );
                return self.refuse(message, "not one of each", &help, &expr.place);
            };
            let (mut ours, theirs) = (self.bind(left, ours)?, self.bind(right, theirs)?);
            // What a join before this one made equal is one key, also where one side of that has no row.
            let known = ours.column.as_ref().and_then(|column| left.key.iter().find(|p| p.same.contains(column)));
            if let Some(part) = known {
                ours.node = Node::new(NodeKind::Column(part.slot), part.sql_type);
            }
            let Some(common) = common_type([type_of(&ours.node), type_of(&theirs.node)]) else {
                let label = format!("{} = {}", ours.node.sql_type, theirs.node.sql_type);
                let message = "the two sides of the condition have different types".into();
                return self.refuse(message, &label, "use CAST(… AS …) on one side", &expr.place);
            };
            let cast = |operand: Operand| Operand { node: operand.node.cast_to(common), ..operand };
            pairs.push((cast(ours), cast(theirs)));
        }
        Some(pairs)
    }

    /// Which sources an expression names.
    fn reach(&mut self, expr: &Expr) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        let mut open = vec![expr];
        while let Some(expr) = open.pop() {
            if let ExprKind::Column { qualifier, name } = &expr.kind {
                let called = |source: &&Source| qualifier.as_ref().is_none_or(|q| source.is_called(&q.text));
                let owners: Vec<usize> = (0..self.sources.len())
                    .filter(|index| self.sources.get(*index).as_ref().is_some_and(|s| called(s)))
                    .filter(|index| self.sources[*index].columns.iter().any(|column| *column.name == *name.text))
                    .collect();
                match owners.as_slice() {
                    [owner] => found.push(*owner),
                    _ => {
                        let scope = self.whole()?;
                        if let Err(mistake) = scope.find(qualifier.as_ref(), name) {
                            self.mistakes.push(*mistake);
                        }
                        return None;
                    }
                }
            }
            open.extend(expr.kind.children());
        }
        Some(found)
    }

    /// A scope over all columns of all sources, to say what is wrong with a name.
    fn whole(&self) -> Option<Scope> {
        let mut scope = Scope::empty(&self.sources.first()?.relation);
        scope.sources = self.sources.clone();
        for (index, source) in self.sources.iter().enumerate() {
            for needed in &source.columns {
                scope.columns.push((needed.name.clone(), needed.sql_type, needed.column));
                scope.owners.push(Some(index));
            }
        }
        Some(scope)
    }

    fn bind(&mut self, joined: &Joined, expr: &Expr) -> Option<Operand> {
        let scope = self.scope_of(joined)?;
        let mut binder = Binder::new(&scope);
        let node = match binder.bind(expr) {
            Ok(node) => node,
            Err(mistake) => {
                self.mistakes.push(*mistake);
                return None;
            }
        };
        if !binder.keyed.is_empty() {
            let message = "a function with a memory cannot stand in a join condition".into();
            return self.refuse(message, "not possible here", "compute it in a query of its own", &expr.place);
        }
        let column = match node.kind {
            NodeKind::Column(slot) => {
                let owner = joined.owners.get(slot).copied().flatten();
                owner.zip(joined.columns.get(slot)).map(|(owner, (name, _, _))| (owner, name.clone()))
            }
            _ => None,
        };
        Some(Operand { node, column })
    }

    /// Brings the condition into the order of the right table's primary key, which it must name whole.
    fn on_primary_key(
        &mut self,
        right: &Joined,
        mut pairs: Vec<(Operand, Operand)>,
        clause: &Clause,
    ) -> Option<Vec<(Operand, Operand)>> {
        let mut ordered = Vec::new();
        for part in &right.key {
            let at = pairs.iter().position(|(_, right)| right.is_part(part));
            ordered.extend(at.map(|at| pairs.swap_remove(at)));
        }
        if pairs.is_empty() && ordered.len() == right.key.len() {
            return Some(ordered);
        }
        let names: Vec<_> =
            right.key.iter().filter_map(|part| part.same.first()).map(|(_, name)| &**name).collect();
        let help = format!("compare with its primary key: … = {}", names.join(" AND … = "));
        let message = "a table is joined on its primary key".into();
        self.refuse(message, &format!("the primary key is {}", names.join(", ")), &help, &clause.on.place)
    }

    /// A join on equal keys: rows of both sides meet in the partition of the key.
    fn equal(
        &mut self,
        left: Joined,
        right: Joined,
        pairs: Vec<(Operand, Operand)>,
        clause: &Clause,
        index: usize,
    ) -> Option<Joined> {
        let types: Vec<_> = pairs.iter().map(|(left, _)| left.node.sql_type).collect();
        let method = match (left.kind, right.kind) {
            (RelationKind::Stream, RelationKind::Stream) => self.times(clause.within.as_ref()?, clause.kind),
            (RelationKind::Stream, RelationKind::Table) => JoinMethod::StreamTable,
            _ => JoinMethod::Tables,
        };
        let key = result_key(&left, &right, &pairs, clause.kind);
        let spread = |joined: &Joined, on_key: bool| {
            joined.spread.clone().filter(|spread| on_key && spread.types == types)
        };
        let left_spread = spread(&left, is_key(&left, pairs.iter().map(|(left, _)| left)));
        let right_spread = spread(&right, is_key(&right, pairs.iter().map(|(_, right)| right)));
        // A key with a schema's id is written by others: only topics of the same kind can be trusted to agree.
        let trusted = |spread: &Spread| !spread.spec.format.needs_registry();
        let (target, left_placed, right_placed) = match (left_spread, right_spread) {
            (Some(a), Some(b)) if a == b => (a, true, true),
            (_, Some(b)) if right.kind == RelationKind::Table && trusted(&b) => (b, false, true),
            (Some(a), _) if trusted(&a) => (a, true, false),
            (_, Some(b)) if trusted(&b) => (b, false, true),
            _ => (Spread { spec: FormatSpec::key(Format::Json), types: types.clone() }, false, false),
        };
        let key_spec = [(left_placed, &left), (right_placed, &right), (true, &left), (true, &right)]
            .into_iter()
            .find(|(placed, side)| *placed && side.key_spec.format != Format::None)
            .map_or_else(|| FormatSpec::key(Format::Kafka), |(_, side)| side.key_spec.clone());
        let (lefts, rights): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let keeps_left = matches!(clause.kind, JoinKind::Left | JoinKind::Full);
        let keeps_right = matches!(clause.kind, JoinKind::Right | JoinKind::Full);
        let name = |side: &str| format!("join{}-{side}", index + 1);
        let gather = Gather { spread: target.clone(), index };
        let left = self.gather(left, lefts, &gather, left_placed, keeps_left, name("left"));
        let right = self.gather(right, rights, &gather, right_placed, keeps_right, name("right"));
        Some(self.meet(left, right, key, clause.kind, method, Spread { types, ..target }, key_spec, index))
    }

    /// `WITHIN` with its grace period.
    fn times(&mut self, within: &Within, kind: JoinKind) -> JoinMethod {
        let (before_ms, after_ms) = (within.before_ms, within.after_ms);
        let grace_ms = within.grace_ms.unwrap_or_else(|| {
            let (label, grace_ms) = if kind == JoinKind::Inner {
                let span = before_ms.saturating_add(after_ms);
                ("rows are held for 24 hours", DEFAULT_WINDOW_KEEP_MS.saturating_sub(span).max(0))
            } else {
                ("rows that come late are not joined", 0)
            };
            self.mistakes.push(
                Diagnostic::warning("sql-grace", format!("no GRACE PERIOD is given: {label}"))
                    .label(label)
                    .help("add GRACE PERIOD 10 SECONDS: how late a row may come")
                    .at(within.place.clone()),
            );
            grace_ms
        });
        JoinMethod::Streams { before_ms, after_ms, grace_ms }
    }

    /// Makes the key a part of the rows, and sends them to its partition.
    fn gather(
        &mut self,
        side: Joined,
        operands: Vec<Operand>,
        gather: &Gather,
        placed: bool,
        keeps: bool,
        name: String,
    ) -> (Joined, Vec<usize>) {
        let (mut side, mut key) = self.with_columns(side, operands);
        let null_key = if keeps { NullKey::Stays } else { NullKey::NoMatch };
        let exchange = Exchange {
            name,
            key: key.clone(),
            key_spec: gather.spread.spec.clone(),
            fields: fields(&side.columns),
            null_key,
            placed,
        };
        side.node = self.push(PlanNode::Repartition { input: side.node, exchange });
        // Windows are parts of the key that do not say the partition.
        key.extend(side.window.iter().copied());
        debug_assert!(gather.index < self.sources.len());
        (side, key)
    }

    /// Adds what the operands compute as columns; gives their slots.
    fn with_columns(&mut self, mut side: Joined, operands: Vec<Operand>) -> (Joined, Vec<usize>) {
        let mut slots = Vec::new();
        let mut project: Vec<Node> = side
            .columns
            .iter()
            .enumerate()
            .map(|(slot, (_, sql_type, _))| Node::new(NodeKind::Column(slot), *sql_type))
            .collect();
        let before = project.len();
        for operand in operands {
            if let NodeKind::Column(slot) = operand.node.kind {
                slots.push(slot);
                continue;
            }
            slots.push(project.len());
            let name: Arc<str> = format!("KEY{}", slots.len()).into();
            side.columns.push((name, operand.node.sql_type, ScanColumn::RowOffset));
            side.owners.push(None);
            project.push(operand.node);
        }
        if project.len() > before {
            side.node = self.push(PlanNode::Step { input: side.node, step: Step::Project(project) });
        }
        (side, slots)
    }

    /// The columns of a side that are needed behind a join.
    fn kept(&self, side: &Joined, index: usize, also: &[usize]) -> Vec<usize> {
        let needed = |slot: &usize| {
            let owner = side.owners.get(*slot).copied().flatten().and_then(|owner| self.sources.get(owner));
            let (name, _, _) = &side.columns[*slot];
            let last_use = owner.and_then(|source| {
                source.columns.iter().find(|needed| needed.name == *name).map(|needed| needed.last_use)
            });
            last_use.is_some_and(|last_use| last_use > index) || also.contains(slot)
        };
        (0..side.columns.len()).filter(needed).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "all of them are parts of one join")]
    fn meet(
        &mut self,
        (left, left_key): (Joined, Vec<usize>),
        (right, right_key): (Joined, Vec<usize>),
        mut key: Vec<KeyPart>,
        kind: JoinKind,
        method: JoinMethod,
        spread: Spread,
        key_spec: FormatSpec,
        index: usize,
    ) -> Joined {
        let (left_keep, right_keep) =
            (self.kept(&left, index, &left.key_columns(&key)), self.kept(&right, index, &right.key_columns(&key)));
        let key_types: Vec<_> = left_key.iter().map(|slot| left.columns[*slot].1).collect();
        let (mut columns, mut owners) = (Vec::new(), Vec::new());
        for (side, keep) in [(&left, &left_keep), (&right, &right_keep)] {
            columns.extend(keep.iter().map(|slot| side.columns[*slot].clone()));
            owners.extend(keep.iter().map(|slot| side.owners[*slot]));
        }
        let first_key = columns.len();
        let place = |(owner, name): &(usize, Arc<str>)| {
            (0..first_key).find(|slot| owners[*slot] == Some(*owner) && columns[*slot].0 == *name)
        };
        // The key stands in a column of its own where no column of a side has it for sure.
        let own_key = key.iter().any(|part| part.viable.first().and_then(place).is_none());
        for (at, part) in key.iter_mut().enumerate() {
            part.slot = match part.viable.first().and_then(place) {
                Some(slot) if !own_key => slot,
                _ => first_key + at,
            };
        }
        let mut window = Vec::new();
        if own_key {
            for (at, sql_type) in key_types.iter().enumerate() {
                columns.push((synthetic_name(at, key.len()), *sql_type, ScanColumn::Key(at)));
                owners.push(None);
            }
            window.extend(first_key + key.len()..columns.len());
        } else {
            let (side, keep, offset) = if kind == JoinKind::Right {
                (&right, &right_keep, left_keep.len())
            } else {
                (&left, &left_keep, 0)
            };
            let kept = |slot: &usize| keep.iter().position(|kept| kept == slot).map(|at| at + offset);
            window.extend(side.window.iter().filter_map(kept));
        }
        let side = |joined: &Joined, key: Vec<usize>, keep: Vec<usize>| Side {
            key,
            fields: keep.iter().map(|slot| joined.columns[*slot].clone()).map(|(name, t, _)| (name, t)).collect(),
            keep,
        };
        let join = Join {
            name: format!("Join-{}", index + 1),
            kind,
            method,
            left: side(&left, left_key, left_keep),
            right: side(&right, right_key, right_keep),
            key_types,
            gives_key: own_key,
            primary: Vec::new(),
        };
        let kind = if right.kind == RelationKind::Table { left.kind } else { RelationKind::Stream };
        let node = self.push(PlanNode::Join { left: left.node, right: right.node, join });
        let (window_ms, session) = (left.window_ms, left.session);
        Joined { node, kind, columns, owners, key, spread: Some(spread), window_ms, session, window, key_spec }
    }

    /// A join of a table with the primary key of another one.
    fn foreign(
        &mut self,
        left: Joined,
        right: Joined,
        pairs: Vec<(Operand, Operand)>,
        clause: &Clause,
        index: usize,
    ) -> Option<Joined> {
        if matches!(clause.kind, JoinKind::Right | JoinKind::Full) {
            let message = format!("a foreign key has no {}", clause.kind.word());
            let help = "use JOIN or LEFT JOIN: the result has the left table's primary key";
            return self.refuse(message, "not possible on a foreign key", help, &clause.place);
        }
        if !left.window.is_empty() {
            let help = "join the tables on their keys";
            let message = "tables with windows are not joined on foreign keys".into();
            return self.refuse(message, "not possible here", help, &clause.place);
        }
        let types: Vec<_> = pairs.iter().map(|(left, _)| left.node.sql_type).collect();
        let target = right.spread.clone().filter(|spread| spread.types == types);
        let placed = target.as_ref().is_some_and(|spread| !spread.spec.format.needs_registry());
        let target = target.filter(|_| placed);
        let target =
            target.unwrap_or_else(|| Spread { spec: FormatSpec::key(Format::Json), types: types.clone() });
        let (lefts, rights): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let (mut left, foreign) = self.with_columns(left, lefts);
        let primary: Vec<usize> = left.key.iter().map(|part| part.slot).collect();
        let name = format!("Join-{}", index + 1);
        let subscribe = Subscribe {
            name: name.clone(),
            primary: primary.clone(),
            foreign: foreign.clone(),
            fields: fields(&left.columns),
        };
        left.node = self.push(PlanNode::Step { input: left.node, step: Step::Subscribe(subscribe) });
        let hidden = left.columns.len();
        for (name, sql_type) in [("CHANGE", SqlType::BigInt), ("MARK", SqlType::Int)] {
            left.columns.push((Arc::from(name), sql_type, ScanColumn::RowOffset));
            left.owners.push(None);
        }
        let exchange = Exchange {
            name: format!("join{}-left", index + 1),
            key: foreign.clone(),
            key_spec: target.spec.clone(),
            fields: fields(&left.columns),
            null_key: NullKey::Stays,
            placed: false,
        };
        left.node = self.push(PlanNode::Repartition { input: left.node, exchange });
        let gather = Gather { spread: target, index };
        let (right, right_key) =
            self.gather(right, rights, &gather, placed, false, format!("join{}-right", index + 1));
        let also: Vec<_> = primary.iter().copied().chain([hidden, hidden + 1]).collect();
        let (left_keep, right_keep) = (self.kept(&left, index, &also), self.kept(&right, index, &[]));
        let at = |slot: usize| left_keep.iter().position(|kept| *kept == slot).unwrap_or(0);
        let primary: Vec<_> = primary.into_iter().map(at).collect();
        let (number, mark) = (at(hidden), at(hidden + 1));
        let (mut columns, mut owners) = (Vec::new(), Vec::new());
        for (side, keep) in [(&left, &left_keep), (&right, &right_keep)] {
            columns.extend(keep.iter().map(|slot| side.columns[*slot].clone()));
            owners.extend(keep.iter().map(|slot| side.owners[*slot]));
        }
        let side = |joined: &Joined, key: Vec<usize>, keep: Vec<usize>| Side {
            key,
            fields: keep.iter().map(|slot| joined.columns[*slot].clone()).map(|(name, t, _)| (name, t)).collect(),
            keep,
        };
        let join = Join {
            name: name.clone(),
            kind: clause.kind,
            method: JoinMethod::Foreign,
            left: side(&left, foreign, left_keep),
            right: side(&right, right_key, right_keep),
            key_types: types,
            gives_key: false,
            primary: primary.clone(),
        };
        let mut node = self.push(PlanNode::Join { left: left.node, right: right.node, join });
        let primary_types: Vec<_> = left.key.iter().map(|part| part.sql_type).collect();
        let spread = left.spread.clone().filter(|spread| !spread.spec.format.needs_registry());
        let spread =
            spread.unwrap_or_else(|| Spread { spec: FormatSpec::key(Format::Json), types: primary_types.clone() });
        let exchange = Exchange {
            name: format!("join{}-answers", index + 1),
            key: primary.clone(),
            key_spec: spread.spec.clone(),
            fields: fields(&columns),
            null_key: NullKey::NoMatch,
            placed: false,
        };
        node = self.push(PlanNode::Repartition { input: node, exchange });
        let resolve = Resolve { name, primary: primary.clone(), primary_types, number, mark };
        node = self.push(PlanNode::Step { input: node, step: Step::Resolve(resolve) });
        let parts = left.key.into_iter().zip(primary).map(|(part, slot)| KeyPart { slot, ..part });
        Some(Joined {
            node,
            kind: RelationKind::Table,
            key: parts.collect(),
            spread: Some(spread),
            window_ms: None,
            session: false,
            window: Vec::new(),
            key_spec: left.key_spec,
            columns,
            owners,
        })
    }

    /// The scope over all that was joined.
    fn finish(self, joined: Joined) -> Scope {
        let Joined { mut columns, owners, key, window, .. } = joined;
        // Only the join's key is a key from here on.
        for (slot, (_, _, column)) in columns.iter_mut().enumerate() {
            *column = match (key.iter().position(|part| part.slot == slot), window.iter().position(|w| *w == slot)) {
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
        Scope { relation: Arc::new(relation), columns, owners, sources: self.sources, nodes: self.nodes, join_key }
    }
}

/// Where the rows of a join are to be.
struct Gather {
    spread: Spread,
    index: usize,
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

/// Brings a condition into the order of a side's key, where it names it whole.
fn in_key_order(
    left: &Joined,
    right: &Joined,
    mut pairs: Vec<(Operand, Operand)>,
) -> Vec<(Operand, Operand)> {
    for side in [left, right] {
        let part_of = |(a, b): &(Operand, Operand)| {
            side.key.iter().position(|part| a.is_part(part) || b.is_part(part))
        };
        let mut parts: Vec<_> = pairs.iter().filter_map(part_of).collect();
        parts.sort_unstable();
        parts.dedup();
        if parts.len() == side.key.len() && pairs.len() == parts.len() {
            pairs.sort_by_key(part_of);
            return pairs;
        }
    }
    pairs
}

/// What the key of a result is.
fn result_key(left: &Joined, right: &Joined, pairs: &[(Operand, Operand)], kind: JoinKind) -> Vec<KeyPart> {
    let known = |side: &Joined, operand: &Operand, viable: bool| {
        let Some(column) = &operand.column else { return Vec::new() };
        let part = side.key.iter().find(|part| part.same.contains(column));
        match part {
            Some(part) if viable => {
                // The column that was named comes first.
                let others = part.viable.iter().filter(|other| *other != column).cloned();
                let named = part.viable.contains(column).then(|| column.clone());
                named.into_iter().chain(others).collect()
            }
            Some(part) => part.same.clone(),
            None => vec![column.clone()],
        }
    };
    let parts = pairs.iter().map(|(a, b)| {
        let (mut viable, same) = match kind {
            JoinKind::Inner => ([known(left, a, true), known(right, b, true)].concat(), true),
            JoinKind::Left => (known(left, a, true), true),
            JoinKind::Right => (known(right, b, true), true),
            JoinKind::Full => (Vec::new(), true),
        };
        // A column that is compared as another type is not what the key is.
        let plain = |operand: &Operand| matches!(operand.node.kind, NodeKind::Column(_));
        if !plain(a) {
            viable.retain(|column| !known(left, a, true).contains(column));
        }
        if !plain(b) {
            viable.retain(|column| !known(right, b, true).contains(column));
        }
        let same = if same { [known(left, a, false), known(right, b, false)].concat() } else { Vec::new() };
        KeyPart { same, viable, sql_type: a.node.sql_type, slot: 0 }
    });
    parts.collect()
}

/// ksqlDB's name of a key that no column of a side stands for; of several, with a number. What is behind them are windows.
fn synthetic_name(at: usize, keys: usize) -> Arc<str> {
    match at {
        0 => "ROWKEY".into(),
        at if at < keys => format!("ROWKEY_{at}").into(),
        at if at == keys => "WINDOWSTART".into(),
        _ => "WINDOWEND".into(),
    }
}

fn fields(columns: &[(Arc<str>, SqlType, ScanColumn)]) -> Fields {
    columns.iter().map(|(name, sql_type, _)| (name.clone(), *sql_type)).collect()
}

fn conjuncts<'e>(expr: &'e Expr, into: &mut Vec<&'e Expr>) {
    match &expr.kind {
        ExprKind::Binary { op: BinaryOp::And, left, right } => {
            conjuncts(left, into);
            conjuncts(right, into);
        }
        _ => into.push(expr),
    }
}

fn is_of(sources: &[usize], source: usize) -> bool {
    !sources.is_empty() && sources.iter().all(|one| *one == source)
}

fn is_before(sources: &[usize], source: usize) -> bool {
    !sources.is_empty() && sources.iter().all(|one| *one < source)
}

