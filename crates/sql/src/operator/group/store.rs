//! The groups of one partition in memory: numbers side by side, keys once, found by one hash.
//!
//! A group is a *slot*: its place among the entries, and in the long vectors of words and lists. Slots of groups that are
//! gone are used again.

use crate::function::aggregate::Held;
use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::hash::Hasher as _;

/// The groups.
#[derive(Debug)]
pub(super) struct Store {
    index: HashTable<u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// `initial.len()` words per slot.
    words: Vec<u64>,
    /// `lists` per slot.
    held: Vec<Held>,
    /// Words of a group without rows: zeros.
    initial: Vec<u64>,
    lists: usize,
}

/// What a group has beside its state.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Box<[u8]>,
    hash: u64,
    /// The latest row time of the group.
    pub(super) timestamp: i64,
    /// Whether it was emitted and not taken back since.
    pub(super) visible: bool,
    /// Whether it differs from what was saved.
    pub(super) changed: bool,
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    hasher.finish()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "slots are bounded by STATE_ENTRIES_MAX"
)]
const fn slot_number(index: usize) -> u32 {
    index as u32
}

#[expect(clippy::as_conversions, reason = "a u32 fits a usize on every supported machine")]
const fn place(slot: u32) -> usize {
    slot as usize
}

impl Store {
    /// A store for groups with so many words and lists, which begin at zero and empty.
    pub(super) fn new(words: usize, lists: usize) -> Self {
        Self {
            index: HashTable::new(),
            entries: Vec::new(),
            free: Vec::new(),
            words: Vec::new(),
            held: Vec::new(),
            initial: vec![0; words],
            lists,
        }
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The slot of a group; the second is whether it was made just now.
    pub(super) fn slot(&mut self, key: &[u8]) -> (u32, bool) {
        let hash = hash(key);
        let entries = &self.entries;
        let found = self.index.find(hash, |slot| {
            let entry = &entries[place(*slot)];
            entry.hash == hash && *entry.key == *key
        });
        if let Some(slot) = found {
            return (*slot, false);
        }
        let entry = Entry { key: key.into(), hash, timestamp: i64::MIN, visible: false, changed: false };
        let slot = if let Some(slot) = self.free.pop() {
            self.entries[place(slot)] = entry;
            let at = place(slot) * self.initial.len();
            self.words[at..at + self.initial.len()].copy_from_slice(&self.initial);
            slot
        } else {
            self.entries.push(entry);
            self.words.extend_from_slice(&self.initial);
            self.held.extend((0..self.lists).map(|_| Held::new()));
            slot_number(self.entries.len() - 1)
        };
        let entries = &self.entries;
        self.index.insert_unique(hash, slot, |slot| entries[place(*slot)].hash);
        (slot, true)
    }

    /// What a slot has beside its state.
    pub(super) fn entry(&self, slot: u32) -> &Entry {
        &self.entries[place(slot)]
    }

    /// The same, to change it.
    pub(super) fn entry_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.entries[place(slot)]
    }

    /// The state of a slot.
    pub(super) fn state(&self, slot: u32) -> (&[u64], &[Held]) {
        let (words, lists) = (place(slot) * self.initial.len(), place(slot) * self.lists);
        (&self.words[words..words + self.initial.len()], &self.held[lists..lists + self.lists])
    }

    /// The same, to change it.
    pub(super) fn state_mut(&mut self, slot: u32) -> (&mut [u64], &mut [Held]) {
        let (words, lists) = (place(slot) * self.initial.len(), place(slot) * self.lists);
        (&mut self.words[words..words + self.initial.len()], &mut self.held[lists..lists + self.lists])
    }

    /// Removes a group; its key.
    pub(super) fn remove(&mut self, slot: u32) -> Box<[u8]> {
        let hash = self.entries[place(slot)].hash;
        if let Ok(found) = self.index.find_entry(hash, |known| *known == slot) {
            found.remove();
            self.free.push(slot);
            self.state_mut(slot).1.iter_mut().for_each(|list| *list = Held::new());
        }
        let entry = self.entry_mut(slot);
        entry.changed = false;
        std::mem::take(&mut entry.key)
    }
}
