//! Aggregates, row by row.

use super::*;
use crate::{ColumnBuilder, Datum};
use proptest::prelude::*;

/// A column of one type.
fn column(sql_type: SqlType, values: &[Datum<'static>]) -> Column {
    let mut builder = ColumnBuilder::new(sql_type, values.len());
    for value in values {
        builder.append(value);
    }
    builder.finish()
}

/// One group.
struct One {
    aggregate: Aggregate,
    words: Vec<u64>,
    held: Vec<Held>,
}

impl One {
    fn new(aggregate: Aggregate) -> Self {
        let words = vec![0; aggregate.words()];
        let held = vec![Held::new(); usize::from(aggregate.holds())];
        Self { aggregate, words, held }
    }

    /// An aggregate by name, with its first arguments as columns of these types.
    fn call(name: &str, types: &[SqlType], literals: &[Datum<'static>]) -> Self {
        Self::new(fit(name, types, literals).unwrap().aggregate)
    }

    fn step(&mut self, args: &[Column], row: usize, add: bool) -> Result<(), Fault> {
        let args: Vec<&Column> = args.iter().collect();
        let row = Row { args: &args, index: row, offset: i64::try_from(row).unwrap() };
        let state = State { words: &mut self.words, held: &mut self.held };
        if add {
            return self.aggregate.add(state, &row);
        }
        self.aggregate.remove(state, &row);
        Ok(())
    }

    fn result(&self) -> Datum<'static> {
        self.aggregate.result(&self.words, &self.held).unwrap()
    }

    /// The result after each row.
    fn all(mut self, args: &[Column]) -> Vec<String> {
        let rows = args.first().map_or(0, Column::len);
        (0..rows)
            .map(|row| {
                self.step(args, row, true).unwrap();
                self.result().to_string()
            })
            .collect()
    }
}

fn fit(name: &str, types: &[SqlType], literals: &[Datum<'static>]) -> Option<Fitted> {
    let columns = types.iter().map(|t| AggregateArgument { sql_type: Some(*t), literal: None });
    let literals = literals.iter().map(|value| {
        let sql_type = if value.as_bool().is_some() { SqlType::Boolean } else { SqlType::Int };
        AggregateArgument { sql_type: Some(sql_type), literal: Some(value.clone()) }
    });
    find(name).unwrap().resolve(&columns.chain(literals).collect::<Vec<_>>())
}

fn ints(values: &[i32]) -> Column {
    column(SqlType::Int, &values.iter().map(|v| Datum::Int(*v)).collect::<Vec<_>>())
}

fn texts(values: &[Option<&'static str>]) -> Column {
    let values: Vec<_> = values.iter().map(|v| v.map_or(Datum::Null, |v| Datum::Varchar(v.into()))).collect();
    column(SqlType::Varchar, &values)
}

#[test]
fn positions_by_offset_with_and_without_null() {
    let args = [texts(&[None, Some("a"), None, Some("b"), Some("c")])];
    let of = [SqlType::Varchar];
    for (name, literals, expected) in [
        ("EARLIEST_BY_OFFSET", vec![], ["null", "a", "a", "a", "a"]),
        ("LATEST_BY_OFFSET", vec![], ["null", "a", "a", "b", "c"]),
        ("EARLIEST_BY_OFFSET", vec![Datum::Boolean(false)], ["null", "null", "null", "null", "null"]),
        ("LATEST_BY_OFFSET", vec![Datum::Boolean(false)], ["null", "a", "null", "b", "c"]),
        ("EARLIEST_BY_OFFSET", vec![Datum::Int(2)], ["[]", "[a]", "[a]", "[a, b]", "[a, b]"]),
        ("LATEST_BY_OFFSET", vec![Datum::Int(2)], ["[]", "[a]", "[a]", "[a, b]", "[b, c]"]),
        (
            "LATEST_BY_OFFSET",
            vec![Datum::Int(2), Datum::Boolean(false)],
            ["[null]", "[null, a]", "[a, null]", "[null, b]", "[b, c]"],
        ),
    ] {
        assert_eq!(One::call(name, &of, &literals).all(&args), expected, "{name} {literals:?}");
    }
    assert_eq!(fit("LATEST_BY_OFFSET", &of, &[Datum::Int(0)]), None);
    assert_eq!(fit("LATEST_BY_OFFSET", &of, &[Datum::Int(10_001)]), None);
    let words = [column(SqlType::Timestamp, &[Datum::Null, Datum::Timestamp(5), Datum::Timestamp(4)])];
    assert_eq!(
        One::call("LATEST_BY_OFFSET", &[SqlType::Timestamp], &[Datum::Boolean(false)]).all(&words).len(),
        3
    );
}

#[test]
fn the_greatest_stand_first() {
    let args = [ints(&[3, 5, 3, 1, 9])];
    assert_eq!(
        One::call("TOPK", &[SqlType::Int], &[Datum::Int(3)]).all(&args),
        ["[3]", "[5, 3]", "[5, 3, 3]", "[5, 3, 3]", "[9, 5, 3]"]
    );
    assert_eq!(
        One::call("TOPKDISTINCT", &[SqlType::Int], &[Datum::Int(3)]).all(&args),
        ["[3]", "[5, 3]", "[5, 3]", "[5, 3, 1]", "[9, 5, 3]"]
    );
    let fitted = fit("TOPK", &[SqlType::Int, SqlType::Varchar], &[Datum::Int(2)]).unwrap();
    let element = SqlType::structure([("sort_col", SqlType::Int), ("col0", SqlType::Varchar)]);
    assert_eq!(fitted.aggregate.returns(), SqlType::array(element));
    let others = texts(&[Some("a"), Some("b"), Some("c"), None, Some("e")]);
    let last = One::new(fitted.aggregate).all(&[args[0].clone(), others]).pop();
    assert_eq!(last.as_deref(), Some("[Struct{9, e}, Struct{5, b}]"));
    assert_eq!(fit("TOPK", &[SqlType::array(SqlType::Int)], &[Datum::Int(2)]), None);
}

#[test]
fn collections_keep_null_and_have_a_limit_that_is_told_once() {
    let args = [texts(&[Some("b"), None, Some("b"), Some("a")])];
    let of = SqlType::Varchar;
    assert_eq!(One::call("COLLECT_LIST", &[of], &[]).all(&args)[3], "[b, null, b, a]");
    assert_eq!(One::call("COLLECT_SET", &[of], &[]).all(&args)[3], "[b, null, a]");
    assert_eq!(One::call("HISTOGRAM", &[of], &[]).all(&args)[3], "{b=2, a=1}");
    assert_eq!(One::call("ATTR", &[of], &[]).all(&args), ["b", "null", "null", "null"]);
    for aggregate in [Aggregate::CollectList { of, limit: 1 }, Aggregate::CollectSet { of, limit: 1 }] {
        let mut one = One::new(aggregate);
        let faults: Vec<bool> = (0..4).map(|row| one.step(&args, row, true).is_err()).collect();
        assert_eq!(faults, [false, true, false, false]);
        assert_eq!(one.result().to_string(), "[b]");
    }
    let mut one = One::new(Aggregate::Histogram { limit: 1 });
    let faults: Vec<bool> = (0..4).map(|row| one.step(&args, row, true).is_err()).collect();
    assert_eq!(faults, [false, false, false, true]);
    assert_eq!(one.result().to_string(), "{b=2}");
}

#[test]
fn sums_are_of_their_type_and_never_wrong() {
    let max = [ints(&[i32::MAX, 1])];
    let mut sum = One::call("SUM", &[SqlType::Int], &[]);
    sum.step(&max, 0, true).unwrap();
    sum.step(&max, 1, true).unwrap();
    assert!(sum.aggregate.result(&sum.words, &sum.held).is_err());
    sum.step(&max, 1, false).unwrap();
    assert_eq!(sum.result(), Datum::Int(i32::MAX));
    let decimal = SqlType::Decimal { precision: 4, scale: 2 };
    let tens = vec![Datum::Decimal(crate::Decimal::new(4_000, 2)); 3];
    let tens = [column(decimal, &tens)];
    let mut sum = One::call("SUM", &[decimal], &[]);
    sum.step(&tens, 0, true).unwrap();
    sum.step(&tens, 1, true).unwrap();
    assert_eq!(sum.result().to_string(), "80.00");
    sum.step(&tens, 2, true).unwrap();
    assert!(sum.aggregate.result(&sum.words, &sum.held).is_err());
    let lists = Datum::Array([Datum::BigInt(1), Datum::Null, Datum::BigInt(4)].into());
    let list = SqlType::array(SqlType::BigInt);
    let lists = [column(list, &[lists, Datum::Null])];
    assert_eq!(One::call("SUM_LIST", &[list], &[]).all(&lists), ["5", "5"]);
}

#[test]
fn spread_and_correlation_are_the_textbooks() {
    let x = ints(&[1, 2, 3, 4]);
    let deviations = One::call("STDDEV_SAMP", &[SqlType::Int], &[]).all(std::slice::from_ref(&x));
    assert_eq!(deviations, ["0.0", "0.7071067811865476", "1.0", "1.2909944487358056"]);
    let y = ints(&[2, 4, 6, 8]);
    let last = One::call("CORRELATION", &[SqlType::Int, SqlType::Int], &[]).all(&[x.clone(), y]).pop();
    assert_eq!(last.as_deref(), Some("1.0"));
    let flat = ints(&[5, 5, 5, 5]);
    let last = One::call("CORRELATION", &[SqlType::Int, SqlType::Int], &[]).all(&[x, flat]).pop();
    assert_eq!(last.as_deref(), Some("NaN"));
}

#[test]
fn extremes_of_every_type_that_has_an_order() {
    let bytes = |v: &'static [u8]| Datum::Bytes(v.into());
    let (d, decimal) =
        (|v| Datum::Decimal(crate::Decimal::new(v, 1)), SqlType::Decimal { precision: 3, scale: 1 });
    for (of, values, least, greatest) in [
        (SqlType::BigInt, vec![Datum::BigInt(-5), Datum::Null, Datum::BigInt(3)], "-5", "3"),
        (
            SqlType::Double,
            vec![Datum::Double(f64::NAN), Datum::Double(-1.5), Datum::Double(0.5)],
            "-1.5",
            "0.5",
        ),
        (SqlType::Varchar, vec![Datum::Varchar("b".into()), Datum::Varchar("B".into())], "B", "b"),
        (SqlType::Date, vec![Datum::Date(1), Datum::Date(0)], "1970-01-01", "1970-01-02"),
        (SqlType::Bytes, vec![bytes(&[1, 2]), bytes(&[1])], "AQ==", "AQI="),
        (decimal, vec![d(-15), d(20)], "-1.5", "2.0"),
    ] {
        let args = [column(of, &values)];
        let last = |name| One::call(name, &[of], &[]).all(&args).pop().unwrap();
        assert_eq!((last("MIN").as_str(), last("MAX").as_str()), (least, greatest), "{of}");
    }
    assert_eq!(fit("MAX", &[SqlType::Boolean], &[]), None);
}

#[test]
fn different_values_are_counted_exactly_and_then_closely() {
    let mut one = One::call("COUNT_DISTINCT", &[SqlType::Int], &[]);
    for value in 0..50_000 {
        let args = [ints(&[value])];
        one.step(&args, 0, true).unwrap();
        one.step(&args, 0, true).unwrap();
        if value < 1_024 {
            assert_eq!(one.result(), Datum::BigInt(i64::from(value) + 1));
        }
    }
    let found = one.result().as_i64().unwrap();
    assert!((48_500..51_500).contains(&found), "{found}");
}

/// Aggregates that can forget, with the types of their arguments.
fn forgetful() -> Vec<One> {
    let int = SqlType::Int;
    let names = ["COUNT", "SUM", "AVG", "STDDEV_SAMPLE", "ATTR", "COLLECT_LIST"];
    names.iter().map(|name| One::call(name, &[int], &[])).chain([One::new(Aggregate::CountAll)]).collect()
}

proptest! {
    #[test]
    fn what_is_taken_out_was_never_there(kept in proptest::collection::vec(-50..50_i32, 1..12), gone in proptest::collection::vec(-50..50_i32, 0..12)) {
        let all: Vec<i32> = gone.iter().chain(&kept).copied().collect();
        let (args, only) = ([ints(&all)], [ints(&kept)]);
        for mut one in forgetful() {
            let mut plain = One::new(one.aggregate.clone());
            (0..all.len()).for_each(|row| one.step(&args, row, true).unwrap());
            (0..gone.len()).for_each(|row| one.step(&args, row, false).unwrap());
            (0..kept.len()).for_each(|row| plain.step(&only, row, true).unwrap());
            match (one.result(), plain.result()) {
                // Of a variance that should be 0 some 1e-12 may be left, and its root is a deviation.
                (Datum::Double(a), Datum::Double(b)) => prop_assert!((a - b).abs() < 1e-5, "{a} {b}"),
                // The last of equal ones is taken out: which ones are left is the same, their order need not be.
                (Datum::Array(a), Datum::Array(b)) => {
                    let sorted = |all: &[Datum<'static>]| { let mut all: Vec<_> = all.iter().filter_map(Datum::as_i64).collect(); all.sort_unstable(); all };
                    prop_assert_eq!(sorted(&a), sorted(&b));
                }
                (a, b) => prop_assert_eq!(a, b),
            }
        }
    }

    #[test]
    fn two_parts_merged_are_the_whole(first in proptest::collection::vec(-50..50_i32, 0..12), second in proptest::collection::vec(-50..50_i32, 0..12)) {
        let all: Vec<i32> = first.iter().chain(&second).copied().collect();
        let args = [ints(&all)];
        let int = SqlType::Int;
        let calls: Vec<(&str, Vec<Datum<'static>>)> = vec![
            ("COUNT", vec![]), ("SUM", vec![]), ("AVG", vec![]), ("MIN", vec![]), ("MAX", vec![]), ("STDDEV_SAMPLE", vec![]),
            ("EARLIEST_BY_OFFSET", vec![]), ("LATEST_BY_OFFSET", vec![]), ("EARLIEST_BY_OFFSET", vec![Datum::Int(3)]),
            ("LATEST_BY_OFFSET", vec![Datum::Int(3)]), ("COLLECT_LIST", vec![]), ("COLLECT_SET", vec![]),
            ("COUNT_DISTINCT", vec![]), ("TOPK", vec![Datum::Int(4)]), ("TOPKDISTINCT", vec![Datum::Int(4)]), ("ATTR", vec![]),
        ];
        for (name, literals) in calls {
            let [mut whole, mut a, mut b] = [(); 3].map(|()| One::call(name, &[int], &literals));
            for row in 0..all.len() {
                whole.step(&args, row, true).unwrap();
                if row < first.len() { a.step(&args, row, true).unwrap() } else { b.step(&args, row, true).unwrap() }
            }
            let from = State { words: &mut b.words, held: &mut b.held };
            a.aggregate.merge(State { words: &mut a.words, held: &mut a.held }, from);
            match (whole.result(), a.result()) {
                (Datum::Double(x), Datum::Double(y)) => prop_assert!((x - y).abs() < 1e-6, "{name} {x} {y}"),
                (x, y) => prop_assert_eq!(x, y, "{}", name),
            }
        }
    }
}
