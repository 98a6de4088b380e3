//! One scan group's state: what was sent last, what is missing, and how its records look.

use super::encode::{Scaling, is_change};
use super::{Layout, MISSED, Mode, STARTED, SourceGroup};
use bytes::Bytes;
use millstream_bus::{Header, Record};
use millstream_format::plc4x::Plc4xEncoder;
use millstream_format::row::{BAD, RowEncoder};
use millstream_format::tag;
use millstream_model::{Cell, Row, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What is missing before the next record.
#[derive(Debug)]
pub(super) struct Missed {
    scans: AtomicU64,
    /// No record has told yet since when scans are counted; nobody knows how many were missed before that.
    started: AtomicBool,
}

impl Default for Missed {
    fn default() -> Self {
        Self { scans: AtomicU64::new(0), started: AtomicBool::new(true) }
    }
}

impl Missed {
    pub(super) fn add(&self, scans: u64) {
        self.scans.fetch_add(scans, Ordering::Relaxed);
    }

    pub(super) fn take(&self) -> u64 {
        self.scans.swap(0, Ordering::Relaxed)
    }

    /// A record did not get to the log: the next one tells what it `told`, and one scan more where it was a scan of its own.
    pub(super) fn lost(&self, told: Told, is_scan: bool) {
        self.add(told.missed + u64::from(is_scan));
        if told.started {
            self.started.store(true, Ordering::Relaxed);
        }
    }
}

/// What a record tells about the time before it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    missed: u64,
    started: bool,
}

impl Told {
    pub(super) fn by(record: &Record) -> Self {
        let missed = record.find_header(MISSED).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        Self { missed: missed.unwrap_or(0), started: record.find_header(STARTED).is_some() }
    }
}

#[derive(Debug)]
enum Encoder {
    Row { key: Bytes, row: RowEncoder },
    Tag { keys: Vec<Bytes> },
    Plc4x { key: Bytes, record: Plc4xEncoder },
}

/// See the module.
#[derive(Debug)]
pub(super) struct GroupState {
    name: Arc<str>,
    topic: Arc<str>,
    encoder: Encoder,
    tags: Vec<(Scaling, f64)>,
    mode: Mode,
    /// What was sent last, where it matters; empty before the first record.
    sent: Vec<Cell>,
    sent_at: Option<Instant>,
    started_at: Timestamp,
    missed: Arc<Missed>,
    /// Length of the last value, to allocate the next one once.
    len_hint: usize,
}

impl GroupState {
    /// A group whose scans are counted from `started_at` on.
    pub(super) fn new(group: &SourceGroup, started_at: Timestamp) -> Self {
        let asset = group.asset.as_str();
        let names = group.tags.iter().map(|tag| &*tag.name);
        let encoder = match group.layout {
            Layout::Row => {
                Encoder::Row { key: Bytes::copy_from_slice(asset.as_bytes()), row: RowEncoder::new(names) }
            }
            Layout::Tag => {
                Encoder::Tag { keys: names.map(|name| format!("{asset}/{name}").into()).collect() }
            }
            Layout::Plc4x { key_schemas, value_schemas } => {
                let tags = group.tags.iter().map(|tag| (&*tag.name, tag.tag_type));
                let record =
                    Plc4xEncoder::new(&group.device, &group.group, tags, (key_schemas, value_schemas));
                Encoder::Plc4x { key: Bytes::copy_from_slice(record.key()), record }
            }
        };
        Self {
            name: group.group.clone(),
            topic: group.topic.clone(),
            encoder,
            tags: group.tags.iter().map(|tag| (Scaling::of(tag), tag.deadband)).collect(),
            mode: group.mode,
            sent: Vec::new(),
            sent_at: None,
            started_at,
            missed: Arc::default(),
            len_hint: 64,
        }
    }

    pub(super) fn is_same_group(&self, group: &SourceGroup) -> bool {
        self.name == group.group && self.topic == group.topic
    }

    pub(super) fn missed(&self) -> &Arc<Missed> {
        &self.missed
    }

    /// These records found no room in time: the scan they came from is missing, too, and the next one is sent in full.
    pub(super) fn dropped(&mut self, records: &[Record]) {
        for (index, record) in records.iter().enumerate() {
            self.missed.lost(Told::by(record), index == 0);
        }
        self.sent.clear();
    }

    /// The records of one scan. None when nothing changed enough; scans missing before it then wait for the next one.
    pub(super) fn records(&mut self, row: &Row, missed: u64) -> Vec<Record> {
        self.missed.add(missed);
        if row.cells.len() != self.tags.len() {
            // Cannot happen with a scheduler that was given the same groups; a wrong value under a right name must not.
            debug_assert_eq!(row.cells.len(), self.tags.len(), "a row of another group");
            self.missed.add(1);
            return Vec::new();
        }
        let now = Instant::now();
        let changed = self.changes(row, now);
        if changed.as_ref().is_some_and(|changed| !changed.contains(&true)) {
            return Vec::new();
        }
        self.remember(row, changed.as_deref(), now);
        let mut records = self.encode(row, changed.as_deref());
        if let Some(first) = records.first_mut() {
            let missed = self.missed.take();
            if missed > 0 {
                first.headers.push(header(MISSED, missed.to_string()));
            }
            if self.missed.started.swap(false, Ordering::Relaxed) {
                first.headers.push(header(STARTED, self.started_at.as_millis().to_string()));
            }
        }
        records
    }

    /// Which tags changed; `None` when all count as changed.
    fn changes(&self, row: &Row, now: Instant) -> Option<Vec<bool>> {
        let is_tag = matches!(self.encoder, Encoder::Tag { .. });
        let is_due = |max: Duration| self.sent_at.is_none_or(|at| now.saturating_duration_since(at) >= max);
        match self.mode {
            _ if self.sent.len() != row.cells.len() => return None,
            Mode::Always if !is_tag => return None,
            Mode::OnChange { max_interval: Some(max) } if is_due(max) => return None,
            _ => {}
        }
        let cells = row.cells.iter().zip(&self.tags).zip(&self.sent);
        let changed = cells.map(|((raw, (scaling, deadband)), sent)| {
            let deadband = if self.mode == Mode::Always { 0.0 } else { *deadband };
            is_change(sent, &scaling.cell(raw), deadband)
        });
        Some(changed.collect())
    }

    /// Keeps what is sent. A row sends all tags, so that the deadband of each starts anew; tag records only those that changed.
    fn remember(&mut self, row: &Row, changed: Option<&[bool]>, now: Instant) {
        let is_tag = matches!(self.encoder, Encoder::Tag { .. });
        if self.mode == Mode::Always && !is_tag {
            return;
        }
        match changed.filter(|_| is_tag) {
            None => {
                let cells = row.cells.iter().zip(&self.tags);
                self.sent.clear();
                self.sent.extend(cells.map(|(raw, (scaling, _))| scaling.cell(raw).into_owned()));
                self.sent_at = Some(now);
            }
            Some(changed) => {
                for (index, _) in changed.iter().enumerate().filter(|(_, changed)| **changed) {
                    self.sent[index] = self.tags[index].0.cell(&row.cells[index]).into_owned();
                }
            }
        }
    }

    fn encode(&mut self, row: &Row, changed: Option<&[bool]>) -> Vec<Record> {
        let cell = |index: usize| self.tags[index].0.cell(&row.cells[index]);
        let mut out = Vec::with_capacity(self.len_hint);
        match &self.encoder {
            Encoder::Row { key, row: encoder } => {
                encoder.encode(&mut out, cell);
                self.len_hint = out.len() + 16;
                vec![Record::new(Some(key.clone()), Some(out.into()), row.read_at)]
            }
            Encoder::Plc4x { key, record: encoder } => {
                let all_good = encoder.encode(&mut out, row.read_at, cell);
                self.len_hint = out.len() + 16;
                let mut record = Record::new(Some(key.clone()), Some(out.into()), row.read_at);
                if !all_good {
                    let mut statuses = Vec::new();
                    encoder.encode_statuses(&mut statuses, cell);
                    record.headers.push(header(BAD, statuses));
                }
                vec![record]
            }
            Encoder::Tag { keys } => {
                let changed = |index: usize| changed.is_none_or(|changed| changed[index]);
                let indices = (0..keys.len()).filter(|index| changed(*index));
                indices.map(|index| tag_record(&keys[index], row, cell(index).as_ref())).collect()
            }
        }
    }
}

fn tag_record(key: &Bytes, row: &Row, cell: &Cell) -> Record {
    let mut value = Vec::with_capacity(64);
    tag::encode(&mut value, row.read_at, cell);
    let mut record = Record::new(Some(key.clone()), Some(value.into()), row.read_at);
    let quality = Bytes::from_static(tag::quality(cell).as_bytes());
    record.headers.push(header(tag::QUALITY, quality));
    record
}

fn header(name: &str, value: impl Into<Bytes>) -> Header {
    Header { name: name.into(), value: Some(value.into()) }
}
