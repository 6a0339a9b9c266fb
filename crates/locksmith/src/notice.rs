//! What logged-in users read before a reboot, in the words of the original.

use std::io::Write as _;

use agent_support::host::Host;
use jiff::ZonedDateTime;

use crate::sessions;

/// Columns of a line; longer ones would break on a terminal of 80.
const COLUMNS: usize = 79;
/// Two bells: they take no column.
const BELLS: &str = "\u{7}\u{7}";

/// Writes the notice to terminals, named below `/dev`. Returns how many took it.
pub fn write<'a>(host: &Host, terminals: impl IntoIterator<Item = &'a String>, now: &ZonedDateTime) -> usize {
    let text = text(now);
    let told = terminals.into_iter().filter(|name| {
        // A terminal that is gone or full tells nobody; the others do.
        sessions::open(host, name).and_then(|mut terminal| terminal.write_all(text.as_bytes())).is_ok()
    });
    told.count()
}

/// The carriage returns are for terminals in raw mode, where a new line alone goes straight down.
fn text(now: &ZonedDateTime) -> String {
    let time = now.strftime("%Y-%m-%d %H:%M:%S %Z");
    let lines = [
        (String::new(), ""),
        (format!("Broadcast message from locksmithd at {time}:"), BELLS),
        ("System reboot in 5 minutes!".to_owned(), ""),
    ];
    lines.iter().map(|(line, bells)| format!("\r{line:<COLUMNS$.COLUMNS$}{bells}\r\n")).collect()
}

#[cfg(test)]
mod tests {
    use agent_support::testing::Tree;
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_notice_is_the_originals_in_lines_of_79_columns() {
        let now = date(2026, 11, 29).at(1, 2, 3, 0).to_zoned_datetime(jiff::tz::TimeZone::UTC).unwrap();
        let text = text(&now);
        let lines: Vec<_> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 3);
        for line in &lines {
            assert_eq!(line.trim_start_matches('\r').trim_end_matches('\u{7}').len(), 79, "{line:?}");
        }
        assert_eq!(lines[0].trim(), "");
        let expected = "\rBroadcast message from locksmithd at 2026-11-29 01:02:03 UTC:";
        assert!(lines[1].starts_with(expected) && lines[1].ends_with("\u{7}\u{7}"), "{:?}", lines[1]);
        assert_eq!(lines[2].trim(), "System reboot in 5 minutes!");
    }

    #[test]
    fn terminals_that_are_gone_are_passed_over() {
        let tree = Tree::new();
        tree.file("/dev/pts/0", "");
        let now = date(2026, 11, 29).at(1, 2, 3, 0).to_zoned_datetime(jiff::tz::TimeZone::UTC).unwrap();
        assert_eq!(write(&tree.host, &["pts/0".to_owned(), "pts/7".to_owned()], &now), 1);
        assert!(tree.host.read("/dev/pts/0").unwrap().unwrap().contains("System reboot in 5 minutes!"));
    }
}
