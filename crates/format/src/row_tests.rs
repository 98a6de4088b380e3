//! Rows as they are written and read.

use super::*;
use proptest::prelude::*;

fn encode(names: &[&str], cells: &[Cell]) -> String {
    let mut out = Vec::new();
    RowEncoder::new(names.iter().copied()).encode(&mut out, |index| Cow::Borrowed(&cells[index]));
    String::from_utf8(out).unwrap()
}

#[test]
fn a_row_is_a_flat_object_in_tag_order() {
    let cells =
        [Cell::Good(Value::Real(71.25)), Cell::Good(Value::Bool(true)), Cell::Good(Value::LReal(12.5))];
    assert_eq!(
        encode(&["temperature", "running", "speed"], &cells),
        r#"{"temperature":71.25,"running":true,"speed":12.5}"#
    );
}

#[test]
fn one_bad_tag_is_null_with_its_status_and_the_others_stay() {
    let cells = [Cell::Good(Value::Int(7)), Cell::Bad(Status::BadTimeout), Cell::Good(Value::UInt(9))];
    assert_eq!(encode(&["a", "b", "c"], &cells), r#"{"a":7,"b":null,"c":9,"_bad":{"b":"BadTimeout"}}"#);
}

#[test]
fn an_uncertain_tag_keeps_its_value() {
    let cells = [Cell::Uncertain(Value::Int(7), Status::UncertainLastUsableValue)];
    assert_eq!(encode(&["a"], &cells), r#"{"a":7,"_bad":{"a":"UncertainLastUsableValue"}}"#);
}

#[test]
fn a_number_that_is_not_finite_is_out_of_range() {
    let cells =
        [Cell::Good(Value::Real(f32::INFINITY)), Cell::Good(Value::List(vec![Value::LReal(f64::NAN)]))];
    assert_eq!(
        encode(&["a", "b"], &cells),
        r#"{"a":null,"b":[null],"_bad":{"a":"BadOutOfRange","b":"BadOutOfRange"}}"#
    );
}

#[test]
fn names_with_quotes_and_line_ends_are_escaped() {
    assert_eq!(encode(&["a\"b\n"], &[Cell::Good(Value::Int(1))]), "{\"a\\\"b\\n\":1}");
}

#[test]
fn a_row_without_tags_is_an_empty_object() {
    assert_eq!(encode(&[], &[]), "{}");
}

#[test]
fn a_member_of_the_wrong_kind_costs_the_others_nothing() {
    let members = decode(br#"{"a":1,"b":{"c":2},"d":null,"_bad":{"d":"BadTimeout"}}"#).unwrap();
    assert_eq!(members.len(), 3);
    assert_eq!(members[0], ("a".to_owned(), Ok(Some(Value::Int(1)))));
    assert!(members[1].1.is_err());
    assert_eq!(members[2].1, Ok(None));
}

#[test]
fn what_is_no_object_is_no_row() {
    for text in ["1", "[]", "null", "\"x\"", "", "{"] {
        assert!(decode(text.as_bytes()).is_err(), "{text}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (i64::MAX as u64 + 1..).prop_map(Value::UInt),
        any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(Value::LReal),
        any::<String>().prop_map(|text| Value::Text(text.into())),
    ];
    prop_oneof![leaf.clone(), prop::collection::vec(leaf, 0..4).prop_map(Value::List)]
}

fn any_cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        4 => any_value().prop_map(Cell::Good),
        1 => any_value().prop_map(|value| Cell::Uncertain(value, Status::UncertainSubNormal)),
        1 => prop::sample::select(Status::ALL).prop_map(Cell::Bad),
    ]
}

proptest! {
    #[test]
    fn every_row_reads_back(cells in prop::collection::vec(any_cell(), 0..20)) {
        let names: Vec<String> = (0..cells.len()).map(|index| format!("tag {index} \"µ\"")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = encode(&names, &cells);
        let members = decode(text.as_bytes()).unwrap();
        prop_assert_eq!(members.len(), cells.len());
        let json = parse(text.as_bytes()).unwrap();
        for ((name, value), (index, cell)) in members.iter().zip(cells.iter().enumerate()) {
            prop_assert_eq!(name, names[index]);
            prop_assert_eq!(value.as_ref().unwrap().as_ref(), cell.value());
            let status = json.get(BAD).and_then(|bad| bad.get(name)).and_then(Json::as_str);
            prop_assert_eq!(status, cell.status().map(Status::name));
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }
}
