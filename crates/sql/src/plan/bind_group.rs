//! What expressions over groups may name: keys, bounds of the window, aggregates.

use super::bind::{Binder, Context, Mistake, type_of};
use super::group::GroupCall;
use crate::SqlType;
use crate::expression::{Node, NodeKind};
use crate::function::aggregate::{self, AggregateArgument, AggregateFunction};
use crate::parse::ast::{Expr, ExprKind};
use millstream_model::Diagnostic;

/// Where the parts of a group stand in its batch: keys first, then the window, then the calls.
pub(super) struct GroupContext<'q> {
    pub(super) keys: &'q [(&'q Expr, SqlType)],
    pub(super) windowed: bool,
    /// Whether rows may be taken out again, as those of tables are.
    pub(super) retracts: bool,
    /// The arguments of the calls, over the source's rows.
    pub(super) args: Vec<Node>,
    /// Their texts and types, to find the same one again.
    pub(super) arg_texts: Vec<(String, SqlType)>,
    pub(super) calls: Vec<GroupCall>,
}

impl<'q> GroupContext<'q> {
    pub(super) const fn new(keys: &'q [(&'q Expr, SqlType)], windowed: bool, retracts: bool) -> Self {
        Self { keys, windowed, retracts, args: Vec::new(), arg_texts: Vec::new(), calls: Vec::new() }
    }

    /// The slot of an argument in the rows that are grouped, where the group's keys stand first.
    fn argument(&mut self, text: String, node: Node) -> usize {
        let wanted = (text, node.sql_type);
        let known = self.arg_texts.iter().position(|known| *known == wanted);
        self.keys.len()
            + known.unwrap_or_else(|| {
                self.arg_texts.push(wanted);
                self.args.push(node);
                self.args.len() - 1
            })
    }

    /// The slot of a call in the groups' batch.
    fn call(&mut self, call: GroupCall) -> usize {
        let known = self.calls.iter().position(|known| *known == call);
        let index = known.unwrap_or_else(|| {
            self.calls.push(call);
            self.calls.len() - 1
        });
        self.keys.len() + if self.windowed { 2 } else { 0 } + index
    }
}

impl Binder<'_> {
    /// The slot of a part of a group: one of its keys, a bound of its window, an aggregate. `None` where the expression
    /// is none of these (or where there are no groups), and must be looked into.
    pub(super) fn group_part(&mut self, expr: &Expr) -> Result<Option<Node>, Mistake> {
        let Context::Groups(group) = &mut self.context else { return Ok(None) };
        if let Some(slot) = group.keys.iter().position(|(key, _)| key.same_as(expr)) {
            return Ok(group
                .keys
                .get(slot)
                .map(|(_, sql_type)| Node::new(NodeKind::Column(slot), *sql_type)));
        }
        match &expr.kind {
            ExprKind::Column { name, .. } => {
                let bound = ["WINDOWSTART", "WINDOWEND"].iter().position(|bound| *bound == name.text);
                if let (Some(bound), true) = (bound, group.windowed) {
                    return Ok(Some(Node::new(NodeKind::Column(group.keys.len() + bound), SqlType::BigInt)));
                }
                Err(Box::new(
                    Diagnostic::error("sql-group", format!("`{}` has many values in a group", name.text))
                        .label("neither in GROUP BY nor in an aggregate")
                        .help(format!("write LATEST_BY_OFFSET({}), or add it to GROUP BY", name.text))
                        .at(expr.place.clone()),
                ))
            }
            ExprKind::Call { name, args, star } => match aggregate::find(&name.text) {
                Some(function) => self.aggregate(function, args, *star, expr).map(Some),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn aggregate(
        &mut self,
        function: &AggregateFunction,
        args: &[Expr],
        star: bool,
        expr: &Expr,
    ) -> Result<Node, Mistake> {
        let rowtime;
        let args = if (star || args.is_empty()) && function.name != "COUNT" {
            // `*` stands for the row's time, as in ksqlDB.
            let name = crate::parse::ast::Name { text: "ROWTIME".to_owned(), place: expr.place.clone() };
            rowtime = [Expr::new(ExprKind::Column { qualifier: None, name }, expr.place.clone())];
            &rowtime[..]
        } else {
            args
        };
        // Arguments are expressions over rows, whatever they stand in.
        let context = std::mem::replace(&mut self.context, Context::Rows);
        let bound = args.iter().map(|arg| self.bind(arg)).collect::<Result<Vec<_>, _>>();
        self.context = context;
        let bound = bound?;
        let given: Vec<AggregateArgument> = bound.iter().map(argument).collect();
        let Some(fitted) = function.resolve(&given) else {
            return Err(refuse_arguments(function, &given, expr));
        };
        let Context::Groups(group) = &mut self.context else {
            return Err(refuse_arguments(function, &given, expr));
        };
        if group.retracts && !fitted.aggregate.can_remove() {
            return Err(refuse_table(function, expr));
        }
        let returns = fitted.aggregate.returns();
        let columns = args.iter().zip(bound).zip(fitted.columns);
        let slots = columns.map(|((arg, node), to)| group.argument(arg.to_string(), node.cast_to(to)));
        let args = slots.collect();
        let slot = group.call(GroupCall { aggregate: fitted.aggregate, args });
        Ok(Node::new(NodeKind::Column(slot), returns))
    }
}

/// What an aggregate may know of an argument.
fn argument(node: &Node) -> AggregateArgument {
    let literal = if let NodeKind::Literal(value) = &node.kind { Some(value.clone()) } else { None };
    AggregateArgument { sql_type: type_of(node), literal }
}

fn refuse_arguments(function: &AggregateFunction, given: &[AggregateArgument], expr: &Expr) -> Mistake {
    let types: Vec<String> =
        given.iter().map(|arg| arg.sql_type.map_or_else(|| "NULL".to_owned(), |t| t.to_string())).collect();
    Box::new(
        Diagnostic::error("sql-arguments", format!("{} does not take these arguments", function.name))
            .label(format!("({})", types.join(", ")))
            .help(format!("it is called as {}", function.usage))
            .at(expr.place.clone()),
    )
}

fn refuse_table(function: &AggregateFunction, expr: &Expr) -> Mistake {
    let able: Vec<&str> =
        ["COUNT", "SUM", "AVG", "COLLECT_LIST", "HISTOGRAM", "STDDEV_SAMPLE", "CORRELATION"].into();
    Box::new(
        Diagnostic::error("sql-aggregate", format!("{} cannot be used over a table", function.name))
            .label("a row that changes must be taken out of its group, and this aggregate cannot forget")
            .help(format!(
                "over tables there are {}; or group the stream that the table is made of",
                able.join(", ")
            ))
            .at(expr.place.clone()),
    )
}
