//! The rows' time out of one of their columns: milliseconds, a `TIMESTAMP`, or a text in a given format.

use crate::batch::Batch;
use crate::expression::{Node, NodeKind};
use crate::function::{Argument, scalar};
use crate::{Column, Datum, SqlType};
use std::sync::Arc;

/// Reads times.
#[derive(Debug)]
pub(super) struct EventTime {
    /// Of texts: the call that reads them, over a batch of the one column.
    parse: Option<Node>,
}

impl EventTime {
    /// `format` is that of texts, as Java's `DateTimeFormatter` has it.
    pub(super) fn new(format: Option<&Arc<str>>) -> Self {
        Self { parse: format.and_then(parse) }
    }

    /// The times of all rows; `None` where a row has none. `fault` is told of texts that are no times.
    pub(super) fn times(
        &self,
        column: &Column,
        batch: &Batch,
        fault: &mut dyn FnMut(usize, String),
    ) -> Vec<Option<i64>> {
        let parsed = self.parse.as_ref().map(|node| {
            let only = batch.with_columns(vec![column.clone()]);
            node.evaluate(&only, &mut |row, cause| fault(row, cause.to_string()))
        });
        let column = parsed.as_ref().unwrap_or(column);
        (0..column.len()).map(|row| time(&column.datum(row))).collect()
    }
}

fn time(value: &Datum<'_>) -> Option<i64> {
    match value {
        Datum::Timestamp(time) => Some(*time),
        other => other.as_i64(),
    }
}

fn parse(format: &Arc<str>) -> Option<Node> {
    let texts = [Argument::Value(Some(SqlType::Varchar)), Argument::Value(Some(SqlType::Varchar))];
    let function = scalar("STRINGTOTIMESTAMP")?;
    let mut resolved = function.resolve_with::<()>(&texts, &mut |_, _| Err(())).ok()?;
    let format = Datum::Varchar(format.to_string().into());
    resolved.call.compile(&[None, Some(format.clone())]).ok()?;
    let args =
        vec![Node::new(NodeKind::Column(0), SqlType::Varchar), Node::literal(format, SqlType::Varchar)];
    let kind = NodeKind::Call { call: resolved.call, args, lambdas: Vec::new() };
    Some(Node::new(kind, resolved.returns))
}
