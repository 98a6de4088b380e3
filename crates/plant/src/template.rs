//! Templates: a device with `{placeholders}`, filled from the cells of a row.

use crate::csv::Table;
use crate::section::Mistakes;
use crate::text::{By, Fill, Text};
use crate::tree::Node;
use millstream_model::{Diagnostic, nearest};
use std::collections::BTreeSet;

/// The columns that a template used.
pub(crate) type Used = BTreeSet<usize>;

/// The template's table with the placeholders filled from a row. `{{` stands for `{`.
pub(crate) fn fill(
    template: &Node,
    table: &Table,
    row: &[Text],
    used: &mut Used,
    out: &mut Mistakes,
) -> Node {
    template.map_texts(&mut |text| fill_text(text, table, row, used, out))
}

fn fill_text(text: &Text, table: &Table, row: &[Text], used: &mut Used, out: &mut Mistakes) -> Text {
    if !text.as_str().contains('{') {
        return text.clone();
    }
    text.fill(|rest, place| {
        let mut from = 0;
        while let Some(start) = rest[from..].find('{').map(|at| from + at) {
            if rest[start..].starts_with("{{") {
                let range = start..start + 2;
                return Some(Fill { range, by: By::Literal("{".to_owned()) });
            }
            // What is left of a secret that could not be resolved is no placeholder.
            let secret = rest[..start].ends_with('$');
            let end = rest[start..].find('}').map(|at| start + at + 1)?;
            from = end;
            if secret {
                continue;
            }
            let name = &rest[start + 1..end - 1];
            let cell = table.column(name).and_then(|index| Some((index, row.get(index)?)));
            if let Some((index, cell)) = cell {
                used.insert(index);
                let by = By::Cell(cell.as_str().to_owned(), cell.span.clone());
                return Some(Fill { range: start..end, by });
            }
            let mut mistake = unknown(name, table);
            mistake.span = Some(place(start..end));
            out.push_root(mistake.also(table.span.clone(), "the columns"), text.span.clone());
        }
        None
    })
}

fn unknown(name: &str, table: &Table) -> Diagnostic {
    let columns: Vec<String> = table.header.iter().map(|column| format!("`{}`", column.as_str())).collect();
    let mistake = Diagnostic::error("placeholder", format!("there is no column `{name}` for `{{{name}}}`"))
        .label(format!("expected one of {}", columns.join(", ")));
    match nearest(name, table.header.iter().map(Text::as_str)) {
        Some(right) => mistake.help(format!("did you mean `{{{right}}}`?")),
        None => mistake.help("add the column to the table, or write `{{` for a brace"),
    }
}
