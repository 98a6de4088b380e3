//! Topics of scan groups as streams of SQL: groups that share a topic share a stream, so they must fit together.

use crate::device::{Built, BuiltGroup, BuiltTag};
use crate::section::Said;
use crate::section::{Mistakes, placed};
use crate::text::Text;
use millstream_connect::plc_source::Layout;
use millstream_model::{Diagnostic, TagType};
use millstream_sql::{Catalog, SqlType, sql_type, stream_name};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The key column of every stream of scan groups: the asset path, in the tag layout with `/` and the tag.
pub(crate) const KEY: &str = "asset";

/// Checks that groups which share a topic, or whose topics become one stream, fit together.
pub(crate) fn check(devices: &[Built], out: &mut Mistakes) {
    let mut topics: BTreeMap<&str, &BuiltGroup> = BTreeMap::new();
    let mut streams: BTreeMap<String, &BuiltGroup> = BTreeMap::new();
    let mut columns: BTreeMap<(&str, String), (&Said<Text>, TagType)> = BTreeMap::new();
    for group in devices.iter().flat_map(|device| &device.groups) {
        let first = *topics.entry(&group.topic).or_insert(group);
        if std::mem::discriminant(&first.layout) != std::mem::discriminant(&group.layout) {
            out.push(mixed_layouts(group, first));
        }
        let stream = streams.entry(stream_name(&group.topic)).or_insert(group);
        if stream.topic != group.topic && std::ptr::eq(first, group) {
            out.push(same_stream(group, stream));
        }
        check_letter_case(group, out);
        if group.layout != Layout::Row {
            continue;
        }
        for BuiltTag { name, tag_type } in &group.tags {
            let Some(tag_type) = *tag_type else { continue };
            let column = (&*group.topic, name.as_str().to_uppercase());
            let (first, known) = *columns.entry(column).or_insert((name, tag_type));
            if !fit(known, tag_type) {
                out.push(
                    name.error(
                        "column-type",
                        format!(
                            "`{}` is {tag_type} here and {known} elsewhere in `{}`",
                            name.as_str(),
                            group.topic
                        ),
                    )
                    .label("expected one kind of value in one column")
                    .help("give the tag another name, or the scan group another topic")
                    .also(first.span.clone(), format!("{known} here")),
                );
            }
        }
    }
}

/// Whether two tags can be one column: numbers with numbers, else only the very same.
fn fit(a: TagType, b: TagType) -> bool {
    let (a, b) = (sql_type(a, false), sql_type(b, false));
    a == b || (a.is_numeric() && b.is_numeric())
}

fn mixed_layouts(group: &BuiltGroup, first: &BuiltGroup) -> Diagnostic {
    let message = format!("`{}` gets records of two layouts", group.topic);
    let mistake = Diagnostic::error("topic-layout", message)
        .label("expected the layout of the other scan groups of this topic")
        .help("give one of the groups another topic")
        .also(first.span.clone(), "the first one");
    placed(mistake, &group.span, &group.key)
}

fn same_stream(group: &BuiltGroup, first: &BuiltGroup) -> Diagnostic {
    let stream = stream_name(&group.topic);
    let message = format!("`{}` and `{}` would both be the stream `{stream}`", group.topic, first.topic);
    let mistake = Diagnostic::error("stream-name", message)
        .label("expected a topic whose letters and digits differ")
        .help("rename one of the two topics, or make them one")
        .also(first.span.clone(), format!("`{}`", first.topic));
    placed(mistake, &group.span, &group.key)
}

fn check_letter_case(group: &BuiltGroup, out: &mut Mistakes) {
    let mut seen: BTreeMap<String, &Said<Text>> = BTreeMap::new();
    for BuiltTag { name, .. } in &group.tags {
        match seen.get(&name.as_str().to_uppercase()) {
            Some(first) if first.as_str() != name.as_str() => out.push(
                name.error(
                    "duplicate-tag",
                    format!("`{}` and `{}` differ only in letter case", name.as_str(), first.as_str()),
                )
                .label("SQL would take them for one column")
                .help("rename one of them")
                .also(first.span.clone(), "the first one"),
            ),
            Some(_) => {}
            None => {
                seen.insert(name.as_str().to_uppercase(), name);
            }
        }
    }
}

/// One group's columns, as SQL is told of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) topic: Arc<str>,
    pub(crate) layout: Layout,
    pub(crate) tags: Vec<(Arc<str>, SqlType)>,
}

impl Columns {
    /// Of a group that may have mistakes: a tag whose type is not known passes for a number.
    pub(crate) fn of(group: &BuiltGroup) -> Self {
        let tags = group.tags.iter().map(|tag| {
            let known = tag.tag_type.map_or(SqlType::Double, |tag_type| sql_type(tag_type, false));
            (tag.name.as_str().into(), known)
        });
        Self { topic: group.topic.clone(), layout: group.layout, tags: tags.collect() }
    }

    /// Adds the group's stream to a catalog, or its columns to the stream of its topic.
    pub(crate) fn declare(&self, catalog: &mut Catalog) {
        let name = stream_name(&self.topic);
        match self.layout {
            // Its tags are nested, and may come in an envelope with a schema: a statement declares such a stream.
            Layout::Plc4x { .. } => {}
            Layout::Row => {
                let columns: Vec<(&str, SqlType)> =
                    self.tags.iter().map(|(name, ty)| (&**name, *ty)).collect();
                catalog.declare_stream(&name, &self.topic, KEY, &columns);
            }
            Layout::Tag => {
                let mut types = self.tags.iter().map(|(_, ty)| *ty);
                let first = types.next().unwrap_or(SqlType::Varchar);
                let value = types.fold(first, |a, b| match (a, b) {
                    _ if a == b => a,
                    _ if a.is_numeric() && b.is_numeric() => a.max(b),
                    _ => SqlType::Varchar,
                });
                let columns = [("timestamp_ms", SqlType::BigInt), ("value", value)];
                catalog.declare_stream(&name, &self.topic, KEY, &columns);
            }
        }
    }
}
