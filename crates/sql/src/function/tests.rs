//! Goal: functions give what ksqlDB's give; names and documentation are in order.

use super::*;
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

fn t(text: &str) -> Datum<'_> {
    Datum::Varchar(Cow::Borrowed(text))
}

/// The type of a value that holds no others.
fn type_of(value: &Datum<'_>) -> Option<SqlType> {
    Some(match value {
        Datum::Boolean(_) => SqlType::Boolean,
        Datum::Int(_) => SqlType::Int,
        Datum::BigInt(_) => SqlType::BigInt,
        Datum::Double(_) => SqlType::Double,
        Datum::Varchar(_) => SqlType::Varchar,
        _ => return None,
    })
}

fn call<'a>(name: &str, args: &[Datum<'a>]) -> Result<Datum<'a>, Fault> {
    let types: Vec<_> = args.iter().map(type_of).collect();
    let resolved = scalar(name).unwrap().resolve(&types).unwrap();
    let cast: Vec<_> = args
        .iter()
        .zip(resolved.args)
        .map(|(arg, to)| crate::expression::cast::datum(arg.clone(), to).unwrap())
        .collect();
    let result = resolved.call.apply(&cast, &mut Lambdas::new(&mut |_, _| Ok(Datum::Null)))?;
    assert!(result.is_of(resolved.returns), "{name}: {result:?}");
    Ok(result)
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
fn numbers() {
    use Datum::{BigInt, Double, Int, Null};
    for (name, args, expected) in [
        ("ABS", vec![Int(-3)], Int(3)),
        ("ABS", vec![Double(-3.5)], Double(3.5)),
        ("CEIL", vec![Double(1.2)], Double(2.0)),
        ("FLOOR", vec![BigInt(7)], BigInt(7)),
        ("ROUND", vec![Double(-1.5)], BigInt(-1)),
        ("ROUND", vec![Double(2.5)], BigInt(3)),
        ("ROUND", vec![Double(1.005), Int(2)], Double(1.01)),
        ("ROUND", vec![Double(-1.25), Int(1)], Double(-1.2)),
        ("ROUND", vec![Double(9.999), Int(2)], Double(10.0)),
        ("ROUND", vec![Double(1234.0), Int(-2)], Double(1200.0)),
        ("SQRT", vec![Int(9)], Double(3.0)),
        ("POWER", vec![Int(2), Int(10)], Double(1024.0)),
        ("SIGN", vec![Double(-0.1)], Int(-1)),
        ("SIGN", vec![Null], Null),
        ("GREATEST", vec![Int(1), Null, Double(2.5)], Double(2.5)),
        ("LEAST", vec![Int(1), BigInt(2)], BigInt(1)),
        ("COALESCE", vec![Null, Int(4)], Int(4)),
        ("NULLIF", vec![Int(4), Int(4)], Null),
    ] {
        assert_eq!(call(name, &args), Ok(expected), "{name} {args:?}");
    }
    assert!(call("ABS", &[Int(i32::MIN)]).is_err());
    assert!(call("ROUND", &[Double(1e300)]).is_err());
}

#[test]
fn texts() {
    use Datum::{Int, Null};
    for (name, args, expected) in [
        ("UCASE", vec![t("größe")], t("GRÖSSE")),
        ("LEN", vec![t("größe")], Int(5)),
        ("SUBSTRING", vec![t("press1"), Int(2), Int(3)], t("res")),
        ("SUBSTRING", vec![t("press1"), Int(-2)], t("s1")),
        ("SUBSTRING", vec![t("press1"), Int(9)], t("")),
        ("REPLACE", vec![t("a-b-c"), t("-"), t("")], t("abc")),
        ("INSTR", vec![t("CORPORATE FLOOR"), t("OR"), Int(3), Int(2)], Int(14)),
        ("INSTR", vec![t("CORPORATE FLOOR"), t("OR"), Int(-3), Int(2)], Int(2)),
        ("INSTR", vec![t("x"), t("yy")], Int(0)),
        ("LPAD", vec![t("7"), Int(3), t("0")], t("007")),
        ("RPAD", vec![t("hello"), Int(3), t("x")], t("hel")),
        ("CONCAT", vec![t("a"), Null, t("b")], t("ab")),
        ("CONCAT_WS", vec![t("/"), t("a"), Null, t("b")], t("a/b")),
        ("INITCAP", vec![t("the QUICK fox")], t("The Quick Fox")),
        ("TRIM", vec![t("  x ")], t("x")),
    ] {
        assert_eq!(call(name, &args), Ok(expected), "{name} {args:?}");
    }
}

#[test]
fn parts_of_json() {
    let json = r#"{"a":{"b":[1,{"c":"x"}]},"n":null}"#;
    for (path, expected) in [
        ("$.a.b[1].c", t("x")),
        ("$['a'].b[0]", t("1")),
        ("$.a.b", t(r#"[1,{"c":"x"}]"#)),
        ("$.n", Datum::Null),
        ("$.a.b[7]", Datum::Null),
        ("$.z.y", Datum::Null),
    ] {
        assert_eq!(call("EXTRACTJSONFIELD", &[t(json), t(path)]), Ok(expected), "{path}");
    }
    assert!(call("EXTRACTJSONFIELD", &[t(json), t("a.b")]).is_err());
    assert_eq!(call("EXTRACTJSONFIELD", &[t("{"), t("$.a")]), Ok(Datum::Null));
    assert_eq!(call("IS_JSON_STRING", &[t(json)]), Ok(Datum::Boolean(true)));
}

#[test]
fn times_go_both_ways() {
    let pattern = "yyyy-MM-dd'T'HH:mm:ss.SSSX";
    for time in [0, 1_709_210_096_789, -1, 951_782_400_000] {
        let text = call("TIMESTAMPTOSTRING", &[Datum::BigInt(time), t(pattern)]).unwrap();
        assert_eq!(text.as_str().unwrap(), Timestamp(time).to_string());
        assert_eq!(call("STRINGTOTIMESTAMP", &[text, t(pattern)]), Ok(Datum::BigInt(time)));
    }
    let local = call("TIMESTAMPTOSTRING", &[Datum::BigInt(0), t("d.M.yy H 'Uhr' XXX"), t("+02:00")]);
    assert_eq!(local, Ok(t("1.1.70 2 Uhr +02:00")));
    assert!(call("TIMESTAMPTOSTRING", &[Datum::BigInt(0), t("E")]).is_err());
    assert!(call("STRINGTOTIMESTAMP", &[t("2024-13-01"), t("yyyy-MM-dd")]).is_err());
}

use millstream_model::Timestamp;
