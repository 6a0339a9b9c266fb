//! `slipway-update watch`: the status file, line by line, whenever it changes.

use std::thread::sleep;
use std::time::Duration;

use agent_support::host::Host;

use super::print::{self, Format};
use crate::{lock, status};

const PERIOD: Duration = Duration::from_secs(1);

/// Prints until nothing is being done any more, or for ever if nothing is.
pub fn watch(host: &Host, format: Format) -> anyhow::Result<std::convert::Infallible> {
    let mut shown = String::new();
    loop {
        let status = status::load(host)?;
        let line = match format {
            Format::Json => serde_json::to_string(&status)?,
            Format::Text => text(&status, lock::is_working(host)),
        };
        if line != shown {
            print::line(&line)?;
            shown = line;
        }
        sleep(PERIOD);
    }
}

fn text(status: &status::Status, is_working: bool) -> String {
    let name = if status.new_version.is_empty() { "0.0.0" } else { &status.new_version };
    let what = if is_working { "" } else { " (nobody at work)" };
    format!(
        "{}{what} version {name} progress {:.1} % had {} fetched {} requests {}",
        status.current_op,
        status.progress * 100.0,
        print::size(status.reused),
        print::size(status.fetched),
        status.requests
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_everything() {
        let status = status::Status { progress: 0.25, fetched: 300 << 20, ..status::Status::default() };
        assert_eq!(
            text(&status, true),
            "UPDATE_STATUS_IDLE version 0.0.0 progress 25.0 % had 0 bytes fetched 300 MiB requests 0"
        );
        assert!(text(&status, false).starts_with("UPDATE_STATUS_IDLE (nobody at work) version"));
    }
}
