//! `millstream read`: one scan, or one after the other.

use crate::cli::Read;
use crate::console::Console;
use crate::device::Device;
use crate::failure::Failure;
use crate::table::Table;
use crate::values;
use millstream_driver::{GroupIndex, Session, SessionError, TagSpec};
use millstream_model::{Row, Status, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// One tag's outcome with `--json`.
#[derive(Debug, Serialize)]
struct ReadObject<'a> {
    connection: String,
    tag: &'a str,
    value: Option<Box<RawValue>>,
    quality: &'a str,
    timestamp_ms: i64,
}

pub(crate) async fn run(arguments: &Read, console: Console) -> Result<(), Failure> {
    let device = Device::parse(&arguments.connection.text, console)?;
    let (tags, _) = device.tags(&arguments.tags, console)?;
    let mut reading = Reading { arguments, device, tags, console, session: None };
    let Some(every) = arguments.watch else {
        let row = reading.scan().await.map_err(|error| reading.device.failure(&error))?;
        reading.show(&row)?;
        return if row.cells.iter().all(millstream_model::Cell::is_good) {
            Ok(())
        } else {
            Err(Failure::Said(1))
        };
    };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
        let scan = tokio::select! {
            scan = reading.scan() => scan,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        match scan {
            Ok(row) => reading.show(&row)?,
            // The device may come back: keep going.
            Err(error) => console.note(format_args!("{}: {error}", reading.device.target.connection)),
        }
    }
}

struct Reading<'a> {
    arguments: &'a Read,
    device: Device,
    tags: Vec<TagSpec>,
    console: Console,
    session: Option<Box<dyn Session>>,
}

impl Reading<'_> {
    /// One scan, over a new connection where there is none.
    async fn scan(&mut self) -> Result<Row, SessionError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => open(&self.device, self.arguments, &self.tags).await?,
        };
        let row = scan(&mut *session, self.tags.len(), self.arguments.connection.timeout).await?;
        self.session = Some(session);
        Ok(row)
    }

    fn show(&self, row: &Row) -> Result<(), Failure> {
        let Timestamp(timestamp_ms) = row.read_at;
        let mut table = Table::new(&["TAG", "#VALUE", "QUALITY"]);
        for (tag, cell) in self.tags.iter().zip(&row.cells) {
            if self.console.json {
                self.console.json(&ReadObject {
                    connection: self.device.target.connection.to_string(),
                    tag: &tag.name,
                    value: cell.value().map(values::to_json),
                    quality: values::quality(cell),
                    timestamp_ms,
                })?;
            } else {
                table.row([tag.name.to_string(), values::shown(cell), values::quality(cell).to_owned()]);
            }
        }
        if self.console.json {
            return Ok(());
        }
        if self.arguments.watch.is_some() {
            self.console.line(row.read_at)?;
        }
        self.console.text(&table.render())
    }
}

async fn open(device: &Device, arguments: &Read, tags: &[TagSpec]) -> Result<Box<dyn Session>, SessionError> {
    let mut session = device.connect(&arguments.connection).await?;
    // Checked before: the grammar of the addresses is right, and what the device itself refuses shows as a bad cell.
    let _ = session.prepare(GroupIndex(0), tags);
    Ok(session)
}

/// One scan of group 0, bounded.
pub(crate) async fn scan(
    session: &mut dyn Session,
    tags: usize,
    patience: std::time::Duration,
) -> Result<Row, SessionError> {
    let mut row = Row::all_bad(Timestamp::default(), tags, Status::BadNotConnected);
    timeout(patience, session.read(GroupIndex(0), &mut row)).await.unwrap_or_else(|_| {
        Err(SessionError::Lost {
            cause: format!("no answer within {patience:?}"),
            status: Status::BadTimeout,
        })
    })?;
    Ok(row)
}
