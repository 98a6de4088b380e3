//! The functions: each is defined once, with its names, signatures, documentation and code.
//!
//! Scalar functions stand in [`number`], [`text`], [`split`], [`mask`], [`regex`], [`bytes`], [`array`], [`map`], [`lambda`],
//! [`choice`], [`time`], [`json`] and [`url`]; aggregates in [`aggregate`]; functions that
//! remember something per key in [`keyed`]; functions that give rows in [`table`]. A new function is a new entry in one of the tables.

pub(crate) mod aggregate;
mod array;
mod bytes;
mod choice;
mod json;
pub(crate) mod keyed;
mod lambda;
mod map;
mod mask;
mod number;
mod ordered;
mod regex;
mod rounding;
pub(crate) mod signature;
mod split;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod url;

use crate::expression::Fault;
use crate::limits::{VALUE_BYTES_MAX, VALUE_ELEMENTS_MAX};
use crate::{Datum, SqlType};
pub(crate) use signature::{Argument, Param, Params, Returns, as_decimal, common_type, widens};
use signature::{BindLambda, Misfit};
use std::sync::Arc;

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

/// What a function computes. It must not allocate more than [`limits`](crate::limits) allow: see [`check_text`] and
/// [`check_elements`].
pub(crate) type RowBody = for<'a> fn(&[Datum<'a>]) -> Result<Datum<'a>, String>;

/// [`RowBody`] that also wants the types of its arguments and of its result.
pub(crate) type TypedBody = for<'a> fn(&[Datum<'a>], &CallTypes) -> Result<Datum<'a>, String>;

/// [`RowBody`] with lambdas: the arguments that are values, and the lambdas in their order.
pub(crate) type LambdaBody = for<'a> fn(&[Datum<'a>], &mut Lambdas<'_>) -> Result<Datum<'a>, Fault>;

/// Makes a function of those arguments that are the same for every row (`None`: it is another one in every row), so that
/// patterns and formats are compiled once. A message says what is wrong with them.
pub(crate) type Compile = fn(&[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String>;

/// What [`Compile`] makes.
pub(crate) trait RowFunction: std::fmt::Debug + Send + Sync {
    /// Computes one row; the constant arguments are among `args` too. `NULL`s have been answered.
    fn apply<'a>(&self, args: &[Datum<'a>]) -> Result<Datum<'a>, String>;
}

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
    /// May fail and looks at `NULL`s itself.
    FallibleWithNulls(RowBody),
    /// May fail and looks at `NULL`s itself; gets the types.
    Typed(TypedBody),
    /// May fail, `NULL` where an argument is; compiled once for its constant arguments.
    Compiled(Compile),
    /// May fail and looks at `NULL`s itself; takes lambdas.
    Lambda(LambdaBody),
}

/// The types of a call, as the function gets its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallTypes {
    /// Of the arguments; of a lambda, that of its result.
    pub(crate) args: Vec<SqlType>,
    /// Of the result.
    pub(crate) returns: SqlType,
}

/// Runs the lambda at an index with its arguments.
pub(crate) type RunLambda<'r> = dyn FnMut(usize, &[Datum<'static>]) -> Result<Datum<'static>, Fault> + 'r;

/// The lambdas of a call, ready to be run for one row.
pub(crate) struct Lambdas<'l> {
    run: &'l mut RunLambda<'l>,
}

impl<'l> Lambdas<'l> {
    /// Lambdas that `run` runs.
    pub(crate) fn new(run: &'l mut RunLambda<'l>) -> Self {
        Self { run }
    }

    /// What the lambda at `index` (of the lambdas alone) gives for these arguments.
    pub(crate) fn call(&mut self, index: usize, args: &[Datum<'static>]) -> Result<Datum<'static>, Fault> {
        (self.run)(index, args)
    }
}

/// A call that was resolved to one signature.
#[derive(Debug, Clone)]
pub(crate) struct ScalarCall {
    name: &'static str,
    body: Body,
    types: Arc<CallTypes>,
    /// What [`Body::Compiled`] made of the constant arguments.
    compiled: Option<Arc<dyn RowFunction>>,
}

impl ScalarCall {
    pub(crate) const fn can_fail(&self) -> bool {
        !matches!(self.body, Body::Double(_) | Body::Plain(_) | Body::WithNulls(_))
    }

    /// The code for whole columns, where there is any.
    pub(crate) const fn kernel(&self) -> Option<fn(f64) -> f64> {
        if let Body::Double(kernel) = self.body { Some(kernel) } else { None }
    }

    /// Compiles what depends on arguments that are the same for every row. A message says what is wrong with them.
    pub(crate) fn compile(&mut self, constants: &[Option<Datum<'static>>]) -> Result<(), String> {
        if let Body::Compiled(compile) = self.body
            && !constants.iter().flatten().any(Datum::is_null)
        {
            self.compiled = Some(compile(constants)?);
        }
        Ok(())
    }

    /// The value for these arguments; of a function that takes lambdas, those that are values.
    pub(crate) fn apply<'a>(
        &self,
        args: &[Datum<'a>],
        lambdas: &mut Lambdas<'_>,
    ) -> Result<Datum<'a>, Fault> {
        let any_null = || args.iter().any(Datum::is_null);
        let value = match self.body {
            Body::WithNulls(body) | Body::FallibleWithNulls(body) => body(args),
            Body::Typed(body) => body(args, &self.types),
            Body::Lambda(body) => return self.bounded(body(args, lambdas)?),
            _ if any_null() => return Ok(Datum::Null),
            Body::Double(kernel) => {
                let value = args.first().and_then(Datum::as_f64);
                return Ok(value.map_or(Datum::Null, |v| Datum::Double(kernel(v))));
            }
            Body::Plain(body) | Body::Fallible(body) => body(args),
            Body::Compiled(compile) => match &self.compiled {
                Some(compiled) => compiled.apply(args),
                None => compile(&vec![None; args.len()]).and_then(|function| function.apply(args)),
            },
        };
        self.bounded(value.map_err(|message| Fault::Function(self.name, message))?)
    }

    /// Nothing grows without limit, also where a function is called on its own results.
    fn bounded<'a>(&self, value: Datum<'a>) -> Result<Datum<'a>, Fault> {
        crate::expression::check_size(&value)
            .map_err(|message| Fault::Function(self.name, message))
            .map(|()| value)
    }
}

/// Refuses to make a text or bytes of so many bytes.
pub(crate) fn check_text(bytes: usize) -> Result<(), String> {
    if bytes <= VALUE_BYTES_MAX {
        return Ok(());
    }
    Err(format!("the result would have {bytes} bytes, more than {VALUE_BYTES_MAX}"))
}

/// Refuses to make an array or map of so many elements.
pub(crate) fn check_elements(count: usize) -> Result<(), String> {
    if count <= VALUE_ELEMENTS_MAX {
        return Ok(());
    }
    Err(format!("the result would have {count} elements, more than {VALUE_ELEMENTS_MAX}"))
}

/// The scalar functions by their categories, under ksqlDB's names.
const CATEGORIES: &[(&str, &[ScalarFunction])] = &[
    ("MATHEMATICAL", number::FUNCTIONS),
    ("ARRAY", array::FUNCTIONS),
    ("MAP", map::FUNCTIONS),
    ("LAMBDA", lambda::FUNCTIONS),
    ("STRING", text::FUNCTIONS),
    ("STRING", split::FUNCTIONS),
    ("STRING", mask::FUNCTIONS),
    ("REGULAR EXPRESSION", regex::FUNCTIONS),
    ("JSON", json::FUNCTIONS),
    ("CONVERSION", bytes::FUNCTIONS),
    ("CONDITIONAL", choice::FUNCTIONS),
    ("DATE / TIME", time::FUNCTIONS),
    ("URL", url::FUNCTIONS),
    ("OTHER", choice::OTHERS),
    #[cfg(test)]
    ("OTHER", tests::FUNCTIONS),
];

/// Every scalar function with its category.
pub(crate) fn scalars_by_category() -> impl Iterator<Item = (&'static str, &'static ScalarFunction)> {
    CATEGORIES.iter().flat_map(|(category, table)| table.iter().map(|function| (*category, function)))
}

/// Every scalar function.
pub(crate) fn scalars() -> impl Iterator<Item = &'static ScalarFunction> {
    scalars_by_category().map(|(_, function)| function)
}

/// Every name of every function of every kind, for hints.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    scalars()
        .flat_map(|function| std::iter::once(function.name).chain(function.aliases.iter().copied()))
        .chain(aggregate::AGGREGATES.iter().map(|aggregate| aggregate.name))
        .chain(keyed::KEYED.iter().map(|keyed| keyed.name))
        .chain(table::TABLE_FUNCTIONS.iter().map(|table| table.name))
}

/// The scalar function of this name.
pub(crate) fn scalar(name: &str) -> Option<&'static ScalarFunction> {
    scalars().find(|function| function.name == name || function.aliases.contains(&name))
}

/// A signature that fits: the call, the types that the arguments must be brought to (of a lambda: its result), and the type
/// of the result.
pub(crate) struct Resolved {
    pub(crate) call: ScalarCall,
    pub(crate) args: Vec<SqlType>,
    pub(crate) returns: SqlType,
}

/// Why no signature fits.
#[derive(Debug)]
pub(crate) enum Unresolved<E> {
    /// The arguments are others.
    Arguments,
    /// The body of a lambda is wrong.
    Lambda(E),
    /// There is no type of the result; the message says why.
    Result(String),
}

impl ScalarFunction {
    /// The first signature that takes values of these types; `None` stands for the literal `NULL`.
    #[cfg(test)]
    pub(crate) fn resolve(&self, args: &[Option<SqlType>]) -> Option<Resolved> {
        let args: Vec<_> = args.iter().map(|arg| Argument::Value(*arg)).collect();
        self.resolve_with::<()>(&args, &mut |_, _| Err(())).ok()
    }

    /// The first signature that takes these arguments.
    pub(crate) fn resolve_with<E>(
        &self,
        args: &[Argument],
        lambda: &mut BindLambda<'_, E>,
    ) -> Result<Resolved, Unresolved<E>> {
        for signature in self.signatures {
            match signature::fit(signature.params, signature.returns, args, lambda) {
                Err(Misfit::Arguments) => {}
                Err(Misfit::Lambda(mistake)) => return Err(Unresolved::Lambda(mistake)),
                Err(Misfit::Result(message)) => return Err(Unresolved::Result(message)),
                Ok(fit) => {
                    let types = CallTypes { args: fit.args.clone(), returns: fit.returns };
                    let call = ScalarCall {
                        name: self.name,
                        body: signature.body,
                        types: Arc::new(types),
                        compiled: None,
                    };
                    return Ok(Resolved { call, args: fit.args, returns: fit.returns });
                }
            }
        }
        Err(Unresolved::Arguments)
    }

    /// Whether the argument at `index` may be a unit of time, such as `MINUTES`.
    pub(crate) fn takes_unit(&self, index: usize) -> bool {
        self.signatures.iter().any(|signature| signature.params.takes_unit(index))
    }

    /// The signatures in words, such as `ROUND(DOUBLE, INTEGER)`.
    pub(crate) fn usages(&self) -> Vec<String> {
        self.signatures.iter().map(|s| format!("{}({})", self.name, s.params.words())).collect()
    }

    /// What `DESCRIBE FUNCTION` says: what it does, its other names, and every way to call it with what comes out.
    pub(crate) fn description(&self) -> String {
        let mut lines = vec![self.doc.to_owned()];
        if !self.aliases.is_empty() {
            lines.push(format!("Also called {}.", self.aliases.join(", ")));
        }
        let variations = self.usages().into_iter().zip(self.signatures);
        lines.extend(variations.map(|(usage, signature)| format!("{usage} → {}", signature.returns.words())));
        lines.join("\n")
    }
}
