//! Values that hold others: their parts, and how they are made; parameters of lambdas.

use super::bind::{Binder, Mistake, boxed, type_of, wrong_type};
use super::bind_operator::unify_list;
use crate::SqlType;
use crate::expression::{Node, NodeKind};
use crate::function::widens;
use crate::parse::ast::{Expr, ExprKind, Name, check_size};
use millstream_model::{Diagnostic, nearest};
use std::collections::BTreeSet;

/// The parameters of the lambdas around an expression, with their types, outermost first.
pub(super) type LambdaScopes = Vec<Vec<(String, SqlType)>>;

impl Binder<'_> {
    /// A parameter of a lambda, where the expression is the name of one.
    pub(super) fn lambda_param(&self, expr: &Expr) -> Option<Node> {
        let ExprKind::Column { qualifier: None, name } = &expr.kind else { return None };
        for (depth, params) in self.lambdas.iter().rev().enumerate() {
            if let Some(index) = params.iter().rposition(|(param, _)| *param == name.text) {
                let sql_type = params.get(index)?.1;
                return Some(Node::new(NodeKind::Param { depth, index }, sql_type));
            }
        }
        None
    }

    /// The body of a lambda whose parameters have these types.
    pub(super) fn lambda_body(
        &mut self,
        params: &[Name],
        types: &[SqlType],
        body: &Expr,
    ) -> Result<Node, Mistake> {
        for (index, param) in params.iter().enumerate() {
            if params.iter().take(index).any(|other| other.text == param.text) {
                return Err(Box::new(
                    Diagnostic::error("sql-lambda", format!("there are two parameters `{}`", param.text))
                        .label("the second one")
                        .help("give it another name")
                        .at(param.place.clone()),
                ));
            }
        }
        let scope = params.iter().map(|param| param.text.clone()).zip(types.iter().copied()).collect();
        self.lambdas.push(scope);
        let body = self.bind(body);
        self.lambdas.pop();
        body
    }

    /// `operand->name`.
    pub(super) fn field(&mut self, operand: &Expr, name: &Name) -> Result<Node, Mistake> {
        let node = self.bind(operand)?;
        let SqlType::Struct(fields) = node.sql_type else {
            let help = match node.sql_type {
                SqlType::Map(..) => format!("write {operand}['{}'] for what a map has for a key", name.text),
                SqlType::Array(_) => format!("write {operand}[1] for an element of an array"),
                _ => "only a STRUCT has fields".to_owned(),
            };
            return Err(Box::new(
                Diagnostic::error("sql-types", format!("`{operand}` is {}", node.sql_type))
                    .label("expected a STRUCT")
                    .help(help)
                    .at(operand.place.clone()),
            ));
        };
        let Some((place, sql_type)) = node.sql_type.field(&name.text) else {
            let names: Vec<_> = fields.iter().map(|field| field.name).collect();
            let mistake = Diagnostic::error("sql-field", format!("`{operand}` has no field `{}`", name.text))
                .label(format!("its fields are {}", names.join(", ")))
                .at(name.place.clone());
            let near = names.iter().copied().find(|field| field.eq_ignore_ascii_case(&name.text));
            return Err(Box::new(match near.or_else(|| nearest(&name.text, names.iter().copied())) {
                Some(near) if near.to_uppercase() == near => mistake.help(format!("did you mean {near}?")),
                Some(near) => mistake.help(format!("did you mean `{near}`? its name needs the backticks")),
                None => mistake,
            }));
        };
        Ok(Node::new(NodeKind::Field { operand: boxed(node), place }, sql_type).folded())
    }

    /// `operand[index]`.
    pub(super) fn index(&mut self, operand: &Expr, index: &Expr) -> Result<Node, Mistake> {
        let (node, place) = (self.bind(operand)?, self.bind(index)?);
        let (wanted, sql_type) = match node.sql_type {
            SqlType::Array(element) => (SqlType::BigInt, *element),
            SqlType::Map(key, value) => (*key, *value),
            other => {
                let help = match (other, &index.kind) {
                    (SqlType::Struct(_), _) => format!("write {operand}->name for a field of a struct"),
                    _ => "only arrays and maps have elements".to_owned(),
                };
                return Err(Box::new(
                    Diagnostic::error("sql-types", format!("`{operand}` is {other}"))
                        .label("expected an ARRAY or a MAP")
                        .help(help)
                        .at(operand.place.clone()),
                ));
            }
        };
        if !widens(type_of(&place), wanted) {
            let expected = match node.sql_type {
                SqlType::Array(_) => "a whole number, from 1 on, or from the end with -1".to_owned(),
                _ => format!("{wanted}, as the keys of the map are"),
            };
            return Err(wrong_type(index, place.sql_type, &expected));
        }
        let kind = NodeKind::Index { operand: boxed(node), index: boxed(place.cast_to(wanted)) };
        Ok(Node::new(kind, sql_type).folded())
    }

    /// `ARRAY[…]`.
    pub(super) fn array(&mut self, items: &[Expr], expr: &Expr) -> Result<Node, Mistake> {
        let nodes = self.list(items, expr, "the elements of ARRAY", "CAST(NULL AS ARRAY<…>)")?;
        let element = nodes.first().map_or(SqlType::Varchar, |node| node.sql_type);
        Ok(Node::new(NodeKind::Array(nodes), SqlType::array(element)).folded())
    }

    /// `MAP(key := value, …)`.
    pub(super) fn map(&mut self, entries: &[(Expr, Expr)], expr: &Expr) -> Result<Node, Mistake> {
        let (keys, values): (Vec<_>, Vec<_>) = entries.iter().cloned().unzip();
        let keys = self.list(&keys, expr, "the keys of MAP", "CAST(NULL AS MAP<…>)")?;
        let values = self.list(&values, expr, "the values of MAP", "CAST(NULL AS MAP<…>)")?;
        let type_of_first = |nodes: &[Node]| nodes.first().map_or(SqlType::Varchar, |node| node.sql_type);
        let sql_type = SqlType::map(type_of_first(&keys), type_of_first(&values));
        check_size(sql_type, &expr.place)?;
        Ok(Node::new(NodeKind::Map(keys.into_iter().zip(values).collect()), sql_type).folded())
    }

    /// `STRUCT(name := value, …)`.
    pub(super) fn structure(&mut self, fields: &[(Name, Expr)], expr: &Expr) -> Result<Node, Mistake> {
        let mut nodes = Vec::with_capacity(fields.len());
        let mut known = BTreeSet::new();
        for (name, value) in fields {
            if !known.insert(&name.text) {
                return Err(Box::new(
                    Diagnostic::error("sql-field", format!("there are two fields `{}`", name.text))
                        .label("the second one")
                        .help("give it another name")
                        .at(name.place.clone()),
                ));
            }
            let node = self.bind(value)?;
            if type_of(&node).is_none() {
                return Err(untyped(value, "the field", "CAST(NULL AS …)"));
            }
            nodes.push(node);
        }
        if nodes.is_empty() {
            return Err(untyped(expr, "a STRUCT without fields", "CAST(NULL AS STRUCT<…>)"));
        }
        let names = fields.iter().map(|(name, _)| name.text.as_str());
        let sql_type = SqlType::structure(names.zip(nodes.iter().map(|node| node.sql_type)));
        check_size(sql_type, &expr.place)?;
        Ok(Node::new(NodeKind::Struct(nodes), sql_type).folded())
    }

    /// The values of a constructor, of one type.
    fn list(&mut self, items: &[Expr], expr: &Expr, what: &str, instead: &str) -> Result<Vec<Node>, Mistake> {
        let nodes = items.iter().map(|item| self.bind(item)).collect::<Result<Vec<_>, _>>()?;
        if nodes.iter().all(|node| type_of(node).is_none()) {
            return Err(untyped(expr, what, instead));
        }
        unify_list(nodes, expr, what)
    }
}

fn untyped(expr: &Expr, what: &str, instead: &str) -> Mistake {
    Box::new(
        Diagnostic::error("sql-types", format!("{what} would have no type"))
            .label("neither a value nor a type to tell it by")
            .help(format!("write {instead}"))
            .at(expr.place.clone()),
    )
}
