//! Letting go of records: by age, by size, and when asked.

use super::{Partition, State};
use crate::LogError;
use crate::config::TopicConfig;
use crate::segment::ClosedSegment;

impl Partition {
    /// Deletes every record before `offset`; durable when it returns. `offset` may be the next one at most.
    pub fn delete_before(&self, offset: i64) -> Result<(), LogError> {
        let keeper = self.keeper.lock();
        // What is not durable yet cannot be noted.
        self.sync_kept(&keeper)?;
        {
            let mut state = self.state.lock();
            if offset > state.durable.next_offset {
                return Err(LogError::OffsetOutOfRange {
                    topic: self.topic.clone(),
                    partition: self.number,
                    offset,
                    earliest: state.start_offset,
                    next: state.durable.next_offset,
                });
            }
            if offset <= state.start_offset && state.unnoted_bytes != u64::MAX {
                return Ok(());
            }
            state.start_offset = state.start_offset.max(offset);
            state.unnoted_bytes = u64::MAX;
            if offset == state.active.next_offset && state.active.size_bytes > 0 {
                self.roll(&mut state)?;
            }
        }
        self.sync_kept(&keeper)?;
        self.state.lock().drop_before_start();
        self.note(&keeper)
    }

    /// Closes the active segment where it is old, and deletes closed ones by the topic's settings.
    pub(crate) fn retain(&self) -> Result<(), LogError> {
        let keeper = self.keeper.lock();
        let config = self.config();
        let now_ms = self.shared.retention_now_ms();
        {
            let mut state = self.state.lock();
            self.check_writable(&state)?;
            if state.active_is_old(&config, now_ms) {
                self.roll(&mut state)?;
            }
        }
        self.sync_kept(&keeper)?;
        let deleted = {
            let mut state = self.state.lock();
            if !config.cleanup.delete {
                return Ok(());
            }
            state.start_offset = state.start_offset.max(state.retained_from(&config, now_ms));
            state.drop_before_start()
        };
        if deleted == 0 {
            return Ok(());
        }
        tracing::info!(topic = self.topic, partition = self.number, segments = deleted, "retention");
        self.note(&keeper)
    }
}

impl State {
    fn active_is_old(&self, config: &TopicConfig, now_ms: i64) -> bool {
        let aged = now_ms.saturating_sub(self.active.began_at) >= config.segment_ms;
        let newest = self.active.index.newest_timestamp();
        let expired = config.cleanup.delete
            && newest >= 0
            && config.retention_ms.is_some_and(|keep_ms| now_ms.saturating_sub(newest) > keep_ms);
        self.active.size_bytes > 0 && (aged || expired)
    }

    /// The first offset that age and size let stay.
    fn retained_from(&self, config: &TopicConfig, now_ms: i64) -> i64 {
        let mut bytes =
            self.closed.iter().map(|segment| segment.size_bytes).sum::<u64>() + self.active.size_bytes;
        let mut from = self.start_offset;
        for segment in &self.closed {
            let too_old =
                config.retention_ms.is_some_and(|keep_ms| now_ms.saturating_sub(age_from(segment)) > keep_ms);
            let too_much =
                config.retention_bytes.is_some_and(|keep| bytes.saturating_sub(segment.size_bytes) >= keep);
            let durable = segment.name.base_offset < self.durable.base_offset;
            if !durable || !(too_old || too_much) {
                break;
            }
            bytes -= segment.size_bytes;
            from = segment.next_offset;
        }
        from
    }

    /// Takes closed segments out that end before the first offset; how many.
    fn drop_before_start(&mut self) -> usize {
        let (start, durable) = (self.start_offset, self.durable.base_offset);
        let gone =
            |segment: &ClosedSegment| segment.next_offset <= start && segment.name.base_offset < durable;
        let count = self.closed.iter().take_while(|segment| gone(segment)).count();
        self.obsolete.extend(self.closed.drain(..count).map(|segment| segment.name));
        count
    }
}

/// From when a segment's age counts: from its newest record, but not from later than it was closed, since a source whose
/// clock is years ahead would otherwise keep it for years.
fn age_from(segment: &ClosedSegment) -> i64 {
    if segment.newest_timestamp < 0 {
        segment.closed_at
    } else {
        segment.newest_timestamp.min(segment.closed_at)
    }
}
