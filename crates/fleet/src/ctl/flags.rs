//! The command line of `fleetctl`: global flags, which environment variables give too, and the subcommands.
//!
//! The only file that knows the parser, with [`command`].

pub mod command;
pub mod unit_flags;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser};

use command::Command;

/// What `--version` and `version` say after the program's name, as the original did.
pub const VERSION: &str = concat!("version ", env!("CARGO_PKG_VERSION"));

/// Starts, moves and shows systemd units across the machines of a cluster.
///
/// A command may be shortened as long as no other begins the same: `fleetctl list-m`.
#[derive(Debug, Parser)]
#[command(name = "fleetctl", version = VERSION, infer_subcommands = true)]
pub struct Flags {
    /// Flags that every command has.
    #[command(flatten)]
    pub global: Global,
    /// What to do; without it help is printed.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every command has.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Where fleetd answers: unix:///PATH, http://HOST:PORT or https://HOST:PORT.
    #[arg(long, global = true, env = "FLEETCTL_ENDPOINT", default_value = "unix:///run/fleet.sock")]
    pub endpoint: String,
    /// Ask fleetd on another machine, through SSH.
    #[arg(long, global = true, env = "FLEETCTL_TUNNEL", value_name = "HOST[:PORT]")]
    pub tunnel: Option<String>,
    /// User on other machines.
    #[arg(long, global = true, env = "FLEETCTL_SSH_USERNAME", default_value = "core", value_name = "USER")]
    pub ssh_username: String,
    /// Longest wait for an SSH connection, in seconds.
    #[arg(
        long, global = true, env = "FLEETCTL_SSH_TIMEOUT", default_value = "10.0", value_name = "SECONDS",
        value_parser = seconds
    )]
    pub ssh_timeout: Duration,
    /// File of known SSH host keys [default: $HOME/.fleetctl/known_hosts].
    #[arg(long, global = true, env = "FLEETCTL_KNOWN_HOSTS_FILE", value_name = "FILE")]
    pub known_hosts_file: Option<PathBuf>,
    /// Whether a changed SSH host key ends the connection; unknown ones are learnt.
    #[arg(
        long, global = true, env = "FLEETCTL_STRICT_HOST_KEY_CHECKING", value_name = "BOOL",
        action = ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_value_t = true, default_missing_value = "true"
    )]
    pub strict_host_key_checking: bool,
    /// Longest wait for an answer of fleetd, in seconds.
    #[arg(
        long, global = true, env = "FLEETCTL_REQUEST_TIMEOUT", default_value = "3.0", value_name = "SECONDS",
        value_parser = seconds
    )]
    pub request_timeout: Duration,
    /// Authorities that an https endpoint must be certified by (PEM).
    #[arg(long, global = true, env = "FLEETCTL_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Certificate that fleetctl shows to an https endpoint (PEM).
    #[arg(long, global = true, env = "FLEETCTL_CERT_FILE", value_name = "FILE")]
    pub cert_file: Option<PathBuf>,
    /// Key of that certificate (PEM).
    #[arg(long, global = true, env = "FLEETCTL_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Say on standard error what is asked and run.
    #[arg(long, global = true, env = "FLEETCTL_DEBUG", value_parser = clap::builder::BoolishValueParser::new())]
    pub debug: bool,
    /// Kept for scripts; `etcd` is gone, because fleetd alone knows how units are stored.
    #[arg(long, global = true, env = "FLEETCTL_DRIVER", default_value = "API", hide = true)]
    pub driver: String,
    /// File with this machine's id.
    #[arg(
        long,
        global = true,
        env = "FLEETCTL_MACHINE_ID_FILE",
        default_value = "/etc/machine-id",
        hide = true
    )]
    pub machine_id_file: PathBuf,
}

/// Reads a number of seconds, such as `3` or `0.5`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 =
        text.parse().map_err(|_| format!("{text:?} is no number of seconds, such as 3 or 0.5"))?;
    let duration = Duration::try_from_secs_f64(number)
        .map_err(|_| format!("{text} seconds: a number from 0 on is wanted"))?;
    if duration.is_zero() {
        Err("a wait of 0 seconds always fails: give more".to_owned())
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;
    use clap::{CommandFactory as _, Parser as _};

    use super::command::{Ask, Command};
    use super::*;

    fn parse(words: &[&str]) -> Result<Flags, clap::Error> {
        Flags::try_parse_from(["fleetctl"].iter().chain(words))
    }

    #[test]
    fn the_description_of_the_command_line_is_sound() {
        Flags::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let flags = parse(&["list-units"]).unwrap();
        assert_eq!(flags.global.endpoint, "unix:///run/fleet.sock");
        assert_eq!(flags.global.ssh_username, "core");
        assert_eq!(flags.global.ssh_timeout, Duration::from_secs(10));
        assert_eq!(flags.global.request_timeout, Duration::from_secs(3));
        assert!(flags.global.strict_host_key_checking && !flags.global.json);
    }

    #[test]
    fn commands_may_be_shortened_while_they_are_unique() {
        assert!(matches!(parse(&["list-m"]).unwrap().command, Some(Command::Ask(Ask::ListMachines(_)))));
        assert!(matches!(parse(&["dest", "x"]).unwrap().command, Some(Command::Ask(Ask::Destroy(_)))));
        assert!(matches!(parse(&["j", "x"]).unwrap().command, Some(Command::Ask(Ask::Journal(_)))));
        assert_eq!(parse(&["list-u"]).unwrap_err().kind(), ErrorKind::InvalidSubcommand);
        assert_eq!(parse(&["sta", "x"]).unwrap_err().kind(), ErrorKind::InvalidSubcommand);
    }

    #[test]
    fn no_command_at_all_is_no_error() {
        assert!(parse(&[]).unwrap().command.is_none());
    }

    #[test]
    fn global_flags_stand_before_and_after_the_command() {
        for words in [["--tunnel=h:23", "list-units"], ["list-units", "--tunnel=h:23"]] {
            assert_eq!(parse(&words).unwrap().global.tunnel.as_deref(), Some("h:23"));
        }
    }

    #[test]
    fn strict_checking_is_turned_off_by_a_value_only() {
        let strict = |words: &[&str]| parse(words).unwrap().global.strict_host_key_checking;
        assert!(!strict(&["--strict-host-key-checking=false", "list-units"]));
        assert!(strict(&["--strict-host-key-checking", "list-units"]));
    }

    #[test]
    fn seconds_are_numbers_above_zero() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for wrong in ["", "3s", "-1", "0", "NaN", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn remote_commands_keep_their_flags() {
        let flags = parse(&["ssh", "-A", "e1cd", "ls", "-l", "--json"]).unwrap();
        let Some(Command::Ask(Ask::Ssh(ssh))) = flags.command else { panic!("no ssh: {flags:?}") };
        assert!(ssh.forward_agent);
        assert_eq!(ssh.words, ["e1cd", "ls", "-l", "--json"]);
    }
}
