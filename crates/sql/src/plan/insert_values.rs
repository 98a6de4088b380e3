//! `INSERT INTO … VALUES`: one row, written down.

use super::bind::{Binder, Mistake, type_of, wrong_type};
use super::bind_operator::assign;
use super::query::Mistakes;
use super::query_plan::Insert;
use super::scope::Scope;
use crate::expression::Node;
use crate::parse::ast::{Expr, ExprKind, Name};
use crate::{ColumnSpec, Datum, Relation, RelationKind, SqlType};
use millstream_model::{Diagnostic, nearest};
use std::sync::Arc;

/// Plans one row for `relation`; columns that are not given are `NULL`.
pub(super) fn plan(
    relation: &Arc<Relation>,
    target: &Name,
    columns: &[Name],
    values: &[Expr],
    mistakes: &mut Mistakes,
) -> Option<Insert> {
    let before = mistakes.len();
    mistakes.extend(super::insert_select::not_writable(relation, target));
    let all: Vec<Name> = relation
        .columns
        .iter()
        .map(|c| Name { text: c.name.to_string(), place: target.place.clone() })
        .collect();
    let columns = if columns.is_empty() { all.as_slice() } else { columns };
    if columns.len() != values.len() {
        let place = values.first().map_or(target.place.clone(), |value| value.place.clone());
        mistakes.push(
            Diagnostic::error("sql-insert", format!("{} values for {} columns", values.len(), columns.len()))
                .label(columns.iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(", "))
                .help("write one value for each column")
                .at(place),
        );
        return None;
    }
    let scope = Scope::empty(relation);
    let mut binder = Binder::new(&scope);
    let mut given: Vec<(&str, Node)> = Vec::new();
    for (name, value) in columns.iter().zip(values) {
        match one(relation, name, value, &mut binder) {
            Ok(node) => given.push((&name.text, node)),
            Err(mistake) => mistakes.push(*mistake),
        }
    }
    let mut take = |name: &str| {
        let index = given.iter().position(|(known, _)| *known == name)?;
        Some(given.swap_remove(index).1)
    };
    let time = take("ROWTIME");
    let mut of = |column: &ColumnSpec| {
        take(&column.name).unwrap_or_else(|| Node::literal(Datum::Null, column.sql_type))
    };
    let key: Vec<Node> = relation.columns.iter().filter(|column| column.key).map(&mut of).collect();
    let value = relation.columns.iter().filter(|column| !column.key).map(&mut of).collect();
    if relation.kind == RelationKind::Table && key.iter().all(|node| type_of(node).is_none()) {
        mistakes.push(
            Diagnostic::error("sql-insert", format!("a row of table `{}` needs its key", relation.name))
                .label("the key is missing")
                .help("give the PRIMARY KEY a value")
                .at(target.place.clone()),
        );
    }
    (mistakes.len() == before).then(|| Insert { relation: relation.clone(), key, value, time })
}

fn one(relation: &Relation, name: &Name, value: &Expr, binder: &mut Binder<'_>) -> Result<Node, Mistake> {
    let found =
        relation.columns.iter().find(|column| *column.name == *name.text).map(|column| column.sql_type);
    let Some(sql_type) = found.or((name.text == "ROWTIME").then_some(SqlType::BigInt)) else {
        let mistake =
            Diagnostic::error("sql-column", format!("`{}` has no column `{}`", relation.name, name.text))
                .label("unknown column")
                .at(name.place.clone());
        let near = nearest(&name.text, relation.columns.iter().map(|column| &*column.name));
        return Err(Box::new(match near {
            Some(near) => mistake.help(format!("did you mean {near}?")),
            None => mistake,
        }));
    };
    if let ExprKind::Column { name, .. } = &value.kind {
        return Err(Box::new(
            Diagnostic::error("sql-insert", format!("`{}` is no value", name.text))
                .label("expected a value")
                .help(format!("write '{}' for a text", name.text))
                .at(value.place.clone()),
        ));
    }
    let node = binder.bind(value)?;
    let found = node.sql_type;
    assign(node, sql_type).ok_or_else(|| wrong_type(value, found, &sql_type.to_string()))
}
