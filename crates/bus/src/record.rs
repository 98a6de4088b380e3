//! Records as they are appended and read.

use crate::TopicPartition;
use bytes::Bytes;
use millstream_model::Timestamp;

/// A record header: a name and an optional value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name; names may repeat.
    pub name: Box<str>,
    /// The value.
    pub value: Option<Bytes>,
}

/// What is appended: key, value, headers, time. A `None` value is a tombstone in compacted topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key; compaction and partitioning go by it.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<Header>,
    /// The record's time (`CreateTime`).
    pub timestamp: Timestamp,
}

impl Record {
    /// A record without headers.
    pub fn new(key: Option<Bytes>, value: Option<Bytes>, timestamp: Timestamp) -> Self {
        Self { key, value, headers: Vec::new(), timestamp }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header { name: name.into(), value: Some(value.into()) });
        self
    }

    /// The value of the first header called `name`.
    pub fn find_header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|header| &*header.name == name).and_then(|header| header.value.as_ref())
    }

    /// Bytes of key, value and headers, without the few bytes of framing.
    pub fn len_bytes(&self) -> usize {
        let headers = self.headers.iter().map(|h| h.name.len() + h.value.as_ref().map_or(0, Bytes::len));
        self.key.as_ref().map_or(0, Bytes::len)
            + self.value.as_ref().map_or(0, Bytes::len)
            + headers.sum::<usize>()
    }
}

/// A record with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRecord {
    /// Its offset in the partition.
    pub offset: i64,
    /// The record.
    pub record: Record,
}

/// What one poll found in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where.
    pub partition: TopicPartition,
    /// Records in offset order. May be empty when only control records were passed.
    pub records: Vec<ReceivedRecord>,
    /// Where reading continues, and what to commit: past control and aborted records, too.
    pub next_offset: i64,
}
