//! Tables from Excel and engineering tools: comma, semicolon or tab, quotes as in RFC 4180, a header, and the place of every cell.

use crate::limits;
use crate::section::Mistakes;
use crate::source::{span, start_of};
use crate::text::Text;
use millstream_model::{Diagnostic, Span};
use std::ops::Range;
use std::sync::Arc;

/// A table with a header.
#[derive(Debug)]
pub(crate) struct Table {
    /// The names of the columns.
    pub(crate) header: Vec<Text>,
    /// The rows that have as many cells as the header.
    pub(crate) rows: Vec<Vec<Text>>,
    /// Where the header stands.
    pub(crate) span: Span,
    /// Whether nothing was wrong with it.
    pub(crate) intact: bool,
}

impl Table {
    /// The index of a column.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column.as_str() == name)
    }
}

/// Reads a table. Rows of another length than the header's are mistakes and left out; empty lines are skipped.
pub(crate) fn parse(file: &Arc<str>, text: &str, out: &mut Mistakes) -> Option<Table> {
    let before = out.errors();
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let separator = [',', ';', '\t'].into_iter().max_by_key(|c| (first.matches(*c).count(), *c == ','))?;
    let mut rows = Rows { file, text, separator, at: 0 };
    let Some(header) = rows.next_row(out) else {
        let mut empty = Diagnostic::error("csv", "the table is empty")
            .label("expected a line with the names of the columns")
            .help("write the names of the columns on the first line, separated by `,`, `;` or tabs");
        empty.span = Some(start_of(file));
        out.push(empty);
        return None;
    };
    let mut table = Table { span: whole(&header), header, rows: Vec::new(), intact: true };
    check_header(&table.header, out);
    while let Some(row) = rows.next_row(out) {
        if row.len() != table.header.len() {
            let (cells, columns) = (row.len(), table.header.len());
            let mut uneven =
                Diagnostic::error("csv", format!("the row has {cells} cells, the header {columns}"))
                    .label(format!("expected {columns} cells separated by `{}`", separator.escape_default()))
                    .help("put a cell that contains the separator in double quotes");
            uneven.span = Some(whole(&row));
            out.push(uneven);
            continue;
        }
        if table.rows.len() == limits::CSV_ROWS {
            let mut long =
                Diagnostic::error("csv", format!("the table has more than {} rows", limits::CSV_ROWS))
                    .help("split it into several files");
            long.span = Some(whole(&row));
            out.push(long);
            break;
        }
        table.rows.push(row);
    }
    table.intact = out.errors() == before;
    Some(table)
}

fn check_header(header: &[Text], out: &mut Mistakes) {
    for (index, column) in header.iter().enumerate() {
        let earlier = header.iter().take(index).find(|other| other.as_str() == column.as_str());
        if column.as_str().is_empty() {
            let mistake = Diagnostic::error("csv", "a column has no name").label("expected a name");
            out.push(column.locate(mistake.help("name the column, or remove it")));
        } else if let Some(earlier) = earlier {
            let mistake = Diagnostic::error("csv", format!("there are two columns `{}`", column.as_str()))
                .label("the second one")
                .help("rename or remove one of them")
                .also(earlier.span.clone(), "the first one");
            out.push(column.locate(mistake));
        }
    }
}

/// From the first cell to the last.
fn whole(row: &[Text]) -> Span {
    let (Some(first), Some(last)) = (row.first(), row.last()) else {
        return Span { file: None, range: 0..0 };
    };
    Span { file: first.span.file.clone(), range: first.span.range.start..last.span.range.end }
}

struct Rows<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    separator: char,
    at: usize,
}

impl Rows<'_> {
    /// The next row that is not an empty line.
    fn next_row(&mut self, out: &mut Mistakes) -> Option<Vec<Text>> {
        while self.at < self.text.len() {
            let mut row = Vec::new();
            while self.cell(&mut row, out) {}
            if row.iter().any(|cell| !cell.as_str().is_empty()) {
                return Some(row);
            }
        }
        None
    }

    /// Reads one cell; `false` after the last one of a row.
    fn cell(&mut self, row: &mut Vec<Text>, out: &mut Mistakes) -> bool {
        let start = self.at;
        let rest = &self.text[start..];
        let ends = |c: char| c == self.separator || c == '\n';
        let trimmed = rest.trim_start_matches([' ', '\u{a0}']);
        let (value, range, inner) = if trimmed.starts_with('"') {
            let open = start + (rest.len() - trimmed.len());
            let (value, close) = self.quoted(open, out);
            let inner = open + 1..open + 1 + value.len();
            let exact = self.text.get(inner.clone()) == Some(&*value);
            self.at = close + self.text[close..].find(ends).unwrap_or(self.text.len() - close);
            (value, open..close, exact.then_some(inner))
        } else {
            let len = rest.find(ends).unwrap_or(rest.len());
            self.at = start + len;
            let raw = &rest[..len];
            let value = raw.trim();
            let from = start + (raw.len() - raw.trim_start().len());
            let range = if value.is_empty() { start..start } else { from..from + value.len() };
            (value.to_owned(), range.clone(), Some(range))
        };
        row.push(Text::new(value, span(self.file, range), inner));
        let separated = self.text[self.at..].starts_with(self.separator);
        self.at = (self.at + 1).min(self.text.len());
        separated
    }

    /// The value of a quoted cell that opens at `open`, and where its closing quote ends.
    fn quoted(&self, open: usize, out: &mut Mistakes) -> (String, usize) {
        let mut value = String::new();
        let mut at = open + 1;
        loop {
            let Some(next) = self.text[at..].find('"') else {
                let Range { start, end } = open..self.text.len();
                let mut mistake = Diagnostic::error("csv", "a quote is not closed")
                    .label("opened here")
                    .help("close it with `\"`; a `\"` inside quotes is written `\"\"`");
                mistake.span = Some(span(self.file, start..start + 1));
                out.push(mistake);
                value.push_str(&self.text[at..]);
                return (value, end);
            };
            value.push_str(&self.text[at..at + next]);
            at += next + 1;
            if !self.text[at..].starts_with('"') {
                return (value, at);
            }
            value.push('"');
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells(text: &str) -> Vec<Vec<String>> {
        let mut out = Mistakes::default();
        let table = parse(&"t.csv".into(), text, &mut out).unwrap();
        assert_eq!(out.count(), 0, "{text}");
        let words = |row: &Vec<Text>| row.iter().map(|cell| cell.as_str().to_owned()).collect();
        std::iter::once(&table.header).chain(&table.rows).map(words).collect()
    }

    #[test]
    fn the_three_separators_and_quotes() {
        assert_eq!(cells("a,b\n1,2\n"), [["a", "b"], ["1", "2"]]);
        assert_eq!(cells("a;b\r\n1,5; x \r\n\r\n"), [["a", "b"], ["1,5", "x"]]);
        assert_eq!(cells("a\tb\n\"x\ty\"\t\"say \"\"hi\"\"\"\n"), [["a", "b"], ["x\ty", "say \"hi\""]]);
        assert_eq!(cells("a,b\n,2"), [["a", "b"], ["", "2"]]);
    }

    #[test]
    fn cells_know_their_places() {
        let text = "a,b\n xy ,\"p;q\"\n";
        let table = parse(&"t.csv".into(), text, &mut Mistakes::default()).unwrap();
        let place = |cell: &Text, range: Range<usize>| text[cell.place(&range).range].to_owned();
        assert_eq!(place(&table.rows[0][0], 1..2), "y");
        assert_eq!(place(&table.rows[0][1], 0..3), "p;q");
    }

    proptest! {
        #[test]
        fn any_text_is_a_table_or_mistakes(text in "[ab\",;\t\r\n ä]{0,60}") {
            let mut out = Mistakes::default();
            let table = parse(&"t.csv".into(), &text, &mut out);
            for diagnostic in out.into_parts().0 {
                let range = diagnostic.span.unwrap().range;
                prop_assert!(text.get(range).is_some());
            }
            for cell in table.iter().flat_map(|table| table.rows.iter().flatten()) {
                prop_assert!(text.get(cell.span.range.clone()).is_some());
            }
        }
    }
}
