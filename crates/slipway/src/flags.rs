//! The command line: the only file that knows the parser.

use std::ffi::OsString;
use std::path::PathBuf;

use agent_support::tries::Stage;
use clap::{Args, Parser, Subcommand};

use crate::report::Format;

/// Shows and steers the host: version, slots, boot entries, health, kernel arguments.
#[derive(Debug, Parser)]
#[command(name = "slipway", version, propagate_version = true)]
pub struct Flags {
    /// Root of the tree to look at; anything but `/` is a copy in which nothing is mounted or restarted.
    #[arg(long, global = true, default_value = "/", hide = true)]
    pub root: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands; those hidden from help are run by units.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show version, slot, boot entry and tries, health, failed units and warnings.
    ///
    /// Boot entries and the tries of failed versions are read from the EFI system partition, which takes root.
    Status(FormatArgs),
    /// List the packages that this version was built from, with version and licence.
    Packages(FormatArgs),
    /// List, set or clear additional kernel arguments (they take effect at the next boot).
    KernelArgs(KernelArgs),
    /// Back up, restore and check this machine's etcd, and replace a lost member of its cluster.
    Etcd(EtcdArgs),
    /// Show the cluster that this machine is in, for a browser or in the terminal (slipway-cluster).
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Cluster(ClusterArgs),
    /// Put the running version onto another disk, or list the disks that could be taken (exit code 2).
    Install(InstallArgs),
    /// Run the health checks now; exit code 1 and one line each for those that fail.
    Health(HealthArgs),
    /// Look again at what a boot that was found good has, for judging the next one (run before an update's reboot).
    #[command(hide = true)]
    LastGood,
    /// Say for udev whether a disk is another than the one that was started (61-slipway-disk.rules).
    #[command(hide = true)]
    WhoseDisk(WhoseDiskArgs),
    /// Give this disk its own identity and link its partitions (slipway-disk.service).
    #[command(hide = true)]
    Disk,
    /// Record how far a counted boot came (slipway-try.service).
    #[command(hide = true)]
    Stage(StageArgs),
    /// Fall back or stay up degraded after boot-complete.target failed (slipway-boot-failed.service).
    #[command(hide = true)]
    BootFailed,
    /// Reboot, put this entry last or open a prompt, in place of the emergency shell (emergency.service).
    #[command(hide = true)]
    Emergency,
    /// Mount the overlay at /etc below /sysroot (slipway-etc.service in the initrd).
    #[command(hide = true)]
    EtcOverlay,
    /// Take the counter off this boot's entry (systemd-bless-boot.service).
    #[command(hide = true)]
    Bless,
    /// Clear the records of tries that no longer matter (slipway-blessed.service).
    #[command(hide = true)]
    Blessed,
    /// Write the login banner (slipway-issue.service).
    #[command(hide = true)]
    Issue,
    /// Apply the console password of the oem partition (slipway-console-password.service).
    #[command(hide = true)]
    ConsolePassword,
}

/// Choice of the output format.
#[derive(Debug, Args)]
pub struct FormatArgs {
    /// Print one JSON document of a documented shape (docs/operating/status.md).
    #[arg(long)]
    pub json: bool,
}

impl FormatArgs {
    /// Returns the format asked for.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}

/// Arguments of `slipway cluster`, which another program knows.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// As `slipway cluster --help` says.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<OsString>,
}

/// Arguments of `slipway install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The disk, whose content is lost; without it, those that could be taken are listed
    #[arg(value_name = "DEVICE")]
    pub device: Option<PathBuf>,
    /// Put this file on its oem partition as cloud-config.yml, in place of what is on that of the running disk
    #[arg(long, value_name = "FILE")]
    pub cloud_config: Option<PathBuf>,
    /// Do not ask for the name of the device
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `slipway whose-disk`.
#[derive(Debug, Args)]
pub struct WhoseDiskArgs {
    /// Device of a whole disk.
    pub device: PathBuf,
}

/// Arguments of `slipway health`.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Wait until the system has started, and record the result for falling back.
    #[arg(long, hide = true)]
    pub boot: bool,
}

/// Arguments of `slipway stage`.
#[derive(Debug, Args)]
pub struct StageArgs {
    /// The stage that this boot has reached.
    #[arg(value_enum)]
    pub stage: Stage,
}

/// Arguments of `slipway kernel-args`.
#[derive(Debug, Args)]
pub struct KernelArgs {
    /// What to do; without it the arguments are listed.
    #[command(subcommand)]
    pub action: Option<KernelArgsAction>,
    /// Choice of the output format.
    #[command(flatten)]
    pub format: FormatArgs,
}

/// What `slipway kernel-args` can do.
#[derive(Debug, Subcommand)]
pub enum KernelArgsAction {
    /// Show the additional arguments and the whole command line of this boot.
    List(FormatArgs),
    /// Replace the additional arguments by these.
    Set(SetArgs),
    /// Remove the additional arguments.
    Clear(FormatArgs),
}

/// Arguments of `slipway kernel-args set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The arguments, appended to the sealed command line in this order.
    #[arg(required = true, allow_hyphen_values = true, trailing_var_arg = true, value_name = "ARGS")]
    pub args: Vec<String>,
    /// Choice of the output format.
    #[command(flatten)]
    pub format: FormatArgs,
}

/// Arguments of `slipway etcd`.
#[derive(Debug, Args)]
pub struct EtcdArgs {
    /// Where etcd listens for clients; without it, as etcd.service runs.
    #[arg(long, global = true, value_name = "URL")]
    pub endpoint: Option<String>,
    /// Folder of etcd's data; without it, that of etcd.service.
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub action: EtcdAction,
}

/// What `slipway etcd` can do.
#[derive(Debug, Subcommand)]
pub enum EtcdAction {
    /// Save v3 and v2 keys below /var/lib/slipway/etcd/backups and keep the newest 24 (hourly by a timer).
    Backup,
    /// Make the data of a stopped etcd anew from a backup, as a cluster of one member.
    Restore(RestoreArgs),
    /// Make a stopped etcd a cluster of one member with its own data, after the majority was lost.
    Alone(PlaceArgs),
    /// Remove a lost member, add a new one in its place, and print the cloud-config that it starts with.
    Replace(ReplaceArgs),
    /// Exit code 1 while etcd has an alarm or its database is nearly full (every five minutes by a timer).
    Check,
    /// Write where a member with discovery listens that nobody told (etcd.service).
    #[command(hide = true)]
    Addresses,
}

/// Arguments of `slipway etcd restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Name of a kept backup, or path of one.
    pub backup: String,
    /// Where the member is.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Where a member that is made the only one will be found by those that join.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// Where others reach this member [default: as in etcd.service, or http://localhost:2380]
    #[arg(long, value_name = "URL")]
    pub peer_url: Option<String>,
}

/// Arguments of `slipway etcd replace`.
#[derive(Debug, Args)]
pub struct ReplaceArgs {
    /// Name or number of the lost member.
    pub old: String,
    /// Name of the new member [default: that of the lost one]
    #[arg(long)]
    pub name: Option<String>,
    /// Where the others reach the new member [default: where they reached the lost one]
    #[arg(long, value_name = "URL")]
    pub peer_url: Option<String>,
}
