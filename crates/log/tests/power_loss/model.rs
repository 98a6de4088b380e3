//! What the log promised, in plain maps.
//!
//! Per partition: every record that was appended, by offset; how far it was acknowledged; from where it may be deleted. After a crash the
//! partition holds exactly the appended records from its first to its next offset, its next offset is not below what was
//! acknowledged, and its first one lies between what was deleted for sure and what may have been. In a compacted topic records may
//! be missing where a newer one of the same key is there, or where the key was deleted.

use super::support::{keyed, read_from, text};
use millstream_log::batch::Record;
use millstream_log::{Log, LogError, Partition, Random};
use std::collections::BTreeMap;

const RETENTION_BYTES: usize = 2000;

/// What becomes of a topic's old records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Kept,
    Retained,
    Compacted,
}

impl Kind {
    pub(super) fn configs(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Kept => vec![("retention.ms", "-1")],
            Self::Retained => vec![("retention.bytes", "2000"), ("retention.ms", "-1")],
            Self::Compacted => vec![
                ("cleanup.policy", "compact"),
                ("min.cleanable.dirty.ratio", "0"),
                ("delete.retention.ms", "0"),
            ],
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Model {
    topics: BTreeMap<String, TopicModel>,
    values: u64,
}

#[derive(Debug)]
struct TopicModel {
    kind: Kind,
    /// Whether it must exist; not while it is being made or deleted, when both is right.
    certain: bool,
    partitions: [PartitionModel; 2],
}

#[derive(Debug, Default, Clone)]
struct PartitionModel {
    records: BTreeMap<i64, (Option<String>, Option<String>)>,
    next: i64,
    acknowledged: i64,
    deleted: i64,
    deletable: i64,
}

impl Model {
    pub(super) fn creating(&mut self, name: &str, kind: Kind) {
        let topic = TopicModel { kind, certain: false, partitions: Default::default() };
        self.topics.insert(name.to_owned(), topic);
    }

    /// Whether a topic that is not there could be after the next crash, because making or deleting it failed half-way.
    pub(super) fn may_come_back(&self, name: &str) -> bool {
        self.topics.contains_key(name)
    }

    pub(super) fn created(&mut self, name: &str) {
        self.topics.get_mut(name).unwrap().certain = true;
    }

    pub(super) fn deleting(&mut self, name: &str) {
        self.topics.get_mut(name).unwrap().certain = false;
    }

    pub(super) fn deleted(&mut self, name: &str) {
        self.topics.remove(name);
    }

    fn of(&mut self, partition: &Partition) -> (Kind, &mut PartitionModel) {
        let topic = self.topics.get_mut(partition.topic()).unwrap();
        (topic.kind, &mut topic.partitions[usize::try_from(partition.number()).unwrap()])
    }

    pub(super) fn append(&mut self, partition: &Partition, random: &mut Random) -> Result<(), LogError> {
        let mut records = Vec::new();
        let (kind, _) = self.of(partition);
        for _ in 0..=random.below(3) {
            self.values += 1;
            let filler = "x".repeat(usize::try_from(random.below(300)).unwrap());
            let key = (kind == Kind::Compacted).then(|| format!("key{}", random.below(5)));
            let value = (key.is_none() || random.chance(80)).then(|| format!("{}{filler}", self.values));
            records.push((key, value));
        }
        let (_, model) = self.of(partition);
        let batch: Vec<_> = records.iter().map(|(k, v)| (k.as_deref(), v.as_deref(), 0)).collect();
        let appended = partition.append(&mut keyed(&batch))?;
        assert_eq!(appended.base_offset, model.next);
        model.records.extend((appended.base_offset..).zip(records));
        model.next = appended.next_offset;
        assert_eq!(partition.range().next, model.next);
        Ok(())
    }

    pub(super) fn sync(&mut self, partition: &Partition) -> Result<(), LogError> {
        partition.sync()?;
        let (_, model) = self.of(partition);
        assert_eq!(partition.range().durable, model.next);
        model.acknowledged = model.next;
        Ok(())
    }

    pub(super) fn delete_before(
        &mut self,
        partition: &Partition,
        random: &mut Random,
    ) -> Result<(), LogError> {
        let (_, model) = self.of(partition);
        let before = i64::try_from(random.below(u64::try_from(model.next).unwrap() + 1)).unwrap();
        model.deletable = model.deletable.max(before);
        partition.delete_before(before)?;
        model.acknowledged = model.next;
        model.deleted = model.deleted.max(before);
        Ok(())
    }

    /// Takes over what the log says is durable, what retention deleted, and what a failing disk lost.
    pub(super) fn observe(&mut self, log: &Log) {
        for (name, topic) in &mut self.topics {
            for (number, model) in (0..).zip(&mut topic.partitions) {
                if let Ok(partition) = log.partition(name, number) {
                    model.see(topic.kind, &partition);
                    model.acknowledged = model.acknowledged.max(partition.range().durable);
                }
            }
        }
    }

    /// Reads from a random offset and compares.
    pub(super) fn check_read(&mut self, partition: &Partition, random: &mut Random) {
        let range = partition.range();
        let span = u64::try_from(range.next - range.earliest).unwrap();
        let from = range.earliest + i64::try_from(random.below(span + 1)).unwrap();
        let (kind, model) = self.of(partition);
        // Without power there is nothing to compare.
        if let Ok(records) = read_from(partition, from) {
            let mut expected = model.clone();
            expected.records.retain(|offset, _| (from..range.next).contains(offset));
            expected.check(kind, &records);
        }
    }

    /// Compares everything after a start, and goes on from what there is: all of that is durable now.
    pub(super) fn check_and_adopt(&mut self, log: &Log) {
        self.topics.retain(|name, topic| {
            let there = log.topic(name).is_some();
            assert!(there || !topic.certain, "topic {name} is lost");
            topic.certain = true;
            there
        });
        for topic in log.topics() {
            assert!(self.topics.contains_key(&topic.name), "topic {} came back", topic.name);
        }
        for (name, topic) in &mut self.topics {
            for (number, model) in (0..).zip(&mut topic.partitions) {
                let partition = log.partition(name, number).unwrap();
                model.see(topic.kind, &partition);
                let range = partition.range();
                assert!(
                    range.next >= model.acknowledged,
                    "{name}-{number}: {range:?}, acknowledged {}",
                    model.acknowledged
                );
                assert!(range.next <= model.next);
                model.records.retain(|offset, _| (range.earliest..range.next).contains(offset));
                let records = read_from(&partition, range.earliest).unwrap();
                model.check(topic.kind, &records);
                (model.next, model.acknowledged) = (range.next, range.next);
                (model.deleted, model.deletable) = (range.earliest, range.earliest);
            }
        }
    }
}

impl PartitionModel {
    /// Takes over what retention deleted and what a failing disk lost, within what is allowed.
    fn see(&mut self, kind: Kind, partition: &Partition) {
        let range = partition.range();
        if range.next > self.next {
            // Offsets that were given and lost are not given again.
            self.records.retain(|offset, _| *offset < self.acknowledged);
            self.next = range.next;
        }
        assert!(
            range.earliest >= self.deleted,
            "{}-{}: {range:?} {}",
            partition.topic(),
            partition.number(),
            self.deleted
        );
        if kind == Kind::Retained && range.earliest > self.deletable {
            // Retention leaves at least this much on disk; 90 bytes are more than a record's share of framing.
            let kept = self.records.range(range.earliest..range.next);
            let kept: usize = kept.map(|(_, (_, value))| value.as_ref().map_or(0, String::len) + 90).sum();
            assert!(kept >= RETENTION_BYTES, "only {kept} bytes are left: {range:?}");
        } else {
            assert!(kind == Kind::Retained || range.earliest <= self.deletable);
        }
        self.deletable = self.deletable.max(range.earliest);
    }

    fn check(&self, kind: Kind, found: &[Record]) {
        let found: BTreeMap<_, _> = found.iter().map(|record| (record.offset, record)).collect();
        for (offset, record) in &found {
            let (key, value) = self
                .records
                .get(offset)
                .unwrap_or_else(|| panic!("offset {offset} is not known: {record:?}"));
            assert_eq!(record.key.as_ref().map(|key| text(Some(key))), *key);
            assert_eq!(record.value.as_ref().map(|value| text(Some(value))), *value, "offset {offset}");
        }
        for (offset, (key, value)) in &self.records {
            if found.contains_key(offset) {
                continue;
            }
            let newer = self.records.range(offset + 1..).any(|(_, (other, _))| other == key);
            assert!(kind == Kind::Compacted && (newer || value.is_none()), "offset {offset} is lost");
        }
    }
}
