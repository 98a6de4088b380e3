//! Records of a topic as `PRINT` shows them.

use crate::SqlError;
use bytes::Bytes;
use millstream_bus::Record;
use std::fmt;
use tokio::sync::mpsc;

/// The records of a running `PRINT`. It ends when it is dropped, when the limit is reached, or when the engine stops.
#[derive(Debug)]
pub struct Print {
    pub(crate) records: mpsc::Receiver<Result<PrintedRecord, SqlError>>,
    pub(crate) task: tokio::task::AbortHandle,
}

impl Print {
    /// The next record; `None` at the end. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<PrintedRecord, SqlError>> {
        self.records.recv().await
    }
}

impl Drop for Print {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One record. It displays as one line, as ksqlDB prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrintedRecord {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// The record.
    pub record: Record,
}

impl fmt::Display for PrintedRecord {
    /// `rowtime: 2024-01-31T10:00:00.000Z, key: p1, value: {"a":1}, partition: 0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = &self.record;
        write!(
            f,
            "rowtime: {}, key: {}, value: {}, partition: {}",
            record.timestamp,
            Shown(record.key.as_ref()),
            Shown(record.value.as_ref()),
            self.partition
        )
    }
}

/// Bytes as what they most likely are: a text, a number of 4 or 8 bytes, or bytes in hexadecimal digits.
struct Shown<'b>(Option<&'b Bytes>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bytes) = self.0 else { return f.write_str("<null>") };
        if let Some(text) = text(bytes) {
            return f.write_str(text);
        }
        if let Ok(number) = <[u8; 4]>::try_from(&bytes[..]) {
            return write!(f, "{}", i32::from_be_bytes(number));
        }
        if let Ok(number) = <[u8; 8]>::try_from(&bytes[..]) {
            return write!(f, "{}", i64::from_be_bytes(number));
        }
        // A key of a window: the key itself, and when the window begins.
        if let Some((key, start)) = bytes.split_last_chunk::<8>()
            && let Some(key) = text(key).filter(|key| !key.is_empty())
        {
            return write!(f, "[{key}@{}]", i64::from_be_bytes(*start));
        }
        f.write_str("0x")?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let shows = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().all(shows).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_model::Timestamp;

    #[test]
    fn bytes_show_as_what_they_most_likely_are() {
        let shown = |bytes: &'static [u8]| Shown(Some(&Bytes::from_static(bytes))).to_string();
        assert_eq!(shown(b"p1"), "p1");
        assert_eq!(shown(&[0, 0, 0, 7]), "7");
        assert_eq!(shown(&[0, 0, 0, 0, 0, 0, 1, 0]), "256");
        assert_eq!(shown(b"p1\0\0\0\0\0\0\x03\xe8"), "[p1@1000]");
        assert_eq!(shown(&[0, 255, 1]), "0x00FF01");
        let record = Record::new(None, Some("{}".into()), Timestamp(0));
        let line = PrintedRecord { partition: 2, offset: 0, record }.to_string();
        assert!(line.ends_with("key: <null>, value: {}, partition: 2"), "{line}");
    }
}
