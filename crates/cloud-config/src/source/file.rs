//! Files of sources, within the limits of user data.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use anyhow::Context as _;

use crate::document::LEN_MAX;

/// Reads a file, a byte further than any that is right; `None` if there is none.
pub fn read_file(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let reading = || format!("reading {}", path.display());
    let file = match File::open(path) {
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.with_context(reading)?,
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(LEN_MAX).unwrap_or(u64::MAX) + 1;
    file.take(limit).read_to_end(&mut bytes).with_context(reading)?;
    Ok(Some(bytes))
}
