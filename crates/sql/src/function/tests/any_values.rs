//! Goal: no function panics or gives a value of another type, whatever its arguments hold.

use super::*;
use proptest::prelude::*;

/// Values that break things: ends of ranges, zeros, signs that mean something somewhere.
fn value_of(sql_type: SqlType, pick: &mut dyn FnMut(usize) -> usize) -> Datum<'static> {
    const INTS: [i32; 8] = [0, 1, -1, 2, 7, 400, i32::MAX, i32::MIN];
    const BIGINTS: [i64; 8] = [0, 1, -1, 86_400_000, 3_600_000, 1_709_195_296_789, i64::MAX, i64::MIN];
    const DOUBLES: [f64; 9] =
        [0.0, -0.0, 1.5, -90.0, 1e300, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    const TEXTS: [&str; 26] = [
        "",
        "a",
        "größe 😀",
        "(a|b)*",
        "a{2}",
        "(?<=x)y",
        "[a-z&&[^b]]+",
        "\\p{Lu}\\d",
        "$1${x}\\",
        "yyyy-MM-dd HH:mm",
        "hh:mm a[ VV]",
        "2024-02-29 08:28",
        "9999-12-31 24:61",
        "Europe/Berlin",
        "+18:00",
        "hex",
        "base64",
        "0xff",
        "$.a[0]['b']",
        "{\"a\":[1.5e9,null,{\"b\":\"c\"}]}",
        "[[[[]]]]",
        "http://u@[::1]:99999/%20?a=%2#",
        "\\ud83d",
        "BIG_ENDIAN",
        "ASC",
        "%",
    ];
    if pick(8) == 0 {
        return N;
    }
    match sql_type {
        SqlType::Boolean => yes(pick(2) == 0),
        SqlType::Int => i(INTS[pick(INTS.len())]),
        SqlType::BigInt => l(BIGINTS[pick(BIGINTS.len())]),
        SqlType::Decimal { precision, scale } => {
            let limit = 10_i128.pow(u32::from(precision)) - 1;
            let unscaled = [0, 1, -1, limit, -limit, limit / 2][pick(6)];
            Datum::Decimal(Decimal::new(unscaled, scale))
        }
        SqlType::Double => d(DOUBLES[pick(DOUBLES.len())]),
        SqlType::Varchar => t(TEXTS[pick(TEXTS.len())]),
        SqlType::Bytes => b(&vec![u8::try_from(pick(256)).unwrap(); [0, 1, 4, 8, 16][pick(5)]]),
        SqlType::Date => Datum::Date(INTS[pick(INTS.len())]),
        SqlType::Time => Datum::Time([0, 1, 86_399_999][pick(3)]),
        SqlType::Timestamp => Datum::Timestamp(BIGINTS[pick(BIGINTS.len())]),
        SqlType::Array(element) => {
            (0..pick(4)).map(|_| value_of(*element, pick)).collect::<Vec<_>>().into_array()
        }
        SqlType::Map(key, value) => {
            let entries = (0..pick(4)).filter_map(|_| {
                let key = value_of(*key, pick);
                (!key.is_null()).then(|| (key, value_of(*value, pick)))
            });
            Datum::Map(map::map_of(entries.collect::<Vec<_>>()).into())
        }
        SqlType::Struct(fields) => {
            Datum::Struct(fields.iter().map(|field| value_of(field.sql_type, pick)).collect())
        }
    }
}

trait IntoArray {
    fn into_array(self) -> Datum<'static>;
}

impl IntoArray for Vec<Datum<'static>> {
    fn into_array(self) -> Datum<'static> {
        Datum::Array(self.into())
    }
}

/// A type that goes in where `param` is asked for.
fn type_for(param: Param, pick: &mut dyn FnMut(usize) -> usize) -> SqlType {
    let simple = [
        SqlType::Int,
        SqlType::BigInt,
        SqlType::Double,
        SqlType::Varchar,
        SqlType::Boolean,
        SqlType::Bytes,
        SqlType::Date,
        SqlType::Decimal { precision: 38, scale: 2 },
    ];
    match param {
        Param::Type(sql_type) => sql_type,
        Param::Decimal => {
            [SqlType::Decimal { precision: 38, scale: 38 }, SqlType::Decimal { precision: 5, scale: 2 }]
                [pick(2)]
        }
        Param::Array(element) => SqlType::array(type_for(*element, pick)),
        Param::Map(key, value) => SqlType::map(type_for(*key, pick), type_for(*value, pick)),
        Param::Generic('K') => SqlType::Varchar,
        Param::Generic(_) => simple[pick(simple.len())],
        Param::Any => [
            simple[pick(simple.len())],
            SqlType::array(SqlType::Double),
            SqlType::structure([("A", SqlType::Time)]),
        ][pick(3)],
        Param::Lambda(..) | Param::Unit => SqlType::BigInt,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_function_panics_or_gives_another_type(choices in proptest::collection::vec(any::<u32>(), 64)) {
        let mut next = choices.iter().cycle();
        let mut step = 0_usize;
        let mut pick = |count: usize| {
            step += 1;
            let choice = next.next().copied().unwrap_or(0).wrapping_mul(2_654_435_761).rotate_left(u32::try_from(step % 31).unwrap());
            usize::try_from(choice).unwrap() % count
        };
        for function in scalars().filter(|function| function.name != "TEST_PANIC_IF") {
            for signature in function.signatures {
                let params = match signature.params {
                    Params::Types(types) => types.iter().map(|t| Param::Type(*t)).collect(),
                    Params::Many(sql_type, min) => vec![Param::Type(sql_type); min + pick(3)],
                    Params::Same(min, _) => vec![Param::Generic('T'); min.max(2)],
                    Params::Of(params) | Params::Variadic(params) => params.to_vec(),
                };
                let shared = type_for(Param::Generic('T'), &mut pick);
                let args: Vec<Datum<'static>> = params.iter().map(|param| {
                    let sql_type = match param {
                        Param::Generic('T') => shared,
                        Param::Array(Param::Generic('T')) => SqlType::array(shared),
                        param => type_for(*param, &mut pick),
                    };
                    value_of(sql_type, &mut pick)
                }).collect();
                if !params.iter().any(|param| matches!(param, Param::Lambda(..))) {
                    let _ = try_call(function, &args);
                }
            }
        }
    }
}

/// Calls a function where it takes these values; its result must be of its type.
fn try_call(function: &ScalarFunction, args: &[Datum<'static>]) -> Option<Datum<'static>> {
    let argument = |(index, arg)| {
        if function.takes_unit(index) { Argument::Unit } else { Argument::Value(type_of(arg)) }
    };
    let arguments: Vec<_> = args.iter().enumerate().map(argument).collect();
    let resolved = function.resolve_with::<()>(&arguments, &mut |_, _| Err(())).ok()?;
    let given: Option<Vec<_>> = args
        .iter()
        .zip(resolved.args)
        .map(|(arg, to)| {
            if arg.is_of(to) {
                Some(arg.clone())
            } else {
                crate::expression::cast::datum(arg.clone(), to).ok()
            }
        })
        .collect();
    let value = resolved.call.apply(&given?, &mut Lambdas::new(&mut |_, _| Ok(N))).ok()?;
    assert!(value.is_of(resolved.returns), "{}{args:?}: {value:?} is no {}", function.name, resolved.returns);
    Some(value)
}
