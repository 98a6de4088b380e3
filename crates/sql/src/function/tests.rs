//! Goal: functions give what ksqlDB's give; names and documentation are in order. The tables in `tests/` have one line per
//! behaviour: the call, and what comes out.

mod any_values;
mod collections;
mod lambdas;
mod numbers;
mod texts;
mod times;

use super::*;
use crate::Decimal;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A function for tests of what happens when a query's code panics.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction {
    name: "TEST_PANIC_IF",
    aliases: &[],
    doc: "Panics where its argument is true.",
    signatures: &[Signature {
        params: Params::Types(&[SqlType::Boolean]),
        returns: Returns::Type(SqlType::Boolean),
        body: Body::Plain(panic_if),
    }],
}];

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn panic_if<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    assert_ne!(args, [Datum::Boolean(true)], "as the test asked");
    Ok(Datum::Boolean(false))
}

/// What a call must give: a value, or a message with this part.
enum Expected {
    Value(Datum<'static>),
    Fault(&'static str),
}

/// A call that is refused, in words that hold this part.
struct Fails(&'static str);

impl From<Datum<'static>> for Expected {
    fn from(value: Datum<'static>) -> Self {
        Self::Value(value)
    }
}

impl From<Fails> for Expected {
    fn from(Fails(part): Fails) -> Self {
        Self::Fault(part)
    }
}

type Case = (&'static str, Vec<Datum<'static>>, Expected);

/// `NAME(argument, …) => expected;` once per line.
macro_rules! table {
    ($($name:ident($($arg:expr),* $(,)?) => $expected:expr;)*) => {
        vec![$((stringify!($name), vec![$($arg),*], Expected::from($expected))),*]
    };
}
use table;

/// `NULL`.
const N: Datum<'static> = Datum::Null;

fn t(text: &str) -> Datum<'static> {
    Datum::Varchar(Cow::Owned(text.to_owned()))
}

fn b(bytes: &[u8]) -> Datum<'static> {
    Datum::Bytes(Cow::Owned(bytes.to_vec()))
}

fn i(value: i32) -> Datum<'static> {
    Datum::Int(value)
}

fn l(value: i64) -> Datum<'static> {
    Datum::BigInt(value)
}

fn d(value: f64) -> Datum<'static> {
    Datum::Double(value)
}

fn yes(value: bool) -> Datum<'static> {
    Datum::Boolean(value)
}

/// A decimal with the digits that are written.
fn dec(text: &str) -> Datum<'static> {
    let scale = text.split_once('.').map_or(0, |(_, behind)| behind.len());
    let unscaled = text.replace('.', "").parse().unwrap();
    Datum::Decimal(Decimal::new(unscaled, u8::try_from(scale).unwrap()))
}

fn arr<const COUNT: usize>(values: [Datum<'static>; COUNT]) -> Datum<'static> {
    Datum::Array(values.into())
}

fn map<const COUNT: usize>(entries: [(&str, Datum<'static>); COUNT]) -> Datum<'static> {
    Datum::Map(entries.into_iter().map(|(key, value)| (t(key), value)).collect())
}

/// The type of a value; of one that holds others, by the first of them.
fn type_of(value: &Datum<'_>) -> Option<SqlType> {
    Some(match value {
        Datum::Null => return None,
        Datum::Boolean(_) => SqlType::Boolean,
        Datum::Int(_) => SqlType::Int,
        Datum::BigInt(_) => SqlType::BigInt,
        Datum::Decimal(v) => {
            let digits = v.unscaled().unsigned_abs().to_string().len();
            SqlType::Decimal { precision: u8::try_from(digits).unwrap().max(v.scale()), scale: v.scale() }
        }
        Datum::Double(_) => SqlType::Double,
        Datum::Varchar(_) => SqlType::Varchar,
        Datum::Bytes(_) => SqlType::Bytes,
        Datum::Date(_) => SqlType::Date,
        Datum::Time(_) => SqlType::Time,
        Datum::Timestamp(_) => SqlType::Timestamp,
        Datum::Array(values) => SqlType::array(values.iter().find_map(type_of).unwrap_or(SqlType::Int)),
        Datum::Map(entries) => {
            let value = entries.iter().find_map(|(_, value)| type_of(value)).unwrap_or(SqlType::Int);
            let key = entries.first().and_then(|(key, _)| type_of(key)).unwrap_or(SqlType::Varchar);
            SqlType::map(key, value)
        }
        Datum::Struct(values) => {
            let names = ["B", "A", "C", "D"];
            SqlType::structure(
                names.into_iter().zip(values.iter().map(|v| type_of(v).unwrap_or(SqlType::Int))),
            )
        }
    })
}

/// Calls a function twice, with its arguments as constants and as values of a row; both must give the same.
fn call(name: &str, args: &[Datum<'static>]) -> Result<Datum<'static>, String> {
    let function = scalar(name).unwrap_or_else(|| panic!("there is no {name}"));
    let argument = |(index, arg)| {
        if function.takes_unit(index) { Argument::Unit } else { Argument::Value(type_of(arg)) }
    };
    let arguments: Vec<_> = args.iter().enumerate().map(argument).collect();
    let mut resolved = match function.resolve_with::<()>(&arguments, &mut |_, _| Err(())) {
        Ok(resolved) => resolved,
        Err(Unresolved::Result(message)) => return Err(message),
        Err(other) => return Err(format!("{name}{args:?} is not taken: {other:?}")),
    };
    let to_type = |(arg, to): (&Datum<'static>, SqlType)| match arg {
        same if same.is_of(to) => same.clone(),
        other => crate::expression::cast::datum(other.clone(), to).unwrap(),
    };
    let given: Vec<_> = args.iter().zip(resolved.args.iter().copied()).map(to_type).collect();
    let mut no_lambdas = |_: usize, _: &[Datum<'static>]| Ok(Datum::Null);
    let message = |fault: Fault| fault.to_string();
    let by_row = resolved.call.apply(&given, &mut Lambdas::new(&mut no_lambdas)).map_err(message);
    let constants: Vec<_> = given.iter().map(|value| Some(value.clone())).collect();
    let by_constants = match resolved.call.compile(&constants) {
        Ok(()) => resolved.call.apply(&given, &mut Lambdas::new(&mut no_lambdas)).map_err(message),
        Err(message) => Err(format!("{name}: {message}")),
    };
    if !matches!(name, "UUID" | "RANDOM") {
        let text = |result: &Result<Datum<'_>, String>| format!("{result:?}");
        assert_eq!(text(&by_row), text(&by_constants), "{name}{args:?}");
    }
    if let Ok(value) = &by_row {
        assert!(value.is_of(resolved.returns), "{name}{args:?}: {value:?} is no {}", resolved.returns);
    }
    by_row
}

/// Checks a table, and says every line that is not as it should be.
fn check(cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for (name, args, expected) in cases {
        let given: Vec<_> = args.iter().map(|arg| format!("{arg:?}")).collect();
        let found = call(name, &args);
        let right = match (&expected, &found) {
            (Expected::Value(Datum::Double(wanted)), Ok(Datum::Double(found))) => {
                wanted.to_bits() == found.to_bits() || (wanted.is_nan() && found.is_nan())
            }
            (Expected::Value(wanted), Ok(found)) => wanted == found,
            (Expected::Fault(part), Err(message)) => message.contains(part),
            _ => false,
        };
        if !right {
            let wanted = match expected {
                Expected::Value(value) => format!("{value:?}"),
                Expected::Fault(part) => format!("a fault with '{part}'"),
            };
            wrong.push(format!("{name}({})\n  gives {found:?}\n  wants {wanted}", given.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every scalar function of ksqlDB's reference (0.29), and those that its server has beside them.
const DOCUMENTED: &str = "ABS ACOS ASIN ATAN ATAN2 CBRT CEIL COS COSH COT DEGREES ENTRIES EXP FLOOR GENERATE_SERIES \
    GEO_DISTANCE GREATEST LEAST LN LOG PI POWER RADIANS RANDOM ROUND SIGN SIN SINH SQRT TAN TANH TRUNC AS_VALUE \
    ARRAY_CONCAT ARRAY_CONTAINS ARRAY_DISTINCT ARRAY_EXCEPT ARRAY_INTERSECT ARRAY_JOIN ARRAY_LENGTH ARRAY_MAX ARRAY_MIN \
    ARRAY_REMOVE ARRAY_SORT ARRAY_UNION AS_MAP ELT FIELD JSON_ARRAY_CONTAINS MAP_KEYS MAP_VALUES MAP_UNION SLICE \
    CHR CONCAT CONCAT_WS ENCODE EXTRACTJSONFIELD FROM_BYTES IS_JSON_STRING JSON_ARRAY_LENGTH JSON_CONCAT JSON_ITEMS \
    JSON_KEYS JSON_RECORDS TO_JSON_STRING INITCAP INSTR LCASE LEN LPAD MASK MASK_KEEP_LEFT MASK_KEEP_RIGHT MASK_LEFT \
    MASK_RIGHT REPLACE REGEXP_EXTRACT REGEXP_EXTRACT_ALL REGEXP_REPLACE REGEXP_SPLIT_TO_ARRAY RPAD SPLIT SPLIT_TO_MAP \
    SUBSTRING TO_BYTES TRIM UCASE UUID BIGINT_FROM_BYTES DOUBLE_FROM_BYTES INT_FROM_BYTES COALESCE IFNULL NULLIF \
    CONVERT_TZ DATEADD DATESUB FORMAT_DATE FORMAT_TIME FORMAT_TIMESTAMP FROM_DAYS FROM_UNIXTIME PARSE_DATE PARSE_TIME \
    PARSE_TIMESTAMP TIMEADD TIMESUB TIMESTAMPADD TIMESTAMPSUB UNIX_DATE UNIX_TIMESTAMP DATETOSTRING STRINGTODATE \
    STRINGTOTIMESTAMP TIMESTAMPTOSTRING URL_DECODE_PARAM URL_ENCODE_PARAM URL_EXTRACT_FRAGMENT URL_EXTRACT_HOST \
    URL_EXTRACT_PARAMETER URL_EXTRACT_PATH URL_EXTRACT_PORT URL_EXTRACT_PROTOCOL URL_EXTRACT_QUERY";

#[test]
fn every_documented_function_is_there_and_in_a_table() {
    let tables = [numbers::cases(), texts::cases(), collections::cases(), times::cases()];
    let tested: BTreeSet<&str> = tables.iter().flatten().map(|(name, ..)| *name).collect();
    let missing: Vec<_> = DOCUMENTED.split_whitespace().filter(|name| scalar(name).is_none()).collect();
    assert!(missing.is_empty(), "not there: {missing:?}");
    let lambdas = ["TRANSFORM", "FILTER", "REDUCE", "TEST_PANIC_IF"];
    let untested: Vec<_> = scalars()
        .filter(|f| !tested.contains(f.name) && !lambdas.contains(&f.name))
        .map(|f| f.name)
        .collect();
    assert!(untested.is_empty(), "in no table: {untested:?}");
}

#[test]
fn every_name_is_unique_and_documented() {
    let mut seen = BTreeSet::new();
    for name in names() {
        assert!(seen.insert(name), "{name} is defined twice");
        assert_eq!(name, name.to_uppercase());
    }
    assert!(scalars().all(|f| f.doc.ends_with('.') && !f.signatures.is_empty()));
}

#[test]
fn a_description_says_how_a_function_is_called_and_what_it_gives() {
    assert_eq!(
        scalar("SUBSTR").map(ScalarFunction::description).as_deref(),
        Some(
            "SUBSTRING(text, position[, length]): a part of a text or of bytes.\nAlso called SUBSTR.\n\
             SUBSTRING(VARCHAR, INTEGER) → VARCHAR\nSUBSTRING(VARCHAR, INTEGER, INTEGER) → VARCHAR\n\
             SUBSTRING(BYTES, INTEGER) → BYTES\nSUBSTRING(BYTES, INTEGER, INTEGER) → BYTES"
        )
    );
    let transform = scalar("TRANSFORM").map(ScalarFunction::description).unwrap_or_default();
    assert!(transform.contains("TRANSFORM(ARRAY<T>, (T) => R) → ARRAY<R>"), "{transform}");
}

#[test]
fn null_gives_null_or_what_the_function_says() {
    // With a NULL in front these give something else, as ksqlDB documents.
    let answers = "CONCAT FIELD INSTR IS_JSON_STRING ARRAY_CONTAINS JSON_ARRAY_CONTAINS TO_JSON_STRING COALESCE IFNULL \
        NULLIF GREATEST LEAST ARRAY_CONCAT MAP_UNION";
    let tables = [numbers::cases(), texts::cases(), collections::cases(), times::cases()];
    for (name, mut args, _) in tables.into_iter().flatten() {
        let unit = scalar(name).is_some_and(|function| function.takes_unit(0));
        if args.is_empty() || unit || answers.split_whitespace().any(|other| other == name) {
            continue;
        }
        args[0] = N;
        if let Ok(value) = call(name, &args) {
            assert_eq!(value, N, "{name}{args:?}");
        }
    }
}
