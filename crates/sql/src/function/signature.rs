//! What functions take and give: types, generic types, any number of arguments, lambdas, units of intervals.
//!
//! A signature is matched in two passes: values first, which settles what the type variables stand for; then the lambdas,
//! whose parameters have types by then, and whose results may settle the variables that are left.

use crate::SqlType;
use crate::expression::cast;
use std::collections::BTreeMap;

/// What one argument must be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Param {
    /// This type, or a number that widens to it.
    Type(SqlType),
    /// A `DECIMAL` of any precision and scale; `INT` and `BIGINT` widen to `DECIMAL(10, 0)` and `DECIMAL(19, 0)`.
    Decimal,
    /// Any type. The same letter stands for the same type in the whole signature: arguments widen to the common one.
    Generic(char),
    /// `ARRAY` of it.
    Array(&'static Self),
    /// `MAP` of a key and a value.
    Map(&'static Self, &'static Self),
    /// Any type, whatever the others are.
    Any,
    /// A lambda: what its parameters are, and what it gives. A result of a fixed or known type is cast to it.
    Lambda(&'static [Self], &'static Self),
    /// A unit of time as a bare word, such as `MINUTES`; the function gets its length in milliseconds as a `BIGINT`.
    Unit,
}

/// What a function takes. Numbers widen from `INT` over `BIGINT` and `DECIMAL` to `DOUBLE` by themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Params {
    /// Exactly these types.
    Types(&'static [SqlType]),
    /// This type, at least so often.
    Many(SqlType, usize),
    /// Any type, but all the same, from so many to so many.
    Same(usize, usize),
    /// Exactly these.
    Of(&'static [Param]),
    /// These, and then the last of them any number of times more, none included.
    Variadic(&'static [Param]),
}

/// What a function gives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Returns {
    Type(SqlType),
    /// The type of the first argument: of all of [`Params::Same`], or of [`Param::Decimal`] after widening.
    Same,
    /// Made of the signature's type variables: `Of(Param::Array(&T))`.
    Of(Param),
    /// Computed from the arguments' types as the function gets them (a lambda's is that of its result). A message
    /// says why there is none.
    Computed(fn(&[SqlType]) -> Result<SqlType, String>),
}

/// What stands as an argument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Argument {
    /// A value; `None` is the literal `NULL`, which is of any type.
    Value(Option<SqlType>),
    /// A lambda of so many parameters.
    Lambda(usize),
    /// A unit of time.
    Unit,
}

/// The types that a call's arguments must be brought to, and that of its result.
#[derive(Debug, PartialEq)]
pub(crate) struct Fit {
    pub(crate) args: Vec<SqlType>,
    pub(crate) returns: SqlType,
}

/// Why a call does not fit.
#[derive(Debug)]
pub(crate) enum Misfit<E> {
    /// The arguments are others.
    Arguments,
    /// The body of a lambda is wrong.
    Lambda(E),
    /// There is no type of the result.
    Result(String),
}

/// Binds the body of the lambda at an index, given the types of its parameters, and says the body's type.
pub(crate) type BindLambda<'b, E> = dyn FnMut(usize, &[SqlType]) -> Result<SqlType, E> + 'b;

/// What the type variables stand for.
type Variables = BTreeMap<char, SqlType>;

impl Params {
    /// What the argument at `index` of `count` must be; `None` where there are too many or too few.
    fn list(self, count: usize) -> Option<Vec<Param>> {
        match self {
            Self::Types(types) => {
                (types.len() == count).then(|| types.iter().map(|t| Param::Type(*t)).collect())
            }
            Self::Many(sql_type, min) => (count >= min).then(|| vec![Param::Type(sql_type); count]),
            Self::Same(min, max) => (min..=max).contains(&count).then(|| vec![Param::Generic('T'); count]),
            Self::Of(params) => (params.len() == count).then(|| params.to_vec()),
            Self::Variadic(params) => {
                let last = *params.last()?;
                let more = count.checked_sub(params.len())?;
                Some(params.iter().copied().chain(std::iter::repeat_n(last, more)).collect())
            }
        }
    }

    /// Whether the argument at `index` may be a unit of time.
    pub(super) fn takes_unit(self, index: usize) -> bool {
        match self {
            Self::Of(params) | Self::Variadic(params) => matches!(params.get(index), Some(Param::Unit)),
            _ => false,
        }
    }

    /// In words, such as `ARRAY<T>, INTEGER`.
    pub(crate) fn words(self) -> String {
        let list = |params: &[Param]| params.iter().map(|p| p.words()).collect::<Vec<_>>().join(", ");
        let types = |types: &[SqlType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Types(all) => types(all),
            Self::Many(sql_type, min) => format!("{}, …", types(&vec![sql_type; min.max(1)])),
            Self::Same(1, 1) => "any type".to_owned(),
            Self::Same(_, _) => "any type, the same type, …".to_owned(),
            Self::Of(params) => list(params),
            Self::Variadic(params) => format!("{}, …", list(params)),
        }
    }
}

impl Returns {
    /// In words, such as `ARRAY<T>`.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Type(sql_type) => sql_type.to_string(),
            Self::Same => "the type of the first argument".to_owned(),
            Self::Of(param) => param.words(),
            Self::Computed(_) => "a type that depends on the arguments".to_owned(),
        }
    }
}

impl Param {
    fn words(self) -> String {
        match self {
            Self::Type(sql_type) => sql_type.to_string(),
            Self::Decimal => "DECIMAL".to_owned(),
            Self::Generic(letter) => letter.to_string(),
            Self::Array(element) => format!("ARRAY<{}>", element.words()),
            Self::Map(key, value) => format!("MAP<{}, {}>", key.words(), value.words()),
            Self::Any => "any type".to_owned(),
            Self::Lambda(params, result) => {
                let params: Vec<_> = params.iter().map(|param| param.words()).collect();
                format!("({}) => {}", params.join(", "), result.words())
            }
            Self::Unit => "unit of time".to_owned(),
        }
    }

    /// Whether a value of this type goes in; settles the type variables.
    fn accept(self, arg: Option<SqlType>, variables: &mut Variables) -> bool {
        let Some(arg) = arg else { return !matches!(self, Self::Lambda(..) | Self::Unit) };
        match (self, arg) {
            (Self::Type(to), _) => widens(Some(arg), to),
            (Self::Decimal, SqlType::Int | SqlType::BigInt | SqlType::Decimal { .. }) | (Self::Any, _) => {
                true
            }
            (Self::Generic(letter), _) => {
                let common = common_type([variables.get(&letter).copied(), Some(arg)]);
                common.map(|common| variables.insert(letter, common)).is_some()
            }
            (Self::Array(param), SqlType::Array(element)) => param.accept(Some(*element), variables),
            (Self::Map(key, value), SqlType::Map(key_type, value_type)) => {
                key.accept(Some(*key_type), variables) && value.accept(Some(*value_type), variables)
            }
            _ => false,
        }
    }

    /// The type that an argument is brought to; `None` is the literal `NULL`.
    fn target(self, arg: Option<SqlType>, variables: &Variables) -> SqlType {
        match self {
            Self::Type(to) => to,
            Self::Decimal => arg.and_then(as_decimal).unwrap_or(SqlType::Decimal { precision: 1, scale: 0 }),
            Self::Generic(letter) => variables.get(&letter).copied().unwrap_or(SqlType::Varchar),
            Self::Array(element) => {
                let inner = if let Some(SqlType::Array(inner)) = arg { Some(*inner) } else { None };
                SqlType::array(element.target(inner, variables))
            }
            Self::Map(key, value) => {
                let (k, v) =
                    if let Some(SqlType::Map(k, v)) = arg { (Some(*k), Some(*v)) } else { (None, None) };
                SqlType::map(key.target(k, variables), value.target(v, variables))
            }
            Self::Any => arg.unwrap_or(SqlType::Varchar),
            Self::Lambda(_, result) => result.target(arg, variables),
            Self::Unit => SqlType::BigInt,
        }
    }
}

/// Matches a call with a signature.
pub(crate) fn fit<E>(
    params: Params,
    returns: Returns,
    args: &[Argument],
    lambda: &mut BindLambda<'_, E>,
) -> Result<Fit, Misfit<E>> {
    let list = params.list(args.len()).ok_or(Misfit::Arguments)?;
    let mut variables = Variables::new();
    let values_fit = list.iter().zip(args).all(|(param, arg)| match (param, arg) {
        (Param::Lambda(params, _), Argument::Lambda(count)) => params.len() == *count,
        (Param::Unit, Argument::Unit) => true,
        (Param::Lambda(..) | Param::Unit, _) => false,
        (param, Argument::Value(arg)) => param.accept(*arg, &mut variables),
        _ => false,
    });
    if !values_fit {
        return Err(Misfit::Arguments);
    }
    let mut given = Vec::with_capacity(args.len());
    for (index, (param, arg)) in list.iter().zip(args).enumerate() {
        given.push(match (param, arg) {
            (Param::Lambda(params, result), _) => {
                let types: Vec<_> = params.iter().map(|param| param.target(None, &variables)).collect();
                let body = lambda(index, &types).map_err(Misfit::Lambda)?;
                if !accept_result(**result, body, &mut variables) {
                    return Err(Misfit::Arguments);
                }
                Some(body)
            }
            (_, Argument::Value(arg)) => *arg,
            _ => None,
        });
    }
    let args: Vec<_> = list.iter().zip(&given).map(|(param, arg)| param.target(*arg, &variables)).collect();
    let returns = match returns {
        Returns::Type(sql_type) => sql_type,
        Returns::Same => *args.first().ok_or(Misfit::Arguments)?,
        Returns::Of(param) => param.target(None, &variables),
        Returns::Computed(compute) => compute(&args).map_err(Misfit::Result)?,
    };
    Ok(Fit { args, returns })
}

/// Whether what a lambda gives goes in. A variable that the values have settled stays as it is.
fn accept_result(result: Param, body: SqlType, variables: &mut Variables) -> bool {
    if let Param::Generic(letter) = result
        && let Some(known) = variables.get(&letter)
    {
        return widens(Some(body), *known);
    }
    result.accept(Some(body), variables)
}

/// An exact number's type as a `DECIMAL`.
pub(crate) fn as_decimal(sql_type: SqlType) -> Option<SqlType> {
    match sql_type {
        SqlType::Int => Some(SqlType::Decimal { precision: 10, scale: 0 }),
        SqlType::BigInt => Some(SqlType::Decimal { precision: 19, scale: 0 }),
        SqlType::Decimal { .. } => Some(sql_type),
        _ => None,
    }
}

/// Whether every value of `from` (`None`: `NULL`) becomes `to` by itself.
pub(crate) fn widens(from: Option<SqlType>, to: SqlType) -> bool {
    let Some(from) = from else { return true };
    match (from, to) {
        (from, to) if from == to => true,
        (SqlType::Int | SqlType::BigInt | SqlType::Decimal { .. }, SqlType::Decimal { precision, scale }) => {
            matches!(as_decimal(from), Some(SqlType::Decimal { precision: p, scale: s })
                if s <= scale && p.saturating_sub(s) <= precision.saturating_sub(scale))
        }
        (SqlType::Array(from), SqlType::Array(to)) => widens(Some(*from), *to),
        (SqlType::Map(from_key, from), SqlType::Map(to_key, to)) => {
            widens(Some(*from_key), *to_key) && widens(Some(*from), *to)
        }
        (SqlType::Struct(from), SqlType::Struct(to)) => {
            let pairs = from.iter().zip(to);
            from.len() == to.len()
                && pairs.into_iter().all(|(a, b)| a.name == b.name && widens(Some(a.sql_type), b.sql_type))
        }
        (from, to) => from.is_numeric() && to.is_numeric() && from < to,
    }
}

/// The type that values of all these types become by themselves; a lone `NULL` is a `VARCHAR`.
pub(crate) fn common_type(types: impl IntoIterator<Item = Option<SqlType>>) -> Option<SqlType> {
    let mut common = None;
    for sql_type in types.into_iter().flatten() {
        common = Some(match common {
            None => sql_type,
            Some(common) => wider(common, sql_type)?,
        });
    }
    Some(common.unwrap_or(SqlType::Varchar))
}

/// The type that values of both become.
fn wider(a: SqlType, b: SqlType) -> Option<SqlType> {
    if widens(Some(a), b) {
        return Some(b);
    }
    if widens(Some(b), a) {
        return Some(a);
    }
    match (a, b) {
        (SqlType::Array(a), SqlType::Array(b)) => Some(SqlType::array(wider(*a, *b)?)),
        (SqlType::Map(a_key, a), SqlType::Map(b_key, b)) => {
            Some(SqlType::map(wider(*a_key, *b_key)?, wider(*a, *b)?))
        }
        (SqlType::Struct(a), SqlType::Struct(b)) => cast::common_struct(a, b, wider),
        _ => {
            let (whole_a, scale_a) = whole_and_scale(a)?;
            let (whole_b, scale_b) = whole_and_scale(b)?;
            let scale = scale_a.max(scale_b);
            let precision = whole_a.max(whole_b).saturating_add(scale);
            (precision <= crate::Decimal::PRECISION_MAX).then_some(SqlType::Decimal { precision, scale })
        }
    }
}

/// How many digits stand before the point, and how many behind it.
fn whole_and_scale(sql_type: SqlType) -> Option<(u8, u8)> {
    match as_decimal(sql_type)? {
        SqlType::Decimal { precision, scale } => Some((precision.saturating_sub(scale), scale)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Param = Param::Generic('T');
    const U: Param = Param::Generic('U');

    fn decimal(precision: u8, scale: u8) -> SqlType {
        SqlType::Decimal { precision, scale }
    }

    fn fitted(params: Params, returns: Returns, args: &[Argument], body: SqlType) -> Option<Fit> {
        fit::<()>(params, returns, args, &mut |_, _| Ok(body)).ok()
    }

    fn values(types: &[SqlType]) -> Vec<Argument> {
        types.iter().map(|t| Argument::Value(Some(*t))).collect()
    }

    #[test]
    fn a_letter_stands_for_the_common_type() {
        const PARAMS: Params = Params::Of(&[Param::Array(&T), T]);
        let of = Returns::Of(Param::Array(&T));
        let ints = SqlType::array(SqlType::Int);
        let bigints = SqlType::array(SqlType::BigInt);
        for (args, expected) in [
            (vec![ints, SqlType::Int], Some((ints, SqlType::Int))),
            (vec![bigints, SqlType::Int], Some((bigints, SqlType::BigInt))),
            (vec![ints, SqlType::BigInt], Some((bigints, SqlType::BigInt))),
            (vec![ints, SqlType::Varchar], None),
            (vec![SqlType::Int, SqlType::Int], None),
        ] {
            let found = fitted(PARAMS, of, &values(&args), SqlType::Int);
            let expected =
                expected.map(|(array, element)| Fit { args: vec![array, element], returns: array });
            assert_eq!(found, expected, "{args:?}");
        }
        let null = fitted(PARAMS, of, &[Argument::Value(Some(ints)), Argument::Value(None)], SqlType::Int);
        assert_eq!(null.map(|fit| fit.args), Some(vec![ints, SqlType::Int]));
    }

    #[test]
    fn lambdas_settle_what_values_leave_open() {
        const PARAMS: Params = Params::Of(&[Param::Array(&T), Param::Lambda(&[T], &U)]);
        const REDUCE: Params = Params::Of(&[Param::Array(&T), U, Param::Lambda(&[U, T], &U)]);
        let args = [Argument::Value(Some(SqlType::array(SqlType::Int))), Argument::Lambda(1)];
        let mut seen = Vec::new();
        let fit = fit::<()>(PARAMS, Returns::Of(Param::Array(&U)), &args, &mut |index, types| {
            seen.push((index, types.to_vec()));
            Ok(SqlType::Varchar)
        });
        assert_eq!(seen, [(1, vec![SqlType::Int])]);
        assert_eq!(fit.ok().map(|fit| fit.returns), Some(SqlType::array(SqlType::Varchar)));
        let args = [args[0], Argument::Value(Some(SqlType::BigInt)), Argument::Lambda(2)];
        let reduced = fitted(REDUCE, Returns::Of(U), &args, SqlType::Int);
        assert_eq!(reduced.map(|fit| fit.args[2]), Some(SqlType::BigInt));
        assert_eq!(fitted(REDUCE, Returns::Of(U), &args, SqlType::Double), None);
    }

    #[test]
    fn decimals_of_any_size_go_in_and_numbers_widen() {
        let same = |arg| {
            fitted(Params::Of(&[Param::Decimal]), Returns::Same, &values(&[arg]), SqlType::Int)
                .map(|fit| fit.returns)
        };
        assert_eq!(same(decimal(5, 2)), Some(decimal(5, 2)));
        assert_eq!(same(SqlType::BigInt), Some(decimal(19, 0)));
        assert_eq!(same(SqlType::Double), None);
        assert!(widens(Some(decimal(5, 2)), SqlType::Double) && !widens(Some(SqlType::Int), decimal(5, 2)));
        assert!(widens(Some(SqlType::Int), decimal(12, 2)) && !widens(Some(decimal(5, 2)), decimal(5, 3)));
        let common = |a, b| common_type([Some(a), Some(b)]);
        assert_eq!(common(decimal(5, 2), decimal(4, 3)), Some(decimal(6, 3)));
        assert_eq!(common(SqlType::Int, decimal(4, 3)), Some(decimal(13, 3)));
        assert_eq!(common(decimal(38, 0), decimal(38, 38)), None);
        assert_eq!(
            common(SqlType::array(SqlType::Int), SqlType::array(SqlType::Double)),
            Some(SqlType::array(SqlType::Double))
        );
    }

    #[test]
    fn any_number_of_arguments_and_units() {
        const MANY: Params = Params::Variadic(&[Param::Type(SqlType::Varchar), T]);
        let text = SqlType::Varchar;
        let returns = Returns::Of(T);
        assert_eq!(fitted(MANY, returns, &values(&[text]), text), None);
        let fit = fitted(MANY, returns, &values(&[text, SqlType::Int, SqlType::BigInt]), text);
        assert_eq!(fit.map(|fit| fit.args), Some(vec![text, SqlType::BigInt, SqlType::BigInt]));
        let unit = Params::Of(&[Param::Unit, Param::Type(SqlType::Int)]);
        let args = [Argument::Unit, Argument::Value(Some(SqlType::Int))];
        assert_eq!(fitted(unit, returns, &args, text).map(|fit| fit.args[0]), Some(SqlType::BigInt));
        assert!(unit.takes_unit(0) && !unit.takes_unit(1));
        assert_eq!(MANY.words(), "VARCHAR, T, …");
    }
}
