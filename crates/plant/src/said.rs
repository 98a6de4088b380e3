//! What a user said about devices, with places, before anything is checked against drivers or other devices.

use crate::keys;
use crate::limits;
use crate::section::{Mistakes, Said, Section, join};
use crate::simulate::{self, SaidSimulate};
use crate::text::Text;
use crate::tree::{Entry, Kind};
use crate::value::{Bounds, Value};
use millstream_connect::plc_source::Layout;
use millstream_driver::simulate::Signal;
use millstream_model::{Diagnostic, Span};
use std::sync::Arc;
use std::time::Duration;

/// A device as it was said.
#[derive(Debug)]
pub(crate) struct SaidDevice {
    pub(crate) name: Text,
    /// The dotted path of its table.
    pub(crate) key: String,
    /// Its header, or its row.
    pub(crate) span: Span,
    /// The template it comes from.
    pub(crate) template: Option<Arc<str>>,
    pub(crate) connection: Option<Said<Text>>,
    pub(crate) asset: Option<Said<Text>>,
    pub(crate) requests_per_second: Option<Said<f64>>,
    pub(crate) requests_in_flight: Option<Said<i64>>,
    pub(crate) connect_timeout: Option<Said<Duration>>,
    pub(crate) scan_timeout: Option<Said<Duration>>,
    pub(crate) groups: Vec<SaidGroup>,
    pub(crate) writes: Option<SaidWrites>,
    pub(crate) simulate: Option<SaidSimulate>,
}

/// A scan group as it was said.
#[derive(Debug)]
pub(crate) struct SaidGroup {
    pub(crate) name: Text,
    pub(crate) key: String,
    pub(crate) span: Span,
    pub(crate) interval: Option<Said<Duration>>,
    pub(crate) topic: Option<Said<Text>>,
    pub(crate) on_change: Option<Said<bool>>,
    pub(crate) layout: Option<Said<Layout>>,
    pub(crate) max_interval: Option<Said<Duration>>,
    pub(crate) deadband: Option<Said<f64>>,
    pub(crate) tags: Vec<SaidTag>,
}

/// A tag as it was said.
#[derive(Debug)]
pub(crate) struct SaidTag {
    pub(crate) name: Said<Text>,
    pub(crate) address: Option<Said<Text>>,
    pub(crate) scale: Option<Said<f64>>,
    pub(crate) offset: Option<Said<f64>>,
    pub(crate) deadband: Option<Said<f64>>,
    pub(crate) unit: Option<Said<Text>>,
    pub(crate) simulate: Option<Said<Signal>>,
}

/// What may be written, as it was said.
#[derive(Debug)]
pub(crate) struct SaidWrites {
    pub(crate) topic: Option<Said<Text>>,
    pub(crate) rules: Vec<SaidRule>,
}

/// A write rule as it was said.
#[derive(Debug)]
pub(crate) struct SaidRule {
    pub(crate) name: Said<Text>,
    pub(crate) address: Option<Said<Text>>,
    pub(crate) scale: Option<Said<f64>>,
    pub(crate) offset: Option<Said<f64>>,
    pub(crate) min: Option<Said<f64>>,
    pub(crate) max: Option<Said<f64>>,
    pub(crate) max_step: Option<Said<f64>>,
    pub(crate) min_interval: Option<Said<Duration>>,
    pub(crate) max_age: Option<Said<Duration>>,
    pub(crate) verify: Option<Said<bool>>,
    pub(crate) simulate: Option<Said<Signal>>,
    /// Whether it is known to have no limits.
    pub(crate) unlimited: bool,
}

/// Where tags of a list come from: reads the file that a group names.
pub(crate) type TagLists<'a> = &'a mut dyn FnMut(&Said<Text>, &mut Mistakes) -> Vec<SaidTag>;

/// A device's table. `None` where it is no table at all.
pub(crate) fn device(
    value: &Value<'_>,
    template: Option<Arc<str>>,
    lists: TagLists<'_>,
    out: &mut Mistakes,
) -> Option<SaidDevice> {
    let mut section = Section::open(value, &keys::DEVICE, out)?;
    let connection = section.require("connection").and_then(|value| value.text(out));
    let asset = section.take("asset").and_then(|value| value.text(out));
    let requests_per_second =
        section.take("requests_per_second").and_then(|v| v.number(Bounds::Positive(100_000.0), out));
    let requests_in_flight = section.take("requests_in_flight").and_then(|v| v.integer(1..=64, out));
    let timeouts = Duration::from_millis(10)..=Duration::from_mins(5);
    let connect_timeout = section.take("connect_timeout").and_then(|v| v.duration(timeouts, out));
    let scans = Duration::from_millis(10)..=Duration::from_hours(1);
    let scan_timeout = section.take("scan_timeout").and_then(|v| v.duration(scans, out));
    let groups = named(section.take("groups"), "scan groups by name", out)
        .iter()
        .filter_map(|value| group(value, lists, out))
        .collect();
    let writes = section.take("writes").and_then(|value| writes(&value, out));
    let simulate = section.take("simulate").and_then(|value| simulate::device(&value, out));
    let (key, span) = (section.key.clone(), section.span.clone());
    section.finish(out);
    Some(SaidDevice {
        name: value.name.clone(),
        key,
        span,
        template,
        connection,
        asset,
        requests_per_second,
        requests_in_flight,
        connect_timeout,
        scan_timeout,
        groups,
        writes,
        simulate,
    })
}

/// The values of a table whose keys are names that the user chose.
fn named<'n>(value: Option<Value<'n>>, title: &str, out: &mut Mistakes) -> Vec<Value<'n>> {
    let Some(value) = value else { return Vec::new() };
    let entries = value.table(title, out).unwrap_or_default();
    entries.iter().map(|entry| under(&value.key, entry)).collect()
}

/// An entry under a path.
pub(crate) fn under<'n>(path: &str, entry: &'n Entry) -> Value<'n> {
    Value { node: &entry.value, name: &entry.key, key: join(path, &entry.key.shown()) }
}

fn group(value: &Value<'_>, lists: TagLists<'_>, out: &mut Mistakes) -> Option<SaidGroup> {
    let mut section = Section::open(value, &keys::GROUP, out)?;
    let intervals = limits::INTERVAL_MIN..=limits::INTERVAL_MAX;
    let interval = section.require("interval").and_then(|v| v.duration(intervals.clone(), out));
    let topic = section.take("topic").and_then(|value| value.text(out));
    let modes = [("always", false), ("on_change", true)];
    let on_change = section.take("mode").and_then(|value| value.one_of(&modes, out));
    let layouts = [("row", Layout::Row), ("tag", Layout::Tag)];
    let layout = section.take("layout").and_then(|value| value.one_of(&layouts, out));
    let max_interval = section.take("max_interval").and_then(|v| v.duration(intervals, out));
    let deadband = section.take("deadband").and_then(|v| v.number(Bounds::NotNegative, out));
    let tags = section.require("tags").map(|value| group_tags(&value, lists, out)).unwrap_or_default();
    let (key, span) = (section.key.clone(), section.span.clone());
    section.finish(out);
    let name = value.name.clone();
    Some(SaidGroup { name, key, span, interval, topic, on_change, layout, max_interval, deadband, tags })
}

fn group_tags(value: &Value<'_>, lists: TagLists<'_>, out: &mut Mistakes) -> Vec<SaidTag> {
    let before = out.count();
    let mut tags = Vec::new();
    for entry in named(Some(value.clone()), "tags by name", out) {
        if entry.name.as_str() != "from" {
            tags.push(tag(&entry, out));
        } else if let Some(path) = entry.text(out) {
            tags.extend(lists(&path, out));
        }
    }
    if tags.is_empty() && out.count() == before {
        let empty = value.mistake("no-tags", "the scan group has no tags").label("expected at least one tag");
        out.push(empty.help("add `tags.temperature = \"…\"` with an address"));
    }
    tags
}

/// The name of a tag with the key that it makes.
fn name_of(value: &Value<'_>) -> Said<Text> {
    Said { value: value.name.clone(), span: value.name.span.clone(), key: value.key.clone() }
}

/// A tag keeps its name whatever is wrong with it, so that SQL is not told that the column is missing too.
fn tag(value: &Value<'_>, out: &mut Mistakes) -> SaidTag {
    let mut said = SaidTag {
        name: name_of(value),
        address: None,
        scale: None,
        offset: None,
        deadband: None,
        unit: None,
        simulate: None,
    };
    if value.is_text() {
        said.address = value.text(out);
        return said;
    }
    if !value.is_table() {
        out.push(no_address(value, &keys::TAG));
        return said;
    }
    let Some(mut section) = Section::open(value, &keys::TAG, out) else { return said };
    said.address = section.require("address").and_then(|value| value.text(out));
    said.scale = section.take("scale").and_then(|v| v.number(Bounds::NotZero, out));
    said.offset = section.take("offset").and_then(|v| v.number(Bounds::Any, out));
    said.deadband = section.take("deadband").and_then(|v| v.number(Bounds::NotNegative, out));
    said.unit = section.take("unit").and_then(|value| value.text(out));
    said.simulate = section.take("simulate").and_then(|value| simulate::signal(&value, out));
    section.finish(out);
    said
}

/// The mistake that a tag is neither an address nor a table.
fn no_address(value: &Value<'_>, spec: &keys::TableSpec) -> Diagnostic {
    let mistake =
        value.mistake("value-kind", format!("`{}` is {}", value.name.shown(), value.node.kind_words()));
    mistake.label(format!("expected an address in quotes, or {} with the key `address`", spec.title)).help(
        match value.node.kind {
            Kind::Integer(number) => format!("put the address in quotes: `\"{number}\"`"),
            _ => "for example `\"holding-register:1:REAL\"` or `{ address = \"…\", scale = 0.1 }`".to_owned(),
        },
    )
}

fn writes(value: &Value<'_>, out: &mut Mistakes) -> Option<SaidWrites> {
    let mut section = Section::open(value, &keys::WRITES, out)?;
    let topic = section.require("topic").and_then(|value| value.text(out));
    let tags = section.require("tags");
    let rules = named(tags, "write rules by tag", out).iter().filter_map(|value| rule(value, out)).collect();
    section.finish(out);
    Some(SaidWrites { topic, rules })
}

fn rule(value: &Value<'_>, out: &mut Mistakes) -> Option<SaidRule> {
    if !value.is_table() {
        let mistake = value.mistake(
            "value-kind",
            format!(
                "`{}` is {}, which would be written without limits",
                value.name.shown(),
                value.node.kind_words()
            ),
        );
        let example = "for example `{ address = \"holding-register:21:REAL\", min = 20, max = 90 }`";
        out.push(mistake.label("expected a write rule: a table with the key `address`").help(example));
        return None;
    }
    let mut section = Section::open(value, &keys::WRITE, out)?;
    let address = section.require("address").and_then(|value| value.text(out));
    let scale = section.take("scale").and_then(|v| v.number(Bounds::NotZero, out));
    let offset = section.take("offset").and_then(|v| v.number(Bounds::Any, out));
    let min = section.take("min").and_then(|v| v.number(Bounds::Any, out));
    let max = section.take("max").and_then(|v| v.number(Bounds::Any, out));
    let max_step = section.take("max_step").and_then(|v| v.number(Bounds::Positive(f64::MAX), out));
    let intervals = Duration::ZERO..=limits::INTERVAL_MAX;
    let min_interval = section.take("min_interval").and_then(|v| v.duration(intervals, out));
    let ages = limits::INTERVAL_MIN..=limits::INTERVAL_MAX;
    let max_age = section.take("max_age").and_then(|v| v.duration(ages, out));
    let verify = section.take("verify").and_then(|value| value.boolean(out));
    let simulate = section.take("simulate").and_then(|value| simulate::signal(&value, out));
    section.finish(out);
    let name = name_of(value);
    Some(SaidRule {
        name,
        address,
        scale,
        offset,
        min,
        max,
        max_step,
        min_interval,
        max_age,
        verify,
        simulate,
        unlimited: false,
    })
}
