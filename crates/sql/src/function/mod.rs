//! The functions: each is defined once, with its names, signatures, documentation and code.
//!
//! Scalar functions stand in [`number`], [`text`], [`choice`], [`time`] and [`json`]; aggregates in [`aggregate`]; functions that
//! remember something per key in [`keyed`]. A new function is a new entry in one of the tables.

pub(crate) mod aggregate;
mod choice;
mod json;
pub(crate) mod keyed;
mod number;
#[cfg(test)]
mod tests;
mod text;
mod time;

use crate::expression::Fault;
use crate::{Datum, SqlType};

/// A function of one row's values.
#[derive(Debug)]
pub(crate) struct ScalarFunction {
    /// The name, in upper case.
    pub(crate) name: &'static str,
    /// Other names for the same.
    pub(crate) aliases: &'static [&'static str],
    /// One sentence for `DESCRIBE FUNCTION`.
    pub(crate) doc: &'static str,
    /// What it can be called with; the first that fits counts, so narrow types come first.
    pub(crate) signatures: &'static [Signature],
}

/// One way to call a function.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) params: Params,
    pub(crate) returns: Returns,
    pub(crate) body: Body,
}

/// What a function takes. Arguments widen from `INT` over `BIGINT` to `DOUBLE` by themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Params {
    /// Exactly these.
    Types(&'static [SqlType]),
    /// This type, at least so often.
    Many(SqlType, usize),
    /// Any type, but all the same, from so many to so many.
    Same(usize, usize),
}

/// What a function gives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Returns {
    Type(SqlType),
    /// The type of the arguments of [`Params::Same`].
    Same,
}

/// What a function computes.
pub(crate) type RowBody = for<'a> fn(&[Datum<'a>]) -> Result<Datum<'a>, String>;

/// How a function computes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body {
    /// A double into a double, never failing, `NULL` for `NULL`: also run over whole columns.
    Double(fn(f64) -> f64),
    /// Never fails, `NULL` where an argument is.
    Plain(RowBody),
    /// May fail, `NULL` where an argument is.
    Fallible(RowBody),
    /// Never fails and looks at `NULL`s itself.
    WithNulls(RowBody),
}

/// A call that was resolved to one signature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScalarCall {
    name: &'static str,
    body: Body,
}

impl ScalarCall {
    pub(crate) const fn can_fail(&self) -> bool {
        matches!(self.body, Body::Fallible(_))
    }

    /// The code for whole columns, where there is any.
    pub(crate) const fn kernel(&self) -> Option<fn(f64) -> f64> {
        if let Body::Double(kernel) = self.body { Some(kernel) } else { None }
    }

    pub(crate) fn apply<'a>(&self, args: &[Datum<'a>]) -> Result<Datum<'a>, Fault> {
        let body = match self.body {
            Body::WithNulls(body) => {
                return body(args).map_err(|message| Fault::Function(self.name, message));
            }
            _ if args.iter().any(Datum::is_null) => return Ok(Datum::Null),
            Body::Double(kernel) => {
                return Ok(args
                    .first()
                    .and_then(Datum::as_f64)
                    .map_or(Datum::Null, |v| Datum::Double(kernel(v))));
            }
            Body::Plain(body) | Body::Fallible(body) => body,
        };
        body(args).map_err(|message| Fault::Function(self.name, message))
    }
}

/// Every scalar function.
pub(crate) fn scalars() -> impl Iterator<Item = &'static ScalarFunction> {
    let tables = [number::FUNCTIONS, text::FUNCTIONS, choice::FUNCTIONS, time::FUNCTIONS, json::FUNCTIONS];
    #[cfg(test)]
    let tables = tables.into_iter().chain([tests::FUNCTIONS]);
    tables.into_iter().flatten()
}

/// Every name of every function of every kind, for hints.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    scalars()
        .flat_map(|function| std::iter::once(function.name).chain(function.aliases.iter().copied()))
        .chain(aggregate::AGGREGATES.iter().map(|aggregate| aggregate.name))
        .chain(keyed::KEYED.iter().map(|keyed| keyed.name))
        .chain(["UNIX_TIMESTAMP", "AS_VALUE"])
}

/// The scalar function of this name.
pub(crate) fn scalar(name: &str) -> Option<&'static ScalarFunction> {
    scalars().find(|function| function.name == name || function.aliases.contains(&name))
}

/// A signature that fits: the call, the types that the arguments must be brought to, and the type of the result.
pub(crate) struct Resolved {
    pub(crate) call: ScalarCall,
    pub(crate) args: Vec<SqlType>,
    pub(crate) returns: SqlType,
}

impl ScalarFunction {
    /// The first signature that takes arguments of these types; `None` stands for the literal `NULL`.
    pub(crate) fn resolve(&self, args: &[Option<SqlType>]) -> Option<Resolved> {
        self.signatures.iter().find_map(|signature| {
            let types = signature.params.accept(args)?;
            let returns = match signature.returns {
                Returns::Type(sql_type) => sql_type,
                Returns::Same => *types.first()?,
            };
            Some(Resolved {
                call: ScalarCall { name: self.name, body: signature.body },
                args: types,
                returns,
            })
        })
    }

    /// The signatures in words, such as `ROUND(DOUBLE, INTEGER)`.
    pub(crate) fn usages(&self) -> Vec<String> {
        self.signatures.iter().map(|s| format!("{}({})", self.name, s.params.words())).collect()
    }
}

impl Params {
    fn accept(self, args: &[Option<SqlType>]) -> Option<Vec<SqlType>> {
        match self {
            Self::Types(types) => {
                let fit =
                    args.len() == types.len() && args.iter().zip(types).all(|(arg, to)| widens(*arg, *to));
                fit.then(|| types.to_vec())
            }
            Self::Many(sql_type, min) => {
                let fit = args.len() >= min && args.iter().all(|arg| widens(*arg, sql_type));
                fit.then(|| vec![sql_type; args.len()])
            }
            Self::Same(min, max) => {
                let common = common_type(args.iter().copied())?;
                (min..=max).contains(&args.len()).then(|| vec![common; args.len()])
            }
        }
    }

    fn words(self) -> String {
        let list = |types: &[SqlType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Types(types) => list(types),
            Self::Many(sql_type, min) => format!("{}, …", list(&vec![sql_type; min])),
            Self::Same(1, 1) => "any type".to_owned(),
            Self::Same(_, _) => "any type, the same type, …".to_owned(),
        }
    }
}

/// Whether a value of `from` (`None`: `NULL`) becomes `to` by itself.
pub(crate) fn widens(from: Option<SqlType>, to: SqlType) -> bool {
    from.is_none_or(|from| from == to || (from.is_numeric() && to.is_numeric() && from < to))
}

/// The type that values of all these types become by themselves; a lone `NULL` is a `VARCHAR`.
pub(crate) fn common_type(types: impl IntoIterator<Item = Option<SqlType>>) -> Option<SqlType> {
    let mut common = None;
    for sql_type in types.into_iter().flatten() {
        common = Some(match common {
            None => sql_type,
            Some(common) if widens(Some(common), sql_type) => sql_type,
            Some(common) if widens(Some(sql_type), common) => common,
            Some(_) => return None,
        });
    }
    Some(common.unwrap_or(SqlType::Varchar))
}
