//! `slipway-cloudinit`: checks a cloud-config and makes the machine what it says.
//!
//! Exit codes: 0 done, 1 an error or a failed step, 2 wrong usage; `validate` also 3, for warnings alone.
//! Called as `coreos-cloudinit` it takes the flags of the original.

mod command;
mod flags;

use std::process::ExitCode;

use clap::Parser;

use crate::command::Exit;
use crate::flags::{Command, Flags, Original};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let result = if flags::is_original(&arguments) {
        command::original::run(&Original::parse_from(flags::with_two_dashes(arguments)))
    } else {
        match Flags::parse().command {
            Command::Validate(args) => command::validate::run(&args),
            Command::Apply(args) => command::apply::run(&args),
            Command::Boot(args) => command::boot::run(&args),
        }
    };
    match result {
        Ok(exit) => exit.into(),
        Err(err) => {
            eprintln!("error: {err:#}");
            Exit::Failed.into()
        }
    }
}
