//! `millstream topic …`: at a running instance, or over the Kafka protocol.

use crate::cli::{Produce, Tail, Topic};
use crate::console::Console;
use crate::failure::Failure;
use crate::table::Table;
use crate::topics::Topics;
use millstream_server::record::{NewRecord, Produced, RecordJson, plain};
use millstream_server::{NewTopic, TailFrom, TailRequest, TopicStatus};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

/// Lines that are appended as one batch.
const BATCH: usize = 500;

pub(crate) async fn run(arguments: &Topic, console: Console) -> Result<(), Failure> {
    match arguments {
        Topic::List { place } => list(&Topics::open(place)?, console).await,
        Topic::Describe { topic, place } => describe(&Topics::open(place)?.describe(topic).await?, console),
        Topic::Create { topic, partitions, compact, set, place } => {
            let configs = set.iter().map(|pair| setting(pair)).collect::<Result<_, _>>()?;
            let new = NewTopic { name: topic.clone(), partitions: *partitions, compact: *compact, configs };
            describe(&Topics::open(place)?.create(new).await?, console)
        }
        Topic::Delete { topic, yes, place } => delete(&Topics::open(place)?, topic, *yes, console).await,
        Topic::Tail(arguments) => tail(arguments, console).await,
        Topic::Produce(arguments) => produce(arguments, console).await,
    }
}

fn setting(pair: &str) -> Result<(String, String), Failure> {
    let (name, value) = pair.split_once('=').ok_or_else(|| {
        Failure::mistake(
            format!("`{pair}` is no setting"),
            "give NAME=VALUE, for example retention.ms=86400000",
        )
    })?;
    Ok((name.to_owned(), value.to_owned()))
}

async fn list(topics: &Topics, console: Console) -> Result<(), Failure> {
    let list = topics.list().await?;
    if console.json {
        return list.iter().try_for_each(|topic| console.json(topic));
    }
    let mut table = Table::new(&["TOPIC", "#PARTITIONS", "#RECORDS", "#RECORDS/S", "#BYTES"]);
    for topic in &list {
        let unknown = || "–".to_owned();
        table.row([
            topic.name.clone(),
            topic.partitions.len().to_string(),
            topic.records.to_string(),
            topic.records_per_second.map_or_else(unknown, |rate| format!("{rate:.1}")),
            topic.size_bytes.map_or_else(unknown, |bytes| bytes.to_string()),
        ]);
    }
    console.text(&table.render())
}

fn describe(topic: &TopicStatus, console: Console) -> Result<(), Failure> {
    if console.json {
        return console.json(topic);
    }
    console.line(format_args!("{}: {} records", topic.name, topic.records))?;
    for (name, value) in &topic.configs {
        console.line(format_args!("  {name} = {value}"))?;
    }
    let mut table = Table::new(&["#PARTITION", "#FIRST", "#NEXT"]);
    for partition in &topic.partitions {
        table.row([
            partition.partition.to_string(),
            partition.earliest.to_string(),
            partition.latest.to_string(),
        ]);
    }
    console.text(&table.render())
}

async fn delete(topics: &Topics, topic: &str, yes: bool, console: Console) -> Result<(), Failure> {
    let records = topics.describe(topic).await?.records;
    if !yes {
        if !console.can_ask() {
            return Err(Failure::mistake(
                "nobody can be asked here",
                "add --yes to delete without a question",
            ));
        }
        if !console.confirm(&format!("Delete `{topic}` with {records} records? They cannot be brought back."))
        {
            return Err(Failure::failed("nothing was deleted"));
        }
    }
    topics.delete(topic).await?;
    if console.json {
        return console.json(&BTreeMap::from([("deleted", topic)]));
    }
    console.line(format_args!("`{topic}` is deleted"))
}

async fn tail(arguments: &Tail, console: Console) -> Result<(), Failure> {
    let (from, count) = match (arguments.from_beginning, arguments.offset) {
        (true, _) => (TailFrom::Earliest, 0),
        (false, Some(offset)) => (TailFrom::Offset, offset),
        (false, None) => (TailFrom::Last, i64::from(arguments.last)),
    };
    let request = TailRequest {
        partition: arguments.partition,
        from,
        count,
        follow: !arguments.no_follow,
        limit: arguments.limit,
    };
    let topics = Topics::open(&arguments.place)?;
    let mut records = topics.tail(&arguments.topic, request).await?;
    loop {
        let record = tokio::select! {
            record = records.next() => record?,
            // The way to end a tail.
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        match record {
            Some(record) if console.json => console.json(&record)?,
            Some(record) => show(&record, console)?,
            None => return Ok(()),
        }
    }
}

fn show(record: &RecordJson, console: Console) -> Result<(), Failure> {
    let time = millstream_model::Timestamp(record.timestamp_ms);
    let (key, value) = (plain(record.key.as_deref()), plain(record.value.as_deref()));
    console.line(format_args!("{time}  {}:{}  {key}  {value}", record.partition, record.offset))
}

async fn produce(arguments: &Produce, console: Console) -> Result<(), Failure> {
    let topics = Topics::open(&arguments.place)?;
    let mut given = arguments.values.iter().cloned().map(Ok);
    let mut typed = std::io::stdin().lines();
    let lines: &mut dyn Iterator<Item = std::io::Result<String>> =
        if arguments.values.is_empty() { &mut typed } else { &mut given };
    let (mut batch, mut count, mut number) = (Vec::new(), 0, 0_usize);
    for line in lines {
        number += 1;
        let line = line.map_err(|error| Failure::failed(format!("cannot read the input: {error}")))?;
        batch.push(record(arguments, &line, number, console.json)?);
        if batch.len() >= BATCH {
            count += append(&topics, &arguments.topic, std::mem::take(&mut batch), console).await?;
        }
    }
    if !batch.is_empty() {
        count += append(&topics, &arguments.topic, batch, console).await?;
    }
    if !console.json {
        let word = if count == 1 { "record is" } else { "records are" };
        console.note(format_args!("{count} {word} in `{}`", arguments.topic));
    }
    Ok(())
}

/// With `--json` a line is a whole record; otherwise it is a value.
fn record(arguments: &Produce, line: &str, number: usize, json: bool) -> Result<NewRecord, Failure> {
    let text = |text: &str| -> Result<Box<RawValue>, Failure> {
        to_raw_value(text).map_err(|error| Failure::failed(error.to_string()))
    };
    let mut record = if json {
        serde_json::from_str(line).map_err(|error| {
            Failure::mistake(
                format!("line {number} is no record: {error}"),
                r#"with --json a line is {"key":…,"value":…}; without it the line is the value"#,
            )
        })?
    } else {
        NewRecord { value: Some(text(line)?), ..NewRecord::default() }
    };
    if let Some(key) = &arguments.key {
        record.key = Some(text(key)?);
    }
    Ok(record)
}

async fn append(
    topics: &Topics,
    topic: &str,
    batch: Vec<NewRecord>,
    console: Console,
) -> Result<usize, Failure> {
    let produced: Vec<Produced> = topics.produce(topic, batch).await?;
    if console.json {
        produced.iter().try_for_each(|place| console.json(place))?;
    }
    Ok(produced.len())
}
