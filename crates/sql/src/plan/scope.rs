//! What columns a query can see, and which of them it needs.

use super::query_plan::{Scan, ScanColumn};
use crate::expression::{Node, NodeKind};
use crate::parse::ast::{Expr, ExprKind, Name, Query, SelectItem};
use crate::{Relation, SqlType};
use millstream_format::sql::Layout;
use millstream_model::{Diagnostic, nearest};
use std::sync::Arc;

/// The columns of the `FROM` relation and those that every row has.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) relation: Arc<Relation>,
    alias: Option<String>,
    /// What the scanned batch's columns are, with names and types.
    pub(super) columns: Vec<(Arc<str>, SqlType, ScanColumn)>,
}

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

impl Scope {
    /// The scope of `query` over `relation`, with a slot for every column that the query names, and for the key.
    pub(super) fn new(relation: &Arc<Relation>, query: &Query) -> Self {
        let alias = query.from.alias.as_ref().map(|alias| alias.text.clone());
        let mut scope = Self { relation: relation.clone(), alias, columns: Vec::new() };
        for (index, (name, sql_type)) in relation.key_columns().into_iter().enumerate() {
            scope.columns.push((name, sql_type, ScanColumn::Key(index)));
        }
        if relation.window_ms.is_some() {
            scope.columns.extend(WINDOW.iter().map(|(name, t, column)| (Arc::from(*name), *t, *column)));
        }
        for item in &query.items {
            match item {
                SelectItem::All { .. } => {
                    for (index, (name, sql_type)) in relation.value_columns().into_iter().enumerate() {
                        scope.add(name, sql_type, ScanColumn::Value(index));
                    }
                }
                SelectItem::Fields { expr } | SelectItem::Expr { expr, .. } => scope.need(expr),
            }
        }
        let rest = query.filter.iter().chain(&query.group_by).chain(&query.partition_by).chain(&query.having);
        rest.for_each(|expr| scope.need(expr));
        scope
    }

    /// A scope without columns, for values that are written down.
    pub(super) fn empty(relation: &Arc<Relation>) -> Self {
        Self { relation: relation.clone(), alias: None, columns: Vec::new() }
    }

    fn add(&mut self, name: Arc<str>, sql_type: SqlType, column: ScanColumn) {
        if !self.columns.iter().any(|(known, _, _)| *known == name) {
            self.columns.push((name, sql_type, column));
        }
    }

    fn need(&mut self, expr: &Expr) {
        if let ExprKind::Column { name, .. } = &expr.kind {
            let values = self.relation.value_columns();
            if let Some(index) = values.iter().position(|(column, _)| **column == *name.text) {
                let (column, sql_type) = values[index].clone();
                self.add(column, sql_type, ScanColumn::Value(index));
            } else if let Some((pseudo, sql_type, column)) =
                PSEUDO.iter().find(|(pseudo, _, _)| *pseudo == name.text)
            {
                self.add(Arc::from(*pseudo), *sql_type, *column);
            }
        }
        expr.kind.children().into_iter().for_each(|child| self.need(child));
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
        let slot = self.columns.iter().position(|(column, _, _)| **column == *name.text);
        slot.map(|slot| (slot, self.columns[slot].1)).ok_or_else(|| {
            let known: Vec<_> = self.relation.columns.iter().map(|column| &*column.name).collect();
            let pseudo = PSEUDO.iter().map(|(name, _, _)| *name);
            let mistake = Diagnostic::error(
                "sql-column",
                format!("`{}` has no column `{}`", self.relation.name, name.text),
            )
            .label(format!("its columns are {}", known.join(", ")))
            .at(name.place.clone());
            // A name that only differs in its letter case was not quoted.
            let near = known.iter().copied().find(|column| column.eq_ignore_ascii_case(&name.text));
            Box::new(match near.or_else(|| nearest(&name.text, known.iter().copied().chain(pseudo))) {
                Some(near) if near.to_uppercase() == near => mistake.help(format!("did you mean {near}?")),
                Some(near) => mistake.help(format!("did you mean `{near}`? its name needs the backticks")),
                None => mistake,
            })
        })
    }

    pub(super) fn check_qualifier(&self, qualifier: &Name) -> Result<(), Box<Diagnostic>> {
        let known = self.alias.as_deref().unwrap_or(&self.relation.name);
        if qualifier.text == known || *qualifier.text == *self.relation.name {
            return Ok(());
        }
        Err(Box::new(
            Diagnostic::error("sql-qualifier", format!("there is no `{}` in this query", qualifier.text))
                .label(format!("expected `{known}`"))
                .help("nested fields are not supported yet: declare the field as VARCHAR")
                .at(qualifier.place.clone()),
        ))
    }

    /// The slots of the key's columns.
    pub(super) fn key_slots(&self) -> Vec<usize> {
        let is_key = |column: ScanColumn| matches!(column, ScanColumn::Key(_));
        self.columns.iter().enumerate().filter(|(_, c)| is_key(c.2)).map(|(slot, _)| slot).collect()
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

    /// The plan of reading: only the value columns that have a slot, and the one that holds the time.
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
            .map(|(_, _, column)| match column {
                ScanColumn::Value(index) => ScanColumn::Value(place(*index)),
                other => *other,
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
            window_ms: relation.window_ms,
            timestamp,
            partitions: relation.partitions,
            internal: false,
            value: Layout::new(relation.value.clone(), value),
        }
    }
}
