//! The command lines of both programs: the only file that knows the parser.
//!
//! Flags may have one dash, as the original's. Each has a variable, see [`crate::settings`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use slots::Version;

/// What `-version` says after the program's name, as the original did.
const VERSION: &str = concat!("version ", env!("CARGO_PKG_VERSION"));

/// As which of both programs this one was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `locksmithd`.
    Daemon,
    /// `locksmithctl`, and whatever else it may be called.
    Ctl,
}

impl Program {
    /// Tells it by the name that it was called by.
    pub fn of(called: Option<&OsString>) -> Self {
        let name = called.and_then(|called| Path::new(called).file_name());
        if name.is_some_and(|name| name == Self::Daemon.name()) { Self::Daemon } else { Self::Ctl }
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Daemon => "locksmithd",
            Self::Ctl => "locksmithctl",
        }
    }

    /// Returns what its variables begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Daemon => "LOCKSMITHD_",
            Self::Ctl => "LOCKSMITHCTL_",
        }
    }
}

/// Flags of both programs. The variable of a flag is LOCKSMITHD_ or LOCKSMITHCTL_ and its name in capitals.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// URLs of etcd, with commas between them or given several times [default: http://127.0.0.1:2379, then port 4001].
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',')]
    pub endpoint: Vec<String>,
    /// The authority that signed etcd's certificate (PEM).
    #[arg(long, global = true, value_name = "FILE")]
    pub etcd_cafile: Option<PathBuf>,
    /// The certificate to show etcd (PEM).
    #[arg(long, global = true, value_name = "FILE")]
    pub etcd_certfile: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[arg(long, global = true, value_name = "FILE")]
    pub etcd_keyfile: Option<PathBuf>,
    /// User of etcd.
    #[arg(long, global = true, value_name = "NAME")]
    pub etcd_username: Option<String>,
    /// Password of that user; others on the machine can read it, its variable they cannot.
    #[arg(long, global = true, value_name = "TEXT")]
    pub etcd_password: Option<String>,
    /// The group whose semaphore is meant.
    #[arg(long, global = true, value_name = "NAME")]
    pub group: Option<String>,
    /// Say on standard error what is asked.
    #[arg(long, global = true)]
    pub debug: bool,
    /// Root of the tree to work on; anything but `/` is for tests.
    #[arg(long, global = true, default_value = "/", hide = true)]
    pub root: PathBuf,
}

/// Reboots this machine when a version waits, as REBOOT_STRATEGY of /etc/slipway/update.conf says.
#[derive(Debug, Parser)]
#[command(name = "locksmithd", version = VERSION)]
pub struct Daemon {
    /// Flags of both programs.
    #[command(flatten)]
    pub global: Global,
    /// When the machine may reboot: `[DAY ]HH:MM` in its time zone; needs the length.
    #[arg(long, value_name = "START")]
    pub reboot_window_start: Option<String>,
    /// For how long, such as 1h30m; needs the start.
    #[arg(long, value_name = "SPAN")]
    pub reboot_window_length: Option<String>,
    /// How long units may take to leave the machine before it does not reboot [default: 10m].
    #[arg(long, value_name = "SPAN")]
    pub drain_timeout: Option<String>,
    /// Take a slot from a machine that has held it for longer and that fleet does not see [default: never].
    #[arg(long, value_name = "SPAN")]
    pub break_stale: Option<String>,
}

/// Shows and changes which machines of a group may reboot.
#[derive(Debug, Parser)]
#[command(name = "locksmithctl", version = VERSION)]
pub struct Ctl {
    /// Flags of both programs.
    #[command(flatten)]
    pub global: Global,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do; without it help is printed.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the slots of the group and who holds them.
    Status(StatusArgs),
    /// Take a slot for a machine, this one without an ID.
    Lock(MachineArgs),
    /// Give the slot of a machine back, of this one without an ID.
    Unlock(MachineArgs),
    /// Set how many machines may be away at once; 0 lets none reboot.
    SetMax(SetMaxArgs),
    /// Reboot this machine with a slot, whatever the strategy: locksmithd does it, at once or when a slot is free.
    Reboot(RebootArgs),
    /// Make the version that runs wait for a reboot, to see what locksmithd does (for tests).
    SendNeedReboot,
    /// Show what the machines of all groups say of themselves.
    Machines,
    /// Remove what machines that are gone said of themselves.
    Forget(ForgetArgs),
    /// Show which versions the group knows to be good or failed.
    Versions,
    /// Let a version that failed be tried again, by one machine first.
    Forgive(ForgiveArgs),
    /// Print a script that completes the command line in a shell.
    Completion(CompletionArgs),
    /// Anything else.
    #[command(external_subcommand)]
    Unknown(Vec<OsString>),
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Show since when each slot is held, for what, and whether fleet sees its machine.
    #[arg(long, short)]
    pub verbose: bool,
}

/// Arguments of `lock` and `unlock`.
#[derive(Debug, Args)]
pub struct MachineArgs {
    /// The machine's id.
    #[arg(value_name = "ID")]
    pub id: Option<String>,
}

/// Arguments of `set-max`.
#[derive(Debug, Args)]
pub struct SetMaxArgs {
    /// The number. Read by the command, which has words of its own for what is none.
    #[arg(value_name = "N", allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// Arguments of `reboot`.
#[derive(Debug, Args)]
pub struct RebootArgs {
    /// Take the wish back; a slot that was taken for it is given back.
    #[arg(long)]
    pub cancel: bool,
}

/// Arguments of `forget`.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The machines' ids.
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
}

/// Arguments of `forgive`.
#[derive(Debug, Args)]
pub struct ForgiveArgs {
    /// The version.
    #[arg(id = "which", value_name = "VERSION")]
    pub version: Version,
}

/// Arguments of `completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell.
    pub shell: Shell,
}

/// Gives long flags that have one dash, as the original's, a second one. What stands behind `--` stays.
pub fn with_two_dashes(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut is_literal = false;
    let longer = arguments.into_iter().map(|argument| {
        is_literal |= argument == "--";
        let flag = argument.to_str().and_then(|text| text.strip_prefix('-')).filter(|_| !is_literal);
        match flag.filter(|flag| flag.len() > 1 && flag.starts_with(|c: char| c.is_ascii_alphabetic())) {
            Some(flag) => format!("--{flag}").into(),
            None => argument,
        }
    });
    longer.collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn ctl(words: &[&str]) -> Result<Ctl, clap::Error> {
        let words = std::iter::once(&"locksmithctl").chain(words).map(OsString::from).collect();
        Ctl::try_parse_from(with_two_dashes(words))
    }

    #[test]
    fn the_descriptions_of_both_command_lines_are_sound() {
        Ctl::command().debug_assert();
        Daemon::command().debug_assert();
    }

    #[test]
    fn the_last_part_of_the_name_says_which_program_it_is() {
        let of = |name: &str| Program::of(Some(&name.into()));
        assert_eq!([of("locksmithd"), of("/usr/bin/locksmithd")], [Program::Daemon; 2]);
        assert_eq!([of("locksmithctl"), of("locksmithd/x"), of("")], [Program::Ctl; 3]);
        assert_eq!(Program::of(None), Program::Ctl);
    }

    #[test]
    fn flags_of_the_original_with_one_dash_are_understood() {
        let flags = ctl(&["-endpoint", "http://a:1,http://b:1", "-group=web", "status", "-debug"]).unwrap();
        assert_eq!(flags.global.endpoint, ["http://a:1", "http://b:1"]);
        assert_eq!((flags.global.group.as_deref(), flags.global.debug), (Some("web"), true));
        let flags = ctl(&["-endpoint", "http://a:1", "-endpoint", "http://b:1", "lock", "m1"]).unwrap();
        assert_eq!(flags.global.endpoint.len(), 2);
        assert!(matches!(flags.command, Some(Command::Lock(MachineArgs { id: Some(id) })) if id == "m1"));
    }

    #[test]
    fn short_flags_numbers_and_what_is_behind_two_dashes_stay() {
        let stay = ["-v", "-1", "-", "--json", "x-y", "--", "-etcd"].map(OsString::from).to_vec();
        assert_eq!(with_two_dashes(stay.clone()), stay);
    }

    #[test]
    fn a_negative_number_reaches_the_command_that_refuses_it() {
        let flags = ctl(&["set-max", "-1"]).unwrap();
        assert!(matches!(flags.command, Some(Command::SetMax(args)) if args.words == ["-1"]));
    }

    #[test]
    fn an_unknown_command_is_for_us_to_name() {
        let flags = ctl(&["explode", "now"]).unwrap();
        assert!(matches!(flags.command, Some(Command::Unknown(words)) if words == ["explode", "now"]));
        assert!(ctl(&[]).unwrap().command.is_none());
    }
}
