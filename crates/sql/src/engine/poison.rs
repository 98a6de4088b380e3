//! Records that a query could not use, as records of [`ERROR_TOPIC`](crate::ERROR_TOPIC).
//!
//! One JSON object each: `query`, `error`, `topic`, `partition`, `offset`, and the record's `key` and `value` as text, or
//! as `key_base64` and `value_base64` where they are no UTF-8; both cut to 8 KiB. The key is the query's id. They are
//! written in the transaction of the batch that they come from, so that each stands there once.

use crate::limits::POISON_BYTES_MAX;
use crate::operator::RowFault;
use bytes::Bytes;
use millstream_bus::{ReceivedRecord, Record, TopicPartition};
use millstream_format::sql::calendar::base64;
use millstream_model::Timestamp;
use serde_json::{Map, Value};

/// The error record for one fault. `records` are those of the batch, in offset order.
pub(super) fn record(
    query: &str,
    at: &TopicPartition,
    fault: &RowFault,
    records: &[ReceivedRecord],
    now: Timestamp,
) -> Record {
    let mut object = Map::new();
    object.insert("query".to_owned(), query.into());
    object.insert("error".to_owned(), fault.message.clone().into());
    object.insert("topic".to_owned(), (*at.topic).into());
    object.insert("partition".to_owned(), at.partition.into());
    object.insert("offset".to_owned(), fault.offset.into());
    let received =
        records.binary_search_by_key(&fault.offset, |r| r.offset).ok().and_then(|i| records.get(i));
    if let Some(received) = received {
        add("key", received.record.key.as_ref(), &mut object);
        add("value", received.record.value.as_ref(), &mut object);
    }
    let value = Bytes::from(Value::Object(object).to_string());
    Record::new(Some(Bytes::copy_from_slice(query.as_bytes())), Some(value), now)
}

fn add(name: &str, bytes: Option<&Bytes>, object: &mut Map<String, Value>) {
    let Some(bytes) = bytes else {
        object.insert(name.to_owned(), Value::Null);
        return;
    };
    let cut = bytes.get(..POISON_BYTES_MAX).unwrap_or(bytes);
    match std::str::from_utf8(cut) {
        Ok(text) => object.insert(name.to_owned(), text.into()),
        // A character that was cut in two is no reason for Base64.
        Err(error) if error.error_len().is_none() && cut.len() < bytes.len() => {
            let text = String::from_utf8_lossy(cut.get(..error.valid_up_to()).unwrap_or_default());
            object.insert(name.to_owned(), text.into())
        }
        Err(_) => object.insert(format!("{name}_base64"), base64(cut).into()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_rfcs() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_in_base64() {
        let record_in = Record::new(None, Some(Bytes::from_static(b"\xff\xfe")), Timestamp(0));
        let fault = RowFault { offset: 7, message: "bad".to_owned() };
        let at = TopicPartition::new("press", 2);
        let made = record("Q", &at, &fault, &[ReceivedRecord { offset: 7, record: record_in }], Timestamp(5));
        let text = String::from_utf8(made.value.unwrap().to_vec()).unwrap();
        let expected = r#"{"query":"Q","error":"bad","topic":"press","partition":2,"offset":7,"key":null,"value_base64":"//4="}"#;
        assert_eq!(text, expected);
    }
}
