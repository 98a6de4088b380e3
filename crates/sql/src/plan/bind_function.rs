//! Calls of scalar functions: which signature fits, lambdas, units of time, constants.

use super::bind::{Binder, Mistake, type_of};
use crate::expression::{Node, NodeKind, cast};
use crate::function::{Argument, Resolved, ScalarFunction, Unresolved};
use crate::parse::ast::{Expr, ExprKind};
use crate::{Datum, SqlType};
use millstream_model::Diagnostic;
use std::collections::BTreeMap;

/// An argument before the signature is known.
enum Given<'e> {
    Value(Node),
    Lambda(&'e Expr),
    /// Its length in milliseconds.
    Unit(i64),
}

impl Binder<'_> {
    pub(super) fn scalar_call(
        &mut self,
        function: &'static ScalarFunction,
        args: &[Expr],
        star: bool,
        expr: &Expr,
    ) -> Result<Node, Mistake> {
        let mut given = Vec::with_capacity(args.len());
        for (index, arg) in args.iter().enumerate() {
            given.push(match &arg.kind {
                ExprKind::Lambda { .. } => Given::Lambda(arg),
                ExprKind::Column { qualifier: None, name } if function.takes_unit(index) => {
                    match unit_ms(&name.text) {
                        Some(ms) => Given::Unit(ms),
                        None => Given::Value(self.bind(arg)?),
                    }
                }
                _ => Given::Value(self.bind(arg)?),
            });
        }
        let arguments: Vec<_> = given.iter().map(argument).collect();
        let mut bodies = BTreeMap::new();
        let resolved = function.resolve_with(&arguments, &mut |index, types: &[SqlType]| {
            let Some(Given::Lambda(Expr { kind: ExprKind::Lambda { params, body }, .. })) = given.get(index)
            else {
                return Ok(SqlType::Varchar);
            };
            let body = self.lambda_body(params, types, body)?;
            let sql_type = body.sql_type;
            bodies.insert(index, body);
            Ok(sql_type)
        });
        let resolved = match resolved {
            Err(Unresolved::Arguments) => with_texts_as_times(function, &given).ok_or(Unresolved::Arguments),
            resolved => resolved,
        };
        let resolved = match resolved {
            Ok(resolved) if !star => resolved,
            Ok(_) | Err(Unresolved::Arguments) => return Err(misfit(function, &arguments, star, expr)),
            Err(Unresolved::Lambda(mistake)) => return Err(mistake),
            Err(Unresolved::Result(message)) => {
                return Err(Box::new(
                    Diagnostic::error("sql-arguments", format!("{}: {message}", function.name))
                        .label("cannot be called like this")
                        .help(function.doc)
                        .at(expr.place.clone()),
                ));
            }
        };
        let (mut call, mut values, mut lambdas) = (resolved.call, Vec::new(), Vec::new());
        for ((index, given), wanted) in given.into_iter().enumerate().zip(resolved.args) {
            match given {
                Given::Value(node) => values.push(node.cast_to(wanted)),
                Given::Unit(ms) => values.push(Node::literal(Datum::BigInt(ms), SqlType::BigInt)),
                Given::Lambda(_) => lambdas.extend(bodies.remove(&index).map(|body| body.cast_to(wanted))),
            }
        }
        let constants: Vec<_> = values.iter().map(constant).collect();
        call.compile(&constants).map_err(|message| {
            Box::new(
                Diagnostic::error("sql-arguments", format!("{}: {message}", function.name))
                    .label("an argument that is the same for every row")
                    .help(function.doc)
                    .at(expr.place.clone()),
            )
        })?;
        Ok(Node::new(NodeKind::Call { call, args: values, lambdas }, resolved.returns))
    }
}

fn argument(given: &Given<'_>) -> Argument {
    match given {
        Given::Value(node) => Argument::Value(type_of(node)),
        Given::Lambda(Expr { kind: ExprKind::Lambda { params, .. }, .. }) => Argument::Lambda(params.len()),
        Given::Lambda(_) => Argument::Lambda(0),
        Given::Unit(_) => Argument::Unit,
    }
}

/// The signature that fits where texts that are written down stand for dates and times: `GREATEST(D, '2022-06-14')`.
fn with_texts_as_times(function: &ScalarFunction, given: &[Given<'_>]) -> Option<Resolved> {
    let text = |given: &Given<'_>| match given {
        Given::Value(node) if node.sql_type == SqlType::Varchar => {
            constant(node).filter(|text| !text.is_null())
        }
        _ => None,
    };
    let untyped = |given| if text(given).is_some() { Argument::Value(None) } else { argument(given) };
    let arguments: Vec<_> = given.iter().map(untyped).collect();
    let resolved = function.resolve_with::<()>(&arguments, &mut |_, _| Err(())).ok()?;
    let texts =
        given.iter().map(text).zip(&resolved.args).filter_map(|(text, wanted)| Some((text?, *wanted)));
    let mut is_time =
        |(text, wanted): (Datum<'static>, SqlType)| wanted.is_temporal() && cast::datum(text, wanted).is_ok();
    texts.into_iter().all(&mut is_time).then_some(resolved)
}

fn constant(node: &Node) -> Option<Datum<'static>> {
    match &node.kind {
        NodeKind::Literal(value) => Some(value.clone()),
        _ => None,
    }
}

fn misfit(function: &ScalarFunction, arguments: &[Argument], star: bool, expr: &Expr) -> Mistake {
    let words = |argument: &Argument| match argument {
        Argument::Value(Some(sql_type)) => sql_type.to_string(),
        Argument::Value(None) => "NULL".to_owned(),
        Argument::Lambda(1) => "a lambda of 1 parameter".to_owned(),
        Argument::Lambda(count) => format!("a lambda of {count} parameters"),
        Argument::Unit => "unit of time".to_owned(),
    };
    let given: Vec<_> = arguments.iter().map(words).collect();
    Box::new(
        Diagnostic::error("sql-arguments", format!("{} does not take these arguments", function.name))
            .label(format!("({})", if star { "*".to_owned() } else { given.join(", ") }))
            .help(format!("it is called as {}", function.usages().join(", or ")))
            .at(expr.place.clone()),
    )
}

/// The length of a unit of time in milliseconds.
fn unit_ms(word: &str) -> Option<i64> {
    Some(match word.strip_suffix('S').unwrap_or(word) {
        "DAY" => 86_400_000,
        "HOUR" => 3_600_000,
        "MINUTE" => 60_000,
        "SECOND" => 1_000,
        "MILLISECOND" => 1,
        _ => return None,
    })
}
