//! Values as ksqlDB's API writes them: as its JSON format does, but dates and times as texts.

use millstream_format::sql::{calendar, json_value};
use millstream_sql::{Datum, SqlType};
use serde_json::{Map, Value};

/// A value of `sql_type` as JSON.
pub(in crate::instance) fn api_value(value: &Datum<'_>, sql_type: SqlType) -> Value {
    match (value, sql_type) {
        (Datum::Date(days), _) => calendar::date(*days).into(),
        (Datum::Time(ms), _) => calendar::time(*ms).into(),
        (Datum::Timestamp(ms), _) => calendar::timestamp(*ms).into(),
        (Datum::Array(values), SqlType::Array(element)) => {
            values.iter().map(|value| api_value(value, *element)).collect()
        }
        (Datum::Map(entries), SqlType::Map(_, of)) => {
            let entry =
                |(key, value): &(Datum<'static>, Datum<'static>)| (key.to_string(), api_value(value, *of));
            Value::Object(entries.iter().map(entry).collect::<Map<_, _>>())
        }
        (Datum::Struct(values), SqlType::Struct(fields)) => {
            let named = fields.iter().zip(values.iter());
            let field = named.map(|(field, value)| (field.name.to_owned(), api_value(value, field.sql_type)));
            Value::Object(field.collect::<Map<_, _>>())
        }
        // A number of this JSON is a double: what would lose digits is a text with all of them.
        (Datum::Decimal(decimal), _) => match json_value(value, sql_type) {
            Value::Number(number) if decimal.to_string().bytes().filter(u8::is_ascii_digit).count() <= 15 => {
                number.into()
            }
            _ => decimal.to_string().into(),
        },
        _ => json_value(value, sql_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dates_and_times_are_texts_wherever_they_stand() {
        assert_eq!(api_value(&Datum::Date(0), SqlType::Date), json!("1970-01-01"));
        assert_eq!(api_value(&Datum::Timestamp(1), SqlType::Timestamp), json!("1970-01-01T00:00:00.001"));
        let nested = SqlType::array(SqlType::structure([("AT", SqlType::Date), ("N", SqlType::Double)]));
        let value = Datum::Array([Datum::Struct([Datum::Date(1), Datum::Double(1.5)].into())].into());
        assert_eq!(api_value(&value, nested), json!([{ "AT": "1970-01-02", "N": 1.5 }]));
    }
}
