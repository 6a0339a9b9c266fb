//! Printing a result as text or as one JSON document.

use std::io::Write;

use anyhow::Context;
use serde::Serialize;

/// The output formats of the commands that show something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

/// Prints `value` as JSON, or what `text` makes of it.
pub fn print<T: Serialize>(value: &T, format: Format, text: impl Fn(&T) -> String) -> anyhow::Result<()> {
    let out = match format {
        Format::Json => serde_json::to_string_pretty(value).context("writing the JSON document")? + "\n",
        Format::Text => text(value),
    };
    match std::io::stdout().write_all(out.as_bytes()) {
        // The reader has seen enough (`slipway packages | head`): not a failure.
        Err(err) if err.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        res => res.context("writing to standard output"),
    }
}
