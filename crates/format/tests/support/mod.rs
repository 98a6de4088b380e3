//! Random columns of random types with a row of values.

use millstream_format::sql::{Column, Columns, Datum, Decimal, Nullable, SqlType};
use proptest::prelude::*;
use std::borrow::Cow;

/// Columns, and one row of them.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) columns: Columns,
    pub(crate) row: Vec<Column>,
}

/// One to six columns, nested types among them where `nested`.
pub(crate) fn given(nested: bool) -> impl Strategy<Value = Given> {
    let column = sql_type(if nested { 2 } else { 0 }).prop_flat_map(|t| (Just(t), nullable(t)));
    prop::collection::vec(column, 1..6).prop_map(|all| Given {
        columns: (0..).zip(&all).map(|(index, (t, _))| (format!("C{index}").into(), *t)).collect(),
        row: all.iter().map(|(t, value)| Column::constant(value, *t, 1)).collect(),
    })
}

/// The values of the row.
pub(crate) fn row_of(given: &Given) -> Vec<Datum<'static>> {
    given.row.iter().map(|column| column.datum(0).into_owned()).collect()
}

fn simple() -> impl Strategy<Value = SqlType> {
    prop_oneof![
        Just(SqlType::Boolean),
        Just(SqlType::Int),
        Just(SqlType::BigInt),
        Just(SqlType::Double),
        Just(SqlType::Varchar),
        Just(SqlType::Bytes),
        Just(SqlType::Date),
        Just(SqlType::Time),
        Just(SqlType::Timestamp),
        (1_u8..=38)
            .prop_flat_map(|precision| (Just(precision), 0..=precision))
            .prop_map(|(precision, scale)| SqlType::Decimal { precision, scale }),
    ]
}

/// Types that every nested format holds: no array directly in an array, and maps with texts as keys.
fn sql_type(depth: u32) -> BoxedStrategy<SqlType> {
    if depth == 0 {
        return simple().boxed();
    }
    let fields = prop::collection::vec(sql_type(depth - 1), 1..4);
    let structure = fields.prop_map(|types| {
        let names: Vec<String> = (0..types.len()).map(|index| format!("F{index}")).collect();
        SqlType::structure(names.iter().map(String::as_str).zip(types))
    });
    let element = prop_oneof![simple(), structure.clone()];
    prop_oneof![
        3 => simple(),
        1 => element.prop_map(SqlType::array),
        1 => sql_type(depth - 1).prop_map(|value| SqlType::map(SqlType::Varchar, value)),
        1 => structure,
    ]
    .boxed()
}

fn nullable(sql_type: SqlType) -> BoxedStrategy<Datum<'static>> {
    prop_oneof![1 => Just(Datum::Null), 5 => value(sql_type)].boxed()
}

fn value(sql_type: SqlType) -> BoxedStrategy<Datum<'static>> {
    match sql_type {
        SqlType::Boolean => any::<bool>().prop_map(Datum::Boolean).boxed(),
        SqlType::Int => prop_oneof![Just(0), any::<i32>()].prop_map(Datum::Int).boxed(),
        SqlType::BigInt => prop_oneof![Just(0), any::<i64>()].prop_map(Datum::BigInt).boxed(),
        SqlType::Double => {
            any::<f64>().prop_filter("a number", |v| !v.is_nan()).prop_map(Datum::Double).boxed()
        }
        SqlType::Varchar => {
            let text = prop_oneof!["\\PC{0,8}", "[a-z ,\"\\n|\\\\#-]{0,6}", any::<String>()];
            text.prop_map(|v| Datum::Varchar(Cow::Owned(v))).boxed()
        }
        SqlType::Bytes => {
            prop::collection::vec(any::<u8>(), 0..9).prop_map(|v| Datum::Bytes(Cow::Owned(v))).boxed()
        }
        SqlType::Date => any::<i32>().prop_map(Datum::Date).boxed(),
        SqlType::Time => (0..86_400_000).prop_map(Datum::Time).boxed(),
        SqlType::Timestamp => any::<i64>().prop_map(Datum::Timestamp).boxed(),
        SqlType::Decimal { precision, scale } => {
            let most = 10_i128.pow(u32::from(precision)) - 1;
            prop_oneof![Just(most), Just(-most), Just(0), -most..=most]
                .prop_map(move |v| Datum::Decimal(Decimal::new(v, scale)))
                .boxed()
        }
        // Protobuf has no NULL inside an array.
        SqlType::Array(element) => {
            prop::collection::vec(value(*element), 0..4).prop_map(|v| Datum::Array(v.into())).boxed()
        }
        SqlType::Map(_, of) => prop::collection::btree_map("[a-zé\"]{0,4}", nullable(*of), 0..4)
            .prop_map(|entries| {
                let entries =
                    entries.into_iter().map(|(key, value)| (Datum::Varchar(Cow::Owned(key)), value));
                Datum::Map(entries.collect())
            })
            .boxed(),
        SqlType::Struct(fields) => fields
            .iter()
            .map(|field| nullable(field.sql_type))
            .collect::<Vec<_>>()
            .prop_map(|values| Datum::Struct(values.into()))
            .boxed(),
    }
}

/// What Protobuf makes of a value: it cannot tell NULL from nothing, nor, without the settings for it, from zero.
pub(crate) fn as_protobuf(value: Datum<'static>, sql_type: SqlType, nullable: Nullable) -> Datum<'static> {
    match (value, sql_type) {
        (Datum::Null, SqlType::Array(_)) => Datum::Array([].into()),
        (Datum::Null, SqlType::Map(..)) => Datum::Map([].into()),
        (Datum::Null, _) if nullable != Nullable::Default => Datum::Null,
        (Datum::Null, SqlType::Boolean) => Datum::Boolean(false),
        (Datum::Null, SqlType::Int) => Datum::Int(0),
        (Datum::Null, SqlType::BigInt) => Datum::BigInt(0),
        (Datum::Null, SqlType::Double) => Datum::Double(0.0),
        (Datum::Null, SqlType::Varchar) => Datum::Varchar("".into()),
        (Datum::Null, SqlType::Bytes) => Datum::Bytes(Cow::Borrowed(&[])),
        (Datum::Array(items), SqlType::Array(of)) => {
            Datum::Array(items.iter().map(|item| as_protobuf(item.clone(), *of, nullable)).collect())
        }
        (Datum::Map(entries), SqlType::Map(_, of)) => Datum::Map(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), as_protobuf(value.clone(), *of, nullable)))
                .collect(),
        ),
        (Datum::Struct(values), SqlType::Struct(fields)) => Datum::Struct(
            values
                .iter()
                .zip(fields)
                .map(|(value, f)| as_protobuf(value.clone(), f.sql_type, nullable))
                .collect(),
        ),
        (value, _) => value,
    }
}
