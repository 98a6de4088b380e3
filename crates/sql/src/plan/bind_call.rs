//! Calls of functions: scalar, and with a memory per key.

use super::bind::{Binder, Context, Mistake, type_of, wrong_type};
use super::query_plan::Keyed;
use crate::expression::{ArithmeticOp, Node, NodeKind};
use crate::function::{aggregate, keyed, names, scalar, table, widens};
use crate::parse::ast::{Expr, Name, RelationKind};
use crate::{Datum, SqlType};
use millstream_model::{Diagnostic, nearest};

impl Binder<'_> {
    pub(super) fn call(
        &mut self,
        name: &Name,
        args: &[Expr],
        star: bool,
        expr: &Expr,
    ) -> Result<Node, Mistake> {
        if aggregate::find(&name.text).is_some() {
            return Err(Box::new(
                Diagnostic::error("sql-aggregate", format!("{} cannot stand here", name.text))
                    .label("an aggregate needs GROUP BY, and cannot stand in WHERE, GROUP BY or another aggregate")
                    .help("add GROUP BY to the query")
                    .at(expr.place.clone()),
            ));
        }
        if let Some(function) = keyed::find(&name.text) {
            return self.keyed_call(function, args, expr);
        }
        if let Some(function) = table::find(&name.text) {
            return self.exploded(function, expr);
        }
        match (name.text.as_str(), args) {
            ("UNIX_TIMESTAMP", []) if !star => return Ok(Node::new(NodeKind::Now, SqlType::BigInt)),
            ("UNIX_DATE", []) if !star => return Ok(today()),
            // A copy of a key column that goes into the value; projections tell it by its name.
            ("AS_VALUE", [value]) => return self.bind(value),
            _ => {}
        }
        if let Some(function) = scalar(&name.text) {
            return self.scalar_call(function, args, star, expr);
        }
        let mistake = Diagnostic::error("sql-function", format!("there is no function {}", name.text))
            .label("unknown function")
            .at(name.place.clone());
        Err(Box::new(match nearest(&name.text, names()) {
            Some(near) => mistake.help(format!("did you mean {near}?")),
            None => mistake.help("SHOW FUNCTIONS lists what there is"),
        }))
    }

    fn keyed_call(
        &mut self,
        function: &'static keyed::KeyedFunction,
        args: &[Expr],
        expr: &Expr,
    ) -> Result<Node, Mistake> {
        let refuse = |label: &str, help: &str| {
            Box::new(
                Diagnostic::error("sql-keyed", format!("{} cannot stand here", function.name))
                    .label(label)
                    .help(help)
                    .at(expr.place.clone()),
            )
        };
        if matches!(self.context, Context::Groups(_)) {
            return Err(refuse(
                "it looks at rows, not at groups",
                "make a second query over the result of this one",
            ));
        }
        let key = self.scope.key_slots();
        if key.is_empty() || self.scope.relation.kind == RelationKind::Table {
            let help = "declare a column as KEY in CREATE STREAM";
            return Err(refuse("it remembers by the key of a stream, and there is none", help));
        }
        let mut bound = Vec::new();
        for (index, arg) in args.iter().enumerate() {
            let node = self.bind(arg)?;
            let Some(wanted) = function.params.get(index) else { break };
            if !widens(type_of(&node), *wanted) {
                return Err(wrong_type(arg, node.sql_type, &wanted.to_string()));
            }
            bound.push(node.cast_to(*wanted));
        }
        if args.len() != function.params.len() {
            return Err(refuse(&format!("it takes {} arguments", function.params.len()), function.usage));
        }
        self.keyed.push(Keyed { function, args: bound, key });
        let slot = self.scope.columns.len() + self.keyed_before + self.keyed.len() - 1;
        Ok(Node::new(NodeKind::Column(slot), function.returns))
    }
}

/// The days from 1970-01-01 to when the batch was taken up.
fn today() -> Node {
    let now = Box::new(Node::new(NodeKind::Now, SqlType::BigInt));
    let day = Box::new(Node::literal(Datum::BigInt(86_400_000), SqlType::BigInt));
    let days = NodeKind::Arithmetic { op: ArithmeticOp::Divide, left: now, right: day };
    Node::new(days, SqlType::BigInt).cast_to(SqlType::Int)
}
