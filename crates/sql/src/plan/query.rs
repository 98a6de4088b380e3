//! `SELECT` into a [`QueryPlan`].

use super::bind::{Binder, Context, Mistake};
use super::query_plan::{OutputColumn, PlanNode, QueryPlan, Step};
use super::scope::{Scope, is_reserved};
use crate::expression::{Node, NodeKind};
use crate::parse::Place;
use crate::parse::ast::{Emit, Expr, ExprKind, Literal, Name, Query, RelationKind, SelectItem};
use crate::{Catalog, Format, Relation, SqlType};
use millstream_model::{Diagnostic, nearest};
use std::sync::Arc;

/// What the query is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It fills a relation, so that its key must be known.
    Fill,
    /// Its rows go to whoever asked.
    Push,
}

/// Diagnostics of one statement: those that stop it and those that do not.
pub(super) type Mistakes = Vec<Diagnostic>;

/// Plans `query`; `None` where there are mistakes.
pub(super) fn plan(
    catalog: &Catalog,
    query: &Query,
    purpose: Purpose,
    key_format: Option<Format>,
    mistakes: &mut Mistakes,
) -> Option<QueryPlan> {
    let before = mistakes.len();
    let scope = if query.joins.is_empty() {
        let Some(relation) = catalog.find(&query.from.name.text) else {
            mistakes.push(no_relation(catalog, &query.from.name));
            return None;
        };
        Scope::new(relation, query)
    } else {
        super::join::scope(catalog, query, mistakes)?
    };
    check_clauses(query, &scope.relation, purpose, mistakes);
    super::group::check_grouping(query, scope.relation.kind, mistakes);
    let mut planner = Planner { query, scope: &scope, purpose, key_format, mistakes };
    let plan = if query.group_by.is_empty() { Some(planner.rows()) } else { planner.groups() };
    let errors = |m: &Diagnostic| m.severity == millstream_model::Severity::Error;
    if mistakes[before..].iter().any(errors) { None } else { plan }
}

/// "There is no such stream or table", with the nearest name.
pub(super) fn no_relation(catalog: &Catalog, name: &Name) -> Diagnostic {
    let mistake = Diagnostic::error("sql-relation", format!("there is no stream or table `{}`", name.text))
        .label("not declared before this statement")
        .at(name.place.clone());
    let names = catalog.relations().map(|relation| &*relation.name);
    match nearest(&name.text, names) {
        Some(near) => mistake.help(format!("did you mean {near}?")),
        None => mistake.help("CREATE STREAM declares one over a topic; SHOW STREAMS lists what there is"),
    }
}

fn check_clauses(query: &Query, relation: &Relation, purpose: Purpose, mistakes: &mut Mistakes) {
    let mut refuse = |code, message: &str, help: &str, place: &std::ops::Range<usize>| {
        mistakes
            .push(Diagnostic::error(code, message).label("not possible here").help(help).at(place.clone()));
    };
    let grouped = !query.group_by.is_empty();
    if let Some(window) = &query.window
        && !grouped
    {
        refuse("sql-window", "a window needs groups", "add GROUP BY with the stream's key", &window.place);
    }
    if let Some(having) = &query.having
        && !grouped
    {
        refuse("sql-having", "HAVING needs groups", "use WHERE, or add GROUP BY", &having.place);
    }
    if let Some(first) = query.partition_by.first() {
        if grouped {
            refuse(
                "sql-partition",
                "PARTITION BY does not go with GROUP BY",
                "leave PARTITION BY out",
                &first.place,
            );
        } else if relation.kind == RelationKind::Table {
            refuse(
                "sql-partition",
                "a table cannot be partitioned anew",
                "leave PARTITION BY out",
                &first.place,
            );
        }
    }
    match &query.emit {
        Some((Emit::Final, place)) if query.window.is_none() => {
            refuse("sql-emit", "EMIT FINAL needs a window", "use EMIT CHANGES", place);
        }
        _ => {}
    }
    if let (Some((_, place)), Purpose::Fill) = (&query.limit, purpose) {
        refuse("sql-limit", "a query that fills a stream or table has no end", "leave LIMIT out", place);
    }
}

pub(super) struct Planner<'q, 'm> {
    pub(super) query: &'q Query,
    pub(super) scope: &'q Scope,
    pub(super) purpose: Purpose,
    pub(super) key_format: Option<Format>,
    pub(super) mistakes: &'m mut Mistakes,
}

/// An item of the projection: its name, its value, and the expression that it comes from.
pub(super) struct Item {
    pub(super) name: Arc<str>,
    pub(super) node: Node,
    pub(super) expr: Expr,
}

impl Planner<'_, '_> {
    pub(super) fn note<T>(&mut self, result: Result<T, Mistake>) -> Option<T> {
        result.map_err(|mistake| self.mistakes.push(*mistake)).ok()
    }

    /// `WHERE`, with the memories that it needs.
    pub(super) fn filter(&mut self, binder: &mut Binder<'_>) -> Vec<Step> {
        let filter = self.query.filter.as_ref().map(|filter| binder.truth(filter));
        let filter = filter.and_then(|filter| self.note(filter));
        let keyed = std::mem::take(&mut binder.keyed);
        binder.keyed_before += keyed.len();
        keyed.into_iter().map(Step::Keyed).chain(filter.map(Step::Filter)).collect()
    }

    /// A query without groups.
    fn rows(&mut self) -> QueryPlan {
        let mut binder = Binder::new(self.scope);
        let mut before = self.filter(&mut binder);
        before.extend(binder.explode(&self.query.items, self.mistakes));
        let mut items = self.items(&mut binder);
        if self.purpose == Purpose::Fill {
            self.take_other_side(&mut items);
        }
        let relation = &self.scope.relation;
        let keys: Vec<Expr> = if self.query.partition_by.is_empty() {
            self.source_key(&items)
        } else {
            // PARTITION BY NULL takes the key away.
            let is_null = |key: &&Expr| matches!(key.kind, ExprKind::Literal(Literal::Null));
            self.query.partition_by.iter().filter(|key| !is_null(key)).cloned().collect()
        };
        for key in &self.query.partition_by {
            let bound = binder.bind(key);
            self.note(bound);
        }
        let rekeyed = !self.query.partition_by.is_empty();
        let format = match relation.key.format {
            Format::None if rekeyed => Format::Kafka,
            format => format,
        };
        let output = self.output(&items, &keys);
        self.check_key(&output, &keys);
        let mut nodes: Vec<Node> = items.into_iter().map(|item| item.node).collect();
        let mut window_start = None;
        if let Some(slot) = self.scope.window_start().filter(|_| !rekeyed) {
            window_start = Some(nodes.len());
            nodes.push(Node::new(NodeKind::Column(slot), SqlType::BigInt));
        }
        let mut window_end = None;
        if let Some(slot) = self.scope.window_end().filter(|_| !rekeyed && relation.session) {
            window_end = Some(nodes.len());
            nodes.push(Node::new(NodeKind::Column(slot), SqlType::BigInt));
        }
        before.extend(binder.keyed.into_iter().map(Step::Keyed));
        before.push(Step::Project(nodes));
        QueryPlan {
            nodes: in_a_row(self.scope, before),
            key_format: self.key_format.unwrap_or(if keys.is_empty() { Format::None } else { format }),
            output,
            kind: relation.kind,
            window: None,
            window_ms: if rekeyed { None } else { relation.window_ms },
            window_start,
            window_end,
            limit: self.query.limit.as_ref().map(|(rows, _)| *rows),
        }
    }

    /// The expressions that are the key of rows as they are read. Where several columns of a join may stand for it, it is
    /// the first one that is selected.
    fn source_key(&self, items: &[Item]) -> Vec<Expr> {
        if !self.scope.is_join() {
            let keys = self.scope.relation.key_columns();
            return keys.iter().map(|(name, _)| column_expr(name)).collect();
        }
        let selected = |slot: &usize| {
            let is_it = |item: &&Item| {
                matches!(item.node.kind, NodeKind::Column(column) if column == *slot)
                    && matches!(item.expr.kind, ExprKind::Column { .. })
            };
            items.iter().find(is_it).map(|item| item.expr.clone())
        };
        let part = |viable: &Vec<usize>| {
            let named = || viable.first().and_then(|slot| self.scope.named(*slot));
            viable.iter().find_map(selected).or_else(named)
        };
        self.scope.join_key.iter().filter_map(part).collect()
    }

    /// Where a query selects the key of an outer join only by its column of the other side, as in `LEFT JOIN T ON S.X = T.ID`
    /// with nothing but `T.ID`, this column is the key, and has the key's value also where there is no partner.
    fn take_other_side(&self, items: &mut [Item]) {
        let is = |item: &Item, slots: &[usize]| {
            matches!(item.node.kind, NodeKind::Column(column) if slots.contains(&column))
                && matches!(item.expr.kind, ExprKind::Column { .. })
        };
        for (viable, other) in self.scope.join_key.iter().zip(&self.scope.join_same) {
            let Some(slot) = viable.first().copied().filter(|_| !items.iter().any(|item| is(item, viable)))
            else {
                continue;
            };
            let stands_in = items.iter_mut().find(|item| is(item, other));
            let same_type = |item: &&mut Item| item.node.sql_type == self.scope.columns[slot].1;
            if let (Some(item), Some(expr)) = (stands_in.filter(same_type), self.scope.named(slot)) {
                item.node = Node::new(NodeKind::Column(slot), item.node.sql_type);
                item.expr = Expr { place: item.expr.place.clone(), ..expr };
            }
        }
    }

    /// The columns that a star stands for. Those of a join are named with their source in front, as in ksqlDB.
    fn star(&self, qualifier: Option<&Name>) -> Vec<Item> {
        use super::query_plan::ScanColumn as C;
        let mut items = Vec::new();
        let mut slots: Vec<usize> = (0..self.scope.columns.len()).collect();
        if self.scope.is_join() {
            slots = self.scope.star_slots(qualifier);
        }
        for slot in slots {
            let (name, sql_type, column) = &self.scope.columns[slot];
            let values = self.scope.relation.value_columns().len();
            let wanted = match column {
                C::Key(_) | C::Header(_) => true,
                C::WindowStart | C::WindowEnd => self.purpose == Purpose::Push,
                C::Value(index) => self.scope.is_join() || *index < values,
                C::RowTime | C::RowPartition | C::RowOffset => false,
            };
            if wanted {
                let node = Node::new(NodeKind::Column(slot), *sql_type);
                let (name, expr) = match self.scope.named(slot) {
                    Some(expr) if self.scope.is_join() => (self.scope.joined_name(slot), expr),
                    _ => (name.clone(), column_expr(name)),
                };
                items.push(Item { name, node, expr });
            }
        }
        items
    }

    /// The projection, stars spelled out.
    pub(super) fn items(&mut self, binder: &mut Binder<'_>) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        let mut generated = 0;
        for item in &self.query.items {
            match item {
                SelectItem::All { qualifier, place } => {
                    if let Some(qualifier) = qualifier {
                        let checked = self.scope.check_qualifier(qualifier);
                        self.note(checked);
                    }
                    if matches!(binder.context, Context::Groups(_)) {
                        self.mistakes.push(
                            Diagnostic::error("sql-group", "`*` has many values in a group")
                                .label("not possible with GROUP BY")
                                .help("write the keys and aggregates one by one")
                                .at(place.clone()),
                        );
                        continue;
                    }
                    items.extend(self.star(qualifier.as_ref()));
                }
                SelectItem::Fields { expr } => self.fields(binder, expr, &mut items),
                SelectItem::Expr { expr, alias } => {
                    let bound = binder.bind(expr);
                    let Some(node) = self.note(bound) else { continue };
                    let name = match (alias, &expr.kind) {
                        (Some(alias), _) => alias.text.as_str().into(),
                        (None, ExprKind::Column { qualifier: Some(_), name }) => match node.kind {
                            NodeKind::Column(slot) if self.scope.clashes(&name.text) => {
                                self.scope.joined_name(slot)
                            }
                            _ => name.text.as_str().into(),
                        },
                        (None, ExprKind::Column { name, .. }) => name.text.as_str().into(),
                        (None, ExprKind::Field { name, .. }) => free_name(&name.text, &items),
                        (None, _) => generated_name(&mut generated, self.scope, &items),
                    };
                    if items.iter().any(|item| item.name == name) {
                        let place = alias.as_ref().map_or(&expr.place, |alias| &alias.place);
                        self.mistakes.push(second_column(&name, "give it another name with AS", place));
                    }
                    items.push(Item { name, node, expr: expr.clone() });
                }
            }
        }
        items
    }

    /// `expr->*`: the fields of a struct, each as a column of its name.
    fn fields(&mut self, binder: &mut Binder<'_>, expr: &Expr, items: &mut Vec<Item>) {
        let bound = binder.bind(expr);
        let Some(node) = self.note(bound) else { return };
        let SqlType::Struct(fields) = node.sql_type else {
            self.mistakes.push(
                Diagnostic::error("sql-struct", format!("`{expr}` is {}, and has no fields", node.sql_type))
                    .label("only a STRUCT has fields")
                    .help("leave ->* out")
                    .at(expr.place.clone()),
            );
            return;
        };
        if !is_path(&node) {
            self.mistakes.push(
                Diagnostic::error("sql-struct", "`->*` follows a column, or a field of one")
                    .label("would be computed once for each field")
                    .help("select the STRUCT under a name, and its fields in a second query")
                    .at(expr.place.clone()),
            );
            return;
        }
        for field in fields {
            let name = Name { text: field.name.to_owned(), place: expr.place.clone() };
            let kind = ExprKind::Field { operand: Box::new(expr.clone()), name };
            let field_expr = Expr::new(kind, expr.place.clone());
            let bound = binder.bind(&field_expr);
            let Some(node) = self.note(bound) else { return };
            let name: Arc<str> = field.name.into();
            if items.iter().any(|item| item.name == name) {
                let help = "write the fields one by one, with AS";
                self.mistakes.push(second_column(&name, help, &expr.place));
            }
            items.push(Item { name, node, expr: field_expr });
        }
    }

    /// Which items are the key's columns.
    pub(super) fn output(&mut self, items: &[Item], keys: &[Expr]) -> Vec<OutputColumn> {
        let mut output: Vec<OutputColumn> = Vec::new();
        for item in items {
            let mut key = keys.iter().position(|key| key.same_as(&item.expr));
            if key.is_some() && output.iter().any(|column| column.key == key) {
                if self.purpose == Purpose::Fill {
                    self.mistakes.push(
                        Diagnostic::error("sql-key", format!("the key `{}` is selected twice", item.expr))
                            .label("the second time")
                            .help(format!("write AS_VALUE({}) for a copy of it in the value", item.expr))
                            .at(item.expr.place.clone()),
                    );
                }
                key = None;
            }
            if self.purpose == Purpose::Fill && is_reserved(&item.name) {
                self.mistakes.push(
                    Diagnostic::error("sql-reserved", format!("a column cannot be called {}", item.name))
                        .label("every row has one of this name")
                        .help(format!("write {} AS another name", item.expr))
                        .at(item.expr.place.clone()),
                );
            }
            output.push(OutputColumn { name: item.name.clone(), sql_type: item.node.sql_type, key });
        }
        output
    }

    /// A query that fills a relation must select its key, and the key's format must be able to hold it.
    pub(super) fn check_key(&mut self, output: &[OutputColumn], keys: &[Expr]) {
        if self.purpose == Purpose::Push {
            return;
        }
        for (index, key) in keys.iter().enumerate() {
            if !output.iter().any(|column| column.key == Some(index)) {
                let place = self.query.items.first().map_or(self.query.place.clone(), |item| match item {
                    SelectItem::All { place, .. } => place.clone(),
                    SelectItem::Fields { expr } | SelectItem::Expr { expr, .. } => expr.place.clone(),
                });
                self.mistakes.push(
                    Diagnostic::error("sql-key", format!("the key `{key}` is not selected"))
                        .label("the result would have no key")
                        .help(format!("SELECT {}, …", qualified(key)))
                        .at(place),
                );
            }
        }
    }
}

fn second_column(name: &str, help: &str, place: &Place) -> Diagnostic {
    Diagnostic::error("sql-duplicate", format!("there are two columns `{name}`"))
        .label("the second one")
        .help(help)
        .at(place.clone())
}

/// Whether it is a column, or a field of one.
fn is_path(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Column(_) => true,
        NodeKind::Field { operand, .. } => is_path(operand),
        _ => false,
    }
}

/// The next name of a column that has none: numbered, and not one of the source's.
fn generated_name(generated: &mut usize, scope: &Scope, items: &[Item]) -> Arc<str> {
    loop {
        let name = format!("KSQL_COL_{generated}");
        *generated += 1;
        let taken = scope.columns.iter().any(|(known, ..)| **known == *name);
        if !taken && !items.iter().any(|item| *item.name == *name) {
            return name.into();
        }
    }
}

/// The name of a struct's field as a column; with a number behind it where there is one of that name already.
fn free_name(field: &str, items: &[Item]) -> Arc<str> {
    let is_free = |name: &str| items.iter().all(|item| *item.name != *name);
    if is_free(field) {
        return field.into();
    }
    let numbered = (1..=items.len()).map(|number| format!("{field}_{number}"));
    numbered.into_iter().find(|name| is_free(name)).unwrap_or_else(|| field.to_owned()).into()
}

/// A scan with one step after the other.
pub(super) fn in_a_row(scope: &Scope, steps: Vec<Step>) -> Vec<PlanNode> {
    let mut nodes = scope.nodes.clone();
    for step in steps {
        nodes.push(PlanNode::Step { input: nodes.len() - 1, step });
    }
    nodes
}

/// An expression as it must be written where a column's source counts.
fn qualified(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Column { qualifier: Some(qualifier), name } => format!("{}.{}", qualifier.text, name.text),
        _ => expr.to_string(),
    }
}

fn column_expr(name: &str) -> Expr {
    let name = Name { text: name.to_owned(), place: 0..0 };
    Expr::new(ExprKind::Column { qualifier: None, name }, 0..0)
}
