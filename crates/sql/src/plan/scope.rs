//! What columns a query can see, and which of them it needs.

use super::query_plan::{PlanNode, Scan, ScanColumn};
use crate::expression::{Node, NodeKind};
use crate::parse::ast::{Expr, ExprKind, Name, Query, SelectItem, Source as SourceName};
use crate::{Relation, SqlType};
use millstream_format::sql::Layout;
use millstream_model::{Diagnostic, nearest};
use std::sync::Arc;

/// The columns of one relation, or of several that are joined, and those that every row has.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// The relation; of joined ones, what their join is like: its kind, key and window.
    pub(super) relation: Arc<Relation>,
    /// What the batch's columns are, with names and types. Of joined relations, only the join's key is a key.
    pub(super) columns: Vec<(Arc<str>, SqlType, ScanColumn)>,
    /// Which of the sources each column is of; `None` for a key that the join itself makes.
    pub(super) owners: Vec<Option<usize>>,
    pub(super) sources: Arc<[Source]>,
    /// What gives the batches.
    pub(super) nodes: Vec<PlanNode>,
    /// The columns that may stand for each part of the join's key in a result; empty without a join.
    pub(super) join_key: Vec<Vec<usize>>,
    /// The columns that equal each part of the join's key wherever they have a value: those of an outer join's other side.
    pub(super) join_same: Vec<Vec<usize>>,
}

/// A relation of `FROM` or `JOIN`.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) relation: Arc<Relation>,
    alias: Option<String>,
    /// The columns that the query needs.
    pub(super) columns: Vec<Needed>,
}

/// A column of a source.
#[derive(Debug, Clone)]
pub(super) struct Needed {
    pub(super) name: Arc<str>,
    pub(super) sql_type: SqlType,
    pub(super) column: ScanColumn,
    /// The last of the joins whose condition needs it; [`FOR_ALL`] where the result does.
    pub(super) last_use: usize,
}

/// A column that is needed behind all joins.
pub(super) const FOR_ALL: usize = usize::MAX;

/// Columns that every row has.
const PSEUDO: &[(&str, SqlType, ScanColumn)] = &[
    ("ROWTIME", SqlType::BigInt, ScanColumn::RowTime),
    ("ROWPARTITION", SqlType::Int, ScanColumn::RowPartition),
    ("ROWOFFSET", SqlType::BigInt, ScanColumn::RowOffset),
];
/// Columns that rows with a windowed key have.
const WINDOW: &[(&str, SqlType, ScanColumn)] = &[
    ("WINDOWSTART", SqlType::BigInt, ScanColumn::WindowStart),
    ("WINDOWEND", SqlType::BigInt, ScanColumn::WindowEnd),
];

/// Whether a name is taken by a column that every row, or every windowed row, has.
pub(super) fn is_reserved(name: &str) -> bool {
    PSEUDO.iter().chain(WINDOW).any(|(reserved, _, _)| *reserved == name)
}

impl Source {
    /// A source with what `query` needs of it. `alone` says that there is no other one.
    pub(super) fn new(relation: &Arc<Relation>, named: &SourceName, query: &Query, alone: bool) -> Self {
        let alias = named.alias.as_ref().map(|alias| alias.text.clone());
        let mut source = Self { relation: relation.clone(), alias, columns: Vec::new() };
        for (index, (name, sql_type)) in relation.key_columns().into_iter().enumerate() {
            source.add(&name, sql_type, ScanColumn::Key(index), if alone { FOR_ALL } else { 0 });
        }
        if relation.is_windowed() {
            for (name, sql_type, column) in WINDOW {
                source.add(&Arc::from(*name), *sql_type, *column, if alone { FOR_ALL } else { 0 });
            }
        }
        for item in &query.items {
            match item {
                SelectItem::All { qualifier, .. } => {
                    if qualifier.as_ref().is_none_or(|qualifier| source.is_called(&qualifier.text)) {
                        source.need_all();
                    }
                }
                SelectItem::Fields { expr } | SelectItem::Expr { expr, .. } => source.need(expr, FOR_ALL),
            }
        }
        let rest = query.filter.iter().chain(&query.group_by).chain(&query.partition_by).chain(&query.having);
        rest.for_each(|expr| source.need(expr, FOR_ALL));
        for (index, join) in query.joins.iter().enumerate() {
            source.need(&join.on, index);
        }
        source
    }

    /// The name that its columns are qualified with.
    pub(super) fn name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.relation.name)
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name() == name || *self.relation.name == *name
    }

    /// Adds what another source of the same relation needs.
    pub(super) fn widen(&mut self, twin: &Self) {
        for needed in &twin.columns {
            self.add(&needed.name, needed.sql_type, needed.column, needed.last_use);
        }
    }

    fn add(&mut self, name: &Arc<str>, sql_type: SqlType, column: ScanColumn, last_use: usize) {
        match self.columns.iter_mut().find(|known| known.name == *name) {
            Some(known) => known.last_use = known.last_use.max(last_use),
            None => self.columns.push(Needed { name: name.clone(), sql_type, column, last_use }),
        }
    }

    fn need_all(&mut self) {
        for (index, (name, sql_type)) in self.relation.key_columns().into_iter().enumerate() {
            self.add(&name, sql_type, ScanColumn::Key(index), FOR_ALL);
        }
        if self.relation.is_windowed() {
            for (name, sql_type, column) in WINDOW {
                self.add(&Arc::from(*name), *sql_type, *column, FOR_ALL);
            }
        }
        for (index, (name, sql_type)) in self.relation.value_columns().into_iter().enumerate() {
            self.add(&name, sql_type, ScanColumn::Value(index), FOR_ALL);
        }
        let headers: Vec<_> =
            self.relation.header_columns().map(|(spec, _)| (spec.name.clone(), spec.sql_type)).collect();
        for (index, (name, sql_type)) in headers.into_iter().enumerate() {
            self.add(&name, sql_type, ScanColumn::Header(index), FOR_ALL);
        }
    }

    fn need(&mut self, expr: &Expr, last_use: usize) {
        if let ExprKind::Column { qualifier, name } = &expr.kind
            && qualifier.as_ref().is_none_or(|qualifier| self.is_called(&qualifier.text))
            && let Some((name, sql_type, column)) = self.column(&name.text)
        {
            self.add(&name, sql_type, column, last_use);
        }
        expr.kind.children().into_iter().for_each(|child| self.need(child, last_use));
    }

    /// A column of this name, be it needed or not.
    fn column(&self, name: &str) -> Option<(Arc<str>, SqlType, ScanColumn)> {
        let find = |columns: Vec<(Arc<str>, SqlType)>, of: fn(usize) -> ScanColumn| {
            let index = columns.iter().position(|(column, _)| **column == *name)?;
            columns.into_iter().nth(index).map(|(name, sql_type)| (name, sql_type, of(index)))
        };
        let headers = self.relation.header_columns().map(|(spec, _)| (spec.name.clone(), spec.sql_type));
        let windowed = if self.relation.is_windowed() { WINDOW } else { &[] };
        find(self.relation.key_columns(), ScanColumn::Key)
            .or_else(|| find(self.relation.value_columns(), ScanColumn::Value))
            .or_else(|| find(headers.collect(), ScanColumn::Header))
            .or_else(|| {
                let found = PSEUDO.iter().chain(windowed).find(|(pseudo, _, _)| *pseudo == name);
                found.map(|(name, sql_type, column)| (Arc::from(*name), *sql_type, *column))
            })
    }

    /// The plan of reading: only the value columns that are needed, and the one that holds the time.
    pub(super) fn scan(&self) -> Scan {
        let relation = &self.relation;
        let all = relation.value_columns();
        let mut value = Vec::new();
        let mut place = |index: usize| {
            let field = all[index].clone();
            value.iter().position(|known| *known == field).unwrap_or_else(|| {
                value.push(field);
                value.len() - 1
            })
        };
        let columns = self
            .columns
            .iter()
            .map(|needed| match needed.column {
                ScanColumn::Value(index) => ScanColumn::Value(place(index)),
                other => other,
            })
            .collect();
        let timestamp = relation
            .timestamp
            .as_ref()
            .and_then(|name| all.iter().position(|(column, _)| column == name))
            .map(&mut place);
        Scan {
            topic: relation.topic.clone(),
            kind: relation.kind,
            key: relation.key_layout(),
            columns,
            headers: relation.header_columns().map(|(_, header)| header.clone()).collect(),
            window_ms: relation.window_ms,
            session: relation.session,
            timestamp,
            timestamp_format: relation.timestamp_format.clone(),
            partitions: relation.partitions,
            internal: false,
            value: Layout::new(relation.value.clone(), value),
        }
    }
}

impl Scope {
    /// The scope of `query` over `relation` alone, with a slot for every column that the query names, and for the key.
    pub(super) fn new(relation: &Arc<Relation>, query: &Query) -> Self {
        let source = Source::new(relation, &query.from, query, true);
        let columns: Vec<_> = source
            .columns
            .iter()
            .map(|needed| (needed.name.clone(), needed.sql_type, needed.column))
            .collect();
        Self {
            relation: relation.clone(),
            owners: vec![Some(0); columns.len()],
            columns,
            nodes: vec![PlanNode::Scan(source.scan())],
            sources: [source].into(),
            join_key: Vec::new(),
            join_same: Vec::new(),
        }
    }

    /// A scope without columns, for values that are written down.
    pub(super) fn empty(relation: &Arc<Relation>) -> Self {
        Self {
            relation: relation.clone(),
            columns: Vec::new(),
            owners: Vec::new(),
            sources: [Source { relation: relation.clone(), alias: None, columns: Vec::new() }].into(),
            nodes: Vec::new(),
            join_key: Vec::new(),
            join_same: Vec::new(),
        }
    }

    /// Whether several relations are joined.
    pub(super) fn is_join(&self) -> bool {
        self.sources.len() > 1
    }

    /// The slot and type of a column, or what is wrong with its name.
    pub(super) fn find(
        &self,
        qualifier: Option<&Name>,
        name: &Name,
    ) -> Result<(usize, SqlType), Box<Diagnostic>> {
        if let Some(qualifier) = qualifier {
            self.check_qualifier(qualifier)?;
        }
        let fits = |slot: &usize| {
            let owner = self.owners.get(*slot).copied().flatten().and_then(|owner| self.sources.get(owner));
            *self.columns[*slot].0 == *name.text
                && match (qualifier, owner) {
                    (Some(qualifier), Some(source)) => source.is_called(&qualifier.text),
                    (Some(_), None) => false,
                    (None, _) => true,
                }
        };
        let mut found = (0..self.columns.len()).filter(fits);
        match (found.next(), found.next()) {
            (Some(slot), None) => Ok((slot, self.columns[slot].1)),
            (Some(first), Some(second)) => {
                let at = |slot: usize| {
                    let owner = self.owners.get(slot).copied().flatten();
                    let source = owner.and_then(|owner| self.sources.get(owner));
                    format!("{}.{}", source.map_or("", Source::name), name.text)
                };
                Err(Box::new(
                    Diagnostic::error("sql-column", format!("`{}` may be several columns", name.text))
                        .label("ambiguous")
                        .help(format!("write {} or {}", at(first), at(second)))
                        .at(name.place.clone()),
                ))
            }
            (None, _) => Err(self.no_column(qualifier, name)),
        }
    }

    fn no_column(&self, qualifier: Option<&Name>, name: &Name) -> Box<Diagnostic> {
        let asked = |source: &&Source| qualifier.is_none_or(|qualifier| source.is_called(&qualifier.text));
        let sources: Vec<&Source> = self.sources.iter().filter(asked).collect();
        let known: Vec<&str> = sources
            .iter()
            .flat_map(|source| source.relation.columns.iter().map(|column| &*column.name))
            .collect();
        let names: Vec<_> = sources.iter().map(|source| format!("`{}`", source.relation.name)).collect();
        let pseudo = PSEUDO.iter().map(|(name, _, _)| *name);
        let mistake =
            Diagnostic::error("sql-column", format!("{} has no column `{}`", names.join(" or "), name.text))
                .label(format!("its columns are {}", known.join(", ")))
                .at(name.place.clone());
        // A name that only differs in its letter case was not quoted.
        let near = known.iter().copied().find(|column| column.eq_ignore_ascii_case(&name.text));
        Box::new(match near.or_else(|| nearest(&name.text, known.iter().copied().chain(pseudo))) {
            Some(near) if near == name.text => mistake.help("it is not in reach here"),
            Some(near) if near.to_uppercase() == near => mistake.help(format!("did you mean {near}?")),
            Some(near) => mistake.help(format!("did you mean `{near}`? its name needs the backticks")),
            None => mistake,
        })
    }

    pub(super) fn check_qualifier(&self, qualifier: &Name) -> Result<(), Box<Diagnostic>> {
        if self.sources.iter().any(|source| source.is_called(&qualifier.text)) {
            return Ok(());
        }
        let names: Vec<_> = self.sources.iter().map(|source| format!("`{}`", source.name())).collect();
        Err(Box::new(
            Diagnostic::error("sql-qualifier", format!("there is no `{}` in this query", qualifier.text))
                .label(format!("expected {}", names.join(" or ")))
                .help(format!("write {}->… for a field of a struct", qualifier.text))
                .at(qualifier.place.clone()),
        ))
    }

    /// A column of a join with its source in front.
    pub(super) fn named(&self, slot: usize) -> Option<Expr> {
        let name = |text: &str| Name { text: text.to_owned(), place: 0..0 };
        let source = self.owners.get(slot)?.and_then(|owner| self.sources.get(owner));
        let qualifier = source.map(|source| name(source.name()));
        Some(Expr::new(ExprKind::Column { qualifier, name: name(&self.columns.get(slot)?.0) }, 0..0))
    }

    /// The name of a joined column in a result, where it must be told from others.
    pub(super) fn joined_name(&self, slot: usize) -> Arc<str> {
        let source = self.owners.get(slot).copied().flatten().and_then(|owner| self.sources.get(owner));
        match (source, self.columns.get(slot)) {
            (Some(source), Some((name, _, _))) => format!("{}_{name}", source.name()).into(),
            (None, Some((name, _, _))) => name.clone(),
            (_, None) => Arc::from(""),
        }
    }

    /// Whether several of the joined relations have a column of this name.
    pub(super) fn clashes(&self, name: &str) -> bool {
        self.sources.iter().filter(|source| source.column(name).is_some()).count() > 1
    }

    /// The columns of a join that `*`, or `source.*`, stands for: a key that the join makes itself, then those of the
    /// sources in their order.
    pub(super) fn star_slots(&self, qualifier: Option<&Name>) -> Vec<usize> {
        let own = |slot: &usize| self.owners[*slot].is_none();
        let made = self.join_key.iter().flatten().copied().filter(own).filter(|_| qualifier.is_none());
        let mut slots: Vec<usize> = made.collect();
        for (owner, source) in self.sources.iter().enumerate() {
            if qualifier.is_some_and(|qualifier| !source.is_called(&qualifier.text)) {
                continue;
            }
            for column in &source.relation.columns {
                let fits =
                    |slot: &usize| self.owners[*slot] == Some(owner) && self.columns[*slot].0 == column.name;
                slots.extend((0..self.columns.len()).find(fits));
            }
        }
        slots
    }

    /// The slots of the key's columns.
    pub(super) fn key_slots(&self) -> Vec<usize> {
        let is_key = |column: ScanColumn| matches!(column, ScanColumn::Key(_));
        self.columns.iter().enumerate().filter(|(_, c)| is_key(c.2)).map(|(slot, _)| slot).collect()
    }

    /// Whether these expressions, in their order, are the key, so that rows are in their partition already.
    pub(super) fn is_key(&self, exprs: &[Expr]) -> bool {
        let keys = self.key_slots();
        let slot = |expr: &Expr| match &expr.kind {
            ExprKind::Column { qualifier, name } => {
                self.find(qualifier.as_ref(), name).ok().map(|(slot, _)| slot)
            }
            _ => None,
        };
        !keys.is_empty()
            && keys.len() == exprs.len()
            && self.relation.key_layout().is_some()
            && keys.iter().zip(exprs).all(|(key, expr)| slot(expr) == Some(*key))
    }

    /// What tells the rows of a table apart: the columns of its key, and of the window in it.
    pub(super) fn identity(&self) -> Vec<Node> {
        let is_part = |column: ScanColumn| {
            matches!(column, ScanColumn::Key(_) | ScanColumn::WindowStart | ScanColumn::WindowEnd)
        };
        let parts = self.columns.iter().enumerate().filter(|(_, (_, _, column))| is_part(*column));
        parts.map(|(slot, (_, sql_type, _))| Node::new(NodeKind::Column(slot), *sql_type)).collect()
    }

    /// The slot of the start of the window in the key.
    pub(super) fn window_start(&self) -> Option<usize> {
        self.columns.iter().position(|(_, _, column)| *column == ScanColumn::WindowStart)
    }

    /// The slot of the end of the window in the key.
    pub(super) fn window_end(&self) -> Option<usize> {
        self.columns.iter().position(|(_, _, column)| *column == ScanColumn::WindowEnd)
    }
}
