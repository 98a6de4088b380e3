//! What one record asks for: its device by key, its layout by content, its commands one by one.

use super::SinkDevice;
use crate::audit::Refusal;
use crate::limits::REFUSED_RAW_BYTES;
use bytes::Bytes;
use millstream_bus::{ReceivedRecord, TopicPartition};
use millstream_driver::guard::{Origin, WriteRequest, code};
use millstream_format::plc4x::unwrap_envelope;
use millstream_format::row::{Member, members};
use millstream_format::{FormatError, json, plc4x, tag};
use millstream_model::{AssetPath, Timestamp};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A record header, and a member of a row that is no tag: how long after the record's time its commands hold, in
/// milliseconds.
const EXPIRES: &str = "expires";
/// The record cannot be read.
const MALFORMED: &str = "malformed";
/// The record has no value.
const TOMBSTONE: &str = "tombstone";
/// On a topic of several devices: the key names none of them.
const NO_DEVICE: &str = "no-device";

/// Finds the commands for one device in records.
#[derive(Debug)]
pub(super) struct Selector {
    device: Arc<str>,
    asset: AssetPath,
    tags: BTreeSet<Arc<str>>,
    /// The assets of other devices with the same topic.
    others: Vec<AssetPath>,
    /// Whether this device answers for records that are nobody's.
    answers_for_strays: bool,
}

/// What a record asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Commands {
    pub(super) requests: Vec<WriteRequest>,
    pub(super) refusals: Vec<Refusal>,
}

/// Whose a record is.
enum Owner<'a> {
    /// This device's; the tag where the key names one.
    This(Option<&'a str>),
    Another,
    Nobody,
}

impl Selector {
    pub(super) fn new(device: &SinkDevice, all: &[SinkDevice]) -> Self {
        let sharing = all.iter().filter(|other| other.topic == device.topic && other.device != device.device);
        let first = sharing.clone().map(|other| &other.device).min();
        Self {
            device: device.device.clone(),
            asset: device.asset.clone(),
            tags: device.tags.iter().cloned().collect(),
            answers_for_strays: first.is_none_or(|first| device.device < *first),
            others: sharing.map(|other| other.asset.clone()).collect(),
        }
    }

    /// The commands of one record. Nothing that a record can hold is an error here.
    pub(super) fn commands(&self, at: &TopicPartition, received: &ReceivedRecord) -> Commands {
        let record = &received.record;
        let context = Context {
            selector: self,
            id: format!("{at}-{}", received.offset).into(),
            origin: Origin::Record {
                topic: at.topic.clone(),
                partition: at.partition,
                offset: received.offset,
            },
            asked_at: record.timestamp,
        };
        let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        let tag = match self.owner(key) {
            Owner::This(tag) => tag,
            Owner::Another => return Commands::default(),
            Owner::Nobody if !self.answers_for_strays => return Commands::default(),
            Owner::Nobody => {
                let message = match key {
                    Some(key) => format!("no device with this topic has the asset path of key `{key}`"),
                    None => {
                        "several devices have this topic, and the record has no key to tell which".to_owned()
                    }
                };
                return context.refused(NO_DEVICE, message, record.value.as_ref());
            }
        };
        let Some(value) = &record.value else {
            return context.refused(TOMBSTONE, "the record has no value".to_owned(), None);
        };
        let expires =
            record.find_header(EXPIRES).map(|text| std::str::from_utf8(text).ok()?.parse::<i64>().ok());
        let parsed = match expires {
            Some(None) => Err("header `expires` is no number of milliseconds".to_owned()),
            expires => json::parse(value)
                .and_then(|json| self.read(&json, key, tag))
                .map(|read| Read { expires_ms: expires.flatten().or(read.expires_ms), ..read })
                .map_err(|error| error.to_string()),
        };
        match parsed {
            Ok(read) => context.commands(read),
            Err(message) => context.refused(MALFORMED, message, Some(value)),
        }
    }

    fn owner<'k>(&self, key: Option<&'k str>) -> Owner<'k> {
        let Some(key) = key else {
            return if self.others.is_empty() { Owner::This(None) } else { Owner::Nobody };
        };
        // The longest path that fits: `line2` may be a device, and `line2/press1` another.
        let rest = |asset: &AssetPath| match key.strip_prefix(asset.as_str()) {
            Some("") => Some(None),
            Some(rest) => rest.strip_prefix('/').map(Some),
            None => None,
        };
        let others = self.others.iter().filter(|asset| rest(asset).is_some());
        let other_len = others.map(|asset| asset.as_str().len()).max();
        match rest(&self.asset) {
            Some(tag) if other_len.is_none_or(|len| len < self.asset.as_str().len()) => Owner::This(tag),
            _ if other_len.is_some() => Owner::Another,
            _ if self.others.is_empty() => Owner::This(None),
            _ => Owner::Nobody,
        }
    }

    /// The tag that a member of a row means: that of its name, else the only one that differs in letter case alone.
    /// SQL writes names that are not quoted in upper case.
    fn tag(&self, name: &str) -> Option<&Arc<str>> {
        let mut alike = self.tags.iter().filter(|tag| tag.eq_ignore_ascii_case(name));
        self.tags.get(name).or_else(|| match (alike.next(), alike.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        })
    }

    /// Finds the layout by what stands there.
    fn read(&self, json: &Json, key: Option<&str>, tag: Option<&str>) -> Result<Read, FormatError> {
        let json = unwrap_envelope(json);
        let is_own_tag = |name: &str| self.tags.contains(name);
        if !is_own_tag("tags")
            && !is_own_tag("fields")
            && let Some(record) = plc4x::record(json)
        {
            let record = record?;
            return Ok(Read {
                members: record.tags,
                timestamp: record.timestamp,
                expires_ms: record.expires_ms,
                expires_from: record.timestamp,
            });
        }
        // On a topic of its own a device takes any key; its end may still name the tag of a single value.
        let is_single =
            |json: &Json| !json.is_object() || (json.get("value").is_some() && !is_own_tag("value"));
        let from_key =
            key.and_then(|key| key.rsplit('/').next()).filter(|name| is_own_tag(name) && is_single(json));
        if let Some(name) = tag.or(from_key) {
            let payload = tag::payload(json)?;
            return Ok(Read {
                members: vec![(name.to_owned(), Ok(payload.value))],
                timestamp: payload.timestamp,
                expires_ms: None,
                expires_from: None,
            });
        }
        let mut members = members(json)?;
        let mut expires_ms = None;
        if !is_own_tag(EXPIRES) {
            members.retain(|(name, _)| !name.eq_ignore_ascii_case(EXPIRES));
            expires_ms = match json.get(EXPIRES).or_else(|| json.get(EXPIRES.to_uppercase())) {
                None | Some(Json::Null) => None,
                Some(value) => Some(value.as_i64().ok_or(FormatError::Unexpected {
                    expected: "`expires` in whole milliseconds",
                    found: json::kind(value),
                })?),
            };
        }
        Ok(Read { members, timestamp: None, expires_ms, expires_from: None })
    }
}

/// A record's content.
struct Read {
    members: Vec<Member>,
    timestamp: Option<Timestamp>,
    expires_ms: Option<i64>,
    expires_from: Option<Timestamp>,
}

/// What all commands of one record have in common.
struct Context<'a> {
    selector: &'a Selector,
    id: Arc<str>,
    origin: Origin,
    asked_at: Timestamp,
}

impl Context<'_> {
    fn commands(&self, read: Read) -> Commands {
        // The older of both times: neither a replayed payload nor a late record makes a command young.
        let asked_at = read.timestamp.map_or(self.asked_at, |timestamp| timestamp.min(self.asked_at));
        let from = read.expires_from.unwrap_or(self.asked_at).as_millis();
        let expires = read.expires_ms.filter(|expires_ms| *expires_ms != 0);
        let expires_at = expires.map(|expires_ms| Timestamp(from.saturating_add(expires_ms)));
        let mut commands = Commands::default();
        for (name, value) in read.members {
            let tag = self.selector.tag(&name).cloned();
            let (value, refused) = match (&tag, value) {
                // `null` asks for nothing.
                (_, Ok(None)) => continue,
                (None, value) => {
                    let message = format!("`{name}` is not among the tags that may be written");
                    (value.ok().flatten(), Some((code::NOT_ALLOWED, message)))
                }
                (Some(_), Err(error)) => (None, Some((code::WRONG_TYPE, error.to_string()))),
                (Some(_), Ok(value)) => (value, None),
            };
            match (refused, value) {
                (None, Some(value)) => commands.requests.push(WriteRequest {
                    id: self.id.clone(),
                    origin: self.origin.clone(),
                    tag: tag.unwrap_or_else(|| name.into()),
                    value,
                    asked_at,
                    expires_at,
                }),
                (refused, value) => {
                    let (reason, message) = refused.unwrap_or((MALFORMED, "there is no value".to_owned()));
                    let refusal = self.refusal(reason, message);
                    commands.refusals.push(Refusal { tag: Some(name.into()), value, asked_at, ..refusal });
                }
            }
        }
        commands
    }

    fn refused(&self, reason: &'static str, message: String, value: Option<&Bytes>) -> Commands {
        let raw = value.map(|value| value.slice(..value.len().min(REFUSED_RAW_BYTES)));
        let refusal = Refusal { raw, ..self.refusal(reason, message) };
        Commands { requests: Vec::new(), refusals: vec![refusal] }
    }

    fn refusal(&self, reason: &'static str, message: String) -> Refusal {
        Refusal {
            id: self.id.clone(),
            device: self.selector.device.clone(),
            tag: None,
            reason,
            message,
            value: None,
            old: None,
            raw: None,
            origin: self.origin.clone(),
            asked_at: self.asked_at,
        }
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
