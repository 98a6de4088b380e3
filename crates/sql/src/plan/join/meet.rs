//! Joins on equal keys: where both sides meet, and what the result is like.

use super::{
    Arc, Clause, Diagnostic, Exchange, FormatSpec, Join, JoinKind, JoinMethod, Joined, Joins, KeyPart, Node,
    NodeKind, NullKey, Operand, PlanNode, RelationKind, ScanColumn, Side, Spread, SqlType, Step, fields,
    is_key,
};
use crate::Format;
use crate::limits::DEFAULT_WINDOW_KEEP_MS;
use crate::parse::ast::Within;

/// Columns with names and types.
type Columns = Vec<(Arc<str>, SqlType, ScanColumn)>;

/// Where the rows of a join are to be.
pub(super) struct Gather {
    pub(super) spread: Spread,
}

impl Joins<'_> {
    /// A join on equal keys: rows of both sides meet in the partition of the key.
    pub(super) fn equal(
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
        let gather = Gather { spread: target.clone() };
        let left = self.gather(left, lefts, &gather, left_placed, keeps_left, name("left"));
        let right = self.gather(right, rights, &gather, right_placed, keeps_right, name("right"));
        Some(self.meet(left, right, key, clause.kind, method, Spread { types, ..target }, key_spec, index))
    }

    /// `WITHIN` with its grace period.
    pub(super) fn times(&mut self, within: &Within, kind: JoinKind) -> JoinMethod {
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
    pub(super) fn gather(
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
        (side, key)
    }

    /// Adds what the operands compute as columns; gives their slots.
    pub(super) fn with_columns(&mut self, mut side: Joined, operands: Vec<Operand>) -> (Joined, Vec<usize>) {
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
    pub(super) fn kept(&self, side: &Joined, index: usize, also: &[usize]) -> Vec<usize> {
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
    pub(super) fn meet(
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
        let (left_keep, right_keep) = (
            self.kept(&left, index, &left.key_columns(&key)),
            self.kept(&right, index, &right.key_columns(&key)),
        );
        let key_types: Vec<_> = left_key.iter().map(|slot| left.columns[*slot].1).collect();
        let (mut columns, mut owners) = columns_of([(&left, &left_keep), (&right, &right_keep)]);
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
        let join = Join {
            name: format!("Join-{}", index + 1),
            kind,
            method,
            left: side_of(&left, left_key, left_keep),
            right: side_of(&right, right_key, right_keep),
            key_types,
            gives_key: own_key,
            primary: Vec::new(),
        };
        let kind = if right.kind == RelationKind::Table { left.kind } else { RelationKind::Stream };
        let node = self.push(PlanNode::Join { left: left.node, right: right.node, join });
        let (window_ms, session) = (left.window_ms, left.session);
        Joined {
            node,
            kind,
            columns,
            owners,
            key,
            spread: Some(spread),
            window_ms,
            session,
            window,
            key_spec,
        }
    }
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
        let other = match kind {
            JoinKind::Left if plain(b) => known(right, b, true),
            JoinKind::Right if plain(a) => known(left, a, true),
            _ => Vec::new(),
        };
        KeyPart { same, viable, other, sql_type: a.node.sql_type, slot: 0 }
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

/// The kept columns of both sides, with their sources.
pub(super) fn columns_of(sides: [(&Joined, &Vec<usize>); 2]) -> (Columns, Vec<Option<usize>>) {
    let (mut columns, mut owners) = (Vec::new(), Vec::new());
    for (side, keep) in sides {
        columns.extend(keep.iter().map(|slot| side.columns[*slot].clone()));
        owners.extend(keep.iter().map(|slot| side.owners[*slot]));
    }
    (columns, owners)
}

pub(super) fn side_of(joined: &Joined, key: Vec<usize>, keep: Vec<usize>) -> Side {
    let field = |slot: &usize| (joined.columns[*slot].0.clone(), joined.columns[*slot].1);
    Side { key, fields: keep.iter().map(field).collect(), keep }
}
