//! The difference of two plants: what a reload must touch, and by that what it must leave alone.

use crate::plant::{Device, Plant, Query};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What happened to one named thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is only in the new plant.
    Added,
    /// It is only in the old plant.
    Removed,
    /// It is in both, and differs.
    Changed,
}

/// What is different between two plants. Whatever is not named is the same in both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Devices by name.
    pub devices: BTreeMap<Arc<str>, Change>,
    /// Query files by path.
    pub queries: BTreeMap<Arc<str>, Change>,
    /// Whether query files that both have now run in another order.
    pub queries_reordered: bool,
    /// Tables whose change takes a restart: `log`, `kafka`, `http`, `sql`.
    pub settings: Vec<&'static str>,
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares two plants by what they mean: comments, order of keys and the file that a device stands in do not count.
pub fn diff(old: &Plant, new: &Plant) -> Difference {
    let devices = changes(
        old.devices.iter().map(|device| (&device.config.name, device)),
        new.devices.iter().map(|device| (&device.config.name, device)),
        same_device,
    );
    let queries = changes(
        old.queries.iter().map(|query| (&query.file, query)),
        new.queries.iter().map(|query| (&query.file, query)),
        same_query,
    );
    let kept = |from: &Plant, other: &Plant| -> Vec<Arc<str>> {
        let files = from.queries.iter().map(|query| query.file.clone());
        files.filter(|file| other.queries.iter().any(|query| query.file == *file)).collect()
    };
    let mut settings = Vec::new();
    if old.log != new.log {
        settings.push("log");
    }
    if old.kafka != new.kafka {
        settings.push("kafka");
    }
    if old.http != new.http {
        settings.push("http");
    }
    if old.sql != new.sql {
        settings.push("sql");
    }
    Difference { devices, queries, queries_reordered: kept(old, new) != kept(new, old), settings }
}

fn changes<'p, T: 'p>(
    old: impl Iterator<Item = (&'p Arc<str>, &'p T)>,
    new: impl Iterator<Item = (&'p Arc<str>, &'p T)>,
    same: impl Fn(&T, &T) -> bool,
) -> BTreeMap<Arc<str>, Change> {
    let mut old: BTreeMap<&Arc<str>, &T> = old.collect();
    let mut changes = BTreeMap::new();
    for (name, thing) in new {
        match old.remove(name) {
            None => {
                changes.insert(name.clone(), Change::Added);
            }
            Some(before) if !same(before, thing) => {
                changes.insert(name.clone(), Change::Changed);
            }
            Some(_) => {}
        }
    }
    changes.extend(old.into_keys().map(|name| (name.clone(), Change::Removed)));
    changes
}

/// Whether two devices are read, written and recorded alike. How they are simulated counts, where they are said does not.
fn same_device(old: &Device, new: &Device) -> bool {
    let (a, b) = (&old.config, &new.config);
    a.name == b.name
        && a.target == b.target
        && a.groups == b.groups
        && a.writes == b.writes
        && a.governor == b.governor
        && old.asset == new.asset
        && old.groups == new.groups
        && old.types == new.types
        && old.sink == new.sink
        && old.simulation == new.simulation
}

/// Whether two files hold the same statements, comments and spaces aside.
fn same_query(old: &Query, new: &Query) -> bool {
    old.text == new.text || statements(old) == statements(new)
}

fn statements(query: &Query) -> Vec<String> {
    let (statements, _) = millstream_sql::parse::parse(&query.text);
    statements
        .iter()
        .filter_map(|statement| query.text.get(statement.place.clone()))
        .map(str::to_owned)
        .collect()
}
