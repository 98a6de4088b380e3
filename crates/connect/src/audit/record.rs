//! How intents, results, refusals and re-armed tags look as records.

use bytes::Bytes;
use millstream_bus::{Header, Record};
use millstream_driver::guard::{Origin, WriteRequest};
use millstream_driver::schedule::{Verdict, WriteReport};
use millstream_format::json::ObjectWriter;
use millstream_model::{Timestamp, Value};
use std::sync::Arc;

/// The reason of what the guard allowed and the device refused.
const REJECTED: &str = "rejected";

/// What was asked for and not written.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The command's id.
    pub id: Arc<str>,
    /// The device it was for.
    pub device: Arc<str>,
    /// The tag, where it is known.
    pub tag: Option<Arc<str>>,
    /// A stable code: those of [`Verdict::Refused`], and `malformed`, `tombstone`, `no-device`, `rejected`.
    pub reason: &'static str,
    /// In words.
    pub message: String,
    /// The value that was asked for, where it could be read.
    pub value: Option<Value>,
    /// The value in the device, where it is known.
    pub old: Option<Value>,
    /// The beginning of a record's value that could not be read.
    pub raw: Option<Bytes>,
    /// Who asked.
    pub origin: Origin,
    /// When it was asked for.
    pub asked_at: Timestamp,
}

impl Refusal {
    /// The refusal in a report, where it is one: the guard's, or the device's own.
    pub(super) fn of_report(device: &Arc<str>, report: &WriteReport) -> Option<Self> {
        let (reason, message) = match &report.verdict {
            Verdict::Refused { code, message } => (*code, message),
            Verdict::Failed { message } => (REJECTED, message),
            Verdict::Written { .. } | Verdict::Mismatch { .. } | Verdict::Unknown { .. } => return None,
        };
        let refusal = Self::of_request(device, &report.request, reason, message.clone());
        Some(Self { old: report.old.clone(), ..refusal })
    }

    /// A request that is refused before it reaches the guard.
    pub fn of_request(
        device: &Arc<str>,
        request: &WriteRequest,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            id: request.id.clone(),
            device: device.clone(),
            tag: Some(request.tag.clone()),
            reason,
            message: message.into(),
            value: Some(request.value.clone()),
            old: None,
            raw: None,
            origin: request.origin.clone(),
            asked_at: request.asked_at,
        }
    }

    /// The record for the refused topic, with Kafka Connect's error headers.
    pub(super) fn record(&self, at: Timestamp) -> Record {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.text("id", &self.id).text("device", &self.device);
        if let Some(tag) = &self.tag {
            object.text("tag", tag);
        }
        object.text("reason", self.reason).text("message", &self.message);
        object.value("value", self.value.as_ref()).value("old", self.old.as_ref());
        if let Some(raw) = &self.raw {
            object.text("raw", &String::from_utf8_lossy(raw));
        }
        asked(&mut object, &self.origin, self.asked_at, at);
        object.finish();
        let mut record = Record::new(Some(key(&self.device)), Some(out.into()), at);
        record.headers = error_headers(&self.device, &self.origin, self.reason, &self.message);
        record
    }
}

/// The record before a write.
pub(super) fn intent(device: &Arc<str>, request: &WriteRequest, at: Timestamp) -> Record {
    let mut out = Vec::new();
    let mut object = begin(&mut out, "intent", device, request);
    asked(&mut object, &request.origin, request.asked_at, at);
    object.finish();
    Record::new(Some(key(device)), Some(out.into()), at)
}

/// The record after a write.
pub(super) fn result(device: &Arc<str>, report: &WriteReport) -> Record {
    let (result, verified, found, message) = match &report.verdict {
        Verdict::Written { verified } => ("written", Some(*verified), None, ""),
        Verdict::Mismatch { found } => ("mismatch", Some(false), Some(found), "something else was read back"),
        Verdict::Refused { message, .. } => ("refused", None, None, &**message),
        Verdict::Failed { message } => ("failed", None, None, &**message),
        Verdict::Unknown { message } => ("unknown", None, None, &**message),
    };
    let mut out = Vec::new();
    let mut object = begin(&mut out, "result", device, &report.request);
    object.text("result", result).value("old", report.old.as_ref());
    if let Some(verified) = verified {
        object.bool("verified", verified);
    }
    if let Some(found) = found {
        object.value("found", Some(found));
    }
    if !message.is_empty() {
        object.text("message", message);
    }
    asked(&mut object, &report.request.origin, report.request.asked_at, report.at);
    object.finish();
    Record::new(Some(key(device)), Some(out.into()), report.at)
}

/// The record before a tag takes writes again that was latched off.
pub(super) fn rearm(device: &Arc<str>, tag: &str, origin: &Origin, at: Timestamp) -> Record {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.text("phase", "rearm").text("device", device).text("tag", tag);
    asked(&mut object, origin, at, at);
    object.finish();
    Record::new(Some(key(device)), Some(out.into()), at)
}

fn key(device: &str) -> Bytes {
    Bytes::copy_from_slice(device.as_bytes())
}

fn begin<'a>(out: &'a mut Vec<u8>, phase: &str, device: &str, request: &WriteRequest) -> ObjectWriter<'a> {
    let mut object = ObjectWriter::new(out);
    object.text("id", &request.id).text("phase", phase).text("device", device).text("tag", &request.tag);
    object.value("value", Some(&request.value));
    object
}

fn asked(object: &mut ObjectWriter<'_>, origin: &Origin, asked_at: Timestamp, at: Timestamp) {
    object.object("asked_by", |by| match origin {
        Origin::Record { topic, partition, offset } => {
            by.text("topic", topic).int("partition", i64::from(*partition)).int("offset", *offset);
        }
        Origin::CommandLine { user } => {
            by.text("user", user);
        }
    });
    object.int("asked_at_ms", asked_at.as_millis()).int("at_ms", at.as_millis());
}

/// The headers that Kafka Connect gives to records in its dead letter queue.
fn error_headers(device: &str, origin: &Origin, reason: &str, message: &str) -> Vec<Header> {
    let header = |name: &str, value: &str| Header {
        name: format!("__connect.errors.{name}").into(),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
    };
    let mut headers = Vec::new();
    if let Origin::Record { topic, partition, offset } = origin {
        headers.push(header("topic", topic));
        headers.push(header("partition", &partition.to_string()));
        headers.push(header("offset", &offset.to_string()));
    }
    headers.push(header("connector.name", &format!("sink-{device}")));
    headers.push(header("task.id", "0"));
    headers.push(header("stage", "TASK_PUT"));
    headers.push(header("exception.class.name", reason));
    headers.push(header("exception.message", message));
    headers
}
