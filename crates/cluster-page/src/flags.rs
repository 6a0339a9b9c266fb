//! The command line: the only file that knows the parser.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Shows the machines of a cluster: versions, slots, locks, units, members of etcd, and what happened.
///
/// It asks locksmithctl, fleetctl and etcdctl on this machine, and changes nothing.
#[derive(Debug, Parser)]
#[command(name = "slipway cluster", bin_name = "slipway cluster", version)]
pub struct Flags {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve one page for a browser, and the document that it is made of, until it is told to end.
    Serve(ServeArgs),
    /// Look once and print what is seen.
    Show(ShowArgs),
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where to listen. Whoever reaches it reads the page: there is neither password nor encryption.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7780")]
    pub listen: SocketAddr,
    /// How long to wait between two looks, from 1s to 1h.
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = span)]
    pub every: Duration,
    /// Say on standard error what is asked for.
    #[arg(long)]
    pub debug: bool,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Print one JSON document of a documented shape (docs/operating/status-page.md).
    #[arg(long)]
    pub json: bool,
}

/// Reads `5s`, `2m` or `1h`.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no span from 1s to 1h; write it as 5s or 2m");
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let secs: u64 = number.parse().map_err(|_| wrong())?;
    let each = match &text[number.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    secs.checked_mul(each).filter(|secs| (1..=3600).contains(secs)).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_description_of_the_command_line_is_sound() {
        Flags::command().debug_assert();
    }

    #[test]
    fn a_span_has_a_unit_and_limits() {
        assert_eq!(span("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(span("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(span("1h"), Ok(Duration::from_secs(3600)));
        for wrong in ["", "5", "s", "0s", "2h", "-1s", "1.5s", "5ms", "99999999999999999999h", "5 s"] {
            assert!(span(wrong).unwrap_err().contains("write it as 5s"), "{wrong}");
        }
    }

    #[test]
    fn loopback_is_where_it_listens_by_itself() {
        let flags = Flags::parse_from(["slipway cluster", "serve"]);
        let Command::Serve(args) = flags.command else { panic!("{flags:?}") };
        assert_eq!(
            (args.listen.to_string().as_str(), args.every),
            ("127.0.0.1:7780", Duration::from_secs(5))
        );
    }
}
