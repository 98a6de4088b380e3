//! What every engine refuses before it touches a log: names, counts and sizes that Kafka would not take either.

use crate::{BusError, CommittedOffset, Record, TopicPartition, TopicSpec, limits};

/// Refuses a topic name that Kafka would not take: 1 to 249 characters of `a-zA-Z0-9._-`, neither `.` nor `..`.
pub fn topic_name(name: &str) -> Result<(), BusError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let wrong = if name.is_empty() {
        "is empty"
    } else if name.len() > limits::TOPIC_NAME_BYTES {
        "is longer than 249 characters"
    } else if name == "." || name == ".." {
        "is `.` or `..`"
    } else if !name.chars().all(legal) {
        "has a character other than a-z A-Z 0-9 . _ -"
    } else {
        return Ok(());
    };
    Err(BusError::Invalid(format!("the topic name `{name}` {wrong}")))
}

/// Refuses a topic that cannot be: a bad name, or fewer than one partition.
pub fn topic(spec: &TopicSpec) -> Result<(), BusError> {
    topic_name(&spec.name)?;
    if spec.partitions < 1 {
        return Err(BusError::Invalid(format!("topic `{}` needs at least 1 partition", spec.name)));
    }
    Ok(())
}

/// Refuses a batch that cannot be appended: an empty one, or one with a record over [`limits::RECORD_BYTES`] or with more
/// than [`limits::RECORD_HEADERS`] headers.
pub fn batch(to: &TopicPartition, records: &[Record]) -> Result<(), BusError> {
    if records.is_empty() {
        return Err(BusError::Invalid(format!("an empty batch was appended to `{to}`")));
    }
    if let Some(many) =
        records.iter().map(|record| record.headers.len()).find(|count| *count > limits::RECORD_HEADERS)
    {
        return Err(BusError::Invalid(format!(
            "a record for `{to}` has {many} headers, more than the limit of {}",
            limits::RECORD_HEADERS
        )));
    }
    match records.iter().map(Record::len_bytes).find(|len| *len > limits::RECORD_BYTES) {
        Some(len) => Err(BusError::Invalid(format!(
            "a record for `{to}` has {len} bytes, more than the limit of {}",
            limits::RECORD_BYTES
        ))),
        None => Ok(()),
    }
}

/// Refuses offsets that cannot be committed: negative ones, or metadata over [`limits::COMMIT_METADATA_BYTES`].
pub fn offsets(offsets: &[(TopicPartition, CommittedOffset)]) -> Result<(), BusError> {
    for (of, committed) in offsets {
        if committed.offset < 0 {
            return Err(BusError::Invalid(format!("offset {} of `{of}` is negative", committed.offset)));
        }
        if committed.metadata.len() > limits::COMMIT_METADATA_BYTES {
            return Err(BusError::Invalid(format!(
                "the metadata committed for `{of}` has {} bytes, more than the limit of {}",
                committed.metadata.len(),
                limits::COMMIT_METADATA_BYTES
            )));
        }
    }
    Ok(())
}

/// Refuses a group or transactional id without a character, or one over [`limits::ID_BYTES`].
pub fn id(what: &str, id: &str) -> Result<(), BusError> {
    if id.is_empty() {
        Err(BusError::Invalid(format!("the {what} is empty")))
    } else if id.len() > limits::ID_BYTES {
        Err(BusError::Invalid(format!("the {what} is longer than {} bytes", limits::ID_BYTES)))
    } else {
        Ok(())
    }
}
