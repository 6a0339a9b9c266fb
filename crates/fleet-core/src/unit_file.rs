//! Unit files: as much as the agent's runner needs, until the crate's own module of them is merged.

use sha1::{Digest as _, Sha1};

/// A unit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    content: String,
    options: Vec<(String, String, String)>,
    hash: String,
}

/// Why a text is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is neither a section nor an option")]
pub struct UnitFileError {
    /// Number of the line, from 1.
    pub line: usize,
}

impl UnitFile {
    /// Reads a unit file.
    ///
    /// # Errors
    /// When a line is neither a section, an option, a comment nor empty.
    pub fn parse(text: &str) -> Result<Self, UnitFileError> {
        let mut section = String::new();
        let mut options = Vec::new();
        for (idx, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut section);
                continue;
            }
            let (name, value) = line.split_once('=').ok_or(UnitFileError { line: idx + 1 })?;
            options.push((section.clone(), name.trim().to_owned(), value.trim().to_owned()));
        }
        let hash = Sha1::digest(format!("{options:?}"));
        let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { content: text.to_owned(), options, hash })
    }

    /// Its identity.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// As it was written.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// Values of an option of `[X-Fleet]`.
    pub(crate) fn fleet(&self, name: &str) -> impl Iterator<Item = &str> {
        let wanted = move |option: &&(String, String, String)| option.0 == "X-Fleet" && option.1 == name;
        self.options.iter().filter(wanted).map(|option| option.2.as_str())
    }
}
