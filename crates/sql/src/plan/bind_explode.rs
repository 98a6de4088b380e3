//! Table functions in a `SELECT` list: they are computed before the rest of it, and stand in columns then.

use super::bind::{Binder, Mistake, type_of};
use super::group::{Explode, TableCall};
use super::query_plan::Step;
use crate::SqlType;
use crate::expression::{Node, NodeKind};
use crate::function::table::{self, TableFunction};
use crate::parse::ast::{Expr, ExprKind, RelationKind, SelectItem};
use millstream_model::Diagnostic;

/// A call of a table function, and the column that holds its rows.
#[derive(Debug)]
pub(super) struct Exploded {
    expr: Expr,
    slot: usize,
    sql_type: SqlType,
}

impl Binder<'_> {
    /// The steps that compute the table functions in `items`, which may be named from then on.
    pub(super) fn explode(&mut self, items: &[SelectItem], mistakes: &mut Vec<Diagnostic>) -> Vec<Step> {
        let mut found: Vec<&Expr> = Vec::new();
        for item in items {
            if let SelectItem::Expr { expr, .. } | SelectItem::Fields { expr } = item {
                collect(expr, &mut found);
            }
        }
        let mut calls = Vec::new();
        let mut bound = Vec::new();
        for expr in found {
            match self.table_call(expr) {
                Ok(call) => {
                    bound.push((expr, call.returns));
                    calls.push(call);
                }
                Err(mistake) => {
                    mistakes.push(*mistake);
                    // So that it is said once.
                    self.exploded.push(Exploded { expr: expr.clone(), slot: 0, sql_type: SqlType::Varchar });
                }
            }
        }
        let keyed = std::mem::take(&mut self.keyed);
        self.keyed_before += keyed.len();
        let mut steps: Vec<Step> = keyed.into_iter().map(Step::Keyed).collect();
        for (expr, sql_type) in bound {
            let slot = self.scope.columns.len() + self.keyed_before;
            self.exploded.push(Exploded { expr: expr.clone(), slot, sql_type });
            self.keyed_before += 1;
        }
        if !calls.is_empty() {
            steps.push(Step::Explode(Explode { calls }));
        }
        steps
    }

    fn table_call(&mut self, expr: &Expr) -> Result<TableCall, Mistake> {
        let ExprKind::Call { name, args, star } = &expr.kind else { return Err(misplaced("a value", expr)) };
        let Some(function) = table::find(&name.text) else { return Err(misplaced(&name.text, expr)) };
        if self.scope.relation.kind == RelationKind::Table {
            return Err(Box::new(
                Diagnostic::error("sql-explode", format!("{} cannot be used over a table", function.name))
                    .label("a row of a table has one key, and would become several")
                    .help("use the stream that the table is made of")
                    .at(expr.place.clone()),
            ));
        }
        let mut inside = Vec::new();
        for arg in args {
            collect(arg, &mut inside);
        }
        if let Some(inner) = inside.first() {
            return Err(Box::new(
                Diagnostic::error("sql-explode", "a table function cannot stand in another one")
                    .label(format!("inside of {}", function.name))
                    .help("make a second query over the result of this one")
                    .at(inner.place.clone()),
            ));
        }
        let bound = args.iter().map(|arg| self.bind(arg)).collect::<Result<Vec<_>, _>>()?;
        let types: Vec<Option<SqlType>> = bound.iter().map(type_of).collect();
        if let Some(returns) = (function.resolve)(&types).filter(|_| !star) {
            return Ok(TableCall { function, args: bound, returns });
        }
        let given = types.iter().map(|t| t.map_or_else(|| "NULL".to_owned(), |t| t.to_string()));
        let given = given.collect::<Vec<_>>().join(", ");
        Err(Box::new(
            Diagnostic::error("sql-arguments", format!("{} does not take these arguments", function.name))
                .label(format!("({})", if *star { "*" } else { &given }))
                .help(format!("it is called as {}", function.usage))
                .at(expr.place.clone()),
        ))
    }

    /// The column of a table function's call.
    pub(super) fn exploded(&self, function: &TableFunction, expr: &Expr) -> Result<Node, Mistake> {
        let known = self.exploded.iter().find(|known| known.expr.same_as(expr));
        let known = known.ok_or_else(|| misplaced(function.name, expr))?;
        Ok(Node::new(NodeKind::Column(known.slot), known.sql_type))
    }
}

fn misplaced(name: &str, expr: &Expr) -> Mistake {
    Box::new(
        Diagnostic::error("sql-explode", format!("{name} cannot stand here"))
            .label("table functions stand in the SELECT list of a query without GROUP BY")
            .help("make a second query over the result of one that only explodes")
            .at(expr.place.clone()),
    )
}

/// Finds the outermost calls of table functions, each once.
fn collect<'e>(expr: &'e Expr, found: &mut Vec<&'e Expr>) {
    if let ExprKind::Call { name, .. } = &expr.kind
        && table::find(&name.text).is_some()
    {
        if !found.iter().any(|known| known.same_as(expr)) {
            found.push(expr);
        }
        return;
    }
    expr.kind.children().into_iter().for_each(|child| collect(child, found));
}
