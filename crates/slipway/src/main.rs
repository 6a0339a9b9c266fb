//! `slipway`: what a machine tells about itself, and what starts it, counts its tries and falls back.
//!
//! One binary for the running system and the initrd.
//! Exit codes: 0 done, 1 failed, 2 wrong usage.

mod bless;
mod blessed;
mod boot_failed;
mod cluster;
mod console_password;
mod crash;
mod disk;
mod emergency;
mod etc_overlay;
mod etcd;
mod fallback;
mod flags;
mod health;
mod install;
mod issue;
mod kernel_args;
mod packages;
mod report;
mod stage;
mod status;
mod tools;
mod whose_disk;

use std::process::ExitCode;

use agent_support::host::Host;
use clap::Parser;

use crate::flags::{Command, Flags};

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&Host::new(flags.root), flags.command) {
        Ok(code) => code,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(host: &Host, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Status(args) => status::run(host, args.format()),
        Command::Packages(args) => packages::run(host, args.format()),
        Command::KernelArgs(args) => kernel_args::run(host, args),
        Command::Etcd(args) => etcd::run(host, args),
        Command::Cluster(args) => cluster::run(host, &args.args),
        // Its list of devices has an exit code of its own.
        Command::Install(args) => return install::run(host, &args),
        Command::Health(args) => health::run(host, args.boot),
        Command::LastGood => health::look_again(host),
        Command::WhoseDisk(args) => whose_disk::run(host, &args.device),
        Command::Disk => disk::run(host),
        Command::Stage(args) => stage::run(host, args.stage),
        Command::BootFailed => boot_failed::run(host),
        Command::Emergency => emergency::run(host),
        Command::EtcOverlay => etc_overlay::run(host),
        Command::Bless => bless::run(host),
        Command::Blessed => blessed::run(host),
        Command::Issue => issue::run(host),
        Command::ConsolePassword => console_password::run(host),
    }?;
    Ok(ExitCode::SUCCESS)
}
