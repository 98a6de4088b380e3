//! Which operators go with which types, and what types values are brought to.

use super::bind::{Mistake, boolean, boxed, type_of};
use crate::expression::arithmetic::result_type;
use crate::expression::{ArithmeticOp, CompareOp, Node, NodeKind, cast, temporal};
use crate::function::{common_type, widens};
use crate::parse::ast::{BinaryOp, Expr, ExprKind};
use crate::{Datum, Decimal, SqlType};
use millstream_model::Diagnostic;

/// Digits that every double holds: a decimal of so many is compared as a double without a difference.
const DOUBLE_DIGITS: u8 = 15;
/// Columns that hold times as numbers; texts that they are compared with are read as times, as in ksqlDB.
const TIMES: [&str; 3] = ["ROWTIME", "WINDOWSTART", "WINDOWEND"];

/// `left op right`.
pub(super) fn binary(op: BinaryOp, left: Node, right: Node, expr: &Expr) -> Result<Node, Mistake> {
    if matches!(op, BinaryOp::And | BinaryOp::Or) {
        let is_boolean = |node: &Node| type_of(node).is_none_or(|t| t == SqlType::Boolean);
        if !is_boolean(&left) || !is_boolean(&right) {
            return Err(refuse(op, &left, &right, expr));
        }
        let (left, right) = (boxed(left.cast_to(SqlType::Boolean)), boxed(right.cast_to(SqlType::Boolean)));
        return Ok(boolean(if op == BinaryOp::And {
            NodeKind::And(left, right)
        } else {
            NodeKind::Or(left, right)
        }));
    }
    match comparison(op) {
        Some(compare_op) => {
            let (left, right) = comparable(op, left, right, expr)?;
            Ok(boolean(NodeKind::Compare { op: compare_op, left: boxed(left), right: boxed(right) }))
        }
        None => arithmetic(op, left, right, expr),
    }
}

/// Brings both sides of a comparison to types that compare. Exact numbers compare as they are, and so do dates with
/// timestamps.
fn comparable(op: BinaryOp, left: Node, right: Node, expr: &Expr) -> Result<(Node, Node), Mistake> {
    use SqlType as T;
    let equality =
        matches!(op, BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::Distinct | BinaryOp::NotDistinct);
    let (Some(a), Some(b)) = (type_of(&left), type_of(&right)) else {
        let common = common_type([type_of(&left), type_of(&right)]).unwrap_or(T::Varchar);
        return Ok((left.cast_to(common), right.cast_to(common)));
    };
    let unordered = a == T::Boolean || a.is_nested();
    if unordered && !equality {
        return Err(refuse(op, &left, &right, expr));
    }
    match (a, b) {
        (T::Double, T::Decimal { .. }) if is_short(&right) => Ok((left, right.cast_to(T::Double))),
        (T::Decimal { .. }, T::Double) if is_short(&left) => Ok((left.cast_to(T::Double), right)),
        (T::Decimal { .. }, b) if b.is_numeric() => Ok((left, right)),
        (a, T::Decimal { .. }) if a.is_numeric() => Ok((left, right)),
        (T::Date, T::Timestamp) | (T::Timestamp, T::Date) => Ok((left, right)),
        (T::Varchar, b) if b.is_temporal() => Ok((as_time(left, b, expr)?, right)),
        (a, T::Varchar) if a.is_temporal() => Ok((left, as_time(right, a, expr)?)),
        (a, b) if a == b || (a.is_numeric() && b.is_numeric()) || a.is_nested() => {
            let Some(common) = common_type([Some(a), Some(b)]) else {
                return Err(refuse(op, &left, &right, expr));
            };
            Ok((left.cast_to(common), right.cast_to(common)))
        }
        _ => Err(refuse(op, &left, &right, expr)),
    }
}

/// Whether a decimal that is written down is the shortest text of a double.
fn is_short(node: &Node) -> bool {
    matches!(&node.kind, NodeKind::Literal(Datum::Decimal(value)) if value.fits(DOUBLE_DIGITS) && value.scale() <= DOUBLE_DIGITS)
}

/// A text as a date or time; one that is written down must be one.
fn as_time(node: Node, to: SqlType, expr: &Expr) -> Result<Node, Mistake> {
    literal_cast(node, to).map_err(|text| {
        let example = match to {
            SqlType::Date => "2024-02-29",
            SqlType::Time => "13:37:05",
            _ => "2024-02-29T13:37:05.250",
        };
        Box::new(
            Diagnostic::error("sql-time", format!("'{text}' is no {to}"))
                .label(format!("compared with a {to}"))
                .help(format!("write it as '{example}'"))
                .at(expr.place.clone()),
        )
    })
}

/// A node cast to a type; the text of a literal where it cannot be.
fn literal_cast(node: Node, to: SqlType) -> Result<Node, String> {
    let text = match &node.kind {
        NodeKind::Literal(value) => Some(value.to_string()),
        _ => None,
    };
    let cast = node.cast_to(to);
    match text {
        Some(text) if !matches!(cast.kind, NodeKind::Literal(_)) => Err(text),
        _ => Ok(cast),
    }
}

/// The right side of a comparison of `ROWTIME`, `WINDOWSTART` or `WINDOWEND` with a text, as milliseconds.
pub(super) fn time_of_row(column: &Expr, other: Node) -> Node {
    let is_time =
        matches!(&column.kind, ExprKind::Column { name, .. } if TIMES.contains(&name.text.as_str()));
    match &other.kind {
        NodeKind::Literal(Datum::Varchar(text)) if is_time => temporal::parse_timestamp(text.trim())
            .map_or_else(|| other.clone(), |ms| Node::literal(Datum::BigInt(ms), SqlType::BigInt)),
        _ => other,
    }
}

fn arithmetic(op: BinaryOp, left: Node, right: Node, expr: &Expr) -> Result<Node, Mistake> {
    let (a, b) = (type_of(&left), type_of(&right));
    let is_text = |t: Option<SqlType>| t.is_none_or(|t| t == SqlType::Varchar);
    if op == BinaryOp::Add && is_text(a) && is_text(b) && (a.is_some() || b.is_some()) {
        return Ok(Node::new(NodeKind::Concat(boxed(left), boxed(right)), SqlType::Varchar).folded());
    }
    let arithmetic = match op {
        BinaryOp::Add => ArithmeticOp::Add,
        BinaryOp::Subtract => ArithmeticOp::Subtract,
        BinaryOp::Multiply => ArithmeticOp::Multiply,
        BinaryOp::Divide => ArithmeticOp::Divide,
        _ => ArithmeticOp::Modulo,
    };
    let default = a.or(b).unwrap_or(SqlType::Int);
    let Some(sql_type) = result_type(arithmetic, a.unwrap_or(default), b.unwrap_or(default)) else {
        return Err(refuse(op, &left, &right, expr));
    };
    // Decimals take exact numbers as they are.
    let operand = |node: Node| match sql_type {
        SqlType::Decimal { .. } => boxed(node),
        other => boxed(node.cast_to(other)),
    };
    let kind = NodeKind::Arithmetic { op: arithmetic, left: operand(left), right: operand(right) };
    Ok(Node::new(kind, sql_type).folded())
}

fn refuse(op: BinaryOp, left: &Node, right: &Node, expr: &Expr) -> Mistake {
    let name = |node: &Node| type_of(node).map_or_else(|| "NULL".to_owned(), |t| t.to_string());
    Box::new(
        Diagnostic::error("sql-types", format!("`{}` does not go with these types", op.symbol()))
            .label(format!("{} {} {}", name(left), op.symbol(), name(right)))
            .help(help(op, type_of(left), type_of(right)))
            .at(expr.place.clone()),
    )
}

/// The nearest thing that works.
fn help(op: BinaryOp, left: Option<SqlType>, right: Option<SqlType>) -> &'static str {
    use SqlType as T;
    let has = |wanted: T| left == Some(wanted) || right == Some(wanted);
    let any = |test: fn(T) -> bool| left.is_some_and(test) || right.is_some_and(test);
    if comparison(op).is_some() {
        return match () {
            () if has(T::Timestamp) && any(T::is_numeric) => {
                "FROM_UNIXTIME(…) makes a TIMESTAMP of milliseconds, UNIX_TIMESTAMP(…) milliseconds of a TIMESTAMP"
            }
            () if has(T::Date) && any(T::is_numeric) => {
                "FROM_DAYS(…) makes a DATE of days, UNIX_DATE(…) days of a DATE"
            }
            () if any(T::is_nested) => "compare fields or elements one by one",
            () => "use CAST(… AS …) on one side",
        };
    }
    match () {
        () if has(T::Timestamp) => {
            "use TIMESTAMPADD(unit, count, timestamp) or TIMESTAMPSUB(unit, count, timestamp)"
        }
        () if has(T::Date) => "use DATEADD(unit, count, date) or DATESUB(unit, count, date)",
        () if has(T::Time) => "use TIMEADD(unit, count, time) or TIMESUB(unit, count, time)",
        () if any(|t| matches!(t, T::Array(_))) => "ARRAY_CONCAT, ARRAY_UNION and REDUCE work on arrays",
        () => "use CAST(… AS …) on one side",
    }
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

/// Brings all nodes to one type.
pub(super) fn unify(nodes: Vec<Node>, expr: &Expr, what: &str) -> Result<Vec<Node>, Mistake> {
    let Some(common) = common_type(nodes.iter().map(type_of)) else {
        return Err(different(&nodes, expr, what));
    };
    Ok(nodes.into_iter().map(|node| node.cast_to(common)).collect())
}

/// Brings a list of values to one type, as ksqlDB does for `IN`, `ARRAY[…]` and `MAP(…)`: what is written down adapts to
/// the rest, so that `'10'` is a number among numbers, and `10` a text among texts.
pub(super) fn unify_list(nodes: Vec<Node>, expr: &Expr, what: &str) -> Result<Vec<Node>, Mistake> {
    let mut common: Option<SqlType> = None;
    for node in &nodes {
        let Some(sql_type) = type_of(node) else { continue };
        common = Some(match common {
            None => sql_type,
            Some(common) => list_type(common, node, sql_type).ok_or_else(|| different(&nodes, expr, what))?,
        });
    }
    let common = common.unwrap_or(SqlType::Varchar);
    let cast = |node: Node| {
        literal_cast(node, common).map_err(|text| {
            Box::new(
                Diagnostic::error("sql-types", format!("'{text}' is no {common}"))
                    .label(format!("{what} are {common}"))
                    .help(format!("write a {common}"))
                    .at(expr.place.clone()),
            )
        })
    };
    nodes.into_iter().map(cast).collect()
}

/// The type of a list that was of `common` so far, with one more value.
fn list_type(common: SqlType, node: &Node, sql_type: SqlType) -> Option<SqlType> {
    use SqlType as T;
    if let Some(wider) = common_type([Some(common), Some(sql_type)]) {
        return Some(wider);
    }
    let literal = match &node.kind {
        NodeKind::Literal(value) => Some(value),
        _ => None,
    };
    match (common, sql_type, literal) {
        (common, T::Varchar, Some(Datum::Varchar(text))) if common.is_numeric() => {
            common_type([Some(common), Some(number_type(text)?)])
        }
        (T::Boolean, T::Varchar, Some(Datum::Varchar(text))) => matches!(
            text.trim().to_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "t" | "f" | "y" | "n"
        )
        .then_some(T::Boolean),
        (T::Varchar, other, Some(_)) if !other.is_nested() && other != T::Bytes => Some(T::Varchar),
        (T::Varchar, other, _) | (other, T::Varchar, _) if other.is_temporal() => Some(other),
        (T::Bytes, T::Varchar, _) => Some(T::Bytes),
        _ => None,
    }
}

/// The type of a number in a text.
fn number_type(text: &str) -> Option<SqlType> {
    let text = text.trim();
    if text.parse::<i32>().is_ok() {
        return Some(SqlType::Int);
    }
    if text.parse::<i64>().is_ok() {
        return Some(SqlType::BigInt);
    }
    Decimal::parse_exactly(text).map(decimal_type)
}

/// The type of a decimal that is written down: as many digits as it has.
pub(super) fn decimal_type(value: Decimal) -> SqlType {
    let digits = (1..=Decimal::PRECISION_MAX).find(|digits| value.fits(*digits));
    let precision = digits.unwrap_or(Decimal::PRECISION_MAX).max(value.scale());
    let zero = value.unscaled() == 0 && value.scale() < Decimal::PRECISION_MAX;
    SqlType::Decimal { precision: if zero { value.scale() + 1 } else { precision }, scale: value.scale() }
}

fn different(nodes: &[Node], expr: &Expr, what: &str) -> Mistake {
    let mut types: Vec<_> = nodes.iter().filter_map(type_of).map(|t| t.to_string()).collect();
    types.dedup();
    Box::new(
        Diagnostic::error("sql-types", format!("{what} have different types"))
            .label(types.join(", "))
            .help("use CAST(… AS …) to make them the same")
            .at(expr.place.clone()),
    )
}

/// A value for a column of `to`: widened, or, where it is written down, adapted as long as nothing of it is lost.
/// `None` where it does not go in.
pub(super) fn assign(node: Node, to: SqlType) -> Option<Node> {
    let Some(from) = type_of(&node) else { return Some(node.cast_to(to)) };
    if widens(Some(from), to) {
        return Some(node.cast_to(to));
    }
    let NodeKind::Literal(value) = &node.kind else {
        // Made of parts that adapt, such as an array of whole numbers for one of decimals.
        return (from.is_nested() && to.is_nested() && cast::exists(from, to) && adapts(from, to))
            .then(|| node.cast_to(to));
    };
    let adapted = match (value, to) {
        (value, SqlType::Decimal { precision, scale }) if from.is_numeric() && from != SqlType::Double => {
            let exact = match value {
                Datum::Int(v) => Some(Decimal::new(i128::from(*v), 0)),
                Datum::BigInt(v) => Some(Decimal::new(i128::from(*v), 0)),
                Datum::Decimal(v) => Some(*v),
                _ => None,
            };
            let exact = exact.and_then(|v| v.rescale_exactly(scale)).filter(|v| v.fits(precision))?;
            Datum::Decimal(exact)
        }
        (Datum::Varchar(_), to) if to.is_temporal() || to == SqlType::Bytes => {
            cast::value(value.clone(), from, to).ok()?.into_owned()
        }
        (value, to) if to.is_nested() && cast::exists(from, to) && adapts(from, to) => {
            cast::value(value.clone(), from, to).ok()?.into_owned()
        }
        _ => return None,
    };
    Some(Node::literal(adapted, to))
}

/// Whether values inside of others adapt; what does not fit is a fault.
fn adapts(from: SqlType, to: SqlType) -> bool {
    use SqlType as T;
    match (from, to) {
        (T::Array(from), T::Array(to)) => adapts(*from, *to),
        (T::Map(from_key, from), T::Map(to_key, to)) => adapts(*from_key, *to_key) && adapts(*from, *to),
        (T::Struct(from), T::Struct(to)) => {
            let known = |name: &str| to.iter().find(|field| field.name == name);
            from.iter().all(|field| known(field.name).is_some_and(|to| adapts(field.sql_type, to.sql_type)))
        }
        (T::Int | T::BigInt | T::Decimal { .. }, T::Decimal { .. }) => true,
        (T::Varchar, to) => to == T::Varchar || to.is_temporal() || to == T::Bytes,
        (from, to) => widens(Some(from), to),
    }
}
