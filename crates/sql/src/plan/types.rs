//! Types that `CREATE TYPE` made, put into statements before they are planned.

use super::query::Mistakes;
use crate::Catalog;
use crate::parse::ast::{Expr, ExprKind, Query, SelectItem, StatementKind, TypeKind, TypeName};
use millstream_model::{Diagnostic, nearest};

/// Puts what `catalog` knows in the place of every name of a type in `kind`.
pub(super) fn resolve(catalog: &Catalog, kind: &mut StatementKind, mistakes: &mut Mistakes) {
    let mut one = |name: &mut TypeName| match name.resolve_with(&|known| catalog.find_type(known)) {
        Ok(sql_type) => name.kind = TypeKind::Simple(sql_type),
        Err(mistake) => {
            mistakes.push(with_nearest(catalog, *mistake, name));
            // One mistake is enough for one type.
            name.kind = TypeKind::Simple(crate::SqlType::Varchar);
        }
    };
    match kind {
        StatementKind::Declare(declare) => declare.columns.iter_mut().for_each(|c| one(&mut c.sql_type)),
        StatementKind::Alter { columns, .. } => columns.iter_mut().for_each(|c| one(&mut c.sql_type)),
        StatementKind::CreateType { sql_type, .. } => one(sql_type),
        StatementKind::CreateAs(create) => of_query(&mut create.query, &mut one),
        StatementKind::InsertSelect { query, .. } | StatementKind::Select(query) => of_query(query, &mut one),
        StatementKind::InsertValues { values, .. } => values.iter_mut().for_each(|v| of_expr(v, &mut one)),
        _ => {}
    }
}

/// "There is no such type", with the nearest one.
fn with_nearest(catalog: &Catalog, mistake: Diagnostic, name: &TypeName) -> Diagnostic {
    const BUILT_IN: [&str; 11] = [
        "BOOLEAN",
        "INTEGER",
        "BIGINT",
        "DOUBLE",
        "DECIMAL",
        "VARCHAR",
        "STRING",
        "BYTES",
        "DATE",
        "TIME",
        "TIMESTAMP",
    ];
    let TypeKind::Named(name) = &name.kind else { return mistake };
    let known = catalog.types().map(|(known, _)| &**known).chain(BUILT_IN);
    match nearest(&name.text, known) {
        Some(near) => mistake.help(format!("did you mean {near}?")),
        None => mistake,
    }
}

fn of_query(query: &mut Query, one: &mut dyn FnMut(&mut TypeName)) {
    for item in &mut query.items {
        match item {
            SelectItem::All { .. } => {}
            SelectItem::Fields { expr } | SelectItem::Expr { expr, .. } => of_expr(expr, one),
        }
    }
    let joins = query.joins.iter_mut().map(|join| &mut join.on);
    let groups = query.group_by.iter_mut().chain(&mut query.partition_by);
    let all = joins.chain(&mut query.filter).chain(groups).chain(&mut query.having);
    all.for_each(|expr| of_expr(expr, one));
}

fn of_expr(expr: &mut Expr, one: &mut dyn FnMut(&mut TypeName)) {
    if let ExprKind::Cast { to, .. } = &mut expr.kind {
        one(to);
    }
    for child in expr.kind.children_mut() {
        of_expr(child, one);
    }
}
