//! How many tags one Modbus TCP connection reads, decoded into cells and encoded as records.
//!
//! usage: `modbus_rate PORT TAGS SCANS IN_FLIGHT`; prints: values seconds `cpu_seconds`

use millstream_driver::{ConnectionString, Driver, GroupIndex, SessionContext, TagSpec};
use millstream_format::row::RowEncoder;
use millstream_model::{Cell, Clock, Row, Status, Timestamp, Value};
use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

/// Rows are stamped, but nobody looks at the stamps here.
#[derive(Debug)]
struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [port, tag_count, scans, in_flight] = numbers[..] else {
        return Err("usage: modbus_rate PORT TAGS SCANS IN_FLIGHT".into());
    };
    let connection = format!("modbus-tcp://127.0.0.1:{port}?max-in-flight={in_flight}");
    let connection = ConnectionString::parse(&connection).map_err(|mistake| mistake.message)?;
    let driver = millstream_modbus::driver();
    let target = driver.target(connection).map_err(|mistakes| format!("{mistakes:?}"))?;
    let context = SessionContext { in_flight_max: in_flight, ..SessionContext::new(Arc::new(Epoch)) };
    let mut session = driver.connect(&target, context).await?;

    let tags: Vec<TagSpec> = (0..tag_count)
        .map(|tag| TagSpec::new(format!("t{tag}"), format!("holding-register:{}:UINT", tag + 1)))
        .collect();
    let group = GroupIndex(0);
    session.prepare(group, &tags).map_err(|problems| format!("{problems:?}"))?;
    let encoder = RowEncoder::new(tags.iter().map(|tag| &*tag.name));
    let mut row = Row::all_bad(Timestamp(0), tags.len(), Status::BadNotConnected);
    let mut record = Vec::new();

    let (wall, cpu) = (Instant::now(), cpu_seconds()?);
    for _ in 0..scans {
        session.read(group, &mut row).await?;
        record.clear();
        encoder.encode(&mut record, |tag| Cow::Borrowed(&row.cells[tag]));
    }
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    let last = u64::try_from(tag_count - 1)?;
    if row.cells.last() != Some(&Cell::Good(Value::UInt(last))) {
        return Err("wrong values".into());
    }
    writeln!(std::io::stdout(), "{} {wall} {cpu}", tag_count * scans)?;
    Ok(())
}

/// CPU time of this process so far, from `/proc/self/schedstat` (nanoseconds on a processor; one thread does the work).
fn cpu_seconds() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/schedstat")?;
    Ok(stat.split_whitespace().next().unwrap_or_default().parse::<f64>()? / 1e9)
}
