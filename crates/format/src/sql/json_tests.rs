//! Goal: the decoder agrees with a general JSON parser on good input and refuses the rest without a panic.
#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use super::super::{Column, JsonEncoder};
use super::*;
use proptest::prelude::*;

fn columns() -> Vec<(Arc<str>, SqlType)> {
    vec![
        ("TEMPERATURE".into(), SqlType::Double),
        ("RUNNING".into(), SqlType::Boolean),
        ("COUNT".into(), SqlType::BigInt),
        ("STATE".into(), SqlType::Int),
        ("NAME".into(), SqlType::Varchar),
    ]
}

fn decode(value: &[u8]) -> Result<Vec<Datum<'static>>, DecodeError> {
    let columns = columns();
    let mut builders: Vec<_> = columns.iter().map(|(_, t)| ColumnBuilder::new(*t, 1)).collect();
    let mut decoder = JsonDecoder::new(&columns);
    decoder.decode(value, &mut builders)?;
    let finished: Vec<Column> = builders.iter_mut().map(ColumnBuilder::finish).collect();
    Ok(finished.iter().map(|c| if c.is_empty() { Datum::Null } else { c.datum(0).into_owned() }).collect())
}

fn text(text: &str) -> Datum<'static> {
    Datum::Varchar(Cow::Owned(text.to_owned()))
}

#[test]
fn a_row_is_read_by_name_in_any_case_and_order() {
    let row = decode(br#" {"name":"p\u00e9 \ud83d\ude00\n","x":[1,{"y":"}"}],"count":-7,"temperature":71.25,"Running":true} "#);
    let expected =
        vec![Datum::Double(71.25), Datum::Boolean(true), Datum::BigInt(-7), Datum::Null, text("pé 😀\n")];
    assert_eq!(row, Ok(expected));
}

#[test]
fn ksqldbs_lenient_conversions_hold() {
    let row = decode(br#"{"temperature":"1.5","count":"12","state":7.0,"name":12.50,"running":null}"#);
    let expected = vec![Datum::Double(1.5), Datum::Null, Datum::BigInt(12), Datum::Int(7), text("12.50")];
    assert_eq!(row, Ok(expected));
    assert_eq!(decode(br#"{"name":{"a": 1}}"#).unwrap()[4], text(r#"{"a":1}"#));
    assert!(matches!(decode(br#"{"temperature":"NaN"}"#).unwrap()[0], Datum::Double(v) if v.is_nan()));
}

#[test]
fn poison_is_refused_in_words() {
    let deep = [b"{\"x\":".to_vec(), vec![b'['; 100_000]].concat();
    for (value, message) in [
        (&b"{"[..], "expected a string in double quotes at byte 1"),
        (b"", "the value should be an object"),
        (b"{\"temperature\":1.}", "a digit after the decimal point"),
        (b"{\"temperature\":01}", "a JSON number"),
        (b"{\"temperature\":1e999}", "1e999 is out of range for DOUBLE"),
        (b"{\"state\":3000000000}", "3000000000 is out of range for INTEGER"),
        (b"{\"state\":7.9}", "7.9 is out of range for INTEGER"),
        (b"{\"count\":9007199254740993.5}", "9007199254740993.5 is out of range for BIGINT"),
        (b"{\"temperature\":true}", "field `TEMPERATURE` should be DOUBLE, but holds a truth value"),
        (b"{\"running\":1}", "field `RUNNING` should be BOOLEAN, but holds a number"),
        (b"{\"temperature\":NaN}", "a JSON value"),
        (b"{\"name\":\"\xff\"}", "no UTF-8 from byte 9"),
        (b"{} x", "nothing after the value"),
        (&deep, "nested more than 128 deep"),
    ] {
        let error = decode(value).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_bad_row_leaves_nothing_behind() {
    let columns = columns();
    let mut builders: Vec<_> = columns.iter().map(|(_, t)| ColumnBuilder::new(*t, 1)).collect();
    let mut decoder = JsonDecoder::new(&columns);
    assert!(decoder.decode(br#"{"temperature":1,"running":2}"#, &mut builders).is_err());
    assert_eq!(decoder.decode(br#"{"running":true}"#, &mut builders), Ok(Decoded::Row));
    assert_eq!(decoder.decode(b"null", &mut builders), Ok(Decoded::Null));
    assert_eq!(builders[0].finish().datum(0), Datum::Null);
    assert_eq!(builders[1].finish().len(), 1);
}

proptest! {
    #[test]
    fn doubles_are_the_same_as_the_standard_librarys(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
        for written in [format!("{value}"), format!("{value:e}")] {
            let row = decode(format!("{{\"temperature\":{written}}}").as_bytes());
            prop_assert_eq!(row.unwrap()[0].clone(), Datum::Double(value));
        }
    }

    #[test]
    fn what_is_encoded_is_read_again(
        temperature in any::<Option<f64>>(), running in any::<Option<bool>>(), count in any::<Option<i64>>(),
        state in any::<Option<i32>>(), name in any::<Option<String>>(),
    ) {
        let row = vec![
            temperature.filter(|v| !v.is_nan()).map_or(Datum::Null, Datum::Double),
            running.map_or(Datum::Null, Datum::Boolean),
            count.map_or(Datum::Null, Datum::BigInt),
            state.map_or(Datum::Null, Datum::Int),
            name.map_or(Datum::Null, |v| Datum::Varchar(Cow::Owned(v))),
        ];
        let names: Vec<Arc<str>> = columns().into_iter().map(|(name, _)| name).collect();
        let made: Vec<Column> =
            row.iter().zip(columns()).map(|(value, (_, t))| Column::constant(value, t, 1)).collect();
        let mut out = Vec::new();
        JsonEncoder::new(&names).encode(&made, 0, &mut out);
        serde_json::from_slice::<serde_json::Value>(&out).unwrap();
        prop_assert_eq!(decode(&out).unwrap(), row);
    }

    #[test]
    fn mutated_input_never_panics_and_is_judged_like_a_general_parser(
        cut in 0usize..80, at in 0usize..80, byte in any::<u8>(),
    ) {
        let mut value = br#"{"temperature":71.25e0,"running":true,"x":[1,-2,{"k":null}],"name":"a\u0041\n"}"#.to_vec();
        value.truncate(cut.max(1));
        if let Some(place) = value.get_mut(at) {
            *place = byte;
        }
        let general = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&value);
        match decode(&value) {
            Ok(_) => prop_assert!(general.is_ok() || value.starts_with(b"null")),
            Err(DecodeError::Syntax { .. } | DecodeError::Utf8(_)) => prop_assert!(general.is_err()),
            Err(_) => {}
        }
    }
}
