//! Incremental fetch sessions (KIP-227): a client names its partitions once, and then only what changes; the answers leave out
//! partitions of which there is nothing to say.
//!
//! A session is known by its id and counts its requests; a request out of turn ends it, and the client begins a full one. There is a
//! bounded number of sessions; a new one may take the place of one that was not used for [`EVICTION_AGE`], or of a smaller one of
//! that age. Where there is no place, the client goes on without a session.

use crate::wire::limits;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest};
use kafka_protocol::messages::fetch_response::PartitionData;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// The epoch of a request that begins a session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request without a session.
pub(crate) const FINAL_EPOCH: i32 = -1;
/// No session.
pub(crate) const NO_SESSION: i32 = 0;
/// From this age on a session may give way to others (`min.incremental.fetch.session.eviction.ms`).
const EVICTION_AGE: Duration = Duration::from_mins(2);

/// What a client fetches of one partition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) at: Key,
    pub(crate) offset: i64,
    pub(crate) max_bytes: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
}

/// A partition as the client names it: with the topic's name or its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) name: TopicName,
    pub(crate) id: Uuid,
    pub(crate) partition: i32,
}

impl Wanted {
    fn new(name: &TopicName, id: Uuid, asked: &FetchPartition) -> Self {
        Self {
            at: Key { name: name.clone(), id, partition: asked.partition },
            offset: asked.fetch_offset,
            max_bytes: asked.partition_max_bytes,
            leader_epoch: asked.current_leader_epoch,
            last_fetched_epoch: asked.last_fetched_epoch,
        }
    }
}

/// A request in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetching {
    /// Without one.
    Sessionless,
    /// It begins one; whether the topics have ids.
    Full { by_id: bool },
    /// The next one of the session with this id.
    Incremental(i32),
}

#[derive(Debug)]
struct Session {
    by_id: bool,
    /// The epoch of the next request.
    epoch: i32,
    created_at: Instant,
    used_at: Instant,
    /// In the order in which partitions are read: those that were served last come last.
    turns: BTreeMap<u64, Entry>,
    by_key: FxHashMap<Key, u64>,
    next_turn: u64,
}

#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    /// What the client was told last; -1 for nothing.
    high_watermark: i64,
    log_start_offset: i64,
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    by_id: FxHashMap<i32, Session>,
    last_id: i32,
    /// Of all sessions together.
    partitions: usize,
}

impl FetchSessions {
    /// None yet. `seed` is where ids begin: a client from before a restart must not meet another one's session.
    pub(crate) fn new(seed: i64) -> Self {
        let last_id = i32::try_from(seed.rem_euclid(i64::from(i32::MAX))).unwrap_or(0);
        Self { by_id: FxHashMap::default(), last_id, partitions: 0 }
    }

    /// Takes a request in, and says what it fetches all in all. An error is one of the whole request.
    pub(crate) fn begin(
        &mut self,
        request: &FetchRequest,
        by_id: bool,
        now: Instant,
    ) -> Result<(Fetching, Vec<Wanted>), ResponseError> {
        let (id, epoch) = (request.session_id, request.session_epoch);
        let asked = request.topics.iter().flat_map(move |topic| {
            let wanted = |partition| Wanted::new(&topic.topic, topic.topic_id, partition);
            topic.partitions.iter().map(wanted)
        });
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            self.remove(id);
            let fetching =
                if epoch == FINAL_EPOCH { Fetching::Sessionless } else { Fetching::Full { by_id } };
            return Ok((fetching, asked.collect()));
        }
        let session = self.by_id.get_mut(&id).ok_or(ResponseError::FetchSessionIdNotFound)?;
        if session.epoch != epoch {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Err(ResponseError::FetchSessionTopicIdError);
        }
        let before = session.turns.len();
        asked.clone().for_each(|wanted| session.put(wanted));
        for topic in &request.forgotten_topics_data {
            for partition in &topic.partitions {
                let name = topic.topic.clone();
                session.forget(&Key { name, id: topic.topic_id, partition: *partition });
            }
        }
        session.used_at = now;
        session.epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        let wanted: Vec<_> = session.turns.values().map(|entry| entry.wanted.clone()).collect();
        let after = session.turns.len();
        self.partitions = (self.partitions + after).saturating_sub(before);
        if wanted.is_empty() || self.partitions > limits::FETCH_SESSION_PARTITIONS {
            self.remove(id);
            return Ok((Fetching::Sessionless, if wanted.is_empty() { asked.collect() } else { wanted }));
        }
        Ok((Fetching::Incremental(id), wanted))
    }

    /// Takes the answer in and leaves out of it what the client knows; the id of the session, for the client.
    pub(crate) fn end(
        &mut self,
        fetching: Fetching,
        answers: &mut Vec<(Wanted, PartitionData)>,
        now: Instant,
    ) -> i32 {
        match fetching {
            Fetching::Sessionless => NO_SESSION,
            Fetching::Full { by_id } => self.create(by_id, answers, now),
            Fetching::Incremental(id) => {
                let Some(session) = self.by_id.get_mut(&id) else {
                    // Another request has ended it meanwhile; this one was in turn.
                    return id;
                };
                answers.retain(|(wanted, data)| session.note(&wanted.at, data));
                id
            }
        }
    }

    /// A new session, where there is room for it.
    fn create(&mut self, by_id: bool, answers: &[(Wanted, PartitionData)], now: Instant) -> i32 {
        let has_room = |sessions: &Self| {
            sessions.by_id.len() < limits::FETCH_SESSIONS
                && sessions.partitions + answers.len() <= limits::FETCH_SESSION_PARTITIONS
        };
        while !has_room(self) {
            let Some(id) = self.evictable(answers.len(), now) else { return NO_SESSION };
            self.remove(id);
        }
        if answers.is_empty() {
            return NO_SESSION;
        }
        let mut session = Session {
            by_id,
            epoch: INITIAL_EPOCH + 1,
            created_at: now,
            used_at: now,
            turns: BTreeMap::new(),
            by_key: FxHashMap::default(),
            next_turn: 0,
        };
        for (wanted, data) in answers {
            session.put(wanted.clone());
            session.note(&wanted.at, data);
        }
        loop {
            self.last_id = if self.last_id == i32::MAX { 1 } else { self.last_id + 1 };
            if !self.by_id.contains_key(&self.last_id) {
                break;
            }
        }
        self.partitions += session.turns.len();
        self.by_id.insert(self.last_id, session);
        self.last_id
    }

    /// The session that gives way to one of `size` partitions.
    fn evictable(&self, size: usize, now: Instant) -> Option<i32> {
        let (oldest, session) = self.by_id.iter().min_by_key(|(_, session)| session.used_at)?;
        if now.saturating_duration_since(session.used_at) > EVICTION_AGE {
            return Some(*oldest);
        }
        let is_old = |session: &Session| now.saturating_duration_since(session.created_at) > EVICTION_AGE;
        let smaller = self.by_id.iter().filter(|(_, session)| is_old(session) && session.turns.len() < size);
        smaller.min_by_key(|(_, session)| session.turns.len()).map(|(id, _)| *id)
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.by_id.remove(&id) {
            self.partitions = self.partitions.saturating_sub(session.turns.len());
        }
    }
}

impl Session {
    /// Adds a partition, or changes what is fetched of it.
    fn put(&mut self, wanted: Wanted) {
        if let Some(entry) = self.by_key.get(&wanted.at).and_then(|turn| self.turns.get_mut(turn)) {
            entry.wanted = wanted;
            return;
        }
        self.next_turn += 1;
        self.by_key.insert(wanted.at.clone(), self.next_turn);
        self.turns.insert(self.next_turn, Entry { wanted, high_watermark: -1, log_start_offset: -1 });
    }

    fn forget(&mut self, key: &Key) {
        if let Some(turn) = self.by_key.remove(key) {
            self.turns.remove(&turn);
        }
    }

    /// Notes what the client is told of a partition; whether there is anything that it does not know.
    fn note(&mut self, key: &Key, data: &PartitionData) -> bool {
        let Some(turn) = self.by_key.get(key).copied() else { return true };
        let Some(mut entry) = self.turns.remove(&turn) else { return true };
        let has_records = data.records.as_ref().is_some_and(|records| !records.is_empty());
        let is_news = has_records
            || data.error_code != 0
            || data.high_watermark != entry.high_watermark
            || data.log_start_offset != entry.log_start_offset
            || data.diverging_epoch.end_offset >= 0;
        // After an error the next answer tells everything, even where nothing has changed.
        entry.high_watermark = if data.error_code == 0 { data.high_watermark } else { -1 };
        entry.log_start_offset = data.log_start_offset;
        let turn = if has_records {
            self.next_turn += 1;
            self.by_key.insert(key.clone(), self.next_turn);
            self.next_turn
        } else {
            turn
        };
        self.turns.insert(turn, entry);
        is_news
    }
}

#[cfg(test)]
mod tests;
