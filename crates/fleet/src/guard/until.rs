//! Until when exclusive units may run: the file that the agent writes and the guard reads.

use std::path::Path;

use fleet_core::moment::Moment;

use super::Error;
use crate::systemd::{FileError, read_file, write_file};

/// Writes `until` to the file at `path`, whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write_until(path: &Path, until: Moment) -> Result<(), FileError> {
    write_file(path, &format!("{}\n", until.0))
}

/// Reads the file at `path`: a line with milliseconds since boot.
///
/// # Errors
/// When there is none, or it says no time.
pub fn read_until(path: &Path) -> Result<Moment, Error> {
    let no_time = |reason: String| Error::NoTime { path: path.to_owned(), reason };
    let text = read_file(path)?.ok_or_else(|| no_time("there is no such file".to_owned()))?;
    let millis = text.strip_suffix('\n').and_then(|line| line.parse().ok());
    millis.map(Moment).ok_or_else(|| no_time(format!("it has {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fleet/guard");
        write_until(&path, Moment(123_456)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "123456\n");
        assert_eq!(read_until(&path).unwrap(), Moment(123_456));
    }
}
