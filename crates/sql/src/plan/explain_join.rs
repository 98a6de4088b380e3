//! `EXPLAIN` of joins: where rows meet, and what is remembered of them.

use super::query_plan::{Exchange, Fields, Join, JoinMethod, Resolve, Subscribe};
use crate::SqlType;
use millstream_model::format_duration;
use std::time::Duration;

/// What an entry of a hash table takes beside its key and row, in bytes.
pub(super) const ENTRY_BYTES: usize = 64;
/// What a text, or another value of any length, is taken to be, in bytes.
const TEXT_BYTES: usize = 24;

/// About how many bytes a remembered row takes.
pub(super) fn row_bytes(fields: &Fields) -> usize {
    fields.iter().map(|(_, sql_type)| value_bytes(*sql_type)).sum()
}

const fn value_bytes(sql_type: SqlType) -> usize {
    match sql_type {
        SqlType::Boolean => 1,
        SqlType::Int | SqlType::Date | SqlType::Time => 5,
        SqlType::BigInt | SqlType::Double | SqlType::Timestamp => 9,
        SqlType::Decimal { .. } => 18,
        _ => TEXT_BYTES,
    }
}

fn key_bytes(types: &[SqlType]) -> usize {
    ENTRY_BYTES + types.iter().map(|sql_type| value_bytes(*sql_type)).sum::<usize>()
}

pub(super) fn of_join(join: &Join) -> (String, String) {
    let ms = |ms: i64| format_duration(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    let key = key_bytes(&join.key_types);
    let (left, right) = (row_bytes(&join.left.fields), row_bytes(&join.right.fields));
    let detail = match join.method {
        JoinMethod::Streams { before_ms, after_ms, grace_ms } => format!(
            "of streams, right rows up to {} older and {} newer, grace {}; about {} bytes per left row for {}, {} per right row for {}, changelog",
            ms(before_ms),
            ms(after_ms),
            ms(grace_ms),
            key + left,
            ms(after_ms.saturating_add(grace_ms)),
            key + right,
            ms(before_ms.saturating_add(grace_ms)),
        ),
        JoinMethod::StreamTable => {
            format!("of a stream with a table; about {} bytes per key of the table, changelog", key + right)
        }
        JoinMethod::Tables => {
            format!("of tables; about {} bytes per key of either, changelog", key + left + right)
        }
        JoinMethod::Foreign => format!(
            "of tables on a foreign key; about {} bytes per row of the left one and {} per row of the right one, changelog",
            key + left,
            key + right
        ),
    };
    (join.kind.word().to_owned(), detail)
}

/// What a join remembers for as long as its keys are there; `None` where its rows have a time.
pub(super) fn growth(join: &Join) -> Option<String> {
    let key = key_bytes(&join.key_types);
    let (left, right) = (row_bytes(&join.left.fields), row_bytes(&join.right.fields));
    match join.method {
        JoinMethod::Streams { .. } => None,
        JoinMethod::StreamTable => Some(format!("about {} bytes per key of the table", key + right)),
        JoinMethod::Tables => Some(format!("about {} bytes per key of either table", key + left + right)),
        JoinMethod::Foreign => Some(format!(
            "about {} bytes per row of the left table and {} of the right one",
            key + left,
            key + right
        )),
    }
}

pub(super) fn of_exchange(exchange: &Exchange) -> (String, String) {
    let names: Vec<_> = exchange
        .key
        .iter()
        .filter_map(|slot| exchange.fields.get(*slot))
        .map(|(name, sql_type)| format!("{name} {sql_type}"))
        .collect();
    let when = if exchange.placed {
        "where the topics that meet have different numbers of partitions"
    } else {
        "where the source has several partitions"
    };
    ("Repartition".to_owned(), format!("by {}, {when}", names.join(", ")))
}

pub(super) fn of_subscribe(subscribe: &Subscribe) -> (String, String) {
    let bytes = ENTRY_BYTES + TEXT_BYTES * (subscribe.primary.len() + subscribe.foreign.len());
    ("Foreign key".to_owned(), format!("of every row is remembered; about {bytes} bytes per row, changelog"))
}

pub(super) fn of_resolve(resolve: &Resolve) -> (String, String) {
    let bytes = key_bytes(&resolve.primary_types) + 24;
    let detail = format!("that were overtaken are dropped; about {bytes} bytes per left row, changelog");
    ("Answers".to_owned(), detail)
}
