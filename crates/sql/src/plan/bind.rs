//! Expressions with names into typed nodes.

use super::bind_group::GroupContext;
use super::query_plan::Keyed;
use super::scope::Scope;
use crate::expression::like::Pattern;
use crate::expression::{ArithmeticOp, CompareOp, Node, NodeKind, cast};
use crate::function::common_type;
use crate::parse::ast::{BinaryOp, Expr, ExprKind, Literal};
use crate::{Datum, SqlType};
use millstream_model::Diagnostic;
use std::borrow::Cow;

/// A mistake, boxed because it is passed up many levels.
pub(super) type Mistake = Box<Diagnostic>;

/// What names mean.
pub(super) enum Context<'q> {
    /// Columns of the source.
    Rows,
    /// Keys and aggregates of groups.
    Groups(GroupContext<'q>),
}

/// Binds the expressions of one query.
pub(super) struct Binder<'q> {
    pub(super) scope: &'q Scope,
    pub(super) context: Context<'q>,
    /// Calls of functions with a memory that were found; their columns come after the scope's and [`Binder::keyed_before`].
    pub(super) keyed: Vec<Keyed>,
    /// How many such columns earlier steps have added.
    pub(super) keyed_before: usize,
}

/// The type of a node; `None` for the literal `NULL`, which is of any type.
pub(super) fn type_of(node: &Node) -> Option<SqlType> {
    if matches!(node.kind, NodeKind::Literal(Datum::Null)) { None } else { Some(node.sql_type) }
}

fn boxed(node: Node) -> Box<Node> {
    Box::new(node)
}

fn boolean(kind: NodeKind) -> Node {
    Node::new(kind, SqlType::Boolean)
}

impl Binder<'_> {
    pub(super) fn bind(&mut self, expr: &Expr) -> Result<Node, Mistake> {
        if let Some(node) = self.group_part(expr)? {
            return Ok(node);
        }
        match &expr.kind {
            ExprKind::Literal(value) => Ok(literal(value)),
            ExprKind::Column { qualifier, name } => {
                let (slot, sql_type) = self.scope.find(qualifier.as_ref(), name)?;
                Ok(Node::new(NodeKind::Column(slot), sql_type))
            }
            ExprKind::Binary { op, left, right } => {
                let (left, right) = (self.bind(left)?, self.bind(right)?);
                binary(*op, left, right, expr)
            }
            ExprKind::Not(operand) => Ok(boolean(NodeKind::Not(boxed(self.truth(operand)?)))),
            ExprKind::Negate(operand) => {
                let node = self.bind(operand)?;
                if !node.sql_type.is_numeric() {
                    return Err(wrong_type(operand, node.sql_type, "a number"));
                }
                let sql_type = node.sql_type;
                Ok(Node::new(NodeKind::Negate(boxed(node)), sql_type))
            }
            ExprKind::IsNull { operand, negated } => {
                let node = boolean(NodeKind::IsNull(boxed(self.bind(operand)?)));
                Ok(maybe_not(node, *negated))
            }
            ExprKind::Between { operand, low, high, negated } => {
                let value = self.bind(operand)?;
                let (low, high) = (self.bind(low)?, self.bind(high)?);
                let above = binary(BinaryOp::GreaterOrEqual, value.clone(), low, expr)?;
                let below = binary(BinaryOp::LessOrEqual, value, high, expr)?;
                Ok(maybe_not(boolean(NodeKind::And(boxed(above), boxed(below))), *negated))
            }
            ExprKind::In { operand, list, negated } => {
                Ok(maybe_not(self.in_list(operand, list, expr)?, *negated))
            }
            ExprKind::Like { operand, pattern, escape, negated } => {
                Ok(maybe_not(self.like(operand, pattern, *escape, expr)?, *negated))
            }
            ExprKind::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref(), expr)
            }
            ExprKind::Cast { operand, to } => {
                let (node, to) = (self.bind(operand)?, to.resolve()?);
                if type_of(&node).is_some_and(|from| !cast::exists(from, to)) {
                    return Err(wrong_type(
                        operand,
                        node.sql_type,
                        &format!("something that can be cast to {to}"),
                    ));
                }
                Ok(node.cast_to(to))
            }
            ExprKind::Call { name, args, star } => self.call(name, args, *star, expr),
            ExprKind::Field { .. }
            | ExprKind::Index { .. }
            | ExprKind::Array(_)
            | ExprKind::Map(_)
            | ExprKind::Struct(_)
            | ExprKind::Lambda { .. } => Err(not_yet("a nested value", &expr.place)),
        }
    }

    fn in_list(&mut self, operand: &Expr, list: &[Expr], expr: &Expr) -> Result<Node, Mistake> {
        let mut nodes = vec![self.bind(operand)?];
        for item in list {
            nodes.push(self.bind(item)?);
        }
        let mut list = unify(nodes, expr, "the values of IN")?;
        let operand = boxed(list.remove(0));
        Ok(boolean(NodeKind::In { operand, list }))
    }

    fn like(
        &mut self,
        operand: &Expr,
        pattern: &Expr,
        escape: Option<char>,
        expr: &Expr,
    ) -> Result<Node, Mistake> {
        let (operand, pattern) = (self.text(operand)?, self.text(pattern)?);
        let compiled = match &pattern.kind {
            NodeKind::Literal(Datum::Varchar(text)) => {
                Some(Pattern::compile(text, escape).map_err(|fault| {
                    Diagnostic::error("sql-pattern", fault.to_string())
                        .label("not a pattern")
                        .help("write the escape character twice to mean itself")
                        .at(expr.place.clone())
                })?)
            }
            _ => None,
        };
        Ok(boolean(NodeKind::Like { operand: boxed(operand), pattern: boxed(pattern), compiled, escape }))
    }

    /// An expression that must be true or false.
    pub(super) fn truth(&mut self, expr: &Expr) -> Result<Node, Mistake> {
        let node = self.bind(expr)?;
        match type_of(&node) {
            Some(SqlType::Boolean) => Ok(node),
            None => Ok(node.cast_to(SqlType::Boolean)),
            Some(other) => Err(wrong_type(expr, other, "BOOLEAN")),
        }
    }

    fn text(&mut self, expr: &Expr) -> Result<Node, Mistake> {
        let node = self.bind(expr)?;
        match type_of(&node) {
            Some(SqlType::Varchar) | None => Ok(node),
            Some(other) => Err(wrong_type(expr, other, "VARCHAR")),
        }
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        expr: &Expr,
    ) -> Result<Node, Mistake> {
        let operand = operand.map(|operand| self.bind(operand)).transpose()?;
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for (when, then) in branches {
            conditions.push(match &operand {
                Some(operand) => binary(BinaryOp::Equal, operand.clone(), self.bind(when)?, when)?,
                None => self.truth(when)?,
            });
            results.push(self.bind(then)?);
        }
        if let Some(otherwise) = otherwise {
            results.push(self.bind(otherwise)?);
        }
        let mut results = unify(results, expr, "the results of CASE")?;
        let sql_type = results.first().map_or(SqlType::Varchar, |node| node.sql_type);
        let otherwise = if otherwise.is_some() { results.pop().map(boxed) } else { None };
        let branches = conditions.into_iter().zip(results).collect();
        Ok(Node::new(NodeKind::Case { branches, otherwise }, sql_type))
    }
}

/// Something of the dialect that is not there yet.
pub(super) fn not_yet(what: &str, place: &std::ops::Range<usize>) -> Mistake {
    Box::new(
        Diagnostic::error("sql-unsupported", format!("{what} is not supported yet"))
            .label("not supported yet")
            .at(place.clone()),
    )
}

fn literal(value: &Literal) -> Node {
    match value {
        Literal::Null => Node::literal(Datum::Null, SqlType::Varchar),
        Literal::Boolean(v) => Node::literal(Datum::Boolean(*v), SqlType::Boolean),
        Literal::Int(v) => Node::literal(Datum::Int(*v), SqlType::Int),
        Literal::BigInt(v) => Node::literal(Datum::BigInt(*v), SqlType::BigInt),
        Literal::Decimal(v) => {
            Node::literal(Datum::Double(v.to_string().parse().unwrap_or(f64::NAN)), SqlType::Double)
        }
        Literal::Double(v) => Node::literal(Datum::Double(*v), SqlType::Double),
        Literal::Text(v) => Node::literal(Datum::Varchar(Cow::Owned(v.clone())), SqlType::Varchar),
    }
}

fn maybe_not(node: Node, negated: bool) -> Node {
    if negated { boolean(NodeKind::Not(boxed(node))) } else { node }
}

/// Brings all nodes to one type.
pub(super) fn unify(nodes: Vec<Node>, expr: &Expr, what: &str) -> Result<Vec<Node>, Mistake> {
    let Some(common) = common_type(nodes.iter().map(type_of)) else {
        let mut types: Vec<_> = nodes.iter().filter_map(type_of).map(|t| t.to_string()).collect();
        types.dedup();
        return Err(Box::new(
            Diagnostic::error("sql-types", format!("{what} have different types"))
                .label(types.join(", "))
                .help("use CAST(… AS …) to make them the same")
                .at(expr.place.clone()),
        ));
    };
    Ok(nodes.into_iter().map(|node| node.cast_to(common)).collect())
}

fn binary(op: BinaryOp, left: Node, right: Node, expr: &Expr) -> Result<Node, Mistake> {
    let types = (type_of(&left), type_of(&right));
    let refuse = || {
        let name = |sql_type: Option<SqlType>| sql_type.map_or_else(|| "NULL".to_owned(), |t| t.to_string());
        Box::new(
            Diagnostic::error("sql-types", format!("`{}` does not go with these types", op.symbol()))
                .label(format!("{} {} {}", name(types.0), op.symbol(), name(types.1)))
                .help("use CAST(… AS …) on one side")
                .at(expr.place.clone()),
        )
    };
    let is = |t: Option<SqlType>, wanted: SqlType| t.is_none_or(|t| t == wanted);
    let numeric = |t: Option<SqlType>| t.is_none_or(SqlType::is_numeric);
    if matches!(op, BinaryOp::And | BinaryOp::Or) {
        if !is(types.0, SqlType::Boolean) || !is(types.1, SqlType::Boolean) {
            return Err(refuse());
        }
        let (left, right) = (boxed(left.cast_to(SqlType::Boolean)), boxed(right.cast_to(SqlType::Boolean)));
        return Ok(boolean(if op == BinaryOp::And {
            NodeKind::And(left, right)
        } else {
            NodeKind::Or(left, right)
        }));
    }
    let common = common_type([types.0, types.1]).ok_or_else(refuse)?;
    let (left, right) = (left.cast_to(common), right.cast_to(common));
    if let Some(op) = comparison(op) {
        let ordered = !matches!(
            op,
            CompareOp::Equal | CompareOp::NotEqual | CompareOp::Distinct | CompareOp::NotDistinct
        );
        if ordered && common == SqlType::Boolean {
            return Err(refuse());
        }
        return Ok(boolean(NodeKind::Compare { op, left: boxed(left), right: boxed(right) }));
    }
    if op == BinaryOp::Add && common == SqlType::Varchar && (types.0.is_some() || types.1.is_some()) {
        return Ok(Node::new(NodeKind::Concat(boxed(left), boxed(right)), common));
    }
    if !numeric(types.0) || !numeric(types.1) {
        return Err(refuse());
    }
    let common = if common.is_numeric() { common } else { SqlType::Int };
    let op = match op {
        BinaryOp::Add => ArithmeticOp::Add,
        BinaryOp::Subtract => ArithmeticOp::Subtract,
        BinaryOp::Multiply => ArithmeticOp::Multiply,
        BinaryOp::Divide => ArithmeticOp::Divide,
        _ => ArithmeticOp::Modulo,
    };
    let (left, right) = (boxed(left.cast_to(common)), boxed(right.cast_to(common)));
    Ok(Node::new(NodeKind::Arithmetic { op, left, right }, common))
}

const fn comparison(op: BinaryOp) -> Option<CompareOp> {
    Some(match op {
        BinaryOp::Equal => CompareOp::Equal,
        BinaryOp::NotEqual => CompareOp::NotEqual,
        BinaryOp::Less => CompareOp::Less,
        BinaryOp::LessOrEqual => CompareOp::LessOrEqual,
        BinaryOp::Greater => CompareOp::Greater,
        BinaryOp::GreaterOrEqual => CompareOp::GreaterOrEqual,
        BinaryOp::Distinct => CompareOp::Distinct,
        BinaryOp::NotDistinct => CompareOp::NotDistinct,
        _ => return None,
    })
}

/// "This is X, expected Y".
pub(super) fn wrong_type(expr: &Expr, found: SqlType, expected: &str) -> Mistake {
    Box::new(
        Diagnostic::error("sql-types", format!("`{expr}` is {found}"))
            .label(format!("expected {expected}"))
            .help("use CAST(… AS …)")
            .at(expr.place.clone()),
    )
}
