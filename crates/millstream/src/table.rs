//! Tables for people: aligned columns, nothing else.

use std::fmt::Write as _;

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    columns: Vec<Column<'a>>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug, Clone, Copy)]
struct Column<'a> {
    title: &'a str,
    numeric: bool,
}

impl<'a> Table<'a> {
    /// Columns by title; numbers, which are aligned to the right, have a `#` in front of theirs.
    pub(crate) fn new(titles: &[&'a str]) -> Self {
        let column = |title: &&'a str| match title.strip_prefix('#') {
            Some(title) => Column { title, numeric: true },
            None => Column { title, numeric: false },
        };
        Self { columns: titles.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row, a cell per column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as text, each line ended.
    pub(crate) fn render(&self) -> String {
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.to_owned()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|index| {
                let cells = self.rows.iter().chain([&titles]).filter_map(|row| row.get(index));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in [&titles].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for ((cell, column), width) in row.iter().zip(&self.columns).zip(&widths) {
                let _ = if column.numeric {
                    write!(line, "{cell:>width$}  ")
                } else {
                    write!(line, "{cell:<width$}  ")
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_tail() {
        let mut table = Table::new(&["TAG", "#VALUE", "QUALITY"]);
        table.row(["temperature", "71.25", "Good"].map(String::from));
        table.row(["n", "1200", "–"].map(String::from));
        assert_eq!(
            table.render(),
            "TAG          VALUE  QUALITY\ntemperature  71.25  Good\nn             1200  –\n"
        );
    }
}
