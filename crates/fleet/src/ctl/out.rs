//! What `fleetctl` says: results on standard output, remarks on standard error.

use std::io::{self, Write as _};

use serde::Serialize;

use super::failure::Failure;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As text for people, in the original's words.
    Text,
    /// As one JSON document.
    Json,
}

/// Whether it is said what is asked and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// It is not.
    Quiet,
    /// It is.
    Debug,
}

/// Where everything goes that is said.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    /// How results are printed.
    pub format: Format,
    /// Whether requests and programs are named.
    pub talk: Talk,
}

impl Out {
    /// Prints text as it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn text(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Output)
    }

    /// Prints a document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn json(self, document: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(document).map_err(|err| Failure::Output(err.into()))?;
        text.push('\n');
        self.text(&text)
    }

    /// Remarks something on standard error.
    pub fn remark(self, line: &str) {
        // Nobody is left to tell that standard error is closed.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Remarks what is asked or run, if that is wanted.
    pub fn debug(self, line: impl FnOnce() -> String) {
        if self.talk == Talk::Debug {
            self.remark(&format!("debug: {}", line()));
        }
    }
}

/// What became of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Unit.
    pub unit: String,
    /// `inactive`, `loaded`, `launched` or `destroyed`; `triggered` where nothing is waited for.
    pub state: &'static str,
    /// Machine's id, if it is on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The line for people.
    #[serde(skip)]
    pub line: String,
}

/// What became of the units of a command: lines as it happens, or one list at the end.
#[derive(Debug)]
pub struct Events {
    out: Out,
    happened: Vec<Event>,
}

impl Events {
    /// Begins without any.
    pub fn new(out: Out) -> Self {
        Self { out, happened: Vec::new() }
    }

    /// Says what happened.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn say(&mut self, event: Event) -> Result<(), Failure> {
        match self.out.format {
            Format::Text => self.out.text(&format!("{}\n", event.line)),
            Format::Json => {
                self.happened.push(event);
                Ok(())
            }
        }
    }

    /// Ends the list, however the command ended.
    ///
    /// # Errors
    /// When the command failed, or the list cannot be written.
    pub fn finish(self, result: Result<(), Failure>) -> Result<(), Failure> {
        let written = match self.out.format {
            Format::Text => Ok(()),
            Format::Json => self.out.json(&self.happened),
        };
        result.and(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_in_json_have_no_line_and_no_machine_where_there_is_none() {
        let event = Event {
            unit: "x.service".to_owned(),
            state: "inactive",
            machine: None,
            line: "Unit x.service inactive".to_owned(),
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(json, r#"{"unit":"x.service","state":"inactive"}"#);
    }
}
