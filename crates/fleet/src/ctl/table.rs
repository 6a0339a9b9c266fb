//! Tables as the original printed them: cells end in tabs, so that columns begin at multiples of eight and tools that
//! split at tabs find one cell each.

use std::fmt::Write as _;

/// Columns begin at multiples of this.
const TAB: usize = 8;

/// Whether a table begins with a line of column names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legend {
    /// It does.
    Shown,
    /// It does not.
    Hidden,
}

/// Returns the lines of a table. Each row has as many cells as `columns` has names.
pub fn render(columns: &[&str], rows: &[Vec<String>], legend: Legend) -> String {
    let names = columns.iter().map(|name| name.to_uppercase()).collect();
    let head: Vec<Vec<String>> = if legend == Legend::Shown { vec![names] } else { Vec::new() };
    let lines = || head.iter().chain(rows);
    let widths: Vec<usize> = (0..columns.len())
        .map(|idx| lines().filter_map(|row| row.get(idx)).map(|cell| width(cell)).max().unwrap_or(0))
        // A column is at least one wider than its widest cell, and ends where a tab ends.
        .map(|widest| (widest + 1).next_multiple_of(TAB))
        .collect();
    let mut text = String::new();
    for row in lines() {
        for (idx, cell) in row.iter().enumerate() {
            text.push_str(cell);
            // The last cell has nothing behind it.
            if idx + 1 < row.len() {
                let room = widths.get(idx).map_or(TAB, |full| full - width(cell));
                text.extend(std::iter::repeat_n('\t', room.div_ceil(TAB)));
            }
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text);
    }
    text
}

/// Returns how many columns of a terminal a cell takes: that of names and ids, which are ASCII, and near enough for
/// descriptions.
fn width(cell: &str) -> usize {
    cell.chars().count()
}

/// Returns a value, or `-` for one that is missing.
pub fn or_dash(value: &str) -> String {
    if value.is_empty() { "-".to_owned() } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn columns_begin_at_multiples_of_eight() {
        let rows = rows(&[&["1234567", "a"], &["12345678", "b"]]);
        assert_eq!(render(&["x", "y"], &rows, Legend::Shown), "X\t\tY\n1234567\t\ta\n12345678\tb\n");
    }

    #[test]
    fn a_cell_of_seven_fits_before_one_tab() {
        let rows = rows(&[&["6b92f1a", "launched"]]);
        assert_eq!(render(&["hash", "dstate"], &rows, Legend::Shown), "HASH\tDSTATE\n6b92f1a\tlaunched\n");
    }

    #[test]
    fn the_legend_takes_part_in_widths_only_where_it_is_shown() {
        let rows = rows(&[&["a", "b"]]);
        let columns = ["a-long-name", "y"];
        assert_eq!(render(&columns, &rows, Legend::Hidden), "a\tb\n");
        assert_eq!(render(&columns, &rows, Legend::Shown), "A-LONG-NAME\tY\na\t\tb\n");
    }

    #[test]
    fn an_empty_table_is_its_legend() {
        assert_eq!(render(&["machine", "ip"], &[], Legend::Shown), "MACHINE\tIP\n");
        assert_eq!(render(&["machine", "ip"], &[], Legend::Hidden), "");
    }
}
