//! The commands that were here before, as far as memory is given.

use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::sync::Arc;

/// The last `limit` pairs of command id and tag.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    limit: usize,
    known: FxHashSet<Key>,
    order: VecDeque<Key>,
}

type Key = (Arc<str>, Arc<str>);

impl Seen {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, known: FxHashSet::default(), order: VecDeque::new() }
    }

    /// `false` where the pair is known already.
    pub(super) fn insert(&mut self, id: &Arc<str>, tag: &Arc<str>) -> bool {
        let key = (id.clone(), tag.clone());
        if !self.known.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    pub(super) fn remove(&mut self, id: &Arc<str>, tag: &Arc<str>) {
        let key = (id.clone(), tag.clone());
        if self.known.remove(&key) {
            // It was added lately, so it is found soon from the back.
            if let Some(at) = self.order.iter().rposition(|known| *known == key) {
                self.order.remove(at);
            }
        }
    }
}
