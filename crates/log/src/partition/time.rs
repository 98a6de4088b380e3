//! Looking up records by their time.

use super::read::Place;
use super::{FoundByTime, Partition};
use crate::segment::Step;
use crate::{LogError, limits};

impl Partition {
    /// The first record whose timestamp is at least `timestamp_ms`; `None` where all are older.
    pub fn offset_for_time(&self, timestamp_ms: i64) -> Result<Option<FoundByTime>, LogError> {
        let mut wanted = 0;
        loop {
            wanted = wanted.max(self.range().earliest);
            let Some(place) = self.place_of(wanted, wanted)? else { return Ok(None) };
            match self.find_time(&place, timestamp_ms) {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => wanted = place.extent.next_offset,
                Err(error) => self.check_read_error(&place, wanted, error)?,
            }
        }
    }

    /// The first of the records with the newest timestamp; `None` where no record has one.
    pub fn newest_by_time(&self) -> Result<Option<FoundByTime>, LogError> {
        let mut places = Vec::new();
        let mut wanted = self.range().earliest;
        while let Some(place) = self.place_of(wanted, wanted)? {
            wanted = place.extent.next_offset;
            places.push((self.newest_timestamp(&place), place));
        }
        places.sort_by_key(|(newest, _)| std::cmp::Reverse(*newest));
        let mut best: Option<FoundByTime> = None;
        for (newest, place) in places {
            if newest < 0 || best.is_some_and(|best| best.timestamp >= newest) {
                break;
            }
            let found = match self.find_time(&place, newest) {
                // What is noted as newest was cut off or deleted since.
                Ok(None) => self.scan_newest(&place),
                found => found,
            };
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    self.check_read_error(&place, wanted, error)?;
                    None
                }
            };
            if let Some(found) = found
                && best.is_none_or(|best| found.timestamp > best.timestamp)
            {
                best = Some(found);
            }
        }
        Ok(best)
    }

    /// The newest timestamp in a segment, as it is noted.
    fn newest_timestamp(&self, place: &Place) -> i64 {
        let state = self.state.lock();
        let closed = state.closed.iter().find(|segment| segment.name == place.name);
        closed.map_or(state.active.index.newest_timestamp(), |segment| segment.newest_timestamp)
    }

    /// Goes through a whole segment for its newest timestamp, and finds it.
    fn scan_newest(&self, place: &Place) -> Result<Option<FoundByTime>, LogError> {
        let start_offset = self.state.lock().start_offset;
        let begin = (0, place.name.base_offset);
        let mut walk = self.walk(place.name, place.extent, begin, limits::SCAN_BYTES)?;
        let mut newest = None;
        loop {
            match self.step(&mut walk, place.name)? {
                Step::Batch(_, batch) if batch.header.last_offset() >= start_offset => {
                    let records = batch.records().unwrap_or_default();
                    let times = records.iter().filter(|record| record.offset >= start_offset);
                    newest = newest.max(times.map(|record| record.timestamp).max());
                }
                Step::Batch(..) | Step::Damaged { .. } => {}
                Step::End => break,
            }
        }
        newest.filter(|newest| *newest >= 0).map_or(Ok(None), |newest| self.find_time(place, newest))
    }

    fn find_time(&self, place: &Place, timestamp_ms: i64) -> Result<Option<FoundByTime>, LogError> {
        if self.newest_timestamp(place) < timestamp_ms {
            return Ok(None);
        }
        let (begin, start_offset) = {
            let state = self.state.lock();
            // It may have been closed since.
            let is_active = state.active.name() == place.name;
            let begin = is_active.then(|| state.active.index.position_of_time(timestamp_ms));
            (begin, state.start_offset)
        };
        let begin = match begin {
            Some(begin) => begin,
            None => self.closed_index(place)?.position_of_time(timestamp_ms),
        };
        let mut walk = self.walk(place.name, place.extent, begin, limits::SCAN_BYTES / 16)?;
        loop {
            let batch = match self.step(&mut walk, place.name)? {
                Step::End => return Ok(None),
                Step::Damaged { .. } => continue,
                Step::Batch(_, batch) => batch,
            };
            if batch.header.max_timestamp < timestamp_ms || batch.header.last_offset() < start_offset {
                continue;
            }
            // Records that cannot be decompressed are the reader's trouble; it begins with their batch.
            let first =
                FoundByTime { offset: batch.header.base_offset, timestamp: batch.header.max_timestamp };
            let Ok(records) = batch.records() else { return Ok(Some(first)) };
            let found = records
                .into_iter()
                .find(|record| record.timestamp >= timestamp_ms && record.offset >= start_offset);
            if let Some(record) = found {
                return Ok(Some(FoundByTime { offset: record.offset, timestamp: record.timestamp }));
            }
        }
    }
}
