//! Tables for a terminal: as wide as it is and no wider, long cells on several lines.

use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The narrowest column that still says something; where not all columns get that, each row becomes a list.
const COLUMN_MIN: usize = 6;
/// How many lines one cell may take; the rest is cut.
const CELL_LINES: usize = 12;

/// Columns with settled widths.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    titles: Vec<String>,
    /// `None` where the terminal is too narrow for columns side by side.
    widths: Option<Vec<usize>>,
    room: usize,
}

impl Grid {
    /// Columns that would like to be `wanted` wide, in a terminal of `room` columns.
    pub(crate) fn new(titles: &[String], wanted: &[usize], room: usize) -> Self {
        let titles: Vec<String> = titles.iter().map(|title| printable(title)).collect();
        let wanted: Vec<usize> =
            titles.iter().zip(wanted).map(|(title, wanted)| title.width().max(*wanted).max(1)).collect();
        // ` a | b ` and one column at the right edge, so that no terminal breaks the line.
        let between = wanted.len() * 3;
        let widths = share(&wanted, room.saturating_sub(between));
        Self { titles, widths, room }
    }

    /// A grid that fits these rows as well as it can.
    pub(crate) fn of_rows(titles: &[String], rows: &[Vec<String>], room: usize) -> Self {
        let wanted: Vec<usize> = (0..titles.len())
            .map(|column| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                let widest = |cell: &String| cell.lines().map(UnicodeWidthStr::width).max().unwrap_or(0);
                cells.map(widest).max().unwrap_or(0)
            })
            .collect();
        Self::new(titles, &wanted, room)
    }

    /// The titles and a line under them.
    pub(crate) fn head(&self) -> String {
        let Some(widths) = &self.widths else { return String::new() };
        let mut text = self.row(&self.titles);
        let lines: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        text.push_str(&lines.join("+"));
        text.push('\n');
        text
    }

    /// One row, each of its lines ended.
    pub(crate) fn row(&self, cells: &[String]) -> String {
        let Some(widths) = &self.widths else { return self.list(cells) };
        let folded: Vec<Vec<String>> =
            cells.iter().zip(widths).map(|(cell, width)| fold(cell, *width)).collect();
        let height = folded.iter().map(Vec::len).max().unwrap_or(1);
        let mut text = String::new();
        for line in 0..height {
            let mut written = String::new();
            for (index, (cell, width)) in folded.iter().zip(widths).enumerate() {
                let part = cell.get(line).map_or("", String::as_str);
                let pad = " ".repeat(width.saturating_sub(part.width()));
                let _ = write!(written, "{}{part}{pad}", if index == 0 { " " } else { " | " });
            }
            text.push_str(written.trim_end());
            text.push('\n');
        }
        text
    }

    /// The cells below one another, for a terminal that is too narrow.
    fn list(&self, cells: &[String]) -> String {
        let name_width = self.titles.iter().map(|title| title.width()).max().unwrap_or(0);
        let name_width = name_width.min(self.room / 3).max(1);
        let value_width = self.room.saturating_sub(name_width + 4).max(1);
        let mut text = String::from("-\n");
        for (title, cell) in self.titles.iter().zip(cells) {
            let title = fold(title, name_width).into_iter().next().unwrap_or_default();
            for (line, part) in fold(cell, value_width).into_iter().enumerate() {
                let name = if line == 0 { &*title } else { "" };
                let pad = " ".repeat(name_width.saturating_sub(name.width()));
                let _ = writeln!(text, "{name}{pad} | {part}");
            }
        }
        text
    }
}

/// Shares `room` out: a column that wants less than its share leaves the rest to the others. `None` where there is too little.
fn share(wanted: &[usize], room: usize) -> Option<Vec<usize>> {
    let least: usize = wanted.iter().map(|width| (*width).min(COLUMN_MIN)).sum();
    if least > room {
        return None;
    }
    let mut widths = vec![0; wanted.len()];
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|column| wanted[*column]);
    let (mut left, mut columns) = (room, wanted.len());
    for column in order {
        let fair = left / columns.max(1);
        widths[column] = wanted[column].min(fair.max(COLUMN_MIN)).min(left);
        left -= widths[column];
        columns -= 1;
    }
    Some(widths)
}

/// A cell as lines of at most `width` columns of the terminal.
fn fold(cell: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in cell.split('\n') {
        let mut line = String::new();
        let mut taken = 0;
        for sign in printable(part).chars() {
            let wide = sign.width().unwrap_or(0);
            if taken + wide > width && taken > 0 {
                lines.push(std::mem::take(&mut line));
                taken = 0;
                if sign == ' ' {
                    continue;
                }
            }
            line.push(sign);
            taken += wide;
        }
        lines.push(line);
        if lines.len() > CELL_LINES {
            lines.truncate(CELL_LINES);
            if let Some(last) = lines.last_mut() {
                while last.width() + 1 > width && last.pop().is_some() {}
                last.push('…');
            }
            break;
        }
    }
    lines
}

/// Text that cannot move the cursor or change the terminal, whatever stood in a topic.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '\t' => shown.push(' '),
            sign if sign.is_control() => shown.extend(sign.escape_default()),
            // Marks that turn the direction of writing would turn the rest of the line.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.extend(sign.escape_unicode()),
            sign => shown.push(sign),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(room: usize, titles: &[&str], rows: &[&[&str]]) -> String {
        let own = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let rows: Vec<_> = rows.iter().map(|row| own(row)).collect();
        let grid = Grid::of_rows(&own(titles), &rows, room);
        let text = grid.head() + &rows.iter().map(|row| grid.row(row)).collect::<String>();
        let widest = text.lines().map(UnicodeWidthStr::width).max().unwrap_or(0);
        assert!(widest <= room, "{widest} of {room}:\n{text}");
        text
    }

    #[test]
    fn what_fits_stands_side_by_side() {
        insta::assert_snapshot!(shown(60, &["NAME", "N"], &[&["press", "1"], &["温度", "22"]]), @r"
         NAME  | N
        -------+----
         press | 1
         温度  | 22
        ");
    }

    #[test]
    fn long_cells_take_several_lines_and_short_ones_keep_their_width() {
        insta::assert_snapshot!(shown(30, &["ID", "STATEMENT"], &[&["CSAS_A", "CREATE STREAM A AS SELECT * FROM S"]]), @r"
         ID     | STATEMENT
        --------+--------------------
         CSAS_A | CREATE STREAM A AS
                | SELECT * FROM S
        ");
    }

    #[test]
    fn a_narrow_terminal_gets_a_list() {
        insta::assert_snapshot!(shown(20, &["A", "LONGER", "CCCCCCC"], &[&["1", "two", "threethreethree"]]), @r"
        -
        A      | 1
        LONGER | two
        CCCCCC | threethree
               | three
        ");
    }

    #[test]
    fn what_stands_in_a_topic_cannot_move_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\tc\u{202e}"), "a\\u{1b}[2Jb c\\u{202e}");
        let endless = "x".repeat(10_000);
        assert_eq!(fold(&endless, 10).len(), CELL_LINES);
        assert!(fold(&endless, 10)[CELL_LINES - 1].ends_with('…'));
    }
}
