//! SQL types as ksqlDB's API writes them.

use millstream_format::sql::Field;
use millstream_server::entity::{FieldInfo, SchemaInfo};
use millstream_sql::SqlType;
use std::collections::BTreeMap;

/// A type in one line: text is `STRING` here.
pub(super) fn type_name(sql_type: SqlType) -> String {
    match sql_type {
        SqlType::Array(element) => format!("ARRAY<{}>", type_name(*element)),
        SqlType::Map(key, value) => format!("MAP<{}, {}>", type_name(*key), type_name(*value)),
        SqlType::Struct(fields) => {
            let field = |field: &Field| format!("`{}` {}", field.name, type_name(field.sql_type));
            format!("STRUCT<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        SqlType::Decimal { .. } => sql_type.to_string(),
        simple => simple.base_name().to_owned(),
    }
}

/// A type, taken apart.
pub(super) fn schema(sql_type: SqlType) -> SchemaInfo {
    let kind = sql_type.base_name().to_owned();
    let plain = SchemaInfo { kind, fields: None, member_schema: None, parameters: None };
    match sql_type {
        SqlType::Array(member) | SqlType::Map(_, member) => {
            SchemaInfo { member_schema: Some(Box::new(schema(*member))), ..plain }
        }
        SqlType::Struct(fields) => {
            let fields = fields.iter().map(|field| field_info(field.name, field.sql_type)).collect();
            SchemaInfo { fields: Some(fields), ..plain }
        }
        SqlType::Decimal { precision, scale } => {
            let parameters = [("precision", precision), ("scale", scale)];
            let parameters = parameters.map(|(name, value)| (name.to_owned(), value));
            SchemaInfo { parameters: Some(BTreeMap::from(parameters)), ..plain }
        }
        _ => plain,
    }
}

/// A column that is no key.
pub(super) fn field_info(name: &str, sql_type: SqlType) -> FieldInfo {
    FieldInfo { name: name.to_owned(), schema: schema(sql_type), kind: None, header_key: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_told_in_one_line_and_taken_apart() {
        let inner =
            SqlType::structure([("A", SqlType::Varchar), ("B", SqlType::Decimal { precision: 4, scale: 2 })]);
        let sql_type = SqlType::map(SqlType::Varchar, SqlType::array(inner));
        assert_eq!(type_name(sql_type), "MAP<STRING, ARRAY<STRUCT<`A` STRING, `B` DECIMAL(4, 2)>>>");
        let none = json!(null);
        let leaf = |kind: &str| json!({ "type": kind, "fields": none, "memberSchema": none });
        let mut decimal = leaf("DECIMAL");
        decimal["parameters"] = json!({ "precision": 4, "scale": 2 });
        let fields = json!([{ "name": "A", "schema": leaf("STRING") }, { "name": "B", "schema": decimal }]);
        let element = json!({ "type": "STRUCT", "fields": fields, "memberSchema": none });
        let array = json!({ "type": "ARRAY", "fields": none, "memberSchema": element });
        let map = json!({ "type": "MAP", "fields": none, "memberSchema": array });
        assert_eq!(serde_json::to_value(schema(sql_type)).unwrap(), map);
    }
}
