//! A file beside a partition's segments for whoever makes something of its batches: what was made of all before an offset,
//! so that a start need not read them again. The log does not look into it.

use super::{Partition, State};
use crate::LogError;
use crate::batch::{Batch, BatchHeader};
use crate::metafile;
use crate::reserve::Need;
use crate::segment::{SegmentName, Step, Walk};
use std::ops::ControlFlow;

const KIND: &str = "sidecar";
const VERSION: u32 = 1;
/// Bytes read at a time where only headers are looked at.
const HEADER_CHUNK_BYTES: usize = 4 << 10;

/// What [`Partition::scan`] finds.
#[derive(Debug)]
pub enum Scanned {
    /// A batch of data: its header, whose checksum was not looked at.
    Header(BatchHeader),
    /// A control batch, whole and sound.
    Control(Batch),
}

impl Partition {
    /// Puts `lines` into the file `name`, in one step and durably, after everything before `covered` is on disk.
    /// [`LogError::Fenced`] where any of that was lost.
    pub fn write_sidecar(&self, name: &str, lines: &str, covered: i64) -> Result<(), LogError> {
        let keeper = self.keeper.lock();
        self.sync_kept(&keeper)?;
        if !self.state.lock().is_kept(covered) {
            return Err(self.fenced(format!("records before {covered} were lost with it")));
        }
        let path = self.dir.join(name);
        let text = metafile::seal(KIND, VERSION, lines);
        let mut written = metafile::replace(&*self.shared.disk, &path, &text);
        while matches!(written, Err(LogError::DiskFull { .. })) && self.shared.reserve.give(Need::Bookkeeping)
        {
            written = metafile::replace(&*self.shared.disk, &path, &text);
        }
        written
    }

    /// The lines of the file `name`; `None` where there is none, or it is damaged.
    pub fn read_sidecar(&self, name: &str) -> Result<Option<String>, LogError> {
        let path = self.dir.join(name);
        let Some(text) = metafile::read(&*self.shared.disk, &path)? else { return Ok(None) };
        match metafile::unseal(KIND, VERSION, &text) {
            Ok(lines) => Ok(Some(lines.collect::<Vec<_>>().join("\n"))),
            Err(bad) => {
                tracing::warn!(path = %path.display(), ?bad, "what was noted cannot be used and is made anew");
                Ok(None)
            }
        }
    }

    /// Where the segment begins that is being written: retention and compaction take nothing behind it.
    pub fn active_from(&self) -> i64 {
        self.state.lock().active.base_offset
    }

    /// Shows `work` every batch from the one that holds `from` on, mostly without reading its records, until it breaks off.
    /// Damaged ones are passed over.
    pub fn scan(&self, from: i64, mut work: impl FnMut(Scanned) -> ControlFlow<()>) -> Result<(), LogError> {
        let mut wanted = from.max(self.range().earliest);
        let mut sound = true;
        while wanted < i64::MAX
            && let Some(place) = self.place_of(wanted, wanted)?
        {
            let begun = self.walk_at(&place, wanted, HEADER_CHUNK_BYTES);
            match begun.and_then(|mut walk| self.scan_segment(&mut walk, place.name, &mut wanted, &mut work))
            {
                Ok(whole) => {
                    sound &= whole;
                    wanted = wanted.max(place.extent.next_offset);
                }
                // Retention or compaction was faster: from here on in what is there now.
                Err(error) => {
                    self.check_read_error(&place, wanted, error)?;
                    wanted = wanted.max(self.range().earliest);
                }
            }
        }
        if !sound {
            tracing::warn!(topic = self.topic, partition = self.number, "damaged batches were passed over");
        }
        Ok(())
    }

    /// Whether everything was sound.
    fn scan_segment(
        &self,
        walk: &mut Walk,
        name: SegmentName,
        wanted: &mut i64,
        work: &mut impl FnMut(Scanned) -> ControlFlow<()>,
    ) -> Result<bool, LogError> {
        let mut sound = true;
        loop {
            let io = |error| LogError::io("read", &name.log_path(&self.dir), error);
            let found = match walk.next_header().map_err(io)? {
                Some(header) => Scanned::Header(header),
                None => match self.step(walk, name)? {
                    Step::Batch(_, batch) if batch.header.is_control() => Scanned::Control(batch),
                    Step::Batch(_, batch) => Scanned::Header(batch.header),
                    Step::Damaged { .. } => {
                        sound = false;
                        continue;
                    }
                    Step::End => return Ok(sound),
                },
            };
            let header = match &found {
                Scanned::Header(header) => header,
                Scanned::Control(batch) => &batch.header,
            };
            if header.last_offset() >= *wanted {
                *wanted = header.next_offset();
                if work(found).is_break() {
                    *wanted = i64::MAX;
                    return Ok(sound);
                }
            }
        }
    }
}

impl State {
    /// Whether everything before `offset` is on disk, and was not lost meanwhile.
    fn is_kept(&self, offset: i64) -> bool {
        let last = offset.saturating_sub(1);
        offset <= self.durable.next_offset && !self.lost.iter().any(|lost| lost.contains(&last))
    }
}
