//! One scan group of a running device: its deadlines, its row, and which of its tags the device can be asked for.

use super::GroupConfig;
use super::beat::Beat;
use crate::{GroupIndex, Instant, Session, SessionError, TagProblem, TagSpec};
use millstream_model::{Cell, Clock, Row, Status, Timestamp};

/// One scan group at run time. The row is allocated once.
#[derive(Debug)]
pub(super) struct ScanGroup {
    pub(super) index: GroupIndex,
    pub(super) beat: Beat,
    pub(super) row: Row,
    tags: Vec<TagSpec>,
    readable: Readable,
}

/// Which tags the session takes.
#[derive(Debug)]
enum Readable {
    /// All of them.
    Whole,
    /// These; the others stay bad.
    Part { indexes: Vec<usize>, row: Row },
    /// None.
    Nothing,
}

impl ScanGroup {
    pub(super) fn new(index: GroupIndex, config: GroupConfig, start: Instant) -> Self {
        let row = Row::all_bad(Timestamp::default(), config.tags.len(), Status::BadNotConnected);
        let beat = Beat::new(start, config.interval);
        Self { index, beat, row, tags: config.tags, readable: Readable::Nothing }
    }

    /// Plans the group for a new session. Tags with a mistake are left out and stay bad; they never cost the others.
    pub(super) fn prepare(&mut self, device: &str, session: &mut dyn Session) {
        self.row.reset(self.tags.len(), Status::BadConfigurationError);
        let Err(problems) = session.prepare(self.index, &self.tags) else {
            self.readable = Readable::Whole;
            return;
        };
        for TagProblem { tag, diagnostic } in &problems {
            let name = tag.and_then(|tag| self.tags.get(tag)).map_or("", |tag| &*tag.name);
            tracing::warn!(device, tag = name, "{}", diagnostic.message);
        }
        let spoiled = |index: &usize| problems.iter().any(|problem| problem.tag == Some(*index));
        let indexes: Vec<usize> = (0..self.tags.len()).filter(|index| !spoiled(index)).collect();
        let tags: Vec<TagSpec> = indexes.iter().filter_map(|index| self.tags.get(*index)).cloned().collect();
        let hopeless = tags.is_empty() || problems.iter().any(|problem| problem.tag.is_none());
        self.readable = if hopeless || session.prepare(self.index, &tags).is_err() {
            Readable::Nothing
        } else {
            Readable::Part {
                indexes,
                row: Row::all_bad(Timestamp::default(), tags.len(), Status::BadNotConnected),
            }
        };
    }

    /// One scan into the row.
    pub(super) async fn read(
        &mut self,
        session: &mut dyn Session,
        clock: &dyn Clock,
    ) -> Result<(), SessionError> {
        match &mut self.readable {
            Readable::Whole => session.read(self.index, &mut self.row).await?,
            Readable::Part { indexes, row } => {
                session.read(self.index, row).await?;
                self.row.read_at = row.read_at;
                if row.cells.len() != indexes.len() {
                    self.row.reset(self.tags.len(), Status::BadUnexpectedError);
                    return Ok(());
                }
                for (index, cell) in indexes.iter().zip(&mut row.cells) {
                    if let Some(target) = self.row.cells.get_mut(*index) {
                        *target = std::mem::replace(cell, Cell::Bad(Status::BadNotConnected));
                    }
                }
            }
            Readable::Nothing => self.row.read_at = clock.now(),
        }
        // A session that breaks its word must not shift values to other tags.
        if self.row.cells.len() != self.tags.len() {
            self.row.reset(self.tags.len(), Status::BadUnexpectedError);
        }
        Ok(())
    }

    /// Every cell bad.
    pub(super) fn lose(&mut self, at: Timestamp, status: Status) {
        self.row.read_at = at;
        self.row.reset(self.tags.len(), status);
    }

    /// How many cells of the row are bad.
    pub(super) fn bad_cells(&self) -> u64 {
        self.row.cells.iter().filter(|cell| matches!(cell, Cell::Bad(_))).count() as u64
    }
}
