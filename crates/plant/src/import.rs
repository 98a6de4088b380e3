//! `devices.from`: one device per row of a table, from a template.

use crate::keys;
use crate::limits;
use crate::list;
use crate::load::Loader;
use crate::said::{self, SaidDevice};
use crate::section::{Mistakes, Said, Section, join};
use crate::template::{self, Used};
use crate::text::Text;
use crate::tree::{Entry, Kind};
use crate::value::Value;
use millstream_model::{Diagnostic, nearest};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Makes the devices of one `devices.from`, which is a table or a list of tables.
pub(crate) fn devices(
    from: &Value<'_>,
    templates: &[&Entry],
    used: &mut BTreeSet<String>,
    loader: &mut Loader,
    out: &mut Mistakes,
) -> Vec<SaidDevice> {
    if let Kind::Array(items) = &from.node.kind {
        let each = items.iter().map(|node| Value { node, ..from.clone() });
        return each.flat_map(|value| one(&value, templates, used, loader, out)).collect();
    }
    one(from, templates, used, loader, out)
}

fn one(
    from: &Value<'_>,
    templates: &[&Entry],
    used: &mut BTreeSet<String>,
    loader: &mut Loader,
    out: &mut Mistakes,
) -> Vec<SaidDevice> {
    let before = out.errors();
    let Some(mut section) = Section::open(from, &keys::IMPORT, out) else { return Vec::new() };
    let template = section.require("template").and_then(|value| value.text(out));
    let csv = section.require("csv").and_then(|value| value.text(out));
    section.finish(out);
    let template = template.and_then(|name| find(&name, templates, used, out));
    let (Some(template), Some(csv)) = (template, csv) else { return Vec::new() };
    let Some(table) = loader.table(&csv, out) else { return Vec::new() };
    let Some(device) = list::need(&table, "device", out) else { return Vec::new() };
    if table.rows.is_empty() && table.intact {
        let empty = csv.warning("no-devices", format!("`{}` has no rows", csv.as_str()));
        out.push(
            empty.label("no device is made").help("write one device per line below the names of the columns"),
        );
    }
    let name: Arc<str> = template.key.as_str().into();
    let key = join("templates", &name);
    let mut columns = Used::from([device]);
    let mut made = Vec::new();
    for row in table.rows.iter().take(limits::DEVICES) {
        let Some(cell) = row.get(device) else { continue };
        if cell.as_str().is_empty() {
            let nameless = Diagnostic::error("name", "the device has no name").label("expected a name");
            out.push(cell.locate(nameless.help("for example `press1`")));
            continue;
        }
        let filled = template::fill(&template.value, &table, row, &mut columns, out);
        let value = Value { node: &filled, name: cell, key: key.clone() };
        let mut lists = |path: &Said<Text>, out: &mut Mistakes| list::tags(path, loader, out);
        if let Some(mut said) = said::device(&value, Some(name.clone()), &mut lists, out) {
            said.span = cell.span.clone();
            made.push(said);
        }
    }
    for (index, column) in table.header.iter().enumerate() {
        // A placeholder that is misspelt leaves its column over, too.
        if out.errors() == before
            && !columns.contains(&index)
            && !table.rows.is_empty()
            && !column.as_str().is_empty()
        {
            let idle = Diagnostic::warning(
                "unused-column",
                format!("no placeholder is called `{{{}}}`", column.as_str()),
            )
            .label(format!("the template `{name}` does not use this column"))
            .help("use it in the template, or remove it");
            out.push(column.locate(idle));
        }
    }
    made
}

fn find<'t>(
    name: &Said<Text>,
    templates: &[&'t Entry],
    used: &mut BTreeSet<String>,
    out: &mut Mistakes,
) -> Option<&'t Entry> {
    if let Some(found) = templates.iter().find(|template| template.key.as_str() == name.as_str()) {
        used.insert(name.as_str().to_owned());
        return Some(found);
    }
    let names = || templates.iter().map(|template| template.key.as_str());
    let known: Vec<String> = names().map(|name| format!("`{name}`")).collect();
    let mistake = Diagnostic::error("unknown-template", format!("there is no template `{}`", name.as_str()));
    let mistake = mistake.label(if known.is_empty() {
        "the plant has no templates".to_owned()
    } else {
        format!("expected one of {}", known.join(", "))
    });
    out.push(name.locate(match nearest(name.as_str(), names()) {
        Some(right) => mistake.help(format!("did you mean `{right}`?")),
        None => mistake.help(format!("define it: `[templates.{}]`", name.as_str())),
    }));
    None
}
