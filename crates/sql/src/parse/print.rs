//! Expressions back into text: for messages, `EXPLAIN`, and to tell whether two expressions are the same.

use super::ast::{Expr, ExprKind, Literal};
use std::fmt;

impl Expr {
    /// Whether both say the same, wherever they stand. A column without a qualifier is the same as one with it; two of
    /// different sources are not.
    pub fn same_as(&self, other: &Self) -> bool {
        self.to_string() == other.to_string() && same_sources(self, other)
    }
}

fn same_sources(one: &Expr, other: &Expr) -> bool {
    if let (ExprKind::Column { qualifier: Some(one), .. }, ExprKind::Column { qualifier: Some(other), .. }) =
        (&one.kind, &other.kind)
    {
        return one.text == other.text;
    }
    one.kind.children().into_iter().zip(other.kind.children()).all(|(one, other)| same_sources(one, other))
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean(v) => f.write_str(if *v { "TRUE" } else { "FALSE" }),
            Self::Int(v) => write!(f, "{v}"),
            Self::BigInt(v) => write!(f, "{v}"),
            Self::Decimal(v) => write!(f, "{v}"),
            Self::Double(v) => write!(f, "{v:E}"),
            Self::Text(v) => write!(f, "'{}'", v.replace('\'', "''")),
        }
    }
}

impl fmt::Display for Expr {
    /// With every bracket, and columns without what they are qualified with.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match &self.kind {
            ExprKind::Literal(literal) => write!(f, "{literal}"),
            ExprKind::Column { name, .. } => f.write_str(&name.text),
            ExprKind::Binary { op, left, right } => write!(f, "({left} {} {right})", op.symbol()),
            ExprKind::Not(operand) => write!(f, "(NOT {operand})"),
            ExprKind::Negate(operand) => write!(f, "(- {operand})"),
            ExprKind::IsNull { operand, negated } => write!(f, "({operand} IS {}NULL)", not(negated)),
            ExprKind::Between { operand, low, high, negated } => {
                write!(f, "({operand} {}BETWEEN {low} AND {high})", not(negated))
            }
            ExprKind::In { operand, list, negated } => {
                write!(f, "({operand} {}IN (", not(negated))?;
                comma_separated(f, list.iter())?;
                f.write_str("))")
            }
            ExprKind::Like { operand, pattern, escape, negated } => {
                write!(f, "({operand} {}LIKE {pattern}", not(negated))?;
                escape.map_or(Ok(()), |escape| write!(f, " ESCAPE '{escape}'"))?;
                f.write_str(")")
            }
            ExprKind::Case { operand, branches, otherwise } => {
                f.write_str("CASE")?;
                operand.as_ref().map_or(Ok(()), |operand| write!(f, " {operand}"))?;
                branches.iter().try_for_each(|(when, then)| write!(f, " WHEN {when} THEN {then}"))?;
                otherwise.as_ref().map_or(Ok(()), |otherwise| write!(f, " ELSE {otherwise}"))?;
                f.write_str(" END")
            }
            ExprKind::Cast { operand, to } => write!(f, "CAST({operand} AS {to})"),
            ExprKind::Field { operand, name } => write!(f, "{operand}->{}", name.text),
            ExprKind::Index { operand, index } => write!(f, "{operand}[{index}]"),
            ExprKind::Array(items) => {
                f.write_str("ARRAY[")?;
                comma_separated(f, items.iter())?;
                f.write_str("]")
            }
            ExprKind::Map(entries) => {
                f.write_str("MAP(")?;
                comma_separated(f, entries.iter().map(|(key, value)| format!("{key}:={value}")))?;
                f.write_str(")")
            }
            ExprKind::Struct(fields) => {
                f.write_str("STRUCT(")?;
                comma_separated(f, fields.iter().map(|(name, value)| format!("{}:={value}", name.text)))?;
                f.write_str(")")
            }
            ExprKind::Lambda { params, body } => {
                f.write_str("(")?;
                comma_separated(f, params.iter().map(|param| &param.text))?;
                write!(f, ") => {body}")
            }
            ExprKind::Call { name, args, star } => {
                write!(f, "{}(", name.text)?;
                if *star {
                    f.write_str("*")?;
                }
                comma_separated(f, args.iter())?;
                f.write_str(")")
            }
        }
    }
}

fn comma_separated<T: fmt::Display>(f: &mut fmt::Formatter<'_>, all: impl Iterator<Item = T>) -> fmt::Result {
    for (index, item) in all.enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}
