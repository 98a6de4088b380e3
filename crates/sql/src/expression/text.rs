//! Values as text: what `CAST(… AS VARCHAR)` gives.

use crate::{Datum, SqlType};
use std::fmt::Write as _;

/// A value of `sql_type` as text; fields of structs with their names, those that are `NULL` left out, as Kafka's `Struct`
/// prints them: `Struct{A=1,B=[x, y]}`.
pub(crate) fn of(value: &Datum<'_>, sql_type: SqlType) -> String {
    let mut text = String::new();
    write(&mut text, value, sql_type);
    text
}

fn write(text: &mut String, value: &Datum<'_>, sql_type: SqlType) {
    match (value, sql_type) {
        (Datum::Array(values), SqlType::Array(element)) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                write(text, value, *element);
            }
            text.push(']');
        }
        (Datum::Map(entries), SqlType::Map(key_type, value_type)) => {
            text.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                write(text, key, *key_type);
                text.push('=');
                write(text, value, *value_type);
            }
            text.push('}');
        }
        (Datum::Struct(values), SqlType::Struct(fields)) => {
            text.push_str("Struct{");
            let present = values.iter().zip(fields).filter(|(value, _)| !value.is_null());
            for (index, (value, field)) in present.enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                text.push_str(field.name);
                text.push('=');
                write(text, value, field.sql_type);
            }
            text.push('}');
        }
        // Writing into a text does not fail.
        (flat, _) => drop(write!(text, "{flat}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use std::sync::Arc;

    #[test]
    fn nested_values_print_with_names() {
        let text = |text: &'static str| Datum::Varchar(Cow::Borrowed(text));
        let inner = SqlType::structure([
            ("A", SqlType::Int),
            ("b", SqlType::array(SqlType::Varchar)),
            ("C", SqlType::Int),
        ]);
        let value = Datum::Struct(Arc::from([
            Datum::Int(1),
            Datum::Array(Arc::from([text("x"), Datum::Null])),
            Datum::Null,
        ]));
        assert_eq!(of(&value, inner), "Struct{A=1,b=[x, null]}");
        let map = Datum::Map(Arc::from([(text("k"), value)]));
        assert_eq!(of(&map, SqlType::map(SqlType::Varchar, inner)), "{k=Struct{A=1,b=[x, null]}}");
    }
}
