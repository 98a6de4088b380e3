//! `SELECT` without `EMIT`: the rows as they are now, of one stream or table.

use super::Action;
use super::query::{Mistakes, Purpose, no_relation, plan as plan_query};
use super::query_plan::QueryPlan;
use crate::parse::Place;
use crate::parse::ast::{BinaryOp, Emit, Expr, ExprKind, Literal, Name, Query};
use crate::{Catalog, Datum, Format, Relation, RelationKind, SqlType};
use millstream_model::Diagnostic;
use std::sync::Arc;

/// A pull query.
#[derive(Debug)]
pub(crate) struct PullPlan {
    /// What happens to the rows: a scan, and steps that need no other rows.
    pub(crate) plan: QueryPlan,
    /// What is read.
    pub(crate) relation: Arc<Relation>,
    /// The keys that alone can be in the answer, as values of the key's columns; `None` where any key can. The filter is
    /// applied all the same.
    pub(crate) keys: Option<Vec<Vec<Datum<'static>>>>,
    /// Whether it looks at every row of a table, because the filter says no keys.
    pub(crate) scans_table: bool,
}

/// How many keys are looked up one by one; beyond, all rows are looked at.
const KEYS_MAX: usize = 10_000;

/// Plans a pull query; `None` where there are mistakes.
pub(super) fn plan(catalog: &Catalog, query: &Query, mistakes: &mut Mistakes) -> Option<Action> {
    let Some(relation) = catalog.find(&query.from.name.text) else {
        mistakes.push(no_relation(catalog, &query.from.name));
        return None;
    };
    let before = mistakes.len();
    refuse(query, mistakes);
    if mistakes.len() > before {
        return None;
    }
    // What is left is what a push query does with each row.
    let end = query.place.end..query.place.end;
    let rows = Query { emit: Some((Emit::Changes, end)), ..query.clone() };
    let plan = plan_query(catalog, &rows, Purpose::Push, None, mistakes)?;
    let table = relation.kind == RelationKind::Table;
    let filter = query.filter.as_ref().filter(|_| table);
    let keys = filter.and_then(|filter| keys(relation, query, filter));
    let scans_table = table && keys.is_none();
    // With other formats, equal keys may stand in different bytes.
    let keys = keys.filter(|_| relation.key.format == Format::Kafka);
    Some(Action::Pull(Arc::new(PullPlan { plan, relation: relation.clone(), keys, scans_table })))
}

/// What needs rows to come one after the other does not go with rows as they are now.
fn refuse(query: &Query, mistakes: &mut Mistakes) {
    let found: [(&str, Option<&Place>); 5] = [
        ("JOIN", query.joins.first().map(|join| &join.place)),
        ("GROUP BY", query.group_by.first().map(|group| &group.place)),
        ("PARTITION BY", query.partition_by.first().map(|partition| &partition.place)),
        ("WINDOW", query.window.as_ref().map(|window| &window.place)),
        ("HAVING", query.having.as_ref().map(|having| &having.place)),
    ];
    for (what, place) in found {
        let Some(place) = place else { continue };
        mistakes.push(
            Diagnostic::error("sql-pull", format!("a pull query has no {what}"))
                .label("needs EMIT CHANGES")
                .help(format!(
                    "add EMIT CHANGES, or CREATE TABLE … AS a query with the {what}, and ask that table"
                ))
                .at(place.clone()),
        );
    }
}

/// The keys that `filter` leaves, where it says them: `k = 1`, `k IN (1, 2)`, of every column of the key, joined by `AND`.
fn keys(relation: &Relation, query: &Query, filter: &Expr) -> Option<Vec<Vec<Datum<'static>>>> {
    let conditions = filter.conjuncts();
    let mut keys = vec![Vec::new()];
    for (name, sql_type) in relation.key_columns() {
        let values = conditions.iter().find_map(|condition| values(condition, query, &name, sql_type))?;
        if keys.len().saturating_mul(values.len()) > KEYS_MAX {
            return None;
        }
        let with = |key: &Vec<Datum<'static>>, value: &Datum<'static>| {
            let mut key = key.clone();
            key.push(value.clone());
            key
        };
        keys = keys.iter().flat_map(|key| values.iter().map(move |value| with(key, value))).collect();
    }
    Some(keys)
}

/// The values that a condition leaves to a column; `None` where it is about something else.
fn values(condition: &Expr, query: &Query, column: &str, sql_type: SqlType) -> Option<Vec<Datum<'static>>> {
    let is_column = |expr: &Expr| match &expr.kind {
        ExprKind::Column { qualifier, name } => name.text == column && is_source(query, qualifier.as_ref()),
        _ => false,
    };
    let mut values = match &condition.kind {
        ExprKind::Binary { op: BinaryOp::Equal, left, right } if is_column(left) => {
            vec![datum(right, sql_type)?]
        }
        ExprKind::Binary { op: BinaryOp::Equal, left, right } if is_column(right) => {
            vec![datum(left, sql_type)?]
        }
        ExprKind::In { operand, list, negated: false } if is_column(operand) => {
            list.iter().map(|item| datum(item, sql_type)).collect::<Option<Vec<_>>>()?
        }
        _ => return None,
    };
    let mut once: Vec<Datum<'static>> = Vec::with_capacity(values.len());
    for value in values.drain(..) {
        if !once.contains(&value) {
            once.push(value);
        }
    }
    Some(once)
}

fn is_source(query: &Query, qualifier: Option<&Name>) -> bool {
    let own = [Some(&query.from.name), query.from.alias.as_ref()];
    qualifier.is_none_or(|qualifier| own.into_iter().flatten().any(|name| name.text == qualifier.text))
}

/// A value that is written down, where it is one of the column's type without any conversion that could change it.
fn datum(expr: &Expr, sql_type: SqlType) -> Option<Datum<'static>> {
    let (literal, negative) = match &expr.kind {
        ExprKind::Literal(literal) => (literal, false),
        ExprKind::Negate(inner) => match &inner.kind {
            ExprKind::Literal(literal) => (literal, true),
            _ => return None,
        },
        _ => return None,
    };
    let whole = |value: i64| if negative { value.checked_neg() } else { Some(value) };
    let number = match literal {
        Literal::Int(value) => Some(whole(i64::from(*value))?),
        Literal::BigInt(value) => Some(whole(*value)?),
        _ => None,
    };
    match (literal, sql_type) {
        (Literal::Text(text), SqlType::Varchar) => Some(Datum::Varchar(text.clone().into())),
        (_, SqlType::Int) => Some(Datum::Int(i32::try_from(number?).ok()?)),
        (_, SqlType::BigInt) => Some(Datum::BigInt(number?)),
        _ => None,
    }
}
