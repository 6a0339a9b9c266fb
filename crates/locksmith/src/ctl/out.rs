//! Where results go: text, or one JSON document.

use std::io::{self, Write as _};

use serde::Serialize;

use super::failure::Failure;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For people, and for scripts of the original.
    Text,
    /// One document.
    Json,
}

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Out {
    pub(super) format: Format,
}

impl Out {
    /// Prints a text as it is.
    pub(super) fn text(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            // Whoever read the output has had enough of it, as `head` has.
            Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done.map_err(Failure::Output),
        }
    }

    /// Prints a document.
    pub(super) fn json<T: Serialize>(self, document: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(document).map_err(|err| Failure::Output(err.into()))?;
        self.text(&format!("{text}\n"))
    }

    /// Prints rows below their names, each column as wide as it has to be.
    pub(super) fn table(self, names: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
        self.text(&table(names, rows))
    }
}

/// The last column is not filled up.
fn table(names: &[&str], rows: &[Vec<String>]) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&names).chain(rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |row: &&Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    all.iter().map(line).collect()
}

/// A value for a table, or a dash.
pub(super) fn cell<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string()).replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let rows = [vec!["a".to_owned(), "bbbb".to_owned()], vec!["cccccc".to_owned(), cell(None::<u8>)]];
        assert_eq!(table(&["ID", "X"], &rows), "ID      X\na       bbbb\ncccccc  -\n");
        assert_eq!(table(&["ID"], &[]), "ID\n");
    }

    #[test]
    fn a_cell_stays_in_its_line() {
        assert_eq!(cell(Some("a\nb\u{1b}")), "a b ");
    }
}
