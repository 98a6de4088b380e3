//! Expressions with names into typed nodes.

use super::bind_explode::Exploded;
use super::bind_group::GroupContext;
use super::bind_nested::LambdaScopes;
use super::bind_operator::{binary, decimal_type, time_of_row, unify, unify_list};
use super::query_plan::Keyed;
use super::scope::Scope;
use crate::expression::like::Pattern;
use crate::expression::{Node, NodeKind, cast};
use crate::limits::EXPRESSION_NODES_MAX;
use crate::parse::ast::{BinaryOp, Expr, ExprKind, Literal, TypeName};
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
    /// The lambdas that the expression stands in.
    pub(super) lambdas: LambdaScopes,
    /// Calls of table functions, whose columns earlier steps have added.
    pub(super) exploded: Vec<Exploded>,
}

/// The type of a node; `None` for the literal `NULL`, which is of any type.
pub(super) fn type_of(node: &Node) -> Option<SqlType> {
    if matches!(node.kind, NodeKind::Literal(Datum::Null)) { None } else { Some(node.sql_type) }
}

pub(super) fn boxed(node: Node) -> Box<Node> {
    Box::new(node)
}

pub(super) fn boolean(kind: NodeKind) -> Node {
    Node::new(kind, SqlType::Boolean)
}

impl<'q> Binder<'q> {
    /// Binds expressions over the rows of `scope`.
    pub(super) fn new(scope: &'q Scope) -> Self {
        let (keyed, exploded) = (Vec::new(), Vec::new());
        Self {
            scope,
            context: Context::Rows,
            keyed,
            keyed_before: 0,
            lambdas: LambdaScopes::default(),
            exploded,
        }
    }
}

impl Binder<'_> {
    /// Only goes to the code of each kind of expression, so that a level of a deep one takes little of the stack.
    pub(super) fn bind(&mut self, expr: &Expr) -> Result<Node, Mistake> {
        if let Some(param) = self.lambda_param(expr) {
            return Ok(param);
        }
        if let Some(node) = self.group_part(expr)? {
            return Ok(node);
        }
        match &expr.kind {
            ExprKind::Literal(value) => Ok(literal(value)),
            ExprKind::Column { qualifier, name } => self
                .scope
                .find(qualifier.as_ref(), name)
                .map(|(slot, t)| Node::new(NodeKind::Column(slot), t)),
            ExprKind::Binary { op, left, right } => self.operator(*op, left, right, expr),
            ExprKind::Not(operand) => self.truth(operand).map(|node| maybe_not(node, true)),
            ExprKind::Negate(operand) => self.negation(operand),
            ExprKind::IsNull { operand, negated } => {
                self.bind(operand).map(|node| maybe_not(boolean(NodeKind::IsNull(boxed(node))), *negated))
            }
            ExprKind::Between { operand, low, high, negated } => {
                self.between(operand, low, high, expr).map(|node| maybe_not(node, *negated))
            }
            ExprKind::In { operand, list, negated } => {
                self.in_list(operand, list, expr).map(|node| maybe_not(node, *negated))
            }
            ExprKind::Like { operand, pattern, escape, negated } => {
                self.like(operand, pattern, *escape, expr).map(|node| maybe_not(node, *negated))
            }
            ExprKind::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref(), expr)
            }
            ExprKind::Cast { operand, to } => self.cast(operand, to),
            ExprKind::Call { name, args, star } => self.call(name, args, *star, expr),
            ExprKind::Field { operand, name } => self.field(operand, name),
            ExprKind::Index { operand, index } => self.index(operand, index),
            ExprKind::Array(items) => self.array(items, expr),
            ExprKind::Map(entries) => self.map(entries, expr),
            ExprKind::Struct(fields) => self.structure(fields, expr),
            ExprKind::Lambda { .. } => Err(stray_lambda(expr)),
        }
    }

    fn operator(&mut self, op: BinaryOp, left: &Expr, right: &Expr, expr: &Expr) -> Result<Node, Mistake> {
        let a = boxed(self.bind(left)?);
        let b = self.bind(right)?;
        binary(op, time_of_row(right, *a), time_of_row(left, b), expr)
    }

    fn negation(&mut self, operand: &Expr) -> Result<Node, Mistake> {
        let node = self.bind(operand)?;
        if !node.sql_type.is_numeric() {
            return Err(wrong_type(operand, node.sql_type, "a number"));
        }
        let sql_type = node.sql_type;
        Ok(Node::new(NodeKind::Negate(boxed(node)), sql_type).folded())
    }

    fn between(&mut self, operand: &Expr, low: &Expr, high: &Expr, expr: &Expr) -> Result<Node, Mistake> {
        let value = self.bind(operand)?;
        repeatable(&value, 2, expr)?;
        let (low, high) = (self.bind(low)?, self.bind(high)?);
        let (low, high) = (time_of_row(operand, low), time_of_row(operand, high));
        let above = binary(BinaryOp::GreaterOrEqual, value.clone(), low, expr)?;
        let below = binary(BinaryOp::LessOrEqual, value, high, expr)?;
        Ok(boolean(NodeKind::And(boxed(above), boxed(below))))
    }

    fn cast(&mut self, operand: &Expr, to: &TypeName) -> Result<Node, Mistake> {
        let (node, to) = (self.bind(operand)?, to.resolve()?);
        match type_of(&node) {
            Some(from) if !cast::exists(from, to) => Err(no_cast(operand, from, to)),
            _ => Ok(node.cast_to(to)),
        }
    }

    fn in_list(&mut self, operand: &Expr, list: &[Expr], expr: &Expr) -> Result<Node, Mistake> {
        let mut nodes = vec![self.bind(operand)?];
        for item in list {
            nodes.push(self.bind(item)?);
        }
        let mut list = unify_list(nodes, expr, "the values of IN")?;
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
        if let Some(operand) = &operand {
            repeatable(operand, branches.len(), expr)?;
        }
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

fn literal(value: &Literal) -> Node {
    match value {
        Literal::Null => Node::literal(Datum::Null, SqlType::Varchar),
        Literal::Boolean(v) => Node::literal(Datum::Boolean(*v), SqlType::Boolean),
        Literal::Int(v) => Node::literal(Datum::Int(*v), SqlType::Int),
        Literal::BigInt(v) => Node::literal(Datum::BigInt(*v), SqlType::BigInt),
        Literal::Decimal(v) => Node::literal(Datum::Decimal(*v), decimal_type(*v)),
        Literal::Double(v) => Node::literal(Datum::Double(*v), SqlType::Double),
        Literal::Text(v) => Node::literal(Datum::Varchar(Cow::Owned(v.clone())), SqlType::Varchar),
    }
}

fn maybe_not(node: Node, negated: bool) -> Node {
    if negated { boolean(NodeKind::Not(boxed(node))) } else { node }
}

/// Refuses an operand that would be computed again and again inside of what is computed again and again.
fn repeatable(operand: &Node, times: usize, expr: &Expr) -> Result<(), Mistake> {
    if operand.count().saturating_mul(times) <= EXPRESSION_NODES_MAX {
        return Ok(());
    }
    Err(Box::new(
        Diagnostic::error("sql-too-large", "the expression is too large")
            .label(format!("its operand is computed {times} times"))
            .help("compute the operand in a stream of its own first")
            .at(expr.place.clone()),
    ))
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

fn stray_lambda(expr: &Expr) -> Mistake {
    Box::new(
        Diagnostic::error("sql-lambda", "a lambda cannot stand here")
            .label("not an argument of a function that takes one")
            .help("TRANSFORM, FILTER and REDUCE take lambdas")
            .at(expr.place.clone()),
    )
}

/// "There is no cast of X to Y", with what there is instead.
fn no_cast(expr: &Expr, from: SqlType, to: SqlType) -> Mistake {
    use SqlType as T;
    let help = match (from, to) {
        (T::Bytes, T::Varchar) => {
            "FROM_BYTES(bytes, 'utf8') makes a text of bytes, also with 'hex' and 'base64'"
        }
        (T::Int | T::BigInt, T::Timestamp) => "FROM_UNIXTIME(…) makes a TIMESTAMP of milliseconds",
        (T::Timestamp, T::Int | T::BigInt) => "UNIX_TIMESTAMP(…) gives its milliseconds",
        (T::Int | T::BigInt, T::Date) => "FROM_DAYS(…) makes a DATE of days",
        (T::Date, T::Int | T::BigInt) => "UNIX_DATE(…) gives its days",
        (T::Boolean, to) if to.is_numeric() => "write CASE WHEN … THEN 1 ELSE 0 END",
        (from, T::Boolean) if from.is_numeric() => "compare it: … <> 0",
        (T::Struct(_), T::Struct(_)) => "fields are matched by their names",
        (T::Varchar, to) if to.is_nested() => "EXTRACTJSONFIELD(…) reads parts of a JSON text",
        _ => "CAST(… AS VARCHAR) makes a text of every value but BYTES",
    };
    Box::new(
        Diagnostic::error("sql-cast", format!("there is no cast of {from} to {to}"))
            .label(format!("`{expr}` is {from}"))
            .help(help)
            .at(expr.place.clone()),
    )
}
