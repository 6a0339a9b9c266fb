//! `slipway-cluster`, which `slipway cluster` runs: what a machine's programs say of its cluster.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage.

use std::process::ExitCode;

use clap::Parser as _;
use cluster_page::flags::{Command, Flags};
use cluster_page::{serve, show};

fn main() -> ExitCode {
    let res = match Flags::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Show(args) => show::run(&args),
    };
    match res {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}
