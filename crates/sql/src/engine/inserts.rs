//! Rows of a client into a stream or table, many at once.

use super::Engine;
use super::stage::topic_spec;
use super::topics::ensure;
use crate::batch::Batch;
use crate::expression::cast;
use crate::operator::SinkEncoder;
use crate::{Column, ColumnBuilder, Datum, Format, FormatSpec, Origin, Relation, SqlError, SqlType};
use millstream_bus::{Acks, Bus, Record, TopicPartition};
use millstream_format::sql::{Decoded, Decoder, Layout};
use millstream_model::{Clock, Diagnostic, nearest};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stream or table that takes rows. See [`Engine::inserts`].
#[derive(Debug)]
pub struct InsertStream {
    relation: Arc<Relation>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    partitions: i32,
    decoder: Box<dyn Decoder>,
    encoder: SinkEncoder,
}

impl Engine {
    /// Opens a stream or table for rows. `name` counts in upper case unless it stands in backticks.
    pub async fn inserts(&self, name: &str) -> Result<InsertStream, SqlError> {
        let quoted = name.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        let wanted = quoted.map_or_else(|| name.to_uppercase(), str::to_owned);
        let catalog = self.catalog();
        let refuse = |message: String| {
            let mistake = Diagnostic::error("sql-relation", message).label("takes no rows");
            SqlError::Mistakes(vec![match nearest(
                &wanted,
                catalog.relations().map(|relation| &*relation.name),
            ) {
                Some(near) => mistake.help(format!("did you mean {near}?")),
                None => mistake.help("SHOW STREAMS lists what there is"),
            }])
        };
        let Some(relation) = catalog.find(&wanted).cloned() else {
            return Err(refuse(format!("there is no stream or table `{wanted}`")));
        };
        let why = match relation.origin {
            _ if relation.source => Some("is a SOURCE, which is only read"),
            Origin::Query(_) => Some("is filled by a query"),
            _ if relation.is_windowed() => Some("has windows, which only queries make"),
            _ if relation.header_columns().next().is_some() => Some("has columns over headers"),
            Origin::Declared | Origin::ScanGroup => None,
        };
        if let Some(why) = why {
            return Err(refuse(format!("`{wanted}` {why}: rows cannot be inserted")));
        }
        let partitions = ensure(&*self.bus, &topic_spec(&relation, relation.partitions.unwrap_or(1))).await?;
        Ok(InsertStream {
            decoder: json(&relation).decoder(),
            encoder: encoder(&relation),
            bus: self.bus.clone(),
            clock: self.clock.clone(),
            partitions,
            relation,
        })
    }
}

/// All columns of a relation as one JSON object. Dates and times are read as texts, as the API writes them.
fn json(relation: &Relation) -> Layout {
    let columns = relation.columns.iter().map(|column| (column.name.clone(), read_as(column.sql_type)));
    Layout::new(FormatSpec::value(Format::Json), columns.collect())
}

const fn read_as(sql_type: SqlType) -> SqlType {
    match sql_type {
        SqlType::Date | SqlType::Time | SqlType::Timestamp => SqlType::Varchar,
        other => other,
    }
}

/// A date or time that was read as a text: written as one, or as its number of days or milliseconds.
fn temporal(read: &Column, wanted: SqlType) -> Result<Column, String> {
    let number = match read.datum(0) {
        Datum::Varchar(text) => text.parse::<i64>().ok(),
        _ => None,
    };
    let small = |number: i64| i32::try_from(number).ok();
    let value = match (number, wanted) {
        (Some(days), SqlType::Date) => small(days).map(Datum::Date),
        (Some(ms), SqlType::Time) => small(ms).map(Datum::Time),
        (Some(ms), _) => Some(Datum::Timestamp(ms)),
        (None, _) => None,
    };
    let value = match value {
        Some(value) => value,
        None => cast::value(read.datum(0), SqlType::Varchar, wanted).map_err(|fault| fault.to_string())?,
    };
    Ok(Column::constant(&value, wanted, 1))
}

/// An encoder for batches of the relation's own columns.
fn encoder(relation: &Relation) -> SinkEncoder {
    let slots = |key: bool| {
        let of_kind = relation.columns.iter().enumerate().filter(move |(_, column)| column.key == key);
        of_kind.map(|(slot, _)| slot).collect::<Vec<_>>()
    };
    let (key, value) = (relation.key_layout(), relation.value_layout());
    SinkEncoder::new(slots(true), key.as_ref(), slots(false), &value, (None, None), relation.kind)
}

impl InsertStream {
    /// Appends rows, each a JSON object with a value per column, in their order; for each, why it was not. Returns once those
    /// that were taken are on disk.
    pub async fn insert(&mut self, rows: &[String]) -> Vec<Result<(), String>> {
        let mut outcomes = Vec::with_capacity(rows.len());
        let mut batches: BTreeMap<i32, (Vec<usize>, Vec<Record>)> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            match self.record(row) {
                Ok((partition, record)) => {
                    let (indexes, records) = batches.entry(partition).or_default();
                    indexes.push(index);
                    records.push(record);
                    outcomes.push(Ok(()));
                }
                Err(why) => outcomes.push(Err(why)),
            }
        }
        for (partition, (indexes, records)) in batches {
            let to = TopicPartition::new(self.relation.topic.clone(), partition);
            if let Err(error) = self.bus.append(&to, records, Acks::All).await {
                for index in indexes {
                    if let Some(outcome) = outcomes.get_mut(index) {
                        *outcome = Err(format!("writing to `{to}`: {error}"));
                    }
                }
            }
        }
        outcomes
    }

    /// One row as a record, and its partition.
    fn record(&mut self, row: &str) -> Result<(i32, Record), String> {
        let builder = |column: &crate::ColumnSpec| ColumnBuilder::new(read_as(column.sql_type), 1);
        let mut builders: Vec<_> = self.relation.columns.iter().map(builder).collect();
        match self.decoder.decode(row.as_bytes(), &mut builders) {
            Ok(Decoded::Row) => {}
            Ok(_) => return Err("the row is null; it must be an object with a value per column".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
        let mut columns: Vec<Column> = builders.iter_mut().map(ColumnBuilder::finish).collect();
        for (column, read) in self.relation.columns.iter().zip(&mut columns) {
            if read_as(column.sql_type) != column.sql_type {
                *read = temporal(read, column.sql_type).map_err(|why| format!("`{}`: {why}", column.name))?;
            }
        }
        let keys = self.relation.columns.iter().zip(&columns).filter(|(column, _)| column.key);
        for (column, values) in keys {
            if values.datum(0).is_null() {
                return Err(format!("the key column `{}` has no value", column.name));
            }
        }
        let batch = Batch::one(self.clock.now().0).with_columns(columns);
        let (mut encoded, mut faults) = (Vec::new(), Vec::new());
        self.encoder.encode(&batch, self.partitions, &mut encoded, &mut faults);
        if let Some(fault) = faults.pop() {
            return Err(fault.message);
        }
        let one = encoded.pop().ok_or("the row gave no record")?;
        Ok((one.partition, one.record))
    }
}
