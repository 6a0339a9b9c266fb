//! Arguments of the commands of a cluster on this machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Accel, Inputs};

/// Most machines: their names and addresses end in one digit.
pub const MACHINES_MAX: u8 = 9;

/// Arguments of `cluster`.
#[derive(Args, Clone, Debug)]
pub struct Cluster {
    #[command(subcommand)]
    pub command: ClusterCommand,
}

/// What to do with the cluster.
#[derive(Clone, Debug, Subcommand)]
pub enum ClusterCommand {
    /// Start N machines of the newest image and wait until they are a cluster
    Up(ClusterUp),
    /// Show machines, versions, etcd, locks and units in one table
    Status {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Log in to a machine, or run a command in it
    Ssh {
        /// Its number or name: 1 or m1
        #[arg(value_name = "I", value_parser = machine)]
        machine: u8,
        /// Command to run instead of a shell
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Offer the machines a newer version, which is built if there is none
    Apply(ClusterApply),
    /// End all machines and what belongs to them
    Down,
    /// What `up` starts in the background: owns every process of the cluster
    #[command(hide = true)]
    Supervise,
}

/// Arguments of `cluster up`.
#[derive(Args, Clone, Debug)]
pub struct ClusterUp {
    /// Number of machines
    #[arg(value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=i64::from(MACHINES_MAX)))]
    pub size: u8,
    /// Folder with the image and its manifest [default: target/image]
    #[arg(long, value_name = "DIR")]
    pub image_dir: Option<PathBuf>,
    /// Processors of each machine
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub cpus: u32,
    /// Memory of each machine in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(512..))]
    pub memory: u32,
    /// What runs the guests' instructions; `auto` tries a tiny guest under KVM
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub accel: Accel,
    /// Configure all machines by this file too, on top of the cluster's own cloud-config
    #[arg(long, value_name = "FILE")]
    pub cloud_config: Option<PathBuf>,
    /// Folder of the keys that sign what the update server offers [default: the committed INSECURE development pair]
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    #[command(flatten)]
    pub inputs: Inputs,
}

/// Arguments of `cluster apply`.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterApply {
    /// Version to offer; it is built unless it is the newest build [default: the newest build if it is newer than
    /// what is on offer, else the next version]
    #[arg(long, value_name = "V")]
    pub version: Option<slots::Version>,
    /// A further folder laid over /usr of the version, which is built then (may be given several times)
    #[arg(long, value_name = "DIR")]
    pub overlay: Vec<PathBuf>,
    #[command(flatten)]
    pub inputs: Inputs,
}

/// Reads the number of a machine.
fn machine(text: &str) -> Result<u8, String> {
    let number = text.strip_prefix('m').unwrap_or(text).parse().ok();
    number
        .filter(|number| (1..=MACHINES_MAX).contains(number))
        .ok_or_else(|| format!("machines are numbered 1 to {MACHINES_MAX} and named m1 to m{MACHINES_MAX}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::flags::{Command, Xtask};

    #[track_caller]
    fn parse(line: &str) -> Result<ClusterCommand, String> {
        match Xtask::try_parse_from(line.split(' ')).map_err(|err| err.to_string())?.command {
            Command::Cluster(args) => Ok(args.command),
            other => panic!("another command: {other:?}"),
        }
    }

    #[test]
    fn a_cluster_has_one_to_nine_machines_and_three_if_nothing_is_said() {
        for (line, expected) in [("", 3), (" 1", 1), (" 9", 9)] {
            let Ok(ClusterCommand::Up(args)) = parse(&format!("xtask cluster up{line}")) else {
                panic!("{line} is refused")
            };
            assert_eq!(args.size, expected);
        }
        for wrong in ["0", "10", "-1", "three", "3 3"] {
            let refused = parse(&format!("xtask cluster up {wrong}")).unwrap_err();
            assert!(refused.contains(wrong.split(' ').next_back().unwrap()), "{refused}");
        }
    }

    #[test]
    fn a_machine_is_meant_by_number_or_name() {
        for text in ["2", "m2"] {
            let Ok(ClusterCommand::Ssh { machine, command }) =
                parse(&format!("xtask cluster ssh {text} -- uname -r"))
            else {
                panic!("{text} is refused")
            };
            assert_eq!((machine, command), (2, vec!["uname".to_owned(), "-r".to_owned()]));
        }
        for wrong in ["0", "m0", "10", "mm1", "x"] {
            let refused = parse(&format!("xtask cluster ssh {wrong}")).unwrap_err();
            assert!(refused.contains("machines are numbered 1 to 9"), "{refused}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for wrong in ["xtask cluster", "xtask cluster up 3 --memory 100", "xtask cluster apply --version x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(matches!(parse("xtask cluster down"), Ok(ClusterCommand::Down)));
        assert!(matches!(parse("xtask cluster status --json"), Ok(ClusterCommand::Status { json: true })));
    }
}
