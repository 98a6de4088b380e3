//! `tags.from`: a list of tags from Excel or an engineering tool.

use crate::csv::Table;
use crate::keys;
use crate::load::Loader;
use crate::said::SaidTag;
use crate::section::{Mistakes, Said, join};
use crate::text::Text;
use millstream_model::{Diagnostic, nearest};

/// Reads the tags of a list.
pub(crate) fn tags(named: &Said<Text>, loader: &mut Loader, out: &mut Mistakes) -> Vec<SaidTag> {
    let Some(table) = loader.table(named, out) else { return Vec::new() };
    let base = named.key.strip_suffix(".from").unwrap_or(&named.key);
    check_columns(&table, &keys::TAG_CSV.names().collect::<Vec<_>>(), out);
    let (Some(name), Some(address)) = (need(&table, "name", out), need(&table, "address", out)) else {
        return Vec::new();
    };
    if table.rows.is_empty() && table.intact {
        let empty = named.error("no-tags", format!("`{}` has no rows", named.as_str()));
        out.push(
            empty
                .label("expected at least one tag")
                .help("write one tag per line below the names of the columns"),
        );
    }
    let mut tags = Vec::new();
    for row in &table.rows {
        let (Some(name), Some(address)) = (row.get(name), row.get(address)) else { continue };
        let key = join(base, name.as_str());
        let said = |text: &Text, key: String| Said { value: text.clone(), span: text.span.clone(), key };
        let cell = |column: &str| {
            table.column(column).and_then(|index| row.get(index)).filter(|cell| !cell.as_str().is_empty())
        };
        let given = Some(said(address, join(&key, "address"))).filter(|address| !address.as_str().is_empty());
        if given.is_none() {
            let mistake =
                Diagnostic::error("missing-key", format!("the tag `{}` has no address", name.as_str()));
            out.push(address.locate(
                mistake.label("expected an address").help("write the tag's address here").key(key.clone()),
            ));
        }
        tags.push(SaidTag {
            name: said(name, key.clone()),
            address: given,
            scale: cell("scale").and_then(|cell| {
                number(cell, join(&key, "scale"), |v| v != 0.0, "a number that is not 0", out)
            }),
            offset: cell("offset")
                .and_then(|cell| number(cell, join(&key, "offset"), |_| true, "a number", out)),
            deadband: cell("deadband").and_then(|cell| {
                number(cell, join(&key, "deadband"), |v| v >= 0.0, "a number of 0 or more", out)
            }),
            unit: cell("unit").map(|cell| said(cell, join(&key, "unit"))),
            simulate: None,
        });
    }
    tags
}

fn number(
    cell: &Text,
    key: String,
    fits: impl Fn(f64) -> bool,
    expected: &str,
    out: &mut Mistakes,
) -> Option<Said<f64>> {
    let text = cell.as_str();
    if let Some(value) = text.parse::<f64>().ok().filter(|value| value.is_finite() && fits(*value)) {
        return Some(Said { value, span: cell.span.clone(), key });
    }
    let mistake = Diagnostic::error("value", format!("`{text}` is no value here"))
        .label(format!("expected {expected}"));
    let dotted = text.replace(',', ".");
    let help = if dotted != text && dotted.parse::<f64>().is_ok() {
        format!("with a decimal point: `{dotted}`")
    } else {
        "for example `0.1`; leave the cell empty for the default".to_owned()
    };
    out.push(cell.locate(mistake.help(help).key(key)));
    None
}

/// The index of a column that must be there.
pub(crate) fn need(table: &Table, name: &str, out: &mut Mistakes) -> Option<usize> {
    let index = table.column(name);
    if index.is_none() {
        let mut mistake = Diagnostic::error("missing-column", format!("there is no column `{name}`"))
            .label("the names of the columns");
        mistake.help = Some(match nearest(name, table.header.iter().map(Text::as_str)) {
            Some(near) => format!("rename `{near}` to `{name}`"),
            None => format!("add a column `{name}`"),
        });
        mistake.span = Some(table.span.clone());
        out.push(mistake);
    }
    index
}

/// A column that looks like a known one is a mistake; any other is another tool's and left alone.
fn check_columns(table: &Table, known: &[&'static str], out: &mut Mistakes) {
    for column in table.header.iter().filter(|column| !known.contains(&column.as_str())) {
        let Some(right) = nearest(column.as_str(), known.iter().copied()) else { continue };
        if table.column(right).is_some() || matches!(right, "name" | "address") {
            continue;
        }
        let expected: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let mistake = Diagnostic::error(
            "unknown-column",
            format!("a list of tags has no column `{}`", column.as_str()),
        )
        .label(format!("expected one of {}", expected.join(", ")))
        .help(format!("did you mean `{right}`?"));
        out.push(column.locate(mistake));
    }
}
